// SPDX-License-Identifier: MIT
// AddressSpace: how pages become resident, change and go, and how TLBs learn of it.
#include <algorithm>
#include <array>
#include <cstring>

#include "arch/contract.hpp"
#include "lib/check.hpp"
#include "mm/address_space.hpp"
#include "mm/asid.hpp"
#include "mm/frames.hpp"
#include "mm/instruction_fence.hpp"
#include "mm/map_audit.hpp"
#include "mm/program_start.hpp"

namespace kernel::mm {

namespace {

// Tables that can become empty in one step: a bottom table is 64 empty lines at least, so 1536 entries and
// lines looked at lie in at most 24 of them and as few above.
constexpr std::size_t kMaxTablesPerStep = 32;
// Pages that one fault may map, aligned to as many: 256 KiB of text.
constexpr std::uint64_t kNeighbours = 64;
static_assert(kTableEntries % kNeighbours == 0);

// A frame of its own for a page that the file fills only in part.
Result<PhysAddr> copy_file_part(FileObject& file, std::uint64_t offset, std::uint64_t bytes) {
    PhysAddr source{};
    if (file.is_memory()) {
        source = TRY(file.frame_of(offset >> kPageShift, false));
    } else if (offset + bytes > file.contents().size()) {
        return Error::BadAddress;
    }
    const Result<PhysAddr> frame = frames().allocate_frame();
    if (frame.ok()) {
        frames().note_for_programs(*frame);
        const auto page = frame_bytes(*frame);
        std::memcpy(page.data(),
                    file.is_memory() ? frame_bytes(source).data() : file.contents().data() + offset, bytes);
        std::memset(page.data() + bytes, 0, kPageSize - bytes);
    }
    if (file.is_memory()) {
        frames().unref(source);
    }
    return frame;
}

// The 2 MiB that one bottom table covers, as a number.
std::uint64_t table_span(VirtAddr va) {
    return va.value() >> level_shift(1);
}

// Why a file has no frame for a page, as an access to memory sees it: all but a lack of memory is the file's.
Error as_access_error(Error error) {
    return error == Error::NoMemory ? error : Error::BadAddress;
}

Result<PhysAddr> copy_of(PhysAddr frame) {
    const PhysAddr copy = TRY(frames().allocate_frame());
    frames().note_for_programs(copy);
    arch::copy_page(phys_to_virt(copy), phys_to_virt(frame));
    return copy;
}

// Whether pages may be mapped that nobody has asked for: they take no memory, and none is written to, which
// would take a fault just the same.
bool has_neighbours(const Mapping& mapping) {
    return mapping.file != nullptr && !mapping.is_shared && !mapping.protection.write &&
           !mapping.file->is_memory();
}

constinit std::atomic<bool> maps_neighbours{true};

// A page of a private mapping is no longer its file's, or never was.
void note_written(const Mapping& mapping, VirtAddr page) {
    ProgramStart* const start = mapping.file == nullptr ? nullptr : mapping.file->program_start();
    if (start != nullptr) {
        start->note_written(page);
    }
}

// Each page of each program is looked at when it goes.
void check_leaf([[maybe_unused]] Pte pte, [[maybe_unused]] VirtAddr page) {
#ifdef NEURON_DEBUG
    if (const auto finding = audit_user_leaf(pte, page); finding.has_value()) {
        // The findings are literals, so they end with a NUL.
        check_failed_values(text(*finding).data(), __FILE__, __LINE__, page.value(), pte.bits());
    }
#endif
}

// Frames to be dropped. Like a FixedVector of them, but that what is not used is not written either.
template <std::size_t N>
class FrameList {
  public:
    void push(PhysAddr frame) {
        CHECK(size_ < N);
        frames_[size_++] = frame.value();
    }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] std::size_t size() const { return size_; }
    void unref_all() const {
        for (std::size_t i = 0; i < size_; ++i) {
            frames().unref(PhysAddr{frames_[i]});
        }
    }

