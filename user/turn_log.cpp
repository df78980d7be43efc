// SPDX-License-Identifier: MIT
#include "turn_log.hpp"

#include <algorithm>
#include <cmath>

namespace user {

std::uint64_t time_run(std::span<const Turn> turns, std::uint64_t from, std::uint64_t to) {
    std::uint64_t sum = 0;
    // Turns come in order and do not overlap.
    const auto first = std::ranges::upper_bound(turns, from, {}, &Turn::end);
    for (auto turn = first; turn != turns.end() && turn->begin < to; ++turn) {
        sum += std::min(turn->end, to) - std::max(turn->begin, from);
    }
    return sum;
}

std::uint64_t longest_gap(std::span<const Turn> turns, std::uint64_t from, std::uint64_t to) {
    std::uint64_t longest = 0;
    std::uint64_t since = from;
    for (const Turn& turn : turns) {
        if (turn.end <= from || turn.begin >= to) {
            continue;
        }
        longest = std::max(longest, turn.begin > since ? turn.begin - since : 0);
        since = std::min(turn.end, to);
    }
    return std::max(longest, to - since);
}

std::uint64_t most_in_any_window(std::span<const Turn> turns, std::uint64_t length) {
    // A window that holds the most can be moved until it begins with a turn or ends with one.
    std::uint64_t most = 0;
    for (const Turn& turn : turns) {
        most = std::max(most, time_run(turns, turn.begin, turn.begin + length));
        most = std::max(most, time_run(turns, turn.end > length ? turn.end - length : 0, turn.end));
    }
    return most;
}

double largest_lag(std::span<const Weighted> tasks, std::uint64_t from, std::uint64_t to) {
    // Between two ends of turns everything grows in straight lines, so the extremes are at the ends.
    std::vector<std::uint64_t> instants{to};
    double weights = 0;
    for (const Weighted& task : tasks) {
        weights += task.weight;
        for (const Turn& turn : task.turns) {
            for (const std::uint64_t instant : {turn.begin, turn.end}) {
                if (instant > from && instant < to) {
                    instants.push_back(instant);
                }
            }
        }
    }
    std::ranges::sort(instants);
    std::vector<double> got(tasks.size(), 0);
    double largest = 0;
    std::uint64_t since = from;
    for (const std::uint64_t instant : instants) {
        double sum = 0;
        for (std::size_t i = 0; i < tasks.size(); ++i) {
            got[i] += static_cast<double>(time_run(tasks[i].turns, since, instant));
            sum += got[i];
        }
        for (std::size_t i = 0; i < tasks.size(); ++i) {
            largest = std::max(largest, std::abs(got[i] - sum * tasks[i].weight / weights));
        }
        since = instant;
    }
    return largest;
}

}  // namespace user
