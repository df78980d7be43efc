// SPDX-License-Identifier: MIT
// execve(2).
#include <array>
#include <string_view>

#include "mm/user_memory.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/executable.hpp"
#include "syscall/file_system.hpp"
#include "syscall/program_strings.hpp"
#include "task/lifecycle.hpp"

namespace kernel::syscall {

namespace {

Result<void> execute(Caller& caller, In<char> path, std::uint64_t argv, std::uint64_t envp) {
    std::array<char, file_system::kMaxPath> given;  // as much of it as is read is written
    const std::string_view name{given.data(), TRY(mm::copy_in_string(caller.space(), given, path))};
    if (name.empty()) {
        return Error::NoEntry;
    }
    Path base;
    if (const Ref<task::OpenFile> directory = caller.files().directory();
        directory && !name.starts_with('/')) {
        base.set_length(TRY(directory->directory_path(base.room())).size());
    }
    StringBuffer strings;
    TRY(strings.allocate());
    const Executable found = TRY(find_executable(caller, base, name, argv, envp, strings));
    return task::exec_program(caller.task, {.program = found.program.get(),
                                            .find_interpreter = &file_system::find_interpreter,
                                            .path = name,
                                            .strings = strings.strings(),
                                            .argument_count = found.arguments,
                                            .environment_count = found.environment});
}

}  // namespace

SysResult sys_execve(Caller& caller, In<char> path, In<std::uint64_t> argv, In<std::uint64_t> envp) {
    const auto executed =
        execute(caller, path, mm::user_address(argv).value(), mm::user_address(envp).value());
    // The registers are those of the new program.
    if (executed.ok()) {
        return SysResult::no_result();
    }
    // Linux' answer to a directory.
    return executed.error() == Error::IsDirectory ? Error::AccessDenied : executed.error();
}

}  // namespace kernel::syscall
