// SPDX-License-Identifier: MIT
// The Linux block's threads and futexes. Nothing waits for time to pass: who is to be woken is first moved to
// another word by requeueing, whose count tells that it waits.
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "checks.hpp"

namespace {

using checks::bad_pointer;
using checks::equal;
using checks::fails;
using checks::succeeds;
using checks::truth;

using Word = std::atomic<std::uint32_t>;
constexpr std::uint32_t kAll = 1000;
constexpr std::uint32_t kAnyBit = ~std::uint32_t{0};

// value2 is the number of waiters to requeue, where other operations have a time.
long futex(const void* word, int operation, std::uint32_t value, const void* time = nullptr,
           const void* word2 = nullptr, std::uint32_t value3 = 0) {
    return syscall(SYS_futex, word, operation, value, time, word2, value3);
}

const void* as_value2(std::uintptr_t value) {
    return reinterpret_cast<const void*>(value);
}

long requeue(const Word& from, std::uint32_t wake, std::uint32_t move, const Word& to) {
    return futex(&from, FUTEX_REQUEUE_PRIVATE, wake, as_value2(move), &to);
}

// Threads that wait at `parked`, which holds 0, until they are woken or time out.
class Waiters {
  public:
    // Post: all of them wait at `parked`.
    explicit Waiters(std::size_t count) {
        for (std::size_t index = 0; index < count; ++index) {
            threads_.emplace_back([this] {
                while (futex(&arriving_, FUTEX_WAIT_PRIVATE, 0) == -1 && errno == EAGAIN) {
                }
                ++woken_;
            });
        }
        for (std::size_t moved = 0; moved < count;) {
            const long now = requeue(arriving_, 0, kAll, parked);
            moved += static_cast<std::size_t>(now);
            sched_yield();
        }
    }
    Waiters(const Waiters&) = delete;
    Waiters& operator=(const Waiters&) = delete;
    ~Waiters() { join(); }

    // Wakes whoever still waits and is done with the threads.
    void join() {
        futex(&parked, FUTEX_WAKE_PRIVATE, kAll);
        for (std::thread& thread : threads_) {
            thread.join();
        }
        threads_.clear();
    }
    // Waits until so many were woken.
    void await_woken(std::uint32_t count) const {
        while (woken_ < count) {
            sched_yield();
        }
    }
    [[nodiscard]] std::uint32_t woken() const { return woken_; }

    Word parked{0};

