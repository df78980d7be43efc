// SPDX-License-Identifier: MIT
// Proves: hints buy no share. Three equal processes on one CPU: without hint, with a latency hint of 1 ms,
// with a burst hint of 10 ms. Their parts must lie within 8 % of each other, and the burst hint must do what
// it is for: fewer involuntary switches. 750 ms give each about 250 ms; the lag bound is one request, 10 ms
// or 4 % for the longest.
#include <chrono>

#include "cases.hpp"
#include "fleet.hpp"

namespace selftest {

Result<Verdict> case_neutral(const Machine& machine) {
    using namespace std::chrono_literals;
    constexpr std::uint64_t kLatencyNs = 1'000'000;
    constexpr std::uint64_t kBurstNs = 10'000'000;
    Fleet fleet{machine};
    const Schedule schedule = Schedule::one_window(3, 40ms, 750ms);
    const nexus_abi::sched_attr plain = attributes(nexus_abi::QosClass::Normal, 100, machine.test_mask());
    nexus_abi::sched_attr latency = plain;
    latency.fields |= nexus_abi::kFieldLatency;
    latency.latency_ns = kLatencyNs;
    nexus_abi::sched_attr burst = plain;
    burst.fields |= nexus_abi::kFieldBurst;
    burst.burst_ns = kBurstNs;
    TRY(fleet.start(schedule.spin(), plain));
    TRY(fleet.start(schedule.spin(), latency));
    TRY(fleet.start(schedule.spin(), burst));
    const Observation at_a = TRY(fleet.observe(schedule.a));
    const Observation at_b = TRY(fleet.observe(schedule.b));
    const std::vector<Report> reports = TRY(fleet.reports());
    if (const auto late = late_start(reports)) {
        return *late;
    }
    NeutralFigures figures;
    figures.switches_latency = at_b.workers[1].nr_switch_involuntary - at_a.workers[1].nr_switch_involuntary;
    figures.switches_burst = at_b.workers[2].nr_switch_involuntary - at_a.workers[2].nr_switch_involuntary;
    return judge_neutral(window_between(machine, at_a, at_b, reports, false), figures);
}

}  // namespace selftest
