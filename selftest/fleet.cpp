// SPDX-License-Identifier: MIT
#include "fleet.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <string_view>

#include "console.hpp"
#include "nexus_abi/sched_calls.hpp"
#include "worker.hpp"

namespace selftest {
namespace {

using namespace std::chrono_literals;

// From spawn to the worker's first sleep: loading about 1 MB and libc's start take about 1 ms of guest time;
// late ones say so and are not judged.
constexpr user::Duration kStartUp = 5ms;
constexpr user::Duration kStartUpBase = 15ms;
constexpr user::Duration kPollInterval = 1ms;
constexpr std::uint32_t kSigKill = 9;

}  // namespace

nexus_abi::sched_attr attributes(nexus_abi::QosClass qos_class, std::uint32_t shares, std::uint64_t mask) {
    nexus_abi::sched_attr attr{};
    attr.size = sizeof(attr);
    attr.fields = nexus_abi::kFieldClass | nexus_abi::kFieldShares | nexus_abi::kFieldAffinity;
    attr.qos_class = static_cast<std::uint32_t>(qos_class);
    attr.shares = shares;
    attr.affinity = mask;
    return attr;
}

Schedule Schedule::one_window(std::size_t workers, user::Duration warm_up, user::Duration window) {
    const user::Instant begin = user::now() + kStartUpBase + kStartUp * static_cast<std::int64_t>(workers);
    const user::Instant a = begin + warm_up;
    return {begin, a, a + window, a + window, a + window};
}

Schedule Schedule::two_windows(std::size_t workers, user::Duration warm_up, user::Duration first,
                               user::Duration settle, user::Duration second) {
    Schedule schedule = one_window(workers, warm_up, first);
    schedule.c = schedule.b + settle;
    schedule.d = schedule.c + second;
    return schedule;
}

std::vector<std::string> Schedule::spin() const {
    std::vector<std::string> arguments{"spin"};
    for (const user::Instant instant : {begin, a, b, c, d}) {
        arguments.push_back(user::to_argument(instant));
    }
    return arguments;
}

Result<void> Fleet::start(const std::vector<std::string>& arguments, const nexus_abi::sched_attr& attr) {
    std::vector<const char*> argv{machine_.program.c_str(), kWorkerFlag};
    for (const std::string& argument : arguments) {
        argv.push_back(argument.c_str());
    }
    argv.push_back(nullptr);
    const auto pid =
        nexus_abi::spawn({.path = machine_.program.c_str(), .argv = argv.data(), .attributes = &attr});
    if (!pid.ok()) {
        user::write_line(user::format("# spawn %s %s: errno %d", machine_.program.c_str(),
                                      arguments.front().c_str(), static_cast<int>(pid.error())));
        return pid.error();
    }
    pids_.push_back(*pid);
    if (arguments.front() == "witness") {
        witnesses_.push_back(*pid);
    }
    return {};
}

Result<Observation> Fleet::observe(user::Instant at) const {
    user::sleep_until(at);
    Observation observation;
    observation.workers.reserve(pids_.size());
    observation.at = user::now();
    for (const std::int32_t pid : pids_) {
        observation.workers.push_back(TRY(nexus_abi::sched::get_stat(pid)));
    }
    return observation;
}

Result<std::vector<Report>> Fleet::reports() const {
    std::vector<Report> all;
    for (const std::int32_t pid : pids_) {
        all.push_back(TRY(await_report(pid)));
    }
    return all;
}

void Fleet::stop() {
    for (const std::int32_t pid : witnesses_) {
        const auto seen = read_report(pid);
        if (seen.ok()) {
            machine_.host->add({seen->first * 1000, seen->second * 1000});
        }
    }
    witnesses_.clear();
    for (const std::int32_t pid : pids_) {
        kill_and_reap(pid);
    }
    pids_.clear();
}

Result<Report> read_report(std::int32_t pid) {
    std::array<nexus_abi::sched_snapshot_entry, 1> entry{};
    std::uint64_t cursor =
        static_cast<std::uint64_t>(pid) - 1;  // entries come in tid order, after the cursor
    const std::size_t count = TRY(nexus_abi::sched::snapshot(entry, cursor));
    if (count == 0 || entry[0].tid != static_cast<std::uint32_t>(pid)) {
        return Error::NoProcess;
    }
    const std::size_t length = ::strnlen(entry[0].name, sizeof(entry[0].name));
    const auto report = decode_report(std::string_view{entry[0].name, length});
    if (!report.has_value()) {
        return Error::TryAgain;
    }
    return *report;
}

Result<Report> await_report(std::int32_t pid) {
    Patience patience{user::now()};
    for (;;) {
        const auto report = read_report(pid);
        if (!report.ok() && report.error() != Error::TryAgain) {
            user::write_line(
                user::format("# worker %d: no report, errno %d", pid, static_cast<int>(report.error())));
            return report.error();
        }
        if (report.ok() && (report->state == WorkerState::Done || report->state == WorkerState::Late)) {
            return report;
        }
        if (!patience.lasts()) {
            user::write_line(user::format("# worker %d: no report in time", pid));
            return Error::TimedOut;
        }
        user::sleep_until(user::now() + kPollInterval);
    }
}

void kill_and_reap(std::int32_t pid) {
    if (nexus_abi::call::kill(pid, kSigKill).ok()) {
        std::int32_t status = 0;
        static_cast<void>(nexus_abi::call::wait4(pid, nexus_abi::Out<std::int32_t>{&status}, 0,
                                                 nexus_abi::Out<nexus_abi::rusage>{})
                              .ok());
    }
}

std::optional<Verdict> late_start(const std::vector<Report>& reports) {
    for (std::size_t i = 0; i < reports.size(); ++i) {
        if (reports[i].state == WorkerState::Late) {
            return skip(user::format("worker %zu started %llu us after the common start", i,
                                     static_cast<unsigned long long>(reports[i].first)));
        }
    }
    return std::nullopt;
}

Window window_between(const Machine& machine, const Observation& from, const Observation& to,
                      const std::vector<Report>& reports, bool second) {
    Window window;
    window.elapsed_ns = static_cast<std::uint64_t>((to.at - from.at).count());
    window.unit_ns = machine.unit_ns;
    for (std::size_t i = 0; i < reports.size() && i < from.workers.size() && i < to.workers.size(); ++i) {
        window.workers.push_back({second ? reports[i].second : reports[i].first,
                                  to.workers[i].runtime_ns - from.workers[i].runtime_ns});
    }
    return window;
}

}  // namespace selftest
