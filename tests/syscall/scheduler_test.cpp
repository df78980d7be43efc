// SPDX-License-Identifier: MIT
// The order of checks and every errno of the scheduler's calls; what the values do is tested with
// sched/params.
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "fake_task.hpp"
#include "nexus_abi/linux.hpp"
#include "nexus_abi/sched.hpp"
#include "nexus_abi/system.hpp"

namespace kernel {
namespace {

using fake::error;
using fake::kMemory;
using nexus_abi::Error;
using nexus_abi::sched_attr;
using nexus_abi::Syscall;

constexpr std::uint64_t kNobody = 31000;
constexpr std::uint64_t kNegative = static_cast<std::uint64_t>(-1);

class Scheduler : public fake::SyscallTest {
  protected:
    Scheduler() : SyscallTest{2} {}
    void drop_rights() { process().rights = 0; }
    std::int64_t set_attr(const sched_attr& attr, std::uint64_t pid = 0) {
        put(kMemory, attr);
        return call(Syscall::nexus_sched_setattr, pid, kMemory, 0).value_or(-9999);
    }
};

TEST_F(Scheduler, FormComesBeforeRightBeforeExistence) {
    const std::uint64_t stranger = add_process(false).tid().value();
    // With the right: form, existence.
    EXPECT_EQ(call(Syscall::sched_set_qos_class, kNobody, 4), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_set_qos_class, kNobody, 1), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::sched_set_qos_class, kNegative, 1), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_set_qos_class, stranger, 1), 0);
    // Without it strangers and nobody look alike.
    drop_rights();
    EXPECT_EQ(call(Syscall::sched_set_qos_class, kNobody, 4), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_set_qos_class, kNobody, 1), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::sched_set_qos_class, stranger, 1), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::sched_get_qos_class, stranger), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::nexus_sched_getattr, stranger, kMemory, sizeof(sched_attr)),
              error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::sched_getstat, kNobody, kMemory, sizeof(nexus_abi::sched_stat)),
              error(Error::NotPermitted));
}

TEST_F(Scheduler, OwnThreadsAndChildrenAreOwn) {
    const std::uint64_t child = add_process(true).tid().value();
    drop_rights();
    EXPECT_EQ(call(Syscall::sched_set_shares, task(1).tid().value(), 50), 50);
    EXPECT_EQ(task(1).entity.attributes.shares, 50U);
    EXPECT_EQ(task(0).entity.attributes.shares, 100U);
    EXPECT_EQ(call(Syscall::sched_set_shares, child, 60), 60);
    EXPECT_EQ(call(Syscall::sched_set_qos_class, child, 3), error(Error::NotPermitted))
        << "above its ceiling";
}

TEST_F(Scheduler, ScalarsAreClampedAndReturned) {
    EXPECT_EQ(call(Syscall::sched_set_shares, 0, 0), 1);
    EXPECT_EQ(call(Syscall::sched_set_shares, 0, 5000), 1000);
    EXPECT_EQ(call(Syscall::sched_set_latency_hint, 0, 5000), 1000);
    EXPECT_EQ(call(Syscall::sched_set_latency_hint, 0, 0), 0);
    EXPECT_EQ(call(Syscall::sched_set_burst_hint, 0, 5000), 50);
    for (const auto number : {Syscall::sched_set_shares, Syscall::sched_set_latency_hint,
                              Syscall::sched_set_burst_hint, Syscall::sched_set_qos_class}) {
        EXPECT_EQ(call(number, 0, kNegative), error(Error::InvalidArgument));
        EXPECT_EQ(call(number, 0, std::uint64_t{1} << 31), error(Error::InvalidArgument));
    }
}

TEST_F(Scheduler, ClassIsReportedAsAskedAndAsServed) {
    EXPECT_EQ(call(Syscall::sched_set_qos_class, 0, 3), 0);
    EXPECT_EQ(call(Syscall::sched_get_qos_class, 0), 3 | 2 << 8) << "Interactive, without a boost";
    EXPECT_EQ(call(Syscall::sched_get_qos_class, kNobody), error(Error::NoProcess));
}

