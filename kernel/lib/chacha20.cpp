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

void quarter_round(State& s, std::size_t a, std::size_t b, std::size_t c, std::size_t d) {
    s[a] += s[b];
    s[d] = std::rotl(s[d] ^ s[a], 16);
    s[c] += s[d];
    s[b] = std::rotl(s[b] ^ s[c], 12);
    s[a] += s[b];
    s[d] = std::rotl(s[d] ^ s[a], 8);
    s[c] += s[d];
    s[b] = std::rotl(s[b] ^ s[c], 7);
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

    State state = start;
    for (int double_round = 0; double_round < 10; ++double_round) {
        quarter_round(state, 0, 4, 8, 12);
        quarter_round(state, 1, 5, 9, 13);
        quarter_round(state, 2, 6, 10, 14);
        quarter_round(state, 3, 7, 11, 15);
        quarter_round(state, 0, 5, 10, 15);
        quarter_round(state, 1, 6, 11, 12);
        quarter_round(state, 2, 7, 8, 13);
        quarter_round(state, 3, 4, 9, 14);
    }

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
