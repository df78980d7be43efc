// SPDX-License-Identifier: MIT
// ClassQueue: the tasks of one class on one hart, under EEVDF. The waiting ones are in a tree ordered by
// virtual deadline; the running one (if it is of this class) is outside the tree but counted in every sum.
//
//   V, the queue's virtual time, is the weighted mean of its members' vt. A member with vt <= V has received
//   no more than its share: it is eligible. Of the eligible the earliest deadline runs. (V - vt) * weight is
//   a member's lag; lags sum to zero, so whoever is ahead waits until the others have caught up, and no hint
//   can buy share.
//
//   U makes virtual times of one class comparable between harts. A member's U advances by service / pace,
//   where the pace is the weight, or the rate the task deserves on the whole machine when that is known
//   (rate_table.hpp); U of the queue is their mean, weighted by pace. A task keeps its U under way. A
//   sleeping one keeps its vt, in the frame of this queue, so that moving U of the queue is neither credit
//   nor debt for it; the lag it has when it wakes makes it U if it leaves for another hart.
//
// Cost: every function is O(log n) with n waiting tasks, or O(1); nothing scans.
// Concurrency: guarded by the lock of the hart.
#pragma once

#include <algorithm>
#include <cstdint>

#include "lib/avl_tree.hpp"
#include "lib/check.hpp"
#include "sched/entity.hpp"
#include "sched/mask_groups.hpp"
#include "sched/qos.hpp"
#include "sched/rate_table.hpp"
#include "sched/virtual_time.hpp"

namespace kernel::sched {

struct EntityOrder {
    static bool before(const Entity& a, const Entity& b) {
        return is_before(a.position_.deadline, b.position_.deadline);
    }
    static bool update(Entity& item, const Entity* left, const Entity* right);
    static bool join(Entity& item, const Entity& added);
    static void inherit(Entity& item, const Entity& before);
};

[[gnu::always_inline]] inline bool EntityOrder::update(Entity& item, const Entity* left,
                                                       const Entity* right) {
    Entity::Position& position = item.position_;
    VirtualTime min_vt = position.vt;
    WeightRange weights{position.weight};
    CpuMask any_allowed = item.attributes.affinity_effective;
    const auto take = [&](const Entity* child) {
        if (child != nullptr) {
            min_vt = earlier(min_vt, child->position_.min_vt);
            weights.take_in(child->position_.weights);
            any_allowed = any_allowed | child->position_.any_allowed;
        }
    };
    take(left);
    take(right);
    if (position.min_vt == min_vt && position.weights == weights && position.any_allowed == any_allowed) {
        return false;
    }
    position.min_vt = min_vt;
    position.weights = weights;
    position.any_allowed = any_allowed;
    return true;
}

inline bool EntityOrder::join(Entity& item, const Entity& added) {
    Entity::Position& position = item.position_;
    const VirtualTime min_vt = earlier(position.min_vt, added.position_.vt);
    WeightRange weights = position.weights;
    weights.take_in(WeightRange{added.position_.weight});
    const CpuMask any_allowed = position.any_allowed | added.attributes.affinity_effective;
    if (position.min_vt == min_vt && position.weights == weights && position.any_allowed == any_allowed) {
        return false;
    }
    position.min_vt = min_vt;
    position.weights = weights;
    position.any_allowed = any_allowed;
    return true;
}

inline void EntityOrder::inherit(Entity& item, const Entity& before) {
    Entity::Position& position = item.position_;
    position.min_vt = before.position_.min_vt;
    position.weights = before.position_.weights;
    position.any_allowed = before.position_.any_allowed;
}

class ClassQueue {
  public:
    using Tree = AvlTree<Entity, &Entity::node_, EntityOrder>;

    constexpr ClassQueue() = default;

