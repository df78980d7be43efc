// SPDX-License-Identifier: MIT
// SeqLocked<T>: one writer at a time publishes a plain value, any number of readers copy it without a lock
// and retry while a write is going on (Boehm, "Can Seqlocks Get Along With Programming Language Memory
// Models?", MSPC 2012). Concurrency: store() under a lock that excludes other writers; load() anywhere.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace kernel {

template <class T>
class SeqLocked {
    static_assert(std::is_trivially_copyable_v<T>);
    static constexpr std::size_t kWords = (sizeof(T) + 7) / 8;
    using Words = std::array<std::uint64_t, kWords>;

  public:
    void store(const T& value) {
        Words words{};
        __builtin_memcpy(words.data(), &value, sizeof(T));
        const auto sequence = sequence_.load(std::memory_order_relaxed);
        sequence_.store(sequence + 1, std::memory_order_relaxed);
        // Pairs with the acquire fence in load(): a reader that sees a new word sees the odd sequence.
        std::atomic_thread_fence(std::memory_order_release);
        for (std::size_t i = 0; i < kWords; ++i) {
            words_[i].store(words[i], std::memory_order_relaxed);
        }
        sequence_.store(sequence + 2, std::memory_order_release);
    }

    [[nodiscard]] T load() const {
        Words words;
        std::uint64_t before;
        do {
            // Pairs with the release store that ends store().
            before = sequence_.load(std::memory_order_acquire);
            for (std::size_t i = 0; i < kWords; ++i) {
                words[i] = words_[i].load(std::memory_order_relaxed);
            }
            std::atomic_thread_fence(std::memory_order_acquire);
        } while ((before & 1) != 0 || sequence_.load(std::memory_order_relaxed) != before);
        T value;
        __builtin_memcpy(static_cast<void*>(&value), words.data(), sizeof(T));
        return value;
    }

  private:
    std::atomic<std::uint64_t> sequence_{0};
    std::array<std::atomic<std::uint64_t>, kWords> words_{};
};

}  // namespace kernel
