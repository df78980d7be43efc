// SPDX-License-Identifier: MIT
// The scheduler as programs see it: shares of a hart's time, masks, classes, budgets, CPUs that come and go,
// what Linux' calls make of it, the trace and the statistics.
#include <algorithm>
#include <array>
#include <set>

#include "nexus_abi/linux.hpp"
#include "nexus_abi/system.hpp"
#include "nexus_abi/trace.hpp"
#include "world.hpp"

namespace kernel::whole {
namespace {

using nexus_abi::linux_sched_attr;
using nexus_abi::sched_attr;
using nexus_abi::sched_hartstat;
using nexus_abi::sched_snapshot_entry;
using nexus_abi::sched_stat;

constexpr std::uint64_t kBadAddress = 0x10;
constexpr std::uint64_t kIn = kMemory + 0x1000;
constexpr std::uint64_t kOut = kMemory + 0x2000;
constexpr std::uint64_t kSelf = 0;
enum Policy : std::uint64_t { kOther = 0, kFifo = 1, kRoundRobin = 2, kBatch = 3, kIdle = 5, kDeadline = 6 };

class Scheduling : public WholeKernelTest {
  protected:
    std::uint64_t runtime_of(task::Task& task) {
        EXPECT_EQ(call(Syscall::sched_getstat, task.tid().value(), kOut, sizeof(sched_stat)), 0);
        return get<sched_stat>(kOut).runtime_ns;
    }
    std::optional<std::int64_t> set_mask(task::Task& task, std::uint64_t mask) {
        return call(Syscall::sched_set_affinity, task.tid().value(), mask);
    }
    std::uint64_t put_priority(std::int32_t priority) {
        put(kIn, priority);
        return kIn;
    }
};

TEST_F(Scheduling, AHartIsSharedByShares) {
    task::Task& heavy = fork();
    task::Task& light = fork();
    EXPECT_EQ(set_mask(heavy, 1), 0);
    EXPECT_EQ(set_mask(light, 1), 0);
    EXPECT_EQ(set_mask(self(), 2), 0);
    EXPECT_EQ(call(Syscall::sched_set_affinity, 1, 2), 0) << "process 1 as well";
    EXPECT_EQ(call(Syscall::sched_set_shares, heavy.tid().value(), 300), 300);
    EXPECT_EQ(call(Syscall::sched_set_shares, light.tid().value(), 100), 100);
    const std::uint64_t heavy_before = runtime_of(heavy);
    const std::uint64_t light_before = runtime_of(light);
    pass(Duration::seconds(2));
    const std::uint64_t heavy_got = runtime_of(heavy) - heavy_before;
    const std::uint64_t light_got = runtime_of(light) - light_before;
    EXPECT_NEAR(static_cast<double>(heavy_got) / static_cast<double>(light_got), 3.0, 0.1)
        << "two requests of 4 ms in 500 ms are 2 %";
    EXPECT_EQ(call(Syscall::sched_set_affinity, 1, 3), 0);
}

TEST_F(Scheduling, AMaskHoldsWhenItsCallReturns) {
    task::Task& child = fork();
    for (const std::uint64_t cpu : {1, 0, 1}) {
        EXPECT_EQ(set_mask(child, std::uint64_t{1} << cpu), 0);
        bring_on(child);
        EXPECT_EQ(hart_of(child), cpu);
        EXPECT_EQ(set_mask(self(), std::uint64_t{1} << cpu), 0);
        EXPECT_EQ(hart_of(self()) == kHarts || hart_of(self()) == cpu, true);
    }
    EXPECT_EQ(set_mask(child, 0), error(Error::InvalidArgument));
    EXPECT_EQ(set_mask(child, 4), error(Error::InvalidArgument)) << "no such CPU is online";
    EXPECT_EQ(call(Syscall::sched_set_affinity, 9999, 1), error(Error::NoProcess));
    put(kIn, std::uint64_t{3});
    EXPECT_EQ(call(Syscall::sched_setaffinity, child.tid().value(), 8, kIn), 0);
    EXPECT_EQ(call(Syscall::sched_setaffinity, child.tid().value(), 8, kBadAddress),
              error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::sched_getaffinity, child.tid().value(), 8, kOut), 8);
    EXPECT_EQ(get<std::uint64_t>(kOut), 3U);
    EXPECT_EQ(call(Syscall::sched_getaffinity, child.tid().value(), 4, kOut), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_getaffinity, 9999, 8, kOut), error(Error::NoProcess));
    put(kIn, std::uint64_t{1});
    EXPECT_EQ(call(Syscall::sched_set_affinity_policy, kSelf, 8, kIn, 1), 0) << "prefer";
    EXPECT_EQ(call(Syscall::sched_set_affinity_policy, kSelf, 8, kIn, 9), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_set_affinity_policy, kSelf, 7, kIn, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_set_affinity_policy, kSelf, 8, kBadAddress, 0), error(Error::BadAddress));
}

