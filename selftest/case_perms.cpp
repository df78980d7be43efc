// SPDX-License-Identifier: MIT
// Proves: a task without rights cannot raise itself, touch or read others, or learn which pids exist; every
// refusal has its exact errno and leaves no trace. A child without rights tries (probes.cpp); here its
// victim's attributes are compared before and after. With the right, a dead pid is ESRCH, reaped or not.
#include <array>
#include <chrono>
#include <cstring>

#include "cases.hpp"
#include "checks.hpp"
#include "fleet.hpp"
#include "nexus_abi/sched_calls.hpp"
#include "patience.hpp"

namespace selftest {
namespace {

using namespace std::chrono_literals;
namespace call = nexus_abi::call;
namespace sched = nexus_abi::sched;
using nexus_abi::Out;
using nexus_abi::QosClass;

constexpr std::int32_t kExitCode = 7;

Result<std::int32_t> reap(std::int32_t pid) {
    std::int32_t status = 0;
    TRY(call::wait4(pid, Out<std::int32_t>{&status}, 0, Out<nexus_abi::rusage>{}));
    return status;
}

// A child that ends at once and is not reaped: sooner or later setters must say ESRCH, though its pid is
// still taken.
Result<bool> zombie_becomes_unknown(std::int32_t pid) {
    for (Patience patience{user::now()}; patience.lasts();) {
        const auto answer = sched::set_shares(pid, 100);
        if (!answer.ok()) {
            return answer.error() == Error::NoProcess;
        }
        user::sleep_until(user::now() + 1ms);
    }
    return false;
}

}  // namespace

Result<Verdict> case_perms(const Machine& machine) {
    Checks checks{"perms"};
    const nexus_abi::sched_attr plain = attributes(QosClass::Normal, 100, machine.online);

    const std::array<const char*, 5> exit_arguments{machine.program.c_str(), "--worker", "exit", "7",
                                                    nullptr};
    const std::int32_t dead = TRY(nexus_abi::spawn(
        {.path = machine.program.c_str(), .argv = exit_arguments.data(), .attributes = &plain}));
    checks.truth("a dead child's setters say ESRCH", TRY(zombie_becomes_unknown(dead)));
    checks.returns("its status", reap(dead), std::uint64_t{kExitCode} << 8U);
    checks.fails("shares of a reaped pid", sched::set_shares(dead, 100), Error::NoProcess);
    checks.fails("attributes of a reaped pid", sched::get_attr(dead), Error::NoProcess);
    checks.fails("reaping twice", reap(dead), Error::NoChild);

    Fleet victims{machine};
    TRY(victims.start({"wait"}, plain));
    TRY(await_report(victims.pid(0)));
    const nexus_abi::sched_attr before = TRY(sched::get_attr(victims.pid(0)));
    Fleet probers{machine};
    TRY(probers.start({"perms", std::to_string(victims.pid(0)), std::to_string(dead)}, plain));
    const Report report = TRY(await_report(probers.pid(0)));
    const nexus_abi::sched_attr after = TRY(sched::get_attr(victims.pid(0)));
    checks.equal("probes with a wrong answer", report.first, 0);
    checks.truth("probes run", report.second >= 30);
    checks.truth("victim unchanged", std::memcmp(&before, &after, sizeof(after)) == 0);
    return checks.verdict();
}

}  // namespace selftest
