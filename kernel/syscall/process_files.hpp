// SPDX-License-Identifier: MIT
// What is below /proc/<pid>, and, for each of its threads, below /proc/<pid>/task/<tid>: texts, links to the
// program and to directories, and the open files.
//
// Paths here are what follows "proc/", resolved (syscall/file_system.hpp): "12", "12/stat",
// "12/task/14/comm".
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "file/directory.hpp"
#include "lib/ref.hpp"
#include "lib/result.hpp"
#include "syscall/file_system.hpp"
#include "task/open_file.hpp"

namespace kernel::syscall::process_files {

// Errors: NoEntry.
[[nodiscard]] Result<file_system::Node> find(std::string_view path);
// Errors: NoEntry; InvalidArgument when it is no link; NameTooLong.
[[nodiscard]] Result<std::string_view> read_link(std::string_view path, std::span<char> room);
// What "12/exe" leads to. Errors: NoEntry, NameTooLong.
[[nodiscard]] Result<std::string_view> program_text(task::Process& process, std::span<char> room);
// The open file that "12/fd/3" stands for. Errors: NoEntry.
[[nodiscard]] Result<Ref<task::OpenFile>> find_open_file(std::string_view path);

// Gives a thread of the caller's process another name: writing to its comm. As TextWriter::write. Errors:
// NoProcess, InvalidArgument.
Result<void> set_name(task::Task& caller, std::uint64_t tid, std::string_view name);

// The processes below "proc" itself, from the one after pid `from` on; no name: nothing found yet, go on at
// `next`. Errors: NoEntry at the end.
[[nodiscard]] Result<file::DirectoryEntry> next_process(std::uint64_t from, std::span<char> room);
// What is in the directory at `path`, from `index` (0: the beginning) on; as next_process().
[[nodiscard]] Result<file::DirectoryEntry> next_below(std::string_view path, std::uint64_t index,
                                                      std::span<char> room);

}  // namespace kernel::syscall::process_files
