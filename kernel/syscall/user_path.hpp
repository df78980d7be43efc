// SPDX-License-Identifier: MIT
// From a call's directory descriptor and path to where they lead.
#pragma once

#include <cstdint>
#include <string_view>

#include "syscall/caller.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/file_system.hpp"

namespace kernel::syscall {

inline constexpr std::int32_t kCurrentDirectory = -100;  // AT_FDCWD
inline constexpr std::uint32_t kAtNoFollow = 0x100;
inline constexpr std::uint32_t kAtEmptyPath = 0x1000;

// Where relative paths begin: the current directory, or that of a descriptor. Errors: BadDescriptor,
// NotDirectory, NoEntry.
Result<void> set_base(Caller& caller, std::int32_t dirfd, Path& path);

// Where the path a call names leads. Errors: BadAddress, NameTooLong, NoEntry (empty), TooManyLinks, and
// set_base()'s.
[[nodiscard]] Result<Path> read_path(Caller& caller, std::int32_t dirfd, In<char> pointer,
                                     file_system::FinalLink last);

// The same for a path that was read. Errors but BadAddress and NameTooLong.
[[nodiscard]] Result<Path> path_of(Caller& caller, std::int32_t dirfd, std::string_view text,
                                   file_system::FinalLink last);

}  // namespace kernel::syscall
