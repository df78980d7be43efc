// SPDX-License-Identifier: MIT
// A tool: a function of its arguments and of the machine that says what to print.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "system.hpp"

namespace shell {

// Exit statuses people know.
inline constexpr int kSuccess = 0;
inline constexpr int kFailure = 1;
inline constexpr int kUsageError = 2;
inline constexpr int kCannotExecute = 126;
inline constexpr int kNotFound = 127;

struct Outcome {
    int status{kSuccess};
    std::string output{};  // for standard output
    std::string errors{};  // for standard error
};

// Without argv[0].
using Arguments = std::span<const std::string>;

struct Tool {
    std::string_view name;
    Outcome (*run)(System& system, Arguments arguments);
    std::string_view summary;  // half a line, for `help`
    std::string_view usage;    // what --help prints
};

// In alphabetical order.
[[nodiscard]] std::span<const Tool> all_tools();
[[nodiscard]] const Tool* find_tool(std::string_view name);

// Runs it, or answers --help.
[[nodiscard]] Outcome run_tool(const Tool& tool, System& system, Arguments arguments);

// "TOOL: WHAT" and the status.
[[nodiscard]] Outcome fail(std::string_view tool, std::string_view what, int status = kFailure);
// The same with how to use it; status kUsageError.
[[nodiscard]] Outcome misuse(std::string_view tool, std::string_view what);
// "TOOL: WHAT: the error's text".
[[nodiscard]] Outcome fail(std::string_view tool, std::string_view what, Error error);

// The arguments of a tool, taken apart one by one: options in any order, "-ab" as "-a -b", "--" ends them.
// What is neither is an operand.
class OptionReader {
  public:
    explicit OptionReader(Arguments arguments) : arguments_{arguments} {}

    // The next option ("-x" or "--name", of "--name=value" the name) or nullopt at the end; operands met on
    // the way are collected. With `stops_at_operand` the first operand ends the options, as for tools that
    // run another program.
    [[nodiscard]] std::optional<std::string> next(bool stops_at_operand = false);
    // The value of the option just read: "--name=value", "-xVALUE", or the next argument. nullopt: none.
    [[nodiscard]] std::optional<std::string> value();
    // A "--name=value" whose value nobody took, or nullopt.
    [[nodiscard]] bool has_unused_value() const { return attached_.has_value() && is_long_; }
    // Operands so far, and after the end all of them.
    [[nodiscard]] const std::vector<std::string>& operands() const { return operands_; }

  private:
    Arguments arguments_;
    std::size_t at_{0};
    std::optional<std::string> attached_;  // behind "=" or the rest of a cluster
    bool is_long_{false};
    std::vector<std::string> operands_;
};

// The arguments of a tool that knows no option but --json.
struct PlainArguments {
    bool is_json{false};
    std::vector<std::string> operands{};
    std::optional<Outcome> wrong{};  // there was another option
};
[[nodiscard]] PlainArguments read_plain(std::string_view tool, Arguments arguments);

}  // namespace shell
