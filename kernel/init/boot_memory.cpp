// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>

#include "arch/riscv64/cpu.hpp"
#include "init/boot.hpp"
#include "init/panic.hpp"
#include "lib/fixed_vector.hpp"
#include "lib/log.hpp"
#include "mm/asid.hpp"
#include "mm/frames.hpp"
#include "mm/junk.hpp"
#include "mm/kernel_map.hpp"
#include "mm/layout.hpp"
#include "mm/shadow.hpp"

extern "C" const char image_start[];
extern "C" const char image_end[];
extern "C" const char text_start[];
extern "C" const char text_end[];
extern "C" const char rodata_start[];
extern "C" const char rodata_end[];

namespace kernel::init {

namespace {

constexpr std::size_t kMaxRanges = 64;
using Ranges = FixedVector<mm::PhysRange, kMaxRanges>;

std::uint64_t device_tree_bytes(const BootArguments& boot) {
    const auto* blob = static_cast<const std::byte*>(phys_to_virt(boot.device_tree));
    return fdt::blob_bytes({blob, 40}).value_or(0);
}

std::uint64_t image_bytes() {
    return static_cast<std::uint64_t>(image_end - image_start);
}

// Takes [start, end) out of every range; partial pages at the edges go with it.
void subtract(Ranges& ranges, PhysAddr start, PhysAddr end) {
    start = mm::page_down(start);
    end = PhysAddr{mm::page_up(end.value())};
    Ranges rest;
    bool fits = true;
    for (const mm::PhysRange& range : ranges) {
        const PhysAddr low_end = std::min(range.end(), start);
        const PhysAddr high_start = std::max(range.start, end);
        if (range.start < low_end) {
            fits = rest.try_push({range.start, low_end - range.start}) && fits;
        }
        if (high_start < range.end()) {
            fits = rest.try_push({high_start, range.end() - high_start}) && fits;
        }
    }
    if (!fits) {
        log::warn("memory: too many separate ranges; some RAM is left unused");
    }
    ranges = rest;
}

// RAM inside the physmap, whole pages.
Ranges usable_ram() {
    Ranges ranges;
    for (const fdt::MemoryRange& range : machine().memory) {
        const std::uint64_t start = mm::page_up(range.start.value());
        const std::uint64_t end = std::min(mm::page_down(range.end().value()), mm::kPhysmapBytes);
        if (start < end && !ranges.try_push({PhysAddr{start}, end - start})) {
            log::warn("memory: too many ranges; some RAM is left unused");
        }
    }
    return ranges;
}

std::uint64_t total_bytes(const Ranges& ranges) {
    std::uint64_t total = 0;
    for (const mm::PhysRange& range : ranges) {
        total += range.bytes;
    }
    return total;
}

// Boot loaders put the device tree and the initrd where RAM is, which need not be where the tree says it is.
void add_missing(Ranges& ram, PhysAddr start, std::uint64_t bytes) {
    const PhysAddr first = mm::page_down(start);
    Ranges missing;
    bool fits = missing.try_push({first, mm::page_up(start.value() + bytes) - first.value()});
    for (const mm::PhysRange& range : ram) {
        subtract(missing, range.start, range.end());
    }
    for (const mm::PhysRange& range : missing) {
        fits = ram.try_push(range) && fits;
    }
    if (!fits) {
        panic("memory: too many ranges to map the device tree and the initrd");
    }
    std::ranges::sort(ram, {}, &mm::PhysRange::start);
}

mm::ImageSegment segment(const BootArguments& boot, const char* start, const char* end) {
    return {.start = VirtAddr{reinterpret_cast<std::uint64_t>(start)},
            .physical = boot.image + static_cast<std::uint64_t>(start - image_start),
            .bytes = static_cast<std::uint64_t>(end - start)};
}

}  // namespace

void start_memory(const BootArguments& boot) {
    Ranges free_ranges = usable_ram();
    const std::uint64_t ram = total_bytes(free_ranges);
    for (const fdt::ReservedRange& reserved : machine().reserved) {
        subtract(free_ranges, reserved.range.start, reserved.range.end());
    }
    // Whatever lies between the start of its RAM and the image is the firmware's, listed as reserved or not:
    // the boot protocol puts the image right behind it (Linux Documentation/arch/riscv/boot.rst).
    for (const fdt::MemoryRange& range : machine().memory) {
        if (range.start <= boot.image && boot.image < range.end()) {
            subtract(free_ranges, range.start, boot.image + image_bytes());
        }
    }
    subtract(free_ranges, boot.device_tree, boot.device_tree + device_tree_bytes(boot));
    if (machine().initrd.has_value()) {
        subtract(free_ranges, machine().initrd->start, machine().initrd->start + machine().initrd->bytes);
    }
    mm::set_junk(command_line().junk);
#ifdef NEURON_KASAN
    for (mm::PhysRange& range : free_ranges) {
        range = mm::set_up_shadow(range);
    }
    mm::start_watching();
#endif
    const std::uint64_t lost = mm::frames().init({free_ranges.begin(), free_ranges.size()});
    if (lost > 0) {
        log::warn("memory: ", ByteCount{lost}, " in too many far-apart places are left unused");
    }
    log::info("memory: ", ByteCount{ram}, " of RAM, ", ByteCount{mm::frames().stats().free * mm::kPageSize},
              " free");
}

void map_kernel(const BootArguments& boot) {
    Ranges ram = usable_ram();
    for (const fdt::ReservedRange& reserved : machine().reserved) {
        if (reserved.no_map) {
            subtract(ram, reserved.range.start, reserved.range.end());
        }
    }
    add_missing(ram, boot.device_tree, device_tree_bytes(boot));
    if (machine().initrd.has_value()) {
        add_missing(ram, machine().initrd->start, machine().initrd->bytes);
    }
    const mm::KernelMapDescription description{
        .text = segment(boot, text_start, text_end),
        .rodata = segment(boot, rodata_start, rodata_end),
        .data = segment(boot, rodata_end, image_end),
        .ram = {ram.begin(), ram.size()},
    };
    if (const auto built = mm::kernel_map().build(description); !built.ok()) {
        panic("no memory for the kernel's page table");
    }
    arch::switch_address_space(mm::kernel_map().root(), 0);
    asm volatile("sfence.vma" ::: "memory");  // the boot table's entries were global in effect
    if (const auto finding = mm::kernel_map().audit(); finding.has_value()) {
        panic("kernel map: ", mm::text(finding->finding), " at ", hex(finding->where.value()));
    }
    mm::set_highest_asid(arch::probe_highest_asid());
    arch::configure_page_zeroing(machine().common_isa.zicboz_block_bytes);
}

}  // namespace kernel::init
