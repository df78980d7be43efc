// SPDX-License-Identifier: MIT
// What a child process and a thread start with, and that nothing of a task outlives it.
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "neuron_checks.hpp"

namespace {

namespace sched = nexus_abi::sched;
using checks::answers;
using checks::equal;
using checks::fails;
using checks::is_killed;
using checks::started;
using checks::succeeds;
using checks::truth;
using nexus_abi::AffinityPolicy;
using nexus_abi::QosClass;
using nexus_abi::sched_attr;
using nexus_abi::sched_stat;

constexpr std::int32_t kSelf = sched::kSelf;
constexpr std::uint64_t kAllCpus = ~std::uint64_t{0};
constexpr std::uint64_t kSomeCpus = 1 | std::uint64_t{1} << 62;  // the first and an absent one
constexpr std::uint64_t kEverything =
    nexus_abi::kFieldsAll & ~(nexus_abi::kFieldBudget | nexus_abi::kFieldGroup);

// Every attribute other than what a task has by default.
sched_attr unusual() {
    sched_attr attr{};
    attr.fields = kEverything;
    attr.qos_class = std::to_underlying(QosClass::Interactive);
    attr.shares = 321;
    attr.latency_ns = 3'000'000;
    attr.burst_ns = 2'000'000;
    attr.affinity = kSomeCpus;
    attr.affinity_prefer = 1;
    attr.affinity_policy = std::to_underlying(AffinityPolicy::Prefer);
    return attr;
}

sched_attr usual() {
    sched_attr attr{};
    attr.fields = kEverything;
    attr.qos_class = std::to_underlying(QosClass::Normal);
    attr.shares = nexus_abi::kSharesDefault;
    attr.affinity = kAllCpus;
    return attr;
}

sched_attr attributes_of(std::int32_t pid) {
    const auto attributes = sched::get_attr(pid);
    succeeds("attributes", attributes);
    return attributes.value_or({});
}

void become(const sched_attr& attr) {
    succeeds("the parent's attributes", sched::set_attr(kSelf, attr));
}

void end(std::int32_t child) {
    succeeds("SIGKILL", kill(child, SIGKILL));
    is_killed("it obeys", child, SIGKILL);
}

// What a child of this process has, spawned with `attributes` or none.
sched_attr child_with(const sched_attr* attributes = nullptr) {
    const std::int32_t child = started("sleep", {.attributes = attributes});
    const sched_attr got = attributes_of(child);
    end(child);
    return got;
}

void expect_equal(const sched_attr& got, const sched_attr& wanted) {
    equal("class", got.qos_class, wanted.qos_class);
    equal("shares", got.shares, wanted.shares);
    equal("latency", static_cast<std::int64_t>(got.latency_ns), static_cast<std::int64_t>(wanted.latency_ns));
    equal("burst", static_cast<std::int64_t>(got.burst_ns), static_cast<std::int64_t>(wanted.burst_ns));
    equal("mask", static_cast<std::int64_t>(got.affinity), static_cast<std::int64_t>(wanted.affinity));
    equal("preferred mask", static_cast<std::int64_t>(got.affinity_prefer),
          static_cast<std::int64_t>(wanted.affinity_prefer));
    equal("policy", got.affinity_policy, wanted.affinity_policy);
    equal("flags", got.flags, wanted.flags);
    truth("no budget, no group", got.budget_ns == 0 && got.period_ns == 0 && got.group == 0);
}

// Class, shares, masks, their policy and flags; no hints, which say something of one program's work.
void inherit_by_spawn() {
    become(unusual());
    sched_attr wanted = unusual();
    wanted.latency_ns = 0;
    wanted.burst_ns = 0;
    expect_equal(child_with(), wanted);
    sched_attr idle = usual();
    idle.qos_class = std::to_underlying(QosClass::Idle);
    become(idle);
    equal("an idle parent's child is idle", child_with().qos_class, idle.qos_class);
    sched_attr burst = usual();
    burst.qos_class = std::to_underlying(QosClass::PerfBurst);
    become(burst);
    equal("PerfBurst is not inherited", child_with().qos_class, std::to_underlying(QosClass::Interactive));
    become(usual());
}

// With kAttrResetOnSpawn a child starts as if nothing had been set, but never better than its parent.
void reset_on_spawn() {
    sched_attr attr = unusual();
    attr.flags = nexus_abi::kAttrResetOnSpawn;
    become(attr);
    sched_attr wanted = usual();
    wanted.flags = nexus_abi::kAttrResetOnSpawn;
    expect_equal(child_with(), wanted);
    attr.qos_class = std::to_underlying(QosClass::Idle);
    attr.shares = 20;
    become(attr);
    wanted.qos_class = attr.qos_class;
    wanted.shares = attr.shares;
    expect_equal(child_with(), wanted);
    become(usual());
}

// What the caller names holds; the rest is inherited.
void name_at_spawn() {
    become(unusual());
    sched_attr named{};
    named.fields = nexus_abi::kFieldShares | nexus_abi::kFieldLatency | nexus_abi::kFieldAffinity;
    named.shares = 33;
    named.latency_ns = 1'000'000;
    named.affinity = kAllCpus;
    sched_attr wanted = unusual();
    wanted.shares = named.shares;
    wanted.latency_ns = named.latency_ns;
    wanted.affinity = named.affinity;
    wanted.burst_ns = 0;
    expect_equal(child_with(&named), wanted);
    named.shares = 0;
    fails("no shares", checks::start("sleep", {.attributes = &named}), EINVAL);
    named.shares = 33;
    named.affinity = std::uint64_t{1} << 62;
    fails("no cpu", checks::start("sleep", {.attributes = &named}), EINVAL);
    fails("nothing came of that", waitpid(-1, nullptr, 0), ECHILD);
    become(usual());
}

// Pre: the calling process holds no rights and has the class `Normal`.
void play_ceiling() {
    sched_attr high{};
    high.fields = nexus_abi::kFieldClass;
    high.qos_class = std::to_underlying(QosClass::Interactive);
    fails("a child above the own ceiling", checks::start("sleep", {.attributes = &high}), EPERM);
    succeeds("lower the own class", sched::set_qos_class(kSelf, QosClass::Idle));
    const std::int32_t child = started("sleep");
    fails("a child's ceiling is its class at birth", sched::set_qos_class(child, QosClass::Normal), EPERM);
    end(child);
    succeeds("the own ceiling stays", sched::set_qos_class(kSelf, QosClass::Normal));
}

void inherit_ceilings() {
    checks::exits("an unprivileged process", started("ceiling"), 0);
    // Who holds the right may lift a class above the ceiling, and the ceiling stays.
    const std::int32_t child = started("lifted");
    succeeds("lift it", sched::set_qos_class(child, QosClass::Interactive));
    checks::exits("it falls and cannot rise", child, 0);
}

// Spins until its parent has lifted it.
void play_lifted() {
    while (sched::get_qos_class(kSelf).value_or({}).requested != QosClass::Interactive) {
    }
    succeeds("down", sched::set_qos_class(kSelf, QosClass::Normal));
    fails("up again", sched::set_qos_class(kSelf, QosClass::Interactive), EPERM);
}

// A thread is part of the program: it starts with everything, hints and ResetOnSpawn included.
void inherit_by_thread() {
    sched_attr attr = unusual();
    attr.flags = nexus_abi::kAttrResetOnSpawn;
    become(attr);
    succeeds("nice", setpriority(PRIO_PROCESS, 0, 3));
    attr.shares = attributes_of(kSelf).shares;
    sched_attr in_thread{};
    int nice_in_thread = 0;
    checks::Result<std::uint32_t> changed{nexus_abi::Error::NoProcess};
    std::thread thread{[&] {
        in_thread = sched::get_attr(kSelf).value_or({});
        nice_in_thread = getpriority(PRIO_PROCESS, 0);
        changed = sched::set_shares(kSelf, 9);
    }};
    thread.join();
    expect_equal(in_thread, attr);
    equal("nice", nice_in_thread, 3);
    answers("a thread's change", changed, 9);
    expect_equal(attributes_of(kSelf), attr);
    succeeds("not nice", setpriority(PRIO_PROCESS, 0, 0));
    become(usual());
}

// After birth neither parent nor child feels the other's changes.
void change_apart() {
    const std::int32_t child = started("sleep");
    become(unusual());
    expect_equal(attributes_of(child), usual());
    answers("the child's shares", sched::set_shares(child, 55), 55);
    equal("the parent's stay", attributes_of(kSelf).shares, unusual().shares);
    end(child);
    become(usual());
}

// A task takes everything with it: its id answers nothing, and who comes after begins at zero.
void leave_nothing() {
    const sched_attr attr = unusual();
    for (int round = 0; round < 3; ++round) {
        const std::int32_t child = started("sleep", {.attributes = &attr});
        succeeds("statistics while it lives", sched::get_stat(child));
        succeeds("SIGKILL", kill(child, SIGKILL));
        // Its attributes end with it, before anybody waits for it.
        while (sched::get_attr(child).ok()) {
        }
        fails("its attributes", sched::get_attr(child), ESRCH);
        is_killed("it obeys", child, SIGKILL);
        fails("its attributes", sched::get_attr(child), ESRCH);
        fails("its statistics", sched::get_stat(child), ESRCH);
        fails("a change of it", sched::set_shares(child, 1), ESRCH);
        const std::int32_t next = started("sleep");
        truth("another id", next != child);
        expect_equal(attributes_of(next), usual());
        const sched_stat stat = sched::get_stat(next).value_or({});
        truth("statistics from zero", stat.runtime_ns < 1'000'000'000 && stat.nr_latency_target_missed == 0 &&
                                          stat.nr_latency_target_met == 0 && stat.perfburst_ns == 0);
        end(next);
    }
    std::int32_t tid = 0;
    std::thread thread{[&tid] { tid = gettid(); }};
    thread.join();
    // join() waits for the thread's last act in user space; the kernel may still be ending it.
    while (sched::get_attr(tid).ok()) {
    }
    fails("a thread's attributes", sched::get_attr(tid), ESRCH);
}

constexpr checks::Case kCases[]{
    {"inherit by spawn", inherit_by_spawn},   {"reset on spawn", reset_on_spawn},
    {"name at spawn", name_at_spawn},         {"inherit ceilings", inherit_ceilings},
    {"inherit by thread", inherit_by_thread}, {"change apart", change_apart},
    {"leave nothing", leave_nothing},
};

[[noreturn]] void sleep_for_ever() {
    for (;;) {
        const timespec long_time{.tv_sec = 1000, .tv_nsec = 0};
        nanosleep(&long_time, nullptr);
    }
}

constexpr checks::Role kRoles[]{
    {"sleep", sleep_for_ever},
    {"ceiling", play_ceiling},
    {"lifted", play_lifted},
};

}  // namespace

int main(int argc, char** argv) {
    return checks::run_with_roles(argc, argv, kCases, kRoles);
}
