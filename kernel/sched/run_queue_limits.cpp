// SPDX-License-Identifier: MIT
// RunQueue, third part: what raises and lowers a task from outside its own attributes. Boost, donation,
// budgets, groups.
#include <algorithm>

#include "lib/check.hpp"
#include "sched/run_queue.hpp"

namespace kernel::sched {

// --- Class and boost ---

QosClass RunQueue::class_of(const Entity& entity) {
    const bool is_boosted = entity.is_boosted_ || !wants_boost(entity);
    const QosClass wanted = entity.is_donated_
                                ? std::max(entity.attributes.qos_class, entity.donation_.qos_class)
                                : entity.attributes.qos_class;
    return is_boosted ? wanted : QosClass::Interactive;
}

bool RunQueue::wants_boost(const Entity& entity) {
    return entity.attributes.qos_class == QosClass::PerfBurst ||
           (entity.is_donated_ && entity.donation_.qos_class == QosClass::PerfBurst);
}

// Brings the bucket up to now, as what the entity was until now.
void RunQueue::count_boost(Entity& entity, Instant now) {
    const bool is_spared = entity.effective_ == QosClass::PerfBurst && entity.state_ != TaskState::Blocked;
    if (is_spared) {
        entity.boost_.skip(now);
    } else {
        entity.boost_.fill(now, BoostBucket::capacity(entity.attributes.burst));
    }
}

// At a wake-up, the end of a request or a change of class: a boost may begin, and one nobody wants ends. Pre:
// the bucket is up to date.
void RunQueue::consider_boost(Entity& entity) {
    const Duration capacity = BoostBucket::capacity(entity.attributes.burst);
    entity.is_boosted_ = wants_boost(entity) && (entity.is_boosted_ || entity.boost_.may_start(capacity));
}

void RunQueue::settle_class(Entity& entity, Instant now) {
    if (wants_boost(entity)) {
        count_boost(entity, now);
        consider_boost(entity);
    } else {
        entity.is_boosted_ = false;  // its bucket fills without being looked at
    }
    entity.effective_ = class_of(entity);
}

// The current entity ran boosted until `at`; without tokens it is Interactive from there on.
void RunQueue::drain_boost(Duration ran, Instant at) {
    Entity& entity = *current_;
    entity.statistics_.boosted += ran;
    if (faults_.endless_boost) {
        entity.boost_.skip(at);
        return;
    }
    entity.boost_.drain(ran, at);
    if (entity.boost_.left().is_zero()) {
        entity.is_boosted_ = false;
        follow_class(entity, at);
    }
}

// What it received ahead of its share goes along to the new class, credit does not.
void RunQueue::follow_class(Entity& entity, Instant now) {
    const QosClass to = class_of(entity);
    if (to == entity.effective_) {
        return;
    }
    if (!entity.is_on_queue()) {
        rescale_saved(entity, to, weight_of(entity), now);
        entity.effective_ = to;
        return;
    }
    leave(entity, index_of(entity.effective_));
    rescale_saved(entity, to, weight_of(entity), now);
    entity.effective_ = to;
    join(entity, index_of(to), EnqueueReason::New);
    if (entity.state_ == TaskState::Running) {
        classes_[index_of(to)].queue.start(entity);
        want_resched(now);
    } else {
        judge(entity, now);
    }
}

// --- Donation ---

void RunQueue::set_donation(Entity& entity, const Donation& donation, Instant now) {
    account(now);
    if (faults_.no_donation || entity.state_ == TaskState::Dead) {
        return;
    }
    CHECK(!is_here(entity) || entity.cpu_ == cpu_);
    return_grant(entity);
    count_boost(entity, now);
    const Duration hint = entity.latency();
    entity.is_donated_ = true;
    entity.donation_ = donation;
    // A lent boost is drawn from the bucket of the one who runs, so it ends like any other.
    entity.is_boosted_ = wants_boost(entity) && !entity.boost_.left().is_zero();
    const QosClass before = entity.effective_;
    follow_class(entity, now);
    if (entity.state_ == TaskState::Throttled) {
        release(entity, now);
    } else if (entity.state_ == TaskState::Queued && entity.effective_ == before &&
               entity.latency() != hint) {
        hasten(entity, now);
    }
}

void RunQueue::end_donation(Entity& entity, Instant now) {
    account(now);
    if (!entity.is_donated_) {
        return;
    }
    CHECK(!is_here(entity) || entity.cpu_ == cpu_);
    count_boost(entity, now);
    entity.is_donated_ = false;
    entity.donation_ = Donation{};
    entity.is_boosted_ = entity.is_boosted_ && wants_boost(entity);
    follow_class(entity, now);
    if (entity.state_ == TaskState::Running && !take_grant(entity, now)) {
        want_resched(now);
    }
}

// A waiting entity's hint became shorter: its deadline comes forward as if it had just woken.
void RunQueue::hasten(Entity& entity, Instant now) {
    ClassQueue& queue = classes_[index_of(entity.effective_)].queue;
    const VirtualTime deadline = entity.position_.deadline;
    const VirtualTime request_end = entity.position_.request_end;
    queue.remove(entity);
    entity.position_.fresh = true;
    begin_request(entity, queue);
    entity.position_.deadline = earlier(entity.position_.deadline, deadline);
    entity.position_.request_end = request_end;
    queue.add_waiting(entity);
    judge(entity, now);
}

// --- Budgets ---

bool RunQueue::is_capped(const Entity& entity) const {
    return entity.budget_ != nullptr && !entity.is_donated_ && !faults_.no_budget;
}

// True: the entity may run. Pre: it holds no grant.
bool RunQueue::take_grant(Entity& entity, Instant now) const {
    if (!is_capped(entity)) {
        return true;
    }
    entity.granted_ = entity.budget_->grant(now);
    entity.waiter_.has_turn = entity.waiter_.has_turn && entity.granted_.is_zero();
    return !entity.granted_.is_zero();
}

void RunQueue::return_grant(Entity& entity) {
    if (!entity.granted_.is_zero()) {
        entity.budget_->give_back(entity.granted_);
        entity.granted_ = Duration{};
    }
}

// The current entity ran during [from, to).
void RunQueue::spend(Instant from, Instant to) {
    Entity& entity = *current_;
    const bool is_lent = entity.is_donated_ && entity.donation_.budget != nullptr;
    Budget* const payer = is_lent ? entity.donation_.budget : entity.budget_;
    if (payer == nullptr || faults_.no_budget) {
        return;
    }
    const Duration granted = std::min(entity.granted_, to - from);
    entity.granted_ -= granted;
    payer->use(from, to, granted, is_lent);
    if (is_capped(entity) && entity.granted_.is_zero()) {
        entity.granted_ = payer->renew(to);
        if (entity.granted_.is_zero()) {
            want_resched(to);
        }
    }
}

// Pre: waiting here, or just counted out of everything (`is_waiting` false).
void RunQueue::throttle(Entity& entity, Instant now, bool is_waiting) {
    if (is_waiting) {
        leave(entity, index_of(entity.effective_));
    }
    Statistics& statistics = entity.statistics_;
    const Duration waited = std::max(Duration{}, now - entity.since_);
    statistics.wait += waited;
    statistics.wait_max = std::max(statistics.wait_max, waited);
    ++statistics.throttles;
    entity.wake_pending_ = false;  // what it waits for from here on is not the scheduler
    entity.state_ = TaskState::Throttled;
    entity.position_.is_local = false;
    entity.since_ = now;
    entity.budget_->wait(entity.waiter_);
    entity.release_at_ = entity.budget_->ask_again_at(entity.waiter_, now);
    throttled_.insert(entity);
}

// Ends the throttled state. Post: on no queue; since_ is now.
void RunQueue::unthrottle(Entity& entity, Instant now) {
    throttled_.erase(entity);
    if (entity.budget_ != nullptr) {
        entity.budget_->stop_waiting(entity.waiter_);
    }
    entity.statistics_.throttled += std::max(Duration{}, now - entity.since_);
    entity.since_ = now;
}

// A throttled entity may run again.
void RunQueue::release(Entity& entity, Instant now) {
    unthrottle(entity, now);
    entity.waiter_.has_turn = true;
    entity.state_ = TaskState::Queued;
    join(entity, index_of(entity.effective_), EnqueueReason::Wake);
    judge(entity, now);
}

// Those whose budget has come back, a bounded number at a time: next_event() stays due for the rest.
void RunQueue::release_due(Instant now) {
    for (std::uint32_t i = 0; i < kReleasesPerPick; ++i) {
        Entity* const first = throttled_.first();
        if (first == nullptr || first->release_at_ > now) {
            return;
        }
        reconsider_throttled(*first, now);
    }
}

void RunQueue::reconsider_throttled(Entity& entity, Instant now) {
    if (!is_capped(entity) || entity.budget_->may_go_on(entity.waiter_, now)) {
        release(entity, now);
        return;
    }
    throttled_.erase(entity);
    entity.release_at_ = entity.budget_->ask_again_at(entity.waiter_, now);
    throttled_.insert(entity);
}

void RunQueue::set_budget(Entity& entity, Budget* budget, Instant now) {
    account(now);
    CHECK(!is_here(entity) || entity.cpu_ == cpu_);
    return_grant(entity);
    if (entity.budget_ != budget) {
        const bool waits = entity.state_ == TaskState::Throttled;
        if (entity.budget_ != nullptr) {
            if (waits) {
                entity.budget_->stop_waiting(entity.waiter_);
            }
            entity.budget_->detach();
        }
        if (budget != nullptr) {
            budget->attach(now);
            if (waits) {
                budget->wait(entity.waiter_);
            }
        }
        entity.budget_ = budget;
    }
    if (entity.state_ == TaskState::Throttled) {
        reconsider_throttled(entity, now);
    } else if (entity.state_ == TaskState::Running && !take_grant(entity, now)) {
        want_resched(now);
    }
}

// --- Groups ---

void RunQueue::set_group(Entity& entity, Group* group, Instant now) {
    account(now);
    CHECK(!is_here(entity) || entity.cpu_ == cpu_);
    const bool counts = entity.is_on_queue();
    if (counts) {
        count_out_of_group(entity);
    }
    entity.group_ = group;
    if (counts) {
        count_into_group(entity);
        follow_weight(entity);
    }
}

void RunQueue::count_into_group(Entity& entity) const {
    if (entity.group_ != nullptr) {
        entity.group_weight_ = own_weight_of(entity);
        entity.group_->count_in(entity.group_weight_);
    }
}

void RunQueue::count_out_of_group(Entity& entity) {
    if (entity.group_ != nullptr) {
        entity.group_->count_out(entity.group_weight_);
        entity.group_weight_ = 0;
    }
}

// Pre: on this queue.
void RunQueue::follow_weight(Entity& entity) {
    const std::uint32_t weight = weight_of(entity);
    if (weight != entity.position_.weight) {
        classes_[index_of(entity.effective_)].queue.reweigh(entity, weight);
    }
}

std::uint32_t RunQueue::own_weight_of(const Entity& entity) const {
    const std::uint32_t shares = faults_.ignore_shares ? nexus_abi::kSharesDefault : entity.attributes.shares;
    return shares * kWeightPerShare;
}

std::uint32_t RunQueue::weight_of(const Entity& entity) const {
    const std::uint32_t own = own_weight_of(entity);
    return entity.group_ == nullptr ? own : entity.group_->effective(own);
}

bool RunQueue::is_here(const Entity& entity) {
    return entity.is_on_queue() || entity.state_ == TaskState::Throttled;
}

}  // namespace kernel::sched
