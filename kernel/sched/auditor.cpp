// SPDX-License-Identifier: MIT
#include "sched/auditor.hpp"

#include <algorithm>

namespace kernel::sched {

namespace {

// Longest distance from vt to the end of a request: R_MAX for the lightest weight, doubled for a reweight's
// rounding.
constexpr VirtualSpan kLongestRequest = 2 * kRequestMax.ns() * kVirtualPerNs / kWeightPerShare;

}  // namespace

Violation Auditor::check(const RunQueue& queue, std::uint32_t max_entities) {
    if (const Violation violation = check_throttled(queue, max_entities); violation.found()) {
        return violation;
    }
    if (!queue.faults_.lose_time && queue.busy() + queue.idle_ != queue.clock_ - queue.start_) {
        return {.rule = "S7: busy + idle is not the time since the start"};
    }
    const Entity* current = queue.current_;
    if (current != nullptr && (current->state() != TaskState::Running || current->cpu() != queue.cpu_)) {
        return {.rule = "S1: the current entity is not Running here", .entity = current};
    }
    if (current != nullptr && current->effective() != RunQueue::class_of(*current)) {
        return {.rule = "S23: an effective class is not what was asked, boosted and lent", .entity = current};
    }
    if (current != nullptr) {
        if (const Violation violation = check_weight(queue, *current); violation.found()) {
            return violation;
        }
    }
    std::uint32_t members = 0;
    for (std::size_t i = 0; i < kClasses; ++i) {
        const ClassQueue& class_queue = queue.classes_[i].queue;
        members += class_queue.count();
        const bool is_of_current = current != nullptr && index_of(current->effective()) == i;
        if (class_queue.running() != (is_of_current ? current : nullptr)) {
            return {.rule = "S1: a class runs another entity than the hart", .entity = class_queue.running()};
        }
        if (const Violation violation = check_class(queue, class_at(i), max_entities); violation.found()) {
            return violation;
        }
    }
    if (members != queue.runnable_) {
        return {.rule = "S5: runnable is not the sum of the classes"};
    }
    return {};
}

Violation Auditor::check_throttled(const RunQueue& queue, std::uint32_t max_entities) {
    using Tree = RunQueue::ThrottledTree;
    const Entity* previous = nullptr;
    std::uint32_t seen = 0;
    const Entity* entity = queue.throttled_.first();
    for (; entity != nullptr && seen < max_entities; entity = Tree::next(*entity)) {
        ++seen;
        if (entity->state() != TaskState::Throttled || entity->cpu() != queue.cpu_) {
            return {.rule = "S1: a throttled entity is not Throttled here", .entity = entity};
        }
        if (!queue.allows(*entity)) {
            return {.rule = "S4: a throttled entity is not allowed on this hart", .entity = entity};
        }
        if (entity->budget() == nullptr || entity->is_donated()) {
            return {.rule = "S24: throttled without a budget, or in spite of a donation", .entity = entity};
        }
        if (!entity->granted_.is_zero() || entity->group_weight_ != 0) {
            return {.rule = "S24: a throttled entity has a grant or counts in its group", .entity = entity};
        }
        if (entity->release_at_.is_never() || !Tree::is_balanced_at(*entity) ||
            (previous != nullptr && ReleaseOrder::before(*entity, *previous))) {
            return {.rule = "S24: the tree of throttled entities is out of order", .entity = entity};
        }
        previous = entity;
    }
    if (entity == nullptr && seen != queue.throttled_.size()) {
        return {.rule = "S24: the size of the tree of throttled entities is wrong"};
    }
    return {};
}

Violation Auditor::check_class(const RunQueue& queue, QosClass qos_class, std::uint32_t max_entities) {
    const ClassQueue& members = queue.queue(qos_class);
    std::uint32_t seen = 0;
    std::uint64_t sum_weight = 0;
    Int128 weighted_sum = 0;
    std::uint64_t pace_sum = 0;
    Int128 progress_sum = 0;
    const Entity* previous = nullptr;
    const auto count_in = [&](const Entity& entity) {
        sum_weight += entity.position().weight;
        weighted_sum += Int128{entity.position().vt - members.base_} * entity.position().weight;
        pace_sum += entity.position().pace;
        progress_sum += members.progress_part(entity.position());
    };
    const Entity* entity = members.waiting().first();
    for (; entity != nullptr && seen < max_entities; entity = ClassQueue::Tree::next(*entity)) {
        ++seen;
        count_in(*entity);
        if (previous != nullptr && EntityOrder::before(*entity, *previous)) {
            return {.rule = "S2: the tree is out of order", .entity = entity};
        }
        if (entity->effective() != RunQueue::class_of(*entity)) {
            return {.rule = "S23: an effective class is not what was asked, boosted and lent",
                    .entity = entity};
        }
        if (entity->effective() != qos_class || entity->state() != TaskState::Queued) {
            return {.rule = "S1: a waiting entity is not Queued in its class", .entity = entity};
        }
        if (const Violation violation = check_entity(queue, *entity); violation.found()) {
            return violation;
        }
        previous = entity;
    }
    if (entity != nullptr) {
        return {};  // the bound was reached: no statement about the whole
    }
    if (members.running() != nullptr) {
        count_in(*members.running());
    }
    if (seen != members.waiting().size()) {
        return {.rule = "S2: the tree's size is wrong"};
    }
    std::uint64_t by_mask = 0;
    for (const MaskGroups::Group& group : members.masks_.all()) {
        by_mask += group.weight;
    }
    if (sum_weight != members.sum_weight_ || weighted_sum != members.weighted_sum_ ||
        pace_sum != members.pace_sum_ || progress_sum != members.progress_sum_ || by_mask != sum_weight) {
        return {.rule = "S3: a class's sums are not those of its members"};
    }
    return {};
}

// Exact without a group; a group's ceiling is looked at only now and then, and only lowers.
Violation Auditor::check_weight(const RunQueue& queue, const Entity& entity) {
    const std::uint32_t weight = entity.position().weight;
    const std::uint32_t own = queue.own_weight_of(entity);
    const bool is_right = entity.group() == nullptr
                              ? weight == own
                              : weight >= kWeightPerShare && weight <= own && entity.group_weight_ == own;
    return is_right ? Violation{} : Violation{.rule = "S6: a weight is not the shares'", .entity = &entity};
}

Violation Auditor::check_entity(const RunQueue& queue, const Entity& entity) {
    using Tree = ClassQueue::Tree;
    const Entity::Position& position = entity.position();
    if (entity.cpu() != queue.cpu_) {
        return {.rule = "S1: a waiting entity names another hart", .entity = &entity};
    }
    if (!queue.allows(entity)) {
        return {.rule = "S4: a waiting entity is not allowed on this hart", .entity = &entity};
    }
    if (!Tree::is_balanced_at(entity)) {
        return {.rule = "S2: the tree is out of balance", .entity = &entity};
    }
    VirtualTime min_vt = position.vt;
    std::uint32_t least_weight = position.weight;
    std::uint32_t greatest_weight = position.weight;
    CpuMask any_allowed = entity.attributes.affinity_effective;
    for (const Entity* child : {Tree::left(entity), Tree::right(entity)}) {
        if (child != nullptr) {
            min_vt = earlier(min_vt, child->position().min_vt);
            least_weight = std::min(least_weight, child->position().weights.least());
            greatest_weight = std::max(greatest_weight, child->position().weights.greatest());
            any_allowed = any_allowed | child->position().any_allowed;
        }
    }
    if (position.min_vt != min_vt || position.weights.least() != least_weight ||
        position.weights.greatest() != greatest_weight || position.any_allowed != any_allowed) {
        return {.rule = "S2: an augment is stale", .entity = &entity};
    }
    if (const Violation violation = check_weight(queue, entity); violation.found()) {
        return violation;
    }
    if (!entity.granted_.is_zero()) {
        return {.rule = "S24: a waiting entity has a grant", .entity = &entity};
    }
    const VirtualSpan rest = position.request_end - position.vt;
    if (rest <= 0 || rest > kLongestRequest) {
        return {.rule = "S8: a waiting entity's request is used up or too long", .entity = &entity};
    }
    return {};
}

}  // namespace kernel::sched
