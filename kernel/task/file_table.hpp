// SPDX-License-Identifier: MIT
// The descriptors of one process, each a reference to an OpenFile with a close-on-exec mark, and the
// directory that relative paths start at.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "lib/ids.hpp"
#include "lib/ref.hpp"
#include "lib/result.hpp"
#include "lib/thread_safety.hpp"
#include "sync/spinlock.hpp"
#include "task/file_locks.hpp"
#include "task/open_file.hpp"

namespace kernel::task {

// Concurrency: guarded by lock_ (LockRank::FileTable). Files are closed with no lock held.
class FileTable {
  public:
    static constexpr std::uint32_t kMaxFiles = 256;  // the most RLIMIT_NOFILE can be

    FileTable() = default;
    FileTable(const FileTable&) = delete;
    FileTable& operator=(const FileTable&) = delete;
    ~FileTable() { close_all(); }

    // Gives `file` the lowest free descriptor that is not below `minimum` and below the limit. Errors:
    // TooManyFiles, NoMemory.
    Result<std::uint32_t> insert(Ref<OpenFile> file, bool close_on_exec, std::uint32_t minimum = 0)
        EXCLUDES(lock_);
    // Gives `file` this descriptor, closing what had it; the limit is the caller's business. Errors:
    // BadDescriptor (not below kMaxFiles), NoMemory.
    Result<void> insert_at(std::int32_t descriptor, Ref<OpenFile> file, bool close_on_exec) EXCLUDES(lock_);
    // Errors: BadDescriptor.
    Result<Ref<OpenFile>> find(std::int32_t descriptor) const EXCLUDES(lock_) {
        const LockGuard guard{lock_};
        OpenFile* const file = find_locked(descriptor);
        if (file == nullptr) {
            return Error::BadDescriptor;
        }
        return Ref<OpenFile>::share(*file);
    }
    // For who looks at a file for a moment: while the lock is held it stays, without a reference. Null: there
    // is none.
    [[nodiscard]] SpinLock& lock() const RETURN_CAPABILITY(lock_) { return lock_; }
    [[nodiscard]] OpenFile* find_locked(std::int32_t descriptor) const REQUIRES(lock_) {
        // A negative one is larger than any.
        const auto index = static_cast<std::uint32_t>(descriptor);
        return index < capacity() ? slot(index).file : nullptr;
    }
    Result<void> close(std::int32_t descriptor) EXCLUDES(lock_);
    // The first open descriptor from `from` on.
    [[nodiscard]] std::optional<std::uint32_t> next_open(std::uint32_t from) const EXCLUDES(lock_);
    Result<bool> closes_on_exec(std::int32_t descriptor) const EXCLUDES(lock_);
    Result<void> set_closes_on_exec(std::int32_t descriptor, bool closes) EXCLUDES(lock_);

    // Closes up to kClosedPerStep of the descriptors from `from` to `last`; returns where to go on, `last` +
    // 1 or more when done. Pre: last < kMaxFiles.
    [[nodiscard]] std::uint32_t close_range_step(std::uint32_t from, std::uint32_t last) EXCLUDES(lock_);
    // Marks those of them that are open as close-on-exec.
    void mark_range(std::uint32_t from, std::uint32_t last) EXCLUDES(lock_);

    // For exec: closes what is marked. Goes on at `from`; returns where to go on, kMaxFiles when done. At
    // most kClosedPerStep are closed in one call, as each may have work to do.
    [[nodiscard]] std::uint32_t close_marked_step(std::uint32_t from) EXCLUDES(lock_);
    // For the end of a process: closes some; true when nothing is left, the current directory and what the
    // files left behind included.
    [[nodiscard]] bool close_step() EXCLUDES(lock_);
    void close_all() EXCLUDES(lock_);
    static constexpr std::uint32_t kClosedPerStep = 16;

    // For fork: shares every open file of `other` at its number, marks included, its current directory,
    // its umask and its limit.
    // Bounded by kMaxFiles. Pre: this table is empty and nobody else knows it. Errors: NoMemory; what was
    // copied so far stays.
    Result<void> copy_from(const FileTable& other) EXCLUDES(lock_);

    // The locks of the process on files; they have a lock of their own.
    file_locks::Holder locks;

    // What is taken off the permissions of new files. Atomic.
    std::atomic<std::uint32_t> umask{022};
    // The current value of RLIMIT_NOFILE, at most kMaxFiles: no new descriptor is as large; those there are
    // stay. Atomic.
    std::atomic<std::uint32_t> limit{kMaxFiles};

    // Where relative paths start; empty: the root. Threads share it.
    [[nodiscard]] Ref<OpenFile> directory() const EXCLUDES(lock_);
    void set_directory(Ref<OpenFile> directory) EXCLUDES(lock_);

  private:
    struct Slot {
        OpenFile* file;  // owns one reference; null = free
        std::uint64_t close_on_exec;
    };
    static constexpr std::uint32_t kInlineSlots = 16;
    static_assert(sizeof(Slot) * kMaxFiles == 4096, "the grown table is one frame");

    [[nodiscard]] std::uint32_t capacity() const REQUIRES(lock_) {
        return grown_ == nullptr ? kInlineSlots : kMaxFiles;
    }
    [[nodiscard]] Slot& slot(std::uint32_t i) const REQUIRES(lock_) {
        return grown_ == nullptr ? inline_slots_[i] : grown_[i];
    }
    // The slot of an open descriptor. Errors: BadDescriptor.
    [[nodiscard]] Result<Slot*> used_slot(std::int32_t descriptor) const REQUIRES(lock_);
    Result<void> grow() REQUIRES(lock_);
    // The first open descriptor from `from` on, taken out; marked_only: with a close-on-exec mark.
    struct Taken {
        Ref<OpenFile> file;  // empty: there is none
        std::uint32_t next{kMaxFiles};
    };
    [[nodiscard]] Taken take_next(std::uint32_t from, bool marked_only) EXCLUDES(lock_);
    // What a forked child gets at the next number.
    struct Kept {
        Ref<OpenFile> file;  // empty: there is none
        bool close_on_exec{false};
        std::uint32_t index{0};
    };
    // For a file that was just taken out.
    void forget_locks_on(const Ref<OpenFile>& file) EXCLUDES(lock_);
    // The first open descriptor from `from` on.
    [[nodiscard]] Kept kept_from(std::uint32_t from) const EXCLUDES(lock_);

    mutable SpinLock lock_{LockRank::FileTable};
    mutable std::array<Slot, kInlineSlots> inline_slots_ GUARDED_BY(lock_){};
    Slot* grown_ GUARDED_BY(lock_){nullptr};
    std::uint32_t open_ GUARDED_BY(lock_){0};  // how many descriptors there are
    Ref<OpenFile> directory_ GUARDED_BY(lock_);
};

}  // namespace kernel::task
