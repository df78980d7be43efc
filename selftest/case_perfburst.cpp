// SPDX-License-Identifier: MIT
// Proves: PerfBurst is a boost that ends. A PerfBurst hog with a bucket for 50 ms against an Interactive one
// on one CPU. A new task's bucket is empty and fills by a tenth of the time, so both sleep 400 ms first; 40
// ms of boost are then 60 ms at two thirds of the CPU, which the root weights give it. First window: 45 ms
// from the start. Afterwards both are Interactive and equal until the bucket is half full again, 250 ms
// later. Second window: 200 ms, five rounds of a turn of 20 ms each (the longest request, which the burst
// hint asks for). How long the boost was is read from the kernel.
// The observer is Interactive itself, so it needs a CPU of its own.
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
    Schedule schedule = Schedule::two_windows(2, 0ms, 45ms, 35ms, 200ms);
    for (user::Instant* instant : {&schedule.begin, &schedule.a, &schedule.b, &schedule.c, &schedule.d}) {
        *instant += 400ms;
    }
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
