// SPDX-License-Identifier: MIT
// Proves: shares hold across CPUs, and masks bind meanwhile. Three equal hogs on two CPUs: without somebody
// who moves, one has a CPU to itself and two share the other; each must get two thirds of a CPU
// (water-filling), within 0.60 to 0.73. Then one hog pinned to each of the two CPUs and a free one: again two
// thirds each are due, and the pinned ones must not have been charged a nanosecond elsewhere. 450 ms against
// a spread of service of at most 15 ms (two thresholds of 8 ms) make 4 %.
#include <array>
#include <chrono>

#include "cases.hpp"
#include "fleet.hpp"
#include "judge_machine.hpp"

namespace selftest {
namespace {

using namespace std::chrono_literals;
constexpr user::Duration kWarmUp = 60ms;
constexpr user::Duration kWindow = 450ms;
constexpr std::size_t kHogs = 3;

struct Measured {
    MachineWindow machine;
    MachineFigures figures;
    PinnedFigures pinned;
    std::optional<Verdict> late;
};

// A hog for each mask.
Result<Measured> measure(const Machine& machine, const std::array<std::uint64_t, kHogs>& masks) {
    Fleet fleet{machine};
    const Schedule schedule = Schedule::one_window(kHogs, kWarmUp, kWindow);
    for (const std::uint64_t mask : masks) {
        TRY(fleet.start(schedule.spin(), attributes(nexus_abi::QosClass::Normal, 100, mask)));
    }
    const Observation at_a = TRY(fleet.observe(schedule.a));
    const Observation at_b = TRY(fleet.observe(schedule.b));
    const std::vector<Report> reports = TRY(fleet.reports());
    Measured measured{{window_between(machine, at_a, at_b, reports, false), 2}, {}, {}, late_start(reports)};
    for (std::size_t i = 0; i < kHogs; ++i) {
        measured.figures.migrations += at_b.workers[i].nr_migrations - at_a.workers[i].nr_migrations;
        for (std::size_t cpu = 0; cpu < nexus_abi::kMaxHartsInStat; ++cpu) {
            // From its first instruction on: born with the mask.
            measured.pinned.strayed_ns +=
                (masks[i] >> cpu & 1U) != 0 ? 0 : at_b.workers[i].runtime_by_cpu_ns[cpu];
        }
    }
    return measured;
}

std::uint64_t mask_of(std::uint32_t cpu) {
    return std::uint64_t{1} << cpu;
}

}  // namespace

Result<Verdict> case_machine(const Machine& machine) {
    const std::uint64_t both = mask_of(machine.cpus[machine.cpus.size() - 2]) | machine.test_mask();
    const Measured measured = TRY(measure(machine, {both, both, both}));
    return measured.late.has_value() ? *measured.late : judge_machine(measured.machine, measured.figures);
}

Result<Verdict> case_pinned(const Machine& machine) {
    const std::uint64_t other = mask_of(machine.cpus[machine.cpus.size() - 2]);
    const Measured measured =
        TRY(measure(machine, {other, machine.test_mask(), other | machine.test_mask()}));
    return measured.late.has_value() ? *measured.late : judge_pinned(measured.machine, measured.pinned);
}

}  // namespace selftest
