// SPDX-License-Identifier: MIT
// Proves: what is out of range is clamped or rejected as docs/abi.md says, each with its exact answer, and a
// rejected call changes nothing. Tried on a child that only waits.
#include <array>
#include <chrono>
#include <cstring>

#include "cases.hpp"
#include "checks.hpp"
#include "fleet.hpp"
#include "nexus_abi/sched_calls.hpp"

namespace selftest {
namespace {

namespace call = nexus_abi::call;
namespace sched = nexus_abi::sched;
using nexus_abi::AffinityPolicy;
using nexus_abi::In;
using nexus_abi::Out;
using nexus_abi::QosClass;
using nexus_abi::sched_attr;

constexpr std::int64_t kTooLarge = std::int64_t{1} << 31U;  // does not fit 31 bits

Result<std::uint64_t> effective_mask(std::int32_t pid) {
    const sched_attr attr = TRY(sched::get_attr(pid));
    return attr.effective_affinity;
}

void check_masks(Checks& checks, const Machine& machine, std::int32_t pid) {
    const std::uint64_t absent = ~machine.online;
    checks.returns("mask of all bits is cut to the online cpus", sched::set_affinity(pid, ~std::uint64_t{0}),
                   machine.online);
    checks.returns("one cpu", sched::set_affinity(pid, machine.test_mask()), machine.test_mask());
    checks.fails("mask 0", call::sched_set_affinity(pid, 0), Error::InvalidArgument);
    if (absent != 0) {
        checks.fails("mask of absent cpus", call::sched_set_affinity(pid, absent), Error::InvalidArgument);
        checks.returns("absent bits beside a present one",
                       sched::set_affinity(pid, absent | machine.test_mask()), machine.test_mask());
    }
    checks.returns("mask after the rejected ones", effective_mask(pid), machine.test_mask());
}

void check_policy(Checks& checks, const Machine& machine, std::int32_t pid) {
    const std::array<std::uint64_t, 2> words{machine.online, 1};  // the second word: CPU 64, which is absent
    const std::array<std::uint64_t, 2> beyond{0, 1};
    const In<std::uint64_t> mask{words.data()};
    constexpr std::uint64_t kPin = 0;
    checks.fails("policy mask of 0 bytes", call::sched_set_affinity_policy(pid, 0, mask, kPin),
                 Error::InvalidArgument);
    checks.fails("policy mask of 12 bytes", call::sched_set_affinity_policy(pid, 12, mask, kPin),
                 Error::InvalidArgument);
    checks.fails("policy mask of 1032 bytes", call::sched_set_affinity_policy(pid, 1032, mask, kPin),
                 Error::InvalidArgument);
    checks.fails("policy 9", call::sched_set_affinity_policy(pid, 8, mask, 9), Error::InvalidArgument);
    checks.fails("policy mask at null", call::sched_set_affinity_policy(pid, 8, In<std::uint64_t>{}, kPin),
                 Error::BadAddress);
    checks.fails("policy mask of absent cpus", sched::set_affinity_policy(pid, beyond, AffinityPolicy::Pin),
                 Error::InvalidArgument);
    checks.succeeds("policy pin, absent bits dropped",
                    sched::set_affinity_policy(pid, words, AffinityPolicy::Pin));
    checks.returns("mask after policy pin", effective_mask(pid), machine.online);
    const std::array<std::uint64_t, 1> preferred{machine.test_mask()};
    checks.succeeds("policy prefer", sched::set_affinity_policy(pid, preferred, AffinityPolicy::Prefer));
    checks.returns("prefer leaves the limit alone", effective_mask(pid), machine.online);
}

void check_scalars(Checks& checks, std::int32_t pid) {
    checks.returns("shares 0", call::sched_set_shares(pid, 0), 1);
    checks.returns("shares 5000", call::sched_set_shares(pid, 5000), 1000);
    checks.returns("shares 250", call::sched_set_shares(pid, 250), 250);
    checks.fails("shares -1", call::sched_set_shares(pid, -1), Error::InvalidArgument);
    checks.fails("shares 2^31", call::sched_set_shares(pid, kTooLarge), Error::InvalidArgument);
    checks.returns("latency 5000 ms", call::sched_set_latency_hint(pid, 5000), 1000);
    checks.returns("latency 0", call::sched_set_latency_hint(pid, 0), 0);
    checks.returns("latency 5 ms", call::sched_set_latency_hint(pid, 5), 5);
    checks.fails("latency -1", call::sched_set_latency_hint(pid, -1), Error::InvalidArgument);
    checks.fails("latency 2^31", call::sched_set_latency_hint(pid, kTooLarge), Error::InvalidArgument);
    checks.returns("burst 90 ms", call::sched_set_burst_hint(pid, 90), 50);
    checks.returns("burst 0", call::sched_set_burst_hint(pid, 0), 0);
    checks.returns("burst 7 ms", call::sched_set_burst_hint(pid, 7), 7);
    checks.fails("burst -1", call::sched_set_burst_hint(pid, -1), Error::InvalidArgument);
    checks.fails("class 4", call::sched_set_qos_class(pid, 4), Error::InvalidArgument);
    checks.fails("class -1", call::sched_set_qos_class(pid, -1), Error::InvalidArgument);
    checks.succeeds("class PerfBurst", sched::set_qos_class(pid, QosClass::PerfBurst));
    const auto classes = sched::get_qos_class(pid);
    checks.succeeds("get class", classes);
    if (classes.ok()) {
        checks.equal("PerfBurst is kept as requested", static_cast<std::uint64_t>(classes->requested), 3);
        // With half of its bucket full it is boosted, which depends on how long it has been asleep.
        checks.truth(
            "PerfBurst counts as itself or as Interactive",
            classes->effective == QosClass::PerfBurst || classes->effective == QosClass::Interactive);
    }
    const auto attr = sched::get_attr(pid);
    checks.succeeds("getattr", attr);
    if (attr.ok()) {
        checks.equal("shares kept", attr->shares, 250);
        checks.equal("latency kept", attr->latency_ns, 5'000'000);
        checks.equal("burst kept", attr->burst_ns, 7'000'000);
        checks.equal("class kept", attr->qos_class, 3);
    }
}

void check_structs(Checks& checks, std::int32_t pid) {
    sched_attr attr{};
    attr.fields = nexus_abi::kFieldClass | nexus_abi::kFieldShares;
    attr.qos_class = static_cast<std::uint32_t>(QosClass::Normal);
    attr.shares = 1001;
    checks.fails("setattr is strict", sched::set_attr(pid, attr), Error::InvalidArgument);
    const auto untouched = sched::get_qos_class(pid);
    checks.truth("all or nothing", untouched.ok() && untouched->requested == QosClass::PerfBurst);
    attr.flags = nexus_abi::kAttrClamp;
    checks.succeeds("setattr with clamp", sched::set_attr(pid, attr));
    const auto clamped = sched::get_attr(pid);
    checks.truth("clamped", clamped.ok() && clamped->shares == 1000 && clamped->qos_class == 1);
    attr.flags = 1U << 31U;
    checks.fails("unknown flag", sched::set_attr(pid, attr), Error::InvalidArgument);
    attr.flags = 0;
    attr.shares = 100;
    attr.fields |= std::uint64_t{1} << 40U;
    checks.fails("unknown field", sched::set_attr(pid, attr), Error::InvalidArgument);
    attr.fields = nexus_abi::kFieldLatency;
    attr.latency_ns = 50'000;
    checks.fails("latency of 50 us", sched::set_attr(pid, attr), Error::InvalidArgument);
    attr.latency_ns = 0;
    attr.effective_shares = 1;
    checks.fails("read-only field set", sched::set_attr(pid, attr), Error::InvalidArgument);
    attr.effective_shares = 0;
    attr.size = sizeof(attr);
    checks.fails("setattr flags", call::nexus_sched_setattr(pid, In<sched_attr>{&attr}, 1),
                 Error::InvalidArgument);
    checks.fails("setattr at null", call::nexus_sched_setattr(pid, In<sched_attr>{}, 0), Error::BadAddress);
    checks.fails("getattr at null", call::nexus_sched_getattr(pid, Out<sched_attr>{}, sizeof(attr)),
                 Error::BadAddress);
    checks.fails("getattr of 8 bytes", call::nexus_sched_getattr(pid, Out<sched_attr>{&attr}, 8),
                 Error::InvalidArgument);

    // A struct of a later version: fine while its tail is zero, else too big, with the size this kernel
    // knows.
    struct {
        sched_attr known;
        std::uint64_t tail;
    } later{};
    later.known = attr;
    later.known.fields = nexus_abi::kFieldShares;
    later.known.shares = 77;
    later.known.size = sizeof(later);
    checks.succeeds("longer struct, zero tail",
                    call::nexus_sched_setattr(pid, In<sched_attr>{&later.known}, 0));
    later.known.size = sizeof(later);
    later.tail = 1;
    checks.fails("longer struct, tail set", call::nexus_sched_setattr(pid, In<sched_attr>{&later.known}, 0),
                 Error::TooBig);
    checks.equal("size written back", later.known.size, sizeof(sched_attr));
}

}  // namespace

Result<Verdict> case_clamp(const Machine& machine) {
    Fleet fleet{machine};
    TRY(fleet.start({"wait"}, attributes(QosClass::Normal, 100, machine.online)));
    Checks checks{"clamp"};
    check_masks(checks, machine, fleet.pid(0));
    check_policy(checks, machine, fleet.pid(0));
    check_scalars(checks, fleet.pid(0));
    check_structs(checks, fleet.pid(0));
    checks.fails("statistics of cpu 4096", sched::hart_stat(4096), Error::InvalidArgument);
    return checks.verdict();
}

}  // namespace selftest
