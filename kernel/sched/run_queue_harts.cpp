// SPDX-License-Identifier: MIT
// RunQueue, fourth part: what other harts take from it, tell it and see of it.
#include <algorithm>

#include "lib/check.hpp"
#include "sched/run_queue.hpp"

namespace kernel::sched {

Entity* RunQueue::find_stealable(CpuId thief) const {
    for (std::size_t i = kClasses; i-- > 0;) {
        if (Entity* found = find_stealable(thief, i); found != nullptr) {
            return found;
        }
    }
    return nullptr;
}

Entity* RunQueue::find_stealable(CpuId thief, std::size_t class_index) const {
    DCHECK(woken_ == nullptr);
    return faults_.stay_put ? nullptr : classes_[class_index].queue.find_stealable(thief, faults_);
}

bool RunQueue::wants_frame(std::size_t class_index, Instant now) const {
    const RootMember& member = classes_[class_index];
    return member.queue.empty() && now - member.frame_set_at >= kFrameSpacing;
}

void RunQueue::set_frame(std::size_t class_index, VirtualTime global, Instant now) {
    catch_up();
    classes_[class_index].frame_set_at = now;
    classes_[class_index].queue.set_frame(global);
}

void RunQueue::raise_frame(QosClass qos_class, VirtualTime global) {
    catch_up();
    ClassQueue& queue = classes_[index_of(qos_class)].queue;
    if (is_before(queue.global_now(), global)) {
        queue.set_frame(global);
    }
}

void RunQueue::set_rates(std::size_t class_index, const RateTable& rates, Instant now) {
    account(now);
    rates_[class_index] = rates;
    classes_[class_index].has_rates = rates.generation != 0;
    ClassQueue& queue = classes_[class_index].queue;
    if (queue.running() != nullptr) {
        queue.follow_pace(*queue.running(), rates);
    }
}

void RunQueue::shift_frames(const std::array<VirtualSpan, kClasses>& shifts, std::uint32_t epoch) {
    if (static_cast<std::int32_t>(epoch - epoch_) <= 0) {
        return;
    }
    catch_up();
    usual_until_ = Instant{};
    epoch_ = epoch;
    for (std::size_t i = 0; i < kClasses; ++i) {
        classes_[i].queue.shift_frame(shifts[i]);
    }
}

HartLoad RunQueue::load() const {
    DCHECK(woken_ == nullptr);
    HartLoad load;
    load.capacity = static_cast<std::uint16_t>(capacity_);
    load.epoch = epoch_;
    load.at = clock_;
    if (current_ != nullptr) {
        load.running_class = static_cast<std::uint8_t>(current_->effective());
        load.running_mask =
            faults_.ignore_affinity ? CpuMask::all() : current_->attributes.affinity_effective;
    }
    load.runnable = runnable_;
    for (std::size_t i = 0; i < kClasses; ++i) {
        const ClassQueue& queue = classes_[i].queue;
        load.weight[i] = queue.sum_weight();
        load.pace[i] =
            static_cast<std::uint32_t>(std::min<std::uint64_t>(queue.pace_sum(), RateTable::kNoLimit));
        load.global[i] = queue.global_now();
        load.lightest[i] = queue.lightest();
        load.whole_classes =
            static_cast<std::uint8_t>(load.whole_classes | (queue.wholes() != 0 ? 1U << i : 0U));
        if (const Entity* root = queue.waiting().root(); root != nullptr) {
            load.waiting_mask[i] = faults_.ignore_affinity ? CpuMask::all() : root->position_.any_allowed;
            load.least[i] = load.global[i] - (queue.virtual_now() - root->position_.min_vt);
            load.heaviest[i] = root->position_.weights.greatest();
        }
    }
    return load;
}

}  // namespace kernel::sched
