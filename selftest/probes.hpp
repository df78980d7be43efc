// SPDX-License-Identifier: MIT
// What a task without rights tries, and the one right answer to each.
#pragma once

#include <cstdint>
#include <string>

namespace selftest {

struct ProbeResult {
    std::uint64_t wrong{0};  // probes that got another answer than they should
    std::uint64_t count{0};  // all of them
};

// Pre: the caller has no rights and class Normal. `sibling` lives and is not its child; `dead` was reaped by
// the caller's parent. Wrong answers are also printed, one line each.
[[nodiscard]] ProbeResult run_probes(const std::string& program, std::int32_t sibling, std::int32_t dead);

}  // namespace selftest
