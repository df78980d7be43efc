// SPDX-License-Identifier: MIT
// NEURON's own calls as C++: typed values in, Result out. Thin: each is its row of syscalls.def plus the
// conversions.
//
// pid: 0 = the calling thread, a process id = that process's main thread, a thread id = that thread. Errors
// common to all that take one: NotPermitted (not the caller's own task, not its child, and no right; also
// when there is no such task), NoProcess (it is gone), NotImplemented (not a NEURON kernel). Thread-safe.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "nexus_abi/calls.hpp"

namespace nexus_abi {

// ABI version, CPUs, timebase, struct sizes.
[[nodiscard]] inline Result<abi_info> info() {
    abi_info value{};
    value.size = sizeof(value);
    TRY(call::nexus_abi_info(Out<abi_info>{&value}, sizeof(value)));
    return value;
}

// What spawn() starts. Pointers are read during the call only.
struct SpawnRequest {
    const char* path{nullptr};
    const char* const* argv{nullptr};       // null-terminated
    const char* const* envp{nullptr};       // null-terminated; nullptr = empty environment
    const sched_attr* attributes{nullptr};  // hold before the first instruction; nullptr = the spawn rules
    const sched_attr* limits{nullptr};  // so do these ceilings (sched::set_limits); nullptr = the caller's
    std::uint64_t rights{0};            // kRight*, a subset of the caller's
    std::span<const spawn_fd> descriptors{};  // empty = 0, 1 and 2 as in the caller
    std::uint32_t flags{0};                   // kSpawn*
};

// Starts a program and returns its pid; wait4 collects it.
// Errors: InvalidArgument, TooBig, BadAddress, NoEntry, NotExecutable, NoMemory, NotPermitted.
[[nodiscard]] inline Result<std::int32_t> spawn(const SpawnRequest& request) {
    spawn_args args{};
    args.size = sizeof(args);
    args.path = reinterpret_cast<std::uint64_t>(request.path);
    args.argv = reinterpret_cast<std::uint64_t>(request.argv);
    args.envp = reinterpret_cast<std::uint64_t>(request.envp);
    sched_attr attributes{};
    if (request.attributes != nullptr) {
        attributes = *request.attributes;
        attributes.size = sizeof(attributes);
        args.attr = reinterpret_cast<std::uint64_t>(&attributes);
    }
    sched_attr limits{};
    if (request.limits != nullptr) {
        limits = *request.limits;
        limits.size = sizeof(limits);
        args.limits = reinterpret_cast<std::uint64_t>(&limits);
    }
    args.rights = request.rights;
    args.flags = request.flags;
    args.fds = request.descriptors.empty() ? 0 : reinterpret_cast<std::uint64_t>(request.descriptors.data());
    args.fd_count = static_cast<std::uint32_t>(request.descriptors.size());
    const std::uint64_t pid = TRY(call::nexus_spawn(In<spawn_args>{&args}, sizeof(args)));
    return static_cast<std::int32_t>(pid);
}

}  // namespace nexus_abi

