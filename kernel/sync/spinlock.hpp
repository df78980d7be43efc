// SPDX-License-Identifier: MIT
// SpinLock: a ticket lock, so waiters are served in order and none starves. Taken only through a guard. The
// kernel runs with interrupts off, so a holder is never preempted and no interrupt handler can meet a lock
// its own hart holds. Concurrency: atomic.
#pragma once

#include <atomic>
#include <cstdint>

#include "arch/contract.hpp"
#include "lib/check.hpp"
#include "lib/thread_safety.hpp"
#include "sync/lock_rank.hpp"

namespace kernel {

// Whether one hart is possible, and it need not act as one of several (neuron.paths=general): then no other
// one looks, and no lock is ever found taken. Immutable after boot.
extern constinit bool has_one_hart;

// Whether locks need not be taken: there is nobody to keep out. Debug kernels take them all, to see their
// order.
[[nodiscard, gnu::always_inline]] inline bool needs_no_locks() {
#ifdef NEURON_DEBUG
    return false;
#elifdef __riscv
    return arch::is_only_hart();
#else
    return has_one_hart;
#endif
}

class CAPABILITY("spinlock") SpinLock {
  public:
    constexpr explicit SpinLock(LockRank rank) : rank_{rank} {}
    SpinLock(const SpinLock&) = delete;
    SpinLock& operator=(const SpinLock&) = delete;

    // True while some hart holds the lock; for assertions, not for decisions.
    [[nodiscard]] bool is_held() const {
        return serving_.load(std::memory_order_relaxed) != next_.load(std::memory_order_relaxed);
    }

  private:
    friend class LockGuard;
    friend class FirmLockGuard;
    friend class SharedLockGuard;
    friend class TryLockGuard;
    friend class PanicLockGuard;
    friend struct LockSteps;

    void lock() ACQUIRE() {
        const auto ticket = next_.fetch_add(1, std::memory_order_relaxed);
        // Pairs with the release in unlock().
        if (serving_.load(std::memory_order_acquire) != ticket) [[unlikely]] {
            wait_for(ticket);
        }
#ifdef NEURON_DEBUG
        note_lock_acquired(rank_);
#endif
    }
    // What nobody keeps a record of.
    [[nodiscard]] bool take_if_free() {
        // Pairs with the release in unlock() of the previous holder. Taking the ticket need not: it succeeds
        // only if nobody took one since.
        auto ticket = serving_.load(std::memory_order_acquire);
        return next_.compare_exchange_strong(ticket, ticket + 1, std::memory_order_relaxed);
    }
    [[gnu::always_inline]] void give_back() {
        arch::store_release(serving_, serving_.load(std::memory_order_relaxed) + 1);
    }
    [[gnu::always_inline]] bool try_lock() TRY_ACQUIRE(true) {
        if (!arch::take_ticket_in_turn(next_, serving_)) {
            return false;
        }
#ifdef NEURON_DEBUG
        note_lock_tried(rank_);
#endif
        return true;
    }
    void unlock() RELEASE() {
#ifdef NEURON_DEBUG
        note_lock_released(rank_);
#endif
        give_back();
    }
    // Not inlined: taking a free lock is a few instructions, and there are many places that do.
    [[gnu::noinline]] void wait_for(std::uint32_t ticket) const {
        do {
            arch::cpu_relax();
        } while (serving_.load(std::memory_order_acquire) != ticket);
    }

    std::atomic<std::uint32_t> next_{0};
    std::atomic<std::uint32_t> serving_{0};
    [[maybe_unused]] LockRank rank_;  // read in debug builds only
};

class SCOPED_CAPABILITY LockGuard {
  public:
    explicit LockGuard(SpinLock& lock) ACQUIRE(lock) NO_THREAD_SAFETY_ANALYSIS : lock_{lock} {
        if (!needs_no_locks()) {
            lock_.lock();
        }
    }
    ~LockGuard() RELEASE() NO_THREAD_SAFETY_ANALYSIS {
        if (!needs_no_locks()) {
            lock_.unlock();
        }
    }
    LockGuard(const LockGuard&) = delete;
    LockGuard& operator=(const LockGuard&) = delete;

