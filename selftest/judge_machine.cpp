// SPDX-License-Identifier: MIT
#include "judge_machine.hpp"

#include <algorithm>
#include <cmath>

#include "console.hpp"

namespace selftest {
namespace {

using user::format;

// scheduler.md part E: three equal hogs on two CPUs.
constexpr Band kTwoThirds{0.60, 0.73};
constexpr double kMachineSpread = 1.10;
constexpr double kPinnedFloor = 0.55;
// The emulator gives busy CPUs their instructions in turns that need not be equal (up to a quarter of the
// work was seen to fall on the other side); who was charged without working at all did less than half.
constexpr double kLeastWork = 0.5;
constexpr double kBoostedRatio = 1.5;
constexpr Band kSpentRatio{0.85, 1.18};
// A bucket refills by a tenth of the time without boost.
constexpr std::uint64_t kRefillDivisor = 10;
constexpr Band kBudgetUse{0.85, 1.05};
constexpr std::uint64_t kBudgetSlackNs = 50'000;
constexpr std::uint64_t kInheritanceFactor = 3;
constexpr std::size_t kFewestWaits = 3;
constexpr double kAccountTolerance = 0.001;
constexpr std::uint64_t kFewestChanges = 10;
// The tasks' charges are read between two readings of the harts'; what went on in between blurs the
// comparison.
constexpr double kMostBlur = 0.02;

// Others used more than a fifth of the CPUs, or more was charged than there was.
std::optional<Verdict> check_presence(const MachineWindow& measured) {
    const double time = static_cast<double>(measured.window.elapsed_ns) * measured.cpus;
    double charged = 0;
    double work = 0;
    for (const WorkerFigures& worker : measured.window.workers) {
        charged += static_cast<double>(worker.charged_ns);
        work += static_cast<double>(worker.work_units);
    }
    if (charged > 1.02 * time) {
        return fail(
            format("%u CPUs were charged %.0f us in %.0f us", measured.cpus, charged / 1000, time / 1000));
    }
    if (work == 0) {
        return fail("no work done");
    }
    if (charged < 0.8 * time) {
        return skip(format("others used the CPUs: %.0f of %.0f us charged to the workers", charged / 1000,
                           time / 1000));
    }
    for (std::size_t i = 0; i < measured.window.workers.size(); ++i) {
        const WorkerFigures& worker = measured.window.workers[i];
        const double by_work = static_cast<double>(worker.work_units) / work;
        const double by_charge = static_cast<double>(worker.charged_ns) / charged;
        if (by_work < kLeastWork * by_charge) {
            return fail(format("worker %zu did %.3f of the work for %.3f of the charged time", i, by_work,
                               by_charge));
        }
    }
    return std::nullopt;
}

// Each worker's part of one CPU, in words; `least` and `most` of them.
struct Parts {
    std::string text;
    double least{1e9};
    double most{0};
};
Parts parts_of(const Window& window) {
    Parts parts;
    for (const WorkerFigures& worker : window.workers) {
        const double part =
            ratio(static_cast<double>(worker.charged_ns), static_cast<double>(window.elapsed_ns));
        parts.least = std::min(parts.least, part);
        parts.most = std::max(parts.most, part);
        parts.text += format("%s%.4f", parts.text.empty() ? "" : " ", part);
    }
    return parts;
}

unsigned long long printable(std::uint64_t value) {
    return value;
}

}  // namespace

Verdict judge_machine(const MachineWindow& measured, const MachineFigures& figures) {
    if (const auto problem = check_presence(measured)) {
        return *problem;
    }
    const Parts parts = parts_of(measured.window);
    const bool good = kTwoThirds.contains(parts.least) && kTwoThirds.contains(parts.most) &&
                      parts.most <= kMachineSpread * parts.least && figures.migrations > 0;
    return pass_if(
        good, format("%s of a cpu each, %llu migrations", parts.text.c_str(), printable(figures.migrations)));
}

Verdict judge_pinned(const MachineWindow& measured, const PinnedFigures& figures) {
    if (figures.strayed_ns != 0) {
        return fail(format("%llu ns charged beyond the masks", printable(figures.strayed_ns)));
    }
    if (const auto problem = check_presence(measured)) {
        return *problem;
    }
    const Parts parts = parts_of(measured.window);
    return pass_if(parts.least >= kPinnedFloor,
                   format("pinned, pinned, free: %s of a cpu; 0 ns strayed", parts.text.c_str()));
}

Verdict judge_boost(const Window& boosted, const Window& spent, const BoostFigures& figures) {
    for (const Window* window : {&boosted, &spent}) {
        if (const auto problem = check_accounts(*window)) {
            return *problem;
        }
    }
    const auto parts = [](const Window& window) {
        return ratio(static_cast<double>(window.workers[0].work_units),
                     static_cast<double>(window.workers[1].work_units));
    };
    const double first = parts(boosted);
    const double second = parts(spent);
    const std::uint64_t limit = figures.capacity_ns + figures.elapsed_ns / kRefillDivisor;
    const bool bounded =
        figures.boosted_ns > 0 && figures.total_ns >= figures.boosted_ns && figures.total_ns <= limit;
    const bool good = first >= kBoostedRatio && kSpentRatio.contains(second) && bounded &&
                      figures.boosted_first && !figures.boosted_second;
    return pass_if(
        good,
        format("boosted %.3f, afterwards %.3f; boost %llu us at first, %llu of at most %llu us in all%s%s",
               first, second, printable(figures.boosted_ns / 1000), printable(figures.total_ns / 1000),
               printable(limit / 1000), figures.boosted_first ? "" : ", not boosted in the first window",
               figures.boosted_second ? ", still boosted in the second" : ""));
}

Verdict judge_budget(const Window& window, const BudgetFigures& figures) {
    if (const auto problem = check_accounts(window)) {
        return *problem;
    }
    const double due = ratio(static_cast<double>(figures.budget_ns), static_cast<double>(figures.period_ns));
    const double got =
        ratio(static_cast<double>(window.workers[0].charged_ns), static_cast<double>(window.elapsed_ns));
    const std::uint64_t limit = figures.budget_ns + kBudgetSlackNs + figures.resolution_ns;
    const bool good = kBudgetUse.contains(ratio(got, due)) && figures.most_in_window_ns <= limit &&
                      figures.most_in_window_ns > 0 && figures.throttled > 0;
    return pass_if(good,
                   format("%.4f of a cpu for a budget of %.4f; most in any period %llu of at most %llu us; "
                          "throttled %llu times",
                          got, due, printable(figures.most_in_window_ns / 1000), printable(limit / 1000),
                          printable(figures.throttled)));
}

Verdict judge_inheritance(const InheritanceFigures& figures) {
    if (figures.with_ns.size() < kFewestWaits || figures.without_ns.size() < kFewestWaits) {
        return fail(format("%zu waits with donation, %zu without; %zu wanted", figures.with_ns.size(),
                           figures.without_ns.size(), kFewestWaits));
    }
    if (!figures.class_wanted.has_value() || !figures.class_after.has_value()) {
        return fail("the waiter never blocked on the lock");
    }
    if (*figures.class_wanted != nexus_abi::QosClass::Interactive ||
        *figures.class_after != nexus_abi::QosClass::Idle) {
        return fail_exactly(format(
            "the Idle owner had class %u while an Interactive one waited, %u afterwards",
            static_cast<unsigned>(*figures.class_wanted), static_cast<unsigned>(*figures.class_after)));
    }
    const std::uint64_t with = median(figures.with_ns);
    const std::uint64_t without = median(figures.without_ns);
    return pass_if(with * kInheritanceFactor <= without,
                   format("median wait for the lock %llu us with donation, %llu us without",
                          printable(with / 1000), printable(without / 1000)));
}

Verdict judge_stress(const StressFigures& figures) {
    // How far `got` lies beyond what it was read between, as a part of the whole.
    const auto off = [](std::uint64_t got, std::uint64_t least, std::uint64_t most) {
        const std::uint64_t beyond = got < least ? least - got : got > most ? got - most : 0;
        return ratio(static_cast<double>(beyond), static_cast<double>(most));
    };
    const double hart_error = off(figures.accounted_ns, figures.harts_least_ns, figures.harts_most_ns);
    const double task_error = off(figures.charged_ns, figures.busy_least_ns, figures.busy_most_ns);
    const double blur = std::max(ratio(static_cast<double>(figures.harts_most_ns - figures.harts_least_ns),
                                       static_cast<double>(figures.harts_most_ns)),
                                 ratio(static_cast<double>(figures.busy_most_ns - figures.busy_least_ns),
                                       static_cast<double>(figures.busy_most_ns)));
    const std::string text = format(
        "%llu changes, %llu deaths, %llu refused, %llu stuck; harts' time off by %.5f, tasks' by %.5f (read "
        "within %.5f)",
        printable(figures.changes), printable(figures.deaths), printable(figures.refused),
        printable(figures.stuck), hart_error, task_error, blur);
    if (figures.refused != 0 || figures.stuck != 0 || figures.harts_most_ns == 0 ||
        figures.busy_most_ns == 0) {
        return fail(text);
    }
    if (hart_error > kAccountTolerance || task_error > kAccountTolerance) {
        return fail(text);
    }
    if (figures.changes < kFewestChanges || figures.deaths == 0 || (figures.steady && blur > kMostBlur)) {
        return skip("too little happened, or it could not be seen clearly enough, to judge: " + text);
    }
    return pass(text);
}

}  // namespace selftest
