// SPDX-License-Identifier: MIT
// AddressSpace::map_start(): what a program's last runs needed at their start.
#include "mm/program_start.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <utility>

#include "arch/contract.hpp"
#include "lib/check.hpp"
#include "mm/address_space.hpp"
#include "mm/frames.hpp"
#include "mm/user_memory.hpp"

namespace kernel::mm {

namespace {

// More of a page than this is copied as a whole: a run costs more than the zeros in between.
constexpr std::uint32_t kManyLines = 48;
constexpr std::uint32_t kLinesPerPage = kPageSize / StartPage::kLineBytes;

// Finds the lines of the source's first `bytes` bytes that are not zero.
void find_runs(StartPage& page, PhysAddr source, std::uint64_t bytes) {
    page.source = source;
    const std::byte* const from = frame_bytes(source).data();
    const auto is_zero = [&](std::uint32_t line) {
        std::array<std::uint64_t, StartPage::kLineBytes / sizeof(std::uint64_t)> words;
        std::memcpy(&words, from + line * StartPage::kLineBytes, sizeof words);
        return std::ranges::all_of(words, [](std::uint64_t word) { return word == 0; });
    };
    std::uint32_t lines = 0;
    const auto end = static_cast<std::uint32_t>(bytes / StartPage::kLineBytes);
    bool is_in_run = false;
    for (std::uint32_t line = 0; line < end; ++line) {
        if (is_zero(line)) {
            is_in_run = false;
            continue;
        }
        ++lines;
        if (!is_in_run) {
            if (page.run_count == StartPage::kMaxRuns) {
                lines = kLinesPerPage;
                break;
            }
            page.runs[page.run_count++] = {static_cast<std::uint8_t>(line), 0};
            is_in_run = true;
        }
        ++page.runs[page.run_count - 1].count;
    }
    // Only of a page that is the file's all over; of another one, more runs than there is room for are one.
    if (lines >= kManyLines) {
        page.is_whole = bytes == kPageSize;
        page.runs[0] = {0, static_cast<std::uint8_t>(end)};
        page.run_count = 1;
    }
    page.tail_bytes = static_cast<std::uint8_t>(bytes % StartPage::kLineBytes);
    page.tail_line = static_cast<std::uint8_t>(end);
}

// A frame that holds what the page does at the program's start. NoMemory.
Result<PhysAddr> make(const StartPage& page) {
    if (page.is_whole) {
        const PhysAddr frame = TRY(frames().allocate_frame());
        arch::copy_page(phys_to_virt(frame), phys_to_virt(page.source));
        return frame;
    }
    const PhysAddr frame = TRY(frames().allocate_zeroed_frame());
    for (std::uint32_t i = 0; i < page.run_count; ++i) {
        const std::uint64_t offset = std::uint64_t{page.runs[i].first} * StartPage::kLineBytes;
        std::byte* to = static_cast<std::byte*>(phys_to_virt(frame)) + offset;
        const std::byte* from = static_cast<const std::byte*>(phys_to_virt(page.source)) + offset;
        for (std::uint32_t left = page.runs[i].count; left != 0; --left) {
            move_words<std::uint64_t, 8>(to, from);
        }
    }
    if (page.tail_bytes != 0) {
        const std::uint64_t offset = std::uint64_t{page.tail_line} * StartPage::kLineBytes;
        std::memcpy(frame_bytes(frame).data() + offset, frame_bytes(page.source).data() + offset,
                    page.tail_bytes);
    }
    return frame;
}

}  // namespace

PhysAddr ProgramStart::take_plan() {
    LockGuard guard{lock_};
    if (plan_.value() != 0) {
        frames().ref(plan_);
    }
    return plan_;
}

void ProgramStart::set_plan(PhysAddr plan) {
    PhysAddr before = plan;
    {
        LockGuard guard{lock_};
        std::swap(plan_, before);
    }
    if (before.value() != 0) {
        frames().unref(before);
    }
}

// Calls use(mapping, first page, end) for each private mapping of the file in the program's 2 MiB.
template <class Use>
void AddressSpace::for_each_start_mapping(const FileObject& file, const ProgramStart& start,
                                          Use&& use) const {
    const Mapping* mapping = mappings_.find_at_or_above(start.start());
    for (; mapping != nullptr && mapping->start < start.end();
         mapping = mappings_.find_at_or_above(mapping->end)) {
        if (mapping->file == &file && !mapping->is_shared) {
            use(*mapping, std::max(mapping->start, start.start()), std::min(mapping->end, start.end()));
        }
    }
}

void AddressSpace::add_to_plan(StartPlan& plan, const Mapping& mapping, VirtAddr page, FileObject& file) {
    const std::uint64_t distance = page - mapping.start;
    const std::uint64_t from_file = mapping.file_bytes > distance ? mapping.file_bytes - distance : 0;
    const std::uint64_t offset = mapping.file_offset + distance;
    StartPage& start = plan.pages[plan.page_count];
    start = {.source = {},
             .model = Pte::leaf(PhysAddr{0}, mapping.protection, PageOwner::User),
             .index = static_cast<std::uint16_t>(ProgramStart::index_of(page))};
    if (from_file != 0) {
        const auto source = file.lasting_frame_of(offset >> kPageShift, false);
        if (!source.ok()) {
            return;
        }
        // What follows the last page of a file is zero in its frame, too.
        const bool is_whole = from_file >= kPageSize || offset + from_file == file.size();
        find_runs(start, *source, is_whole ? kPageSize : from_file);
    }
    ++plan.page_count;
}

Result<PhysAddr> AddressSpace::plan_start(FileObject& file, const ProgramStart& start,
                                          std::uint64_t made_of) const {
    const PhysAddr frame = TRY(frames().allocate_zeroed_frame());
    StartPlan& plan = *new (phys_to_virt(frame)) StartPlan{};
    plan.made_of = made_of;
    bool is_first = true;
    const ProgramStart::Written written = start.written();
    for_each_start_mapping(file, start, [&](const Mapping& mapping, VirtAddr first, VirtAddr end) {
        if (is_first) {
            plan.first_entry = ProgramStart::index_of(first) / PteSlot::kLine * PteSlot::kLine;
            is_first = false;
        }
        // Nothing is written to by way of these: see map_neighbours().
        const Pte model = Pte::leaf(PhysAddr{0}, mapping.protection, PageOwner::User, true).as_lasting();
        const auto is_planned = [&](VirtAddr page) {
            return mapping.protection.write && written.contains(page);
        };
        const VirtAddr files_end = std::min(end, mapping.whole_pages_end());
        if (first < files_end) {
            file.for_each_cached((mapping.file_offset + (first - mapping.start)) >> kPageShift,
                                 static_cast<std::uint32_t>((files_end - first) >> kPageShift),
                                 mapping.protection.execute, [&](std::uint32_t i, PhysAddr cached) {
                                     const VirtAddr page = first + i * kPageSize;
                                     const std::uint32_t entry =
                                         ProgramStart::index_of(page) - plan.first_entry;
                                     if (entry < plan.entries.size() && !is_planned(page)) {
                                         plan.entries[entry] = model.for_frame(cached);
                                         ++plan.resident;
                                         plan.entry_count = (entry / PteSlot::kLine + 1) * PteSlot::kLine;
                                     }
                                 });
        }
        for (VirtAddr page = first; page < end && plan.page_count < plan.pages.size();
             page = page + kPageSize) {
            if (is_planned(page)) {
                add_to_plan(plan, mapping, page, file);
            }
        }
    });
    return frame;
}

void AddressSpace::map_start(FileObject& file, ProgramStart& start) {
    LockGuard guard{lock_};
    const std::uint64_t made_of = std::uint64_t{start.changes()} << 32 | file.changes();
    PhysAddr frame = start.take_plan();
    if (frame.value() == 0 || static_cast<const StartPlan*>(phys_to_virt(frame))->made_of != made_of) {
        if (frame.value() != 0) {
            frames().unref(frame);
        }
        const Result<PhysAddr> plan = plan_start(file, start, made_of);
        if (!plan.ok()) {
            return;
        }
        frame = *plan;
        frames().ref(frame);
        start.set_plan(frame);
    }
    map_planned(*static_cast<const StartPlan*>(phys_to_virt(frame)), file, start);
    frames().unref(frame);
}

void AddressSpace::map_planned(const StartPlan& plan, const FileObject& file, const ProgramStart& start) {
    const Result<PteSlot> table = page_table_.make_slot(start.start());
    if (!table.ok()) {
        return;
    }
    for_each_start_mapping(file, start, [](const Mapping& mapping, VirtAddr first, VirtAddr) {
        mapping.touched = std::min(mapping.touched, first);
    });
    PteSlot slot = table->following(plan.first_entry);
    const Pte* entry = plan.entries.data();
    for (std::uint32_t i = 0; i < plan.entry_count; i += PteSlot::kLine) {
        DCHECK(slot.starts_empty_line());
#pragma GCC unroll 8
        for (std::uint32_t j = 0; j < PteSlot::kLine; ++j) {
            slot.following(j).store_unseen(entry[j]);
        }
        slot = slot.following(PteSlot::kLine);
        entry += PteSlot::kLine;
    }
    std::uint32_t made = 0;
    for (; made < plan.page_count; ++made) {
        const StartPage& page = plan.pages[made];
        const Result<PhysAddr> frame = make(page);
        if (!frame.ok()) {
            break;
        }
        frames().note_for_programs(*frame);
        DCHECK(table->following(page.index).load().is_empty());
        table->following(page.index).store_unseen(page.model.for_frame(*frame));
    }
    add_resident(plan.resident + made);
}

}  // namespace kernel::mm
