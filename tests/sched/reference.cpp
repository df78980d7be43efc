// SPDX-License-Identifier: MIT
#include "reference.hpp"

#include <algorithm>

namespace sched_test::reference {

namespace {

using kernel::sched::index_of;
using kernel::sched::kClassTable;

constexpr Wide kUnitsPerNs = Wide{1} << 14;  // of weight 1
// A hart that stood still is charged in pieces of at most this, and each may end a request.
constexpr std::int64_t kPiece = std::int64_t{1} << 39;

// Rounds towards minus infinity.
Wide floor_of(Wide dividend, Wide divisor) {
    const Wide quotient = dividend / divisor;
    return dividend % divisor < 0 ? quotient - 1 : quotient;
}
Wide ceiling_of(Wide dividend, Wide divisor) {
    return -floor_of(-dividend, divisor);
}
// How far `service` moves something of this weight.
Wide span(Duration service, Wide weight) {
    return Wide{service.ns()} * kUnitsPerNs / weight;
}
Wide rescaled(Wide distance, std::uint32_t from, std::uint32_t to) {
    return floor_of(distance * from, to);
}
Duration request_of(const Task& task) {
    if (task.attributes.burst.is_zero()) {
        return kClassTable[index_of(task.effective)].task_request;
    }
    return std::clamp(task.attributes.burst, Duration::microseconds(100), Duration::milliseconds(20));
}
constexpr Duration kSleepHorizon = Duration::seconds(3600);
constexpr Duration kLagMax = Duration::milliseconds(32);
constexpr Duration kMinGranularity = Duration::microseconds(500);

}  // namespace

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

namespace {

// The bucket: full at `capacity` of boost, ten tenths of a nanosecond each.
Duration capacity_of(const Task& task) {
    const Duration hint = task.attributes.burst;
    return hint.is_zero() ? Duration::milliseconds(20)
                          : std::clamp(hint, Duration::milliseconds(1), Duration::milliseconds(50));
}
Duration boost_left(const Task& task) {
    return Duration::nanoseconds(task.tokens / 10);
}
// Time up to now: fills the bucket unless the task was boosted and awake.
void count_boost(Task& task, Instant now) {
    const bool is_boosted = task.effective == QosClass::PerfBurst && task.state != TaskState::Blocked;
    if (!is_boosted) {
        const std::int64_t passed = std::max(std::int64_t{0}, (now - task.tokens_at).ns());
        task.tokens = static_cast<std::int64_t>(
            std::min(Wide{task.tokens} + passed, Wide{capacity_of(task).ns()} * 10));
    }
    task.tokens_at = std::max(task.tokens_at, now);
}
void consider_boost(Task& task) {
    const bool has_half = boost_left(task) >= capacity_of(task) / 2;
    task.is_boosted = task.wants_boost() && (task.is_boosted || has_half);
}
void settle_class(Task& task, Instant now) {
    count_boost(task, now);
    consider_boost(task);
    task.effective = task.class_now();
}
void begin_life(Task& task, Instant now) {
    task.since = task.tokens_at = now;
    task.tokens = 0;
    task.is_boosted = false;
    settle_class(task, now);
}

}  // namespace

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
    task.carry = (units + task.carry) % task.weight;
    const bool has_peer = its.members.size() > 1;
    const bool has_ended = task.vt >= task.request_end;
    if (has_ended) {
        task.fresh = false;
        task.deadline = task.request_end = task.vt + span(request_of(task), task.weight);
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
    if (of.members.empty() && of.empty_at + of.offset < global) {
        of.offset = global - of.empty_at;
    }
}

void Hart::raise_frame(QosClass qos_class, Wide global) {
    raise_frame(classes_[index_of(qos_class)], global);
}

Wide Hart::place(const Class& into, const Task& task, Duration credit) const {
    if (into.members.empty()) {
        return into.empty_at;
    }
    const Wide now = virtual_now(into);
    const Wide earliest = now - span(credit, task.weight);
    if (!task.has_global) {
        return earliest;
    }
    std::uint32_t lightest = task.weight;
    for (const Task* member : into.members) {
        lightest = std::min(lightest, member->weight);
    }
    const Wide fluid_turn = span(request_of(task), task.weight);
    const Wide latest =
        now + std::min(span(kLagMax, lightest), fluid_turn + span(kLagMax, sum_weight(into) + task.weight));
    return std::min(std::max(task.global - into.offset, earliest), latest);
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
    const Wide vt = place(into, task, credit);
    if (reason == EnqueueReason::Migrate && task.request_end > task.vt) {
        task.deadline += vt - task.vt;
        task.request_end += vt - task.vt;
        task.vt = vt;
    } else {
        task.vt = vt;
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
    take_place(from, task);
    task.has_global = true;
    std::erase(from.members, &task);
    if (from.members.empty()) {
        from.empty_at = task.vt;
    }
    task.frame = kernel::sched::class_at(index);
    if (task.group != nullptr) {
        std::erase(task.group->runnable, &task);
    }
}

void Hart::take_place(const Class& from, Task& task) {
    task.lag = virtual_now(from) - task.vt;
    task.global = task.vt + from.offset;
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
        count_boost(*current_, now);
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
    const Wide vt = now - rescaled(now - task.vt, task.weight, weight);
    task.deadline = vt + rescaled(task.deadline - task.vt, task.weight, weight);
    task.request_end = vt + rescaled(task.request_end - task.vt, task.weight, weight);
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
    task.frame = to;
    task.global = global_now(to) - rescaled(lag, task.weight, weight);
    task.lag = rescaled(task.lag, task.weight, weight);
    const Wide lead = rescaled(task.deadline - task.vt, task.weight, weight);
    const Wide rest = rescaled(task.request_end - task.vt, task.weight, weight);
    if (task.state == TaskState::Blocked) {
        task.vt = task.global - classes_[index_of(to)].offset;
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
    }
    if (task.has_global && task.weight != weight) {
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
    const Wide now = virtual_now(its) + its.offset;
    const Wide origin = child.effective == parent.effective ? parent.vt + its.offset : now;
    child.global = origin + span(request_of(child) / 2, child.weight);
    child.lag = now - child.global;
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
    task.global = task.vt + its.offset;
    task.has_global = true;
    std::erase(its.members, &task);
    if (its.members.empty()) {
        its.empty_at = task.vt;
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
            kernel::sched::VirtualTime::from_raw(wrapped(virtual_now(classes_[i]) + classes_[i].offset));
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
        load.least[i] = kernel::sched::VirtualTime::from_raw(wrapped(least + classes_[i].offset));
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
    return virtual_now(its) + its.offset;
}

}  // namespace sched_test::reference
