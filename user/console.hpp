// SPDX-License-Identifier: MIT
// Lines on standard output. One line is one write(2), which the kernel's console keeps together, so lines of
// different programs never mix. Thread-safe; nothing is buffered.
#pragma once

#include <string>
#include <string_view>

namespace user {

// Writes `text` and a newline. A closed or broken output is nobody's error here: the line is lost.
void write_line(std::string_view text);

// printf into a string.
[[nodiscard, gnu::format(printf, 1, 2)]] std::string format(const char* format, ...);

}  // namespace user
