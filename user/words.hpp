// SPDX-License-Identifier: MIT
// Lists of words with commas between them.
#pragma once

#include <algorithm>
#include <string_view>

namespace user {

// Whether one of the list's words is `wanted`.
[[nodiscard]] constexpr bool has_word(std::string_view list, std::string_view wanted) {
    while (!list.empty()) {
        const std::string_view word = list.substr(0, list.find(','));
        if (word == wanted) {
            return true;
        }
        list.remove_prefix(std::min(list.size(), word.size() + 1));
    }
    return false;
}

static_assert(has_word("a,bc,d", "bc") && has_word("bc", "bc") && !has_word("a,bcd", "bc") &&
              !has_word("", "bc"));

}  // namespace user
