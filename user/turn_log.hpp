// SPDX-License-Identifier: MIT
// When a task had the hart, by its own clock, and what follows from that. A log belongs to one thread: a
// shared one would show its own lock. The analysis is pure, so host tests feed it the logs of right and wrong
// schedulers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace user {

// Times in nanoseconds of CLOCK_MONOTONIC.
struct Turn {
    std::uint64_t begin{0};
    std::uint64_t end{0};  // the last look at the clock
};

class TurnLog {
  public:
    // A task that looks at the clock again and again sees a gap this long only when another one ran: an
    // interrupt that returns to the task is shorter, two switches are longer.
    static constexpr std::uint64_t kGapNs = 3000;
    // Several harts under one stream of instructions pause in turn, 200 us each, and time goes on meanwhile;
    // the shortest turn of another task is a request of at least 1 ms.
    static constexpr std::uint64_t kGapInTurnsNs = 900'000;

    // Turns beyond `capacity` are dropped, and full() says so.
    explicit TurnLog(std::size_t capacity, std::uint64_t gap_ns = kGapNs) : gap_ns_{gap_ns} {
        turns_.reserve(capacity);
    }

    // Pre: `now` never goes back.
    void note(std::uint64_t now) {
        if (now - last_ > gap_ns_ || turns_.empty()) {
            begin_turn(now);
        }
        turns_.back().end = last_ = now;
    }
    [[nodiscard]] std::span<const Turn> turns() const { return turns_; }
    [[nodiscard]] bool full() const { return turns_.size() == turns_.capacity(); }

  private:
    void begin_turn(std::uint64_t now) {
        if (!full()) {
            turns_.push_back({now, now});
        }
    }
    std::uint64_t gap_ns_;
    std::vector<Turn> turns_;
    std::uint64_t last_{0};
};

// Time run in [from, to).
[[nodiscard]] std::uint64_t time_run(std::span<const Turn> turns, std::uint64_t from, std::uint64_t to);

// Longest time without the hart in [from, to), the ends of the window included: a task that never ran waited
// all of it.
[[nodiscard]] std::uint64_t longest_gap(std::span<const Turn> turns, std::uint64_t from, std::uint64_t to);

// The most time run in any window of this length, wherever it begins.
[[nodiscard]] std::uint64_t most_in_any_window(std::span<const Turn> turns, std::uint64_t length);

struct Weighted {
    std::span<const Turn> turns;
    double weight{1};
};

// The largest distance, at any instant of [from, to), between what a task got and its weight's part of what
// all of them got, either way. In nanoseconds.
[[nodiscard]] double largest_lag(std::span<const Weighted> tasks, std::uint64_t from, std::uint64_t to);

}  // namespace user
