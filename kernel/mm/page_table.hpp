// SPDX-License-Identifier: MIT
// Sv39 page tables (RISC-V Privileged Architecture, "Sv39: Page-Based 39-bit Virtual-Memory System"). Tables
// are single frames reached through the physmap.
//
// Two rules that an emulator does not enforce and hardware does: a leaf always has A set, and D when it is
// writable, because the JH7110's U74 faults instead of setting them; a table entry never has A, D or U, which
// are reserved there.
//
// Concurrency: none of its own. A user table is guarded by its AddressSpace's lock, the kernel's is built by
// one hart. Hardware walkers of other harts read entries at any time, so entries change by single 64-bit
// stores; an entry that makes something reachable is stored with release after that something was written.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>

#include "arch/contract.hpp"
#include "lib/result.hpp"
#include "mm/layout.hpp"
#include "mm/protection.hpp"

namespace kernel::mm {

// Kernel pages are global and closed to user mode; user pages are neither.
enum class PageOwner : std::uint8_t { Kernel, User };

// One page table entry. Beside the architecture's bits we use the two left to software: Shared (the frame
// must not be written through this entry: a write takes a copy) and Lasting (the frame is never given back,
// and the entry owns no reference to it). A page that is resident, but to which no access is allowed now, is
// parked: V is clear, since V without R, W or X would be a table, and U or G is set.
class Pte {
  public:
    constexpr Pte() = default;
    [[nodiscard]] static constexpr Pte from_bits(std::uint64_t bits) { return Pte{bits}; }
    // A leaf for `protection` (normalised); kNoAccess makes a parked one. A shared leaf never has W.
    // Pre: W^X holds, frame is page aligned.
    [[nodiscard]] static constexpr Pte leaf(PhysAddr frame, Protection protection, PageOwner owner,
                                            bool shared = false) {
        const Protection allowed = protection.normalized();
        std::uint64_t bits = frame.value() >> kPageShift << kFrameShift;
        bits |= owner == PageOwner::User ? kUser : kGlobal;
        bits |= shared ? kShared : 0;
        if (allowed.is_none()) {
            return Pte{bits};
        }
        bits |= kValid | kRead | kAccessed;
        bits |= allowed.execute ? kExecute : 0;
        bits |= allowed.write && !shared ? kWrite | kDirty : 0;
        return Pte{bits};
    }
    [[nodiscard]] static constexpr Pte table(PhysAddr frame) {
        return Pte{frame.value() >> kPageShift << kFrameShift | kValid};
    }

    [[nodiscard]] constexpr std::uint64_t bits() const { return bits_; }
    [[nodiscard]] constexpr bool is_empty() const { return bits_ == 0; }
    [[nodiscard]] constexpr bool is_valid() const { return (bits_ & kValid) != 0; }
    [[nodiscard]] constexpr bool is_table() const {
        return (bits_ & (kValid | kRead | kWrite | kExecute)) == kValid;
    }
    [[nodiscard]] constexpr bool is_leaf() const { return is_valid() && !is_table(); }
    // A leaf or a parked page: the entry owns a reference to frame(), or the frame is lasting.
    [[nodiscard]] constexpr bool is_resident() const { return !is_empty() && !is_table(); }
    // Whether a program may access the page through this entry as it is: hardware would not fault.
    [[nodiscard]] constexpr bool lets_user(Access access) const {
        const std::uint64_t right = access == Access::Read    ? kRead
                                    : access == Access::Write ? kWrite
                                                              : kExecute;
        const std::uint64_t needed = kValid | kUser | right;
        return (bits_ & needed) == needed;
    }
    [[nodiscard]] constexpr bool is_shared() const { return (bits_ & kShared) != 0; }
    [[nodiscard]] constexpr bool is_lasting() const { return (bits_ & kLasting) != 0; }
    [[nodiscard]] constexpr bool is_user() const { return (bits_ & kUser) != 0; }
    [[nodiscard]] constexpr bool is_global() const { return (bits_ & kGlobal) != 0; }
    [[nodiscard]] constexpr bool has_accessed() const { return (bits_ & kAccessed) != 0; }
    [[nodiscard]] constexpr bool has_dirty() const { return (bits_ & kDirty) != 0; }
    [[nodiscard]] constexpr PhysAddr frame() const {
        return PhysAddr{bits_ >> kFrameShift
                                     << kPageShift};  // the bits above the frame's number are never set
    }
    [[nodiscard]] constexpr Protection protection() const {
        return {(bits_ & kRead) != 0, (bits_ & kWrite) != 0, (bits_ & kExecute) != 0};
    }
    // The same page under another protection. Pre: is_resident().
    [[nodiscard]] constexpr Pte with_protection(Protection protection) const {
        const Pte changed =
            leaf(frame(), protection, is_user() ? PageOwner::User : PageOwner::Kernel, is_shared());
        return Pte{changed.bits_ | (bits_ & kLasting)};
    }
    // An entry like this one for another entry's frame, lasting if that is. Pre: this one's frame is 0.
    [[nodiscard]] constexpr Pte for_frame_of(Pte other) const {
        return Pte{bits_ | (other.bits_ & (kFrameBits | kLasting))};
    }
    // An entry like this one for a frame. Pre: this one's frame is 0.
    [[nodiscard]] constexpr Pte for_frame(PhysAddr frame) const {
        return Pte{bits_ | (frame.value() >> kPageShift << kFrameShift)};
    }
    // The same for a frame that is never given back. Pre: is_resident().
    [[nodiscard]] constexpr Pte as_lasting() const { return Pte{bits_ | kLasting}; }
    // The same page, no longer to be written through this entry. Pre: is_resident().
    [[nodiscard]] constexpr Pte as_shared() const { return Pte{(bits_ & ~(kWrite | kDirty)) | kShared}; }
    constexpr bool operator==(const Pte&) const = default;

