// SPDX-License-Identifier: MIT
// RunQueue: what a task does and when to decide. Changes of attributes, and entities on no queue:
// run_queue_change.cpp; what other harts want of it: run_queue_harts.cpp.
#include "sched/run_queue.hpp"

#include <algorithm>

#include "lib/check.hpp"

namespace kernel::sched {

namespace {

constexpr Duration kFaultTick = Duration::milliseconds(4);

}  // namespace

void RunQueue::start(CpuId cpu, Instant now, std::uint32_t capacity, Faults faults) {
    CHECK(capacity >= 1 && capacity <= kCapacityFull);
    cpu_ = cpu;
    capacity_ = capacity;
    faults_ = faults;
    has_faults_ = faults != Faults{};
    start_ = clock_ = settled_at_ = now;
    usual_stamp_ = cpu.value() + 1;  // no entity has it
}

// --- What a task does ---

Preempt RunQueue::enqueue(Entity& entity, Instant now, EnqueueReason reason) {
    CHECK(entity.state_ == TaskState::Blocked || entity.state_ == TaskState::Migrating);
    account(now);
    Entity::Position& position = entity.position_;
    if (entity.state_ == TaskState::Blocked) {
        if (reason == EnqueueReason::Wake) {
            note_woken(entity, now);
        } else {
            begin_life(entity, now);
        }
    }
    if (reason != EnqueueReason::New && entity.cpu_ != cpu_ && entity.has_run()) {
        ++entity.statistics_.migrations;
    }
    position.is_local = position.is_local && entity.cpu_ == cpu_ && reason != EnqueueReason::Migrate;
    entity.set_cpu(cpu_);
    position.fresh = reason == EnqueueReason::Wake || (reason == EnqueueReason::Migrate && position.fresh);
    if (is_capped(entity) && !entity.budget_->may_start(entity.waiter_, now)) {
        throttle(entity, now, false);
        return Preempt{};
    }
    entity.state_ = TaskState::Queued;
    join(entity, index_of(entity.effective()), reason);
    return judge(entity, now);
}

void RunQueue::remove(Entity& entity, Instant now) {
    CHECK(entity.cpu_ == cpu_);
    account(now);
    if (entity.state_ == TaskState::Throttled) {
        unthrottle(entity, now);
    } else {
        CHECK(entity.state_ == TaskState::Queued);
        leave(entity, index_of(entity.effective()));
    }
    entity.state_ = TaskState::Migrating;
}

void RunQueue::put_current(Instant now, PutReason reason) {
    CHECK(current_ != nullptr);
    account(now);
    Entity& entity = *current_;
    const std::size_t index = index_of(entity.effective());
    ClassQueue& queue = classes_[index].queue;
    const bool is_exhausted = is_capped(entity) && entity.granted_.is_zero();
    return_grant(entity);
    current_ = nullptr;
    entity.since_ = now;
    Statistics& statistics = entity.statistics_;
    switch (reason) {
        case PutReason::Preempted:
            queue.stop(entity);
            entity.state_ = TaskState::Queued;
            count_involuntary(statistics);
            statistics.preempted += request_ended_ ? 0 : 1;
            break;
        case PutReason::Yield:
            queue.yield(request_of(entity));
            queue.stop(entity);
            entity.state_ = TaskState::Queued;
            count_voluntary(statistics);
            break;
        case PutReason::Block:
        case PutReason::Exit:
            leave(entity, index);
            entity.state_ = reason == PutReason::Exit ? TaskState::Dead : TaskState::Blocked;
            count_voluntary(statistics);
            break;
        case PutReason::Migrate:
            leave(entity, index);
            entity.state_ = TaskState::Migrating;
            count_involuntary(statistics);
            break;
    }
    if (is_exhausted && entity.state_ == TaskState::Queued) {
        throttle(entity, now, true);
    }
}

Pick RunQueue::pick_next(Instant now) {
    account(now);
    if (!throttled_.empty()) {
        release_due(now);
    }
    Entity* const previous = current_;
    if (previous != nullptr && runnable_ == 1 && previous->budget_ == nullptr) {
        return keep_current();
    }
    const bool is_exhausted = previous != nullptr && is_capped(*previous) && previous->granted_.is_zero();
    if (previous != nullptr) {
        classes_[index_of(previous->effective())].queue.stop(*previous);
        current_ = nullptr;
        return_grant(*previous);
    }
    if (is_exhausted) {
        previous->since_ = now;
        throttle(*previous, now, true);
    }
    Entity* const next = choose(now);
    current_ = next;
    const std::uint8_t last_class = picked_class_;
    picked_class_ = next == nullptr ? HartLoad::kIdle : static_cast<std::uint8_t>(next->effective());
    resched_at_ = Instant::never();
    const bool was_ended = request_ended_;
    request_ended_ = false;
    // Others may have to be served before this one: those who wait here, elsewhere; or a higher class from
    // there.
    const bool is_lower = last_class == HartLoad::kIdle || picked_class_ < last_class;
    const bool balance =
        next != nullptr && !faults_.no_balance && !faults_.stay_put && (was_ended || is_lower);
    if (next == previous) {
        return Pick{.entity = next, .switched = false, .balance = balance};
    }
    if (previous != nullptr) {
        count_involuntary(previous->statistics_);
        if (previous->state_ == TaskState::Running) {
            previous->state_ = TaskState::Queued;
            previous->since_ = now;
            previous->statistics_.preempted += was_ended ? 0 : 1;
        }
    }
    if (next != nullptr) {
        run(*next, now);
    }
    const bool switched = next != last_run_;
    switches_ += switched && next != nullptr ? 1 : 0;
    last_run_ = next;
    return Pick{.entity = next, .switched = switched, .balance = balance};
}

// What pick_next() comes to when the current entity has no competitor and no grant to renew: it is put into
// an empty tree, found eligible, being the mean of its class and its class the root's, and taken out again.
Pick RunQueue::keep_current() {
    const auto now_picked = static_cast<std::uint8_t>(current_->effective());
    const bool is_lower = picked_class_ == HartLoad::kIdle || now_picked < picked_class_;
    const bool balance = !faults_.no_balance && !faults_.stay_put && (request_ended_ || is_lower);
    picked_class_ = now_picked;
    resched_at_ = Instant::never();
    request_ended_ = false;
    return Pick{.entity = current_, .switched = false, .balance = balance};
}

bool RunQueue::yield_alone() {
    if (runnable() != 1 || !throttled_.empty() || current_->budget_ != nullptr) {
        return false;
    }
    count_voluntary(current_->statistics_);
    return true;
}

// The entity that runs next, counted as running, with its grant; null when there is none.
Entity* RunQueue::choose(Instant now) {
    for (std::uint32_t i = 0; runnable_ != 0 && i < kReleasesPerPick; ++i) {
        ClassQueue& queue = classes_[pick_class()].queue;
        Entity* const next = queue.best();
        if (take_grant(*next, now)) {
            queue.start(*next);
            return next;
        }
        throttle(*next, now, true);  // others that share its budget have used it up while it waited
    }
    return nullptr;
}

// --- When to decide ---

Instant RunQueue::next_event(Instant now) const {
    DCHECK(woken_ == nullptr);
    if (current_ == nullptr && runnable_ != 0) {
        return now;
    }
    Instant event = throttled_.empty() ? Instant::never() : throttled_.first()->release_at_;
    if (current_ != nullptr && is_capped(*current_)) {
        event = min(event, clock_.plus_saturating(current_->granted_));
    }
    if (runnable_ <= 1) {
        return current_ != nullptr && faults_.always_tick ? min(event, now + kFaultTick) : event;
    }
    const std::size_t index = index_of(current_->effective());
    const RootMember& member = classes_[index];
    event = min(event, resched_at_);
    if (index == index_of(QosClass::PerfBurst) && !faults_.endless_boost) {
        event = min(event, clock_.plus_saturating(current_->boost_.left()));
    }
    if (member.queue.count() > 1) {
        const Entity::Position& position = current_->position_;
        const Duration rest =
            time_to_advance(position.request_end - position.vt, capacity_, position.weight, position.carry);
        event = min(event, clock_.plus_saturating(rest));
    }
    if (member.queue.count() < runnable_) {
        const Duration rest = time_to_advance(member.request_end - member.vt, capacity_,
                                              kClassTable[index].weight, member.carry);
        event = min(event, clock_.plus_saturating(rest));
    }
    return event;
}

void RunQueue::charge_current(Instant now) {
    account(now);
}

// Everything up to now is charged to the current entity, or is idle time. Pre: now > clock_.
void RunQueue::account_elapsed(Instant now) {
    Duration elapsed = now - clock_;
    clock_ = settled_at_ = now;
    if (faults_.lose_time) {
        elapsed -= elapsed / 64;
    }
    if (current_ == nullptr) {
        idle_ += elapsed;
        return;
    }
    busy_ += elapsed;
    current_->since_ = now;
    current_->statistics_.runtime += elapsed;
    if (current_->budget_ != nullptr || current_->is_donated_) {
        spend(now - elapsed, now);
    }
    while (!elapsed.is_zero()) {
        Duration chunk = std::min(elapsed, kChargeChunk);
        const bool is_boosted = current_->effective() == QosClass::PerfBurst;
        if (is_boosted && !faults_.endless_boost) {
            chunk = std::min(chunk, std::max(current_->boost_.left(), Duration::nanoseconds(1)));
        }
        elapsed -= chunk;
        charge(chunk, now - elapsed);
        if (is_boosted) {
            drain_boost(chunk, now - elapsed);
        }
    }
}

void RunQueue::settle_elapsed() {
    const Duration elapsed = clock_ - settled_at_;
    settled_at_ = clock_;
    busy_ += elapsed;
    const std::size_t index = index_of(current_->effective());
    RootMember& member = classes_[index];
    member.vt = member.vt + advance(elapsed, capacity_, kClassTable[index].weight, member.carry);
    root_last_ = root_cache_ = member.vt;  // the mean of one class
    root_known_ = true;
}

void RunQueue::charge(Duration service, Instant at) {
    if (faults_.hints_buy_share && !current_->attributes.latency.is_zero()) {
        service = service / 2;
    }
    const std::size_t index = index_of(current_->effective());
    const ClassRow& row = kClassTable[index];
    RootMember& member = classes_[index];
    const bool has_ended = member.queue.charge(service, capacity_);
    if (has_ended) {
        member.queue.begin_next_request(request_of(*current_));
        if (member.queue.count() > 1) {
            request_ended_ = true;
            want_resched(clock_);
        }
    }
    member.vt = member.vt + advance(service, capacity_, row.weight, member.carry);
    if (!is_before(member.vt, member.request_end)) {
        member.request_end = member.deadline = member.vt + span_of(row.class_request, row.weight);
        if (member.queue.count() < runnable_) {
            request_ended_ = true;
            want_resched(clock_);
        }
    }
    // The mean of one class is that class.
    root_cache_ = is_only_class(index) ? member.vt : compute_root();
    root_known_ = true;
    follow_root();
    if (has_ended) {
        follow_weight(*current_);
        if (current_->position_.pace_generation != rates_[index].generation) {
            member.queue.follow_pace(*current_, rates_[index]);
        }
        if (wants_boost(*current_) && !current_->is_boosted_) {
            count_boost(*current_, at);
            consider_boost(*current_);
            follow_class(*current_, at);
        }
    }
}

void RunQueue::want_resched(Instant at) {
    resched_at_ = min(resched_at_, at);
}

// --- The root ---

VirtualTime RunQueue::compute_root() const {
    // Sums of 64 bits will do unless a class ran for days while the machine stood still.
    constexpr std::uint64_t kNear = std::uint64_t{1} << 48U;
    std::int64_t weighted_sum = 0;
    std::uint32_t sum_weight = 0;
    for (std::size_t i = 0; i < kClasses; ++i) {
        if (!classes_[i].queue.empty()) {
            const VirtualSpan distance = classes_[i].vt - root_last_;
            if (static_cast<std::uint64_t>(distance) + kNear >= 2 * kNear) [[unlikely]] {
                return root_far();
            }
            weighted_sum += distance * static_cast<std::int64_t>(kClassTable[i].weight);
            sum_weight += kClassTable[i].weight;
        }
    }
    return sum_weight == 0 ? root_last_ : root_last_ + floor_divide(weighted_sum, sum_weight);
}

VirtualTime RunQueue::root_far() const {
    Int128 weighted_sum = 0;
    std::uint32_t sum_weight = 0;
    for (std::size_t i = 0; i < kClasses; ++i) {
        if (!classes_[i].queue.empty()) {
            weighted_sum += Int128{classes_[i].vt - root_last_} * kClassTable[i].weight;
            sum_weight += kClassTable[i].weight;
        }
    }
    return root_last_ + floor_divide(weighted_sum, sum_weight);
}

bool RunQueue::is_class_eligible(std::size_t index, VirtualTime root) const {
    const ClassRow& row = kClassTable[index];
    return !is_before(root + span_of(row.warp, row.weight), classes_[index].vt);
}

// Of the eligible classes with work, the earliest deadline; ties go to the higher class. Pre: something is
// runnable.
std::size_t RunQueue::pick_class() const {
    // Alone, a class is its own mean and eligible.
    if (last_picked_class() != kClasses && is_only_class(last_picked_class())) {
        return last_picked_class();
    }
    const VirtualTime root = root_now();
    std::size_t best = kClasses;
    for (std::size_t i = kClasses; i-- > 0;) {
        if (faults_.strict_classes && !classes_[i].queue.empty()) {
            return i;
        }
        const bool is_candidate = !classes_[i].queue.empty() && is_class_eligible(i, root);
        if (is_candidate && (best == kClasses || is_before(classes_[i].deadline, classes_[best].deadline))) {
            best = i;
        }
    }
    CHECK(best != kClasses);  // the least vt is never above the mean
    return best;
}

void RunQueue::follow_root() {
    root_last_ = root_now();
    // The least of those with work is not ahead of their mean.
    if (root_last_ - oldest_empty_ > kFarBehind) [[unlikely]] {
        tidy_empty_classes();
    }
}

// Root times stay near each other: the reference follows, and so does a class that has had no work for very
// long. It follows the least of those with work: their mean falls when one that is far ahead leaves (it ran
// while the machine was stopped), the least only grows, so nobody is put ahead of where he will start.
void RunQueue::tidy_empty_classes() {
    VirtualTime least = root_last_;
    for (const RootMember& member : classes_) {
        if (!member.queue.empty()) {
            least = earlier(least, member.vt);
        }
    }
    for (RootMember& member : classes_) {
        if (member.queue.empty() && least - member.vt > kFarBehind) {
            member.vt = least - kFarBehind / 2;
        }
    }
    oldest_empty_ = root_last_;
    for (const RootMember& member : classes_) {
        if (member.queue.empty()) {
            oldest_empty_ = earlier(oldest_empty_, member.vt);
        }
    }
}

// Places the entity in time and counts it in, as waiting. A class that had no work starts at the root's
// present: no credit for the time without, but what it received ahead of its share stays on its account.
void RunQueue::join(Entity& entity, std::size_t index, EnqueueReason reason) {
    RootMember& member = classes_[index];
    const ClassRow& row = kClassTable[index];
    count_into_group(entity);
    adopt_frame(entity);
    if (runnable_ <= 1) {
        resched_at_ = Instant::never();  // left over from a competitor that is gone
        request_ended_ = false;
    }
    if (member.queue.empty()) {
        member.vt = later(member.vt, root_now());
        root_known_ = false;
        member.request_end = member.deadline = member.vt + span_of(row.class_request, row.weight);
    }
    Entity::Position& position = entity.position_;
    const Duration credit = reason == EnqueueReason::Wake      ? row.task_request
                            : reason == EnqueueReason::Migrate ? kLagMax
                                                               : Duration{};
    const VirtualTime left_at = position.vt;
    ClassQueue::set_pace(entity, rates_[index]);
    member.queue.place(
        entity, request_of(entity), credit,
        {.is_same_epoch = position.epoch == epoch_, .keeps_credit = reason == EnqueueReason::Migrate});
    position.is_local = false;
    const VirtualSpan shift = position.vt - left_at;
    // One that was throttled where it came from may never have begun a request, and one whose place is
    // forgotten has none that means anything.
    const bool keeps_request =
        reason == EnqueueReason::Migrate && position.has_global && is_before(left_at, position.request_end);
    if (keeps_request) {
        position.deadline = position.deadline + shift;
        position.request_end = position.request_end + shift;
    } else {
        begin_request(entity, member.queue);
    }
    member.queue.add_waiting(entity);
    ++runnable_;
}

// Counts the entity out; its saved U stays. Pre: a member.
void RunQueue::leave(Entity& entity, std::size_t index) {
    RootMember& member = classes_[index];
    member.queue.remove(entity);
    if (member.queue.empty()) {
        root_known_ = false;
        oldest_empty_ = earlier(oldest_empty_, member.vt);
    }
    entity.position_.frame = class_at(index);
    entity.position_.epoch = epoch_;
    count_out_of_group(entity);
    --runnable_;
}

// A hint moves only the first deadline after a wake-up; the request stays as long, and service is charged by
// weight.
void RunQueue::begin_request(Entity& entity, const ClassQueue& queue) {
    Entity::Position& position = entity.position_;
    const Duration request = request_of(entity);
    Duration lead = request;
    if (position.fresh && !entity.latency().is_zero()) {
        // Fluid completion within the hint: the task's part of the class is weight / sum.
        const auto sum = static_cast<std::int64_t>(queue.sum_weight()) + position.weight;
        const Duration part = entity.latency() * static_cast<std::int64_t>(position.weight) / sum;
        lead = std::min(request, std::max(kRequestMin, part));
    }
    position.request_end = position.vt + span_of(request, position.weight);
    position.deadline = position.vt + span_of(lead, position.weight);
}

// Does the entity, just counted in, take over from the current one?
Preempt RunQueue::judge(const Entity& entity, Instant now) {
    if (current_ == nullptr) {
        return Preempt{.kind = Preempt::Kind::Now, .at = now};
    }
    if (faults_.never_preempt) {
        return Preempt{};
    }
    const std::size_t index = index_of(entity.effective());
    const std::size_t current_index = index_of(current_->effective());
    if (index > current_index) {
        if (!is_class_eligible(index, root_now())) {
            return Preempt{};  // it had more than its share and warp; its turn comes with the class requests
        }
        VirtualTime& deadline = classes_[index].deadline;
        for (std::size_t i = 0; i < index; ++i) {  // not past a higher class that woke just before
            if (!classes_[i].queue.empty()) {
                deadline = earlier(deadline, classes_[i].deadline - 1);
            }
        }
        want_resched(now);
        return Preempt{.kind = Preempt::Kind::Now, .at = now};
    }
    const bool is_better = index == current_index && classes_[index].queue.is_eligible(entity) &&
                           is_before(entity.position_.deadline, current_->position_.deadline);
    if (!is_better) {
        return Preempt{};
    }
    const bool is_urgent = entity.position_.fresh && !entity.latency().is_zero();
    const Instant allowed_at = picked_at_ + kMinGranularity;
    const Instant at = is_urgent ? now : std::max(now, allowed_at);
    want_resched(at);
    return Preempt{.kind = at == now ? Preempt::Kind::Now : Preempt::Kind::At, .at = at};
}

// Pre: just picked.
void RunQueue::run(Entity& entity, Instant now) {
    begin_turn(entity, now);
    if (entity.effective_ == QosClass::PerfBurst) {
        count_boost(entity, now);  // without a boost the bucket fills on
    }
}

// --- What is here ---

Duration RunQueue::lag(const Entity& entity) const {
    DCHECK(woken_ == nullptr);
    const bool is_here = entity.is_on_queue() && entity.cpu_ == cpu_;
    return is_here ? classes_[index_of(entity.effective())].queue.lag(entity) : Duration{};
}

}  // namespace kernel::sched
