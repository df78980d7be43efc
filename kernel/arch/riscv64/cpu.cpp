// SPDX-License-Identifier: MIT
// arch/contract.hpp for riscv64 over SBI, and the hart control of cpu.hpp.
#include "arch/riscv64/cpu.hpp"

#include <atomic>
#include <bit>

#include "arch/contract.hpp"
#include "arch/riscv64/csr.hpp"
#include "arch/riscv64/errata.hpp"
#include "arch/riscv64/faults.hpp"
#include "arch/riscv64/sbi.hpp"
#include "lib/check.hpp"

extern "C" const char image_start[];

namespace kernel::arch {

constinit std::array<CpuLocal, kMaxCpus> cpu_locals{};

extern "C" {
// tp of the boot hart until its entry in cpu_locals is known.
constinit CpuLocal boot_cpu_local{};
}

using riscv64::clear_csr_bits;
using riscv64::Csr;
using riscv64::read_csr;
using riscv64::set_csr_bits;
using riscv64::write_csr;

namespace {

// ns = (ticks << shift) * factor >> 64, where factor / 2^(64 - shift) is the length of a tick, less than
// 2^shift: the upper half of a product, and exact where a tick is a whole number of nanoseconds (timebases of
// 1, 4 and 10 MHz). Back by ticks = ns * ticks_per_ns >> kFraction.
constexpr unsigned kFraction = 32;
constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

struct Clock {
    std::uint64_t boot_ticks{0};
    std::uint64_t factor{0};
    std::uint32_t shift{0};
    std::uint64_t hz{0};
    std::uint64_t ticks_per_ns{0};
    TimerPath path{TimerPath::Firmware};
};

// Immutable after configure_time().
constinit Clock clock;

std::uint64_t scale(std::uint64_t value, std::uint64_t factor) {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(value) * factor) >> kFraction);
}

// A deadline further off than this is programmed as this; the early interrupt re-arms the timer.
constexpr std::int64_t kMaxTimerNs = std::int64_t{3600} * 1'000'000'000;

// The firmware's names for a set of CPUs.
class HartList {
  public:
    explicit HartList(CpuMask cpus) {
        cpus.for_each([this](CpuId cpu) { harts_[count_++] = cpu_locals[cpu.value()].hart; });
    }
    [[nodiscard]] std::span<const HartId> harts() const { return {harts_.data(), count_}; }

  private:
    std::array<HartId, kMaxCpus> harts_;
    std::size_t count_{0};
};

// Immutable after boot.
constinit PhysAddr image_physical_base{};

constinit std::atomic<ErrataSet> errata_found{0};

}  // namespace

void note_errata(ErrataSet found) {
    errata_found.fetch_or(found);
}

bool has_erratum(Erratum erratum) {
    // Relaxed: a hart that has one noted it before it took part in anything.
    return (errata_found.load(std::memory_order_relaxed) & bit_of(erratum)) != 0;
}

void set_image_base(PhysAddr base) {
    image_physical_base = base;
}
PhysAddr image_base() {
    return image_physical_base;
}

// The image is mapped linearly, so one known pair of addresses gives all.
PhysAddr image_physical(const void* object) {
    return image_physical_base +
           (reinterpret_cast<std::uint64_t>(object) - reinterpret_cast<std::uint64_t>(image_start));
}

std::uint16_t probe_highest_asid() {
    std::uint64_t satp;
    std::uint64_t widest;
    asm volatile(
        "csrr %0, satp\n\t"
        "or %1, %0, %2\n\t"
        "csrw satp, %1\n\t"
        "csrr %1, satp\n\t"
        "csrw satp, %0\n\t"
        "sfence.vma"
        : "=&r"(satp), "=&r"(widest)
        : "r"(riscv64::satp::kAsidMask)
        : "memory");
    return static_cast<std::uint16_t>((widest & riscv64::satp::kAsidMask) >> riscv64::satp::kAsidShift);
}