  private:
    std::array<std::uint64_t, N> frames_;  // the first size_ of them
    std::size_t size_{0};
};

}  // namespace

void map_neighbours_at_faults(bool on) {
    maps_neighbours.store(on, std::memory_order_relaxed);
}

[[gnu::always_inline]] inline AddressSpace::Place AddressSpace::find_place(VirtAddr page,
                                                                           Access access) const {
    const Mapping* mapping = mappings_.find(page);
    if (mapping == nullptr || !permits(mapping->protection, access)) [[unlikely]] {
        return {};
    }
    return {mapping, page_table_.find_slot(page)};
}

[[gnu::always_inline]] inline void AddressSpace::note_first_touch(const Mapping& mapping, VirtAddr page) {
    if (page < mapping.touched) {
        mapping.touched = page;
    }
    add_resident(1);
}

Result<void> AddressSpace::handle_fault(VirtAddr va, Access access) {
    const VirtAddr page = page_down(va);
    LockGuard guard{lock_};
    const Place place = find_place(page, access);
    // The first touch of anonymous memory whose table is there: what make_resident() comes down to then.
    if (place.slot && place.slot.load().is_empty() && place.mapping->file == nullptr &&
        !place.mapping->protection.execute) [[likely]] {
        const Result<PhysAddr> frame = frames().allocate_zeroed_frame();
        if (!frame.ok()) [[unlikely]] {
            return frame.error();
        }
        frames().note_for_programs(*frame);
        place.slot.store(Pte::leaf(*frame, place.mapping->protection, PageOwner::User));
        note_first_touch(*place.mapping, page);
        return {};
    }
    return handle_other_fault(place, page, access);
}

[[gnu::noinline]] Result<void> AddressSpace::handle_other_fault(const Place& place, VirtAddr page,
                                                                Access access) {
    if (place.mapping == nullptr) [[unlikely]] {
        return Error::BadAddress;
    }
    if (!place.slot || !place.slot.load().is_resident()) {
        // No flush: no hart can hold a translation of what was invalid. One that remembers that it was, or
        // whose walker does not see the new entry yet, comes here once more, and goes the other way.
        TRY(make_resident(place, page, access));
        if (has_neighbours(*place.mapping) && access != Access::Write &&
            maps_neighbours.load(std::memory_order_relaxed)) {
            map_neighbours(*place.mapping, page);
        }
        return {};
    }
    TRY(allow(place, page, access));
    // Also when the page was good already: another hart was faster, or this one remembers an older entry.
    arch::flush_tlb(CpuMask::of(arch::current_cpu()), page, kPageSize, asid_);
    return {};
}

// A program's text is needed page after page, and most of it is in the page cache from the last time somebody
// ran it. For each such page this does what a fault would do, but for what can fail or take long there: the
// page has a frame, instruction fetch knows of it, and a table holds its entry. Other pages are left to
// faults of their own. No entry changes that was not empty.
void AddressSpace::map_neighbours(const Mapping& mapping, VirtAddr page) {
    // Within one table.
    const VirtAddr around{page.value() & ~(kNeighbours * kPageSize - 1)};
    const VirtAddr start = std::max(around, mapping.start);
    const VirtAddr end = std::min(around + kNeighbours * kPageSize, mapping.whole_pages_end());
    if (start >= end) {
        return;
    }
    const PteSlot slots = page_table_.find_slot(start);
    const std::uint64_t index = (mapping.file_offset + (start - mapping.start)) >> kPageShift;
    std::uint64_t mapped = 0;
    mapping.touched = std::min(mapping.touched, start);
    const Pte model = Pte::leaf(PhysAddr{0}, mapping.protection, PageOwner::User, true).as_lasting();
    mapping.file->for_each_cached(index, static_cast<std::uint32_t>((end - start) >> kPageShift),
                                  mapping.protection.execute, [&](std::uint32_t i, PhysAddr frame) {
                                      const PteSlot slot = slots.following(i);
                                      if (slot.load().is_empty()) {
                                          slot.store(model.for_frame(frame));
                                          ++mapped;
                                      }
                                  });
    add_resident(mapped);
}

