// SPDX-License-Identifier: MIT
// Proves: no CPU idles while work waits. Twice as many free hogs as CPUs, then, on top of them, tasks that
// sleep and wake every half millisecond and so make and break queues all the time. In both phases each CPU
// may be idle for at most 2 % of the window, the time a woken task needs to reach an idle CPU.
#include <array>
#include <chrono>
#include <string>

#include "cases.hpp"
#include "fleet.hpp"
#include "nexus_abi/sched_calls.hpp"

namespace selftest {
namespace {

using namespace std::chrono_literals;
constexpr user::Duration kPhase = 150ms;
// Hogs spread by idle CPUs taking waiting ones, which is over before a CPU's first request ends.
constexpr user::Duration kSpreading = 20ms;

Result<std::vector<std::uint64_t>> idle_times(const Machine& machine) {
    std::vector<std::uint64_t> idle;
    for (const std::uint32_t cpu : machine.cpus) {
        const nexus_abi::sched_hartstat statistics = TRY(nexus_abi::sched::hart_stat(cpu));
        idle.push_back(statistics.idle_ns);
    }
    return idle;
}

Result<IdleFigures> measure(const Machine& machine, std::string phase) {
    user::sleep_until(user::now() + kSpreading);
    const user::Instant begin = user::now();
    const std::vector<std::uint64_t> before = TRY(idle_times(machine));
    user::sleep_until(begin + kPhase);
    const std::vector<std::uint64_t> after = TRY(idle_times(machine));
    IdleFigures figures{std::move(phase), {}, static_cast<std::uint64_t>((user::now() - begin).count())};
    for (std::size_t i = 0; i < before.size(); ++i) {
        figures.idle_ns.push_back(after[i] - before[i]);
    }
    return figures;
}

}  // namespace

Result<Verdict> case_conserving(const Machine& machine) {
    Fleet hogs{machine};
    const nexus_abi::sched_attr anywhere = attributes(nexus_abi::QosClass::Normal, 100, machine.online);
    for (std::size_t i = 0; i < 2 * machine.cpus.size(); ++i) {
        TRY(hogs.start({"witness", std::to_string(machine.absence_beside_harts_ns())}, anywhere));
    }
    std::array<IdleFigures, 2> phases;
    phases[0] = TRY(measure(machine, "hogs"));

    Fleet sleepers{machine};
    const user::Instant begin = user::now() + 10ms * static_cast<std::int64_t>(1 + machine.cpus.size());
    const std::vector<std::string> periodic{"periodic", user::to_argument(begin),
                                            user::to_argument(begin + 1min), "200", "300"};
    for (std::size_t i = 0; i < machine.cpus.size(); ++i) {
        TRY(sleepers.start(periodic, anywhere));
    }
    user::sleep_until(begin);
    phases[1] = TRY(measure(machine, "with sleepers"));
    return judge_conserving(phases);
}

}  // namespace selftest
