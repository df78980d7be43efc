// SPDX-License-Identifier: MIT
// Everything the task layer keeps per hart. Internal to kernel/task.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "arch/contract.hpp"
#include "arch/riscv64/cpu_local.hpp"
#include "lib/cpu_mask.hpp"
#include "lib/ids.hpp"
#include "lib/units.hpp"
#include "sched/balance.hpp"
#include "sched/load.hpp"
#include "sched/params.hpp"
#include "sched/run_queue.hpp"
#include "sync/seqlock.hpp"
#include "sync/spinlock.hpp"
#include "task/task.hpp"
#include "task/timer_queue.hpp"
#include "task/wait.hpp"
#include "trace/trace.hpp"

namespace kernel::mm {
class AddressSpace;
}

namespace kernel::task {

// Whether a hart takes tasks. Absent: it never came up. Leaving: it takes no more and sends away what it has.
// Changes: Absent -> Online and Leaving -> Offline by the hart itself, the rest under the lock of
// cpu_online.cpp.
enum class Presence : std::uint32_t { Absent, Online, Leaving, Offline };

struct alignas(64) Hart {
    // Hart-local; what every system call and every switch looks at comes first.
    Task* current{nullptr};
    // What is to be looked at before the hart leaves the kernel; requests() has all of it in one word.
    alignas(std::uint64_t) bool recheck{
        false};  // queue, timers or current changed: the fast way out is not open
    bool yield_requested{false};
    bool exit_requested{false};
    bool timer_is_new{false};   // one that was added, or poll_at, may be due before the timer fires
    bool load_is_stale{false};  // publish_load() before this entry into the kernel ends
    bool has_others{true};      // !has_one_hart
    std::array<bool, 2> no_requests{};
    bool has_company{false};  // others waited for this hart when it was looked at last: a hint for a yield
    bool was_called{false};   // woken from idling, and has not looked for work elsewhere since
    bool is_wanted{false};    // interrupted, or runs a lower class than waits elsewhere: answer_call() is due
    mm::AddressSpace* space{nullptr};  // in satp; null: the kernel's own
    std::uint64_t fp_epoch{0};         // names what the FP registers hold: Task::fp_epoch
    std::uint64_t next_fp_epoch{0};
    Task* arrivals{nullptr};  // what was taken out of the inbox and not yet looked at
    // The time at which a round of timers expires: what it wakes is put in place at that instant. never()
    // outside.
    Instant round{Instant::never()};

    // Tasks on their way here: a stack, pushed by any hart, taken whole by this one.
    alignas(64) std::atomic<Task*> inbox{nullptr};
    // An IPI was sent and not yet taken: senders need not send another.
    std::atomic<std::uint32_t> ipi_pending{0};
    std::atomic<Presence> presence{Presence::Absent};

    alignas(64) SpinLock lock{LockRank::Hart};
    // What the one-shot timer is set to; kTimerFired after an interrupt, so that it is set again in any case.
    Instant programmed GUARDED_BY(lock){Instant::never()};
    TimerQueue timers GUARDED_BY(lock);
    // Whose threads run here one after the other, null when none does, and what all had used here before.
    Process* served GUARDED_BY(lock){nullptr};
    sched::RunQueue::Use served_from GUARDED_BY(lock);
    sched::RunQueue queue GUARDED_BY(lock);

    // What other harts see of the queue without its lock. Written under lock.
    SeqLocked<sched::HartLoad> load;

    // Who waits until the hart has left.
    WaitQueue gone;

    // Hart-local from here on.
    alignas(64) sched::BalanceState balance;

    // Harts this one has interrupted and that may not have taken it yet, and when those that still have not
    // are interrupted again; never(): nobody is waited for.
    CpuMask unanswered;
    Instant ask_again_at{Instant::never()};

