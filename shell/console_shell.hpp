// SPDX-License-Identifier: MIT
// The shell on a terminal, and for scripts.
#pragma once

#include <string>
#include <vector>

namespace shell {

// Reads lines from standard input until its end or `exit`: edited when it is a terminal. The exit status.
// self: the program that is also every tool.
int run_shell(const std::string& self, const std::vector<std::string>& environment);
// One line, or the lines of a file.
int run_shell_line(const std::string& self, const std::vector<std::string>& environment,
                   const std::string& line);
int run_shell_file(const std::string& self, const std::vector<std::string>& environment,
                   const std::string& path);

}  // namespace shell