  private:
    static constexpr std::uint64_t kValid = 1 << 0;
    static constexpr std::uint64_t kRead = 1 << 1;
    static constexpr std::uint64_t kWrite = 1 << 2;
    static constexpr std::uint64_t kExecute = 1 << 3;
    static constexpr std::uint64_t kUser = 1 << 4;
    static constexpr std::uint64_t kGlobal = 1 << 5;
    static constexpr std::uint64_t kAccessed = 1 << 6;
    static constexpr std::uint64_t kDirty = 1 << 7;
    static constexpr std::uint64_t kShared = 1 << 8;   // RSW
    static constexpr std::uint64_t kLasting = 1 << 9;  // RSW
    static constexpr std::uint32_t kFrameShift = 10;
    static constexpr std::uint64_t kFrameBits = ((std::uint64_t{1} << 44) - 1) << kFrameShift;

    constexpr explicit Pte(std::uint64_t bits) : bits_{bits} {}
    std::uint64_t bits_{0};
};

// A place in a table. False when default-constructed: "no such table".
class PteSlot {
  public:
    constexpr PteSlot() = default;
    constexpr explicit PteSlot(std::uint64_t* entry) : entry_{entry} {}
    constexpr explicit operator bool() const { return entry_ != nullptr; }
    [[nodiscard]] Pte load() const {
        return Pte::from_bits(std::atomic_ref{*entry_}.load(std::memory_order_relaxed));
    }
    // The next one of the same table. Pre: there is one, or the result is not used.
    [[nodiscard]] constexpr PteSlot following(std::uint32_t count = 1) const {
        return PteSlot{entry_ + count};
    }
    // Whether this is the first of kLine entries that lie in one cache line.
    static constexpr std::uint32_t kLine = 8;
    [[nodiscard]] bool starts_line() const {
        return reinterpret_cast<std::uintptr_t>(entry_) % (kLine * sizeof(*entry_)) == 0;
    }
    // How many there are from this one to the end of its line.
    [[nodiscard]] std::uint32_t entries_of_line() const {
        return kLine -
               static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(entry_) / sizeof(*entry_) % kLine);
    }
    // Whether all of them are empty. Pre: starts_line().
    [[nodiscard]] bool starts_empty_line() const {
        std::uint64_t bits = 0;
#pragma GCC unroll 8
        for (std::uint32_t i = 0; i < kLine; ++i) {
            bits |= std::atomic_ref{entry_[i]}.load(std::memory_order_relaxed);
        }
        return bits == 0;
    }
    // Release: what the entry points to is written before a hardware walker can follow it.
    void store(Pte pte) const { std::atomic_ref{*entry_}.store(pte.bits(), std::memory_order_release); }
    // Pre: no hardware walker can come here before something else is stored with release.
    void store_unseen(Pte pte) const { arch::store_relaxed(*entry_, pte.bits()); }

  private:
    std::uint64_t* entry_{nullptr};
};

inline constexpr std::uint32_t kTableEntries = 512;

