// SPDX-License-Identifier: MIT
// The lower half of a process's memory: what is mapped (VmaSet), what is resident (PageTable), and how the
// one becomes the other at a fault. Anonymous memory is zero on first touch; files are private: their pages
// are shared with the page cache until they are written, then copied.
//
// Bounded work. Whatever touches resident pages does at most kPagesPerStep of them in one call and says
// whether it is done; a call that is not done is made again, with other work in between if need be:
//     for (VirtAddr at = start;;) {
//         const Progress progress = TRY(space.unmap(at, end - at));
//         if (progress.done) break;
//         at = progress.next;      // a system call keeps this in its continuation
//     }
// What an unfinished call has done so far stays done.
//
// TLB protocol. (1) A hart that starts to use the space first adds itself to active_cpus_, then drops what it
// may hold under this ASID, then loads satp. (2) A change that takes something away stores the entry, issues
// a full fence, reads active_cpus_, and flushes those harts; only then are frames dropped. Either the reader
// sees the hart in (2), or the hart's own flush in (1) comes after the store: in both cases no hart keeps a
// stale translation to a dropped frame. With an ASID a hart stays in active_cpus_ after it has moved on,
// since its TLB does; without one it leaves, since every switch flushes. A wider permission flushes this hart
// only, a first touch none: a hart that faults on what it remembers, or because its walker has not seen the
// entry yet, finds the entry good, flushes that page and goes on.
//
// Concurrency: every public function takes lock_ itself; atomics are marked.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/cpu_mask.hpp"
#include "lib/result.hpp"
#include "mm/file_object.hpp"
#include "mm/map_audit.hpp"
#include "mm/page_table.hpp"
#include "mm/protection.hpp"
#include "mm/vma.hpp"
#include "sync/data_races.hpp"
#include "sync/spinlock.hpp"

namespace kernel::mm {

enum class Placement : std::uint8_t {
    Anywhere,        // the hint if its range is free, else the highest gap below kMmapTop
    Fixed,           // exactly there, replacing what is mapped
    FixedNoReplace,  // exactly there, Exists when something is mapped
};

struct MapRequest {
    VirtAddr address;        // hint or place; page aligned for the fixed placements
    std::uint64_t bytes{0};  // rounded up to pages
    Protection protection;
    Placement placement{Placement::Anywhere};
};

// A view of a file. Memory beyond `bytes`, or beyond the end of a constant file, is zero; a page that a
// memory file does not reach cannot be accessed.
struct FileSlice {
    FileObject* file{nullptr};
    std::uint64_t offset{0};  // page aligned
    std::uint64_t bytes{0};   // how much of the mapping comes from the file; the rest is zero
    bool is_shared{false};    // stores go to the file, which is a memory file; `bytes` is all of the mapping
    bool may_write{true};     // false: a shared view of a file opened to be read
};

struct MapResult {
    VirtAddr start;
    bool done{true};  // false (Placement::Fixed only): make the same call again
};

struct Progress {
    VirtAddr next;  // where to go on when not done
    bool done{true};
};

struct BreakResult {
    VirtAddr now;     // the break, as brk() returns it
    bool done{true};  // false: make the same call again
};

// For arch::flush_tlb(): all addresses, table entries included (SBI specification, "RFENCE": size = 2^XLEN -
// 1).
inline constexpr std::uint64_t kFlushEverything = ~std::uint64_t{0};

// Whether a fault on a page of a constant file also maps pages around it that are in the page cache, as it
// does at first. Atomic.
void map_neighbours_at_faults(bool on);

class ProgramStart;
struct StartPlan;

// Whole lines: harts that run different processes write to no common one.
class alignas(64) AddressSpace {
  public:
    // Dropping a page takes about 100 instructions, sharing it with a child 150, looking at an entry 25, and
    // a step is to stay below 20 000.
    static constexpr std::uint32_t kPagesPerStep = 64;

    // An empty space with one reference, above it the kernel of `kernel_root`. NoMemory.
    [[nodiscard]] static Result<AddressSpace*> create(PhysAddr kernel_root);
    // Pre: teardown_step() has returned true. The pointer is dead afterwards.
    static void destroy(AddressSpace* space);
    AddressSpace(const AddressSpace&) = delete;
    AddressSpace& operator=(const AddressSpace&) = delete;

