// SPDX-License-Identifier: MIT
// What may be done with a page, and what someone is about to do with it.
#pragma once

#include <cstdint>

namespace kernel::mm {

// Never write and execute together (W^X): is_allowed() is asked at the border, below it is an invariant.
struct Protection {
    bool read{false};
    bool write{false};
    bool execute{false};

    constexpr bool operator==(const Protection&) const = default;
    [[nodiscard]] constexpr bool is_none() const { return !read && !write && !execute; }
    [[nodiscard]] constexpr bool is_allowed() const { return !(write && execute); }
    // Sv39 has no write-only or execute-only user pages worth having: write or execute brings read with it.
    [[nodiscard]] constexpr Protection normalized() const {
        return {read || write || execute, write, execute};
    }
};

inline constexpr Protection kNoAccess{};
inline constexpr Protection kReadOnly{.read = true};
inline constexpr Protection kReadWrite{.read = true, .write = true};
inline constexpr Protection kReadExecute{.read = true, .execute = true};

enum class Access : std::uint8_t { Read, Write, Execute };

[[nodiscard]] constexpr bool permits(Protection protection, Access access) {
    switch (access) {
        case Access::Read:
            return protection.read;
        case Access::Write:
            return protection.write;
        case Access::Execute:
            return protection.execute;
    }
    return false;
}

}  // namespace kernel::mm
