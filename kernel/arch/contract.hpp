// SPDX-License-Identifier: MIT
// What the kernel asks of a machine, and nothing more. arch/riscv64 implements it on the target, arch/host
// for tests. The kernel runs with interrupts off from entry to exit, so nothing here saves or restores an
// interrupt state.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "lib/cpu_mask.hpp"
#include "lib/ids.hpp"
#include "lib/units.hpp"

#ifdef __riscv  // one instruction each on the target, a call on the host
#include "arch/riscv64/cpu_local.hpp"
#endif

namespace kernel::arch {

// ---- This hart ----

// The caller's CpuId. Before per-hart data exists (early boot) it is CpuId{0}.
#ifdef __riscv
[[nodiscard]] inline CpuId current_cpu() {
    return cpu_local().cpu;
}
#else
[[nodiscard]] CpuId current_cpu();
#endif
// A hint inside a spin loop.
void cpu_relax();
// Whether loads and stores of this hart's kernel reach pages that are open to programs. They never should.
[[nodiscard]] bool can_touch_user_pages();
// Stores with release order. An atomic store of the compiler's is an exchange, which is longer and slower.
#ifdef __riscv
inline void store_release(std::atomic<std::uint32_t>& word, std::uint32_t value) {
    asm volatile("fence rw, w\n\tsw %1, %0" : "=m"(word) : "r"(value) : "memory");
}
#else
inline void store_release(std::atomic<std::uint32_t>& word, std::uint32_t value) {
    word.store(value, std::memory_order_release);
}
#endif
// Stores a word with no order at all.
#ifdef __riscv
template <class Word>
inline void store_relaxed(std::atomic<Word>& word, Word value) {
    static_assert(sizeof(word) == 4);
    asm volatile("sw %1, %0" : "=m"(word) : "r"(value));
}
inline void store_relaxed(std::uint64_t& word, std::uint64_t value) {
    asm volatile("sd %1, %0" : "=m"(word) : "r"(value));
}
#else
inline void store_relaxed(std::uint64_t& word, std::uint64_t value) {
    std::atomic_ref{word}.store(value, std::memory_order_relaxed);
}
template <class Word>
inline void store_relaxed(std::atomic<Word>& word, Word value) {
    word.store(value, std::memory_order_relaxed);
}
#endif
// The step of a ticket lock that is free: takes the ticket that is next if it is the one served. Acquires
// what the release of `serving` by the holder before published. Taking the ticket need not: it succeeds only
// if nobody took one since, so what is read in between is what the holder reads. False also when the hart
// lost its reservation, as it may for no reason at all. A compiler's compare and exchange is longer.
#ifdef __riscv
[[gnu::always_inline]] inline bool take_ticket_in_turn(std::atomic<std::uint32_t>& next,
                                                       const std::atomic<std::uint32_t>& serving) {
    std::int64_t ticket;
    std::int64_t failed;
    asm volatile(
        "lw %0, %3\n\t"
        "fence r, rw\n\t"
        "lr.w %1, %2\n\t"
        "subw %1, %1, %0\n\t"
        "bnez %1, 1f\n\t"
        "addiw %0, %0, 1\n\t"
        "sc.w %1, %0, %2\n"
        "1:"
        : "=&r"(ticket), "=&r"(failed), "+A"(next)
        : "m"(serving)
        : "memory");
    return failed == 0;
}
#else
inline bool take_ticket_in_turn(std::atomic<std::uint32_t>& next, const std::atomic<std::uint32_t>& serving) {
    auto ticket = serving.load(std::memory_order_acquire);
    return next.compare_exchange_strong(ticket, ticket + 1, std::memory_order_relaxed);
}
#endif

// ---- Time ----

// Time since boot; monotonic and the same on every hart to within the timebase's period.
[[nodiscard]] Instant now();
// Programs this hart's one-shot timer; Instant::never() disarms it. A past instant fires at once.
void set_timer(Instant when);

// ---- Other harts ----

// Interrupts each member of `cpus`. An IPI may merge with one already pending.
void send_ipi(CpuMask cpus);
// Makes all instruction stores so far visible to instruction fetch on each member of `cpus` (the caller
// included).
void remote_fence_i(CpuMask cpus);
// Drops translations of [start, start + bytes) in address space `asid` on each member of `cpus`; complete on
// return. asid 0 means the kernel's own mappings too. Answered by the firmware even while the target has
// interrupts off, so it is safe with locks held.
void flush_tlb(CpuMask cpus, VirtAddr start, std::uint64_t bytes, std::uint16_t asid);

// ---- Memory ----

// Zeroes a page (4096 bytes, aligned) of RAM, by the widest stores every hart has.
void zero_page(void* page);
// Copies a page. Pre: both aligned, not the same.
void copy_page(void* __restrict to, const void* __restrict from);

// Where physical address 0 appears in the kernel's linear map of RAM: a constant on the target, wherever a
// test has put its memory on the host.
#ifdef __riscv
[[nodiscard]] constexpr std::uint64_t physmap_base() {
    return 0xffff'ffc0'0000'0000;
}
#else
[[nodiscard]] std::uint64_t physmap_base();
#endif
// Makes `root` the current user address space of this hart. asid 0 = the hart has no ASIDs: everything is
// flushed.
void switch_address_space(PhysAddr root, std::uint16_t asid);

}  // namespace kernel::arch

namespace kernel {

// RAM is always mapped; these do not check that the address is RAM.
[[nodiscard]] inline void* phys_to_virt(PhysAddr address) {
    return reinterpret_cast<void*>(arch::physmap_base() + address.value());
}
// Pre: pointer came from phys_to_virt (not from the kernel image's own mapping).
[[nodiscard]] inline PhysAddr virt_to_phys(const void* pointer) {
    return PhysAddr{reinterpret_cast<std::uint64_t>(pointer) - arch::physmap_base()};
}

}  // namespace kernel
