// SPDX-License-Identifier: MIT
// Proves: idle CPUs take only what they may. Eight processes pinned to one CPU while all others idle for 100
// ms: not a nanosecond may be charged elsewhere, and none may migrate. Then the masks are widened: now every
// CPU must get work, or the first half would prove nothing about stealing.
#include <algorithm>
#include <chrono>

#include "cases.hpp"
#include "fleet.hpp"
#include "nexus_abi/sched_calls.hpp"
#include "patience.hpp"

namespace selftest {
namespace {

using namespace std::chrono_literals;
constexpr std::size_t kWorkers = 8;
constexpr user::Duration kPhase = 100ms;
constexpr auto kEnough = static_cast<std::uint64_t>((kPhase / 2).count());  // charged to pinned tasks

// Charged on `cpu` to all workers between two observations.
std::uint64_t charged_on(std::uint32_t cpu, const Observation& from, const Observation& to) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < to.workers.size(); ++i) {
        sum += to.workers[i].runtime_by_cpu_ns[cpu] - from.workers[i].runtime_by_cpu_ns[cpu];
    }
    return sum;
}

}  // namespace

Result<Verdict> case_steal(const Machine& machine) {
    Fleet fleet{machine};
    // More CPUs than eight: one worker each, so that each can get one.
    const std::size_t workers = std::max(kWorkers, machine.cpus.size());
    for (std::size_t i = 0; i < workers; ++i) {
        TRY(fleet.start({"hog"}, attributes(nexus_abi::QosClass::Normal, 100, machine.test_mask())));
    }
    StealFigures figures;
    figures.workers = workers;
    // From the first instruction on, so no "before" is subtracted: born with the mask, never anywhere else.
    const Observation begin = TRY(fleet.observe(user::now()));
    Observation pinned = TRY(fleet.observe(begin.at + kPhase));
    // A busy host may have let that hart stand still: on until half a phase's work is done.
    for (Patience patience{begin.at};
         charged_on(machine.test_cpu, begin, pinned) < kEnough && patience.lasts(pinned.at);) {
        pinned = TRY(fleet.observe(pinned.at + kPhase));
    }
    for (const nexus_abi::sched_stat& worker : pinned.workers) {
        figures.migrations += worker.nr_migrations;
        for (std::uint32_t cpu = 0; cpu < nexus_abi::kMaxHartsInStat; ++cpu) {
            figures.forbidden_ns += cpu == machine.test_cpu ? 0 : worker.runtime_by_cpu_ns[cpu];
        }
    }
    figures.allowed_ns = charged_on(machine.test_cpu, begin, pinned);

    for (std::size_t i = 0; i < fleet.size(); ++i) {
        TRY(nexus_abi::sched::set_affinity(fleet.pid(i), machine.online));
    }
    const Observation widened = TRY(fleet.observe(user::now()));
    Observation end = TRY(fleet.observe(widened.at + kPhase));
    const auto waits_for_work = [&](std::uint32_t cpu) { return charged_on(cpu, pinned, end) == 0; };
    for (Patience patience{widened.at};
         std::ranges::any_of(machine.cpus, waits_for_work) && patience.lasts(end.at);) {
        end = TRY(fleet.observe(end.at + kPhase));
    }
    for (const std::uint32_t cpu : machine.cpus) {
        figures.spread_ns.push_back(charged_on(cpu, pinned, end));
    }
    return judge_steal(figures, kEnough);
}

}  // namespace selftest
