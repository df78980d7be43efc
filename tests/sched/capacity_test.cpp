// SPDX-License-Identifier: MIT
// Harts that are not equal: what the policies perf and eff prefer, and shares by work instead of time.
#include <gtest/gtest.h>

#include <array>

#include "machine.hpp"
#include "sched/machine_shape.hpp"

namespace sched_test {
namespace {

using kernel::sched::MachineShape;
using nexus_abi::AffinityPolicy;
using enum QosClass;

MachineShape shape(std::initializer_list<std::uint32_t> capacities) {
    return MachineShape::of(std::span{capacities.begin(), capacities.size()});
}

TEST(MachineShapeTest, ThirdsByCapacityWithTheirTies) {
    EXPECT_EQ(shape({1024, 512}).fast.bits(), 0b01U);
    EXPECT_EQ(shape({1024, 512}).efficient.bits(), 0b10U);
    const MachineShape six = shape({1024, 1024, 700, 700, 300, 300});
    EXPECT_EQ(six.fast.bits(), 0b000011U);
    EXPECT_EQ(six.efficient.bits(), 0b110000U);
    const MachineShape mostly_fast = shape({512, 1024, 1024, 1024});
    EXPECT_EQ(mostly_fast.fast.bits(), 0b1110U);
    EXPECT_EQ(mostly_fast.efficient.bits(), 0b0001U);
    EXPECT_EQ(shape({0, 1024, 0, 256}).efficient.bits(), 0b1000U);  // CPUs that do not exist are in no third
    EXPECT_TRUE(shape({}).fast.empty());
}

TEST(MachineShapeTest, EqualHartsAreAllPreferred) {
    const MachineShape equal = shape({1024, 1024, 1024});
    EXPECT_EQ(equal.fast, CpuMask::first(3));
    EXPECT_EQ(equal.efficient, CpuMask::first(3));
}

TEST(MachineShapeTest, ThePolicyChooses) {
    const MachineShape two = shape({1024, 512});
    const CpuMask own = CpuMask::from_bits(0b11);
    EXPECT_TRUE(two.preferred(AffinityPolicy::Pin, own).empty());
    EXPECT_EQ(two.preferred(AffinityPolicy::Prefer, own), own);
    EXPECT_EQ(two.preferred(AffinityPolicy::Perf, own).bits(), 0b01U);
    EXPECT_EQ(two.preferred(AffinityPolicy::Eff, own).bits(), 0b10U);
}

// Both are soft: an idle hart of the other kind is better than waiting.
TEST(MachineShapeTest, PlacementTriesThePreferredHartsFirst) {
    const MachineShape four = shape({1024, 1024, 256, 256});
    Attributes attributes = make(Normal);
    attributes.policy = AffinityPolicy::Eff;
    const auto request =
        kernel::sched::placement_request(attributes, Normal, CpuId{0}, CpuMask::first(4), {}, four);
    EXPECT_EQ(request.allowed, CpuMask::first(4));
    EXPECT_EQ(kernel::sched::choose_idle(request, CpuMask::first(4)).cpu, CpuId{2});
    EXPECT_EQ(kernel::sched::choose_idle(request, CpuMask::from_bits(0b0010)).cpu, CpuId{1});
    attributes.policy = AffinityPolicy::Perf;
    attributes.affinity_effective = CpuMask::from_bits(0b1100);  // the mask is hard
    const auto pinned =
        kernel::sched::placement_request(attributes, Normal, CpuId{3}, CpuMask::first(4), {}, four);
    EXPECT_EQ(kernel::sched::choose_idle(pinned, CpuMask::first(4)).cpu, CpuId{3});
}

// On one slow hart shares divide the time as anywhere; requests take twice as long for the same work.
TEST(Capacity, SharesHoldOnASlowHart) {
    Machine machine{2, Faults{}, Instant{}, 512};
    const CpuMask slow = CpuMask::from_bits(0b10);
    Task& light = machine.add_hog(Normal, 100, slow);
    Task& heavy = machine.add_hog(Normal, 300, slow);
    machine.run_for(6_s);
    // Within one request of 6 ms (3 ms of work) at the end.
    EXPECT_NEAR(ratio(light.entity.runtime(machine.now()), 6_s), 0.25, 0.002);
    EXPECT_NEAR(ratio(heavy.entity.runtime(machine.now()), 6_s), 0.75, 0.002);
}

// Three equal tasks on 1024 + 512: the machine does 1.5 units of work, each should get half of one.
TEST(Capacity, SharesAreOfWorkNotOfTime) {
    Machine machine{2, Faults{}, Instant{}, 512};
    std::array<Task*, 3> tasks{};
    for (Task*& task : tasks) {
        task = &machine.add_hog(Normal, 100);
    }
    const auto work = [](const Task& task) {
        return static_cast<double>(task.entity.runtime_on(CpuId{0}).ns()) +
               static_cast<double>(task.entity.runtime_on(CpuId{1}).ns()) / 2;
    };
    machine.run_for(10_s);
    for (const Task* task : tasks) {
        // The spread of equal hogs is at most the balancing threshold, a request and 1 ms: 12 ms of 5 s.
        EXPECT_NEAR(work(*task) / 10e9, 0.5, 0.0024);
    }
    machine.expect_exact_accounts();
}

}  // namespace
}  // namespace sched_test