TEST_F(Scheduling, ABudgetStopsWhoHasUsedIt) {
    task::Task& child = fork();
    EXPECT_EQ(call(Syscall::sched_set_budget, child.tid().value(), 2'000, 20'000), 0);
    const std::uint64_t before = runtime_of(child);
    pass(Duration::seconds(1));
    const std::uint64_t got = runtime_of(child) - before;
    EXPECT_LE(got, 105'000'000U) << "a tenth, and one period's at the edge";
    EXPECT_GE(got, 90'000'000U);
    EXPECT_GT(get<sched_stat>(kOut).nr_throttled, 40U);
    EXPECT_EQ(call(Syscall::sched_set_budget, child.tid().value(), 50, 20'000),
              error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_set_budget, child.tid().value(), 0, 0), 0);
    // A booked one, as long as there is time of a CPU left to book.
    task::Task& other = fork();
    task::Task& third = fork();
    for (task::Task* const task : {&child, &other, &third}) {
        EXPECT_EQ(set_mask(*task, 1), 0);
    }
    EXPECT_EQ(call(Syscall::sched_reserve_budget, child.tid().value(), 6'000, 10'000, kOut), 0);
    EXPECT_EQ(call(Syscall::sched_reserve_budget, other.tid().value(), 5'000, 10'000, kOut),
              error(Error::Busy));
    EXPECT_EQ(get<std::uint64_t>(kOut), 200'000U) << "of 90 %, 60 are booked";
    EXPECT_EQ(call(Syscall::sched_reserve_budget, child.tid().value(), 0, 0, kOut), 0);
    EXPECT_EQ(call(Syscall::sched_reserve_budget, other.tid().value(), 5'000, 10'000, kOut), 0);
    EXPECT_EQ(call(Syscall::sched_reserve_budget, other.tid().value(), -1, 10'000, kOut),
              error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_reserve_budget, third.tid().value(), 5'000, 10'000, kBadAddress),
              error(Error::BadAddress));
}

TEST_F(Scheduling, CpusComeAndGo) {
    task::Task& child = fork();
    task::Task& pinned = fork();
    EXPECT_EQ(set_mask(pinned, 2), 0);
    bring_on(pinned);
    EXPECT_EQ(hart_of(pinned), 1U);
    std::optional<std::int64_t> gone = call(Syscall::nexus_cpu_set_online, 1, 0);
    EXPECT_EQ(gone ? gone : result_in_time(self()), 0);
    EXPECT_EQ(call(Syscall::nexus_abi_info, kOut, sizeof(nexus_abi::abi_info)), 0);
    EXPECT_EQ(get<nexus_abi::abi_info>(kOut).cpus_online, 1U);
    for (task::Task* const task : {&child, &pinned, &self()}) {
        bring_on(*task);
        EXPECT_EQ(hart_of(*task), 0U);
    }
    EXPECT_EQ(call(Syscall::sched_getstat, pinned.tid().value(), kOut, sizeof(sched_stat)), 0);
    EXPECT_NE(get<sched_stat>(kOut).flags & nexus_abi::kStatAffinityBroken, 0U);
    EXPECT_EQ(call(Syscall::nexus_cpu_set_online, 0, 0), error(Error::Busy)) << "the last one";
    EXPECT_EQ(call(Syscall::nexus_cpu_set_online, 5, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::nexus_cpu_set_online, 1, 2), error(Error::InvalidArgument));
    gone = call(Syscall::nexus_cpu_set_online, 1, 1);
    EXPECT_EQ(gone ? gone : result_in_time(self()), 0);
    bring_on(pinned);
    EXPECT_EQ(hart_of(pinned), 1U) << "its own has come back";
    EXPECT_EQ(call(Syscall::sched_hartstat, 1, kOut, sizeof(sched_hartstat)), 0);
    EXPECT_EQ(get<sched_hartstat>(kOut).online, 1U);
    EXPECT_EQ(get<sched_hartstat>(kOut).capacity, 1024U);
    EXPECT_EQ(call(Syscall::sched_hartstat, 7, kOut, sizeof(sched_hartstat)), error(Error::InvalidArgument));
}

TEST_F(Scheduling, AllAttributesAtOnceOrNone) {
    auto wanted = attributes_of(nexus_abi::kFieldClass | nexus_abi::kFieldShares | nexus_abi::kFieldLatency |
                                nexus_abi::kFieldBurst);
    wanted.qos_class = 2;
    wanted.shares = 50;
    wanted.latency_ns = 5'000'000;
    wanted.burst_ns = 2'000'000;
    put(kIn, wanted);
    EXPECT_EQ(call(Syscall::nexus_sched_setattr, kSelf, kIn, 0), 0);
    EXPECT_EQ(call(Syscall::nexus_sched_getattr, kSelf, kOut, sizeof(sched_attr)), 0);
    EXPECT_EQ(get<sched_attr>(kOut).latency_ns, 5'000'000U);
    EXPECT_EQ(get<sched_attr>(kOut).effective_class, 2U);
    EXPECT_EQ(get<sched_attr>(kOut).effective_affinity, 3U);
    wanted.shares = 5000;
    wanted.qos_class = 1;
    put(kIn, wanted);
    EXPECT_EQ(call(Syscall::nexus_sched_setattr, kSelf, kIn, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_get_qos_class, kSelf), 0x202) << "nothing has changed";
    EXPECT_EQ(call(Syscall::nexus_sched_setattr, kSelf, kIn, 1), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::nexus_sched_setattr, kSelf, kBadAddress, 0), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::nexus_sched_setattr, 9999, kIn, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_set_latency_hint, kSelf, 5000), 1000) << "clamped";
    EXPECT_EQ(call(Syscall::sched_set_burst_hint, kSelf, 500), 50);
    EXPECT_EQ(call(Syscall::sched_set_latency_hint, kSelf, -1), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_set_qos_class, kSelf, 7), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_get_limits, kSelf, kOut, 4), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_get_limits, 9999, kOut, sizeof(sched_attr)), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::sched_set_limits, kSelf, kBadAddress, sizeof(sched_attr)),
              error(Error::BadAddress));
}

