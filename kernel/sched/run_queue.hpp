// SPDX-License-Identifier: MIT
// RunQueue: the scheduling decisions of one hart. Two levels of EEVDF: the classes share the hart by their
// root weights (qos.hpp), the tasks of a class share what it gets by their shares (class_queue.hpp).
//
// Pure: time comes in as an argument, decisions go out as values. The caller owns the clock, the timer, the
// IPI and the switch: after anything that may change the decision it asks should_resched(now), calls
// pick_next(now) if so, and programs its one-shot timer for next_event(now).
//
// Time: `now` never decreases between calls (an earlier one counts as "no time has passed"). Whatever passes
// while an entity is current is charged to it, all else is idle: busy() + idle() == now - start, exactly.
// Cost: O(log n) per call, n = tasks waiting here.
// Concurrency: guarded by the lock of the hart, as is every entity on it.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "lib/check.hpp"
#include "lib/cpu_mask.hpp"
#include "lib/ids.hpp"
#include "lib/units.hpp"
#include "sched/class_queue.hpp"
#include "sched/entity.hpp"
#include "sched/load.hpp"
#include "sched/qos.hpp"

namespace kernel::sched {

// Why an entity comes to this queue. Wake: it slept. New: it never ran. Migrate: it was waiting or running
// elsewhere and keeps its place in time, deadline and all.
enum class EnqueueReason : std::uint8_t { Wake, New, Migrate };

// Why the current entity stops. Preempted and Yield: it stays here, waiting. Block: it sleeps. Exit: it never
// runs again. Migrate: it is on its way to another queue.
enum class PutReason : std::uint8_t { Preempted, Yield, Block, Exit, Migrate };

// Whether the current task must make way for one that was just enqueued.
struct Preempt {
    enum class Kind : std::uint8_t { No, Now, At };
    Kind kind{Kind::No};
    Instant at{Instant::never()};  // with At: the instant from which it must; next_event() includes it
};

struct Pick {
    Entity* entity{nullptr};  // null: nothing to run here
    bool switched{false};     // not the one that was current before
    bool balance{false};      // call balance() (balance.hpp) once the lock is dropped
};

// Throttled entities, the one whose budget returns first in front.
struct ReleaseOrder {
    static bool before(const Entity& a, const Entity& b) { return a.release_at_ < b.release_at_; }
    static void update(Entity&, const Entity*, const Entity*) {}
};

class RunQueue {
  public:
    constexpr RunQueue() = default;
    RunQueue(const RunQueue&) = delete;
    RunQueue& operator=(const RunQueue&) = delete;

    // Before anything else. capacity: 1..1024 of the reference hart.
    void start(CpuId cpu, Instant now, std::uint32_t capacity = kCapacityFull, Faults faults = {});

    // --- What a task does ---

    // The entity becomes runnable here. Pre: on no queue; allowed on this hart. New: see inherit_position().
    // The answer is also part of should_resched() and next_event().
    Preempt enqueue(Entity& entity, Instant now, EnqueueReason reason);
    // A waiting or throttled entity leaves for another queue (state Migrating). Pre: waiting or throttled
    // here.
    void remove(Entity& entity, Instant now);
    // The current entity stops. Post: current() is null; follow with pick_next().
    void put_current(Instant now, PutReason reason);
    // Chooses and makes current. Pre: none; a still current entity competes as if preempted.
    Pick pick_next(Instant now);
    // The current entity's own work goes on at `now`: its wake-up, if is_waking(), was as late as that. Of
    // one that waited for an instant it is counted from `due`, or from when it was woken where that was
    // later, but from `latest` at the latest: how long its timer was allowed to take.
    void note_started(Instant now, Instant due = Instant{}, Instant latest = Instant::never());
    // note_started() of one that was woken for no instant, and has just been picked. False, and nothing done,
    // in unusual cases.
    [[nodiscard, gnu::always_inline]] bool note_started_at_once(Instant now);
    // New attributes, in any state; charges first. Lag is kept across a change of shares; across a change of
    // class only debt is. Pre: entity is on this queue, or was last here and is off every queue. True: it is
    // on this hart and no longer allowed to be; the caller moves it before it lets go of the lock (waiting)
    // or before it returns to user mode (running).
    [[nodiscard]] bool set_attributes(Entity& entity, const Attributes& attributes, Instant now);

