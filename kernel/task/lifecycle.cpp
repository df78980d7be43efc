// SPDX-License-Identifier: MIT
#include "task/lifecycle.hpp"

#include <utility>

#include "arch/contract.hpp"
#include "lib/check.hpp"
#include "lib/log.hpp"
#include "mm/kernel_map.hpp"
#include "mm/user_memory.hpp"
#include "sched/params.hpp"
#include "task/dispatcher.hpp"
#include "task/family.hpp"
#include "task/futex.hpp"
#include "task/futex_pi.hpp"
#include "task/futex_robust.hpp"
#include "task/futex_waitv.hpp"
#include "task/hart.hpp"
#include "task/process_group.hpp"
#include "task/program.hpp"
#include "task/signal.hpp"
#include "task/signal_delivery.hpp"
#include "task/task_table.hpp"

namespace kernel::task {

namespace {

// Pid 1: adopts orphans. Set once, when the first process is spawned.
constinit Process* init_process = nullptr;
using InitEnded = void (*)(std::int32_t wait_status);
constinit InitEnded init_ended = nullptr;
constinit std::atomic<std::uint32_t> processes{0};
constinit std::atomic<std::uint64_t> births{0};

// Threads told to end in one go; each of them tells as many more.
constexpr std::uint32_t kKickedPerStep = 16;

void add_thread(Process& process, Task& task) REQUIRES(family_lock()) {
    process.threads.push_back(task);
    ++process.thread_count;
    add_signal_thread(process, task);
}

// Tells up to kKickedPerStep threads that were not told yet to end. Told ones go to the back of the list, so
// the first told one at the front means that all are.
void tell_threads_to_end(Process& process) REQUIRES(family_lock()) {
    for (std::uint32_t i = 0; i < kKickedPerStep; ++i) {
        Task* const task = process.threads.front();
        if (task == nullptr || task->must_exit.load(std::memory_order_relaxed)) {
            return;
        }
        process.threads.remove(*task);
        process.threads.push_back(*task);
        if (task == process.exec_task && !process.is_exiting.load(std::memory_order_relaxed)) {
            continue;
        }
        // Seen by the dispatcher of its hart: it wakes, or is interrupted, or looks before it returns to user
        // mode.
        task->tell_to_end();
        lift_budget(*task);
        interrupt_wait(*task);
        if (task->home() != arch::current_cpu()) {
            kick(task->home());
        } else {
            request_reschedule();
        }
    }
}

// The last thread of a process is gone, but for this one, and so is its memory.
void become_zombie(Task& task) {
    Process& process = task.process();
    if (&process == init_process) {
        const std::int32_t status = process.exit_status;
        init_ended(status);
    }
    settle_usage(task);
    AbandonedGroups abandoned;
    bool is_done = false;
    {
        Ref<ProcessGroup> group;  // goes once the lock is dropped
        const LockGuard guard{family_lock()};
        is_done = leave_family(process, *init_process, group, abandoned);
    }
    for (const TaskId group : abandoned) {
        signal_group(group, signal::kHangUp, {.code = signal::kFromKernel});
        signal_group(group, signal::kContinue, {.code = signal::kFromKernel});
    }
    if (is_done) {
        processes.fetch_sub(1, std::memory_order_relaxed);
        request_exit();
    } else {
        task.resume = &become_zombie;
    }
}

void close_files(Task& task) {
    if (!task.process().files.close_step()) {
        task.resume = &close_files;
        return;
    }
    become_zombie(task);
}

void continue_teardown(Task& task) {
    if (!discard_spare_space_step(task)) {
        task.resume = &continue_teardown;
        return;
    }
    close_files(task);
}

void begin_teardown(Task& task) {
    Process& process = task.process();
    process.alarms.remove_all(true);
    hang_up_terminal(process);
    mm::AddressSpace* const space = process.space_or_null();
    {
        // From here on nobody finds it through the process.
        const LockGuard guard{family_lock()};
        process.set_space(nullptr);
    }
    if (space->release()) {
        task.spare_space = space;
        continue_teardown(task);
        return;
    }
    return_space(process);
    close_files(task);
}

// The end of one thread, in its own context. The last one goes on to take the process apart.
void end_thread(Task& task) {
    Process& process = task.process();
    task.exit_begun = true;
    lift_budget(task);
    leave_wait_words(task);
    if (!discard_unborn_step(task) || !release_robust_futexes(task) || !pass_on_pi_futexes(task) ||
        !discard_spare_space_step(task)) {
        task.resume = &end_thread;
        request_reschedule();
        return;
    }
    release_child_tid(task);
    bool is_last = false;
    {
        const LockGuard guard{family_lock()};
        process.threads.remove(task);
        --process.thread_count;
        remove_signal_thread(process, task);
        is_last = process.thread_count == 0;
        if (process.is_exiting.load(std::memory_order_relaxed)) {
            tell_threads_to_end(process);
        } else if (process.exec_task != nullptr && process.thread_count == 1) {
            process.alone.wake(1, 0);
        } else if (process.exec_task != nullptr) {
            tell_threads_to_end(process);
        } else if (is_last) {
            process.exit_status = status_exited(task.exit_code);
            process.is_exiting.store(true);
        }
    }
    if (is_last) {
        // Nobody may be in the space when it is taken apart; harts that ran other threads leave it when they
        // run something else, or idle (teardown_step()).
        leave_address_space(this_hart());
        task.resume = &begin_teardown;
        request_reschedule();
    } else {
        request_exit();
    }
}

Result<Ref<Process>> create_process() {
    Ref<Process> process = TRY(Process::create());
    process->set_space(TRY(create_space()));
    return process;
}

// A process that never ran: everything it got goes back.
void discard_process(Ref<Process> process) {
    while (!process->space().teardown_step(~0U)) {
    }
    mm::AddressSpace::destroy(&process->space());
    process->files.close_all();
    process->leader.reset();
}

Result<Ref<Task>> prepare_program(Process& process, const ProgramArguments& arguments,
                                  const SpawnOptions& options, Task* parent) {
    Ref<Task> task = TRY(Task::create(process, program_name(arguments.path)));
    process.set_pid(task->tid());
    process.leader = task.clone();
    process.rights.store(options.rights, std::memory_order_relaxed);
    if (parent != nullptr) {
        process.limits.copy_from(parent->process().limits);
        process.files.limit.store(parent->process().files.limit.load());
    }
    process.program = mm::FileRef{arguments.program};
    process.set_arguments(TRY(load_program(process.space(), arguments, task->frame)));
    if (options.prepare != nullptr) {
        TRY(options.prepare(process, options.context));
    }
    task->entity.attributes = options.attributes;
    task->entity.limits = options.limits;
    TRY(inherit_shared(*task, parent));
    if (options.heads_group && options.limits.group_ceiling != 0) {
        process.group = TRY(SharedGroup::create(task->tid(), options.limits.group_ceiling));
    }
    return task;
}

}  // namespace

void set_init_ended_hook(void (*hook)(std::int32_t wait_status)) {
    init_ended = hook;
}

std::uint32_t process_count() {
    return processes.load(std::memory_order_relaxed);
}

std::uint64_t process_births() {
    return births.load(std::memory_order_relaxed);
}

namespace {

bool is_collected(Task& task) {
    return task.process().is_collected.load(std::memory_order_acquire);
}

}  // namespace

Ref<Task> find_task(TaskId id) {
    Ref<Task> task = lookup_task(id);
    if (task && (task->run_state.load(std::memory_order_acquire) == RunState::Dead || is_collected(*task))) {
        return {};
    }
    return task;
}

Ref<Process> find_process(TaskId pid) {
    Ref<Process> process = find_namesake(pid);
    if (process && process->is_collected.load(std::memory_order_acquire)) {
        return {};
    }
    return process;
}

Ref<Process> find_namesake(TaskId group) {
    const Ref<Task> task = lookup_task(group);
    if (!task || task->process().pid() != group) {
        return {};
    }
    return Ref<Process>::share(task->process());
}

Result<TaskId> spawn_program(Task* parent, const ProgramArguments& arguments, const SpawnOptions& options) {
    if (parent == nullptr) {
        TRY(prepare_trampoline());
    }
    Ref<Process> process = TRY(create_process());
    Result<Ref<Task>> prepared = prepare_program(*process, arguments, options, parent);
    Result<Ref<ProcessGroup>> group{Error::NoMemory};
    if (prepared.ok()) {
        group = ProcessGroup::create(**prepared, {});
    }
    if (!group.ok()) {
        discard_process(std::move(process));
        return prepared.ok() ? group.error() : prepared.error();
    }
    return launch(parent, std::move(process), *std::move(prepared), *std::move(group),
                  {.heads_group = options.heads_group, .is_held = options.is_held});
}

Result<mm::AddressSpace*> create_space() {
    return mm::AddressSpace::create(mm::kernel_map().root());
}

std::string_view program_name(std::string_view path) {
    const auto slash = path.rfind('/');
    return path.substr(slash == path.npos ? 0 : slash + 1);
}

void release_child_tid(Task& task) {
    if (task.clear_child_tid == 0) {
        return;
    }
    // pthread_join waits on this word (set_tid_address(2)). A bad address is the program's loss.
    mm::AddressSpace& space = task.process().space();
    if (mm::store_word(space, VirtAddr{task.clear_child_tid}, 0).ok()) {
        wake_futex(space, task.clear_child_tid, 1);
    }
    task.clear_child_tid = 0;
}

void return_space(Process& process) {
    const LockGuard guard{family_lock()};
    if (std::exchange(process.borrows_space, false)) {
        // Its lender, if it still waits; pid 1 after that one's end, where nobody does.
        process.parent->lenders.wake_one(process.pid().value(),
                                         static_cast<std::int64_t>(process.pid().value()));
    }
}

bool end_other_threads(Process& process) {
    if (process.thread_count == 1) {
        return false;
    }
    tell_threads_to_end(process);
    return true;
}

TaskId launch(Task* parent, Ref<Process> process, Ref<Task> prepared, Ref<ProcessGroup> group,
              const Launch& options) {
    // A live task holds a reference to itself; the dispatcher drops it at its end.
    Task& task = *prepared.release();
    const TaskId tid = task.tid();
    bool is_doomed = false;
    {
        const LockGuard guard{family_lock()};
        // Who was killed while its parent made it (it can be found by its id), or whose parent was, never
        // runs: a signal to everybody has passed both by.
        is_doomed = process->is_exiting.load(std::memory_order_relaxed) ||
                    (parent != nullptr && parent->process().is_exiting.load(std::memory_order_relaxed));
        if (is_doomed) {
            if (!process->is_exiting.load(std::memory_order_relaxed)) {
                process->exit_status = status_signaled(signal::kKill);
                process->is_exiting.store(true);
            }
            task.tell_to_end();
        }
        if (parent != nullptr) {
            link_child(parent->process(), *process);
            if (!options.heads_group) {
                process->group = parent->process().group.clone();
            }
        } else {
            init_process = process.get();
            process->is_init = true;
        }
        join_group(*process, group ? std::move(group) : parent->process().process_group.clone());
        add_thread(*process, task);
    }
    processes.fetch_add(1, std::memory_order_relaxed);
    births.fetch_add(1, std::memory_order_relaxed);
    const bool is_held = options.is_held && !is_doomed;
    process->is_held.store(is_held ? 1 : 0, std::memory_order_relaxed);
    static_cast<void>(process.release());  // the family's reference; wait4 drops it
    if (is_held && parent != nullptr) {
        hold(task, *parent);
    } else {
        start(task, parent);
    }
    return tid;
}

void release_process(Process& process, Task& caller) {
    if (process.is_held.exchange(0) == 0) {
        return;
    }
    Ref<Task> leader;
    {
        const LockGuard guard{family_lock()};
        if (process.leader) {
            leader = process.leader.clone();
        }
    }
    if (leader) {
        release(*leader, caller);
    }
}

Result<TaskId> create_thread(Task& caller, const ThreadOptions& options) {
    Process& process = caller.process();
    save_fp_for_copy(caller);
    Ref<Task> created = TRY(Task::create_copy(process, caller));
    Task& task = *created;
    const TaskId tid = task.tid();
    for (const std::uint64_t address : {options.parent_tid, options.child_tid}) {
        if (address != 0) {
            TRY(mm::store_word(process.space(), VirtAddr{address}, tid.value()));
        }
    }
    task.frame.set_result(0);
    if (options.stack != 0) {
        task.frame.set_stack_pointer(options.stack);
    }
    if (options.set_tls) {
        task.frame.set_thread_pointer(options.tls);
    }
    task.clear_child_tid = options.clear_child_tid;
    task.signal_mask.store(caller.signal_mask.load(std::memory_order_relaxed), std::memory_order_relaxed);
    task.linux_policy.store(caller.linux_policy.load());
    with_home(caller, [&](Hart&, CpuId) {
        task.entity.attributes = sched::inherit_for_thread(caller.entity.attributes);
        task.entity.limits = caller.entity.limits;
        task.cpu_change = caller.cpu_change;  // as far as the caller's mask is fitted, so is this one
        return 0;
    });
    TRY(inherit_shared(task, &caller));
    {
        const LockGuard guard{family_lock()};
        if (process.is_exiting.load(std::memory_order_relaxed) || process.exec_task != nullptr) {
            return Error::TryAgain;  // it would be born to die
        }
        add_thread(process, task);
    }
    static_cast<void>(created.release());
    start(task, &caller);
    return tid;
}

void exit_thread(Task& caller, std::int32_t status) {
    caller.exit_code = status;
    end_thread(caller);
}

void exit_process(Process& process, std::int32_t wait_status) {
    const LockGuard guard{family_lock()};
    if (!process.is_exiting.load(std::memory_order_relaxed)) {
        process.exit_status = wait_status;
        process.is_exiting.store(true);
    }
    tell_threads_to_end(process);
}

void end_killed_task(Task& task) {
    end_thread(task);
}

}  // namespace kernel::task
