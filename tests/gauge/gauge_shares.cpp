// SPDX-License-Identifier: MIT
// Who gets how much, and how long anybody waits.
#include <semaphore.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "console.hpp"
#include "crew.hpp"
#include "gauges.hpp"

namespace gauge {

using nexus_abi::QosClass;
using user::format;
using user::largest_lag;
using user::longest_gap;
using user::most_in_any_window;
using user::time_run;
using user::TurnLog;
using user::Weighted;

namespace {

// Hogs of class Normal with these shares on CPU 0.
struct OneHart {
    Crew crew;
    Span span;
    double error{0};
    double lag_ns{0};
};

void run_on_one_hart(OneHart& run, std::span<const std::uint32_t> shares, std::uint64_t window_ns) {
    double sum = 0;
    for (const std::uint32_t share : shares) {
        run.crew.add_hog(attributes(QosClass::Normal, share, 1));
        sum += share;
    }
    run.span = run.crew.run(kWarmUp, window_ns);
    std::vector<double> expected;
    std::vector<Weighted> tasks;
    for (std::size_t i = 0; i < shares.size(); ++i) {
        expected.push_back(shares[i] / sum);
        tasks.push_back({run.crew[i].log.turns(), static_cast<double>(shares[i])});
    }
    const ShareErrors errors = share_errors(run.crew, expected, run.span);
    run.error = std::max(errors.by_log, errors.by_charge);
    run.lag_ns = largest_lag(tasks, run.span.begin, run.span.end);
}

}  // namespace

// 1:2:3:10.
std::string measure_shares(std::uint64_t window_ns) {
    constexpr std::array<std::uint32_t, 4> kShares{100, 200, 300, 1000};
    OneHart run;
    run_on_one_hart(run, kShares, window_ns);
    return format("error=%.5f lag_us=%.1f", run.error, run.lag_ns / 1000);
}

// 1:10.
std::string measure_wait(std::uint64_t window_ns) {
    constexpr std::array<std::uint32_t, 2> kShares{100, 1000};
    OneHart run;
    run_on_one_hart(run, kShares, window_ns);
    const std::uint64_t longest = longest_gap(run.crew[0].log.turns(), run.span.begin, run.span.end);
    return format("error=%.5f lag_us=%.1f wait_us=%.1f kernel_wait_us=%.1f", run.error, run.lag_ns / 1000,
                  microseconds(longest), microseconds(run.crew[0].at_end.wait_max_ns));
}

// Three equal hogs on two harts.
std::string measure_spread(std::uint64_t window_ns) {
    constexpr std::uint64_t kTwoHarts = 3;
    Crew crew;
    for (int i = 0; i < 3; ++i) {
        crew.add_hog(attributes(QosClass::Normal, 100, kTwoHarts));
    }
    const Span span = crew.run(kWarmUp, window_ns);
    std::uint64_t migrations = 0;
    std::array<std::uint64_t, 3> charged{};
    for (std::size_t i = 0; i < 3; ++i) {
        migrations += crew[i].at_end.nr_migrations - crew[i].at_begin.nr_migrations;
        charged[i] = crew[i].at_end.runtime_ns - crew[i].at_begin.runtime_ns;
    }
    const ShareErrors errors = share_errors(crew, {2.0 / 3, 2.0 / 3, 2.0 / 3}, span);
    const auto [least, most] = std::ranges::minmax(charged);
    return format("error=%.5f error_by_log=%.5f spread=%.5f migrations_per_s=%.1f", errors.by_charge,
                  errors.by_log, static_cast<double>(most) / static_cast<double>(least),
                  static_cast<double>(migrations) * 1e9 / static_cast<double>(span.length()));
}

namespace {

// Keeps class PerfBurst busy. A task is boosted for a tenth of the time only, so members take turns: each
// runs most of a full bucket and then wakes the next one of its ring, and its bucket is full again when its
// turn comes. With a second ring the class has two tasks at any time, and so one that waits.
class BoostRing {
  public:
    // A full bucket takes 500 ms, and the class's part is 61 % of the hart: two rings of 12 take 1.5 s to
    // come round.
    static constexpr std::uint64_t kBucket = 50 * kMs;
    static constexpr std::uint64_t kTurn = 40 * kMs;
    static constexpr std::size_t kMembers = 12;