TEST_F(Scheduling, LinuxPoliciesMapToClasses) {
    const auto set = [&](std::uint64_t policy, std::int32_t priority) {
        return call(Syscall::sched_setscheduler, kSelf, policy, put_priority(priority));
    };
    EXPECT_EQ(set(kFifo, 50), 0);
    EXPECT_EQ(call(Syscall::sched_getscheduler, kSelf), kFifo);
    EXPECT_EQ(call(Syscall::sched_get_qos_class, kSelf).value_or(0) & 0xff, 3);
    EXPECT_EQ(call(Syscall::sched_getparam, kSelf, kOut), 0);
    EXPECT_EQ(get<std::int32_t>(kOut), 50);
    EXPECT_EQ(call(Syscall::sched_setparam, kSelf, put_priority(10)), 0);
    EXPECT_EQ(call(Syscall::sched_setparam, kSelf, put_priority(0)), error(Error::InvalidArgument));
    EXPECT_EQ(set(kRoundRobin, 0), error(Error::InvalidArgument));
    EXPECT_EQ(set(kRoundRobin, 1), 0);
    EXPECT_EQ(set(kIdle, 0), 0);
    EXPECT_EQ(call(Syscall::sched_get_qos_class, kSelf), 0);
    EXPECT_EQ(set(kBatch, 0), 0);
    EXPECT_EQ(call(Syscall::sched_getscheduler, kSelf), kBatch);
    EXPECT_EQ(set(kDeadline, 0), error(Error::InvalidArgument));
    EXPECT_EQ(set(kOther | 0x4000'0000, 0), 0);
    EXPECT_EQ(call(Syscall::sched_getscheduler, kSelf), 0x4000'0000) << "RESET_ON_FORK";
    EXPECT_EQ(call(Syscall::sched_setscheduler, kSelf, kOther, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_setscheduler, kSelf, kOther, kBadAddress), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::sched_setscheduler, 9999, kOther, put_priority(0)), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::sched_setscheduler, -1, kOther, kIn), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_getscheduler, -1), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_getscheduler, 9999), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::sched_getparam, 9999, kOut), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::sched_getparam, kSelf, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_setparam, 9999, put_priority(0)), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::sched_get_priority_max, kFifo), 99);
    EXPECT_EQ(call(Syscall::sched_get_priority_min, kRoundRobin), 1);
    EXPECT_EQ(call(Syscall::sched_get_priority_max, kOther), 0);
    EXPECT_EQ(call(Syscall::sched_get_priority_min, 99), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_get_priority_max, 99), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_rr_get_interval, kSelf, kOut), 0);
    EXPECT_GT(get<nexus_abi::timespec>(kOut).nanoseconds, 0);
    EXPECT_EQ(call(Syscall::sched_rr_get_interval, 9999, kOut), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::nexus_limit_rights, 0), 0);
    EXPECT_EQ(set(kFifo, 1), error(Error::NotPermitted));
    EXPECT_EQ(set(kOther, 0), error(Error::NotPermitted)) << "RESET_ON_FORK stays";
}

