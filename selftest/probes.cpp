// SPDX-License-Identifier: MIT
#include "probes.hpp"

#include <array>
#include <cstring>

#include "console.hpp"
#include "nexus_abi/sched_calls.hpp"
#include "worker.hpp"

namespace selftest {
namespace {

namespace call = nexus_abi::call;
using nexus_abi::Error;
using nexus_abi::Result;

constexpr Error kNone{};

// Collects answers; each expect() is the next probe.
class Prober {
  public:
    template <class T>
    void expect(const char* what, Error wanted, const Result<T>& answer) {
        const Error got = answer.ok() ? kNone : answer.error();
        if (got != wanted) {
            ++result_.wrong;
            user::write_line(user::format("# perms probe %llu, %s: errno %d, not %d",
                                          static_cast<unsigned long long>(result_.count), what,
                                          static_cast<int>(got), static_cast<int>(wanted)));
        }
        ++result_.count;
    }
    [[nodiscard]] ProbeResult result() const { return result_; }

  private:
    ProbeResult result_;
};

constexpr std::int32_t kNoSuchPid = 999'999;

void probe_others(Prober& prober, std::int32_t pid, const char* whose) {
    const auto what = [whose](const char* name) { return user::format("%s of %s", name, whose); };
    nexus_abi::sched_attr attributes{};
    attributes.fields = nexus_abi::kFieldShares;
    attributes.shares = 50;
    prober.expect(what("class").c_str(), Error::NotPermitted, call::sched_set_qos_class(pid, 0));
    prober.expect(what("shares").c_str(), Error::NotPermitted, call::sched_set_shares(pid, 50));
    prober.expect(what("affinity").c_str(), Error::NotPermitted, call::sched_set_affinity(pid, 1));
    prober.expect(what("latency").c_str(), Error::NotPermitted, call::sched_set_latency_hint(pid, 1));
    prober.expect(what("burst").c_str(), Error::NotPermitted, call::sched_set_burst_hint(pid, 1));
    prober.expect(what("setattr").c_str(), Error::NotPermitted, nexus_abi::sched::set_attr(pid, attributes));
    prober.expect(what("getattr").c_str(), Error::NotPermitted, nexus_abi::sched::get_attr(pid));
    prober.expect(what("getstat").c_str(), Error::NotPermitted, nexus_abi::sched::get_stat(pid));
}

}  // namespace

ProbeResult run_probes(const std::string& program, std::int32_t sibling, std::int32_t dead) {
    using nexus_abi::QosClass;
    Prober prober;
    const auto before = nexus_abi::sched::get_attr(nexus_abi::sched::kSelf);
    prober.expect("getattr of self", kNone, before);

    prober.expect("raise own class", Error::NotPermitted,
                  nexus_abi::sched::set_qos_class(nexus_abi::sched::kSelf, QosClass::Interactive));
    prober.expect("raise own class to PerfBurst", Error::NotPermitted,
                  nexus_abi::sched::set_qos_class(nexus_abi::sched::kSelf, QosClass::PerfBurst));
    probe_others(prober, sibling, "a sibling");
    // Neither a dead nor a never used pid may be told from a forbidden one.
    probe_others(prober, dead, "a dead pid");
    probe_others(prober, kNoSuchPid, "no pid");
    // Form comes before permission.
    prober.expect("class 4 of a sibling", Error::InvalidArgument, call::sched_set_qos_class(sibling, 4));
    prober.expect("shares -1 of a sibling", Error::InvalidArgument, call::sched_set_shares(sibling, -1));

    std::uint64_t cursor = 0;
    std::array<nexus_abi::sched_snapshot_entry, 1> entries{};
    prober.expect("snapshot", Error::NotPermitted, nexus_abi::sched::snapshot(entries, cursor));
    const std::array<const char*, 5> exit_now{program.c_str(), kWorkerFlag, "exit", "0", nullptr};
    prober.expect(
        "grant a right it lacks", Error::NotPermitted,
        nexus_abi::spawn(
            {.path = program.c_str(), .argv = exit_now.data(), .rights = nexus_abi::kRightSchedAdmin}));
    nexus_abi::sched_attr raised{};
    raised.fields = nexus_abi::kFieldClass;
    raised.qos_class = static_cast<std::uint32_t>(QosClass::Interactive);
    prober.expect(
        "spawn above its ceiling", Error::NotPermitted,
        nexus_abi::spawn({.path = program.c_str(), .argv = exit_now.data(), .attributes = &raised}));

    // All that was refused left no trace.
    const auto after = nexus_abi::sched::get_attr(nexus_abi::sched::kSelf);
    const bool unchanged = before.ok() && after.ok() && std::memcmp(&*before, &*after, sizeof(*after)) == 0;
    prober.expect("own attributes unchanged", kNone,
                  unchanged ? Result<void>{} : Result<void>{Error::InvalidArgument});
    // What it may: lower itself.
    prober.expect("lower own class", kNone,
                  nexus_abi::sched::set_qos_class(nexus_abi::sched::kSelf, QosClass::Idle));
    return prober.result();
}

}  // namespace selftest
