// SPDX-License-Identifier: MIT
// fork, vfork and what posix_spawn uses (clone(2)).
#include <utility>

#include "arch/contract.hpp"
#include "mm/user_memory.hpp"
#include "sched/params.hpp"
#include "task/dispatcher.hpp"
#include "task/hart.hpp"
#include "task/lifecycle.hpp"
#include "task/process_group.hpp"
#include "task/signal.hpp"

namespace kernel::task {

namespace {

constexpr std::uint32_t kPagesPerPiece = 64;

// pthread_create's rule for attributes and what they draw on, unless the caller asked for a fresh start.
sched::Attributes inherited_attributes(Task& caller, const sched::Limits& limits) {
    const sched::Attributes own = read_attributes(caller);
    return (own.flags & nexus_abi::kAttrResetOnSpawn) != 0
               ? sched::inherit_for_spawn(own, limits, online_cpus())
               : sched::inherit_for_thread(own);
}

Result<void> store_tids(Task& caller, Process& child, TaskId tid, const ForkOptions& options) {
    if (options.parent_tid != 0) {
        TRY(mm::store_word(caller.process().space(), VirtAddr{options.parent_tid}, tid.value()));
    }
    if (options.child_tid != 0) {
        TRY(mm::store_word(child.space(), VirtAddr{options.child_tid}, tid.value()));
    }
    return {};
}

// Everything but the memory. What it got goes with the process when it fails.
Result<Ref<Task>> prepare_child(Task& caller, Process& child, const ForkOptions& options) {
    Process& parent = caller.process();
    save_fp_for_copy(caller);
    Ref<Task> task = TRY(Task::create_copy(child, caller));
    child.set_pid(task->tid());
    child.leader = task.clone();
    child.rights.store(parent.rights.load(std::memory_order_relaxed), std::memory_order_relaxed);
    child.identity.copy_from(parent.identity);
    child.program = program_of(parent);
    child.set_arguments({.arguments = VirtAddr{parent.arguments_start.load(std::memory_order_relaxed)},
                         .bytes = parent.arguments_bytes.load(std::memory_order_relaxed)});
    child.limits.copy_from(parent.limits);
    child.barriers.store(parent.barriers.load());
    TRY(child.files.copy_from(parent.files));
    TRY(store_tids(caller, child, task->tid(), options));
    task->entity.limits = read_limits(caller);
    task->entity.attributes = inherited_attributes(caller, task->entity.limits);
    TRY(inherit_shared(*task, &caller));
    if ((read_attributes(caller).flags & nexus_abi::kAttrResetOnSpawn) == 0) {
        task->linux_policy.store(caller.linux_policy.load());
    } else if (caller.linux_policy.load().resets_on_fork) {
        task->entity.attributes.flags &= ~nexus_abi::kAttrResetOnSpawn;
    }
    task->clear_child_tid = options.clear_child_tid;
    task->frame.set_result(0);
    if (options.stack != 0) {
        task->frame.set_stack_pointer(options.stack);
    }
    if (options.set_tls) {
        task->frame.set_thread_pointer(options.tls);
    }
    inherit_signals(caller, child, *task);
    if (options.shares_memory && !options.waits) {
        task->alternate_stack = {};
    }
    return task;
}

// A piece of what is to be undone; then the error.
SysResult fail_step(Task& caller) {
    if (!discard_unborn_step(caller)) {
        caller.call_progress = 1;
        return SysResult::again();
    }
    return caller.unborn_error;
}

SysResult fail(Task& caller, Error error) {
    caller.unborn_error = error;
    caller.unborn_fails = true;
    return fail_step(caller);
}

SysResult bear(Task& caller, const ForkOptions& options) {
    Result<Ref<Task>> prepared = prepare_child(caller, *caller.unborn, options);
    if (!prepared.ok()) {
        return fail(caller, prepared.error());
    }
    Process& child = *caller.unborn;
    const TaskId pid = child.pid();
    if (!options.waits) {
        return std::uint64_t{launch(&caller, std::move(caller.unborn), *std::move(prepared), {}, {}).value()};
    }
    child.borrows_space = true;
    {
        WaitQueue& lenders = caller.process().lenders;
        const LockGuard guard{lenders.lock()};
        begin_wait(caller, &lenders, {.key = pid.value()});
    }
    launch(&caller, std::move(caller.unborn), *std::move(prepared), {}, {});
    caller.call_progress = 0;
    return SysResult::blocked();
}

}  // namespace

SysResult fork_process(Task& caller, const ForkOptions& options) {
    mm::AddressSpace& own = caller.process().space();
    if (caller.unborn_fails) {
        return fail_step(caller);
    }
    if (!caller.unborn) {
        auto process = Process::create();
        if (!process.ok()) {
            return process.error();
        }
        if (options.shares_memory) {
            own.retain();
            (*process)->set_space(&own);
        } else {
            const auto space = create_space();
            if (!space.ok()) {
                return space.error();
            }
            (*process)->set_space(*space);
        }
        caller.unborn = *std::move(process);
        caller.unborn_next = mm::kUserBase;
    }
    if (!options.shares_memory) {
        const auto copied = own.copy_step(caller.unborn->space(), caller.unborn_next);
        if (!copied.ok()) {
            return fail(caller, copied.error());
        }
        caller.unborn_next = copied->next;
        if (!copied->done) {
            caller.call_progress = 1;
            return SysResult::again();
        }
    }
    return bear(caller, options);
}

bool discard_unborn_step(Task& task) {
    if (!task.unborn) {
        task.unborn_fails = false;
        return true;
    }
    Process& child = *task.unborn;
    if (mm::AddressSpace* const space = child.space_or_null(); space != nullptr) {
        const bool is_shared = space == task.process().space_or_null();
        if (!is_shared && !space->teardown_step(kPagesPerPiece)) {
            return false;
        }
        if (is_shared) {
            CHECK(!space->release());  // the task's own process holds it
        } else {
            mm::AddressSpace::destroy(space);
        }
        child.set_space(nullptr);
    }
    if (!child.files.close_step()) {
        return false;
    }
    child.leader.reset();
    task.unborn.reset();
    task.unborn_fails = false;
    return true;
}

}  // namespace kernel::task
