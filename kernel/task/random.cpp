// SPDX-License-Identifier: MIT
#include "task/random.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#include "lib/chacha20.hpp"
#include "sync/spinlock.hpp"

namespace kernel::task::random {

namespace {

constexpr chacha20::Nonce kNoNonce{};  // every key is used for one stream only

// Concurrency: guarded by lock.
struct Generator {
    SpinLock lock{LockRank::PageCache};
    chacha20::Key key GUARDED_BY(lock){};
};
constinit Generator generator;

// Replaces the key by one half of its first block and returns the other half.
chacha20::Key step() REQUIRES(generator.lock) {
    const chacha20::Block block = chacha20::block(generator.key, 0, kNoNonce);
    chacha20::Key given{};
    std::copy_n(block.begin(), generator.key.size(), generator.key.begin());
    std::copy_n(block.begin() + chacha20::kKeyBytes, given.size(), given.begin());
    return given;
}

}  // namespace

void seed(std::span<const std::byte> entropy) {
    const LockGuard guard{generator.lock};
    while (!entropy.empty()) {
        const auto part = entropy.first(std::min(entropy.size(), chacha20::kKeyBytes));
        for (std::size_t i = 0; i < part.size(); ++i) {
            generator.key[i] ^= part[i];
        }
        static_cast<void>(step());
        entropy = entropy.subspan(part.size());
    }
}

void fill(std::span<std::byte> out) {
    chacha20::Key key{};
    {
        const LockGuard guard{generator.lock};
        key = step();
    }
    if (out.size() <= key.size()) {
        // It is random bytes that nobody else gets, so it need not be stretched.
        std::copy_n(key.begin(), out.size(), out.begin());
        return;
    }
    for (std::uint32_t counter = 0; !out.empty(); ++counter) {
        const chacha20::Block block = chacha20::block(key, counter, kNoNonce);
        const std::size_t bytes = std::min(out.size(), block.size());
        std::copy_n(block.begin(), bytes, out.begin());
        out = out.subspan(bytes);
    }
}

}  // namespace kernel::task::random
