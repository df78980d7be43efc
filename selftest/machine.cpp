// SPDX-License-Identifier: MIT
#include "machine.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "clock.hpp"
#include "judge.hpp"
#include "nexus_abi/sched_calls.hpp"
#include "work.hpp"

namespace selftest {
namespace {

// The fastest of many units: anything that interferes makes a unit longer, never shorter.
constexpr std::size_t kCalibrationUnits = 200;
constexpr std::size_t kSteadinessUnits = 20'000;

std::vector<std::uint64_t> time_units(std::size_t count) {
    std::vector<std::uint64_t> times(count);
    for (std::uint64_t& time : times) {
        const user::Instant before = user::now();
        user::burn_unit();
        time = static_cast<std::uint64_t>((user::now() - before).count());
    }
    return times;
}

}  // namespace

bool is_steady_now() {
    const auto info = nexus_abi::info();
    return info.ok() && is_steady(time_units(kSteadinessUnits), info->timebase_hz);
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
