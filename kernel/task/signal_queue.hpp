// SPDX-License-Identifier: MIT
// Signals that were sent and not yet taken, of a thread or of a process, and the stack a thread may have for
// its handlers. Of the numbers below kFirstQueued one of each is kept; from there on every one, in the order
// they came (signal(7), "Real-time signals").
#pragma once

#include <atomic>
#include <cstdint>

#include "lib/intrusive_list.hpp"
#include "lib/result.hpp"
#include "task/signal_info.hpp"

namespace kernel::task {

// SIGRTMIN of the kernel. C libraries keep the first few for themselves.
inline constexpr std::uint32_t kFirstQueued = 32;
// Records of one set. Beyond, a signal is pending without its details, and rt_sigqueueinfo fails.
inline constexpr std::uint32_t kMaxQueuedSignals = 1024;

struct QueuedSignal {
    ListNode node;
    std::uint32_t number{0};
    SignalInfo info;
};

// Concurrency: guarded by the lock of the process's signals. Cost: O(kMaxQueuedSignals).
class PendingSignals {
  public:
    PendingSignals() = default;
    PendingSignals(const PendingSignals&) = delete;
    PendingSignals& operator=(const PendingSignals&) = delete;
    ~PendingSignals() { drop(~std::uint64_t{0}); }

    // Bit n - 1: signal n is pending. Without the lock: as it was at some moment.
    [[nodiscard]] std::uint64_t set() const { return set_.load(std::memory_order_relaxed); }
    // Adds a signal; one of a timer whose last one is still pending counts as its overrun. TryAgain: it is
    // pending, but its details could not be kept. Pre: 1 <= number <= kSignalCount.
    Result<void> add(std::uint32_t number, const SignalInfo& info);
    // Takes the oldest signal of this number. Pre: it is pending.
    SignalInfo take(std::uint32_t number);
    // Forgets all signals of `set`.
    void drop(std::uint64_t set);

  private:
    IntrusiveList<QueuedSignal, &QueuedSignal::node> queue_;
    std::atomic<std::uint64_t> set_{0};  // written under the lock
    std::uint32_t count_{0};
};

// sigaltstack(2)
struct AlternateStack {
    std::uint64_t start{0};
    std::uint64_t bytes{0};  // 0: there is none
    bool disarms{false};     // SS_AUTODISARM: there is none while a handler runs on it

    [[nodiscard]] constexpr bool contains(std::uint64_t sp) const {
        return !disarms && sp > start && sp - start <= bytes;
    }
};

}  // namespace kernel::task
