// SPDX-License-Identifier: MIT
// Steps of a script in a workload file, one word of text each: "run 2ms", "run exp 2ms", "sleep 5ms",
// "yield", "exit", "lock NAME", "unlock NAME", "post NAME", "wait NAME", "forever".
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <vector>

#include "engine.hpp"
#include "random.hpp"

namespace sched_sim {

inline constexpr const char* kDistributionForm =
    "a duration above 0 such as \"5ms\", or constant, uniform, exp, bimodal or heavy and one";
[[nodiscard]] std::optional<Distribution> parse_distribution(std::string_view text);

// What is wrong with the step; empty: nothing.
[[nodiscard]] std::string check_step(std::string_view text);

// The objects scripts name, made as they are first met.
class ScriptObjects {
  public:
    explicit ScriptObjects(Simulation& simulation) : simulation_{simulation} {}
    [[nodiscard]] SemaphoreIndex semaphore(const std::string& name);
    [[nodiscard]] MutexIndex mutex(const std::string& name);

  private:
    Simulation& simulation_;
    std::map<std::string, SemaphoreIndex> semaphores_;
    std::map<std::string, MutexIndex> mutexes_;
};

// Pre: every step is right.
[[nodiscard]] BehaviourPtr make_script(const std::vector<std::string>& steps, bool repeats,
                                       ScriptObjects& objects);

}  // namespace sched_sim
