// SPDX-License-Identifier: MIT
// The names programs can open: the files of the initrd, registered at boot; devices under /dev; and a handful
// of text files under /proc and /sys that the kernel writes when they are opened.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "file/devices.hpp"
#include "lib/ref.hpp"
#include "lib/result.hpp"
#include "mm/file_object.hpp"
#include "syscall/information.hpp"
#include "syscall/path.hpp"
#include "task/open_file.hpp"
#include "task/task.hpp"

namespace kernel::syscall::file_system {

using syscall::kMaxPath;

// ---- Boot, one hart ----

// Makes room for this many initrd entries. Pre: once, before add_*. Errors: NoMemory (also beyond 2 MiB of
// index).
Result<void> reserve(std::size_t entries);
// Adds an entry of the initrd; fastest in ascending order. `path` may begin with "/" or "./"; `mode` is
// st_mode. `path` and `object` live as long as the kernel. Errors: InvalidArgument for a path with ".", ".."
// or empty parts inside; NoMemory when the room is used up; Exists.
Result<void> add_file(std::string_view path, mm::FileObject& object, std::uint32_t mode);
Result<void> add_directory(std::string_view path, std::uint32_t mode);

// ---- Lookup ----

// The regular initrd file at `path`, for the program loader. Errors: NoEntry, NotDirectory, IsDirectory,
// NameTooLong.
[[nodiscard]] Result<mm::FileObject*> find_program(std::string_view path);

enum class NodeKind : std::uint8_t { Console, Device, File, Directory, Information };

// What a path names.
struct Node {
    NodeKind kind{};
    task::FileStatus status;
    file::Device device{};            // Device
    mm::FileObject* object{nullptr};  // File
    Information information{};        // Information
    TaskId process{};                 // Information about a process: which
};
// /proc/self is the caller's process. Errors: NoEntry, NotDirectory.
[[nodiscard]] Result<Node> find(const Path& path, task::Task& caller);

// Opens what find() found at `path`. Errors: NoMemory; NoEntry when the process it tells about is gone.
[[nodiscard]] Result<Ref<task::OpenFile>> open(const Path& path, const Node& node, std::uint32_t flags,
                                               task::Task& caller);

}  // namespace kernel::syscall::file_system
