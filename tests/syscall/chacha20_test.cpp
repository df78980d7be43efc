// SPDX-License-Identifier: MIT
// The vectors of RFC 8439, and what the generator on top promises.
#include "lib/chacha20.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "task/random.hpp"

namespace kernel {
namespace {

std::vector<std::byte> bytes_of(const std::string& hex) {
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        bytes.push_back(static_cast<std::byte>(std::stoul(hex.substr(i, 2), nullptr, 16)));
    }
    return bytes;
}

template <std::size_t N>
std::array<std::byte, N> array_of(const std::string& hex) {
    std::array<std::byte, N> bytes{};
    const auto all = bytes_of(hex);
    EXPECT_EQ(all.size(), N);
    std::copy_n(all.begin(), N, bytes.begin());
    return bytes;
}

struct Vector {
    const char* name;
    const char* key;
    std::uint32_t counter;
    const char* nonce;
    const char* stream;
};
// Section 2.3.2 and appendix A.1, test vectors 1 to 3.
constexpr Vector kVectors[] = {
    {"Section232", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 1,
     "000000090000004a00000000",
     "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
     "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"},
    {"AppendixA1Number1", "0000000000000000000000000000000000000000000000000000000000000000", 0,
     "000000000000000000000000",
     "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
     "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"},
    {"AppendixA1Number2", "0000000000000000000000000000000000000000000000000000000000000000", 1,
     "000000000000000000000000",
     "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
     "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"},
    {"AppendixA1Number3", "0000000000000000000000000000000000000000000000000000000000000001", 1,
     "000000000000000000000000",
     "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a"
     "8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0"},
};

class ChaCha20 : public testing::TestWithParam<Vector> {};
TEST_P(ChaCha20, MakesTheStreamOfTheRfc) {
    const auto block =
        chacha20::block(array_of<32>(GetParam().key), GetParam().counter, array_of<12>(GetParam().nonce));
    EXPECT_EQ(std::vector<std::byte>(block.begin(), block.end()), bytes_of(GetParam().stream));
}
INSTANTIATE_TEST_SUITE_P(Rfc8439, ChaCha20, testing::ValuesIn(kVectors),
                         [](const auto& vector) { return std::string{vector.param.name}; });

using Output = std::array<std::byte, 100>;
Output draw() {
    Output output{};
    task::random::fill(output);
    return output;
}

TEST(Random, NoTwoRequestsAreAlike) {
    std::set<std::vector<std::byte>> seen;
    for (int i = 0; i < 100; ++i) {
        const Output output = draw();
        EXPECT_TRUE(seen.emplace(output.begin(), output.end()).second);
    }
}

// Short requests are served from what one key made, long ones from a key of their own.
TEST(Random, NothingIsHandedOutTwice) {
    std::set<std::vector<std::byte>> seen;
    for (std::size_t i = 0; i < 2'000; ++i) {
        std::vector<std::byte> output(8 + i % 40);
        task::random::fill(output);
        for (std::size_t at = 0; at + 8 <= output.size(); at += 8) {
            const auto from = output.begin() + static_cast<std::ptrdiff_t>(at);
            EXPECT_TRUE(seen.emplace(from, from + 8).second) << "request " << i;
        }
    }
}

TEST(Random, SeedingTwiceWithTheSameDoesNotGoBack) {
    const std::vector<std::byte> entropy(40, std::byte{7});
    task::random::seed(entropy);
    const Output first = draw();
    task::random::seed(entropy);
    EXPECT_NE(draw(), first);
}

}  // namespace
}  // namespace kernel
