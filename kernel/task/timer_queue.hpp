// SPDX-License-Identifier: MIT
// The deadlines of one hart's sleeping tasks, by time and, where equal, by age; guarded by that hart's lock.
#pragma once

#include <cstdint>

#include "lib/avl_tree.hpp"
#include "lib/ids.hpp"
#include "lib/units.hpp"

namespace kernel::task {

struct Wait;

// One deadline; part of Wait.
// Concurrency: guarded by the lock of hart `cpu`. `cpu` changes only while the timer is not queued, by its
// own task.
struct Timer {
    AvlNode<Timer> node;
    Instant deadline{Instant::never()};
    Wait* wait{nullptr};  // the owner; immutable
    CpuId cpu{};
    bool queued{false};
};

// Concurrency: guarded by the hart's lock.
class TimerQueue {
  public:
    void add(Timer& timer, Instant deadline);
    void remove(Timer& timer);
    // The earliest deadline, or never().
    [[nodiscard]] Instant next_deadline();
    // Takes the earliest timer off when its deadline is not after `now`; null when there is none.
    [[nodiscard]] Timer* pop_expired(Instant now);

  private:
    struct Order {
        static bool before(const Timer& a, const Timer& b) { return a.deadline < b.deadline; }
        static void update(Timer&, const Timer*, const Timer*) {}  // no augment
    };
    AvlTree<Timer, &Timer::node, Order> timers_;
};

// Sets a timer on the calling hart. Pre: it is not queued.
void arm_timer(Timer& timer, Instant deadline);
// Takes a timer off its hart's queue if it is still there. Takes that hart's lock.
void cancel_timer(Timer& timer);

}  // namespace kernel::task
