// SPDX-License-Identifier: MIT
// A task: one thread of execution of a process. It has no kernel stack; in the kernel it is its saved
// registers and, if it waits, what it waits for.
//
// Who owns what
//   frame, fp        the hart that runs the task; while it waits, whoever claimed the wait may set the result
//   register entity           the lock of hart home(): attributes, run queue links, accounting run_state
//   atomic; see RunState wait             see wait.hpp process, tid     immutable after creation thread_node
//   family_lock
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "arch/riscv64/trap_frame.hpp"
#include "lib/ids.hpp"
#include "lib/intrusive_list.hpp"
#include "lib/ref.hpp"
#include "mm/slab.hpp"
#include "sched/entity.hpp"
#include "sched/run_queue.hpp"
#include "task/pi_state.hpp"
#include "task/shared.hpp"
#include "task/signal_queue.hpp"
#include "task/sys_result.hpp"
#include "task/wait.hpp"

namespace kernel::mm {
class AddressSpace;
}

namespace kernel::task {

class Process;

// Where a task is between running and waiting. Transitions:
//   Running  -> Blocking   its own system call, before it is published on a wait queue
//   Blocking -> Blocked    its hart, once it has been put aside completely
//   Blocking -> Woken      a waker that came before that; the hart then makes it runnable again itself
//   Blocked  -> Ready      the waker, which then places it
//   Woken    -> Ready      its hart
//   Ready    -> Running    the hart that picks it
//   Running  -> Ready      preemption, migration
//   Running  -> Dead       exit
enum class RunState : std::uint32_t { Running, Blocking, Woken, Blocked, Ready, Dead };

// What Linux' scheduling calls set last, for them to tell; the scheduler does not look at it. One word.
struct LinuxPolicy {
    std::uint8_t policy{0};    // SCHED_*
    std::uint8_t priority{0};  // of SCHED_FIFO and SCHED_RR
    std::int8_t nice{0};
    bool resets_on_fork{false};  // SCHED_RESET_ON_FORK: a child does not have ResetOnSpawn
};
static_assert(sizeof(LinuxPolicy) == 4);

class Task : public RefCounted<Task> {
  public:
    // For how many harts the time of each task is kept. Pre: called once, before the first task.
    static void set_cpu_count(std::uint32_t cpus);
    // Allocates a task with a fresh id and one reference, owned by the caller; not on any list, and not to be
    // found by its id, before publish(). Errors: NoMemory, TryAgain (no id free).
    static Result<Ref<Task>> create(Process& process, std::string_view name);
    // The same with `original`'s name and registers. Pre: its FP registers are saved (save_fp_for_copy()).
    static Result<Ref<Task>> create_copy(Process& process, const Task& original);
    static void last_reference_gone(Task& task);
    // From here on others find the task, read it and change it. Pre: attributes, home and process are set.
    void publish();

    [[nodiscard]] TaskId tid() const { return tid_; }
    [[nodiscard]] Process& process() const { return *process_; }
    // NUL-padded, at most 15 characters. Readable and settable from any hart; a reader may see halves of two
    // names.
    using Name = std::array<char, 16>;
    [[nodiscard]] Name name() const;
    void set_name(std::string_view name);

    // The hart whose lock guards `entity`. Changes only under that lock; see dispatcher.hpp, lock_home().
    [[nodiscard]] CpuId home() const { return CpuId{home_.load(std::memory_order_acquire)}; }
    void set_home(CpuId cpu) { home_.store(cpu.value(), std::memory_order_release); }

