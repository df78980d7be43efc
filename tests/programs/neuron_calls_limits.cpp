// SPDX-License-Identifier: MIT
// Budgets, ceilings and groups: what their calls accept and refuse, what children inherit, and that a budget
// holds.
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <thread>

#include "neuron_checks.hpp"

namespace {

namespace call = nexus_abi::call;
namespace sched = nexus_abi::sched;
using checks::answers;
using checks::bad_pointer;
using checks::equal;
using checks::exits;
using checks::fails;
using checks::started;
using checks::succeeds;
using checks::truth;
using nexus_abi::QosClass;
using nexus_abi::sched_attr;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::int32_t kNobody = 30'000;

sched_attr attributes() {
    return sched::get_attr(0).value_or({});
}

std::uint64_t now_ns() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
}

// With one hart the machine counts instructions, and its times are exact. Several run as the emulator's host
// lets them: a timer may be late by any time, so nothing is said about time then.
bool time_is_exact() {
    const auto told = nexus_abi::info();
    return told.ok() && (told->cpus_possible & (told->cpus_possible - 1)) == 0;
}

// Runs until `duration` has passed, and tells how much of it was run.
std::uint64_t spin(std::uint64_t duration_ns) {
    const std::uint64_t begin = now_ns();
    const std::uint64_t before = sched::get_stat(0).value_or({}).runtime_ns;
    while (now_ns() - begin < duration_ns) {
    }
    return sched::get_stat(0).value_or({}).runtime_ns - before;
}

