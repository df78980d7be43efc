// SPDX-License-Identifier: MIT
#include "machine.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "arch/contract.hpp"
#include "arch/riscv64/cpu.hpp"
#include "explorer.hpp"
#include "mm/address_space.hpp"
#include "mm/frames.hpp"
#include "sync/lock_rank.hpp"
#include "task/dispatcher.hpp"
#include "wire.hpp"

namespace explore::machine {

namespace {

using kernel::CpuId;
using kernel::CpuMask;
using kernel::Instant;
using kernel::PhysAddr;

constexpr PhysAddr kRamBase{0x8000'0000};
constexpr std::uint64_t kRamBytes = std::uint64_t{32} << 20;
constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kRamAlignment = std::size_t{2} << 20;
// Time of a step that does not wait for a timer: later instants are different from earlier ones.
constexpr std::int64_t kStart = 1'000'000;

struct HartState {
    Wire<bool> software{false};
    Wire<Instant> timer{Instant::never()};
    std::vector<kernel::LockRank> locks;
    // satp and the translation cache, of one entry.
    PhysAddr root;
    std::uint16_t asid{0};
    bool remembers{false};
    std::uint16_t remembered_asid{0};
    kernel::VirtAddr remembered_page;
    PhysAddr remembered_frame;
};
std::array<HartState, kernel::kMaxCpus> harts;
std::uint32_t hart_count = 0;
Wire<Instant> time;
std::byte* ram = nullptr;

void set_up_memory() {
    ram = static_cast<std::byte*>(std::aligned_alloc(kRamAlignment, kRamBytes));
    const std::array ranges{kernel::mm::PhysRange{kRamBase, kRamBytes}};
    static_cast<void>(kernel::mm::frames().init(ranges));
}

}  // namespace

void reset(std::uint32_t count) {
    if (ram == nullptr) {
        set_up_memory();
    }
    harts = {};
    hart_count = count;
    time = Instant::from_ns(kStart);
    for (std::uint32_t i = 0; i < kernel::kMaxCpus; ++i) {
        kernel::arch::cpu_locals[i].cpu = CpuId{i};
    }
}

void track_memory() {
    track(ram, kRamBytes);
}

kernel::task::Process& process() {
    static kernel::task::Process* const the_process = [] {
        auto process = kernel::task::Process::create();
        auto space = kernel::mm::AddressSpace::create(*kernel::mm::frames().allocate_zeroed_frame());
        (*process)->set_space(*space);
        return process->release();
    }();
    return *the_process;
}

bool is_interrupted(std::uint32_t hart) {
    return harts[hart].software || Instant{harts[hart].timer} <= Instant{time};
}

void take_interrupts() {
    const std::uint64_t pending = kernel::arch::pending_interrupts();
    if ((pending & kernel::arch::kPendingSoftware) != 0) {
        kernel::task::handle_ipi();
    }
    if ((pending & kernel::arch::kPendingTimer) != 0) {
        kernel::task::handle_timer_interrupt();
    }
}

namespace {

// The privileged architecture, "Sv39": three levels of 512 entries, bit 0 valid, frame number from bit 10.
constexpr std::uint64_t kValid = 1;
constexpr std::uint32_t kFrameShift = 10;
constexpr std::uint32_t kPageShift = 12;
constexpr std::uint32_t kIndexBits = 9;
constexpr std::uint32_t kTopLevel = 2;

PhysAddr frame_in(std::uint64_t entry) {
    return PhysAddr{(entry >> kFrameShift) << kPageShift};
}

std::uint64_t* entry_at(PhysAddr table, kernel::VirtAddr page, std::uint32_t level) {
    const std::uint64_t index =
        (page.value() >> (kPageShift + kIndexBits * level)) & ((1U << kIndexBits) - 1);
    return reinterpret_cast<std::uint64_t*>(bytes_of(table)) + index;
}

}  // namespace

std::byte* bytes_of(PhysAddr page) {
    return ram + (page.value() - kRamBase.value());
}

PhysAddr root_of(std::uint32_t hart) {
    return harts[hart].root;
}

std::uint64_t* entry_of(PhysAddr root, kernel::VirtAddr page) {
    PhysAddr table = root;
    for (std::uint32_t level = kTopLevel; level > 0; --level) {
        table = frame_in(*entry_at(table, page, level));
    }
    return entry_at(table, page, 0);
}

PhysAddr translate(kernel::VirtAddr page) {
    HartState& hart = harts[current_hart()];
    choice();
    if (hart.remembers && hart.remembered_asid == hart.asid && hart.remembered_page == page) {
        return hart.remembered_frame;
    }
    PhysAddr table = hart.root;
    for (std::uint32_t level = kTopLevel;; --level) {
        const std::uint64_t entry =
            std::atomic_ref{*entry_at(table, page, level)}.load(std::memory_order_relaxed);
        if ((entry & kValid) == 0) {
            return PhysAddr{};
        }
        table = frame_in(entry);
        if (level == 0) {
            break;
        }
    }
    hart.remembers = true;
    hart.remembered_asid = hart.asid;
    hart.remembered_page = page;
    hart.remembered_frame = table;
    return table;
}

Instant next_timer() {
    Instant next = Instant::never();
    for (std::uint32_t i = 0; i < hart_count; ++i) {
        const Instant timer = harts[i].timer;
        if (timer > Instant{time}) {
            next = min(next, timer);
        }
    }
    return next;
}

void advance_to_next_timer() {
    time = next_timer();
}

}  // namespace explore::machine

namespace kernel::arch {

using explore::machine::harts;
using explore::machine::kPageBytes;

std::array<CpuLocal, kMaxCpus> cpu_locals;
CpuLocal& cpu_local() {
    return cpu_locals[explore::current_hart()];
}
CpuId current_cpu() {
    return CpuId{explore::current_hart()};
}
void cpu_relax() {
    explore::spin();
}
Instant now() {
    return explore::machine::time;
}
std::uint64_t read_ticks() {
    return static_cast<std::uint64_t>(now().ns());
}
std::uint64_t ticks_to_ns(std::uint64_t ticks) {
    return ticks;
}
void set_timer(Instant when) {
    harts[explore::current_hart()].timer = when;
}
void send_ipi(CpuMask cpus) {
    cpus.for_each([](CpuId cpu) { harts[cpu.value()].software = true; });
    explore::choice();
}
void acknowledge_ipi() {
    harts[explore::current_hart()].software = false;
}
std::uint64_t pending_interrupts() {
    const auto& hart = harts[explore::current_hart()];
    return (hart.software ? kPendingSoftware : 0) | (Instant{hart.timer} <= now() ? kPendingTimer : 0);
}
void wait_for_interrupt() {
    explore::choice();
    if (!explore::machine::is_interrupted(explore::current_hart())) {
        explore::wait();
    }
}
void rest_until(Instant when) {
    set_timer(when);
    wait_for_interrupt();
}
bool can_touch_user_pages() {
    return false;
}
bool fp_is_dirty() {
    return false;
}
void fp_set_clean() {}
extern "C" void arch_save_fp(FpState*) {}
extern "C" void arch_restore_fp(const FpState*) {}

void zero_page(void* page) {
    std::memset(page, 0, kPageBytes);
}
void copy_page(void* __restrict to, const void* __restrict from) {
    std::memcpy(to, from, kPageBytes);
}

void remote_fence_i(CpuMask) {}
// Each hart forgets when the request reaches it, and walks no tables older than those of who asked (SBI
// specification, "RFENCE": the call returns once all have).
void flush_tlb(CpuMask cpus, VirtAddr start, std::uint64_t bytes, std::uint16_t asid) {
    cpus.for_each([&](CpuId cpu) {
        explore::choice();
        auto& hart = harts[cpu.value()];
        const bool is_there = hart.remembered_page >= start && hart.remembered_page - start < bytes;
        if (hart.remembered_asid == asid && is_there) {
            hart.remembers = false;
        }
        explore::catch_up(cpu.value());
    });
}
// As riscv64 does: without an ASID all is forgotten that has none.
void switch_address_space(PhysAddr root, std::uint16_t asid) {
    explore::choice();
    auto& hart = harts[explore::current_hart()];
    hart.root = root;
    hart.asid = asid;
    if (asid == 0 && hart.remembered_asid == 0) {
        hart.remembers = false;
    }
    explore::choice();
}
std::uint64_t physmap_base() {
    return reinterpret_cast<std::uint64_t>(explore::machine::ram) - explore::machine::kRamBase.value();
}

}  // namespace kernel::arch

namespace kernel {

void note_lock_acquired(LockRank rank) {
    auto& locks = explore::machine::harts[explore::current_hart()].locks;
    if (std::ranges::any_of(locks, [&](LockRank held) { return held >= rank; })) {
        explore::fail("a lock is taken out of order");
    }
    locks.push_back(rank);
}

void note_lock_tried(LockRank rank) {
    explore::machine::harts[explore::current_hart()].locks.push_back(rank);
}

void note_lock_released(LockRank rank) {
    auto& locks = explore::machine::harts[explore::current_hart()].locks;
    const auto newest = std::find(locks.rbegin(), locks.rend(), rank);
    if (newest == locks.rend()) {
        explore::fail("a lock is given back that was not taken");
        return;
    }
    locks.erase(std::next(newest).base());
}

}  // namespace kernel
