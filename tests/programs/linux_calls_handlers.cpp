// SPDX-License-Identifier: MIT
// Signal handlers: entered and left with every register as it was, on the right stack, in the right thread;
// what they do to calls that wait; faults that are caught; real-time signals that are queued.
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csetjmp>
#include <thread>

#include "checks.hpp"

namespace {

using checks::equal;
using checks::fails;
using checks::succeeds;
using checks::truth;

std::atomic<int> calls{0};
std::atomic<int> last_signal{0};
std::atomic<int> last_tid{0};
siginfo_t last_info;
std::atomic<std::uintptr_t> last_sp{0};

void note_call(int signal, siginfo_t* info, void*) {
    last_signal = signal;
    last_info = *info;
    last_tid = gettid();
    last_sp = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    calls.fetch_add(1);
}

void handle(int signal, int flags = 0, void (*handler)(int, siginfo_t*, void*) = note_call) {
    struct sigaction action{};
    action.sa_sigaction = handler;
    action.sa_flags = flags | SA_SIGINFO;
    succeeds("sigaction", sigaction(signal, &action, nullptr));
    calls = 0;
}

void restore_default(int signal) {
    struct sigaction action{};
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, nullptr);
}

sigset_t set_of(std::initializer_list<int> signals) {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : signals) {
        sigaddset(&set, signal);
    }
    return set;
}

// The registers a handler must not lose: what it clobbers is restored.
void clobber(int, siginfo_t*, void*) {
    calls.fetch_add(1);
    asm volatile(
        "li t0, -1\n li t3, -1\n li a3, -1\n li s2, -1\n li t6, -1\n"
        "fmv.d.x ft0, t0\n fmv.d.x fs3, t0\n fmv.d.x fa5, t0\n li t1, 0x1f\n fscsr t1\n"
        :
        :
        : "t0", "t1", "t3", "a3", "s2", "t6", "ft0", "fs3", "fa5");
}

void keep_registers() {
    handle(SIGUSR1, 0, clobber);
    std::uint64_t wrong = 0;
    const long pid = getpid();
    asm volatile(
        "li t0, 0x1111\n li t3, 0x2222\n li a3, 0x3333\n li s2, 0x4444\n li t6, 0x5555\n"
        "fcvt.d.l ft0, t0\n fcvt.d.l fs3, t3\n fcvt.d.l fa5, a3\n fscsr zero\n"
        "mv a0, %[pid]\n li a1, 10\n li a7, 129\n ecall\n"
        "mv %[wrong], a0\n"
        "li t1, 0x1111\n sub t2, t1, t0\n or %[wrong], %[wrong], t2\n"
        "li t1, 0x2222\n sub t2, t1, t3\n or %[wrong], %[wrong], t2\n"
        "li t1, 0x3333\n sub t2, t1, a3\n or %[wrong], %[wrong], t2\n"
        "li t1, 0x4444\n sub t2, t1, s2\n or %[wrong], %[wrong], t2\n"
        "li t1, 0x5555\n sub t2, t1, t6\n or %[wrong], %[wrong], t2\n"
        "fcvt.l.d t1, ft0\n sub t2, t1, t0\n or %[wrong], %[wrong], t2\n"
        "fcvt.l.d t1, fs3\n sub t2, t1, t3\n or %[wrong], %[wrong], t2\n"
        "fcvt.l.d t1, fa5\n sub t2, t1, a3\n or %[wrong], %[wrong], t2\n"
        "frcsr t1\n or %[wrong], %[wrong], t1\n"
        : [wrong] "=&r"(wrong)
        : [pid] "r"(pid)
        : "t0", "t1", "t2", "t3", "t6", "a0", "a1", "a3", "a7", "s2", "ft0", "fs3", "fa5", "memory");
    equal("the handler ran", calls, 1);
    equal("integer, FP and control registers are as they were", static_cast<std::int64_t>(wrong), 0);
    restore_default(SIGUSR1);
}

void tell_who_sent() {
    handle(SIGUSR1);
    succeeds("raise", raise(SIGUSR1));
    equal("before raise returns", calls, 1);
    equal("its number", last_signal, SIGUSR1);
    equal("from here", last_info.si_pid, getpid());
    succeeds("kill", kill(getpid(), SIGUSR1));
    equal("before kill returns", calls, 2);
    truth("it came by kill", last_info.si_code == SI_USER);
    const union sigval value{.sival_int = 4711};
    succeeds("sigqueue", sigqueue(getpid(), SIGUSR1, value));
    truth("it was queued", last_info.si_code == SI_QUEUE && last_info.si_value.sival_int == 4711);
    restore_default(SIGUSR1);
}

std::array<int, 8> order{};
std::atomic<int> order_count{0};
void note_order(int, siginfo_t* info, void*) {
    order[static_cast<std::size_t>(order_count.fetch_add(1)) % order.size()] = info->si_value.sival_int;
}

