// SPDX-License-Identifier: MIT
#include "mm/fault_injection.hpp"

#include <atomic>

namespace kernel::mm {

#ifdef NEURON_DEBUG
namespace {

constexpr std::int64_t kDisarmed = -1;
// Successes left before the failure.
constinit std::atomic<std::int64_t> successes_left{kDisarmed};
constinit std::atomic<std::uint32_t> failures{0};

}  // namespace

void fail_allocation_after(std::uint64_t successes) {
    failures.store(0);
    successes_left.store(static_cast<std::int64_t>(successes));
}

void stop_failing_allocations() {
    successes_left.store(kDisarmed);
}

bool has_allocation_failed() {
    return failures.load() != 0;
}

bool should_fail_allocation() {
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
