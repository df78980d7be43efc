// SPDX-License-Identifier: MIT
// Budgets: no window of length P holds more than Q, whatever happens to the task meanwhile.
#include "sched/budget.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "machine.hpp"

namespace sched_test {
namespace {

using kernel::sched::Budget;
using kernel::sched::BudgetParams;
using kernel::sched::EnqueueReason;
using kernel::sched::PutReason;
using enum QosClass;

constexpr BudgetParams kFifth{.runtime = 20_ms, .period = 100_ms};

// What some tasks ran, in steps of one tick, and the fullest window of it.
class WindowMeter {
  public:
    explicit WindowMeter(Machine& machine, Duration tick = 100_us) : machine_{machine}, tick_{tick} {}

    void run_for(Duration span, const std::vector<Task*>& tasks) {
        const Instant end = machine_.now() + span;
        while (machine_.now() < end) {
            machine_.run_for(tick_);
            Duration sum;
            for (const Task* task : tasks) {
                sum += task->entity.runtime(machine_.now());
            }
            sums_.push_back(sum);
        }
    }
    // The most that any window of this length held, of those that begin and end on a tick: at most one tick
    // less than the fullest of all.
    [[nodiscard]] Duration fullest(Duration window) const {
        const auto length = static_cast<std::size_t>(window.ns() / tick_.ns());
        Duration most;
        for (std::size_t i = 0; i + length < sums_.size(); ++i) {
            most = std::max(most, sums_[i + length] - sums_[i]);
        }
        return most;
    }

