// SPDX-License-Identifier: MIT
// The shapes of well-known benchmarks (recipe 7): latency by percentile, and what must hold of it.
#include "analogues.hpp"

#include <gtest/gtest.h>

#include <sstream>

#include "laboratory.hpp"
#include "record.hpp"

namespace sched_test {
namespace {

using enum QosClass;
using sched_sim::LatencyHistogram;

const sched_sim::Config kMachine{.harts = 4, .ipi_latency = 5_us, .timer_latency = 1_us, .switch_cost = 2_us};

void report(const std::string& what, const LatencyHistogram& latency) {
    std::ostringstream figures;
    figures << in_us(latency.percentile(0.5)) << " / " << in_us(latency.percentile(0.99)) << " / "
            << in_us(latency.percentile(0.999)) << " / " << in_us(latency.max()) << " us";
    record("W", what + ": wake to run, p50 / p99 / p99.9 / max", "-", figures.str(), true);
}

LatencyHistogram of_all(const Simulation& simulation, TaskIndex first, TaskIndex end) {
    LatencyHistogram all;
    for (TaskIndex task = first; task < end; ++task) {
        all.merge(simulation.record(task).wake_latency);
    }
    return all;
}

TEST(Analogues, Schbench) {
    Simulation simulation{kMachine};
    for (const auto& part_of : sched_sim::schbench(simulation, 2, 3, Distribution::exponential(400_us),
                                                   Distribution::exponential(1_ms))) {
        Attributes attributes = make(Normal);
        attributes.latency = 1_ms;
        simulation.add_task(task_of(attributes, part_of.behaviour));
    }
    const TaskIndex end = simulation.task_count();
    for (int i = 0; i < 4; ++i) {
        simulation.add_hog(100, CpuMask::all(), Idle);
    }
    simulation.run_for(5_s);
    const LatencyHistogram latency = of_all(simulation, 0, end);
    ASSERT_GT(latency.count(), 5000U);
    report("schbench, 2 x 3 workers beside Idle hogs, 4 harts", latency);
    // A worker that had its share waits for a peer's request to end: 3 ms.
    expect_at_most("W", "schbench: p99 wake to run", in_us(latency.percentile(0.99)), 3000, "us");
}

TEST(Analogues, Hackbench) {
    Simulation simulation{kMachine};
    for (const auto& part_of : sched_sim::hackbench(simulation, 2, 10, Distribution::constant(5_us))) {
        simulation.add_task(task_of(make(Normal), part_of.behaviour));
    }
    simulation.run_for(500_ms);
    std::uint64_t messages = 0;
    for (TaskIndex task = 0; task < simulation.task_count(); ++task) {
        messages += simulation.record(task).completions;
    }
    const LatencyHistogram latency = of_all(simulation, 0, simulation.task_count());
    report("hackbench, 2 groups of 10 + 10, 4 harts", latency);
    // Two pieces of 5 us a message, four harts; half of that with switches and wake-ups is what must remain.
    expect_at_least("W", "hackbench: part of the machine that copies",
                    100 * static_cast<double>(messages) * 5e-6 / (4 * 0.5), 40, "%");
    Duration idle;
    for (std::uint32_t cpu = 0; cpu < 4; ++cpu) {
        idle += simulation.queue(CpuId{cpu}).idle();
    }
    expect_at_most("W", "hackbench: idle harts", 100 * in_ms(idle) / (4 * 500), 5, "%");
}

TEST(Analogues, Cyclictest) {
    Simulation simulation{kMachine};
    std::vector<TaskIndex> cyclic;
    for (std::uint32_t i = 0; i < 4; ++i) {
        Attributes attributes = make(Interactive, 100, CpuMask::of(CpuId{i}));
        attributes.latency = 1_ms;
        cyclic.push_back(simulation.add_task(
            task_of(attributes, sched_sim::periodic(1_ms, Distribution::constant(10_us)))));
    }
    for (int i = 0; i < 16; ++i) {
        simulation.add_hog(100);
        simulation.add_task(task_of(make(Normal), sched_sim::on_off(Distribution::exponential(200_us),
                                                                    Distribution::exponential(500_us))));
    }
    simulation.run_for(5_s);
    const LatencyHistogram latency = of_all(simulation, 0, 4);
    ASSERT_GT(latency.count(), 19'000U);
    report("cyclictest, Interactive every 1 ms beside 32 Normal tasks, 4 harts", latency);
    expect_at_most("W", "cyclictest: max wake to run", in_us(latency.max()), 50, "us");
}

TEST(Analogues, ParallelBuild) {
    Simulation simulation{kMachine};
    Attributes ui = make(Interactive);
    ui.latency = 2_ms;
    const TaskIndex interactive =
        simulation.add_task(task_of(ui, sched_sim::periodic(16_ms, Distribution::exponential(2_ms))));
    const sched_sim::NewTask job{.attributes = make(Normal)};
    const auto make_tool = sched_sim::build(
        simulation, 8, 300, Distribution{.kind = Distribution::Kind::HeavyTail, .mean = 20_ms}, job);
    simulation.add_task(task_of(make(Normal), make_tool.behaviour));
    simulation.run_for(1_s);
    Duration idle;
    for (std::uint32_t cpu = 0; cpu < 4; ++cpu) {
        idle += simulation.queue(CpuId{cpu}).idle();
    }
    report("parallel build of 8 jobs, an Interactive task beside it, 4 harts",
           simulation.record(interactive).wake_latency);
    expect_at_most("W", "parallel build: max wake to run of the Interactive task",
                   in_us(simulation.record(interactive).wake_latency.max()), 50, "us");
    expect_at_most("W", "parallel build: idle harts while jobs are left", 100 * in_ms(idle) / 4000, 5, "%");
}

}  // namespace
}  // namespace sched_test
