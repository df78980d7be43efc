// SPDX-License-Identifier: MIT
// The shell on the console: a service that a person asks for on the kernel command line, not in the recipes.
// Pure.
//   neuron.shell=1        from the beginning; /bin/selftest is then left to whoever sits at the console,
//                         unless neuron.selftest= says what it shall do
//   neuron.selftest=stay  once /bin/selftest, if the plan has it, has ended
#pragma once

#include <string>
#include <vector>

#include "plan.hpp"

namespace execd {

inline constexpr const char* kShellName = "shell";
inline constexpr const char* kShellProgram = "/bin/nsh";

// environment: execd's own. A plan that has a service of that name keeps it.
void add_console_shell(Plan& plan, const std::vector<std::string>& environment);

}  // namespace execd
