// SPDX-License-Identifier: MIT
// Memory calls: Linux' flags into AddressSpace's terms. What takes long is done in steps; a step that is not
// the last keeps where to go on in Task::call_progress and lets others run.
#include <algorithm>
#include <atomic>

#include "arch/contract.hpp"
#include "file/tmpfs.hpp"
#include "mm/address_space.hpp"
#include "mm/layout.hpp"
#include "syscall/dispatch.hpp"
#include "task/dispatcher.hpp"
#include "task/file_table.hpp"
#include "task/open_file.hpp"

namespace kernel::syscall {

namespace {

// include/uapi/asm-generic/mman-common.h, mman.h
constexpr std::uint32_t kProtRead = 1;
constexpr std::uint32_t kProtWrite = 2;
constexpr std::uint32_t kProtExecute = 4;
constexpr std::uint32_t kProtAll = kProtRead | kProtWrite | kProtExecute;

constexpr std::uint32_t kMapTypeMask = 0x0f;
constexpr std::uint32_t kMapShared = 1;
constexpr std::uint32_t kMapPrivate = 2;
constexpr std::uint32_t kMapFixed = 0x10;
constexpr std::uint32_t kMapAnonymous = 0x20;
constexpr std::uint32_t kMapHugePages = 0x4'0000;
constexpr std::uint32_t kMapFixedNoReplace = 0x10'0000;

// Advice that has no effect here and none that a program could see: NORMAL, RANDOM, SEQUENTIAL, WILLNEED,
// HUGEPAGE, NOHUGEPAGE, DONTDUMP, DODUMP, COLD, PAGEOUT.
constexpr std::uint64_t kHarmlessAdvice =
    0xf | 1U << 14 | 1U << 15 | 1U << 16 | 1U << 17 | 1U << 20 | 1U << 21;
constexpr std::uint32_t kAdviceDontNeed = 4;
constexpr std::uint32_t kAdviceFree = 8;

// include/uapi/linux/membarrier.h
enum class Barrier : std::uint32_t {
    Query = 0,
    Global = 0x1,
    GlobalExpedited = 0x2,
    RegisterGlobalExpedited = 0x4,
    PrivateExpedited = 0x8,
    RegisterPrivateExpedited = 0x10,
    PrivateExpeditedSyncCore = 0x20,
    RegisterPrivateExpeditedSyncCore = 0x40,
    GetRegistrations = 0x200,
};
constexpr std::uint64_t kBarriers = 0x27f;

constexpr std::uint64_t kFlushLocal = 1;  // SYS_RISCV_FLUSH_ICACHE_LOCAL

Result<mm::Protection> to_protection(std::uint32_t bits) {
    if ((bits & ~kProtAll) != 0) {
        return Error::InvalidArgument;
    }
    return mm::Protection{.read = (bits & kProtRead) != 0,
                          .write = (bits & kProtWrite) != 0,
                          .execute = (bits & kProtExecute) != 0};
}

mm::Placement to_placement(std::uint32_t flags) {
    if ((flags & kMapFixedNoReplace) != 0) {
        return mm::Placement::FixedNoReplace;
    }
    return (flags & kMapFixed) != 0 ? mm::Placement::Fixed : mm::Placement::Anywhere;
}

SysResult to_result(const Result<mm::MapResult>& mapped) {
    if (!mapped.ok()) {
        return mapped.error();
    }
    return mapped->done ? SysResult{mapped->start.value()} : SysResult::again();
}

// Does one step of `act(start, bytes)`, a Result<Progress>, from where the last one stopped.
template <class Act>
SysResult in_steps(Caller& caller, std::uint64_t address, std::uint64_t length, Act&& act) {
    const std::uint64_t progress = caller.task.call_progress;
    const bool goes_on = progress > address && progress - address < length;
    const std::uint64_t start = goes_on ? progress : address;
    const Result<mm::Progress> step = act(VirtAddr{start}, length - (start - address));
    if (!step.ok()) {
        return step.error();
    }
    if (step->done) {
        return std::uint64_t{0};
    }
    caller.task.call_progress = step->next.value();
    return SysResult::again();
}

// RLIMIT_AS: whether there is one, and whether so much more may be mapped. What a fixed mapping replaces
// counts until it has.
bool is_limited(Caller& caller) {
    return caller.process.limits.get(task::ResourceLimits::kAddressSpace).current !=
           task::ResourceLimits::kUnlimited;
}
bool has_room(Caller& caller, std::uint64_t bytes) {
    const std::uint64_t limit = caller.process.limits.get(task::ResourceLimits::kAddressSpace).current;
    const std::uint64_t mapped = caller.space().mapped_bytes();
    return mapped <= limit && bytes <= limit - mapped;
}

Result<bool> is_shared(std::uint32_t flags) {
    switch (flags & kMapTypeMask) {
        case kMapShared:
        case kMapShared | kMapPrivate:  // MAP_SHARED_VALIDATE
            return true;
        case kMapPrivate:
            return false;
        default:
            return Error::InvalidArgument;
    }
}

// Fresh memory: a process's own, or, to be shared with those it forks, a file without a name.
SysResult map_zeros(Caller& caller, const mm::MapRequest& request, bool shared) {
    if (!shared) {
        return to_result(caller.space().map_anonymous(request));
    }
    const std::uint64_t bytes = mm::page_up(request.bytes);
    const auto file = file::tmpfs::create_unnamed("dev/zero", bytes);
    if (!file.ok()) {
        return Error::NoMemory;
    }
    // The mapping keeps it.
    return to_result(
        caller.space().map_file(request, {.file = &(*file)->contents, .bytes = bytes, .is_shared = true}));
}

SysResult map_file(Caller& caller, const mm::MapRequest& request, std::int32_t fd, std::int64_t offset,
                   bool shared) {
    const auto file = caller.files().find(fd);
    if (!file.ok()) {
        return file.error();
    }
    // As Linux: the descriptor's mode, then whether it can be mapped at all.
    if (!(*file)->is_readable() || (shared && request.protection.write && !(*file)->is_writable())) {
        return Error::AccessDenied;
    }
    const auto mappable = (*file)->mappable();
    if (!mappable.ok()) {
        return mappable.error();
    }
    if (mappable->is_zero) {
        return map_zeros(caller, request, shared);
    }
    if (offset < 0 || !mm::is_page_aligned(static_cast<std::uint64_t>(offset))) {
        return Error::InvalidArgument;
    }
    // A shared view of what nobody can write is the same as a private one.
    const bool is_seen_to_change = shared && mappable->object->is_memory();
    const mm::FileSlice slice{.file = mappable->object,
                              .offset = static_cast<std::uint64_t>(offset),
                              .bytes = mm::page_up(request.bytes),
                              .is_shared = is_seen_to_change,
                              .may_write = !is_seen_to_change || (*file)->is_writable()};
    return to_result(caller.space().map_file(request, slice));
}

}  // namespace

SysResult sys_brk(Caller& caller, std::uint64_t address) {
    if (is_limited(caller)) [[unlikely]] {
        const VirtAddr now = caller.space().set_break(VirtAddr{}).now;
        if (address > now.value() && !has_room(caller, address - now.value())) {
            return now.value();
        }
    }
    const mm::BreakResult moved = caller.space().set_break(VirtAddr{address});
    return moved.done ? SysResult{moved.now.value()} : SysResult::again();
}

SysResult sys_mmap(Caller& caller, std::uint64_t address, std::uint64_t length, std::uint32_t protection,
                   std::uint32_t flags, std::int32_t fd, std::int64_t offset) {
    const auto allowed = to_protection(protection);
    const auto shared = is_shared(flags);
    if (!allowed.ok() || !shared.ok() || length == 0 || (flags & kMapHugePages) != 0) {
        return Error::InvalidArgument;
    }
    // As Linux: a length that fits nowhere is a lack of memory, whatever its form.
    if (length > mm::kUserTop - mm::kUserBase) {
        return Error::NoMemory;
    }
    if (is_limited(caller) && !has_room(caller, mm::page_up(length))) [[unlikely]] {
        return Error::NoMemory;
    }
    const mm::Placement placement = to_placement(flags);
    const mm::MapRequest request{
        // A hint need not be aligned.
        .address =
            placement == mm::Placement::Anywhere ? mm::page_down(VirtAddr{address}) : VirtAddr{address},
        .bytes = length,
        .protection = *allowed,
        .placement = placement};
    if ((flags & kMapAnonymous) == 0) {
        return map_file(caller, request, fd, offset, *shared);
    }
    return map_zeros(caller, request, *shared);
}

SysResult sys_munmap(Caller& caller, std::uint64_t address, std::uint64_t length) {
    const SysResult done = in_steps(caller, address, length, [&](VirtAddr start, std::uint64_t bytes) {
        return caller.space().unmap(start, bytes);
    });
    // What a file that is gone left behind: the next call that may leave some gives back the rest.
    static_cast<void>(task::clean_up_step());
    return done;
}

SysResult sys_mprotect(Caller& caller, std::uint64_t address, std::uint64_t length,
                       std::uint32_t protection) {
    const auto allowed = to_protection(protection);
    if (!allowed.ok()) {
        return allowed.error();
    }
    return in_steps(caller, address, length, [&](VirtAddr start, std::uint64_t bytes) {
        return caller.space().protect(start, bytes, *allowed);
    });
}

SysResult sys_madvise(Caller& caller, std::uint64_t address, std::uint64_t length, std::uint32_t advice) {
    if (advice == kAdviceDontNeed || advice == kAdviceFree) {
        return in_steps(caller, address, length, [&](VirtAddr start, std::uint64_t bytes) {
            return caller.space().discard(start, bytes);
        });
    }
    const bool is_known = advice < 64 && ((kHarmlessAdvice >> advice) & 1) != 0;
    return is_known && mm::is_page_aligned(address) ? SysResult{std::uint64_t{0}}
                                                    : SysResult{Error::InvalidArgument};
}

SysResult sys_membarrier(Caller& caller, std::uint32_t command, std::uint32_t flags, std::int32_t) {
    if (flags != 0) {
        return Error::InvalidArgument;
    }
    std::atomic<std::uint32_t>& registered = caller.process.barriers;
    switch (static_cast<Barrier>(command)) {
        case Barrier::Query:
            return kBarriers;
        case Barrier::RegisterGlobalExpedited:
        case Barrier::RegisterPrivateExpedited:
        case Barrier::RegisterPrivateExpeditedSyncCore:
            registered.fetch_or(command);
            return std::uint64_t{0};
        case Barrier::GetRegistrations:
            return std::uint64_t{registered.load()};
        case Barrier::PrivateExpedited:
        case Barrier::PrivateExpeditedSyncCore:
            // Each one's registration is the next bit.
            if ((registered.load() & command << 1) == 0) {
                return Error::NotPermitted;
            }
            break;
        case Barrier::Global:
        case Barrier::GlobalExpedited:
            break;
        default:
            return Error::InvalidArgument;
    }
    // Every hart, though fewer may run the process: firmware takes each into machine mode, where it orders
    // what it did with what it is asked for (locks and fences of its own, then the FENCE.I), and says so
    // back.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    arch::remote_fence_i(task::started_cpus());
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return std::uint64_t{0};
}

SysResult sys_riscv_flush_icache(Caller&, std::uint64_t, std::uint64_t, std::uint64_t flags) {
    if ((flags & ~kFlushLocal) != 0) {
        return Error::InvalidArgument;
    }
    // "Local" means this thread, which may move to any of them; to one that is offline, later.
    arch::remote_fence_i(task::started_cpus());
    return std::uint64_t{0};
}

}  // namespace kernel::syscall
