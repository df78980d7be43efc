// SPDX-License-Identifier: MIT
#include "linear_program.hpp"

#include <utility>

namespace sched_sim {
namespace {

constexpr double kZero = 1e-11;  // entries of a tableau whose inputs are near 1
constexpr std::size_t kNone = ~std::size_t{0};

// Rows of constraints, the objective last; the right-hand side is the last column.
struct Tableau {
    std::vector<std::vector<double>> rows;
    std::vector<std::size_t> basis;

    [[nodiscard]] std::vector<double>& objective() { return rows.back(); }
    [[nodiscard]] std::size_t constraints() const { return rows.size() - 1; }

    void pivot(std::size_t row, std::size_t column) {
        std::vector<double>& pivot_row = rows[row];
        const double scale = 1.0 / pivot_row[column];
        for (double& entry : pivot_row) {
            entry *= scale;
        }
        pivot_row[column] = 1.0;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const double factor = rows[i][column];
            if (i == row || factor == 0.0) {
                continue;
            }
            for (std::size_t j = 0; j < pivot_row.size(); ++j) {
                rows[i][j] -= factor * pivot_row[j];
            }
            rows[i][column] = 0.0;
        }
        basis[row] = column;
    }

    [[nodiscard]] std::size_t leaving_row(std::size_t column) const {
        std::size_t best = kNone;
        double best_ratio = 0;
        for (std::size_t i = 0; i < constraints(); ++i) {
            if (rows[i][column] <= kZero) {
                continue;
            }
            const double ratio = rows[i].back() / rows[i][column];
            const bool is_tie = best != kNone && ratio < best_ratio + kZero && ratio > best_ratio - kZero;
            if (best == kNone || (is_tie ? basis[i] < basis[best] : ratio < best_ratio)) {
                best = i;
                best_ratio = ratio;
            }
        }
        return best;
    }

    // Until no column below `columns` improves the objective.
    void optimize(std::size_t columns) {
        for (;;) {
            std::size_t entering = 0;
            while (entering < columns && objective()[entering] >= -kZero) {
                ++entering;
            }
            if (entering == columns) {
                return;
            }
            const std::size_t row = leaving_row(entering);
            if (row == kNone) {
                return;
            }
            pivot(row, entering);
        }
    }
};

}  // namespace

void LinearProgram::add_at_most(std::vector<double> row, double bound) {
    rows_.push_back(std::move(row));
    bounds_.push_back(bound);
}

LinearProgram::Solution LinearProgram::maximize_variable(std::size_t variable) const {
    const std::size_t count = rows_.size();
    const std::size_t first_slack = variables_;
    const std::size_t first_artificial = first_slack + count;
    const std::size_t width = first_artificial + count + 1;
    Tableau tableau{.rows = std::vector(count + 1, std::vector<double>(width, 0.0)),
                    .basis = std::vector<std::size_t>(count)};
    for (std::size_t i = 0; i < count; ++i) {
        const double sign = bounds_[i] < 0 ? -1.0 : 1.0;
        for (std::size_t j = 0; j < variables_; ++j) {
            tableau.rows[i][j] = sign * rows_[i][j];
        }
        tableau.rows[i][first_slack + i] = sign;
        tableau.rows[i].back() = sign * bounds_[i];
        tableau.basis[i] = first_slack + i;
        if (sign < 0) {
            tableau.rows[i][first_artificial + i] = 1.0;
            tableau.basis[i] = first_artificial + i;
            for (std::size_t j = 0; j < width; ++j) {  // phase one minimizes the artificial variables
                tableau.objective()[j] -= j == first_artificial + i ? 0.0 : tableau.rows[i][j];
            }
        }
    }
    tableau.optimize(first_artificial);
    Solution solution;
    if (tableau.objective().back() < -1e-8) {
        return solution;
    }
    for (std::size_t i = 0; i < count; ++i) {  // an artificial variable that stayed in the basis at zero
        for (std::size_t j = 0; tableau.basis[i] >= first_artificial && j < first_artificial; ++j) {
            if (tableau.rows[i][j] > kZero || tableau.rows[i][j] < -kZero) {
                tableau.pivot(i, j);
            }
        }
    }
    std::vector<double>& objective = tableau.objective();
    objective.assign(width, 0.0);
    objective[variable] = -1.0;
    for (std::size_t i = 0; i < count; ++i) {
        if (tableau.basis[i] == variable) {
            for (std::size_t j = 0; j < width; ++j) {
                objective[j] += tableau.rows[i][j];
            }
        }
    }
    tableau.optimize(first_artificial);
    solution.feasible = true;
    solution.values.assign(variables_, 0.0);
    for (std::size_t i = 0; i < count; ++i) {
        if (tableau.basis[i] < variables_) {
            solution.values[tableau.basis[i]] = tableau.rows[i].back();
        }
    }
    solution.prices.assign(count, 0.0);
    for (std::size_t i = 0; i < count; ++i) {
        solution.prices[i] = tableau.objective()[first_slack + i];
    }
    return solution;
}

}  // namespace sched_sim
