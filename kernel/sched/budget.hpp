// SPDX-License-Identifier: MIT
// Budget: at most Q of CPU time in any window of length P, for one task or for several that share it.
//
// A sporadic server: time that was used comes back P after it was used, not at the edge of a fixed period, so
// no window of length P holds more than Q (seL4's MCS kernel has the same rule; Sprunt, Sha, Lehoczky 1989).
// The list of what was used has a fixed length; when it is full the two entries nearest in time become one
// that comes back when the later of them would: less time is given back early, never more.
//
// A hart that runs a capped task holds a grant: budget that is set aside for it, so that two harts never
// spend the same time twice. What is left of a grant goes back.
//
// With one task, time comes back P after a stretch began: the task can run no faster than time passes, so the
// window stays within Q. Several tasks can use it faster than it was used before, so for them it comes back P
// after the stretch ended, in pieces of at most Q / 8.
//
// Concurrency: has a leaf lock of its own, held for one pass over the list; may be used under hart locks.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "lib/intrusive_list.hpp"
#include "lib/units.hpp"
#include "sched/attributes.hpp"

namespace kernel::sched {

// The place of a throttled task in the line for its budget.
struct BudgetWaiter {
    ListNode node;
    // Its turn came, and it has had no time since: should it have to wait again it goes to the front.
    bool has_turn{false};
};

class Budget {
  public:
    constexpr Budget() = default;
    Budget(const Budget&) = delete;
    Budget& operator=(const Budget&) = delete;

    static constexpr std::uint32_t kEntries = 8;
    // A task does not start for less than this, so that it is not switched to for a few instructions.
    static constexpr Duration kQuantum = Duration::microseconds(50);

    // Sets Q and P; what was used before stays used. Pre: params.is_capped().
    void configure(const BudgetParams& params, Instant now);
    [[nodiscard]] BudgetParams params() const;

    // How many tasks draw on it; kept by RunQueue::set_budget.
    void attach(Instant now);
    void detach();

    // Sets time aside for a hart that runs from `now` on; zero when there is less than kQuantum. The caller
    // passes every grant back to use() or give_back(), in full.
    [[nodiscard]] Duration grant(Instant now);
    // The same for a task that has used its grant up: zero also while others are in line.
    [[nodiscard]] Duration renew(Instant now);
    void give_back(Duration granted);
    // [from, to) was run; `granted` of it was set aside before. More than was granted counts as well: it is
    // overdrawn and paid back first. Pre: granted <= to - from. `lent`: another task ran on this budget.
    void use(Instant from, Instant to, Duration granted, bool lent);

    // Those without time left stand in line, machine-wide, so that a hart that is always first to ask does
    // not starve the others. Pre of stop_waiting: waits here.
    void wait(BudgetWaiter& waiter);
    void stop_waiting(BudgetWaiter& waiter);
    // Whether a task that comes to a queue may start: there is time left, and no one is before it.
    [[nodiscard]] bool may_start(const BudgetWaiter& waiter, Instant now);
    // Whether this one's turn has come, and otherwise when to ask again (later than now).
    [[nodiscard]] bool may_go_on(const BudgetWaiter& waiter, Instant now);
    [[nodiscard]] Instant ask_again_at(const BudgetWaiter& waiter, Instant now);
    // What is neither used in the last P nor set aside; below zero when overdrawn.
    [[nodiscard]] Duration left(Instant now);

  private:
    class Guard;
    struct Entry {
        Instant base;     // comes back at base + P
        Duration amount;  // 0: unused entry
    };

    void expire(Instant now);
    [[nodiscard]] Duration set_aside(Instant now);
    [[nodiscard]] Instant available_at(Instant now) const;
    void add(Instant base, Duration amount);
    void merge_nearest();
    [[nodiscard]] Duration left_now() const;
    [[nodiscard]] Duration piece() const;

    mutable std::atomic<std::uint32_t> lock_{0};
    BudgetParams params_;
    std::array<Entry, kEntries> entries_{};  // oldest first
    std::uint32_t count_{0};
    Duration used_;       // sum of the entries
    Duration set_aside_;  // sum of the grants
    Instant last_end_;    // where the last stretch ended
    std::uint32_t tasks_{0};
    IntrusiveList<BudgetWaiter, &BudgetWaiter::node> line_;
};

}  // namespace kernel::sched
