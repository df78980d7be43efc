// SPDX-License-Identifier: MIT
// Groups: a ceiling on what a process with its threads and children counts for, machine-wide.
#include "sched/group.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "machine.hpp"

namespace sched_test {
namespace {

using kernel::sched::Group;
using kernel::sched::kWeightPerShare;
using enum QosClass;

TEST(GroupTest, LowersInProportionAndNeverRaises) {
    Group group;
    EXPECT_EQ(group.effective(1600), 1600U);  // no ceiling
    group.count_in(1600);
    group.set_ceiling(100);
    EXPECT_EQ(group.effective(1600), 1600U);
    group.count_in(1600);
    EXPECT_EQ(group.effective(1600), 800U);
    group.count_in(16'000 * 1000U);
    EXPECT_EQ(group.effective(1600), kWeightPerShare);  // never below one share
    EXPECT_EQ(group.effective(16), 16U);
    group.count_out(16'000 * 1000U);
    group.count_out(1600);
    EXPECT_EQ(group.effective(1600), 1600U);
    EXPECT_EQ(group.runnable_weight(), 1600U);
}

// N threads of one process against one other task: half each, whatever N.
TEST(GroupTest, ThreadsDoNotMultiplyTheShare) {
    for (const int threads : {1, 2, 4, 8, 16}) {
        Group group;
        group.set_ceiling(100);
        Machine machine;
        Task& other = machine.add_hog(Normal, 100);
        for (int i = 0; i < threads; ++i) {
            machine.set_group(machine.add_hog(Normal, 100), &group);
        }
        machine.run_for(1_s);
        machine.mark();
        machine.run_for(4_s);
        // Within one request of each thread at either end.
        EXPECT_NEAR(ratio(machine.since_mark(other), 4_s), 0.5, 0.01) << threads;
        EXPECT_EQ(group.runnable_weight(), 1600U * static_cast<unsigned>(threads));
    }
}

TEST(GroupTest, WithoutACeilingTheyDo) {
    Group group;
    Machine machine;
    Task& other = machine.add_hog(Normal, 100);
    for (int i = 0; i < 4; ++i) {
        machine.set_group(machine.add_hog(Normal, 100), &group);
    }
    machine.run_for(5_s);
    EXPECT_NEAR(ratio(other.entity.runtime(machine.now()), 5_s), 0.2, 0.01);
}

TEST(GroupTest, TheSumIsMachineWide) {
    Group group;
    group.set_ceiling(100);
    Machine machine{2};
    std::vector<Task*> others;
    for (const std::uint64_t hart : {0b01U, 0b10U}) {
        others.push_back(&machine.add_hog(Normal, 100, CpuMask::from_bits(hart)));
        for (int i = 0; i < 2; ++i) {
            machine.set_group(machine.add_hog(Normal, 100, CpuMask::from_bits(hart)), &group);
        }
    }
    machine.run_for(1_s);
    machine.mark();
    machine.run_for(4_s);
    // On each hart two members count for 25 each beside 100.
    for (const Task* other : others) {
        EXPECT_NEAR(ratio(machine.since_mark(*other), 4_s), 2.0 / 3, 0.01);
    }
}

TEST(GroupTest, SleepersCountForNothing) {
    Group group;
    group.set_ceiling(100);
    Machine machine;
    Task& sleeper = machine.add(make(Normal), {.work = 1_ms, .rest = 1_s});
    machine.set_group(sleeper, &group);
    Task& member = machine.add_hog(Normal, 100);
    machine.set_group(member, &group);
    Task& other = machine.add_hog(Normal, 100);
    machine.run_for(900_ms);
    EXPECT_EQ(group.runnable_weight(), 1600U);
    EXPECT_EQ(member.entity.position().weight, 1600U);
    EXPECT_NEAR(ratio(other.entity.runtime(machine.now()), member.entity.runtime(machine.now())), 1.0, 0.02);
}

TEST(GroupTest, EveryWayOutIsCounted) {
    Group group;
    group.set_ceiling(150);
    Group second;
    second.set_ceiling(150);
    Machine machine{2};
    kernel::sched::Budget budget;
    budget.configure({.runtime = 1_ms, .period = 50_ms}, Instant{});
    Task& capped = machine.add_hog(Normal, 100);
    Task& napper = machine.add(make(Normal), {.work = 2_ms, .rest = 3_ms});
    Task& mover = machine.add_hog(Normal, 100);
    Task& leaver = machine.add_hog(Normal, 100);
    for (Task* task : {&capped, &napper, &mover, &leaver}) {
        machine.set_group(*task, &group);
    }
    machine.set_budget(capped, &budget);
    for (int i = 0; i < 200; ++i) {
        machine.run_for(1_ms);
        machine.set(mover, make(i % 3 == 0 ? Idle : Normal, 1 + static_cast<std::uint32_t>(i) % 1000,
                                CpuMask::from_bits(i % 2 == 0 ? 0b10 : 0b01)));
        machine.set_group(leaver, i % 2 == 0 ? &second : &group);
        std::uint64_t sum = 0;
        for (const Task* task : {&capped, &napper, &mover, &leaver}) {
            if (task->entity.group() == &group && task->entity.is_on_queue()) {
                sum += task->entity.attributes.shares * std::uint64_t{kWeightPerShare};
            }
        }
        ASSERT_EQ(group.runnable_weight(), sum) << i;
    }
    for (Task* task : {&capped, &napper, &mover, &leaver}) {
        machine.exit(*task);
        machine.set_group(*task, nullptr);
        machine.set_budget(*task, nullptr);
    }
    EXPECT_EQ(group.runnable_weight() + second.runnable_weight(), 0U);
}

TEST(GroupTest, ShowsInTheStanding) {
    Group group;
    group.set_ceiling(50);
    Machine machine;
    Task& member = machine.add_hog(Normal, 100);
    machine.set_group(member, &group);
    EXPECT_EQ(member.entity.standing().group_ceiling, 50U);
    EXPECT_EQ(member.entity.standing().shares, 50U);
    EXPECT_EQ(member.entity.attributes.shares, 100U);
    machine.set_group(member, nullptr);
    EXPECT_EQ(member.entity.standing().shares, 100U);
}

TEST(GroupTest, AChangedCeilingCountsFromTheNextRequest) {
    Group group;
    Machine machine;
    Task& member = machine.add_hog(Normal, 100);
    machine.set_group(member, &group);
    machine.add_hog(Normal, 100);
    group.set_ceiling(10);
    machine.run_for(10_ms);
    EXPECT_EQ(member.entity.position().weight, 160U);
    group.set_ceiling(0);
    machine.run_for(100_ms);
    EXPECT_EQ(member.entity.position().weight, 1600U);
}

}  // namespace
}  // namespace sched_test
