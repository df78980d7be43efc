// SPDX-License-Identifier: MIT
// The impure shell around kernel/sched: per-hart run queues with their locks, timers, inboxes and IPIs, and
// the only place that decides to switch. No path holds two hart locks; tasks travel between harts through the
// target's inbox with at most one IPI in flight.
#pragma once

#include <cstdint>

#include "arch/riscv64/trap_frame.hpp"
#include "lib/cpu_mask.hpp"
#include "lib/ids.hpp"
#include "lib/result.hpp"
#include "lib/units.hpp"
#include "nexus_abi/sched.hpp"
#include "sched/entity.hpp"
#include "sched/machine_shape.hpp"
#include "sched/params.hpp"
#include "sched/qos.hpp"
#include "task/task.hpp"

namespace kernel::sched {
struct Donation;
}

namespace kernel::task {

// ---- Harts ----

// Sets up the scheduling data of one possible CPU. Pre: once per CPU, before any hart is online.
// capacity: 1..1024.
void configure_hart(CpuId cpu, std::uint32_t capacity, const sched::Faults& faults);
// Which harts the policies perf and eff prefer. Pre: before any hart is online.
void set_machine_shape(const sched::MachineShape& shape);
// This hart takes part in scheduling from now on.
void hart_online();
[[nodiscard]] CpuMask online_cpus();
// Those that came up, whether they are online or not: they take interrupts and execute the kernel.
[[nodiscard]] CpuMask started_cpus();
[[nodiscard]] CpuMask possible_cpus();
// `general_only`: with one CPU, too, all is done as with several.
void set_possible_cpus(CpuMask cpus, bool general_only = false);

// Takes `cpu` out of scheduling, or back in: nexus_cpu_set_online. Offline: its tasks move to other harts,
// the caller itself if it must; those whose mask leaves no online CPU may use every online CPU of their limit
// until one of their own comes back (kStatAffinityBroken). The result comes when no user instruction runs
// there any more; a caller that is killed before leaves the change to complete by itself. Online: tasks that
// wait for their CPU go back to it; the call goes on in pieces (SysResult::again(), caller.call_progress).
// InvalidArgument: cpu is not possible, or never came up. Busy: the last online CPU, or one that is on its
// way out. Pre: caller runs on this hart; the right was checked.
[[nodiscard]] SysResult set_cpu_online(Task& caller, CpuId cpu, bool online);

// What is to be done on a hart that goes offline, by itself, once no task is left on it; set once at boot.
void set_cpu_leaves_hook(void (*hook)(CpuId cpu));

// ---- The running task ----

// The task this hart runs, or entered the kernel from. Pre: there is one.
[[nodiscard]] Task& current_task();

// The exit path: settles what happened since entry, picks who runs next (idling until there is someone) and
// returns its registers with everything loaded, or resumes it itself (arch::resume()). The only way out of
// the kernel.
[[nodiscard]] arch::TrapFrame* exit_to_user();
// The same, as far as it is done without a call in between: two tasks of a process take turns on a machine of
// one hart, and nothing else is to be done for either (switch_at_once.cpp). Null: exit_to_user() is called
// for. Pre: as exit_to_user(); a task was interrupted or makes a call.
[[nodiscard]] arch::TrapFrame* switch_at_once();

// ---- Making tasks runnable ----

// Makes a task that finished its wait runnable. Pre: the caller claimed its wait.
void wake(Task& task);
// Makes a new task runnable for the first time. `parent` is whose virtual time it starts behind; null for the
// first one.
void start(Task& task, Task* parent);
// Instead of start(): the new task can be found, read, changed and killed, and runs only after release().
void hold(Task& task, Task& parent);
// Lets a held task run, behind the caller in virtual time. A task that was killed meanwhile runs already;
// that is let be.
void release(Task& task, Task& caller);

// ---- Requests to the exit path of this hart ----

// The current task gives up the rest of its request.
void request_yield();
// Something about the current task or this hart's queue changed: choose again.
void request_reschedule();
// The current task ends: its handler has done everything but the switch.
void request_exit();

// ---- Attributes (each takes the hart lock it needs) ----

// Applies validated attributes; on success the task executes no user instruction outside its new mask once
// the caller gets its result. `caller` is the task in whose system call this runs; blocked() when it has to
// wait for another hart.
SysResult apply_attributes(Task& caller, Task& target, const sched::Attributes& attributes,
                           std::uint64_t result);

// Books millionths of a CPU for the task's own budget (SharedBudget::book()), or gives back what it booked.
// Errors: NoMemory. Pre: the task's attributes are locked.
Result<std::uint32_t> book_budget(Task& task, std::uint32_t ppm, CpuMask cpus);
void unbook_budget(Task& task);

// apply_attributes() for new ceilings and the attributes that follow from them.
SysResult apply_limits(Task& caller, Task& target, const sched::Limited& limited);
// The tasks of `process` together count for no more than this many shares, 0 for any number; with it the
// process is the head of a group of its own, and children it has from then on belong to it. Goes on in pieces
// (SysResult::again(), caller.call_progress). Errors: NoMemory. Pre: no lock is held.
[[nodiscard]] SysResult set_group_ceiling(Task& caller, Process& process, std::uint32_t ceiling);

// Lends the task what those who wait for it give it (futex-PI), instead of what they gave it before; and the
// end of that. Each takes the lock of the task's home hart; pre: no hart lock is held.
void apply_donation(Task& task, const sched::Donation& donation);
void end_donation(Task& task);
// What a task that waits lends: its effective class and latency hint, which include what is lent to it, and
// its own budget.
[[nodiscard]] sched::Donation read_donation(Task& task);

[[nodiscard]] sched::Attributes read_attributes(Task& task);
[[nodiscard]] sched::Limits read_limits(Task& task);
// What the scheduler makes of them now.
[[nodiscard]] sched::Standing read_standing(Task& task);

// ---- Interrupts ----

void handle_timer_interrupt();
void handle_ipi();
// Sends an IPI, and how many a hart has taken: the boot's proof that they arrive.
void interrupt_hart(CpuId cpu);
[[nodiscard]] std::uint64_t ipis_received(CpuId cpu);
// An interrupt of another hart that was not taken for so long is sent again, and again after as long. Much
// more than firmware and an emulator need, and little beside what waits for a lost one otherwise: for ever.
inline constexpr Duration kIpiPatience = Duration::milliseconds(10);
// Has it be so from now on. Boot, once, before there are other harts.
void look_after_interrupts(Duration patience);
// Looked at for every IPI this hart takes, busy or idle; set once at boot.
void set_ipi_hook(void (*hook)());
void ipi_hook();
// What to do about an external interrupt; set once at boot.
void set_external_interrupt_hook(void (*hook)());
void external_interrupt_hook();

// From now on `poll` runs on `cpu` every `period` and is as free as an interrupt's handler; for a device that
// has none. Boot, once, when that CPU is online.
void poll_on(CpuId cpu, Duration period, void (*poll)());
// What a timer interrupt does about that. Pre: as handle_timer_interrupt().
void poll_if_due();

// Times what a hart does in the kernel without taking interrupts, and keeps the longest: an entry until it is
// answered, a piece of a call, a signal that is delivered; not the switch that may follow. Release builds
// leave out the short ways (calls and page faults that begin on them), where two readings of the clock are a
// tenth of the work. `what`: system call number, or bit 63 | scause.
void note_section_start();
void note_section_end(std::uint64_t what);
#ifdef NEURON_DEBUG
inline constexpr bool kTimesShortWays = true;
#else
inline constexpr bool kTimesShortWays = false;
#endif

// ---- Statistics ----

// Of one CPU. Pre: cpu is possible.
void fill_hart_stat(CpuId cpu, nexus_abi::sched_hartstat& stat);
// Of one task, up to date. Post: every byte of stat is written.
void fill_task_stat(Task& task, nexus_abi::sched_stat& stat);

}  // namespace kernel::task
