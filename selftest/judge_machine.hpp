// SPDX-License-Identifier: MIT
// Verdicts about several CPUs, caps, boosts and donation. Pure; the rules of judge.hpp hold here too.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "judge.hpp"

namespace selftest {

// What tasks did on `cpus` CPUs. Under instruction counting busy CPUs share one stream of instructions, so
// how long a unit of work takes says nothing here; how the work is divided does.
struct MachineWindow {
    Window window;
    std::uint32_t cpus{0};
};

struct MachineFigures {
    std::uint64_t migrations{0};
};
// Three equal hogs on two CPUs: each 0.60..0.73 of a CPU by charge, largest to smallest at most 1.10 by
// charge and by work, and somebody moved.
[[nodiscard]] Verdict judge_machine(const MachineWindow& measured, const MachineFigures& figures);

struct PinnedFigures {
    std::uint64_t strayed_ns{0};  // charged to the pinned tasks beyond their CPUs
};
// One hog pinned to each of two CPUs and a free one: each at least 0.55 of a CPU, and the pinned ones nowhere
// else.
[[nodiscard]] Verdict judge_pinned(const MachineWindow& measured, const PinnedFigures& figures);

struct BoostFigures {
    std::uint64_t capacity_ns{0};  // of the bucket
    std::uint64_t boosted_ns{0};   // until the first window's end
    std::uint64_t total_ns{0};     // until the second window's end
    std::uint64_t elapsed_ns{0};   // from the common start to the second window's end
    bool boosted_first{false};     // at the end of the first window
    bool boosted_second{false};    // at the beginning or the end of the second
};
// Workers: the PerfBurst one, then the Interactive one. Boosted it gets at least 1.5 times the other's part,
// later an equal one (0.85..1.18), and no longer a boost than its bucket held and got.
[[nodiscard]] Verdict judge_boost(const Window& boosted, const Window& spent, const BoostFigures& figures);

struct BudgetFigures {
    std::uint64_t budget_ns{0};
    std::uint64_t period_ns{0};
    std::uint64_t most_in_window_ns{0};  // in any window of a period, by the task's own clock
    std::uint64_t resolution_ns{0};      // of that figure
    std::uint64_t throttled{0};          // how often
};
// Workers: the capped one first. It gets 85 to 105 % of budget/period, and in no window more than the budget
// and 50 us.
[[nodiscard]] Verdict judge_budget(const Window& window, const BudgetFigures& figures);

// Waits of the high-class task for a lock that the low-class one holds.
struct InheritanceFigures {
    std::vector<std::uint64_t> with_ns;     // donation on
    std::vector<std::uint64_t> without_ns;  // the same with an ordinary lock
    // The owner's effective class with donation on, read by itself: while the other is blocked on the lock,
    // and after it has given the lock back. Nothing: the other never blocked.
    std::optional<nexus_abi::QosClass> class_wanted;
    std::optional<nexus_abi::QosClass> class_after;
};
// The owner has the waiter's class exactly as long as it is waited for, and the median wait with donation is
// at most a third of the one without.
[[nodiscard]] Verdict judge_inheritance(const InheritanceFigures& figures);

struct StressFigures {
    std::uint64_t changes{0};
    std::uint64_t deaths{0};
    std::uint64_t refused{0};  // calls that failed and should not have
    std::uint64_t stuck{0};    // tasks that never ran again
    // Time of all harts by the clock, at least and at most, while they accounted for `accounted_ns` (charged
    // and idle).
    std::uint64_t harts_least_ns{0};
    std::uint64_t harts_most_ns{0};
    std::uint64_t accounted_ns{0};
    // While nobody died: what the harts charged, at least and at most, while the tasks were charged
    // `charged_ns`.
    std::uint64_t busy_least_ns{0};
    std::uint64_t busy_most_ns{0};
    std::uint64_t charged_ns{0};
    bool steady{true};  // the machine: readings one after the other are close together
};
// Nobody is lost, and time is neither lost nor invented: both accounts within 0.1 %.
[[nodiscard]] Verdict judge_stress(const StressFigures& figures);

}  // namespace selftest
