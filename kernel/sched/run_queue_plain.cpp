// SPDX-License-Identifier: MIT
// RunQueue, fifth part: the two most frequent steps, a wake-up and a switch, in the usual case.
//
// Each comes to exactly what the general functions come to (PlainSteps.* in tests/sched does every case both
// ways and beside the reference); where something unusual is about it answers false and the general ones are
// called. The usual case is: one class has work here, no fault is planted, nobody is throttled, paces are
// weights, and those concerned have no budget, group, loan or boost. What is left out, and why that is sound:
//   the root           The mean of one class is that class: it is eligible and picked, and no request of a
//                      class ends to the benefit of another one.
//   grants, boosts     There are none.
//   weights and paces  They follow groups and rate tables at the end of a request. There are none.
//   under way          A sleeper that wakes where it slept takes U and lag of that place with it, to be put
//                      in place there at the same instant. What both cancel out is not worked out.
//   into the tree      A task that yields is the last one by deadline: it competes after all others without
//   and out again      having been put among them.
#include <algorithm>

#include "lib/check.hpp"
#include "sched/run_queue.hpp"

namespace kernel::sched {

// --- Among the tasks of the class ---

void ClassQueue::remove_running_plainly(Entity& entity) {
    Entity::Position& position = entity.position_;
    const std::uint32_t weight = position.weight;
    const VirtualSpan lag = base_ - position.vt;
    const VirtualSpan served = position.vt - position.paced_at;
    position.lag = lag;
    position.global = position.paced_from + served + offset_;
    position.has_global = true;
    running_ = nullptr;
    sum_weight_ -= weight;
    pace_sum_ -= weight;
    add_to_mean(lag, weight);
    progress_sum_ -= Int128{position.paced_from + served - progress_base_} * weight;
    masks_.leave(position.mask_place, weight);
}

void ClassQueue::yield_plainly(Duration request) {
    Entity::Position& position = running_->position_;
    position.fresh = false;
    position.request_end = position.vt + span_of(request, position.weight);
    position.deadline = later(position.request_end, waiting_.last()->position_.deadline);
}

void ClassQueue::pass_on(Entity& next) {
    Entity& entity = *running_;
    waiting_.erase(next);
    waiting_.insert_last(entity);
    running_ = &next;
}

void ClassQueue::place_plainly(Entity& entity, Duration request, Duration credit) const {
    Entity::Position& position = entity.position_;
    const std::uint32_t weight = position.weight;
    position.pace = weight;
    position.pace_generation = 0;
    position.is_whole = false;
    const VirtualTime now = base_;
    const VirtualTime left_at = position.vt;
    const VirtualTime progress = progress_now();
    if (is_before(now, left_at)) {
        const VirtualSpan in_service = span_of(kLagMax, std::min(weight, lightest()));
        const VirtualSpan in_real_time = span_of(request, weight) + span_of(kLagMax, sum_weight_ + weight);
        position.vt = earlier(left_at, now + std::min(in_service, in_real_time));
    } else {
        position.vt = later(left_at, now - span_of(credit, weight));
    }
    position.paced_at = position.vt;
    // Debt that does not fit here stays on its account next to the other harts, within reason.
    position.paced_from = progress - (now - position.vt);
    if (const VirtualSpan excess = left_at - position.vt; excess > 0) {
        position.paced_from = position.paced_from + std::min(excess, span_of(kAccountMax, weight));
    }
}

// --- On the hart ---

bool RunQueue::is_ordinary(const Entity& entity) {
    return entity.budget_ == nullptr && entity.group_ == nullptr && !entity.is_donated_ &&
           entity.attributes.qos_class != QosClass::PerfBurst;
}

// Pre: index is that of the current entity's class.
bool RunQueue::is_usual(const Entity& current, std::size_t index) const {
    return is_ordinary(current) && is_only_class(index) && throttled_.empty() &&
           rates_[index].generation == 0 && !has_faults_;
}

// account(), in the usual case.
inline void RunQueue::account_plainly(Instant now, std::size_t index) {
    const Duration elapsed = now - clock_;
    if (elapsed.ns() <= 0) {
        return;
    }
    if (elapsed > kChargeChunk) [[unlikely]] {
        account_elapsed(now);
        return;
    }
    Entity& entity = *current_;
    clock_ = now;
    busy_ += elapsed;
    entity.statistics_.runtime += elapsed;
    entity.since_ = now;
    if (entity.runtime_by_cpu_ != nullptr) {
        entity.runtime_by_cpu_[cpu_.value()] += elapsed;
    }
    RootMember& member = classes_[index];
    const bool has_ended = member.queue.charge(elapsed, capacity_);
    const ClassRow& row = kClassTable[index];
    member.vt = member.vt + advance(elapsed, capacity_, row.weight, member.carry);
    if (!is_before(member.vt, member.request_end)) [[unlikely]] {
        member.request_end = member.deadline = member.vt + span_of(row.class_request, row.weight);
    }
    root_last_ = root_cache_ = member.vt;
    root_known_ = true;
    if (root_last_ - oldest_empty_ > kFarBehind) [[unlikely]] {
        tidy_empty_classes();
    }
    if (has_ended) [[unlikely]] {
        member.queue.begin_next_request(request_of(entity));
        if (member.queue.count() > 1) {
            request_ended_ = true;
            want_resched(now);
        }
    }
}

// next_event(), in the usual case. Pre: there is a current entity.
inline Instant RunQueue::event_of_usual() const {
    if (runnable_ == 1) {
        return Instant::never();
    }
    const Entity::Position& position = current_->position_;
    const Duration rest =
        time_to_advance(position.request_end - position.vt, capacity_, position.weight, position.carry);
    return min(resched_at_, clock_.plus_saturating(rest));
}

bool RunQueue::wake_plainly(Entity& entity, Instant now, Instant& event) {
    if (current_ == nullptr) {
        return false;
    }
    Entity::Position& position = entity.position_;
    const QosClass qos_class = current_->effective_;
    const std::size_t index = index_of(qos_class);
    const bool is_as_before = entity.state_ == TaskState::Blocked && position.has_global &&
                              entity.cpu_ == cpu_ && position.frame == qos_class &&
                              entity.attributes.qos_class == qos_class &&
                              position.weight == entity.attributes.shares * kWeightPerShare;
    const Duration slept = std::max(Duration{}, now - entity.since_);
    if (!is_as_before || !is_ordinary(entity) || !is_usual(*current_, index) || slept > kSleepHorizon) {
        return false;
    }
    account_plainly(now, index);
    entity.statistics_.sleep += slept;
    entity.since_ = entity.woken_at_ = now;
    entity.wake_pending_ = true;
    entity.is_boosted_ = false;
    entity.effective_ = qos_class;
    entity.state_ = TaskState::Queued;
    position.epoch = epoch_;
    position.is_local = false;
    position.fresh = true;
    if (runnable_ == 1) {
        resched_at_ = Instant::never();  // left over from a competitor that is gone
        request_ended_ = false;
    }
    ClassQueue& queue = classes_[index].queue;
    queue.place_plainly(entity, request_of(entity), kClassTable[index].task_request);
    begin_request(entity, queue);
    queue.add_waiting(entity);
    ++runnable_;
    static_cast<void>(judge(entity, now));
    event = event_of_usual();
    return true;
}

bool RunQueue::switch_plainly(Instant now, PutReason reason, Step& step) {
    Entity& entity = *current_;
    const std::size_t index = index_of(entity.effective_);
    ClassQueue& queue = classes_[index].queue;
    if (!is_usual(entity, index) || queue.waiting().empty()) {
        return false;
    }
    account_plainly(now, index);
    entity.since_ = now;
    ++entity.statistics_.switches_voluntary;
    const bool blocks = reason == PutReason::Block;
    if (blocks) {
        queue.remove_running_plainly(entity);
        entity.position_.frame = entity.effective_;
        entity.position_.epoch = epoch_;
        entity.state_ = TaskState::Blocked;
        --runnable_;
    } else {
        queue.yield_plainly(request_of(entity));
        entity.state_ = TaskState::Queued;
    }
    Entity* next = queue.first_eligible();
    if (next != nullptr && next->budget_ != nullptr) [[unlikely]] {
        if (!blocks) {
            queue.stop(entity);
        }
        current_ = nullptr;
        step.pick = pick_next(now);
        step.event = next_event(now);
        return true;
    }
    if (blocks) {
        CHECK(next != nullptr);  // the least vt is never above the mean
        queue.start(*next);
    } else if (next != nullptr) {
        queue.pass_on(*next);
    } else {
        next = &entity;  // all others have had more than their share
    }
    current_ = next;
    const auto now_picked = static_cast<std::uint8_t>(index);
    const bool is_lower = picked_class_ == HartLoad::kIdle || now_picked < picked_class_;
    step.pick = {.entity = next, .switched = next != last_run_, .balance = request_ended_ || is_lower};
    picked_class_ = now_picked;
    resched_at_ = Instant::never();
    request_ended_ = false;
    run(*next, now);
    switches_ += next != last_run_ ? 1 : 0;
    last_run_ = next;
    step.event = event_of_usual();
    return true;
}

}  // namespace kernel::sched
