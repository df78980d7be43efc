// SPDX-License-Identifier: MIT
// Who changed whose scheduling, who was refused, and whose wish was cut: nexus_audit_read. Also the locks of
// nexus_sched_lock and the bound of sched_reserve_budget.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nexus_abi {

enum class AuditWhat : std::uint16_t {
    ForeignSet = 1,  // another process's task was changed. result: what the call returned
    Denied = 2,      // a right was missing, or a ceiling was in the way
    Clamped = 3,     // a value was out of range and made to fit. old_value: as asked; new_value: as applied
};

struct audit_record {
    std::uint64_t time_ns;        // CLOCK_MONOTONIC
    std::uint64_t caller_serial;  // nexus_task_serial
    std::uint64_t target_serial;  // 0: there was no target, or none with this id
    std::uint64_t old_value;      // of the first field, in its own unit
    std::uint64_t new_value;      // as asked for, if it was denied
    std::uint32_t caller;         // tid
    std::uint32_t target;         // tid, as asked for; 0: none
    std::uint32_t call;           // its number
    std::int32_t result;          // a negated errno if negative
    std::uint16_t what;           // AuditWhat
    std::uint16_t field;     // the first of the call's fields, as the bit's number in kField*; 0xffff: none
    std::uint32_t left_out;  // how many came too fast since the record before this one
};
static_assert(sizeof(audit_record) == 64);

inline constexpr std::uint16_t kAuditNoField = 0xffff;
// How many of the newest are kept.
inline constexpr std::uint64_t kAuditRecords = 256;

// nexus_sched_lock. Ceilings: nobody raises a ceiling, lifts a limit of CPUs or goes beyond one, whatever
// right they have. PerfBurst: nobody asks for class PerfBurst who does not have it.
inline constexpr std::uint64_t kLockCeilings = 1U << 0;
inline constexpr std::uint64_t kLockPerfBurst = 1U << 1;
inline constexpr std::uint64_t kLocksAll = kLockCeilings | kLockPerfBurst;

// What sched_reserve_budget books at most of each CPU, in millionths.
inline constexpr std::uint64_t kReservedMostPpm = 900'000;

}  // namespace nexus_abi