// How far an entry of `level` (0: 4 KiB, 1: 2 MiB, 2: 1 GiB) reaches.
[[nodiscard]] constexpr std::uint32_t level_shift(std::uint32_t level) {
    return static_cast<std::uint32_t>(kPageShift) + 9 * level;
}
[[nodiscard]] inline PteSlot entry_for(PhysAddr table, VirtAddr va, std::uint32_t level) {
    return PteSlot{static_cast<std::uint64_t*>(phys_to_virt(table)) +
                   (va.value() >> level_shift(level)) % kTableEntries};
}

// What an address translates to.
struct Translation {
    Pte pte;                      // empty when nothing is mapped
    std::uint64_t page_bytes{0};  // span of the entry: 4 KiB, 2 MiB or 1 GiB
};

class PageTable {
  public:
    constexpr PageTable() = default;
    constexpr explicit PageTable(PhysAddr root) : root_{root} {}
    // An empty root. NoMemory.
    [[nodiscard]] static Result<PageTable> create();
    // A root whose upper half is the kernel's and whose lower half is empty. NoMemory.
    [[nodiscard]] static Result<PageTable> create_user(PhysAddr kernel_root);

    [[nodiscard]] PhysAddr root() const { return root_; }

    // The place for va's entry at `level` (0: 4 KiB, 1: 2 MiB, 2: 1 GiB), making the tables above it.
    // NoMemory. Pre: no large page covers va.
    [[nodiscard]] Result<PteSlot> make_slot(VirtAddr va, std::uint32_t level = 0);
    // The place for va's 4 KiB entry, or a false slot when there is no table for it. The tables found last
    // are looked at first: no walk.
    [[nodiscard]] PteSlot find_slot(VirtAddr va) const {
        const Recent& recent = recent_for(va);
        return recent.is_for(va) ? recent.slot(va) : walk(va);
    }
    // va's 4 KiB entry if its table is among those found last; empty if it is not, even so.
    [[nodiscard]] Pte find_recent(VirtAddr va) const {
        const Recent& recent = recent_for(va);
        return recent.is_for(va) ? recent.slot(va).load() : Pte{};
    }
    // Where the bytes of va's page are, if a program may write to it and find_recent() knows of it; else
    // null. The one found last is known as long as its entry stays as it is.
    [[nodiscard, gnu::always_inline]] std::byte* find_writable(VirtAddr va) const {
        const std::uint64_t number = va.value() >> kPageShift;
        if (number != last_.number || PteSlot{last_.entry}.load() != last_.pte) [[unlikely]] {
            const Recent& recent = recent_for(va);
            if (!recent.is_for(va)) {
                return nullptr;
            }
            const Pte pte = recent.slot(va).load();
            if (!pte.lets_user(Access::Write)) {
                return nullptr;
            }
            last_ = {.number = number,
                     .entry = recent.entries + number % kTableEntries,
                     .pte = pte,
                     .bytes = static_cast<std::byte*>(phys_to_virt(pte.frame()))};
        }
        std::byte* const bytes = last_.bytes;
        if (bytes == nullptr) {
            __builtin_unreachable();
        }
        return bytes;
    }
    [[nodiscard]] Translation lookup(VirtAddr va) const;

    // Maps one 4 KiB page. NoMemory. Pre: va is unmapped. The caller flushes TLBs.
    [[nodiscard]] Result<void> map_page(VirtAddr va, PhysAddr frame, Protection protection, PageOwner owner);
    // Maps [va, va + bytes) to consecutive frames with the largest pages that fit. NoMemory leaves a part
    // mapped. Pre: all page aligned, nothing mapped there.
    [[nodiscard]] Result<void> map_range(VirtAddr va, PhysAddr start, std::uint64_t bytes,
                                         Protection protection, PageOwner owner);
    // Clears va's 4 KiB entry and returns what it was (empty: nothing). The caller flushes TLBs, then drops
    // the frame.
    Pte unmap_page(VirtAddr va);
    // Changes the protection of a resident 4 KiB page; false when there is none. The caller flushes TLBs.
    bool protect_page(VirtAddr va, Protection protection);

