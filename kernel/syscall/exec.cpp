// SPDX-License-Identifier: MIT
// execve(2).
#include <array>
#include <string_view>

#include "mm/user_memory.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/file_system.hpp"
#include "syscall/program_strings.hpp"
#include "task/lifecycle.hpp"

namespace kernel::syscall {

namespace {

// Relative paths begin at the current directory. Errors: NoEntry, NotDirectory, AccessDenied, NameTooLong.
Result<mm::FileObject*> find_executable(Caller& caller, std::string_view name) {
    if (name.empty()) {
        return Error::NoEntry;
    }
    if (name == "/proc/self/exe" && caller.process.program != nullptr) {
        return caller.process.program;
    }
    Path path;
    if (const Ref<task::OpenFile> directory = caller.files().directory();
        directory && !name.starts_with('/')) {
        path.set_length(TRY(directory->directory_path(path.room())).size());
    }
    TRY(path.append(name));
    auto program = file_system::find_program(path.text());
    return program.ok() || program.error() != Error::IsDirectory ? program : Error::AccessDenied;
}

Result<void> execute(Caller& caller, In<char> path, std::uint64_t argv, std::uint64_t envp) {
    std::array<char, file_system::kMaxPath> given{};
    const std::string_view name{given.data(), TRY(mm::copy_in_string(caller.space(), given, path))};
    mm::FileObject* const program = TRY(find_executable(caller, name));
    StringBuffer strings;
    TRY(strings.allocate());
    const std::uint32_t arguments = TRY(append_strings(caller.space(), strings, argv, 0));
    const std::uint32_t environment = TRY(append_strings(caller.space(), strings, envp, arguments));
    return task::exec_program(caller.task, {.program = program,
                                            .path = name,
                                            .strings = strings.strings(),
                                            .argument_count = arguments,
                                            .environment_count = environment});
}

}  // namespace

SysResult sys_execve(Caller& caller, In<char> path, In<std::uint64_t> argv, In<std::uint64_t> envp) {
    const auto executed =
        execute(caller, path, mm::user_address(argv).value(), mm::user_address(envp).value());
    // The registers are those of the new program.
    return executed.ok() ? SysResult::no_result() : SysResult{executed.error()};
}

}  // namespace kernel::syscall
