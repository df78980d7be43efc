// SPDX-License-Identifier: MIT
// Proves: no class starves another. Four Interactive hogs, a Normal and an Idle one share a CPU. By root
// weights 64:16:1 the Normal one gets 19.8 % and the Idle one 1.2 %. Asserted: Normal 12 to 28 %, Idle more
// than nothing and at most 4 %, and neither ever waited longer than four times the documented bound of its
// class (18 ms and 90 ms here).
#include <chrono>

#include "cases.hpp"
#include "fleet.hpp"

namespace selftest {

Result<Verdict> case_starvation(const Machine& machine) {
    using namespace std::chrono_literals;
    using nexus_abi::QosClass;
    constexpr int kInteractiveHogs = 4;
    Fleet fleet{machine};
    const Schedule schedule = Schedule::one_window(kInteractiveHogs + 2, 60ms, 640ms);
    for (int i = 0; i < kInteractiveHogs; ++i) {
        TRY(fleet.start(schedule.spin(), attributes(QosClass::Interactive, 100, machine.test_mask())));
    }
    TRY(fleet.start(schedule.spin(), attributes(QosClass::Normal, 100, machine.test_mask())));
    TRY(fleet.start(schedule.spin(), attributes(QosClass::Idle, 100, machine.test_mask())));
    const Observation at_a = TRY(fleet.observe(schedule.a));
    const Observation at_b = TRY(fleet.observe(schedule.b));
    const std::vector<Report> reports = TRY(fleet.reports());
    if (const auto late = late_start(reports)) {
        return *late;
    }
    StarvationFigures figures;
    figures.normal_wait_max_ns = at_b.workers[kInteractiveHogs].wait_max_ns;
    figures.idle_wait_max_ns = at_b.workers[kInteractiveHogs + 1].wait_max_ns;
    return judge_starvation(window_between(machine, at_a, at_b, reports, false), figures);
}

}  // namespace selftest
