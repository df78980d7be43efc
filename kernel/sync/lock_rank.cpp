// SPDX-License-Identifier: MIT
#include "sync/lock_rank.hpp"

#include <array>

#include "arch/contract.hpp"
#include "lib/check.hpp"

namespace kernel {

namespace {

constexpr std::uint32_t kMaxHeld = 8;

struct HeldLocks {
    std::array<LockRank, kMaxHeld> ranks;
    std::uint32_t count;
};

// Hart-local: each hart touches its own entry only, with interrupts off.
constinit std::array<HeldLocks, kMaxCpus> held_locks{};

}  // namespace

void note_lock_acquired(LockRank rank) {
    const HeldLocks& held = held_locks[arch::current_cpu().value()];
    for (std::uint32_t i = 0; i < held.count; ++i) {
        CHECK(held.ranks[i] < rank);
    }
    note_lock_tried(rank);
}

void note_lock_tried(LockRank rank) {
    HeldLocks& held = held_locks[arch::current_cpu().value()];
    CHECK(held.count < kMaxHeld);
    held.ranks[held.count++] = rank;
}

void note_lock_released(LockRank rank) {
    HeldLocks& held = held_locks[arch::current_cpu().value()];
    // Guards nest, so locks are released in reverse order, but for a guard that outlives a later one in the
    // same scope.
    for (std::uint32_t i = held.count; i > 0; --i) {
        if (held.ranks[i - 1] == rank) {
            for (std::uint32_t j = i; j < held.count; ++j) {
                held.ranks[j - 1] = held.ranks[j];
            }
            --held.count;
            return;
        }
    }
    CHECK(false && "released a lock that is not held");
}

}  // namespace kernel
