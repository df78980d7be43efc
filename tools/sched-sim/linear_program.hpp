// SPDX-License-Identifier: MIT
// A small dense linear program: maximize one variable subject to rows a.x <= b, x >= 0. Two-phase simplex
// with Bland's rule, so it cannot cycle. Pure.
#pragma once

#include <cstddef>
#include <vector>

namespace sched_sim {

class LinearProgram {
  public:
    explicit LinearProgram(std::size_t variables) : variables_{variables} {}
    // Pre: row.size() == variables. A negative bound makes the row an "at least".
    void add_at_most(std::vector<double> row, double bound);

    struct Solution {
        bool feasible{false};
        std::vector<double> values;  // of the variables
        std::vector<double> prices;  // per row: what one more unit of its bound would add
    };
    // Pre: the maximum is finite.
    [[nodiscard]] Solution maximize_variable(std::size_t variable) const;

  private:
    std::size_t variables_;
    std::vector<std::vector<double>> rows_;
    std::vector<double> bounds_;
};

}  // namespace sched_sim
