// SPDX-License-Identifier: MIT
#include "mm/shadow.hpp"

#include <algorithm>
#include <cstring>

namespace kernel::mm {

void ShadowMap::init(std::uintptr_t start, std::uint64_t bytes, std::uint8_t* shadow) {
    start_ = start;
    bytes_ = bytes;
    shadow_ = shadow;
    std::memset(shadow_, 0, bytes_ / kGranule);
}

void ShadowMap::forbid(std::uintptr_t address, std::uint64_t bytes, Shadow why) {
    std::memset(shadow_ + (address - start_) / kGranule, static_cast<int>(why), bytes / kGranule);
}

void ShadowMap::allow(std::uintptr_t address, std::uint64_t bytes) {
    std::uint8_t* const first = shadow_ + (address - start_) / kGranule;
    std::memset(first, 0, bytes / kGranule);
    if (bytes % kGranule != 0) {
        first[bytes / kGranule] = static_cast<std::uint8_t>(bytes % kGranule);
    }
}

std::optional<std::uintptr_t> ShadowMap::first_forbidden(std::uintptr_t address, std::uint64_t bytes) const {
    const std::uintptr_t end =
        address - start_ < bytes_ ? std::min(address + bytes, start_ + bytes_) : address;
    for (std::uintptr_t at = address; at < end;) {
        const std::uintptr_t granule = at & ~(kGranule - 1);
        const std::uint8_t shadow = shadow_[(granule - start_) / kGranule];
        if (shadow != 0) {
            const std::uintptr_t usable_end = granule + (shadow < kGranule ? shadow : 0);
            const std::uintptr_t forbidden = std::max(at, usable_end);
            if (forbidden < std::min(end, granule + kGranule)) {
                return forbidden;
            }
        }
        at = granule + kGranule;
    }
    return std::nullopt;
}

}  // namespace kernel::mm
