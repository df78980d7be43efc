// SPDX-License-Identifier: MIT
// The scheduler's trace: what each CPU wrote down, 16 bytes an event. nexus_trace_control switches it on and
// off, nexus_trace_read reads it; docs/tracing.md tells what to do with it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nexus_abi {

// What a record tells. `task` is a tid unless it says otherwise, 0 for none; `value` as described. Values of
// new kinds are appended; readers skip what they do not know.
enum class TraceKind : std::uint8_t {
    // The CPU goes over to task (0: idles). value: bits 0..7 what became of the one before (TraceFate),
    // bits 8..31
    // how many tasks are then runnable on this CPU, the one that runs included.
    Switch = 1,
    Wake = 2,     // task becomes runnable by an event. value: the CPU it is sent to
    Start = 3,    // task is new, runnable for the first time. value: its process
    Migrate = 4,  // task changes its CPU. value: bits 0..7 the CPU it leaves, bits 8..15 the one it goes to
    Ended = 5,    // task ended. value: its process
    // Four bytes of the task's name each; written when it is named and when it ends. value: first byte
    // lowest.
    Name0 = 6,
    Name1 = 7,
    Name2 = 8,
    Name3 = 9,
    SetClass = 10,   // task's attributes were set. value: its class
    SetShares = 11,  // value: the shares
    SetMask = 12,    // value: the effective mask's CPUs 0..31
    // What task is owed when it leaves the CPU. value: microseconds of the CPU, signed; negative: it had
    // more.
    Lag = 13,
    // The CPU time task was charged so far. value: microseconds, lower 32 bits. When it ends, and in dumps.
    Charged = 14,
    // As Switch, from a task that waits in a system call. value: bits 0..15 how many tasks are then runnable
    // on this CPU, bits 16..31 the call's number.
    Wait = 15,
    IpiSent = 20,  // task: the CPU it is sent to
    IpiTaken = 21,
    Timer = 22,     // the CPU's timer interrupt
    External = 23,  // an interrupt of a device
    // A system call that left the short way: it waits, or ends the task. value: its number. Of one that waits
    // it is written where switches are not, which tell it otherwise (Wait).
    CallSlow = 30,
    CallAgain = 31,  // a call goes on where it left off. value: its number
    PageFault = 32,  // value: the page's number, lower 32 bits
    // The trace itself: on from here, with these categories (value).
    Began = 60,
};

// What became of the task that ran before a Switch.
enum class TraceFate : std::uint8_t { None, Preempted, Yielded, Blocked, Moved, Ended, Throttled };

// Kinds are switched on by category.
inline constexpr std::uint32_t kTraceSched = 1U << 0;   // Switch .. Name3, Charged, Wait
inline constexpr std::uint32_t kTraceAttr = 1U << 1;    // SetClass, SetShares, SetMask
inline constexpr std::uint32_t kTraceLag = 1U << 2;     // Lag
inline constexpr std::uint32_t kTraceIrq = 1U << 3;     // IpiSent .. External
inline constexpr std::uint32_t kTraceCalls = 1U << 4;   // CallSlow, CallAgain
inline constexpr std::uint32_t kTraceFaults = 1U << 5;  // PageFault
inline constexpr std::uint32_t kTraceAll = (1U << 6) - 1;

struct trace_record {
    std::uint64_t stamp;  // bits 8..63: CLOCK_MONOTONIC in ns; bits 0..7: TraceKind
    std::uint32_t task;
    std::uint32_t value;
};
static_assert(sizeof(trace_record) == 16);

// trace_control.flags. Query: nothing is switched, categories and records are not looked at.
inline constexpr std::uint32_t kTraceQuery = 1U << 0;

struct trace_control {
    std::uint32_t size;        // bytes of the struct the caller knows
    std::uint32_t categories;  // kTrace*; 0 switches the trace off
    // Records each CPU keeps, the newest ones. 0: as many as there are, at first kTraceDefaultRecords.
    // Rounded up to a power of two, 256 at least; only while nothing is kept yet can it be chosen.
    std::uint32_t records;
    std::uint32_t flags;    // kTraceQuery
    std::uint64_t started;  // out: CLOCK_MONOTONIC in ns when it was switched on last; 0: never
    std::uint32_t was;      // out: categories before this call
    std::uint32_t kept;     // out: records each CPU keeps now
};
static_assert(sizeof(trace_control) == 32);

inline constexpr std::uint32_t kTraceDefaultRecords = 8192;
inline constexpr std::uint32_t kTraceMaxRecords = 65536;

}  // namespace nexus_abi
