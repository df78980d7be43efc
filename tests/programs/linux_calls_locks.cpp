// SPDX-License-Identifier: MIT
// Locks on files: flock, fcntl's record locks of processes and of open files. Nothing here depends on time:
// who is to wait is seen to wait in /proc before anything is done about it.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "checks.hpp"

namespace {

using checks::bad_pointer;
using checks::equal;
using checks::fails;
using checks::succeeds;
using checks::truth;

constexpr const char* kFile = "/tmp/locked";
constexpr std::int64_t kLastByte = 0x7fff'ffff'ffff'ffff;

int open_file(int flags = O_RDWR) {
    return open(kFile, flags | O_CREAT, 0600);
}

struct flock range(short type, std::int64_t start, std::int64_t length, short whence = SEEK_SET) {
    struct flock lock{};
    lock.l_type = type;
    lock.l_whence = whence;
    lock.l_start = start;
    lock.l_len = length;
    return lock;
}

int set(int file, struct flock lock, int command = F_SETLK) {
    return fcntl(file, command, &lock);
}

// What stands in the way of a lock.
struct flock in_the_way(int file, struct flock lock, int command = F_GETLK) {
    succeeds("F_GETLK", fcntl(file, command, &lock));
    return lock;
}

// Whether the thread waits in the kernel.
bool is_waiting(pid_t process, pid_t thread) {
    const std::string path = "/proc/" + std::to_string(process) + "/task/" + std::to_string(thread) + "/stat";
    std::array<char, 256> text{};
    const int file = open(path.c_str(), O_RDONLY);
    const ssize_t bytes = read(file, text.data(), text.size() - 1);
    close(file);
    const std::string all{text.data(), bytes > 0 ? static_cast<std::size_t>(bytes) : 0};
    const std::size_t name_end = all.rfind(')');
    return name_end != std::string::npos && name_end + 2 < all.size() && all[name_end + 2] == 'S';
}

// A child that does `act`, and what it made of that.
class Child {
  public:
    template <class Act>
    explicit Child(Act&& act) {
        std::fflush(stdout);
        pid_ = fork();
        if (pid_ == 0) {
            checks::wrong = 0;
            act();
            std::fflush(stdout);
            _exit(checks::status());
        }
    }
    [[nodiscard]] pid_t pid() const { return pid_; }
    void wait_until_it_waits() const {
        while (!is_waiting(pid_, pid_)) {
            sched_yield();
        }
    }
    [[nodiscard]] int wait() const {
        int status = -1;
        equal("waitpid", waitpid(pid_, &status, 0), pid_);
        return status;
    }
    void is_good() const { equal("what the child found wrong", wait(), 0); }

