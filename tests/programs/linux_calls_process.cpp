// SPDX-License-Identifier: MIT
// The Linux block's calls about the process, its signals, the machine, and scheduling as Linux has it.
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "checks.hpp"

namespace {

using checks::bad_pointer;
using checks::equal;
using checks::fails;
using checks::reads;
using checks::succeeds;
using checks::truth;

constexpr pid_t kNobody = 30'000;

void identify() {
    equal("the first thread is the process", gettid(), getpid());
    equal("the first process has no parent", getppid(), 0);
    equal("all ids of users are 0", getuid() + geteuid() + getgid() + getegid(), 0);

    std::array<char, 16> name{};
    succeeds("a name", prctl(PR_SET_NAME, "a-very-long-name-indeed"));
    succeeds("it is told", prctl(PR_GET_NAME, name.data()));
    reads("it was cut", name.data(), "a-very-long-nam");
    succeeds("another name", prctl(PR_SET_NAME, "short"));
    succeeds("it is told", prctl(PR_GET_NAME, name.data()));
    reads("nothing is left of the first", {name.data(), name.size()},
          std::string{"short"} + std::string(11, '\0'));
    fails("a name of the kernel's", prctl(PR_SET_NAME, bad_pointer<char>()), EFAULT);
    fails("a name for the kernel", prctl(PR_GET_NAME, bad_pointer<char>()), EFAULT);
    fails("an unknown option", prctl(9999), EINVAL);
}

void describe_the_machine() {
    utsname machine{};
    succeeds("uname", uname(&machine));
    reads("its system", machine.sysname, "Linux");
    reads("its machine", machine.machine, "riscv64");
    truth("its release", std::string_view{machine.release}.ends_with("neuron"));
    fails("uname for the kernel", uname(bad_pointer<utsname>()), EFAULT);
    struct sysinfo info{};
    succeeds("sysinfo", sysinfo(&info));
    truth("its memory", info.totalram > (32U << 20) && info.freeram < info.totalram && info.mem_unit == 1);
    equal("its processes", info.procs, 1);
    fails("sysinfo for the kernel", sysinfo(bad_pointer<struct sysinfo>()), EFAULT);
    fails("reboot without the magic", syscall(SYS_reboot, 1, 2, 3, 0), EINVAL);
    fails("reboot with an unknown command", syscall(SYS_reboot, 0xfee1dead, 672274793, 3, 0), EINVAL);
    succeeds("Ctrl-Alt-Del is nobody's", syscall(SYS_reboot, 0xfee1dead, 672274793, 0, 0));
}

void call_what_is_not_there() {
    for (const long number : {0L, 999L, 1023L, 2000L, 2047L, 2048L, 5000L, 1L << 32 | SYS_getpid, -1L}) {
        fails(std::to_string(number), syscall(number, 0, 0, 0, 0, 0, 0), ENOSYS);
    }
    fails("rseq", syscall(SYS_rseq, 0, 0, 0, 0), ENOSYS);
}

void wait_for_nobody() {
    fails("any child", wait4(-1, nullptr, 0, nullptr), ECHILD);
    fails("any child, without waiting", wait4(-1, nullptr, WNOHANG, nullptr), ECHILD);
    fails("nobody", wait4(kNobody, nullptr, 0, nullptr), ECHILD);
    fails("itself", wait4(getpid(), nullptr, 0, nullptr), ECHILD);
    fails("a group", wait4(-2, nullptr, 0, nullptr), ECHILD);
    fails("an unknown option", wait4(-1, nullptr, 0x100, nullptr), EINVAL);
}

void address_signals() {
    const pid_t self = getpid();
    succeeds("kill asks for itself", kill(self, 0));
    succeeds("its group is itself", kill(0, 0));
    fails("kill asks for nobody", kill(kNobody, 0), ESRCH);
    fails("kill of a group", kill(-2, 0), ESRCH);
    fails("kill of everyone else", kill(-1, 0), ESRCH);
    fails("kill with no signal", kill(self, 99), EINVAL);
    succeeds("tgkill", syscall(SYS_tgkill, self, gettid(), 0));
    fails("tgkill of nobody", syscall(SYS_tgkill, self, kNobody, 0), ESRCH);
    fails("tgkill in another process", syscall(SYS_tgkill, kNobody, gettid(), 0), ESRCH);
    fails("tgkill of a group", syscall(SYS_tgkill, -1, gettid(), 0), EINVAL);
    fails("tgkill with no signal", syscall(SYS_tgkill, self, gettid(), 99), EINVAL);
    succeeds("tkill", syscall(SYS_tkill, gettid(), 0));
    fails("tkill of nobody", syscall(SYS_tkill, kNobody, 0), ESRCH);
    fails("tkill of a group", syscall(SYS_tkill, -1, 0), EINVAL);
}

void ignore_signals() {
    succeeds("SIGCHLD does nothing", kill(getpid(), SIGCHLD));
    truth("SIGUSR1 is ignored from now on", signal(SIGUSR1, SIG_IGN) == SIG_DFL);
    succeeds("it does nothing", raise(SIGUSR1));
    struct sigaction action{};
    succeeds("its action", sigaction(SIGUSR1, nullptr, &action));
    truth("is told", action.sa_handler == SIG_IGN);
    truth("and given back", signal(SIGUSR1, SIG_DFL) == SIG_IGN);
    action.sa_handler = SIG_IGN;
    fails("SIGKILL cannot be ignored", sigaction(SIGKILL, &action, nullptr), EINVAL);
    fails("SIGSTOP cannot be ignored", sigaction(SIGSTOP, &action, nullptr), EINVAL);
    const std::array<std::uint64_t, 3> ignore{1, 0, 0};
    fails("no such signal", syscall(SYS_rt_sigaction, 65, ignore.data(), nullptr, 8), EINVAL);
    fails("signal 0", syscall(SYS_rt_sigaction, 0, ignore.data(), nullptr, 8), EINVAL);
    fails("a set of another size", syscall(SYS_rt_sigaction, SIGUSR1, ignore.data(), nullptr, 4), EINVAL);
    fails("an action of the kernel's", syscall(SYS_rt_sigaction, SIGUSR1, bad_pointer<char>(), nullptr, 8),
          EFAULT);
}

void block_signals() {
    sigset_t blocked;
    sigset_t before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    sigaddset(&blocked, SIGKILL);
    succeeds("block SIGUSR2", sigprocmask(SIG_BLOCK, &blocked, &before));
    truth("it was open before", sigismember(&before, SIGUSR2) == 0);
    succeeds("a thread's own stays pending", raise(SIGUSR2));
    succeeds("the process's too", kill(getpid(), SIGUSR2));
    truth("ignoring it forgets both", signal(SIGUSR2, SIG_IGN) == SIG_DFL);
    sigset_t now;
    succeeds("open SIGUSR2", sigprocmask(SIG_SETMASK, &before, &now));
    truth("it was blocked, SIGKILL was not",
          sigismember(&now, SIGUSR2) == 1 && sigismember(&now, SIGKILL) == 0);

    succeeds("block it again", sigprocmask(SIG_BLOCK, &blocked, nullptr));
    bool is_blocked_in_thread = false;
    std::thread thread{[&] {
        sigset_t own;
        is_blocked_in_thread = sigprocmask(SIG_BLOCK, nullptr, &own) == 0 &&
                               sigismember(&own, SIGUSR2) == 1 &&
                               sigprocmask(SIG_UNBLOCK, &own, nullptr) == 0;
    }};
    thread.join();
    truth("a thread inherits the mask", is_blocked_in_thread);
    succeeds("the first thread's", sigprocmask(SIG_BLOCK, nullptr, &now));
    truth("is its own", sigismember(&now, SIGUSR2) == 1);
    succeeds("unblock", sigprocmask(SIG_UNBLOCK, &blocked, nullptr));

    std::uint64_t mask = 0;
    fails("an unknown change", syscall(SYS_rt_sigprocmask, 9, &mask, nullptr, 8), EINVAL);
    fails("a mask of another size", syscall(SYS_rt_sigprocmask, SIG_BLOCK, &mask, nullptr, 4), EINVAL);
    fails("a mask of the kernel's", syscall(SYS_rt_sigprocmask, SIG_BLOCK, bad_pointer<char>(), nullptr, 8),
          EFAULT);
}

void choose_cpus() {
    cpu_set_t all;
    cpu_set_t one;
    equal("bytes of a mask", syscall(SYS_sched_getaffinity, 0, sizeof(all), &all), 8);
    succeeds("the usable cpus", sched_getaffinity(0, sizeof(all), &all));
    for (int cpu = 0; cpu < CPU_COUNT(&all); ++cpu) {
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        succeeds("only this one", sched_setaffinity(0, sizeof(one), &one));
        equal("it runs there", sched_getcpu(), cpu);
        cpu_set_t now;
        succeeds("it is told", sched_getaffinity(0, sizeof(now), &now));
        truth("nothing else is", CPU_EQUAL(&now, &one));
    }
    CPU_ZERO(&one);
    fails("none", sched_setaffinity(0, sizeof(one), &one), EINVAL);
    CPU_SET(63, &one);
    fails("an absent one", sched_setaffinity(0, sizeof(one), &one), EINVAL);
    succeeds("all", sched_setaffinity(0, sizeof(all), &all));
    fails("of nobody", sched_setaffinity(kNobody, sizeof(all), &all), ESRCH);
    fails("a mask of the kernel's", sched_setaffinity(0, 8, bad_pointer<cpu_set_t>()), EFAULT);
    fails("a mask for the kernel", syscall(SYS_sched_getaffinity, 0, 8, bad_pointer<cpu_set_t>()), EFAULT);
    fails("a mask too short", syscall(SYS_sched_getaffinity, 0, 4, &one), EINVAL);
    fails("told of nobody", syscall(SYS_sched_getaffinity, kNobody, 8, &one), ESRCH);
    truth("threads there can be",
          std::thread::hardware_concurrency() == static_cast<unsigned>(CPU_COUNT(&all)));
    std::uint32_t cpu = 0;
    std::uint32_t node = 1;
    succeeds("getcpu", syscall(SYS_getcpu, &cpu, &node, nullptr));
    truth("a usable cpu of node 0", CPU_ISSET(cpu, &all) && node == 0);
    fails("getcpu for the kernel", syscall(SYS_getcpu, bad_pointer<char>(), nullptr, nullptr), EFAULT);
    succeeds("yield", sched_yield());
}

void choose_policies() {
    struct Policy {
        int number;
        int lowest;
        int highest;
    };
    constexpr Policy kPolicies[]{
        {SCHED_BATCH, 0, 0}, {SCHED_IDLE, 0, 0}, {SCHED_FIFO, 1, 99}, {SCHED_RR, 1, 99}, {SCHED_OTHER, 0, 0}};
    sched_param param{};
    for (const Policy& policy : kPolicies) {
        equal("lowest priority", sched_get_priority_min(policy.number), policy.lowest);
        equal("highest priority", sched_get_priority_max(policy.number), policy.highest);
        param.sched_priority = policy.highest;
        succeeds("choose it", sched_setscheduler(0, policy.number, &param));
        equal("it is told", sched_getscheduler(0), policy.number);
        sched_param told{};
        succeeds("so is", sched_getparam(0, &told));
        equal("the priority", told.sched_priority, policy.highest);
        param.sched_priority = policy.highest + 1;
        fails("a priority too high", sched_setscheduler(0, policy.number, &param), EINVAL);
    }
    param.sched_priority = 0;
    fails("an unknown policy", sched_setscheduler(0, 77, &param), EINVAL);
    fails("deadlines", sched_setscheduler(0, SCHED_DEADLINE, &param), EINVAL);
    fails("the priority of an unknown policy", sched_get_priority_max(77), EINVAL);
    fails("no priority", syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, nullptr), EINVAL);
    fails("a priority of the kernel's", sched_setscheduler(0, SCHED_OTHER, bad_pointer<sched_param>()),
          EFAULT);
    fails("of a negative id", sched_setscheduler(-1, SCHED_OTHER, &param), EINVAL);
    fails("of nobody", sched_setscheduler(kNobody, SCHED_OTHER, &param), ESRCH);
    fails("told of nobody", sched_getscheduler(kNobody), ESRCH);
    succeeds("sched_getparam", sched_getparam(0, &param));
    equal("its priority", param.sched_priority, 0);
    succeeds("sched_setparam", sched_setparam(0, &param));
    param.sched_priority = 1;
    fails("another priority", sched_setparam(0, &param), EINVAL);
    timespec interval{};
    succeeds("sched_rr_get_interval", sched_rr_get_interval(0, &interval));
    truth("there is one", interval.tv_sec == 0 && interval.tv_nsec > 0);
    fails("of nobody's", sched_rr_get_interval(kNobody, &interval), ESRCH);
}

