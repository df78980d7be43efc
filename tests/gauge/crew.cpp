// SPDX-License-Identifier: MIT
#include "crew.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdlib>

#include "clock.hpp"
#include "console.hpp"

namespace gauge {

namespace sched = nexus_abi::sched;
using user::time_run;
using user::TurnLog;

namespace {

constexpr std::size_t kTurns = 16384;
// Threads have read their attributes and sleep by then, however many they are.
constexpr std::uint64_t kStartBase = 5'000'000;
constexpr std::uint64_t kStartEach = 200'000;

std::atomic<std::uint64_t> start_at{0};
std::atomic<std::uint64_t> end_at{0};
std::atomic<std::size_t> ready{0};
std::atomic<bool> was_read{false};

#ifdef __riscv
std::uint64_t ticks() {
    std::uint64_t value = 0;
    asm volatile("rdtime %0" : "=r"(value));
    return value;
}

// How the time counter and CLOCK_MONOTONIC belong together.
struct Timebase {
    std::uint64_t ns_per_tick;
    std::uint64_t zero_ns;  // the counter's value where the clock began

    Timebase() {
        const auto info = nexus_abi::info();
        ns_per_tick = info.ok() && info->timebase_hz != 0 ? 1'000'000'000 / info->timebase_hz : 0;
        // The clock was read after `before`: of many readings the one that was read soonest tells most. What
        // is left is at most a tick, and makes every lateness longer, not shorter.
        constexpr int kReadings = 1000;
        zero_ns = 0;
        for (int i = 0; i < kReadings; ++i) {
            const std::uint64_t before = ticks() * ns_per_tick;
            const auto clock = static_cast<std::uint64_t>(user::now().time_since_epoch().count());
            zero_ns = std::max(zero_ns, before - clock);
        }
    }
};
#endif

}  // namespace

std::uint64_t now_ns() {
#ifdef __riscv
    static const Timebase timebase;
    return ticks() * timebase.ns_per_tick - timebase.zero_ns;
#else
    return static_cast<std::uint64_t>(user::now().time_since_epoch().count());
#endif
}

void sleep_until_ns(std::uint64_t instant) {
    user::sleep_until(user::Instant{std::chrono::nanoseconds{instant}});
}

nexus_abi::sched_attr attributes(nexus_abi::QosClass qos_class, std::uint32_t shares, std::uint64_t cpus) {
    nexus_abi::sched_attr attr{};
    attr.fields = nexus_abi::kFieldClass | nexus_abi::kFieldShares | nexus_abi::kFieldAffinity |
                  nexus_abi::kFieldLatency | nexus_abi::kFieldBurst;
    attr.qos_class = static_cast<std::uint32_t>(qos_class);
    attr.shares = shares;
    attr.affinity = cpus;
    return attr;
}

nexus_abi::sched_attr with_latency(nexus_abi::sched_attr attr, std::uint64_t latency_ns) {
    attr.latency_ns = latency_ns;
    return attr;
}

nexus_abi::sched_attr with_budget(nexus_abi::sched_attr attr, std::uint64_t budget_ns,
                                  std::uint64_t period_ns) {
    attr.fields |= nexus_abi::kFieldBudget;
    attr.budget_ns = budget_ns;
    attr.period_ns = period_ns;
    return attr;
}

struct Crew::Thread {
    Member* member{nullptr};
    Body body;
    pthread_t handle{};
};

Crew::Crew() = default;

Crew::~Crew() {
    join();
}

void* Crew::begin(void* argument) {
    auto& self = *static_cast<Thread*>(argument);
    const auto tid = nexus_abi::call::gettid();
    self.member->tid = tid.ok() ? static_cast<std::int32_t>(*tid) : -1;
    if (const auto set = sched::set_attr(sched::kSelf, self.member->attr); !set.ok()) {
        give_up(user::format("a thread's attributes were refused: errno %d", static_cast<int>(set.error())));
    }
    ++ready;
    while (start_at == 0) {
        sleep_until_ns(now_ns() + 1'000'000);
    }
    sleep_until_ns(start_at);
    self.body(*self.member, end_at);
    // A thread that is gone has no statistics.
    while (!was_read) {
        sleep_until_ns(now_ns() + 1'000'000);
    }
    return nullptr;
}

Member& Crew::add(const nexus_abi::sched_attr& attr, Body body, TurnLog log) {
    if (threads_.empty()) {
        start_at = 0;
        was_read = false;
        ready = 0;
    }
    members_.push_back(std::make_unique<Member>(Member{attr, std::move(log), 0, {}, {}}));
    threads_.push_back(std::make_unique<Thread>(Thread{members_.back().get(), std::move(body), {}}));
    if (::pthread_create(&threads_.back()->handle, nullptr, begin, threads_.back().get()) != 0) {
        give_up("no more threads");
    }
    return *members_.back();
}

Member& Crew::add_hog(const nexus_abi::sched_attr& attr) {
    const auto look = [](Member& member, std::uint64_t end) {
        for (std::uint64_t now = now_ns(); now < end; now = now_ns()) {
            member.log.note(now);
        }
    };
    const auto info = nexus_abi::info();
    const bool one_hart = info.ok() && std::popcount(info->cpus_online) == 1;
    return add(attr, look, TurnLog{kTurns, one_hart ? TurnLog::kGapNs : TurnLog::kGapInTurnsNs});
}

Span Crew::run(std::uint64_t warm_up_ns, std::uint64_t length_ns) {
    while (ready < threads_.size()) {
        sleep_until_ns(now_ns() + 100'000);
    }
    const std::uint64_t start = now_ns() + kStartBase + kStartEach * threads_.size();
    Span span{start + warm_up_ns, start + warm_up_ns + length_ns};
    // Members go on a little, so that the last reading of the charges falls into their work.
    constexpr std::uint64_t kRunOn = 1'000'000;
    end_at = span.end + kRunOn;
    start_at = start;
    const auto read_all = [this](nexus_abi::sched_stat Member::* to) {
        for (const auto& member : members_) {
            const auto stat = sched::get_stat(member->tid);
            if (!stat.ok()) {
                give_up(user::format("no statistics of a thread: errno %d", static_cast<int>(stat.error())));
            }
            (*member).*to = *stat;
        }
    };
    sleep_until_ns(span.begin);
    span.begin = now_ns();
    read_all(&Member::at_begin);
    sleep_until_ns(span.end);
    span.end = now_ns();
    read_all(&Member::at_end);
    was_read = true;
    join();
    for (const auto& member : members_) {
        if (member->log.full() && !member->log.turns().empty()) {
            give_up("a log of turns was too short");
        }
    }
    return span;
}

void Crew::join() {
    was_read = true;
    for (const auto& thread : threads_) {
        ::pthread_join(thread->handle, nullptr);
    }
    threads_.clear();
}

ShareErrors share_errors(Crew& crew, const std::vector<double>& expected, const Span& span) {
    ShareErrors worst;
    const auto length = static_cast<double>(span.length());
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const Member& member = crew[i];
        const double by_log =
            static_cast<double>(time_run(member.log.turns(), span.begin, span.end)) / length;
        const double by_charge =
            static_cast<double>(member.at_end.runtime_ns - member.at_begin.runtime_ns) / length;
        worst.by_log = std::max(worst.by_log, std::abs(by_log - expected[i]));
        worst.by_charge = std::max(worst.by_charge, std::abs(by_charge - expected[i]));
    }
    return worst;
}

std::uint64_t percentile(std::vector<std::uint64_t>& values, double part) {
    std::ranges::sort(values);
    const auto last = static_cast<double>(values.size() - 1);
    return values[static_cast<std::size_t>(last * part)];
}

void give_up(const std::string& why) {
    user::write_line("not ok 1 - gauge # " + why);
    std::_Exit(1);
}

}  // namespace gauge
