// SPDX-License-Identifier: MIT
// What a program that is run again and again needs in memory at its start. The first pages it writes to, and
// what the page cache has of its file, are the same each time: from the second run on, execve maps them at
// once instead of at a fault each (AddressSpace::map_start()).
//
// For constant files, and images whose addresses are in the file: each run's mappings are then the same.
// Looked at are the pages of one bottom table, 2 MiB, that of the first page of the image.
//
// Concurrency: as marked. Never destroyed.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "mm/layout.hpp"
#include "mm/page_table.hpp"
#include "sync/spinlock.hpp"

namespace kernel::mm {

// A page that programs write to at their start, and how it is made: zeros, but for some runs of lines, and a
// part of one.
struct StartPage {
    static constexpr std::uint32_t kLineBytes = 64;
    static constexpr std::uint32_t kMaxRuns = 8;
    struct Run {
        std::uint8_t first;
        std::uint8_t count;
    };
    PhysAddr source;         // of the runs; where there are none, it is not looked at
    Pte model;               // its entry, for frame 0
    std::uint16_t index{0};  // in the table
    std::uint8_t run_count{0};
    bool is_whole{false};       // one run is all of the page
    std::uint8_t tail_line{0};  // of this line, the first so many bytes
    std::uint8_t tail_bytes{0};
    std::array<Run, kMaxRuns> runs{};
};

// What map_start() does, worked out before. Fills a frame. Immutable once it can be found.
struct StartPlan {
    static constexpr std::uint32_t kMaxPages =
        12;  // copied in one section of the kernel: 13 000 instructions
    static constexpr std::uint32_t kMaxEntries = 384;

    std::uint64_t made_of{0};      // ProgramStart::changes() and the file's, then
    std::uint32_t first_entry{0};  // in the table; at the beginning of a line
    std::uint32_t entry_count{0};  // whole lines
    std::uint32_t resident{0};     // how many entries are not empty
    std::uint32_t page_count{0};
    std::array<StartPage, kMaxPages> pages;
    // Of pages that are shared with the page cache, or empty.
    std::array<Pte, kMaxEntries> entries;
};
static_assert(sizeof(StartPlan) <= kPageSize);

class ProgramStart {
  public:
    constexpr ProgramStart() = default;
    ProgramStart(const ProgramStart&) = delete;
    ProgramStart& operator=(const ProgramStart&) = delete;

    // Pre: called once, before anybody else knows of it.
    void begin(VirtAddr first_page) { span_ = span_of(first_page); }
    // A program's first store to this page of a private mapping of its file: the first kMaxPages are kept.
    // Atomic.
    void note_written(VirtAddr page) {
        if (span_of(page) != span_) {
            return;
        }
        const std::uint32_t index = index_of(page);
        const std::uint64_t bit = std::uint64_t{1} << (index % 64);
        if ((written_[index / 64].load(std::memory_order_relaxed) & bit) == 0 &&
            count_.load(std::memory_order_relaxed) < StartPlan::kMaxPages &&
            (written_[index / 64].fetch_or(bit, std::memory_order_relaxed) & bit) == 0) {
            count_.fetch_add(1, std::memory_order_release);
        }
    }
    [[nodiscard]] bool is_written(VirtAddr page) const { return written().contains(page); }
    // The pages noted so far: a copy, for who asks for one page more than once, as others are noted
    // meanwhile. Those that changes() counts are among them, if it was asked before.
    class Written {
      public:
        [[nodiscard]] bool contains(VirtAddr page) const {
            const std::uint32_t index = index_of(page);
            return (bits_[index / 64] >> (index % 64) & 1) != 0;
        }

      private:
        friend class ProgramStart;
        std::array<std::uint64_t, kTableEntries / 64> bits_{};
    };
    [[nodiscard]] Written written() const {
        Written copy;
        for (std::size_t i = 0; i < written_.size(); ++i) {
            copy.bits_[i] = written_[i].load(std::memory_order_relaxed);
        }
        return copy;
    }
    // Changes with every page noted. Atomic.
    [[nodiscard]] std::uint32_t changes() const { return count_.load(std::memory_order_acquire); }

    [[nodiscard]] VirtAddr start() const { return VirtAddr{span_ << level_shift(1)}; }
    [[nodiscard]] VirtAddr end() const { return VirtAddr{(span_ + 1) << level_shift(1)}; }
    [[nodiscard]] static std::uint32_t index_of(VirtAddr page) {
        return static_cast<std::uint32_t>(page.value() >> kPageShift) % kTableEntries;
    }

    // The frame of the plan, with a reference that the caller drops; 0: there is none.
    [[nodiscard]] PhysAddr take_plan() EXCLUDES(lock_);
    // Puts a plan in the place of the one before, with its only reference.
    void set_plan(PhysAddr plan) EXCLUDES(lock_);

  private:
    [[nodiscard]] static constexpr std::uint64_t span_of(VirtAddr page) {
        return page.value() >> level_shift(1);
    }
    std::uint64_t span_{~std::uint64_t{0}};  // immutable after begin()
    std::array<std::atomic<std::uint64_t>, kTableEntries / 64> written_{};
    std::atomic<std::uint32_t> count_{0};
    SpinLock lock_{LockRank::PageCache};
    PhysAddr plan_ GUARDED_BY(lock_){};
};

}  // namespace kernel::mm
