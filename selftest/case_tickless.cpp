// SPDX-License-Identifier: MIT
// Proves: a CPU with one runnable task gets no scheduler interrupts. One hog, alone on the last CPU, the
// observer asleep on another: in 200 ms at most one timer interrupt (one that was armed before) and no
// interprocessor interrupt. If something else ran there in between, the window says nothing; up to three
// windows are tried.
#include <chrono>

#include "cases.hpp"
#include "fleet.hpp"
#include "nexus_abi/sched_calls.hpp"

namespace selftest {

Result<Verdict> case_tickless(const Machine& machine) {
    using namespace std::chrono_literals;
    constexpr int kWindows = 3;
    Fleet fleet{machine};
    TRY(fleet.start({"hog"}, attributes(nexus_abi::QosClass::Normal, 100, machine.test_mask())));
    // The hog's start-up (page faults, first placement) is over.
    user::sleep_until(user::now() + 20ms);
    Verdict verdict;
    for (int i = 0; i < kWindows; ++i) {
        const Observation task_before = TRY(fleet.observe(user::now()));
        const nexus_abi::sched_hartstat before = TRY(nexus_abi::sched::hart_stat(machine.test_cpu));
        user::sleep_until(task_before.at + 200ms);
        const nexus_abi::sched_hartstat after = TRY(nexus_abi::sched::hart_stat(machine.test_cpu));
        const Observation task_after = TRY(fleet.observe(user::now()));
        TicklessFigures figures;
        figures.timer_interrupts = after.nr_timer_interrupts - before.nr_timer_interrupts;
        figures.ipis = after.nr_ipis_received - before.nr_ipis_received;
        figures.switches = after.nr_switches - before.nr_switches;
        figures.elapsed_ns = static_cast<std::uint64_t>((task_after.at - task_before.at).count());
        figures.hog_ns = task_after.workers[0].runtime_ns - task_before.workers[0].runtime_ns;
        verdict = judge_tickless(figures);
        if (verdict.outcome != Outcome::Skip) {
            break;
        }
    }
    return verdict;
}

}  // namespace selftest