Result<PhysAddr> AddressSpace::resolve(VirtAddr va, Access access) {
    const VirtAddr page = page_down(va);
    if (!is_user_range(page, 1)) {
        return Error::BadAddress;
    }
    // See with_page().
    if (const PteSlot slot = page_table_.find_slot(page); slot && slot.load().lets_user(access)) {
        return slot.load().frame();
    }
    const Place place = find_place(page, access);
    if (place.mapping == nullptr) {
        return Error::BadAddress;
    }
    if (!place.slot || !place.slot.load().is_resident()) {
        return make_resident(place, page, access);
    }
    return allow(place, page, access);
}

Result<PhysAddr> AddressSpace::allow(const Place& place, VirtAddr page, Access access) {
    const Pte pte = place.slot.load();
    if (access == Access::Write && pte.is_shared()) {
        return take_private_copy(*place.mapping, page, place.slot);
    }
    if (!permits(pte.protection(), access)) {
        // A protect() that goes in steps has changed the mapping and not yet come to this page; it will flush
        // it.
        place.slot.store(pte.with_protection(place.mapping->protection));
        if (place.mapping->protection.execute) {
            fence_instructions();
        }
    }
    return pte.frame();
}

Result<PhysAddr> AddressSpace::make_resident(const Place& place, VirtAddr page, Access access) {
    const Mapping& mapping = *place.mapping;
    const PteSlot slot = place.slot ? place.slot : TRY(page_table_.make_slot(page));
    const std::uint64_t distance = page - mapping.start;
    FileFrame made;
    if (mapping.file_bytes <= distance) {
        made.frame = TRY(frames().allocate_zeroed_frame());
        frames().note_for_programs(made.frame);
    } else {
        made = TRY(frame_from_file(mapping, distance, access));
    }
    if (mapping.protection.execute && !made.is_fenced) {
        fence_instructions();
    }
    if (!made.is_lasting) {
        note_written(mapping, page);
    }
    const Pte pte = Pte::leaf(made.frame, mapping.protection, PageOwner::User, made.is_shared);
    slot.store(made.is_lasting ? pte.as_lasting() : pte);
    note_first_touch(mapping, page);
    return made.frame;
}

// Not inlined: what it needs registers for, a first touch of anonymous memory would save and restore.
[[gnu::noinline]] Result<AddressSpace::FileFrame> AddressSpace::frame_from_file(const Mapping& mapping,
                                                                                std::uint64_t distance,
                                                                                Access access) {
    const std::uint64_t from_file = mapping.file_bytes - distance;
    const std::uint64_t offset = mapping.file_offset + distance;
    const bool is_whole = from_file >= kPageSize || offset + from_file == mapping.file->size();
    const bool executes = is_whole && mapping.protection.execute;
    if (is_whole && !mapping.file->is_memory()) {
        // The file's frames stay for ever: nobody counts who maps them.
        const PhysAddr frame = TRY(mapping.file->lasting_frame_of(offset >> kPageShift, executes));
        if (access == Access::Write) {
            return FileFrame{.frame = TRY(copy_of(frame))};
        }
        return FileFrame{.frame = frame, .is_shared = true, .is_lasting = true, .is_fenced = executes};
    }
    const Result<PhysAddr> found = is_whole ? mapping.file->frame_of(offset >> kPageShift, executes)
                                            : copy_file_part(*mapping.file, offset, from_file);
    if (!found.ok()) {
        return as_access_error(found.error());
    }
    const PhysAddr frame = *found;
    // A page of a shared mapping is the file's own, to be read and written as it is.
    if (!is_whole || mapping.is_shared) {
        return FileFrame{.frame = frame, .is_fenced = executes};
    }
    if (access != Access::Write) {
        return FileFrame{.frame = frame, .is_shared = true, .is_fenced = executes};
    }
    // What take_private_copy() would do of it, but that no hart has seen the file's frame here.
    const Result<PhysAddr> copy = copy_of(frame);
    frames().unref(frame);
    return FileFrame{.frame = TRY(copy)};
}

