// SPDX-License-Identifier: MIT
// RunQueue, second part: entities whose attributes change, and entities that are on no queue.
#include <algorithm>
#include <utility>

#include "lib/check.hpp"
#include "sched/run_queue.hpp"

namespace kernel::sched {

namespace {

// A saved U may be days from the frame's present (an empty queue takes over another one's), and a lighter
// weight stretches the distance a thousand times. More than this would wrap, and place() honours far less.
constexpr VirtualSpan kLongestSavedLag = VirtualSpan{1} << 52U;

}  // namespace

bool RunQueue::set_attributes(Entity& entity, const Attributes& attributes, Instant now) {
    account(now);
    CHECK(!is_here(entity) || entity.cpu_ == cpu_);
    count_boost(entity, now);
    if (!entity.is_on_queue()) {
        entity.attributes = attributes;
        consider_boost(entity);
        const QosClass to = class_of(entity);
        rescale_saved(entity, to, weight_of(entity), now);
        entity.effective_ = to;
        return entity.state_ == TaskState::Throttled && !allows(entity);
    }
    entity.attributes = attributes;
    consider_boost(entity);
    if (class_of(entity) != entity.effective_) {
        follow_class(entity, now);
        return !allows(entity);
    }
    count_out_of_group(entity);
    count_into_group(entity);
    follow_weight(entity);
    const std::size_t index = index_of(entity.effective_);
    classes_[index].queue.follow_mask(entity);
    classes_[index].queue.follow_pace(entity, rates_[index]);
    return !allows(entity);
}

// The saved place of an entity on no queue, re-expressed for another class and weight.
void RunQueue::rescale_saved(Entity& entity, QosClass to, std::uint32_t weight, Instant now) {
    Entity::Position& position = entity.position_;
    if (now - entity.since_ > kSleepHorizon) {
        position.has_global = false;  // too far apart to be compared, let alone rescaled
    }
    if (!position.has_global) {
        return;
    }
    const ClassQueue& source = classes_[index_of(position.frame)].queue;
    const ClassQueue& target = classes_[index_of(to)].queue;
    const bool is_asleep = entity.state_ == TaskState::Blocked;
    if (is_asleep) {
        source.take_place(position);
        position.epoch = epoch_;
    }
    const bool is_comparable = position.epoch == epoch_;
    VirtualSpan lag = std::clamp(is_comparable ? source.global_now() - position.global : position.lag,
                                 -kLongestSavedLag, kLongestSavedLag);
    lag = is_comparable ? rescale(lag, position.pace, weight) : rescale(lag, position.weight, weight);
    if (position.frame != to) {
        lag = std::min(lag, VirtualSpan{0});
        position.lag = std::min(position.lag, VirtualSpan{0});
    }
    position.lag = rescale(position.lag, position.weight, weight);
    position.frame = to;
    position.epoch = epoch_;
    // Under way to another queue: what is left of the request is the same service.
    const VirtualSpan lead = rescale(position.deadline - position.vt, position.weight, weight);
    const VirtualSpan rest = rescale_rest(position.request_end - position.vt, position.weight, weight);
    if (is_asleep) {
        position.vt = target.virtual_now() - lag;
    }
    position.deadline = position.vt + lead;
    position.request_end = position.vt + rest;
    position.weight = weight;
    ClassQueue::set_pace(entity, rates_[index_of(to)]);
    position.global = target.global_now() - rescale(lag, weight, position.pace);
}

// An entity that comes to this queue may have changed its class or its weight since it left the last one, as
// no hart's business: a boost began when it woke, its group grew.
void RunQueue::adopt_frame(Entity& entity) {
    Entity::Position& position = entity.position_;
    const std::uint32_t weight = weight_of(entity);
    if (position.has_global && position.frame != entity.effective_) {
        // The old frame may be another hart's: what it owed there when it left stands for the debt.
        position.lag = std::min(position.lag, VirtualSpan{0});
        const std::size_t index = index_of(entity.effective_);
        ClassQueue::set_pace(entity, rates_[index]);
        position.global =
            classes_[index].queue.global_now() - rescale(position.lag, position.weight, position.pace);
        position.epoch = epoch_;
        position.frame = entity.effective_;
        position.is_local = false;
    }
    if (position.has_global && position.weight != weight) {
        position.is_local = false;
        rescale_saved(entity, entity.effective_, weight, entity.since_);
    }
    position.weight = weight;
}

void RunQueue::note_created(Entity& entity, Instant now) {
    CHECK(entity.state_ == TaskState::Blocked && !entity.has_run());
    begin_life(entity, now);
    entity.state_ = TaskState::Migrating;
}

void RunQueue::begin_life(Entity& entity, Instant now) {
    entity.since_ = now;
    entity.boost_.start(now);
    entity.is_boosted_ = false;  // attributes may have been set before it was born
    settle_class(entity, now);
}

void RunQueue::note_woken(Entity& entity, Instant now) {
    catch_up();
    CHECK(entity.state_ == TaskState::Blocked);
    const Duration slept = std::max(Duration{}, now - entity.since_);
    Entity::Position& position = entity.position_;
    if (slept > kSleepHorizon) {
        position.has_global = false;
    }
    if (position.has_global && entity.cpu_ == cpu_) {
        classes_[index_of(position.frame)].queue.take_place(position);
        position.epoch = epoch_;
        position.is_local = true;
    }
    entity.statistics_.sleep += slept;
    settle_class(entity, now);
    entity.state_ = TaskState::Migrating;
    entity.since_ = entity.woken_at_ = now;
    entity.wake_pending_ = true;
}

void RunQueue::note_started(Instant now, Instant due, Instant latest) {
    CHECK(current_ != nullptr);
    Entity& entity = *current_;
    if (std::exchange(entity.wake_pending_, false)) {
        const Duration latency = now - std::max(std::min(entity.woken_at_, latest), due);
        entity.statistics_.record_wake(std::max(Duration{}, latency), entity.attributes.latency);
    }
}

void RunQueue::retire(Entity& entity, Instant now) {
    CHECK(!is_here(entity));
    entity.state_ = TaskState::Dead;
    entity.since_ = now;
}

void RunQueue::inherit_position(Entity& child, const Entity& parent) {
    CHECK(current_ == &parent);
    catch_up();
    Entity::Position& position = child.position_;
    child.effective_ = class_of(child);
    position.frame = child.effective_;
    position.weight = weight_of(child);
    const ClassQueue& queue = classes_[index_of(child.effective())].queue;
    const bool is_same_class = child.effective() == parent.effective();
    const VirtualTime origin = is_same_class ? parent.position_.vt : queue.virtual_now();
    position.vt = origin + span_of(request_of(child) / 2, position.weight);
    ClassQueue::set_pace(child, rates_[index_of(child.effective_)]);
    queue.take_place(position);
    position.is_local = true;
    position.epoch = epoch_;
    position.has_global = true;
    child.set_cpu(cpu_);
}

}  // namespace kernel::sched