void be_nice() {
    equal("at first", getpriority(PRIO_PROCESS, 0), 0);
    succeeds("be nice", setpriority(PRIO_PROCESS, 0, 5));
    equal("it is told", getpriority(PRIO_PROCESS, 0), 5);
    int nice_in_thread = 0;
    std::thread thread{[&] { nice_in_thread = getpriority(PRIO_PROCESS, 0); }};
    thread.join();
    equal("a thread inherits it", nice_in_thread, 5);
    succeeds("more than possible", setpriority(PRIO_PROCESS, 0, 100));
    equal("the most there is", getpriority(PRIO_PROCESS, 0), 19);
    succeeds("less than possible", setpriority(PRIO_PROCESS, 0, -100));
    errno = 0;
    equal("the least there is", getpriority(PRIO_PROCESS, 0), -20);
    succeeds("as before", setpriority(PRIO_PROCESS, 0, 0));
    fails("another kind", setpriority(static_cast<__priority_which_t>(3), 0, 0), EINVAL);
    fails("another kind's", getpriority(static_cast<__priority_which_t>(3), 0), EINVAL);
    fails("nobody", setpriority(PRIO_PROCESS, kNobody, 0), ESRCH);
    fails("nobody's", getpriority(PRIO_PROCESS, kNobody), ESRCH);
}

