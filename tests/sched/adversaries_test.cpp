// SPDX-License-Identifier: MIT
// Tasks that try to get more than their share, or to keep others from theirs (scheduler.md C, recipe 4).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "fair_shares.hpp"
#include "laboratory.hpp"
#include "record.hpp"
#include "tier.hpp"

namespace sched_test {
namespace {

using enum QosClass;
using sched_sim::Action;
using sched_sim::Self;

// Runs most of a request and naps, at every duty cycle: napping neither launders what was received nor earns
// credit. The thief cannot get more than half; what it does not ask for, the hog has.
TEST(Adversaries, SleeperThief) {
    double most = 0;
    for (int duty = 1; duty <= 99; duty += 7) {
        for (const std::int64_t cycle_us : {1'000, 3'000, 10'000}) {
            Simulation simulation{{}};
            const TaskIndex thief = simulation.add_task(
                task_of(make(Normal),
                        sched_sim::on_off(
                            Distribution::constant(Duration::microseconds(cycle_us * duty / 100)),
                            Distribution::constant(Duration::microseconds(cycle_us * (100 - duty) / 100)))));
            simulation.add_hog(100);
            simulation.run_for(1_s);
            simulation.mark();
            simulation.run_for(6_s);
            most = std::max(most, part(simulation, thief, 6_s));
        }
    }
    expect_at_most("A1", "sleeper thief beside one hog, all duty cycles", 100 * most, 50.2, "% of the hart");
}

// Sleeps just before each instant at which a tick would charge: charges are exact, there is no tick to dodge.
TEST(Adversaries, TimerDodger) {
    Simulation simulation{{}};
    const TaskIndex dodger = simulation.add_task(
        task_of(make(Normal), sched_sim::program([ran = false](const Self& self) mutable {
                    constexpr std::int64_t kTick = 1'000'000;
                    const std::int64_t into = self.now.ns() % kTick;
                    ran = !ran;
                    if (!ran || into >= kTick - 20'000) {
                        ran = false;
                        return sched_sim::sleep_until(Instant::from_ns(self.now.ns() - into + kTick + 1'000));
                    }
                    return sched_sim::run(Duration::nanoseconds(kTick - 10'000 - into));
                })));
    simulation.add_hog(100);
    simulation.run_for(1_s);
    simulation.mark();
    simulation.run_for(6_s);
    expect_at_most("A2", "dodger of a 1 ms tick beside one hog", 100 * part(simulation, dodger, 6_s), 50.2,
                   "% of the hart");
}

TEST(Adversaries, YieldStorm) {
    Simulation simulation{{}};
    for (int i = 0; i < 8; ++i) {
        simulation.add_task(task_of(make(Normal), sched_sim::yielder(10_us)));
    }
    const TaskIndex hog = simulation.add_hog(100);
    simulation.run_for(1_s);
    simulation.mark();
    simulation.run_for(6_s);
    // Who yields gives up its request, not its share: a ninth each.
    expect_at_least("A3", "a hog beside 8 tasks that yield every 10 us, of its ninth",
                    100 * 9 * part(simulation, hog, 6_s), 99.5, "%");
}

TEST(Adversaries, ForkBomb) {
    constexpr std::uint32_t kBomb = kIsSlow ? 100 : 1000;
    for (const bool has_ceiling : {true, false}) {
        Simulation simulation{{.harts = 2}};
        std::vector<TaskIndex> victims;
        for (int i = 0; i < 4; ++i) {
            victims.push_back(simulation.add_hog(100));
        }
        Attributes ui = make(Interactive);
        ui.latency = 2_ms;
        const TaskIndex interactive =
            simulation.add_task(task_of(ui, sched_sim::periodic(16_ms, Distribution::constant(1_ms))));
        sched_sim::NewTask child{.attributes = make(Normal), .behaviour = sched_sim::hog()};
        const TaskIndex bomb = simulation.add_task(task_of(
            make(Normal), sched_sim::forker(child, [] { return sched_sim::hog(); }, kBomb, 20_us, false)));
        if (has_ceiling) {
            simulation.set_group(bomb, 1000);
        }
        simulation.run_for(8_s);
        simulation.mark();
        simulation.run_for(10_s);
        if (has_ceiling) {
            // A member counts for no less than one share: 1001 beside the victims' 400, of what Interactive
            // leaves of the machine.
            const double rest = 2.0 - part(simulation, interactive, 10_s);
            const double due = rest * 100 / (400 + std::max(1000U, kBomb + 1));
            double worst = 0;
            for (const TaskIndex victim : victims) {
                worst = std::max(worst, std::abs(part(simulation, victim, 10_s) / due - 1));
            }
            expect_at_most("A4", "victims of a bomb of 1000 in a group of 1000 shares, off their due",
                           100 * worst, 2, "%");
        } else {
            expect_at_most("A4", "Interactive beside a bomb of 1000: longest wake to run",
                           in_us(simulation.record(interactive).wake_latency.max()), 3000, "us");
        }
    }
}

// Everything an unprivileged task may do to itself, many times a second, beside plain hogs.
double victim_loss_percent(std::uint32_t harts, std::uint32_t hogs, Duration gap,
                           const std::function<Attributes(std::uint64_t)>& attributes_at) {
    Simulation simulation{{.harts = harts}};
    for (std::uint32_t i = 0; i < hogs; ++i) {
        simulation.add_hog(100);
    }
    const TaskIndex flapper = simulation.add_task(task_of(attributes_at(0)));
    std::function<void(Simulation&)> flap;
    std::uint64_t step = 0;
    flap = [&](Simulation& later) {
        later.set_attributes(flapper, attributes_at(++step));
        later.at(later.now() + gap, flap);
    };
    simulation.at(Instant::from_ns(1'000'000), flap);
    simulation.run_for(1_s);
    simulation.mark();
    simulation.run_for(6_s);
    double worst = 0;
    const double due = static_cast<double>(harts) / (hogs + 1);
    for (TaskIndex hog = 0; hog < hogs; ++hog) {
        worst = std::max(worst, 1 - part(simulation, hog, 6_s) / due);
    }
    return 100 * worst;
}

TEST(Adversaries, AffinityFlapping) {
    const double loss = victim_loss_percent(2, 5, 100_us, [](std::uint64_t step) {
        return make(Normal, 100, CpuMask::of(CpuId{static_cast<std::uint32_t>(step % 2)}));
    });
    expect_at_most("A5", "victims of a task that changes its mask at 10 kHz lose", loss, 2, "%");
}

TEST(Adversaries, ShareFlapping) {
    // 1 and 1000 by turns of equal time: it is due the mean of what it is due at either.
    Simulation simulation{{}};
    simulation.add_hog(100);
    const TaskIndex flapper = simulation.add_hog(1);
    std::function<void(Simulation&)> flap;
    std::uint32_t shares = 1;
    flap = [&](Simulation& later) {
        shares = 1001 - shares;
        later.set_shares(flapper, shares);
        later.at(later.now() + 37_ms, flap);
    };
    simulation.at(Instant::from_ns(1'000'000), flap);
    simulation.run_for(1_s);
    simulation.mark();
    simulation.run_for(20_s);
    const double due = (1.0 / 101 + 1000.0 / 1100) / 2;
    expect_at_most("A6", "a task that flaps between 1 and 1000 shares, above its mean due",
                   100 * (part(simulation, flapper, 20_s) / due - 1), 1, "%");
}

TEST(Adversaries, ClassFlapping) {
    // Down to Idle and back: it may lose, never gain.
    const double loss = victim_loss_percent(
        1, 3, 1_ms, [](std::uint64_t step) { return make(step % 2 == 0 ? Normal : Idle); });
    expect_at_most("A7", "victims of a task that lowers and raises its class at 1 kHz lose", loss, 0.5, "%");
}

TEST(Adversaries, HintAbuse) {
    const double loss = victim_loss_percent(1, 3, 500_us, [](std::uint64_t step) {
        Attributes attributes = make(Normal);
        attributes.latency = Duration::microseconds(step % 2 == 0 ? 100 : 1'000'000);
        attributes.burst = Duration::microseconds(step % 3 == 0 ? 100 : 50'000);
        return attributes;
    });
    expect_at_most("A8", "victims of a task that changes its hints at 2 kHz lose", loss, 0.5, "%");
}

TEST(Adversaries, PinPile) {
    Simulation simulation{{.harts = 4}};
    for (int i = 0; i < 100; ++i) {
        simulation.add_hog(100, CpuMask::from_bits(1));
    }
    for (int i = 0; i < 6; ++i) {
        simulation.add_hog(100);
    }
    simulation.run_for(5_s);
    simulation.mark();
    simulation.run_for(10_s);
    double worst = 0;
    for (TaskIndex free = 100; free < 106; ++free) {
        worst = std::max(worst, std::abs(part(simulation, free, 10_s) / 0.5 - 1));
    }
    expect_at_most("A9", "6 free hogs on 4 harts beside 100 pinned to one, off their half", 100 * worst, 0.5,
                   "%");
}

TEST(Adversaries, PerfBurstFarm) {
    Simulation simulation{{}};
    for (int i = 0; i < 50; ++i) {
        simulation.add_task(task_of(make(PerfBurst), sched_sim::on_off(Distribution::exponential(2_ms),
                                                                       Distribution::exponential(20_ms))));
    }
    const TaskIndex idle = simulation.add_hog(100, CpuMask::all(), Idle);
    const TaskIndex normal = simulation.add_hog(100);
    const TaskIndex interactive = simulation.add_hog(100, CpuMask::all(), Interactive);
    simulation.run_for(1_s);
    simulation.mark();
    simulation.run_for(15_s);
    expect_at_least("A10", "Idle beside a farm of 50 PerfBurst tasks", 100 * part(simulation, idle, 15_s),
                    0.47, "%");
    expect_at_least("A10", "Normal beside the farm", 100 * part(simulation, normal, 15_s),
                    100 * 16.0 / 209 - 0.1, "%");
    EXPECT_GT(part(simulation, interactive, 15_s), 0.0);
}

TEST(Adversaries, SetterStormLosesNobody) {
    // Tasks come and go while everything about them changes.
    Random random{first_seed()};
    Simulation simulation{{.harts = 4, .lock_regions = true, .audit = true}};
    Watcher watcher{simulation};
    add_cast(simulation, random, {.tasks = 40, .setters_per_s = 10'000});
    for (TaskIndex task = 0; task < 40; task += 2) {
        simulation.at(Instant::from_ns(30'000'000 + 1'000'000LL * task),
                      [task](Simulation& later) { later.exit(task); });
    }
    simulation.run_for(kIsSlow ? 50_ms : 300_ms);
    EXPECT_EQ(simulation.violation(), "");
    expect_none("A11", "runs outside the mask, 10 000 setters a second and exits", watcher.outside_mask,
                watcher.events, watcher.first_outside);
}

}  // namespace
}  // namespace sched_test
