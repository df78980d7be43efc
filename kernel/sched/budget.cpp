// SPDX-License-Identifier: MIT
#include "sched/budget.hpp"

#include <algorithm>

#include "lib/check.hpp"

namespace kernel::sched {

// Held for a few dozen instructions with interrupts off, so waiting for it is a matter of nanoseconds.
class Budget::Guard {
  public:
    explicit Guard(const Budget& budget) : lock_{budget.lock_} {
        while (lock_.exchange(1, std::memory_order_acquire) != 0) {
            while (lock_.load(std::memory_order_relaxed) != 0) {
            }
        }
    }
    ~Guard() { lock_.store(0, std::memory_order_release); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

  private:
    std::atomic<std::uint32_t>& lock_;
};

void Budget::configure(const BudgetParams& params, Instant now) {
    CHECK(params.is_capped() && params.runtime <= params.period);
    const Guard guard{*this};
    if (params_.is_capped()) {
        expire(now);
    }
    params_ = params;
}

BudgetParams Budget::params() const {
    const Guard guard{*this};
    return params_;
}

void Budget::attach(Instant now) {
    const Guard guard{*this};
    expire(now);
    if (++tasks_ == 2) {
        // From here on what comes back can be used faster than it was used: count from the end of each
        // stretch, which is at most its length after the start.
        for (std::uint32_t i = 0; i < count_; ++i) {
            entries_[i].base += entries_[i].amount;
        }
        std::sort(entries_.begin(), entries_.begin() + count_,
                  [](const Entry& a, const Entry& b) { return a.base < b.base; });
    }
}

void Budget::detach() {
    const Guard guard{*this};
    CHECK(tasks_ > 0);
    --tasks_;
}

Duration Budget::grant(Instant now) {
    const Guard guard{*this};
    return set_aside(now);
}

Duration Budget::renew(Instant now) {
    const Guard guard{*this};
    return line_.empty() ? set_aside(now) : Duration{};
}

Duration Budget::set_aside(Instant now) {
    expire(now);
    const Duration free = left_now();
    if (free < kQuantum) {
        return Duration{};
    }
    const Duration granted = tasks_ > 1 ? std::min(free, std::max(piece(), kQuantum)) : free;
    set_aside_ += granted;
    return granted;
}

void Budget::give_back(Duration granted) {
    const Guard guard{*this};
    DCHECK(granted <= set_aside_);
    set_aside_ -= granted;
}

void Budget::use(Instant from, Instant to, Duration granted, bool lent) {
    const Guard guard{*this};
    DCHECK(granted <= set_aside_);
    set_aside_ -= granted;
    if (to <= from) {
        return;
    }
    expire(to);
    const Duration amount = to - from;
    const bool counts_from_end = lent || tasks_ > 1;
    Entry* const last = count_ == 0 ? nullptr : &entries_[count_ - 1];
    const Duration most = counts_from_end ? piece() : params_.runtime;
    const bool goes_on = last != nullptr && last_end_ == from && last->amount + amount <= most;
    last_end_ = to;
    used_ += amount;
    if (goes_on) {
        last->amount += amount;
        if (counts_from_end) {
            last->base = to;
        }
        return;
    }
    add(counts_from_end ? to : from, amount);
}

void Budget::wait(BudgetWaiter& waiter) {
    const Guard guard{*this};
    if (waiter.has_turn) {
        line_.push_front(waiter);
    } else {
        line_.push_back(waiter);
    }
}

void Budget::stop_waiting(BudgetWaiter& waiter) {
    const Guard guard{*this};
    line_.remove(waiter);
}

bool Budget::may_start(const BudgetWaiter& waiter, Instant now) {
    const Guard guard{*this};
    expire(now);
    return (waiter.has_turn || line_.empty()) && left_now() >= kQuantum;
}

bool Budget::may_go_on(const BudgetWaiter& waiter, Instant now) {
    const Guard guard{*this};
    expire(now);
    return line_.front() == &waiter && left_now() >= kQuantum;
}

Instant Budget::ask_again_at(const BudgetWaiter& waiter, Instant now) {
    const Guard guard{*this};
    expire(now);
    const Instant available = available_at(now);
    if (line_.front() == &waiter) {
        return available;
    }
    return std::max(available, now + std::max(piece(), kQuantum));
}

// When there is a quantum again; `now` when there is one.
Instant Budget::available_at(Instant now) const {
    Duration free = left_now();
    if (free >= kQuantum) {
        return now;
    }
    for (std::uint32_t i = 0; i < count_; ++i) {
        free += entries_[i].amount;
        if (free >= kQuantum) {
            return entries_[i].base + params_.period;
        }
    }
    return now + std::max(piece(), kQuantum);  // other harts have it all: they use it or give it back
}

Duration Budget::left(Instant now) {
    const Guard guard{*this};
    expire(now);
    return left_now();
}

// What was used P ago or earlier comes back.
void Budget::expire(Instant now) {
    std::uint32_t gone = 0;
    while (gone < count_ && entries_[gone].base + params_.period <= now) {
        used_ -= entries_[gone].amount;
        ++gone;
    }
    if (gone != 0) {
        std::move(entries_.begin() + gone, entries_.begin() + count_, entries_.begin());
        count_ -= gone;
    }
}

// Keeps the entries in order of their base; harts that share may be a little out of step.
void Budget::add(Instant base, Duration amount) {
    if (count_ == kEntries) {
        merge_nearest();
    }
    std::uint32_t at = count_++;
    for (; at > 0 && base < entries_[at - 1].base; --at) {
        entries_[at] = entries_[at - 1];
    }
    entries_[at] = {.base = base, .amount = amount};
}

void Budget::merge_nearest() {
    std::uint32_t nearest = 0;
    for (std::uint32_t i = 1; i + 1 < count_; ++i) {
        if (entries_[i + 1].base - entries_[i].base < entries_[nearest + 1].base - entries_[nearest].base) {
            nearest = i;
        }
    }
    entries_[nearest + 1].amount += entries_[nearest].amount;
    std::move(entries_.begin() + nearest + 1, entries_.begin() + count_, entries_.begin() + nearest);
    --count_;
}

Duration Budget::left_now() const {
    return params_.runtime - used_ - set_aside_;
}

Duration Budget::piece() const {
    return params_.runtime / kEntries;
}

}  // namespace kernel::sched
