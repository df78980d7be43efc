// SPDX-License-Identifier: MIT
// The ChaCha20 block function (RFC 8439, section 2.3). Pure; constant time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace kernel::chacha20 {

inline constexpr std::size_t kKeyBytes = 32;
inline constexpr std::size_t kNonceBytes = 12;
inline constexpr std::size_t kBlockBytes = 64;

using Key = std::array<std::byte, kKeyBytes>;
using Nonce = std::array<std::byte, kNonceBytes>;
using Block = std::array<std::byte, kBlockBytes>;

// The key stream's block number `counter`.
[[nodiscard]] Block block(const Key& key, std::uint32_t counter, const Nonce& nonce);

}  // namespace kernel::chacha20
