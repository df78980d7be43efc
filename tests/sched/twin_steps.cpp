// SPDX-License-Identifier: MIT
// Twin, second part: the steps that the library has short ways for (run_queue_plain.cpp).
#include "twin.hpp"
#include "twin_differ.hpp"

namespace sched_test {

using kernel::Duration;
using kernel::Instant;
using kernel::sched::EnqueueReason;
using kernel::sched::Entity;
using kernel::sched::PutReason;
using kernel::sched::RunQueue;

std::optional<std::string> Twin::wake_plainly(const Operation& operation, bool& was_taken) {
    const Instant now = Instant::from_ns(now_.ns() - operation.late);
    Instant event;
    was_taken = queues_[operation.hart]->wake_plainly(*slots_[operation.task].entity, now, event);
    if (!was_taken) {
        ++plain_.refused;
        return std::nullopt;
    }
    ++plain_.wakes;
    harts_[operation.hart]->enqueue(*slots_[operation.task].task, now, EnqueueReason::Wake);
    return differ("event after a wake-up", operation.hart, event.ns(),
                  harts_[operation.hart]->next_event(now).ns());
}

// What follows comes at once or somewhat later: the waiting of the one that runs, or whatever is next.
std::optional<std::string> Twin::wake_later(const Operation& operation, bool& was_taken) {
    if (operation.amount / 2 % 2 == 0) {
        return std::nullopt;
    }
    const Instant now = Instant::from_ns(now_.ns() - operation.late);
    Entity& entity = *slots_[operation.task].entity;
    Instant event;
    was_taken = queues_[operation.hart]->wake_later(entity, now, event);
    if (!was_taken) {
        return std::nullopt;
    }
    ++plain_.put_off;
    harts_[operation.hart]->enqueue(*slots_[operation.task].task, now, EnqueueReason::Wake);
    if (event > harts_[operation.hart]->next_event(now)) {
        return "an event after a wake-up that was put off comes too late";
    }
    put_off_ = &entity;
    return operation.amount / 4 % 2 == 0 ? std::nullopt : follow_at_once(operation, plain_.hand_overs);
}

// The one that runs waits or, now and then, ends.
std::optional<std::string> Twin::follow_at_once(const Operation& operation, std::uint64_t& counter) {
    // Mostly soon; a late one, or a time that goes backwards, now and then.
    now_ +=
        Duration::nanoseconds(operation.amount / 8 % 2 == 0 ? operation.amount % 30'000 : operation.amount);
    bool was_taken = false;
    std::optional<std::string> found;
    if (operation.amount / 32 % 4 == 0) {
        found = end_at_once(operation, was_taken);
    }
    if (!found && !was_taken) {
        found = switch_plainly(operation, PutReason::Block, was_taken);
        counter += was_taken ? 1 : 0;
    }
    catch_up();
    return found;
}

// A child like its parent is one that can be put off.
std::optional<std::string> Twin::start_later(const Operation& operation, bool& was_taken) {
    RunQueue& queue = *queues_[operation.hart];
    reference::Hart& hart = *harts_[operation.hart];
    if (operation.amount / 2 % 2 == 0) {
        return std::nullopt;
    }
    const Instant now = Instant::from_ns(now_.ns() - operation.late);
    Slot& slot = slots_[operation.task];
    if (operation.amount / 16 % 8 != 0) {
        slot.entity->attributes = slot.task->attributes = queue.current()->attributes;
    }
    Instant event;
    was_taken = queue.start_later(*slot.entity, now, event);
    if (!was_taken) {
        return std::nullopt;
    }
    ++plain_.births;
    slot.was_enqueued = true;
    hart.charge_current(now);
    hart.inherit_position(*slot.task, *hart.current());
    hart.enqueue(*slot.task, now, EnqueueReason::New);
    if (event > hart.next_event(now)) {
        return "an event after a birth that was put off comes too late";
    }
    put_off_ = slot.entity.get();
    return operation.amount / 4 % 2 == 0 ? std::nullopt : follow_at_once(operation, plain_.born);
}

// The end of the one that runs, where the one it woke follows.
std::optional<std::string> Twin::end_at_once(const Operation& operation, bool& was_taken) {
    RunQueue& queue = *queues_[operation.hart];
    const Instant now = Instant::from_ns(now_.ns() - operation.late);
    Entity* const next = queue.put_off();
    if (shape_.harts != 1 || next == nullptr || queue.current() == nullptr || !queue.is_usual(now)) {
        return std::nullopt;
    }
    Slot& slot = slots_[id_of(queue.current())];
    was_taken = queue.hand_over_at_end(*next, now) != RunQueue::Turn::Refused;
    if (!was_taken) {
        return std::nullopt;
    }
    ++plain_.ends;
    harts_[operation.hart]->put_current(now, PutReason::Exit);
    const auto reference = harts_[operation.hart]->pick_next(now);
    bury(slot);
    return differ("pick after an end", operation.hart, id_of(next),
                  reference.task == nullptr ? kNobody : reference.task->id);
}

void Twin::catch_up() {
    for (const auto& queue : queues_) {
        queue->catch_up();
    }
    put_off_ = nullptr;
}

// Half of the switches, where this is what they are for. Null: it is no such case.
Entity* Twin::switch_at_once(const Operation& operation, PutReason reason, Instant now, Instant& event) {
    RunQueue& queue = *queues_[operation.hart];
    if (operation.amount / 16 % 2 == 0 || !queue.is_usual(now)) {
        return nullptr;
    }
    Entity* next = nullptr;
    if (reason == PutReason::Yield) {
        Entity* const other = queue.only_waiting();
        next = other != nullptr ? queue.yield_at_once(*other, now, event) : queue.yield_among(now, event);
        (other != nullptr ? plain_.at_once : plain_.among) += next != nullptr ? 1 : 0;
        return next;
    }
    next = queue.put_off();
    if (next == nullptr || shape_.harts != 1 ||
        (queue.hand_over_at_once(*next, now) == RunQueue::Turn::Refused &&
         queue.hand_over_to_child(*next, now) == RunQueue::Turn::Refused)) {
        return nullptr;
    }
    event = Instant::never();
    ++plain_.at_once;
    return next;
}

std::optional<std::string> Twin::switch_plainly(const Operation& operation, PutReason reason,
                                                bool& was_taken) {
    const Instant now = Instant::from_ns(now_.ns() - operation.late);
    RunQueue::Step step;
    const Entity* const before = queues_[operation.hart]->current();
    step.pick.entity = switch_at_once(operation, reason, now, step.event);
    step.pick.switched = step.pick.entity != before;
    was_taken = step.pick.entity != nullptr || queues_[operation.hart]->switch_plainly(now, reason, step);
    if (!was_taken) {
        ++plain_.refused;
        return std::nullopt;
    }
    ++plain_.switches;
    harts_[operation.hart]->put_current(now, reason);
    const auto reference = harts_[operation.hart]->pick_next(now);
    if (auto found = differ("pick", operation.hart, id_of(step.pick.entity),
                            reference.task == nullptr ? kNobody : reference.task->id)) {
        return found;
    }
    if (auto found = differ("switched", operation.hart, step.pick.switched, reference.switched)) {
        return found;
    }
    return differ("event after a switch", operation.hart, step.event.ns(),
                  harts_[operation.hart]->next_event(now).ns());
}

}  // namespace sched_test
