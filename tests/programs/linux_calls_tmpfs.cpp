// SPDX-License-Identifier: MIT
// The Linux block's calls on files of memory: making, writing, moving, removing, sharing between threads.
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
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

void write_and_read() {
    {
        std::ofstream file{"/tmp/text"};
        file << "first line\nsecond line\n";
    }
    std::ifstream file{"/tmp/text"};
    std::string line;
    std::getline(file, line);
    reads("the first line", line, "first line");
    std::getline(file, line);
    reads("the second", line, "second line");
    struct stat status{};
    succeeds("stat", stat("/tmp/text", &status));
    equal("its size", status.st_size, 23);
    truth("it is a file", S_ISREG(status.st_mode));
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    truth("it was changed by now", status.st_mtime <= now.tv_sec && status.st_mtime + 60 > now.tv_sec);

    const int both = open("/tmp/text", O_RDWR | O_APPEND);
    equal("append", write(both, "third\n", 6), 6);
    equal("the position is the end", lseek(both, 0, SEEK_CUR), 29);
    std::array<char, 8> bytes{};
    equal("pread", pread(both, bytes.data(), 6, 23), 6);
    reads("what was appended", {bytes.data(), 6}, "third\n");
    const int plain = open("/tmp/text", O_RDWR);
    equal("pwrite", pwrite(plain, "F", 1, 0), 1);
    equal("seek beyond the end", lseek(plain, 100, SEEK_END), 129);
    equal("a byte there", write(plain, "x", 1), 1);
    succeeds("fstat", fstat(plain, &status));
    equal("longer now", status.st_size, 130);
    equal("the hole", pread(plain, bytes.data(), 1, 80), 1);
    equal("is zero", bytes[0], 0);
    succeeds("ftruncate", ftruncate(plain, 5));
    equal("read of the rest", pread(plain, bytes.data(), 8, 0), 5);
    reads("the rest", {bytes.data(), 5}, "First");
    succeeds("truncate", truncate("/tmp/text", 7));
    equal("zeros follow", pread(plain, bytes.data(), 8, 0), 7);
    equal("as they should", bytes[6], 0);
    fails("a negative length", ftruncate(plain, -1), EINVAL);
    fails("a length beyond the limit", ftruncate(plain, (1LL << 30) + 1), EFBIG);
    fails("a pipe has no length", truncate("/dev/null", 0), EINVAL);
    fails("nor has the initrd", truncate("/etc/motd", 0), EROFS);
    fails("write from the kernel", write(plain, bad_pointer<char>(), 4), EFAULT);
    succeeds("fsync", fsync(plain));
    close(both);
    close(plain);
    succeeds("unlink", unlink("/tmp/text"));
    fails("it is gone", open("/tmp/text", O_RDONLY), ENOENT);
}