    // What it is lent while others wait for it, and the end of that; in any state, like set_attributes. While
    // lent to it is never throttled. Pre: as for set_attributes.
    void set_donation(Entity& entity, const Donation& donation, Instant now);
    void end_donation(Entity& entity, Instant now);
    // The budget it draws on from now on; null: none. In any state, like set_attributes. Also to be called
    // after Budget::configure(): a throttled entity is then looked at again. The budget outlives the entity's
    // use of it; the caller detaches (null) before it goes away, at the latest after retire() or Exit.
    void set_budget(Entity& entity, Budget* budget, Instant now);
    // The group it counts for from now on; null: none. In any state. Lifetime as for the budget.
    void set_group(Entity& entity, Group* group, Instant now);

    // A yield of the current entity that leaves everything as it is, because nobody is there to take the rest
    // of its request; it is only counted. False, and nothing done: put_current(Yield) and pick_next() are
    // called for. Pre: there is a current entity.
    bool yield_alone();

    // --- The usual case, in few steps (run_queue_plain.cpp) ---

    // What came of put_current() and pick_next(), and next_event() after them.
    struct Step {
        Pick pick;
        Instant event{Instant::never()};
    };
    // The same as enqueue(Wake), and next_event() after it. False, and nothing done, when this is no usual
    // case.
    [[nodiscard]] bool wake_plainly(Entity& entity, Instant now, Instant& event);
    // The same, put off: where one task runs and wakes another one, mostly to wait itself soon after. It is
    // done, as of `now`, before anything else is done here; a switch_plainly() that follows at once does both
    // in one step. `event` is not after next_event(), and may be before it. Until then functions that only
    // look must not be called, but for current() and runnable(): see catch_up(). Nothing is put off of an
    // entity that allows() would not let run here.
    [[nodiscard]] bool wake_later(Entity& entity, Instant now, Instant& event);
    // The same on the only hart there is, where the hart's timer, which is set to `programmed`, fires in time
    // for the event. Pre: `entity` is Blocked; now is not before any instant told so far.
    [[nodiscard, gnu::always_inline]] inline bool wake_later_at_once(Entity& entity, Instant now,
                                                                     Instant programmed);
    // inherit_position(child, *current()) and enqueue(New), put off in the same way: whoever makes a thread
    // mostly waits soon after. `event` as above. False, and nothing done, when this is no usual case. Pre: as
    // of inherit_position(); what the child draws on and counts for is set.
    [[nodiscard]] bool start_later(Entity& child, Instant now, Instant& event);
    // Does what was put off, for who is about to look.
    void catch_up() {
        if (woken_ != nullptr) [[unlikely]] {
            wake_as_put_off();
        }
    }
    // The same as put_current(reason) and pick_next(). False, and nothing done, when this is no usual case.
    // Pre: there is a current entity; reason is Yield or Block.
    [[nodiscard]] bool switch_plainly(Instant now, PutReason reason, Step& step);
    // The same where two tasks take turns, without a call in between. Each is false or null, and nothing
    // done, when this is no such case. Pre: there is a current entity; is_usual(now).
    //   The current one yields while one other waits: only_waiting(). Who runs, and `event` as above.
    [[nodiscard]] Entity* yield_at_once(Entity& other, Instant now, Instant& event);
    //   The same while several wait. That calls functions.
    [[nodiscard]] Entity* yield_among(Instant now, Instant& event);
    //   The current one waits and is followed by `next`, which it woke: put_off(). There is no event. Pre:
    //   this is the only hart there is.
    enum class Turn : std::uint8_t {
        Refused,
        Begun,   // what note_started() does is done, too
        Waking,  // note_started() is called for
    };
    [[nodiscard]] Turn hand_over_at_once(Entity& next, Instant now);
    //   The same where `next` is its child, which start_later() put off; Refused for any other. It is not
    //   late.
    [[nodiscard]] Turn hand_over_to_child(Entity& next, Instant now);
    //   The current one never runs again, and is followed by `next`, which it woke: put_current(Exit).
    [[nodiscard]] Turn hand_over_at_end(Entity& next, Instant now);
    // Whether it was found that this hart is in the usual case, and will be until after `now`.
    [[nodiscard]] bool is_usual(Instant now) const { return now < usual_until_; }
    [[nodiscard]] Entity* put_off() const { return woken_; }
    // Null: nobody waits, or several do.
    [[nodiscard]] Entity* only_waiting() const { return usual_class_->queue.only_waiting(); }

