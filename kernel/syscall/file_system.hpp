// SPDX-License-Identifier: MIT
// The names programs can open: the files of the initrd, registered at boot; devices under /dev; and a handful of text
// files under /proc and /sys that the kernel writes when they are opened. Read-only, no symbolic links.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/ref.hpp"
#include "lib/result.hpp"
#include "mm/file_object.hpp"
#include "nexus_abi/linux.hpp"
#include "task/file_table.hpp"
#include "task/task.hpp"

namespace kernel::syscall::file_system {

// Room for this many entries; a cpio archive with more is said to be too large. Pre: once, at boot. Errors: NoMemory.
Result<void> reserve(std::size_t entries);
// Adds an initrd entry: `path` in any spelling ("a/b", "./a/b", "/a/b"), mode as st_mode. A directory has no object.
// `path` and `object` live as long as the kernel. Pre: boot, one hart. Errors: NoMemory (no room left), Exists,
// NameTooLong.
Result<void> add_file(std::string_view path, mm::FileObject& object, std::uint64_t bytes, std::uint32_t mode);
Result<void> add_directory(std::string_view path, std::uint32_t mode);

inline constexpr std::size_t kMaxPath = 256;  // with the final NUL

// The file object of a regular initrd file, for the program loader. Errors: NoEntry, IsDirectory.
[[nodiscard]] Result<mm::FileObject*> find_program(std::string_view path);

// What a path names; enough for stat without opening it.
struct Node {
    task::FileKind kind{};
    std::uint32_t mode{0};
    std::uint64_t inode{0};
    std::uint64_t bytes{0};
    mm::FileObject* object{nullptr};
    // Information files: which one, and of which process (0: none).
    std::uint32_t information{0};
    TaskId process{};
};
// `path` is absolute. Errors: NoEntry, NotDirectory.
[[nodiscard]] Result<Node> find(std::string_view path, task::Task& caller);

// Opens what `find` found. Errors: NoMemory; NoEntry when the process it tells about is gone.
[[nodiscard]] Result<Ref<task::OpenFile>> open(const Node& node, std::uint32_t open_flags, task::Task& caller);

}  // namespace kernel::syscall::file_system
