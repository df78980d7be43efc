// SPDX-License-Identifier: MIT
#include <algorithm>

#include "reference_parts.hpp"

namespace sched_test::reference {

// --- What a task is at present ---

Duration Task::latency() const {
    const Duration own = attributes.latency;
    const Duration lent = is_donated ? donation.latency : Duration{};
    return own.is_zero() || lent.is_zero() ? std::max(own, lent) : std::min(own, lent);
}

std::uint32_t Task::weight_now() const {
    const std::uint32_t own = attributes.shares * 16;
    if (group == nullptr || group->ceiling == 0) {
        return own;
    }
    std::uint64_t sum = 0;
    for (const Task* member : group->runnable) {
        sum += member->attributes.shares * 16;
    }
    const std::uint64_t most = std::uint64_t{group->ceiling} * 16;
    return sum <= most ? own : std::max(16U, static_cast<std::uint32_t>(own * most / sum));
}

bool Task::wants_boost() const {
    return attributes.qos_class == QosClass::PerfBurst ||
           (is_donated && donation.qos_class == QosClass::PerfBurst);
}

QosClass Task::class_now() const {
    if (wants_boost() && !is_boosted) {
        return QosClass::Interactive;
    }
    return is_donated ? std::max(attributes.qos_class, donation.qos_class) : attributes.qos_class;
}

Hart::Hart(std::uint32_t cpu, Instant now, std::uint32_t capacity)
    : cpu_{cpu}, capacity_{capacity}, clock_{now} {}

// --- Sums, by looking at everyone ---

Wide Hart::sum_weight(const Class& of) {
    Wide sum = 0;
    for (const Task* task : of.members) {
        sum += task->weight;
    }
    return sum;
}

Wide Hart::virtual_now(const Class& of) {
    if (of.members.empty()) {
        return of.empty_at;
    }
    Wide sum = 0;
    for (const Task* task : of.members) {
        sum += task->vt * task->weight;
    }
    return floor_of(sum, sum_weight(of));
}

Wide Hart::progress_now(const Class& of) {
    if (of.members.empty()) {
        return of.empty_progress;
    }
    Wide sum = 0;
    for (const Task* task : of.members) {
        sum += task->progress * task->weight;
    }
    return floor_of(sum, sum_weight(of));
}

bool Hart::is_eligible(const Class& of, const Task& task) {
    Wide received_by_others = 0;
    for (const Task* other : of.members) {
        received_by_others += (other->vt - task.vt) * other->weight;
    }
    return received_by_others >= 0;  // the mean is not before it
}

Wide Hart::root_now() const {
    Wide sum = 0;
    Wide weights = 0;
    for (std::size_t i = 0; i < kClasses; ++i) {
        if (!classes_[i].members.empty()) {
            sum += classes_[i].vt * kClassTable[i].weight;
            weights += kClassTable[i].weight;
        }
    }
    return weights == 0 ? root_last_ : floor_of(sum, weights);
}

bool Hart::is_class_eligible(std::size_t index) const {
    return classes_[index].vt <= root_now() + span(kClassTable[index].warp, kClassTable[index].weight);
}

std::vector<Task*> Hart::waiting(const Class& of) const {
    std::vector<Task*> found;
    for (Task* task : of.members) {
        if (task != current_) {
            found.push_back(task);
        }
    }
    std::sort(found.begin(), found.end(), [](const Task* a, const Task* b) {
        return a->deadline != b->deadline ? a->deadline < b->deadline : a->order < b->order;
    });
    return found;
}

std::uint32_t Hart::runnable() const {
    std::size_t sum = 0;
    for (const Class& each : classes_) {
        sum += each.members.size();
    }
    return static_cast<std::uint32_t>(sum);
}

std::uint32_t Hart::count(QosClass qos_class) const {
    return static_cast<std::uint32_t>(classes_[index_of(qos_class)].members.size());
}

// --- Time ---

void Hart::account(Instant now) {
    if (now <= clock_) {
        return;
    }
    std::int64_t elapsed = (now - clock_).ns();
    clock_ = now;
    if (current_ == nullptr) {
        idle_ += Duration::nanoseconds(elapsed);
        return;
    }
    busy_ += Duration::nanoseconds(elapsed);
    current_->since = now;
    current_->runtime += Duration::nanoseconds(elapsed);
    spend(Instant::from_ns(now.ns() - elapsed), now);
    while (elapsed > 0) {
        std::int64_t piece = std::min(elapsed, kPiece);
        const bool is_boosted = current_->effective == QosClass::PerfBurst;
        if (is_boosted) {
            piece = std::min(piece, std::max(boost_left(*current_).ns(), std::int64_t{1}));
        }
        elapsed -= piece;
        const Instant at = Instant::from_ns(now.ns() - elapsed);
        charge(Duration::nanoseconds(piece), at);
        if (is_boosted) {
            drain(Duration::nanoseconds(piece), at);
        }
    }
}

void Hart::charge(Duration service, Instant at) {
    Task& task = *current_;
    const std::size_t index = index_of(task.effective);
    Class& its = classes_[index];
    const auto units = static_cast<std::uint64_t>(service.ns()) * capacity_ * 16;
    task.vt += (units + task.carry) / task.weight;
    task.progress += (units + task.carry) / task.weight;
    task.carry = (units + task.carry) % task.weight;
    const bool has_peer = its.members.size() > 1;
    const bool has_ended = task.vt >= task.request_end;
    if (has_ended) {
        task.fresh = false;
        const Wide next = task.request_end + span(request_of(task), task.weight);
        task.deadline = task.request_end =
            next > task.vt ? next : task.vt + span(request_of(task), task.weight);
        if (has_peer) {
            request_ended_ = true;
            resched_at_ = min(resched_at_, clock_);
        }
    }
    its.vt += (units + its.carry) / kClassTable[index].weight;
    its.carry = (units + its.carry) % kClassTable[index].weight;
    if (its.vt >= its.request_end) {
        its.deadline = its.request_end =
            its.vt + span(kClassTable[index].class_request, kClassTable[index].weight);
        if (its.members.size() < runnable()) {
            request_ended_ = true;
            resched_at_ = min(resched_at_, clock_);
        }
    }
    root_last_ = root_now();
    if (has_ended) {
        follow_weight(task);
        if (task.wants_boost() && !task.is_boosted) {
            count_boost(task, at);
            consider_boost(task);
            follow_class(task, at);
        }
    }
}

void Hart::drain(Duration ran, Instant at) {
    Task& task = *current_;
    task.boosted += ran;
    task.tokens = std::max(std::int64_t{0}, task.tokens - ran.ns() * 10);
    task.tokens_at = std::max(task.tokens_at, at);
    if (boost_left(task).is_zero()) {
        task.is_boosted = false;
        follow_class(task, at);
    }
}

// --- Coming and going ---

void Hart::raise_frame(Class& of, Wide global) const {
    if (of.members.empty() && of.empty_progress + of.offset < global) {
        of.offset = global - of.empty_progress;
    }
}

void Hart::raise_frame(QosClass qos_class, Wide global) {
    raise_frame(classes_[index_of(qos_class)], global);
}

void Hart::place(const Class& into, Task& task, Duration credit, bool keeps_credit) const {
    if (into.members.empty()) {
        task.vt = into.empty_at;
        task.progress = into.empty_progress;
        return;
    }
    const Wide now = virtual_now(into);
    const Wide progress_mean = progress_now(into);
    const Wide earliest = now - span(credit, task.weight);
    if (!task.has_global) {
        task.vt = earliest;
        task.progress = progress_mean - (now - earliest);
        return;
    }
    std::uint32_t lightest = task.weight;
    for (const Task* member : into.members) {
        lightest = std::min(lightest, member->weight);
    }
    const Wide fluid_turn = span(request_of(task), task.weight);
    const Wide latest =
        now + std::min(span(kLagMax, lightest), fluid_turn + span(kLagMax, sum_weight(into) + task.weight));
    const Wide progress = task.global - into.offset;
    const Wide vt = task.is_local ? task.vt : now - (progress_mean - progress);
    task.vt = std::min(std::max(vt, earliest), latest);
    const Wide placed = progress_mean - (now - task.vt);
    const Wide reach = span(kAccountMax, task.weight);
    task.progress = std::min(std::max(progress, keeps_credit ? placed - reach : placed), placed + reach);
}

void Hart::join(Task& task, std::size_t index, EnqueueReason reason) {
    Class& into = classes_[index];
    if (task.group != nullptr) {
        task.group->runnable.push_back(&task);
    }
    adopt_frame(task);
    if (runnable() <= 1) {
        resched_at_ = Instant::never();
        request_ended_ = false;
    }
    if (into.members.empty()) {
        into.vt = std::max(into.vt, root_now());
        into.deadline = into.request_end =
            into.vt + span(kClassTable[index].class_request, kClassTable[index].weight);
        if (task.has_global) {
            raise_frame(into, task.global);
        }
    }
    Duration credit;
    if (reason == EnqueueReason::Wake) {
        credit = kClassTable[index].task_request;
    } else if (reason == EnqueueReason::Migrate) {
        credit = kLagMax;
    }
    const Wide left_at = task.vt;
    place(into, task, credit, reason == EnqueueReason::Migrate);
    task.is_local = false;
    if (reason == EnqueueReason::Migrate && task.has_global && task.request_end > left_at) {
        task.deadline += task.vt - left_at;
        task.request_end += task.vt - left_at;
    } else {
        set_request(task, into);
    }
    into.members.push_back(&task);
    stop(task);
}

void Hart::set_request(Task& task, const Class& among) const {
    const Duration request = request_of(task);
    Duration lead = request;
    if (task.fresh && !task.latency().is_zero()) {
        const Wide part = Wide{task.latency().ns()} * task.weight / (sum_weight(among) + task.weight);
        lead = std::min(request, std::max(Duration::microseconds(100),
                                          Duration::nanoseconds(static_cast<std::int64_t>(part))));
    }
    task.request_end = task.vt + span(request, task.weight);
    task.deadline = task.vt + span(lead, task.weight);
}

void Hart::leave(Task& task, std::size_t index) {
    Class& from = classes_[index];
    task.lag = virtual_now(from) - task.vt;
    task.global = task.progress + from.offset;
    task.has_global = true;
    std::erase(from.members, &task);
    if (from.members.empty()) {
        from.empty_at = task.vt;
        from.empty_progress = task.progress;
    }
    task.frame = kernel::sched::class_at(index);
    if (task.group != nullptr) {
        std::erase(task.group->runnable, &task);
    }
}

void Hart::take_place(const Class& from, Task& task) {
    task.lag = virtual_now(from) - task.vt;
    task.global = progress_now(from) - task.lag + from.offset;
}

Preempt Hart::enqueue(Task& task, Instant now, EnqueueReason reason) {
    account(now);
    if (task.state == TaskState::Blocked) {
        if (reason == EnqueueReason::Wake) {
            note_woken(task, now);
        } else {
            begin_life(task, now);
        }
    }
    if (reason != EnqueueReason::New && task.hart != cpu_ && !task.runtime.is_zero()) {
        ++task.migrations;
    }
    task.is_local = task.is_local && task.hart == cpu_ && reason != EnqueueReason::Migrate;
    task.hart = cpu_;
    task.fresh = reason == EnqueueReason::Wake || (reason == EnqueueReason::Migrate && task.fresh);
    if (task.is_capped() && !task.budget->may_start(task.waiter, now)) {
        throttle(task, now, false);
        return {};
    }
    task.state = TaskState::Queued;
    join(task, index_of(task.effective), reason);
    return judge(task, now);
}

Preempt Hart::judge(const Task& task, Instant now) {
    if (current_ == nullptr) {
        return {.kind = Preempt::Kind::Now, .at = now};
    }
    const std::size_t index = index_of(task.effective);
    const std::size_t running = index_of(current_->effective);
    if (index < running) {
        return {};
    }
    if (index > running) {
        if (!is_class_eligible(index)) {
            return {};
        }
        for (std::size_t i = 0; i < index; ++i) {
            if (!classes_[i].members.empty()) {
                classes_[index].deadline = std::min(classes_[index].deadline, classes_[i].deadline - 1);
            }
        }
        resched_at_ = min(resched_at_, now);
        return {.kind = Preempt::Kind::Now, .at = now};
    }
    if (!is_eligible(classes_[index], task) || task.deadline >= current_->deadline) {
        return {};
    }
    const bool has_hint = task.fresh && !task.latency().is_zero();
    const Instant at = has_hint ? now : std::max(now, picked_at_ + kMinGranularity);
    resched_at_ = min(resched_at_, at);
    return {.kind = at == now ? Preempt::Kind::Now : Preempt::Kind::At, .at = at};
}

void Hart::remove(Task& task, Instant now) {
    account(now);
    if (task.state == TaskState::Throttled) {
        unthrottle(task, now);
    } else {
        leave(task, index_of(task.effective));
    }
    task.state = TaskState::Migrating;
}

void Hart::put_current(Instant now, PutReason reason) {
    account(now);
    Task& task = *current_;
    const std::size_t index = index_of(task.effective);
    const std::vector<Task*> others = waiting(classes_[index]);
    const bool is_exhausted = task.is_capped() && task.granted.is_zero();
    return_grant(task);
    current_ = nullptr;
    task.since = now;
    if (reason == PutReason::Preempted) {
        stop(task);
        task.state = TaskState::Queued;
        ++task.involuntary;
        task.preempted += request_ended_ ? 0 : 1;
    } else if (reason == PutReason::Yield) {
        task.fresh = false;
        task.deadline = task.request_end = task.vt + span(request_of(task), task.weight);
        for (const Task* other : others) {
            task.deadline = std::max(task.deadline, other->deadline);
        }
        stop(task);
        task.state = TaskState::Queued;
        ++task.voluntary;
    } else {
        leave(task, index);
        if (reason == PutReason::Migrate) {
            task.state = TaskState::Migrating;
            ++task.involuntary;
        } else {
            task.state = reason == PutReason::Exit ? TaskState::Dead : TaskState::Blocked;
            ++task.voluntary;
        }
    }
    if (is_exhausted && task.state == TaskState::Queued) {
        throttle(task, now, true);
    }
}

// Nobody is there, or will be by a budget's return, to take the rest of the request: it is kept.
bool Hart::yield_alone() {
    if (runnable() != 1 || !throttled_.empty() || current_->budget != nullptr) {
        return false;
    }
    ++current_->voluntary;
    return true;
}

Choice Hart::pick_next(Instant now) {
    account(now);
    constexpr int kReleases = 16;
    for (int i = 0; i < kReleases; ++i) {
        Task* const first = first_throttled();
        if (first == nullptr || first->release_at > now) {
            break;
        }
        reconsider(*first, now);
    }
    Task* const previous = current_;
    if (previous != nullptr) {
        const bool is_exhausted = previous->is_capped() && previous->granted.is_zero();
        stop(*previous);
        current_ = nullptr;
        return_grant(*previous);
        if (is_exhausted) {
            previous->since = now;
            throttle(*previous, now, true);
        }
    }
    current_ = choose(now);
    resched_at_ = Instant::never();
    const bool was_ended = request_ended_;
    request_ended_ = false;
    if (current_ == previous) {
        return {.task = current_, .switched = false};
    }
    if (previous != nullptr) {
        ++previous->involuntary;
        if (previous->state == TaskState::Running) {
            previous->state = TaskState::Queued;
            previous->since = now;
            previous->preempted += was_ended ? 0 : 1;
        }
    }
    if (current_ != nullptr) {
        const Duration waited = std::max(Duration{}, now - current_->since);
        current_->wait += waited;
        current_->wait_max = std::max(current_->wait_max, waited);
        current_->wake_pending = false;
        current_->state = TaskState::Running;
        current_->since = now;
        picked_at_ = now;
        // The bucket of who is not boosted fills without being looked at, whatever the time says next: a
        // change of attributes may come with an instant that is already past.
        if (current_->effective == QosClass::PerfBurst) {
            count_boost(*current_, now);
        }
    }
    const bool switched = current_ != last_run_;
    last_run_ = current_;
    return {.task = current_, .switched = switched};
}

Task* Hart::choose(Instant now) {
    constexpr int kTries = 16;
    for (int i = 0; i < kTries && runnable() != 0; ++i) {
        const Class* from = nullptr;
        for (std::size_t index = kClasses; index-- > 0;) {
            if (!classes_[index].members.empty() && is_class_eligible(index) &&
                (from == nullptr || classes_[index].deadline < from->deadline)) {
                from = &classes_[index];
            }
        }
        Task* next = nullptr;
        for (Task* task : waiting(*from)) {
            if (next == nullptr && is_eligible(*from, *task)) {
                next = task;
            }
        }
        if (take_grant(*next, now)) {
            return next;
        }
        throttle(*next, now, true);
    }
    return nullptr;
}

}  // namespace sched_test::reference