TEST_F(Scheduling, LinuxAttributesAreReadByTheirSize) {
    linux_sched_attr wanted{};
    wanted.size = sizeof wanted;
    wanted.nice = 5;
    wanted.runtime_ns = 3'000'000;
    const auto set = [&] {
        put(kIn, wanted);
        return call(Syscall::sched_setattr, kSelf, kIn, 0);
    };
    EXPECT_EQ(set(), 0);
    EXPECT_EQ(self().entity.attributes.shares, 33U) << "335 of 1024";
    EXPECT_EQ(call(Syscall::sched_getattr, kSelf, kOut, sizeof wanted, 0), 0);
    EXPECT_EQ(get<linux_sched_attr>(kOut).nice, 5);
    EXPECT_EQ(get<linux_sched_attr>(kOut).runtime_ns, 3'000'000U);
    wanted.flags = 0x18;  // KEEP_POLICY, KEEP_PARAMS
    wanted.nice = 19;
    EXPECT_EQ(set(), 0);
    EXPECT_EQ(self().entity.attributes.shares, 33U);
    wanted.flags = 0x1000;
    EXPECT_EQ(set(), error(Error::InvalidArgument));
    wanted.flags = 0;
    wanted.policy = kFifo;
    wanted.priority = 7;
    EXPECT_EQ(set(), 0);
    EXPECT_EQ(call(Syscall::sched_getattr, kSelf, kOut, sizeof wanted, 0), 0);
    EXPECT_EQ(get<linux_sched_attr>(kOut).priority, 7U);
    wanted.policy = kDeadline;
    EXPECT_EQ(set(), error(Error::InvalidArgument));
    wanted.size = 20;
    EXPECT_EQ(set(), error(Error::TooBig));
    EXPECT_EQ(get<linux_sched_attr>(kIn).size, sizeof wanted) << "what the kernel knows";
    EXPECT_EQ(call(Syscall::sched_setattr, kSelf, 0, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_setattr, kSelf, kIn, 1), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_setattr, kSelf, kBadAddress, 0), error(Error::BadAddress));
    put(kIn, linux_sched_attr{});
    EXPECT_EQ(call(Syscall::sched_setattr, 9999, kIn, 0), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::sched_getattr, kSelf, kOut, 47, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_getattr, 9999, kOut, 48, 0), error(Error::NoProcess));
}

