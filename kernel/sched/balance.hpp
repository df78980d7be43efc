// SPDX-License-Identifier: MIT
// Fairness between harts. Each class has one virtual time across the machine: U(hart) is where the class
// stands on one hart, U(task) where one task stands. Whoever is behind goes where the others are ahead:
//
//   idle_pull     a hart with nothing to run takes a waiting task, whatever its weight
//   class_pull    a hart about to run a lower class takes a waiting task of a higher one
//   answer_call   the same on a hart that runs one already and is told of the higher one
//   push          an overloaded hart sends a task that is behind to where its class is ahead
//   pull_at_pick  a hart about to run a task takes one that waits elsewhere and is further behind
//   compress      leads that nothing can ever catch up with (pinned tasks) are cut, so they are no credit
//   later
//
// Templates over a Harts type, so that the kernel, the simulator and the tests run the same code. Work is
// paid by harts that are overloaded or have nothing to do; a hart with one task takes no part and needs no
// timer.
//
// Cost of one call: at most kProbedHarts published loads read (by a hart without work, or about to run a
// lower class than waits elsewhere: those of every hart where such work waits), kProbedVictims queues locked,
// one after the other, and RunQueue's bounded candidate search in each; compress() reads every hart's load
// and locks every hart once, at most every kCompressSpacing on the whole machine. Nothing walks the tasks.
// Concurrency: no function holds two hart locks, and none is called with one held except where it says so.
#pragma once

#include <array>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>

#include "lib/cpu_mask.hpp"
#include "lib/ids.hpp"
#include "lib/units.hpp"
#include "sched/load.hpp"
#include "sched/qos.hpp"
#include "sched/rate_oracle.hpp"
#include "sched/run_queue.hpp"

namespace kernel::sched {

// How far behind, in its own service, a task is before it is moved: larger means fewer migrations and a
// larger spread. 3 hogs on 2 harts: 8 ms gives a spread of 9 ms at 56 migrations/s (4 ms: 6 and 111; 16 ms:
// 18 and 22).
inline constexpr Duration kBalanceThreshold = Duration::milliseconds(8);
// Least time between two pushes of one hart, between two pulls at pick of one hart of which the first found
// nothing, and between two compressions of the machine.
inline constexpr Duration kPushSpacing = Duration::milliseconds(4);
inline constexpr Duration kPullSpacing = Duration::milliseconds(1);
inline constexpr Duration kCompressSpacing = Duration::milliseconds(64);
// Least time between two looks at what everybody deserves: how long paces may be out of date.
inline constexpr Duration kRateSpacing = Duration::milliseconds(64);

inline constexpr std::uint32_t kProbedHarts = 16;
inline constexpr std::uint32_t kProbedVictims = 8;

// What all harts share about balancing: one object per machine. Atomic.
class MachineBalance {
  public:
    // Harts on which a task of the class waits that may run on another one. May be out of date: a hint.
    [[nodiscard]] CpuMask overloaded(std::size_t class_index) const {
        return overloaded_[class_index].load(std::memory_order_relaxed);
    }
    [[nodiscard]] CpuMask overloaded() const;
    // Harts that run a lower class and have nothing of this one: a task of it would run there at once. Idle
    // harts are not among them. May be out of date: a hint.
    [[nodiscard]] CpuMask takers(std::size_t class_index) const {
        return takers_[class_index].load(std::memory_order_relaxed);
    }
    // Harts that should be told of what waits on `cpu`, where `load` was published: takers of a class of
    // which a task waits that may run there.
    [[nodiscard]] CpuMask takers(CpuId cpu, const HartLoad& load) const;
    // Whether takers(cpu, load) can have an answer: cheaper, without the load.
    [[nodiscard]] bool may_have_takers(CpuId cpu) const;
    // Harts on which the class was further than on most, when a hart last compared all. A hint.
    [[nodiscard]] CpuMask ahead(std::size_t class_index) const {
        return CpuMask::from_bits(ahead_[class_index].load(std::memory_order_relaxed));
    }
    void set_ahead(std::size_t class_index, CpuMask cpus) {
        ahead_[class_index].store(cpus.bits(), std::memory_order_relaxed);
    }
    // Whoever publishes the load of `cpu` calls this with it, under that hart's lock. `online`: where tasks
    // may go. Writes shared memory only where something changed. True when the hart has become a taker of a
    // class that waits elsewhere: it is to be called (answer_call).
    [[nodiscard]] bool note_load(CpuId cpu, const HartLoad& load, CpuMask online);
    // A hart that went offline is not overloaded.
    void forget(CpuId cpu);
    // True for one caller per kCompressSpacing.
    [[nodiscard]] bool try_begin_compression(Instant now);
    // Who works on the paces of the machine: one caller at a time, and a new problem per kRateSpacing. The
    // members below are the worker's.
    [[nodiscard]] bool try_begin_rates(Instant now);
    void end_rates(Instant next);
    struct Rates {
        RateOracle oracle;
        std::array<RateTable, kClasses> tables{};
        std::size_t class_index{0};
        bool is_solving{false};
        std::uint32_t generation{0};
    };
    [[nodiscard]] Rates& rates() { return rates_; }
    // A new frame epoch; never 0.
    [[nodiscard]] std::uint32_t next_epoch() { return epoch_.fetch_add(1) + 1; }

