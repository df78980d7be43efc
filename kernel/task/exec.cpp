// SPDX-License-Identifier: MIT
// execve: the new memory is made beside the old one; only when it is complete do the other threads end and
// the two change places.
#include <utility>

#include "arch/contract.hpp"
#include "task/dispatcher.hpp"
#include "task/futex_pi.hpp"
#include "task/futex_robust.hpp"
#include "task/hart.hpp"
#include "task/lifecycle.hpp"
#include "task/program.hpp"
#include "task/signal.hpp"

namespace kernel::task {

namespace {

constexpr std::uint32_t kPagesPerPiece = 64;

void continue_exec(Task& task);

void go_on(Task& task, void (*with)(Task&)) {
    task.resume = with;
    request_reschedule();
}

// The last part: what is left of the old program.
void finish_exec(Task& task) {
    if (task.exec_files < FileTable::kMaxFiles) {
        task.exec_files = task.process().files.close_marked_step(task.exec_files);
        go_on(task, &finish_exec);
    } else if (!discard_spare_space_step(task) || !clean_up_step()) {
        go_on(task, &finish_exec);
    }
}

// The caller is alone in its process.
void change_places(Task& task) {
    Process& process = task.process();
    release_child_tid(task);
    leave_address_space(this_hart());
    mm::AddressSpace* const before = process.space_or_null();
    {
        const LockGuard guard{family_lock()};
        process.set_space(std::exchange(task.spare_space, nullptr));
    }
    if (before->release()) {
        task.spare_space = before;
    } else {
        return_space(process);
        task.exit_work.fetch_or(Task::kSignalWork);  // a stop that was withheld (take_signal())
    }
    let_own_pi_futexes(task);
    reset_signal_handlers(task);
    process.alarms.remove_all(false);
    {
        const LockGuard guard{family_lock()};
        process.exec_task = nullptr;
    }
    task.exec_files = 0;
    finish_exec(task);
}

void continue_exec(Task& task) {
    if (!release_robust_futexes(task) || !pass_on_pi_futexes(task)) {
        go_on(task, &continue_exec);
        return;
    }
    Process& process = task.process();
    {
        const LockGuard guard{family_lock()};
        process.has_executed = true;
        if (process.is_exiting.load(std::memory_order_relaxed)) {
            return;  // must_exit is set, or will be before the task leaves the kernel
        }
        if (end_other_threads(process)) {
            const LockGuard wait_guard{process.alone.lock()};
            begin_wait(task, &process.alone, {.resume = &continue_exec});
            return;
        }
    }
    change_places(task);
}

// A space nobody has run in; as small as a program's first pages.
void discard(mm::AddressSpace* space) {
    while (!space->teardown_step(~0U)) {
    }
    mm::AddressSpace::destroy(space);
}

// One thread of a process may execute another program at a time; the others are about to end.
bool claim_exec(Task& task) {
    Process& process = task.process();
    const LockGuard guard{family_lock()};
    if (process.exec_task != nullptr || process.is_exiting.load(std::memory_order_relaxed)) {
        return false;
    }
    process.exec_task = &task;
    return true;
}

}  // namespace

Result<void> exec_program(Task& caller, const ProgramArguments& arguments) {
    const auto space = create_space();
    if (!space.ok()) {
        return space.error();
    }
    arch::TrapFrame frame{};
    const auto loaded = load_program(**space, arguments, frame);
    if (!loaded.ok()) {
        discard(*space);
        return loaded.error();
    }
    if (!claim_exec(caller)) {
        discard(*space);
        return Error::TryAgain;
    }
    save_fp_for_copy(caller);  // what the registers hold belongs to the old program
    caller.fp = {};
    caller.fp_epoch = 0;
    caller.frame = frame;
    caller.set_name(program_name(arguments.path));
    set_program(caller.process(), mm::FileRef{arguments.program});
    caller.process().set_arguments(*loaded);
    caller.process().barriers.store(0);
    caller.spare_space = *space;
    caller.call_progress = 0;
    go_on(caller, &continue_exec);
    return {};
}

bool discard_spare_space_step(Task& task) {
    if (task.spare_space == nullptr) {
        return true;
    }
    if (!task.spare_space->teardown_step(kPagesPerPiece)) {
        return false;
    }
    mm::AddressSpace::destroy(std::exchange(task.spare_space, nullptr));
    return true;
}

}  // namespace kernel::task
