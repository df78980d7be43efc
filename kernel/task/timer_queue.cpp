// SPDX-License-Identifier: MIT
#include "task/timer_queue.hpp"

#include <initializer_list>

#include "lib/check.hpp"

namespace kernel::task {

bool TimerQueue::Order::update(Timer& item, const Timer* left, const Timer* right) {
    Instant least = item.latest;
    for (const Timer* child : {left, right}) {
        if (child != nullptr) {
            least = min(least, child->least_latest);
        }
    }
    const bool is_same = item.least_latest == least;
    item.least_latest = least;
    return !is_same;
}

void TimerQueue::add(Timer& timer, Instant deadline, Duration slack) {
    DCHECK(!timer.queued);
    timer.deadline = deadline;
    timer.latest = deadline.plus_saturating(slack);
    timer.queued = true;
    timers_.insert(timer);
    note_first();
}

void TimerQueue::remove(Timer& timer) {
    DCHECK(timer.queued);
    timers_.erase(timer);
    note_first();
    timer.queued = false;
}

void TimerQueue::note_first() {
    const Timer* first = timers_.first();
    const Instant deadline = first == nullptr ? Instant::never() : first->deadline;
    next_deadline_ns_.store(deadline.ns(), std::memory_order_relaxed);
}

Instant TimerQueue::next_interrupt_of_some() const {
    const Timer* item = timers_.root();
    const Instant limit = item->least_latest;
    Instant found = Instant::never();
    while (item != nullptr) {
        if (item->deadline <= limit) {
            found = item->deadline;
            item = Tree::right(*item);
        } else {
            item = Tree::left(*item);
        }
    }
    return found;  // there is one: the timer whose `latest` is the limit
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
