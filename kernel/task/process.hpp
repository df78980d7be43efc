// SPDX-License-Identifier: MIT
// A process: an address space, open files, and one or more tasks; the unit that is spawned, killed and waited
// for.
//
// Family (parent, children, threads, exit state) of all processes is guarded by one lock, family_lock():
// these change only at spawn, thread creation, exit and wait, and often for two processes at once.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <string_view>

#include "lib/avl_tree.hpp"
#include "lib/ids.hpp"
#include "lib/intrusive_list.hpp"
#include "lib/ref.hpp"
#include "lib/set_counts.hpp"
#include "lib/units.hpp"
#include "mm/address_space.hpp"
#include "nexus_abi/linux.hpp"
#include "sync/spinlock.hpp"
#include "task/alarm.hpp"
#include "task/file_table.hpp"
#include "task/resource_limits.hpp"
#include "task/task.hpp"
#include "task/wait.hpp"

namespace kernel::task {

class ProcessGroup;

// Keys of ProcessSignals::waiters: threads in rt_sigtimedwait, and threads that are stopped.
inline constexpr std::uint64_t kSignalWaits = 0;
inline constexpr std::uint64_t kStoppedWaits = 1;

// What a process does about each signal. Most programs leave nearly all as they were: only those that differ
// from the default action are stored, so that a new process, fork and execve have next to nothing to do.
// Concurrency: as ProcessSignals.
class SignalActions {
  public:
    // Pre for both: signal::is_valid(number).
    [[nodiscard]] nexus_abi::kernel_sigaction get(std::uint32_t number) const {
        return is_default(number) ? nexus_abi::kernel_sigaction{} : actions_[number - 1];
    }
    void set(std::uint32_t number, const nexus_abi::kernel_sigaction& action) {
        if ((action.handler | action.flags | action.mask) == 0) {
            put_stored(stored() & ~bit(number));
            return;
        }
        actions_[number - 1] = action;
        put_stored(stored() | bit(number));
    }
    // Without the lock: as it was at some moment.
    [[nodiscard]] bool is_default(std::uint32_t number) const { return (stored() >> (number - 1) & 1) == 0; }
    // Bit n - 1: the action of signal n is not the default. Without the lock: as it was at some moment.
    [[nodiscard]] std::uint64_t stored() const { return stored_.load(std::memory_order_relaxed); }
    // fork.
    void copy_from(const SignalActions& parent) {
        put_stored(parent.stored());
        for_each_stored([&](std::uint32_t number) { actions_[number - 1] = parent.actions_[number - 1]; });
    }
    // Calls use(number) for each that is not the default action.
    template <class Use>
    void for_each_stored(Use&& use) const {
        for (std::uint64_t left = stored(); left != 0; left &= left - 1) {
            use(static_cast<std::uint32_t>(std::countr_zero(left)) + 1);
        }
    }