TEST_F(Scheduling, NiceIsOfThreadsGroupsAndUsers) {
    task::Task& child = fork();
    constexpr std::uint64_t kProcess = 0;
    constexpr std::uint64_t kGroup = 1;
    constexpr std::uint64_t kUser = 2;
    EXPECT_EQ(call(Syscall::setpriority, kProcess, child.tid().value(), 10), 0);
    EXPECT_EQ(call(Syscall::getpriority, kProcess, child.tid().value()), 10);
    EXPECT_EQ(child.entity.attributes.shares, 11U);
    EXPECT_EQ(call(Syscall::setpgid, child.tid().value(), 0), 0);
    task::Task& grandchild = fork_of(child);
    EXPECT_EQ(call(Syscall::setpriority, kGroup, child.tid().value(), 3), 0);
    EXPECT_EQ(call(Syscall::getpriority, kGroup, child.tid().value()), 17);
    EXPECT_EQ(grandchild.entity.attributes.shares, child.entity.attributes.shares);
    EXPECT_EQ(call_as(child, Syscall::setresuid, 500, 500, 500), 0);
    EXPECT_EQ(call(Syscall::setpriority, kUser, 500, 7), 0);
    EXPECT_EQ(call(Syscall::getpriority, kUser, 500), 13);
    EXPECT_EQ(call(Syscall::getpriority, kGroup, child.tid().value()), 17) << "the most urgent one's";
    EXPECT_EQ(call(Syscall::setpriority, 3, 0, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::getpriority, 3, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::setpriority, kGroup, 9999, 0), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::getpriority, kUser, 9999), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::setpriority, kProcess, 9999, 0), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::getpriority, kProcess, 9999), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::setpriority, kProcess, kSelf, 100), 0) << "19";
    EXPECT_EQ(call(Syscall::getpriority, kProcess, kSelf), 1);
}

TEST_F(Scheduling, ASnapshotShowsAll) {
    task::Task& child = fork();
    task::Task& thread = thread_of(child);
    put(kIn, std::uint64_t{0});
    std::set<std::uint32_t> seen;
    for (std::uint32_t rounds = 0; rounds < 100; ++rounds) {
        const auto count = call(Syscall::sched_snapshot, kOut, 2, kIn).value_or(-1);
        ASSERT_TRUE(count >= 0 && count <= 2);
        if (count == 0) {
            break;
        }
        for (std::int64_t i = 0; i < count; ++i) {
            const auto entry = get<sched_snapshot_entry>(kOut + static_cast<std::uint64_t>(i) *
                                                                    sizeof(sched_snapshot_entry));
            EXPECT_TRUE(seen.insert(entry.tid).second) << "in order, each once";
            if (entry.tid == thread.tid().value()) {
                EXPECT_EQ(entry.pid, child.tid().value());
                EXPECT_EQ(entry.parent, self().tid().value());
            }
        }
    }
    for (const std::uint32_t tid : {1U, self().tid().value(), child.tid().value(), thread.tid().value()}) {
        EXPECT_TRUE(seen.contains(tid));
    }
    EXPECT_EQ(call(Syscall::sched_snapshot, kOut, 2, kBadAddress), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::nexus_limit_rights, 0), 0);
    EXPECT_EQ(call(Syscall::sched_snapshot, kOut, 2, kIn), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::sched_getstat, 1, kOut, sizeof(sched_stat)), error(Error::NotPermitted));
}