  private:
    Word arriving_{0};
    Word woken_{0};
    std::vector<std::thread> threads_;
};

void refuse_futexes() {
    Word word{5};
    Word other{0};
    const timespec soon{.tv_sec = 0, .tv_nsec = 1'000'000};
    const timespec wrong{.tv_sec = 0, .tv_nsec = 1'000'000'000};
    const void* const crooked = reinterpret_cast<const char*>(&word) + 1;
    fails("another value", futex(&word, FUTEX_WAIT, 4), EAGAIN);
    fails("a crooked word", futex(crooked, FUTEX_WAIT, 5), EINVAL);
    fails("a word of the kernel", futex(bad_pointer<Word>(), FUTEX_WAIT, 5), EFAULT);
    fails("a word nowhere", futex(reinterpret_cast<Word*>(8), FUTEX_WAIT, 5), EFAULT);
    fails("a time of the kernel", futex(&word, FUTEX_WAIT, 5, bad_pointer<timespec>()), EFAULT);
    fails("a time that is none", futex(&word, FUTEX_WAIT, 5, &wrong), EINVAL);
    fails("no bits to wait for", futex(&word, FUTEX_WAIT_BITSET, 5), EINVAL);
    fails("no bits to wake", futex(&word, FUTEX_WAKE_BITSET, 1), EINVAL);
    fails("waking at a crooked word", futex(crooked, FUTEX_WAKE, 1), EINVAL);
    fails("an unknown operation", futex(&word, 100, 5), ENOSYS);
    fails("waking by the clock", futex(&word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1), ENOSYS);
    fails("requeueing from another value", futex(&word, FUTEX_CMP_REQUEUE, 1, as_value2(1), &other, 4),
          EAGAIN);
    fails("requeueing to nowhere", futex(&word, FUTEX_REQUEUE, 1, as_value2(1), bad_pointer<Word>()), EFAULT);
    fails("requeueing less than nobody",
          futex(&word, FUTEX_REQUEUE, 1, as_value2(~std::uintptr_t{0}), &other), EINVAL);
    fails("an unknown change", futex(&word, FUTEX_WAKE_OP, 1, as_value2(1), &other, 7U << 28), ENOSYS);
    fails("a change of the kernel's word",
          futex(&word, FUTEX_WAKE_OP, 1, as_value2(1), bad_pointer<Word>(), FUTEX_OP(FUTEX_OP_ADD, 1, 0, 0)),
          EFAULT);
    fails("nobody came in time", futex(&word, FUTEX_WAIT, 5, &soon), ETIMEDOUT);
    timespec now{};
    succeeds("the time", clock_gettime(CLOCK_REALTIME, &now));
    fails("a real time that is over",
          futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 5, &now, nullptr, kAnyBit), ETIMEDOUT);
    succeeds("the time since boot", clock_gettime(CLOCK_MONOTONIC, &now));
    fails("a time since boot that is over", futex(&word, FUTEX_WAIT_BITSET, 5, &now, nullptr, kAnyBit),
          ETIMEDOUT);
    equal("nobody to wake", futex(&word, FUTEX_WAKE, 1), 0);
}

void wake_and_requeue() {
    Waiters waiters{5};
    Word other{7};
    equal("wake one", futex(&waiters.parked, FUTEX_WAKE_PRIVATE, 1), 1);
    waiters.await_woken(1);
    equal("one is woken and two move", requeue(waiters.parked, 1, 2, other), 3);
    waiters.await_woken(2);
    equal("one is still there", futex(&waiters.parked, FUTEX_CMP_REQUEUE_PRIVATE, 0, as_value2(1), &other, 0),
          1);
    equal("nobody is left", futex(&waiters.parked, FUTEX_WAKE_PRIVATE, kAll), 0);
    equal("nobody but the two was woken", waiters.woken(), 2);
    equal("all three wait at the other word", futex(&other, FUTEX_WAKE_PRIVATE, kAll), 3);
    waiters.join();
    equal("all came back", waiters.woken(), 5);
}

void wake_with_a_change() {
    constexpr std::uint32_t kAddOneIfTwo = FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 2);
    Waiters first{2};
    Waiters second{3};
    second.parked = 1;
    equal("the second word does not compare",
          futex(&first.parked, FUTEX_WAKE_OP_PRIVATE, 1, as_value2(kAll), &second.parked, kAddOneIfTwo), 1);
    equal("it was changed", second.parked, 2);
    equal("now it compares",
          futex(&first.parked, FUTEX_WAKE_OP_PRIVATE, kAll, as_value2(2), &second.parked, kAddOneIfTwo),
          1 + 2);
    equal("it was changed again", second.parked, 3);
    struct Change {
        const char* name;
        std::uint32_t operation;
        std::uint32_t after;
    };
    constexpr Change kChanges[]{{"set", FUTEX_OP_SET, 6},
                                {"add", FUTEX_OP_ADD, 12 + 6},
                                {"or", FUTEX_OP_OR, 12 | 6},
                                {"and not", FUTEX_OP_ANDN, 12 & ~6U},
                                {"exclusive or", FUTEX_OP_XOR, 12 ^ 6},
                                {"or a shifted one", FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 12 | 1U << 6}};
    for (const Change& change : kChanges) {
        Word word{12};
        equal(change.name,
              futex(&first.parked, FUTEX_WAKE_OP_PRIVATE, 0, as_value2(0), &word,
                    change.operation << 28 | 6U << 12),
              0);
        equal(change.name, word, change.after);
    }
}

