// SPDX-License-Identifier: MIT
// Proves: shares divide a CPU, and a change of shares takes effect on running tasks. Two processes pinned to
// one CPU work without pause with shares 100 and 300; then, while they run, the shares are swapped. The ratio
// of work they counted and of time they were charged must be 3 within [2.7, 3.3], and after the swap 1/3
// within [0.30, 0.37]. 700 ms are about 230 requests of 3 ms; the lag bound (one request) is then 4 % of the
// smaller part. Control: neuron.break=shares makes the kernel ignore weights; the ratio is 1 and the case
// fails.
#include <chrono>

#include "cases.hpp"
#include "fleet.hpp"
#include "nexus_abi/sched_calls.hpp"

namespace selftest {

Result<Verdict> case_shares(const Machine& machine) {
    using namespace std::chrono_literals;
    using nexus_abi::QosClass;
    Fleet fleet{machine};
    const Schedule schedule = Schedule::two_windows(2, 30ms, 400ms, 30ms, 300ms);
    TRY(fleet.start(schedule.spin(), attributes(QosClass::Normal, 100, machine.test_mask())));
    TRY(fleet.start(schedule.spin(), attributes(QosClass::Normal, 300, machine.test_mask())));

    const Observation at_a = TRY(fleet.observe(schedule.a));
    const Observation at_b = TRY(fleet.observe(schedule.b));
    TRY(nexus_abi::sched::set_shares(fleet.pid(0), 300));
    TRY(nexus_abi::sched::set_shares(fleet.pid(1), 100));
    const Observation at_c = TRY(fleet.observe(schedule.c));
    const Observation at_d = TRY(fleet.observe(schedule.d));
    const std::vector<Report> reports = TRY(fleet.reports());
    if (const auto late = late_start(reports)) {
        return *late;
    }
    return judge_swap(window_between(machine, at_a, at_b, reports, false),
                      window_between(machine, at_c, at_d, reports, true));
}

}  // namespace selftest
