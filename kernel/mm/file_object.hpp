// SPDX-License-Identifier: MIT
// The pages of one file. A constant file (of the initrd) has contents elsewhere and a page cache: each page
// is copied into a frame of its own on first use and then shared by every process that maps it; it lives for
// ever. A memory file (of tmpfs) is its pages: what was never written is zero and takes none, and what it may
// take is limited by a budget it shares with others. Who maps it holds a reference, a FileRef, which its
// owner counts.
//
// Concurrency: contents and path are immutable; the pages are guarded by lock_. Whoever holds a reference to
// a frame may read it without a lock, and write it if the file is a memory file.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "arch/contract.hpp"
#include "lib/result.hpp"
#include "mm/layout.hpp"
#include "sync/spinlock.hpp"

namespace kernel::mm {

// How many pages a group of memory files may have. Atomic.
struct PageBudget {
    std::atomic<std::uint64_t> used{0};
    std::uint64_t limit{0};  // set before the first file
};

// How the owner of a memory file counts who maps or runs it. let_go() may be called with the lock of an
// address space held, and does little.
struct FileKeeper {
    void (*keep)(void* owner);
    void (*let_go)(void* owner);
    // As OpenFile::link_text().
    Result<std::string_view> (*link_text)(const void* owner, std::span<char> to);
};

class ProgramStart;

class FileObject {
  public:
    static constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 30;

    // Pre: contents and path stay where they are for ever (the initrd in the physmap).
    FileObject(std::string_view path, std::span<const std::byte> contents)
        : path_{path}, contents_{contents}, size_{contents.size()} {}
    // An empty memory file. Pre: the budget lives as long as the file.
    FileObject(PageBudget& budget, const FileKeeper& keeper, void* owner)
        : budget_{&budget}, keeper_{&keeper}, owner_{owner} {}
    FileObject(const FileObject&) = delete;
    FileObject& operator=(const FileObject&) = delete;
    // Pre: nothing maps the file any more. Work grows with the pages; see shrink_step().
    ~FileObject();

    // Where it lies, with a leading "/"; written to `to`. Errors: NameTooLong.
    [[nodiscard]] Result<std::string_view> link_text(std::span<char> to) const;
    // A reference more, and less: FileRef's business. A constant file needs none.
    void keep() {
        if (keeper_ != nullptr) {
            keeper_->keep(owner_);
        }
    }
    void let_go() {
        if (keeper_ != nullptr) {
            keeper_->let_go(owner_);
        }
    }
    // As it was made with. Pre: a constant file.
    [[nodiscard]] std::string_view constant_path() const { return path_; }
    [[nodiscard]] std::span<const std::byte> contents() const { return contents_; }
    [[nodiscard]] bool is_memory() const { return budget_ != nullptr; }
    [[nodiscard]] std::uint64_t size() const { return size_.load(); }
    [[nodiscard]] std::uint64_t page_count() const { return page_up(size()) >> kPageShift; }

    // The frame that holds page `index`, with one more reference, which the caller drops. The tail of the
    // last page is zero. The frame is shared; nobody writes to one of a constant file. `for_execution`: some
    // hart will fetch instructions from it; the first such call makes the copy visible to instruction fetch
    // everywhere; of a memory file, which may be written in between, every such call. NoMemory; NoSpace
    // beyond the budget; BadAddress when index >= page_count().
    [[nodiscard]] Result<PhysAddr> frame_of(std::uint64_t index, bool for_execution) EXCLUDES(lock_);

    // The same without a reference. Pre: a constant file, whose frames stay.
    [[nodiscard]] Result<PhysAddr> lasting_frame_of(std::uint64_t index, bool for_execution) EXCLUDES(lock_);

    // Calls use(i, frame) for each page `first` + i of the next `count` that has a frame, and, with
    // `for_execution`, one that instruction fetch knows of. `use` takes no lock. Pre: a constant file, whose
    // frames stay.
    template <class Use>
    void for_each_cached(std::uint64_t first, std::uint32_t count, bool for_execution, Use&& use)
        EXCLUDES(lock_) {
        LockGuard guard{lock_};
        const std::uint64_t wanted = for_execution ? kFenced : 0;
        for (std::uint32_t i = 0; i < count;) {
            const std::uint64_t left = kEntriesPerFrame - (first + i) % kEntriesPerFrame;
            const std::uint64_t* entry = existing_entry(first + i);
            const auto end = static_cast<std::uint32_t>(std::min<std::uint64_t>(count, i + left));
            if (entry == nullptr) {
                i = end;
                continue;
            }
            for (; i < end; ++i, ++entry) {
                if (*entry != 0 && (*entry & wanted) == wanted) {
                    use(i, page_down(PhysAddr{*entry}));
                }
            }
        }
    }

    // How often a page of it became cached, or known to instruction fetch. Atomic.
    [[nodiscard]] std::uint32_t changes() const { return changes_.load(std::memory_order_relaxed); }
    // What is known of the starts of this program; null: nothing is kept. Atomic; set once.
    [[nodiscard]] ProgramStart* program_start() const {
        return program_start_.load(std::memory_order_acquire);
    }
    void set_program_start(ProgramStart& start) { program_start_.store(&start, std::memory_order_release); }

