// SPDX-License-Identifier: MIT
#include "task/random.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/chacha20.hpp"
#include "sync/spinlock.hpp"

namespace kernel::task::random {

namespace {

constexpr chacha20::Nonce kNoNonce{};  // every key is used for one stream only
constexpr std::size_t kBlocksPerKey = 4;
// What is kept of it is not larger than a key, so that a longer wish gets a key.
constexpr std::size_t kMostKept = 32;
static_assert(kMostKept == chacha20::kKeyBytes);

// Concurrency: guarded by lock.
struct Generator {
    SpinLock lock{LockRank::PageCache};
    chacha20::Key key GUARDED_BY(lock){};
    // Bytes of the last key's stream that nobody got yet: the last `kept`. What was handed out is zero.
    std::array<std::byte, kBlocksPerKey * chacha20::kBlockBytes> stream GUARDED_BY(lock){};
    std::size_t kept GUARDED_BY(lock){0};
};
constinit Generator generator;

// Replaces the key by the beginning of its stream and keeps the rest. Before that, what was kept is dropped.
void step() REQUIRES(generator.lock) {
    for (std::uint32_t counter = 0; counter < kBlocksPerKey; ++counter) {
        const chacha20::Block block = chacha20::block(generator.key, counter, kNoNonce);
        std::copy(block.begin(), block.end(), generator.stream.begin() + counter * chacha20::kBlockBytes);
    }
    const auto begin = generator.stream.begin();
    std::copy_n(begin, generator.key.size(), generator.key.begin());
    std::fill_n(begin, generator.key.size(), std::byte{0});
    generator.kept = generator.stream.size() - generator.key.size();
}

// Hands out kept bytes, each once. Pre: out.size() <= kMostKept.
void take(std::span<std::byte> out) REQUIRES(generator.lock) {
    if (generator.kept < out.size()) {
        step();
    }
    const auto from = generator.stream.end() - static_cast<std::ptrdiff_t>(generator.kept);
    std::copy_n(from, out.size(), out.begin());
    std::fill_n(from, out.size(), std::byte{0});
    generator.kept -= out.size();
}

}  // namespace

void seed(std::span<const std::byte> entropy) {
    const LockGuard guard{generator.lock};
    while (!entropy.empty()) {
        const auto part = entropy.first(std::min(entropy.size(), chacha20::kKeyBytes));
        for (std::size_t i = 0; i < part.size(); ++i) {
            generator.key[i] ^= part[i];
        }
        step();
        entropy = entropy.subspan(part.size());
    }
}

void fill(std::span<std::byte> out) {
    if (out.size() <= kMostKept) {
        // Random bytes that nobody else gets need not be stretched.
        const LockGuard guard{generator.lock};
        take(out);
        return;
    }
    chacha20::Key key{};
    {
        const LockGuard guard{generator.lock};
        take(key);
    }
    for (std::uint32_t counter = 0; !out.empty(); ++counter) {
        const chacha20::Block block = chacha20::block(key, counter, kNoNonce);
        const std::size_t bytes = std::min(out.size(), block.size());
        std::copy_n(block.begin(), bytes, out.begin());
        out = out.subspan(bytes);
    }
}

}  // namespace kernel::task::random
