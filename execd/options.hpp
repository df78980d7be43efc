// SPDX-License-Identifier: MIT
// execd's command line, and what it takes from its environment.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace execd {

inline constexpr const char* kUsage =
    "usage: execd [--recipes DIR]         start and supervise the services of DIR (default /recipes)\n"
    "       execd --check DIR [--cpus N] [--board NAME] [--json]\n"
    "                                     check the recipes of DIR, for a machine with N cpus and that "
    "board, and\n"
    "                                     explain the plan\n";

struct Options {
    std::optional<std::string> recipes;        // --recipes
    std::optional<std::string> check;          // --check
    std::optional<std::uint64_t> cpus_online;  // --cpus N as a mask of N bits
    std::optional<std::string> board;          // --board: a compatible string of the board
    bool json{false};                          // --json
    bool wants_help{false};
    std::vector<std::string> unknown;  // arguments that mean nothing here
};

struct UsageError {
    std::string what;
};

// arguments: without argv[0]. Unknown ones are collected, not refused: the kernel hands pid 1 every word of
// its command line that it does not know itself.
[[nodiscard]] std::variant<Options, UsageError> parse_options(std::span<const char* const> arguments);

// The value of NAME=value in an environment; nullopt: not there.
[[nodiscard]] std::optional<std::string> find_variable(const std::vector<std::string>& environment,
                                                       std::string_view name);

// The neuron.* variables: settings of the kernel command line that every service gets to see.
[[nodiscard]] std::vector<std::string> neuron_variables(const std::vector<std::string>& environment);

}  // namespace execd
