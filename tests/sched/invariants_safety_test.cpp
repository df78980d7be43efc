// SPDX-License-Identifier: MIT
// I1 to I3, I7, I17: what must hold at every event, whatever runs (random workloads, recipe 1).
#include <gtest/gtest.h>

#include <cmath>

#include "laboratory.hpp"
#include "record.hpp"
#include "sched/balance.hpp"
#include "tier.hpp"

namespace sched_test {
namespace {

struct Size {
    std::uint32_t harts;
    std::uint32_t tasks;
    Duration length;
};
constexpr std::array kSizes{Size{1, 12, 400_ms},  Size{2, 5, 400_ms},  Size{2, 30, 300_ms},
                            Size{3, 9, 400_ms},   Size{4, 32, 300_ms}, Size{8, 40, 200_ms},
                            Size{16, 24, 100_ms}, Size{64, 200, 20_ms}};

// Calls `check(simulation, watcher)` at the end of each of many random workloads.
template <class Check>
std::uint64_t for_random_workloads(std::uint64_t salt, CastOptions options, bool audit, Check&& check) {
    const std::uint64_t rounds = Tiers<std::uint64_t>{.brief = 1, .quick = 4, .thorough = 400}.value();
    const std::uint64_t first = first_seed();
    std::uint64_t events = 0;
    for (std::uint64_t seed = first; seed < first + rounds; ++seed) {
        for (const Size& size : kSizes) {
            Random random{seed * 1000 + salt * 97 + size.harts};
            sched_sim::Config config{.harts = size.harts, .lock_regions = seed % 2 == 0, .audit = audit};
            config.switch_cost = Duration::microseconds(static_cast<std::int64_t>(random.below(3)));
            config.seed = random.next();
            Simulation simulation{config};
            Watcher watcher{simulation};
            options.tasks = size.tasks;
            options.setters_per_s = random.below(3) == 0 ? 0 : 1000;
            add_cast(simulation, random, options);
            simulation.run_for(size.length);
            EXPECT_EQ(simulation.violation(), "")
                << "seed " << seed << ", " << size.harts << " harts, " << size.tasks << " tasks";
            check(simulation, watcher);
            events += watcher.events;
            if (testing::Test::HasFailure()) {
                return events;
            }
        }
    }
    return events;
}

TEST(Invariants, I1_NoTaskRunsOutsideItsMask) {
    std::uint64_t outside = 0;
    std::string first;
    const auto events = for_random_workloads(1, {}, false, [&](const Simulation&, const Watcher& watcher) {
        outside += watcher.outside_mask;
        first = first.empty() ? watcher.first_outside : first;
    });
    expect_none("I1", "runs outside the mask after the setter returned", outside, events, first);
}

TEST(Invariants, I2_EveryTaskIsInOnePlace) {
    std::uint64_t wrong = 0;
    const auto events = for_random_workloads(2, {}, true, [&](const Simulation& simulation, const Watcher&) {
        wrong += simulation.audit().empty() && simulation.violation().empty() ? 0 : 1;
    });
    expect_none("I2", "tasks in no place or in two, checked at every event", wrong, events);
}

TEST(Invariants, I3_NoHartIdlesBesideWorkItMayTake) {
    Duration longest;
    for_random_workloads(3, {}, false, [&](const Simulation&, const Watcher& watcher) {
        longest = std::max(longest, watcher.longest_idle_beside_work);
    });
    expect_at_most("I3", "longest idling beside work a hart may take", in_us(longest), 50, "us");
}

// A hart with one task never looks for others: it is called, by whoever has too many and by whoever sees that
// its class has become a lower one.
TEST(Invariants, I4_NoHartRunsALowerClassBesideAHigherOneItMayTake) {
    Duration longest;
    for_random_workloads(4, {}, false, [&](const Simulation&, const Watcher& watcher) {
        longest = std::max(longest, watcher.longest_inversion);
    });
    expect_at_most("I4", "longest run of a lower class beside a waiting higher one", in_ms(longest), 1, "ms");
}

// EEVDF: nobody is owed, or ahead by, more than the longest request in the queue.
TEST(Invariants, I7_LagStaysWithinARequest) {
    const std::uint64_t rounds = Tiers<std::uint64_t>{.brief = 3, .quick = 40, .thorough = 4000}.value();
    const std::uint64_t first = first_seed();
    double worst = 0;
    for (std::uint64_t seed = first; seed < first + rounds; ++seed) {
        Random random{seed};
        Simulation simulation{{.seed = seed}};
        Duration longest_request = 3_ms;
        const auto tasks = static_cast<TaskIndex>(random.between(2, 40));
        for (TaskIndex i = 0; i < tasks; ++i) {
            Attributes attributes = make(QosClass::Normal, log_uniform(random, 1, 1000));
            attributes.burst =
                random.below(3) == 0 ? Duration::microseconds(random.between(100, 20'000)) : Duration{};
            longest_request = std::max(longest_request, attributes.burst);
            simulation.add_task(task_of(attributes));
        }
        for (int step = 0; step < 300; ++step) {
            simulation.run_for(Duration::microseconds(random.between(1, 3000)));
            for (TaskIndex i = 0; i < tasks; ++i) {
                const Duration lag = simulation.queue(CpuId{0}).lag(simulation.entity(i));
                worst = std::max(worst, static_cast<double>(std::abs(lag.ns())) /
                                            static_cast<double>(longest_request.ns()));
            }
        }
    }
    expect_at_most("I7", "largest lag inside one queue, of the longest request", worst, 1.001, "requests");
}

TEST(Invariants, I17_AccountsAreExact) {
    std::int64_t worst = 0;
    for_random_workloads(17, {}, false, [&](const Simulation& simulation, const Watcher&) {
        Duration charged;
        for (TaskIndex task = 0; task < simulation.task_count(); ++task) {
            charged += simulation.entity(task).statistics().runtime;
        }
        Duration busy;
        Duration idle;
        for (std::uint32_t cpu = 0; cpu < simulation.hart_count(); ++cpu) {
            busy += simulation.queue(CpuId{cpu}).busy();
            idle += simulation.queue(CpuId{cpu}).idle();
        }
        worst = std::max(worst, std::abs((busy - charged).ns()));
    });
    expect_at_most("I17", "charged beside busy time, all harts", static_cast<double>(worst), 0, "ns");
}

// Ten thousand tasks on 64 harts.
TEST(Invariants, I1_TenThousandTasks) {
    Random random{first_seed()};
    Simulation simulation{{.harts = 64}};
    Watcher watcher{simulation};
    watcher.looks_at_harts = false;
    add_cast(simulation, random, {.tasks = 10'000, .setters_per_s = 1000});
    simulation.run_for(kIsSlow ? 5_ms : 100_ms);
    EXPECT_EQ(simulation.audit(), "");
    expect_none("I1", "runs outside the mask, 10 000 tasks on 64 harts", watcher.outside_mask, watcher.events,
                watcher.first_outside);
    std::int32_t tallest = 0;
    for (std::uint32_t cpu = 0; cpu < 64; ++cpu) {
        for (std::size_t index = 0; index < kernel::sched::kClasses; ++index) {
            tallest = std::max(
                tallest,
                simulation.queue(CpuId{cpu}).queue(kernel::sched::class_at(index)).waiting().height());
        }
    }
    EXPECT_GT(tallest, 3);
}

}  // namespace
}  // namespace sched_test