void configure_time(std::uint64_t timebase_hz, TimerPath path) {
    CHECK(timebase_hz > 0 && timebase_hz <= kNsPerSecond);
    clock.hz = timebase_hz;
    clock.shift = static_cast<std::uint32_t>(std::bit_width(kNsPerSecond / timebase_hz));
    // A division of 64 bits at a time: what is left of the first one has its turn in the second.
    const unsigned rest = 64 - clock.shift - kFraction;
    const std::uint64_t high = kNsPerSecond << kFraction;
    clock.factor = (high / timebase_hz << rest) + (high % timebase_hz << rest) / timebase_hz;
    clock.ticks_per_ns = (timebase_hz << kFraction) / kNsPerSecond;
    clock.boot_ticks = read_ticks();
    clock.path = path;
}

std::uint64_t ticks_to_ns(std::uint64_t ticks) {
    return static_cast<std::uint64_t>(static_cast<unsigned __int128>(ticks << clock.shift) * clock.factor >>
                                      64U);
}

std::uint64_t timebase_hz() {
    return clock.hz;
}

bool can_touch_user_pages() {
    return (read_csr<Csr::Sstatus>() & (riscv64::sstatus::kSum | riscv64::sstatus::kMxr)) != 0;
}

void cpu_relax() {
    // Zihintpause; a fence hint on harts without it.
    asm volatile(".insn i 0x0F, 0, x0, x0, 0x010" ::: "memory");
}

Instant now() {
    return Instant::from_ns(static_cast<std::int64_t>(ticks_to_ns(read_ticks() - clock.boot_ticks)));
}

void set_timer(Instant when) {
    std::uint64_t ticks = ~std::uint64_t{0};
    if (!when.is_never()) {
        const std::uint64_t current = read_ticks();
        const auto current_ns = static_cast<std::int64_t>(ticks_to_ns(current - clock.boot_ticks));
        std::int64_t delta = when.ns() - current_ns;
        delta = delta < 0 ? 0 : delta;
        delta = delta > kMaxTimerNs ? kMaxTimerNs : delta;
        if (faults::happens(faults::Kind::TimerLate)) {
            constexpr std::int64_t kLateNs = 300'000;
            delta += kLateNs;
        } else if (faults::happens(faults::Kind::TimerEarly)) {
            delta /= 2;
        }
        // Rounded up: a timer that fires a tick early finds nothing to do and has to be armed again.
        ticks = current + scale(static_cast<std::uint64_t>(delta), clock.ticks_per_ns) + 1;
    }
    switch (clock.path) {
        case TimerPath::Stimecmp:
            write_csr<Csr::Stimecmp>(ticks);
            break;
        case TimerPath::Firmware:
            CHECK(sbi::set_timer(ticks).ok());
            break;
        case TimerPath::LegacyCall:
            sbi::legacy_set_timer(ticks);
            break;
    }
}

void rest_until(Instant when) {
    if (clock.path == TimerPath::Stimecmp) {
        set_timer(when);
        wait_for_interrupt();
        return;
    }
    while (now() < when && pending_interrupts() == 0) {
        cpu_relax();
    }
}

void send_ipi(CpuMask cpus) {
    if (faults::happens(faults::Kind::IpiLost)) {
        return;
    }
    if (faults::happens(faults::Kind::IpiSpurious)) {
        cpus.add(current_cpu());
    }
    const HartList list{cpus};
    CHECK(sbi::send_ipi(list.harts()).ok());
    if (faults::happens(faults::Kind::IpiDoubled)) {
        CHECK(sbi::send_ipi(list.harts()).ok());
    }
}

void remote_fence_i(CpuMask cpus) {
    asm volatile("fence rw, rw\n\tfence.i" ::: "memory");
    cpus.remove(current_cpu());
    if (cpus.empty()) {
        return;
    }
    const HartList list{cpus};
    CHECK(sbi::remote_fence_i(list.harts()).ok());
}