TEST_F(Scheduler, AMaskWithoutAUsableCpuChangesNothing) {
    EXPECT_EQ(call(Syscall::sched_set_affinity, 0, 2), 0);
    EXPECT_EQ(call(Syscall::sched_set_affinity, 0, 0b1100), error(Error::InvalidArgument))
        << "possible, not online";
    EXPECT_EQ(call(Syscall::sched_set_affinity, 0, 0), error(Error::InvalidArgument));
    EXPECT_EQ(task().entity.attributes.affinity_effective.bits(), 2U);
    EXPECT_EQ(call(Syscall::sched_set_affinity, 0, 0xff), 0);
    EXPECT_EQ(task().entity.attributes.affinity_effective.bits(), 3U);
}

TEST_F(Scheduler, MaskPolicyChecksSizePolicyAndAddress) {
    put(kMemory, std::uint64_t{1});
    for (const std::uint64_t size : {0ULL, 4ULL, 12ULL, 1032ULL}) {
        EXPECT_EQ(call(Syscall::sched_set_affinity_policy, 0, size, kMemory, 0),
                  error(Error::InvalidArgument))
            << size;
    }
    EXPECT_EQ(call(Syscall::sched_set_affinity_policy, 0, 8, 8, 4), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_set_affinity_policy, 0, 8, 8, 0), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::sched_set_affinity_policy, 0, 8, kMemory, 2), 0);
    EXPECT_EQ(task().entity.attributes.policy, nexus_abi::AffinityPolicy::Perf);
    put(kMemory + 8, ~std::uint64_t{0});
    EXPECT_EQ(call(Syscall::sched_set_affinity_policy, 0, 16, kMemory, 1), 0);
    EXPECT_EQ(task().entity.attributes.affinity_prefer.bits(), 1U);
}

TEST_F(Scheduler, BudgetsAreCheckedAndGiven) {
    for (const auto& [runtime, period] : {std::pair{99ULL, 1000ULL}, std::pair{1001ULL, 1000ULL},
                                          std::pair{100ULL, 1'000'001ULL}, std::pair{0ULL, 1000ULL}}) {
        EXPECT_EQ(call(Syscall::sched_set_budget, 0, runtime, period), error(Error::InvalidArgument));
    }
    EXPECT_EQ(call(Syscall::sched_set_budget, kNobody, 100, 1000), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::sched_set_budget, 0, 100, 1000), 0);
    EXPECT_EQ(task().entity.attributes.budget.runtime, Duration::microseconds(100));
    EXPECT_EQ(call(Syscall::sched_set_budget, 0, 0, 0), 0);
    EXPECT_FALSE(task().entity.attributes.budget.is_capped());
}

TEST_F(Scheduler, AnImposedBudgetIsOnlyTightened) {
    task::Task& child = add_process(true);
    const std::uint64_t pid = child.tid().value();
    EXPECT_EQ(call(Syscall::sched_set_budget, pid, 500, 1000), 0);
    drop_rights();
    EXPECT_EQ(call(Syscall::sched_set_budget, pid, 600, 1000), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::sched_set_budget, pid, 0, 0), error(Error::NotPermitted));
    EXPECT_EQ(child.entity.attributes.budget.runtime, Duration::microseconds(500));
    EXPECT_EQ(call(Syscall::sched_set_budget, pid, 400, 1000), 0);
}

TEST_F(Scheduler, LimitsNeedTheRightAndLowerAtOnce) {
    sched_attr limits{};
    const auto set = [&](std::uint64_t pid) {
        limits.size = sizeof(limits);
        put(kMemory, limits);
        return call(Syscall::sched_set_limits, pid, kMemory, sizeof(limits)).value_or(-9999);
    };
    EXPECT_EQ(set(0), error(Error::InvalidArgument)) << "names nothing";
    limits.fields = nexus_abi::kFieldShares | nexus_abi::kFieldGroup | nexus_abi::kFieldAffinity;
    limits.shares = 30;
    limits.group = 10;
    limits.affinity = 2;
    EXPECT_EQ(set(kNobody), error(Error::NoProcess));
    EXPECT_EQ(set(0), 0);
    EXPECT_EQ(task().entity.attributes.shares, 30U);
    EXPECT_EQ(task().entity.limits.shares_ceiling, 30U);
    EXPECT_EQ(task().entity.limits.affinity_limit.bits(), 2U);
    EXPECT_EQ(fake::record().groups.at(&process()), 10U);
    EXPECT_EQ(call(Syscall::sched_set_affinity, 0, 1), error(Error::InvalidArgument));
    drop_rights();
    EXPECT_EQ(set(0), error(Error::NotPermitted));
    EXPECT_EQ(set(kNobody), error(Error::NotPermitted));
}

