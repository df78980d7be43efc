// SPDX-License-Identifier: MIT
#include "sched/class_queue.hpp"

#include <algorithm>
#include <limits>

#include "lib/check.hpp"

namespace kernel::sched {

namespace {

bool is_allowed(CpuMask mask, CpuMask targets, const Faults& faults) {
    return faults.ignore_affinity || mask.intersects(targets);
}

// The first item by deadline, of those below `item`, that may run on one of `targets`. Pre: there is one.
const Entity* first_allowed(const Entity* item, CpuMask targets, const Faults& faults) {
    for (;;) {
        const Entity* left = ClassQueue::Tree::left(*item);
        if (left != nullptr && is_allowed(left->position().any_allowed, targets, faults)) {
            item = left;
        } else if (is_allowed(item->attributes.affinity_effective, targets, faults)) {
            return item;
        } else {
            item = ClassQueue::Tree::right(*item);
            DCHECK(item != nullptr);
        }
    }
}

}  // namespace

bool EntityOrder::before(const Entity& a, const Entity& b) {
    return is_before(a.position_.deadline, b.position_.deadline);
}

bool EntityOrder::update(Entity& item, const Entity* left, const Entity* right) {
    Entity::Position& position = item.position_;
    VirtualTime min_vt = position.vt;
    std::uint32_t min_weight = position.weight;
    std::uint32_t max_weight = position.weight;
    CpuMask any_allowed = item.attributes.affinity_effective;
    for (const Entity* child : {left, right}) {
        if (child != nullptr) {
            min_vt = earlier(min_vt, child->position_.min_vt);
            min_weight = std::min(min_weight, child->position_.min_weight);
            max_weight = std::max(max_weight, child->position_.max_weight);
            any_allowed = any_allowed | child->position_.any_allowed;
        }
    }
    const bool is_same = position.min_vt == min_vt && position.min_weight == min_weight &&
                         position.max_weight == max_weight && position.any_allowed == any_allowed;
    position.min_vt = min_vt;
    position.min_weight = min_weight;
    position.max_weight = max_weight;
    position.any_allowed = any_allowed;
    return !is_same;
}

VirtualTime ClassQueue::virtual_now() const {
    return sum_weight_ == 0 ? base_ : base_ + floor_divide(weighted_sum_, sum_weight_);
}

std::uint32_t ClassQueue::lightest() const {
    const Entity* root = waiting_.root();
    if (root == nullptr) {
        return running_ == nullptr ? 0 : running_->position_.weight;
    }
    const std::uint32_t least = root->position_.min_weight;
    return running_ == nullptr ? least : std::min(least, running_->position_.weight);
}

bool ClassQueue::is_eligible(VirtualTime vt) const {
    return Int128{vt - base_} * sum_weight_ <= weighted_sum_;
}

Duration ClassQueue::lag(const Entity& member) const {
    const Int128 service =
        (Int128{virtual_now() - member.position_.vt} * member.position_.weight) / kVirtualPerNs;
    constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
    return Duration::nanoseconds(static_cast<std::int64_t>(std::clamp(service, Int128{-kMax}, Int128{kMax})));
}

Entity* ClassQueue::best() const {
    DCHECK(running_ == nullptr);
    Entity* item = waiting_.root();
    while (item != nullptr) {
        Entity* left = Tree::left(*item);
        if (left != nullptr && is_eligible(left->position_.min_vt)) {
            item = left;
        } else if (is_eligible(*item)) {
            return item;
        } else {
            item = Tree::right(*item);
        }
    }
    CHECK(waiting_.empty());  // the least vt is never above the mean
    return nullptr;
}

const Entity* ClassQueue::first_candidate(CpuMask targets, const Faults& faults) const {
    const Entity* root = waiting_.root();
    const bool is_there = root != nullptr && is_allowed(root->position_.any_allowed, targets, faults);
    return is_there ? first_allowed(root, targets, faults) : nullptr;
}

// The next one after `item`, or null. One way up and one down: O(log n).
const Entity* ClassQueue::next_candidate(const Entity& from, CpuMask targets, const Faults& faults) {
    const Entity* item = &from;
    for (;;) {
        const Entity* right = Tree::right(*item);
        if (right != nullptr && is_allowed(right->position_.any_allowed, targets, faults)) {
            return first_allowed(right, targets, faults);
        }
        const Entity* up = Tree::parent(*item);
        while (up != nullptr && Tree::right(*up) == item) {
            item = up;
            up = Tree::parent(*up);
        }
        if (up == nullptr || is_allowed(up->attributes.affinity_effective, targets, faults)) {
            return up;
        }
        item = up;
    }
}

Entity* ClassQueue::find_stealable(CpuId thief, const Faults& faults) const {
    Entity* least = nullptr;
    for_candidates(CpuMask::of(thief), faults, [&](Entity& entity) {
        if (least == nullptr || is_before(entity.position_.vt, least->position_.vt)) {
            least = &entity;
        }
    });
    return least;
}

VirtualTime ClassQueue::place(const Entity& entity, Duration request, Duration credit, bool is_same_epoch) {
    const Entity::Position& position = entity.position_;
    if (empty()) {
        if (position.has_global && is_same_epoch && is_before(base_ + offset_, position.global)) {
            set_frame(position.global);
        }
        return base_;
    }
    const VirtualTime now = virtual_now();
    const VirtualTime earliest = now - span_of(credit, position.weight);
    if (!position.has_global) {
        return earliest;
    }
    const std::uint32_t least_weight = std::min(position.weight, lightest());
    // V passes span_of(t, sum) in t of real time, so the second bound is the task's fluid turn plus kLagMax.
    const VirtualSpan in_service = span_of(kLagMax, least_weight);
    const VirtualSpan in_real_time =
        span_of(request, position.weight) + span_of(kLagMax, sum_weight_ + position.weight);
    const VirtualTime latest = now + std::min(in_service, in_real_time);
    const VirtualSpan lag = is_same_epoch ? now - (position.global - offset_) : position.lag;
    return earlier(later(now - lag, earliest), latest);
}

void ClassQueue::set_frame(VirtualTime global) {
    if (empty()) {
        offset_ = global - base_;
    }
}

void ClassQueue::take_place(Entity::Position& position) const {
    position.lag = virtual_now() - position.vt;
    position.global = position.vt + offset_;
}

void ClassQueue::add_waiting(Entity& entity) {
    count_in(entity);
    waiting_.insert(entity);
    rebase();
}

void ClassQueue::add_running(Entity& entity) {
    DCHECK(running_ == nullptr);
    count_in(entity);
    running_ = &entity;
    rebase();
}

void ClassQueue::remove(Entity& entity) {
    take_place(entity.position_);
    entity.position_.has_global = true;
    if (running_ == &entity) {
        running_ = nullptr;
    } else {
        waiting_.erase(entity);
    }
    count_out(entity);
    if (empty()) {
        base_ = entity.position_.vt;  // the last member was the mean
    }
}

void ClassQueue::start(Entity& entity) {
    DCHECK(running_ == nullptr);
    waiting_.erase(entity);
    running_ = &entity;
}

void ClassQueue::stop(Entity& entity) {
    DCHECK(running_ == &entity);
    running_ = nullptr;
    waiting_.insert(entity);
}

bool ClassQueue::charge(Duration service, std::uint32_t capacity, Duration request) {
    DCHECK(running_ != nullptr);
    Entity::Position& position = running_->position_;
    const VirtualSpan span = advance(service, capacity, position.weight, position.carry);
    position.vt = position.vt + span;
    weighted_sum_ += Int128{span} * position.weight;
    rebase();
    if (is_before(position.vt, position.request_end)) {
        return false;
    }
    position.fresh = false;
    position.request_end = position.deadline = position.vt + span_of(request, position.weight);
    return true;
}

void ClassQueue::reweigh(Entity& entity, std::uint32_t weight) {
    Entity::Position& position = entity.position_;
    const bool is_waiting = running_ != &entity;
    const VirtualTime now = virtual_now();
    if (is_waiting) {
        waiting_.erase(entity);
    }
    count_out(entity);
    const VirtualTime vt = now - rescale(now - position.vt, position.weight, weight);
    position.deadline = vt + rescale(position.deadline - position.vt, position.weight, weight);
    position.request_end = vt + rescale(position.request_end - position.vt, position.weight, weight);
    position.vt = vt;
    position.weight = weight;
    count_in(entity);
    if (is_waiting) {
        waiting_.insert(entity);
    }
    rebase();
}

void ClassQueue::yield(Duration request) {
    DCHECK(running_ != nullptr);
    Entity::Position& position = running_->position_;
    position.fresh = false;
    position.request_end = position.deadline = position.vt + span_of(request, position.weight);
    if (const Entity* last = waiting_.last(); last != nullptr) {
        position.deadline =
            later(position.deadline, last->position_.deadline);  // a tie goes to who came first
    }
}

void ClassQueue::count_in(const Entity& entity) {
    sum_weight_ += entity.position_.weight;
    weighted_sum_ += Int128{entity.position_.vt - base_} * entity.position_.weight;
}

void ClassQueue::count_out(const Entity& entity) {
    sum_weight_ -= entity.position_.weight;
    weighted_sum_ -= Int128{entity.position_.vt - base_} * entity.position_.weight;
}

// Moves base_ to V, so that distances from it stay small however long the queue lives.
void ClassQueue::rebase() {
    const VirtualSpan drift = floor_divide(weighted_sum_, sum_weight_);
    base_ = base_ + drift;
    weighted_sum_ -= Int128{drift} * sum_weight_;
}

}  // namespace kernel::sched
