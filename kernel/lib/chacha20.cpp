// SPDX-License-Identifier: MIT
#include "lib/chacha20.hpp"

#include <algorithm>
#include <bit>

namespace kernel::chacha20 {

namespace {

using State = std::array<std::uint32_t, 16>;

// The words of keys, nonces and blocks are little-endian: as they lie in memory here.
static_assert(std::endian::native == std::endian::little);

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
    const auto key_words = std::bit_cast<std::array<std::uint32_t, 8>>(key);
    std::copy(key_words.begin(), key_words.end(), start.begin() + 4);
    start[12] = counter;
    const auto nonce_words = std::bit_cast<std::array<std::uint32_t, 3>>(nonce);
    std::copy(nonce_words.begin(), nonce_words.end(), start.begin() + 13);

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

    State sum{};
    for (std::size_t i = 0; i < state.size(); ++i) {
        sum[i] = state[i] + start[i];
    }
    return std::bit_cast<Block>(sum);
}

}  // namespace kernel::chacha20
