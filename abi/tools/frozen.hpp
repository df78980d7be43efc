// SPDX-License-Identifier: MIT
// What a frozen version of the ABI forbids. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace abi_docs {

// The lines of `frozen` that `now` breaks; both are texts of render_golden(). A line is kept when it is there
// unchanged. Besides that, as programs cannot tell: a call that was ENOSYS may be implemented, a struct whose
// first field is its size may grow, and a constant that names all bits of a kind (k...All) may gain some.
// Lines beginning with '#' say nothing.
[[nodiscard]] std::vector<std::string> broken_promises(std::string_view frozen, std::string_view now);

}  // namespace abi_docs
