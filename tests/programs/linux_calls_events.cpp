// SPDX-License-Identifier: MIT
// The Linux block's calls that wait for any of many files: epoll.
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "checks.hpp"
#include "nested_lists.hpp"

namespace {

using checks::bad_pointer;
using checks::equal;
using checks::fails;
using checks::succeeds;
using checks::truth;

constexpr long kMillisecond = 1'000'000;

using Ends = std::array<int, 2>;

Ends make_pipe() {
    Ends ends{};
    succeeds("pipe", pipe2(ends.data(), O_NONBLOCK));
    return ends;
}

void close_all(std::initializer_list<int> files) {
    for (const int file : files) {
        close(file);
    }
}

int put(int list, int operation, int file, std::uint32_t events, std::uint64_t data = 0) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = data;
    return epoll_ctl(list, operation, file, &event);
}

// What one look finds: 0 when there is nothing.
struct Found {
    int count{0};
    std::uint32_t events{0};
    std::uint64_t data{0};
};
Found look(int list, int patience = 0) {
    epoll_event event{};
    const int count = epoll_wait(list, &event, 1, patience);
    return {count, count > 0 ? event.events : 0, count > 0 ? event.data.u64 : 0};
}

void drain(int file) {
    std::array<char, 4096> bytes{};
    while (read(file, bytes.data(), bytes.size()) > 0) {
    }
    errno = 0;
}