  private:
    [[nodiscard]] static constexpr std::uint64_t bit(std::uint32_t number) {
        return std::uint64_t{1} << (number - 1);
    }
    void put_stored(std::uint64_t set) { stored_.store(set, std::memory_order_relaxed); }
    std::atomic<std::uint64_t> stored_{0};                           // written under the lock
    std::array<nexus_abi::kernel_sigaction, kSignalCount> actions_;  // of those
};

// Signal state of a process. Guarded by waiters.lock(), as is what Task has of signals.
struct ProcessSignals {
    WaitQueue waiters;
    PendingSignals pending;  // sent to the process
    SetCounts blockers;      // how many threads block each signal
    // How many there are. Written under the lock; a thread that finds itself alone stays so as long as it
    // makes no other.
    std::atomic<std::uint32_t> threads{0};
    // All threads: those that block nothing, and the rest; the first thread of the process in front.
    IntrusiveList<Task, &Task::signal_node> open;
    IntrusiveList<Task, &Task::signal_node> masked;
    // Not 0: what stopped the process. Its threads stop before they return to user mode, and wait here with
    // key kStoppedWaits; how many do.
    std::uint32_t stop_signal{0};
    std::uint32_t stopped_threads{0};
    bool stop_taken{false};  // a stop signal was taken, and no SIGCONT was sent since
    // Of the last signal of each timer that was taken (timer_getoverrun).
    std::array<std::uint32_t, kMaxTimers> overruns{};
    SignalActions actions;  // last: it is large, and what is looked at beside it is within reach of one load
};

// What a parent has not been told yet of a child that lives (wait4 with WUNTRACED, WCONTINUED).
enum class ChildChange : std::uint8_t { None, Stopped, Continued };

// What getrusage reports.
struct Usage {
    Duration runtime{};
    std::uint64_t voluntary_switches{0};
    std::uint64_t involuntary_switches{0};
    Usage& operator+=(const Usage& other);
};

// What the threads of a process used, as far as it is settled: a hart adds what it did for them when it goes
// over to another process, so that nobody ever has to visit all threads. Atomic.
struct SettledUsage {
    std::atomic<std::int64_t> runtime_ns{0};
    std::atomic<std::uint64_t> voluntary_switches{0};
    std::atomic<std::uint64_t> involuntary_switches{0};
    std::atomic<std::int64_t> shown_ns{0};  // the longest runtime that was ever shown
    [[nodiscard]] Usage load() const;
    void add(const Usage& usage);
};

// Where a program's arguments lie in its memory.
struct ArgumentsPlace {
    VirtAddr arguments{};
    std::uint64_t bytes{0};
};

// User and group ids (credentials(7)): labels that programs set and read; what a process may do is decided by
// its rights alone. Written by the process itself; atomic, one by one.
struct Identity {
    static constexpr std::uint32_t kMaxGroups = 32;
    struct Ids {
        std::atomic<std::uint32_t> real{0};
        std::atomic<std::uint32_t> effective{0};
        std::atomic<std::uint32_t> saved{0};
    };
    Ids user;
    Ids group;
    std::atomic<std::uint32_t> group_count{0};
    std::array<std::atomic<std::uint32_t>, kMaxGroups> groups{};
    // fork.
    void copy_from(const Identity& parent);
};

// Whole lines: harts that run different processes write to no common one.
class alignas(64) Process : public RefCounted<Process> {
    // In front, within reach of one load: calls look at it.
    TaskId pid_{};
    mm::AddressSpace* space_{nullptr};

  public:
    // An empty process with one reference, no parent, no tasks. Errors: NoMemory.
    static Result<Ref<Process>> create();
    static void last_reference_gone(Process& process);

    // The id of the first task, which names the process. Immutable once the first task exists.
    [[nodiscard]] TaskId pid() const { return pid_; }
    void set_pid(TaskId pid) { pid_ = pid; }

    // Never null while a task of the process lives. Has a lock of its own.
    [[nodiscard]] mm::AddressSpace& space() { return *space_; }
    [[nodiscard]] mm::AddressSpace* space_or_null() { return space_; }
    // Once others can find the process: under family_lock(), see with_space().
    void set_space(mm::AddressSpace* space) { space_ = space; }
    FileTable files;  // has a lock of its own
    // What it runs; written before it runs, and by its execve. Guarded by family_lock() once others can find
    // it.
    mm::FileRef program;
    // Where its arguments lie in its memory, as execve put them there: what /proc shows.
    std::atomic<std::uint64_t> arguments_start{0};
    std::atomic<std::uint64_t> arguments_bytes{0};
    void set_arguments(const ArgumentsPlace& place) {
        arguments_start.store(place.arguments.value(), std::memory_order_relaxed);
        arguments_bytes.store(place.bytes, std::memory_order_relaxed);
    }
    std::int64_t born_ns{0};               // since boot; immutable once its first task exists
    std::atomic<std::uint64_t> rights{0};  // kRight*; only shrinks: by the process itself, or before it runs
    Identity identity;

