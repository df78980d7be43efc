// SPDX-License-Identifier: MIT
// What the fuzz targets share. Each target is a program of its own: libFuzzer calls LLVMFuzzerTestOneInput
// with ever new bytes, AddressSanitizer and UBSan watch, and what the parser promises about its result is
// required here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace fuzz {

// A promise that does not hold ends the run, as a bad read does.
inline void require(bool holds, const char* promise) {
    if (!holds) [[unlikely]] {
        std::fprintf(stderr, "fuzz: broken promise: %s\n", promise);
        std::abort();
    }
}

inline std::string_view as_text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Whether `part` lies in `whole`, to its last byte; an empty part may lie anywhere.
inline bool is_inside(std::string_view part, std::string_view whole) {
    const auto start = reinterpret_cast<std::uintptr_t>(part.data());
    const auto first = reinterpret_cast<std::uintptr_t>(whole.data());
    return part.empty() ||
           (start >= first && start - first <= whole.size() && part.size() <= whole.size() - (start - first));
}

}  // namespace fuzz
