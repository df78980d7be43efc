// SPDX-License-Identifier: MIT
// Changes that know a little of the format: libFuzzer's own change bytes, and a length, an address or a
// number of a text is several of them. A target mixes one of these with libFuzzer's, half and half.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <string>

#include "target.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned int seed);

namespace fuzz {

using Random = std::minstd_rand;

inline std::uint64_t below(Random& random, std::uint64_t limit) {
    return std::uniform_int_distribution<std::uint64_t>{0, limit - 1}(random);
}

// A number at the edge of something, or near `old`.
inline std::uint64_t interesting(Random& random, std::uint64_t old) {
    const std::uint64_t bit = std::uint64_t{1} << below(random, 64);
    const std::array<std::uint64_t, 8> choices{
        0, bit, bit - 1, ~std::uint64_t{0} - below(random, 4), old + bit, old - bit, old + 1, old - 1};
    return choices[below(random, choices.size())];
}

// One aligned field of `bytes` (4 or 8) gets another number, or that of another field.
inline void change_field(std::span<std::uint8_t> data, std::size_t bytes, bool big_endian, Random& random) {
    const std::size_t fields = data.size() / bytes;
    if (fields == 0) {
        return;
    }
    const auto at = [&](std::uint64_t field, std::size_t byte) -> std::uint8_t& {
        return data[field * bytes + (big_endian ? bytes - 1 - byte : byte)];
    };
    const auto load = [&](std::uint64_t field) {
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < bytes; ++i) {
            value |= std::uint64_t{at(field, i)} << (8 * i);
        }
        return value;
    };
    const std::uint64_t field = below(random, fields);
    const std::uint64_t value =
        below(random, 4) == 0 ? load(below(random, fields)) : interesting(random, load(field));
    for (std::size_t i = 0; i < bytes; ++i) {
        at(field, i) = static_cast<std::uint8_t>(value >> (8 * i));
    }
}

// One number of a text, decimal or of `hex_digits` hexadecimal ones, becomes another; or a line is doubled.
inline std::size_t change_text(std::uint8_t* data, std::size_t size, std::size_t max_size, Random& random,
                               std::size_t hex_digits = 0) {
    std::string text{reinterpret_cast<const char*>(data), size};
    const std::size_t from = size == 0 ? 0 : below(random, size);
    const std::size_t number = text.find_first_of("0123456789", from);
    if (number != std::string::npos) {
        if (hex_digits != 0) {
            std::array<char, 17> digits{};
            std::snprintf(digits.data(), digits.size(), "%016llX",
                          static_cast<unsigned long long>(interesting(random, below(random, 256))));
            text.replace(number, hex_digits, digits.data() + 16 - hex_digits);
        } else {
            const std::size_t end = std::min(text.find_first_not_of("0123456789", number), text.size());
            const std::uint64_t old = std::strtoull(text.substr(number, end - number).c_str(), nullptr, 10);
            text.replace(number, end - number, std::to_string(interesting(random, old)));
        }
    } else {
        const std::size_t end = std::min(text.find('\n', from), text.size());
        text.insert(from, text.substr(from, end - from));
    }
    text.resize(std::min(text.size(), max_size));
    std::memcpy(data, text.data(), text.size());
    return text.size();
}

}  // namespace fuzz
