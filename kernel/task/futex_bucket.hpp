// SPDX-License-Identifier: MIT
// Where futexes are kept. Internal to futex*.cpp.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "lib/ids.hpp"
#include "mm/address_space.hpp"
#include "task/short_cuts.hpp"
#include "task/wait.hpp"

namespace kernel::task {

inline constexpr std::size_t kFutexBuckets = 256;
inline constexpr std::uint64_t kWordBytes = sizeof(std::uint32_t);

// A line of its own: harts that use different futexes mostly write to no common one.
struct alignas(64) FutexBucket : WaitQueue {
    constexpr FutexBucket() : WaitQueue{LockRank::FutexBucket} {}

    // Says that a wait may begin here, before its word is compared. Pre: lock() is held.
    void expect_wait() {
        if (!has_one_hart) {
            may_have_waits.store(true, std::memory_order_relaxed);
            // Pairs with the fence in is_known_empty().
            std::atomic_thread_fence(std::memory_order_seq_cst);
        }
    }
    // Pre: lock() is held.
    void note_if_empty() {
        if (empty()) {
            may_have_waits.store(false, std::memory_order_relaxed);
        }
    }
    // For who wrote a word and is about to wake: nobody waits for it, as far as can be known without the
    // lock. That is enough: who waits says so first and reads the word then, who wakes wrote the word first
    // and looks here then, so that one of the two sees the other. False on a machine of one hart, where a
    // wait says nothing.
    [[nodiscard]] bool is_known_empty() const {
        if (has_one_hart || !takes_short_cuts()) {
            return false;
        }
        std::atomic_thread_fence(std::memory_order_seq_cst);
        return !may_have_waits.load(std::memory_order_relaxed);
    }

    // Written under lock(). False: nobody waits here.
    std::atomic<bool> may_have_waits{false};
};
extern constinit std::array<FutexBucket, kFutexBuckets> futex_buckets;

// A futex's name: Wait::key is the address space, key_high the address; in shared memory, the file and the
// offset there, whatever FUTEX_PRIVATE_FLAG says.
struct FutexKey {
    std::uint64_t space;
    std::uint64_t address;
    bool operator==(const FutexKey&) const = default;

    // Of a word in memory that is not shared.
    [[nodiscard]] static FutexKey of_own(const mm::AddressSpace& space, VirtAddr address) {
        return {reinterpret_cast<std::uint64_t>(&space), address.value()};
    }
    // Fibonacci hashing (Knuth, TAOCP 3, 6.4): the top bits of a multiple of 2^64 / golden ratio spread
    // neighbours.
    [[nodiscard]] std::uint64_t mixed() const {
        constexpr std::uint64_t kMultiplier = 0x9e37'79b9'7f4a'7c15;
        return (space << 26U ^ (address / kWordBytes)) * kMultiplier;
    }
};

[[nodiscard, gnu::always_inline]] inline FutexBucket& bucket_of(FutexKey key) {
    return futex_buckets[key.mixed() >> (64 - std::countr_zero(kFutexBuckets))];
}

}  // namespace kernel::task
