// SPDX-License-Identifier: MIT
// fork, vfork, posix_spawn, execve and waiting: what a child has and has not, what its end looks like, and
// that memory written on one side stays there.
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "checks.hpp"

extern "C" char** environ;

namespace {

using checks::equal;
using checks::fails;
using checks::succeeds;
using checks::truth;

// Runs `act` in a forked child and returns its wait status.
template <class Act>
int status_of(Act&& act) {
    const pid_t pid = fork();
    if (pid == 0) {
        act();
        _exit(99);
    }
    int status = -1;
    equal("the child is waited for", waitpid(pid, &status, 0), pid);
    return status;
}

int exit_of(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Runs this program again with these arguments; does not return.
template <class... Arguments>
[[noreturn]] void become(Arguments... arguments) {
    const char* const list[]{checks::program, arguments..., nullptr};
    execve(checks::program, const_cast<char* const*>(list), environ);
    _exit(98);
}

int in_data = 1;

void tell_how_it_ended() {
    for (const int code : {0, 1, 42, 255}) {
        equal("exit", exit_of(status_of([code] { _exit(code); })), code);
    }
    for (const int signal : {SIGKILL, SIGTERM, SIGABRT}) {
        const int status = status_of([signal] { raise(signal); });
        truth("killed", WIFSIGNALED(status));
        equal("by", WTERMSIG(status), signal);
    }
    const int status =
        status_of([] { *const_cast<volatile int*>(&in_data) = *static_cast<volatile int*>(nullptr); });
    truth("a fault", WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

void wait_in_every_way() {
    fails("nobody", waitpid(-1, nullptr, 0), ECHILD);
    siginfo_t info{};
    fails("nobody", waitid(P_ALL, 0, &info, WEXITED), ECHILD);
    fails("for nothing", waitid(P_ALL, 0, &info, WNOHANG), EINVAL);
    const pid_t pid = fork();
    if (pid == 0) {
    pause_until_killed:
        const timespec long_time{.tv_sec = 1000, .tv_nsec = 0};
        nanosleep(&long_time, nullptr);
        goto pause_until_killed;
    }
    equal("not yet", waitpid(-1, nullptr, WNOHANG), 0);
    info.si_pid = 7;
    succeeds("not yet", waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG));
    equal("and nothing is said", info.si_pid, 0);
    fails("somebody else's", waitpid(pid + 1000, nullptr, WNOHANG), ECHILD);
    succeeds("kill", kill(pid, SIGTERM));
    succeeds("it ends", waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT));
    truth("how", info.si_signo == SIGCHLD && info.si_code == CLD_KILLED && info.si_status == SIGTERM);
    equal("who", info.si_pid, pid);
    succeeds("it is still there", waitid(P_ALL, 0, &info, WEXITED));
    equal("who", info.si_pid, pid);
    fails("now it is not", waitid(P_ALL, 0, &info, WEXITED), ECHILD);
}

void keep_memory_apart() {
    constexpr std::size_t kPages = 300;
    constexpr std::size_t kPage = 4096;
    auto* const memory = static_cast<unsigned char*>(
        mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (std::size_t i = 0; i < kPages; ++i) {
        memory[i * kPage] = static_cast<unsigned char>(i);
    }
    in_data = 5;
    const auto wrong = [&](std::size_t added) {
        int count = 0;
        for (std::size_t i = 0; i < kPages; ++i) {
            count += memory[i * kPage] == static_cast<unsigned char>(i + added) ? 0 : 1;
        }
        return count;
    };
    const int status = status_of([&] {
        int bad = wrong(0) + (in_data == 5 ? 0 : 1);
        for (std::size_t i = 0; i < kPages; ++i) {
            memory[i * kPage] = static_cast<unsigned char>(memory[i * kPage] + 3);
        }
        in_data = 6;
        bad += wrong(3);
        // A grandchild sees what the child made of it.
        bad += exit_of(status_of([&] { _exit(wrong(3) + (in_data == 6 ? 0 : 1)); }));
        memory[0] = 1;
        _exit(bad);
    });
    equal("what the child saw", exit_of(status), 0);
    equal("what is left here", wrong(0), 0);
    equal("and in data", in_data, 5);
    for (std::size_t i = 0; i < kPages; ++i) {
        memory[i * kPage] = static_cast<unsigned char>(i + 1);
    }
    equal("it can be written still", wrong(1), 0);
    munmap(memory, kPages * kPage);
}

// The parent's other threads write while it forks: each child finds every page whole.
void fork_under_fire() {
    constexpr std::size_t kWords = 512;
    struct alignas(4096) Page {
        std::array<std::atomic<std::uint64_t>, kWords> words;
    };
    static std::array<Page, 16> pages;
    std::atomic<bool> stop{false};
    std::thread writer{[&] {
        for (std::uint64_t i = 1; !stop; ++i) {
            for (Page& page : pages) {
                page.words[0].store(i);
                page.words[kWords - 1].store(i);
            }
        }
    }};
    int bad = 0;
    for (int round = 0; round < 20; ++round) {
        bad += exit_of(status_of([] {
                   int torn = 0;
                   for (Page& page : pages) {
                       const std::uint64_t first = page.words[0].load();
                       const std::uint64_t last = page.words[kWords - 1].load();
                       // Between the two stores, or behind both; nobody writes here any more.
                       torn += first == last || first == last + 1 ? 0 : 1;
                       page.words[0].store(0);
                   }
                   _exit(torn);
               })) == 0
                   ? 0
                   : 1;
    }
    stop = true;
    writer.join();
    equal("torn", bad, 0);
    truth("the children's stores are not seen here", pages[0].words[0].load() != 0);
}

std::atomic<int> children_told{0};
siginfo_t told;
void note_child(int, siginfo_t* info, void*) {
    told = *info;
    children_told.fetch_add(1);
}

void be_told_of_ends() {
    struct sigaction action{};
    action.sa_sigaction = note_child;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    succeeds("sigaction", sigaction(SIGCHLD, &action, nullptr));
    const pid_t pid = fork();
    if (pid == 0) {
        _exit(3);
    }
    int status = 0;
    equal("wait", waitpid(pid, &status, 0), pid);
    while (children_told == 0) {
        sched_yield();
    }
    truth("of whom and how", told.si_pid == pid && told.si_code == CLD_EXITED && told.si_status == 3);
    action.sa_handler = SIG_IGN;
    action.sa_flags = 0;
    succeeds("do not want to know", sigaction(SIGCHLD, &action, nullptr));
    if (fork() == 0) {
        _exit(0);
    }
    fails("nothing is left of it", waitpid(-1, &status, 0), ECHILD);
    action.sa_handler = SIG_DFL;
    sigaction(SIGCHLD, &action, nullptr);
}

void adopt_orphans() {
    // This is pid 1.
    const pid_t child = fork();
    if (child == 0) {
        if (fork() == 0) {
            while (getppid() != 1) {
                sched_yield();
            }
            _exit(17);
        }
        _exit(16);
    }
    int sum = 0;
    for (int i = 0; i < 2; ++i) {
        int status = 0;
        waitpid(-1, &status, 0);
        sum += exit_of(status);
    }
    equal("both", sum, 33);
}

void borrow_memory() {
    in_data = 1;
    const pid_t pid = vfork();
    if (pid == 0) {
        in_data = 2;
        _exit(4);
    }
    equal("the child wrote to it", in_data, 2);
    int status = 0;
    equal("wait", waitpid(pid, &status, 0), pid);
    equal("exit", exit_of(status), 4);

    // Stopped on borrowed memory: not before it has given it back, or its parent would wait as long.
    const char* const arguments[]{checks::program, "exit", "23", nullptr};
    const pid_t stopped = vfork();
    if (stopped == 0) {
        kill(getpid(), SIGSTOP);
        execve(checks::program, const_cast<char* const*>(arguments), environ);
        _exit(5);
    }
    equal("wait for its stop", waitpid(stopped, &status, WUNTRACED), stopped);
    truth("it stopped", WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    kill(stopped, SIGCONT);
    equal("wait for its end", waitpid(stopped, &status, 0), stopped);
    equal("its program ran", exit_of(status), 23);
}

void spawn_programs() {
    pid_t pid = 0;
    const char* const arguments[]{checks::program, "exit", "23", nullptr};
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t all;
    sigfillset(&all);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    equal("posix_spawn",
          posix_spawn(&pid, checks::program, nullptr, &attributes, const_cast<char* const*>(arguments),
                      environ),
          0);
    int status = 0;
    equal("wait", waitpid(pid, &status, 0), pid);
    equal("its argument", exit_of(status), 23);
    equal("what is not there",
          posix_spawn(&pid, "/bin/none", nullptr, nullptr, const_cast<char* const*>(arguments), environ),
          ENOENT);
    fails("leaves nobody", waitpid(-1, nullptr, WNOHANG), ECHILD);
}

long bare_execve(const char* path) {
    return syscall(SYS_execve, path, nullptr, nullptr);
}

void execute() {
    equal("arguments", exit_of(status_of([] { become("exit", "77"); })), 77);
    fails("nothing", bare_execve("/bin/none"), ENOENT);
    fails("a directory", bare_execve("/bin"), EACCES);
    fails("nonsense", bare_execve("/bin/broken"), ENOEXEC);
    fails("nowhere", bare_execve(nullptr), EFAULT);
    fails("no arguments", execve(checks::program, checks::bad_pointer<char*>(), nullptr), EFAULT);
    const std::string big(20000, 'x');
    const char* const too_much[]{checks::program, big.c_str(), nullptr};
    fails("too much", execve(checks::program, const_cast<char* const*>(too_much), nullptr), E2BIG);
    const int kept = fcntl(1, F_DUPFD, 20);
    const int marked = fcntl(1, F_DUPFD_CLOEXEC, 30);
    truth("descriptors", kept >= 20 && marked >= 30);
    equal("they stay or go", exit_of(status_of([&] {
              become("descriptors", std::to_string(kept).c_str(), std::to_string(marked).c_str());
          })),
          0);
    close(kept);
    close(marked);
    equal("signals", exit_of(status_of([] {
              struct sigaction action{};
              action.sa_handler = SIG_IGN;
              sigaction(SIGUSR1, &action, nullptr);
              action.sa_handler = [](int) {};
              sigaction(SIGUSR2, &action, nullptr);
              sigset_t set;
              sigemptyset(&set);
              sigaddset(&set, SIGHUP);
              sigprocmask(SIG_SETMASK, &set, nullptr);
              become("signals");
          })),
          0);
    equal("from a thread among others", exit_of(status_of([] {
              std::array<pthread_t, 3> others;
              for (pthread_t& other : others) {
                  pthread_create(
                      &other, nullptr,
                      [](void* yields) -> void* {
                          while (true) {
                              if (yields != nullptr) {
                                  sched_yield();
                              } else {
                                  const timespec long_time{.tv_sec = 1000, .tv_nsec = 0};
                                  nanosleep(&long_time, nullptr);
                              }
                          }
                      },
                      &other == others.data() ? others.data() : nullptr);
              }
              become("alone");
          })),
          0);
}

// Class, mask and nice are the child's and stay its own through execve.
void inherit_attributes() {
    equal("scheduling", exit_of(status_of([] {
              cpu_set_t one;
              CPU_ZERO(&one);
              CPU_SET(0, &one);
              sched_setaffinity(0, sizeof(one), &one);
              const sched_param none{.sched_priority = 0};
              sched_setscheduler(0, SCHED_IDLE, &none);
              setpriority(PRIO_PROCESS, 0, 5);
              _exit(exit_of(status_of([] { become("attributes"); })));
          })),
          0);
}

void make_many() {
    constexpr int kRounds = 5;
    constexpr int kChildren = 30;
    int sum = 0;
    for (int round = 0; round < kRounds; ++round) {
        for (int i = 0; i < kChildren; ++i) {
            if (fork() == 0) {
                _exit(i);
            }
        }
        for (int i = 0; i < kChildren; ++i) {
            int status = 0;
            wait(&status);
            sum += exit_of(status);
        }
    }
    equal("all of them", sum, kRounds * kChildren * (kChildren - 1) / 2);
    fails("and no more", wait(nullptr), ECHILD);
}

// Processes fork without end while everybody is killed: nobody who is just being born is passed over. Pid 1
// only.
void kill_newborns() {
    constexpr int kRounds = 25;
    if (getpid() != 1) {
        return;
    }
    for (int round = 0; round < kRounds; ++round) {
        for (int i = 0; i < 3; ++i) {
            if (fork() == 0) {
                for (int children = 0; children < 12 && fork() > 0; ++children) {
                }
                pause();
            }
        }
        // Each round's kill meets another moment of the storm of forks.
        usleep(static_cast<useconds_t>(100 + 37 * (round % 16)));
        equal("everybody is killed", kill(-1, SIGKILL), 0);
        // Whoever is left is so for ever: he sleeps in pause(), so no time would be enough, and 0.2 s without
        // anybody's end is more than what is killed needs. Between two looks others have the hart.
        pid_t ended = 0;
        for (int patience = 2000; patience > 0 && (ended = waitpid(-1, nullptr, WNOHANG)) >= 0;) {
            if (ended == 0) {
                usleep(100);
                --patience;
            }
        }
        if (ended >= 0) {
            truth("nobody survives", false);
            kill(-1, SIGKILL);
            while (waitpid(-1, nullptr, 0) > 0) {
            }
            return;
        }
    }
}

constexpr checks::Case kCases[]{
    {"tell how it ended", tell_how_it_ended},
    {"wait in every way", wait_in_every_way},
    {"keep memory apart", keep_memory_apart},
    {"fork under fire", fork_under_fire},
    {"be told of ends", be_told_of_ends},
    {"adopt orphans", adopt_orphans},
    {"borrow memory", borrow_memory},
    {"spawn programs", spawn_programs},
    {"execute", execute},
    {"inherit attributes", inherit_attributes},
    {"make many", make_many},
};
// By itself, as `linux_calls_family newborns`.
constexpr checks::Case kNewborns[]{{"kill newborns", kill_newborns}};

// What this program is when it was executed by itself.
int play(const std::vector<std::string>& arguments) {
    const auto is_open = [&](std::size_t n) { return fcntl(std::stoi(arguments[n]), F_GETFD) >= 0; };
    if (arguments[1] == "exit") {
        return std::stoi(arguments[2]);
    }
    if (arguments[1] == "descriptors") {
        return is_open(2) && !is_open(3) ? 0 : 1;
    }
    if (arguments[1] == "signals") {
        struct sigaction ignored{};
        struct sigaction caught{};
        sigaction(SIGUSR1, nullptr, &ignored);
        sigaction(SIGUSR2, nullptr, &caught);
        sigset_t mask;
        sigprocmask(SIG_SETMASK, nullptr, &mask);
        return ignored.sa_handler == SIG_IGN && caught.sa_handler == SIG_DFL &&
                       sigismember(&mask, SIGHUP) == 1
                   ? 0
                   : 1;
    }
    if (arguments[1] == "alone") {
        return in_data == 1 && gettid() == getpid() ? 0 : 1;
    }
    if (arguments[1] == "attributes") {
        cpu_set_t mask;
        CPU_ZERO(&mask);
        sched_getaffinity(0, sizeof(mask), &mask);
        errno = 0;
        return (CPU_COUNT(&mask) == 1 && CPU_ISSET(0, &mask) ? 0 : 1) +
               (sched_getscheduler(0) == SCHED_IDLE ? 0 : 2) + (getpriority(PRIO_PROCESS, 0) == 5 ? 0 : 4);
    }
    return 97;
}

}  // namespace

int main(int count, char** argv) {
    if (count == 2 && std::string_view{argv[1]} == "newborns") {
        return checks::run(argv[0], kNewborns);
    }
    if (count > 1) {
        return play({argv, argv + count});
    }
    return checks::run(argv[0], kCases);
}