void event_lists() {
    const int list = epoll_create1(EPOLL_CLOEXEC);
    succeeds("epoll_create1", list);
    equal("closed by execve", fcntl(list, F_GETFD), FD_CLOEXEC);
    const Ends ends = make_pipe();
    equal("nothing on it", epoll_wait(list, std::array<epoll_event, 1>{}.data(), 1, 0), 0);
    succeeds("add", put(list, EPOLL_CTL_ADD, ends[0], EPOLLIN, 0x1234'5678'9abc'def0));
    equal("nothing to read", look(list).count, 0);
    equal("write", write(ends[1], "ab", 2), 2);
    for (int i = 0; i < 2; ++i) {
        const Found found = look(list);
        equal("as long as there is", found.count, 1);
        equal("to read", found.events, EPOLLIN);
        truth("with the program's word", found.data == 0x1234'5678'9abc'def0);
    }
    succeeds("change", put(list, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLRDNORM, 7));
    equal("what is asked for", look(list).events, EPOLLIN | EPOLLRDNORM);
    drain(ends[0]);
    equal("nothing left", look(list).count, 0);
    close(ends[1]);
    equal("no writer left, asked or not", look(list).events, EPOLLHUP);
    succeeds("remove", epoll_ctl(list, EPOLL_CTL_DEL, ends[0], nullptr));
    equal("nothing on it", look(list).count, 0);

    fails("another flag", epoll_create1(1), EINVAL);
    fails("no list", put(ends[0], EPOLL_CTL_ADD, ends[0], EPOLLIN), EINVAL);
    fails("no descriptor", put(99, EPOLL_CTL_ADD, ends[0], EPOLLIN), EBADF);
    fails("no file", put(list, EPOLL_CTL_ADD, 99, EPOLLIN), EBADF);
    fails("itself", put(list, EPOLL_CTL_ADD, list, EPOLLIN), EINVAL);
    fails("no such change", put(list, 9, ends[0], EPOLLIN), EINVAL);
    fails("not on it", put(list, EPOLL_CTL_MOD, ends[0], EPOLLIN), ENOENT);
    fails("not on it", epoll_ctl(list, EPOLL_CTL_DEL, ends[0], nullptr), ENOENT);
    fails("a wish of the kernel's", epoll_ctl(list, EPOLL_CTL_ADD, ends[0], bad_pointer<epoll_event>()),
          EFAULT);
    succeeds("add", put(list, EPOLL_CTL_ADD, ends[0], EPOLLIN));
    fails("twice", put(list, EPOLL_CTL_ADD, ends[0], EPOLLIN), EEXIST);
    const int file = open("/etc/motd", O_RDONLY);
    if (file >= 0) {
        fails("a file", put(list, EPOLL_CTL_ADD, file, EPOLLIN), EPERM);
        close(file);
    }
    fails("a directory", put(list, EPOLL_CTL_ADD, open("/", O_RDONLY | O_DIRECTORY), EPOLLIN), EPERM);
    epoll_event event{};
    fails("room for none", epoll_wait(list, &event, 0, 0), EINVAL);
    fails("room for less", syscall(SYS_epoll_pwait, list, &event, -1, 0, nullptr, 8), EINVAL);
    fails("no list", epoll_wait(ends[0], &event, 1, 0), EINVAL);
    fails("no descriptor", epoll_wait(99, &event, 1, 0), EBADF);
    fails("to the kernel", epoll_wait(list, bad_pointer<epoll_event>(), 1, 0), EFAULT);
    equal("and it is still there", look(list).events, EPOLLHUP);
    close_all({list, ends[0]});
}

void edges() {
    const int list = epoll_create1(0);
    const Ends ends = make_pipe();
    equal("write", write(ends[1], "a", 1), 1);
    succeeds("add", put(list, EPOLL_CTL_ADD, ends[0], EPOLLIN | EPOLLET));
    equal("what is there at first is news", look(list).events, EPOLLIN);
    equal("once", look(list).count, 0);
    equal("write", write(ends[1], "b", 1), 1);
    equal("more is news", look(list).events, EPOLLIN);
    equal("once", look(list).count, 0);
    drain(ends[0]);
    equal("less is none", look(list).count, 0);
    equal("write", write(ends[1], "c", 1), 1);
    drain(ends[0]);
    equal("what came and went is none", look(list).count, 0);
    equal("write", write(ends[1], "d", 1), 1);
    equal("what came again is", look(list).events, EPOLLIN);
    succeeds("change", put(list, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLET));
    equal("all is news", look(list).events, EPOLLIN);
    equal("once", look(list).count, 0);
    epoll_event event{};
    equal("write", write(ends[1], "e", 1), 1);
    fails("to the kernel", epoll_wait(list, bad_pointer<epoll_event>(), 1, 0), EFAULT);
    equal("it is news still", epoll_wait(list, &event, 1, 0), 1);
    close(ends[1]);
    truth("the end is", (look(list).events & EPOLLHUP) != 0);
    equal("once", look(list).count, 0);
    close(ends[0]);

    // The other side: room.
    const Ends full = make_pipe();
    succeeds("add", put(list, EPOLL_CTL_ADD, full[1], EPOLLOUT | EPOLLET));
    equal("there is room", look(list).events, EPOLLOUT);
    const std::vector<char> much(65536);
    equal("fill it", write(full[1], much.data(), much.size()), 65536);
    equal("no news", look(list).count, 0);
    drain(full[0]);
    equal("there is room again", look(list).events, EPOLLOUT);
    equal("once", look(list).count, 0);
    close_all({full[0], full[1], list});
}

void once_only() {
    const int list = epoll_create1(0);
    const int counter = eventfd(1, EFD_NONBLOCK);
    succeeds("add", put(list, EPOLL_CTL_ADD, counter, EPOLLIN | EPOLLONESHOT, 5));
    equal("found", look(list).events, EPOLLIN);
    equal("once", look(list).count, 0);
    succeeds("more", eventfd_write(counter, 1));
    equal("whatever comes", look(list).count, 0);
    succeeds("again", put(list, EPOLL_CTL_MOD, counter, EPOLLIN | EPOLLONESHOT, 6));
    truth("found", look(list).data == 6);
    equal("once", look(list).count, 0);
    succeeds("remove", epoll_ctl(list, EPOLL_CTL_DEL, counter, nullptr));

    constexpr std::uint32_t kExclusive = EPOLLIN | EPOLLEXCLUSIVE;
    succeeds("exclusive", put(list, EPOLL_CTL_ADD, counter, kExclusive));
    equal("found", look(list).events, EPOLLIN);
    fails("cannot be changed", put(list, EPOLL_CTL_MOD, counter, EPOLLIN), EINVAL);
    fails("to it neither", put(list, EPOLL_CTL_MOD, counter, kExclusive), EINVAL);
    succeeds("remove", epoll_ctl(list, EPOLL_CTL_DEL, counter, nullptr));
    fails("nor with once", put(list, EPOLL_CTL_ADD, counter, kExclusive | EPOLLONESHOT), EINVAL);
    close_all({list, counter});
}

void files_that_go() {
    const int list = epoll_create1(0);
    Ends ends = make_pipe();
    equal("write", write(ends[1], "a", 1), 1);
    succeeds("add", put(list, EPOLL_CTL_ADD, ends[0], EPOLLIN, 1));
    const int other = dup(ends[0]);
    const int number = ends[0];
    close(ends[0]);
    truth("another descriptor has it still", look(list).data == 1);
    fails("but not by that number", epoll_ctl(list, EPOLL_CTL_DEL, number, nullptr), EBADF);
    succeeds("the other one can be on it too", put(list, EPOLL_CTL_ADD, other, EPOLLIN, 2));
    std::array<epoll_event, 4> both{};
    equal("both", epoll_wait(list, both.data(), 4, 0), 2);
    close(other);
    equal("closed for good, it is gone", look(list).count, 0);
    ends[0] = eventfd(1, 0);
    equal("the next file of that number", ends[0], number);
    equal("is not on it", look(list).count, 0);
    succeeds("add", put(list, EPOLL_CTL_ADD, ends[0], EPOLLIN, 3));
    truth("until it is added", look(list).data == 3);
    close_all({ends[0], ends[1]});
    // More than fit, one after the other; what was closed does not count.
    for (int i = 0; i < 1500; ++i) {
        const int counter = eventfd(1, 0);
        if (put(list, EPOLL_CTL_ADD, counter, EPOLLIN) != 0) {
            equal("added", i, -1);
            break;
        }
        close(counter);
    }
    equal("nothing stays", look(list).count, 0);
    close(list);
}

void all_have_their_turn() {
    const int list = epoll_create1(0);
    constexpr int kFiles = 40;
    constexpr int kRoom = 7;
    std::vector<int> counters;
    for (int i = 0; i < kFiles; ++i) {
        counters.push_back(eventfd(1, 0));
        succeeds("add", put(list, EPOLL_CTL_ADD, counters.back(), EPOLLIN, static_cast<std::uint64_t>(i)));
    }
    std::set<std::uint64_t> seen;
    for (int i = 0; i < (kFiles + kRoom - 1) / kRoom; ++i) {
        std::array<epoll_event, kRoom> events{};
        equal("as many as fit", epoll_wait(list, events.data(), kRoom, 0), kRoom);
        for (const epoll_event& event : events) {
            seen.insert(event.data.u64);
        }
    }
    equal("each was reported", static_cast<std::int64_t>(seen.size()), kFiles);
    for (const int counter : counters) {
        close(counter);
    }
    close(list);
}

void lists_on_lists() {
    const int outer = epoll_create1(0);
    const int inner = epoll_create1(0);
    const Ends ends = make_pipe();
    succeeds("a list on a list", put(outer, EPOLL_CTL_ADD, inner, EPOLLIN, 1));
    fails("and round again", put(inner, EPOLL_CTL_ADD, outer, EPOLLIN), ELOOP);
    succeeds("a pipe on the inner", put(inner, EPOLL_CTL_ADD, ends[0], EPOLLIN, 2));
    equal("nothing", look(outer).count, 0);
    pollfd file{inner, POLLIN, 0};
    equal("nothing for poll", poll(&file, 1, 0), 0);
    std::thread writer{[&] { static_cast<void>(!write(ends[1], "x", 1)); }};
    truth("the outer waits for what is on the inner", look(outer, -1).data == 1);
    writer.join();
    equal("poll sees it", poll(&file, 1, 0), 1);
    equal("as something to read", file.revents, POLLIN);
    truth("the inner says what", look(inner).data == 2);
    close_all({outer, inner, ends[0], ends[1]});
}

std::atomic<int> signals_seen{0};

// Once the main thread sleeps, as far as one can tell.
template <class Act>
std::thread after_main_sleeps(Act act) {
    return std::thread{[act] {
        const std::string path = "/proc/self/task/" + std::to_string(getpid()) + "/stat";
        for (std::string text; text.find(") S ") == std::string::npos;) {
            std::array<char, 128> bytes{};
            const int file = open(path.c_str(), O_RDONLY);
            text.assign(bytes.data(), static_cast<std::size_t>(
                                          std::max<ssize_t>(read(file, bytes.data(), bytes.size()), 0)));
            close(file);
        }
        act();
    }};
}

void lists_wait() {
    const int list = epoll_create1(0);
    const Ends ends = make_pipe();
    succeeds("add", put(list, EPOLL_CTL_ADD, ends[0], EPOLLIN | EPOLLET, 1));
    timespec before{};
    timespec after{};
    clock_gettime(CLOCK_MONOTONIC, &before);
    equal("the time is up", look(list, 10).count, 0);
    clock_gettime(CLOCK_MONOTONIC, &after);
    truth(
        "not before it was",
        (after.tv_sec - before.tv_sec) * 1'000'000'000 + after.tv_nsec - before.tv_nsec >= 10 * kMillisecond);
    std::thread other = after_main_sleeps([&] { static_cast<void>(!write(ends[1], "x", 1)); });
    truth("it waits for a byte", look(list, -1).data == 1);
    other.join();
    const int counter = eventfd(1, 0);
    other = after_main_sleeps([&] { put(list, EPOLL_CTL_ADD, counter, EPOLLIN, 2); });
    truth("and for a file", look(list, -1).data == 2);
    other.join();
    succeeds("no more", put(list, EPOLL_CTL_MOD, counter, 0, 2));
    other = after_main_sleeps([&] { put(list, EPOLL_CTL_MOD, counter, EPOLLIN, 3); });
    truth("and for a change of what it waits for", look(list, -1).data == 3);
    other.join();
    succeeds("remove", epoll_ctl(list, EPOLL_CTL_DEL, counter, nullptr));

    struct sigaction action{};
    action.sa_handler = [](int) { ++signals_seen; };
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &action, nullptr);
    const pthread_t self = pthread_self();
    other = after_main_sleeps([self] { pthread_kill(self, SIGUSR1); });
    epoll_event event{};
    fails("a signal ends it, restart or not", epoll_wait(list, &event, 1, -1), EINTR);
    other.join();
    sigset_t blocked;
    sigset_t open_mask;
    sigemptyset(&open_mask);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
    raise(SIGUSR1);
    equal("blocked", signals_seen, 1);
    fails("the call's mask lets it through", epoll_pwait(list, &event, 1, -1, &open_mask), EINTR);
    equal("handled", signals_seen, 2);
    pthread_sigmask(SIG_UNBLOCK, &blocked, nullptr);
    fails("a mask of another size",
          syscall(SYS_epoll_pwait, list, &event, 1, 0, &open_mask, sizeof(std::uint32_t)), EINVAL);

    constexpr long kWait2 = 441;
    timespec patience{0, kMillisecond};
    equal("a finer time", syscall(kWait2, list, &event, 1, &patience, nullptr, 8), 0);
    patience.tv_nsec = -1;
    fails("none there is", syscall(kWait2, list, &event, 1, &patience, nullptr, 8), EINVAL);
    close_all({list, ends[0], ends[1], counter});
}

// More files than are looked at in one piece, of which none, some and the last are ready.
int poll_lists(const nested_lists::Lists& lists, std::array<pollfd, nested_lists::kInner>& files,
               int patience) {
    for (std::size_t i = 0; i < files.size(); ++i) {
        files[i] = {lists.inner[i], POLLIN, -1};
    }
    return poll(files.data(), files.size(), patience);
}

int select_lists(const nested_lists::Lists& lists, fd_set& set, timeval* patience) {
    FD_ZERO(&set);
    for (const int list : lists.inner) {
        FD_SET(list, &set);
    }
    return select(lists.inner.back() + 1, &set, nullptr, nullptr, patience);
}

void look_at_very_many() {
    const nested_lists::Lists lists = nested_lists::make();
    equal("all was made", lists.wrong, 0);
    fails("no more fits on one", put(lists.inner[0], EPOLL_CTL_ADD, lists.own[1], EPOLLIN), ENOSPC);
    std::array<pollfd, nested_lists::kInner> files{};
    fd_set set;
    timeval none{};
    equal("epoll: nothing is ready", look(lists.outer).count, 0);
    equal("poll", poll_lists(lists, files, 0), 0);
    equal("select", select_lists(lists, set, &none), 0);
    for (const std::size_t first : {lists.inner.size() - 1, std::size_t{7}, std::size_t{0}}) {
        succeeds("more is ready", eventfd_write(lists.own[first], 1));
        const int ready = first == 0 ? 3 : first == 7 ? 2 : 1;
        int found = 0;
        for (int i = 0; i < ready; ++i) {
            found += look(lists.outer).count;
        }
        equal("epoll finds one a time", found, ready);
        const int polled = poll_lists(lists, files, -1);
        equal("poll finds all", polled, ready);
        const int selected = select_lists(lists, set, nullptr);
        equal("select finds all", selected, ready);
        for (std::size_t i = 0; i < files.size(); ++i) {
            const bool is_ready =
                i == lists.inner.size() - 1 || (i == 7 && ready > 1) || (i == 0 && ready > 2);
            equal("poll says which", files[i].revents, is_ready ? POLLIN : 0);
            equal("select says which", FD_ISSET(lists.inner[i], &set), is_ready);
        }
    }
    std::set<std::uint64_t> seen;
    for (int i = 0; i < 3; ++i) {
        seen.insert(look(lists.outer).data);
    }
    truth("each had its turn", seen == std::set<std::uint64_t>{0, 7, nested_lists::kInner - 1});
    for (const int counter : lists.own) {
        drain(counter);
    }

    const int last = lists.own.back();
    std::thread other = after_main_sleeps([last] { eventfd_write(last, 1); });
    truth("epoll waits for the last", look(lists.outer, -1).data == nested_lists::kInner - 1);
    other.join();
    drain(last);
    other = after_main_sleeps([last] { eventfd_write(last, 1); });
    equal("so does poll", poll_lists(lists, files, -1), 1);
    other.join();
    drain(last);
    other = after_main_sleeps([last] { eventfd_write(last, 1); });
    equal("and select", select_lists(lists, set, nullptr), 1);
    truth("which is found", FD_ISSET(lists.inner.back(), &set));
    other.join();
    drain(last);
    equal("the time is up", look(lists.outer, 1).count, 0);
    timeval soon{.tv_sec = 0, .tv_usec = 1000};
    equal("for select, too", select_lists(lists, set, &soon), 0);
    truth("which leaves nothing", !FD_ISSET(lists.inner[0], &set) && !FD_ISSET(lists.inner.back(), &set));
    const pthread_t self = pthread_self();
    signals_seen = 0;
    other = after_main_sleeps([self] { pthread_kill(self, SIGUSR1); });
    epoll_event event{};
    fails("a signal ends it", epoll_wait(lists.outer, &event, 1, -1), EINTR);
    other.join();

    // Files change all the time, so that a round of looks hardly ever ends as it began; a signal still comes
    // through.
    std::atomic<bool> is_over{false};
    const Ends ends = make_pipe();
    std::thread changer{[&] {
        const int list = epoll_create1(0);
        put(list, EPOLL_CTL_ADD, ends[0], EPOLLIN);
        while (!is_over) {
            static_cast<void>(!write(ends[1], "x", 1));
            look(list);
            drain(ends[0]);
            sched_yield();
        }
        close(list);
    }};
    std::thread signaller{[&, self] {
        for (int i = 0; i < 100; ++i) {
            sched_yield();
        }
        // Again, since one that comes before the wait is over when it begins.
        do {
            pthread_kill(self, SIGUSR1);
            usleep(1000);  // without it signals would take all the time the others need
        } while (!is_over);
    }};
    fails("a signal ends it still", epoll_wait(lists.outer, &event, 1, -1), EINTR);
    is_over = true;
    changer.join();
    signaller.join();
    close_all({ends[0], ends[1]});
    lists.close_all();
}

// Each byte wakes one of the threads, whatever the list says of the edges, and none is lost.
void threads_share_a_list() {
    constexpr int kThreads = 4;
    constexpr std::uint64_t kRounds = 300;
    const int list = epoll_create1(0);
    const int work = eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE);
    const int end = eventfd(0, 0);
    succeeds("add", put(list, EPOLL_CTL_ADD, work, EPOLLIN | EPOLLET, 1));
    succeeds("add", put(list, EPOLL_CTL_ADD, end, EPOLLIN, 2));
    std::atomic<std::uint64_t> done{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&] {
            for (;;) {
                epoll_event event{};
                if (epoll_wait(list, &event, 1, -1) != 1 || event.data.u64 == 2) {
                    return;
                }
                eventfd_t one = 0;
                while (eventfd_read(work, &one) == 0) {
                    done += one;
                }
            }
        });
    }
    for (std::uint64_t i = 1; i <= kRounds; ++i) {
        static_cast<void>(eventfd_write(work, 1));
        while (done < i) {
            sched_yield();
        }
    }
    equal("all was done", static_cast<std::int64_t>(done), kRounds);
    static_cast<void>(eventfd_write(end, 1));
    for (std::thread& thread : threads) {
        thread.join();
    }
    close_all({list, work, end});
}

