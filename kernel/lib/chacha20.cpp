// SPDX-License-Identifier: MIT
#include "lib/chacha20.hpp"

#include <bit>

namespace kernel::chacha20 {

namespace {

using State = std::array<std::uint32_t, 16>;

std::uint32_t load_little_endian(const std::byte* bytes) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < sizeof(value); ++i) {
        value |= std::to_integer<std::uint32_t>(bytes[i]) << (8 * i);
    }
    return value;
}

// Inlined into registers: the sixteen words fit.
[[gnu::always_inline]] inline void quarter_round(std::uint32_t& a, std::uint32_t& b, std::uint32_t& c,
                                                 std::uint32_t& d) {
    a += b;
    d = std::rotl(d ^ a, 16);
    c += d;
    b = std::rotl(b ^ c, 12);
    a += b;
    d = std::rotl(d ^ a, 8);
    c += d;
    b = std::rotl(b ^ c, 7);
}

}  // namespace

Block block(const Key& key, std::uint32_t counter, const Nonce& nonce) {
    State start{0x6170'7865, 0x3320'646e, 0x7962'2d32, 0x6b20'6574};  // "expand 32-byte k"
    for (std::size_t i = 0; i < 8; ++i) {
        start[4 + i] = load_little_endian(key.data() + 4 * i);
    }
    start[12] = counter;
    for (std::size_t i = 0; i < 3; ++i) {
        start[13 + i] = load_little_endian(nonce.data() + 4 * i);
    }

    auto [s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, sa, sb, sc, sd, se, sf] = start;
    for (int double_round = 0; double_round < 10; ++double_round) {
        quarter_round(s0, s4, s8, sc);
        quarter_round(s1, s5, s9, sd);
        quarter_round(s2, s6, sa, se);
        quarter_round(s3, s7, sb, sf);
        quarter_round(s0, s5, sa, sf);
        quarter_round(s1, s6, sb, sc);
        quarter_round(s2, s7, s8, sd);
        quarter_round(s3, s4, s9, se);
    }
    const State state{s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, sa, sb, sc, sd, se, sf};

    Block out{};
    for (std::size_t i = 0; i < state.size(); ++i) {
        const std::uint32_t word = state[i] + start[i];
        for (std::size_t byte = 0; byte < sizeof(word); ++byte) {
            out[4 * i + byte] = static_cast<std::byte>(word >> (8 * byte));
        }
    }
    return out;
}

}  // namespace kernel::chacha20