void queue_real_time_signals() {
    const int number = SIGRTMIN + 1;
    handle(number, 0, note_order);
    const sigset_t set = set_of({number});
    succeeds("block", sigprocmask(SIG_BLOCK, &set, nullptr));
    for (int i = 1; i <= 3; ++i) {
        succeeds("sigqueue", sigqueue(getpid(), number, {.sival_int = i}));
    }
    sigset_t pending;
    succeeds("sigpending", sigpending(&pending));
    truth("it is pending", sigismember(&pending, number) == 1);
    succeeds("unblock", sigprocmask(SIG_UNBLOCK, &set, nullptr));
    equal("each of them", order_count, 3);
    truth("in order", order[0] == 1 && order[1] == 2 && order[2] == 3);
    restore_default(number);
}

alignas(16) std::array<char, 16384> other_stack;

void use_the_other_stack() {
    const stack_t stack{.ss_sp = other_stack.data(), .ss_flags = 0, .ss_size = other_stack.size()};
    succeeds("sigaltstack", sigaltstack(&stack, nullptr));
    handle(SIGUSR1, SA_ONSTACK);
    raise(SIGUSR1);
    const auto base = reinterpret_cast<std::uintptr_t>(other_stack.data());
    truth("the handler ran there", last_sp >= base && last_sp < base + other_stack.size());
    handle(SIGUSR1);
    raise(SIGUSR1);
    truth("another one did not", last_sp < base || last_sp >= base + other_stack.size());
    const stack_t none{.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
    succeeds("without it", sigaltstack(&none, nullptr));
    restore_default(SIGUSR1);
}

// Another thread sends `signal` to this one as soon as it waits, a few times over if need be.
template <class Wait>
void interrupted(int signal, Wait&& wait) {
    const pthread_t waiter = pthread_self();
    std::atomic<bool> done{false};
    std::thread sender{[&] {
        const timespec pause{.tv_sec = 0, .tv_nsec = 1'000'000};
        while (!done) {
            nanosleep(&pause, nullptr);
            if (!done) {
                pthread_kill(waiter, signal);
            }
        }
    }};
    wait();
    done = true;
    sender.join();
}

void interrupt_waits() {
    handle(SIGUSR1, SA_RESTART);
    const timespec long_time{.tv_sec = 1000, .tv_nsec = 0};
    interrupted(SIGUSR1, [&] {
        timespec left{};
        fails("a sleep, whatever SA_RESTART says", nanosleep(&long_time, &left), EINTR);
        truth("what is left of it", left.tv_sec >= 900 && left.tv_sec < 1000);
    });
    handle(SIGUSR1);
    std::uint32_t word = 0;
    interrupted(SIGUSR1,
                [&] { fails("a futex", syscall(SYS_futex, &word, 0, 0, nullptr, nullptr, 0), EINTR); });
    interrupted(SIGUSR1, [&] {
        const sigset_t set = set_of({SIGUSR2});
        fails("sigwaitinfo", sigwaitinfo(&set, nullptr), EINTR);
    });
    handle(SIGUSR1, SA_RESTART);
    interrupted(SIGUSR1, [&] {
        std::thread waker{[&] {
            while (calls.load() < 3) {
                const timespec pause{.tv_sec = 0, .tv_nsec = 1'000'000};
                nanosleep(&pause, nullptr);
            }
            std::atomic_ref{word}.store(1);
            syscall(SYS_futex, &word, 1, 1, nullptr, nullptr, 0);
        }};
        const auto waited = syscall(SYS_futex, &word, 0, 0, nullptr, nullptr, 0);
        truth("a futex goes on behind SA_RESTART", waited == 0 || (waited == -1 && errno == EAGAIN));
        waker.join();
    });
    restore_default(SIGUSR1);
}

void suspend_with_another_mask() {
    handle(SIGUSR1);
    const sigset_t blocked = set_of({SIGUSR1});
    sigset_t before;
    sigprocmask(SIG_BLOCK, &blocked, &before);
    raise(SIGUSR1);
    equal("it is blocked", calls, 0);
    fails("sigsuspend", sigsuspend(&before), EINTR);
    equal("the handler ran", calls, 1);
    sigset_t now;
    sigprocmask(SIG_SETMASK, nullptr, &now);
    truth("the mask is as it was", sigismember(&now, SIGUSR1) == 1);
    sigprocmask(SIG_SETMASK, &before, nullptr);
    restore_default(SIGUSR1);
}

sigjmp_buf jump;
volatile std::uintptr_t nowhere = 0x10;
void jump_out(int signal, siginfo_t* info, void* context) {
    note_call(signal, info, nullptr);
    last_sp = static_cast<ucontext_t*>(context)->uc_mcontext.__gregs[0];
    siglongjmp(jump, 1);
}

void catch_faults() {
    handle(SIGSEGV, 0, jump_out);
    if (sigsetjmp(jump, 1) == 0) {
        *reinterpret_cast<volatile int*>(nowhere) = 1;
    }
    equal("a null pointer", calls, 1);
    truth("where", last_info.si_addr == reinterpret_cast<void*>(0x10) && last_info.si_code == SEGV_MAPERR);
    void* const page = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (sigsetjmp(jump, 1) == 0) {
        *static_cast<volatile int*>(page) = 1;
    }
    equal("a page that may not be written", calls, 2);
    truth("where", last_info.si_addr == page && last_info.si_code == SEGV_ACCERR);
    handle(SIGILL, 0, jump_out);
    if (sigsetjmp(jump, 1) == 0) {
        asm volatile(".4byte 0");
    }
    equal("an illegal instruction", calls, 1);
    truth("where",
          last_info.si_code == ILL_ILLOPC && last_info.si_addr == reinterpret_cast<void*>(last_sp.load()));
    handle(SIGTRAP, 0, jump_out);
    if (sigsetjmp(jump, 1) == 0) {
        asm volatile("ebreak");
    }
    equal("a breakpoint", calls, 1);
    truth("where", last_info.si_code == TRAP_BRKPT);
    for (const int signal : {SIGSEGV, SIGILL, SIGTRAP}) {
        restore_default(signal);
    }
}

// A handler repairs what the instruction needs, and the instruction runs again.
void* repaired = nullptr;
void repair(int, siginfo_t*, void*) {
    calls.fetch_add(1);
    mprotect(repaired, 4096, PROT_READ | PROT_WRITE);
}

void repair_a_fault() {
    repaired = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    handle(SIGSEGV, 0, repair);
    *static_cast<volatile int*>(repaired) = 42;
    equal("the handler ran once", calls, 1);
    equal("the store was made", *static_cast<int*>(repaired), 42);
    restore_default(SIGSEGV);
}

void* stay_until_cancelled(void*) {
    const timespec long_time{.tv_sec = 1000, .tv_nsec = 0};
    while (true) {
        nanosleep(&long_time, nullptr);
    }
}

void cancel_a_thread() {
    pthread_t thread{};
    succeeds("pthread_create", -pthread_create(&thread, nullptr, stay_until_cancelled, nullptr));
    succeeds("pthread_cancel", -pthread_cancel(thread));
    void* result = nullptr;
    succeeds("pthread_join", -pthread_join(thread, &result));
    truth("it was cancelled", result == PTHREAD_CANCELED);
}

void go_to_the_thread_that_does_not_block() {
    handle(SIGUSR1);
    const sigset_t set = set_of({SIGUSR1});
    std::atomic<int> tid{0};
    std::atomic<bool> done{false};
    std::thread other{[&] {
        tid = gettid();
        while (!done) {
            const timespec pause{.tv_sec = 0, .tv_nsec = 100'000};
            nanosleep(&pause, nullptr);
        }
    }};
    while (tid == 0) {
        std::this_thread::yield();
    }
    sigprocmask(SIG_BLOCK, &set, nullptr);
    kill(getpid(), SIGUSR1);
    while (calls == 0) {
        std::this_thread::yield();
    }
    equal("the other one took it", last_tid, tid);
    done = true;
    other.join();
    sigprocmask(SIG_UNBLOCK, &set, nullptr);
    restore_default(SIGUSR1);
}

// Handlers all over while the threads compute with FP registers and make calls.
void keep_registers_in_a_storm() {
    handle(SIGUSR1, SA_RESTART, clobber);
    constexpr int kThreads = 3;
    constexpr int kRounds = 2000;
    std::array<std::atomic<int>, kThreads> wrong{};
    std::array<std::thread, kThreads> threads;
    std::atomic<int> running{kThreads};
    for (int n = 0; n < kThreads; ++n) {
        threads[static_cast<std::size_t>(n)] = std::thread{[&, n] {
            double sum = 0;
            for (int i = 1; i <= kRounds; ++i) {
                sum += i * 0.5 + n;
                if (i % 100 == 0) {
                    getpid();
                    std::this_thread::yield();
                }
            }
            // 2000 * 2001 / 4, exact in binary.
            wrong[static_cast<std::size_t>(n)] = sum == 1000500.0 + kRounds * n ? 0 : 1;
            running.fetch_sub(1);
            while (running.load() > -1) {
                std::this_thread::yield();
            }
        }};
    }
    do {  // once at least: they may have computed everything before the first signal
        for (std::thread& thread : threads) {
            pthread_kill(thread.native_handle(), SIGUSR1);
        }
    } while (running.load() > 0 || calls == 0);
    running = -1;
    int all = 0;
    for (int n = 0; n < kThreads; ++n) {
        threads[static_cast<std::size_t>(n)].join();
        all += wrong[static_cast<std::size_t>(n)];
    }
    truth("handlers ran", calls > 0);
    equal("every sum is right", all, 0);
    restore_default(SIGUSR1);
}

constexpr checks::Case kCases[]{
    {"keep registers", keep_registers},
    {"tell who sent", tell_who_sent},
    {"queue real-time signals", queue_real_time_signals},
    {"use the other stack", use_the_other_stack},
    {"interrupt waits", interrupt_waits},
    {"suspend with another mask", suspend_with_another_mask},
    {"catch faults", catch_faults},
    {"repair a fault", repair_a_fault},
    {"cancel a thread", cancel_a_thread},
    {"go to the thread that does not block", go_to_the_thread_that_does_not_block},
    {"keep registers in a storm", keep_registers_in_a_storm},
};

}  // namespace

int main(int, char** argv) {
    return checks::run(argv[0], kCases);
}