    // Guarded by family_lock().
    Process* parent{nullptr};
    // Its pid, 0 without one: readable without the lock. While it changes hands it keeps the old value.
    std::atomic<std::uint64_t> parent_pid{0};
    IntrusiveList<Task, &Task::thread_node> threads;
    std::uint32_t thread_count{0};
    // Children alive or not yet waited for, newest first; linked by sibling pointers.
    Process* first_child{nullptr};
    Process* previous_sibling{nullptr};
    Process* next_sibling{nullptr};
    ListNode zombie_node;                                   // on parent->zombies
    IntrusiveList<Process, &Process::zombie_node> zombies;  // children that ended, the oldest end first
    bool is_zombie{false};
    // Nothing is left to wait for, and its pid names nobody, though its last thread may still be on its way
    // out and others may hold it. Readable without the lock.
    std::atomic<bool> is_collected{false};
    ListNode change_node;                                   // on parent->changed
    IntrusiveList<Process, &Process::change_node> changed;  // children whose change is not None
    ChildChange change{ChildChange::None};
    std::uint32_t change_signal{0};  // Stopped: by what
    std::uint8_t stop_round{0};      // how often its threads were told to stop; wraps
    bool has_executed{false};        // execve: its parent may no longer change its process group
    // From its birth until it is waited for; see process_group.hpp.
    Ref<ProcessGroup> process_group;
    AvlNode<Process> group_node;         // on process_group->members
    ProcessGroup* named_group{nullptr};  // the group with its pid, while there is one
    bool borrows_space{false};           // vfork: a thread of the parent waits until the space is given back
    Task* exec_task{nullptr};            // the one that goes on in another program; the others end
    Ref<SharedGroup> group;  // what its tasks count for, its own or an ancestor's; its children begin with it
    std::int32_t wait_status{0};  // as wait4 reports it
    Usage dead_children;          // of children that were waited for
    Ref<Task> leader;             // the first task: keeps pid() taken until the process is waited for

    // 1 while its first task waits for release_process(). A word: the kernel has no smaller exchange.
    std::atomic<std::uint32_t> is_held{0};

    bool is_init{false};  // pid 1; written before it runs
    // Set once, by exit_group or a fatal signal: every task ends before it returns to user mode.
    std::atomic<bool> is_exiting{false};
    std::int32_t exit_status{0};  // wait status to report; written by whoever set is_exiting

    ProcessSignals signals;
    AlarmTable alarms;  // has a lock of its own; refers to the process until it is emptied

    SettledUsage used;

    // wait4 callers of this process; keys: see ChildQuery.
    WaitQueue child_exited;
    // vfork callers of this process; key: the child's pid.
    WaitQueue lenders;
    // An execve that waits until the other threads are gone.
    WaitQueue alone;

    // Last: seldom looked at, and what lies behind them would be out of reach of one load.
    ResourceLimits limits;
    std::atomic<std::uint32_t> barriers{0};  // MEMBARRIER_CMD_REGISTER_*: what the program has announced

  private:
    template <class T>
    friend class ::kernel::mm::ObjectPool;
    Process() = default;
    ~Process();  // where ProcessGroup is complete
};

// What a process runs, kept; empty when it runs nothing yet.
[[nodiscard]] mm::FileRef program_of(Process& process);
void set_program(Process& process, mm::FileRef program);

// What the task used so far.
[[nodiscard]] Usage task_usage(Task& task);
// What all threads of the process used, ended ones included; its runtime never goes back. Takes hart locks,
// one at a time; work by the number of harts, not of threads.
[[nodiscard]] Usage process_usage(Process& process);
// Adds what this hart did for the process of the running task, and did not add yet, to that. The dispatcher
// does it when another process follows.
void settle_usage(Task& running);

// Guards the family of all processes. Rank Process.
[[nodiscard]] SpinLock& family_lock();

// Calls use(AddressSpace&) while the process's memory cannot go away; not at all when it has none any more.
// `use` is short and takes no lock of a rank below AddressSpace.
template <class Use>
void with_space(Process& process, Use&& use) {
    const LockGuard guard{family_lock()};
    if (process.space_or_null() != nullptr) {
        use(process.space());
    }
}

}  // namespace kernel::task
