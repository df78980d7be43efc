// SPDX-License-Identifier: MIT
// Recipe errors: collected while reading, shown in the order of the files, each with file:line:column.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "document.hpp"

namespace execd {

// An error costs what docs/recipes.md says; a warning costs nothing: what it is about holds as written.
enum class Severity : std::uint8_t { Error, Warning };

struct Diagnostic {
    std::string file;  // the path as the user gave it
    Position at;
    std::string what;
    Severity severity{Severity::Error};
};

// "recipes/sched/qos.toml:12:9: unknown key 'sharez' (did you mean 'shares'?)"; the position is left out when
// it is 0:0. A warning says so: "recipes/sched/qos.toml:9:1: warning: ...".
[[nodiscard]] std::string to_string(const Diagnostic& diagnostic);

// Appends the errors of one file to a list. Not thread-safe.
class ErrorSink {
  public:
    ErrorSink(std::string file, std::vector<Diagnostic>& out) : file_{std::move(file)}, out_{&out} {}

    void add(Position at, std::string what) {
        ++count_;
        out_->push_back({.file = file_, .at = at, .what = std::move(what)});
    }
    void warn(Position at, std::string what) {
        out_->push_back({.file = file_, .at = at, .what = std::move(what), .severity = Severity::Warning});
    }

    // How many errors went through here: equal before and after a step means that the step found none.
    [[nodiscard]] std::size_t count() const { return count_; }
    [[nodiscard]] const std::string& file() const { return file_; }

  private:
    std::string file_;
    std::vector<Diagnostic>* out_;
    std::size_t count_{0};
};

// " (did you mean 'shares'?)" for the candidate a typing slip away from `word`, or "" if none is near.
[[nodiscard]] std::string suggestion(std::string_view word, const std::vector<std::string_view>& candidates);

// "idle, normal or interactive"
[[nodiscard]] std::string join_alternatives(const std::vector<std::string_view>& words);

}  // namespace execd
