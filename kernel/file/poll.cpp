// SPDX-License-Identifier: MIT
#include "file/poll.hpp"

#include <atomic>

#include "lib/thread_safety.hpp"
#include "sync/spinlock.hpp"

namespace kernel::file {

namespace {

constexpr std::uint32_t kWokenPerChange = 16;
constexpr std::uint64_t kNameless = 0;

struct Pollers {
    task::WaitQueue queue;
    // How often something that was watched has changed. Advanced before the queue's lock is taken, compared
    // under it. Sequentially consistent.
    std::atomic<std::uint64_t> generation{0};
    // The youngest wait at the time of the last change. Guarded by queue.lock().
    std::uint64_t last_changed{0};
};
constinit Pollers pollers;

void wake_some(std::uint64_t name, std::uint64_t until) {
    std::uint64_t after = 0;
    for (std::uint32_t woken = 0; woken < kWokenPerChange;) {
        task::Wait* const wait = pollers.queue.first_of(name, 0, after);
        if (wait == nullptr || wait->sequence > until) {
            break;
        }
        after = wait->sequence;
        if (task::claim_wait(*wait)) {
            pollers.queue.remove(*wait);
            task::finish_wait(*wait, 0);
            ++woken;
        }
    }
}

std::uint64_t number_of(const void* name) {
    return reinterpret_cast<std::uint64_t>(name);
}

}  // namespace

PollWatch::PollWatch() : generation_{pollers.generation.load()} {}

PollWatch::PollWatch(const task::Task& task)
    : generation_{task.wait.key},
      moment_{task.wait.deadline},
      place_{task.wait.key_high, task.wait.sequence, static_cast<std::uint64_t>(task.wait.on_timeout)},
      is_several_{true},
      is_resumed_{true} {}

void PollWatch::keep(task::Task& task) const {
    task.wait.key = generation_;
    task.wait.deadline = moment_;
    task.wait.key_high = place_[0];
    task.wait.sequence = place_[1];
    task.wait.on_timeout = static_cast<std::int64_t>(place_[2]);
}

void PollWatch::add(const void* name, std::uint64_t changes) {
    changes_ += changes;
    is_several_ = is_several_ || (name_ != kNameless && name_ != number_of(name));
    name_ = number_of(name);
}

bool PollWatch::begin_wait(task::Task& task, const task::WaitOptions& options) const {
    const LockGuard guard{pollers.queue.lock()};
    if (pollers.generation.load() != generation_) {
        return false;
    }
    task::WaitOptions wait = options;
    wait.deadline = std::min(wait.deadline, moment_);
    wait.key = is_several_ ? kNameless : name_;
    task::begin_wait(task, &pollers.queue, wait);
    return true;
}

void poll_changed(const void* name) {
    pollers.generation.fetch_add(1);
    const LockGuard guard{pollers.queue.lock()};
    if (pollers.queue.empty()) {
        return;
    }
    pollers.last_changed = pollers.queue.last_sequence();
    wake_some(number_of(name), pollers.last_changed);
    wake_some(kNameless, pollers.last_changed);
}

void pass_poll_on(task::Task& task) {
    const LockGuard guard{pollers.queue.lock()};
    wake_some(task.wait.key, pollers.last_changed);
}

}  // namespace kernel::file
