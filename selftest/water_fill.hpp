// SPDX-License-Identifier: MIT
// What each always-running task deserves: weighted max-min fairness over harts and masks ("water-filling").
// The plain ratio of weights is wrong as soon as a task cannot use its part: weights 10:1:1 on two harts give
// the heavy one a whole hart, not 10/12 of two. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace selftest {

struct Demand {
    double weight{1.0};
    std::uint64_t mask{0};  // CPUs the task may use; bits beyond `cpus` are ignored
};

// Hart-seconds per second for each task, in the order of `demands`. A task runs on at most one CPU at a time.
// Pre: cpus <= 16 (sets of CPUs are enumerated), every weight > 0; a task with an empty mask gets 0.
[[nodiscard]] std::vector<double> water_fill(std::uint32_t cpus, std::span<const Demand> demands);

}  // namespace selftest
