// SPDX-License-Identifier: MIT
// The Linux block's calls about descriptors: dup, dup3, fcntl, pipes, socket pairs, polling them.
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "checks.hpp"

namespace {

using checks::bad_pointer;
using checks::equal;
using checks::fails;
using checks::reads;
using checks::succeeds;
using checks::truth;

constexpr int kMaxFiles = 256;

void duplicate() {
    const int file = open("/etc/motd", O_RDONLY | O_CLOEXEC);
    const int same = dup(file);
    equal("the lowest free one", same, file + 1);
    equal("seek by the one", lseek(file, 5, SEEK_SET), 5);
    equal("is seen by the other", lseek(same, 0, SEEK_CUR), 5);
    equal("dup3 to a number", dup3(file, 100, O_CLOEXEC), 100);
    equal("dup3 over an open one", dup3(0, 100, 0), 100);
    fails("it is the console now", lseek(100, 0, SEEK_CUR), ESPIPE);
    fails("dup3 to itself", dup3(file, file, 0), EINVAL);
    fails("dup3 with an unknown flag", dup3(file, 101, O_APPEND), EINVAL);
    fails("dup3 of nothing", dup3(99, 101, 0), EBADF);
    fails("dup3 beyond the table", dup3(file, kMaxFiles, 0), EBADF);
    fails("dup3 to a negative number", dup3(file, -1, 0), EBADF);
    fails("dup of nothing", dup(99), EBADF);
    succeeds("close", close(file));
    equal("the other goes on", lseek(same, 0, SEEK_CUR), 5);
    close(same);
    close(100);
}

void control() {
    const int file = open("/etc/motd", O_RDONLY | O_CLOEXEC);
    equal("the mark", fcntl(file, F_GETFD), FD_CLOEXEC);
    equal("without", fcntl(file, F_SETFD, 0), 0);
    equal("it is gone", fcntl(file, F_GETFD), 0);
    const int from = fcntl(file, F_DUPFD, 50);
    equal("from a number on", from, 50);
    equal("the next one", fcntl(file, F_DUPFD_CLOEXEC, 50), 51);
    equal("marked", fcntl(51, F_GETFD), FD_CLOEXEC);
    equal("not marked", fcntl(50, F_GETFD), 0);
    fails("a number beyond the table", fcntl(file, F_DUPFD, kMaxFiles), EINVAL);
    fails("a negative number", fcntl(file, F_DUPFD, -1), EINVAL);
    equal("how it was opened", fcntl(file, F_GETFL) & O_ACCMODE, O_RDONLY);
    equal("not blocking", fcntl(file, F_SETFL, O_NONBLOCK | O_RDWR), 0);
    equal("the mode stays", fcntl(50, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY | O_NONBLOCK);
    fails("an unknown command", fcntl(file, 12345), EINVAL);
    fails("of nothing", fcntl(99, F_GETFD), EBADF);
    fails("a file is no pipe", fcntl(file, F_GETPIPE_SZ), EBADF);
    fails("of any size", fcntl(file, F_SETPIPE_SZ, 4096), EBADF);
    succeeds("fsync", fsync(file));
    fails("fsync of the console", fsync(0), EINVAL);
    fails("fsync of nothing", fsync(99), EBADF);
    close(file);
    close(50);
    close(51);
}

struct Pipe {
    explicit Pipe(int flags = 0) { succeeds("pipe2", pipe2(ends.data(), flags)); }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    ~Pipe() {
        close(reader());
        close(writer());
    }
    [[nodiscard]] int reader() const { return ends[0]; }
    [[nodiscard]] int writer() const { return ends[1]; }
    std::array<int, 2> ends{-1, -1};
};

// More than a pipe holds goes through to a thread that reads odd pieces; every byte is checked.
void stream(int writer, int reader) {
    constexpr std::size_t kBytes = 1'000'000;
    std::vector<std::uint8_t> sent(kBytes);
    for (std::size_t i = 0; i < kBytes; ++i) {
        sent[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
    }
    std::vector<std::uint8_t> got;
    std::thread thread{[&] {
        std::array<std::uint8_t, 30'011> piece{};
        while (true) {
            const auto bytes = read(reader, piece.data(), piece.size());
            if (bytes <= 0) {
                break;
            }
            got.insert(got.end(), piece.begin(), piece.begin() + bytes);
        }
    }};
    equal("one write of all of it", write(writer, sent.data(), sent.size()), kBytes);
    succeeds("close", close(writer));
    thread.join();
    truth("the same bytes in the same order", got == sent);
}

void pipe_bytes() {
    Pipe pipe;
    equal("write", write(pipe.writer(), "hello", 5), 5);
    std::array<char, 16> bytes{};
    equal("read", read(pipe.reader(), bytes.data(), bytes.size()), 5);
    reads("the bytes", {bytes.data(), 5}, "hello");
    struct stat status{};
    succeeds("fstat", fstat(pipe.reader(), &status));
    truth("it is a pipe", S_ISFIFO(status.st_mode));
    fails("a seek", lseek(pipe.reader(), 0, SEEK_CUR), ESPIPE);
    fails("pread", pread(pipe.reader(), bytes.data(), 1, 0), ESPIPE);
    fails("read from the writing end", read(pipe.writer(), bytes.data(), 1), EBADF);
    fails("write to the reading end", write(pipe.reader(), bytes.data(), 1), EBADF);
    equal("its capacity", fcntl(pipe.reader(), F_GETPIPE_SZ), 65536);
    equal("it holds what is asked for", fcntl(pipe.writer(), F_SETPIPE_SZ, 4096), 65536);
    equal("up to that", fcntl(pipe.writer(), F_SETPIPE_SZ, 65536), 65536);
    fails("not more", fcntl(pipe.writer(), F_SETPIPE_SZ, 65537), EPERM);
    fails("nor without end", fcntl(pipe.writer(), F_SETPIPE_SZ, -1), EINVAL);
    fails("an unknown flag", pipe2(pipe.ends.data(), O_TRUNC), EINVAL);
    fails("ends into the kernel", syscall(SYS_pipe2, bad_pointer<int>(), 0), EFAULT);
    const iovec vectors[]{{bytes.data(), 2}, {bytes.data() + 2, 3}};
    equal("writev", writev(pipe.writer(), vectors, 2), 5);
    equal("readv", readv(pipe.reader(), vectors, 2), 5);
    reads("the bytes", {bytes.data(), 5}, "hello");
}

void pipe_ends() {
    Pipe pipe{O_CLOEXEC | O_NONBLOCK};
    std::vector<char> bytes(70'000);
    equal("marked", fcntl(pipe.reader(), F_GETFD), FD_CLOEXEC);
    fails("read of an empty one", read(pipe.reader(), bytes.data(), 1), EAGAIN);
    equal("as much as it holds", write(pipe.writer(), bytes.data(), bytes.size()), 65536);
    fails("write to a full one", write(pipe.writer(), bytes.data(), 1), EAGAIN);
    equal("read of a little", read(pipe.reader(), bytes.data(), 100), 100);
    fails("a small write is not torn", write(pipe.writer(), bytes.data(), 4096), EAGAIN);
    equal("the rest", read(pipe.reader(), bytes.data(), bytes.size()), 16384);
    succeeds("dup", dup2(pipe.writer(), 90));
    succeeds("close", close(pipe.writer()));
    while (read(pipe.reader(), bytes.data(), bytes.size()) > 0) {
    }
    equal("another descriptor writes yet", errno, EAGAIN);
    succeeds("close of the last one", close(90));
    equal("end of file", read(pipe.reader(), bytes.data(), 1), 0);
}

void pipe_threads() {
    Pipe pipe;
    stream(pipe.writer(), pipe.reader());
    // Writers of one message each, all of them larger than what is free at times; nothing is torn.
    Pipe many;
    constexpr int kWriters = 4;
    constexpr int kMessages = 40;
    constexpr std::size_t kMessageBytes = 4096;
    std::vector<std::thread> writers;
    for (int i = 0; i < kWriters; ++i) {
        writers.emplace_back([&, i] {
            const std::vector<char> message(kMessageBytes, static_cast<char>('a' + i));
            for (int sent = 0; sent < kMessages; ++sent) {
                if (write(many.writer(), message.data(), message.size()) != kMessageBytes) {
                    break;
                }
            }
        });
    }
    std::array<int, kWriters> seen{};
    bool is_torn = false;
    for (int left = kWriters * kMessages; left > 0; --left) {
        std::array<char, kMessageBytes> message{};
        std::size_t filled = 0;
        while (filled < kMessageBytes) {
            const auto bytes = read(many.reader(), message.data() + filled, kMessageBytes - filled);
            if (bytes <= 0) {
                break;
            }
            filled += static_cast<std::size_t>(bytes);
        }
        is_torn = is_torn || std::ranges::any_of(message, [&](char byte) { return byte != message.front(); });
        const int writer = message.front() - 'a';
        if (writer >= 0 && writer < kWriters) {
            ++seen[static_cast<std::size_t>(writer)];
        }
    }
    for (auto& writer : writers) {
        writer.join();
    }
    truth("no message is torn", !is_torn);
    for (const int count : seen) {
        equal("messages of each writer", count, kMessages);
    }
}

void socket_pairs() {
    std::array<int, 2> pair{};
    succeeds("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()));
    struct stat status{};
    succeeds("fstat", fstat(pair[0], &status));
    truth("it is a socket", S_ISSOCK(status.st_mode));
    std::array<char, 16> bytes{};
    equal("there", write(pair[0], "there", 5), 5);
    equal("back", write(pair[1], "back", 4), 4);
    equal("read there", read(pair[1], bytes.data(), bytes.size()), 5);
    equal("read back", read(pair[0], bytes.data(), bytes.size()), 4);
    reads("the bytes", {bytes.data(), 4}, "back");
    stream(pair[0], pair[1]);
    close(pair[1]);
    fails("another family", socketpair(AF_INET, SOCK_STREAM, 0, pair.data()), EAFNOSUPPORT);
    fails("datagrams", socketpair(AF_UNIX, SOCK_DGRAM, 0, pair.data()), ESOCKTNOSUPPORT);
    fails("another protocol", socketpair(AF_UNIX, SOCK_STREAM, 17, pair.data()), EPROTONOSUPPORT);
    fails("into the kernel", syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, bad_pointer<int>()), EFAULT);
    succeeds("not blocking", socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair.data()));
    fails("nothing to read", read(pair[0], bytes.data(), 1), EAGAIN);
    close(pair[0]);
    equal("the peer is gone", read(pair[1], bytes.data(), 1), 0);
    close(pair[1]);
}

void poll_files() {
    Pipe first;
    Pipe second;
    std::array<pollfd, 3> files{
        {{first.reader(), POLLIN, 0}, {second.reader(), POLLIN, 0}, {second.writer(), POLLOUT, 0}}};
    equal("one is ready", poll(files.data(), files.size(), 0), 1);
    equal("it is the writer", files[2].revents, POLLOUT);
    equal("nothing within 1 ms", poll(files.data(), 2, 1), 0);
    files[2] = {99, POLLIN, 0};
    equal("what is not open", poll(files.data(), 3, 0), 1);
    equal("says so", files[2].revents, POLLNVAL);
    files[2].fd = -1;
    std::thread thread{[&] { static_cast<void>(write(second.writer(), "x", 1)); }};
    equal("waits for a byte", poll(files.data(), 3, -1), 1);
    equal("in the second", files[1].revents, POLLIN);
    thread.join();
    thread = std::thread{[&] { close(first.writer()); }};
    equal("waits for the end", poll(files.data(), 1, -1), 1);
    equal("of the first", files[0].revents, POLLHUP);
    thread.join();
    const int file = open("/etc/motd", O_RDONLY);
    pollfd always{file, POLLIN | POLLOUT, 0};
    equal("a file is ready", poll(&always, 1, -1), 1);
    equal("for both", always.revents, POLLIN | POLLOUT);
    close(file);
    pollfd terminal{1, POLLIN | POLLOUT, 0};
    equal("the terminal", poll(&terminal, 1, 0), 1);
    equal("takes output", terminal.revents, POLLOUT);
    timespec timeout{0, 2'000'000};
    equal("no files at all", syscall(SYS_ppoll, nullptr, 0, &timeout, nullptr, 8), 0);
    equal("no time is left", timeout.tv_nsec, 0);
    timeout = {0, -1};
    fails("an impossible time", syscall(SYS_ppoll, nullptr, 0, &timeout, nullptr, 8), EINVAL);
    fails("too many files", syscall(SYS_ppoll, nullptr, kMaxFiles + 1, nullptr, nullptr, 8), EINVAL);
    fails("files of the kernel", syscall(SYS_ppoll, bad_pointer<pollfd>(), 1, nullptr, nullptr, 8), EFAULT);
    const std::uint64_t mask = 0;
    fails("a mask of another size", syscall(SYS_ppoll, files.data(), 1, nullptr, &mask, 4), EINVAL);
}

// The bits of a set of descriptors, in the order of the arguments.
template <class... Files>
fd_set set_of(Files... files) {
    fd_set set;
    FD_ZERO(&set);
    (FD_SET(files, &set), ...);
    return set;
}

void select_files() {
    Pipe pipe;
    const int file = open("/etc/motd", O_RDONLY);
    fd_set reading = set_of(pipe.reader(), file);
    fd_set writing = set_of(pipe.writer());
    fd_set exceptional = set_of(file);
    timeval at_once{};
    equal("two are ready", select(file + 1, &reading, &writing, &exceptional, &at_once), 2);
    truth("the file", FD_ISSET(file, &reading));
    truth("not the pipe", !FD_ISSET(pipe.reader(), &reading));
    truth("the writer", FD_ISSET(pipe.writer(), &writing));
    truth("nothing is exceptional", !FD_ISSET(file, &exceptional));
    reading = set_of(pipe.reader());
    timespec timeout{0, 2'000'000};
    equal("nothing within 2 ms", pselect(file + 1, &reading, nullptr, nullptr, &timeout, nullptr), 0);
    truth("and so it says", !FD_ISSET(pipe.reader(), &reading));
    reading = set_of(pipe.reader());
    std::thread thread{[&] { static_cast<void>(write(pipe.writer(), "x", 1)); }};
    equal("waits for a byte", select(file + 1, &reading, nullptr, nullptr, nullptr), 1);
    thread.join();
    truth("in the pipe", FD_ISSET(pipe.reader(), &reading));
    const int reader = pipe.reader();
    close(pipe.writer());
    reading = set_of(reader);
    equal("an end is to be read", select(reader + 1, &reading, nullptr, nullptr, nullptr), 1);
    reading = set_of(200);
    equal("what is not below the number", select(200, &reading, nullptr, nullptr, &at_once), 0);
    reading = set_of(200);
    fails("what is not open", select(201, &reading, nullptr, nullptr, &at_once), EBADF);
    truth("changes nothing", FD_ISSET(200, &reading));
    fails("a negative number", select(-1, nullptr, nullptr, nullptr, &at_once), EINVAL);
    timeout = {0, 1'000'000'000};
    const auto call = [](int count, void* set, timespec* time, void* mask) {
        return syscall(SYS_pselect6, count, set, nullptr, nullptr, time, mask);
    };
    fails("an impossible time", call(0, nullptr, &timeout, nullptr), EINVAL);
    timeout = {};
    fails("a set of the kernel's", call(1, bad_pointer<char>(), &timeout, nullptr), EFAULT);
    fails("a mask of the kernel's", call(0, nullptr, &timeout, bad_pointer<char>()), EFAULT);
    const std::uint64_t signals = 0;
    std::array<std::uint64_t, 2> mask{reinterpret_cast<std::uint64_t>(&signals), 4};
    fails("a mask of another size", call(0, nullptr, &timeout, mask.data()), EINVAL);
    mask[1] = 8;
    equal("a mask", call(0, nullptr, &timeout, mask.data()), 0);
    close(file);
}

std::atomic<int> signals_seen{0};

// A signal that is blocked but for the call ends it, behind its handler.
void select_with_mask() {
    struct sigaction action{};
    action.sa_handler = [](int) { ++signals_seen; };
    sigaction(SIGUSR2, &action, nullptr);
    sigset_t blocked;
    sigset_t before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    raise(SIGUSR2);
    equal("blocked", signals_seen, 0);
    fails("interrupted", pselect(0, nullptr, nullptr, nullptr, nullptr, &before), EINTR);
    equal("handled", signals_seen, 1);
    sigset_t after;
    sigprocmask(SIG_SETMASK, &before, &after);
    equal("blocked again", sigismember(&after, SIGUSR2), 1);
}

void count_events() {
    const int counter = eventfd(3, EFD_NONBLOCK);
    succeeds("eventfd", counter);
    eventfd_t value = 0;
    succeeds("read", eventfd_read(counter, &value));
    equal("what it began with", static_cast<std::int64_t>(value), 3);
    fails("nothing is left", eventfd_read(counter, &value), EAGAIN);
    pollfd watched{counter, POLLIN | POLLOUT, 0};
    equal("poll", poll(&watched, 1, 0), 1);
    equal("it can be added to", watched.revents, POLLOUT);
    succeeds("add", eventfd_write(counter, 5));
    succeeds("and more", eventfd_write(counter, 7));
    equal("poll", poll(&watched, 1, 0), 1);
    equal("and taken", watched.revents, POLLIN | POLLOUT);
    std::array<std::uint8_t, 8> bytes{};
    fails("too little room", read(counter, bytes.data(), 7), EINVAL);
    std::array<iovec, 2> halves{{{bytes.data(), 3}, {bytes.data() + 3, 5}}};
    equal("read in two pieces", readv(counter, halves.data(), 2), 8);
    equal("both together", bytes[0], 12);
    fails("too few bytes", write(counter, bytes.data(), 7), EINVAL);
    fails("more than there is", eventfd_write(counter, ~eventfd_t{0}), EINVAL);
    succeeds("all there is", eventfd_write(counter, ~eventfd_t{0} - 1));
    fails("one too many", eventfd_write(counter, 1), EAGAIN);
    equal("poll", poll(&watched, 1, 0), 1);
    equal("full", watched.revents, POLLIN);
    fails("to the kernel", read(counter, bad_pointer<char>(), 8), EFAULT);
    fails("it has no position", lseek(counter, 0, SEEK_SET), ESPIPE);
    close(counter);
    fails("another flag", eventfd(0, 2), EINVAL);

    const int semaphore = eventfd(2, EFD_SEMAPHORE | EFD_CLOEXEC);
    equal("closed by execve", fcntl(semaphore, F_GETFD), FD_CLOEXEC);
    std::atomic<int> taken{0};
    std::vector<std::thread> threads;
    constexpr int kThreads = 4;
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&] {
            eventfd_t one = 0;
            taken += eventfd_read(semaphore, &one) == 0 && one == 1 ? 1 : 0;
        });
    }
    while (taken < 2) {
        sched_yield();
    }
    succeeds("two more", eventfd_write(semaphore, 2));
    for (auto& thread : threads) {
        thread.join();
    }
    equal("each took one", taken, kThreads);
    std::thread writer{[&] { static_cast<void>(eventfd_write(semaphore, 1)); }};
    pollfd waits{semaphore, POLLIN, 0};
    equal("poll waits", poll(&waits, 1, -1), 1);
    writer.join();
    close(semaphore);
}

void close_ranges() {
    const int file = open("/etc/motd", O_RDONLY);
    for (const int number : {100, 101, 103, 104, 255}) {
        equal("dup2", dup2(file, number), number);
    }
    const auto is_open = [](int number) { return fcntl(number, F_GETFD) != -1; };
    succeeds("close_range", static_cast<int>(syscall(SYS_close_range, 101, 103, 0)));
    truth("below", is_open(100));
    truth("the first", !is_open(101));
    truth("the last", !is_open(103));
    truth("above", is_open(104));
    succeeds("mark", static_cast<int>(syscall(SYS_close_range, 101, ~0U, 4)));
    equal("marked", fcntl(104, F_GETFD), FD_CLOEXEC);
    equal("and that", fcntl(255, F_GETFD), FD_CLOEXEC);
    equal("not what is below", fcntl(100, F_GETFD), 0);
    succeeds("the rest", static_cast<int>(syscall(SYS_close_range, file, ~0U, 2)));
    truth("all of it", !is_open(file) && !is_open(100) && !is_open(255));
    truth("no more", is_open(0) && is_open(2));
    succeeds("beyond the table", static_cast<int>(syscall(SYS_close_range, 10'000, ~0U, 0)));
    fails("backwards", syscall(SYS_close_range, 4, 3, 0), EINVAL);
    fails("another flag", syscall(SYS_close_range, 3, 4, 1), EINVAL);
    errno = 0;
}

constexpr checks::Case kCases[]{
    {"duplicate", duplicate},       {"control", control},           {"pipe bytes", pipe_bytes},
    {"pipe ends", pipe_ends},       {"pipe threads", pipe_threads}, {"socket pairs", socket_pairs},
    {"poll files", poll_files},     {"select files", select_files}, {"select with mask", select_with_mask},
    {"count events", count_events}, {"close ranges", close_ranges},
};

}  // namespace

int main(int, char** argv) {
    return checks::run(argv[0], kCases);
}