void wait_for_bits() {
    Word word{0};
    Word woken{0};
    const auto wait = [&](std::uint32_t bits) {
        futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, nullptr, nullptr, bits);
        woken |= bits;
    };
    std::thread one{wait, 1};
    std::thread two{wait, 2};
    long count = 0;
    while (count == 0) {
        count = futex(&word, FUTEX_WAKE_BITSET_PRIVATE, kAll, nullptr, nullptr, 2 | 4);
    }
    two.join();
    equal("one waiter has that bit", count, 1);
    equal("the other was left alone", woken, 2);
    while (futex(&word, FUTEX_WAKE_BITSET_PRIVATE, kAll, nullptr, nullptr, 1) == 0) {
    }
    one.join();
    equal("both came back", woken, 1 | 2);
}

// A waiter keeps its time when it is moved.
void time_out_elsewhere() {
    Word here{0};
    Word there{0};
    bool was_moved = false;
    int error = 0;
    // On a busy machine the time may be over before anybody is moved; that proves nothing, so it is done
    // again.
    while (!was_moved) {
        std::atomic<bool> is_back{false};
        std::thread waiter{[&] {
            const timespec time{.tv_sec = 0, .tv_nsec = 20'000'000};
            error = futex(&here, FUTEX_WAIT_PRIVATE, 0, &time) == -1 ? errno : 0;
            is_back = true;
        }};
        while (!was_moved && !is_back) {
            was_moved = requeue(here, 0, kAll, there) == 1;
        }
        waiter.join();
    }
    equal("it timed out", error, ETIMEDOUT);
    equal("nobody waits there", futex(&there, FUTEX_WAKE_PRIVATE, kAll), 0);
}

