// SPDX-License-Identifier: MIT
// The scheduler's trace, switched and read by programs (nexus_abi/trace.hpp).
#include "trace/trace.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <span>

#include "lib/log.hpp"
#include "lib/thread_safety.hpp"
#include "mm/frames.hpp"
#include "mm/layout.hpp"
#include "sync/spinlock.hpp"
#include "syscall/audit.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/trace_boot.hpp"
#include "syscall/versioned.hpp"
#include "task/dispatcher.hpp"

namespace kernel::syscall {

namespace {

// For the rings' memory and the switch.
constinit SpinLock control_lock{LockRank::Trace};
// What one call of nexus_trace_read copies at most: bounds the time it keeps interrupts off.
constexpr std::size_t kRecordsPerCall = 64;

// What reports of panics show: what the scheduler did and why, and no page faults, which would push it out.
constexpr std::uint32_t kEventsFromBoot =
    nexus_abi::kTraceSched | nexus_abi::kTraceAttr | nexus_abi::kTraceIrq | nexus_abi::kTraceCalls;

// A page.
constexpr std::uint32_t kLeastRecords = mm::kPageSize / sizeof(nexus_abi::trace_record);

constexpr std::uint32_t order_for(std::uint32_t records) {
    const std::uint64_t frames =
        (std::uint64_t{records} * sizeof(nexus_abi::trace_record) + mm::kPageSize - 1) / mm::kPageSize;
    return static_cast<std::uint32_t>(std::bit_width(frames - 1));
}

// Gives the ring of every possible CPU its memory, or none.
Result<void> provide_rings(std::uint32_t records) REQUIRES(control_lock) {
    std::array<PhysAddr, kMaxCpus> blocks{};
    const CpuMask cpus = task::possible_cpus();
    const std::uint32_t order = order_for(records);
    for (std::uint32_t provided = 0; provided < cpus.count(); ++provided) {
        const auto block = mm::frames().allocate(order);
        if (!block.ok()) {
            while (provided > 0) {
                --provided;
                mm::frames().free(blocks[provided], order);
            }
            return block.error();
        }
        blocks[provided] = *block;
    }
    const PhysAddr* block = blocks.data();
    cpus.for_each([&](CpuId cpu) {
        trace::provide(cpu, std::span{static_cast<trace::Ring::Slot*>(phys_to_virt(*block++)), records});
    });
    return {};
}

std::uint32_t records_kept() REQUIRES(control_lock) {
    return static_cast<std::uint32_t>(trace::ring_of(task::possible_cpus().lowest()).capacity());
}

}  // namespace

void trace_from_boot() {
    const LockGuard guard{control_lock};
    if (const auto provided = provide_rings(nexus_abi::kTraceDefaultRecords); provided.ok()) {
        static_cast<void>(trace::switch_to(kEventsFromBoot));
    } else {
        log::warn("no memory for the trace");
    }
}

SysResult sys_nexus_trace_control(Caller& caller, InOut<trace_control> control, std::uint64_t size) {
    auto wanted =
        copy_in_versioned(caller.space(), nexus_abi::In<trace_control>{mm::user_address(control).value()},
                          size, sizeof(trace_control));
    if (!wanted.ok()) {
        return wanted.error();
    }
    const std::uint32_t records =
        std::bit_ceil(std::clamp(wanted->records, kLeastRecords, nexus_abi::kTraceMaxRecords));
    if ((wanted->flags & ~nexus_abi::kTraceQuery) != 0 || (wanted->categories & ~nexus_abi::kTraceAll) != 0 ||
        wanted->records > nexus_abi::kTraceMaxRecords) {
        return Error::InvalidArgument;
    }
    if (!caller.has_right(nexus_abi::kRightSchedAdmin)) {
        return deny(caller);
    }
    {
        const LockGuard guard{control_lock};
        const std::uint32_t kept = records_kept();
        const bool queries = (wanted->flags & nexus_abi::kTraceQuery) != 0;
        if (!queries && kept != 0 && wanted->records != 0 && records != kept) {
            return Error::Busy;
        }
        if (!queries && kept == 0 && wanted->categories != 0) {
            const auto provided =
                provide_rings(wanted->records == 0 ? nexus_abi::kTraceDefaultRecords : records);
            if (!provided.ok()) {
                return provided.error();
            }
        }
        wanted->was = queries ? trace::switches.bits.load(std::memory_order_relaxed)
                              : trace::switch_to(wanted->categories);
        wanted->kept = records_kept();
        wanted->started = static_cast<std::uint64_t>(trace::began().ns());
    }
    const auto told = copy_out_versioned(
        caller.space(), Out<trace_control>{mm::user_address(control).value()}, size, *wanted);
    return told.ok() ? SysResult{0} : SysResult{told.error()};
}

SysResult sys_nexus_trace_read(Caller& caller, std::uint64_t cpu, Out<trace_record> records,
                               std::uint64_t count, InOut<std::uint64_t> cursor) {
    auto position = mm::copy_in(caller.space(), cursor);
    if (!position.ok()) {
        return position.error();
    }
    if (cpu >= kMaxCpus || !task::possible_cpus().contains(CpuId{static_cast<std::uint32_t>(cpu)})) {
        return Error::InvalidArgument;
    }
    if (!caller.has_right(nexus_abi::kRightSchedInspect)) {
        return deny(caller);
    }
    std::array<nexus_abi::trace_record, kRecordsPerCall> piece;
    const std::size_t filled =
        trace::ring_of(CpuId{static_cast<std::uint32_t>(cpu)})
            .read(*position, std::span{piece}.first(std::min<std::uint64_t>(count, piece.size())));
    const auto copied = mm::copy_out_array(caller.space(), records,
                                           std::span<const nexus_abi::trace_record>{piece}.first(filled));
    if (!copied.ok()) {
        return copied.error();
    }
    const auto stored = mm::copy_out(caller.space(), cursor, *position);
    return stored.ok() ? SysResult{filled} : SysResult{stored.error()};
}

}  // namespace kernel::syscall
