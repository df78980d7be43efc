// SPDX-License-Identifier: MIT
// A line of the shell, taken apart: pipelines joined by ; && || &, words with quotes and variables,
// redirections. Pure. What sh has beyond that (globs, functions, loops) is not there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace shell {

// Text, or the name of a variable whose value stands there.
struct WordPart {
    bool is_variable{false};
    std::string text;
};

struct Word {
    std::vector<WordPart> parts;
    bool is_quoted{false};  // some of it: a word even when nothing is left of it
};

enum class RedirectKind : std::uint8_t { Input, Output, Append, Copy };

struct Redirect {
    int descriptor{0};
    RedirectKind kind{RedirectKind::Input};
    int copied{0};  // Copy: which descriptor
    Word target;    // else the file
};

struct Command {
    std::vector<Word> words;
    std::vector<Redirect> redirects;
};

// Whether a pipeline runs, by how the one before it ended.
enum class RunsAfter : std::uint8_t { Anything, Success, Failure };

struct Pipeline {
    std::vector<Command> commands;  // at least one
    RunsAfter runs_after{RunsAfter::Anything};
    bool is_background{false};
    std::string text;  // as it was typed
};

struct ParseError {
    std::size_t column{0};  // from 1
    std::string what;
};

[[nodiscard]] std::variant<std::vector<Pipeline>, ParseError> parse_line(std::string_view line);

// The value of a variable, empty for one that does not exist.
using VariableLookup = std::function<std::string(std::string_view name)>;

[[nodiscard]] std::string expand(const Word& word, const VariableLookup& lookup);
// Words of which nothing is left are left out.
[[nodiscard]] std::vector<std::string> expand(const std::vector<Word>& words, const VariableLookup& lookup);

// NAME=VALUE: the length of NAME; nullopt when it is no assignment.
[[nodiscard]] std::optional<std::size_t> assignment_name(std::string_view word);

}  // namespace shell
