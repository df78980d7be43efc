// SPDX-License-Identifier: MIT
// Proves: PerfBurst is a boost that ends. A PerfBurst hog with a bucket of 50 ms against an Interactive one
// on one CPU. By root weights it does twice the other's work while boosted, that is for 75 ms; then both are
// Interactive and equal, until the bucket, filled by a tenth of the time, is half full again 250 ms later.
// First window: 50 ms from the start; second: 200 ms, five rounds of 20 ms turns (the longest request, which
// the burst hint asks for) each. How long the boost was is read from the kernel, not guessed.
#include <chrono>

#include "cases.hpp"
#include "fleet.hpp"
#include "judge_machine.hpp"
#include "nexus_abi/sched_calls.hpp"

namespace selftest {

Result<Verdict> case_perfburst(const Machine& machine) {
    using namespace std::chrono_literals;
    using nexus_abi::QosClass;
    constexpr std::uint64_t kBucketNs = 50'000'000;
    Fleet fleet{machine};
    const Schedule schedule = Schedule::two_windows(2, 0ms, 50ms, 40ms, 200ms);
    nexus_abi::sched_attr boosted = attributes(QosClass::PerfBurst, 100, machine.test_mask());
    boosted.fields |= nexus_abi::kFieldBurst;
    boosted.burst_ns = kBucketNs;
    TRY(fleet.start(schedule.spin(), boosted));
    TRY(fleet.start(schedule.spin(), attributes(QosClass::Interactive, 100, machine.test_mask())));

    const Observation at_a = TRY(fleet.observe(schedule.a));
    const Observation at_b = TRY(fleet.observe(schedule.b));
    const Observation at_c = TRY(fleet.observe(schedule.c));
    const Observation at_d = TRY(fleet.observe(schedule.d));
    const std::vector<Report> reports = TRY(fleet.reports());
    if (const auto late = late_start(reports)) {
        return *late;
    }
    const auto is_boosted = [](const Observation& observation) {
        return (observation.workers[0].flags & nexus_abi::kStatBoosted) != 0;
    };
    BoostFigures figures;
    figures.capacity_ns = kBucketNs;
    figures.boosted_ns = at_b.workers[0].perfburst_ns - at_a.workers[0].perfburst_ns;
    figures.total_ns = at_d.workers[0].perfburst_ns - at_a.workers[0].perfburst_ns;
    figures.elapsed_ns = static_cast<std::uint64_t>((at_d.at - at_a.at).count());
    figures.boosted_first = is_boosted(at_b);
    figures.boosted_second = is_boosted(at_c) || is_boosted(at_d);
    return judge_boost(window_between(machine, at_a, at_b, reports, false),
                       window_between(machine, at_c, at_d, reports, true), figures);
}

}  // namespace selftest
