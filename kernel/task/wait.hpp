// SPDX-License-Identifier: MIT
// Waiting without sleeping in the kernel. A system call that cannot finish records what its task waits for
// and returns "blocked"; whoever makes it true writes the result (or has the call run again) and wakes the
// task.
//
// A wait ends in one of four ways: its event, its deadline, a kill, a signal (if it is one that signals end).
// They race, so each first claims the wait; exactly one claim succeeds, and only its owner may take the task
// off its queue, set the result and wake it. A claimed task cannot end, so the claimant's pointer stays good
// until it has called finish_wait().
//
// A handler that blocks:
//     LockGuard guard{queue.lock()};
//     if (event already there) return result;
//     begin_wait(task, &queue, {.on_timeout = -ETIMEDOUT, .deadline = deadline});
//     return SysResult::blocked();
// A waker that looks at its waiters one by one (WaitQueue::wake() does this for the plain case):
//     LockGuard guard{queue.lock()};
//     for (Wait* wait = queue.front(); wait != nullptr;) {
//         Wait* next = queue.next(*wait);
//         if (matches(*wait) && claim_wait(*wait)) { queue.remove(*wait); finish_wait(*wait, result); }
//         wait = next;
//     }
#pragma once

#include <atomic>
#include <cstdint>

#include "lib/avl_tree.hpp"
#include "lib/units.hpp"
#include "sync/spinlock.hpp"
#include "task/timer_queue.hpp"

namespace kernel::task {

class Task;
class WaitQueue;

// What a signal that is to be acted on does to a call that waits (signal(7)).
enum class OnSignal : std::uint8_t {
    Stays,       // nothing: the signal waits for the end of the call
    Restarts,    // behind a handler installed with SA_RESTART the call begins anew, behind others it is EINTR
    Fails,       // EINTR behind any handler
    BeginsAnew,  // behind any handler the call begins anew
    // As Restarts, but that on_interrupted takes back what the call has done so far; or, if it was done after
    // all, sets its result and leaves Task::call_progress what it is, not 0.
    IsUndone,
    GivesUp,  // EAGAIN behind any handler; without one the call goes on, see kGoesOn
};

// What a task waits for; part of Task.
// Concurrency: `token` is atomic. The rest belongs to the task until token is Armed and to whoever claims it
// afterwards, but for node and queue, which the queue's lock guards, and timer (see timer_queue.hpp).
struct Wait {
    // Open: armed, and signals end it too.
    enum Token : std::uint32_t { None = 0, Armed = 1, Claimed = 2, Open = 3 };

    std::atomic<std::uint32_t> token{None};
    std::uint32_t bitset{~0U};
    Task* task{nullptr};                       // the owner; immutable
    WaitQueue* queue{nullptr};                 // null: waits for its deadline only
    [[no_unique_address]] AvlNode<Wait> node;  // its last bytes are free for the next members
    bool has_deadline{false};                  // timer was armed for this wait
    OnSignal on_signal{OnSignal::Stays};
    Timer timer;
    std::uint64_t key{0};  // which event of the queue, e.g. a futex's address space and address
    std::uint64_t key_high{0};
    std::uint64_t sequence{0};   // of its queue: the older first; given by push()
    std::int64_t on_timeout{0};  // the call's result when the deadline passes
    Instant deadline{Instant::never()};
    void (*on_interrupted)(Task&){nullptr};

    [[nodiscard]] bool is_armed() const {
        return (token.load(std::memory_order_relaxed) & ~std::uint32_t{Open ^ Armed}) == Armed;
    }
    [[nodiscard]] Token armed_token() const { return on_signal == OnSignal::Stays ? Armed : Open; }
};

struct WaitOptions {
    std::int64_t on_timeout{0};
    Instant deadline{Instant::never()};
    // On wake-up the system call runs again with its arguments instead of getting a result.
    bool run_again{false};
    // On wake-up, deadline included, this runs instead of getting a result; run_again must be false.
    void (*resume)(Task&){nullptr};
    std::uint64_t key{0};
    std::uint64_t key_high{0};
    std::uint32_t bitset{~0U};
    // What a signal does. Calls that run again restart, unless it says Fails; the rest stays, unless it says
    // something else.
    OnSignal on_signal{OnSignal::Stays};
    // Called in the task's own context when a handler is about to run and the call Fails or IsUndone; the
    // argument registers are those of the call. The deadline is Task::call_progress, in nanoseconds since
    // boot.
    void (*on_interrupted)(Task&){nullptr};
};

// Waiting tasks behind a lock of their own, by key and, where equal, by age. Ranks: FutexBucket for futexes,
// WaitQueue for everything else. Cost: O(log n) each.
class WaitQueue {
  public:
    // `given_up`, if set, is told of each wait that ended by its deadline or an interruption, right after it
    // left the queue and with the lock held.
    using GivenUp = void (*)(Wait&);
    constexpr explicit WaitQueue(LockRank rank = LockRank::WaitQueue, GivenUp given_up = nullptr)
        : lock_{rank}, given_up_{given_up} {}

