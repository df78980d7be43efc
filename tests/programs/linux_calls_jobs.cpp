// SPDX-License-Identifier: MIT
// Job control: process groups, sessions, stopping and continuing, and whose the terminal is.
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <functional>
#include <thread>

#include "checks.hpp"

namespace {

using checks::equal;
using checks::fails;
using checks::succeeds;
using checks::truth;

// A child runs `body` and ends with the number of its expectations that did not hold.
pid_t child(const std::function<void()>& body) {
    std::fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        checks::wrong = 0;
        body();
        std::fflush(stdout);
        _exit(checks::status());
    }
    return pid;
}

void ends_well(pid_t pid) {
    int status = 0;
    equal("it ends", waitpid(pid, &status, 0), pid);
    equal("as it should", status, 0);
}

void ends_by(pid_t pid, int signal) {
    int status = 0;
    equal("it ends", waitpid(pid, &status, 0), pid);
    truth("by the signal", WIFSIGNALED(status) && WTERMSIG(status) == signal);
}

void stops_by(pid_t pid, int signal) {
    int status = 0;
    equal("it stops", waitpid(pid, &status, WUNTRACED), pid);
    equal("by the signal", status, signal << 8 | 0x7f);
}

// Until sigsuspend() with the mask it returns: else the signal might come, and be forgotten, before the wait
// for it begins.
sigset_t hold_back(int signal) {
    sigset_t before{};
    sigset_t blocked{};
    sigemptyset(&blocked);
    sigaddset(&blocked, signal);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    return before;
}

[[noreturn]] void pause_for_ever() {
    while (true) {
        pause();
    }
}

// One end to say something, one to hear it, across fork.
struct Line {
    std::array<int, 2> ends{};
    Line() { succeeds("a pipe", pipe(ends.data())); }
    ~Line() {
        close(ends[0]);
        close(ends[1]);
    }
    void say() { equal("said", write(ends[1], "x", 1), 1); }
    void hear() {
        char byte = 0;
        equal("heard", read(ends[0], &byte, 1), 1);
    }
    [[nodiscard]] bool is_silent() {
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
        char byte = 0;
        const bool silent = read(ends[0], &byte, 1) == -1 && errno == EAGAIN;
        fcntl(ends[0], F_SETFL, 0);
        return silent;
    }
    void drain() {
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
        std::array<char, 4096> bytes;
        while (read(ends[0], bytes.data(), bytes.size()) > 0) {
        }
        fcntl(ends[0], F_SETFL, 0);
    }
};