    [[nodiscard]] bool empty() const { return count() == 0; }
    [[nodiscard]] std::uint32_t count() const { return waiting_.size() + (running_ != nullptr ? 1U : 0U); }
    [[nodiscard]] Entity* running() const { return running_; }
    [[nodiscard]] const Tree& waiting() const { return waiting_; }
    // The member that waits where one does; else null.
    [[nodiscard]] Entity* only_waiting() const { return waiting_.size() == 1 ? waiting_.root() : nullptr; }
    [[nodiscard]] std::uint32_t sum_weight() const { return sum_weight_; }
    // The least weight of a member; 0 when empty.
    [[nodiscard]] std::uint32_t lightest() const;
    // V; of an empty queue, the V it had when the last member left.
    [[nodiscard]] VirtualTime virtual_now() const { return base_; }
    // U of the queue; of an empty one, what it was when the last member left.
    [[nodiscard]] VirtualTime global_now() const { return progress_now() + offset_; }
    [[nodiscard]] VirtualTime global_of(const Entity& member) const {
        return progress_of(member.position_) + offset_;
    }
    // What U of the queue advances by: service / pace_sum().
    [[nodiscard]] std::uint64_t pace_sum() const { return pace_sum_; }
    // Members that deserve a whole hart each.
    [[nodiscard]] std::uint32_t wholes() const { return wholes_; }
    [[nodiscard]] const MaskGroups& masks() const { return masks_; }
    // The heaviest waiting member, or null.
    [[nodiscard]] const Entity* heaviest_waiting() const;
    // The mean is between two units of virtual time, or on the lower of them: what is not behind that one is
    // not behind the mean.
    [[nodiscard]] bool is_eligible(VirtualTime vt) const { return !is_before(base_, vt); }
    [[nodiscard]] bool is_eligible(const Entity& member) const { return is_eligible(member.position_.vt); }
    // Service owed to the member (+) or received ahead of its share (-).
    [[nodiscard]] Duration lag(const Entity& member) const;
    // The waiting member that runs next: eligible with the earliest deadline, or the least vt should none be
    // eligible (only rounding can cause that). Null when nobody waits.
    [[nodiscard]] Entity* best() const;
    // Of those that wait the first eligible one by deadline, or null.
    [[nodiscard]] Entity* first_eligible() const;
    // The same of those below `item`, and itself. Pre: there is one.
    [[nodiscard]] Entity* first_eligible_below(Entity* item) const;
    // A waiting member allowed on `thief`: the one with least U among the first kStealProbes by deadline, or
    // null.
    [[nodiscard]] Entity* find_stealable(CpuId thief, const Faults& faults) const;
    // Calls f(Entity&) for the first kStealProbes waiting members, by deadline, that may run on one of
    // `targets`.
    template <class F>
    void for_candidates(CpuMask targets, const Faults& faults, F&& f) const {
        const Entity* item = first_candidate(targets, faults);
        for (std::uint32_t probe = 0; probe < kStealProbes && item != nullptr; ++probe) {
            f(const_cast<Entity&>(*item));  // found through this queue's own, non-const, members
            item = next_candidate(*item, targets, faults);
        }
    }

    // Where a member that is on no queue would stand: at its U, or, when that is of another frame epoch, at
    // the lag it had in the queue it left. `credit`: how far behind V it may be placed, in its own service.
    // Debt is bounded by kLagMax for the lightest member and, in real time, by the task's own fluid turn plus
    // kLagMax. On an empty queue the frame is adopted instead: the queue takes the task's U when that is
    // ahead.
    // Sets vt and progress. Pre: weight and pace are set.
    struct Arrival {
        bool is_same_epoch{true};  // its U can be compared
        bool keeps_credit{
            false};  // was moved: what it is owed beyond `credit` stays owed, next to other harts
    };
    void place(Entity& entity, Duration request, Duration credit, Arrival arrival);
    // Moves an empty queue's frame so that U is `global`. No effect on a queue with members.
    void set_frame(VirtualTime global);
    // Moves the frame of the queue, and with it U of every member, by `shift`. What sleeps keeps its place.
    void shift_frame(VirtualSpan shift) { offset_ += shift; }
    // U and lag of a sleeper of this queue, which leaves its frame behind.
    void take_place(Entity::Position& position) const;

    // Counts the entity in. Pre: on no queue; its position is set.
    void add_waiting(Entity& entity);
    // Counts it out and saves its place. Pre: a member.
    void remove(Entity& entity);
    // Between waiting and running. Pre: waiting, nobody running / running.
    void start(Entity& entity);
    void stop(Entity& entity);
    // Moves the running member by `service`. True when that used up its request: begin_next_request() is due.
    // Pre: running.
    [[nodiscard]] bool charge(Duration service, std::uint32_t capacity);
    void begin_next_request(Duration request);
    // Changes a member's weight, keeping its lag. Pre: a member.
    void reweigh(Entity& entity, std::uint32_t weight);
    // Gives up the rest of the request: the member goes behind everyone waiting. Pre: running.
    void yield(Duration request);
    // The sums and augments follow a change of a member's mask.
    void follow_mask(Entity& entity);
    // The pace of a member follows the table; its lag stays.
    void follow_pace(Entity& entity, const RateTable& rates);
    // Sets the pace of an entity that is about to be placed.
    static void set_pace(Entity& entity, const RateTable& rates);

    static constexpr std::uint32_t kStealProbes = 16;