    // Ten thousand of them wait at a time: members of less than a word stand together.
    std::atomic<RunState> run_state{RunState::Blocked};
    arch::TrapFrame frame;  // like fp, written once by the constructor's body
    // These two where trap.S finds them from the frame.
    // How far a system call that is done in pieces has come, in the call's own terms; 0 before its first
    // piece and after its last. Owned by syscall/dispatch.
    std::uint64_t call_progress{0};
    // Looked at before the task returns to user mode, by deliver_signals(). Atomic.
    static constexpr std::uint32_t kSignalWork = 1;  // there may be a signal to act on; ends open waits
    static constexpr std::uint32_t kMaskWork = 2;    // saved_mask is to be restored
    static constexpr std::uint32_t kEndWork = 4;     // must_exit is set: exit_to_user() sees to that
    std::atomic<std::uint32_t> exit_work{0};
    std::uint32_t taken_signal{0};  // what ended its rt_sigtimedwait: a signal, or 0 for the deadline
    sched::Entity entity;
    Wait wait;
    // What it waits for and owns of PI futexes; see pi_state.hpp.
    PiWaiter pi_waiter;
    [[no_unique_address]] PiOwner pi_owner;  // its last bytes are free for the next members
    bool is_stopped{false};      // counted in ProcessSignals::stopped_threads, and guarded as they are
    std::uint8_t stop_round{0};  // Process::stop_round when it was told to stop last; guarded likewise
    std::atomic<LinuxPolicy> linux_policy{};
    // Runs before the task returns to user mode, if set; cleared before it is called. How a system call that
    // was cut in pieces, or waits and looks again, goes on.
    void (*resume)(Task&){nullptr};
    // While on its way to another hart: the next one in that hart's inbox, and why it comes.
    Task* inbox_next{nullptr};
    sched::EnqueueReason enqueue_reason{sched::EnqueueReason::New};
    // Somebody waits on `evicted`, or is about to. Guarded by the lock of the home hart.
    bool has_evictors{false};
    // exit_group or a fatal signal elsewhere: the task ends before it would return to user mode.
    std::atomic<bool> must_exit{false};
    void tell_to_end() {
        exit_work.fetch_or(kEndWork, std::memory_order_relaxed);
        must_exit.store(true);
    }
    bool exit_begun{false};  // by the task itself: what runs now is its end
    // Which change of the online CPUs the effective mask was fitted to; 0: none yet. Guarded as has_evictors.
    std::uint32_t cpu_change{0};
    // A setter on another hart waits until this task has left a hart its mask no longer allows.
    WaitQueue evicted;
    // What it may draw on: made for it when a setter first gave it a budget, and what it was born with. Kept
    // until the task is gone: tasks it lent its budget to may still point there. And whom it counts for.
    // Guarded by the lock of the home hart.
    Ref<SharedBudget> own_budget;
    Ref<SharedBudget> inherited_budget;
    Ref<SharedGroup> group;
    Instant due;  // not to return to user mode before it; 0 = at once

    // A fork in pieces: the child so far, and from where on its memory is still to be copied. Behind it, in
    // exec and at the end: the next entry of the robust list (futex_robust.hpp). Own.
    Ref<Process> unborn;
    VirtAddr unborn_next{};
    // execve: the space to come, then the one to be taken apart; and how far its closing of files has come,
    // before that and at the end how far the walk over the robust list.
    mm::AddressSpace* spare_space{nullptr};
    std::uint32_t exec_files{0};
    Error unborn_error{};  // why it will not be born; set with unborn_fails

    std::uint64_t clear_child_tid{0};  // user address; written only by the task itself
    std::uint64_t robust_list{0};      // as above; 0 = none. See futex_robust.hpp
    // Written only by the task itself, under the lock of its process's signals, which guards the rest.
    std::atomic<std::uint64_t> signal_mask{0};
    [[no_unique_address]] PendingSignals pending_signals;  // sent to this task; its last bytes are free
    std::int32_t exit_code{0};        // of exit(2); counts when this is the last thread. The task's own
    ListNode signal_node;             // on ProcessSignals::open or ::masked
    std::uint64_t waited_signals{0};  // what its rt_sigtimedwait is for
    SignalInfo taken_info;            // with taken_signal
    // The rest is the task's own.
    std::uint64_t saved_mask{0};             // in force again behind rt_sigsuspend; see kMaskWork
    void (*on_interrupted)(Task&){nullptr};  // Wait::on_interrupted of that call
    [[no_unique_address]] AlternateStack alternate_stack;  // its last bytes are free
    bool unborn_fails{false};
    bool in_stop{false};                     // it waits for SIGCONT, in no call
    bool has_saved_mask{false};              // saved_mask holds one
    OnSignal interruption{OnSignal::Stays};  // Stays: no call was interrupted
    ListNode thread_node;                    // on Process::threads
    std::uint64_t fp_epoch{0};               // names what fp holds; 0 = has no name yet
    arch::FpState fp;

  private:
    template <class T>
    friend class ::kernel::mm::ObjectPool;
    // `original`: null for zero registers and no name.
    Task(TaskId tid, Process& process, const Task* original);
    static Result<Ref<Task>> make(Process& process, const Task* original);
    ~Task();  // where Process is complete

    TaskId tid_;
    std::atomic<std::uint32_t> home_{0};
    Ref<Process> process_;  // a task keeps its process; the last one of a process to end makes it a zombie
    std::array<std::atomic<std::uint64_t>, 2> name_{};
};

}  // namespace kernel::task