// Linux' struct sched_attr; the C library has none.
struct Attributes {
    std::uint32_t size{sizeof(Attributes)};
    std::uint32_t policy{SCHED_OTHER};
    std::uint64_t flags{0};
    std::int32_t nice{0};
    std::uint32_t priority{0};
    std::uint64_t runtime{0};
    std::uint64_t deadline{0};
    std::uint64_t period{0};
    std::uint32_t util_min{0};
    std::uint32_t util_max{0};
};

long set_attributes(const Attributes& wanted, int tid = 0, unsigned flags = 0) {
    return syscall(SYS_sched_setattr, tid, &wanted, flags);
}

Attributes attributes() {
    Attributes now;
    succeeds("sched_getattr", syscall(SYS_sched_getattr, 0, &now, sizeof(now), 0));
    return now;
}

void choose_attributes() {
    constexpr std::uint64_t kMillisecond = 1'000'000;
    succeeds("nice and a slice", set_attributes({.nice = 5, .runtime = kMillisecond / 10}));
    Attributes now = attributes();
    truth("are told", now.size == sizeof(now) && now.policy == SCHED_OTHER && now.nice == 5 &&
                          now.runtime == kMillisecond / 10);
    equal("nice", getpriority(PRIO_PROCESS, 0), 5);
    succeeds("a slice too short", set_attributes({.runtime = 1}));
    equal("is 0.1 ms", static_cast<std::int64_t>(attributes().runtime), kMillisecond / 10);
    succeeds("a slice too long", set_attributes({.policy = SCHED_BATCH, .runtime = 1000 * kMillisecond}));
    now = attributes();
    truth("is 100 ms", now.runtime == 100 * kMillisecond && now.policy == SCHED_BATCH);
    succeeds("a priority", set_attributes({.policy = SCHED_FIFO, .priority = 7}));
    now = attributes();
    truth("is told", now.policy == SCHED_FIFO && now.priority == 7 && now.nice == 0);
    constexpr std::uint64_t kResetOnFork = 1;
    constexpr std::uint64_t kKeepPolicy = 8;
    constexpr std::uint64_t kKeepParams = 16;
    succeeds("the policy is kept", set_attributes({.flags = kKeepPolicy, .priority = 9}));
    now = attributes();
    truth("with a new priority", now.policy == SCHED_FIFO && now.priority == 9);
    succeeds("both are kept", set_attributes({.flags = kKeepPolicy | kKeepParams | kResetOnFork}));
    now = attributes();
    truth("as they were", now.policy == SCHED_FIFO && now.priority == 9 && now.flags == kResetOnFork);
    equal("the flag is seen", sched_getscheduler(0), SCHED_FIFO | SCHED_RESET_ON_FORK);
    const pid_t child = fork();
    if (child == 0) {
        _exit(sched_getscheduler(0) == SCHED_OTHER ? 0 : 1);
    }
    int status = -1;
    equal("a child", waitpid(child, &status, 0), child);
    equal("starts afresh", status, 0);
    fails("a priority for SCHED_OTHER", set_attributes({.priority = 1}), EINVAL);
    fails("none for SCHED_FIFO", set_attributes({.policy = SCHED_FIFO}), EINVAL);
    fails("an unknown policy", set_attributes({.policy = 77}), EINVAL);
    fails("deadlines", set_attributes({.policy = SCHED_DEADLINE}), EINVAL);
    fails("an unknown flag", set_attributes({.flags = 1ULL << 40}), EINVAL);
    fails("flags of the call", set_attributes({}, 0, 1), EINVAL);
    fails("of nobody", set_attributes({}, kNobody), ESRCH);
    fails("nothing", syscall(SYS_sched_setattr, 0, nullptr, 0), EINVAL);
    Attributes odd{.size = 47};
    fails("a struct too short", set_attributes(odd), E2BIG);
    equal("the kernel's size comes back", odd.size, sizeof(Attributes));
    odd = {.size = 0};
    succeeds("size 0 is the first version's", set_attributes(odd));
    struct {
        Attributes known{.size = sizeof(Attributes) + 8};
        std::uint64_t unknown{0};
    } longer;
    succeeds("a longer one with nothing in it", set_attributes(longer.known));
    longer.unknown = 1;
    fails("with something", set_attributes(longer.known), E2BIG);
    fails("read into too little", syscall(SYS_sched_getattr, 0, &odd, 47, 0), EINVAL);
    succeeds("the first version's", syscall(SYS_sched_getattr, 0, &odd, 48, 0));
    equal("its size", odd.size, 48);
    fails("with flags", syscall(SYS_sched_getattr, 0, &odd, 56, 1), EINVAL);
    succeeds("back", set_attributes({}));
}

