// SPDX-License-Identifier: MIT
// PI futexes, as the C library's PTHREAD_PRIO_INHERIT mutexes use them and as such. Nothing waits for time to
// pass: a waiter shows itself by the bit the kernel sets in the word before it sleeps.
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <new>
#include <string_view>
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
#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

long futex(void* word, int operation, const timespec* deadline = nullptr) {
    return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, 0, deadline, nullptr, 0);
}

std::uint32_t own_id() {
    return static_cast<std::uint32_t>(gettid());
}

// Until somebody waits for the word in the kernel.
void await_waiter(const Word& word) {
    while ((word.load() & FUTEX_WAITERS) == 0) {
        sched_yield();
    }
}

timespec soon(clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    time.tv_nsec += 1'000'000;
    if (time.tv_nsec >= 1'000'000'000) {
        time.tv_nsec -= 1'000'000'000;
        ++time.tv_sec;
    }
    return time;
}

pthread_mutex_t pi_mutex(int type) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    equal("its type", pthread_mutexattr_settype(&attributes, type), 0);
    equal("its protocol", pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT), 0);
    pthread_mutex_t mutex;
    equal("there are such mutexes", pthread_mutex_init(&mutex, &attributes), 0);
    return mutex;
}

void exclude_each_other() {
    pthread_mutex_t mutex = pi_mutex(PTHREAD_MUTEX_NORMAL);
    constexpr int kThreads = 8;
    constexpr int kRounds = 300;
    int count = 0;
    std::vector<std::thread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
        threads.emplace_back([&] {
            for (int round = 0; round < kRounds; ++round) {
                pthread_mutex_lock(&mutex);
                const int before = *static_cast<volatile int*>(&count);
                if (round % 8 == 0) {
                    sched_yield();
                }
                *static_cast<volatile int*>(&count) = before + 1;
                pthread_mutex_unlock(&mutex);
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    equal("no step was lost", count, kThreads * kRounds);
    equal("it is free", pthread_mutex_trylock(&mutex), 0);
    equal("unlock", pthread_mutex_unlock(&mutex), 0);
    equal("destroy", pthread_mutex_destroy(&mutex), 0);
}

void tell_what_is_wrong() {
    pthread_mutex_t mutex = pi_mutex(PTHREAD_MUTEX_ERRORCHECK);
    equal("lock", pthread_mutex_lock(&mutex), 0);
    equal("lock again", pthread_mutex_lock(&mutex), EDEADLK);
    std::array<int, 4> answers{};
    std::thread other{[&] {
        answers[0] = pthread_mutex_unlock(&mutex);
        answers[1] = pthread_mutex_trylock(&mutex);
        const timespec deadline = soon(CLOCK_REALTIME);
        answers[2] = pthread_mutex_timedlock(&mutex, &deadline);
        const timespec other_deadline = soon(CLOCK_MONOTONIC);
        answers[3] = pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &other_deadline);
    }};
    other.join();
    equal("unlock of another's", answers[0], EPERM);
    equal("try", answers[1], EBUSY);
    equal("lock until a time of day", answers[2], ETIMEDOUT);
    equal("lock until a time since boot", answers[3], ETIMEDOUT);
    equal("unlock", pthread_mutex_unlock(&mutex), 0);

    Word word{0};
    fails("unlock of nobody's", futex(&word, FUTEX_UNLOCK_PI), EPERM);
    succeeds("lock", futex(&word, FUTEX_LOCK_PI));
    equal("the word names the owner", word.load(), own_id());
    fails("lock again", futex(&word, FUTEX_LOCK_PI), EDEADLK);
    succeeds("unlock", futex(&word, FUTEX_UNLOCK_PI));
    equal("the word is free", word.load(), 0);
    succeeds("try", futex(&word, FUTEX_TRYLOCK_PI));
    word = 30'000;
    fails("lock of a thread's that is not there", futex(&word, FUTEX_LOCK_PI), ESRCH);
    word = 30'000;
    fails("try", futex(&word, FUTEX_TRYLOCK_PI), ESRCH);
    fails("a word of the kernel's", futex(bad_pointer<void>(), FUTEX_LOCK_PI), EFAULT);
    fails("unlock of one", futex(bad_pointer<void>(), FUTEX_UNLOCK_PI), EFAULT);
    fails("a word that is not aligned", futex(reinterpret_cast<char*>(&word) + 1, FUTEX_LOCK_PI), EINVAL);
    fails("a time of the kernel's", futex(&word, FUTEX_LOCK_PI, bad_pointer<timespec>()), EFAULT);
    const timespec wrong{.tv_sec = 0, .tv_nsec = 1'000'000'000};
    fails("a second of nanoseconds", futex(&word, FUTEX_LOCK_PI2, &wrong), EINVAL);
}

long wait_requeue(Word& from, std::uint32_t value, Word& to, const timespec* deadline = nullptr) {
    return syscall(SYS_futex, &from, FUTEX_WAIT_REQUEUE_PI | FUTEX_PRIVATE_FLAG, value, deadline, &to, 0);
}

long requeue(void* from, void* to, std::uint32_t value, int wakes = 1, long moves = 0) {
    return syscall(SYS_futex, from, FUTEX_CMP_REQUEUE_PI | FUTEX_PRIVATE_FLAG, wakes, moves, to, value);
}

// Waiters of a condition are sent to its mutex: each returns with the lock.
void requeue_waiters() {
    constexpr int kWaiters = 4;
    Word condition{5};
    Word lock{0};
    int inside = 0;
    int done = 0;
    std::vector<std::thread> waiters;
    for (int i = 0; i < kWaiters; ++i) {
        waiters.emplace_back([&] {
            const bool has_lock =
                wait_requeue(condition, 5, lock) == 0 && (lock & FUTEX_TID_MASK) == own_id();
            done += has_lock && ++inside == 1 ? 1 : 0;
            sched_yield();
            --inside;
            futex(&lock, FUTEX_UNLOCK_PI);
        });
    }
    succeeds("lock", futex(&lock, FUTEX_LOCK_PI));
    fails("another value", requeue(&condition, &lock, 4), EAGAIN);
    long sent = 0;
    while (sent < kWaiters) {
        const long more = requeue(&condition, &lock, 5, 1, sent == 0 ? 0 : 100);
        truth("one, then all that are there", more <= (sent == 0 ? 1 : kWaiters - 1));
        sent += more;
        sched_yield();
    }
    await_waiter(lock);
    equal("nobody has it yet", done, 0);
    succeeds("unlock", futex(&lock, FUTEX_UNLOCK_PI));
    for (auto& waiter : waiters) {
        waiter.join();
    }
    equal("each had it alone", done, kWaiters);
    equal("it is free", lock, 0);
}

std::atomic<int> handled{0};

void end_a_requeue() {
    Word condition{5};
    Word other{5};
    Word lock{0};
    fails("another value", wait_requeue(condition, 6, lock), EAGAIN);
    fails("to itself", wait_requeue(condition, 5, condition), EINVAL);
    fails("to the kernel's",
          syscall(SYS_futex, &condition, FUTEX_WAIT_REQUEUE_PI, 5, nullptr, bad_pointer<Word>(), 0), EFAULT);
    fails("requeue to itself", requeue(&condition, &condition, 5), EINVAL);
    fails("requeue of the kernel's", requeue(bad_pointer<Word>(), &lock, 5), EFAULT);
    fails("wake two", requeue(&condition, &lock, 5, 2), EINVAL);
    fails("less than nobody", requeue(&condition, &lock, 5, 1, -1), EINVAL);
    equal("nobody is there", requeue(&condition, &lock, 5, 1, 10), 0);
    const timespec deadline = soon(CLOCK_MONOTONIC);
    fails("in vain", wait_requeue(condition, 5, lock, &deadline), ETIMEDOUT);
    std::thread plain{
        [&] { syscall(SYS_futex, &other, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 5, nullptr, nullptr, 0); }};
    while (requeue(&other, &lock, 5) == 0) {
        sched_yield();
    }
    equal("who waits for something else is not sent", errno, EINVAL);
    equal("but woken", syscall(SYS_futex, &other, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, nullptr, nullptr, 0),
          1);
    plain.join();

    struct sigaction action{};
    action.sa_handler = [](int) { ++handled; };
    sigaction(SIGUSR1, &action, nullptr);
    handled = 0;
    succeeds("lock", futex(&lock, FUTEX_LOCK_PI));
    std::atomic<long> answer{0};
    std::thread waiter{[&] { answer = wait_requeue(condition, 5, lock) == -1 ? errno : 0; }};
    Word elsewhere{0};
    while (requeue(&condition, &elsewhere, 5) == 0) {
        sched_yield();
    }
    equal("to another than it named", errno, EINVAL);
    pthread_kill(waiter.native_handle(), SIGUSR1);
    while (handled == 0) {
        sched_yield();
    }
    while (requeue(&condition, &lock, 5) == 0) {
        sched_yield();
    }
    equal("a signal has it wait anew", answer, 0);
    await_waiter(lock);
    pthread_kill(waiter.native_handle(), SIGUSR1);
    waiter.join();
    equal("sent, it gives up", answer, EAGAIN);
    equal("both were handled", handled, 2);
    succeeds("unlock", futex(&lock, FUTEX_UNLOCK_PI));
    equal("it is free", lock, 0);

    const timespec soon_over = soon(CLOCK_MONOTONIC);
    succeeds("lock", futex(&lock, FUTEX_LOCK_PI));
    std::thread late{[&] { answer = wait_requeue(condition, 5, lock, &soon_over) == -1 ? errno : 0; }};
    while (answer != ETIMEDOUT && requeue(&condition, &lock, 5) == 0) {
        sched_yield();
    }
    late.join();
    equal("sent, it has no more time", answer, ETIMEDOUT);
    succeeds("unlock", futex(&lock, FUTEX_UNLOCK_PI));
}

void refuse_circles() {
    Word first{0};
    Word second{0};
    succeeds("the first", futex(&first, FUTEX_LOCK_PI));
    std::thread other{[&] {
        futex(&second, FUTEX_LOCK_PI);
        futex(&first, FUTEX_LOCK_PI);  // waits for the main thread
        futex(&first, FUTEX_UNLOCK_PI);
        futex(&second, FUTEX_UNLOCK_PI);
    }};
    await_waiter(first);
    fails("the second would never come", futex(&second, FUTEX_LOCK_PI), EDEADLK);
    succeeds("let go", futex(&first, FUTEX_UNLOCK_PI));
    other.join();
    equal("both are free", first.load() + second.load(), 0);
}

void pass_on_at_the_end() {
    Word word{0};
    std::atomic<bool> may_end{false};
    std::atomic<bool> has_it{false};
    std::thread owner{[&] {
        futex(&word, FUTEX_LOCK_PI);
        has_it = true;
        has_it.notify_all();
        may_end.wait(false);
    }};
    has_it.wait(false);
    std::uint32_t seen = 0;
    long result = -1;
    std::thread waiter{[&] {
        result = futex(&word, FUTEX_LOCK_PI);
        seen = word.load() ^ own_id();
    }};
    await_waiter(word);
    may_end = true;
    may_end.notify_all();
    owner.join();
    waiter.join();
    equal("the waiter gets it", result, 0);
    equal("and is told that an owner died", seen, FUTEX_OWNER_DIED);
    fails("it ended, too, and nobody waited", futex(&word, FUTEX_LOCK_PI), ESRCH);
}

// A thread ends with robust mutexes, more than are marked in one go; the next owner of each learns of it.
void tell_of_dead_owners(int protocol) {
    constexpr std::size_t kMutexes = 50;
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    equal("robust", pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST), 0);
    equal("its protocol", pthread_mutexattr_setprotocol(&attributes, protocol), 0);
    std::array<pthread_mutex_t, kMutexes> mutexes;
    int failures = 0;
    for (pthread_mutex_t& mutex : mutexes) {
        failures += pthread_mutex_init(&mutex, &attributes) != 0 ? 1 : 0;
    }
    equal("there are such mutexes", failures, 0);
    std::atomic<bool> has_them{false};
    std::atomic<bool> may_end{false};
    std::thread owner{[&] {
        for (pthread_mutex_t& mutex : mutexes) {
            pthread_mutex_lock(&mutex);
        }
        has_them = true;
        has_them.notify_all();
        may_end.wait(false);
    }};
    has_them.wait(false);
    std::atomic<int> woken{-1};
    std::thread waiter{[&] {
        woken = pthread_mutex_lock(&mutexes[0]);
        pthread_mutex_consistent(&mutexes[0]);
        pthread_mutex_unlock(&mutexes[0]);
    }};
    may_end = true;
    may_end.notify_all();
    owner.join();
    waiter.join();
    equal("who waited, or came behind, is told", woken, EOWNERDEAD);
    equal("once", pthread_mutex_lock(&mutexes[0]), 0);
    equal("unlock", pthread_mutex_unlock(&mutexes[0]), 0);
    int told = 0;
    for (std::size_t n = 1; n < kMutexes; ++n) {
        told += pthread_mutex_lock(&mutexes[n]) == EOWNERDEAD ? 1 : 0;
        pthread_mutex_unlock(&mutexes[n]);
    }
    equal("of each of the others", told, kMutexes - 1);
    equal("not made consistent, it is lost", pthread_mutex_lock(&mutexes[1]), ENOTRECOVERABLE);
}

void robust() {
    tell_of_dead_owners(PTHREAD_PRIO_NONE);
    tell_of_dead_owners(PTHREAD_PRIO_INHERIT);
    struct robust_list_head head{};
    robust_list_head* own = nullptr;
    std::size_t length = 0;
    succeeds("the C library has a list", syscall(SYS_get_robust_list, 0, &own, &length));
    equal("of this size", static_cast<std::int64_t>(length), sizeof head);
    fails("another size", syscall(SYS_set_robust_list, &head, sizeof head - 1), EINVAL);
    fails("a list of nobody's", syscall(SYS_get_robust_list, 30'000, &own, &length), ESRCH);
    // Neither a list that bites its tail nor one that is not there keeps a thread from its end.
    std::thread{[&] {
        static robust_list entry{&entry};
        static robust_list_head circle{.list = {&entry}, .futex_offset = 8, .list_op_pending = nullptr};
        syscall(SYS_set_robust_list, &circle, sizeof circle);
    }}.join();
    std::thread{[] {
        syscall(SYS_set_robust_list, bad_pointer<robust_list_head>(), sizeof(robust_list_head));
    }}.join();
    succeeds("and this thread keeps its own", syscall(SYS_get_robust_list, 0, &own, &length));
}

// The first thread of a program that was not spawned but came by execve owns like any other.
int own_after_exec() {
    Word word{0};
    futex(&word, FUTEX_LOCK_PI);
    constexpr long kUndecided = -2;
    std::atomic<long> result{kUndecided};
    std::thread waiter{[&] { result = futex(&word, FUTEX_LOCK_PI); }};
    // It waits, or was refused.
    while ((word.load() & FUTEX_WAITERS) == 0 && result == kUndecided) {
        sched_yield();
    }
    futex(&word, FUTEX_UNLOCK_PI);
    waiter.join();
    return result == 0 ? 0 : 1;
}

void own_in_the_next_program() {
    const pid_t child = fork();
    if (child == 0) {
        execl(checks::program, checks::program, "after-exec", nullptr);
        _exit(127);
    }
    int status = -1;
    equal("it ends", waitpid(child, &status, 0), child);
    equal("the waiter got the lock", status, 0);
}

// Waiters in a chain when the process ends, which the program that checks this one would not survive if the
// kernel got it wrong.
void leave_with_waiters() {
    static std::array<Word, 6> words;
    futex(&words[0], FUTEX_LOCK_PI);
    for (std::size_t n = 1; n < words.size(); ++n) {
        std::thread{[n] {
            futex(&words[n], FUTEX_LOCK_PI);
            futex(&words[n - 1], FUTEX_LOCK_PI);
        }}.detach();
        await_waiter(words[n - 1]);
    }
    truth("they wait", true);
}

// What two processes have in common: a PI mutex, and the word inside it for the calls themselves.
struct Common {
    pthread_mutex_t mutex;
    Word word;
    std::atomic<int> stage;
    int count;
};

// Waits for a child that ends by itself.
int status_of(pid_t child) {
    int status = -1;
    return waitpid(child, &status, 0) == child ? status : -1;
}

void between_processes() {
    void* const memory =
        mmap(nullptr, sizeof(Common), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    auto* const common = new (memory) Common{};
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    equal("a shared one", pthread_mutex_init(&common->mutex, &attributes), 0);
    constexpr int kProcesses = 4;
    constexpr int kRounds = 200;
    std::array<pid_t, kProcesses> children{};
    for (pid_t& child : children) {
        child = fork();
        if (child == 0) {
            for (int round = 0; round < kRounds; ++round) {
                if (pthread_mutex_lock(&common->mutex) != 0) {
                    _exit(1);
                }
                const int seen = common->count;
                sched_yield();
                common->count = seen + 1;
                if (pthread_mutex_unlock(&common->mutex) != 0) {
                    _exit(2);
                }
            }
            _exit(0);
        }
    }
    for (const pid_t child : children) {
        equal("a process", status_of(child), 0);
    }
    equal("each had it alone", common->count, kProcesses * kRounds);

    // One ends with it while another waits.
    pid_t child = fork();
    if (child == 0) {
        pthread_mutex_lock(&common->mutex);
        common->stage = 1;
        // The lock's word is the mutex's first: somebody waits.
        await_waiter(*reinterpret_cast<const Word*>(&common->mutex));
        _exit(0);
    }
    while (common->stage != 1) {
        sched_yield();
    }
    equal("its owner ended", pthread_mutex_lock(&common->mutex), EOWNERDEAD);
    equal("mend it", pthread_mutex_consistent(&common->mutex), 0);
    equal("unlock", pthread_mutex_unlock(&common->mutex), 0);
    status_of(child);

    // The word passes from process to process.
    const auto shared_futex = [](void* word, int operation) {
        return syscall(SYS_futex, word, operation, 0, nullptr, nullptr, 0);
    };
    common->word = own_id();
    child = fork();
    if (child == 0) {
        Word& word = common->word;
        const long locked = shared_futex(&word, FUTEX_LOCK_PI);
        const bool is_owner = (word.load() & FUTEX_TID_MASK) == own_id();
        _exit(locked == 0 && is_owner && shared_futex(&word, FUTEX_UNLOCK_PI) == 0 ? 0 : 1);
    }
    await_waiter(common->word);
    succeeds("unlock", shared_futex(&common->word, FUTEX_UNLOCK_PI));
    equal("the other process had it", status_of(child), 0);
    equal("and let go", common->word, 0);
    // Memory of its own names nobody else's thread.
    Word own{static_cast<std::uint32_t>(getppid() == 0 ? getpid() + 1000 : getppid())};
    fails("another process's thread", futex(&own, FUTEX_LOCK_PI), ESRCH);
    munmap(memory, sizeof(Common));
}

constexpr checks::Case kCases[]{
    {"between processes", between_processes},
    {"exclude each other", exclude_each_other},
    {"tell what is wrong", tell_what_is_wrong},
    {"refuse circles", refuse_circles},
    {"requeue waiters", requeue_waiters},
    {"end a requeue", end_a_requeue},
    {"pass on at the end", pass_on_at_the_end},
    {"own in the next program", own_in_the_next_program},
    {"robust", robust},
    {"leave with waiters", leave_with_waiters},
};

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1 && std::string_view{argv[1]} == "after-exec") {
        return own_after_exec();
    }
    return checks::run(argv[0], kCases);
}
