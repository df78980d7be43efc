// SPDX-License-Identifier: MIT
// What the initrd contains, by path. Filled at boot by one hart, immutable afterwards.
#pragma once

#include <cstdint>
#include <string_view>

#include "file/directory.hpp"
#include "lib/result.hpp"
#include "mm/file_object.hpp"

namespace kernel::syscall::initrd_index {

// Makes room for this many entries. Pre: once, before add(). Errors: NoMemory (also beyond 2 MiB of index).
Result<void> reserve(std::size_t entries);
// `path` may begin with "/" or "./"; no object: a directory; the contents of a symbolic link's are its
// target. Errors: InvalidArgument for a path with ".",
// ".." or empty parts inside; NoMemory when the room is used up; Exists.
Result<void> add(std::string_view path, mm::FileObject* object, std::uint32_t mode);

struct Found {
    mm::FileObject* object{nullptr};  // null: a directory
    std::uint32_t mode{0};
    std::uint64_t inode{0};

    [[nodiscard]] bool is_link() const { return (mode & task::kTypeMask) == task::kTypeLink; }
};
// Pre for both: the path is canonical (syscall/path.hpp). Directories above files need no entry of their own.
// Errors: NoEntry.
[[nodiscard]] Result<Found> find(std::string_view path);
// The first entry directly below the directory at `path`, from position `from` (0: the beginning) on.
[[nodiscard]] Result<file::DirectoryEntry> next_below(std::string_view path, std::uint64_t from);

}  // namespace kernel::syscall::initrd_index