void change_ids() {
    truth("everybody begins as root", getuid() == 0 && geteuid() == 0 && getgid() == 0 && getegid() == 0);
    const pid_t child = fork();
    if (child == 0) {
        uid_t real = 0;
        uid_t effective = 0;
        uid_t saved = 0;
        const gid_t groups[]{5, 6, 7};
        gid_t told[3]{};
        bool right = setgroups(3, groups) == 0 && getgroups(0, nullptr) == 3 && getgroups(3, told) == 3 &&
                     told[2] == 7 && getgroups(2, told) == -1 && errno == EINVAL;
        right = right && setresgid(1, 2, 3) == 0 && getegid() == 2 && getgid() == 1;
        right = right && setresuid(10, 11, 12) == 0 && getresuid(&real, &effective, &saved) == 0 &&
                real == 10 && effective == 11 && saved == 12;
        right = right && setuid(99) == -1 && errno == EPERM && setuid(12) == 0 && geteuid() == 12 &&
                getuid() == 10;
        right = right && setgroups(0, nullptr) == -1 && errno == EPERM && setgid(9) == -1 && errno == EPERM;
        right = right && setreuid(12, 10) == 0 && getuid() == 12 && geteuid() == 10;
        _exit(right ? 0 : 1);
    }
    int status = -1;
    equal("a child", waitpid(child, &status, 0), child);
    equal("changes its ids", status, 0);
    truth("its parent's stay", getuid() == 0 && getgroups(0, nullptr) == 0);
}

constexpr checks::Case kCases[]{
    {"identify", identify},
    {"describe the machine", describe_the_machine},
    {"call what is not there", call_what_is_not_there},
    {"wait for nobody", wait_for_nobody},
    {"address signals", address_signals},
    {"ignore signals", ignore_signals},
    {"block signals", block_signals},
    {"choose cpus", choose_cpus},
    {"change ids", change_ids},
    {"choose attributes", choose_attributes},
    {"choose policies", choose_policies},
    {"be nice", be_nice},
};

}  // namespace

int main(int, char** argv) {
    return checks::run(argv[0], kCases);
}