    // Atomic. Sharers of a space (vfork) hold references.
    void retain() { holders_.fetch_add(1, std::memory_order_relaxed); }
    // True for the last holder, which then runs teardown_step() to its end and destroy().
    [[nodiscard]] bool release();

    [[nodiscard]] PhysAddr root() const { return page_table_.root(); }
    [[nodiscard]] std::uint16_t asid() const { return asid_; }
    // Makes this the address space of the calling hart, satp included. Pre: cpu is the caller.
    void activate(CpuId cpu);
    // The calling hart leaves for the kernel's own root, satp included; another activate() may follow. Pre:
    // cpu is the caller.
    void deactivate(CpuId cpu);
    // Harts that may hold translations of this space. Atomic.
    [[nodiscard]] CpuMask active_cpus() const { return active_cpus_.load(); }

    // InvalidArgument: zero or overflowing length, unaligned or outside user space, W+X, unaligned file
    // offset. NoMemory: no gap, or no kernel memory. Exists: FixedNoReplace. Reserving costs the same for any
    // length.
    [[nodiscard]] Result<MapResult> map_anonymous(const MapRequest& request) EXCLUDES(lock_);
    [[nodiscard]] Result<MapResult> map_file(const MapRequest& request, const FileSlice& slice)
        EXCLUDES(lock_);

    // Where a mapping of this many bytes would be put that may lie anywhere. NoMemory: nowhere.
    [[nodiscard]] Result<VirtAddr> find_free(std::uint64_t bytes) const EXCLUDES(lock_);

    // munmap: holes are fine. InvalidArgument: unaligned start, zero length, outside user space. NoMemory: a
    // cut.
    [[nodiscard]] Result<Progress> unmap(VirtAddr start, std::uint64_t bytes) EXCLUDES(lock_);
    // mprotect. InvalidArgument: as unmap, and W+X. NoMemory: a hole (what is mapped before it is changed),
    // or a cut. AccessDenied: writing to a shared view that may not. Length 0 succeeds.
    [[nodiscard]] Result<Progress> protect(VirtAddr start, std::uint64_t bytes, Protection protection)
        EXCLUDES(lock_);
    // MADV_DONTNEED: drops resident pages; anonymous memory reads as zero again, file pages as the file.
    // NoMemory: a hole. InvalidArgument: as unmap. Length 0 succeeds.
    [[nodiscard]] Result<Progress> discard(VirtAddr start, std::uint64_t bytes) EXCLUDES(lock_);

    // A memory file was cut: drops what is resident of its pages from `first_page` on, private copies as
    // well, in mappings at or above `from`; the next access finds that the file has no such page. Nothing in
    // a space that is taken apart.
    [[nodiscard]] Progress drop_beyond(const FileObject& file, std::uint64_t first_page, VirtAddr from)
        EXCLUDES(lock_);

    // fork: puts the next of this space's mappings, or part of one, with its resident pages into `child`,
    // both shared from then on until one side writes. kUserTop when there is nothing left from `from` on.
    // What changes here between two steps, `child` has as it was or as it is. NoMemory: `child` has a part of
    // the batch. Pre: nobody runs in `child`, which has nothing from `from` on.
    [[nodiscard]] Result<Progress> copy_step(AddressSpace& child, VirtAddr from) EXCLUDES(lock_);

    // execve: maps what the last runs of the program needed at their start, as far as there is memory for it
    // now. What is left out, faults map. Pre: the file's image is mapped as in those runs, nothing of it is
    // resident, and no hart runs in the space.
    void map_start(FileObject& file, ProgramStart& start) EXCLUDES(lock_);

    // Where the break begins: the end of the program's data. The break is there. Called once, by the loader.
    void set_break_base(VirtAddr base) EXCLUDES(lock_);
    // brk: moves the break; an impossible wish (below the base, into a mapping, no memory) leaves it as it
    // is.
    [[nodiscard]] BreakResult set_break(VirtAddr wanted) EXCLUDES(lock_);

    // Makes one access possible. BadAddress: nothing mapped there, the access is not allowed, or the file has
    // no such page (is_beyond_file()). NoMemory.
    [[nodiscard]] Result<void> handle_fault(VirtAddr va, Access access) EXCLUDES(lock_);

