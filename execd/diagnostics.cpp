// SPDX-License-Identifier: MIT
#include "diagnostics.hpp"

#include <algorithm>

namespace execd {
namespace {

// Optimal string alignment distance: insertions, deletions, substitutions, and swaps of neighbours cost 1
// each.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before_last(b.size() + 1);
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) {
        last[j] = j;
    }
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t substitution = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, substitution});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = std::min(row[j], before_last[j - 2] + 1);
            }
        }
        std::swap(before_last, last);
        std::swap(last, row);
    }
    return last[b.size()];
}

// A slip: at most one edit in a short word and two in a longer one, or the word broken off early ("lat").
bool is_near(std::string_view word, std::string_view candidate, std::size_t distance) {
    constexpr std::size_t kShortWord = 4;
    constexpr std::size_t kShortestStump = 3;
    if (distance <= (word.size() <= kShortWord ? 1 : 2)) {
        return true;
    }
    return word.size() >= kShortestStump && candidate.starts_with(word);
}

}  // namespace

std::string to_string(const Diagnostic& diagnostic) {
    std::string line = diagnostic.file;
    if (diagnostic.at != Position{}) {
        line += ':' + std::to_string(diagnostic.at.line) + ':' + std::to_string(diagnostic.at.column);
    }
    return line + (diagnostic.severity == Severity::Warning ? ": warning: " : ": ") + diagnostic.what;
}

std::string suggestion(std::string_view word, const std::vector<std::string_view>& candidates) {
    std::string_view best;
    std::size_t best_distance = 0;
    for (const std::string_view candidate : candidates) {
        const std::size_t distance = edit_distance(word, candidate);
        if (is_near(word, candidate, distance) && (best.empty() || distance < best_distance)) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best.empty() ? std::string{} : " (did you mean '" + std::string{best} + "'?)";
}

std::string join_alternatives(const std::vector<std::string_view>& words) {
    std::string joined;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (i > 0) {
            joined += i + 1 == words.size() ? " or " : ", ";
        }
        joined += words[i];
    }
    return joined;
}

}  // namespace execd