TEST_F(Scheduler, AttributesOfAnotherAge) {
    sched_attr attr{};
    attr.size = sizeof(attr);
    attr.fields = nexus_abi::kFieldShares;
    attr.shares = 70;
    EXPECT_EQ(set_attr(attr), 0);
    EXPECT_EQ(task().entity.attributes.shares, 70U);
    // A longer struct is fine while its tail is zero.
    attr.size = sizeof(attr) + 100;
    attr.shares = 80;
    EXPECT_EQ(set_attr(attr), 0);
    EXPECT_EQ(task().entity.attributes.shares, 80U);
    put(kMemory + sizeof(attr) + 99, std::uint8_t{1});
    EXPECT_EQ(set_attr(attr), error(Error::TooBig));
    EXPECT_EQ(get<std::uint32_t>(kMemory), sizeof(attr));
    for (const std::uint32_t size : {0U, 111U, 4097U, ~0U}) {
        attr.size = size;
        EXPECT_EQ(set_attr(attr), error(Error::InvalidArgument)) << size;
    }
    EXPECT_EQ(call(Syscall::nexus_sched_setattr, 0, 8, 0), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::nexus_sched_setattr, 0, kMemory, 1), error(Error::InvalidArgument));
}

TEST_F(Scheduler, AnswersAreCutOrFilledWithZeros) {
    const std::vector<std::byte> junk(300, std::byte{0xff});
    put(kMemory, std::span{junk});
    EXPECT_EQ(call(Syscall::nexus_sched_getattr, 0, kMemory, 200), 0);
    EXPECT_EQ(get<sched_attr>(kMemory).shares, 100U);
    EXPECT_EQ(get<sched_attr>(kMemory).size, sizeof(sched_attr));
    EXPECT_EQ(get<std::uint64_t>(kMemory + 192), 0U);
    EXPECT_EQ(get<std::uint8_t>(kMemory + 200), 0xff);
    EXPECT_EQ(call(Syscall::nexus_sched_getattr, 0, kMemory, 111), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::nexus_sched_getattr, 0, kMemory, 4097), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::nexus_sched_getattr, 0, 8, 112), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::sched_getstat, 0, kMemory, 320), 0);
    EXPECT_EQ(get<std::uint32_t>(kMemory), 320U);
    EXPECT_EQ(call(Syscall::sched_getstat, 0, kMemory, 319), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_hartstat, 4, kMemory, 144), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_hartstat, std::uint64_t{1} << 32, kMemory, 144),
              error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_hartstat, 3, kMemory, 144), 0);
    EXPECT_EQ(call(Syscall::nexus_abi_info, kMemory, 87), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::nexus_abi_info, kMemory, 88), 0);
    EXPECT_EQ(get<nexus_abi::abi_info>(kMemory).cpus_online, 3U);
}

TEST_F(Scheduler, TheSnapshotListsEveryTaskOnce) {
    constexpr std::uint64_t kCursor = kMemory + 0x8000;
    put(kCursor, std::uint64_t{0});
    std::vector<std::uint32_t> seen;
    while (call(Syscall::sched_snapshot, kMemory, 1, kCursor).value_or(-1) == 1) {
        seen.push_back(get<nexus_abi::sched_snapshot_entry>(kMemory).tid);
    }
    EXPECT_EQ(seen, (std::vector{task(0).tid().value(), task(1).tid().value()}));
    drop_rights();
    EXPECT_EQ(call(Syscall::sched_snapshot, kMemory, 1, kCursor), error(Error::NotPermitted));
    put(kCursor, ~std::uint64_t{0});
    EXPECT_EQ(call(Syscall::sched_snapshot, kMemory, 1, kCursor), error(Error::InvalidArgument));
}

