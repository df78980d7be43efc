// SPDX-License-Identifier: MIT
// The names programs can open: the files of the initrd, registered at boot; devices under /dev; a handful of
// text files under /proc and /sys that the kernel writes when they are opened; and files of memory under /tmp
// and /dev/shm. Only the latter can be written, made, moved and removed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "file/devices.hpp"
#include "file/tmpfs.hpp"
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
// `target`'s contents are the path it stands for.
Result<void> add_link(std::string_view path, mm::FileObject& target);

// ---- Lookup ----

// Whether a symbolic link that a path ends with stands for itself or for what it names.
enum class FinalLink : std::uint8_t { Itself, Followed };

// Where `text` leads from `base` on; symbolic links on the way are followed. What it names need not exist.
// No caller (at boot): no process is known. Errors: NameTooLong, TooManyLinks (beyond 40).
[[nodiscard]] Result<Path> resolve(const Path& base, std::string_view text, FinalLink last,
                                   task::Task* caller);

// The file that `text` leads to from `base` on, links followed, for the program loader. Errors: NoEntry,
// NotDirectory, IsDirectory, NameTooLong, TooManyLinks; AccessDenied for what is no file or has no x bit.
[[nodiscard]] Result<mm::FileRef> find_program(const Path& base, std::string_view text, task::Task* caller);
// The same for the program that another one names as its interpreter.
[[nodiscard]] Result<mm::FileRef> find_interpreter(std::string_view path);

enum class NodeKind : std::uint8_t {
    Console,
    Device,
    File,
    Directory,
    Information,
    Memory,
    Link,
    Descriptor
};

// What a path names.
struct Node {
    NodeKind kind{};
    task::FileStatus status;
    file::Device device{};             // Device
    mm::FileObject* object{nullptr};   // File
    Information information{};         // Information
    bool is_own_terminal{false};       // Console: whoever opens it must have it as controlling terminal
    Subject subject{};                 // Information about a process or thread: which
    std::string_view text{};           // Information::Constant
    Ref<file::tmpfs::Node> memory{};   // Memory: file or directory; Link, if it lies there
    Ref<task::OpenFile> descriptor{};  // Descriptor: the file that /proc/<pid>/fd/<n> stands for

    [[nodiscard]] bool is_directory() const {
        return (status.mode & task::kTypeMask) == task::kTypeDirectory;
    }
};

// Where a path lies among the files of memory, existing or not.
struct MemoryPath {
    file::tmpfs::Root root{};
    std::string_view rest{};  // part of the path it was made of
};
[[nodiscard]] std::optional<MemoryPath> find_in_memory(const Path& path);

// What a resolved path names; `last` as it was resolved with. Errors: NoEntry, NotDirectory.
[[nodiscard]] Result<Node> find(const Path& path, FinalLink last = FinalLink::Itself);

// The target of the link at a resolved path, written to `room`. Errors: NoEntry; InvalidArgument when it is
// no link; NameTooLong.
[[nodiscard]] Result<std::string_view> read_link(const Path& path, std::span<char> room, task::Task& caller);

// Opens what find() found at `path`. Errors: NoMemory; NoEntry when the process it tells about is gone.
[[nodiscard]] Result<Ref<task::OpenFile>> open(const Path& path, const Node& node, std::uint32_t flags);

}  // namespace kernel::syscall::file_system
