// SPDX-License-Identifier: MIT
// The reference model, second part: changes, loans, caps and groups, and what can be asked.
#include <algorithm>

#include "reference_parts.hpp"

namespace sched_test::reference {

// --- Changes ---

bool Hart::set_attributes(Task& task, const Attributes& attributes, Instant now) {
    account(now);
    count_boost(task, now);
    task.attributes = attributes;
    consider_boost(task);
    const bool is_forbidden = !attributes.affinity_effective.contains(CpuId{cpu_});
    if (!task.is_on_queue()) {
        rescale_saved(task, task.class_now(), task.weight_now(), now);
        task.effective = task.class_now();
        return task.state == TaskState::Throttled && is_forbidden;
    }
    if (task.class_now() != task.effective) {
        follow_class(task, now);
    } else {
        follow_weight(task);
    }
    return is_forbidden;
}

void Hart::follow_class(Task& task, Instant now) {
    const QosClass to = task.class_now();
    if (to == task.effective) {
        return;
    }
    if (!task.is_on_queue()) {
        rescale_saved(task, to, task.weight_now(), now);
        task.effective = to;
        return;
    }
    const bool is_running = &task == current_;
    leave(task, index_of(task.effective));
    rescale_saved(task, to, task.weight_now(), now);
    task.effective = to;
    join(task, index_of(to), EnqueueReason::New);
    if (is_running) {
        resched_at_ = min(resched_at_, now);
    } else {
        judge(task, now);
    }
}

void Hart::follow_weight(Task& task) {
    if (task.weight_now() != task.weight) {
        reweigh(task, task.weight_now());
    }
}

void Hart::reweigh(Task& task, std::uint32_t weight) {
    const Wide now = virtual_now(classes_[index_of(task.effective)]);
    const Wide progress_mean = progress_now(classes_[index_of(task.effective)]);
    const Wide vt = now - rescaled(now - task.vt, task.weight, weight);
    task.progress = progress_mean - (now - vt);
    const bool has_yielded = task.deadline > task.request_end;
    const Wide request_end = vt + rest_rescaled(task.request_end - task.vt, task.weight, weight);
    task.deadline = has_yielded ? std::max(task.deadline, request_end)
                                : vt + rescaled(task.deadline - task.vt, task.weight, weight);
    task.request_end = request_end;
    task.vt = vt;
    task.weight = weight;
    stop(task);
}

void Hart::rescale_saved(Task& task, QosClass to, std::uint32_t weight, Instant now) {
    if (now - task.since > kSleepHorizon) {
        task.has_global = false;
    }
    if (!task.has_global) {
        return;
    }
    if (task.state == TaskState::Blocked) {
        take_place(classes_[index_of(task.frame)], task);
    }
    constexpr Wide kLongest = Wide{1} << 52;
    Wide lag = std::clamp(global_now(task.frame) - task.global, -kLongest, kLongest);
    if (task.frame != to) {
        lag = std::min(lag, Wide{0});
        task.lag = std::min(task.lag, Wide{0});
    }
    const std::uint32_t before = task.weight;
    task.frame = to;
    task.global = global_now(to) - rescaled(lag, task.weight, weight);
    task.lag = rescaled(task.lag, task.weight, weight);
    const Wide lead = rescaled(task.deadline - task.vt, task.weight, weight);
    const Wide rest = rest_rescaled(task.request_end - task.vt, task.weight, weight);
    if (task.state == TaskState::Blocked) {
        task.vt = virtual_now(classes_[index_of(to)]) - rescaled(lag, before, weight);
    }
    task.deadline = task.vt + lead;
    task.request_end = task.vt + rest;
    task.weight = weight;
}

void Hart::adopt_frame(Task& task) {
    const std::uint32_t weight = task.weight_now();
    if (task.has_global && task.frame != task.effective) {
        task.lag = std::min(task.lag, Wide{0});
        task.global = global_now(task.effective) - task.lag;
        task.frame = task.effective;
        task.is_local = false;
    }
    if (task.has_global && task.weight != weight) {
        task.is_local = false;
        rescale_saved(task, task.effective, weight, task.since);
    }
    task.weight = weight;
}

void Hart::note_woken(Task& task, Instant now) {
    const Duration slept = std::max(Duration{}, now - task.since);
    if (slept > kSleepHorizon) {
        task.has_global = false;
    }
    if (task.has_global && task.hart == cpu_) {
        take_place(classes_[index_of(task.frame)], task);
        task.is_local = true;
    }
    task.sleep += slept;
    settle_class(task, now);
    task.state = TaskState::Migrating;
    task.since = task.woken_at = now;
    task.wake_pending = true;
}

void Hart::note_created(Task& task, Instant now) {
    begin_life(task, now);
    task.state = TaskState::Migrating;
}

void Hart::inherit_position(Task& child, const Task& parent) {
    child.effective = child.frame = child.class_now();
    child.weight = child.weight_now();
    const Class& its = classes_[index_of(child.effective)];
    const Wide origin = child.effective == parent.effective ? parent.vt : virtual_now(its);
    child.vt = origin + span(request_of(child) / 2, child.weight);
    take_place(its, child);
    child.is_local = true;
    child.has_global = true;
    child.hart = cpu_;
}

// --- Lent, capped, grouped ---

void Hart::set_donation(Task& task, const kernel::sched::Donation& donation, Instant now) {
    account(now);
    if (task.state == TaskState::Dead) {
        return;
    }
    return_grant(task);
    count_boost(task, now);
    const Duration hint = task.latency();
    const QosClass before = task.effective;
    task.is_donated = true;
    task.donation = donation;
    task.is_boosted = task.wants_boost() && !boost_left(task).is_zero();
    follow_class(task, now);
    if (task.state == TaskState::Throttled) {
        release(task, now);
    } else if (task.state == TaskState::Queued && task.effective == before && task.latency() != hint) {
        hasten(task, now);
    }
}

void Hart::end_donation(Task& task, Instant now) {
    account(now);
    if (!task.is_donated) {
        return;
    }
    count_boost(task, now);
    task.is_donated = false;
    task.donation = {};
    task.is_boosted = task.is_boosted && task.wants_boost();
    follow_class(task, now);
    if (task.state == TaskState::Running && !take_grant(task, now)) {
        resched_at_ = min(resched_at_, now);
    }
}

void Hart::hasten(Task& task, Instant now) {
    Class& its = classes_[index_of(task.effective)];
    task.lag = virtual_now(its) - task.vt;
    task.global = task.progress + its.offset;
    task.has_global = true;
    std::erase(its.members, &task);
    if (its.members.empty()) {
        its.empty_at = task.vt;
        its.empty_progress = task.progress;
    }
    const Wide deadline = task.deadline;
    const Wide request_end = task.request_end;
    task.fresh = true;
    set_request(task, its);
    task.deadline = std::min(task.deadline, deadline);
    task.request_end = request_end;
    its.members.push_back(&task);
    stop(task);
    judge(task, now);
}

bool Hart::take_grant(Task& task, Instant now) {
    task.granted = task.is_capped() ? task.budget->grant(now) : Duration{};
    if (!task.granted.is_zero()) {
        task.waiter.has_turn = false;
    }
    return !task.is_capped() || !task.granted.is_zero();
}

void Hart::return_grant(Task& task) {
    if (!task.granted.is_zero()) {
        task.budget->give_back(task.granted);
        task.granted = Duration{};
    }
}

void Hart::spend(Instant from, Instant to) {
    Task& task = *current_;
    const bool is_lent = task.is_donated && task.donation.budget != nullptr;
    kernel::sched::Budget* const payer = is_lent ? task.donation.budget : task.budget;
    if (payer == nullptr) {
        return;
    }
    const Duration granted = std::min(task.granted, to - from);
    task.granted -= granted;
    payer->use(from, to, granted, is_lent);
    if (task.is_capped() && task.granted.is_zero()) {
        task.granted = payer->renew(to);
        if (task.granted.is_zero()) {
            resched_at_ = min(resched_at_, to);
        }
    }
}

void Hart::throttle(Task& task, Instant now, bool is_waiting) {
    if (is_waiting) {
        leave(task, index_of(task.effective));
    }
    const Duration waited = std::max(Duration{}, now - task.since);
    task.wait += waited;
    task.wait_max = std::max(task.wait_max, waited);
    ++task.throttles;
    task.wake_pending = false;
    task.state = TaskState::Throttled;
    task.is_local = false;
    task.since = now;
    task.budget->wait(task.waiter);
    task.release_at = task.budget->ask_again_at(task.waiter, now);
    throttled_.push_back(&task);
}

void Hart::unthrottle(Task& task, Instant now) {
    std::erase(throttled_, &task);
    if (task.budget != nullptr) {
        task.budget->stop_waiting(task.waiter);
    }
    task.throttled += std::max(Duration{}, now - task.since);
    task.since = now;
}

void Hart::release(Task& task, Instant now) {
    unthrottle(task, now);
    task.waiter.has_turn = true;
    task.state = TaskState::Queued;
    join(task, index_of(task.effective), EnqueueReason::Wake);
    judge(task, now);
}

void Hart::reconsider(Task& task, Instant now) {
    if (!task.is_capped() || task.budget->may_go_on(task.waiter, now)) {
        release(task, now);
        return;
    }
    std::erase(throttled_, &task);
    task.release_at = task.budget->ask_again_at(task.waiter, now);
    throttled_.push_back(&task);
}

Task* Hart::first_throttled() const {
    Task* first = nullptr;
    for (Task* task : throttled_) {  // the one that came first, of several
        if (first == nullptr || task->release_at < first->release_at) {
            first = task;
        }
    }
    return first;
}

void Hart::set_budget(Task& task, kernel::sched::Budget* budget, Instant now) {
    account(now);
    return_grant(task);
    if (task.budget != budget) {
        const bool waits = task.state == TaskState::Throttled;
        if (task.budget != nullptr) {
            if (waits) {
                task.budget->stop_waiting(task.waiter);
            }
            task.budget->detach();
        }
        if (budget != nullptr) {
            budget->attach(now);
            if (waits) {
                budget->wait(task.waiter);
            }
        }
        task.budget = budget;
    }
    if (task.state == TaskState::Throttled) {
        reconsider(task, now);
    } else if (task.state == TaskState::Running && !take_grant(task, now)) {
        resched_at_ = min(resched_at_, now);
    }
}

void Hart::set_group(Task& task, Group* group, Instant now) {
    account(now);
    if (task.is_on_queue() && task.group != nullptr) {
        std::erase(task.group->runnable, &task);
    }
    task.group = group;
    if (task.is_on_queue()) {
        if (group != nullptr) {
            group->runnable.push_back(&task);
        }
        follow_weight(task);
    }
}

// --- Questions ---

Instant Hart::next_event(Instant now) const {
    if (current_ == nullptr && runnable() != 0) {
        return now;
    }
    const Task* const first = first_throttled();
    Instant budget = first == nullptr ? Instant::never() : first->release_at;
    if (current_ != nullptr && current_->is_capped()) {
        budget = min(budget, clock_ + current_->granted);
    }
    if (runnable() <= 1) {
        return budget;
    }
    const std::size_t index = index_of(current_->effective);
    const Class& its = classes_[index];
    Instant event = min(budget, resched_at_);
    if (current_->effective == QosClass::PerfBurst) {
        event = min(event, clock_ + boost_left(*current_));
    }
    const auto time_to = [this](Wide distance, std::uint32_t weight, std::uint64_t carry) {
        const Wide units = distance * weight - static_cast<Wide>(carry);
        const Wide ns = units <= 0 ? Wide{0} : ceiling_of(units, Wide{capacity_} * 16);
        return clock_ + Duration::nanoseconds(static_cast<std::int64_t>(ns));
    };
    if (its.members.size() > 1) {
        event = min(event, time_to(current_->request_end - current_->vt, current_->weight, current_->carry));
    }
    if (its.members.size() < runnable()) {
        event = min(event, time_to(its.request_end - its.vt, kClassTable[index].weight, its.carry));
    }
    return event;
}

Task* Hart::find_stealable(CpuId thief) const {
    constexpr int kProbes = 16;
    for (std::size_t i = kClasses; i-- > 0;) {
        Task* least = nullptr;
        int probed = 0;
        for (Task* task : waiting(classes_[i])) {
            if (task->attributes.affinity_effective.contains(thief) && probed++ < kProbes &&
                (least == nullptr || task->vt < least->vt)) {
                least = task;
            }
        }
        if (least != nullptr) {
            return least;
        }
    }
    return nullptr;
}

HartLoad Hart::load() const {
    HartLoad load;
    if (current_ != nullptr) {
        load.running_class = static_cast<std::uint8_t>(current_->effective);
    }
    load.runnable = runnable();
    for (std::size_t i = 0; i < kClasses; ++i) {
        load.weight[i] = static_cast<std::uint32_t>(sum_weight(classes_[i]));
        load.global[i] =
            kernel::sched::VirtualTime::from_raw(wrapped(progress_now(classes_[i]) + classes_[i].offset));
        for (const Task* task : classes_[i].members) {
            const bool is_first = load.lightest[i] == 0;
            load.lightest[i] = is_first ? task->weight : std::min(load.lightest[i], task->weight);
        }
        const std::vector<Task*> all = waiting(classes_[i]);
        Wide least = all.empty() ? Wide{0} : all.front()->vt;
        for (const Task* task : all) {
            load.waiting_mask[i] = load.waiting_mask[i] | task->attributes.affinity_effective;
            load.heaviest[i] = std::max(load.heaviest[i], task->weight);
            least = std::min(least, task->vt);
        }
        load.least[i] = kernel::sched::VirtualTime::from_raw(
            wrapped(global_now(kernel::sched::class_at(i)) - (virtual_now(classes_[i]) - least)));
    }
    return load;
}

Duration Hart::lag(const Task& task) const {
    if (!task.is_on_queue() || task.hart != cpu_) {
        return Duration{};
    }
    const Wide service =
        (virtual_now(classes_[index_of(task.effective)]) - task.vt) * task.weight / kUnitsPerNs;
    return Duration::nanoseconds(static_cast<std::int64_t>(service));
}

Wide Hart::global_now(QosClass qos_class) const {
    const Class& its = classes_[index_of(qos_class)];
    return progress_now(its) + its.offset;
}

}  // namespace sched_test::reference
