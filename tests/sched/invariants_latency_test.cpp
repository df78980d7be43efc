// SPDX-License-Identifier: MIT
// I8, I9, I14 to I16, I18, I19: how long a task waits, and what that costs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "laboratory.hpp"
#include "record.hpp"
#include "tier.hpp"

namespace sched_test {
namespace {

using enum QosClass;

double longest_wait_ms(const Simulation& simulation, TaskIndex task) {
    return in_ms(simulation.entity(task).statistics().wait_max);
}

TEST(Invariants, I8_FloorsAndWaitsOfSaturatedClasses) {
    // A boost that never ends: the worst case of the table.
    Simulation simulation{{.faults = {.endless_boost = true}}};
    const TaskIndex idle = simulation.add_hog(100, CpuMask::all(), Idle);
    const TaskIndex normal = simulation.add_hog(100, CpuMask::all(), Normal);
    const TaskIndex interactive = simulation.add_hog(100, CpuMask::all(), Interactive);
    Attributes burst = make(PerfBurst);
    simulation.add_task(
        task_of(burst, sched_sim::on_off(Distribution::constant(30_s), Distribution::constant(1_us))));
    simulation.run_for(1_s);
    simulation.mark();
    simulation.run_for(15_s);
    expect_at_least("I8", "Idle beside saturated higher classes, 15 s", 100 * part(simulation, idle, 15_s),
                    0.47, "%");
    expect_at_most("I8", "longest wait, Idle", longest_wait_ms(simulation, idle), 250, "ms");
    expect_at_most("I8", "longest wait, Normal", longest_wait_ms(simulation, normal), 45, "ms");
    expect_at_most("I8", "longest wait, Interactive", longest_wait_ms(simulation, interactive), 24, "ms");
}

TEST(Invariants, I8_FloorsUnderAStormOfWakers) {
    double idle_share = 100;
    double idle_wait = 0;
    double normal_wait = 0;
    const std::uint64_t first = first_seed();
    for (std::uint64_t seed = first; seed < first + (kIsSlow ? 1 : 4); ++seed) {
        Random random{seed};
        Simulation simulation{{.seed = seed}};
        const TaskIndex idle = simulation.add_hog(100, CpuMask::all(), Idle);
        const TaskIndex normal = simulation.add_hog(100, CpuMask::all(), Normal);
        for (int i = 0; i < 8; ++i) {
            const QosClass qos_class = i % 2 == 0 ? Interactive : PerfBurst;
            simulation.add_task(
                task_of(make(qos_class),
                        sched_sim::on_off(
                            Distribution::exponential(Duration::microseconds(random.between(200, 600))),
                            Distribution::exponential(Duration::microseconds(random.between(50, 300))))));
        }
        simulation.run_for(1_s);
        simulation.mark();
        simulation.run_for(15_s);
        idle_share = std::min(idle_share, 100 * part(simulation, idle, 15_s));
        idle_wait = std::max(idle_wait, longest_wait_ms(simulation, idle));
        normal_wait = std::max(normal_wait, longest_wait_ms(simulation, normal));
    }
    expect_at_least("I8", "Idle under a storm of wakers, 15 s", idle_share, 0.47, "%");
    expect_at_most("I8", "longest wait under a storm, Idle", idle_wait, 250, "ms");
    expect_at_most("I8", "longest wait under a storm, Normal", normal_wait, 45, "ms");
}

// An Interactive task that asks for 2 ms and uses less than half of its share, under any load below it.
TEST(Invariants, I9_WakeToRunOfAnInteractiveTask) {
    sched_sim::LatencyHistogram all;
    const std::uint64_t first = first_seed();
    for (std::uint64_t seed = first; seed < first + (kIsSlow ? 2 : 12); ++seed) {
        Random random{seed};
        const auto harts = static_cast<std::uint32_t>(random.between(1, 4));
        Simulation simulation{{.harts = harts, .switch_cost = 2_us, .seed = seed}};
        for (std::int64_t i = random.between(4, 20); i > 0; --i) {
            const QosClass below = random.below(3) == 0 ? Idle : Normal;
            BehaviourPtr behaviour =
                random.below(2) == 0
                    ? sched_sim::hog()
                    : sched_sim::on_off(Distribution::exponential(2_ms), Distribution::exponential(1_ms));
            simulation.add_task(task_of(make(below, log_uniform(random, 1, 1000)), std::move(behaviour)));
        }
        Attributes attributes = make(Interactive);
        attributes.latency = 2_ms;
        // 0.8 of a hart is Interactive's beside Normal; 2 of 16 ms is a sixth of that.
        const TaskIndex task = simulation.add_task(
            task_of(attributes, sched_sim::periodic(16_ms, Distribution::constant(2_ms))));
        simulation.run_for(10_s);
        all.merge(simulation.record(task).wake_latency);
    }
    expect_at_most("I9", "wake to run, Interactive with a 2 ms hint, any load below: p99",
                   in_us(all.percentile(0.99)), 500, "us");
    expect_at_most("I9", "wake to run, Interactive with a 2 ms hint, any load below: max", in_us(all.max()),
                   3000, "us");
}

TEST(Invariants, I14_InterruptsPerRemoteWakeUp) {
    Simulation simulation{{.harts = 2}};
    // Woken by a task on the other hart, again and again: each time its hart is idle.
    const auto go = simulation.make_semaphore();
    const auto done = simulation.make_semaphore();
    simulation.add_task(task_of(
        make(Normal, 100, CpuMask::from_bits(1)),
        sched_sim::script({sched_sim::run(20_us), sched_sim::post(go), sched_sim::wait_on(done)}, true)));
    simulation.add_task(task_of(
        make(Normal, 100, CpuMask::from_bits(2)),
        sched_sim::script({sched_sim::wait_on(go), sched_sim::run(20_us), sched_sim::post(done)}, true)));
    simulation.run_for(10_ms);
    Watcher watcher{simulation};
    simulation.run_for(1_s);
    ASSERT_GT(watcher.wakes, 1000U);
    expect_at_most("I14", "interrupts per remote wake-up",
                   static_cast<double>(watcher.ipis) / static_cast<double>(watcher.wakes), 1.001, "");

    // Ten wake-ups for a hart that already has one interrupt on its way.
    Simulation burst{{.harts = 2}};
    std::vector<sched_sim::Action> wake_all{sched_sim::run(100_us)};
    std::vector<sched_sim::SemaphoreIndex> each;
    for (int i = 0; i < 10; ++i) {
        each.push_back(burst.make_semaphore());
        wake_all.push_back(sched_sim::post(each.back()));
        burst.add_task(
            task_of(make(Normal, 100, CpuMask::from_bits(2)),
                    sched_sim::script({sched_sim::wait_on(each.back()), sched_sim::run(1_us)}, true)));
    }
    wake_all.push_back(sched_sim::sleep_for(1_ms));
    burst.add_task(task_of(make(Normal, 100, CpuMask::from_bits(1)), sched_sim::script(wake_all, true)));
    burst.run_for(50_ms);
    Watcher counts{burst};
    burst.run_for(1_s);
    ASSERT_GT(counts.wakes, 5000U);
    // Ten are woken at one instant by one interrupt; the waker itself wakes by its timer.
    expect_at_most("I14", "interrupts per wake-up, ten at once",
                   static_cast<double>(counts.ipis) / static_cast<double>(counts.wakes), 0.1, "");
}

TEST(Invariants, I15_ALoneTaskHasNoTimer) {
    Simulation simulation{{.harts = 4}};
    for (std::uint32_t i = 0; i < 4; ++i) {
        simulation.add_hog(100, CpuMask::of(CpuId{i}), kernel::sched::class_at(i % 3));
    }
    simulation.run_for(100_ms);
    Watcher watcher{simulation};
    simulation.run_for(1_s);
    expect_at_most("I15", "timer interrupts on four harts with one task each",
                   static_cast<double>(watcher.timers), 0, "/s");
    EXPECT_EQ(watcher.ipis, 0U);
}

// The most any window of length P holds of these runs.
Duration most_in_a_window(const std::vector<std::pair<Instant, Instant>>& runs, Duration period) {
    Duration most;
    // The fullest window begins where a run begins, or ends where one ends.
    const auto inside = [&](Instant from, Instant to) {
        Duration sum;
        for (const auto& [begin, end] : runs) {
            const Instant a = std::max(begin, from);
            const Instant b = min(end, to);
            sum += a < b ? b - a : Duration{};
        }
        return sum;
    };
    for (const auto& [begin, end] : runs) {
        most = std::max(most, inside(begin, begin + period));
        most = std::max(most, inside(Instant::from_ns(end.ns() - period.ns()), end));
    }
    return most;
}

TEST(Invariants, I16_BudgetInAnyWindow) {
    Duration worst_over = Duration::milliseconds(-1000);
    double least_use = 1;
    const std::uint64_t first = first_seed();
    const std::uint64_t rounds = Tiers<std::uint64_t>{.brief = 3, .quick = 40, .thorough = 4000}.value();
    for (std::uint64_t seed = first; seed < first + rounds; ++seed) {
        Random random{seed};
        const auto harts = static_cast<std::uint32_t>(random.between(1, 3));
        Simulation simulation{{.harts = harts, .switch_cost = 2_us, .seed = seed}};
        Watcher watcher{simulation};
        watcher.looks_at_harts = false;
        const Duration period = Duration::microseconds(random.between(2'000, 200'000));
        const Duration quota = Duration::nanoseconds(period.ns() * random.between(5, 90) / 100);
        const bool is_hog = random.below(3) == 0;
        const TaskIndex task = simulation.add_task(task_of(
            make(random.below(2) == 0 ? Normal : Interactive),
            is_hog ? sched_sim::hog()
                   : sched_sim::on_off(
                         Distribution::exponential(Duration::microseconds(random.between(50, 5000))),
                         Distribution::exponential(Duration::microseconds(random.between(20, 3000))))));
        watcher.tracked = {task};
        simulation.set_budget(task, quota, period);
        for (std::int64_t i = random.between(0, 4); i > 0; --i) {
            simulation.add_hog(100);
        }
        if (random.below(2) == 0) {
            simulation.at(Instant::from_ns(500'000'000),
                          [task](Simulation& later) { later.set_affinity(task, CpuMask::from_bits(1)); });
        }
        simulation.run_for(1_s);
        const Duration over = most_in_a_window(watcher.runs[task], period) - quota;
        worst_over = std::max(worst_over, over);
        if (is_hog && simulation.task_count() == 1) {
            least_use =
                std::min(least_use, static_cast<double>(simulation.runtime(task).ns()) / 1e9 /
                                        (static_cast<double>(quota.ns()) / static_cast<double>(period.ns())));
        }
    }
    expect_at_most("I16", "runtime beyond the budget in any window", in_us(worst_over), 50, "us");
    EXPECT_GT(least_use, 0.85) << "a capped hog alone gets what it may";
}

// A high task waits for a lock whose low owner competes with hogs in between.
double longest_lock_wait_ms(bool has_donation, std::uint32_t chain) {
    Simulation simulation{{.faults = {.no_donation = !has_donation}}};
    std::vector<sched_sim::MutexIndex> locks;
    for (std::uint32_t i = 0; i < chain; ++i) {
        locks.push_back(simulation.make_mutex());
    }
    for (int i = 0; i < 4; ++i) {
        simulation.add_hog(100);
    }
    // The last of the chain holds its lock for 2 ms; each other holds one and waits for the next.
    for (std::uint32_t i = chain; i-- > 0;) {
        std::vector<sched_sim::Action> actions{
            sched_sim::sleep_for(Duration::microseconds(1000 * (chain - i)))};
        actions.push_back(sched_sim::lock(locks[i]));
        if (i + 1 < chain) {
            actions.push_back(sched_sim::lock(locks[i + 1]));
            actions.push_back(sched_sim::run(50_us));
            actions.push_back(sched_sim::unlock(locks[i + 1]));
        } else {
            actions.push_back(sched_sim::run(20_ms));
        }
        actions.push_back(sched_sim::unlock(locks[i]));
        actions.push_back(sched_sim::sleep_for(100_ms));
        simulation.add_task(task_of(make(Idle), sched_sim::script(std::move(actions), true)));
    }
    Duration longest;
    Instant asked;
    int step = 0;
    const TaskIndex high =
        simulation.add_task(task_of(make(Interactive), sched_sim::program([&](const sched_sim::Self& self) {
                                        switch (step++ % 4) {
                                            case 0:
                                                return sched_sim::sleep_for(30_ms);
                                            case 1:
                                                asked = self.now;
                                                return sched_sim::lock(locks[0]);
                                            case 2:
                                                longest = std::max(longest, self.now - asked);
                                                return sched_sim::run(10_us);
                                            default:
                                                return sched_sim::unlock(locks[0]);
                                        }
                                    })));
    simulation.run_for(3_s);
    EXPECT_GT(simulation.record(high).completions, 10U);
    return in_ms(longest);
}

TEST(Invariants, I18_PriorityInversion) {
    // What is left of the owner's section, at Interactive's part beside Normal (64 of 80), and one turn of
    // the classes (24 ms bound, here Normal only: a class request each).
    const double with = longest_lock_wait_ms(true, 1);
    const double without = longest_lock_wait_ms(false, 1);
    expect_at_most("I18", "Interactive waits for an Idle owner's 20 ms section, 4 Normal hogs", with,
                   20 / 0.8 + 6, "ms");
    expect_at_least("I18", "Interactive waits for an Idle owner, without donation (control): times as long",
                    without / with, 3, "");
    expect_at_most("I18", "Interactive waits through a chain of 8 Idle owners", longest_lock_wait_ms(true, 8),
                   20 / 0.8 + 8 * 1 + 6, "ms");
}

TEST(Invariants, I19_StepsOfTheTree) {
    double worst = 0;
    for (const std::uint32_t tasks : {10U, 100U, 1000U, 10'000U}) {
        Random random{first_seed()};
        Simulation simulation{{}};
        for (std::uint32_t i = 0; i < tasks; ++i) {
            simulation.add_hog(log_uniform(random, 1, 1000));
        }
        simulation.run_for(500_ms);
        const auto& waiting = simulation.queue(CpuId{0}).queue(Normal).waiting();
        ASSERT_EQ(waiting.size(), tasks - 1);
        worst = std::max(worst, waiting.height() - 1.44 * std::log2(tasks));
    }
    expect_at_most("I19", "height of the tree above 1.44 log2 n, 10 to 10 000 tasks", worst, 1, "steps");
}

}  // namespace
}  // namespace sched_test