    // Calls use(std::span<std::byte, kPageSize>) with the bytes of va's page, faulting it in as
    // handle_fault() does; the page stays where it is for the duration of the call. `use` must be short and
    // take no lock of a rank <= AddressSpace. Any va will do: BadAddress outside user space.
    template <class Use>
    [[nodiscard]] Result<void> with_page(VirtAddr va, Access access, Use&& use) EXCLUDES(lock_) {
        LockGuard guard{lock_};
        // What the page table lets the program do itself at this moment, its call may do without a look at
        // the mappings: an entry never allows more than its mapping did when it was last stored, and is
        // stored anew before a change of the mapping is done.
        const Pte pte = page_table_.find_recent(va);
        const PhysAddr frame = pte.lets_user(access) ? pte.frame() : TRY(resolve(va, access));
        [[maybe_unused]] const UnwatchedAccesses theirs{};
        use(std::span<std::byte, kPageSize>{static_cast<std::byte*>(phys_to_virt(frame)), kPageSize});
        return {};
    }

    // with_page() for a page that is at hand: true, and `use` was called. False, and nothing was done, where
    // that would wait for the lock, walk the page table or change it; with_page() then does. Small enough to
    // be part of its callers, with nothing to save for a call.
    template <class Use>
    [[nodiscard, gnu::always_inline]] bool with_page_at_hand(VirtAddr va, Access access, Use&& use)
        EXCLUDES(lock_) {
        if (!LockSteps::try_take(lock_)) [[unlikely]] {
            return false;
        }
        const Pte pte = page_table_.find_recent(va);
        const bool is_at_hand = pte.lets_user(access);
        if (is_at_hand) [[likely]] {
            [[maybe_unused]] const UnwatchedAccesses theirs{};
            use(std::span<std::byte, kPageSize>{static_cast<std::byte*>(phys_to_virt(pte.frame())),
                                                kPageSize});
        }
        LockSteps::give_back(lock_);
        return is_at_hand;
    }

    // The same for a page that the program may write to, which is faster for the one asked for last: whether
    // use(std::byte*) was called and returned true.
    template <class Use>
    [[nodiscard, gnu::always_inline]] bool with_own_page_at_hand(VirtAddr va, Use&& use) EXCLUDES(lock_) {
        if (needs_no_locks()) [[likely]] {
            return with_own_page_alone(va, use);
        }
        if (!LockSteps::try_take(lock_)) [[unlikely]] {
            return false;
        }
        const bool is_done = with_own_page_alone(va, use);
        LockSteps::give_back(lock_);
        return is_done;
    }

    // The same where nobody else is about to change the page table. Pre: has_one_hart.
    template <class Use>
    [[nodiscard, gnu::always_inline]] bool with_page_at_hand_alone(VirtAddr va, Access access,
                                                                   Use&& use) NO_THREAD_SAFETY_ANALYSIS {
        const Pte pte = page_table_.find_recent(va);
        if (!pte.lets_user(access)) [[unlikely]] {
            return false;
        }
        use(std::span<std::byte, kPageSize>{static_cast<std::byte*>(phys_to_virt(pte.frame())), kPageSize});
        return true;
    }

    // The same for two pages, one to read from and one to write to: whether use(source, target) was called,
    // and returned true.
    template <class Use>
    [[nodiscard, gnu::always_inline]] bool with_pages_at_hand(VirtAddr from, VirtAddr to, Use&& use)
        EXCLUDES(lock_) {
        if (!LockSteps::try_take(lock_)) [[unlikely]] {
            return false;
        }
        const Pte source = page_table_.find_recent(from);
        const Pte target = page_table_.find_recent(to);
        using Page = std::span<std::byte, kPageSize>;
        [[maybe_unused]] const UnwatchedAccesses theirs{};
        const bool is_done = source.lets_user(Access::Read) && target.lets_user(Access::Write) &&
                             use(Page{static_cast<std::byte*>(phys_to_virt(source.frame())), kPageSize},
                                 Page{static_cast<std::byte*>(phys_to_virt(target.frame())), kPageSize});
        LockSteps::give_back(lock_);
        return is_done;
    }

    // Unmaps up to max_pages resident pages (kPagesPerStep at most); true when nothing is left and the last
    // hart has left, which a hart that ran a thread here last may do a little later. Pre: no user code runs
    // in the space any more.
    [[nodiscard]] bool teardown_step(std::uint32_t max_pages) EXCLUDES(lock_);

    // The mapping at or above va, for listings, and what keeps its file. NoEntry when there is none.
    struct Listed {
        Mapping mapping;
        FileRef file;
    };
    [[nodiscard]] Result<Listed> mapping_at_or_above(VirtAddr va) const EXCLUDES(lock_);
    // Whether va is mapped and the access allowed, so that only its file can have been why it failed.
    [[nodiscard]] bool is_beyond_file(VirtAddr va, Access access) const EXCLUDES(lock_);