    // When poll_on()'s function is due here, when the neighbour is to be looked at (watchdog.hpp), and the
    // earliest of the two and of ask_again_at (next_poll()). The last is written by this hart alone, but for
    // poll_on() at boot; should kick() miss that change, poll_if_due() makes it good after ask_again_at.
    Instant device_poll_at GUARDED_BY(lock){Instant::never()};
    Instant watch_at GUARDED_BY(lock){Instant::never()};
    Instant poll_at GUARDED_BY(lock){Instant::never()};

    // Counters: written by this hart, read by any.
    std::atomic<std::uint64_t> timer_interrupts{0};
    std::atomic<std::uint64_t> ipis_sent{0};
    std::atomic<std::uint64_t> ipis_received{0};
    std::atomic<std::uint64_t> steals{0};  // tasks this hart took from others
    std::atomic<std::uint64_t> pushes{0};  // tasks it gave away
    std::atomic<std::uint64_t> section_max_ticks{0};
    std::atomic<std::uint64_t> section_max_what{0};
};

// Hart::recheck and what follows it, as one number.
[[nodiscard]] inline std::uint64_t requests(const Hart& hart) {
    std::uint64_t word;
    static_assert(offsetof(Hart, no_requests) + sizeof(Hart::no_requests) - offsetof(Hart, recheck) ==
                  sizeof(word));
    __builtin_memcpy(&word, __builtin_assume_aligned(&hart.recheck, sizeof(word)), sizeof(word));
    return word;
}
inline constexpr std::uint64_t kRecheck = 1;
inline constexpr std::uint64_t kYieldRequested = 1U << 8U;
inline constexpr std::uint64_t kExitRequested = 1U << 16U;

inline constexpr Instant kTimerFired = Instant::from_ns(-1);

extern constinit std::array<Hart, kMaxCpus> harts;

[[nodiscard]] inline Hart& hart_of(CpuId cpu) {
    return harts[cpu.value()];
}
// Pre: set_possible_cpus() was called.
[[nodiscard]] inline Hart& this_hart() {
    return *static_cast<Hart*>(arch::cpu_local().scheduling);
}
[[nodiscard]] Task& task_of(sched::Entity& entity);

// Adds to a counter only this hart writes.
inline void count(std::atomic<std::uint64_t>& counter) {
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

// Makes other harts see the queue as it is now.
void publish_load(Hart& hart) REQUIRES(hart.lock);

// Runs f(Hart&, CpuId) with the lock of the task's home hart held: it may read and change the task's entity,
// and move the task to another home.
template <class F>
auto with_home(Task& task, F&& f) NO_THREAD_SAFETY_ANALYSIS {
    while (true) {
        const CpuId cpu = task.home();
        Hart& hart = hart_of(cpu);
        const LockGuard guard{hart.lock};
        if (task.home() == cpu) {
            return f(hart, cpu);
        }
    }
}

// ---- wake.cpp: which hart a task goes to ----

// Sends a task that is on no queue (run_state Ready) to the hart it should run on.
void place(Task& task, sched::EnqueueReason reason);
// Enqueues a task that has this hart as its home, or sends it on when its mask no longer allows this hart;
// then false.
bool take_in(Hart& hart, Task& task);
// Whether something was sent to this hart that it has not taken in yet.
[[nodiscard]] inline bool has_arrivals(const Hart& hart) {
    return hart.arrivals != nullptr || hart.inbox.load() != nullptr;
}
// Takes in what was sent to this hart, a bounded part of it: the hart interrupts itself for the rest. True
// when there was something.
bool drain_inbox(Hart& hart);
// Something waits on `cpu` that an idle hart may run, or one that runs a lower class: interrupts one of
// those, which then pulls it. A hart that sleeps, or has one task, does not look for work by itself. True
// when there was one to interrupt.
bool call_for_help(CpuId cpu);
// What a hart that was called does once it has a task: where still more waits for a sleeper, or for one that
// runs a lower class, it calls the next one.
void pass_call_on();
// Puts a task into the inbox of another hart, its home, and interrupts that.
void send_to(CpuId cpu, Task& task);
// Interrupts a hart unless an interrupt is already on its way. Should it be lost, it is sent again once the
// patience is over (look_after_interrupts()): as long as it takes, and without work for harts that sleep
// unless they still wait for an answer when they lie down.
void kick(CpuId cpu);
// Whom this hart interrupted and who has not taken it is interrupted again. From the timer interrupt.
void ask_again(Hart& hart);
// For a hart that lies down: when all have answered, its timer need not wake it for that.
void forget_answered(Hart& hart) REQUIRES(hart.lock);
[[nodiscard]] inline Instant next_poll(const Hart& hart) REQUIRES(hart.lock) {
    return min(min(hart.device_poll_at, hart.watch_at), hart.ask_again_at);
}

extern constinit AtomicCpuMask idle_cpus;

// ---- machine_balance.cpp: fairness between harts (sched/balance.hpp); no lock is held ----

// This hart has nothing to run: looks for a waiting task elsewhere. True when one was taken in.
bool pull_when_idle(Hart& hart);
// This hart has chosen a task: gives some away or takes some in where that is due. It may have lost the
// chosen one (hart.current is null then), and decides again when its queue changed.
void balance_after_pick(Hart& hart);
// Another hart interrupted this one, which runs something: takes work of a higher class that waits elsewhere.
// True when there was some.
bool answer_call(Hart& hart);
// Before a task is added to this hart's queue.
void raise_frame_for(Hart& hart, const sched::Entity& entity) REQUIRES(hart.lock);

extern constinit sched::MachineBalance machine_balance;

// ---- cpu_online.cpp: CPUs that come and go ----

// Makes the task's effective mask fit the CPUs that are online, and returns those; it may then have to leave
// the queue it is on (RunQueue::allows). Pre: the lock of home, the task's home hart, is held.
CpuMask fit_mask(Hart& home, Task& task, Instant now) REQUIRES(home.lock);
// Gives the task these attributes, with an effective mask for the CPUs that are online now, which it returns.
// Pre: as fit_mask().
CpuMask set_fitted(Hart& home, Task& task, const sched::Attributes& attributes, Instant now)
    REQUIRES(home.lock);
// Counts changes of the online mask. Written after the mask and read before it, so whoever reads the newest
// count also reads the newest mask.
extern constinit std::atomic<std::uint32_t> cpu_changes;
// A CPU came or went since the task's mask was fitted. Pre: as fit_mask().
[[nodiscard]] inline bool needs_fitting(const Task& task) {
    return task.cpu_change != cpu_changes.load();
}
// The task's attributes as fit_mask() would make them. Pre: as fit_mask().
[[nodiscard]] sched::Refit fitted(const Task& task);
// Fits the mask of a task that may be anywhere and has it moved when it must (attributes.cpp).
void fit_anywhere(Task& task);
// A hart that is not online sends its tasks away, a bounded number at a time. False: there may be more. Pre:
// it is the calling hart and runs no task.
[[nodiscard]] bool leave(Hart& hart);

// ---- accounts ----

// The hart goes over from threads of one process to those of another one, or to nothing: what was used since
// the last time goes on the account of the former. Before `current` lets go of a thread of that one.
[[gnu::noinline]] void serve(Hart& hart, Process* process, Instant now) REQUIRES(hart.lock);

// ---- ceilings.cpp: budgets and groups ----

// Has the task draw on the budget its attributes name. Pre: the lock of home, its home hart, is held; the
// budget was provided.
void follow_budget(Hart& home, Task& task, Instant now) REQUIRES(home.lock);
// Whether the task draws on a budget, or waits for one. Pre: the lock of its home is held.
[[nodiscard]] inline bool has_budget(const Task& task) {
    return task.entity.budget() != nullptr || task.entity.state() == sched::TaskState::Throttled;
}
// Makes sure the task has a budget of its own to draw on. Errors: NoMemory. Pre: the task was not started, or
// the caller holds the lock setters take.
Result<void> provide_budget(Task& task);
// A new task gets what its attributes say of a budget: its parent's, or one of its own. Errors: NoMemory.
// Pre: attributes are set; not started.
Result<void> inherit_shared(Task& child, Task* parent);
// Has the task count for its process's group, wherever it is. Locks taken: family, hart locks, one by one.
void follow_group(Task& task);
// A task that ended draws on nothing and counts for nothing. Pre: hart is its home.
void detach_shared(Hart& hart, Task& task, Instant now) REQUIRES(hart.lock);
// The task ends: it is not held up by a budget any more (attributes.cpp). Pre: must_exit or exit_begun is
// set; no hart lock is held.
void lift_budget(Task& task);

// ---- trace_points.cpp ----

// This hart goes over from `before`, which may be null and of which `fate` became, to its current task.
[[gnu::noinline]] void write_switch(Hart& hart, const Task* before, trace::Fate fate, Instant now)
    REQUIRES(hart.lock);
// The same to `next`, which may be null, from a task of which nothing else is to be told.
[[gnu::always_inline]] inline void write_plain_switch(const Hart& hart, const Task* next, trace::Fate fate,
                                                      Instant now) REQUIRES(hart.lock) {
    trace::put(now, trace::Kind::Switch, next == nullptr ? 0 : next->tid().value(),
               static_cast<std::uint32_t>(fate) | hart.queue.runnable_after_decision() << 8U);
}
// The same from a task that waits in a system call.
[[gnu::always_inline]] inline void write_wait(const Hart& hart, const Task& before, const Task* next,
                                              Instant now) REQUIRES(hart.lock) {
    trace::put(now, trace::Kind::Wait, next == nullptr ? 0 : next->tid().value(),
               (hart.queue.runnable_after_decision() & 0xffffU) |
                   static_cast<std::uint32_t>(before.frame.syscall_number()) << 16U);
}
[[gnu::noinline]] void write_birth(const Task& task, Instant now);
[[gnu::always_inline]] inline void write_wake(const Task& task, CpuId to, Instant now) {
    trace::put(now, trace::Kind::Wake, task.tid().value(), to.value());
}
[[gnu::noinline]] void write_migration(const Task& task, CpuId from, CpuId to, Instant now);
// The task, whose home is `from`, goes to the queue of `to`. Pre: the lock of `from` is held.
inline void trace_placement(const Task& task, sched::EnqueueReason reason, CpuId from, CpuId to,
                            Instant now) {
    if (trace::is_on(nexus_abi::kTraceSched)) [[unlikely]] {
        if (reason == sched::EnqueueReason::Wake) {
            write_wake(task, to, now);
        } else if (reason == sched::EnqueueReason::New) {
            write_birth(task, now);
        }
        if (from != to) {
            write_migration(task, from, to, now);
        }
    }
}

// ---- timers ----

// Whether a deadline has passed. Without the lock: only the hart itself adds timers, and where another one
// took the earliest off a moment ago, expire_timers() finds nothing to do. Pre: hart is the calling one.
[[nodiscard]] inline bool may_have_expired_timers(const Hart& hart, Instant now) NO_THREAD_SAFETY_ANALYSIS {
    return hart.timers.next_deadline() <= now;
}
// Sets the timer to `event`, when the queue has something to decide, or to what is due here before that.
void program_timer_for(Hart& hart, Instant event) REQUIRES(hart.lock);
// The same when it would fire too late; it may then fire too early. For a hart that runs something.
inline void advance_timer(Hart& hart, Instant event) REQUIRES(hart.lock) {
    if (event < hart.programmed || hart.timer_is_new) [[unlikely]] {
        program_timer_for(hart, event);
    }
}
// Ends up to a bounded number of waits whose deadline has passed; true when there may be more.
bool expire_timers(Hart& hart, Instant now);

// Ends the waits of those who asked for a mask the task was running outside of, once it has left its hart or
// may stay after all. No lock is held.
void release_evictors(Task& task);

// Makes task.fp equal to the FP registers. Pre: the task runs on this hart.
void save_fp_for_copy(Task& task);
// Leaves the current user address space for the kernel's own.
void leave_address_space(Hart& hart);

}  // namespace kernel::task
