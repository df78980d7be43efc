// SPDX-License-Identifier: MIT
// A promise, its figure, and what was measured: checked, shown, and written to the file NEURON_RESULTS names,
// from which tools/invariant_table.py makes the table at the end of scripts/test.sh.
#pragma once

#include <cstdint>
#include <string>

namespace sched_test {

// One line: `id` (I1..I19, or another short name), what is measured, the bound as text, the figure as text.
void record(const std::string& id, const std::string& what, const std::string& target,
            const std::string& measured, bool holds);

// The figure is at most / at least the bound; fails the test and goes on when it is not.
void expect_at_most(const std::string& id, const std::string& what, double measured, double bound,
                    const std::string& unit);
void expect_at_least(const std::string& id, const std::string& what, double measured, double bound,
                     const std::string& unit);
// A count of things that must not happen, of `of` observations.
void expect_none(const std::string& id, const std::string& what, std::uint64_t count, std::uint64_t of,
                 const std::string& first = {});

}  // namespace sched_test
