// SPDX-License-Identifier: MIT
// Timers that send signals: setitimer, alarm and timer_create, to the process, to a thread, to nobody; and
// timers that are read.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <thread>

#include "checks.hpp"

namespace {

using checks::bad_pointer;
using checks::equal;
using checks::fails;
using checks::succeeds;
using checks::truth;

constexpr long kMillisecond = 1'000'000;

std::int64_t now_ns() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

sigset_t block(int signal) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    return set;
}

void use_the_interval_timer() {
    const sigset_t set = block(SIGALRM);
    const itimerval once{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_usec = 2000}};
    const itimerval far{.it_interval = {}, .it_value = {.tv_sec = 1000, .tv_usec = 0}};
    succeeds("setitimer", setitimer(ITIMER_REAL, &far, nullptr));
    itimerval left{};
    succeeds("getitimer", getitimer(ITIMER_REAL, &left));
    truth("it runs", left.it_value.tv_sec >= 900 && left.it_value.tv_sec < 1000);
    const std::int64_t start = now_ns();
    succeeds("setitimer", setitimer(ITIMER_REAL, &once, nullptr));
    siginfo_t info{};
    equal("SIGALRM", sigwaitinfo(&set, &info), SIGALRM);
    truth("not before its time", now_ns() - start >= 2 * kMillisecond);
    equal("from the kernel", info.si_code, SI_KERNEL);
    succeeds("getitimer", getitimer(ITIMER_REAL, &left));
    truth("it went off once", left.it_value.tv_sec == 0 && left.it_value.tv_usec == 0);
    const itimerval often{.it_interval = {.tv_sec = 0, .tv_usec = 1000},
                          .it_value = {.tv_sec = 0, .tv_usec = 1000}};
    const std::int64_t before = now_ns();
    succeeds("again and again", setitimer(ITIMER_REAL, &often, nullptr));
    for (int i = 0; i < 3; ++i) {
        equal("SIGALRM", sigwaitinfo(&set, nullptr), SIGALRM);
    }
    truth("a period apart", now_ns() - before >= 3 * kMillisecond);
    const itimerval none{};
    succeeds("stop", setitimer(ITIMER_REAL, &none, &left));
    equal("what it was", left.it_interval.tv_usec, 1000);
    const timespec now{};
    sigtimedwait(&set, nullptr, &now);
    equal("alarm", alarm(100), 0);
    equal("what is left", alarm(0), 100);
    fails("there are no others", setitimer(static_cast<__itimer_which_t>(3), &none, nullptr), EINVAL);
    const itimerval wrong{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_usec = 1'000'000}};
    fails("a second of microseconds", setitimer(ITIMER_REAL, &wrong, nullptr), EINVAL);
}

void end_by_default() {
    const pid_t pid = fork();
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, nullptr);
        const itimerval once{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_usec = 1000}};
        setitimer(ITIMER_REAL, &once, nullptr);
        while (true) {
        }
    }
    int status = 0;
    equal("wait", waitpid(pid, &status, 0), pid);
    truth("a loop ends by SIGALRM", WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
}

timer_t create(int signal, int notify, int value, clockid_t clock = CLOCK_MONOTONIC) {
    sigevent event{};
    event.sigev_notify = notify;
    event.sigev_signo = signal;
    event.sigev_value.sival_int = value;
    if (notify == SIGEV_THREAD_ID) {
        event._sigev_un._tid = gettid();
    }
    timer_t timer{};
    succeeds("timer_create", timer_create(clock, &event, &timer));
    return timer;
}

void use_timers() {
    const sigset_t set = block(SIGRTMIN + 3);
    const timer_t timer = create(SIGRTMIN + 3, SIGEV_SIGNAL, 4711);
    const itimerspec once{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_nsec = kMillisecond}};
    succeeds("settime", timer_settime(timer, 0, &once, nullptr));
    siginfo_t info{};
    equal("its signal", sigwaitinfo(&set, &info), SIGRTMIN + 3);
    truth("its value", info.si_code == SI_TIMER && info.si_value.sival_int == 4711 && info.si_overrun == 0);
    itimerspec left{};
    succeeds("gettime", timer_gettime(timer, &left));
    truth("it is over", left.it_value.tv_sec == 0 && left.it_value.tv_nsec == 0);
    const itimerspec past{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_nsec = 1}};
    succeeds("a time that has passed", timer_settime(timer, TIMER_ABSTIME, &past, nullptr));
    equal("goes off at once", sigwaitinfo(&set, nullptr), SIGRTMIN + 3);
    succeeds("delete", timer_delete(timer));
    fails("it is gone", timer_settime(timer, 0, &once, nullptr), EINVAL);
    fails("it is gone", timer_delete(timer), EINVAL);
}

