// SPDX-License-Identifier: MIT
// What the compiler calls in builds with NEURON_KASAN, before each access to memory (GCC,
// -fsanitize=kernel-address with calls instead of inline checks), and who answers: the shadow of RAM and the
// report.
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "arch/contract.hpp"
#include "lib/fatal.hpp"
#include "lib/format.hpp"
#include "mm/shadow.hpp"

namespace kernel::mm {

namespace {

constexpr std::size_t kMaxStretches = 8;
constexpr std::size_t kReportBytes = 390;

// Who had a frame last; of a slab's frames, what it holds.
struct FrameRecord {
    CallSites allocated{};
    CallSites freed{};
    const SlabShape* slab{nullptr};  // its own, in the header of the slab
};
static_assert(sizeof(FrameRecord) <= kPageSize / 64);

struct Stretch {
    ShadowMap map;
    std::uintptr_t start{0};
    FrameRecord* records{nullptr};
    [[nodiscard]] FrameRecord& record(std::uintptr_t address) const {
        return records[(address - start) >> kPageShift];
    }
};

// Immutable once is_watching.
constinit std::array<Stretch, kMaxStretches> stretches{};
constinit std::size_t stretch_count = 0;
// Off again while a report is made: what it reads is its own matter.
constinit bool is_watching = false;

Stretch* stretch_of(std::uintptr_t address) {
    for (std::size_t i = 0; i < stretch_count; ++i) {
        if (stretches[i].map.covers(address)) {
            return &stretches[i];
        }
    }
    return nullptr;
}

// How many calls lie between here and who called an allocator, for frames and for objects.
constexpr std::size_t kFrameCalls = 4;
constexpr std::size_t kObjectCalls = 3;

// Up the frame pointers, as walk_frames() does, as far as this stack can reach. A hart stack ends where its
// slot does.
[[gnu::noinline]] CallSites call_sites(std::size_t skipped) {
    CallSites sites{};
    auto frame = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    const std::uintptr_t end = (frame | (kHartStackSlotBytes - 1)) + 1;
    for (std::size_t i = 0; i < sites.size() + skipped; ++i) {
        std::uint64_t site = 0;
        std::uintptr_t next = 0;
        std::memcpy(&site, reinterpret_cast<const void*>(frame - 8), sizeof(site));
        std::memcpy(&next, reinterpret_cast<const void*>(frame - 16), sizeof(next));
        if (i >= skipped) {
            sites[i - skipped] = site;
        }
        if (next <= frame || next >= end || next % 16 != 0) {
            break;
        }
        frame = next;
    }
    return sites;
}

LineWriter& operator<<(LineWriter& line, const CallSites& sites) {
    for (const std::uint64_t site : sites) {
        if (site != 0) {
            line << (site == sites[0] ? "" : " < ") << hex(site);
        }
    }
    return line;
}

ObjectRecord& record_of(void* object, std::size_t object_bytes) {
    const std::size_t offset = (object_bytes + kGranule - 1) / kGranule * kGranule;
    return *reinterpret_cast<ObjectRecord*>(static_cast<std::byte*>(object) + offset);
}

void tell_history(LineWriter& line, const CallSites& allocated, const CallSites& freed, bool is_freed) {
    if (allocated[0] != 0) {
        line << "; allocated by " << allocated;
    }
    if (is_freed && freed[0] != 0) {
        line << "; freed by " << freed;
    }
}

void describe_object(LineWriter& line, const SlabShape& slab, std::uintptr_t address, std::uint8_t shadow) {
    if (address < slab.first) {
        line << "header of a slab of " << slab.name;
        return;
    }
    const std::size_t index = (address - slab.first) / slab.stride;
    const std::uintptr_t object = slab.first + index * slab.stride;
    const std::size_t offset = address - object;
    const bool is_freed = shadow == static_cast<std::uint8_t>(Shadow::FreeObject);
    if (offset >= slab.object_bytes) {
        line << offset - slab.object_bytes << " bytes behind the end of an object of " << slab.name;
    } else {
        line << "byte " << offset << " of " << (is_freed ? "a freed object of " : "no object yet of ")
             << slab.name;
    }
    line << " (" << slab.object_bytes << " bytes at " << hex(object) << ')';
    const ObjectRecord& record = record_of(reinterpret_cast<void*>(object), slab.object_bytes);
    tell_history(line, record.allocated, record.freed, is_freed);
}

[[noreturn, gnu::noinline]] void report(const Stretch& stretch, std::uintptr_t address, std::uint64_t bytes,
                                        std::uintptr_t forbidden, bool is_write, std::uint64_t pc) {
    is_watching = false;
    const FrameRecord& record = stretch.record(forbidden);
    const std::uint8_t shadow = stretch.map.at(forbidden);
    Line<kReportBytes> line;
    line << "KASAN: " << bytes << (is_write ? " bytes written at " : " bytes read at ") << hex(address)
         << " by " << hex(pc) << ": ";
    if (shadow == static_cast<std::uint8_t>(Shadow::FreeFrame)) {
        line << "a free frame";
        tell_history(line, record.allocated, record.freed, true);
    } else if (record.slab != nullptr) {
        describe_object(line, *record.slab, forbidden, shadow);
    } else {
        line << "memory of kind " << hex(shadow);
    }
    fatal(line.text());
}

}  // namespace

PhysRange set_up_shadow(PhysRange free) {
    const std::uint64_t pages = free.bytes >> kPageShift;
    const std::uint64_t shadow_bytes = page_up(pages * (kPageSize / kGranule));
    const std::uint64_t record_bytes = page_up(pages * sizeof(FrameRecord));
    const std::uint64_t start = page_up(free.start.value());
    const std::uint64_t end = page_down(free.end().value());
    if (stretch_count == kMaxStretches || end <= start || end - start <= shadow_bytes + record_bytes) {
        return free;
    }
    const std::uint64_t rest = end - start - shadow_bytes - record_bytes;
    auto* const virtual_start = static_cast<std::byte*>(phys_to_virt(PhysAddr{start}));
    Stretch& stretch = stretches[stretch_count++];
    stretch.start = reinterpret_cast<std::uintptr_t>(virtual_start);
    stretch.map.init(stretch.start, rest, reinterpret_cast<std::uint8_t*>(virtual_start + rest));
    stretch.records = reinterpret_cast<FrameRecord*>(virtual_start + rest + shadow_bytes);
    std::uninitialized_value_construct_n(stretch.records, rest >> kPageShift);
    return {PhysAddr{start}, rest};
}

void start_watching() {
    is_watching = true;
}

void check_access(std::uintptr_t address, std::uint64_t bytes, bool is_write, std::uint64_t pc) {
    if (!is_watching || bytes == 0) {
        return;
    }
    Stretch* const stretch = stretch_of(address);
    if (stretch == nullptr) {
        return;
    }
    // Nearly all: one granule, all of which may be used.
    if (stretch->map.at(address) == 0 && address % kGranule + bytes <= kGranule) [[likely]] {
        return;
    }
    if (const auto forbidden = stretch->map.first_forbidden(address, bytes); forbidden.has_value()) {
        report(*stretch, address, bytes, *forbidden, is_write, pc);
    }
}

void note_block_given_out(PhysAddr block, std::uint64_t bytes) {
    const auto address = reinterpret_cast<std::uintptr_t>(phys_to_virt(block));
    if (Stretch* const stretch = stretch_of(address); stretch != nullptr) {
        stretch->map.allow(address, bytes);
        stretch->record(address) = {.allocated = call_sites(kFrameCalls), .freed = {}, .slab = nullptr};
    }
}

void note_block_freed(PhysAddr block, std::uint64_t bytes) {
    const auto address = reinterpret_cast<std::uintptr_t>(phys_to_virt(block));
    Stretch* const stretch = stretch_of(address);
    if (stretch == nullptr) {
        return;
    }
    stretch->map.forbid(address, bytes, Shadow::FreeFrame);
    const CallSites sites = call_sites(kFrameCalls);
    const CallSites allocated = stretch->record(address).allocated;
    for (std::uint64_t offset = 0; offset < bytes; offset += kPageSize) {
        stretch->record(address + offset) = {.allocated = allocated, .freed = sites, .slab = nullptr};
    }
}

void note_slab(void* slab, std::uint64_t bytes, const SlabShape& shape) {
    const auto address = reinterpret_cast<std::uintptr_t>(slab);
    Stretch* const stretch = stretch_of(address);
    if (stretch == nullptr) {
        return;
    }
    const std::uint64_t header = shape.first - address;
    stretch->map.forbid(address, header, Shadow::Header);
    stretch->map.forbid(address + header, bytes - header, Shadow::NoObject);
    for (std::uint64_t offset = 0; offset < bytes; offset += kPageSize) {
        stretch->record(address + offset).slab = &shape;
    }
}

void note_slab_ended(void* slab, std::uint64_t bytes) {
    const auto address = reinterpret_cast<std::uintptr_t>(slab);
    if (Stretch* const stretch = stretch_of(address); stretch != nullptr) {
        stretch->map.allow(address, bytes);
    }
}

void note_object_given_out(void* object, std::size_t object_bytes) {
    if (Stretch* const stretch = stretch_of(reinterpret_cast<std::uintptr_t>(object)); stretch != nullptr) {
        stretch->map.allow(reinterpret_cast<std::uintptr_t>(object), object_bytes);
        const std::size_t behind = (object_bytes + kGranule - 1) / kGranule * kGranule;
        stretch->map.forbid(reinterpret_cast<std::uintptr_t>(object) + behind, kRedzoneBytes,
                            Shadow::Redzone);
        record_of(object, object_bytes) = {.allocated = call_sites(kObjectCalls), .freed = {}};
    }
}

void note_object_freed(void* object, std::size_t object_bytes) {
    if (Stretch* const stretch = stretch_of(reinterpret_cast<std::uintptr_t>(object)); stretch != nullptr) {
        const std::size_t granules = (object_bytes + kGranule - 1) / kGranule * kGranule;
        stretch->map.forbid(reinterpret_cast<std::uintptr_t>(object), granules, Shadow::FreeObject);
        record_of(object, object_bytes).freed = call_sites(kObjectCalls);
    }
}

}  // namespace kernel::mm

