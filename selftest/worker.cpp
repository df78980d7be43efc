// SPDX-License-Identifier: MIT
#include "worker.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absence.hpp"
#include "clock.hpp"
#include "console.hpp"
#include "judge.hpp"
#include "nexus_abi/sched_calls.hpp"
#include "probes.hpp"
#include "report.hpp"
#include "turn_log.hpp"
#include "work.hpp"

namespace selftest {
namespace {

constexpr std::uint32_t kSetName = 15;  // PR_SET_NAME

void publish(const Report& report) {
    const std::string name = encode_report(report);
    // A kernel that refuses shows in the parent: the report never comes.
    static_cast<void>(
        nexus_abi::call::prctl(kSetName, reinterpret_cast<std::uint64_t>(name.c_str()), 0, 0, 0).ok());
}

[[noreturn]] void wait_to_be_killed() {
    for (;;) {
        user::sleep_until(user::now() + std::chrono::hours{1});
    }
}

[[noreturn]] void finish(const Report& report) {
    publish(report);
    wait_to_be_killed();
}

std::optional<std::int64_t> number(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

// The common start of all workers; one that comes too late says so and takes no part.
void wait_for(user::Instant begin) {
    const user::Instant now = user::now();
    if (now >= begin) {
        const auto late = std::chrono::duration_cast<std::chrono::microseconds>(now - begin);
        finish({WorkerState::Late, static_cast<std::uint64_t>(late.count()), 0});
    }
    publish({WorkerState::Ready, 0, 0});
    user::sleep_until(begin);
}

template <std::size_t Count>
std::optional<std::array<std::int64_t, Count>> numbers(std::span<char*> arguments) {
    std::array<std::int64_t, Count> values{};
    if (arguments.size() != Count) {
        return std::nullopt;
    }
    for (std::size_t i = 0; i < Count; ++i) {
        const auto value = number(arguments[i]);
        if (!value.has_value()) {
            return std::nullopt;
        }
        values[i] = *value;
    }
    return values;
}

user::Instant instant(std::int64_t nanoseconds) {
    return user::Instant{user::Duration{nanoseconds}};
}

int spin(std::span<char*> arguments) {
    const auto values = numbers<5>(arguments);
    if (!values.has_value()) {
        return 2;
    }
    const user::Instant begin = instant((*values)[0]);
    const user::Instant a = instant((*values)[1]);
    const user::Instant b = instant((*values)[2]);
    const user::Instant c = instant((*values)[3]);
    const user::Instant d = instant((*values)[4]);
    wait_for(begin);
    Report report{WorkerState::Done, 0, 0};
    for (user::Instant now = user::now(); now < d; now = user::now()) {
        user::burn_unit();
        if (now >= a && now < b) {
            ++report.first;
        } else if (now >= c) {
            ++report.second;
        }
    }
    finish(report);
}

int capped(std::span<char*> arguments) {
    const auto values = numbers<5>(arguments);
    if (!values.has_value()) {
        return 2;
    }
    const user::Instant a = instant((*values)[1]);
    const user::Instant b = instant((*values)[2]);
    constexpr std::size_t kMostTurns = 4096;
    // Longer than an interrupt, shorter than the wait for more budget.
    constexpr std::uint64_t kGapNs = 300'000;
    user::TurnLog log{kMostTurns, kGapNs};
    wait_for(instant((*values)[0]));
    Report report{WorkerState::Done, 0, 0};
    for (user::Instant now = user::now(); now < b; now = user::now()) {
        log.note(static_cast<std::uint64_t>(now.time_since_epoch().count()));
        user::burn_unit();
        report.first += now >= a ? 1 : 0;
    }
    report.second = user::most_in_any_window(log.turns(), static_cast<std::uint64_t>((*values)[4])) / 1000;
    finish(report);
}

int periodic(std::span<char*> arguments) {
    const auto values = numbers<4>(arguments);
    if (!values.has_value()) {
        return 2;
    }
    const user::Instant begin = instant((*values)[0]);
    const user::Instant end = instant((*values)[1]);
    const user::Duration run = std::chrono::microseconds{(*values)[2]};
    const user::Duration pause = std::chrono::microseconds{(*values)[3]};
    constexpr std::size_t kMostWakes = 8192;
    std::vector<std::uint64_t> late_ns;
    late_ns.reserve(kMostWakes);
    wait_for(begin);
    while (late_ns.size() < kMostWakes) {
        const user::Instant wake = user::now() + pause;
        user::sleep_until(wake);
        const user::Instant woken = user::now();
        if (woken >= end) {
            break;
        }
        late_ns.push_back(static_cast<std::uint64_t>((woken - wake).count()));
        const user::Duration enough = user::thread_cpu_time() + run;
        while (user::thread_cpu_time() < enough) {
            user::burn_unit();
        }
    }
    if (late_ns.empty()) {
        finish({WorkerState::Done, kReportMax, kReportMax});
    }
    const std::uint64_t largest = *std::ranges::max_element(late_ns);
    finish({WorkerState::Done, median(late_ns), largest});
}

int restless(std::span<char*> arguments) {
    const auto values = numbers<2>(arguments);
    if (!values.has_value()) {
        return 2;
    }
    publish({WorkerState::Ready, 0, 0});
    for (;;) {
        const user::Instant enough = user::now() + std::chrono::microseconds{(*values)[0]};
        while (user::now() < enough) {
            user::burn_unit();
        }
        user::sleep_until(user::now() + std::chrono::microseconds{(*values)[1]});
    }
}

std::uint64_t charged_ns() {
    return static_cast<std::uint64_t>(user::thread_cpu_time().count());
}

int witness(std::span<char*> arguments) {
    const auto values = numbers<1>(arguments);
    if (!values.has_value()) {
        return 2;
    }
    const auto clock_ns = [] { return static_cast<std::uint64_t>(user::now().time_since_epoch().count()); };
    publish({WorkerState::Ready, 0, 0});
    AbsenceWatch watch{static_cast<std::uint64_t>((*values)[0]), clock_ns(), charged_ns()};
    for (;;) {
        user::burn_unit();
        if (watch.note(clock_ns(), charged_ns)) {
            publish(
                {WorkerState::Ready, watch.absences().total_ns / 1000, watch.absences().longest_ns / 1000});
        }
    }
}

int parent(const std::string& program) {
    const std::array<const char*, 4> arguments{program.c_str(), kWorkerFlag, "wait", nullptr};
    const auto child = nexus_abi::spawn({.path = program.c_str(), .argv = arguments.data()});
    if (!child.ok()) {
        user::write_line(
            user::format("# worker parent: spawn failed, errno %d", static_cast<int>(child.error())));
        return 1;
    }
    finish({WorkerState::Done, static_cast<std::uint64_t>(*child), 0});
}

int perms(const std::string& program, std::span<char*> arguments) {
    const auto pids = numbers<2>(arguments);
    if (!pids.has_value()) {
        return 2;
    }
    const ProbeResult result =
        run_probes(program, static_cast<std::int32_t>((*pids)[0]), static_cast<std::int32_t>((*pids)[1]));
    finish({WorkerState::Done, result.wrong, result.count});
}

}  // namespace

int run_worker(const std::string& program, std::span<char*> arguments) {
    if (arguments.empty()) {
        return 2;
    }
    const std::string_view kind = arguments.front();
    const std::span<char*> rest = arguments.subspan(1);
    if (kind == "spin") {
        return spin(rest);
    }
    if (kind == "hog") {
        publish({WorkerState::Ready, 0, 0});
        for (;;) {
            user::burn_unit();
        }
    }
    if (kind == "witness") {
        return witness(rest);
    }
    if (kind == "restless") {
        return restless(rest);
    }
    if (kind == "capped") {
        return capped(rest);
    }
    if (kind == "periodic") {
        return periodic(rest);
    }
    if (kind == "wait") {
        finish({WorkerState::Done, 0, 0});
    }
    if (kind == "exit") {
        const auto code = numbers<1>(rest);
        return code.has_value() ? static_cast<int>((*code)[0]) : 2;
    }
    if (kind == "parent") {
        return parent(program);
    }
    if (kind == "perms") {
        return perms(program, rest);
    }
    return 2;
}

}  // namespace selftest