void count_overruns() {
    const sigset_t set = block(SIGUSR1);
    const timer_t timer = create(SIGUSR1, SIGEV_SIGNAL, 1);
    const itimerspec often{.it_interval = {.tv_sec = 0, .tv_nsec = kMillisecond},
                           .it_value = {.tv_sec = 0, .tv_nsec = kMillisecond}};
    const std::int64_t start = now_ns();
    succeeds("settime", timer_settime(timer, 0, &often, nullptr));
    siginfo_t info{};
    std::int64_t expired = 0;
    // The machine's timer may be late for some of them: tried again until it is not.
    do {
        const std::int64_t begin = now_ns();
        while (now_ns() - begin < 10 * kMillisecond) {
        }
        equal("one signal", sigwaitinfo(&set, &info), SIGUSR1);
        expired += 1 + info.si_overrun;
        truth("for no more than there were", expired <= (now_ns() - start) / kMillisecond);
    } while (info.si_overrun < 8);
    equal("asked for", timer_getoverrun(timer), info.si_overrun);
    equal("one that is waited for", sigwaitinfo(&set, &info), SIGUSR1);
    equal("is asked for", timer_getoverrun(timer), info.si_overrun);
    succeeds("delete", timer_delete(timer));
    const timespec now{};
    sigtimedwait(&set, nullptr, &now);
}

std::atomic<int> handled{0};
std::atomic<int> handled_by{0};
std::atomic<int> told{0};

void tell_a_thread_or_nobody() {
    struct sigaction action{};
    action.sa_handler = [](int) {
        handled_by = gettid();
        handled.fetch_add(1);
    };
    sigaction(SIGUSR2, &action, nullptr);
    const timer_t timer = create(SIGUSR2, SIGEV_THREAD_ID, 0);
    const itimerspec once{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_nsec = kMillisecond}};
    // Again and again: a signal that comes before the sleep has begun does not end it.
    const itimerspec often{.it_interval = {.tv_sec = 0, .tv_nsec = kMillisecond},
                           .it_value = {.tv_sec = 0, .tv_nsec = kMillisecond}};
    succeeds("settime", timer_settime(timer, 0, &often, nullptr));
    const timespec long_time{.tv_sec = 1000, .tv_nsec = 0};
    fails("a sleep is interrupted", nanosleep(&long_time, nullptr), EINTR);
    truth("its handler ran", handled >= 1);
    equal("here", handled_by, gettid());
    succeeds("delete", timer_delete(timer));
    action.sa_handler = [](int) { told.fetch_add(1); };
    sigaction(SIGRTMIN + 4, &action, nullptr);
    const timer_t silent = create(SIGRTMIN + 4, SIGEV_NONE, 0, CLOCK_TAI);
    succeeds("settime", timer_settime(silent, 0, &once, nullptr));
    itimerspec left{};
    do {
        timer_gettime(silent, &left);
    } while (left.it_value.tv_nsec != 0);
    equal("nobody was told", told, 0);
    succeeds("delete", timer_delete(silent));
}

