// SPDX-License-Identifier: MIT
// Which cases to run and what to do at the end: the value of `neuron.selftest` on the kernel command line
// (which init and its services get as an environment variable) and the program's first argument. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace selftest {

struct Options {
    std::string case_name;          // "" = all
    std::uint64_t milliseconds{0};  // how long the case goes on; 0 = as long as it says itself
    bool stay{false};               // leave the machine on
};

// Words separated by commas: a case's short name, with `:MILLISECONDS` behind it if need be, or "stay". The
// last name wins. What follows a colon and is no number counts as part of the name.
[[nodiscard]] Options parse_options(std::string_view text);

}  // namespace selftest