namespace nexus_abi::sched {

inline constexpr std::int32_t kSelf = 0;

struct QosClasses {
    QosClass requested{QosClass::Normal};
    QosClass effective{QosClass::Normal};  // differs while a boost is spent or a ceiling holds
};

// Errors: InvalidArgument (no such class), NotPermitted (above the ceiling).
[[nodiscard]] inline Result<void> set_qos_class(std::int32_t pid, QosClass qos_class) {
    TRY(call::sched_set_qos_class(pid, static_cast<std::int64_t>(qos_class)));
    return {};
}

[[nodiscard]] inline Result<QosClasses> get_qos_class(std::int32_t pid) {
    const std::uint64_t both = TRY(call::sched_get_qos_class(pid));
    return QosClasses{static_cast<QosClass>(both & 0xffU), static_cast<QosClass>((both >> 8U) & 0xffU)};
}

// The struct's unused parts are 0; `size` is set by set_attr.
[[nodiscard]] inline Result<sched_attr> get_attr(std::int32_t pid) {
    sched_attr attributes{};
    attributes.size = sizeof(attributes);
    TRY(call::nexus_sched_getattr(pid, Out<sched_attr>{&attributes}, sizeof(attributes)));
    return attributes;
}

// Applies the fields named in attributes.fields, all or none. What get_attr gave may be given back once its
// effective_* values are set to 0. Values out of range: InvalidArgument unless kAttrClamp. Errors:
// InvalidArgument, TooBig, NotPermitted.
[[nodiscard]] inline Result<void> set_attr(std::int32_t pid, sched_attr attributes) {
    attributes.size = sizeof(attributes);
    TRY(call::nexus_sched_setattr(pid, In<sched_attr>{&attributes}, 0));
    return {};
}

// On success the task runs on no other CPU any more. Returns the effective mask: `mask` without the bits
// beyond the online CPUs and the task's limit. Errors: InvalidArgument (nothing is left; the old mask stays).
[[nodiscard]] inline Result<std::uint64_t> set_affinity(std::int32_t pid, std::uint64_t mask) {
    TRY(call::sched_set_affinity(pid, mask));
    const sched_attr attributes = TRY(get_attr(pid));
    return attributes.effective_affinity;
}

// Pin: `mask` is the limit. Prefer: the limit stays and `mask` is tried first. Word i of mask holds CPUs
// 64i..64i+63. Errors: InvalidArgument (no usable CPU, no such policy).
[[nodiscard]] inline Result<void> set_affinity_policy(std::int32_t pid, std::span<const std::uint64_t> mask,
                                                      AffinityPolicy policy) {
    TRY(call::sched_set_affinity_policy(pid, mask.size_bytes(), In<std::uint64_t>{mask.data()},
                                        static_cast<std::uint64_t>(policy)));
    return {};
}

// Clamped to kSharesMin..kSharesMax; returns the applied value. Errors: NotPermitted (above the ceiling).
[[nodiscard]] inline Result<std::uint32_t> set_shares(std::int32_t pid, std::uint32_t shares) {
    const std::uint64_t applied = TRY(call::sched_set_shares(pid, std::int64_t{shares}));
    return static_cast<std::uint32_t>(applied);
}

// 0 = no hint; longer than kLatencyHintMaxMs is clamped; returns the applied value. Errors: InvalidArgument
// (negative).
[[nodiscard]] inline Result<std::chrono::milliseconds> set_latency_hint(std::int32_t pid,
                                                                        std::chrono::milliseconds latency) {
    const std::uint64_t applied = TRY(call::sched_set_latency_hint(pid, latency.count()));
    return std::chrono::milliseconds{static_cast<std::int64_t>(applied)};
}

// 0 = the class's default; longer than kBurstHintMaxMs is clamped; returns the applied value. Errors:
// InvalidArgument.
[[nodiscard]] inline Result<std::chrono::milliseconds> set_burst_hint(std::int32_t pid,
                                                                      std::chrono::milliseconds burst) {
    const std::uint64_t applied = TRY(call::sched_set_burst_hint(pid, burst.count()));
    return std::chrono::milliseconds{static_cast<std::int64_t>(applied)};
}

// At most `runtime` of CPU time in any window of `period`; both 0: no budget. Else 100 us <= runtime <=
// period
// <= 1 s, in whole microseconds. Errors: InvalidArgument, NotPermitted (looser than an imposed one),
// NoMemory.
[[nodiscard]] inline Result<void> set_budget(std::int32_t pid, std::chrono::microseconds runtime,
                                             std::chrono::microseconds period) {
    TRY(call::sched_set_budget(pid, std::int64_t{runtime.count()}, std::int64_t{period.count()}));
    return {};
}

// Ceilings named in limits.fields (class, shares, affinity, group) of a thread and what it creates from then
// on; the group is its process's, with its children. Needs kRightSchedAdmin. Errors: InvalidArgument, TooBig,
// NotPermitted.
[[nodiscard]] inline Result<void> set_limits(std::int32_t pid, sched_attr limits) {
    limits.size = sizeof(limits);
    TRY(call::sched_set_limits(pid, In<sched_attr>{&limits}, sizeof(limits)));
    return {};
}

// The ceilings of a thread: qos_class, shares, affinity, group; effective_affinity: those of its CPUs that
// are online. Others' tasks need kRightSchedInspect.
[[nodiscard]] inline Result<sched_attr> get_limits(std::int32_t pid) {
    sched_attr limits{};
    TRY(call::sched_get_limits(pid, Out<sched_attr>{&limits}, sizeof(limits)));
    return limits;
}

// What the scheduler measured of one task since it began. Others' tasks need kRightSchedInspect.
[[nodiscard]] inline Result<sched_stat> get_stat(std::int32_t pid) {
    sched_stat statistics{};
    statistics.size = sizeof(statistics);
    TRY(call::sched_getstat(pid, Out<sched_stat>{&statistics}, sizeof(statistics)));
    return statistics;
}

// One CPU since boot. Errors: InvalidArgument (no such CPU).
[[nodiscard]] inline Result<sched_hartstat> hart_stat(std::uint32_t cpu) {
    sched_hartstat statistics{};
    statistics.size = sizeof(statistics);
    TRY(call::sched_hartstat(std::uint64_t{cpu}, Out<nexus_abi::sched_hartstat>{&statistics},
                             sizeof(statistics)));
    return statistics;
}

// Takes a CPU out of scheduling or back in. Out: on return nothing runs there; tasks with no other CPU may
// use all of their limit (kStatAffinityBroken) until one of theirs comes back. Needs kRightSchedAdmin.
// Errors: InvalidArgument (no such CPU, or it never came up), NotPermitted, Busy (the last one, or it is on
// its way out).
[[nodiscard]] inline Result<void> set_cpu_online(std::uint32_t cpu, bool online) {
    TRY(call::nexus_cpu_set_online(std::uint64_t{cpu}, online ? 1U : 0U));
    return {};
}

// Fills `entries` with tasks in tid order, those after `cursor`, which moves on; returns how many, 0 at the
// end. Start with cursor 0. Needs kRightSchedInspect.
[[nodiscard]] inline Result<std::size_t> snapshot(std::span<sched_snapshot_entry> entries,
                                                  std::uint64_t& cursor) {
    const std::uint64_t count = TRY(call::sched_snapshot(Out<sched_snapshot_entry>{entries.data()},
                                                         entries.size(), InOut<std::uint64_t>{&cursor}));
    return static_cast<std::size_t>(count);
}

}  // namespace nexus_abi::sched
