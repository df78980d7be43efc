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

inline void ClassQueue::remove_running_plainly(Entity& entity) {
    Entity::Position& position = entity.position_;
    const std::uint32_t weight = position.weight;
    const VirtualSpan lag = base_ - position.vt;
    const VirtualTime progress = position.paced_from + (position.vt - position.paced_at);
    position.lag = lag;
    position.global = progress + offset_;
    position.has_global = true;
    running_ = nullptr;
    sum_weight_ -= weight;
    pace_sum_ -= weight;
    add_to_mean(lag, weight);
    progress_sum_ -= Int128{progress - progress_base_} * weight;
    masks_.leave(position.mask_place, weight);
}

inline void ClassQueue::yield_plainly(Duration request) {
    Entity::Position& position = running_->position_;
    position.fresh = false;
    position.request_end = position.vt + span_of(request, position.weight);
    position.deadline = later(position.request_end, waiting_.last()->position_.deadline);
}

inline void ClassQueue::pass_on(Entity& next) {
    Entity& entity = *running_;
    if (waiting_.size() == 1) {
        waiting_.replace_only(entity);
    } else {
        waiting_.insert_last(entity);
        waiting_.erase(next);
    }
    running_ = &next;
}

inline VirtualTime ClassQueue::progress_plainly() const {
    const auto narrow = static_cast<std::int64_t>(progress_sum_);
    if (narrow != progress_sum_) [[unlikely]] {
        return progress_now();
    }
    const auto by = std::int64_t{sum_weight_};
    const std::int64_t quotient = narrow / by;
    return progress_base_ + (quotient - (quotient * by > narrow ? 1 : 0));
}

inline void ClassQueue::place_plainly(Entity& entity, Duration request, Duration credit) const {
    Entity::Position& position = entity.position_;
    const std::uint32_t weight = position.weight;
    position.pace = weight;
    position.pace_generation = 0;
    position.is_whole = false;
    const VirtualTime now = base_;
    const VirtualTime left_at = position.vt;
    VirtualTime vt = left_at;
    if (is_before(now, left_at)) {
        const VirtualSpan in_service = span_of(kLagMax, std::min(weight, lightest()));
        const VirtualSpan in_real_time = span_of(request, weight) + span_of(kLagMax, sum_weight_ + weight);
        vt = earlier(left_at, now + std::min(in_service, in_real_time));
    } else {
        vt = later(left_at, now - span_of(credit, weight));
    }
    position.vt = position.paced_at = vt;
    // Debt that does not fit here stays on its account next to the other harts, within reason.
    const VirtualSpan excess = std::max(VirtualSpan{0}, left_at - vt);
    const VirtualSpan kept_debt = excess == 0 ? 0 : std::min(excess, span_of(kAccountMax, weight));
    position.paced_from = progress_plainly() - (now - vt) + kept_debt;
}

inline void ClassQueue::add_waiting_plainly(Entity& entity) {
    Entity::Position& position = entity.position_;
    const std::uint32_t weight = position.weight;
    sum_weight_ += weight;
    pace_sum_ += weight;
    add_to_mean(position.vt - base_, weight);
    add_progress(Int128{position.paced_from - progress_base_} * weight);
    position.mask_place = masks_.join(entity.attributes.affinity_effective, weight);
    waiting_.insert(entity);
}

// --- On the hart ---

inline bool RunQueue::is_ordinary(const Entity& entity) {
    return entity.budget_ == nullptr && entity.group_ == nullptr && !entity.is_donated_ &&
           entity.attributes.qos_class != QosClass::PerfBurst;
}

// The same of one that runs, whose pace must be its weight as well.
inline bool RunQueue::runs_ordinarily(const Entity& current) {
    return is_ordinary(current) && current.position_.pace == current.position_.weight;
}

// account(), in the usual case. False, and nothing done, where more than the accounts is to change: a request
// ends, the task's or the class's, or the clocks are to be tidied up. What the class and the hart have used
// is left to settle(): until usual_until_ it comes to nothing but a sum.
[[gnu::always_inline]] inline bool RunQueue::account_plainly(Instant now, RootMember& member) {
    const Duration elapsed = now - clock_;
    if (elapsed.ns() <= 0) {
        return true;
    }
    Entity& entity = *current_;
    Entity::Position& position = entity.position_;
    ClassQueue& queue = member.queue;
    std::uint64_t carry = position.carry;
    const VirtualSpan moved = advance(elapsed, capacity_, position.weight, carry);
    const VirtualTime vt = position.vt + moved;
    const auto weighted = static_cast<std::uint64_t>(moved) * position.weight;
    const Int128 progress = queue.progress_sum_ + weighted;
    if (!is_before(vt, position.request_end) || progress != static_cast<std::int64_t>(progress))
        [[unlikely]] {
        return false;
    }
    clock_ = now;
    entity.statistics_.runtime += elapsed;
    entity.since_ = now;
    if (entity.runtime_by_cpu_ != nullptr) {
        entity.runtime_by_cpu_[cpu_.value()] += elapsed;
    }
    position.vt = vt;
    position.carry = carry;
    const std::uint64_t sum = static_cast<std::uint64_t>(queue.weighted_sum_) + weighted;
    queue.base_ = queue.base_ + static_cast<VirtualSpan>(sum / queue.sum_weight_);
    queue.weighted_sum_ = static_cast<std::int64_t>(sum % queue.sum_weight_);
    queue.progress_sum_ = progress;
    return true;
}

