// SPDX-License-Identifier: MIT
#include "task/process_group.hpp"

#include <array>
#include <utility>

#include "mm/slab.hpp"
#include "task/lifecycle.hpp"
#include "task/signal.hpp"

namespace kernel::task {

namespace {

constinit mm::ObjectPool<Session> sessions;
constinit mm::ObjectPool<ProcessGroup> groups;

// The session that has the terminal, by the number it keeps; 0: none. And its foreground group's.
constinit TaskId terminal_session GUARDED_BY(family_lock()){};
constinit TaskId terminal_foreground GUARDED_BY(family_lock()){};

bool leads_session(const Process& process) REQUIRES(family_lock()) {
    return process.process_group->session->id() == process.pid();
}

bool is_in_terminal_session(const Process& process) REQUIRES(family_lock()) {
    return process.process_group && process.process_group->session->id() == terminal_session;
}

// Sends a signal to the members of a group; with `spares_init` not to a pid 1 that does not catch it.
void signal_members(TaskId group, std::uint32_t number, const SignalInfo& info, bool spares_init) {
    TaskId after;
    while (true) {
        std::array<Ref<Process>, kGroupBatch> members;
        const std::uint32_t count = members_after(group, after, members);
        for (std::uint32_t i = 0; i < count; ++i) {
            if (!spares_init || !members[i]->is_init || catches_signal(*members[i], number)) {
                static_cast<void>(signal_process(*members[i], number, info));
            }
        }
        if (count < kGroupBatch) {
            return;
        }
        after = members[kGroupBatch - 1]->pid();
    }
}

// Moves a process; what is left of its old group goes once the lock is dropped.
Ref<ProcessGroup> move_to(Process& process, Ref<ProcessGroup> group) REQUIRES(family_lock()) {
    Ref<ProcessGroup> old = leave_group(process);
    join_group(process, std::move(group));
    return old;
}

}  // namespace

void Session::last_reference_gone(Session& session) {
    sessions.destroy(&session);
}

Result<Ref<ProcessGroup>> ProcessGroup::create(Task& leader, Ref<Session> session) {
    if (!session) {
        session = Ref<Session>::adopt(*TRY(sessions.create(leader)));
    }
    return Ref<ProcessGroup>::adopt(*TRY(groups.create(leader, std::move(session))));
}

void ProcessGroup::last_reference_gone(ProcessGroup& group) {
    groups.destroy(&group);
}

Process* ProcessGroup::first_after(TaskId after) const {
    Process* found = nullptr;
    for (Process* at = members.root(); at != nullptr;) {
        const bool is_after = after < at->pid();
        found = is_after ? at : found;
        at = is_after ? members.left(*at) : members.right(*at);
    }
    return found;
}

void join_group(Process& process, Ref<ProcessGroup> group) {
    if (group->members.empty()) {
        group->name->process().named_group = group.get();
        if (process.is_init) {
            terminal_session = terminal_foreground = group->id();
        }
    }
    group->members.insert(process);
    process.process_group = std::move(group);
}

Ref<ProcessGroup> leave_group(Process& process) {
    Ref<ProcessGroup> group = std::move(process.process_group);
    if (group) {
        group->members.erase(process);
        if (group->members.empty()) {
            group->name->process().named_group = nullptr;
        }
    }
    return group;
}

bool is_orphaned(const ProcessGroup& group) {
    for (Process* member = group.members.first(); member != nullptr; member = group.members.next(*member)) {
        const Process* const parent = member->parent;
        if (!member->is_zombie && parent != nullptr && parent->process_group &&
            parent->process_group.get() != &group &&
            parent->process_group->session.get() == group.session.get()) {
            return false;
        }
    }
    return true;
}

bool is_abandoned(const ProcessGroup& group) {
    bool has_stopped = false;
    for (Process* member = group.members.first(); member != nullptr && !has_stopped;
         member = group.members.next(*member)) {
        has_stopped = !member->is_zombie && is_stopped(*member);
    }
    return has_stopped && is_orphaned(group);
}

void hang_up_terminal(Process& process) {
    TaskId foreground;
    {
        const LockGuard guard{family_lock()};
        if (process.is_init || !is_in_terminal_session(process) || !leads_session(process)) {
            return;
        }
        foreground = std::exchange(terminal_foreground, TaskId{});
        terminal_session = TaskId{};
    }
    signal_group(foreground, signal::kHangUp, {.code = signal::kFromKernel});
    signal_group(foreground, signal::kContinue, {.code = signal::kFromKernel});
}

TaskId group_of(Process& process) {
    const LockGuard guard{family_lock()};
    return process.process_group ? process.process_group->id() : TaskId{};
}

TaskId session_of(Process& process) {
    const LockGuard guard{family_lock()};
    return process.process_group ? process.process_group->session->id() : TaskId{};
}

Result<void> change_group(Process& caller, Process& target, TaskId group) {
    // These references go with no lock held.
    const Ref<Process> named = find_namesake(group);
    Ref<ProcessGroup> fresh;
    Ref<ProcessGroup> old;
    if (group == target.pid()) {
        Ref<Session> session;
        Ref<Task> leader;
        {
            const LockGuard guard{family_lock()};
            if (target.process_group) {
                session = target.process_group->session.clone();
                leader = target.leader.clone();
            }
        }
        if (leader) {
            fresh = TRY(ProcessGroup::create(*leader, std::move(session)));
        }
    }
    const LockGuard guard{family_lock()};
    if ((&target != &caller && target.parent != &caller) || !target.process_group) {
        return Error::NoProcess;
    }
    const Session* const session = caller.process_group->session.get();
    if (target.process_group->session.get() != session || leads_session(target)) {
        return Error::NotPermitted;
    }
    if (&target != &caller && target.has_executed) {
        return Error::AccessDenied;
    }
    if (named && named->named_group != nullptr && named->named_group->session.get() == session) {
        if (named->named_group != target.process_group.get()) {
            old = move_to(target, Ref<ProcessGroup>::share(*named->named_group));
        }
        return {};
    }
    if (!fresh) {
        return Error::NotPermitted;
    }
    old = move_to(target, std::move(fresh));
    return {};
}

Result<TaskId> begin_session(Process& caller) {
    Ref<ProcessGroup> fresh = TRY(ProcessGroup::create(*caller.leader, {}));
    Ref<ProcessGroup> old;
    const LockGuard guard{family_lock()};
    if (caller.named_group != nullptr) {
        return Error::NotPermitted;
    }
    old = move_to(caller, std::move(fresh));
    return caller.pid();
}

std::uint32_t members_after(TaskId group, TaskId after, std::span<Ref<Process>, kGroupBatch> members) {
    const Ref<Process> named = find_namesake(group);
    if (!named) {
        return 0;
    }
    const LockGuard guard{family_lock()};
    std::uint32_t count = 0;
    while (named->named_group != nullptr && count < members.size()) {
        Process* const member = named->named_group->first_after(after);
        if (member == nullptr) {
            break;
        }
        after = member->pid();
        members[count++] = Ref<Process>::share(*member);
    }
    return count;
}

void signal_group(TaskId group, std::uint32_t number, const SignalInfo& info) {
    signal_members(group, number, info, false);
}

TaskId foreground_group() {
    const LockGuard guard{family_lock()};
    return terminal_foreground;
}

bool has_terminal(Process& process) {
    const LockGuard guard{family_lock()};
    return is_in_terminal_session(process);
}

Result<void> take_terminal(Process& caller, bool steals) {
    const LockGuard guard{family_lock()};
    if (!leads_session(caller)) {
        return Error::NotPermitted;
    }
    if (is_in_terminal_session(caller)) {
        return {};
    }
    if (terminal_session != TaskId{} && !steals) {
        return Error::NotPermitted;
    }
    terminal_session = caller.process_group->session->id();
    terminal_foreground = caller.process_group->id();
    return {};
}

Result<void> give_up_terminal(Process& caller) {
    TaskId foreground;
    {
        const LockGuard guard{family_lock()};
        if (!is_in_terminal_session(caller)) {
            return Error::NotTerminal;
        }
        if (!leads_session(caller)) {
            return {};  // a process cannot part from its session's terminal by itself
        }
        foreground = std::exchange(terminal_foreground, TaskId{});
        terminal_session = TaskId{};
    }
    signal_group(foreground, signal::kHangUp, {.code = signal::kFromKernel});
    signal_group(foreground, signal::kContinue, {.code = signal::kFromKernel});
    return {};
}

Result<void> set_foreground_group(Process& caller, TaskId group) {
    const Ref<Process> named = find_namesake(group);
    const LockGuard guard{family_lock()};
    if (!is_in_terminal_session(caller)) {
        return Error::NotTerminal;
    }
    if (!named || named->named_group == nullptr) {
        return Error::NoProcess;
    }
    if (named->named_group->session.get() != caller.process_group->session.get()) {
        return Error::NotPermitted;
    }
    terminal_foreground = group;
    return {};
}

TerminalUse use_terminal(Task& caller, std::uint32_t number) {
    Process& process = caller.process();
    TaskId group;
    {
        const LockGuard guard{family_lock()};
        if (!is_in_terminal_session(process) || process.process_group->id() == terminal_foreground ||
            terminal_foreground == TaskId{}) {
            return TerminalUse::Allowed;
        }
        const bool is_deaf = ignores_or_blocks(caller, number);
        if (is_deaf && number == signal::kTerminalOutput) {
            return TerminalUse::Allowed;
        }
        if (is_deaf || is_orphaned(*process.process_group)) {
            return TerminalUse::Refused;
        }
        group = process.process_group->id();
    }
    signal_group(group, number, {.code = signal::kFromKernel});
    // Whichever thread takes it, this one looks, and begins anew or fails.
    caller.interruption = OnSignal::Restarts;
    caller.call_progress = 0;
    caller.exit_work.fetch_or(Task::kSignalWork);
    return TerminalUse::Signalled;
}

void signal_foreground(std::uint32_t number, TaskId last_reader) {
    const SignalInfo info{.code = signal::kFromKernel};
    signal_members(foreground_group(), number, info, true);
    if (const Ref<Process> reader = find_process(last_reader); reader && !has_terminal(*reader)) {
        static_cast<void>(signal_process(*reader, number, info));
    }
}

}  // namespace kernel::task
