// SPDX-License-Identifier: MIT
#include "syscall/audit.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <span>

#include "arch/contract.hpp"
#include "mm/user_memory.hpp"
#include "sync/spinlock.hpp"
#include "syscall/dispatch.hpp"
#include "task/task_table.hpp"

namespace kernel::syscall {

namespace {

using nexus_abi::AuditWhat;

// So many at once, and one each kSpacing after that.
constexpr Duration kSpacing = Duration::milliseconds(10);
constexpr std::int64_t kBurst = 100;
constexpr std::size_t kRecordsPerCall = 16;

// Of the kinds in the order of AuditWhat. No two CPUs share a line.
struct alignas(64) Counts {
    std::array<std::atomic<std::uint64_t>, 3> of{};
};
constinit std::array<Counts, kMaxCpus> counts{};

constinit SpinLock lock{LockRank::Audit};
constinit std::array<audit_record, nexus_abi::kAuditRecords> records GUARDED_BY(lock){};
constinit std::uint64_t written GUARDED_BY(lock){0};
// When the next record would be due if they came evenly.
constinit std::atomic<std::int64_t> next_due_ns{0};
constinit std::atomic<std::uint32_t> left_out{0};

bool may_write(std::int64_t now) {
    std::int64_t due = next_due_ns.load(std::memory_order_relaxed);
    while (due - now < kBurst * kSpacing.ns()) {
        if (next_due_ns.compare_exchange_weak(due, std::max(due, now) + kSpacing.ns())) {
            return true;
        }
    }
    return false;
}

}  // namespace

void audit(Caller& caller, AuditWhat what, const task::Task* target, TaskId id, std::int64_t result,
           const AuditedField& field) {
    std::atomic<std::uint64_t>& count =
        counts[arch::current_cpu().value()].of[static_cast<std::size_t>(what) - 1];
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    const std::int64_t now = arch::now().ns();
    if (!may_write(now)) {
        left_out.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    const audit_record record{.time_ns = static_cast<std::uint64_t>(now),
                              .caller_serial = task::task_serial(caller.task.tid()),
                              .target_serial = target == nullptr ? 0 : task::task_serial(target->tid()),
                              .old_value = field.old_value,
                              .new_value = field.new_value,
                              .caller = caller.task.tid().value(),
                              .target = id.value(),
                              .call = static_cast<std::uint32_t>(caller.task.frame.syscall_number()),
                              .result = static_cast<std::int32_t>(result),
                              .what = static_cast<std::uint16_t>(what),
                              .field = field.number,
                              .left_out = left_out.exchange(0, std::memory_order_relaxed)};
    const LockGuard guard{lock};
    records[written % records.size()] = record;
    ++written;
}

Error deny(Caller& caller, TaskId id) {
    const Ref<task::Task> target = id.value() == 0 ? Ref<task::Task>{} : task::lookup_task(id);
    audit(caller, AuditWhat::Denied, target.get(), id, -static_cast<std::int64_t>(Error::NotPermitted));
    return Error::NotPermitted;
}

AuditCounts audit_counts(CpuId cpu) {
    const Counts& own = counts[cpu.value()];
    const auto count = [&own](AuditWhat what) {
        return own.of[static_cast<std::size_t>(what) - 1].load(std::memory_order_relaxed);
    };
    return {.denied = count(AuditWhat::Denied),
            .clamped = count(AuditWhat::Clamped),
            .foreign_sets = count(AuditWhat::ForeignSet)};
}

SysResult sys_nexus_audit_read(Caller& caller, Out<audit_record> out, std::uint64_t count,
                               InOut<std::uint64_t> cursor) {
    auto position = mm::copy_in(caller.space(), cursor);
    if (!position.ok()) {
        return position.error();
    }
    if (!caller.has_right(nexus_abi::kRightSchedInspect)) {
        return deny(caller);
    }
    std::array<audit_record, kRecordsPerCall> piece{};
    std::size_t filled = 0;
    {
        const LockGuard guard{lock};
        const std::uint64_t oldest = written > records.size() ? written - records.size() : 0;
        std::uint64_t at = std::clamp(*position, oldest, written);
        while (at < written && filled < std::min<std::uint64_t>(count, piece.size())) {
            piece[filled++] = records[at++ % records.size()];
        }
        *position = at;
    }
    const auto copied =
        mm::copy_out_array(caller.space(), out, std::span<const audit_record>{piece}.first(filled));
    if (!copied.ok()) {
        return copied.error();
    }
    const auto stored = mm::copy_out(caller.space(), cursor, *position);
    return stored.ok() ? SysResult{filled} : SysResult{stored.error()};
}

}  // namespace kernel::syscall
