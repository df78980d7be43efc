// SPDX-License-Identifier: MIT
#include "machine.hpp"

#include <algorithm>
#include <array>
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
    bool software{false};
    Instant timer{Instant::never()};
    std::vector<kernel::LockRank> locks;
};
std::array<HartState, kernel::kMaxCpus> harts;
std::uint32_t hart_count = 0;
Instant time;
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
    return harts[hart].software || harts[hart].timer <= time;
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

Instant next_timer() {
    Instant next = Instant::never();
    for (std::uint32_t i = 0; i < hart_count; ++i) {
        if (harts[i].timer > time) {
            next = min(next, harts[i].timer);
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
    return static_cast<std::uint64_t>(explore::machine::time.ns());
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
    return (hart.software ? kPendingSoftware : 0) |
           (hart.timer <= explore::machine::time ? kPendingTimer : 0);
}
void wait_for_interrupt() {
    explore::choice();
    if (!explore::machine::is_interrupted(explore::current_hart())) {
        explore::wait();
    }
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

// One address space that holds nothing: translations are never wrong.
void remote_fence_i(CpuMask) {}
void flush_tlb(CpuMask, VirtAddr, std::uint64_t, std::uint16_t) {}
void switch_address_space(PhysAddr, std::uint16_t) {}
std::uint64_t physmap_base() {
    return reinterpret_cast<std::uint64_t>(explore::machine::ram) - explore::machine::kRamBase.value();
}

}  // namespace kernel::arch

namespace kernel {

void note_lock_acquired(LockRank rank) {
    auto& locks = explore::machine::harts[explore::current_hart()].locks;
    if (!locks.empty() && locks.back() >= rank) {
        explore::fail("a lock is taken out of order");
    }
    locks.push_back(rank);
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