void meet_at_locks() {
    constexpr int kTurns = 500;
    constexpr int kThreads = 8;
    std::mutex mutex;
    std::condition_variable changed;
    int turns = 0;
    const auto take_turns = [&](int parity) {
        for (int turn = 0; turn < kTurns; ++turn) {
            std::unique_lock lock{mutex};
            changed.wait(lock, [&] { return turns % 2 == parity; });
            ++turns;
            changed.notify_all();
        }
    };
    std::thread other{take_turns, 1};
    take_turns(0);
    other.join();
    equal("turns of two threads", turns, 2 * kTurns);

    int sum = 0;
    std::vector<std::thread> threads;
    for (int index = 0; index < kThreads; ++index) {
        threads.emplace_back([&] {
            for (int turn = 0; turn < kTurns; ++turn) {
                const std::lock_guard guard{mutex};
                ++sum;
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    equal("turns of eight threads", sum, kThreads * kTurns);
}

constexpr int kThreadFlags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;

// What a bare thread, without thread-local storage of its own, can do: no C library.
int leave_mark(void* mark) {
    static_cast<Word*>(mark)->store(1);
    return 0;
}

void clone_threads() {
    alignas(16) std::array<char, 16 << 10> stack;
    Word mark{0};
    pid_t parent_tid = 0;
    std::atomic<pid_t> child_tid{-1};
    const int tid = clone(leave_mark, stack.data() + stack.size(),
                          kThreadFlags | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID, &mark, &parent_tid,
                          nullptr, reinterpret_cast<pid_t*>(&child_tid));
    truth("a new id", tid > getpid());
    equal("told to the parent", parent_tid, tid);
    // The kernel clears and wakes it when the thread is gone.
    while (child_tid != 0) {
        futex(&child_tid, FUTEX_WAIT, static_cast<std::uint32_t>(-1));
    }
    equal("it ran", mark, 1);
    fails("it is gone", syscall(SYS_tgkill, getpid(), tid, 0), ESRCH);

    const auto bare_clone = [&](int flags, char* top) { return syscall(SYS_clone, flags, top, 0, 0, 0); };
    char* const top = stack.data() + stack.size();
    fails("a process with another exit signal", bare_clone(SIGUSR1, nullptr), EINVAL);
    fails("a process that shares files", bare_clone(CLONE_FILES | SIGCHLD, nullptr), EINVAL);
    fails("a thread with its own handlers", bare_clone(CLONE_THREAD, top), EINVAL);
    fails("handlers in another memory", bare_clone(CLONE_SIGHAND, top), EINVAL);
    fails("a thread without a stack", bare_clone(kThreadFlags, nullptr), EINVAL);
    fails("a thread with an exit signal", bare_clone(kThreadFlags | SIGCHLD, top), EINVAL);
    fails("an unknown flag", bare_clone(kThreadFlags | CLONE_NEWNS, top), EINVAL);
    fails("clone3", syscall(SYS_clone3, nullptr, 0), ENOSYS);

    pid_t inner_tid = 0;
    bool is_same_process = false;
    std::thread thread{[&, pid = getpid()] {
        inner_tid = gettid();
        is_same_process = getpid() == pid;
    }};
    thread.join();
    truth("a thread has its own id", inner_tid != gettid() && inner_tid > 0);
    truth("and its process's", is_same_process);
    equal("set_tid_address tells the id", syscall(SYS_set_tid_address, nullptr), gettid());
}

void come_and_go() {
    Word done{0};
    std::vector<std::thread> threads;
    for (int index = 0; index < 50; ++index) {
        threads.emplace_back([&] { ++done; });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    equal("fifty threads came and went", done, 50);
}

// What is asked of a thread, or done to it, between its beginning and its first instruction, and how it ends.
enum class Between : int { Nothing, Policy, Signal, Yield, Time, Lock, Grandchild, Count };

void one_after_the_other(Between between) {
    std::int64_t seen = -1;
    pthread_mutexattr_t robust;
    pthread_mutexattr_init(&robust);
    pthread_mutexattr_setrobust(&robust, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_t lock;
    pthread_mutex_init(&lock, &robust);
    sigset_t usr1;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &usr1, nullptr);
    // With one CPU it has not begun by then.
    std::atomic<bool> is_asked{false};
    std::thread thread{[&] {
        while (!is_asked) {
            sched_yield();
        }
        switch (between) {
            case Between::Policy:
                seen = sched_getscheduler(0);
                break;
            case Between::Signal: {
                sigset_t pending;
                sigpending(&pending);
                seen = sigismember(&pending, SIGUSR1);
                break;
            }
            case Between::Lock:
                seen = pthread_mutex_lock(&lock);
                break;
            case Between::Grandchild:
                std::thread{[&] { seen = gettid(); }}.join();
                break;
            default:
                seen = 0;
        }
    }};
    const pthread_t handle = thread.native_handle();
    const sched_param none{};
    timespec time{.tv_sec = -1, .tv_nsec = 0};
    clockid_t clock = 0;
    switch (between) {
        case Between::Policy:
            equal("its policy is set", pthread_setschedparam(handle, SCHED_BATCH, &none), 0);
            break;
        case Between::Signal:
            equal("it is sent a signal", pthread_kill(handle, SIGUSR1), 0);
            break;
        case Between::Yield:
            sched_yield();
            break;
        case Between::Time:
            equal("it has a clock", pthread_getcpuclockid(handle, &clock), 0);
            succeeds("which is read", clock_gettime(clock, &time));
            break;
        default:
            break;
    }
    is_asked = true;
    thread.join();
    pthread_sigmask(SIG_UNBLOCK, &usr1, nullptr);
    switch (between) {
        case Between::Policy:
            equal("it ran with that policy", seen, SCHED_BATCH);
            break;
        case Between::Signal:
            equal("it had the signal", seen, 1);
            break;
        case Between::Time:
            truth("it had run for less than a second", time.tv_sec == 0);
            break;
        case Between::Lock:
            equal("it took the lock", seen, 0);
            equal("and left it behind", pthread_mutex_lock(&lock), EOWNERDEAD);
            break;
        case Between::Grandchild:
            truth("its own child ran", seen > gettid());
            break;
        default:
            equal("it ran", seen, 0);
    }
    pthread_mutex_destroy(&lock);
    pthread_mutexattr_destroy(&robust);
}

int status_of(void (*run)()) {
    const pid_t child = fork();
    if (child == 0) {
        run();
        _exit(1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return status;
}

// Threads that are made and waited for in turn, as the short ways have it, and what comes in between.
void follow_each_other() {
    constexpr int kRounds = 20;
    for (int round = 0; round < kRounds; ++round) {
        for (int between = 0; between < static_cast<int>(Between::Count); ++between) {
            one_after_the_other(Between::Nothing);
            one_after_the_other(static_cast<Between>(between));
        }
    }
    for (int round = 0; round < kRounds; ++round) {
        equal("a process ends with a thread that has not begun", status_of([] {
                  one_after_the_other(Between::Nothing);
                  std::thread{[] { _exit(7); }}.detach();
                  syscall(SYS_exit_group, 7);
              }),
              7 << 8);
        equal("a thread goes on alone", status_of([] {
                  one_after_the_other(Between::Nothing);
                  std::thread{[] { _exit(7); }}.detach();
                  syscall(SYS_exit, 0);
              }),
              7 << 8);
    }
}

// struct futex_waitv, which the C library's headers may not have.
struct WaitWord {
    std::uint64_t value;
    std::uint64_t address;
    std::uint32_t flags;
    std::uint32_t reserved;
};
constexpr std::uint32_t kWaitPrivate = 2 | FUTEX_PRIVATE_FLAG;
constexpr long kWaitAny = 449;

long wait_any(const WaitWord* words, unsigned count, const timespec* until = nullptr,
              clockid_t clock = CLOCK_MONOTONIC, unsigned flags = 0) {
    return syscall(kWaitAny, words, count, flags, until, clock);
}

void wait_for_any() {
    constexpr std::size_t kMost = 128;
    std::array<Word, kMost + 1> words{};
    std::array<WaitWord, kMost + 1> wanted{};
    for (std::size_t i = 0; i < words.size(); ++i) {
        wanted[i] = {0, reinterpret_cast<std::uintptr_t>(&words[i]), kWaitPrivate, 0};
    }
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    fails("none", wait_any(wanted.data(), 0), EINVAL);
    fails("more than there may be", wait_any(wanted.data(), kMost + 1), EINVAL);
    fails("with a flag", wait_any(wanted.data(), 1, nullptr, CLOCK_MONOTONIC, 1), EINVAL);
    fails("nowhere", wait_any(nullptr, 1), EINVAL);
    fails("in the kernel", wait_any(bad_pointer<WaitWord>(), 1), EFAULT);
    fails("by another clock", wait_any(wanted.data(), 1, &now, CLOCK_PROCESS_CPUTIME_ID), EINVAL);
    fails("until the kernel says", wait_any(wanted.data(), 1, bad_pointer<timespec>()), EFAULT);
    fails("until now", wait_any(wanted.data(), kMost, &now), ETIMEDOUT);
    now.tv_nsec += 1'000'000;
    now.tv_sec += now.tv_nsec / 1'000'000'000;
    now.tv_nsec %= 1'000'000'000;
    fails("until soon", wait_any(wanted.data(), kMost, &now), ETIMEDOUT);
    clock_gettime(CLOCK_REALTIME, &now);
    fails("by the clock on the wall", wait_any(wanted.data(), 2, &now, CLOCK_REALTIME), ETIMEDOUT);
    words[3] = 1;
    fails("one has changed", wait_any(wanted.data(), 4), EAGAIN);
    fails("which counts for those that name it", wait_any(wanted.data(), 3, &now, CLOCK_REALTIME), ETIMEDOUT);
    words[3] = 0;
    for (const WaitWord bad :
         {WaitWord{0, wanted[1].address + 1, kWaitPrivate, 0}, WaitWord{0, wanted[1].address, 0, 0},
          WaitWord{0, wanted[1].address, 2, 1}, WaitWord{1ULL << 32, wanted[1].address, 2, 0}}) {
        const std::array<WaitWord, 2> pair{wanted[0], bad};
        fails("a bad one", wait_any(pair.data(), 2), EINVAL);
    }
    const std::array<WaitWord, 2> unmapped{wanted[0], WaitWord{0, 16, kWaitPrivate, 0}};
    fails("one that is nowhere", wait_any(unmapped.data(), 2), EFAULT);
    equal("they left nothing behind", futex(&words[0], FUTEX_WAKE_PRIVATE, kAll), 0);

    // Woken by each of three words, by requeueing, and never twice.
    for (const std::size_t which : {std::size_t{0}, std::size_t{1}, kMost - 1}) {
        std::atomic<long> got{-1};
        std::thread waiter{[&] { got = wait_any(wanted.data(), kMost); }};
        while (futex(&words[which], FUTEX_WAKE_PRIVATE, kAll) == 0) {
            sched_yield();
        }
        waiter.join();
        equal("which it was", got, static_cast<std::int64_t>(which));
        equal("it has gone from the others", futex(&words[2], FUTEX_WAKE_PRIVATE, kAll), 0);
    }
    std::atomic<long> got{-1};
    std::thread waiter{[&] { got = wait_any(wanted.data(), 3); }};
    while (requeue(words[2], 0, kAll, words[50]) == 0) {
        sched_yield();
    }
    waiter.join();
    equal("moving it wakes it", got, 2);

    // Others that wait for one of the words, and several that wait for all.
    constexpr int kEach = 8;
    std::atomic<int> woken{0};
    std::vector<std::thread> crowd;
    for (int i = 0; i < kEach; ++i) {
        crowd.emplace_back([&] { woken += wait_any(wanted.data(), 20) == 7 ? 1 : 100; });
        crowd.emplace_back([&] { woken += futex(&words[7], FUTEX_WAIT_PRIVATE, 0) == 0 ? 1 : 100; });
    }
    for (long told = 0; told < 2 * kEach;) {
        const long more = futex(&words[7], FUTEX_WAKE_PRIVATE, 1);
        told += more;
        if (more == 0) {
            sched_yield();
        }
    }
    for (std::thread& thread : crowd) {
        thread.join();
    }
    equal("each was woken once", woken, 2 * kEach);

    // A signal, and the end of a process whose threads wait.
    struct sigaction action{};
    action.sa_handler = [](int) {};
    sigaction(SIGUSR1, &action, nullptr);
    std::atomic<int> error{0};
    std::thread interrupted{[&] { error = wait_any(wanted.data(), 5) == -1 ? errno : -1; }};
    const pthread_t handle = interrupted.native_handle();
    while (error == 0) {
        pthread_kill(handle, SIGUSR1);
        sched_yield();
    }
    interrupted.join();
    equal("a handler ends it", error, EINTR);
    const pid_t child = fork();
    if (child == 0) {
        std::thread{[&] { wait_any(wanted.data(), kMost); }}.detach();
        sched_yield();
        _exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    equal("a process ends with one that waits", status, 0);
}

constexpr checks::Case kCases[]{
    {"wait for any", wait_for_any},         {"refuse futexes", refuse_futexes},
    {"wake and requeue", wake_and_requeue}, {"wake with a change", wake_with_a_change},
    {"wait for bits", wait_for_bits},       {"time out elsewhere", time_out_elsewhere},
    {"meet at locks", meet_at_locks},       {"clone threads", clone_threads},
    {"come and go", come_and_go},           {"follow each other", follow_each_other},
};

}  // namespace

int main(int, char** argv) {
    return checks::run(argv[0], kCases);
}
