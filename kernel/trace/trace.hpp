// SPDX-License-Identifier: MIT
// What the scheduler did, written down while it does it. Off, a place that could write costs a load and a
// branch; on, some thirty instructions and no reading of the clock for those of the scheduler.
// docs/tracing.md.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "arch/contract.hpp"
#include "lib/ids.hpp"
#include "lib/units.hpp"
#include "nexus_abi/trace.hpp"
#include "trace/ring.hpp"

namespace kernel::trace {

using Kind = nexus_abi::TraceKind;
using Fate = nexus_abi::TraceFate;

// The category (nexus_abi::kTrace*) a kind is switched on with; 0: always written while the trace is on.
[[nodiscard]] constexpr std::uint32_t category_of(Kind kind) {
    switch (kind) {
        case Kind::Switch:
        case Kind::Wake:
        case Kind::Start:
        case Kind::Migrate:
        case Kind::Ended:
        case Kind::Name0:
        case Kind::Name1:
        case Kind::Name2:
        case Kind::Name3:
        case Kind::Charged:
        case Kind::Wait:
            return nexus_abi::kTraceSched;
        case Kind::SetClass:
        case Kind::SetShares:
        case Kind::SetMask:
            return nexus_abi::kTraceAttr;
        case Kind::Lag:
            return nexus_abi::kTraceLag;
        case Kind::IpiSent:
        case Kind::IpiTaken:
        case Kind::Timer:
        case Kind::External:
            return nexus_abi::kTraceIrq;
        case Kind::CallSlow:
        case Kind::CallAgain:
            return nexus_abi::kTraceCalls;
        case Kind::PageFault:
            return nexus_abi::kTraceFaults;
        case Kind::Began:
            return 0;
    }
    return 0;
}

// What is on: the bits, and a byte for each of them, which takes a load and a branch to look at. Written by
// switch_to() only, read by every hart: a line nobody dirties.
inline constexpr std::size_t kCategories = std::bit_width(nexus_abi::kTraceAll);
struct alignas(64) Switches {
    std::array<std::atomic<bool>, kCategories> on{};
    std::atomic<std::uint32_t> bits{0};
    // Calls are, the scheduler is not: nothing else tells that a call waits.
    std::atomic<bool> calls_alone{false};
};
extern constinit Switches switches;

// Pre: category is one bit, or 0 for what is always written while anything is.
[[nodiscard]] inline bool is_on(std::uint32_t category) {
    return category == 0 ? switches.bits.load(std::memory_order_relaxed) != 0
                         : switches.on[static_cast<std::size_t>(std::countr_zero(category))].load(
                               std::memory_order_relaxed);
}

// A ring's head is written at every record: no two CPUs share a line.
struct alignas(64) CpuRing {
    Ring ring;
};
extern constinit std::array<CpuRing, kMaxCpus> rings;

// This hart's ring; null while it has no memory. What it points to is read by way of it, and so not before
// it.
[[gnu::always_inline]] inline Ring* own_ring() {
#ifdef __riscv
    Ring* ring;
    asm volatile("ld %0, %1(tp)" : "=r"(ring) : "i"(offsetof(arch::CpuLocal, trace)));
    return ring;
#else
    Ring& ring = rings[arch::current_cpu().value()].ring;
    return ring.has_memory() ? &ring : nullptr;
#endif
}

// write_at() in place, for what is written at every switch. Pre: the kind's category is on.
[[gnu::always_inline]] inline void put(Instant at, Kind kind, std::uint32_t task, std::uint32_t value) {
    Ring* const ring = own_ring();
    // A hart that came after the trace was set up has none.
    if (ring != nullptr) [[likely]] {
        ring->write(static_cast<std::uint64_t>(at.ns()) << 8U | static_cast<std::uint64_t>(kind), task,
                    value);
    }
}

// This hart's ring while the scheduler is traced, else null: is_on(kTraceSched) and own_ring() in one. For
// the only hart there is, which was there when the trace was set up.
[[gnu::always_inline]] inline Ring* ring_if_traced() {
#ifdef __riscv
    Ring* ring;
    asm volatile("ld %0, %1(tp)" : "=r"(ring) : "i"(offsetof(arch::CpuLocal, traced)));
    return ring;
#else
    return is_on(nexus_abi::kTraceSched) ? own_ring() : nullptr;
#endif
}
// put() there.
template <class Value>
[[gnu::always_inline]] inline void put_alone(Ring& ring, Instant at, Kind kind, std::uint32_t task,
                                             Value value) {
    ring.write<true>(static_cast<std::uint64_t>(at.ns()) << 8U | static_cast<std::uint64_t>(kind), task,
                     value);
}

// Writes a record into this hart's ring, with the time of now or of `at`. Pre: interrupts are off. Not
// inlined: where the trace is off, nothing of this costs its caller a register.
[[gnu::noinline]] void write(Kind kind, std::uint32_t task, std::uint32_t value);
[[gnu::noinline]] void write_at(Instant at, Kind kind, std::uint32_t task, std::uint32_t value);
// The four records of a name, of 16 bytes at most.
[[gnu::noinline]] void write_name(std::uint32_t task, std::span<const char> name);

inline void note(Kind kind, std::uint32_t task, std::uint32_t value) {
    if (is_on(category_of(kind))) [[unlikely]] {
        write(kind, task, value);
    }
}
inline void note_at(Instant at, Kind kind, std::uint32_t task, std::uint32_t value) {
    if (is_on(category_of(kind))) [[unlikely]] {
        write_at(at, kind, task, value);
    }
}

// The ring of a CPU, for readers.
[[nodiscard]] Ring& ring_of(CpuId cpu);
// Gives the ring of a CPU its memory, or takes it away. Pre: as Ring::provide().
void provide(CpuId cpu, std::span<Ring::Slot> slots);
// Switches categories on or off; 0: all off. Returns what was on. Pre: CPUs without memory do not run, or
// nothing is switched on. Concurrency: callers exclude each other.
std::uint32_t switch_to(std::uint32_t wanted);
// CLOCK_MONOTONIC when it was switched on last.
[[nodiscard]] Instant began();

}  // namespace kernel::trace