  private:
    friend class Auditor;
    friend class RunQueue;  // run_queue_plain.cpp only
    // The usual steps there, where every member's pace is its weight. Each does what the functions it names
    // do.
    //   remove() of the running member. Pre: others wait; it is certified (RunQueue::certify()).
    void remove_running_plainly(Entity& entity);
    //   yield(), but for the place in the tree, which the member has not taken. Pre: running, others wait.
    void yield_plainly(VirtualSpan request);
    //   stop() of the running member, which is behind all others, and start() of `next`. Pre: next waits.
    void pass_on(Entity& next);
    //   progress_now(). Pre: not empty.
    [[nodiscard]] VirtualTime progress_plainly() const;
    //   take_place(), set_pace() and place() of a sleeper of this queue that is woken. Pre: not empty; its
    //   weight is set.
    void place_plainly(Entity& entity, Duration request, Duration credit) const;
    //   Where place_plainly() puts it in time when V is `now`, and the debt it keeps. With the least weight
    //   and the sum of those that are here.
    struct Place {
        VirtualTime vt;
        VirtualSpan kept_debt;
    };
    [[nodiscard]] static Place placed_between(const Entity::Position& position, VirtualTime now,
                                              Duration request, Duration credit, std::uint32_t least,
                                              std::uint32_t sum);
    //   place_plainly() and add_waiting_plainly() of `next`, then remove_running_plainly() of the only
    //   member, which has moved to `vt`, and start() of `next`. False, and nothing done, where a sum might
    //   have to be taken anew. Pre: both are certified (RunQueue::certify()); alike: of one weight, and all
    //   masks that ever were here are one.
    template <bool Alike>
    [[nodiscard, gnu::always_inline]] inline bool hand_over_plainly(Entity& entity, VirtualTime vt,
                                                                    std::uint64_t carry, VirtualTime place,
                                                                    Entity& next);
    //   add_waiting(). Pre: just placed.
    void add_waiting_plainly(Entity& entity);
    [[nodiscard]] const Entity* first_candidate(CpuMask targets, const Faults& faults) const;
    [[nodiscard]] static const Entity* next_candidate(const Entity& item, CpuMask targets,
                                                      const Faults& faults);
    void count_in(Entity& entity);
    void count_out(const Entity& entity);
    [[nodiscard]] VirtualTime progress_now() const;
    [[nodiscard]] VirtualSpan mean_progress() const;
    [[nodiscard, gnu::noinline]] VirtualSpan mean_progress_wide() const;
    [[nodiscard]] static VirtualTime progress_of(const Entity::Position& position);
    // Progress of what stands at this vt and has the queue's mean otherwise.
    [[nodiscard]] VirtualTime progress_at(const Entity::Position& position) const;
    [[nodiscard]] Int128 progress_part(const Entity::Position& position) const;
    void add_to_mean(VirtualSpan distance, std::uint32_t weight);
    [[gnu::noinline]] void add_to_mean_wide(VirtualSpan distance, std::uint32_t weight);
    void add_progress(Int128 weighted) {
        progress_sum_ += weighted;
        if (progress_sum_ != static_cast<std::int64_t>(progress_sum_)) [[unlikely]] {  // once in days
            rebase_progress();
        }
    }
    [[gnu::noinline]] void rebase_progress();

    Tree waiting_;
    Entity* running_{nullptr};
    std::uint32_t sum_weight_{0};  // over all members; 10 000 tasks of 1000 shares stay below 2^28
    VirtualTime base_;             // V: the weighted mean, rounded down
    std::int64_t weighted_sum_{
        0};                      // sum of weight * (vt - base_), what the rounding left: 0 .. sum_weight_ - 1
    std::uint64_t pace_sum_{0};  // over all members
    Int128 progress_sum_{0};     // sum of pace * (progress - progress_base_)
    VirtualTime progress_base_;
    VirtualSpan offset_{0};  // U - progress
    std::uint32_t wholes_{0};
    MaskGroups masks_;
};

inline bool ClassQueue::charge(Duration service, std::uint32_t capacity) {
    DCHECK(running_ != nullptr);
    Entity::Position& position = running_->position_;
    const VirtualSpan moved = advance(service, capacity, position.weight, position.carry);
    position.vt = position.vt + moved;
    // Fits: a service of less than 2^40 ns moves by less than 2^54 / weight. add_to_mean() of what is not
    // negative:
    const auto weighted = static_cast<std::uint64_t>(moved) * position.weight;
    const std::uint64_t sum = static_cast<std::uint64_t>(weighted_sum_) + weighted;
    base_ = base_ + static_cast<VirtualSpan>(sum / sum_weight_);
    weighted_sum_ = static_cast<std::int64_t>(sum % sum_weight_);
    add_progress(Int128{weighted});
    return !is_before(position.vt, position.request_end);
}

// A member came at this distance from V, or one left that stood as far on the other side: base_ is their mean
// again.
inline void ClassQueue::add_to_mean(VirtualSpan distance, std::uint32_t weight) {
    if (sum_weight_ == 0) {
        weighted_sum_ = 0;
        return;
    }
    std::int64_t sum = 0;
    if (__builtin_mul_overflow(distance, std::int64_t{weight}, &sum) ||
        __builtin_add_overflow(sum, weighted_sum_, &sum)) [[unlikely]] {
        add_to_mean_wide(distance, weight);
        return;
    }
    const auto by = std::int64_t{sum_weight_};
    std::int64_t drift = sum / by;
    std::int64_t left = sum % by;
    if (left < 0) {
        --drift;
        left += by;
    }
    base_ = base_ + drift;
    weighted_sum_ = left;
}

// Mostly it is at the front: from there up, as long as neither an item nor what is to its right has one, and
// down to it.
inline Entity* ClassQueue::first_eligible() const {
    Entity* item = waiting_.first();
    while (item != nullptr && !is_eligible(*item)) {
        Entity* const right = Tree::right(*item);
        if (right != nullptr && is_eligible(right->position_.min_vt)) {
            return first_eligible_below(right);
        }
        item = Tree::parent(*item);
    }
    return item;
}

}  // namespace kernel::sched