TEST_F(Scheduler, CpusGoAndComeOnTheRightsHoldersWord) {
    using kernel::CpuId;
    EXPECT_EQ(call(Syscall::nexus_cpu_set_online, 3, 0), 0);
    EXPECT_EQ(call(Syscall::nexus_cpu_set_online, 3, 1), 0);
    const std::vector<std::pair<CpuId, bool>> both{{CpuId{3}, false}, {CpuId{3}, true}};
    EXPECT_EQ(kernel::fake::record().cpus_set, both);
    for (const std::uint64_t cpu : {std::uint64_t{4}, std::uint64_t{64}, std::uint64_t{1} << 32}) {
        EXPECT_EQ(call(Syscall::nexus_cpu_set_online, cpu, 0), error(Error::InvalidArgument));
    }
    EXPECT_EQ(call(Syscall::nexus_cpu_set_online, 3, 2), error(Error::InvalidArgument));
    drop_rights();
    EXPECT_EQ(call(Syscall::nexus_cpu_set_online, 4, 0), error(Error::InvalidArgument)) << "the form first";
    EXPECT_EQ(call(Syscall::nexus_cpu_set_online, 3, 0), error(Error::NotPermitted));
    EXPECT_EQ(kernel::fake::record().cpus_set, both);
}

TEST_F(Scheduler, LinuxCallsSayTheSame) {
    put(kMemory, std::int32_t{0});
    EXPECT_EQ(call(Syscall::sched_setscheduler, 0, 5, kMemory), 0);
    EXPECT_EQ(call(Syscall::sched_getscheduler, 0), 5);
    EXPECT_EQ(call(Syscall::sched_setscheduler, 0, 6, kMemory), error(Error::InvalidArgument))
        << "SCHED_DEADLINE";
    EXPECT_EQ(call(Syscall::sched_setscheduler, 0, 1, kMemory), error(Error::InvalidArgument))
        << "FIFO at priority 0";
    EXPECT_EQ(call(Syscall::sched_setscheduler, 0, 0, 0), error(Error::InvalidArgument));
    put(kMemory, std::int32_t{50});
    drop_rights();
    EXPECT_EQ(call(Syscall::sched_setscheduler, 0, 1, kMemory), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::sched_setparam, 0, kMemory), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_get_priority_max, 2), 99);
    EXPECT_EQ(call(Syscall::sched_get_priority_min, 2), 1);
    EXPECT_EQ(call(Syscall::sched_get_priority_min, 4), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_getaffinity, 0, 128, kMemory), 8);
    EXPECT_EQ(get<std::uint64_t>(kMemory), 3U);
    EXPECT_EQ(call(Syscall::sched_getaffinity, 0, 4, kMemory), error(Error::InvalidArgument));
    put(kMemory, std::uint64_t{0xffff'ff02});
    EXPECT_EQ(call(Syscall::sched_setaffinity, 0, 1, kMemory), 0) << "one byte of mask";
    EXPECT_EQ(task().entity.attributes.affinity.bits(), 2U);
    EXPECT_EQ(call(Syscall::sched_yield), 0);
    EXPECT_EQ(fake::record().yields, 1U);
}

TEST_F(Scheduler, NiceScalesShares) {
    for (const auto& [nice, shares] :
         {std::pair{0, 100U}, {5, 33U}, {10, 11U}, {19, 1U}, {100, 1U}, {-5, 305U}, {-20, 1000U}}) {
        EXPECT_EQ(call(Syscall::setpriority, 0, 0, nice), 0);
        EXPECT_EQ(task().entity.attributes.shares, shares) << nice;
        EXPECT_EQ(call(Syscall::getpriority, 0, 0), 20 - std::clamp(nice, -20, 19));
    }
    EXPECT_EQ(call(Syscall::setpriority, 3, 0, 0), error(Error::InvalidArgument));
}

TEST_F(Scheduler, ThePowerNeedsItsRightAndItsMagic) {
    EXPECT_EQ(call(Syscall::reboot, 1, 0x2812'1969, 0x4321'fedc, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::reboot, 0xfee1'dead, 1, 0x4321'fedc, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::reboot, 0xfee1'dead, 0x2812'1969, 7, 0), error(Error::InvalidArgument));
    drop_rights();
    EXPECT_EQ(call(Syscall::reboot, 0xfee1'dead, 0x2812'1969, 0x4321'fedc, 0), error(Error::NotPermitted));
}

}  // namespace
}  // namespace kernel