// Files go while others look: the list must neither keep them nor lose its way.
void files_go_while_others_look() {
    const int list = epoll_create1(0);
    std::atomic<bool> is_over{false};
    std::vector<std::thread> lookers;
    for (int i = 0; i < 2; ++i) {
        lookers.emplace_back([&] {
            while (!is_over) {
                std::array<epoll_event, 8> events{};
                static_cast<void>(epoll_wait(list, events.data(), 8, 0));
            }
        });
    }
    int failures = 0;
    for (int i = 0; i < 400; ++i) {
        Ends ends{};
        failures += socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0 ? 0 : 1;
        failures += put(list, EPOLL_CTL_ADD, ends[0], EPOLLIN | EPOLLOUT) == 0 ? 0 : 1;
        failures += put(list, EPOLL_CTL_ADD, ends[1], EPOLLIN | EPOLLET) == 0 ? 0 : 1;
        failures += write(ends[0], "x", 1) == 1 ? 0 : 1;
        close(ends[0]);
        if (i % 2 == 0) {
            failures += epoll_ctl(list, EPOLL_CTL_DEL, ends[1], nullptr) == 0 ? 0 : 1;
        }
        close(ends[1]);
    }
    is_over = true;
    for (std::thread& looker : lookers) {
        looker.join();
    }
    equal("every step went well", failures, 0);
    equal("nothing is left", look(list).count, 0);
    close(list);
}

