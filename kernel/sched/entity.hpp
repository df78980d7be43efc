// SPDX-License-Identifier: MIT
// Entity: what the scheduler knows about one thread. It is embedded in the kernel's Task, never copied, never
// allocated here. Concurrency: guarded by the lock of the hart whose queue it is on or was last on (`cpu`);
// while Migrating, by whoever carries it. Everyone but RunQueue reads only, except where a member says
// otherwise.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "lib/avl_tree.hpp"
#include "lib/cpu_mask.hpp"
#include "lib/ids.hpp"
#include "lib/units.hpp"
#include "nexus_abi/sched.hpp"
#include "sched/attributes.hpp"
#include "sched/boost.hpp"
#include "sched/budget.hpp"
#include "sched/donation.hpp"
#include "sched/group.hpp"
#include "sched/virtual_time.hpp"

namespace kernel::sched {

// What was measured; the source of nexus_abi::sched_stat.
struct Statistics {
    Duration runtime;
    Duration wait;
    Duration wait_max;
    Duration sleep;
    std::uint64_t switches_voluntary{0};
    std::uint64_t switches_involuntary{0};
    std::uint64_t migrations{0};
    std::uint64_t preempted{0};  // involuntary switches before the request was used up
    std::array<std::uint64_t, nexus_abi::kWakeHistogramBuckets> wake_latency{};
    Duration wake_latency_max;
    Duration boosted;    // run as PerfBurst
    Duration throttled;  // runnable, but without budget
    std::uint64_t throttles{0};
    std::uint64_t latency_target_met{0};
    std::uint64_t latency_target_missed{0};

    // Counts one wake-up that took `latency` until it ran. `target`: the latency hint, 0 for none.
    void record_wake(Duration latency, Duration target);
};

// The least and the greatest of some weights; in one word, because mostly all are equal.
class WeightRange {
  public:
    constexpr WeightRange() = default;
    constexpr explicit WeightRange(std::uint32_t only) : bits_{std::uint64_t{only} << 32U | only} {}
    [[nodiscard]] constexpr std::uint32_t least() const { return static_cast<std::uint32_t>(bits_); }
    [[nodiscard]] constexpr std::uint32_t greatest() const {
        return static_cast<std::uint32_t>(bits_ >> 32U);
    }
    constexpr void take_in(WeightRange other) {
        if (bits_ != other.bits_) [[unlikely]] {
            const std::uint32_t most = std::max(greatest(), other.greatest());
            bits_ = std::uint64_t{most} << 32U | std::min(least(), other.least());
        }
    }
    constexpr bool operator==(const WeightRange&) const = default;

  private:
    std::uint64_t bits_{0};
};

// What the scheduler makes of a task's attributes at present.
struct Standing {
    QosClass effective{QosClass::Normal};
    std::uint32_t shares{nexus_abi::kSharesDefault};  // effective, rounded; lowered only by a group ceiling
    std::uint32_t group_ceiling{0};                   // 0 = none
    BudgetParams budget;                              // of the budget it draws on

    constexpr bool operator==(const Standing&) const = default;
};

class Entity {
  public:
    Entity() = default;
    Entity(const Entity&) = delete;
    Entity& operator=(const Entity&) = delete;

    // May be written directly only before the first enqueue; later through RunQueue::set_attributes.
    Attributes attributes;
    // Checked by setters, written under the same lock as attributes.
    Limits limits;

    [[nodiscard]] TaskState state() const { return state_; }
    [[nodiscard]] bool is_on_queue() const {
        return state_ == TaskState::Queued || state_ == TaskState::Running;
    }
    // The hart whose queue it is on, or was last on.
    [[nodiscard]] CpuId cpu() const { return cpu_; }
    // It was woken, and has not started since (RunQueue::note_started).
    [[nodiscard]] bool is_waking() const { return wake_pending_; }
    [[nodiscard]] bool has_run() const { return !statistics_.runtime.is_zero(); }
    [[nodiscard]] const Statistics& statistics() const { return statistics_; }
    // Has the time it runs on each hart kept in `by_cpu`, one entry for each hart of the machine, so that a
    // task has no more of them than there are; without it, only the sum is kept. Pre: it has not run;
    // `by_cpu` lives as long as the entity and has an entry for each hart it will run on.
    void keep_runtime_by_cpu(std::span<Duration> by_cpu) {
        runtime_by_cpu_ = by_cpu.data();
        cpus_kept_ = static_cast<std::uint8_t>(by_cpu.size());
    }
    [[nodiscard]] std::uint32_t cpus_kept() const { return cpus_kept_; }
    // Time on that hart, up to what was charged last. Pre: it is kept.
    [[nodiscard]] Duration runtime_on(CpuId cpu) const {
        const Duration kept = runtime_by_cpu_[cpu.value()];
        return cpu == cpu_ ? kept + statistics_.runtime : kept;
    }
    // The class it is served in: the one it asked for or one it was lent, whichever is higher, and
    // Interactive for PerfBurst while it has no boost. A task that never was on its way to a queue has the
    // class it asked for, capped at Interactive.
    [[nodiscard]] QosClass effective() const { return effective_; }
    // The latency hint it is served by: the shorter of its own and the one it was lent; 0 = none.
    [[nodiscard]] Duration latency() const;
    [[nodiscard]] bool is_donated() const { return is_donated_; }
    [[nodiscard]] const Donation& donation() const { return donation_; }
    // Its budget or null; set by RunQueue::set_budget.
    [[nodiscard]] Budget* budget() const { return budget_; }
    // Its group or null; set by RunQueue::set_group.
    [[nodiscard]] Group* group() const { return group_; }
    [[nodiscard]] Standing standing() const;
    // Time on any hart so far, including the running stretch up to `now`.
    [[nodiscard]] Duration runtime(Instant now) const;