Result<PhysAddr> AddressSpace::take_private_copy(const Mapping& mapping, VirtAddr page, PteSlot slot) {
    const bool is_lasting = slot.load().is_lasting();
    const PhysAddr shared = slot.load().frame();
    if (!is_lasting && frames().references(shared) == 1) {
        // The other side of a fork has its own copy, or is gone; new sharers come through this entry only.
        slot.store(Pte::leaf(shared, mapping.protection, PageOwner::User));
        return shared;
    }
    const PhysAddr copy = TRY(copy_of(shared));
    slot.store(Pte::leaf(copy, mapping.protection, PageOwner::User));
    // No hart may go on reading the old frame while others see the new one.
    flush(page, page + kPageSize);
    if (!is_lasting) {
        frames().unref(shared);
    } else {
        note_written(mapping, page);
    }
    return copy;
}

Progress AddressSpace::drop_pages(VirtAddr start, VirtAddr end, Work& work, Tables tables) {
    FrameList<kPagesPerStep> pages;
    FrameList<kMaxTablesPerStep> empty_tables;
    std::uint64_t dropped = 0;
    VirtAddr first = end;
    VirtAddr last = start;
    const VirtAddr next =
        page_table_.for_each_resident(start, end, work.entries, [&](VirtAddr page, PteSlot slot) {
            if (work.pages == 0) {
                return false;
            }
            --work.pages;
            first = std::min(first, page);
            last = page;
            ++dropped;
            const Pte pte = slot.load();
            check_leaf(pte, page);
            if (!pte.is_lasting()) {
                pages.push(pte.frame());
            }
            slot.store({});
            return true;
        });
    const auto drop_table = [&](PhysAddr table) { empty_tables.push(table); };
    if (tables == Tables::GoAround && next > start &&
        table_span(start) == table_span(VirtAddr{next.value() - 1})) {
        // The table may stay for the next mapping. It takes the place of another one that did.
        if (lingering_ != table_span(start)) {
            unhook_lingering(drop_table);
            lingering_ = table_span(start);
        }
    } else if (tables != Tables::Stay) {
        unhook_lingering(drop_table);
        const VmaSet::Surroundings around = tables == Tables::GoAround ? mappings_.surroundings(start, next)
                                                                       : VmaSet::Surroundings{start, next};
        page_table_.unhook_tables(start, next, around.start, around.end, drop_table);
    }
    if (!empty_tables.empty()) {
        flush_everything();
    } else if (dropped != 0) {
        flush(first, last + kPageSize);
    }
    pages.unref_all();
    empty_tables.unref_all();
    add_resident(-dropped);
    return {next, next >= end};
}

Progress AddressSpace::reprotect_pages(VirtAddr start, VirtAddr end, Protection protection, Work& work) {
    VirtAddr first = end;
    VirtAddr last = start;
    const VirtAddr next =
        page_table_.for_each_resident(start, end, work.entries, [&](VirtAddr page, PteSlot slot) {
            first = std::min(first, page);
            last = page;
            slot.store(slot.load().with_protection(protection));
            return true;
        });
    if (first < end) {
        if (protection.execute) {
            fence_instructions();
        }
        // Even where no entry changed here: resolve() may have changed it since the mapping did.
        flush(first, last + kPageSize);
    }
    return {next, next >= end};
}

template <class Sink>
void AddressSpace::unhook_lingering(Sink&& sink) {
    if (lingering_ == kNoSpan) {
        return;
    }
    const VirtAddr start{lingering_ << level_shift(1)};
    const VirtAddr end = start + (std::uint64_t{1} << level_shift(1));
    lingering_ = kNoSpan;
    if (mappings_.is_free(start, end)) {  // else it covers part of a mapping, again or still
        const VmaSet::Surroundings around = mappings_.surroundings(start, end);
        page_table_.unhook_tables(start, end, around.start, around.end, sink);
    }
}

