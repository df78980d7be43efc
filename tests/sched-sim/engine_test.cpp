// SPDX-License-Identifier: MIT
// The engine: what it does with time, moves and races. The scheduler's own promises are in tests/sched.
#include "engine.hpp"

#include <gtest/gtest.h>

namespace sched_sim {
namespace {

using kernel::sched::TaskState;

Duration ms(std::int64_t n) {
    return Duration::milliseconds(n);
}
Duration us(std::int64_t n) {
    return Duration::microseconds(n);
}
Instant at_ms(std::int64_t n) {
    return Instant{} + ms(n);
}

TaskOptions with(BehaviourPtr behaviour, QosClass qos_class = QosClass::Normal,
                 CpuMask mask = CpuMask::all()) {
    TaskOptions options{.behaviour = std::move(behaviour)};
    options.attributes.qos_class = qos_class;
    options.attributes.affinity = options.attributes.affinity_effective = mask;
    return options;
}

TEST(Engine, AHogGetsAllOfItsHart) {
    Simulation simulation{{.audit = true}};
    const TaskIndex hog = simulation.add_hog(100);
    simulation.run_until(at_ms(100));
    // It was sent to a sleeping hart: the IPI takes 5 us.
    EXPECT_EQ(simulation.runtime(hog), ms(100) - us(5));
    EXPECT_EQ(simulation.violation(), "");
}

TEST(Engine, WorkTakesLongerOnASlowHart) {
    Simulation simulation{{.capacities = {512}, .audit = true}};
    const TaskIndex task = simulation.add_task(with(script({run(ms(10))})));
    simulation.run_until(at_ms(50));
    EXPECT_EQ(simulation.runtime(task), ms(20));
    EXPECT_EQ(simulation.record(task).work, ms(10));
    EXPECT_EQ(simulation.entity(task).state(), TaskState::Dead);
}

TEST(Engine, SwitchesCostWhatTheyAreSaidTo) {
    Simulation simulation{{.switch_cost = us(10), .audit = true}};
    simulation.add_hog(100);
    simulation.add_hog(100);
    simulation.run_until(at_ms(1000));
    const HartRecord& hart = simulation.hart_record(CpuId{0});
    EXPECT_GT(hart.switches, 300U);
    EXPECT_NEAR(static_cast<double>(hart.switch_time.ns()), static_cast<double>(hart.switches) * 10'000,
                10'000);
    EXPECT_EQ(simulation.runtime(0) + simulation.runtime(1),
              simulation.record(0).work + simulation.record(1).work + hart.switch_time);
}

TEST(Engine, SleepersWakeOnTime) {
    Simulation simulation{{.timer_latency = us(3), .audit = true}};
    const TaskIndex task = simulation.add_task(with(periodic(ms(10), Distribution::constant(ms(1)))));
    simulation.run_until(at_ms(1005));
    EXPECT_EQ(simulation.record(task).completions, 101U);
    EXPECT_EQ(simulation.record(task).wake_latency.max(), Duration{});  // counted from the timer on
    EXPECT_EQ(simulation.hart_record(CpuId{0}).timer_interrupts, 100U);
}

TEST(Engine, SemaphoresHandOver) {
    Simulation simulation{{.harts = 2, .audit = true}};
    const SemaphoreIndex ping = simulation.make_semaphore();
    const SemaphoreIndex pong = simulation.make_semaphore();
    const TaskIndex a = simulation.add_task(with(script({run(us(10)), post(ping), wait_on(pong)}, true)));
    const TaskIndex b = simulation.add_task(with(script({wait_on(ping), run(us(10)), post(pong)}, true)));
    simulation.run_until(at_ms(100));
    EXPECT_GT(simulation.record(a).completions, 3000U);
    EXPECT_NEAR(static_cast<double>(simulation.record(a).completions),
                static_cast<double>(simulation.record(b).completions), 1);
    EXPECT_EQ(simulation.violation(), "");
}

TEST(Engine, ForkedChildrenRunAndEnd) {
    Simulation simulation{{.harts = 4, .audit = true}};
    NewTask child{.name = "job"};
    simulation.add_task(with(forker(child, [] { return script({run(ms(3))}); }, 50, us(100), true)));
    simulation.run_until(at_ms(200));
    ASSERT_EQ(simulation.task_count(), 51U);
    for (TaskIndex i = 0; i < 51; ++i) {
        EXPECT_EQ(simulation.entity(i).state(), TaskState::Dead) << simulation.name(i);
    }
    EXPECT_EQ(simulation.runtime(50), ms(3));
    EXPECT_EQ(simulation.name(50), "job49");
}

TEST(Engine, AStuckBehaviourIsNamed) {
    Simulation simulation{{}};
    simulation.add_task({.name = "spinner", .behaviour = script({yield_now()}, true)});
    simulation.run_until(at_ms(1));
    EXPECT_NE(simulation.violation().find("spinner lets no time pass"), std::string::npos)
        << simulation.violation();
}

TEST(Engine, AffinityTakesEffectAfterOneIpi) {
    Simulation simulation{{.harts = 2, .audit = true}};
    const TaskIndex task = simulation.add_hog(100);
    simulation.run_until(at_ms(10));
    const CpuId there = simulation.entity(task).cpu();
    const CpuId other{1 - there.value()};
    simulation.set_affinity(task, CpuMask::of(other));
    simulation.run_until(at_ms(20));
    EXPECT_EQ(simulation.entity(task).runtime_on(there), ms(10) - us(5) + us(5));
    EXPECT_EQ(simulation.running(other), task);
    EXPECT_EQ(simulation.violation(), "");
}

TEST(Engine, OfflineDrainsAndOnlineComesBack) {
    Simulation simulation{{.harts = 2, .audit = true}};
    const TaskIndex pinned = simulation.add_hog(100, CpuMask::of(CpuId{1}));
    simulation.add_hog(100);
    simulation.run_until(at_ms(10));
    simulation.offline(CpuId{1});
    simulation.run_until(at_ms(11));
    const Duration before = simulation.entity(pinned).runtime_on(CpuId{1});
    simulation.run_until(at_ms(50));
    EXPECT_EQ(simulation.entity(pinned).runtime_on(CpuId{1}), before);
    EXPECT_EQ(simulation.running(CpuId{1}), kNoTask);
    simulation.online(CpuId{1});
    simulation.run_until(at_ms(60));
    EXPECT_EQ(simulation.running(CpuId{1}), pinned);
    EXPECT_EQ(simulation.violation(), "");
}

TEST(Engine, KilledTasksEndInEveryState) {
    Simulation simulation{{.audit = true}};
    const TaskIndex runs = simulation.add_hog(100);
    const TaskIndex waits = simulation.add_hog(100);
    const TaskIndex sleeps = simulation.add_task(with(script({sleep_for(ms(500))})));
    const SemaphoreIndex never = simulation.make_semaphore();
    const TaskIndex blocked = simulation.add_task(with(script({wait_on(never)})));
    simulation.run_until(at_ms(40));
    for (const TaskIndex task : {runs, waits, sleeps, blocked}) {
        simulation.exit(task);
    }
    simulation.run_until(at_ms(80));
    for (const TaskIndex task : {runs, waits, sleeps, blocked}) {
        EXPECT_EQ(simulation.entity(task).state(), TaskState::Dead) << task;
    }
    EXPECT_EQ(simulation.violation(), "");
}

TEST(Engine, ABudgetHoldsInEveryWindow) {
    // Every switch is seen, so the longest stretch without a pause is too.
    class Stretches final : public Observer {
      public:
        void on_throttle(Instant, TaskIndex, bool begins) override { (begins ? throttled : released)++; }
        int throttled{0};
        int released{0};
    };
    Stretches stretches;
    Simulation simulation{{.audit = true}};
    simulation.add_observer(stretches);
    TaskOptions capped = with(hog());
    capped.attributes.budget = {.runtime = ms(20), .period = ms(100)};
    const TaskIndex task = simulation.add_task(std::move(capped));
    simulation.run_until(at_ms(10'050));
    // A lone hog: 20 ms at the start of every 100, the last window begun.
    EXPECT_NEAR(static_cast<double>(simulation.runtime(task).ns()), 101 * 20e6, 101 * 50e3);
    EXPECT_EQ(simulation.entity(task).state(), TaskState::Throttled);
    EXPECT_EQ(stretches.throttled, 101);
    EXPECT_EQ(stretches.released, 100);
    // The last stretch of waiting for budget is still going on.
    EXPECT_NEAR(static_cast<double>(simulation.record(task).throttled.ns()), 100 * 80e6, 100 * 50e3);
    EXPECT_EQ(simulation.violation(), "");
}

TEST(Engine, AGroupCountsForItsCeiling) {
    Simulation simulation{{.audit = true}};
    NewTask child{.name = "member"};
    const TaskIndex head = simulation.add_task(with(forker(child, hog, 3, us(100), false)));
    simulation.set_group(head, 100);
    const TaskIndex other = simulation.add_hog(100);
    simulation.run_until(at_ms(100));
    simulation.mark();
    simulation.run_for(Duration::seconds(10));
    // Four members share what one task of 100 shares has; a request of 3 ms of 10 s either way.
    EXPECT_NEAR(static_cast<double>(simulation.runtime_since_mark(other).ns()), 5e9, 5e6);
    EXPECT_DOUBLE_EQ(simulation.fair_weight(head), 25);
}

TEST(Engine, AMutexLendsTheClassOfItsWaiters) {
    Simulation simulation{{.audit = true}};
    const MutexIndex door = simulation.make_mutex();
    const TaskIndex low = simulation.add_task(
        with(script({lock(door), run(ms(5)), unlock(door), run_forever()}), QosClass::Idle));
    simulation.run_until(at_ms(1));
    simulation.add_hog(100);
    const TaskIndex high = simulation.add_task(
        with(script({lock(door), run(ms(1)), unlock(door), sleep_for(ms(1000))}), QosClass::Interactive));
    simulation.run_until(at_ms(2));
    EXPECT_TRUE(simulation.entity(low).is_donated());
    EXPECT_EQ(simulation.entity(low).effective(), QosClass::Interactive);
    simulation.run_until(at_ms(12));
    EXPECT_FALSE(simulation.entity(low).is_donated());
    EXPECT_EQ(simulation.entity(low).effective(), QosClass::Idle);
    EXPECT_EQ(simulation.runtime(high), ms(1));
    EXPECT_EQ(simulation.violation(), "");
}

TEST(Engine, ThreeHogsOnTwoHartsInterleaved) {
    Simulation simulation{{.harts = 2, .lock_regions = true, .audit = true}};
    for (int i = 0; i < 3; ++i) {
        simulation.add_hog(100);
    }
    simulation.run_until(at_ms(1000));
    simulation.mark();
    simulation.run_for(Duration::seconds(10));
    for (TaskIndex i = 0; i < 3; ++i) {
        // 0.5 % of two thirds, and what the sections of migrations take.
        EXPECT_NEAR(static_cast<double>(simulation.runtime_since_mark(i).ns()), 20e9 / 3, 0.005 * 20e9 / 3);
    }
    EXPECT_EQ(simulation.violation(), "");
}

// A hart that empties a full inbox wakes one sleeping hart; each that is woken wakes the next.
TEST(Engine, ABurstOnOneHartWakesAllSleepers) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        Simulation simulation{{.harts = 4, .lock_regions = true, .audit = true, .seed = seed}};
        for (int i = 0; i < 4; ++i) {
            simulation.add_task(with(script({run(us(2))})));
        }
        for (int i = 0; i < 12; ++i) {
            simulation.add_hog(100);
        }
        simulation.run_until(Instant{} + us(100));
        EXPECT_EQ(simulation.violation(), "") << "seed " << seed;
        for (std::uint32_t hart = 0; hart < 4; ++hart) {
            EXPECT_NE(simulation.running(CpuId{hart}), kNoTask) << "seed " << seed << " cpu" << hart;
        }
    }
}

TEST(Engine, AChooserDecidesWhoGoesFirst) {
    std::uint64_t asked = 0;
    Simulation simulation{{.harts = 2, .section_time = {}, .chooser = [&](std::uint32_t count) {
                               EXPECT_GE(count, 2U);
                               ++asked;
                               return count - 1;
                           }}};
    simulation.add_hog(100, CpuMask::of(CpuId{0}));
    simulation.add_hog(100, CpuMask::of(CpuId{1}));
    simulation.run_until(at_ms(10));
    EXPECT_EQ(asked, 1U);  // both IPIs arrive at the same instant; lone tasks need no timer
}

TEST(Engine, LargeMachinesRun) {
    Simulation simulation{{.harts = 64}};
    for (std::uint32_t i = 0; i < 10'000; ++i) {
        simulation.add_hog(1 + i % 1000);
    }
    simulation.run_until(at_ms(200));
    EXPECT_EQ(simulation.audit(), "");
    for (std::uint32_t hart = 0; hart < 64; ++hart) {
        EXPECT_NE(simulation.running(CpuId{hart}), kNoTask);
    }
}

// A busy mix of everything, for determinism and races.
std::uint64_t run_mix(std::uint64_t seed, bool lock_regions, std::uint64_t* events = nullptr) {
    Simulation simulation{
        {.harts = 4, .switch_cost = us(2), .lock_regions = lock_regions, .audit = true, .seed = seed}};
    Random random{seed};
    const SemaphoreIndex ping = simulation.make_semaphore();
    const SemaphoreIndex pong = simulation.make_semaphore();
    simulation.add_task(with(script({run(us(50)), post(ping), wait_on(pong)}, true), QosClass::Interactive));
    simulation.add_task(with(script({wait_on(ping), run(us(50)), post(pong)}, true)));
    for (int i = 0; i < 12; ++i) {
        const CpuMask mask = CpuMask::from_bits(random.below(15) + 1);
        const auto qos_class = static_cast<QosClass>(random.below(4));
        simulation.add_task(with(on_off(Distribution::exponential(ms(1)), Distribution::exponential(ms(2))),
                                 qos_class, mask));
        simulation.add_task(with(hog(), qos_class, mask));
    }
    for (std::int64_t i = 1; i < 400; ++i) {
        simulation.at(Instant{} + us(i * 500), [&random, i](Simulation& s) {
            const auto task = static_cast<TaskIndex>(2 + random.below(24));
            switch (i % 4) {
                case 0:
                    s.set_affinity(task, CpuMask::from_bits(random.below(15) + 1));
                    break;
                case 1:
                    s.set_shares(task, static_cast<std::uint32_t>(random.between(1, 1000)));
                    break;
                case 2:
                    s.set_class(task, static_cast<QosClass>(random.below(4)));
                    break;
                default:
                    s.set_latency(task, us(static_cast<std::int64_t>(random.below(2)) * 2000));
                    break;
            }
        });
    }
    simulation.run_until(at_ms(250));
    EXPECT_EQ(simulation.violation(), "") << "seed " << seed;
    if (events != nullptr) {
        *events = simulation.events();
    }
    return simulation.fingerprint();
}

TEST(Engine, EqualSeedsGiveEqualRuns) {
    EXPECT_EQ(run_mix(1, false), run_mix(1, false));
    EXPECT_NE(run_mix(1, false), run_mix(2, false));
}

TEST(Engine, LockRegionsInterleaveAndStayDeterministic) {
    std::uint64_t whole = 0;
    std::uint64_t regions = 0;
    run_mix(3, false, &whole);
    EXPECT_EQ(run_mix(3, true, &regions), run_mix(3, true));
    EXPECT_GT(regions, 2 * whole);  // every kernel path has several sections
    for (std::uint64_t seed = 10; seed < 20; ++seed) {
        run_mix(seed, true);
    }
}

TEST(LatencyHistogram, PercentilesAreWithinABucket) {
    LatencyHistogram histogram;
    for (std::int64_t i = 1; i <= 100'000; ++i) {
        histogram.add(Duration::nanoseconds(i));
    }
    EXPECT_EQ(histogram.count(), 100'000U);
    EXPECT_EQ(histogram.max().ns(), 100'000);
    // A bucket is at most 1/32 wide.
    EXPECT_NEAR(static_cast<double>(histogram.percentile(0.5).ns()), 50'000, 50'000 / 32.0);
    EXPECT_NEAR(static_cast<double>(histogram.percentile(0.99).ns()), 99'000, 99'000 / 32.0);
    EXPECT_EQ(histogram.percentile(1.0).ns(), 100'000);
}

}  // namespace
}  // namespace sched_sim
