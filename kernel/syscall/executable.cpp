// SPDX-License-Identifier: MIT
#include "syscall/executable.hpp"

#include <algorithm>
#include <span>

#include "mm/user_memory.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/file_system.hpp"

namespace kernel::syscall {

namespace {

constexpr std::uint32_t kMaxScripts = 4;
// As much of a script's first line as is looked at, like Linux' BINPRM_BUF_SIZE.
constexpr std::size_t kMaxScriptLine = 256;
constexpr std::string_view kScriptMark = "#!";
constexpr std::string_view kBlanks = " \t";

// A script's first line without the mark; empty for what is no script.
std::string_view first_line(std::span<const std::byte> head) {
    const std::string_view text{reinterpret_cast<const char*>(head.data()),
                                std::min(head.size(), kMaxScriptLine)};
    if (!text.starts_with(kScriptMark)) {
        return {};
    }
    return text.substr(0, std::min(text.find('\n'), text.size())).substr(kScriptMark.size());
}

std::string_view trimmed(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
    return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

// The interpreter's path and the one argument it gets, both in front of what is there already.
Result<std::uint32_t> put_in_front(StringBuffer& strings, std::string_view line) {
    line = trimmed(line);
    const std::string_view interpreter = line.substr(0, line.find_first_of(kBlanks));
    if (interpreter.empty()) {
        return Error::NotExecutable;
    }
    const std::string_view argument = trimmed(line.substr(interpreter.size()));
    if (!argument.empty()) {
        TRY(strings.prepend(argument));
    }
    TRY(strings.prepend(interpreter));
    return argument.empty() ? 1 : 2;
}

}  // namespace

Result<Executable> find_executable(Caller& caller, const Path& base, std::string_view path,
                                   std::uint64_t argv, std::uint64_t envp, StringBuffer& strings) {
    Executable found{.program = TRY(file_system::find_program(base, path, &caller.task))};
    std::uint32_t scripts = 0;
    while (true) {
        const mm::FileHead head{*found.program};
        const std::string_view line = first_line(head.bytes());
        if (line.empty()) {
            break;
        }
        if (scripts == kMaxScripts) {
            return Error::TooManyLinks;
        }
        if (scripts++ == 0) {
            TRY(strings.prepend(path));
            ++found.arguments;
        }
        found.arguments += TRY(put_in_front(strings, line));
        // The interpreter's path is the first string now.
        const std::span<const char> all = strings.strings();
        found.program = TRY(file_system::find_program(base, std::string_view{all.data()}, &caller.task));
    }
    // The script's path stands for the program's own name.
    if (scripts > 0 && argv != 0 && TRY(mm::copy_in(caller.space(), In<std::uint64_t>{argv})) != 0) {
        argv += sizeof(std::uint64_t);
    }
    found.arguments += TRY(append_strings(caller.space(), strings, argv, found.arguments));
    found.environment = TRY(append_strings(caller.space(), strings, envp, found.arguments));
    return found;
}

}  // namespace kernel::syscall
