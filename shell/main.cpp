// SPDX-License-Identifier: MIT
// nsh: the shell, and every tool by the name it is called with.
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "console_shell.hpp"
#include "neuron_system.hpp"
#include "tool.hpp"

namespace {

constexpr const char* kUsage =
    "usage: nsh                        the shell: on a terminal with an editor, else line by line\n"
    "       nsh -c LINE                one line\n"
    "       nsh FILE                   the lines of a file\n"
    "       nsh TOOL [ARGUMENT...]     a tool; `nsh help` lists them\n";

std::string_view file_name(std::string_view path) {
    return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

int run_as_tool(const shell::Tool& tool, std::span<const std::string> arguments) {
    // Lists of processes name it so, whatever file it was started from.
    static_cast<void>(::prctl(PR_SET_NAME, std::string{tool.name}.c_str()));
    shell::NeuronSystem system;
    const shell::Outcome outcome = shell::run_tool(tool, system, arguments);
    system.show(outcome.output);
    static_cast<void>(std::fputs(outcome.errors.c_str(), stderr));
    return outcome.status;
}

// This program's file: what it was called by may be a link, or a name without a directory.
std::string own_path() {
    std::array<char, 4096> room{};
    const ssize_t length = ::readlink("/proc/self/exe", room.data(), room.size());
    return length > 0 ? std::string{room.data(), static_cast<std::size_t>(length)} : "/bin/nsh";
}

int run(const std::vector<std::string>& words, const std::vector<std::string>& environment) {
    const std::span<const std::string> all{words};
    if (const auto* const tool = shell::find_tool(file_name(words[0])); tool != nullptr) {
        return run_as_tool(*tool, all.subspan(1));
    }
    if (words.size() == 1) {
        return shell::run_shell(own_path(), environment);
    }
    if (words[1] == "--help") {
        static_cast<void>(std::fputs(kUsage, stdout));
        return shell::kSuccess;
    }
    if (words[1] == "-c" && words.size() == 3) {
        return shell::run_shell_line(own_path(), environment, words[2]);
    }
    if (const auto* const tool = shell::find_tool(words[1]); tool != nullptr) {
        return run_as_tool(*tool, all.subspan(2));
    }
    if (words[1].starts_with('-') || words.size() > 2) {
        static_cast<void>(std::fputs(kUsage, stderr));
        return shell::kUsageError;
    }
    return shell::run_shell_file(own_path(), environment, words[1]);
}

}  // namespace

int main(int argument_count, char** arguments, char** environment) {
    if (argument_count < 1) {
        return shell::kUsageError;
    }
    std::vector<std::string> variables;
    for (; *environment != nullptr; ++environment) {
        variables.emplace_back(*environment);
    }
    return run({arguments, arguments + argument_count}, variables);
}
