// SPDX-License-Identifier: MIT
// RunQueue, fifth part: the two most frequent steps, a wake-up and a switch, in the usual case.
//
// Each comes to exactly what the general functions come to (PlainSteps.* in tests/sched does every case both
// ways and beside the reference); where something unusual is about it answers false and the general ones are
// called. The usual case is: one class has work here, no fault is planted, nobody is throttled, paces are
// weights, and those concerned have no budget, group, loan or boost. What is left out, and why that is sound:
//   the root           The mean of one class is that class: it is eligible and picked, and no request of a
//                      class ends to the benefit of another one.
//   grants, boosts     There are none.
//   weights and paces  They follow groups and rate tables at the end of a request. There are none.
//   looking again      That an entity is ordinary, and what follows from its attributes alone, is found once,
//   when
//                      it stops running (certify()). Whatever may change it goes through account() of the
//                      queue it runs or sleeps on, which makes that void for all who have it from there.
//   under way          A sleeper that wakes where it slept takes U and lag of that place with it, to be put
//                      in place there at the same instant. What both cancel out is not worked out.
//   into the tree      A task that yields is the last one by deadline: it competes after all others without
//   and out again      having been put among them.
//   two at a time      Where one task runs, wakes another one and waits, they were two for a moment in which
//                      nothing was decided: one follows the other without the sums of both. Until it is known
//                      whether it waits the wake-up is put off (wake_later()); whatever else comes first has
//                      it done as of when it was (catch_up()). So it is with a child whose parent waits next
//                      (start_later()), and with who is woken by one that then ends (hand_over_at_end()).
#include <algorithm>
#include <utility>

#include "lib/check.hpp"
#include "sched/run_queue.hpp"

