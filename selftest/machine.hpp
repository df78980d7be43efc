// SPDX-License-Identifier: MIT
// What the cases know about the machine. Immutable after survey(), but for what was seen of the host.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absence.hpp"
#include "nexus_abi/result.hpp"

namespace selftest {

using nexus_abi::Error;
using nexus_abi::Result;

struct Machine {
    std::uint64_t online{0};          // mask of CpuIds
    std::vector<std::uint32_t> cpus;  // the same, ascending
    std::uint32_t test_cpu{0};        // where pinned workers go: the last one, far from the boot CPU's chores
    std::uint32_t home_cpu{0};        // where the selftest itself stays; test_cpu if there is only one
    double unit_ns{0};                // one work unit on a quiet CPU, clock reading included
    bool steady{false};               // units take the same time again and again (judge.hpp, is_steady)
    std::string program;              // path of this program, to start workers from
    std::uint64_t milliseconds{0};    // how long the one case that was asked for goes on; 0 = as it likes

    // What the witnesses of all cases so far saw of the host. Used by the main thread.
    std::shared_ptr<Absences> host{std::make_shared<Absences>()};

    // From which absence on a task alone on a hart knows that it was the host: more than any interrupt takes.
    // In units, because the clock of a board may run faster than its harts. Under instruction counting
    // nothing else may run meanwhile, or its turns look like absences.
    [[nodiscard]] std::uint64_t absence_ns() const { return static_cast<std::uint64_t>(100 * unit_ns); }
    // The same where all harts work: longer than the turns of the other harts, with the metronome or bounded
    // by scripts/qemu-test.sh.
    [[nodiscard]] std::uint64_t absence_beside_harts_ns() const { return 4 * absence_ns(); }
    [[nodiscard]] std::uint64_t test_mask() const { return std::uint64_t{1} << test_cpu; }
};

// Why a failure by time shows nothing here: the host took time away, in this case or an earlier one, or does
// so now, in a fifth of a second of work. Nothing: time means something. Pre: no worker runs.
[[nodiscard]] std::optional<std::string> unsteady(const Machine& machine);

// Reads the machine, and moves the caller to its home CPU as a prompt observer: class Interactive, latency
// hint 1 ms, so that it reads the figures of hogs at the instants it means to. Errors: NotPermitted without
// kRightSchedAdmin.
[[nodiscard]] Result<Machine> survey(std::string program);

}  // namespace selftest
