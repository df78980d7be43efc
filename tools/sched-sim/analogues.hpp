// SPDX-License-Identifier: MIT
// The shapes of well-known scheduler benchmarks, as simulated tasks.
#pragma once

#include "engine.hpp"
#include "random.hpp"

namespace sched_sim {

// A task of an analogue: attributes and name are the caller's.
struct Part {
    std::string role;
    BehaviourPtr behaviour;
};

// schbench: each messenger runs a moment, wakes its workers, and waits until all have done one piece of
// `work`; then it rests. Worker wake-up latency is the figure.
[[nodiscard]] std::vector<Part> schbench(Simulation& simulation, std::uint32_t messengers,
                                         std::uint32_t workers, Distribution work, Distribution rest);

// hackbench: per group, `pairs` senders each send to every one of `pairs` receivers through pipes that hold a
// few messages, `work` of copying on either side. Completions count messages.
[[nodiscard]] std::vector<Part> hackbench(Simulation& simulation, std::uint32_t groups, std::uint32_t pairs,
                                          Distribution work);

// make -jN: a task that keeps `parallel` compile jobs running until `jobs` are done; each reads its input
// (sleeps for a tenth of its work), computes, and ends.
[[nodiscard]] Part build(Simulation& simulation, std::uint32_t parallel, std::uint32_t jobs,
                         Distribution work, const NewTask& job);

}  // namespace sched_sim
