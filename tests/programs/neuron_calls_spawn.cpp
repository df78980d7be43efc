// SPDX-License-Identifier: MIT
// Spawning, ending, waiting, signals between processes, and what a process without rights may not do.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <string>
#include <thread>
#include <vector>

#include "neuron_checks.hpp"

namespace {

namespace call = nexus_abi::call;
namespace sched = nexus_abi::sched;
using checks::answers;
using checks::bad_pointer;
using checks::end_of;
using checks::equal;
using checks::exits;
using checks::fails;
using checks::is_killed;
using checks::start;
using checks::started;
using checks::succeeds;
using checks::truth;
using nexus_abi::In;
using nexus_abi::QosClass;
using nexus_abi::spawn_args;
using nexus_abi::spawn_fd;
using nexus_abi::SpawnRequest;

constexpr std::int32_t kNobody = 30'000;

void end_in_many_ways() {
    exits("by return", started("return"), 7);
    exits("by _exit of the first thread", started("leave"), 0xff);
    exits("by exit_group in a thread", started("leave-in-thread"), 9);
    exits("with its last thread", started("last-thread"), 0);
    is_killed("by abort()", started("abort"), SIGABRT);
    is_killed("by reading address 0", started("read-null"), SIGSEGV);
    is_killed("by a wrong instruction", started("wrong-instruction"), SIGILL);
    is_killed("by a breakpoint", started("breakpoint"), SIGTRAP);
    is_killed("by a signal that was pending when it was opened", started("open-signal"), SIGUSR2);
    is_killed("by a real-time signal", started("raise-64"), 64);
}

void kill_and_wait() {
    std::int32_t child = started("sleep");
    equal("it has not ended", waitpid(child, nullptr, WNOHANG), 0);
    succeeds("it is there", kill(child, 0));
    succeeds("a signal that does nothing", kill(child, SIGCHLD));
    succeeds("SIGTERM", kill(child, SIGTERM));
    is_killed("it obeys", child, SIGTERM);
    fails("it is gone", kill(child, 0), ESRCH);
    fails("it cannot be waited for again", waitpid(child, nullptr, 0), ECHILD);

    // Ready or running, blocked or spinning, on whatever cpu: the end is the same.
    for (const char* role : {"sleep", "spin"}) {
        child = started(role);
        succeeds("SIGKILL", kill(child, SIGKILL));
        is_killed("it obeys", child, SIGKILL);
    }
    child = started("sleep");
    succeeds("tgkill", syscall(SYS_tgkill, child, child, SIGINT));
    is_killed("it obeys", child, SIGINT);

    // Any child will do; the one that ended is found.
    const std::int32_t first = started("sleep");
    const std::int32_t second = started("return");
    int status = 0;
    rusage usage{};
    equal("any child", wait4(-1, &status, 0, &usage), second);
    truth("how it ended", WIFEXITED(status) && WEXITSTATUS(status) == 7);
    truth("what it used", usage.ru_utime.tv_sec + usage.ru_utime.tv_usec > 0);
    fails("not a child", waitpid(kNobody, &status, 0), ECHILD);
    succeeds("SIGKILL", kill(first, SIGKILL));
    is_killed("it obeys", first, SIGKILL);
    fails("no child is left", wait4(-1, &status, 0, nullptr), ECHILD);

    child = started("return");
    fails("a status for the kernel", syscall(SYS_wait4, child, bad_pointer<int>(), 0, nullptr), EFAULT);
    succeeds("usage of children", getrusage(RUSAGE_CHILDREN, &usage));
    truth("adds up", usage.ru_utime.tv_sec + usage.ru_utime.tv_usec > 0);
}

// Several children at once, and many one after the other: nothing of them stays.
void spawn_many() {
    std::vector<std::int32_t> children;
    for (int index = 0; index < 12; ++index) {
        children.push_back(started("return"));
    }
    for (const std::int32_t child : children) {
        exits("one of twelve", child, 7);
    }
    for (int index = 0; index < 40; ++index) {
        exits("one after the other", started("return"), 7);
    }
    std::array<nexus_abi::sched_snapshot_entry, 4> tasks{};
    std::uint64_t cursor = 0;
    answers("only this task is left", sched::snapshot(tasks, cursor), 1);
}

void pass_things_on() {
    const std::array<spawn_fd, 2> descriptors{{{STDOUT_FILENO, 9}, {STDIN_FILENO, 40}}};
    exits("descriptors", started("descriptors", {.descriptors = descriptors}), 0);
    exits("descriptors 0, 1 and 2 without being asked", started("standard"), 0);
    const std::array<spawn_fd, 1> closed{{{77, 1}}};
    fails("a closed descriptor", start("return", {.descriptors = closed}), EBADF);
    const std::array<spawn_fd, 1> beyond{{{1, 256}}};
    fails("a descriptor beyond the table", start("return", {.descriptors = beyond}), EBADF);
    const char* const environment[]{"COLOUR=green", nullptr};
    exits("environment", started("environment", {.envp = environment}), 0);
    exits("a name", started("name"), 0);
    exits("an id and a parent", started("identity"), 0);
    exits("a right", started("has-inspect", {.rights = nexus_abi::kRightSchedInspect}), 0);
    exits("no other right", started("no-rights"), 0);
    exits("signals as they come", started("signals"), 0);
}

void refuse_to_spawn() {
    const char* const arguments[]{"x", nullptr};
    const auto spawn = [&](const char* path) { return nexus_abi::spawn({.path = path, .argv = arguments}); };
    fails("an absent program", spawn("/bin/none"), ENOENT);
    fails("a directory", spawn("/etc"), EISDIR);
    fails("a text, which nobody may run", spawn("/etc/motd"), EACCES);
    fails("half a program", spawn("/bin/broken"), ENOEXEC);
    fails("a path of the kernel's", spawn(bad_pointer<char>()), EFAULT);
    fails("no path", spawn(nullptr), EINVAL);
    fails("a path without end", spawn(std::string(5000, 'x').c_str()), ENAMETOOLONG);
    fails("an unknown right", start("return", {.rights = nexus_abi::kRightsAll + 1}), EINVAL);

    const std::string long_argument(70'000, 'x');
    const char* const long_arguments[]{long_argument.c_str(), nullptr};
    fails("too long an argument", nexus_abi::spawn({.path = checks::program, .argv = long_arguments}), E2BIG);
    const std::vector<const char*> many(100'000, "x");
    fails("too many arguments", nexus_abi::spawn({.path = checks::program, .argv = many.data()}), E2BIG);
    fails("arguments of the kernel's",
          nexus_abi::spawn({.path = checks::program, .argv = bad_pointer<const char*>()}), EFAULT);
    fails(
        "an argument of the kernel's",
        [] {
            const char* const wrong[]{bad_pointer<char>(), nullptr};
            return nexus_abi::spawn({.path = checks::program, .argv = wrong});
        }(),
        EFAULT);

    const auto spawn_raw = [](void (*edit)(spawn_args&)) {
        spawn_args args{};
        args.size = sizeof(args);
        args.path = reinterpret_cast<std::uint64_t>(checks::program);
        edit(args);
        return call::nexus_spawn(&args, sizeof(args));
    };
    fails("an unknown flag", spawn_raw([](spawn_args& args) { args.flags = nexus_abi::kSpawnFlagsAll + 1; }),
          EINVAL);
    fails("a reserved field", spawn_raw([](spawn_args& args) { args.reserved = 1; }), EINVAL);
    fails("descriptors without an array", spawn_raw([](spawn_args& args) { args.fd_count = 1; }), EINVAL);
    fails("descriptors of the kernel's", spawn_raw([](spawn_args& args) {
              args.fds = checks::kKernelAddress;
              args.fd_count = 1;
          }),
          EFAULT);
    fails("attributes of the kernel's",
          spawn_raw([](spawn_args& args) { args.attr = checks::kKernelAddress; }), EFAULT);
    struct {
        spawn_args known{};
        std::uint64_t unknown{1};
    } longer;
    longer.known.size = sizeof(longer);
    fails("a longer request", call::nexus_spawn(&longer.known, sizeof(longer)), E2BIG);
    equal("it tells what is known", longer.known.size, sizeof(spawn_args));
    fails("a shorter request", call::nexus_spawn(&longer.known, sizeof(spawn_args) - 1), EINVAL);
    fails("a request of the kernel's", call::nexus_spawn(bad_pointer<spawn_args>(), sizeof(spawn_args)),
          EFAULT);
    fails("nothing came of all that", wait4(-1, nullptr, 0, nullptr), ECHILD);
}

// What a supervisor does: one call waits for a child's end or a request to read its configuration again.
void wait_for_children_and_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGHUP);
    succeeds("block both", sigprocmask(SIG_BLOCK, &set, nullptr));
    siginfo_t info{};
    std::int32_t child = started("return");
    equal("a child's end", sigwaitinfo(&set, &info), SIGCHLD);
    truth("it exited", info.si_code == CLD_EXITED && info.si_status == 7);
    equal("its pid", info.si_pid, child);
    exits("it can be waited for", child, 7);

    child = started("sleep");
    succeeds("SIGKILL", kill(child, SIGKILL));
    equal("its end", sigwaitinfo(&set, &info), SIGCHLD);
    truth("it was killed", info.si_code == CLD_KILLED && info.si_status == SIGKILL);
    equal("its pid", info.si_pid, child);
    is_killed("it can be waited for", child, SIGKILL);

    child = started("hang-up-parent", {.rights = nexus_abi::kRightSchedAdmin});
    equal("a request", sigwaitinfo(&set, &info), SIGHUP);
    truth("from the child", info.si_code == SI_USER && info.si_pid == child);
    equal("its end", sigwaitinfo(&set, &info), SIGCHLD);
    exits("it is done", child, 0);
    const timespec now{};
    fails("no more", sigtimedwait(&set, nullptr, &now), EAGAIN);
    succeeds("open both", sigprocmask(SIG_UNBLOCK, &set, nullptr));
}

// A child spawned held can be read and changed, and does not run until it is told to, or is killed.
void hold_a_child() {
    const std::int32_t child = started("return", {.flags = nexus_abi::kSpawnHeld});
    exits("another one runs and ends meanwhile", started("return"), 7);
    const auto stat = nexus_abi::sched::get_stat(child);
    truth("it has not run", stat.ok() && stat->runtime_ns == 0);
    equal("it has not ended", wait4(child, nullptr, WNOHANG, nullptr), 0);
    truth("its shares can be set", nexus_abi::sched::set_shares(child, 77).ok());
    const auto attributes = nexus_abi::sched::get_attr(child);
    truth("and read", attributes.ok() && attributes->effective_shares == 77);
    succeeds("go on", kill(child, SIGCONT));
    succeeds("once more", kill(child, SIGCONT));
    exits("it ran", child, 7);

    const std::int32_t killed = started("return", {.flags = nexus_abi::kSpawnHeld});
    succeeds("kill another", kill(killed, SIGKILL));
    static_cast<void>(kill(killed, SIGCONT));
    is_killed("it never ran", killed, SIGKILL);
}

constexpr checks::Case kCases[]{
    {"end in many ways", end_in_many_ways},
    {"kill and wait", kill_and_wait},
    {"spawn many", spawn_many},
    {"pass things on", pass_things_on},
    {"refuse to spawn", refuse_to_spawn},
    {"hold a child", hold_a_child},
    {"wait for children and signals", wait_for_children_and_signals},
};

[[noreturn]] void sleep_for_ever() {
    for (;;) {
        const timespec long_time{.tv_sec = 1000, .tv_nsec = 0};
        nanosleep(&long_time, nullptr);
    }
}

void play_descriptors() {
    equal("nine is the console", isatty(9), 1);
    succeeds("forty is, too", fcntl(40, F_GETFD) == -1 ? isatty(40) - 1 : 0);
    fails("one is not open", write(STDOUT_FILENO, "x", 1), EBADF);
}

void play_name() {
    std::array<char, 16> name{};
    const int comm = open("/proc/self/comm", O_RDONLY);
    equal("its length", read(comm, name.data(), name.size()), 16);
    checks::reads("the program's file name", {name.data(), 15}, "neuron_calls_sp");
}

void play_identity() {
    equal("the parent", getppid(), 1);
    truth("an id of its own", getpid() > 1 && getpid() == gettid());
}

void play_signals() {
    sigset_t blocked;
    succeeds("the mask", sigprocmask(SIG_BLOCK, nullptr, &blocked));
    truth("nothing is blocked", sigisemptyset(&blocked) == 1);
    truth("SIGTERM has its default action", signal(SIGTERM, SIG_IGN) == SIG_DFL);
}

void play_environment() {
    const char* const colour = getenv("COLOUR");
    checks::reads("a variable", colour == nullptr ? "" : colour, "green");
}

void play_has_inspect() {
    succeeds("read of another's statistics", sched::get_stat(1));
    fails("a change of another", sched::set_shares(1, 1), EPERM);
    fails("its end", kill(1, SIGKILL), EPERM);
}

// Form comes before right, and right before existence: who may not know gets EPERM for nobody, too.
void play_no_rights() {
    for (const std::int32_t other : {1, kNobody}) {
        fails("class", sched::set_qos_class(other, QosClass::Normal), EPERM);
        fails("no class", call::sched_set_qos_class(other, 9), EINVAL);
        fails("shares", sched::set_shares(other, 1), EPERM);
        fails("latency", call::sched_set_latency_hint(other, 1), EPERM);
        fails("burst", call::sched_set_burst_hint(other, 1), EPERM);
        fails("mask", call::sched_set_affinity(other, 1), EPERM);
        const std::uint64_t mask = 1;
        fails("policy", call::sched_set_affinity_policy(other, 8, &mask, 0), EPERM);
        fails("attributes", sched::set_attr(other, {}), EPERM);
        fails("read of the class", sched::get_qos_class(other), EPERM);
        fails("read of attributes", sched::get_attr(other), EPERM);
        fails("read of statistics", sched::get_stat(other), EPERM);
        fails("kill", kill(other, 0), EPERM);
        fails("Linux' policy", sched_getscheduler(other), EPERM);
        cpu_set_t cpus;
        fails("Linux' mask", sched_getaffinity(other, sizeof(cpus), &cpus), EPERM);
        fails("Linux' nice", setpriority(PRIO_PROCESS, static_cast<id_t>(other), 1), EPERM);
    }
    std::array<nexus_abi::sched_snapshot_entry, 4> tasks{};
    std::uint64_t cursor = 0;
    fails("everybody", sched::snapshot(tasks, cursor), EPERM);
    succeeds("a hart", sched::hart_stat(0));
    fails("power", syscall(SYS_reboot, 0xfee1dead, 672274793, 0x4321fedc, 0), EPERM);
    fails("a grant of what it has not", start("return", {.rights = nexus_abi::kRightPower}), EPERM);
    const sched_param first{.sched_priority = 1};
    fails("Linux' real time", sched_setscheduler(0, SCHED_FIFO, &first), EPERM);
    fails("a class above the one at birth", sched::set_qos_class(0, QosClass::Interactive), EPERM);
    succeeds("a class below", sched::set_qos_class(0, QosClass::Idle));
    succeeds("back to the one at birth", sched::set_qos_class(0, QosClass::Normal));
    answers("as many shares as there are", sched::set_shares(0, 5000), 1000);

    // Its own children are its to govern, until they are gone.
    const std::int32_t child = started("sleep");
    answers("shares of a child", sched::set_shares(child, 7), 7);
    succeeds("statistics of a child", sched::get_stat(child));
    fails("a class above a child's", sched::set_qos_class(child, QosClass::Interactive), EPERM);
    succeeds("kill of a child", kill(child, SIGKILL));
    is_killed("it obeys", child, SIGKILL);
    fails("a child that was", sched::get_stat(child), EPERM);
}

void play_open_signal() {
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    succeeds("block", sigprocmask(SIG_BLOCK, &blocked, nullptr));
    succeeds("raise", raise(SIGUSR2));
    checks::wrong = 0;
    sigprocmask(SIG_UNBLOCK, &blocked, nullptr);
}

constexpr checks::Role kRoles[]{
    {"hang-up-parent", [] { succeeds("hang up", kill(getppid(), SIGHUP)); }},
    {"return", [] { checks::wrong = 7; }},
    {"leave", [] { syscall(SYS_exit, -1); }},
    {"leave-in-thread", [] { std::thread{[] { _exit(9); }}.join(); }},
    // The process lives on until its last thread ends, whose status counts.
    {"last-thread",
     [] {
         std::thread{[] {}}.detach();
         syscall(SYS_exit, 0);
     }},
    {"abort", [] { abort(); }},
    {"read-null",
     [] {
         asm volatile("lw zero, 0(zero)" ::: "memory");
     }},
    {"wrong-instruction", [] { asm volatile("unimp"); }},
    {"breakpoint", [] { asm volatile("ebreak"); }},
    {"open-signal", play_open_signal},
    {"raise-64", [] { syscall(SYS_tkill, gettid(), 64); }},
    {"sleep", sleep_for_ever},
    {"spin",
     [] {
         for (;;) {
             asm volatile("");
         }
     }},
    {"descriptors", play_descriptors},
    {"standard", [] { equal("three", isatty(0) + isatty(1) + isatty(2), 3); }},
    {"environment", play_environment},
    {"name", play_name},
    {"identity", play_identity},
    {"has-inspect", play_has_inspect},
    {"no-rights", play_no_rights},
    {"signals", play_signals},
};

}  // namespace

int main(int argc, char** argv) {
    return checks::run_with_roles(argc, argv, kCases, kRoles);
}
