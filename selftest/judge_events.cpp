// SPDX-License-Identifier: MIT
// Verdicts about where tasks ran, how late they woke, and what ran that should not have.
#include <algorithm>
#include <numeric>

#include "console.hpp"
#include "judge.hpp"

namespace selftest {
namespace {

using user::format;

// Fewer samples than this and a case has not looked.
constexpr std::uint64_t kFewestChanges = 20;
constexpr std::uint64_t kFewestWakes = 8;
constexpr std::uint64_t kLatencyFactor = 4;
// A CPU may be idle while a woken task is on its way to it: 2 % (scheduler.md part E).
constexpr double kIdleLimit = 0.02;
constexpr double kHogPresence = 0.90;

unsigned long long printable(std::uint64_t value) {
    return value;
}

}  // namespace

bool is_steady(std::span<const std::uint64_t> unit_times_ns, std::uint64_t timebase_hz) {
    if (unit_times_ns.empty() || timebase_hz == 0) {
        return false;
    }
    // Both clock readings of a unit may fall on either side of a tick.
    const std::uint64_t tick_ns = 1'000'000'000 / timebase_hz + 1;
    const std::uint64_t limit_ns = *std::ranges::min_element(unit_times_ns) + tick_ns;
    // A host that takes the CPU away for a while stretches one unit by a thousand.
    const std::uint64_t sum_ns =
        std::accumulate(unit_times_ns.begin(), unit_times_ns.end(), std::uint64_t{0});
    if (sum_ns * 10 > limit_ns * unit_times_ns.size() * 11) {
        return false;
    }
    const auto within =
        std::ranges::count_if(unit_times_ns, [=](std::uint64_t ns) { return ns <= limit_ns; });
    return within * 10 >= std::ssize(unit_times_ns) * 9;
}

std::uint64_t median(std::vector<std::uint64_t> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
    std::ranges::nth_element(values, middle);
    return *middle;
}

Verdict judge_latency(const PeriodicFigures& interactive, const PeriodicFigures& normal) {
    if (interactive.wakes < kFewestWakes || normal.wakes < kFewestWakes) {
        return fail(format("woke %llu times as Interactive, %llu as Normal; %llu wanted",
                           printable(interactive.wakes), printable(normal.wakes), printable(kFewestWakes)));
    }
    const bool good = interactive.median_late_ns * kLatencyFactor <= normal.median_late_ns &&
                      interactive.switches_involuntary < normal.switches_involuntary;
    return pass_if(
        good,
        format("median late %llu.%03llu us as Interactive, %llu.%03llu us as Normal; max %llu, %llu us; "
               "switched out "
               "%llu, %llu times",
               printable(interactive.median_late_ns / 1000), printable(interactive.median_late_ns % 1000),
               printable(normal.median_late_ns / 1000), printable(normal.median_late_ns % 1000),
               printable(interactive.max_late_ns / 1000), printable(normal.max_late_ns / 1000),
               printable(interactive.switches_involuntary), printable(normal.switches_involuntary)));
}

Verdict judge_affinity(const AffinityFigures& figures) {
    const std::string text = format(
        "%llu changes, %llu samples, %llu outside; %llu ns on forbidden cpus; %llu wrong masks; %llu own "
        "changes outside",
        printable(figures.changes), printable(figures.samples), printable(figures.samples_outside),
        printable(figures.forbidden_ns), printable(figures.wrong_effective), printable(figures.self_outside));
    const bool clean = figures.samples_outside == 0 && figures.forbidden_ns == 0 &&
                       figures.wrong_effective == 0 && figures.self_outside == 0;
    if (!clean) {
        return fail(text);
    }
    // Nothing wrong was seen; was enough seen?
    if (figures.changes < kFewestChanges || figures.samples < figures.changes) {
        return skip("too little ran to judge: " + text);
    }
    return pass(text);
}

Verdict judge_steal(const StealFigures& figures, std::uint64_t enough_ns) {
    const bool stayed = figures.forbidden_ns == 0 && figures.migrations == 0;
    const bool worked = figures.allowed_ns >= enough_ns;
    const bool spread = !figures.spread_ns.empty() &&
                        std::ranges::all_of(figures.spread_ns, [](std::uint64_t ns) { return ns > 0; });
    std::string text =
        format("pinned: %llu tasks, %llu us on their cpu, %llu ns elsewhere, %llu migrations; widened us:",
               printable(figures.workers), printable(figures.allowed_ns / 1000),
               printable(figures.forbidden_ns), printable(figures.migrations));
    for (const std::uint64_t nanoseconds : figures.spread_ns) {
        text += format(" %llu", printable(nanoseconds / 1000));
    }
    return pass_if(stayed && worked && spread, text);
}

Verdict judge_conserving(std::span<const IdleFigures> phases) {
    bool good = !phases.empty();
    std::string text;
    for (const IdleFigures& phase : phases) {
        std::uint64_t most_idle = 0;
        for (const std::uint64_t idle : phase.idle_ns) {
            most_idle = std::max(most_idle, idle);
        }
        const double part = ratio(static_cast<double>(most_idle), static_cast<double>(phase.elapsed_ns));
        good = good && !phase.idle_ns.empty() && phase.elapsed_ns > 0 && part <= kIdleLimit;
        text += format("%s%s: idlest of %zu cpus %.4f", text.empty() ? "" : "; ", phase.phase.c_str(),
                       phase.idle_ns.size(), part);
    }
    return pass_if(good, text);
}

Verdict judge_tickless(const TicklessFigures& figures) {
    const std::string text = format("%llu timer interrupts, %llu ipis in %llu us; hog %llu us",
                                    printable(figures.timer_interrupts), printable(figures.ipis),
                                    printable(figures.elapsed_ns / 1000), printable(figures.hog_ns / 1000));
    if (figures.switches > 0) {
        return skip(format("%llu switches: the hog was not alone; ", printable(figures.switches)) + text);
    }
    if (static_cast<double>(figures.hog_ns) < kHogPresence * static_cast<double>(figures.elapsed_ns)) {
        return fail("the hog did not run: " + text);
    }
    return pass_if(figures.timer_interrupts <= 1 && figures.ipis == 0, text);
}

}  // namespace selftest