void children_share_lists() {
    const int list = epoll_create1(0);
    const Ends ends = make_pipe();
    succeeds("add", put(list, EPOLL_CTL_ADD, ends[0], EPOLLIN, 1));
    const pid_t child = fork();
    if (child == 0) {
        close_all({ends[0], ends[1]});
        _exit(look(list, -1).data == 1 ? 0 : 1);
    }
    equal("write", write(ends[1], "x", 1), 1);
    int status = -1;
    equal("the child ended", waitpid(child, &status, 0), child);
    equal("it saw what it has not open itself", status, 0);
    close_all({list, ends[0], ends[1]});
}

// Whoever waits on a descriptor that another thread closes.
void counters_close_while_somebody_waits() {
    const int counter = eventfd(0, 0);
    std::uint64_t value = 0;
    std::thread other = after_main_sleeps([&] { close(counter); });
    fails("read of a counter that is closed", read(counter, &value, sizeof value), EBADF);
    other.join();
    const int full = eventfd(0, 0);
    value = ~std::uint64_t{0} - 1;
    equal("fill", write(full, &value, sizeof value), 8);
    other = after_main_sleeps([&] { close(full); });
    fails("write to a counter that is closed", write(full, &value, sizeof value), EBADF);
    other.join();
    const int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    other = after_main_sleeps([&] { close(timer); });
    fails("read of a timer that is closed", read(timer, &value, sizeof value), EBADF);
    other.join();
}

constexpr checks::Case kCases[]{
    {"event lists", event_lists},
    {"edges", edges},
    {"once only", once_only},
    {"files that go", files_that_go},
    {"all have their turn", all_have_their_turn},
    {"lists on lists", lists_on_lists},
    {"lists wait", lists_wait},
    {"look at very many", look_at_very_many},
    {"threads share a list", threads_share_a_list},
    {"files go while others look", files_go_while_others_look},
    {"children share lists", children_share_lists},
    {"counters close while somebody waits", counters_close_while_somebody_waits},
};

}  // namespace

int main(int, char** argv) {
    return checks::run(argv[0], kCases);
}