    [[nodiscard]] SpinLock& lock() { return lock_; }

    // Pre for all of these: lock() is held.
    void push(Wait& wait);
    void remove(Wait& wait) { waits_.erase(wait); }
    // Pre: there is only one.
    void remove_only() { waits_.erase_only(); }
    [[nodiscard]] Wait* front() { return waits_.first(); }
    [[nodiscard]] Wait* next(Wait& wait) { return waits_.next(wait); }
    [[nodiscard]] bool empty() const { return waits_.empty(); }
    // The only wait; null: there is none, or more than one.
    [[nodiscard]] Wait* only() const { return waits_.size() == 1 ? waits_.root() : nullptr; }
    // push() of the first. Pre: empty().
    void push_first(Wait& wait) {
        wait.sequence = ++last_sequence_;
        waits_.insert_first(wait);
    }
    // The oldest wait with this key that is younger than `after`; null when there is none.
    [[nodiscard]] Wait* first_of(std::uint64_t key, std::uint64_t key_high, std::uint64_t after = 0);
    // The only wait there is, if it has this key; else null.
    [[nodiscard]] Wait* only_of(std::uint64_t key, std::uint64_t key_high) {
        Wait* const root = waits_.root();
        const bool is_it =
            root != nullptr && waits_.size() == 1 && root->key == key && root->key_high == key_high;
        return is_it ? root : nullptr;
    }
    // The sequence of the youngest wait there ever was.
    [[nodiscard]] std::uint64_t last_sequence() const { return last_sequence_; }

    // Ends up to `count` waits with `result` (ignored by waits that run again), oldest first; returns how
    // many. Takes the lock.
    std::uint32_t wake(std::uint32_t count, std::int64_t result);
    // Ends the oldest wait with this key (and key_high 0). Takes the lock.
    void wake_one(std::uint64_t key, std::int64_t result);
    // The same. Pre: lock() is held.
    void wake_one_locked(std::uint64_t key, std::int64_t result, std::uint64_t key_high = 0);

    // Takes a claimed wait off that ended without its event. Takes the lock.
    void give_up(Wait& wait);

    // Ends every wait, as wake() does, and returns once nobody is in the queue, which may then go. Whoever
    // claimed a wait is about to take it off and is waited for: a few instructions of another hart. Pre: no
    // wait can begin any more. Takes the lock.
    void end_all(std::int64_t result);

  private:
    struct Order {
        static bool before(const Wait& a, const Wait& b);
        static void update(Wait&, const Wait*, const Wait*) {}  // no augment
    };
    [[no_unique_address]] AvlTree<Wait, &Wait::node, Order> waits_;  // its last bytes are the lock's first
    SpinLock lock_;
    GivenUp given_up_;
    std::uint64_t last_sequence_{0};
};

// Starts a wait of the task that is running on this hart, on `queue` (null: only the deadline ends
// it). Pre: its handler holds queue->lock() and returns SysResult::blocked() next.
void begin_wait(Task& task, WaitQueue* queue, const WaitOptions& options);
// True for exactly one of the callers that race to end this wait.
[[nodiscard]] bool claim_wait(Wait& wait);
// Cancels the deadline, sets the result (unless the call runs again) and makes the task runnable. Pre: the
// caller claimed the wait and took it off its queue. Locks taken: hart locks, one at a time.
void finish_wait(Wait& wait, std::int64_t result);
// The same for a call that has more to do: it runs again, with its arguments and Task::call_progress kGoesOn.
void go_on_with_call(Wait& wait);
inline constexpr std::uint64_t kGoesOn = 1;
// Ends a wait whose deadline passed. Pre: the caller claimed it.
void expire_wait(Wait& wait);
// Ends the wait, if there is one, with -EINTR and no second run: for kills. Pre: the caller keeps the task
// alive.
void interrupt_wait(Task& task);
// Ends the wait for a signal, if there is one that signals end. What becomes of the call is decided when the
// signal is delivered (Task::interruption). The deadline of one that fails is kept in Task::call_progress: a
// call that goes on because there was no handler after all waits until then. Pre: as interrupt_wait().
void interrupt_wait_by_signal(Task& task);
// For whoever re-arms a claimed wait: claims an open one for a signal, and ends it when it is on no queue.
[[nodiscard]] bool claim_open_wait(Wait& wait);
void finish_wait_by_signal(Wait& wait);

// How a waiting system call runs again; set once at boot by the system call layer.
void set_rerun_hook(void (*hook)(Task&));
// Whether the task's call is to run again.
[[nodiscard]] bool is_to_rerun(const Task& task);

}  // namespace kernel::task
