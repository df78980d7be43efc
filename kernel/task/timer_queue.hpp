// SPDX-License-Identifier: MIT
// The deadlines of one hart's sleeping tasks, by time and, where equal, by age; guarded by that hart's lock.
//
// Slack. A timer may fire up to `slack` after its deadline, so that several are served by one interrupt. The
// interrupt is set to the latest deadline among those that all timers' slack allows to wait for: two sleepers
// half a millisecond apart with a millisecond of slack take one interrupt, at the second one's deadline. A
// timer with nothing to wait for is not late, and none is ever early: whatever is due when its hart is in the
// kernel anyway ends then.
#pragma once

#include <atomic>
#include <cstdint>

#include "lib/avl_tree.hpp"
#include "lib/ids.hpp"
#include "lib/units.hpp"

namespace kernel::task {

struct Wait;
class Alarm;

// How late the deadline of a task of class Idle or Normal may be noticed. Interactive and PerfBurst have
// none, nor has who has a latency hint below it.
inline constexpr Duration kTimerSlack = Duration::milliseconds(1);

// How much earlier the wake-up of a task without slack begins than it is due: about what it takes
// from the timer's interrupt to the task. Nobody is early: who is there before the instant waits for it on
// the way out (Task::due), a few microseconds at most.
inline constexpr Duration kWakeAdvance = Duration::nanoseconds(3000);

// One deadline; part of Wait or of Alarm.
// Concurrency: guarded by the lock of hart `cpu`. `cpu` changes only while the timer is not queued, by its
// own task.
struct Timer {
    AvlNode<Timer> node;
    Instant deadline{Instant::never()};      // when its wake-up begins
    Instant due{Instant::never()};           // when its task may go on; not before `deadline`
    Instant latest{Instant::never()};        // deadline + slack
    Instant least_latest{Instant::never()};  // of the subtree below (and including) this timer
    Wait* wait{nullptr};                     // the owner, immutable: either this
    Alarm* alarm{nullptr};                   // or this
    CpuId cpu{};
    bool queued{false};
};

// Concurrency: guarded by the hart's lock. Cost: O(log n) each.
class TimerQueue {
  public:
    // Pre: slack >= 0.
    void add(Timer& timer, Instant deadline, Duration slack);
    void remove(Timer& timer);
    // The earliest deadline, or never(): from then on pop_expired() has something.
    // Any hart may ask; the answer is exact under the lock.
    [[nodiscard]] Instant next_deadline() const {
        return Instant::from_ns(next_deadline_ns_.load(std::memory_order_relaxed));
    }
    // When to interrupt: the latest deadline that no timer's slack forbids to wait for, or never().
    // Post: next_deadline() <= it <= the least `latest`.
    [[nodiscard]] Instant next_interrupt() const {
        return timers_.empty() ? Instant::never() : next_interrupt_of_some();
    }
    // Takes the earliest timer off when its deadline is not after `now`; null when there is none.
    [[nodiscard]] Timer* pop_expired(Instant now);

  private:
    struct Order {
        static bool before(const Timer& a, const Timer& b) { return a.deadline < b.deadline; }
        static bool update(Timer& item, const Timer* left, const Timer* right);
    };
    using Tree = AvlTree<Timer, &Timer::node, Order>;
    [[nodiscard]] Instant next_interrupt_of_some() const;
    void note_first();

    Tree timers_;
    // Of the first timer.
    std::atomic<std::int64_t> next_deadline_ns_{Instant::never().ns()};
};

// Sets a timer on the calling hart, with the slack of its task's effective class. Pre: it is not queued; its
// task runs here.
void arm_timer(Timer& timer, Instant deadline);
// Takes a timer off its hart's queue if it is still there. Takes that hart's lock.
void cancel_timer(Timer& timer);

}  // namespace kernel::task
