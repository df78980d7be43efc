// SPDX-License-Identifier: MIT
#include "task/wait.hpp"

#include <tuple>

#include "lib/check.hpp"
#include "task/begin_wait.hpp"
#include "task/dispatcher.hpp"
#include "task/finish_wait_alone.hpp"
#include "task/task.hpp"

namespace kernel::task {

namespace {

constexpr auto kInterrupted = -static_cast<std::int64_t>(Error::Interrupted);

}  // namespace

constinit RerunHook rerun_hook = nullptr;

void set_rerun_hook(void (*hook)(Task&)) {
    rerun_hook = hook;
}

bool is_to_rerun(const Task& task) {
    return rerun_hook != nullptr && task.resume == rerun_hook;
}

bool WaitQueue::Order::before(const Wait& a, const Wait& b) {
    return std::tie(a.key, a.key_high, a.sequence) < std::tie(b.key, b.key_high, b.sequence);
}

void WaitQueue::push(Wait& wait) {
    wait.sequence = ++last_sequence_;
    waits_.insert(wait);
}

Wait* WaitQueue::first_of(std::uint64_t key, std::uint64_t key_high, std::uint64_t after) {
    const auto wanted = std::tie(key, key_high, after);
    Wait* found = nullptr;
    for (Wait* at = waits_.root(); at != nullptr;) {
        const bool is_after = wanted < std::tie(at->key, at->key_high, at->sequence);
        found = is_after ? at : found;
        at = is_after ? waits_.left(*at) : waits_.right(*at);
    }
    return found != nullptr && found->key == key && found->key_high == key_high ? found : nullptr;
}

void WaitQueue::wake_one(std::uint64_t key, std::int64_t result) {
    const LockGuard guard{lock_};
    wake_one_locked(key, result);
}

void WaitQueue::wake_one_locked(std::uint64_t key, std::int64_t result, std::uint64_t key_high) {
    // Those that are claimed already are no more than the harts are ending waits just now.
    for (Wait* wait = first_of(key, key_high); wait != nullptr;
         wait = first_of(key, key_high, wait->sequence)) {
        if (claim_wait(*wait)) {
            waits_.erase(*wait);
            finish_wait(*wait, result);
            return;
        }
    }
}

std::uint32_t WaitQueue::wake(std::uint32_t count, std::int64_t result) {
    const LockGuard guard{lock_};
    std::uint32_t woken = 0;
    for (Wait* wait = waits_.first(); wait != nullptr && woken < count;) {
        Wait* const following = waits_.next(*wait);
        if (claim_wait(*wait)) {
            waits_.erase(*wait);
            finish_wait(*wait, result);
            ++woken;
        }
        wait = following;
    }
    return woken;
}

void WaitQueue::give_up(Wait& wait) {
    const LockGuard guard{lock_};
    waits_.erase(wait);
    if (given_up_ != nullptr) {
        given_up_(wait);
    }
}

void WaitQueue::end_all(std::int64_t result) {
    while (true) {
        wake(~std::uint32_t{0}, result);
        const LockGuard guard{lock_};
        if (waits_.empty()) {
            return;
        }
    }
}

void begin_wait(Task& task, WaitQueue* queue, const WaitOptions& options) {
    begin_wait_in_line(task, queue, options);
}

bool claim_wait(Wait& wait) {
    std::uint32_t expected = wait.token.load();
    if (expected != Wait::Armed && expected != Wait::Open) {
        return false;
    }
    return wait.token.compare_exchange_strong(expected, Wait::Claimed);
}

bool claim_open_wait(Wait& wait) {
    std::uint32_t open = Wait::Open;
    return wait.token.compare_exchange_strong(open, Wait::Claimed);
}

void finish_wait(Wait& wait, std::int64_t result) {
    if (finish_wait_alone(wait, result)) {
        return;
    }
    Task& task = *wait.task;
    if (wait.has_deadline) {
        cancel_timer(wait.timer);
    }
    if (task.resume == nullptr) {
        task.frame.set_result(result);
    }
    wait.queue = nullptr;
    wait.token.store(Wait::None, std::memory_order_relaxed);
    wake(task);
}

void go_on_with_call(Wait& wait) {
    wait.task->call_progress = kGoesOn;
    wait.task->resume = rerun_hook;
    finish_wait(wait, 0);
}

void interrupt_wait(Task& task) {
    if (!claim_wait(task.wait)) {
        return;
    }
    if (WaitQueue* queue = task.wait.queue; queue != nullptr) {
        queue->give_up(task.wait);
    }
    task.resume = nullptr;
    finish_wait(task.wait, kInterrupted);
}

void interrupt_wait_by_signal(Task& task) {
    Wait& wait = task.wait;
    if (!claim_open_wait(wait)) {
        return;
    }
    if (wait.queue != nullptr) {
        wait.queue->give_up(wait);
    }
    finish_wait_by_signal(wait);
}

void finish_wait_by_signal(Wait& wait) {
    Task& task = *wait.task;
    task.interruption = wait.on_signal;
    task.on_interrupted = wait.on_interrupted;
    task.resume = nullptr;
    if (wait.on_signal == OnSignal::GivesUp) {
        task.call_progress = kGoesOn;
    }
    if (wait.has_deadline) {
        cancel_timer(task.wait.timer);
        // A call that keeps its deadline there itself may have waited for something earlier.
        if (wait.on_signal == OnSignal::Fails && task.call_progress == 0) {
            task.call_progress = static_cast<std::uint64_t>(wait.deadline.ns());
        }
    }
    wait.queue = nullptr;
    wait.token.store(Wait::None, std::memory_order_relaxed);
    wake(task);
}

void expire_wait(Wait& wait) {
    if (WaitQueue* queue = wait.queue; queue != nullptr) {
        queue->give_up(wait);
    }
    finish_wait(wait, wait.on_timeout);
}

}  // namespace kernel::task