std::int64_t cpu_ns(clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

// Uses CPU time until `handled` is not 0 any more; how much since `start`.
std::int64_t use_until_handled(clockid_t clock, std::int64_t start) {
    while (handled == 0) {
    }
    return cpu_ns(clock) - start;
}

void count_cpu_time() {
    struct sigaction action{};
    action.sa_handler = [](int) { handled.fetch_add(1); };
    const timespec pause{.tv_sec = 0, .tv_nsec = 10 * kMillisecond};
    constexpr std::int64_t kUsed = 2 * kMillisecond;
    struct Kind {
        int which;
        int signal;
    };
    for (const auto& [which, signal] : {Kind{ITIMER_PROF, SIGPROF}, Kind{ITIMER_VIRTUAL, SIGVTALRM}}) {
        sigaction(signal, &action, nullptr);
        handled = 0;
        const std::int64_t start = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
        const itimerval once{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_usec = kUsed / 1000}};
        succeeds("setitimer", setitimer(which, &once, nullptr));
        nanosleep(&pause, nullptr);
        truth("sleeping does not count", handled == 0 || cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - start >= kUsed);
        truth("after as much as was asked for", use_until_handled(CLOCK_PROCESS_CPUTIME_ID, start) >= kUsed);
        itimerval left{};
        succeeds("getitimer", getitimer(which, &left));
        truth("it is over", left.it_value.tv_sec == 0 && left.it_value.tv_usec == 0);
    }
    sigaction(SIGUSR2, &action, nullptr);
    handled = 0;
    const timer_t timer = create(SIGUSR2, SIGEV_SIGNAL, 0, CLOCK_THREAD_CPUTIME_ID);
    const std::int64_t start = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
    const itimerspec repeated{.it_interval = {.tv_sec = 0, .tv_nsec = kMillisecond},
                              .it_value = {.tv_sec = 0, .tv_nsec = kUsed}};
    succeeds("settime", timer_settime(timer, 0, &repeated, nullptr));
    truth("of a thread", use_until_handled(CLOCK_THREAD_CPUTIME_ID, start) >= kUsed);
    while (handled < 3) {
    }
    truth("again and again", cpu_ns(CLOCK_THREAD_CPUTIME_ID) - start >= kUsed + 2 * kMillisecond);
    succeeds("delete", timer_delete(timer));
}

void refuse() {
    // Not through the library, which keeps ids of its own.
    int id = 0;
    fails("no such clock", syscall(SYS_timer_create, 99, nullptr, &id), EINVAL);
    sigevent event{};
    event.sigev_signo = 65;
    fails("no such signal", syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id), EINVAL);
    event.sigev_signo = SIGUSR1;
    event.sigev_notify = 9;
    fails("no such notice", syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id), EINVAL);
    fails("nowhere", syscall(SYS_timer_create, CLOCK_MONOTONIC, nullptr, checks::bad_pointer<int>()), EFAULT);
    int made = 0;
    while (syscall(SYS_timer_create, CLOCK_MONOTONIC, nullptr, &id) == 0) {
        ++made;
    }
    equal("there is an end", errno, EAGAIN);
    equal("of them", made, 32);
    for (int i = 0; i < made; ++i) {
        succeeds("delete", syscall(SYS_timer_delete, i));
    }
    fails("none", syscall(SYS_timer_delete, 32), EINVAL);
    fails("none", syscall(SYS_timer_getoverrun, 0), EINVAL);
}

std::uint64_t expirations(int timer) {
    std::uint64_t times = 0;
    return read(timer, &times, sizeof(times)) == sizeof(times) ? times : 0;
}

