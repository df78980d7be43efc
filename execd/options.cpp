// SPDX-License-Identifier: MIT
#include "options.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "notation.hpp"

namespace execd {
namespace {

// "4" -> 0xf. nullopt: not 1..64.
std::optional<std::uint64_t> parse_cpu_count(std::string_view text) {
    unsigned count = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, count);
    if (error != std::errc{} || stop != end || count == 0 || count > kMaxCpus) {
        return std::nullopt;
    }
    return ~std::uint64_t{0} >> (kMaxCpus - count);
}

}  // namespace

std::variant<Options, UsageError> parse_options(std::span<const char* const> arguments) {
    Options options;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string_view argument = arguments[i];
        if (argument == "--help" || argument == "-h") {
            options.wants_help = true;
            continue;
        }
        if (argument == "--json") {
            options.json = true;
            continue;
        }
        if (argument != "--recipes" && argument != "--check" && argument != "--cpus" &&
            argument != "--board") {
            options.unknown.emplace_back(argument);
            continue;
        }
        if (++i == arguments.size()) {
            return UsageError{std::string{argument} + " wants a value"};
        }
        if (argument == "--recipes") {
            options.recipes = arguments[i];
        } else if (argument == "--check") {
            options.check = arguments[i];
        } else if (argument == "--board") {
            if (!is_board_name(arguments[i])) {
                return UsageError{"--board wants a name like \"starfive,visionfive-2\", not '" +
                                  std::string{arguments[i]} + "'"};
            }
            options.board = arguments[i];
        } else if (options.cpus_online = parse_cpu_count(arguments[i]); !options.cpus_online) {
            return UsageError{"--cpus wants a number from 1 to 64, not '" + std::string{arguments[i]} + "'"};
        }
    }
    return options;
}

std::optional<std::string> find_variable(const std::vector<std::string>& environment, std::string_view name) {
    for (const std::string& assignment : environment) {
        if (assignment.size() > name.size() && assignment.starts_with(name) &&
            assignment[name.size()] == '=') {
            return assignment.substr(name.size() + 1);
        }
    }
    return std::nullopt;
}

std::vector<std::string> neuron_variables(const std::vector<std::string>& environment) {
    std::vector<std::string> variables;
    std::ranges::copy_if(environment, std::back_inserter(variables),
                         [](const std::string& assignment) { return assignment.starts_with("neuron."); });
    return variables;
}

}  // namespace execd