    // sched_getstat, except lag_ns, which is set to 0: RunQueue::lag.
    // Includes the stretch that is going on at `now`. Post: every byte of stat is written.
    void fill_stat(Instant now, nexus_abi::sched_stat& stat) const;

    // Where the entity stands in its class queue. Meaning of each field: class_queue.hpp.
    struct Position {
        VirtualTime vt;           // service received / weight
        VirtualTime deadline;     // orders the queue; the earliest eligible one runs, ties first come first
        VirtualTime request_end;  // when vt reaches it the request is used up
        std::uint64_t carry{0};   // service not yet in vt
        std::uint32_t weight{0};  // shares * 16
        // How it counts next to tasks of other harts (rate_table.hpp), and where it stood there when its vt
        // was paced_at: its progress is paced_from + (vt - paced_at) * weight / pace.
        std::uint32_t pace{0};
        std::uint32_t pace_generation{0};
        std::uint32_t epoch{0};  // of `global`
        VirtualTime paced_at;
        VirtualTime paced_from;
        QosClass frame{QosClass::Normal};  // the class whose frame vt and `global` are in
        bool is_local{false};  // woken or born, not placed yet: vt is in the frame of the queue of `cpu`
        bool is_whole{false};  // it deserves a whole hart
        std::uint8_t mask_place{0};  // of its mask in the queue's MaskGroups
        bool fresh{false};           // woken, and has not used up a request since
        // It was on a queue: asleep, vt is in the frame of its home queue.
        bool has_global{false};
        // Of an entity under way or throttled: vt in the machine-wide frame, the frame's epoch, and V - vt of
        // the queue it left, which counts instead when the epoch has changed since.
        VirtualTime global;
        VirtualSpan lag{0};
        // Of the subtree below (and including) this entity, kept by the tree:
        VirtualTime min_vt;
        WeightRange weights;
        CpuMask any_allowed;  // union of the masks
    };
    [[nodiscard]] const Position& position() const { return position_; }

  private:
    friend class RunQueue;
    friend class ClassQueue;
    friend struct EntityOrder;
    friend struct ReleaseOrder;
    friend class Auditor;

    // Another hart is its last one from now on.
    void set_cpu(CpuId cpu) {
        if (cpu != cpu_ && runtime_by_cpu_ != nullptr) {
            runtime_by_cpu_[cpu_.value()] += statistics_.runtime;
            runtime_by_cpu_[cpu.value()] -= statistics_.runtime;
        }
        cpu_ = cpu;
    }

    TaskState state_{TaskState::Blocked};
    CpuId cpu_;
    Instant since_;     // start of the present state; for a running entity, what has been charged up to
    Instant woken_at_;  // valid while wake_pending_
    Position position_;
    [[no_unique_address]] AvlNode<Entity> node_;  // its last bytes are free for the next member
    std::uint32_t group_weight_{0};  // what it is counted with in its group; 0 while not runnable
    // RunQueue::certify() found nothing unusual about it; void once that queue has another usual_stamp_. With
    // it, in virtual time, a request of its own.
    std::uint64_t usual_stamp_{0};
    VirtualSpan usual_request_{0};
    Statistics statistics_;
    // Null: not kept. Of `cpu_` without the runtime there is, so that it grows by itself.
    Duration* runtime_by_cpu_{nullptr};

    QosClass effective_{QosClass::Normal};
    bool wake_pending_{false};
    bool is_boosted_{false};  // PerfBurst is served as such
    bool is_donated_{false};
    bool has_hints_{false};      // for latency or burst, as certify() found it
    std::uint8_t cpus_kept_{0};  // entries of runtime_by_cpu_
    BoostBucket boost_;
    Donation donation_;
    Budget* budget_{nullptr};
    Duration granted_;  // of the budget, set aside for the running entity
    BudgetWaiter waiter_;
    Instant release_at_;  // while Throttled: when to try again
    Group* group_{nullptr};
};

}  // namespace kernel::sched