// Looks whether this hart is in the usual case, and finds how long nothing but sums change for it and the
// only class that has work. account() has this forgotten, with which everything that could change it begins.
// Whether it lasts beyond `now`. Pre: there is a current entity.
bool RunQueue::foresee(Instant now) {
    const std::size_t index = index_of(current_->effective_);
    RootMember& member = classes_[index];
    const ClassQueue& queue = member.queue;
    // When rates have come to an end, a member has its old pace until its request is used up.
    const bool are_paces_weights =
        !member.has_rates && queue.pace_sum_ == queue.sum_weight_ && queue.wholes_ == 0;
    if (!is_only_class(index) || !are_paces_weights || has_faults_ || !throttled_.empty()) {
        return false;
    }
    settle();
    const std::uint32_t weight = kClassTable[index].weight;
    const Duration to_end = time_to_advance(member.request_end - member.vt, capacity_, weight, member.carry);
    const Duration to_tidying =
        time_to_advance(oldest_empty_ + kFarBehind - member.vt, capacity_, weight, member.carry);
    usual_class_ = &member;
    usual_until_ = clock_ + std::min({to_end, to_tidying, kChargeChunk});
    return now < usual_until_;
}

// next_event(), in the usual case. Pre: there is a current entity.
inline Instant RunQueue::event_of_usual() const {
    if (runnable_ == 1) {
        return Instant::never();
    }
    // time_to_advance() of something that is not used up (S8) and fits: at most kRequestMax of service.
    static_assert(kRequestMax.ns() < std::int64_t{1} << 25U);
    const Entity::Position& position = current_->position_;
    const auto per_ns = static_cast<std::int64_t>(capacity_) << (kVirtualShift - 10);
    const std::int64_t units = (position.request_end - position.vt) * std::int64_t{position.weight} -
                               static_cast<std::int64_t>(position.carry);
    return min(resched_at_, clock_ + Duration::nanoseconds((units + per_ns - 1) / per_ns));
}

bool RunQueue::wake_plainly(Entity& entity, Instant now, Instant& event) {
    if (current_ == nullptr) {
        return false;
    }
    Entity& current = *current_;
    Entity::Position& position = entity.position_;
    if (now >= usual_until_ && !foresee(now)) [[unlikely]] {
        return false;
    }
    const QosClass qos_class = current.effective_;
    const std::size_t index = index_of(qos_class);
    RootMember& member = *usual_class_;
    ClassQueue& queue = member.queue;
    const bool is_as_before = entity.state_ == TaskState::Blocked && position.has_global &&
                              entity.cpu_ == cpu_ && position.frame == qos_class &&
                              entity.attributes.qos_class == qos_class &&
                              position.weight == entity.attributes.shares * kWeightPerShare;
    const Duration slept = std::max(Duration{}, now - entity.since_);
    if (!is_as_before || !is_ordinary(entity) || !runs_ordinarily(current) || slept > kSleepHorizon ||
        !account_plainly(now, member)) {
        return false;
    }
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
    const Duration request = request_of(entity);
    queue.place_plainly(entity, request, kClassTable[index].task_request);
    const bool is_urgent = !entity.attributes.latency.is_zero();
    if (is_urgent) {
        begin_request(entity, queue);
    } else {
        position.request_end = position.deadline = position.vt + span_of(request, position.weight);
    }
    queue.add_waiting_plainly(entity);
    ++runnable_;
    // judge() of two of one class.
    if (queue.is_eligible(entity) && is_before(position.deadline, current.position_.deadline)) {
        want_resched(is_urgent ? now : std::max(now, picked_at_ + kMinGranularity));
    }
    event = event_of_usual();
    return true;
}

bool RunQueue::switch_plainly(Instant now, PutReason reason, Step& step) {
    if (now >= usual_until_ && !foresee(now)) [[unlikely]] {
        return false;
    }
    Entity& entity = *current_;
    RootMember& member = *usual_class_;
    ClassQueue& queue = member.queue;
    if (!runs_ordinarily(entity) || queue.waiting().empty() || !account_plainly(now, member)) {
        return false;
    }
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
        settle();
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
    const auto now_picked = static_cast<std::uint8_t>(next->effective_);
    const bool is_lower = picked_class_ == HartLoad::kIdle || now_picked < picked_class_;
    step.pick = {.entity = next, .switched = next != last_run_, .balance = request_ended_ || is_lower};
    picked_class_ = now_picked;
    resched_at_ = Instant::never();
    request_ended_ = false;
    begin_turn(*next, now);
    switches_ += next != last_run_ ? 1 : 0;
    last_run_ = next;
    step.event = event_of_usual();
    return true;
}

}  // namespace kernel::sched
