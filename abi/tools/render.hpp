// SPDX-License-Identifier: MIT
// The two generated files: abi/golden/abi.txt (the promise, frozen) and docs/abi.md (for readers). Pure
// functions.
#pragma once

#include <span>
#include <string>

#include "header_text.hpp"
#include "layout.hpp"
#include "nexus_abi/calls.hpp"

namespace abi_docs {

// One fact a line, so that a change of the ABI is a visible line in a diff.
[[nodiscard]] std::string render_golden(std::span<const nexus_abi::CallRow> rows, const Layout& layout);

[[nodiscard]] std::string render_docs(std::span<const nexus_abi::CallRow> rows, const Layout& layout,
                                      const HeaderComments& comments);

}  // namespace abi_docs
