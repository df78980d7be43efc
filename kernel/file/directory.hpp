// SPDX-License-Identifier: MIT
// Open directories: what getdents64 shows, and those of the trees that never change (initrd, /dev, /proc,
// /sys).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "file/seekable.hpp"

namespace kernel::file {

inline constexpr std::size_t kMaxPath = 256;  // with the final zero
inline constexpr std::size_t kMaxName = 255;

struct DirectoryEntry {
    std::string_view name{};
    std::uint64_t inode{0};
    std::uint32_t mode{0};  // its type counts
    std::uint64_t next{0};  // the position after it
};

// A directory whose position is a cursor over its entries. "." and ".." are at 0 and 1.
class Directory : public SeekableFile {
  public:
    static constexpr std::uint64_t kFirstPosition = 2;

    task::SysResult read(task::Task&, mm::UserBuffers&, std::optional<std::uint64_t>) final {
        return Error::IsDirectory;
    }
    task::SysResult list(task::Task& caller, mm::UserBuffers& buffers) final;

  protected:
    explicit Directory(std::uint32_t flags) : SeekableFile{flags} {}
    ~Directory() = default;

    // The entry at `position` (kFirstPosition or what an entry's `next` was) or the first one after it; its
    // name may point into `room`. No name: nothing found yet, go on at `next`. Errors: NoEntry at the end.
    virtual Result<DirectoryEntry> entry_at(std::uint64_t position, std::span<char, kMaxName> room,
                                            task::Task& caller) = 0;

  private:
    [[nodiscard]] std::uint64_t end() const final { return 0; }
};

// Finds the entries of a constant directory by its path; as Directory::entry_at().
using EntryFinder = Result<DirectoryEntry> (*)(std::string_view path, std::uint64_t position,
                                               std::span<char, kMaxName> room, task::Task& caller);

// `path` without leading "/", at most kMaxPath - 1 characters. Errors: NoMemory.
[[nodiscard]] Result<Ref<task::OpenFile>> open_constant_directory(std::string_view path, EntryFinder finder,
                                                                  std::uint32_t flags,
                                                                  const task::FileStatus& status);

}  // namespace kernel::file
