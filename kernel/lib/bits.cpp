// SPDX-License-Identifier: MIT
// The bit-counting functions g++ calls for std::countl_zero, countr_zero and popcount on a hart without Zbb
// (GCC internals manual, "Integer library routines"). Without branches that depend on the data. Target only.
#include <cstdint>

namespace {

// For an isolated lowest bit b, the top six bits of b * kDeBruijn are different for each b (Leiserson,
// Prokop, Randall: "Using de Bruijn Sequences to Index a 1 in a Computer Word", 1998).
constexpr std::uint64_t kDeBruijn = 0x03f79d71b4cb0a89;

struct BitPositions {
    std::uint8_t of[64]{};
    constexpr BitPositions() {
        for (unsigned bit = 0; bit < 64; ++bit) {
            of[((std::uint64_t{1} << bit) * kDeBruijn) >> 58] = static_cast<std::uint8_t>(bit);
        }
    }
};
constexpr BitPositions kBitPositions;

}  // namespace

extern "C" {

int __popcountdi2(unsigned long value) {
    value -= (value >> 1) & 0x5555555555555555;
    value = (value & 0x3333333333333333) + ((value >> 2) & 0x3333333333333333);
    value = (value + (value >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return static_cast<int>((value * 0x0101010101010101) >> 56);
}

// Pre: value != 0, as for the builtin.
int __ctzdi2(unsigned long value) {
    return kBitPositions.of[((value & (0 - value)) * kDeBruijn) >> 58];
}

// Pre: value != 0, as for the builtin.
int __clzdi2(unsigned long value) {
    value |= value >> 1;
    value |= value >> 2;
    value |= value >> 4;
    value |= value >> 8;
    value |= value >> 16;
    value |= value >> 32;
    return 64 - __popcountdi2(value);
}

}  // extern "C"
