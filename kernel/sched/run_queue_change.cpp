// SPDX-License-Identifier: MIT
// RunQueue, second part: entities whose attributes change, and entities that are on no queue.
#include <algorithm>

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
    if (!entity.is_on_queue()) {
        rescale_saved(entity, attributes, now);
        entity.attributes = attributes;
        return false;
    }
    CHECK(entity.cpu_ == cpu_);
    if (entity.effective() != effective_class(attributes.qos_class)) {
        change_class(entity, attributes, now);
    } else {
        ClassQueue& queue = classes_[index_of(entity.effective())].queue;
        const std::uint32_t weight = weight_of(attributes);
        entity.attributes = attributes;
        if (weight != entity.position_.weight) {
            queue.reweigh(entity, weight);
        }
        if (entity.state_ == TaskState::Queued) {
            queue.refresh(entity);
        }
    }
    return !allows(entity);
}

// A task that is on this queue moves to another class: what it received ahead of its share goes along, credit
// does not.
void RunQueue::change_class(Entity& entity, const Attributes& attributes, Instant now) {
    const bool is_running = entity.state_ == TaskState::Running;
    leave(entity, index_of(entity.effective()));
    rescale_saved(entity, attributes, now);
    entity.attributes = attributes;
    const std::size_t index = index_of(entity.effective());
    join(entity, index, EnqueueReason::New, true);
    if (is_running) {
        classes_[index].queue.start(entity);
        want_resched(now);
    } else {
        judge(entity, now);
    }
}

// The saved U of an entity on no queue, re-expressed for new attributes.
void RunQueue::rescale_saved(Entity& entity, const Attributes& attributes, Instant now) {
    Entity::Position& position = entity.position_;
    const std::uint32_t weight = weight_of(attributes);
    const QosClass from = entity.effective();
    const QosClass to = effective_class(attributes.qos_class);
    if (now - entity.since_ > kSleepHorizon) {
        position.has_global = false;  // too far apart to be compared, let alone rescaled
    }
    if (!position.has_global) {
        return;
    }
    VirtualSpan lag = std::clamp(classes_[index_of(from)].queue.global_now() - position.global,
                                 -kLongestSavedLag, kLongestSavedLag);
    if (from != to) {
        lag = std::min(lag, VirtualSpan{0});
        position.lag = std::min(position.lag, VirtualSpan{0});
    }
    position.global = classes_[index_of(to)].queue.global_now() - rescale(lag, position.weight, weight);
    position.lag = rescale(position.lag, position.weight, weight);
    // Under way to another queue: what is left of the request is the same service.
    position.deadline = position.vt + rescale(position.deadline - position.vt, position.weight, weight);
    position.request_end = position.vt + rescale(position.request_end - position.vt, position.weight, weight);
    position.weight = weight;
}

void RunQueue::note_created(Entity& entity, Instant now) {
    CHECK(entity.state_ == TaskState::Blocked && !entity.has_run());
    entity.state_ = TaskState::Migrating;
    entity.since_ = now;
}

void RunQueue::note_woken(Entity& entity, Instant now) {
    CHECK(entity.state_ == TaskState::Blocked);
    const Duration slept = std::max(Duration{}, now - entity.since_);
    if (slept > kSleepHorizon) {
        entity.position_.has_global = false;
    }
    entity.statistics_.sleep += slept;
    entity.state_ = TaskState::Migrating;
    entity.since_ = entity.woken_at_ = now;
    entity.wake_pending_ = true;
}

void RunQueue::retire(Entity& entity, Instant now) {
    CHECK(!entity.is_on_queue());
    entity.state_ = TaskState::Dead;
    entity.since_ = now;
}

void RunQueue::inherit_position(Entity& child, const Entity& parent) {
    CHECK(current_ == &parent);
    Entity::Position& position = child.position_;
    position.weight = weight_of(child.attributes);
    const ClassQueue& queue = classes_[index_of(child.effective())].queue;
    const bool is_same_class = child.effective() == parent.effective();
    const VirtualTime origin = is_same_class ? queue.global_of(parent) : queue.global_now();
    position.global = origin + span_of(request_of(child.attributes) / 2, position.weight);
    position.lag = queue.global_now() - position.global;
    position.has_global = true;
    child.cpu_ = cpu_;
}

std::uint32_t RunQueue::weight_of(const Attributes& attributes) const {
    const std::uint32_t shares = faults_.ignore_shares ? nexus_abi::kSharesDefault : attributes.shares;
    return shares * kWeightPerShare;
}

Duration RunQueue::request_of(const Attributes& attributes) {
    if (attributes.burst.is_zero()) {
        return row_of(effective_class(attributes.qos_class)).task_request;
    }
    return std::clamp(attributes.burst, kRequestMin, kRequestMax);
}

}  // namespace kernel::sched