  private:
    Machine& machine_;
    Duration tick_;
    std::vector<Duration> sums_{Duration{}};
};

class BudgetOfOne : public testing::Test {
  protected:
    BudgetOfOne() { budget.configure(kFifth, Instant{}); }
    Task& add_capped(const Attributes& attributes, const Behaviour& behaviour = {}) {
        Task& task = machine.add(attributes, behaviour);
        machine.set_budget(task, &budget);
        return task;
    }
    Budget budget;
    Machine machine;
    WindowMeter meter{machine};
};

TEST_F(BudgetOfOne, AHogGetsExactlyItsShareOfEveryPeriod) {
    Task& hog = add_capped(make(Normal));
    meter.run_for(1990_ms, {&hog});
    EXPECT_EQ(hog.entity.runtime(machine.now()), 400_ms);
    EXPECT_LE(meter.fullest(100_ms), 20_ms);
    const auto& statistics = hog.entity.statistics();
    EXPECT_EQ(statistics.throttles, 20U);
    nexus_abi::sched_stat stat;
    hog.entity.fill_stat(machine.now(), stat);
    EXPECT_EQ(stat.state, static_cast<std::uint32_t>(TaskState::Throttled));
    EXPECT_EQ(stat.flags, nexus_abi::kStatThrottled);
    EXPECT_EQ(stat.throttled_ns, 1'590'000'000U);
    EXPECT_EQ(stat.nr_throttled, 20U);
    EXPECT_EQ(stat.wait_ns, 0U);  // without budget is not waiting
}

TEST_F(BudgetOfOne, ALoneTaskHasATimerForItsBudgetOnly) {
    Task& hog = add_capped(make(Normal));
    EXPECT_EQ(machine.queue().next_event(machine.now()), at(20_ms));
    machine.run_until(at(30_ms));
    EXPECT_EQ(hog.entity.state(), TaskState::Throttled);
    EXPECT_EQ(machine.queue().current(), nullptr);
    EXPECT_EQ(machine.queue().runnable(), 0U);
    EXPECT_EQ(machine.queue().throttled(), 1U);
    EXPECT_EQ(machine.queue().next_event(machine.now()), at(100_ms));  // on an idle hart
    machine.set_budget(hog, nullptr);
    EXPECT_EQ(hog.entity.state(), TaskState::Running);
    EXPECT_TRUE(machine.queue().next_event(machine.now()).is_never());
}

// Sleepers, preempted and hurried: the list has 8 entries, and what it cannot hold comes back late.
TEST_F(BudgetOfOne, AnyWindowWithManyShortRuns) {
    Task& task = add_capped(make(Interactive), {.work = 700_us, .rest = 1300_us});
    machine.add_hog(Normal, 100);
    machine.add(make(PerfBurst), {.work = 300_us, .rest = 900_us});
    meter.run_for(3_s, {&task});
    EXPECT_LE(meter.fullest(100_ms), 20_ms);
    EXPECT_GE(task.entity.runtime(machine.now()), 3_s / 5 * 9 / 10);
}

TEST_F(BudgetOfOne, AnyWindowUnderEveryChange) {
    Task& task = add_capped(make(Normal), {.work = 9_ms, .rest = 3_ms});
    machine.add_hog(Normal, 100);
    std::mt19937 random{7};
    for (int i = 0; i < 400; ++i) {
        meter.run_for(Duration::microseconds(1 + static_cast<std::int64_t>(random() % 20'000)), {&task});
        Attributes attributes =
            make(random() % 2 == 0 ? Normal : Interactive, 1 + static_cast<std::uint32_t>(random() % 1000));
        attributes.latency = random() % 2 == 0 ? 2_ms : 0_ms;
        machine.set(task, attributes);
    }
    EXPECT_LE(meter.fullest(100_ms), 20_ms);
    EXPECT_GE(task.entity.statistics().throttles, 10U);
}

TEST_F(BudgetOfOne, ChangesOfTheBudgetCountAtOnce) {
    Task& hog = add_capped(make(Normal));
    const auto change = [&](const BudgetParams& params) {
        budget.configure(params, machine.now());
        machine.set_budget(hog, &budget);
    };
    machine.run_until(at(10_ms));
    change({.runtime = 5_ms, .period = 100_ms});  // while it runs: it has had more than that
    EXPECT_EQ(hog.entity.state(), TaskState::Throttled);
    machine.run_until(at(50_ms));
    EXPECT_EQ(hog.entity.runtime(machine.now()), 10_ms);
    change({.runtime = 15_ms, .period = 100_ms});  // while it is throttled
    EXPECT_EQ(hog.entity.state(), TaskState::Running);
    machine.run_until(at(60_ms));
    EXPECT_EQ(hog.entity.runtime(machine.now()), 15_ms);
    change({.runtime = 15_ms, .period = 1_s});  // later than it was promised
    machine.run_until(at(999_ms));
    EXPECT_EQ(hog.entity.runtime(machine.now()), 15_ms);
    change({.runtime = 15_ms, .period = 20_ms});  // earlier
    EXPECT_EQ(hog.entity.state(), TaskState::Running);
}

TEST_F(BudgetOfOne, ChangeWhileAsleep) {
    Task& task = add_capped(make(Normal), {.work = 10_ms, .rest = 20_ms});
    machine.run_until(at(15_ms));
    ASSERT_EQ(task.entity.state(), TaskState::Blocked);
    budget.configure({.runtime = 10_ms, .period = 100_ms}, machine.now());
    machine.set_budget(task, &budget);
    machine.run_until(at(35_ms));
    EXPECT_EQ(task.entity.state(), TaskState::Throttled);  // it woke at 30 ms with nothing left
    machine.run_until(at(101_ms));
    EXPECT_EQ(task.entity.state(), TaskState::Running);
}

TEST_F(BudgetOfOne, ExitWhileThrottled) {
    Task& hog = add_capped(make(Normal));
    machine.run_until(at(30_ms));
    ASSERT_EQ(hog.entity.state(), TaskState::Throttled);
    machine.exit(hog);
    EXPECT_EQ(hog.entity.state(), TaskState::Dead);
    EXPECT_EQ(machine.queue().throttled(), 0U);
    machine.set_budget(hog, nullptr);
    EXPECT_TRUE(machine.queue().next_event(machine.now()).is_never());
    machine.expect_exact_accounts();
}

TEST_F(BudgetOfOne, WithoutItATaskThatMustEndRuns) {
    Task& hog = add_capped(make(Normal));
    machine.run_until(at(30_ms));
    ASSERT_EQ(hog.entity.state(), TaskState::Throttled);
    machine.set_budget(hog, nullptr);
    EXPECT_EQ(hog.entity.state(), TaskState::Running);
}

TEST_F(BudgetOfOne, YieldAndBlockGiveTheGrantBack) {
    Task& task = add_capped(make(Normal));
    machine.add_hog(Normal, 100);
    for (int i = 0; i < 50; ++i) {
        machine.run_for(100_us);
        if (machine.queue().current() == &task.entity) {
            machine.yield(0);
        }
    }
    machine.run_until(at(6_ms));
    while (task.entity.state() == TaskState::Running) {
        machine.run_for(100_us);
    }
    EXPECT_EQ(budget.left(machine.now()).ns(), (20_ms - task.entity.runtime(machine.now())).ns());
}

TEST_F(BudgetOfOne, AChangeOfMaskWhileThrottledMovesIt) {
    Budget other_budget;
    other_budget.configure(kFifth, Instant{});
    Machine two{2};
    Task& hog = two.add_hog(Normal, 100, CpuMask::first(1));
    two.set_budget(hog, &other_budget);
    WindowMeter windows{two};
    windows.run_for(30_ms, {&hog});
    ASSERT_EQ(hog.entity.state(), TaskState::Throttled);
    for (int i = 0; i < 40; ++i) {
        two.set(hog, make(Normal, 100, CpuMask::from_bits(i % 2 == 0 ? 0b10 : 0b01)));
        EXPECT_EQ(hog.entity.cpu(), CpuId{i % 2 == 0 ? 1U : 0U});
        windows.run_for(17_ms, {&hog});
    }
    EXPECT_LE(windows.fullest(100_ms), 20_ms);
    EXPECT_GE(hog.entity.runtime(two.now()), two.now() - Instant{} >= 700_ms ? 130_ms : 0_ms);
    EXPECT_GT(hog.entity.runtime_on(CpuId{1}), 0_ms);
    two.expect_exact_accounts();
}

TEST_F(BudgetOfOne, TheBudgetFaultIsVisible) {
    Machine broken{1, Faults{.no_budget = true}};
    Task& hog = broken.add_hog(Normal, 100);
    broken.set_budget(hog, &budget);
    broken.run_for(100_ms);
    EXPECT_EQ(hog.entity.runtime(broken.now()), 100_ms);
}

// A task that was throttled has the shares it would have had asleep: no credit for the time without budget.
TEST_F(BudgetOfOne, NoCreditForThrottledTime) {
    Task& task = add_capped(make(Normal));
    Task& other = machine.add_hog(Normal, 100);
    machine.run_for(1_s);
    machine.set_budget(task, nullptr);
    machine.mark();
    machine.run_for(300_ms);
    EXPECT_LE(std::abs((machine.since_mark(task) - machine.since_mark(other)).ns()), Duration{6_ms}.ns());
}

TEST_F(BudgetOfOne, TheLastOfManyReleasesComesToo) {
    std::vector<std::unique_ptr<Budget>> budgets;
    Machine crowd;
    for (int i = 0; i < 50; ++i) {
        budgets.push_back(std::make_unique<Budget>());
        budgets.back()->configure({.runtime = 100_us, .period = 100_ms}, Instant{});
        Task& task = crowd.add_hog(Normal, 100);
        crowd.set_budget(task, budgets.back().get());
    }
    crowd.run_for(10_s);
    for (const auto& task : crowd.tasks()) {
        EXPECT_GE(task->entity.runtime(crowd.now()), 9_ms);
        EXPECT_LE(task->entity.runtime(crowd.now()), 10_ms + 100_us);
    }
}

// --- Shared ---

TEST(SharedBudget, TasksOnSeveralHartsTogetherStayWithin) {
    for (const std::uint32_t harts : {1U, 2U, 4U}) {
        Budget budget;
        budget.configure(kFifth, Instant{});
        Machine machine{harts};
        std::vector<Task*> sharers;
        for (std::uint32_t i = 0; i < harts + 1; ++i) {
            sharers.push_back(&machine.add_hog(Normal, 100));
            machine.set_budget(*sharers.back(), &budget);
        }
        Task& free = machine.add_hog(Idle, 100);
        WindowMeter meter{machine};
        meter.run_for(3_s, sharers);
        EXPECT_LE(meter.fullest(100_ms), 20_ms) << harts;
        Duration sum;
        for (const Task* task : sharers) {
            sum += task->entity.runtime(machine.now());
        }
        for (const Task* task : sharers) {
            // The line is served in turn: nobody has less than half of his part.
            EXPECT_GE(task->entity.runtime(machine.now()), sum / (2 * (std::int64_t{harts} + 1))) << harts;
        }
        // Time comes back after the end of each piece of Q / 8: at most an eighth of Q per round is lost,
        // and with several harts at once up to one piece of each.
        EXPECT_GE(ratio(sum, 3_s), 0.2 * 100 / (100 + 2.5 * 4)) << harts;
        EXPECT_GT(free.entity.runtime(machine.now()), 1_s);
        machine.expect_exact_accounts();
    }
}

TEST(SharedBudget, SleepersOnSeveralHarts) {
    Budget budget;
    budget.configure({.runtime = 5_ms, .period = 30_ms}, Instant{});
    Machine machine{3};
    std::vector<Task*> sharers;
    for (int i = 0; i < 6; ++i) {
        sharers.push_back(
            &machine.add(make(Interactive), {.work = 600_us + 130_us * i, .rest = 2_ms + 1_ms * i}));
        machine.set_budget(*sharers.back(), &budget);
    }
    for (int i = 0; i < 3; ++i) {
        machine.add_hog(Normal, 100);
    }
    WindowMeter meter{machine};
    meter.run_for(2_s, sharers);
    EXPECT_LE(meter.fullest(30_ms), 5_ms);
}

// One task had it all to itself; from the moment a second one draws on it the rule for several holds.
TEST(SharedBudget, ASecondTaskMayComeAtAnyTime) {
    for (int delay = 1; delay < 130; delay += 7) {
        Budget budget;
        budget.configure(kFifth, Instant{});
        Machine machine{2};
        Task& first = machine.add_hog(Normal, 100);
        machine.set_budget(first, &budget);
        Task& second = machine.add(make(Normal), {.work = 10_s, .rest = 1_s, .first_wake = 1_ms * delay});
        machine.set_budget(second, &budget);
        WindowMeter meter{machine};
        meter.run_for(400_ms, {&first, &second});
        EXPECT_LE(meter.fullest(100_ms), 20_ms) << delay;
    }
}

TEST(SharedBudget, AbandonedByAllButOneItIsThatOnes) {
    Budget budget;
    budget.configure(kFifth, Instant{});
    Machine machine{2};
    Task& first = machine.add_hog(Normal, 100);
    Task& second = machine.add_hog(Normal, 100);
    machine.set_budget(first, &budget);
    machine.set_budget(second, &budget);
    machine.run_for(300_ms);
    machine.set_budget(second, nullptr);
    machine.run_for(100_ms);
    machine.mark();
    machine.run_for(1_s);
    EXPECT_EQ(machine.since_mark(second), 1_s);
    EXPECT_GE(machine.since_mark(first), 180_ms);
    EXPECT_LE(machine.since_mark(first), 220_ms);
}

// --- The list ---

TEST(BudgetList, WhatWasUsedComesBackOnePeriodAfterItBegan) {
    Budget budget;
    budget.configure(kFifth, Instant{});
    budget.attach(Instant{});
    EXPECT_EQ(budget.grant(at(0_ms)), 20_ms);
    EXPECT_EQ(budget.grant(at(0_ms)), 0_ms);  // all of it is set aside
    budget.use(at(0_ms), at(5_ms), 5_ms, false);
    budget.use(at(5_ms), at(8_ms), 3_ms, false);
    budget.give_back(12_ms);
    EXPECT_EQ(budget.left(at(8_ms)), 12_ms);
    EXPECT_EQ(budget.left(at(100_ms) - 1_ns), 12_ms);
    EXPECT_EQ(budget.left(at(100_ms)), 20_ms);
    EXPECT_TRUE(budget.may_start({}, at(8_ms)));
}

TEST(BudgetList, WhatOneUsedComesBackLaterWhenTwoShareIt) {
    Budget budget;
    budget.configure({.runtime = 10_ms, .period = 100_ms}, at(0_ms));
    budget.attach(at(0_ms));
    budget.use(at(0_ms), at(10_ms), budget.grant(at(0_ms)), false);
    EXPECT_EQ(budget.left(at(50_ms)), 0_ms);
    budget.attach(at(50_ms));  // two can use it up at once: P after its end, or a window holds it twice
    EXPECT_EQ(budget.left(at(110_ms) - 1_ns), 0_ms);
    EXPECT_EQ(budget.left(at(110_ms)), 10_ms);
    budget.detach();
    budget.detach();
}

TEST(BudgetList, ALateTimerIsPaidBack) {
    Budget budget;
    budget.configure(kFifth, Instant{});
    budget.attach(Instant{});
    const Duration granted = budget.grant(at(0_ms));
    budget.use(at(0_ms), at(21_ms), granted, false);
    EXPECT_EQ(budget.left(at(21_ms)), 0_ms - 1_ms);
    EXPECT_FALSE(budget.may_start({}, at(100_ms) - 1_ns));
    kernel::sched::BudgetWaiter waiter;
    budget.wait(waiter);
    EXPECT_EQ(budget.ask_again_at(waiter, at(21_ms)), at(100_ms));
    EXPECT_FALSE(budget.may_start({}, at(100_ms)));  // somebody is in line
    EXPECT_EQ(budget.renew(at(100_ms)), 0_ms);
    EXPECT_TRUE(budget.may_go_on(waiter, at(100_ms)));
    budget.stop_waiting(waiter);
}

TEST(BudgetList, AFullListGivesNothingBackEarly) {
    std::mt19937 random{11};
    for (int round = 0; round < 200; ++round) {
        Budget budget;
        budget.configure(kFifth, Instant{});
        budget.attach(Instant{});
        struct Run {
            Instant from;
            Instant to;
        };
        std::vector<Run> runs;
        Instant now;
        for (int i = 0; i < 60; ++i) {
            now += Duration::microseconds(1 + static_cast<std::int64_t>(random() % 9'000));
            const Duration granted = budget.grant(now);
            if (granted.is_zero()) {
                continue;
            }
            const Duration wanted = Duration::microseconds(1 + static_cast<std::int64_t>(random() % 4'000));
            const Duration ran = std::min(granted, wanted);
            budget.use(now, now + ran, ran, false);
            budget.give_back(granted - ran);
            runs.push_back({now, now + ran});
            now += ran;
        }
        // Windows that begin where a run begins are the fullest.
        for (const Run& first : runs) {
            const Instant end = first.from + 100_ms;
            Duration sum;
            for (const Run& run : runs) {
                if (run.from >= first.from && run.from < end) {
                    sum += min(run.to, end) - run.from;
                }
            }
            ASSERT_LE(sum, 20_ms) << round;
        }
    }
}

}  // namespace
}  // namespace sched_test