  private:
    pid_t pid_;
};

void whole_files() {
    const int one = open_file();
    const int other = open_file();
    succeeds("shared", flock(one, LOCK_SH));
    succeeds("shared by another", flock(other, LOCK_SH | LOCK_NB));
    fails("not exclusive", flock(other, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    succeeds("what failed took the old one along", flock(one, LOCK_EX | LOCK_NB));
    fails("nor shared now", flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    succeeds("again", flock(one, LOCK_EX));
    const int same = dup(one);
    succeeds("by its other descriptor", flock(same, LOCK_SH));
    succeeds("close of one", close(one));
    fails("keeps the lock", flock(other, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    Child{[&] { succeeds("a child shares it", flock(same, LOCK_EX | LOCK_NB)); }}.is_good();
    fails("and its end changes nothing", flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    succeeds("close of the last", close(same));
    succeeds("gives it up", flock(other, LOCK_EX | LOCK_NB));
    succeeds("unlock", flock(other, LOCK_UN));
    succeeds("once more", flock(other, LOCK_UN));
    fails("neither", flock(other, 0), EINVAL);
    fails("both", flock(other, LOCK_SH | LOCK_EX), EINVAL);
    fails("closed", flock(same, LOCK_SH), EBADF);
    const int reader = open("/etc/motd", O_RDONLY);
    succeeds("a file that is only read", flock(reader, LOCK_EX));
    close(reader);
    close(other);
}

void ranges() {
    const int file = open_file();
    succeeds("a long one", set(file, range(F_WRLCK, 10, 100)));
    succeeds("its middle", set(file, range(F_UNLCK, 40, 20)));
    succeeds("shared at the end", set(file, range(F_RDLCK, 100, 50)));
    const pid_t parent = getpid();
    Child{[&] {
        const auto expect = [&](std::int64_t at, short type, std::int64_t start, std::int64_t length) {
            const struct flock found = in_the_way(file, range(F_WRLCK, at, 1));
            equal("type", found.l_type, type);
            if (type != F_UNLCK) {
                equal("start", found.l_start, start);
                equal("length", found.l_len, length);
                equal("whence", found.l_whence, SEEK_SET);
                equal("owner", found.l_pid, parent);
            }
        };
        expect(9, F_UNLCK, 0, 0);
        expect(10, F_WRLCK, 10, 30);
        expect(39, F_WRLCK, 10, 30);
        expect(40, F_UNLCK, 0, 0);
        expect(60, F_WRLCK, 60, 40);
        expect(100, F_RDLCK, 100, 50);
        expect(150, F_UNLCK, 0, 0);
        equal("reading beside reading", in_the_way(file, range(F_RDLCK, 100, 1)).l_type, F_UNLCK);
        succeeds("so it can be had", set(file, range(F_RDLCK, 120, 10)));
        fails("writing cannot", set(file, range(F_WRLCK, 120, 10)), EAGAIN);
        succeeds("what is free", set(file, range(F_WRLCK, 40, 20)));
        fails("one byte too many", set(file, range(F_WRLCK, 40, 21)), EAGAIN);
    }}.is_good();
    succeeds("the gap is free again", set(file, range(F_WRLCK, 40, 20)));
    Child{[&] {
        const struct flock found = in_the_way(file, range(F_RDLCK, 0, 0));
        equal("what touches is one", found.l_start, 10);
        equal("of that length", found.l_len, 90);
    }}.is_good();
    succeeds("all of it", set(file, range(F_RDLCK, 0, 0)));
    Child{[&] {
        const struct flock found = in_the_way(file, range(F_WRLCK, 1000, 1));
        equal("one lock", found.l_start, 0);
        equal("without an end", found.l_len, 0);
    }}.is_good();
    close(file);
}

void places() {
    const int file = open_file();
    equal("write", write(file, "0123456789", 10), 10);
    lseek(file, 4, SEEK_SET);
    succeeds("from the position", set(file, range(F_WRLCK, 1, 2, SEEK_CUR)));
    succeeds("before the end", set(file, range(F_WRLCK, -1, 1, SEEK_END)));
    succeeds("backwards", set(file, range(F_WRLCK, 3, -2)));
    Child{[&] {
        std::string taken;
        for (int at = 0; at < 11; ++at) {
            taken += in_the_way(file, range(F_RDLCK, at, 1)).l_type == F_UNLCK ? '.' : 'x';
        }
        checks::reads("taken", taken, ".xx..xx..x.");
    }}.is_good();
    fails("before the beginning", set(file, range(F_RDLCK, -1, 1)), EINVAL);
    fails("by its length", set(file, range(F_RDLCK, 3, -4)), EINVAL);
    fails("an unknown whence", set(file, range(F_RDLCK, 0, 1, 3)), EINVAL);
    fails("an unknown type", set(file, range(3, 0, 1)), EINVAL);
    fails("F_GETLK of an unlock", set(file, range(F_UNLCK, 0, 1), F_GETLK), EINVAL);
    succeeds("the last byte", set(file, range(F_RDLCK, kLastByte, 1)));
    fails("one more", set(file, range(F_RDLCK, kLastByte, 2)), EOVERFLOW);
    fails("a start beyond", set(file, range(F_RDLCK, kLastByte, 1, SEEK_END)), EOVERFLOW);
    fails("no struct", fcntl(file, F_SETLK, bad_pointer<struct flock>()), EFAULT);
    fails("no file", set(999, range(F_RDLCK, 0, 1)), EBADF);
    const int reader = open_file(O_RDONLY);
    const int writer = open_file(O_WRONLY);
    fails("write lock of a reader", set(reader, range(F_WRLCK, 0, 1)), EBADF);
    fails("read lock of a writer", set(writer, range(F_RDLCK, 0, 1)), EBADF);
    succeeds("but it may ask", set(writer, range(F_RDLCK, 0, 1), F_GETLK));
    close(reader);
    close(writer);
    close(file);
}

// POSIX: any close of the file by the process ends its locks; children inherit none.
void ends() {
    const int file = open_file();
    const auto is_free = [&] {
        return Child{[&] { equal("free", in_the_way(file, range(F_WRLCK, 0, 0)).l_type, F_UNLCK); }}.wait() ==
               0;
    };
    succeeds("lock", set(file, range(F_WRLCK, 0, 0)));
    close(open_file());
    truth("another descriptor's close", is_free());
    succeeds("lock", set(file, range(F_WRLCK, 0, 0)));
    succeeds("dup2 over one", dup2(file, dup(file)));
    truth("is one, too", is_free());
    Child{[&] { succeeds("lock by a child that ends", set(file, range(F_WRLCK, 0, 0))); }}.is_good();
    succeeds("is no more", set(file, range(F_WRLCK, 0, 0)));
    Child{[&] {
        close(file);
        const int own = open_file();
        fails("a child's close is its own", set(own, range(F_WRLCK, 0, 1)), EAGAIN);
    }}.is_good();
    close(file);
}

void of_open_files() {
    const int one = open_file();
    const int other = open_file();
    succeeds("lock", set(one, range(F_WRLCK, 0, 10), F_OFD_SETLK));
    fails("of one process", set(other, range(F_RDLCK, 5, 1), F_OFD_SETLK), EAGAIN);
    fails("against its process", set(other, range(F_RDLCK, 5, 1)), EAGAIN);
    struct flock found = in_the_way(other, range(F_RDLCK, 5, 1), F_OFD_GETLK);
    equal("nobody's", found.l_pid, -1);
    equal("length", found.l_len, 10);
    struct flock with_pid = range(F_RDLCK, 5, 1);
    with_pid.l_pid = 1;
    fails("a pid", set(one, with_pid, F_OFD_SETLK), EINVAL);
    const int same = dup(one);
    close(one);
    fails("its dup keeps it", set(other, range(F_RDLCK, 5, 1), F_OFD_SETLK), EAGAIN);
    Child waiter{[&] { succeeds("wait", set(other, range(F_WRLCK, 0, 20), F_OFD_SETLKW)); }};
    waiter.wait_until_it_waits();
    succeeds("unlock", set(same, range(F_UNLCK, 0, 0), F_OFD_SETLK));
    waiter.is_good();
    fails("the child's lock is its file's", set(same, range(F_RDLCK, 5, 1), F_OFD_SETLK), EAGAIN);
    close(other);
    succeeds("until that is closed", set(same, range(F_RDLCK, 5, 1), F_OFD_SETLK));
    close(same);
}

// Those that wait get it one by one; one of them is killed meanwhile.
void waiting() {
    const int file = open_file();
    const int counter = open("/tmp/counter", O_RDWR | O_CREAT | O_TRUNC, 0600);
    succeeds("lock", set(file, range(F_WRLCK, 0, 1)));
    const auto count = [&] {
        succeeds("wait", set(file, range(F_WRLCK, 0, 1), F_SETLKW));
        int seen = 0;
        pread(counter, &seen, sizeof(seen), 0);
        sched_yield();
        ++seen;
        pwrite(counter, &seen, sizeof(seen), 0);
        succeeds("unlock", set(file, range(F_UNLCK, 0, 1)));
    };
    std::vector<Child> children;
    constexpr int kChildren = 5;
    for (int i = 0; i < kChildren; ++i) {
        children.emplace_back(count);
        children.back().wait_until_it_waits();
    }
    kill(children[1].pid(), SIGKILL);
    equal("killed", children[1].wait(), SIGKILL);
    succeeds("unlock", set(file, range(F_UNLCK, 0, 1)));
    for (int i = 0; i < kChildren; ++i) {
        if (i != 1) {
            children[static_cast<std::size_t>(i)].is_good();
        }
    }
    int seen = 0;
    pread(counter, &seen, sizeof(seen), 0);
    equal("one after the other", seen, kChildren - 1);
    close(counter);
    close(file);
}

// Two readers wait for a writer that becomes a reader, a third for nothing.
void handing_on() {
    const int file = open_file();
    succeeds("lock", set(file, range(F_WRLCK, 0, 0)));
    const auto read_lock = [&] {
        succeeds("wait", set(file, range(F_RDLCK, 5, 1), F_SETLKW));
        fails("no writer yet", set(file, range(F_WRLCK, 5, 1)), EAGAIN);
    };
    const Child first{read_lock};
    const Child second{read_lock};
    first.wait_until_it_waits();
    second.wait_until_it_waits();
    succeeds("read on", set(file, range(F_RDLCK, 0, 0)));
    first.is_good();
    second.is_good();
    close(file);
}

// Two that wait for each other, then three: the last one hears of it, whoever that is.
void circles() {
    for (const int members : {2, 3}) {
        std::array<int, 2> errors{};
        std::array<int, 2> ready{};
        pipe(errors.data());
        pipe(ready.data());
        std::vector<Child> children;
        for (int i = 0; i < members; ++i) {
            children.emplace_back([&, i] {
                const int file = open_file();
                succeeds("its own", set(file, range(F_WRLCK, i, 1)));
                write(ready[1], "x", 1);
                char go = 0;
                while (pread(file, &go, 1, 100) != 1 || go != 'g') {
                    sched_yield();
                }
                if (set(file, range(F_WRLCK, (i + 1) % members, 1), F_SETLKW) != 0) {
                    equal("EDEADLK", errno, EDEADLK);
                    write(errors[1], "x", 1);
                }
            });
        }
        for (int i = 0; i < members; ++i) {
            char byte = 0;
            read(ready[0], &byte, 1);
        }
        const int file = open_file();
        pwrite(file, "g", 1, 100);
        for (const Child& child : children) {
            child.is_good();
        }
        close(errors[1]);
        std::array<char, 4> seen{};
        equal("one of them", read(errors[0], seen.data(), seen.size()), 1);
        ftruncate(file, 0);
        close(file);
        close(errors[0]);
        close(ready[0]);
        close(ready[1]);
    }
}

int other_file = -1;
std::atomic<int> handled{0};

void interruption() {
    const int file = open_file();
    other_file = open_file();
    succeeds("lock", flock(other_file, LOCK_EX));
    struct sigaction action{};
    action.sa_handler = [](int) { ++handled; };
    sigaction(SIGUSR1, &action, nullptr);
    const pid_t process = getpid();
    const auto signal_when_waiting = [&](pid_t thread) {
        return std::thread{[=] {
            while (!is_waiting(process, thread)) {
                sched_yield();
            }
            syscall(SYS_tgkill, process, thread, SIGUSR1);
        }};
    };
    std::thread sender = signal_when_waiting(gettid());
    fails("interrupted", flock(file, LOCK_EX), EINTR);
    sender.join();
    equal("by the handler", handled, 1);
    // The handler frees what is waited for: the call goes on.
    action.sa_handler = [](int) { flock(other_file, LOCK_UN); };
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &action, nullptr);
    sender = signal_when_waiting(gettid());
    succeeds("begun anew", flock(file, LOCK_EX));
    sender.join();
    // Who closes a file ends waiting for it.
    std::atomic<pid_t> waiter{0};
    const int third = open_file();
    std::thread waits{[&] {
        waiter = gettid();
        fails("closed meanwhile", flock(third, LOCK_EX), EBADF);
    }};
    while (waiter == 0 || !is_waiting(process, waiter)) {
        sched_yield();
    }
    close(third);
    waits.join();
    close(file);
    close(other_file);
}

void limits() {
    constexpr int kMost = 256;
    const int file = open_file();
    for (int i = 0; i < kMost; ++i) {
        succeeds("lock", set(file, range(F_WRLCK, 2 * i, 1)));
    }
    fails("one too many", set(file, range(F_WRLCK, 2 * kMost, 1)), ENOLCK);
    succeeds("fewer", set(file, range(F_UNLCK, 0, 1)));
    succeeds("a wide one", set(file, range(F_WRLCK, 2 * kMost, 10)));
    fails("into two", set(file, range(F_UNLCK, 2 * kMost + 4, 1)), ENOLCK);
    Child{[&] {
        equal("nothing is gone", in_the_way(file, range(F_WRLCK, 2 * kMost + 4, 1)).l_len, 10);
    }}.is_good();
    close(file);
    succeeds("unlink", unlink(kFile));
}

constexpr checks::Case kCases[]{
    {"whole files", whole_files},     {"ranges", ranges},   {"places", places},         {"ends", ends},
    {"of open files", of_open_files}, {"waiting", waiting}, {"handing on", handing_on}, {"circles", circles},
    {"interruption", interruption},   {"limits", limits},
};

}  // namespace

int main(int, char** argv) {
    return checks::run(argv[0], kCases);
}
