// SPDX-License-Identifier: MIT
#include "task/timer_queue.hpp"

#include "lib/check.hpp"

namespace kernel::task {

void TimerQueue::add(Timer& timer, Instant deadline) {
    DCHECK(!timer.queued);
    timer.deadline = deadline;
    timer.queued = true;
    timers_.insert(timer);
}

void TimerQueue::remove(Timer& timer) {
    DCHECK(timer.queued);
    timers_.erase(timer);
    timer.queued = false;
}

Instant TimerQueue::next_deadline() {
    const Timer* first = timers_.first();
    return first == nullptr ? Instant::never() : first->deadline;
}

Timer* TimerQueue::pop_expired(Instant now) {
    Timer* first = timers_.first();
    if (first == nullptr || first->deadline > now) {
        return nullptr;
    }
    remove(*first);
    return first;
}

}  // namespace kernel::task
