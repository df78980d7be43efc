// SPDX-License-Identifier: MIT
// The contents of one initrd file and its page cache: each page is copied into a frame of its own on first
// use and then shared by every process that maps it. Files live for ever: address spaces keep plain pointers
// to them.
//
// Concurrency: contents and path are immutable; the cache is guarded by lock_.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/result.hpp"
#include "mm/layout.hpp"
#include "sync/spinlock.hpp"

namespace kernel::mm {

class FileObject {
  public:
    // Pre: contents and path stay where they are for ever (the initrd in the physmap).
    FileObject(std::string_view path, std::span<const std::byte> contents)
        : path_{path}, contents_{contents} {}
    FileObject(const FileObject&) = delete;
    FileObject& operator=(const FileObject&) = delete;
    // Pre: nothing maps the file any more. Only tests destroy files.
    ~FileObject();

    [[nodiscard]] std::string_view path() const { return path_; }
    [[nodiscard]] std::span<const std::byte> contents() const { return contents_; }
    [[nodiscard]] std::uint64_t page_count() const { return page_up(contents_.size()) >> kPageShift; }

    // The frame that holds page `index`, with one more reference, which the caller drops. The tail of the
    // last page is zero. The frame is shared: nobody writes to it. `for_execution`: some hart will fetch
    // instructions from it; the first such call makes the copy visible to instruction fetch everywhere.
    // NoMemory; BadAddress when index >= page_count().
    [[nodiscard]] Result<PhysAddr> frame_of(std::uint64_t index, bool for_execution) EXCLUDES(lock_);

  private:
    static constexpr std::uint64_t kEntriesPerFrame = kPageSize / sizeof(std::uint64_t);

    [[nodiscard]] Result<std::uint64_t*> entry_of(std::uint64_t index) REQUIRES(lock_);
    [[nodiscard]] Result<PhysAddr> load_page(std::uint64_t index) REQUIRES(lock_);

    const std::string_view path_;
    const std::span<const std::byte> contents_;
    mutable SpinLock lock_{LockRank::PageCache};
    // Two levels of frames full of entries; made when first needed. 512 x 512 pages bound a file to 1 GiB.
    std::uint64_t* directory_ GUARDED_BY(lock_){nullptr};
};

}  // namespace kernel::mm