    // Calls visit(VirtAddr, PteSlot) for each resident 4 KiB page of [start, end) in ascending order, until
    // visit returns false or `entries_left`, counted down for each table entry looked at, is 0. A cache line
    // full of empty ones counts as one. Returns the address before which all is visited; a page for which
    // visit returned false counts as not visited.
    template <class Visit>
    VirtAddr for_each_resident(VirtAddr start, VirtAddr end, std::uint32_t& entries_left,
                               Visit&& visit) const {
        std::uint32_t left = entries_left;
        const VirtAddr stop = visit_resident(start, end, left, visit);
        entries_left = left;
        return stop;
    }
    // Unhooks the tables that reach into [start, end) and not beyond [low, high), and passes their frames to
    // sink(PhysAddr). The caller flushes whole address spaces, then drops the frames: harts cache table
    // entries too. Pre: nothing is resident in [low, high), low <= start, end <= high.
    template <class Sink>
    void unhook_tables(VirtAddr start, VirtAddr end, VirtAddr low, VirtAddr high, Sink&& sink) {
        for (VirtAddr va = start; va < end;) {
            const Unhooked unhooked = unhook_at(va, end, low, high);
            for (std::uint32_t i = 0; i < unhooked.count; ++i) {
                sink(unhooked.tables[i]);
            }
            va = unhooked.next;
        }
    }
    // Frees the root of a user table. Pre: the lower half is empty, no hart uses the table.
    void destroy_user();

  private:
    // for_each_resident(), with a count that nobody else looks at meanwhile.
    template <class Visit>
    [[gnu::always_inline]] VirtAddr visit_resident(VirtAddr start, VirtAddr end, std::uint32_t& left,
                                                   Visit& visit) const {
        VirtAddr va = start;
        while (va < end) {
            const Step step = step_at(va);
            if (!step.slot) {
                if (left == 0) {
                    return va;
                }
                --left;
                va = step.table_end;
                continue;
            }
            const VirtAddr table_end = std::min(step.table_end, end);
            PteSlot slot = step.slot;
            while (va < table_end) {
                // Most tables are nearly empty: several entries are passed over at a time.
                if (slot.starts_line()) {
                    for (; table_end - va >= kLineBytes && slot.starts_empty_line();
                         slot = slot.following(PteSlot::kLine), va = va + kLineBytes) {
                        if (left == 0) {
                            return va;
                        }
                        --left;
                    }
                }
                // Entry by entry to the end of the line.
                std::uint32_t count = std::min(slot.entries_of_line(), left);
                if (std::uint64_t{count} * kPageSize > table_end - va) {
                    count = static_cast<std::uint32_t>((table_end - va) >> kPageShift);
                }
                left -= count;
                for (; count != 0; --count) {
                    // What a bottom table holds is empty or resident.
                    if (!slot.load().is_empty() && !visit(va, slot)) {
                        left += count - 1;
                        return va;
                    }
                    slot = slot.following();
                    va = va + kPageSize;
                }
                if (left == 0 && va < table_end) {
                    return va;
                }
            }
        }
        return end;
    }
    struct Step {
        PteSlot slot;        // false when there is no table for va
        VirtAddr table_end;  // first address not covered by that table, or by the entry that is no table
    };
    struct Unhooked {
        std::array<PhysAddr, 2> tables;
        std::uint32_t count{0};
        VirtAddr next;
    };
    [[nodiscard]] Step step_at(VirtAddr va) const;
    [[nodiscard]] PteSlot walk(VirtAddr va) const;
    [[nodiscard]] Unhooked unhook_at(VirtAddr va, VirtAddr end, VirtAddr low, VirtAddr high);

    static constexpr std::uint64_t kNoSpan = ~std::uint64_t{0};
    static constexpr std::uint64_t kLineBytes = PteSlot::kLine * kPageSize;

    PhysAddr root_{};
    // Tables that walk() found, and the 2 MiB each is for. Stacks of threads, 8 MiB and a little apart, do
    // not drive one another out.
    struct Recent {
        std::uint64_t span{kNoSpan};
        std::uint64_t* entries{nullptr};

        [[nodiscard]] bool is_for(VirtAddr va) const { return va.value() >> level_shift(1) == span; }
        // Pre: is_for(va).
        [[nodiscard]] PteSlot slot(VirtAddr va) const {
            return PteSlot{entries + (va.value() >> kPageShift) % kTableEntries};
        }
    };
    static constexpr std::uint32_t kRecentShift = 23;
    [[nodiscard]] Recent& recent_for(VirtAddr va) const {
        return recent_[(va.value() >> kRecentShift) % recent_.size()];
    }
    mutable std::array<Recent, 4> recent_{};
    // What find_writable() found last. Its entry is in a table of recent_, or was: forget() is called for
    // both.
    struct Last {
        std::uint64_t number{kNoSpan};  // of the page; never an address's
        std::uint64_t* entry{nullptr};
        Pte pte;
        std::byte* bytes{nullptr};
    };
    mutable Last last_{};
    // Nothing is known of va's table any more. Pre: it is about to go.
    void forget(VirtAddr va) {
        recent_for(va) = {};
        last_ = {};
    }
};

}  // namespace kernel::mm
