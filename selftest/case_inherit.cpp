// SPDX-License-Identifier: MIT
// Proves: what a child starts with. Spawned without attributes it inherits class (PerfBurst as Interactive),
// shares and mask, and loses latency and burst hints; below a parent with ResetOnSpawn it starts Normal, 100
// shares, all CPUs. A thread inherits everything. Attributes given at spawn hold, and a fresh task's
// statistics begin at zero whoever had its slot before.
#include <chrono>
#include <thread>

#include "cases.hpp"
#include "checks.hpp"
#include "console.hpp"
#include "fleet.hpp"
#include "nexus_abi/sched_calls.hpp"

namespace selftest {
namespace {

namespace sched = nexus_abi::sched;
using nexus_abi::QosClass;
using nexus_abi::sched_attr;

constexpr std::uint64_t kLatencyNs = 5'000'000;
constexpr std::uint64_t kBurstNs = 2'000'000;

sched_attr with_hints(QosClass qos_class, std::uint32_t shares, std::uint64_t mask) {
    sched_attr attr = attributes(qos_class, shares, mask);
    attr.fields |= nexus_abi::kFieldLatency | nexus_abi::kFieldBurst;
    attr.latency_ns = kLatencyNs;
    attr.burst_ns = kBurstNs;
    return attr;
}

// Attributes of the child that a `parent` worker with `attr` spawned.
Result<sched_attr> grandchild_of(const Machine& machine, const sched_attr& attr) {
    Fleet fleet{machine};
    TRY(fleet.start({"parent"}, attr));
    const Report report = TRY(await_report(fleet.pid(0)));
    const auto child = static_cast<std::int32_t>(report.first);
    const auto inherited = sched::get_attr(child);
    // Not ours to reap: it goes to its parent, or to pid 1 once that is gone.
    TRY(nexus_abi::call::kill(child, 9));
    return inherited;
}

void check_attr(Checks& checks, const sched_attr& got, const sched_attr& wanted) {
    checks.equal("class", got.qos_class, wanted.qos_class);
    checks.equal("shares", got.shares, wanted.shares);
    checks.equal("effective mask", got.effective_affinity, wanted.affinity);
    checks.equal("latency", got.latency_ns, wanted.latency_ns);
    checks.equal("burst", got.burst_ns, wanted.burst_ns);
    checks.equal("budget", got.budget_ns, 0);
}

// A thread of this process reads its own attributes.
Result<sched_attr> thread_attributes() {
    Result<sched_attr> attr{Error::NoProcess};
    std::thread thread{[&attr] { attr = sched::get_attr(sched::kSelf); }};
    thread.join();
    return attr;
}

}  // namespace

Result<Verdict> case_inherit(const Machine& machine) {
    Checks checks{"inherit"};
    const std::uint64_t mask = machine.test_mask();

    check_attr(checks, TRY(grandchild_of(machine, with_hints(QosClass::Interactive, 300, mask))),
               attributes(QosClass::Interactive, 300, mask));
    check_attr(checks, TRY(grandchild_of(machine, with_hints(QosClass::PerfBurst, 200, mask))),
               attributes(QosClass::Interactive, 200, mask));
    sched_attr resetting = with_hints(QosClass::Interactive, 300, machine.online);
    resetting.fields |= nexus_abi::kFieldFlags;
    resetting.flags = nexus_abi::kAttrResetOnSpawn;
    check_attr(checks, TRY(grandchild_of(machine, resetting)),
               attributes(QosClass::Normal, 100, machine.online));

    const sched_attr own = TRY(sched::get_attr(sched::kSelf));
    TRY(sched::set_burst_hint(sched::kSelf, std::chrono::milliseconds{2}));
    sched_attr wanted = attributes(static_cast<QosClass>(own.qos_class), own.shares, own.effective_affinity);
    wanted.latency_ns = own.latency_ns;
    wanted.burst_ns = kBurstNs;
    check_attr(checks, TRY(thread_attributes()), wanted);
    TRY(sched::set_burst_hint(sched::kSelf, std::chrono::milliseconds{0}));

    // A task that ran for a while goes; the next one, born with attributes, has those and nothing of the old
    // one.
    {
        Fleet first{machine};
        TRY(first.start({"hog"}, with_hints(QosClass::Idle, 900, mask)));
        user::sleep_until(user::now() + std::chrono::milliseconds{10});
    }
    Fleet second{machine};
    const user::Instant born = user::now();
    const sched_attr given = with_hints(QosClass::Normal, 42, machine.online);
    TRY(second.start({"wait"}, given));
    const nexus_abi::sched_stat fresh = TRY(sched::get_stat(second.pid(0)));
    const auto age_ns = static_cast<std::uint64_t>((user::now() - born).count());
    check_attr(checks, TRY(sched::get_attr(second.pid(0))), given);
    checks.truth(user::format("statistics begin at zero: %llu run + %llu wait + %llu sleep ns in %llu ns",
                              static_cast<unsigned long long>(fresh.runtime_ns),
                              static_cast<unsigned long long>(fresh.wait_ns),
                              static_cast<unsigned long long>(fresh.sleep_ns),
                              static_cast<unsigned long long>(age_ns)),
                 fresh.runtime_ns + fresh.wait_ns + fresh.sleep_ns <= age_ns);
    return checks.verdict();
}

}  // namespace selftest
