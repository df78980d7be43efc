// SPDX-License-Identifier: MIT
// Verdicts about who got how much of one CPU.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "console.hpp"
#include "judge.hpp"

namespace selftest {
namespace {

using user::format;

// Work and charged time of one worker must agree this well (testing.md, "Honest measurement").
constexpr double kAgreement = 0.10;
// Below this part of the elapsed time charged to the workers, others used the CPU: nothing to judge.
constexpr double kPresence = 0.80;
// Charges may exceed the elapsed time by the reading of the clocks at both ends.
constexpr double kOvercharge = 1.02;
// scheduler.md part E: 100:300 and, after the swap, 300:100.
constexpr Band kRatioBefore{2.7, 3.3};
constexpr Band kRatioAfter{0.30, 0.37};
constexpr double kNeutralSpread = 1.08;
constexpr Band kNormalFloor{0.12, 0.28};
// Idle's part by root weights is 1.2 %; three times that would be another class's treatment.
constexpr double kIdleCeiling = 0.04;
constexpr std::uint64_t kWaitSlack = 4;

double charged_sum(const Window& window) {
    double sum = 0;
    for (const WorkerFigures& worker : window.workers) {
        sum += static_cast<double>(worker.charged_ns);
    }
    return sum;
}

double work_sum(const Window& window) {
    double sum = 0;
    for (const WorkerFigures& worker : window.workers) {
        sum += static_cast<double>(worker.work_units);
    }
    return sum;
}

double work_of(const Window& window, std::size_t worker) {
    return static_cast<double>(window.workers[worker].work_units);
}

double charged_of(const Window& window, std::size_t worker) {
    return static_cast<double>(window.workers[worker].charged_ns);
}

// Too little time to compare work and charge unit by unit.
bool is_too_short(const WorkerFigures& worker, double unit_ns) {
    return static_cast<double>(worker.charged_ns) < 100 * unit_ns;
}

struct ClassPromise {
    double weight;
    double request_ms;
    double warp_ms;
};
// The promises of docs/perf/smp-v2.md, by class number. PerfBurst counts as Interactive until it has boost
// tokens.
constexpr std::array<ClassPromise, nexus_abi::kQosClassCount> kPromises{{
    {1, 1, 0},
    {16, 2, 0},
    {64, 3, 4},
    {128, 3, 8},
}};

}  // namespace

double ratio(double a, double b) {
    if (b == 0) {
        return a == 0 ? 0 : std::numeric_limits<double>::infinity();
    }
    return a / b;
}

std::optional<Verdict> check_accounts(const Window& window) {
    const double elapsed = static_cast<double>(window.elapsed_ns);
    const double charged = charged_sum(window);
    const double work = work_sum(window);
    if (charged > kOvercharge * elapsed) {
        return fail(format("one CPU was charged %.0f us in %.0f us", charged / 1000, elapsed / 1000));
    }
    if (work == 0) {
        return fail(format("no work done in %.0f us, %.0f us charged", elapsed / 1000, charged / 1000));
    }
    if (charged < kPresence * elapsed) {
        return skip(format("others used the CPU: %.0f of %.0f us charged to the workers", charged / 1000,
                           elapsed / 1000));
    }
    for (const WorkerFigures& worker : window.workers) {
        if (is_too_short(worker, window.unit_ns)) {
            continue;
        }
        const double speed =
            static_cast<double>(worker.work_units) * window.unit_ns / static_cast<double>(worker.charged_ns);
        if (speed < 1 - kAgreement || speed > 1 + kAgreement) {
            return skip(
                format("a unit took %.2f of its calibrated time: the machine below the kernel is not steady",
                       speed > 0 ? 1 / speed : 0.0));
        }
    }
    for (std::size_t i = 0; i < window.workers.size(); ++i) {
        if (is_too_short(window.workers[i], window.unit_ns)) {
            continue;
        }
        const double by_work = work_of(window, i) / work;
        const double by_charge = charged_of(window, i) / charged;
        if (std::abs(by_work - by_charge) > kAgreement * by_charge) {
            return fail(format("worker %zu did %.3f of the work for %.3f of the charged time", i, by_work,
                               by_charge));
        }
    }
    return std::nullopt;
}

Verdict judge_swap(const Window& before, const Window& after) {
    for (const Window* window : {&before, &after}) {
        if (const auto problem = check_accounts(*window)) {
            return *problem;
        }
    }
    const double work_before = ratio(work_of(before, 1), work_of(before, 0));
    const double charged_before = ratio(charged_of(before, 1), charged_of(before, 0));
    const double work_after = ratio(work_of(after, 1), work_of(after, 0));
    const double charged_after = ratio(charged_of(after, 1), charged_of(after, 0));
    const bool good = kRatioBefore.contains(work_before) && kRatioBefore.contains(charged_before) &&
                      kRatioAfter.contains(work_after) && kRatioAfter.contains(charged_after);
    return pass_if(good, format("100:300 work %.3f charged %.3f; 300:100 work %.3f charged %.3f", work_before,
                                charged_before, work_after, charged_after));
}

Verdict judge_split(const Window& window, std::span<const double> expected, double tolerance) {
    if (const auto problem = check_accounts(window)) {
        return *problem;
    }
    const double charged = charged_sum(window);
    const double work = work_sum(window);
    double expected_sum = 0;
    for (const double part : expected) {
        expected_sum += part;
    }
    bool good = expected.size() == window.workers.size();
    std::string figures;
    for (std::size_t i = 0; good && i < expected.size(); ++i) {
        const double want = expected[i] / expected_sum;
        const double by_work = work_of(window, i) / work;
        const double by_charge = charged_of(window, i) / charged;
        figures += format("%swork %.4f charged %.4f of %.4f", i == 0 ? "" : "; ", by_work, by_charge, want);
    }
    for (std::size_t i = 0; i < expected.size() && i < window.workers.size(); ++i) {
        const double want = expected[i] / expected_sum;
        good = good && std::abs(work_of(window, i) / work - want) <= tolerance * want &&
               std::abs(charged_of(window, i) / charged - want) <= tolerance * want;
        for (std::size_t j = 0; j < i; ++j) {
            const bool in_order = (expected[i] > expected[j]) == (work_of(window, i) > work_of(window, j));
            good = good && (expected[i] == expected[j] || in_order);
        }
    }
    return pass_if(good, figures);
}

Verdict judge_neutral(const Window& window, const NeutralFigures& figures) {
    if (const auto problem = check_accounts(window)) {
        return *problem;
    }
    const auto by_work = [](const WorkerFigures& worker) { return worker.work_units; };
    const auto by_charge = [](const WorkerFigures& worker) { return worker.charged_ns; };
    const auto [least_work, most_work] = std::ranges::minmax_element(window.workers, {}, by_work);
    const auto [least_charge, most_charge] = std::ranges::minmax_element(window.workers, {}, by_charge);
    const double work_spread =
        ratio(static_cast<double>(most_work->work_units), static_cast<double>(least_work->work_units));
    const double charge_spread =
        ratio(static_cast<double>(most_charge->charged_ns), static_cast<double>(least_charge->charged_ns));
    const bool good = work_spread <= kNeutralSpread && charge_spread <= kNeutralSpread &&
                      figures.switches_burst < figures.switches_latency;
    return pass_if(
        good, format("largest:smallest share work %.3f charged %.3f; switches latency %llu burst %llu",
                     work_spread, charge_spread, static_cast<unsigned long long>(figures.switches_latency),
                     static_cast<unsigned long long>(figures.switches_burst)));
}

std::uint64_t longest_wait_ns(nexus_abi::QosClass qos_class, std::uint32_t present) {
    const auto self = static_cast<std::size_t>(qos_class);
    double weights = 0;
    double others_ms = 0;
    for (std::size_t i = 0; i < kPromises.size(); ++i) {
        if ((present & (1U << i)) == 0) {
            continue;
        }
        weights += kPromises[i].weight;
        if (i != self) {
            others_ms += kPromises[i].request_ms + kPromises[i].warp_ms;
        }
    }
    const double own_ms = kPromises[self].request_ms * weights / kPromises[self].weight;
    return static_cast<std::uint64_t>((own_ms + others_ms) * 1e6);
}

Verdict judge_starvation(const Window& window, const StarvationFigures& figures) {
    if (const auto problem = check_accounts(window)) {
        return *problem;
    }
    using nexus_abi::QosClass;
    constexpr std::uint32_t kPresent = 0b0111;  // Idle, Normal, Interactive
    const std::size_t normal = window.workers.size() - 2;
    const std::size_t idle = window.workers.size() - 1;
    const double charged = charged_sum(window);
    const double normal_part = charged_of(window, normal) / charged;
    const double idle_part = charged_of(window, idle) / charged;
    const std::uint64_t normal_limit_ns = kWaitSlack * longest_wait_ns(QosClass::Normal, kPresent);
    const std::uint64_t idle_limit_ns = kWaitSlack * longest_wait_ns(QosClass::Idle, kPresent);
    const bool good = kNormalFloor.contains(normal_part) && idle_part <= kIdleCeiling &&
                      window.workers[idle].work_units > 0 && window.workers[idle].charged_ns > 0 &&
                      figures.normal_wait_max_ns <= normal_limit_ns &&
                      figures.idle_wait_max_ns <= idle_limit_ns;
    return pass_if(good,
                   format("normal %.4f longest wait %llu of %llu us; idle %.4f longest wait %llu of %llu us",
                          normal_part, static_cast<unsigned long long>(figures.normal_wait_max_ns / 1000),
                          static_cast<unsigned long long>(normal_limit_ns / 1000), idle_part,
                          static_cast<unsigned long long>(figures.idle_wait_max_ns / 1000),
                          static_cast<unsigned long long>(idle_limit_ns / 1000)));
}

}  // namespace selftest
