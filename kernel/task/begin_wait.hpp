// SPDX-License-Identifier: MIT
// begin_wait() in line: where the options are constants, most of it is not there.
#pragma once

#include "lib/check.hpp"
#include "task/dispatcher.hpp"
#include "task/hart.hpp"
#include "task/task.hpp"
#include "task/wait.hpp"

namespace kernel::task {

using RerunHook = void (*)(Task&);
// set_rerun_hook().
extern constinit RerunHook rerun_hook;

// Whether others may wait on the queue already.
enum class Company : std::uint8_t { Any, None };

// As begin_wait().
inline void begin_wait_in_line(Task& task, WaitQueue* queue, const WaitOptions& options,
                               Company company = Company::Any) {
    Wait& wait = task.wait;
    DCHECK(wait.token.load(std::memory_order_relaxed) == Wait::None);
    wait.queue = queue;
    wait.key = options.key;
    wait.key_high = options.key_high;
    wait.bitset = options.bitset;
    wait.on_timeout = options.on_timeout;
    wait.has_deadline = !options.deadline.is_never();
    task.due = Instant{};  // of a wait before, in the same call
    wait.deadline = options.deadline;
    wait.on_signal =
        options.run_again && options.on_signal == OnSignal::Stays ? OnSignal::Restarts : options.on_signal;
    wait.on_interrupted = options.on_interrupted;
    task.resume = options.run_again ? rerun_hook : options.resume;
    task.run_state.store(RunState::Blocking, std::memory_order_relaxed);
    // Armed last: until then nobody can end the wait, so a claimant always finds it complete, and finds it on
    // the queue once it has the queue's lock. The deadline cannot fire before this hart leaves the kernel.
    if (wait.has_deadline) {
        arm_timer(wait.timer, options.deadline);
    }
    if (queue != nullptr && company == Company::None) {
        queue->push_first(wait);
    } else if (queue != nullptr) {
        queue->push(wait);
    }
    // seq_cst: a killer sets must_exit and then tries to claim; the dispatcher looks at must_exit after this.
    // One of the two sees the other. So it is with signals and exit_work.
    wait.token.store(wait.armed_token());
    request_reschedule();
}

// The same with .key, .key_high and OnSignal::Restarts, on a machine of one hart, where nobody waits on the
// queue: nobody looks before it is done.
[[gnu::always_inline]] inline void begin_wait_at_once(Hart& hart, Task& task, WaitQueue& queue,
                                                      std::uint64_t key, std::uint64_t key_high) {
    Wait& wait = task.wait;
    DCHECK(wait.token.load(std::memory_order_relaxed) == Wait::None);
    wait.queue = &queue;
    wait.key = key;
    wait.key_high = key_high;
    wait.bitset = ~std::uint32_t{0};
    wait.has_deadline = false;
    wait.on_signal = OnSignal::Restarts;
    wait.on_interrupted = nullptr;
    task.resume = nullptr;
    queue.push_first(wait);
    arch::store_relaxed(wait.token, std::uint32_t{Wait::Open});
    arch::store_relaxed(task.run_state, RunState::Blocking);
    hart.recheck = true;
}

}  // namespace kernel::task
