// SPDX-License-Identifier: MIT
// fatal(): what CHECK (lib/check.hpp) is for an expression, for a finding that takes words.
#pragma once

#include <string_view>

namespace kernel {

// Provided as check_failed() is. `text` says what was found, in at most 390 bytes.
[[noreturn]] void fatal(std::string_view text);

}  // namespace kernel
