// SPDX-License-Identifier: MIT
// Signals that are waited for: rt_sigtimedwait(2) with what is pending, what comes later, and what never
// comes.
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "checks.hpp"

namespace {

using checks::bad_pointer;
using checks::equal;
using checks::fails;
using checks::succeeds;
using checks::truth;

constexpr timespec kNow{.tv_sec = 0, .tv_nsec = 0};
constexpr timespec kOneMillisecond{.tv_sec = 0, .tv_nsec = 1'000'000};

sigset_t set_of(std::initializer_list<int> signals) {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : signals) {
        sigaddset(&set, signal);
    }
    return set;
}

void take_what_is_pending() {
    const sigset_t both = set_of({SIGHUP, SIGUSR1});
    fails("nothing is pending", sigtimedwait(&both, nullptr, &kNow), EAGAIN);
    siginfo_t info{};
    succeeds("to the process", kill(getpid(), SIGHUP));
    succeeds("a second one says nothing new", kill(getpid(), SIGHUP));
    succeeds("to the thread", static_cast<int>(syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1)));
    // Not through the library, which shows SI_TKILL as SI_USER.
    equal("the thread's own comes first", syscall(SYS_rt_sigtimedwait, &both, &info, nullptr, 8), SIGUSR1);
    truth("it came from a thread", info.si_signo == SIGUSR1 && info.si_code == SI_TKILL);
    equal("from here", info.si_pid, getpid());
    equal("then the process's", sigwaitinfo(&both, &info), SIGHUP);
    truth("it came by kill", info.si_signo == SIGHUP && info.si_code == SI_USER);
    equal("from here", info.si_pid, getpid());
    fails("each is taken once", sigtimedwait(&both, nullptr, &kNow), EAGAIN);
    succeeds("SIGCHLD is kept, though its default is to be ignored", kill(getpid(), SIGCHLD));
    const sigset_t child = set_of({SIGCHLD});
    equal("it is taken", sigtimedwait(&child, nullptr, &kNow), SIGCHLD);
}

void wait_for_what_comes() {
    const sigset_t both = set_of({SIGHUP, SIGUSR1});
    constexpr int kRounds = 100;
    std::atomic<int> taken{0};
    std::thread sender{[&] {
        for (int round = 0; round < kRounds; ++round) {
            kill(getpid(), round % 2 == 0 ? SIGHUP : SIGUSR1);
            while (taken.load() == round) {
                taken.wait(round);
            }
        }
    }};
    int in_order = 0;
    for (int round = 0; round < kRounds; ++round) {
        in_order += sigwaitinfo(&both, nullptr) == (round % 2 == 0 ? SIGHUP : SIGUSR1) ? 1 : 0;
        taken.store(round + 1);
        taken.notify_one();
    }
    sender.join();
    equal("each of them, in order", in_order, kRounds);
}

void wait_in_vain() {
    const sigset_t both = set_of({SIGHUP, SIGUSR1});
    timespec before{};
    timespec after{};
    clock_gettime(CLOCK_MONOTONIC, &before);
    fails("a millisecond", sigtimedwait(&both, nullptr, &kOneMillisecond), EAGAIN);
    clock_gettime(CLOCK_MONOTONIC, &after);
    truth("has passed", (after.tv_sec - before.tv_sec) * 1'000'000'000 + after.tv_nsec - before.tv_nsec >=
                            kOneMillisecond.tv_nsec);
    // SIGUSR2 is blocked, but waited for by nobody: it stays.
    succeeds("another one", kill(getpid(), SIGUSR2));
    fails("does not end the wait", sigtimedwait(&both, nullptr, &kOneMillisecond), EAGAIN);
    const sigset_t other = set_of({SIGUSR2});
    equal("it is still there", sigtimedwait(&other, nullptr, &kNow), SIGUSR2);
}

void refuse() {
    const sigset_t both = set_of({SIGHUP, SIGUSR1});
    const timespec wrong{.tv_sec = 0, .tv_nsec = 1'000'000'000};
    fails("a second of nanoseconds", sigtimedwait(&both, nullptr, &wrong), EINVAL);
    fails("a set of another size", syscall(SYS_rt_sigtimedwait, &both, nullptr, &kNow, 4), EINVAL);
    fails("a set of the kernel's", syscall(SYS_rt_sigtimedwait, bad_pointer<char>(), nullptr, &kNow, 8),
          EFAULT);
    fails("a time of the kernel's", syscall(SYS_rt_sigtimedwait, &both, nullptr, bad_pointer<char>(), 8),
          EFAULT);
    succeeds("a signal", kill(getpid(), SIGHUP));
    fails("details for the kernel", syscall(SYS_rt_sigtimedwait, &both, bad_pointer<char>(), &kNow, 8),
          EFAULT);
}

constexpr checks::Case kCases[]{
    {"take what is pending", take_what_is_pending},
    {"wait for what comes", wait_for_what_comes},
    {"wait in vain", wait_in_vain},
    {"refuse", refuse},
};

}  // namespace

int main(int, char** argv) {
    const sigset_t blocked = set_of({SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD});
    succeeds("block them in all threads", sigprocmask(SIG_BLOCK, &blocked, nullptr));
    return checks::run(argv[0], kCases);
}
