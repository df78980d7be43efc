// SPDX-License-Identifier: MIT
#include "syscall/target.hpp"

#include "syscall/audit.hpp"
#include "task/dispatcher.hpp"
#include "task/lifecycle.hpp"

namespace kernel::syscall {

namespace {

constinit Faults the_faults;

}  // namespace

void set_faults(const Faults& faults) {
    the_faults = faults;
}

const Faults& faults() {
    return the_faults;
}

namespace {

bool is_own_or_child(Caller& caller, const task::Process& process) {
    const LockGuard guard{task::family_lock()};
    return &process == &caller.process || process.parent == &caller.process;
}

Error absent(Caller& caller, TaskId id, std::uint64_t right) {
    if (caller.has_right(right)) {
        return Error::NoProcess;
    }
    // The caller knows its own children, ended ones too.
    const Ref<task::Process> ended = task::find_process(id);
    return ended && is_own_or_child(caller, *ended) ? Error::NoProcess : deny(caller, id);
}

}  // namespace

Result<Ref<task::Task>> find_target(Caller& caller, std::int32_t id, std::uint64_t right) {
    if (id < 0) {
        return Error::InvalidArgument;
    }
    if (id == 0) {
        return Ref<task::Task>::share(caller.task);
    }
    const TaskId wanted{static_cast<std::uint32_t>(id)};
    Ref<task::Task> found = task::find_task(wanted);
    if (!found) {
        return absent(caller, wanted, right);
    }
    if (!caller.has_right(right) && !is_own_or_child(caller, found->process())) {
        return deny(caller, wanted);
    }
    return found;
}

bool may_reach(Caller& caller, const task::Process& process, std::uint64_t right) {
    return caller.has_right(right) || is_own_or_child(caller, process);
}

Result<Ref<task::Process>> find_target_process(Caller& caller, std::int32_t pid, std::uint64_t right) {
    if (pid < 0) {
        return Error::InvalidArgument;
    }
    if (pid == 0) {
        return Ref<task::Process>::share(caller.process);
    }
    Ref<task::Process> found = task::find_process(TaskId{static_cast<std::uint32_t>(pid)});
    if (!caller.has_right(right) && (!found || !is_own_or_child(caller, *found))) {
        return deny(caller, TaskId{static_cast<std::uint32_t>(pid)});
    }
    if (!found) {
        return Error::NoProcess;
    }
    return found;
}

}  // namespace kernel::syscall