    // ---- Memory files

    // The frame of page `index`, which may lie beyond the end, with one more reference. NoMemory, NoSpace,
    // FileTooBig.
    [[nodiscard]] Result<PhysAddr> frame_to_write(std::uint64_t index) EXCLUDES(lock_);
    // The same, if it was ever written. NoEntry.
    [[nodiscard]] Result<PhysAddr> existing_frame(std::uint64_t index) EXCLUDES(lock_);
    // Makes the file at least this long. Pre: bytes <= kMaxBytes; pages of an earlier end are gone
    // (shrink_step()), as they would be part of the file again.
    void grow_to(std::uint64_t bytes) EXCLUDES(lock_);
    // Makes the file end there, if it is longer; what lies beyond goes by shrink_step().
    void cut_to(std::uint64_t bytes) EXCLUDES(lock_);
    // Somebody maps a part of it. Never taken back: who cuts it has to look for mappings. Atomic.
    void note_mapping() { was_mapped_.store(1, std::memory_order_relaxed); }
    [[nodiscard]] bool was_mapped() const { return was_mapped_.load(std::memory_order_relaxed) != 0; }
    // Drops up to kPagesPerStep pages beyond the end; true when there are none.
    [[nodiscard]] bool shrink_step() EXCLUDES(lock_);
    static constexpr std::uint32_t kPagesPerStep = 64;

  private:
    static constexpr std::uint64_t kEntriesPerFrame = kPageSize / sizeof(std::uint64_t);
    // An entry is the physical address of a frame; its lowest bit says that instruction fetch has been told
    // of the contents.
    static constexpr std::uint64_t kFenced = 1;

    [[nodiscard]] Result<PhysAddr> find_frame(std::uint64_t index, bool for_execution) REQUIRES(lock_);
    [[nodiscard]] Result<std::uint64_t*> entry_of(std::uint64_t index) REQUIRES(lock_);
    [[nodiscard]] Result<PhysAddr> load_page(std::uint64_t index) REQUIRES(lock_);
    // The entry of a page if its table is there; null else.
    [[nodiscard]] std::uint64_t* existing_entry(std::uint64_t index) const REQUIRES(lock_) {
        const std::uint64_t table = directory_ == nullptr ? 0 : directory_[index / kEntriesPerFrame];
        return table == 0
                   ? nullptr
                   : static_cast<std::uint64_t*>(phys_to_virt(PhysAddr{table})) + index % kEntriesPerFrame;
    }
    void note_change() REQUIRES(lock_) {
        changes_.store(changes_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    // Whether there may be pages beyond the end.
    [[nodiscard]] bool has_pages_beyond() const REQUIRES(lock_);

    const std::string_view path_;
    const std::span<const std::byte> contents_;
    mutable SpinLock lock_{LockRank::PageCache};
    // Two levels of frames full of entries; made when first needed. 512 x 512 pages bound a file to 1 GiB.
    std::uint64_t* directory_ GUARDED_BY(lock_){nullptr};
    PageBudget* const budget_{nullptr};  // of a memory file, as are the next two
    const FileKeeper* const keeper_{nullptr};
    void* const owner_{nullptr};
    std::atomic<std::uint64_t> size_{0};  // written under lock_
    std::atomic<std::uint32_t> was_mapped_{0};
    std::atomic<std::uint32_t> changes_{0};  // written under lock_
    std::atomic<ProgramStart*> program_start_{nullptr};
    // One past the highest page a memory file may have.
    std::uint64_t top_page_ GUARDED_BY(lock_){0};
};

// Keeps a file while somebody maps or runs it. Concurrency: belongs to one owner at a time.
class FileRef {
  public:
    FileRef() = default;
    // Pre: the file is alive.
    explicit FileRef(FileObject* file) : file_{file} { keep(); }
    FileRef(const FileRef& other) : file_{other.file_} { keep(); }
    FileRef(FileRef&& other) noexcept : file_{std::exchange(other.file_, nullptr)} {}
    FileRef& operator=(FileRef other) noexcept {
        std::swap(file_, other.file_);
        return *this;
    }
    ~FileRef() {
        if (file_ != nullptr) {
            file_->let_go();
        }
    }

    [[nodiscard]] FileObject* get() const { return file_; }
    FileObject& operator*() const { return *file_; }
    FileObject* operator->() const { return file_; }
    explicit operator bool() const { return file_ != nullptr; }

  private:
    void keep() {
        if (file_ != nullptr) {
            file_->keep();
        }
    }
    FileObject* file_{nullptr};
};

// The beginning of a file, to read headers from: all of a constant file, at most the first page of a memory
// file, whose bytes may change at any time.
class FileHead {
  public:
    explicit FileHead(FileObject& file);
    FileHead(const FileHead&) = delete;
    FileHead& operator=(const FileHead&) = delete;
    ~FileHead();
    [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

  private:
    std::span<const std::byte> bytes_;
    PhysAddr frame_{};  // 0: none is held
};

}  // namespace kernel::mm