namespace {

// Every translation, of any space.
void flush_whole_tlb(CpuMask cpus, CpuId self) {
    if (cpus.contains(self)) {
        asm volatile("sfence.vma" ::: "memory");
        cpus.remove(self);
    }
    const HartList list{cpus};
    CHECK(sbi::remote_sfence_vma(list.harts(), VirtAddr{0}, ~std::uint64_t{0}).ok());
}

constexpr std::uint64_t kPage = 4096;

[[gnu::noinline]] void flush_any_tlb(CpuMask cpus, VirtAddr start, std::uint64_t bytes, std::uint16_t asid) {
    // Beyond this many pages one flush of the whole address space is cheaper than one instruction per page.
    constexpr std::uint64_t kPagesByAddress = 16;
    const CpuId self = current_cpu();
    if (has_erratum(Erratum::NarrowFenceIncomplete)) {
        flush_whole_tlb(cpus, self);
        return;
    }
    if (cpus.contains(self)) {
        const std::uint64_t asid_register = asid;
        const bool is_short = bytes <= kPagesByAddress * kPage;
        // With an ASID in rs2, even 0, global mappings stay (Privileged Architecture, SFENCE.VMA): asid 0
        // leaves it out.
        if (!is_short && asid == 0) {
            asm volatile("sfence.vma" ::: "memory");
        } else if (!is_short) {
            asm volatile("sfence.vma zero, %0" ::"r"(asid_register) : "memory");
        }
        for (std::uint64_t va = start.value(); is_short && va < start.value() + bytes; va += kPage) {
            if (asid == 0) {
                asm volatile("sfence.vma %0" ::"r"(va) : "memory");
            } else {
                asm volatile("sfence.vma %0, %1" ::"r"(va), "r"(asid_register) : "memory");
            }
        }
        cpus.remove(self);
    }
    if (cpus.empty()) {
        return;
    }
    const HartList list{cpus};
    const Result<void> flushed = asid == 0 ? sbi::remote_sfence_vma(list.harts(), start, bytes)
                                           : sbi::remote_sfence_vma_asid(list.harts(), start, bytes, asid);
    CHECK(flushed.ok());
}

}  // namespace

void flush_tlb(CpuMask cpus, VirtAddr start, std::uint64_t bytes, std::uint16_t asid) {
    // What most are: a page of a space that no other hart has used. What flush_any_tlb() comes down to then.
    if (bytes == kPage && asid != 0 && cpus == CpuMask::of(current_cpu()) &&
        !has_erratum(Erratum::NarrowFenceIncomplete)) [[likely]] {
        const std::uint64_t va = start.value();
        const std::uint64_t asid_register = asid;
        asm volatile("sfence.vma %0, %1" ::"r"(va), "r"(asid_register) : "memory");
        return;
    }
    flush_any_tlb(cpus, start, bytes, asid);
}

void switch_address_space(PhysAddr root, std::uint16_t asid) {
    const std::uint64_t satp = riscv64::satp::sv39(root.value() >> 12, asid);
    if (asid == 0 && has_erratum(Erratum::NarrowFenceIncomplete)) {
        asm volatile("csrw satp, %0\n\tsfence.vma" ::"r"(satp) : "memory");
    } else if (asid == 0) {
        // Everything but global pages, which are the kernel's own and the same in every space.
        const std::uint64_t no_asid = 0;
        asm volatile("csrw satp, %0\n\tsfence.vma zero, %1" ::"r"(satp), "r"(no_asid) : "memory");
    } else {
        write_csr<Csr::Satp>(satp);
    }
}

std::uint64_t pending_interrupts() {
    return read_csr<Csr::Sip>();
}

void acknowledge_ipi() {
    clear_csr_bits<Csr::Sip>(kPendingSoftware);
}

bool fp_is_dirty() {
    return (read_csr<Csr::Sstatus>() & riscv64::sstatus::kFsMask) == riscv64::sstatus::kFsDirty;
}

void fp_set_clean() {
    clear_csr_bits<Csr::Sstatus>(riscv64::sstatus::kFsMask);
    set_csr_bits<Csr::Sstatus>(riscv64::sstatus::kFsClean);
}

}  // namespace kernel::arch