void timer_files() {
    const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    succeeds("timerfd_create", timer);
    equal("closed by execve", fcntl(timer, F_GETFD), FD_CLOEXEC);
    std::array<char, 8> bytes{};
    fails("it is off", read(timer, bytes.data(), 8), EAGAIN);
    itimerspec time{};
    succeeds("gettime", timerfd_gettime(timer, &time));
    equal("nothing is left", time.it_value.tv_sec + time.it_value.tv_nsec, 0);
    time.it_value = {.tv_sec = 100, .tv_nsec = 0};
    time.it_interval = {.tv_sec = 7, .tv_nsec = 0};
    itimerspec old{{1, 1}, {1, 1}};
    succeeds("settime", timerfd_settime(timer, 0, &time, &old));
    equal("it was off", old.it_value.tv_sec + old.it_value.tv_nsec, 0);
    succeeds("gettime", timerfd_gettime(timer, &time));
    truth("what is left", time.it_value.tv_sec == 99 || time.it_value.tv_sec == 100);
    equal("the interval", time.it_interval.tv_sec, 7);
    fails("not yet", read(timer, bytes.data(), 8), EAGAIN);
    pollfd file{timer, POLLIN, 0};
    equal("poll says so", poll(&file, 1, 0), 0);
    time = {.it_interval = {}, .it_value = {.tv_sec = 0, .tv_nsec = 1}};
    succeeds("settime", timerfd_settime(timer, TFD_TIMER_ABSTIME, &time, &old));
    truth("what was left", old.it_value.tv_sec == 99 || old.it_value.tv_sec == 100);
    equal("long past", poll(&file, 1, -1), 1);
    equal("once", static_cast<std::int64_t>(expirations(timer)), 1);
    fails("no more", read(timer, bytes.data(), 8), EAGAIN);
    succeeds("settime", timerfd_settime(timer, 0, &time, nullptr));
    equal("poll waits", poll(&file, 1, -1), 1);
    fails("too little room", read(timer, bytes.data(), 7), EINVAL);
    fails("to the kernel", read(timer, bad_pointer<char>(), 8), EFAULT);
    time.it_value = {};
    succeeds("off", timerfd_settime(timer, 0, &time, nullptr));
    fails("what was not read is forgotten", read(timer, bytes.data(), 8), EAGAIN);
    fails("it is not written to", write(timer, bytes.data(), 8), EINVAL);
    time.it_value.tv_nsec = 1'000'000'000;
    fails("no time", timerfd_settime(timer, 0, &time, nullptr), EINVAL);
    time.it_value.tv_nsec = 0;
    fails("another flag", timerfd_settime(timer, 4, &time, nullptr), EINVAL);
    fails("no descriptor", timerfd_settime(99, 0, &time, nullptr), EBADF);
    fails("no timer", timerfd_settime(0, 0, &time, nullptr), EINVAL);
    fails("no timer", timerfd_gettime(0, &time), EINVAL);
    fails("of the kernel's", timerfd_settime(timer, 0, bad_pointer<itimerspec>(), nullptr), EFAULT);
    fails("to the kernel", timerfd_gettime(timer, bad_pointer<itimerspec>()), EFAULT);
    fails("no clock", timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
    fails("another flag", timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
    close(timer);
}

void timer_files_wait() {
    const int timer = timerfd_create(CLOCK_REALTIME, 0);
    const itimerspec often{.it_interval = {0, kMillisecond}, .it_value = {0, kMillisecond}};
    succeeds("settime", timerfd_settime(timer, 0, &often, nullptr));
    std::uint64_t times = 0;
    const std::int64_t start = now_ns();
    while (times < 10) {
        const std::uint64_t more = expirations(timer);
        truth("read waits until there is one", more > 0);
        times += more;
    }
    // The first may have been due already when the clock was read.
    truth("no more often than told", now_ns() - start >= static_cast<std::int64_t>(times - 2) * kMillisecond);
    const int list = epoll_create1(0);
    epoll_event event{.events = EPOLLIN | EPOLLET, .data = {}};
    succeeds("add", epoll_ctl(list, EPOLL_CTL_ADD, timer, &event));
    for (int i = 0; i < 3; ++i) {
        equal("epoll waits for it", epoll_wait(list, &event, 1, -1), 1);
        truth("it went off", expirations(timer) > 0);
    }
    const itimerspec off{};
    succeeds("off", timerfd_settime(timer, 0, &off, nullptr));
    // Two readers of a timer that is off; a new setting reaches both.
    std::atomic<std::uint64_t> seen{0};
    std::thread other{[&] { seen += expirations(timer); }};
    std::thread setter{[&] { timerfd_settime(timer, 0, &often, nullptr); }};
    seen += expirations(timer);
    other.join();
    setter.join();
    truth("both read it", seen >= 2);
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    const itimerspec in_time{.it_interval = {}, .it_value = {.tv_sec = now.tv_sec, .tv_nsec = 0}};
    succeeds("an hour of the day", timerfd_settime(timer, TFD_TIMER_ABSTIME, &in_time, nullptr));
    equal("long past", static_cast<std::int64_t>(expirations(timer)), 1);
    close(timer);
    close(list);
}

constexpr checks::Case kCases[]{
    {"use the interval timer", use_the_interval_timer},
    {"end by default", end_by_default},
    {"use timers", use_timers},
    {"count overruns", count_overruns},
    {"tell a thread or nobody", tell_a_thread_or_nobody},
    {"count CPU time", count_cpu_time},
    {"refuse", refuse},
    {"timer files", timer_files},
    {"timer files wait", timer_files_wait},
};

}  // namespace

int main(int, char** argv) {
    return checks::run(argv[0], kCases);
}