namespace kernel::sched {

// --- Among the tasks of the class ---

inline void ClassQueue::remove_running_plainly(Entity& entity) {
    Entity::Position& position = entity.position_;
    const std::uint32_t weight = position.weight;
    const VirtualSpan lag = base_ - position.vt;
    const VirtualTime progress = position.paced_from + (position.vt - position.paced_at);
    position.lag = lag;
    position.global = progress + offset_;
    running_ = nullptr;
    sum_weight_ -= weight;
    pace_sum_ -= weight;
    add_to_mean(lag, weight);
    progress_sum_ -= Int128{progress - progress_base_} * weight;
    masks_.leave(position.mask_place, weight);
}

inline void ClassQueue::yield_plainly(VirtualSpan request) {
    Entity::Position& position = running_->position_;
    position.fresh = false;
    position.request_end = position.vt + request;
    position.deadline = later(position.request_end, waiting_.last()->position_.deadline);
}

inline void ClassQueue::pass_on(Entity& next) {
    Entity& entity = *running_;
    if (waiting_.size() == 1) {
        waiting_.replace_only(entity);
    } else {
        waiting_.insert_last(entity);
        waiting_.erase(next);
    }
    running_ = &next;
}

inline VirtualTime ClassQueue::progress_plainly() const {
    const auto narrow = static_cast<std::int64_t>(progress_sum_);
    if (narrow != progress_sum_) [[unlikely]] {
        return progress_now();
    }
    const auto by = std::int64_t{sum_weight_};
    const std::int64_t quotient = narrow / by;
    return progress_base_ + (quotient - (quotient * by > narrow ? 1 : 0));
}

inline void ClassQueue::place_plainly(Entity& entity, Duration request, Duration credit) const {
    Entity::Position& position = entity.position_;
    const std::uint32_t weight = position.weight;
    position.pace = weight;
    position.pace_generation = 0;
    position.is_whole = false;
    const VirtualTime now = base_;
    const Place place = placed_between(position, now, request, credit, lightest(), sum_weight_);
    position.vt = position.paced_at = place.vt;
    position.paced_from = progress_plainly() - (now - place.vt) + place.kept_debt;
}

inline ClassQueue::Place ClassQueue::placed_between(const Entity::Position& position, VirtualTime now,
                                                    Duration request, Duration credit, std::uint32_t least,
                                                    std::uint32_t sum) {
    const std::uint32_t weight = position.weight;
    const VirtualTime left_at = position.vt;
    VirtualTime vt = left_at;
    if (is_before(now, left_at)) {
        const VirtualSpan in_service = span_of(kLagMax, std::min(weight, least));
        const VirtualSpan in_real_time = span_of(request, weight) + span_of(kLagMax, sum + weight);
        vt = earlier(left_at, now + std::min(in_service, in_real_time));
    } else {
        vt = later(left_at, now - span_of(credit, weight));
    }
    // Debt that does not fit here stays on its account next to the other harts, within reason.
    const VirtualSpan excess = std::max(VirtualSpan{0}, left_at - vt);
    return {.vt = vt, .kept_debt = excess == 0 ? 0 : std::min(excess, span_of(kAccountMax, weight))};
}

inline void ClassQueue::add_waiting_plainly(Entity& entity) {
    Entity::Position& position = entity.position_;
    const std::uint32_t weight = position.weight;
    sum_weight_ += weight;
    pace_sum_ += weight;
    add_to_mean(position.vt - base_, weight);
    add_progress(Int128{position.paced_from - progress_base_} * weight);
    position.mask_place = masks_.join(entity.attributes.affinity_effective, weight);
    waiting_.insert(entity);
}

template <bool Alike>
inline bool ClassQueue::hand_over_plainly(Entity& entity, VirtualTime vt, std::uint64_t carry,
                                          VirtualTime place, Entity& next) {
    Entity::Position& left = entity.position_;
    Entity::Position& position = next.position_;
    const std::uint32_t before = left.weight;
    const std::uint32_t weight = Alike ? before : position.weight;
    // Of one member, progress and vt are as far apart as they were.
    const VirtualTime paced_from = left.paced_from + (place - left.paced_at);
    std::int64_t progress_sum = 0;
    if (__builtin_mul_overflow(paced_from - progress_base_, std::int64_t{weight}, &progress_sum))
        [[unlikely]] {
        return false;
    }
    // To the mean of the two; they are near each other, as placed_between() has it.
    VirtualSpan towards = place - vt;
    if (Alike || (before == weight && left.mask_place != MaskGroups::kRest &&
                  entity.attributes.affinity_effective == next.attributes.affinity_effective)) [[likely]] {
        left.lag = towards >> 1U;
        if constexpr (!Alike) {
            position.mask_place = left.mask_place;
        }
    } else {
        towards *= std::int64_t{weight};
        const auto both = std::int64_t{before} + weight;
        const std::int64_t quotient = towards / both;
        left.lag = quotient - (quotient * both > towards ? 1 : 0);
        position.mask_place =
            masks_.replace_only(left.mask_place, before, next.attributes.affinity_effective, weight);
        sum_weight_ = weight;
        pace_sum_ = weight;
    }
    left.global = left.paced_from + (vt - left.paced_at) + offset_;
    left.vt = vt;
    left.carry = carry;
    position.vt = position.paced_at = place;
    position.paced_from = paced_from;
    position.request_end = position.deadline = place + next.usual_request_;
    running_ = &next;
    base_ = place;
    progress_sum_ = progress_sum;
    return true;
}

// --- On the hart ---

inline bool RunQueue::is_ordinary(const Entity& entity) {
    return entity.budget_ == nullptr && entity.group_ == nullptr && !entity.is_donated_ &&
           entity.attributes.qos_class != QosClass::PerfBurst;
}

// The same of one that runs, whose pace must be its weight as well.
inline bool RunQueue::runs_ordinarily(const Entity& current) {
    return is_ordinary(current) && current.position_.pace == current.position_.weight;
}

// Looks whether the current entity is ordinary in all that the plain steps rely on, now and when it comes
// back from a sleep. Then it keeps that for as long as usual_stamp_ is what it is, with what goes with it.
// Pre: foresee() was right.
bool RunQueue::certify(Entity& current) {
    Entity::Position& position = current.position_;
    const QosClass qos_class = current.effective_;
    const bool is_as_asked = current.attributes.qos_class == qos_class &&
                             position.weight == current.attributes.shares * kWeightPerShare;
    // The pick it came with was of its class: one of another task of the class is of no lower one.
    const bool is_settled = picked_class_ == static_cast<std::uint8_t>(qos_class) && last_run_ == &current;
    // A carry from before a change of weight is not looked at before there is something to charge.
    if (!runs_ordinarily(current) || !is_as_asked || !is_settled || !allows(current) || current.is_boosted_ ||
        position.pace_generation != 0 || position.is_whole || position.carry >= position.weight) {
        return false;
    }
    // As it will be when it sleeps.
    position.frame = qos_class;
    position.epoch = epoch_;
    position.has_global = true;
    current.has_hints_ = !current.attributes.latency.is_zero() || !current.attributes.burst.is_zero();
    current.usual_request_ = span_of(request_of(current), position.weight);
    current.usual_stamp_ = usual_stamp_;
    earliest_decision_ = Instant{};
    return true;
}

// account(), in the usual case. False, and nothing done, where more than the accounts is to change: a request
// ends, the task's or the class's, or the clocks are to be tidied up. What the class and the hart have used
// is left to settle(): until usual_until_ it comes to nothing but a sum.
[[gnu::always_inline]] inline bool RunQueue::account_plainly(Instant now, RootMember& member) {
    const Duration elapsed = now - clock_;
    if (elapsed.ns() <= 0) {
        return true;
    }
    Entity& entity = *current_;
    Entity::Position& position = entity.position_;
    ClassQueue& queue = member.queue;
    std::uint64_t carry = position.carry;
    const VirtualSpan moved = advance(elapsed, capacity_, position.weight, carry);
    const VirtualTime vt = position.vt + moved;
    const auto weighted = static_cast<std::uint64_t>(moved) * position.weight;
    const Int128 progress = queue.progress_sum_ + weighted;
    if (!is_before(vt, position.request_end) || progress != static_cast<std::int64_t>(progress))
        [[unlikely]] {
        return false;
    }
    clock_ = now;
    entity.statistics_.runtime += elapsed;
    entity.since_ = now;
    position.vt = vt;
    position.carry = carry;
    const std::uint64_t sum = static_cast<std::uint64_t>(queue.weighted_sum_) + weighted;
    queue.base_ = queue.base_ + static_cast<VirtualSpan>(sum / queue.sum_weight_);
    queue.weighted_sum_ = static_cast<std::int64_t>(sum % queue.sum_weight_);
    queue.progress_sum_ = progress;
    return true;
}

// Looks whether this hart is in the usual case, and finds how long nothing but sums change for it and the
// only class that has work. account() has this forgotten, with which everything that could change it begins.
// Whether it lasts beyond `now`. Pre: there is a current entity.
bool RunQueue::foresee(Instant now) {
    const std::size_t index = index_of(current_->effective_);
    RootMember& member = classes_[index];
    const ClassQueue& queue = member.queue;
    // When rates have come to an end, a member has its old pace until its request is used up.
    const bool are_paces_weights =
        !member.has_rates && queue.pace_sum_ == queue.sum_weight_ && queue.wholes_ == 0;
    if (!is_only_class(index) || !are_paces_weights || has_faults_ || !throttled_.empty()) {
        return false;
    }
    settle();
    if (usual_until_ == Instant{}) {
        static_assert(kMaxCpus < 1U << 8U);
        usual_stamp_ += 1U << 8U;
    }
    const ClassRow& row = kClassTable[index];
    const std::uint32_t weight = row.weight;
    // A request of the only class that ends begins anew, to nobody's benefit, where charge() would have it do
    // so: at `now`, up to which the accounts are brought next. (A boost is charged in parts.)
    if (now > clock_ && now - clock_ < kChargeChunk && !current_->is_boosted_) {
        std::uint64_t rest = member.carry;
        const VirtualTime vt = member.vt + advance(now - clock_, capacity_, weight, rest);
        if (!is_before(vt, member.request_end)) {
            member.request_end = member.deadline = vt + span_of(row.class_request, weight);
        }
    }
    const Duration to_end = time_to_advance(member.request_end - member.vt, capacity_, weight, member.carry);
    const Duration to_tidying =
        time_to_advance(oldest_empty_ + kFarBehind - member.vt, capacity_, weight, member.carry);
    usual_class_ = &member;
    usual_until_ = clock_ + std::min({to_end, to_tidying, kChargeChunk});
    return now < usual_until_;
}

// next_event(), in the usual case. Pre: there is a current entity.
inline Instant RunQueue::event_of_usual(Instant resched_at) const {
    if (runnable_ == 1) {
        return Instant::never();
    }
    // time_to_advance() of something that is not used up (S8) and fits: at most kRequestMax of service.
    static_assert(kRequestMax.ns() < std::int64_t{1} << 25U);
    const Entity::Position& position = current_->position_;
    const auto per_ns = static_cast<std::int64_t>(capacity_) << (kVirtualShift - 10);
    const std::int64_t units = (position.request_end - position.vt) * std::int64_t{position.weight} -
                               static_cast<std::int64_t>(position.carry);
    return min(resched_at, clock_ + Duration::nanoseconds((units + per_ns - 1) / per_ns));
}

bool RunQueue::wake_plainly(Entity& entity, Instant now, Instant& event) {
    catch_up();
    if (current_ == nullptr) {
        return false;
    }
    Entity& current = *current_;
    Entity::Position& position = entity.position_;
    if (now >= usual_until_ && !foresee(now)) [[unlikely]] {
        return false;
    }
    const QosClass qos_class = current.effective_;
    const std::size_t index = index_of(qos_class);
    RootMember& member = *usual_class_;
    ClassQueue& queue = member.queue;
    const bool is_as_before = entity.state_ == TaskState::Blocked && position.has_global &&
                              entity.cpu_ == cpu_ && position.frame == qos_class &&
                              entity.attributes.qos_class == qos_class &&
                              position.weight == entity.attributes.shares * kWeightPerShare &&
                              position.pace == position.weight;  // a table's pace that has come to an end
    const Duration slept = std::max(Duration{}, now - entity.since_);
    if (!is_as_before || !is_ordinary(entity) || !runs_ordinarily(current) || slept > kSleepHorizon ||
        !account_plainly(now, member)) {
        return false;
    }
    entity.statistics_.sleep += slept;
    entity.since_ = entity.woken_at_ = now;
    entity.wake_pending_ = true;
    entity.is_boosted_ = false;
    entity.effective_ = qos_class;
    entity.state_ = TaskState::Queued;
    position.epoch = epoch_;
    position.is_local = false;
    position.fresh = true;
    if (runnable_ == 1) {
        resched_at_ = Instant::never();  // left over from a competitor that is gone
        request_ended_ = false;
    }
    const Duration request = request_of(entity);
    queue.place_plainly(entity, request, kClassTable[index].task_request);
    const bool is_urgent = !entity.attributes.latency.is_zero();
    if (is_urgent) {
        begin_request(entity, queue);
    } else {
        position.request_end = position.deadline = position.vt + span_of(request, position.weight);
    }
    queue.add_waiting_plainly(entity);
    ++runnable_;
    // judge() of two of one class.
    if (queue.is_eligible(entity) && is_before(position.deadline, current.position_.deadline)) {
        want_resched(is_urgent ? now : std::max(now, picked_at_ + kMinGranularity));
    }
    event = event_of_usual(resched_at_);
    return true;
}

// The shortest request of those who asked for no other length.
constexpr Duration kLeastRequest = [] {
    Duration least = kClassTable[0].task_request;
    for (const ClassRow& row : kClassTable) {
        least = std::min(least, row.task_request);
    }
    return least;
}();

// wake_plainly() of the one that was put off, and switch_plainly() from the only other one, which waits from
// now on. What lies between the two is not worked out, as far as it does not matter afterwards: that they
// were two, who of them would have been better when, and when to decide about it. False, and nothing done,
// in unusual cases. Pre: foresee() was right beyond `now`; both are certified, as wake_later() saw.
template <bool Alike, RunQueue::Follower Kind>
inline RunQueue::Turn RunQueue::hand_over(Entity& next, Instant now) {
    constexpr bool kIsChild = Kind == Follower::Child;
    Entity& entity = *current_;
    Entity::Position& left = entity.position_;
    const Instant woken_at = next.woken_at_;
    const Duration slept = woken_at - next.since_;
    // One that fell asleep later than it was woken did not sleep.
    constexpr unsigned kShortSleep = 41;
    static_assert(std::int64_t{1} << kShortSleep <= kSleepHorizon.ns());
    if ((kIsChild ? next.since_ != kUnborn : static_cast<std::uint64_t>(slept.ns()) >> kShortSleep != 0) ||
        now < woken_at || (Alike && left.weight != next.position_.weight)) {
        return Turn::Refused;
    }
    const Duration elapsed = now - clock_;
    std::uint64_t carry = left.carry;
    const VirtualSpan moved = advance(elapsed, capacity_, left.weight, carry);
    const VirtualTime vt = left.vt + moved;
    if (!is_before(vt, left.request_end)) {
        return Turn::Refused;
    }
    VirtualTime place = next.position_.vt;
    if constexpr (kIsChild) {
        // inherit_position(): V was where its parent was. What bounds a debt is further away.
        static_assert(kRequestMax <= kLagMax);
        std::uint64_t rest = left.carry;
        const VirtualTime then = left.vt + advance(woken_at - clock_, capacity_, left.weight, rest);
        place = then + next.usual_request_ / 2;
    } else {
        // Mostly it comes back where it was, or with the credit there is: whatever the weights and wherever V
        // was on its way to `vt` when it woke, it was not so far behind it that it would have been put
        // nearer.
        constexpr std::uint32_t kHeaviest = nexus_abi::kSharesMax * kWeightPerShare;
        constexpr VirtualSpan kNeverTooFarAhead = span_of(kLagMax, 2 * kHeaviest);
        const VirtualSpan behind = vt - place;
        const VirtualSpan credit = next.usual_request_;  // of one that asked for no other length
        if (moved - behind > kNeverTooFarAhead) [[unlikely]] {
            return Turn::Refused;
        }
        if (behind > credit) [[unlikely]] {
            std::uint64_t rest = left.carry;
            const VirtualTime then = left.vt + advance(woken_at - clock_, capacity_, left.weight, rest);
            place = later(place, then - credit);
        }
    }
    if (!usual_class_->queue.hand_over_plainly<Alike>(entity, vt, carry, place, next)) {
        return Turn::Refused;
    }
    clock_ = now;
    Statistics& used = entity.statistics_;
    used.runtime += elapsed;
    ++used.switches_voluntary;
    ++turns_;
    entity.since_ = now;
    entity.state_ = TaskState::Blocked;
    if constexpr (!kIsChild) {
        next.statistics_.sleep += slept;
        next.position_.fresh = true;
    }
    next.since_ = now;
    woken_ = nullptr;
    request_ended_ = false;
    resched_at_ = Instant::never();
    static_assert(kLeastRequest > kMinGranularity + Duration::nanoseconds(2));  // what rounding takes off
    earliest_decision_ = now + kMinGranularity;
    current_ = &next;
    last_run_ = &next;
    // begin_turn(), and note_started_at_once() but for a late one.
    const Duration waited = now - woken_at;
    Statistics& statistics = next.statistics_;
    statistics.wait += waited;
    statistics.wait_max = std::max(statistics.wait_max, waited);
    next.state_ = TaskState::Running;
    picked_at_ = now;
    if (!kIsChild && !note_started_soon(next, waited)) [[unlikely]] {
        next.wake_pending_ = true;
        return Turn::Waking;
    }
    return Turn::Begun;
}

// Of `Several` that wait, or of `other`, which is the only one, who follows the current one when that yields.
template <bool Several>
inline Entity* RunQueue::yield_to(Entity* other, Instant now, Instant& event) {
    Entity& entity = *current_;
    Entity::Position& left = entity.position_;
    ClassQueue& queue = usual_class_->queue;
    const Duration elapsed = now - clock_;
    if (woken_ != nullptr || elapsed < Duration{} ||
        !(is_certified(entity) || (Several && certify(entity))) ||
        (Several ? queue.waiting_.empty() : other->budget_ != nullptr)) {
        return nullptr;
    }
    std::uint64_t carry = left.carry;
    const VirtualSpan moved = advance(elapsed, capacity_, left.weight, carry);
    const VirtualTime vt = left.vt + moved;
    const auto weighted = static_cast<std::uint64_t>(moved) * left.weight;
    const Int128 progress = queue.progress_sum_ + weighted;
    const std::uint64_t sum = static_cast<std::uint64_t>(queue.weighted_sum_) + weighted;
    const VirtualTime base = queue.base_ + static_cast<VirtualSpan>(sum / queue.sum_weight_);
    if (!is_before(vt, left.request_end) || progress != static_cast<std::int64_t>(progress)) [[unlikely]] {
        return nullptr;
    }
    if constexpr (Several) {
        const VirtualTime before = std::exchange(queue.base_, base);
        other = queue.first_eligible();
        if (other != nullptr && other->budget_ != nullptr) [[unlikely]] {
            queue.base_ = before;
            return nullptr;
        }
    } else if (is_before(base, other->position_.vt)) {
        other = nullptr;
    }
    clock_ = now;
    Statistics& used = entity.statistics_;
    used.runtime += elapsed;
    ++used.switches_voluntary;
    entity.since_ = now;
    left.vt = vt;
    left.carry = carry;
    queue.base_ = base;
    queue.weighted_sum_ = static_cast<std::int64_t>(sum % queue.sum_weight_);
    queue.progress_sum_ = progress;
    queue.yield_plainly(entity.usual_request_);
    resched_at_ = Instant::never();
    earliest_decision_ = Instant{};
    request_ended_ = false;
    if (other == nullptr) {  // all others have had more than their share
        ++voluntary_;
        picked_at_ = now;
        other = &entity;
    } else {
        entity.state_ = TaskState::Queued;
        if constexpr (Several) {
            queue.waiting_.insert_last(entity);
            queue.waiting_.erase(*other);
        } else {
            queue.waiting_.replace_only(entity);
        }
        queue.running_ = other;
        current_ = other;
        last_run_ = other;
        ++turns_;
        begin_turn(*other, now);
    }
    event = event_of_usual(Instant::never());
    return other;
}

Entity* RunQueue::yield_at_once(Entity& other, Instant now, Instant& event) {
    return yield_to<false>(&other, now, event);
}

Entity* RunQueue::yield_among(Instant now, Instant& event) {
    return yield_to<true>(nullptr, now, event);
}

RunQueue::Turn RunQueue::hand_over_at_once(Entity& next, Instant now) {
    return hand_over<true>(next, now);
}

RunQueue::Turn RunQueue::hand_over_to_child(Entity& next, Instant now) {
    return hand_over<true, Follower::Child>(next, now);
}

RunQueue::Turn RunQueue::hand_over_at_end(Entity& next, Instant now) {
    Entity& entity = *current_;
    const Turn turn = hand_over<true>(next, now);
    if (turn != Turn::Refused) {
        entity.state_ = TaskState::Dead;
    }
    return turn;
}

// What a switch comes to about the one that was picked, from a certified one of its class.
inline void RunQueue::finish_step(Entity& next, Instant now, Step& step) {
    const bool is_switch = &next != last_run_;
    step.pick = {.entity = &next, .switched = is_switch, .balance = request_ended_};
    resched_at_ = Instant::never();
    earliest_decision_ = Instant{};
    request_ended_ = false;
    begin_turn(next, now);
    switches_ += is_switch ? 1 : 0;
    last_run_ = &next;
    step.event = event_of_usual(Instant::never());
}

bool RunQueue::switch_plainly(Instant now, PutReason reason, Step& step) {
    if (now >= usual_until_ && !foresee(now)) [[unlikely]] {
        return false;
    }
    if (woken_ != nullptr) {
        Entity& next = *woken_;
        if (reason == PutReason::Block && hand_over<false>(next, now) != Turn::Refused) [[likely]] {
            step.pick = {.entity = &next, .switched = true, .balance = false};
            step.event = Instant::never();
            return true;
        }
        wake_as_put_off();
        if (now >= usual_until_ && !foresee(now)) [[unlikely]] {
            return false;
        }
    }
    Entity& entity = *current_;
    RootMember& member = *usual_class_;
    ClassQueue& queue = member.queue;
    if ((!is_certified(entity) && !certify(entity)) || queue.waiting().empty() ||
        !account_plainly(now, member)) {
        return false;
    }
    entity.since_ = now;
    count_voluntary(entity.statistics_);
    const bool blocks = reason == PutReason::Block;
    if (blocks) {
        queue.remove_running_plainly(entity);
        entity.state_ = TaskState::Blocked;
        --runnable_;
    } else {
        queue.yield_plainly(entity.usual_request_);
        entity.state_ = TaskState::Queued;
    }
    Entity* next = queue.first_eligible();
    if (next != nullptr && next->budget_ != nullptr) [[unlikely]] {
        if (!blocks) {
            queue.stop(entity);
        }
        settle();
        current_ = nullptr;
        step.pick = pick_next(now);
        step.event = next_event(now);
        return true;
    }
    if (blocks) {
        CHECK(next != nullptr);  // the least vt is never above the mean
        queue.start(*next);
    } else if (next != nullptr) {
        queue.pass_on(*next);
    } else {
        next = &entity;  // all others have had more than their share
    }
    current_ = next;
    finish_step(*next, now, step);
    return true;
}

}  // namespace kernel::sched
