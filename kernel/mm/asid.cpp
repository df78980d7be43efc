// SPDX-License-Identifier: MIT
#include "mm/asid.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>

#include "lib/check.hpp"

namespace kernel::mm {

namespace {

// More than the processes we expect to be busy at once; the others share ASID 0.
constexpr std::uint32_t kAsidCount = 512;
constinit std::array<std::atomic<std::uint64_t>, kAsidCount / 64> taken{};
constinit std::atomic<std::uint32_t> usable_count{0};  // ASIDs 1 .. usable_count - 1

}  // namespace

void set_highest_asid(std::uint16_t highest) {
    usable_count.store(std::min(std::uint32_t{highest} + 1, kAsidCount), std::memory_order_relaxed);
}

std::uint16_t take_asid() {
    const std::uint32_t usable = usable_count.load(std::memory_order_relaxed);
    for (std::uint32_t word = 0; word * 64 < usable; ++word) {
        std::uint64_t bits = taken[word].load(std::memory_order_relaxed) | (word == 0 ? 1 : 0);
        while (bits != ~std::uint64_t{0}) {
            const auto bit = static_cast<std::uint32_t>(std::countr_one(bits));
            const std::uint32_t asid = word * 64 + bit;
            if (asid >= usable) {
                return kSharedAsid;
            }
            const std::uint64_t mask = std::uint64_t{1} << bit;
            // Relaxed: an ASID carries no data from its last owner; stale translations are activate()'s
            // business.
            const std::uint64_t before = taken[word].fetch_or(mask, std::memory_order_relaxed);
            if ((before & mask) == 0) {
                return static_cast<std::uint16_t>(asid);
            }
            bits = before | mask | (word == 0 ? 1 : 0);
        }
    }
    return kSharedAsid;
}

void return_asid(std::uint16_t asid) {
    if (asid == kSharedAsid) {
        return;
    }
    const std::uint64_t mask = std::uint64_t{1} << (asid % 64);
    const std::uint64_t before = taken[asid / 64].fetch_and(~mask, std::memory_order_relaxed);
    CHECK((before & mask) != 0);
}

}  // namespace kernel::mm