void set_budgets() {
    succeeds("10 ms of 100 ms", sched::set_budget(0, milliseconds{10}, milliseconds{100}));
    equal("its runtime", static_cast<std::int64_t>(attributes().budget_ns), 10'000'000);
    equal("its period", static_cast<std::int64_t>(attributes().period_ns), 100'000'000);
    succeeds("the shortest", sched::set_budget(0, microseconds{100}, microseconds{100}));
    succeeds("the longest", sched::set_budget(0, milliseconds{1000}, milliseconds{1000}));
    struct Refused {
        std::int64_t runtime_us;
        std::int64_t period_us;
    };
    for (const Refused& wrong :
         {Refused{99, 1000}, Refused{1001, 1000}, Refused{100, 1'000'001}, Refused{-1, 1000},
          Refused{100, -1}, Refused{0, 1000}, Refused{100, 0}, Refused{100, 1LL << 40}}) {
        fails(std::to_string(wrong.runtime_us) + " of " + std::to_string(wrong.period_us),
              call::sched_set_budget(0, wrong.runtime_us, wrong.period_us), EINVAL);
    }
    equal("the last one stands", static_cast<std::int64_t>(attributes().budget_ns), 1'000'000'000);
    fails("nobody's", call::sched_set_budget(kNobody, 100, 1000), ESRCH);
    sched_attr change{};
    change.fields = nexus_abi::kFieldBudget;
    change.budget_ns = 5'000'000;
    change.period_ns = 50'000'000;
    succeeds("with all attributes", sched::set_attr(0, change));
    equal("it is told", static_cast<std::int64_t>(attributes().period_ns), 50'000'000);
    change.budget_ns = 51'000'000;
    fails("more than there is", sched::set_attr(0, change), EINVAL);
    succeeds("none", sched::set_budget(0, microseconds{0}, microseconds{0}));
    equal("nothing is told", static_cast<std::int64_t>(attributes().period_ns), 0);
}

// A window that begins anywhere holds at most one budget, so a stretch of n periods holds at most n + 1 and
// one timer latency each. How much is run is the kernel's account; what the clock says may only make it less.
void keep_to_a_budget() {
    constexpr std::uint64_t kBudgetNs = 5'000'000;
    constexpr std::uint64_t kPeriodNs = 50'000'000;
    constexpr std::uint64_t kPeriods = 4;
    constexpr std::uint64_t kLatencyNs = 50'000;
    const std::uint64_t throttled_before = sched::get_stat(0).value_or({}).nr_throttled;
    succeeds("5 ms of 50 ms",
             sched::set_budget(0, microseconds{kBudgetNs / 1000}, microseconds{kPeriodNs / 1000}));
    const std::uint64_t run = spin(kPeriods * kPeriodNs);
    const auto stat = sched::get_stat(0).value_or({});
    succeeds("none", sched::set_budget(0, microseconds{0}, microseconds{0}));
    std::printf("# ran %.3f ms of %llu ms on %.0f ms in %.0f ms, throttled %llu times\n",
                static_cast<double>(run) / 1e6,
                static_cast<unsigned long long>(kPeriods * kPeriodNs / 1'000'000),
                static_cast<double>(kBudgetNs) / 1e6, static_cast<double>(kPeriodNs) / 1e6,
                static_cast<unsigned long long>(stat.nr_throttled - throttled_before));
    truth("no more than that was run", !time_is_exact() || run <= (kPeriods + 1) * (kBudgetNs + kLatencyNs));
    truth("it was throttled", stat.nr_throttled > throttled_before);
    truth("in each period", !time_is_exact() || stat.nr_throttled - throttled_before >= kPeriods - 1);
    truth("most of the time",
          !time_is_exact() || stat.throttled_ns >= (kPeriods - 1) * (kPeriodNs - kBudgetNs - kLatencyNs));
}

// Threads of a task with InheritBudget draw on the same budget.
void share_a_budget() {
    sched_attr change{};
    change.fields = nexus_abi::kFieldBudget | nexus_abi::kFieldFlags;
    change.flags = nexus_abi::kAttrInheritBudget;
    change.budget_ns = 10'000'000;
    change.period_ns = 50'000'000;
    succeeds("a budget to share", sched::set_attr(0, change));
    constexpr std::uint64_t kSpinNs = 100'000'000;
    std::uint64_t others = 0;
    std::uint64_t period = 0;
    std::thread thread{[&] {
        period = attributes().period_ns;
        others = spin(kSpinNs);
    }};
    const std::uint64_t own = spin(kSpinNs);
    thread.join();
    equal("the thread has it", static_cast<std::int64_t>(period), 50'000'000);
    // Two periods, one more for where they begin, and as long again for the thread, which may begin later.
    truth("together no more than one budget a period",
          !time_is_exact() || own + others <= 5 * (10'000'000 + 50'000));
    change.flags = 0;
    change.budget_ns = change.period_ns = 0;
    succeeds("none", sched::set_attr(0, change));
}

void set_limits() {
    fails("an empty struct", sched::set_limits(0, {}), EINVAL);
    sched_attr limits{};
    limits.fields = nexus_abi::kFieldLatency;
    fails("a field that is no ceiling", sched::set_limits(0, limits), EINVAL);
    limits.fields = nexus_abi::kFieldShares;
    fails("0 shares", sched::set_limits(0, limits), EINVAL);
    limits.shares = 1001;
    fails("1001 shares", sched::set_limits(0, limits), EINVAL);
    limits.fields = nexus_abi::kFieldGroup;
    limits.group = 1001;
    fails("a group of 1001", sched::set_limits(0, limits), EINVAL);
    limits.fields = nexus_abi::kFieldAffinity;
    fails("no cpu", sched::set_limits(0, limits), EINVAL);
    fails("a struct of the kernel's",
          call::sched_set_limits(0, bad_pointer<sched_attr>(), sizeof(sched_attr)), EFAULT);
    fails("a short struct", call::sched_set_limits(0, &limits, 8), EINVAL);
    limits.affinity = 1;
    fails("nobody", sched::set_limits(kNobody, limits), ESRCH);
    fails(
        "no group by the attributes' call",
        [] {
            sched_attr change{};
            change.fields = nexus_abi::kFieldGroup;
            change.group = 5;
            return sched::set_attr(0, change);
        }(),
        EINVAL);

    // A child is born with ceilings, and cannot leave them.
    limits = {};
    limits.fields =
        nexus_abi::kFieldClass | nexus_abi::kFieldShares | nexus_abi::kFieldAffinity | nexus_abi::kFieldGroup;
    limits.qos_class = static_cast<std::uint32_t>(QosClass::Idle);
    limits.shares = 50;
    limits.affinity = 1;
    limits.group = 20;
    exits("a child with ceilings", started("limited", {.limits = &limits}), 0);
    limits.size = 0;
    limits.qos_class = static_cast<std::uint32_t>(QosClass::Interactive);
    exits("one that may rise", started("rising", {.limits = &limits}), 0);

    // They may also come later.
    const std::int32_t child = started("sleep");
    succeeds("ceilings for a child", sched::set_limits(child, limits));
    answers(
        "it has no more than these shares",
        [&]() -> nexus_abi::Result<std::uint32_t> { return TRY(sched::get_attr(child)).shares; }(), 50);
    answers(
        "and this group",
        [&]() -> nexus_abi::Result<std::uint32_t> { return TRY(sched::get_attr(child)).group; }(), 20);
    succeeds("it ends", kill(child, SIGKILL));
    checks::is_killed("it ends", child, SIGKILL);
    exits("without the right", started("no-rights", {.rights = 0}), 0);
}

// What getattr tells may be set again; only the values that are for reading are left out.
void set_what_is_told() {
    const auto told = [] {
        sched_attr all = attributes();
        all.effective_class = all.effective_shares = 0;
        all.effective_affinity = 0;
        return all;
    };
    sched_attr limits{};
    limits.fields = nexus_abi::kFieldGroup;
    for (const std::uint32_t ceiling : {0U, 50U}) {
        limits.group = ceiling;
        succeeds("a ceiling of the group", sched::set_limits(0, limits));
        const sched_attr before = told();
        equal("it is told", before.group, ceiling);
        equal("with all the rest", static_cast<std::int64_t>(before.fields),
              static_cast<std::int64_t>(nexus_abi::kFieldsAll));
        succeeds("all as it is", sched::set_attr(0, before));
        truth("nothing has changed", std::memcmp(&before, std::array{told()}.data(), sizeof(before)) == 0);
        sched_attr change = before;
        change.shares = 70;
        change.group = ceiling + 1;
        fails("another group", sched::set_attr(0, change), EINVAL);
        truth("all or none", std::memcmp(&before, std::array{told()}.data(), sizeof(before)) == 0);
        change.group = 0;
        succeeds("no group named", sched::set_attr(0, change));
        equal("it stays", attributes().group, ceiling);
        succeeds("as before", sched::set_attr(0, before));
    }
    exits("a child may name its parent's", started("same-group", {.rights = 0}), 0);
    limits.group = 0;
    succeeds("no ceiling", sched::set_limits(0, limits));
}

constexpr checks::Case kCases[]{
    {"set budgets", set_budgets}, {"keep to a budget", keep_to_a_budget}, {"share a budget", share_a_budget},
    {"set limits", set_limits},   {"set what is told", set_what_is_told},
};

void play_limited() {
    const sched_attr own = attributes();
    equal("its class", own.qos_class, static_cast<int>(QosClass::Idle));
    equal("its shares", own.shares, 50);
    equal("its cpus", static_cast<std::int64_t>(own.effective_affinity), 1);
    equal("its group", own.group, 20);
    // One task of 50 shares counts for the group's 20.
    equal("what it counts for", own.effective_shares, 20);
    fails("a class above", sched::set_qos_class(0, QosClass::Normal), EPERM);
    fails("shares above", sched::set_shares(0, 51), EPERM);
    fails("another cpu", sched::set_affinity(0, 2), EINVAL);
    exits("a child inherits", started("grandchild"), 0);
    std::thread{[] { equal("so does a thread", attributes().group, 20); }}.join();
}

void play_grandchild() {
    equal("its group", attributes().group, 20);
    fails("a class above", sched::set_qos_class(0, QosClass::Normal), EPERM);
    fails("shares above", sched::set_shares(0, 51), EPERM);
}

void play_no_rights() {
    sched_attr limits{};
    limits.fields = nexus_abi::kFieldShares;
    limits.shares = 10;
    fails("limits", sched::set_limits(0, limits), EPERM);
    fails("nobody's", sched::set_limits(kNobody, limits), EPERM);
    const char* const arguments[]{checks::program, "return", nullptr};
    fails("a child with limits",
          nexus_abi::spawn({.path = checks::program, .argv = arguments, .limits = &limits}), EPERM);
    succeeds("a budget of its own", sched::set_budget(0, milliseconds{10}, milliseconds{100}));
    succeeds("a looser one", sched::set_budget(0, milliseconds{20}, milliseconds{100}));
    succeeds("none", sched::set_budget(0, microseconds{0}, microseconds{0}));
    fails("another's", sched::set_budget(getppid(), milliseconds{10}, milliseconds{100}), EPERM);
}

void play_same_group() {
    sched_attr all = attributes();
    all.effective_class = all.effective_shares = 0;
    all.effective_affinity = 0;
    equal("the parent's", all.group, 50);
    succeeds("all as it is", sched::set_attr(0, all));
    ++all.group;
    fails("another group", sched::set_attr(0, all), EINVAL);
}

constexpr checks::Role kRoles[]{
    {"limited", play_limited},
    {"rising", [] { succeeds("up to the ceiling", sched::set_qos_class(0, QosClass::Interactive)); }},
    {"grandchild", play_grandchild},
    {"no-rights", play_no_rights},
    {"same-group", play_same_group},
    {"return", [] {}},
    {"sleep",
     [] {
         const timespec long_time{.tv_sec = 1000, .tv_nsec = 0};
         nanosleep(&long_time, nullptr);
     }},
};

}  // namespace

int main(int argc, char** argv) {
    return checks::run_with_roles(argc, argv, kCases, kRoles);
}
