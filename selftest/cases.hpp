// SPDX-License-Identifier: MIT
// The cases in their order. Each lives in a case_*.cpp that says what it proves and how.
#pragma once

#include <span>
#include <string_view>

#include "machine.hpp"
#include "verdict.hpp"

namespace selftest {

// A case returns its verdict, or the error of a call that it cannot do without.
using CaseFunction = Result<Verdict> (*)(const Machine&);

struct Case {
    std::string_view short_name;  // neuron.selftest=NAME
    std::string_view name;        // in the marker
    std::size_t cpus;             // fewer online CPUs: Skip
    bool judges_time;  // ratios and waits, not exact values and sets: no failure on an unsteady machine
    CaseFunction run;
};

Result<Verdict> case_clamp(const Machine& machine);
Result<Verdict> case_perms(const Machine& machine);
Result<Verdict> case_inherit(const Machine& machine);
Result<Verdict> case_affinity(const Machine& machine);
Result<Verdict> case_steal(const Machine& machine);
Result<Verdict> case_shares(const Machine& machine);
Result<Verdict> case_low_end(const Machine& machine);
Result<Verdict> case_neutral(const Machine& machine);
Result<Verdict> case_latency(const Machine& machine);
Result<Verdict> case_starvation(const Machine& machine);
Result<Verdict> case_conserving(const Machine& machine);
Result<Verdict> case_tickless(const Machine& machine);
Result<Verdict> case_machine(const Machine& machine);
Result<Verdict> case_pinned(const Machine& machine);
Result<Verdict> case_perfburst(const Machine& machine);
Result<Verdict> case_budget(const Machine& machine);
Result<Verdict> case_pi(const Machine& machine);
Result<Verdict> case_stress(const Machine& machine);

[[nodiscard]] std::span<const Case> all_cases();

}  // namespace selftest