  private:
    std::array<AtomicCpuMask, kClasses> overloaded_{};
    std::array<AtomicCpuMask, kClasses> takers_{};
    std::array<std::atomic<std::uint64_t>, kClasses> ahead_{};
    std::atomic<std::uint64_t> next_compression_ns_{0};
    std::atomic<std::uint32_t> epoch_{0};
    std::atomic<std::uint64_t> next_rates_ns_{0};
    std::atomic<std::uint32_t> is_working_{0};
    Rates rates_;
};

// What one hart remembers between calls. Hart-local.
struct BalanceState {
    Instant next_push;
    Instant next_pull;
    CpuId cursor;  // where the next probe of the others starts
    // Counters, for statistics.
    std::uint64_t idle_pulls{0};
    std::uint64_t class_pulls{0};
    std::uint64_t pushes{0};
    std::uint64_t pulls_at_pick{0};
    std::uint64_t compressions{0};
    std::uint64_t rate_updates{0};
};

// What the rules need from the machine.
//   online()            harts that take tasks
//   load(cpu)           the load cpu published last: a copy, without its lock. Published after every change
//   of the
//                       queue that load() shows, together with machine().note_load()
//   with_queue(cpu, f)  f(RunQueue&) with cpu's lock held, load published before it is dropped; returns what
//   f does set_home(e, cpu)    inside with_queue(), right after e was removed: e's home is cpu from now on
//   send(e, cpu)        e (Migrating, home cpu, no lock held) is enqueued as Migrate on cpu, now or when cpu
//   gets
//                       to it; sent on from there when its mask changed on the way
//   now()               the present; not before any instant a queue has seen from this hart
//   machine()           the one MachineBalance
template <class H>
concept Harts = requires(H& harts, CpuId cpu, Entity& entity) {
    { harts.online() } -> std::same_as<CpuMask>;
    { harts.load(cpu) } -> std::convertible_to<HartLoad>;
    {
        harts.with_queue(cpu, [](RunQueue&) { return true; })
    } -> std::same_as<bool>;
    harts.set_home(entity, cpu);
    harts.send(entity, cpu);
    { harts.now() } -> std::same_as<Instant>;
    { harts.machine() } -> std::same_as<MachineBalance&>;
};

// --- What a dispatcher calls ---

// A hart has nothing to run. True: a task was sent to `self`; pick again. Pre: runs on self, self is
// announced as idle (so that who overloads another hart from now on wakes it).
template <Harts H>
bool idle_pull(H& harts, CpuId self, BalanceState& state);

// A hart that runs something was interrupted: a task of a higher class may be waiting elsewhere. True: one
// was sent to `self`; pick again. Pre: runs on self.
template <Harts H>
bool answer_call(H& harts, CpuId self, BalanceState& state);

// After a pick with Pick::balance set, the lock dropped, before the picked task runs on: class_pull, push,
// pull_at_pick and compress, each if due. True: the queue of `self` changed; pick again.
template <Harts H>
bool balance(H& harts, CpuId self, BalanceState& state);

// Before enqueue() on a queue that has no task of the class: lifts the class's frame there to where the
// machine is, so that an idle hart's old frame is no credit. Pre: queue's lock is held (other harts' loads
// are read without theirs). No effect on a queue that has members. Reads at most kProbedHarts loads.
template <Harts H>
void raise_frame_before(H& harts, RunQueue& queue, const Entity& entity);

// --- The rules one by one, for tests ---

// Pre: self is about to run class `picked` (index). True: a task of a higher class was sent to self.
template <Harts H>
bool class_pull(H& harts, CpuId self, BalanceState& state, std::size_t picked);

// Pre: something waits on self. True: one task was sent away.
template <Harts H>
bool push(H& harts, CpuId self, BalanceState& state);

// Pre: self is about to run a task of class `picked` that stands at `next`. True: one that is further behind
// was sent to self.
template <Harts H>
bool pull_at_pick(H& harts, CpuId self, BalanceState& state, std::size_t picked, VirtualTime next);

// Brings the frames of each class closer where they are further apart than a fair machine can be. True when
// frames were moved. Pre: try_begin_compression() gave this caller the turn.
template <Harts H>
bool compress(H& harts, BalanceState& state);

// Works out the paces of a class (rate_oracle.hpp) and gives them to every hart. One bounded piece of that
// per call. Pre: try_begin_rates() gave this caller the turn; the call ends it.
template <Harts H>
void update_rates(H& harts, BalanceState& state);

}  // namespace kernel::sched

#include "sched/balance_rules.hpp"