    // --- When to decide ---

    // When a decision is due. With one runnable task or none only for budgets: the end of the running task's,
    // or the return of a throttled one's; else never() (tickless).
    [[nodiscard]] Instant next_event(Instant now) const;
    [[nodiscard]] bool should_resched(Instant now) const { return next_event(now) <= now; }
    // Brings the accounts up to now.
    void charge_current(Instant now);

    // --- Off the queue ---

    // The entity was woken at `now` but travels (inbox) before it is enqueued: ends its sleep, starts its
    // wake latency, and gives it the machine-wide virtual time it travels with. Optional before
    // enqueue(Wake); without it, or when this is not the queue it was last on, it travels with the one it
    // fell asleep with. Pre: Blocked.
    void note_woken(Entity& entity, Instant now);
    // The same for a new entity that travels to its first queue: its life, and its accounts, begin at `now`.
    // Pre: it was on no queue yet.
    static void note_created(Entity& entity, Instant now);
    // An entity that is Blocked or under way will never run again.
    static void retire(Entity& entity, Instant now);
    // Places a new child behind its parent by half a request, so a fork chain pays and a bomb's children do
    // not jump the queue. Call before enqueue(New). Pre: parent is current here; child has its attributes and
    // is on no queue.
    void inherit_position(Entity& child, const Entity& parent);

    // --- Other harts ---

    // The waiting entity an idle hart should take: of the highest class that has one allowed there, the one
    // with least U among a bounded probe. Null: none. The thief calls remove() here, unlocks, and enqueues it
    // as Migrate there.
    [[nodiscard]] Entity* find_stealable(CpuId thief) const;
    // The same of one class.
    [[nodiscard]] Entity* find_stealable(CpuId thief, std::size_t class_index) const;
    // Calls f(Entity&, U) for a bounded number of waiting entities of a class that may run on one of
    // `targets`.
    template <class F>
    void for_candidates(std::size_t class_index, CpuMask targets, F&& f) const {
        const ClassQueue& queue = classes_[class_index].queue;
        if (!faults_.stay_put) {
            queue.for_candidates(targets, faults_,
                                 [&](Entity& entity) { f(entity, queue.global_of(entity)); });
        }
    }
    // A class without work here is about to get some, and its frame was not compared to the other harts' for
    // kFrameSpacing: the caller does that (raise_frame_before() in balance.hpp) and calls set_frame().
    [[nodiscard]] bool wants_frame(std::size_t class_index, Instant now) const;
    void set_frame(std::size_t class_index, VirtualTime global, Instant now);
    // Lifts the frame of a class without work here to at least `global`.
    void raise_frame(QosClass qos_class, VirtualTime global);
    // Moves the frames of all classes into a new epoch. No effect when the queue is in a later one already.
    void shift_frames(const std::array<VirtualSpan, kClasses>& shifts, std::uint32_t epoch);
    [[nodiscard]] std::uint32_t epoch() const { return epoch_; }
    // The paces of a class from now on: at once for the running task, for the others when they are placed or
    // end a request next.
    void set_rates(std::size_t class_index, const RateTable& rates, Instant now);
    [[nodiscard]] const RateTable& rates(std::size_t class_index) const { return rates_[class_index]; }
    [[nodiscard]] HartLoad load() const;

    // --- What is here ---

