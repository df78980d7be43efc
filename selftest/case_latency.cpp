// SPDX-License-Identifier: MIT
// Proves: the class decides how soon a woken task runs. Four Normal hogs and an Idle one keep a CPU busy;
// beside them a task sleeps 4.5 ms and works 1.5 ms, again and again: once as Interactive, once as Normal.
// Its demand of a quarter of the CPU is more than a Normal task's fair fifth, so as Normal it must wait for
// its turn, and is switched out at its request ends; as Interactive it stays below its class's part.
// Asserted: the median lateness of its wake-ups as Interactive is at most a quarter of that as Normal, and it
// is switched out less often.
#include <chrono>
#include <string>

#include "cases.hpp"
#include "fleet.hpp"

namespace selftest {
namespace {

using namespace std::chrono_literals;
constexpr user::Duration kPhase = 250ms;

// Nothing: it started late.
Result<std::optional<PeriodicFigures>> measure(const Machine& machine, nexus_abi::QosClass qos_class) {
    Fleet task{machine};
    const Schedule schedule = Schedule::one_window(1, 0ms, kPhase);
    TRY(task.start(
        {"periodic", user::to_argument(schedule.begin), user::to_argument(schedule.b), "1500", "4500"},
        attributes(qos_class, 100, machine.test_mask())));
    const Observation before = TRY(task.observe(schedule.begin));
    const Observation after = TRY(task.observe(schedule.b));
    const std::vector<Report> reports = TRY(task.reports());
    if (late_start(reports).has_value()) {
        return std::optional<PeriodicFigures>{};
    }
    PeriodicFigures figures;
    figures.median_late_ns = reports[0].first;
    figures.max_late_ns = reports[0].second;
    figures.switches_involuntary =
        after.workers[0].nr_switch_involuntary - before.workers[0].nr_switch_involuntary;
    figures.wakes = after.workers[0].nr_switch_voluntary - before.workers[0].nr_switch_voluntary;
    return std::optional{figures};
}

}  // namespace

Result<Verdict> case_latency(const Machine& machine) {
    using nexus_abi::QosClass;
    constexpr int kNormalHogs = 4;
    Fleet hogs{machine};
    for (int i = 0; i < kNormalHogs; ++i) {
        TRY(hogs.start({"witness", std::to_string(machine.absence_ns())},
                       attributes(QosClass::Normal, 100, machine.test_mask())));
    }
    TRY(hogs.start({"witness", std::to_string(machine.absence_ns())},
                   attributes(QosClass::Idle, 100, machine.test_mask())));
    const auto interactive = TRY(measure(machine, QosClass::Interactive));
    const auto normal = TRY(measure(machine, QosClass::Normal));
    if (!interactive.has_value() || !normal.has_value()) {
        return skip("the periodic worker started after its first instant");
    }
    return judge_latency(*interactive, *normal);
}

}  // namespace selftest
