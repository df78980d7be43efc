// SPDX-License-Identifier: MIT
#include "mm/fault_injection.hpp"

#include <atomic>

#include "lib/shared_random.hpp"

namespace kernel::mm {

#ifdef NEURON_DEBUG
namespace {

constexpr std::int64_t kDisarmed = -1;
// Successes left before the failure.
constinit std::atomic<std::int64_t> successes_left{kDisarmed};
constinit std::atomic<std::uint32_t> failures{0};
// Of failures at random; 0: there are none.
constinit std::atomic<std::uint32_t> random_interval{0};
constinit SharedRandom random_numbers{1};
using Exemption = bool (*)();
constinit Exemption is_exempt_from_random = nullptr;

}  // namespace

void fail_allocation_after(std::uint64_t successes) {
    failures.store(0);
    successes_left.store(static_cast<std::int64_t>(successes));
}

void fail_allocations_at_random(std::uint32_t interval, bool (*is_exempt)()) {
    is_exempt_from_random = is_exempt;
    random_interval.store(interval);
}

void stop_failing_allocations() {
    successes_left.store(kDisarmed);
    random_interval.store(0);
}

bool has_allocation_failed() {
    return failures.load() != 0;
}

bool should_fail_allocation() {
    const std::uint32_t interval = random_interval.load();
    if (interval != 0 && !is_exempt_from_random() && random_numbers.next() % interval == 0) {
        failures.store(1);
        return true;
    }
    std::int64_t left = successes_left.load();
    while (left != kDisarmed) {
        // From 0 this steps to kDisarmed: exactly one caller fails.
        if (successes_left.compare_exchange_weak(left, left - 1)) {
            if (left == 0) {
                failures.store(1);
            }
            return left == 0;
        }
    }
    return false;
}
#endif

}  // namespace kernel::mm