void AddressSpace::drop_lingering() {
    FrameList<2> tables;
    unhook_lingering([&](PhysAddr table) { tables.push(table); });
    if (!tables.empty()) {
        flush_everything();
        tables.unref_all();
    }
}

bool AddressSpace::take_apart(Work& work) {
    drop_lingering();
    // What was in a table is gone, and so is what it was.
    const auto drop_table = [](PhysAddr table) { frames().unref_zeroed(table); };
    std::uint32_t dropped = 0;
    const Mapping* mapping = mappings_.first();
    // Each mapping takes an entry, too, so that many without pages do not make a step long.
    for (; mapping != nullptr && work.entries != 0; mapping = mappings_.first()) {
        --work.entries;
        const VirtAddr start = mapping->start;
        const VirtAddr end = mapping->end;
        const auto drop_page = [&](VirtAddr page, PteSlot slot) {
            if (dropped == work.pages) {
                return false;
            }
            ++dropped;
            const Pte pte = slot.load();
            check_leaf(pte, page);
            slot.store_unseen({});
            if (!pte.is_lasting()) {
                frames().unref(pte.frame());
            }
            return true;
        };
        // A stack is large, and little of it was ever used.
        const VirtAddr touched = std::clamp(mapping->touched, start, end);
        const VirtAddr next = page_table_.for_each_resident(touched, end, work.entries, drop_page);
        // Below there is nothing any more.
        VirtAddr empty_end = next;
        if (next == end) {
            const Mapping* const above = mappings_.second();
            empty_end = above == nullptr ? VirtAddr{~std::uint64_t{0}} : above->start;
        }
        page_table_.unhook_tables(start, next, VirtAddr{0}, empty_end, drop_table);
        mappings_.drop_from_first(next);
        if (next != end) {
            break;
        }
    }
    work.pages -= dropped;
    add_resident(-std::uint64_t{dropped});
    return mapping == nullptr;
}

void AddressSpace::flush(VirtAddr start, VirtAddr end) {
    // Pairs with the fence in activate(): our entries are stored before we ask who may have read older ones.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (is_torn_down_ && running_cpus_.load().empty()) {
        // Nobody runs here any more, and the ASID's next owner drops what is left of it.
        return;
    }
    const CpuMask cpus = active_cpus_.load();
    if (!cpus.empty()) {
        arch::flush_tlb(cpus, start, end - start, asid_);
    }
}

void AddressSpace::flush_everything() {
    flush(VirtAddr{0}, VirtAddr{kFlushEverything});
}

void AddressSpace::check_invariants() const {
    LockGuard guard{lock_};
    const VmaSet* mappings = &mappings_;
    mappings->check_invariants();
    std::uint64_t resident = 0;
    VirtAddr at = kUserBase;
    while (at < kUserTop) {
        std::uint32_t entries = 512;
        at = page_table_.for_each_resident(at, kUserTop, entries, [&](VirtAddr page, PteSlot slot) {
            const Pte pte = slot.load();
            const Mapping* mapping = mappings->find(page);
            CHECK(mapping != nullptr);
            CHECK(page >= mapping->touched);
            CHECK(pte.is_user());
            CHECK(pte.protection().is_allowed());
            CHECK(!pte.is_shared() || !pte.protection().write);
            CHECK(frames().references(pte.frame()) >= 1U);
            ++resident;
            return true;
        });
    }
    CHECK_EQ(resident, resident_pages());
}

std::optional<AuditResult> AddressSpace::audit(std::uint64_t& pages) const {
    LockGuard guard{lock_};
    return audit_user_map(page_table_, kernel_root_, pages);
}

}  // namespace kernel::mm
