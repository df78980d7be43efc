// SPDX-License-Identifier: MIT
// What the parts of Twin say about a difference.
#pragma once

#include <cstdint>
#include <optional>
#include <sstream>
#include <string>

namespace sched_test {

inline constexpr std::uint32_t kNobody = ~std::uint32_t{0};

template <class T>
std::optional<std::string> differ(const char* what, std::uint32_t whose, T library, T reference) {
    if (library == reference) {
        return std::nullopt;
    }
    std::ostringstream out;
    out << what << " of " << whose << ": library " << +library << ", reference " << +reference;
    return out.str();
}

}  // namespace sched_test
