// SPDX-License-Identifier: MIT
// Open files and the descriptors that name them. An OpenFile is what Linux calls an open file description:
// kind, flags, position; descriptors, threads and spawned children share it by reference. What reading and
// writing mean for each kind is the business of syscall/files.cpp.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/ids.hpp"
#include "lib/ref.hpp"
#include "lib/result.hpp"
#include "lib/thread_safety.hpp"
#include "sync/spinlock.hpp"

namespace kernel::mm {
class FileObject;
template <class T>
class ObjectPool;
}  // namespace kernel::mm

namespace kernel::task {

enum class FileKind : std::uint8_t {
    Console,      // the terminal
    Regular,      // a file of the initrd
    Directory,    // can be looked at, not read
    Information,  // text the kernel generated when it was opened
    Null,         // reads nothing, takes everything
    Zero,         // reads zeros, takes everything
    Random,       // reads random bytes, takes everything
};

// Linux' open flags (include/uapi/asm-generic/fcntl.h).
inline constexpr std::uint32_t kOpenAccessMask = 3;
inline constexpr std::uint32_t kOpenReadOnly = 0;
inline constexpr std::uint32_t kOpenWriteOnly = 1;
inline constexpr std::uint32_t kOpenReadWrite = 2;

// Concurrency: position is atomic; two readers of one open file may get the same bytes, as POSIX allows
// threads to expect no more. The rest is immutable once the file has a descriptor.
class OpenFile : public RefCounted<OpenFile> {
  public:
    // Errors: NoMemory.
    [[nodiscard]] static Result<Ref<OpenFile>> create(FileKind kind, std::uint32_t open_flags);
    static void last_reference_gone(OpenFile& file);

    [[nodiscard]] FileKind kind() const { return kind_; }
    [[nodiscard]] std::uint32_t open_flags() const { return open_flags_; }
    [[nodiscard]] bool is_readable() const { return (open_flags_ & kOpenAccessMask) != kOpenWriteOnly; }
    [[nodiscard]] bool is_writable() const { return (open_flags_ & kOpenAccessMask) != kOpenReadOnly; }
    // Whether there is a position that lseek moves.
    [[nodiscard]] bool is_seekable() const {
        return kind_ == FileKind::Regular || kind_ == FileKind::Information;
    }

    // Memory for an Information file's text: 2^order frames, owned by the file from now on. Errors: NoMemory.
    Result<std::span<char>> allocate_text(std::uint32_t order);
    // How much of it was filled.
    void set_text_bytes(std::size_t bytes) { size_ = bytes; }
    [[nodiscard]] std::span<const char> text() const;

    std::atomic<std::uint64_t> position{0};
    mm::FileObject* object{nullptr};  // Regular: its contents; lives as long as the kernel
    std::uint32_t mode{0};            // st_mode
    std::uint64_t inode{0};
    // Bytes of a Regular or Information file.
    [[nodiscard]] std::uint64_t size() const { return size_; }
    void set_size(std::uint64_t bytes) { size_ = bytes; }

  private:
    template <class T>
    friend class ::kernel::mm::ObjectPool;
    OpenFile(FileKind kind, std::uint32_t open_flags) : kind_{kind}, open_flags_{open_flags} {}
    ~OpenFile() = default;

    FileKind kind_;
    std::uint32_t open_flags_;
    std::uint64_t size_{0};
    PhysAddr text_frames_{};
    std::uint32_t text_order_{0};
    bool has_text_{false};
};

// The descriptors of one process. Concurrency: guarded by lock_ (LockRank::FileTable).
class FileTable {
  public:
    static constexpr std::uint32_t kMaxFiles = 256;  // RLIMIT_NOFILE

    FileTable() = default;
    FileTable(const FileTable&) = delete;
    FileTable& operator=(const FileTable&) = delete;
    ~FileTable() { close_all(); }

    // Gives `file` the lowest free descriptor. Errors: TooManyFiles, NoMemory.
    Result<std::uint32_t> insert(Ref<OpenFile> file, bool close_on_exec) EXCLUDES(lock_);
    // Gives `file` this descriptor, closing what had it. Errors: BadDescriptor (not below kMaxFiles),
    // NoMemory.
    Result<void> insert_at(std::int32_t descriptor, Ref<OpenFile> file, bool close_on_exec) EXCLUDES(lock_);
    // Errors: BadDescriptor.
    Result<Ref<OpenFile>> find(std::int32_t descriptor) const EXCLUDES(lock_);
    Result<void> close(std::int32_t descriptor) EXCLUDES(lock_);
    void close_all() EXCLUDES(lock_);

    // For spawn: shares every open file of `other` that is not close-on-exec, at its number. Pre: this table
    // is empty and nobody else knows it. Errors: NoMemory; what was copied so far stays.
    Result<void> copy_from(const FileTable& other) EXCLUDES(lock_);
    // Descriptors 0, 1 and 2 on the console. Pre as for copy_from. Errors: NoMemory.
    Result<void> open_console() EXCLUDES(lock_);

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
    Result<void> grow() REQUIRES(lock_);
    // What a spawned child gets at this number; is_last: there are no descriptors above.
    struct Kept {
        Ref<OpenFile> file;
        bool is_last;
    };
    [[nodiscard]] Kept kept_at(std::uint32_t index) const EXCLUDES(lock_);

    mutable SpinLock lock_{LockRank::FileTable};
    mutable std::array<Slot, kInlineSlots> inline_slots_ GUARDED_BY(lock_){};
    Slot* grown_ GUARDED_BY(lock_){nullptr};
};

}  // namespace kernel::task
