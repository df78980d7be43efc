// SPDX-License-Identifier: MIT
// Process groups, sessions and whose the terminal is (setpgid(2), setsid(2), tty_ioctl(4)).
//
// Every process is in one group, every group in one session; both are named after the process that began
// them, and their numbers stay taken as long as they last. Pid 1 begins the first session, which has the
// terminal. A forked child is in its parent's group; one of nexus_spawn begins a session of its own, without
// the terminal.
//
// There is one terminal. The processes of the session that has it use it while their group is its foreground
// group; others are stopped when they try. Processes of other sessions read and write as they please, and the
// one of them that read last hears of the terminal's keys as well. Keys do nothing to a pid 1 that has no
// handler for them.
//
// Concurrency: all of it is guarded by family_lock(), which the functions take unless they say that it is
// held. Cost: what looks at the members of a group goes by their number.
#pragma once

#include <cstdint>

#include "lib/avl_tree.hpp"
#include "lib/ids.hpp"
#include "lib/ref.hpp"
#include "lib/result.hpp"
#include "task/process.hpp"
#include "task/signal_info.hpp"
#include "task/sys_result.hpp"

namespace kernel::task {

struct Session : RefCounted<Session> {
    explicit Session(Task& leader) : name{Ref<Task>::share(leader)} {}
    static void last_reference_gone(Session& session);
    [[nodiscard]] TaskId id() const { return name->tid(); }

    const Ref<Task> name;  // keeps the number
};

class ProcessGroup : public RefCounted<ProcessGroup> {
  public:
    // A group named after `leader`, in `session`, or in a new one when that is empty. Errors: NoMemory.
    static Result<Ref<ProcessGroup>> create(Task& leader, Ref<Session> session);
    static void last_reference_gone(ProcessGroup& group);
    ProcessGroup(Task& leader, Ref<Session> of) : name{Ref<Task>::share(leader)}, session{std::move(of)} {}
    [[nodiscard]] TaskId id() const { return name->tid(); }
    // The member with the lowest pid beyond `after`; null when there is none. Pre: family_lock is held.
    [[nodiscard]] Process* first_after(TaskId after) const;

    struct ByPid {
        static bool before(const Process& a, const Process& b) { return a.pid() < b.pid(); }
        static void update(Process&, const Process*, const Process*) {}  // no augment
    };
    const Ref<Task> name;  // keeps the number
    const Ref<Session> session;
    AvlTree<Process, &Process::group_node, ByPid> members;
};

// ---- Birth and death; pre: family_lock is held ----

// Puts a process that is in no group into one. Into the first group of a new session: pid 1's has the
// terminal.
void join_group(Process& process, Ref<ProcessGroup> group) REQUIRES(family_lock());
// Takes a process out of its group. What is returned goes once the lock is dropped.
[[nodiscard]] Ref<ProcessGroup> leave_group(Process& process) REQUIRES(family_lock());
// Whether nobody in the session, outside the group, is the parent of one of its members: its processes do not
// stop by the terminal's signals, for nobody would continue them.
[[nodiscard]] bool is_orphaned(const ProcessGroup& group) REQUIRES(family_lock());
// Whether the group is orphaned and has a member that is stopped.
[[nodiscard]] bool is_abandoned(const ProcessGroup& group) REQUIRES(family_lock());
// The end of a process that leads the session with the terminal: the terminal is nobody's, and the foreground
// group gets SIGHUP and SIGCONT. Pre: no lock is held.
void hang_up_terminal(Process& process);

// ---- Groups and sessions ----

[[nodiscard]] TaskId group_of(Process& process);
[[nodiscard]] TaskId session_of(Process& process);
// setpgid. `target` is the caller or a child of it. Errors: as setpgid(2).
Result<void> change_group(Process& caller, Process& target, TaskId group);
// setsid. Errors: NotPermitted for who leads a group, NoMemory.
Result<TaskId> begin_session(Process& caller);
// Up to kGroupBatch members of a group with pids beyond `after`, in order of their pids; how many.
inline constexpr std::uint32_t kGroupBatch = 16;
std::uint32_t members_after(TaskId group, TaskId after, std::span<Ref<Process>, kGroupBatch> members);
// Sends a signal to every process of a group. Pre: no lock is held.
void signal_group(TaskId group, std::uint32_t number, const SignalInfo& info);

// ---- The terminal ----

// The number of the foreground group; 0 when the terminal is nobody's.
[[nodiscard]] TaskId foreground_group();
[[nodiscard]] bool has_terminal(Process& process);
// TIOCSCTTY: for who leads a session without it. With `steals` it is taken from the session that has it.
// Errors: NotPermitted.
Result<void> take_terminal(Process& caller, bool steals);
// TIOCNOTTY. Errors: NotTerminal for a process of another session.
Result<void> give_up_terminal(Process& caller);
// TIOCSPGRP, once may_use_terminal() agrees. Errors: NotTerminal, NoProcess, NotPermitted for a group of
// another session.
Result<void> set_foreground_group(Process& caller, TaskId group);
// Whether the running task may do to the terminal what `number` (SIGTTIN, SIGTTOU) is sent for: a process of
// the background is sent the signal with its group, and answers with what is returned; the call begins anew
// behind it, unless a handler does not allow that. Io: nobody would continue it, or, with SIGTTIN, it does
// not hear the signal; with SIGTTOU it may then go on. Pre: no lock is held.
enum class TerminalUse : std::uint8_t { Allowed, Signalled, Refused };
[[nodiscard]] TerminalUse use_terminal(Task& caller, std::uint32_t number);
// A key of the terminal was struck. `last_reader`: who read from it last. Pre: no lock is held.
void signal_foreground(std::uint32_t number, TaskId last_reader);

}  // namespace kernel::task