    [[nodiscard]] CpuId cpu() const { return cpu_; }
    [[nodiscard]] Entity* current() const { return current_; }
    [[nodiscard]] std::uint32_t capacity() const { return capacity_; }
    [[nodiscard]] std::uint32_t runnable() const { return runnable_ + (woken_ != nullptr ? 1 : 0); }
    // The same when nothing is put off (wake_later()): right after a decision.
    [[nodiscard]] std::uint32_t runnable_after_decision() const {
        DCHECK(woken_ == nullptr);
        return runnable_;
    }
    // Entities of this hart that wait for their budget; not counted in runnable().
    [[nodiscard]] std::uint32_t throttled() const { return throttled_.size(); }
    // The one whose budget returns first, or null.
    [[nodiscard]] Entity* first_throttled() const { return throttled_.first(); }
    [[nodiscard]] Duration busy() const { return busy_ + (clock_ - settled_at_); }
    [[nodiscard]] Duration idle() const { return idle_; }
    [[nodiscard]] std::uint64_t switches() const { return switches_ + turns_; }
    // What all entities together used here so far: the sum of what their Statistics say of this hart, with
    // the stretch that is going on at `now`.
    struct Use {
        Duration runtime;
        std::uint64_t voluntary{0};
        std::uint64_t involuntary{0};
    };
    [[nodiscard]] Use use(Instant now) const {
        const bool is_running = current_ != nullptr && now > clock_;
        return {.runtime = busy() + (is_running ? now - clock_ : Duration{}),
                .voluntary = voluntary_ + turns_,
                .involuntary = involuntary_};
    }
    [[nodiscard]] const Faults& faults() const { return faults_; }
    [[nodiscard]] const ClassQueue& queue(QosClass qos_class) const {
        return classes_[index_of(qos_class)].queue;
    }
    // Service owed to (+) or received ahead by (-) a member; 0 for others.
    [[nodiscard]] Duration lag(const Entity& entity) const;
    // May this task run here, as placement and stealing see it (Faults::ignore_affinity included)?
    [[nodiscard]] bool allows(const Entity& entity) const { return allows(entity, cpu_); }
    [[nodiscard]] bool allows(const Entity& entity, CpuId cpu) const {
        return faults_.ignore_affinity || entity.attributes.affinity_effective.contains(cpu);
    }

  private:
    friend class Auditor;
    using ThrottledTree = AvlTree<Entity, &Entity::node_, ReleaseOrder>;

    // A class as a member of the root: its own position among the classes.
    struct RootMember {
        ClassQueue queue;
        VirtualTime vt;
        VirtualTime deadline;
        VirtualTime request_end;
        std::uint64_t carry{0};
        Instant frame_set_at{Instant::from_ns(-kFrameSpacing.ns())};
        bool has_rates{false};  // paces are not weights
    };

    void account(Instant now) {
        catch_up();
        settle();
        usual_until_ = Instant{};
        if (now > clock_) {
            account_elapsed(now);
        }
    }
    void account_elapsed(Instant now);
    // Puts on the accounts of the hart and its class what account_plainly() left open.
    void settle() {
        if (settled_at_ < clock_) {
            settle_elapsed();
        }
    }
    void settle_elapsed();
    // `at`: when the service ended.
    void charge(Duration service, Instant at);
    void follow_root();
    void tidy_empty_classes();
    [[nodiscard]] bool is_only_class(std::size_t index) const {
        return classes_[index].queue.count() == runnable_;
    }
    [[nodiscard]] VirtualTime root_now() const {
        if (!root_known_) {
            root_cache_ = compute_root();
            root_known_ = true;
        }
        return root_cache_;
    }
    [[nodiscard]] VirtualTime compute_root() const;
    [[nodiscard, gnu::noinline]] VirtualTime root_far() const;
    [[nodiscard]] static bool is_ordinary(const Entity& entity);
    [[nodiscard]] static bool runs_ordinarily(const Entity& current);
    [[nodiscard]] bool account_plainly(Instant now, RootMember& member);
    [[nodiscard, gnu::noinline]] bool foresee(Instant now);
    [[nodiscard]] bool is_certified(const Entity& entity) const {
        return entity.usual_stamp_ == usual_stamp_;
    }
    [[nodiscard, gnu::noinline]] bool certify(Entity& current);
    [[nodiscard, gnu::noinline]] Instant earliest_decision() const;
    [[gnu::noinline]] void wake_as_put_off();
    template <bool Several>
    [[nodiscard, gnu::always_inline]] inline Entity* yield_to(Entity* other, Instant now, Instant& event);
    // What `next` is to the current entity.
    enum class Follower : std::uint8_t { Woken, Child };
    template <bool Alike, Follower Kind = Follower::Woken>
    [[nodiscard, gnu::always_inline]] inline Turn hand_over(Entity& next, Instant now);
    // Of one that start_later() put off: no time it could have slept since.
    static constexpr Instant kUnborn = Instant::never();
    // note_started() of one without a target, where its latency is short. False, and nothing done: it is not.
    [[nodiscard, gnu::always_inline]] static bool note_started_soon(Entity& entity, Duration latency);
    void finish_step(Entity& next, Instant now, Step& step);
    [[nodiscard]] Instant event_of_usual(Instant resched_at) const;
    [[nodiscard]] bool is_class_eligible(std::size_t index, VirtualTime root) const;
    [[nodiscard]] std::size_t pick_class() const;
    void join(Entity& entity, std::size_t index, EnqueueReason reason);
    void leave(Entity& entity, std::size_t index);
    Preempt judge(const Entity& entity, Instant now);
    void want_resched(Instant at);
    void count_voluntary(Statistics& statistics) {
        ++statistics.switches_voluntary;
        ++voluntary_;
    }
    void count_involuntary(Statistics& statistics) {
        ++statistics.switches_involuntary;
        ++involuntary_;
    }
    void begin_request(Entity& entity, const ClassQueue& queue);
    void run(Entity& entity, Instant now);
    void begin_turn(Entity& entity, Instant now);
    void rescale_saved(Entity& entity, QosClass to, std::uint32_t weight, Instant now);
    void adopt_frame(Entity& entity);
    [[nodiscard]] static Duration request_of(const Entity& entity) {
        return entity.attributes.burst.is_zero()
                   ? row_of(entity.effective_).task_request
                   : std::clamp(entity.attributes.burst, kRequestMin, kRequestMax);
    }

