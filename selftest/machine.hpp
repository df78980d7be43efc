// SPDX-License-Identifier: MIT
// What the cases know about the machine. Immutable after survey().
#pragma once

#include <cstdint>
#include <string>
#include <vector>

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

    [[nodiscard]] std::uint64_t test_mask() const { return std::uint64_t{1} << test_cpu; }
};

// Whether time means something now, by a fifth of a second of work.
[[nodiscard]] bool is_steady_now();

// Reads the machine, and moves the caller to its home CPU as a prompt observer: class Interactive, latency
// hint 1 ms, so that it reads the figures of hogs at the instants it means to. Errors: NotPermitted without
// kRightSchedAdmin.
[[nodiscard]] Result<Machine> survey(std::string program);

}  // namespace selftest
