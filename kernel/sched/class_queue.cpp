// SPDX-License-Identifier: MIT
#include "sched/class_queue.hpp"

#include <algorithm>
#include <bit>
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

std::uint32_t ClassQueue::lightest() const {
    const Entity* root = waiting_.root();
    if (root == nullptr) {
        return running_ == nullptr ? 0 : running_->position_.weight;
    }
    const std::uint32_t least = root->position_.weights.least();
    return running_ == nullptr ? least : std::min(least, running_->position_.weight);
}

Duration ClassQueue::lag(const Entity& member) const {
    const Int128 service =
        (Int128{virtual_now() - member.position_.vt} * member.position_.weight) / kVirtualPerNs;
    constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
    return Duration::nanoseconds(static_cast<std::int64_t>(std::clamp(service, Int128{-kMax}, Int128{kMax})));
}

Entity* ClassQueue::first_eligible_below(Entity* item) const {
    for (;;) {
        Entity* const left = Tree::left(*item);
        if (left != nullptr && is_eligible(left->position_.min_vt)) {
            item = left;
        } else if (is_eligible(*item)) {
            return item;
        } else {
            item = Tree::right(*item);
            DCHECK(item != nullptr);
        }
    }
}

Entity* ClassQueue::best() const {
    DCHECK(running_ == nullptr);
    Entity* const found = first_eligible();
    CHECK(found != nullptr || waiting_.empty());  // the least vt is never above the mean
    return found;
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

void ClassQueue::place(Entity& entity, Duration request, Duration credit, Arrival arrival) {
    Entity::Position& position = entity.position_;
    const bool is_known = position.has_global && arrival.is_same_epoch;
    if (empty()) {
        if (is_known && is_before(progress_base_ + offset_, position.global)) {
            set_frame(position.global);
        }
        position.vt = position.paced_at = base_;
        position.paced_from = progress_base_;
        return;
    }
    const VirtualTime now = virtual_now();
    const VirtualTime earliest = now - span_of(credit, position.weight);
    const std::uint32_t least_weight = std::min(position.weight, lightest());
    // V passes span_of(t, sum) in t of real time, so the second bound is the task's fluid turn plus kLagMax.
    const VirtualSpan in_service = span_of(kLagMax, least_weight);
    const VirtualSpan in_real_time =
        span_of(request, position.weight) + span_of(kLagMax, sum_weight_ + position.weight);
    const VirtualTime latest = now + std::min(in_service, in_real_time);
    const VirtualTime progress = position.global - offset_;
    VirtualTime vt = earliest;
    if (is_known) {
        vt = position.is_local ? position.vt
                               : now - rescale(progress_now() - progress, position.pace, position.weight);
    } else if (position.has_global) {
        vt = now - position.lag;
    }
    position.vt = position.paced_at = earlier(later(vt, earliest), latest);
    // What does not fit here and now stays on its account next to the other harts, within reason.
    const VirtualTime placed = progress_at(position);
    const VirtualSpan reach = span_of(kAccountMax, position.pace);
    const VirtualTime least = arrival.keeps_credit ? placed - reach : placed;
    position.paced_from = is_known ? earlier(later(progress, least), placed + reach) : placed;
}

void ClassQueue::set_frame(VirtualTime global) {
    if (empty()) {
        offset_ = global - progress_base_;
    }
}

void ClassQueue::take_place(Entity::Position& position) const {
    position.lag = virtual_now() - position.vt;
    position.global = progress_at(position) + offset_;
}

VirtualTime ClassQueue::progress_now() const {
    return pace_sum_ == 0 ? progress_base_ : progress_base_ + mean_progress();
}

VirtualSpan ClassQueue::mean_progress() const {
    const auto narrow = static_cast<std::int64_t>(progress_sum_);
    if (narrow != progress_sum_ || (pace_sum_ >> 32U) != 0) [[unlikely]] {
        return mean_progress_wide();
    }
    return floor_divide(narrow, static_cast<std::uint32_t>(pace_sum_));
}

VirtualSpan ClassQueue::mean_progress_wide() const {
    // Paces of a table that no longer fits may add up to more than a divisor may be.
    const int excess = std::max(0, static_cast<int>(std::bit_width(pace_sum_)) - 32);
    return floor_divide(progress_sum_ >> excess, static_cast<std::uint32_t>(pace_sum_ >> excess));
}

VirtualTime ClassQueue::progress_of(const Entity::Position& position) {
    return position.paced_from + rescale(position.vt - position.paced_at, position.weight, position.pace);
}

VirtualTime ClassQueue::progress_at(const Entity::Position& position) const {
    return progress_now() - rescale(virtual_now() - position.vt, position.weight, position.pace);
}

Int128 ClassQueue::progress_part(const Entity::Position& position) const {
    return Int128{position.paced_from - progress_base_} * position.pace +
           Int128{position.vt - position.paced_at} * position.weight;
}

void ClassQueue::set_pace(Entity& entity, const RateTable& rates) {
    Entity::Position& position = entity.position_;
    position.pace = rates.generation == 0
                        ? position.weight
                        : rates.pace_of(position.weight, entity.attributes.affinity_effective);
    position.pace_generation = rates.generation;
    position.is_whole = rates.generation != 0 && position.pace == rates.whole && rates.count == 1;
}

void ClassQueue::follow_pace(Entity& entity, const RateTable& rates) {
    Entity::Position& position = entity.position_;
    const std::uint32_t before = position.pace;
    const VirtualTime progress_before = progress_now();
    const Int128 part = progress_part(position);
    wholes_ -= position.is_whole ? 1 : 0;
    set_pace(entity, rates);
    wholes_ += position.is_whole ? 1 : 0;
    if (position.pace == before) {
        return;
    }
    progress_sum_ -= part;
    pace_sum_ = pace_sum_ - before + position.pace;
    position.paced_from =
        progress_before - rescale(virtual_now() - position.vt, position.weight, position.pace);
    position.paced_at = position.vt;
    progress_sum_ += progress_part(position);
}

void ClassQueue::follow_mask(Entity& entity) {
    Entity::Position& position = entity.position_;
    masks_.leave(position.mask_place, position.weight);
    position.mask_place = masks_.join(entity.attributes.affinity_effective, position.weight);
    if (running_ != &entity) {
        waiting_.refresh(entity);
    }
}

const Entity* ClassQueue::heaviest_waiting() const {
    const Entity* item = waiting_.root();
    while (item != nullptr && item->position_.weight != item->position_.weights.greatest()) {
        const Entity* left = Tree::left(*item);
        const bool is_left =
            left != nullptr && left->position_.weights.greatest() == item->position_.weights.greatest();
        item = is_left ? left : Tree::right(*item);
    }
    return item;
}

void ClassQueue::add_waiting(Entity& entity) {
    count_in(entity);
    waiting_.insert(entity);
}

void ClassQueue::remove(Entity& entity) {
    Entity::Position& position = entity.position_;
    position.lag = virtual_now() - position.vt;
    position.global = global_of(entity);
    position.has_global = true;
    if (running_ == &entity) {
        running_ = nullptr;
    } else {
        waiting_.erase(entity);
    }
    count_out(entity);
    if (empty()) {
        progress_base_ = progress_of(position);
        progress_sum_ = 0;
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

void ClassQueue::begin_next_request(Duration request) {
    Entity::Position& position = running_->position_;
    position.fresh = false;
    // The next one begins where this one should have ended: what an interrupt came late is part of it, and
    // does not add up over many requests.
    const VirtualSpan span = span_of(request, position.weight);
    const VirtualTime next = position.request_end + span;
    position.request_end = position.deadline = is_before(position.vt, next) ? next : position.vt + span;
}

void ClassQueue::reweigh(Entity& entity, std::uint32_t weight) {
    Entity::Position& position = entity.position_;
    const bool is_waiting = running_ != &entity;
    const VirtualTime now = virtual_now();
    const VirtualTime progress_before = progress_now();
    const std::uint32_t pace =
        position.pace == position.weight
            ? weight
            : static_cast<std::uint32_t>(std::clamp<std::uint64_t>(
                  std::uint64_t{position.pace} * weight / position.weight, 1, RateTable::kNoLimit));
    if (is_waiting) {
        waiting_.erase(entity);
    }
    count_out(entity);
    const VirtualTime vt = now - rescale(now - position.vt, position.weight, weight);
    // After a yield it is another member's deadline, which is a place in virtual time, and no service of its
    // own.
    const bool is_borrowed = is_before(position.request_end, position.deadline);
    const VirtualTime deadline = position.deadline;
    position.deadline = vt + rescale(position.deadline - position.vt, position.weight, weight);
    position.request_end = vt + rescale_rest(position.request_end - position.vt, position.weight, weight);
    if (is_borrowed) {
        position.deadline = later(position.request_end, deadline);
    }
    position.vt = vt;
    // The pace changes with the weight; the lag stays, here and next to other harts.
    const VirtualTime progress = progress_before - rescale(now - vt, weight, pace);
    position.weight = weight;
    position.pace = pace;
    position.paced_at = vt;
    position.paced_from = progress;
    count_in(entity);
    if (is_waiting) {
        waiting_.insert(entity);
    }
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

void ClassQueue::count_in(Entity& entity) {
    Entity::Position& position = entity.position_;
    sum_weight_ += position.weight;
    add_to_mean(position.vt - base_, position.weight);
    pace_sum_ += position.pace;
    wholes_ += position.is_whole ? 1 : 0;
    add_progress(progress_part(position));
    position.mask_place = masks_.join(entity.attributes.affinity_effective, position.weight);
}

void ClassQueue::count_out(const Entity& entity) {
    const Entity::Position& position = entity.position_;
    sum_weight_ -= position.weight;
    add_to_mean(base_ - position.vt, position.weight);
    pace_sum_ -= position.pace;
    wholes_ -= position.is_whole ? 1 : 0;
    progress_sum_ -= progress_part(position);
    masks_.leave(position.mask_place, position.weight);
}

void ClassQueue::add_to_mean_wide(VirtualSpan distance, std::uint32_t weight) {
    const Int128 sum = Int128{distance} * weight + weighted_sum_;
    const VirtualSpan drift = floor_divide(sum, sum_weight_);
    base_ = base_ + drift;
    weighted_sum_ = static_cast<std::int64_t>(static_cast<std::uint64_t>(sum) -
                                              static_cast<std::uint64_t>(drift) * sum_weight_);
}

void ClassQueue::rebase_progress() {
    const VirtualSpan progress = mean_progress();
    progress_base_ = progress_base_ + progress;
    progress_sum_ -= Int128{progress} * static_cast<Int128>(pace_sum_);
}

}  // namespace kernel::sched
