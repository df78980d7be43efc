// SPDX-License-Identifier: MIT
// Timer slack by class: two sleepers that are due half a millisecond apart take one timer interrupt when
// their class has slack and two when it has none; nobody is woken early, nobody later than the slack. Figures
// are exact: for the icount lane with one hart, where nothing else interrupts.
#include <sched.h>
#include <time.h>

#include <array>
#include <thread>

#include "neuron_checks.hpp"

namespace {

using checks::equal;
using checks::succeeds;
using checks::truth;
using nexus_abi::QosClass;
namespace sched = nexus_abi::sched;

constexpr std::int64_t kNsPerSecond = 1'000'000'000;
constexpr std::int64_t kSlack = 1'000'000;   // ns, of Idle and Normal
constexpr std::int64_t kApart = 500'000;     // ns between the two sleepers
constexpr std::int64_t kPeriod = 5'000'000;  // ns
constexpr int kRounds = 20;
// What a wake-up costs, far above the few microseconds it takes: a late sleeper is late by kApart.
constexpr std::int64_t kPromptly = 100'000;  // ns

std::int64_t now() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * kNsPerSecond + time.tv_nsec;
}

struct Lateness {
    std::int64_t least{kNsPerSecond};
    std::int64_t most{-kNsPerSecond};
};

void sleep_until(std::int64_t deadline, Lateness& seen) {
    const timespec time{.tv_sec = deadline / kNsPerSecond, .tv_nsec = deadline % kNsPerSecond};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nullptr);
    const std::int64_t late = now() - deadline;
    seen.least = std::min(seen.least, late);
    seen.most = std::max(seen.most, late);
}

std::int64_t timer_interrupts() {
    const auto stat = sched::hart_stat(0);
    succeeds("its hart's figures", stat);
    return static_cast<std::int64_t>(stat.value_or({}).nr_timer_interrupts);
}

struct Outcome {
    Lateness first;
    Lateness second;
    std::int64_t interrupts{0};
};

Outcome sleep_in_pairs(QosClass qos_class) {
    succeeds("a class", sched::set_qos_class(sched::kSelf, qos_class));
    Outcome outcome;
    const std::int64_t start = now() + kPeriod;
    const std::int64_t before = timer_interrupts();
    std::thread other{[&] {
        for (int round = 0; round < kRounds; ++round) {
            sleep_until(start + round * kPeriod + kApart, outcome.second);
        }
    }};
    for (int round = 0; round < kRounds; ++round) {
        sleep_until(start + round * kPeriod, outcome.first);
    }
    other.join();
    outcome.interrupts = timer_interrupts() - before;
    succeeds("the class it had", sched::set_qos_class(sched::kSelf, QosClass::Normal));
    std::printf("# class %u: %lld timer interrupts for %d pairs; late by %lld to %lld and %lld to %lld ns\n",
                static_cast<unsigned>(qos_class), static_cast<long long>(outcome.interrupts), kRounds,
                static_cast<long long>(outcome.first.least), static_cast<long long>(outcome.first.most),
                static_cast<long long>(outcome.second.least), static_cast<long long>(outcome.second.most));
    truth("nobody is early", outcome.first.least >= 0 && outcome.second.least >= 0);
    truth("nobody waits for nothing", outcome.second.most < kPromptly);
    return outcome;
}

void coalesce() {
    for (const QosClass qos_class : {QosClass::Idle, QosClass::Normal}) {
        const Outcome outcome = sleep_in_pairs(qos_class);
        equal("one interrupt for two", outcome.interrupts, kRounds);
        truth("the first waits for the second", outcome.first.least >= kApart);
        truth("within its slack", outcome.first.most <= kSlack);
    }
}

void be_prompt() {
    for (const QosClass qos_class : {QosClass::Interactive, QosClass::PerfBurst}) {
        const Outcome outcome = sleep_in_pairs(qos_class);
        equal("an interrupt for each", outcome.interrupts, std::int64_t{2} * kRounds);
        truth("the first waits for nobody", outcome.first.most < kPromptly);
    }
}

constexpr checks::Case kCases[]{
    {"idle and normal sleepers coalesce", coalesce},
    {"interactive and perfburst sleepers do not", be_prompt},
};

}  // namespace

int main(int, char** argv) {
    return checks::run(argv[0], kCases);
}