  private:
    SpinLock& lock_;
};

// LockGuard of a lock that a PanicLockGuard asks for: it is taken where there is one hart, too.
class SCOPED_CAPABILITY FirmLockGuard {
  public:
    explicit FirmLockGuard(SpinLock& lock) ACQUIRE(lock) : lock_{lock} { lock_.lock(); }
    ~FirmLockGuard() RELEASE() { lock_.unlock(); }
    FirmLockGuard(const FirmLockGuard&) = delete;
    FirmLockGuard& operator=(const FirmLockGuard&) = delete;

  private:
    SpinLock& lock_;
};

// LockGuard of a lock that may be left alone where `is_alone`: there is no other hart. Debug builds take it
// even so, to see the order of locks.
class SCOPED_CAPABILITY SharedLockGuard {
  public:
    SharedLockGuard(SpinLock& lock, bool is_alone) ACQUIRE(lock) NO_THREAD_SAFETY_ANALYSIS
        : lock_{lock},
          is_taken_{kAlways || !is_alone} {
        if (is_taken_) {
            lock_.lock();
        }
    }
    ~SharedLockGuard() RELEASE() NO_THREAD_SAFETY_ANALYSIS {
        if (is_taken_) {
            lock_.unlock();
        }
    }
    SharedLockGuard(const SharedLockGuard&) = delete;
    SharedLockGuard& operator=(const SharedLockGuard&) = delete;

  private:
#ifdef NEURON_DEBUG
    static constexpr bool kAlways = true;
#else
    static constexpr bool kAlways = false;
#endif
    SpinLock& lock_;
    const bool is_taken_;
};

// Takes the lock if it is free. Test the guard before touching what the lock guards.
class TryLockGuard {
  public:
    explicit TryLockGuard(SpinLock& lock) NO_THREAD_SAFETY_ANALYSIS : lock_{lock}, held_{lock.try_lock()} {}
    ~TryLockGuard() NO_THREAD_SAFETY_ANALYSIS {
        if (held_) {
            lock_.unlock();
        }
    }
    TryLockGuard(const TryLockGuard&) = delete;
    TryLockGuard& operator=(const TryLockGuard&) = delete;
    explicit operator bool() const { return held_; }

  private:
    SpinLock& lock_;
    bool held_;
};

// The same for the report of a panic, which must come whatever the hart holds: ranks are neither checked nor
// recorded.
class PanicLockGuard {
  public:
    explicit PanicLockGuard(SpinLock& lock) : lock_{lock}, held_{lock.take_if_free()} {}
    ~PanicLockGuard() {
        if (held_) {
            lock_.give_back();
        }
    }
    PanicLockGuard(const PanicLockGuard&) = delete;
    PanicLockGuard& operator=(const PanicLockGuard&) = delete;
    explicit operator bool() const { return held_; }

  private:
    SpinLock& lock_;
    bool held_;
};

// The two halves of a TryLockGuard, for functions where every instruction counts: a guard that may be empty
// is kept in memory and looked at where it ends. One place takes, one gives back.
struct LockSteps {
    // Nothing is taken where needs_no_locks().
    [[nodiscard, gnu::always_inline]] static bool try_take(SpinLock& lock) NO_THREAD_SAFETY_ANALYSIS {
        return needs_no_locks() || lock.try_lock();
    }
    [[gnu::always_inline]] static void give_back(SpinLock& lock) NO_THREAD_SAFETY_ANALYSIS {
#ifdef NEURON_DEBUG
        note_lock_released(lock.rank_);
#endif
        if (!needs_no_locks()) {
            lock.give_back();
        }
    }
};

}  // namespace kernel
