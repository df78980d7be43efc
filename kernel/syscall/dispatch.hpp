// SPDX-License-Identifier: MIT
// From the registers of a system call to its handler and back. Everything here follows from syscalls.def:
// each Implemented row declares its handler sys_<name>(Caller&, typed arguments), a missing or mistyped one
// does not link.
#pragma once

#include <cstdint>

#include "nexus_abi/audit.hpp"
#include "nexus_abi/linux.hpp"
#include "nexus_abi/numbers.hpp"
#include "nexus_abi/sched.hpp"
#include "nexus_abi/system.hpp"
#include "nexus_abi/trace.hpp"
#include "nexus_abi/user_ptr.hpp"
#include "syscall/caller.hpp"
#include "task/sys_result.hpp"

namespace kernel::syscall {

using task::SysResult;

// The prototypes of syscalls.def name ABI types without a namespace.
using nexus_abi::abi_info;
using nexus_abi::audit_record;
using nexus_abi::epoll_event;
using nexus_abi::futex_waitv_t;
using nexus_abi::In;
using nexus_abi::InOut;
using nexus_abi::iovec;
using nexus_abi::itimerspec;
using nexus_abi::itimerval;
using nexus_abi::kernel_sigaction;
using nexus_abi::linux_sched_attr;
using nexus_abi::message_header;
using nexus_abi::Out;
using nexus_abi::pollfd;
using nexus_abi::rlimit64;
using nexus_abi::rusage;
using nexus_abi::sched_attr;
using nexus_abi::sched_hartstat;
using nexus_abi::sched_param;
using nexus_abi::sched_snapshot_entry;
using nexus_abi::sched_stat;
using nexus_abi::select_mask;
using nexus_abi::sigevent_t;
using nexus_abi::siginfo;
using nexus_abi::signal_stack;
using nexus_abi::spawn_args;
using nexus_abi::stat;
using nexus_abi::statfs_t;
using nexus_abi::statx_t;
using nexus_abi::sysinfo_t;
using nexus_abi::timespec;
using nexus_abi::timeval;
using nexus_abi::timex_t;
using nexus_abi::tms;
using nexus_abi::trace_control;
using nexus_abi::trace_record;
using nexus_abi::utsname;

// The type of the handler of a row with this prototype.
template <class Prototype>
struct Handler;
template <class... Arguments>
struct Handler<SysResult(Arguments...)> {
    using type = SysResult(Caller&, Arguments...);
};

// The handlers. Their contracts are the rows' contract lines (docs/abi.md).
#define SYSCALL(number, name, prototype, support, contract) Handler<SysResult prototype>::type sys_##name;
#include "nexus_abi/syscalls.def"
#undef SYSCALL

// Runs the call the task's registers name and returns its outcome; the registers are as they were. Unlisted
// numbers are NotImplemented. Pre: the task runs on this hart.
SysResult dispatch(task::Task& caller);

// The same while only those registers are in the frame that a C++ function may overwrite, and pc. A call that
// needs all of them is not run and returns SysResult::needs_whole_frame().
SysResult dispatch_with_part_of_frame(task::Task& caller);
// What an outcome means for the task's registers and progress.
void settle_call(task::Task& caller, SysResult outcome);

// A system call trap: steps over the ecall, dispatches, stores the result. A call that is not finished
// (SysResult::again()) leaves the task on its ecall, so that it traps again once it runs again; how far it
// came is in Task::call_progress. Handlers treat that as they treat an argument: a program may arrange for
// any value to be there.
void handle_syscall(task::Task& caller);

// Whether the first call of each number that is not supported is named in the log, with who made it: for
// finding out what a program misses (neuron.trace=refused). Off by default; pre: no program runs.
void report_refused_calls(bool on);

// Runs the call of a task that waited once more with its arguments: init gives it to task::set_rerun_hook().
void rerun_syscall(task::Task& caller);

}  // namespace kernel::syscall
