// SPDX-License-Identifier: MIT
// Donation: what a task is lent in every state, and that it ends without a trace.
#include "sched/donation.hpp"

#include <gtest/gtest.h>

#include "machine.hpp"

namespace sched_test {
namespace {

using kernel::sched::Budget;
using kernel::sched::Donation;
using kernel::sched::EnqueueReason;
using kernel::sched::PutReason;
using enum QosClass;

TEST(Donation, RaisesAWaitingTaskAtOnce) {
    Machine machine;
    Task& owner = machine.add_hog(Idle, 100);
    machine.add_hog(Normal, 100);
    machine.run_for(1_ms);
    ASSERT_EQ(owner.entity.state(), TaskState::Queued);
    machine.donate(owner, {.qos_class = Interactive});
    EXPECT_EQ(owner.entity.effective(), Interactive);
    EXPECT_EQ(owner.entity.attributes.qos_class, Idle);
    EXPECT_EQ(owner.entity.state(), TaskState::Running);
    const auto is_donated = [&owner, &machine] {
        nexus_abi::sched_stat stat;
        owner.entity.fill_stat(machine.now(), stat);
        EXPECT_EQ((stat.flags & nexus_abi::kStatDonated) != 0, owner.entity.is_donated());
        return owner.entity.is_donated();
    };
    EXPECT_TRUE(is_donated());
    machine.end_donation(owner);
    EXPECT_FALSE(is_donated());
    EXPECT_EQ(owner.entity.effective(), Idle);
    EXPECT_EQ(owner.entity.state(), TaskState::Queued);
    machine.expect_exact_accounts();
}

TEST(Donation, NeverLowers) {
    Machine machine;
    Task& owner = machine.add_hog(Interactive, 100);
    machine.donate(owner, {.qos_class = Idle});
    EXPECT_EQ(owner.entity.effective(), Interactive);
    machine.end_donation(owner);
    EXPECT_EQ(owner.entity.effective(), Interactive);
}

TEST(Donation, OfEveryStateCountsAndEnds) {
    for (const bool ends_at_home : {false, true}) {
        RunQueue home;
        RunQueue other;
        home.start(CpuId{0}, Instant{});
        other.start(CpuId{1}, Instant{});
        Entity entity;
        entity.attributes = make(Normal);
        Entity peer;
        peer.attributes = make(Interactive);
        home.enqueue(entity, at(1_ms), EnqueueReason::New);
        home.enqueue(peer, at(1_ms), EnqueueReason::New);
        home.pick_next(at(1_ms));
        home.remove(entity, at(2_ms));  // under way
        home.set_donation(entity, {.qos_class = Interactive}, at(2_ms));
        EXPECT_EQ(entity.effective(), Interactive);
        RunQueue& queue = ends_at_home ? home : other;
        queue.enqueue(entity, at(3_ms), EnqueueReason::Migrate);
        EXPECT_EQ(queue.queue(Interactive).count(), ends_at_home ? 2U : 1U);
        if (!ends_at_home) {
            queue.pick_next(at(4_ms));
            ASSERT_EQ(queue.current(), &entity);
            queue.put_current(at(5_ms), PutReason::Block);  // asleep
        } else {
            queue.remove(entity, at(5_ms));
        }
        queue.end_donation(entity, at(6_ms));
        EXPECT_EQ(entity.effective(), Normal);
        EXPECT_FALSE(entity.is_donated());
        EXPECT_EQ(entity.donation(), Donation{});
        nexus_abi::sched_stat stat;
        entity.fill_stat(at(6_ms), stat);
        EXPECT_EQ(stat.flags, 0U);
    }
}

TEST(Donation, ShowsInTheStat) {
    Machine machine;
    Task& owner = machine.add_hog(Normal, 100);
    machine.donate(owner, {.qos_class = Interactive});
    nexus_abi::sched_stat stat;
    owner.entity.fill_stat(machine.now(), stat);
    EXPECT_EQ(stat.flags, nexus_abi::kStatDonated);
    EXPECT_EQ(stat.effective_class, 2U);
}

// A lent latency hint brings a waiting task's deadline forward as its own would at a wake-up.
TEST(Donation, LendsTheLatencyHint) {
    for (const bool is_lent : {false, true}) {
        Machine machine;
        for (int i = 0; i < 6; ++i) {
            machine.add_hog(Normal, 100);
        }
        Task& owner = machine.add_hog(Normal, 100);
        machine.run_for(1_ms);
        ASSERT_EQ(owner.entity.state(), TaskState::Queued);
        if (is_lent) {
            machine.donate(owner, {.qos_class = Normal, .latency = 1_ms});
            EXPECT_EQ(owner.entity.latency(), 1_ms);
        }
        while (owner.entity.state() != TaskState::Running) {
            machine.run_for(100_us);
        }
        if (is_lent) {
            EXPECT_LE(machine.now(), at(4_ms));
            machine.end_donation(owner);
            EXPECT_EQ(owner.entity.latency(), 0_ms);
        } else {
            EXPECT_GE(machine.now(), at(15_ms));
        }
    }
}

TEST(Donation, TheShorterHintCounts) {
    Machine machine;
    Attributes attributes = make(Normal);
    attributes.latency = 3_ms;
    Task& owner = machine.add(attributes);
    machine.donate(owner, {.qos_class = Normal, .latency = 10_ms});
    EXPECT_EQ(owner.entity.latency(), 3_ms);
    machine.donate(owner, {.qos_class = Normal, .latency = 2_ms});
    EXPECT_EQ(owner.entity.latency(), 2_ms);
    machine.donate(owner, {.qos_class = Normal});
    EXPECT_EQ(owner.entity.latency(), 3_ms);
}

// Priority inversion: an Idle owner, Normal hogs, an Interactive waiter.
TEST(Donation, EndsAnInversion) {
    Duration waited[2];
    for (const bool is_lent : {false, true}) {
        Machine machine;
        for (int i = 0; i < 4; ++i) {
            machine.add_hog(Normal, 100);
        }
        Task& owner = machine.add(make(Idle), {.work = 5_ms, .rest = 10_s});
        machine.run_for(10_ms);
        if (is_lent) {
            machine.donate(owner, {.qos_class = Interactive});
        }
        while (owner.entity.state() != TaskState::Blocked) {
            machine.run_for(100_us);
        }
        waited[is_lent ? 1 : 0] = machine.now() - at(10_ms);
    }
    // 5 ms of work, at 64 of 80 of the hart, with one class request of the others in between.
    EXPECT_LE(waited[1], 5_ms * 80 / 64 + 3_ms);
    EXPECT_GE(waited[0], waited[1] * 3);
}

TEST(Donation, TheDonationFaultIsVisible) {
    Machine machine{1, Faults{.no_donation = true}};
    Task& owner = machine.add_hog(Idle, 100);
    machine.donate(owner, {.qos_class = Interactive});
    EXPECT_EQ(owner.entity.effective(), Idle);
}

TEST(Donation, BuysNoShareAfterItsEnd) {
    Machine machine;
    Task& owner = machine.add_hog(Normal, 100);
    Task& victim = machine.add_hog(Normal, 100);
    for (int i = 0; i < 200; ++i) {
        machine.donate(owner, {.qos_class = Interactive});
        machine.run_for(1_ms);
        machine.end_donation(owner);
        machine.run_for(9_ms);
    }
    // Lent to for a tenth of the time; what it ran ahead is a debt afterwards, and the rest is half each.
    EXPECT_LE(owner.entity.runtime(machine.now()), 200_ms + 900_ms + 6_ms);
    EXPECT_GE(victim.entity.runtime(machine.now()), 900_ms - 6_ms);
}

TEST(Donation, ALentBoostDrainsTheBucketOfTheOneWhoRuns) {
    Machine machine;
    machine.add_hog(Interactive, 100);
    Task& owner = machine.add_hog(Normal, 100);
    machine.run_for(1_s);
    machine.donate(owner, {.qos_class = PerfBurst});
    EXPECT_EQ(owner.entity.effective(), PerfBurst);
    machine.run_for(60_ms);  // less than it takes to fill half the bucket again
    EXPECT_EQ(owner.entity.effective(), Interactive);
    EXPECT_EQ(owner.entity.statistics().boosted, 20_ms);
    machine.end_donation(owner);
    EXPECT_EQ(owner.entity.effective(), Normal);
}

// --- With budgets ---

class DonationAndBudget : public testing::Test {
  protected:
    DonationAndBudget() {
        budget.configure({.runtime = 2_ms, .period = 100_ms}, Instant{});
        lender.configure({.runtime = 50_ms, .period = 100_ms}, Instant{});
    }
    Budget budget;
    Budget lender;
};

TEST_F(DonationAndBudget, AThrottledTaskGoesOnWhileItIsLentTo) {
    Machine machine;
    machine.add_hog(Normal, 100);
    Task& owner = machine.add_hog(Interactive, 100);
    machine.set_budget(owner, &budget);
    machine.run_for(10_ms);
    ASSERT_EQ(owner.entity.state(), TaskState::Throttled);
    machine.donate(owner, {.qos_class = Interactive, .budget = &lender});
    EXPECT_EQ(owner.entity.state(), TaskState::Running);
    const Duration before = owner.entity.runtime(machine.now());
    machine.run_for(10_ms);
    EXPECT_GE(owner.entity.runtime(machine.now()) - before, 5_ms);
    // On the lender's account, not on its own.
    EXPECT_EQ(lender.left(machine.now()).ns(), (50_ms - (owner.entity.runtime(machine.now()) - before)).ns());
    EXPECT_EQ(budget.left(machine.now()), 0_ms);
    machine.end_donation(owner);
    machine.run_for(1_ms);
    EXPECT_EQ(owner.entity.state(), TaskState::Throttled);
}

TEST_F(DonationAndBudget, ALenderWithoutBudgetLeavesTheChargeWithTheOwner) {
    Machine machine;
    Task& owner = machine.add_hog(Interactive, 100);
    machine.set_budget(owner, &budget);
    machine.donate(owner, {.qos_class = Interactive});
    machine.run_for(10_ms);
    EXPECT_EQ(owner.entity.runtime(machine.now()), 10_ms);
    EXPECT_EQ(budget.left(machine.now()), 2_ms - 10_ms);  // overdrawn, and paid back
    machine.end_donation(owner);
    EXPECT_EQ(owner.entity.state(), TaskState::Throttled);
    machine.run_until(at(99_ms));
    EXPECT_EQ(owner.entity.runtime(machine.now()), 10_ms);
}

TEST_F(DonationAndBudget, AWakeUpOfACappedOwnerIsNotThrottled) {
    Machine machine;
    Task& owner = machine.add(make(Interactive), {.work = 2_ms, .rest = 10_ms});
    machine.set_budget(owner, &budget);
    machine.run_for(5_ms);
    ASSERT_EQ(owner.entity.state(), TaskState::Blocked);
    machine.donate(owner, {.qos_class = Interactive, .budget = &lender});
    machine.run_until(at(12_ms));
    EXPECT_EQ(owner.entity.state(), TaskState::Running);
}

}  // namespace
}  // namespace sched_test