// What happened on a CPU, in the order of time, with every kind that was asked for.
TEST_F(Scheduling, TheTraceTellsWhatHappened) {
    using nexus_abi::TraceKind;
    nexus_abi::trace_control control{};
    control.size = sizeof control;
    control.categories = nexus_abi::kTraceAll;
    control.records = 1024;
    put(kIn, control);
    ASSERT_EQ(call(Syscall::nexus_trace_control, kIn, sizeof control), 0);
    EXPECT_EQ(get<nexus_abi::trace_control>(kIn).was, 0U);
    EXPECT_EQ(get<nexus_abi::trace_control>(kIn).kept, 1024U);
    task::Task& child = fork();
    EXPECT_EQ(set_mask(child, 1), 0);
    EXPECT_EQ(call(Syscall::sched_set_shares, child.tid().value(), 7), 7);
    put(kIn + 64, nexus_abi::timespec{.seconds = 0, .nanoseconds = 1'000'000});
    EXPECT_EQ(call(Syscall::nanosleep, kIn + 64, 0), std::nullopt);
    pass(Duration::milliseconds(60));
    EXPECT_EQ(call_as(child, Syscall::exit_group, 0), std::nullopt);
    EXPECT_EQ(wait_for(self(), child), 0);
    // The scheduler's records have the instant of their decision, read once for a whole entry into the
    // kernel.
    constexpr std::uint64_t kSectionNs = 2'000;
    std::set<TraceKind> kinds;
    for (std::uint64_t cpu = 0; cpu < kHarts; ++cpu) {
        put(kIn + 64, std::uint64_t{0});
        std::uint64_t last = 0;
        while (true) {
            const auto count = call(Syscall::nexus_trace_read, cpu, kOut, 64, kIn + 64).value_or(-1);
            ASSERT_GE(count, 0);
            if (count == 0) {
                break;
            }
            for (std::int64_t i = 0; i < count; ++i) {
                const auto record = get<nexus_abi::trace_record>(kOut + static_cast<std::uint64_t>(i) * 16);
                kinds.insert(static_cast<TraceKind>(record.stamp & 0xff));
                EXPECT_GE((record.stamp >> 8) + kSectionNs, last) << "on cpu " << cpu;
                last = record.stamp >> 8;
            }
            if (kinds.contains(TraceKind::Ended) && count < 64) {
                break;
            }
        }
    }
    for (const TraceKind kind :
         {TraceKind::Switch, TraceKind::Wake, TraceKind::Start, TraceKind::Ended, TraceKind::SetShares,
          TraceKind::SetMask, TraceKind::Timer, TraceKind::IpiTaken}) {
        EXPECT_TRUE(kinds.contains(kind)) << static_cast<int>(kind);
    }
    control.records = 2048;
    put(kIn, control);
    EXPECT_EQ(call(Syscall::nexus_trace_control, kIn, sizeof control), error(Error::Busy)) << "kept for good";
    control.records = 0;
    control.categories = 0;
    put(kIn, control);
    EXPECT_EQ(call(Syscall::nexus_trace_control, kIn, sizeof control), 0);
    EXPECT_EQ(get<nexus_abi::trace_control>(kIn).was, nexus_abi::kTraceAll);
    control.categories = 1 << 20;
    put(kIn, control);
    EXPECT_EQ(call(Syscall::nexus_trace_control, kIn, sizeof control), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::nexus_trace_read, 9, kOut, 64, kIn + 64), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::nexus_trace_read, 0, kOut, 64, kBadAddress), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::nexus_limit_rights, 0), 0);
    EXPECT_EQ(call(Syscall::nexus_trace_read, 0, kOut, 64, kIn + 64), error(Error::NotPermitted));
    control.categories = nexus_abi::kTraceSched;
    put(kIn, control);
    EXPECT_EQ(call(Syscall::nexus_trace_control, kIn, sizeof control), error(Error::NotPermitted));
}

}  // namespace
}  // namespace kernel::whole
