// SPDX-License-Identifier: MIT
// The judging half of the selftest: figures in, verdict out. Pure, so host tests can feed it what a broken
// kernel, a noisy host or a right kernel would measure.
//
// Two rules run through it. Work counted by the tasks and time charged by the kernel must tell the same story
// (within 10 %): a kernel cannot pass by accounting alone. And what cannot be judged is a Skip with its
// reason, never a Pass: the emulator's host may take time away behind the guest's back, which shows as work
// done slower than calibrated.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "nexus_abi/sched.hpp"
#include "verdict.hpp"

namespace selftest {

struct Band {
    double low;
    double high;
    [[nodiscard]] bool contains(double value) const { return value >= low && value <= high; }
};

struct WorkerFigures {
    std::uint64_t work_units{0};  // counted by the worker
    std::uint64_t charged_ns{0};  // charged by the kernel
};

// What the hogs of one CPU did between two instants.
struct Window {
    std::uint64_t elapsed_ns{0};
    double unit_ns{0};  // what a unit takes on a quiet machine
    std::vector<WorkerFigures> workers;
};

// a / b; 0 / 0 is 0 and a / 0 is infinite.
[[nodiscard]] double ratio(double a, double b);

// Whether the window can be judged at all, and whether the accounts are consistent. Nothing: go on and judge.
[[nodiscard]] std::optional<Verdict> check_accounts(const Window& window);

// Two workers, shares 100:300, then swapped while they run. Band of scheduler.md part E.
[[nodiscard]] Verdict judge_swap(const Window& before, const Window& after);

// Each worker's part of the CPU against `expected` (fractions of one CPU, from water_fill), each within
// `tolerance` (relative), and in the same order.
[[nodiscard]] Verdict judge_split(const Window& window, std::span<const double> expected, double tolerance);

struct NeutralFigures {
    std::uint64_t switches_latency{0};  // involuntary switches of the worker with the latency hint
    std::uint64_t switches_burst{0};    // of the worker with the burst hint
};
// Three equal workers: no hint, latency hint, burst hint. Shares within 8 % of each other; the burst hint
// saves switches.
[[nodiscard]] Verdict judge_neutral(const Window& window, const NeutralFigures& figures);

// Longest wait of a class for its turn on a hart where the classes of `present` (bit per class) have work:
// the formula in docs/perf/smp-v2.md. Pre: qos_class is in `present`.
[[nodiscard]] std::uint64_t longest_wait_ns(nexus_abi::QosClass qos_class, std::uint32_t present);

struct StarvationFigures {
    std::uint64_t normal_wait_max_ns{0};
    std::uint64_t idle_wait_max_ns{0};
};
// Workers of the window: Interactive ones first, then one Normal (12..28 % wanted), then one Idle (more than
// nothing, at most 4 %).
[[nodiscard]] Verdict judge_starvation(const Window& window, const StarvationFigures& figures);

struct PeriodicFigures {
    std::uint64_t median_late_ns{0};
    std::uint64_t max_late_ns{0};
    std::uint64_t switches_involuntary{0};
    std::uint64_t wakes{0};
};
// The same periodic task as Interactive and as Normal, beside the same hogs.
[[nodiscard]] Verdict judge_latency(const PeriodicFigures& interactive, const PeriodicFigures& normal);

struct AffinityFigures {
    std::uint64_t changes{0};
    std::uint64_t samples{0};          // the tasks looked where they run
    std::uint64_t samples_outside{0};  // and were outside the mask in force
    std::uint64_t forbidden_ns{0};     // charged on forbidden CPUs while a mask was in force
    std::uint64_t wrong_effective{0};  // effective mask read back differs from the one set
    std::uint64_t self_outside{0};     // own change returned on a forbidden CPU
};
[[nodiscard]] Verdict judge_affinity(const AffinityFigures& figures);

struct StealFigures {
    std::uint64_t workers{0};
    std::uint64_t forbidden_ns{0};         // pinned phase: charged beyond the one CPU
    std::uint64_t migrations{0};           // pinned phase
    std::uint64_t allowed_ns{0};           // pinned phase: charged on the one CPU
    std::vector<std::uint64_t> spread_ns;  // widened phase: charged per online CPU
};
[[nodiscard]] Verdict judge_steal(const StealFigures& figures, std::uint64_t enough_ns);

struct IdleFigures {
    std::string phase;
    std::vector<std::uint64_t> idle_ns;  // per online CPU
    std::uint64_t elapsed_ns{0};
};
// More hogs than CPUs: no CPU may idle more than 2 % of the window.
[[nodiscard]] Verdict judge_conserving(std::span<const IdleFigures> phases);

struct TicklessFigures {
    std::uint64_t timer_interrupts{0};
    std::uint64_t ipis{0};
    std::uint64_t switches{0};  // other tasks than the hog ran
    std::uint64_t elapsed_ns{0};
    std::uint64_t hog_ns{0};
};
[[nodiscard]] Verdict judge_tickless(const TicklessFigures& figures);

// Whether time on this machine means something: nine of ten equal units took the time of the fastest, give or
// take a tick of the clock, and all together at most a tenth more. True under instruction counting and on a
// board, false where a busy host runs the harts as threads; there a case about time that fails has shown
// nothing. Pre: timebase_hz > 0.
[[nodiscard]] bool is_steady(std::span<const std::uint64_t> unit_times_ns, std::uint64_t timebase_hz);

// Pre: not empty. Lower median; sorts its argument.
[[nodiscard]] std::uint64_t median(std::vector<std::uint64_t> values);

}  // namespace selftest