void use_names() {
    succeeds("mkdir", mkdir("/tmp/dir", 0755));
    fails("mkdir again", mkdir("/tmp/dir", 0755), EEXIST);
    fails("mkdir in the initrd", mkdir("/etc/dir", 0755), EROFS);
    fails("mkdir of the kernel's name", mkdir(bad_pointer<char>(), 0755), EFAULT);
    const int dir = open("/tmp/dir", O_RDONLY | O_DIRECTORY);
    const int file = openat(dir, "file", O_RDWR | O_CREAT | O_EXCL, 0600);
    succeeds("openat", file);
    fails("once only", openat(dir, "file", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
    struct stat status{};
    succeeds("fstat", fstat(file, &status));
    equal("its mode", status.st_mode & 07777, 0600);
    succeeds("renameat", renameat(dir, "file", dir, "name"));
    succeeds("access", faccessat(dir, "name", R_OK | W_OK, 0));
    fails("the old name", faccessat(dir, "file", F_OK, 0), ENOENT);
    fails("rmdir of what is not empty", rmdir("/tmp/dir"), ENOTEMPTY);
    fails("rename to the other file system", rename("/tmp/dir/name", "/dev/shm/name"), EXDEV);
    fails("rename below itself", rename("/tmp/dir", "/tmp/dir/sub"), EINVAL);
    fails("unlink of a directory", unlink("/tmp/dir"), EISDIR);
    fails("rmdir of a file", rmdir("/tmp/dir/name"), ENOTDIR);
    succeeds("chdir", chdir("/tmp/dir"));
    succeeds("rename of the directory", rename("/tmp/dir", "/tmp/moved"));
    std::array<char, 64> path{};
    truth("getcwd", getcwd(path.data(), path.size()) != nullptr);
    reads("it moved along", path.data(), "/tmp/moved");
    succeeds("unlinkat", unlinkat(dir, "name", 0));
    equal("the open file lives on", write(file, "x", 1), 1);
    succeeds("rmdir of the current directory", rmdir("/tmp/moved"));
    truth("getcwd", getcwd(path.data(), path.size()) == nullptr);
    fails("in a removed directory", open("file", O_RDWR | O_CREAT, 0600), ENOENT);
    succeeds("home", chdir("/"));
    close(dir);
    close(file);
    FILE* const anonymous = tmpfile();
    truth("tmpfile", anonymous != nullptr);
    if (anonymous != nullptr) {
        fclose(anonymous);
    }
}

void use_hard_links() {
    struct stat status{};
    const auto links_of = [&](const char* path) {
        return stat(path, &status) == 0 ? static_cast<std::int64_t>(status.st_nlink) : -1;
    };
    const int file = open("/tmp/one", O_RDWR | O_CREAT | O_EXCL, 0600);
    equal("one name", links_of("/tmp/one"), 1);
    succeeds("mkdir", mkdir("/tmp/dir", 0700));
    succeeds("link", link("/tmp/one", "/tmp/dir/two"));
    equal("two names", links_of("/tmp/dir/two"), 2);
    const auto inode = status.st_ino;
    equal("of one file", links_of("/tmp/one"), 2);
    truth("the same", status.st_ino == inode);
    succeeds("a third beside the first", link("/tmp/dir/two", "/tmp/three"));
    DIR* const directory = opendir("/tmp");
    int seen = 0;
    while (const dirent* entry = readdir(directory)) {
        seen += entry->d_ino == inode ? 1 : 0;
    }
    closedir(directory);
    equal("both are listed", seen, 2);
    fails("a name that is taken", link("/tmp/one", "/tmp/three"), EEXIST);
    fails("a directory", link("/tmp/dir", "/tmp/other"), EPERM);
    fails("nothing", link("/tmp/none", "/tmp/other"), ENOENT);
    fails("into nothing", link("/tmp/one", "/tmp/none/other"), ENOENT);
    fails("into a file", link("/tmp/one", "/tmp/three/other"), ENOTDIR);
    fails("the other file system", link("/tmp/one", "/dev/shm/one"), EXDEV);
    fails("the initrd's", link("/etc/motd", "/tmp/motd"), EXDEV);
    fails("into the initrd", link("/tmp/one", "/etc/one"), EROFS);
    fails("a name of the kernel's", link("/tmp/one", bad_pointer<char>()), EFAULT);
    fails("another flag", linkat(AT_FDCWD, "/tmp/one", AT_FDCWD, "/tmp/other", AT_REMOVEDIR), EINVAL);
    succeeds("a symbolic link", symlink("/tmp/one", "/tmp/soft"));
    succeeds("another name of that", link("/tmp/soft", "/tmp/soft2"));
    succeeds("lstat", lstat("/tmp/soft2", &status));
    truth("is a symbolic link", S_ISLNK(status.st_mode) && status.st_nlink == 2);
    succeeds("and of what it names", linkat(AT_FDCWD, "/tmp/soft", AT_FDCWD, "/tmp/four", AT_SYMLINK_FOLLOW));
    equal("a file", links_of("/tmp/four"), 4);

    equal("write by one", write(file, "shared", 6), 6);
    std::array<char, 8> bytes{};
    const int other = open("/tmp/dir/two", O_RDONLY);
    equal("read by another", read(other, bytes.data(), bytes.size()), 6);
    close(other);
    succeeds("rename onto itself", rename("/tmp/four", "/tmp/three"));
    equal("leaves both", links_of("/tmp/four"), 4);
    succeeds("rename", rename("/tmp/dir/two", "/tmp/dir/second"));
    succeeds("its own name goes", unlink("/tmp/one"));
    equal("the others stay", links_of("/tmp/dir/second"), 3);
    const std::string self = "/proc/self/fd/" + std::to_string(file);
    std::array<char, 64> path{};
    readlink(self.c_str(), path.data(), path.size());
    truth("one of them names the open file", access(path.data(), F_OK) == 0);
    for (const char* const name : {"/tmp/dir/second", "/tmp/three", "/tmp/soft", "/tmp/soft2"}) {
        succeeds(name, unlink(name));
    }
    succeeds("a file of its own", rename("/tmp/four", "/tmp/last"));
    equal("one name", links_of("/tmp/last"), 1);
    succeeds("replaced", rename("/tmp/last", "/tmp/dir/last"));
    succeeds("the last", unlink("/tmp/dir/last"));
    succeeds("fstat", fstat(file, &status));
    equal("no name", static_cast<std::int64_t>(status.st_nlink), 0);
    path = {};
    readlink(self.c_str(), path.data(), path.size());
    reads("it is gone", path.data(), "/last (deleted)");
    close(file);
    succeeds("rmdir", rmdir("/tmp/dir"));
    // The C library makes named semaphores with link().
    sem_t* const semaphore = sem_open("/semaphore", O_CREAT | O_EXCL, 0600, 2);
    truth("sem_open", semaphore != SEM_FAILED);
    int value = 0;
    succeeds("sem_getvalue", sem_getvalue(semaphore, &value));
    equal("its value", value, 2);
    sem_close(semaphore);
    succeeds("sem_unlink", sem_unlink("/semaphore"));
}

// Each name counts as a page.
void give_names_back() {
    const auto free_pages = [] {
        struct statfs status{};
        statfs("/tmp", &status);
        return static_cast<std::int64_t>(status.f_bfree);
    };
    const std::int64_t before = free_pages();
    close(open("/tmp/name", O_RDWR | O_CREAT, 0600));
    succeeds("link", link("/tmp/name", "/tmp/more"));
    equal("taken", free_pages(), before - 2);
    succeeds("unlink", unlink("/tmp/name"));
    succeeds("rename over nothing", rename("/tmp/more", "/tmp/name"));
    close(open("/tmp/more", O_RDWR | O_CREAT, 0600));
    succeeds("rename over a file", rename("/tmp/more", "/tmp/name"));
    succeeds("unlink", unlink("/tmp/name"));
    equal("given back", free_pages(), before);
}

void list_many() {
    constexpr int kFiles = 150;
    succeeds("mkdir", mkdir("/dev/shm/many", 0755));
    for (int i = 0; i < kFiles; ++i) {
        close(open(("/dev/shm/many/" + std::to_string(i)).c_str(), O_RDWR | O_CREAT, 0600));
    }
    DIR* const directory = opendir("/dev/shm/many");
    int seen = 0;
    while (const dirent* entry = readdir(directory)) {
        if (entry->d_name[0] != '.') {
            ++seen;
            succeeds("unlink while listing", unlinkat(dirfd(directory), entry->d_name, 0));
        }
    }
    equal("all of them", seen, kFiles);
    closedir(directory);
    succeeds("empty now", rmdir("/dev/shm/many"));
}

std::uint64_t free_bytes() {
    struct sysinfo info{};
    sysinfo(&info);
    return std::uint64_t{info.freeram} * info.mem_unit;
}

// A large file is written, read and removed in steps; what it took comes back.
void take_and_give_back() {
    constexpr std::size_t kBytes = 4 << 20;
    std::vector<std::uint32_t> words(kBytes / sizeof(std::uint32_t));
    for (std::size_t i = 0; i < words.size(); ++i) {
        words[i] = static_cast<std::uint32_t>(i * 2654435761U);
    }
    std::vector<std::uint32_t> got(words.size());
    const std::uint64_t before = free_bytes();
    const int file = open("/tmp/large", O_RDWR | O_CREAT | O_TRUNC, 0600);
    equal("one write of all of it", write(file, words.data(), kBytes), kBytes);
    truth("it takes memory", free_bytes() + kBytes <= before);
    equal("one read of all of it", pread(file, got.data(), kBytes, 0), kBytes);
    truth("the same bytes", got == words);
    succeeds("unlink", unlink("/tmp/large"));
    succeeds("close", close(file));
    // The program's own memory for `got` was touched in between.
    truth("what it took is back", free_bytes() + kBytes + (256 << 10) >= before);
}

// Threads append whole records; none is torn or lost.
void append_together() {
    constexpr int kThreads = 4;
    constexpr int kRecords = 50;
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([i] {
            const int file = open("/tmp/log", O_WRONLY | O_CREAT | O_APPEND, 0600);
            const std::string record(99, static_cast<char>('a' + i));
            for (int n = 0; n < kRecords; ++n) {
                if (write(file, (record + "\n").c_str(), 100) != 100) {
                    break;
                }
            }
            close(file);
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    std::ifstream log{"/tmp/log"};
    std::array<int, kThreads> seen{};
    for (std::string line; std::getline(log, line);) {
        const int writer = line.empty() ? -1 : line[0] - 'a';
        truth("a whole record", writer >= 0 && writer < kThreads && line == std::string(99, line[0]));
        if (writer >= 0 && writer < kThreads) {
            ++seen[static_cast<std::size_t>(writer)];
        }
    }
    for (const int count : seen) {
        equal("records of each thread", count, kRecords);
    }
    succeeds("unlink", unlink("/tmp/log"));
}

// Each byte tells its place.
std::string pattern(std::size_t bytes) {
    std::string text(bytes, 0);
    for (std::size_t i = 0; i < bytes; ++i) {
        text[i] = static_cast<char>(i * 7 + i / 4096);
    }
    return text;
}

std::string contents(const char* path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

void copy_within_the_kernel() {
    const std::string text = pattern(100'001);
    {
        std::ofstream file{"/tmp/from", std::ios::binary};
        file << text;
    }
    const int from = open("/tmp/from", O_RDONLY);
    const int to = open("/tmp/to", O_RDWR | O_CREAT | O_TRUNC, 0600);
    equal("sendfile of all there is", sendfile(to, from, nullptr, 1 << 20), 100'001);
    truth("arrived as it was", contents("/tmp/to") == text);
    equal("it moved on here", lseek(from, 0, SEEK_CUR), 100'001);
    equal("and there", lseek(to, 0, SEEK_CUR), 100'001);
    equal("nothing is left", sendfile(to, from, nullptr, 10), 0);
    off_t offset = 4'095;
    equal("from an offset", sendfile(to, from, &offset, 20'000), 20'000);
    equal("it moved on", offset, 24'095);
    equal("not the position", lseek(from, 0, SEEK_CUR), 100'001);
    truth("behind what was there", contents("/tmp/to").substr(100'001) == text.substr(4'095, 20'000));
    equal("of the initrd", sendfile(to, open("/etc/motd", O_RDONLY), nullptr, 3), 3);

    std::array<int, 2> ends{};
    succeeds("pipe", pipe(ends.data()));
    std::string received(100'001, 0);
    std::thread reader{[&] {
        for (std::size_t got = 0; got < received.size();) {
            const ssize_t bytes = read(ends[0], &received[got], received.size() - got);
            if (bytes <= 0) {
                return;
            }
            got += static_cast<std::size_t>(bytes);
        }
    }};
    offset = 0;
    equal("to a pipe it does not fit in", sendfile(ends[1], from, &offset, 1 << 20), 100'001);
    reader.join();
    truth("piece by piece", received == text);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    offset = 0;
    equal("as much as it takes", sendfile(ends[1], from, &offset, 1 << 20), 65'536);
    equal("and no more", offset, 65'536);
    fails("it is full", sendfile(ends[1], from, &offset, 1), EAGAIN);
    fails("from a pipe", sendfile(to, ends[0], nullptr, 1), EINVAL);
    fails("which has no places", sendfile(to, ends[0], &offset, 1), ESPIPE);
    fails("from a directory", sendfile(to, open("/tmp", O_RDONLY), nullptr, 1), EINVAL);
    fails("from what is to be written only", sendfile(to, ends[1], nullptr, 1), EBADF);
    fails("to what is to be read only", sendfile(from, from, nullptr, 1), EBADF);
    fails("from nowhere", sendfile(to, 99, nullptr, 1), EBADF);
    fails("an offset of the kernel's", sendfile(to, from, bad_pointer<off_t>(), 1), EFAULT);
    offset = -1;
    fails("a negative one", sendfile(to, from, &offset, 1), EINVAL);

    off_t in = 10;
    off_t out = 5;
    ftruncate(to, 0);
    equal("copy_file_range", copy_file_range(from, &in, to, &out, 50'000, 0), 50'000);
    truth("moved both", in == 50'010 && out == 50'005);
    truth("to its place", contents("/tmp/to") == std::string(5, 0) + text.substr(10, 50'000));
    in = out = 100'001;
    equal("at the end", copy_file_range(from, &in, to, &out, 1, 0), 0);
    in = 0;
    out = 40'000;
    equal("within a file", copy_file_range(to, &in, to, &out, 40'000, 0), 40'000);
    truth("apart", contents("/tmp/to").substr(0, 40'000) == contents("/tmp/to").substr(40'000));
    out = 10;
    in = 0;
    fails("over itself", copy_file_range(to, &in, to, &out, 11, 0), EINVAL);
    fails("with a flag", copy_file_range(from, &in, to, &out, 1, 1), EINVAL);
    fails("to a pipe", copy_file_range(from, &in, ends[1], nullptr, 1, 0), EINVAL);
    fcntl(to, F_SETFL, O_APPEND);
    fails("appending", copy_file_range(from, &in, to, nullptr, 1, 0), EBADF);
    fails("appending", sendfile(to, from, nullptr, 1), EINVAL);
    for (int file = 3; file < 20; ++file) {
        close(file);
    }
    unlink("/tmp/from");
    unlink("/tmp/to");
}

// Opens the other side once the main thread waits in open, as far as one can tell: it is asleep.
template <class Open>
std::thread after_main_sleeps(Open open_other) {
    return std::thread{[open_other] {
        for (std::string state; state != "S";) {
            std::ifstream stat{"/proc/self/task/" + std::to_string(getpid()) + "/stat"};
            std::string word;
            stat >> word >> word >> state;
        }
        open_other();
    }};
}

void named_pipes() {
    constexpr const char* kName = "/tmp/pipe";
    umask(027);
    succeeds("mkfifo", mkfifo(kName, 0666));
    struct stat status{};
    succeeds("stat", stat(kName, &status));
    truth("it is a pipe, less the mask", status.st_mode == (S_IFIFO | 0640));
    umask(022);
    fails("mkfifo again", mkfifo(kName, 0666), EEXIST);
    fails("in the initrd", mkfifo("/etc/pipe", 0666), EROFS);
    fails("nowhere", mkfifo("/tmp/none/pipe", 0666), ENOENT);
    fails("below a file", mkfifo("/etc/motd/pipe", 0666), ENOTDIR);
    fails("a name of the kernel's", mkfifo(bad_pointer<char>(), 0666), EFAULT);
    fails("a device", mknod("/tmp/device", S_IFCHR | 0666, 0x103), EPERM);
    fails("a type there is not", mknod("/tmp/device", 0150000, 0), EPERM);
    succeeds("an empty file", mknod("/tmp/empty", S_IFREG | 0600, 0));
    succeeds("unlink", unlink("/tmp/empty"));

    fails("a writer without a reader", open(kName, O_WRONLY | O_NONBLOCK), ENXIO);
    fails("it is no directory", open(kName, O_RDONLY | O_DIRECTORY), ENOTDIR);
    fails("nor has it a length", truncate(kName, 0), EINVAL);
    const int reader = open(kName, O_RDONLY | O_NONBLOCK);
    succeeds("a reader that does not wait", reader);
    std::array<char, 8> bytes{};
    equal("nobody writes", read(reader, bytes.data(), 1), 0);
    pollfd file{.fd = reader, .events = POLLIN, .revents = 0};
    equal("and nobody has", poll(&file, 1, 0), 0);
    const int writer = open(kName, O_WRONLY | O_TRUNC);
    succeeds("a writer", writer);
    fails("nothing yet", read(reader, bytes.data(), 1), EAGAIN);
    equal("write", write(writer, "abc", 3), 3);
    const int second = open(kName, O_WRONLY);
    succeeds("a second writer", second);
    equal("which writes on", write(second, "de", 2), 2);
    close(writer);
    equal("read", read(reader, bytes.data(), bytes.size()), 5);
    reads("in order", {bytes.data(), 5}, "abcde");
    fails("one writer is left", read(reader, bytes.data(), 1), EAGAIN);
    close(second);
    equal("none is", read(reader, bytes.data(), 1), 0);
    equal("which poll sees", poll(&file, 1, 0), 1);
    equal("as the end", file.revents, POLLHUP);
    fails("no place in it", lseek(reader, 0, SEEK_SET), ESPIPE);
    close(reader);

    const int both = open(kName, O_RDWR);
    succeeds("both at once do not wait", both);
    equal("write", write(both, "x", 1), 1);
    equal("read", read(both, bytes.data(), 1), 1);
    equal("write what nobody reads", write(both, "y", 1), 1);
    close(both);
    const int later = open(kName, O_RDONLY | O_NONBLOCK);
    equal("it went with the last", read(later, bytes.data(), 1), 0);
    close(later);
    succeeds("unlink", unlink(kName));
}

void named_pipes_wait() {
    constexpr const char* kName = "/tmp/pipe";
    const int lowest = dup(0);
    close(lowest);
    succeeds("mkfifo", mkfifo(kName, 0600));
    std::array<char, 8> bytes{};
    std::thread other = after_main_sleeps([] {
        const int writer = open(kName, O_WRONLY);
        static_cast<void>(!write(writer, "one", 3));
        close(writer);
    });
    const int reader = open(kName, O_RDONLY);
    succeeds("a reader waits for a writer", reader);
    equal("which may be gone again", read(reader, bytes.data(), bytes.size()), 3);
    other.join();
    close(reader);
    other = after_main_sleeps([&bytes] {
        const int end = open(kName, O_RDONLY);
        static_cast<void>(!read(end, bytes.data(), bytes.size()));
        close(end);
    });
    const int writer = open(kName, O_WRONLY);
    succeeds("a writer waits for a reader", writer);
    equal("write", write(writer, "two", 3), 3);
    other.join();
    reads("it arrived", {bytes.data(), 3}, "two");
    signal(SIGPIPE, SIG_IGN);
    fails("the reader is gone", write(writer, "x", 1), EPIPE);
    close(writer);

    // Interrupted: with SA_RESTART the call goes on, without it fails and leaves nothing behind.
    struct sigaction action{};
    action.sa_handler = [](int) {};
    sigaction(SIGUSR1, &action, nullptr);
    const pthread_t self = pthread_self();
    other = after_main_sleeps([self] { pthread_kill(self, SIGUSR1); });
    fails("a signal ends the wait", open(kName, O_RDONLY), EINTR);
    other.join();
    fails("there is no reader", open(kName, O_WRONLY | O_NONBLOCK), ENXIO);
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &action, nullptr);
    other = after_main_sleeps([self] {
        pthread_kill(self, SIGUSR1);
        close(open(kName, O_WRONLY));
    });
    const int again = open(kName, O_RDONLY);
    succeeds("or not", again);
    other.join();
    close(again);
    // Which number it got depends on what the other thread had open at the time. None may be left taken.
    const int still_lowest = dup(0);
    close(still_lowest);
    equal("no descriptor is lost", still_lowest, lowest);
    succeeds("unlink", unlink(kName));
}

constexpr checks::Case kCases[]{
    {"copy within the kernel", copy_within_the_kernel},
    {"named pipes", named_pipes},
    {"named pipes wait", named_pipes_wait},
    {"write and read", write_and_read},
    {"use names", use_names},
    {"use hard links", use_hard_links},
    {"give names back", give_names_back},
    {"list many", list_many},
    {"take and give back", take_and_give_back},
    {"append together", append_together},
};

}  // namespace

int main(int, char** argv) {
    return checks::run(argv[0], kCases);
}
