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
    // Word by word: a copy on the stack in between would cost as much again.
    static_assert(sizeof(T) % sizeof(std::uint64_t) == 0 && alignof(T) >= alignof(std::uint64_t));
    static constexpr std::size_t kWords = sizeof(T) / sizeof(std::uint64_t);

  public:
    void store(const T& value) {
        const auto* const bytes = reinterpret_cast<const std::uint64_t*>(&value);
        const auto sequence = sequence_.load(std::memory_order_relaxed);
        sequence_.store(sequence + 1, std::memory_order_relaxed);
        // Pairs with the acquire fence in load(): a reader that sees a new word sees the odd sequence.
        std::atomic_thread_fence(std::memory_order_release);
        for (std::size_t i = 0; i < kWords; ++i) {
            words_[i].store(word_of(bytes + i), std::memory_order_relaxed);
        }
        sequence_.store(sequence + 2, std::memory_order_release);
    }

    [[nodiscard]] T load() const {
        T value;
        auto* const bytes = reinterpret_cast<std::uint64_t*>(&value);
        std::uint64_t before;
        do {
            // Pairs with the release store that ends store().
            before = sequence_.load(std::memory_order_acquire);
            for (std::size_t i = 0; i < kWords; ++i) {
                const std::uint64_t word = words_[i].load(std::memory_order_relaxed);
                __builtin_memcpy(bytes + i, &word, sizeof(word));
            }
            std::atomic_thread_fence(std::memory_order_acquire);
        } while ((before & 1) != 0 || sequence_.load(std::memory_order_relaxed) != before);
        return value;
    }

  private:
    static std::uint64_t word_of(const std::uint64_t* place) {
        std::uint64_t word;
        __builtin_memcpy(&word, place, sizeof(word));
        return word;
    }

    std::atomic<std::uint64_t> sequence_{0};
    std::array<std::atomic<std::uint64_t>, kWords> words_{};
};

}  // namespace kernel
