// SPDX-License-Identifier: MIT
// Recipe errors: collected while reading, shown in the order of the files, each with file:line:column.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "document.hpp"

namespace execd {

struct Diagnostic {
    std::string file;  // the path as the user gave it
    Position at;
    std::string what;
};

// "recipes/sched/qos.toml:12:9: unknown key 'sharez' (did you mean 'shares'?)"; the position is left out when
// it is 0:0.
[[nodiscard]] std::string to_string(const Diagnostic& diagnostic);

// Appends the errors of one file to a list. Not thread-safe.
class ErrorSink {
  public:
    ErrorSink(std::string file, std::vector<Diagnostic>& out) : file_{std::move(file)}, out_{&out} {}

    void add(Position at, std::string what) {
        out_->push_back({.file = file_, .at = at, .what = std::move(what)});
    }

    // How many errors the list holds: equal before and after a step means that the step found none.
    [[nodiscard]] std::size_t count() const { return out_->size(); }

  private:
    std::string file_;
    std::vector<Diagnostic>* out_;
};

// " (did you mean 'shares'?)" for the candidate a typing slip away from `word`, or "" if none is near.
[[nodiscard]] std::string suggestion(std::string_view word, const std::vector<std::string_view>& candidates);

// "idle, normal or interactive"
[[nodiscard]] std::string join_alternatives(const std::vector<std::string_view>& words);

}  // namespace execd