void name_groups() {
    equal("the first process begins a group", getpgid(0), getpid());
    const int terminal = open("/dev/tty", O_RDWR);
    succeeds("and has the terminal", terminal);
    close(terminal);
    equal("and a session", getsid(0), getpid());
    equal("by its number", getpgid(getpid()), getpid());
    fails("nobody", getpgid(-1), ESRCH);
    fails("nobody has this number", getpgid(32'000), ESRCH);
    fails("a negative group", setpgid(0, -1), EINVAL);
    fails("nobody's group", setpgid(32'000, 0), ESRCH);
    fails("a session's leader stays", setpgid(0, 0), EPERM);
    fails("and begins no other", setsid(), EPERM);
    Line go;
    Line ready;
    const pid_t one = child([&] {
        equal("in its parent's group", getpgid(0), getppid());
        equal("and session", getsid(0), getppid());
        ready.say();
        go.hear();
        equal("moved by its parent", getpgid(0), getpid());
        fails("who leads a group begins no session", setsid(), EPERM);
    });
    const pid_t two = child([&] { go.hear(); });
    ready.hear();
    fails("a group that is not there", setpgid(two, 32'000), EPERM);
    succeeds("a group of its own", setpgid(one, one));
    equal("it has it", getpgid(one), one);
    succeeds("the other joins it", setpgid(two, one));
    equal("it did", getpgid(two), one);
    go.say();
    go.say();
    int status = 0;
    const pid_t first = waitpid(-one, &status, 0);
    truth("one of the group", (first == one || first == two) && status == 0);
    truth("the group outlives its leader", getpgid(first == one ? two : one) == one);
    const pid_t second = waitpid(-one, &status, 0);
    equal("the other of the group", first + second, one + two);
    fails("nobody of it is left", waitpid(-one, &status, 0), ECHILD);
    ends_well(child([] {
        equal("a session of its own", setsid(), getpid());
        truth("and a group", getpgid(0) == getpid() && getsid(0) == getpid());
        fails("without the terminal", open("/dev/tty", O_RDWR), ENXIO);
        const int console = open("/dev/console", O_RDWR | O_NOCTTY);
        succeeds("which is the console's, too", console);
        close(console);
        fails("its parent's group is of another session", setpgid(0, getppid()), EPERM);
        fails("the session has no terminal", tcgetpgrp(0), ENOTTY);
        fails("another session has it", ioctl(0, TIOCSCTTY, 0), EPERM);
    }));
}

void wait_for_groups() {
    Line go;
    const pid_t own = child([&] { go.hear(); });
    const pid_t other = child([&] { pause_for_ever(); });
    succeeds("elsewhere", setpgid(other, other));
    equal("nobody of the caller's group has ended", waitpid(0, nullptr, WNOHANG), 0);
    go.say();
    equal("one has", waitpid(0, nullptr, 0), own);
    fails("nobody of the caller's group is left", waitpid(0, nullptr, 0), ECHILD);
    succeeds("its group is signalled", kill(-other, SIGTERM));
    siginfo_t info{};
    succeeds("by group", waitid(P_PGID, static_cast<id_t>(other), &info, WEXITED));
    truth("that one", info.si_pid == other && info.si_code == CLD_KILLED && info.si_status == SIGTERM);
    fails("no such group", kill(-other, SIGTERM), ESRCH);
}

void stop_and_continue() {
    const pid_t pid = child([] { pause_for_ever(); });
    equal("nothing is new", waitpid(pid, nullptr, WNOHANG | WUNTRACED | WCONTINUED), 0);
    succeeds("it is stopped", kill(pid, SIGSTOP));
    siginfo_t info{};
    succeeds("its parent hears", waitid(P_PID, static_cast<id_t>(pid), &info, WSTOPPED | WNOWAIT));
    truth("that it stopped", info.si_signo == SIGCHLD && info.si_pid == pid && info.si_code == CLD_STOPPED &&
                                 info.si_status == SIGSTOP);
    equal("only who asks hears", waitpid(pid, nullptr, WNOHANG), 0);
    stops_by(pid, SIGSTOP);
    equal("once", waitpid(pid, nullptr, WNOHANG | WUNTRACED), 0);
    succeeds("what would end it", kill(pid, SIGTERM));
    equal("waits", waitpid(pid, nullptr, WNOHANG), 0);
    succeeds("until it goes on", kill(pid, SIGCONT));
    ends_by(pid, SIGTERM);

    const pid_t other = child([] { pause_for_ever(); });
    succeeds("stopped", kill(other, SIGTSTP));  // an orphaned group does not stop
    succeeds("it does nothing to a group nobody could continue", kill(other, 0));
    equal("it runs", waitpid(other, nullptr, WNOHANG | WUNTRACED), 0);
    succeeds("a group of its own", setpgid(other, other));
    succeeds("stopped", kill(other, SIGTSTP));
    stops_by(other, SIGTSTP);
    succeeds("continued", kill(other, SIGCONT));
    int status = 0;
    equal("its parent hears", waitpid(other, &status, WCONTINUED), other);
    truth("that it goes on", WIFCONTINUED(status));
    succeeds("stopped again", kill(other, SIGSTOP));
    succeeds("any child", waitid(P_ALL, 0, &info, WSTOPPED));
    equal("it is", info.si_pid, other);
    succeeds("killed while it is stopped", kill(other, SIGKILL));
    ends_by(other, SIGKILL);
}

std::atomic<int> child_signals{0};

void count_child_signal(int) {
    child_signals.fetch_add(1);
}

void tell_parents() {
    struct sigaction action{};
    action.sa_handler = &count_child_signal;
    action.sa_flags = SA_RESTART;
    sigaction(SIGCHLD, &action, nullptr);
    child_signals.store(0);
    const pid_t pid = child([] { pause_for_ever(); });
    kill(pid, SIGSTOP);
    stops_by(pid, SIGSTOP);
    equal("a signal when it stopped", child_signals.load(), 1);
    kill(pid, SIGCONT);
    equal("went on", waitpid(pid, nullptr, WCONTINUED), pid);
    equal("and when it went on", child_signals.load(), 2);
    action.sa_flags = SA_RESTART | SA_NOCLDSTOP;
    sigaction(SIGCHLD, &action, nullptr);
    kill(pid, SIGSTOP);
    stops_by(pid, SIGSTOP);
    equal("not by SA_NOCLDSTOP", child_signals.load(), 2);
    kill(pid, SIGKILL);
    ends_by(pid, SIGKILL);
    equal("its end is told", child_signals.load(), 3);
    signal(SIGCHLD, SIG_DFL);
}

// Threads of a child that say something while they run.
constexpr int kThreads = 4;

void* talk(void* line) {
    const int end = static_cast<Line*>(line)->ends[1];
    while (true) {
        static_cast<void>(write(end, "x", 1));
        sched_yield();
    }
}

void stop_all_threads() {
    std::array<Line, kThreads> lines;
    for (const Line& line : lines) {
        fcntl(line.ends[1], F_SETFL, O_NONBLOCK);  // a full pipe stops nobody
    }
    const pid_t pid = child([&] {
        for (Line& line : lines) {
            pthread_t thread{};
            equal("a thread", pthread_create(&thread, nullptr, &talk, &line), 0);
        }
        pause_for_ever();
    });
    for (int round = 0; round < 5; ++round) {
        for (Line& line : lines) {
            line.hear();  // everybody runs
        }
        kill(pid, SIGSTOP);
        stops_by(pid, SIGSTOP);
        for (Line& line : lines) {
            line.drain();
        }
        for (int turn = 0; turn < 100; ++turn) {
            sched_yield();
        }
        for (Line& line : lines) {
            truth("nobody runs", line.is_silent());
        }
        kill(pid, SIGCONT);
        equal("continued", waitpid(pid, nullptr, WCONTINUED), pid);
    }
    kill(pid, SIGSTOP);
    stops_by(pid, SIGSTOP);
    kill(pid, SIGKILL);
    ends_by(pid, SIGKILL);
}

std::atomic<int> continues{0};

void count_continue(int) {
    continues.fetch_add(1);
}

void go_on_with_calls() {
    Line line;
    const pid_t reader = child([&] { line.hear(); });
    const pid_t sleeper = child([] {
        const timespec hour{.tv_sec = 3600, .tv_nsec = 0};
        succeeds("never", nanosleep(&hour, nullptr));
    });
    for (const pid_t pid : {reader, sleeper}) {
        kill(pid, SIGSTOP);
        stops_by(pid, SIGSTOP);
    }
    line.say();
    equal("it stands still", waitpid(reader, nullptr, WNOHANG), 0);
    kill(reader, SIGCONT);
    ends_well(reader);
    kill(sleeper, SIGCONT);
    equal("it goes on", waitpid(sleeper, nullptr, WCONTINUED), sleeper);
    for (int turn = 0; turn < 100; ++turn) {
        sched_yield();
    }
    equal("and sleeps on", waitpid(sleeper, nullptr, WNOHANG), 0);
    kill(sleeper, SIGTERM);
    ends_by(sleeper, SIGTERM);
    Line ready;
    const pid_t handler = child([&] {
        signal(SIGCONT, &count_continue);
        const sigset_t before = hold_back(SIGCONT);
        ready.say();
        fails("a handler of SIGCONT interrupts", sigsuspend(&before), EINTR);
        equal("it ran", continues.load(), 1);
    });
    ready.hear();
    kill(handler, SIGSTOP);
    stops_by(handler, SIGSTOP);
    kill(handler, SIGCONT);
    ends_well(handler);
    const pid_t blocker = child([&] {
        sigset_t both;
        sigemptyset(&both);
        sigaddset(&both, SIGTSTP);
        sigaddset(&both, SIGCONT);
        sigprocmask(SIG_BLOCK, &both, nullptr);
        kill(getpid(), SIGTSTP);
        sigset_t pending;
        sigpending(&pending);
        truth("a stop signal that is blocked waits", sigismember(&pending, SIGTSTP) == 1);
        kill(getpid(), SIGCONT);
        sigpending(&pending);
        truth("SIGCONT takes its place",
              sigismember(&pending, SIGTSTP) == 0 && sigismember(&pending, SIGCONT) == 1);
        kill(getpid(), SIGTSTP);
        sigpending(&pending);
        truth("and the other way round",
              sigismember(&pending, SIGTSTP) == 1 && sigismember(&pending, SIGCONT) == 0);
    });
    ends_well(blocker);
}

void signal_groups() {
    constexpr int kMembers = 40;  // more than are signalled in one go
    Line ready;
    std::array<pid_t, kMembers> members{};
    for (pid_t& member : members) {
        member = child([&] { pause_for_ever(); });
        succeeds("into one group", setpgid(member, members[0]));
    }
    succeeds("existence", kill(-members[0], 0));
    succeeds("all are stopped", kill(-members[0], SIGSTOP));
    for (const pid_t member : members) {
        stops_by(member, SIGSTOP);
    }
    const pid_t leader = child([&] {
        setpgid(0, 0);
        ready.say();
        for (int i = 0; i < kMembers; ++i) {
            child([] { pause_for_ever(); });
        }
        kill(0, SIGUSR1);
        pause_for_ever();
    });
    ready.hear();
    ends_by(leader, SIGUSR1);
    succeeds("all are killed", kill(-members[0], SIGKILL));
    for (const pid_t member : members) {
        ends_by(member, SIGKILL);
    }
    const pid_t everybody =
        child([] { succeeds("everybody but the first process and the caller", kill(-1, SIGKILL)); });
    ends_well(everybody);
    for (int i = 0; i < kMembers; ++i) {
        int status = 0;
        truth("a grandchild that was its group's", waitpid(-1, &status, 0) > 0 && WIFSIGNALED(status));
    }
    fails("nobody is left", waitpid(-1, nullptr, 0), ECHILD);
}

void give_the_terminal_away() {
    equal("the first session has it", tcgetpgrp(0), getpgid(0));
    equal("and its number", tcgetsid(0), getsid(0));
    fails("nobody's group", tcsetpgrp(0, 32'000), ESRCH);
    signal(SIGTTOU, SIG_IGN);
    const pid_t reader = child([] {
        char byte = 0;
        equal("nothing is typed", read(0, &byte, 1), 0);
    });
    setpgid(reader, reader);
    kill(reader, SIGSTOP);
    stops_by(reader, SIGSTOP);
    termios settings{};
    succeeds("settings", tcgetattr(0, &settings));
    const termios before = settings;
    settings.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    settings.c_cc[VMIN] = 0;
    settings.c_cc[VTIME] = 1;
    succeeds("raw, with a time limit", tcsetattr(0, TCSANOW, &settings));
    kill(reader, SIGCONT);
    stops_by(reader, SIGTTIN);  // in the background
    succeeds("into the foreground", tcsetpgrp(0, reader));
    equal("it is", tcgetpgrp(0), reader);
    kill(reader, SIGCONT);
    ends_well(reader);
    succeeds("back", tcsetpgrp(0, getpgid(0)));

    timespec start{};
    timespec end{};
    char byte = 0;
    clock_gettime(CLOCK_MONOTONIC, &start);
    equal("a read that ends by its time", read(0, &byte, 1), 0);
    clock_gettime(CLOCK_MONOTONIC, &end);
    truth("after a tenth of a second",
          (end.tv_sec - start.tv_sec) * 1'000'000'000 + end.tv_nsec - start.tv_nsec >= 100'000'000);

    const pid_t deaf = child([] {
        setpgid(0, 0);
        signal(SIGTTIN, SIG_IGN);
        char ignored = 0;
        fails("who ignores SIGTTIN reads nothing", read(0, &ignored, 1), EIO);
    });
    ends_well(deaf);
    const pid_t setter = child([&] {
        signal(SIGTTOU, SIG_DFL);
        setpgid(0, 0);
        succeeds("settings", tcsetattr(0, TCSANOW, &before));
    });
    stops_by(setter, SIGTTOU);
    succeeds("into the foreground", tcsetpgrp(0, setter));
    kill(setter, SIGCONT);
    ends_well(setter);
    succeeds("back, its group has ended", tcsetpgrp(0, getpgid(0)));
    const pid_t orphan = child([] {
        const pid_t parent = child([] {
            const pid_t inner = fork();
            if (inner == 0) {
                setpgid(0, 0);
                while (getppid() != 1) {
                    sched_yield();
                }
                signal(SIGTTIN, SIG_DFL);
                char ignored = 0;
                // Its parent is the first process, of the same session: it could be continued.
                read(0, &ignored, 1);
            }
            _exit(0);
        });
        ends_well(parent);
    });
    ends_well(orphan);
    int status = 0;
    truth("it is stopped", waitpid(-1, &status, WUNTRACED) > 0);
    equal("for its reading", status, SIGTTIN << 8 | 0x7f);
    kill(-1, SIGKILL);
    truth("ended", waitpid(-1, nullptr, 0) > 0);
    succeeds("settings as before", tcsetattr(0, TCSANOW, &before));
    signal(SIGTTOU, SIG_DFL);
}

void be_nice_together() {
    Line ready;
    Line go;
    const auto body = [&] {
        std::thread thread{[&] {
            ready.say();
            go.hear();
            equal("its thread", getpriority(PRIO_PROCESS, 0), 7);
        }};
        thread.join();
        equal("the child", getpriority(PRIO_PROCESS, 0), 7);
    };
    const pid_t one = child([&] {
        setpgid(0, 0);
        body();
    });
    ready.hear();
    const pid_t two = child([&] {
        setpgid(0, one);
        body();
    });
    ready.hear();
    succeeds("one of them", setpriority(PRIO_PROCESS, static_cast<id_t>(two), -3));
    equal("the most urgent", getpriority(PRIO_PGRP, static_cast<id_t>(one)), -3);
    succeeds("all of them", setpriority(PRIO_PGRP, static_cast<id_t>(one), 7));
    equal("as one", getpriority(PRIO_PGRP, static_cast<id_t>(one)), 7);
    equal("not its parent", getpriority(PRIO_PROCESS, 0), 0);
    go.say();
    go.say();
    ends_well(one);
    ends_well(two);
    fails("no such group", setpriority(PRIO_PGRP, 32'000, 1), ESRCH);
    fails("nobody's", getpriority(PRIO_PGRP, 32'000), ESRCH);
    fails("no such user", setpriority(PRIO_USER, 4711, 1), ESRCH);
    ends_well(child([] {
        setpgid(0, 0);
        succeeds("its own group", setpriority(PRIO_PGRP, 0, 4));
        equal("itself", getpriority(PRIO_PROCESS, 0), 4);
        succeeds("another user", setuid(4711));
        equal("of that user", getpriority(PRIO_USER, 4711), 4);
        succeeds("nicer", setpriority(PRIO_USER, 0, 6));
        equal("that one", getpriority(PRIO_PROCESS, 0), 6);
    }));
    equal("others stay", getpriority(PRIO_PROCESS, 0), 0);
}

void hear_of_abandonment() {
    Line ready;
    Line hung_up;
    // A session's leader with a stopped job of its own ends: the job is told, and goes on.
    const pid_t leader = child([&] {
        setsid();
        const pid_t job = child([&] {
            setpgid(0, 0);
            signal(SIGHUP, [](int) {});
            const sigset_t before = hold_back(SIGHUP);
            ready.say();
            sigsuspend(&before);
            hung_up.say();
        });
        ready.hear();
        kill(job, SIGSTOP);
        stops_by(job, SIGSTOP);
    });
    ends_well(leader);
    hung_up.hear();
    truth("the job ends", waitpid(-1, nullptr, 0) > 0);
    truth("it said it once", hung_up.is_silent());
}

constexpr checks::Case kCases[] = {
    {"name groups and sessions", &name_groups}, {"wait for groups", &wait_for_groups},
    {"stop and continue", &stop_and_continue},  {"tell parents", &tell_parents},
    {"stop all threads", &stop_all_threads},    {"go on with calls", &go_on_with_calls},
    {"signal groups", &signal_groups},          {"give the terminal away", &give_the_terminal_away},
    {"be nice together", &be_nice_together},    {"hear of abandonment", &hear_of_abandonment},
};

}  // namespace

int main(int, char** argv) {
    return checks::run(argv[0], kCases);
}
