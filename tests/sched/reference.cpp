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
std::uint32_t weight_of(const Attributes& attributes) {
    return attributes.shares * 16;
}
QosClass served_as(QosClass asked) {
    return asked == QosClass::PerfBurst ? QosClass::Interactive : asked;
}
Duration request_of(const Attributes& attributes) {
    if (attributes.burst.is_zero()) {
        return kClassTable[index_of(served_as(attributes.qos_class))].task_request;
    }
    return std::clamp(attributes.burst, Duration::microseconds(100), Duration::milliseconds(20));
}
constexpr Duration kSleepHorizon = Duration::seconds(3600);
constexpr Duration kLagMax = Duration::milliseconds(32);
constexpr Duration kMinGranularity = Duration::microseconds(500);

}  // namespace

QosClass Task::effective() const {
    return served_as(attributes.qos_class);
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
    for (; elapsed > kPiece; elapsed -= kPiece) {
        charge(Duration::nanoseconds(kPiece));
    }
    charge(Duration::nanoseconds(elapsed));
}

void Hart::charge(Duration service) {
    Task& task = *current_;
    const std::size_t index = index_of(task.effective());
    Class& its = classes_[index];
    const auto units = static_cast<std::uint64_t>(service.ns()) * capacity_ * 16;
    task.vt += (units + task.carry) / task.weight;
    task.carry = (units + task.carry) % task.weight;
    const bool has_peer = its.members.size() > 1;
    if (task.vt >= task.request_end) {
        task.fresh = false;
        task.deadline = task.request_end = task.vt + span(request_of(task.attributes), task.weight);
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

Wide Hart::place(const Class& into, const Task& task, Duration credit, bool is_home) const {
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
    const Wide fluid_turn = span(request_of(task.attributes), task.weight);
    const Wide latest =
        now + std::min(span(kLagMax, lightest), fluid_turn + span(kLagMax, sum_weight(into) + task.weight));
    Wide lag = now - (task.global - into.offset);
    if (!is_home) {
        // Of what it was owed, or owed, here and there: the less.
        if (lag > 0) {
            lag = std::max(Wide{0}, std::min(lag, task.lag));
        } else {
            lag = std::min(Wide{0}, std::max(lag, task.lag));
        }
    }
    return std::min(std::max(now - lag, earliest), latest);
}

void Hart::join(Task& task, std::size_t index, EnqueueReason reason, bool is_home) {
    Class& into = classes_[index];
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
    const Wide vt = place(into, task, credit, is_home);
    if (reason == EnqueueReason::Migrate) {
        task.deadline += vt - task.vt;
        task.request_end += vt - task.vt;
        task.vt = vt;
    } else {
        task.vt = vt;
        const Duration request = request_of(task.attributes);
        Duration lead = request;
        if (task.fresh && !task.attributes.latency.is_zero()) {
            const Wide part =
                Wide{task.attributes.latency.ns()} * task.weight / (sum_weight(into) + task.weight);
            lead = std::min(request, std::max(Duration::microseconds(100),
                                              Duration::nanoseconds(static_cast<std::int64_t>(part))));
        }
        task.request_end = vt + span(request, task.weight);
        task.deadline = vt + span(lead, task.weight);
    }
    into.members.push_back(&task);
    stop(task);
}

void Hart::leave(Task& task, std::size_t index) {
    Class& from = classes_[index];
    task.lag = virtual_now(from) - task.vt;
    task.global = task.vt + from.offset;
    task.has_global = true;
    std::erase(from.members, &task);
    if (from.members.empty()) {
        from.empty_at = task.vt;
    }
}

Preempt Hart::enqueue(Task& task, Instant now, EnqueueReason reason) {
    account(now);
    task.weight = weight_of(task.attributes);
    if (task.state == TaskState::Blocked) {
        if (reason == EnqueueReason::Wake) {
            note_woken(task, now);
        } else {
            task.since = now;
        }
    }
    if (reason != EnqueueReason::New && task.hart != cpu_ && !task.runtime.is_zero()) {
        ++task.migrations;
    }
    const bool is_home = task.hart == cpu_;
    task.hart = cpu_;
    task.state = TaskState::Queued;
    task.fresh = reason == EnqueueReason::Wake || (reason == EnqueueReason::Migrate && task.fresh);
    join(task, index_of(task.effective()), reason, is_home);
    return judge(task, now);
}

Preempt Hart::judge(const Task& task, Instant now) {
    if (current_ == nullptr) {
        return {.kind = Preempt::Kind::Now, .at = now};
    }
    const std::size_t index = index_of(task.effective());
    const std::size_t running = index_of(current_->effective());
    if (index < running) {
        return {};
    }
    if (index > running) {
        if (!is_class_eligible(index)) {
            return {};
        }
        for (std::size_t i = 0; i < kClasses; ++i) {
            if (i != index && !classes_[i].members.empty()) {
                classes_[index].deadline = std::min(classes_[index].deadline, classes_[i].deadline - 1);
            }
        }
        resched_at_ = min(resched_at_, now);
        return {.kind = Preempt::Kind::Now, .at = now};
    }
    if (!is_eligible(classes_[index], task) || task.deadline >= current_->deadline) {
        return {};
    }
    const bool has_hint = task.fresh && !task.attributes.latency.is_zero();
    const Instant at = has_hint ? now : std::max(now, picked_at_ + kMinGranularity);
    resched_at_ = min(resched_at_, at);
    return {.kind = at == now ? Preempt::Kind::Now : Preempt::Kind::At, .at = at};
}

void Hart::remove(Task& task, Instant now) {
    account(now);
    leave(task, index_of(task.effective()));
    task.state = TaskState::Migrating;
}

void Hart::put_current(Instant now, PutReason reason) {
    account(now);
    Task& task = *current_;
    const std::size_t index = index_of(task.effective());
    const std::vector<Task*> others = waiting(classes_[index]);
    current_ = nullptr;
    task.since = now;
    if (reason == PutReason::Preempted) {
        stop(task);
        task.state = TaskState::Queued;
        ++task.involuntary;
        task.preempted += request_ended_ ? 0 : 1;
    } else if (reason == PutReason::Yield) {
        task.fresh = false;
        task.deadline = task.request_end = task.vt + span(request_of(task.attributes), task.weight);
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
}

Choice Hart::pick_next(Instant now) {
    account(now);
    Task* const previous = current_;
    if (previous != nullptr) {
        stop(*previous);
        current_ = nullptr;
    }
    const Class* from = nullptr;
    for (std::size_t i = kClasses; i-- > 0;) {
        if (!classes_[i].members.empty() && is_class_eligible(i) &&
            (from == nullptr || classes_[i].deadline < from->deadline)) {
            from = &classes_[i];
        }
    }
    if (from != nullptr) {
        for (Task* task : waiting(*from)) {
            if (is_eligible(*from, *task)) {
                current_ = task;
                break;
            }
        }
    }
    resched_at_ = Instant::never();
    const bool was_ended = request_ended_;
    request_ended_ = false;
    if (current_ == previous) {
        return {.task = current_, .switched = false};
    }
    if (previous != nullptr) {
        previous->state = TaskState::Queued;
        previous->since = now;
        ++previous->involuntary;
        previous->preempted += was_ended ? 0 : 1;
    }
    if (current_ != nullptr) {
        const Duration waited = std::max(Duration{}, now - current_->since);
        current_->wait += waited;
        current_->wait_max = std::max(current_->wait_max, waited);
        current_->wakes += current_->wake_pending ? 1 : 0;
        current_->wake_pending = false;
        current_->state = TaskState::Running;
        current_->since = now;
        picked_at_ = now;
    }
    const bool switched = current_ != last_run_;
    last_run_ = current_;
    return {.task = current_, .switched = switched};
}

// --- Changes ---

bool Hart::set_attributes(Task& task, const Attributes& attributes, Instant now) {
    account(now);
    const bool here = task.is_on_queue();
    const std::size_t from = index_of(task.effective());
    const std::size_t to = index_of(served_as(attributes.qos_class));
    const bool is_running = &task == current_;
    if (!here) {
        rescale_saved(task, attributes, now);
        task.attributes = attributes;
        return false;
    }
    if (from != to) {
        leave(task, from);
        if (is_running) {
            current_ = nullptr;
        }
        rescale_saved(task, attributes, now);
        task.attributes = attributes;
        if (is_running) {
            current_ = nullptr;
        }
        join(task, to, EnqueueReason::New, true);
        if (is_running) {
            current_ = &task;
            resched_at_ = min(resched_at_, now);
        } else {
            judge(task, now);
        }
    } else {
        task.attributes = attributes;
        const std::uint32_t weight = weight_of(attributes);
        if (weight != task.weight) {
            const Wide now_v = virtual_now(classes_[to]);
            const Wide vt = now_v - rescaled(now_v - task.vt, task.weight, weight);
            task.deadline = vt + rescaled(task.deadline - task.vt, task.weight, weight);
            task.request_end = vt + rescaled(task.request_end - task.vt, task.weight, weight);
            task.vt = vt;
            task.weight = weight;
            stop(task);
        }
    }
    return !attributes.affinity_effective.contains(CpuId{cpu_});
}

void Hart::rescale_saved(Task& task, const Attributes& attributes, Instant now) {
    const QosClass from = task.effective();
    const QosClass to = served_as(attributes.qos_class);
    const std::uint32_t weight = weight_of(attributes);
    if (now - task.since > kSleepHorizon) {
        task.has_global = false;
    }
    if (!task.has_global) {
        return;
    }
    constexpr Wide kLongest = Wide{1} << 52;
    Wide lag = std::clamp(global_now(from) - task.global, -kLongest, kLongest);
    if (from != to) {
        lag = std::min(lag, Wide{0});
        task.lag = std::min(task.lag, Wide{0});
    }
    task.global = global_now(to) - rescaled(lag, task.weight, weight);
    task.lag = rescaled(task.lag, task.weight, weight);
    task.deadline = task.vt + rescaled(task.deadline - task.vt, task.weight, weight);
    task.request_end = task.vt + rescaled(task.request_end - task.vt, task.weight, weight);
    task.weight = weight;
}

void Hart::note_woken(Task& task, Instant now) {
    const Duration slept = std::max(Duration{}, now - task.since);
    if (slept > kSleepHorizon) {
        task.has_global = false;
    }
    task.sleep += slept;
    task.state = TaskState::Migrating;
    task.since = task.woken_at = now;
    task.wake_pending = true;
}

void Hart::note_created(Task& task, Instant now) {
    task.state = TaskState::Migrating;
    task.since = now;
}

void Hart::inherit_position(Task& child, const Task& parent) {
    child.weight = weight_of(child.attributes);
    const Class& its = classes_[index_of(child.effective())];
    const Wide now = virtual_now(its) + its.offset;
    const Wide origin = child.effective() == parent.effective() ? parent.vt + its.offset : now;
    child.global = origin + span(request_of(child.attributes) / 2, child.weight);
    child.lag = now - child.global;
    child.has_global = true;
    child.hart = cpu_;
}

// --- Questions ---

Instant Hart::next_event() const {
    if (current_ == nullptr) {
        return runnable() == 0 ? Instant::never() : Instant{};
    }
    if (runnable() == 1) {
        return Instant::never();
    }
    const std::size_t index = index_of(current_->effective());
    const Class& its = classes_[index];
    Instant event = resched_at_;
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
        load.running_class = static_cast<std::uint8_t>(current_->effective());
    }
    load.runnable = runnable();
    for (std::size_t i = 0; i < kClasses; ++i) {
        load.weight[i] = static_cast<std::uint32_t>(sum_weight(classes_[i]));
        load.global[i] =
            kernel::sched::VirtualTime::from_raw(wrapped(virtual_now(classes_[i]) + classes_[i].offset));
        for (const Task* task : waiting(classes_[i])) {
            load.waiting_mask[i] = load.waiting_mask[i] | task->attributes.affinity_effective;
        }
    }
    return load;
}

Duration Hart::lag(const Task& task) const {
    if (!task.is_on_queue() || task.hart != cpu_) {
        return Duration{};
    }
    const Wide service =
        (virtual_now(classes_[index_of(task.effective())]) - task.vt) * task.weight / kUnitsPerNs;
    return Duration::nanoseconds(static_cast<std::int64_t>(service));
}

Wide Hart::global_now(QosClass qos_class) const {
    const Class& its = classes_[index_of(qos_class)];
    return virtual_now(its) + its.offset;
}

}  // namespace sched_test::reference
