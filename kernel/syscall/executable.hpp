// SPDX-License-Identifier: MIT
// What execve and nexus_spawn start: the program a path leads to, or, for a script whose first line is
// "#!interpreter argument", that interpreter with the argument and the script's path before the other
// arguments.
#pragma once

#include <cstdint>
#include <string_view>

#include "mm/file_object.hpp"
#include "syscall/caller.hpp"
#include "syscall/path.hpp"
#include "syscall/program_strings.hpp"

namespace kernel::syscall {

// What the program is and how many strings it gets; they are in the buffer it was made with.
struct Executable {
    mm::FileRef program;
    std::uint32_t arguments{0};
    std::uint32_t environment{0};
};

// `path` leads to it from `base` on; argv and envp are user addresses of null-terminated arrays, 0: none.
// Pre: `strings` is allocated and empty. Errors: NoEntry, NotDirectory, NameTooLong, TooManyLinks (also
// scripts that interpret scripts more than 4 deep), IsDirectory, AccessDenied for a device, NotExecutable for
// a script without interpreter, TooBig, BadAddress.
[[nodiscard]] Result<Executable> find_executable(Caller& caller, const Path& base, std::string_view path,
                                                 std::uint64_t argv, std::uint64_t envp,
                                                 StringBuffer& strings);

}  // namespace kernel::syscall
