// SPDX-License-Identifier: MIT
#include "machine.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "clock.hpp"
#include "console.hpp"
#include "judge.hpp"
#include "nexus_abi/sched_calls.hpp"
#include "work.hpp"

namespace selftest {
namespace {

// The fastest of many units: anything that interferes makes a unit longer, never shorter.
constexpr std::size_t kCalibrationUnits = 200;
constexpr std::size_t kSteadinessUnits = 20'000;

std::uint64_t clock_ns(user::Instant instant) {
    return static_cast<std::uint64_t>(instant.time_since_epoch().count());
}

std::uint64_t charged_ns() {
    return static_cast<std::uint64_t>(user::thread_cpu_time().count());
}

// `watch`: may be none.
std::vector<std::uint64_t> time_units(std::size_t count, AbsenceWatch* watch = nullptr) {
    std::vector<std::uint64_t> times(count);
    for (std::uint64_t& time : times) {
        const user::Instant before = user::now();
        user::burn_unit();
        const user::Instant after = user::now();
        time = static_cast<std::uint64_t>((after - before).count());
        if (watch != nullptr) {
            watch->note(clock_ns(after), charged_ns);
        }
    }
    return times;
}

}  // namespace

std::optional<std::string> unsteady(const Machine& machine) {
    constexpr const char* kUnsteady = "time is not steady on this machine";
    bool steady = machine.steady;
    if (steady && machine.host->total_ns == 0) {
        const auto info = nexus_abi::info();
        AbsenceWatch watch{machine.absence_ns(), clock_ns(user::now()), charged_ns()};
        steady = info.ok() && is_steady(time_units(kSteadinessUnits, &watch), info->timebase_hz);
        machine.host->add(watch.absences());
    }
    if (machine.host->total_ns != 0) {
        return user::format(
            "%s: tasks were charged %llu us in which their hart did nothing, up to %llu us at once",
            kUnsteady, static_cast<unsigned long long>(machine.host->total_ns / 1000),
            static_cast<unsigned long long>(machine.host->longest_ns / 1000));
    }
    return steady ? std::nullopt : std::optional<std::string>{kUnsteady};
}

Result<Machine> survey(std::string program) {
    const nexus_abi::abi_info info = TRY(nexus_abi::info());
    Machine machine;
    machine.program = std::move(program);
    machine.online = info.cpus_online;
    for (std::uint32_t cpu = 0; cpu < 64; ++cpu) {
        if ((info.cpus_online >> cpu & 1U) != 0) {
            machine.cpus.push_back(cpu);
        }
    }
    if (machine.cpus.empty()) {
        return Error::InvalidArgument;
    }
    machine.test_cpu = machine.cpus.back();
    machine.home_cpu = machine.cpus.front();
    TRY(nexus_abi::sched::set_qos_class(nexus_abi::sched::kSelf, nexus_abi::QosClass::Interactive));
    TRY(nexus_abi::sched::set_latency_hint(nexus_abi::sched::kSelf, std::chrono::milliseconds{1}));
    TRY(nexus_abi::sched::set_affinity(nexus_abi::sched::kSelf, std::uint64_t{1} << machine.home_cpu));
    const std::vector<std::uint64_t> times = time_units(kCalibrationUnits);
    machine.unit_ns = static_cast<double>(*std::ranges::min_element(times));
    machine.steady = is_steady(times, info.timebase_hz);
    return machine;
}

}  // namespace selftest
