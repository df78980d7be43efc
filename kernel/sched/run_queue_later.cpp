// SPDX-License-Identifier: MIT
// RunQueue, sixth part: births that are put off, and doing what was put off (see run_queue_plain.cpp).
#include <utility>

#include "sched/run_queue.hpp"

namespace kernel::sched {

// When there may be something to decide between the current entity, the only one here, and another one:
// event_of_usual() as it would be on the fastest hart, and judge() as if the other one were better.
Instant RunQueue::earliest_decision() const {
    const Entity::Position& position = current_->position_;
    const std::int64_t units = (position.request_end - position.vt) * std::int64_t{position.weight} -
                               static_cast<std::int64_t>(position.carry);
    return min(picked_at_ + kMinGranularity, clock_ + Duration::nanoseconds(units >> kVirtualShift));
}

// What hand_over() relies on of one that slept here is set, and void once anything else is done here: then
// the child is born as any other.
bool RunQueue::start_later(Entity& child, Instant now, Instant& event) {
    if (now < clock_ || runnable_ != 1 || woken_ != nullptr || (now >= usual_until_ && !foresee(now))) {
        return false;
    }
    Entity& parent = *current_;
    const Attributes& attributes = child.attributes;
    if (!(is_certified(parent) || certify(parent)) || parent.has_hints_ || child.budget_ != nullptr ||
        child.group_ != nullptr || child.is_donated_ || attributes.qos_class != parent.effective_ ||
        attributes.shares * kWeightPerShare != parent.position_.weight ||
        !(attributes.affinity_effective == parent.attributes.affinity_effective) ||
        !attributes.latency.is_zero() || !attributes.burst.is_zero()) {
        return false;
    }
    if (earliest_decision_ == Instant{}) [[unlikely]] {
        earliest_decision_ = earliest_decision();
    }
    if (earliest_decision_ <= now) {
        return false;
    }
    event = earliest_decision_;
    Entity::Position& position = child.position_;
    position.frame = child.effective_ = parent.effective_;
    position.weight = position.pace = parent.position_.weight;
    position.mask_place = parent.position_.mask_place;
    position.epoch = epoch_;
    position.has_global = true;
    child.usual_request_ = parent.usual_request_;
    child.usual_stamp_ = usual_stamp_;
    child.set_cpu(cpu_);
    child.boost_.start(now);
    child.since_ = kUnborn;
    child.woken_at_ = now;
    woken_ = &child;
    return true;
}

void RunQueue::wake_as_put_off() {
    Entity& entity = *std::exchange(woken_, nullptr);
    if (entity.since_ == kUnborn) {
        charge_current(entity.woken_at_);
        inherit_position(entity, *current_);
        static_cast<void>(enqueue(entity, entity.woken_at_, EnqueueReason::New));
        return;
    }
    Instant event;
    if (!wake_plainly(entity, entity.woken_at_, event)) {
        static_cast<void>(enqueue(entity, entity.woken_at_, EnqueueReason::Wake));
    }
}

}  // namespace kernel::sched