    // What a word in shared memory is called in every process that maps it: its file and its offset there.
    // NoEntry for memory that is not shared; costs next to nothing in a space that has none.
    struct SharedPlace {
        const FileObject* file;
        std::uint64_t offset;
    };
    [[nodiscard]] Result<SharedPlace> shared_place(VirtAddr va) const EXCLUDES(lock_);
    // False: it has none, for any address. Atomic.
    [[nodiscard]] bool may_have_shared_place() const { return has_shared_.load(std::memory_order_relaxed); }
    // A snapshot. Atomic.
    [[nodiscard]] std::uint64_t resident_pages() const {
        return resident_pages_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t mapped_bytes() const EXCLUDES(lock_);
    // Stops the machine when mappings, page table and counts disagree. For tests.
    void check_invariants() const EXCLUDES(lock_);
    // The first thing wrong with the page table, or nothing; adds to `pages` how many it holds.
    [[nodiscard]] std::optional<AuditResult> audit(std::uint64_t& pages) const EXCLUDES(lock_);

  private:
    template <class T>
    friend class ObjectPool;
    // What one call may still do: pages to drop, page table entries to look at.
    struct Work {
        std::uint32_t pages{kPagesPerStep};
        std::uint32_t entries{128};
    };
    // For a call that begins anew each time: what it has emptied is looked at again, at most a root, and the
    // middle and bottom table at either end of the range (256 + 2 * 512 entries, 2 * 64 lines of empty ones).
    static constexpr std::uint32_t kEntriesFromTheStart = 1536;

    // What copy_step() carries over at a time: part of a mapping and its pages, which own a reference each.
    struct Batch {
        Mapping mapping;  // empty: there is none left
        FileRef file;     // keeps the mapping's
        // The first page_count are set: addresses and entries as numbers, so that the others are not written.
        std::array<std::uint64_t, kPagesPerStep> addresses;
        std::array<std::uint64_t, kPagesPerStep> entries;
        std::uint32_t page_count{0};
        VirtAddr next;
        VirtAddr break_base;
        VirtAddr now;
    };
    void share_batch(VirtAddr from, Work& work, Batch& batch) EXCLUDES(lock_);
    [[nodiscard]] Result<void> take_batch(const Batch& batch) EXCLUDES(lock_);

    AddressSpace(PhysAddr root, PhysAddr kernel_root, std::uint16_t asid)
        : page_table_{root}, kernel_root_{kernel_root}, asid_{asid} {}
    ~AddressSpace() = default;

    // with_own_page_at_hand(), while nobody else changes the page table.
    template <class Use>
    [[nodiscard, gnu::always_inline]] bool with_own_page_alone(VirtAddr va,
                                                               Use& use) NO_THREAD_SAFETY_ANALYSIS {
        [[maybe_unused]] const UnwatchedAccesses theirs{};
        std::byte* const page = page_table_.find_writable(va);
        return page != nullptr && use(page);
    }
    [[nodiscard]] Result<MapResult> map(const MapRequest& request, const FileSlice& slice) EXCLUDES(lock_);
    [[nodiscard]] Result<VirtAddr> place(const MapRequest& request, std::uint64_t bytes) const
        REQUIRES(lock_);
    // Where va's page is, or is to be. `mapping` is null: nothing is there that allows the access.
    struct Place {
        const Mapping* mapping{nullptr};
        PteSlot slot;  // false: there is no table for it
    };
    [[nodiscard]] Place find_place(VirtAddr page, Access access) const REQUIRES(lock_);
    // The frame behind va, after making the access possible. BadAddress outside user space.
    [[nodiscard]] Result<PhysAddr> resolve(VirtAddr va, Access access) REQUIRES(lock_);
    [[nodiscard]] Result<PhysAddr> make_resident(const Place& place, VirtAddr page, Access access)
        REQUIRES(lock_);
    [[nodiscard]] Result<void> handle_other_fault(const Place& place, VirtAddr page, Access access)
        REQUIRES(lock_);
    // What else there is to do about a page that has become resident.
    void note_first_touch(const Mapping& mapping, VirtAddr page) REQUIRES(lock_);
    // Wraps: adding a negative number takes away. Only the holder of lock_ writes, so it need not be one
    // step.
    void add_resident(std::uint64_t pages) REQUIRES(lock_) {
        resident_pages_.store(resident_pages_.load(std::memory_order_relaxed) + pages,
                              std::memory_order_relaxed);
    }
    void map_neighbours(const Mapping& mapping, VirtAddr page) REQUIRES(lock_);
    // The parts of map_start() (program_start.cpp).
    template <class Use>
    void for_each_start_mapping(const FileObject& file, const ProgramStart& start, Use&& use) const
        REQUIRES(lock_);
    static void add_to_plan(StartPlan& plan, const Mapping& mapping, VirtAddr page, FileObject& file);
    [[nodiscard]] Result<PhysAddr> plan_start(FileObject& file, const ProgramStart& start,
                                              std::uint64_t made_of) const REQUIRES(lock_);
    void map_planned(const StartPlan& plan, const FileObject& file, const ProgramStart& start)
        REQUIRES(lock_);
    // A frame with what the mapping's file has there, for make_resident().
    struct FileFrame {
        PhysAddr frame;
        bool is_shared{false};   // it is the file's own
        bool is_lasting{false};  // and never given back: it comes without a reference
        bool is_fenced{false};   // instruction fetch knows of its contents
    };
    [[nodiscard]] static Result<FileFrame> frame_from_file(const Mapping& mapping, std::uint64_t distance,
                                                           Access access);
    // The same for a page that is resident.
    [[nodiscard]] Result<PhysAddr> allow(const Place& place, VirtAddr page, Access access) REQUIRES(lock_);
    [[nodiscard]] Result<PhysAddr> take_private_copy(const Mapping& mapping, VirtAddr page, PteSlot slot)
        REQUIRES(lock_);
    // What becomes of page tables that hold nothing any more.
    enum class Tables : std::uint8_t {
        Stay,      // the mappings stay, so they will be needed again
        GoInside,  // those of the range alone go
        GoAround,  // the mapping goes: so do all that cover no other mapping
    };
    // Drops resident pages of [start, end), mapped or not, as far as `work` allows. Every table, but for the
    // lingering one, covers part of some mapping: that is how we know of an empty one without looking into
    // it.
    [[nodiscard]] Progress drop_pages(VirtAddr start, VirtAddr end, Work& work, Tables tables)
        REQUIRES(lock_);
    [[nodiscard]] Progress reprotect_pages(VirtAddr start, VirtAddr end, Protection protection, Work& work)
        REQUIRES(lock_);
    // A program that maps and unmaps at one place in turns needs the table there again and again. So the
    // bottom table that a small drop_pages() emptied last, and the one above, stay until another one takes
    // its place, or the space ends. This unhooks them, if they cover no mapping, and passes them to
    // sink(PhysAddr).
    template <class Sink>
    void unhook_lingering(Sink&& sink) REQUIRES(lock_);
    void drop_lingering() REQUIRES(lock_);
    // What is left of teardown_step() when the last hart has left: it cannot come back, no TLB is asked about
    // pages or tables any more, and nobody looks a mapping up.
    [[nodiscard]] bool take_apart(Work& work) REQUIRES(lock_);
    // Every hart forgets what it knows of [start, end). Pre: the entries are stored.
    void flush(VirtAddr start, VirtAddr end) REQUIRES(lock_);
    void flush_everything() REQUIRES(lock_);

    mutable SpinLock lock_{LockRank::AddressSpace};
    VmaSet mappings_ GUARDED_BY(lock_);
    PageTable page_table_;  // the root is immutable; the tables are guarded by lock_
    const PhysAddr kernel_root_;
    const std::uint16_t asid_;
    VirtAddr break_base_ GUARDED_BY(lock_){};
    VirtAddr break_ GUARDED_BY(lock_){};
    bool is_torn_down_ GUARDED_BY(lock_){false};
    static constexpr std::uint64_t kNoSpan = ~std::uint64_t{0};
    // The 2 MiB whose table may be there for no mapping.
    std::uint64_t lingering_ GUARDED_BY(lock_){kNoSpan};
    std::atomic<std::uint64_t> resident_pages_{0};  // written under lock_
    std::atomic<std::uint32_t> holders_{1};
    std::atomic<bool> has_shared_{false};  // whether there ever was a shared mapping; written under lock_
    AtomicCpuMask active_cpus_;
    AtomicCpuMask running_cpus_;  // harts whose satp is this space now
};

}  // namespace kernel::mm
