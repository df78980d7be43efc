// SPDX-License-Identifier: MIT
#include "task/wait.hpp"

#include "lib/check.hpp"
#include "task/dispatcher.hpp"
#include "task/task.hpp"

namespace kernel::task {

namespace {

using RerunHook = void (*)(Task&);
constinit RerunHook rerun_hook = nullptr;

constexpr auto kInterrupted = -static_cast<std::int64_t>(Error::Interrupted);

}  // namespace

void set_rerun_hook(void (*hook)(Task&)) {
    rerun_hook = hook;
}

void WaitQueue::push(Wait& wait) {
    waits_.push_back(wait);
}

void WaitQueue::remove(Wait& wait) {
    waits_.remove(wait);
}

std::uint32_t WaitQueue::wake(std::uint32_t count, std::int64_t result) {
    const LockGuard guard{lock_};
    std::uint32_t woken = 0;
    for (Wait* wait = waits_.front(); wait != nullptr && woken < count;) {
        Wait* const following = waits_.next(*wait);
        if (claim_wait(*wait)) {
            waits_.remove(*wait);
            finish_wait(*wait, result);
            ++woken;
        }
        wait = following;
    }
    return woken;
}

void begin_wait(Task& task, WaitQueue* queue, const WaitOptions& options) {
    Wait& wait = task.wait;
    DCHECK(wait.token.load(std::memory_order_relaxed) == Wait::None);
    wait.queue = queue;
    wait.key = options.key;
    wait.key_high = options.key_high;
    wait.bitset = options.bitset;
    wait.on_timeout = options.on_timeout;
    wait.has_deadline = !options.deadline.is_never();
    task.resume = options.run_again ? rerun_hook : options.resume;
    task.run_state.store(RunState::Blocking, std::memory_order_relaxed);
    // Armed last: until then nobody can end the wait, so a claimant always finds it complete, and finds it on
    // the queue once it has the queue's lock. The deadline cannot fire before this hart leaves the kernel.
    if (wait.has_deadline) {
        arm_timer(wait.timer, options.deadline);
    }
    if (queue != nullptr) {
        queue->push(wait);
    }
    // seq_cst: a killer sets must_exit and then tries to claim; the dispatcher looks at must_exit after this.
    // One of the two sees the other.
    wait.token.store(Wait::Armed);
    request_reschedule();
}

bool claim_wait(Wait& wait) {
    std::uint32_t expected = Wait::Armed;
    return wait.token.compare_exchange_strong(expected, Wait::Claimed);
}

void finish_wait(Wait& wait, std::int64_t result) {
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

void interrupt_wait(Task& task) {
    if (!claim_wait(task.wait)) {
        return;
    }
    if (WaitQueue* queue = task.wait.queue; queue != nullptr) {
        const LockGuard guard{queue->lock()};
        queue->remove(task.wait);
    }
    task.resume = nullptr;
    finish_wait(task.wait, kInterrupted);
}

void expire_wait(Wait& wait) {
    if (WaitQueue* queue = wait.queue; queue != nullptr) {
        const LockGuard guard{queue->lock()};
        queue->remove(wait);
    }
    finish_wait(wait, wait.on_timeout);
}

}  // namespace kernel::task