    // What its attributes, its boost and what it is lent come to.
    [[nodiscard]] static QosClass class_of(const Entity& entity);
    [[nodiscard]] static bool wants_boost(const Entity& entity);
    static void count_boost(Entity& entity, Instant now);
    static void consider_boost(Entity& entity);
    // The class of an entity that is on no queue and has been on none of this class; a boost may begin here.
    static void settle_class(Entity& entity, Instant now);
    static void begin_life(Entity& entity, Instant now);
    void drain_boost(Duration ran, Instant at);
    // Moves an entity that may be on this queue to the class it belongs in now.
    void follow_class(Entity& entity, Instant now);
    void hasten(Entity& entity, Instant now);

    [[nodiscard]] bool is_capped(const Entity& entity) const;
    bool take_grant(Entity& entity, Instant now) const;
    static void return_grant(Entity& entity);
    void spend(Instant from, Instant to);
    void throttle(Entity& entity, Instant now, bool is_waiting);
    void unthrottle(Entity& entity, Instant now);
    void release(Entity& entity, Instant now);
    void release_due(Instant now);
    void reconsider_throttled(Entity& entity, Instant now);
    [[nodiscard]] Entity* choose(Instant now);
    Pick keep_current();
    // Index of the class that was picked last; kClasses when there is none.
    [[nodiscard]] std::size_t last_picked_class() const {
        return std::min<std::size_t>(picked_class_, kClasses);
    }

    void count_into_group(Entity& entity) const;
    static void count_out_of_group(Entity& entity);
    void follow_weight(Entity& entity);
    [[nodiscard]] std::uint32_t own_weight_of(const Entity& entity) const;
    [[nodiscard]] std::uint32_t weight_of(const Entity& entity) const;
    // On this queue or throttled here.
    [[nodiscard]] static bool is_here(const Entity& entity);

    // advance() takes at most 2^40 ns at once; a hart that stood still longer (a stopped VM) is charged in
    // pieces.
    static constexpr Duration kChargeChunk = Duration::nanoseconds(std::int64_t{1} << 39U);
    // A class without work that has fallen this far behind follows, so that it never comes near the wrap.
    static constexpr VirtualSpan kFarBehind = VirtualSpan{1} << 44U;

    // Bounds what one pick does about budgets.
    static constexpr std::uint32_t kReleasesPerPick = 16;

