// SPDX-License-Identifier: MIT
// Which cases to run and what to do at the end: the value of `neuron.selftest` on the kernel command line
// (which init and its services get as an environment variable) and the program's first argument. Pure.
#pragma once

#include <string>
#include <string_view>

namespace selftest {

struct Options {
    std::string case_name;  // "" = all
    bool stay{false};       // leave the machine on
};

// Words separated by commas: a case's short name, or "stay". The last name wins.
[[nodiscard]] Options parse_options(std::string_view text);

}  // namespace selftest
