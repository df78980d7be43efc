// SPDX-License-Identifier: MIT
// The names programs can open: the files of the initrd, registered at boot; devices under /dev; and a handful
// of text files under /proc and /sys that the kernel writes when they are opened. Read-only, no symbolic
// links, and the current directory is always the root.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/ref.hpp"
#include "lib/result.hpp"
#include "mm/file_object.hpp"
#include "syscall/information.hpp"
#include "task/file_table.hpp"
#include "task/task.hpp"

namespace kernel::syscall::file_system {

inline constexpr std::size_t kMaxPath = 256;  // with the final zero

// ---- Boot, one hart ----

// Makes room for this many initrd entries. Pre: once, before add_*. Errors: NoMemory (also beyond 2 MiB of
// index).
Result<void> reserve(std::size_t entries);
// Adds an entry of the initrd; fastest in ascending order. `path` may begin with "/" or "./"; `mode` is
// st_mode. `path` and `object` live as long as the kernel. Errors: InvalidArgument for a path with ".", ".."
// or empty parts inside; NoMemory when the room is used up; Exists.
Result<void> add_file(std::string_view path, mm::FileObject& object, std::uint32_t mode);
Result<void> add_directory(std::string_view path, std::uint32_t mode);

// ---- Lookup; immutable after boot ----

// The regular initrd file at `path`, for the program loader. Errors: NoEntry, NotDirectory, IsDirectory,
// NameTooLong.
[[nodiscard]] Result<mm::FileObject*> find_program(std::string_view path);

// What a path names.
struct Node {
    task::FileKind kind{};
    std::uint32_t mode{0};  // st_mode
    std::uint64_t inode{0};
    mm::FileObject* object{nullptr};  // Regular
    Information information{};        // Information
    TaskId process{};                 // Information about a process: which
};
// `path` in any spelling, resolved from the root; /proc/self is the caller's process. Errors: NoEntry,
// NotDirectory, NameTooLong.
[[nodiscard]] Result<Node> find(std::string_view path, task::Task& caller);

// Opens what find() found. Errors: NoMemory; NoEntry when the process it tells about is gone.
[[nodiscard]] Result<Ref<task::OpenFile>> open(const Node& node, std::uint32_t open_flags,
                                               task::Task& caller);

}  // namespace kernel::syscall::file_system
