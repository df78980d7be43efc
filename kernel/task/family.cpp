// SPDX-License-Identifier: MIT
#include "task/family.hpp"

#include <utility>

#include "task/dispatcher.hpp"
#include "task/lifecycle.hpp"
#include "task/signal.hpp"

namespace kernel::task {

namespace {

void unlink_child(Process& child) REQUIRES(family_lock()) {
    (child.previous_sibling == nullptr ? child.parent->first_child : child.previous_sibling->next_sibling) =
        child.next_sibling;
    if (child.next_sibling != nullptr) {
        child.next_sibling->previous_sibling = child.previous_sibling;
    }
    child.previous_sibling = child.next_sibling = nullptr;
    child.parent = nullptr;
}

// What wait4 waits for: the key is the pid or the number of the group, or this; the high key says which, and
// whether the wait is for more than ends.
constexpr std::uint64_t kAnyChild = 0;
constexpr std::uint64_t kOfGroup = 1;
constexpr std::uint64_t kForChanges = 2;
// Waits for a change that are woken by one: each wants it or does not, and waits on.
constexpr std::uint32_t kToldOfChange = 16;

std::uint64_t key_of(const ChildQuery& query) {
    return query.whose == ChildQuery::Whose::Any ? kAnyChild : query.id.value();
}

std::uint64_t high_key_of(const ChildQuery& query) {
    return (query.whose == ChildQuery::Whose::Group ? kOfGroup : 0) |
           (query.stopped || query.continued ? kForChanges : 0);
}

// One wait of each kind that is for this child, or for any; with `wakes_any` false the latter only when there
// is none left.
void wake_waits_for(Process& parent, const Process& child, bool wakes_any) REQUIRES(family_lock()) {
    WaitQueue& queue = parent.child_exited;
    const LockGuard guard{queue.lock()};
    if (queue.empty()) {
        return;
    }
    for (const std::uint64_t kind : {std::uint64_t{0}, kForChanges}) {
        queue.wake_one_locked(child.pid().value(), 0, kind);
        if (child.process_group) {
            queue.wake_one_locked(child.process_group->id().value(), 0, kOfGroup | kind);
        }
        if (wakes_any || parent.first_child == nullptr) {
            queue.wake_one_locked(kAnyChild, 0, kind);
        }
    }
}

// One more child can be collected. Each wait that ends finds out for itself whether it was the one; a wait
// that finds nothing left to wait for wakes the next of its kind. A few wake-ups, however many wait.
void tell_child_ended(Process& parent, Process& child) REQUIRES(family_lock()) {
    parent.zombies.push_back(child);
    wake_waits_for(parent, child, true);
}

// Forgets what the parent was not told of a child that lived.
void drop_change(Process& child) REQUIRES(family_lock()) {
    if (child.change != ChildChange::None) {
        child.change = ChildChange::None;
        child.parent->changed.remove(child);
    }
}

void tell_child_changed(Process& parent, Process& child) REQUIRES(family_lock()) {
    parent.changed.push_back(child);
    WaitQueue& queue = parent.child_exited;
    const LockGuard guard{queue.lock()};
    for (std::uint32_t i = 0; i < kToldOfChange && !queue.empty(); ++i) {
        queue.wake_one_locked(child.pid().value(), 0, kForChanges);
        queue.wake_one_locked(kAnyChild, 0, kForChanges);
        if (child.process_group) {
            queue.wake_one_locked(child.process_group->id().value(), 0, kOfGroup | kForChanges);
        }
    }
}

// The parent does not want to know: nothing is left of the child but what its last thread holds. Whoever
// waits for it finds out that there is nobody to wait for. Returns what goes once the lock is dropped.
Ref<ProcessGroup> forget_child(Process& parent, Process& child) REQUIRES(family_lock()) {
    unlink_child(child);
    child.parent_pid.store(0, std::memory_order_relaxed);
    child.is_collected.store(true, std::memory_order_release);
    wake_waits_for(parent, child, false);
    Ref<ProcessGroup> group = leave_group(child);
    child.leader.reset();
    Ref<Process>::adopt(child).reset();  // the family's; the running task has another
    return group;
}

// Gives a child whose parent ends to pid 1, with what its parent was not told of it.
void hand_over(Process& child, Process& init) REQUIRES(family_lock()) {
    Process& parent = *child.parent;
    const ChildChange change = child.change;
    drop_change(child);
    if (child.is_zombie) {
        parent.zombies.remove(child);
    }
    unlink_child(child);
    link_child(init, child);
    if (child.is_zombie) {
        tell_child_ended(init, child);
    } else if (change != ChildChange::None) {
        child.change = change;
        tell_child_changed(init, child);
    }
}

// Whether this parent keeps its child's group from being orphaned.
bool is_tie(const Process& parent, const Process& child) REQUIRES(family_lock()) {
    return parent.process_group && child.process_group &&
           parent.process_group.get() != child.process_group.get() &&
           parent.process_group->session.get() == child.process_group->session.get();
}

void note_if_abandoned(const Process& member, AbandonedGroups& groups) REQUIRES(family_lock()) {
    if (is_abandoned(*member.process_group)) {
        static_cast<void>(groups.try_push(member.process_group->id()));
    }
}

bool is_asked_for(const Process& child, const ChildQuery& query) REQUIRES(family_lock()) {
    switch (query.whose) {
        case ChildQuery::Whose::Any:
            return true;
        case ChildQuery::Whose::Pid:
            return child.pid() == query.id;
        case ChildQuery::Whose::Group:
            break;
    }
    return child.process_group && child.process_group->id() == query.id;
}

// `named`: the process a query for a pid names.
bool has_candidate(const Process& parent, const ChildQuery& query, const Process* named)
    REQUIRES(family_lock()) {
    if (query.whose == ChildQuery::Whose::Pid) {
        return named != nullptr && named->parent == &parent;
    }
    const Process* child = parent.first_child;
    while (child != nullptr && !is_asked_for(*child, query)) {
        child = child->next_sibling;
    }
    return child != nullptr;
}

Process* find_ended(Process& parent, const ChildQuery& query, Process* named) REQUIRES(family_lock()) {
    if (query.whose == ChildQuery::Whose::Pid) {
        return named->is_zombie ? named : nullptr;
    }
    Process* child = parent.zombies.front();
    while (child != nullptr && !is_asked_for(*child, query)) {
        child = parent.zombies.next(*child);
    }
    return child;
}

Process* find_changed(Process& parent, const ChildQuery& query, Process* named) REQUIRES(family_lock()) {
    const auto is_wanted = [&](const Process& child) {
        return (child.change == ChildChange::Stopped && query.stopped) ||
               (child.change == ChildChange::Continued && query.continued);
    };
    if (query.whose == ChildQuery::Whose::Pid) {
        return is_wanted(*named) ? named : nullptr;
    }
    Process* child = parent.changed.front();
    while (child != nullptr && !(is_wanted(*child) && is_asked_for(*child, query))) {
        child = parent.changed.next(*child);
    }
    return child;
}

std::int32_t status_of_change(const Process& child) REQUIRES(family_lock()) {
    return child.change == ChildChange::Continued ? kStatusContinued : status_stopped(child.change_signal);
}

}  // namespace

void link_child(Process& parent, Process& child) {
    child.parent = &parent;
    child.parent_pid.store(parent.pid().value(), std::memory_order_relaxed);
    child.previous_sibling = nullptr;
    child.next_sibling = parent.first_child;
    if (parent.first_child != nullptr) {
        parent.first_child->previous_sibling = &child;
    }
    parent.first_child = &child;
}

bool leave_family(Process& process, Process& init, Ref<ProcessGroup>& group, AbandonedGroups& abandoned) {
    for (std::uint32_t i = 0; i < kChildrenPerStep && process.first_child != nullptr; ++i) {
        Process& child = *process.first_child;
        const bool was_tied = is_tie(process, child);
        hand_over(child, init);
        if (was_tied) {
            note_if_abandoned(child, abandoned);
        }
    }
    if (process.first_child != nullptr) {
        return false;
    }
    Process& parent = *process.parent;
    process.wait_status = process.exit_status;
    drop_change(process);
    process.is_zombie = true;
    if (is_tie(parent, process)) {
        note_if_abandoned(process, abandoned);
    }
    if (forgets_children(parent)) {
        group = forget_child(parent, process);
    } else {
        tell_child_ended(parent, process);
    }
    signal_child_changed(parent, process.pid(), process.wait_status);
    return true;
}

void note_child_change(Process& child, ChildChange change, std::uint32_t signal) {
    Process* const parent = child.parent;
    if (parent == nullptr || child.is_zombie) {
        return;
    }
    drop_change(child);
    child.change = change;
    child.change_signal = signal;
    tell_child_changed(*parent, child);
    signal_child_changed(*parent, child.pid(), status_of_change(child));
}

ReapOutcome reap_child(Process& parent, const ChildQuery& query, Task* wait_in, ReapedChild& child) {
    // These references go with no lock held.
    const Ref<Process> named =
        query.whose == ChildQuery::Whose::Pid ? find_process(query.id) : Ref<Process>{};
    Ref<Process> reaped;
    Ref<Task> leader;
    Ref<ProcessGroup> group;
    const LockGuard guard{family_lock()};
    if (!has_candidate(parent, query, named.get())) {
        // Nor has anybody else who waits for the same.
        const LockGuard wait_guard{parent.child_exited.lock()};
        parent.child_exited.wake_one_locked(key_of(query), 0, high_key_of(query));
        return ReapOutcome::NoChild;
    }
    Process* const ended = query.ended ? find_ended(parent, query, named.get()) : nullptr;
    if (ended == nullptr) {
        if (Process* const changed = find_changed(parent, query, named.get()); changed != nullptr) {
            child = {.pid = changed->pid(), .wait_status = status_of_change(*changed), .usage = {}};
            if (!query.keeps) {
                drop_change(*changed);
            }
            return ReapOutcome::Reaped;
        }
        if (wait_in != nullptr) {
            const LockGuard wait_guard{parent.child_exited.lock()};
            begin_wait(*wait_in, &parent.child_exited,
                       {.run_again = true, .key = key_of(query), .key_high = high_key_of(query)});
        }
        return ReapOutcome::NoneYet;
    }
    child.pid = ended->pid();
    child.wait_status = ended->wait_status;
    child.usage = ended->used.load();
    child.usage += ended->dead_children;
    if (query.keeps) {
        // It is still there for whoever waits for the same.
        parent.child_exited.wake_one(child.pid.value(), 0);
        return ReapOutcome::Reaped;
    }
    parent.dead_children += child.usage;
    parent.zombies.remove(*ended);
    unlink_child(*ended);
    ended->parent_pid.store(0, std::memory_order_relaxed);
    ended->is_collected.store(true, std::memory_order_release);
    wake_waits_for(parent, *ended, false);
    leader = std::move(ended->leader);
    group = leave_group(*ended);
    reaped = Ref<Process>::adopt(*ended);
    return ReapOutcome::Reaped;
}

}  // namespace kernel::task