    explicit BoostRing(Crew& crew) {
        nexus_abi::sched_attr attr = attributes(QosClass::PerfBurst, 100, 1);
        attr.burst_ns = kBucket;
        for (std::size_t i = 0; i < kMembers; ++i) {
            sem_init(&turns_[i], 0, i == 0 ? 1 : 0);
        }
        for (std::size_t i = 0; i < kMembers; ++i) {
            crew.add(
                attr, [this, i](Member& member, std::uint64_t end) { take_turns(member, i, end); },
                TurnLog{16384});
        }
    }

  private:
    void take_turns(Member& member, std::size_t self, std::uint64_t end) {
        if (self == 0) {
            sleep_until_ns(now_ns() + kBucket * kFillDivisor);  // a new task's bucket is empty
        }
        bool is_over = false;
        while (!is_over) {
            while (sem_wait(&turns_[self]) != 0) {
            }
            std::uint64_t run = 0;
            std::uint64_t now = now_ns();
            for (std::uint64_t last = now; run < kTurn && now < end; now = now_ns()) {
                run += now - last > TurnLog::kGapNs ? 0 : now - last;
                last = now;
                member.log.note(now);
            }
            is_over = now >= end;
            sem_post(&turns_[(self + 1) % kMembers]);
        }
    }

    static constexpr std::uint64_t kFillDivisor = 10;
    std::array<sem_t, kMembers> turns_{};
};

}  // namespace

// An Idle hog beside saturated higher classes.
std::string measure_idle(std::uint64_t window_ns) {
    constexpr std::size_t kFirstBoosted = 5;
    constexpr std::uint64_t kBoostWarmUp = 1000 * kMs;
    Crew crew;
    crew.add_hog(attributes(QosClass::Idle, 100, 1));
    for (int i = 0; i < 2; ++i) {
        crew.add_hog(attributes(QosClass::Normal, 100, 1));
        crew.add_hog(attributes(QosClass::Interactive, 100, 1));
    }
    const std::array rings{std::make_unique<BoostRing>(crew), std::make_unique<BoostRing>(crew)};
    // Until the rings have begun to turn.
    const Span span = crew.run(kBoostWarmUp, window_ns);
    const auto length = static_cast<double>(span.length());
    std::uint64_t boosted = 0;
    for (std::size_t i = kFirstBoosted; i < crew.size(); ++i) {
        boosted += crew[i].at_end.perfburst_ns - crew[i].at_begin.perfburst_ns;
    }
    const std::uint64_t by_log = time_run(crew[0].log.turns(), span.begin, span.end);
    const std::uint64_t by_charge = crew[0].at_end.runtime_ns - crew[0].at_begin.runtime_ns;
    const std::uint64_t gap = longest_gap(crew[0].log.turns(), span.begin, span.end);
    return format("share_percent=%.4f wait_us=%.1f kernel_wait_us=%.1f boosted_percent=%.2f",
                  100 * static_cast<double>(std::min(by_log, by_charge)) / length, microseconds(gap),
                  microseconds(crew[0].at_end.wait_max_ns), 100 * static_cast<double>(boosted) / length);
}

// A capped hog, alone and beside another one: what it ran in the fullest window of a period, over its budget,
// and how much of its budget it got.
std::string measure_budget(std::uint64_t window_ns) {
    struct Cap {
        std::uint64_t budget;
        std::uint64_t period;
    };
    constexpr std::array<Cap, 3> kCaps{{{20 * kMs, 100 * kMs}, {3 * kMs, 10 * kMs}, {kMs / 2, 7 * kMs}}};
    std::uint64_t most_over = 0;
    double least_used = 1;
    std::uint64_t throttled = 0;
    for (const bool alone : {true, false}) {
        for (const Cap& cap : kCaps) {
            Crew crew;
            Member& capped =
                crew.add_hog(with_budget(attributes(QosClass::Interactive, 100, 1), cap.budget, cap.period));
            if (!alone) {
                crew.add_hog(attributes(QosClass::Normal, 100, 1));
            }
            const Span span = crew.run(kWarmUp, window_ns);
            const std::uint64_t most = most_in_any_window(capped.log.turns(), cap.period);
            most_over = std::max(most_over, most > cap.budget ? most - cap.budget : 0);
            const double due = static_cast<double>(span.length()) * static_cast<double>(cap.budget) /
                               static_cast<double>(cap.period);
            const auto ran = static_cast<double>(time_run(capped.log.turns(), span.begin, span.end));
            least_used = std::min(least_used, ran / due);
            throttled += capped.at_end.nr_throttled;
        }
    }
    return format("over_us=%.1f used_percent=%.2f throttled=%llu", microseconds(most_over), 100 * least_used,
                  static_cast<unsigned long long>(throttled));
}

}  // namespace gauge