extern "C" {

// NOLINTBEGIN(bugprone-reserved-identifier): the compiler's names.
#define ACCESS_HOOKS(bytes)                                                                     \
    void __asan_load##bytes##_noabort(void* address);                                           \
    void __asan_load##bytes##_noabort(void* address) {                                          \
        kernel::mm::check_access(reinterpret_cast<std::uintptr_t>(address), bytes, false,       \
                                 reinterpret_cast<std::uint64_t>(__builtin_return_address(0))); \
    }                                                                                           \
    void __asan_store##bytes##_noabort(void* address);                                          \
    void __asan_store##bytes##_noabort(void* address) {                                         \
        kernel::mm::check_access(reinterpret_cast<std::uintptr_t>(address), bytes, true,        \
                                 reinterpret_cast<std::uint64_t>(__builtin_return_address(0))); \
    }
ACCESS_HOOKS(1)
ACCESS_HOOKS(2)
ACCESS_HOOKS(4)
ACCESS_HOOKS(8)
ACCESS_HOOKS(16)
#undef ACCESS_HOOKS

void __asan_loadN_noabort(void* address, std::size_t bytes);
void __asan_loadN_noabort(void* address, std::size_t bytes) {
    kernel::mm::check_access(reinterpret_cast<std::uintptr_t>(address), bytes, false,
                             reinterpret_cast<std::uint64_t>(__builtin_return_address(0)));
}
void __asan_storeN_noabort(void* address, std::size_t bytes);
void __asan_storeN_noabort(void* address, std::size_t bytes) {
    kernel::mm::check_access(reinterpret_cast<std::uintptr_t>(address), bytes, true,
                             reinterpret_cast<std::uint64_t>(__builtin_return_address(0)));
}
// Stacks have no shadow: nothing to forget before a function that does not return.
void __asan_handle_no_return();
void __asan_handle_no_return() {}
// NOLINTEND(bugprone-reserved-identifier)
}
