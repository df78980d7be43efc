// SPDX-License-Identifier: MIT
// Proves: a budget caps, in every window. An Interactive hog with 20 ms per 100 ms beside a Normal one on one
// CPU. It must get its fifth of the CPU, and by its own clock no window of 100 ms, wherever it begins, may
// hold more than 20 ms and 50 us of its work; the rest of the CPU is the other's.
#include <chrono>

#include "cases.hpp"
#include "fleet.hpp"
#include "judge_machine.hpp"

namespace selftest {

Result<Verdict> case_budget(const Machine& machine) {
    using namespace std::chrono_literals;
    using nexus_abi::QosClass;
    constexpr user::Duration kBudget = 20ms;
    constexpr user::Duration kPeriod = 100ms;
    Fleet fleet{machine};
    const Schedule schedule = Schedule::one_window(2, 100ms, 400ms);
    nexus_abi::sched_attr capped = attributes(QosClass::Interactive, 100, machine.test_mask());
    capped.fields |= nexus_abi::kFieldBudget;
    capped.budget_ns = static_cast<std::uint64_t>(kBudget.count());
    capped.period_ns = static_cast<std::uint64_t>(kPeriod.count());
    std::vector<std::string> arguments = schedule.spin();
    arguments.front() = "capped";
    arguments.back() = std::to_string(kPeriod.count());
    TRY(fleet.start(arguments, capped));
    TRY(fleet.start(schedule.spin(), attributes(QosClass::Normal, 100, machine.test_mask())));

    const Observation at_a = TRY(fleet.observe(schedule.a));
    const Observation at_b = TRY(fleet.observe(schedule.b));
    const std::vector<Report> reports = TRY(fleet.reports());
    if (const auto late = late_start(reports)) {
        return *late;
    }
    BudgetFigures figures;
    figures.budget_ns = capped.budget_ns;
    figures.period_ns = capped.period_ns;
    figures.most_in_window_ns = reports[0].second * 1000;
    // It looks at the clock between two units; the report is in microseconds.
    figures.resolution_ns = 1000;
    figures.throttled = at_b.workers[0].nr_throttled - at_a.workers[0].nr_throttled;
    return judge_budget(window_between(machine, at_a, at_b, reports, false), figures);
}

}  // namespace selftest
