// SPDX-License-Identifier: MIT
// Files that are memory: the tree below /tmp and /dev/shm. What programs may take is limited to half of the
// machine's frames, each file or directory counting for one beside its pages; beyond that is NoSpace.
//
// Paths here are below a root, canonical (syscall/path.hpp): without leading "/"; "" is the root itself.
//
// Concurrency: the trees have one lock (rank FileTree); contents have a lock per file, and user memory is
// copied with none. A removed file lives as long as it is open or mapped. Pages of files that are gone are
// given back in steps by whoever closes or removes (clean_up_step()).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "file/tmpfs_node.hpp"
#include "lib/ref.hpp"
#include "lib/result.hpp"
#include "task/open_file.hpp"

namespace kernel::file::tmpfs {

// Makes the roots. Boot, one hart; after the frames are there.
void prepare();

// Errors: NoEntry, NotDirectory.
[[nodiscard]] Result<Ref<Node>> find(Root root, std::string_view path);
// Errors: NoEntry, NotDirectory (the way there); Exists; NoMemory; NoSpace. `mode`: permissions.
[[nodiscard]] Result<Ref<Node>> create_file(Root root, std::string_view path, std::uint32_t mode);
Result<void> create_pipe(Root root, std::string_view path, std::uint32_t mode);
// A file of this many zero bytes that no path leads to; `name`, at most kMaxName characters, is for /proc.
// Errors: NoMemory (also beyond FileObject::kMaxBytes), NoSpace.
[[nodiscard]] Result<Ref<Node>> create_unnamed(std::string_view name, std::uint64_t bytes);
// `target`: at most kMaxPath - 1 characters.
Result<void> create_link(Root root, std::string_view path, std::string_view target);
// Errors: find()'s; InvalidArgument when it is no symbolic link; NameTooLong when `room` is too small.
[[nodiscard]] Result<std::string_view> read_link(Root root, std::string_view path, std::span<char> room);
Result<void> create_directory(Root root, std::string_view path, std::uint32_t mode);
// Gives a file or link another name. Errors: find()'s; NotPermitted for a directory; Exists; NoMemory;
// NoSpace.
Result<void> add_name(Root root, std::string_view existing, std::string_view path);
// Errors: find()'s; IsDirectory.
Result<void> remove_file(Root root, std::string_view path);
// Errors: find()'s; NotDirectory; NotEmpty; Busy for a root.
Result<void> remove_directory(Root root, std::string_view path);
// Replaces what is at `to`, unless `keeps_target`. Errors: find()'s; Exists; IsDirectory, NotDirectory,
// NotEmpty for a target that does not suit; InvalidArgument for a directory into itself; Busy for a root.
Result<void> rename(Root root, std::string_view from, std::string_view to, bool keeps_target);

// As OpenFile::truncate().
Result<bool> truncate(Node& node, std::uint64_t bytes);

// Gives some pages of files that are gone back; true when there are none.
[[nodiscard]] bool clean_up_step();

// For statistics: frames that files take now.
[[nodiscard]] std::uint64_t pages_in_use();
// And may take.
[[nodiscard]] std::uint64_t pages_allowed();

}  // namespace kernel::file::tmpfs