    // What every switch looks at comes first: near offsets are cheap.
    CpuId cpu_;
    std::uint32_t capacity_{kCapacityFull};
    std::uint32_t epoch_{0};  // of the frames: changes when compress() moves them
    std::uint32_t runnable_{0};
    bool has_faults_{false};     // any of faults_
    bool request_ended_{false};  // since the last pick, with someone waiting
    std::uint8_t picked_class_{HartLoad::kIdle};
    // root_now() until a class's time changes, or whether it has work.
    mutable bool root_known_{false};
    mutable VirtualTime root_cache_;
    VirtualTime root_last_;     // root_now() at the last charge: the present of a root without work
    VirtualTime oldest_empty_;  // no class without work is further behind than this
    Entity* current_{nullptr};
    const Entity* last_run_{nullptr};  // compared only: it may be gone
    Entity* woken_{nullptr};           // by wake_later(), at its woken_at_; else as it fell asleep. Or by
                                       // start_later(), since_ kUnborn
    Instant clock_;                    // accounts are complete up to here, but for
    Instant settled_at_;               // those of the hart and the class of current_, which are up to here
    // The class foresee() found to be the only one with work, and until when that and more holds, unless
    // account() is called; Instant{}: not known.
    RootMember* usual_class_{nullptr};
    Instant usual_until_;
    std::uint64_t usual_stamp_{0};  // another one each time account() was called in between; no queue has
                                    // one of another queue
    Instant earliest_decision_;     // with two where one is; Instant{}: not known
    Instant picked_at_;
    Instant resched_at_{Instant::never()};
    Duration busy_;
    std::uint64_t switches_{0};   // but for turns_
    std::uint64_t voluntary_{0};  // switches of all entities, as each one's Statistics have them, but for
    std::uint64_t turns_{0};      // those at once, each of which is a switch here and a voluntary one
    std::uint64_t involuntary_{0};
    ThrottledTree throttled_;
    std::array<RootMember, kClasses> classes_{};
    Duration idle_;
    Instant start_;
    Faults faults_;
    std::array<RateTable, kClasses> rates_{};
};

// See run_queue_plain.cpp.
inline bool RunQueue::wake_later(Entity& entity, Instant now, Instant& event) {
    if (now >= usual_until_ || now < clock_ || runnable_ != 1 || woken_ != nullptr || !is_certified(entity) ||
        !is_certified(*current_) || entity.state_ != TaskState::Blocked || entity.has_hints_) {
        return false;
    }
    if (earliest_decision_ == Instant{}) [[unlikely]] {
        earliest_decision_ = earliest_decision();
    }
    if (earliest_decision_ <= now) {
        return false;
    }
    event = earliest_decision_;
    entity.woken_at_ = now;
    woken_ = &entity;
    return true;
}

inline bool RunQueue::wake_later_at_once(Entity& entity, Instant now, Instant programmed) {
    DCHECK(entity.state_ == TaskState::Blocked && now >= clock_);
    // Of an earliest_decision_ that is not known both comparisons fail.
    if (now >= usual_until_ || runnable_ != 1 || woken_ != nullptr || !is_certified(entity) ||
        !is_certified(*current_) || entity.has_hints_ || earliest_decision_ <= now ||
        earliest_decision_ < programmed) {
        return false;
    }
    entity.woken_at_ = now;
    woken_ = &entity;
    return true;
}

inline bool RunQueue::note_started_soon(Entity& entity, Duration latency) {
    // The lowest bucket of Statistics::record_wake(), and nothing else to count.
    constexpr std::uint64_t kBucket = 1000;
    if (static_cast<std::uint64_t>(latency.ns()) >= kBucket) [[unlikely]] {
        return false;
    }
    Statistics& statistics = entity.statistics_;
    ++statistics.wake_latency[0];
    statistics.wake_latency_max = std::max(statistics.wake_latency_max, latency);
    return true;
}

inline bool RunQueue::note_started_at_once(Instant now) {
    Entity& entity = *current_;
    if (!entity.attributes.latency.is_zero() || !note_started_soon(entity, now - entity.woken_at_)) {
        return false;
    }
    entity.wake_pending_ = false;
    return true;
}

// What every pick does about the one that was picked.
inline void RunQueue::begin_turn(Entity& entity, Instant now) {
    const Duration waited = std::max(Duration{}, now - entity.since_);
    Statistics& statistics = entity.statistics_;
    statistics.wait += waited;
    statistics.wait_max = std::max(statistics.wait_max, waited);
    entity.state_ = TaskState::Running;
    entity.since_ = now;
    picked_at_ = now;
}

}  // namespace kernel::sched
