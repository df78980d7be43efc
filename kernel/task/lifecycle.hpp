// SPDX-License-Identifier: MIT
// Birth and death: spawning programs, creating threads, ending tasks and processes, waiting for children.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "lib/ids.hpp"
#include "lib/ref.hpp"
#include "lib/result.hpp"
#include "mm/file_object.hpp"
#include "nexus_abi/linux.hpp"
#include "sched/entity.hpp"
#include "task/process.hpp"
#include "task/task.hpp"
#include "task/task_table.hpp"

namespace kernel::task {

// ---- Finding (table rank: TaskTable) ----

// The live task with this id; a pid names the process's first task. Empty when there is none or it has ended:
// of a process that was waited for nobody is found, as soon as the wait returns.
[[nodiscard]] Ref<Task> find_task(TaskId id);
// The process with this pid, zombies included. Empty when there is none, or it was waited for.
[[nodiscard]] Ref<Process> find_process(TaskId pid);
// The same, or one that was waited for and is still known: as long as a process group that it made
// (named_group) has its pid for a name, or somebody holds it.
[[nodiscard]] Ref<Process> find_namesake(TaskId group);
[[nodiscard]] std::uint32_t process_count();
// How many there ever were.
[[nodiscard]] std::uint64_t process_births();

// ---- Birth ----

// Argument and environment strings, each NUL-terminated, one after the other, as they will lie on the new
// stack.
struct ProgramArguments {
    mm::FileObject* program{nullptr};  // the executable; the caller keeps it
    // Finds the program that its PT_INTERP names; null: there are none. Errors: as a file that cannot be
    // opened.
    Result<mm::FileRef> (*find_interpreter)(std::string_view path){nullptr};
    std::string_view path;          // its name, for AT_EXECFN and the task's name
    std::span<const char> strings;  // argv strings, then envp strings
    std::uint32_t argument_count{0};
    std::uint32_t environment_count{0};
};
// At most this many bytes of strings and this many of them: beyond is TooBig.
inline constexpr std::size_t kMaxArgumentBytes = 16U << 10;
inline constexpr std::uint32_t kMaxArguments = 512;

// Creates a process that runs a program, as a child of `parent` (null: pid 1), with `attributes` in force
// before its first instruction. `limits` are its ceilings; `prepare` runs on the new process before it does,
// to set up its descriptors. It is runnable on return. Errors: NotExecutable (the reason is logged),
// NoMemory, TryAgain, TooBig, or prepare's.
struct SpawnOptions {
    sched::Attributes attributes;
    sched::Limits limits;
    bool heads_group{false};  // limits.group_ceiling is that of a new group
    std::uint64_t rights{0};
    Result<void> (*prepare)(Process& child, void* context){nullptr};
    void* context{nullptr};
    bool is_held{false};  // it runs only after release_process(), or to end when it is killed
};
Result<TaskId> spawn_program(Task* parent, const ProgramArguments& arguments, const SpawnOptions& options);

// Lets a process run that was spawned held; one that runs is let be.
void release_process(Process& process, Task& caller);

// What clone() of a thread asks for.
struct ThreadOptions {
    std::uint64_t stack{0};
    std::uint64_t tls{0};
    bool set_tls{false};
    std::uint64_t parent_tid{0};  // user address to store the tid at before either returns; 0 = none
    std::uint64_t child_tid{0};   // the same in the child's memory (CLONE_CHILD_SETTID); 0 = none
    std::uint64_t clear_child_tid{0};
};
// A new task of the caller's process; returns 0 in its registers. Errors: NoMemory, TryAgain, BadAddress.
Result<TaskId> create_thread(Task& caller, const ThreadOptions& options);

// What fork and its kin ask for.
struct ForkOptions {
    std::uint64_t stack{0};     // 0: the caller's
    bool shares_memory{false};  // CLONE_VM
    bool waits{false};          // CLONE_VFORK: until the child gives the memory back by execve or its end
    std::uint64_t tls{0};
    bool set_tls{false};
    std::uint64_t parent_tid{0};  // as in ThreadOptions; child_tid and clear_child_tid in the child's memory
    std::uint64_t child_tid{0};
    std::uint64_t clear_child_tid{0};
};
// A new process with a copy of the caller's memory, its files, signal actions, attributes and rights, and one
// task that goes on where the caller is, with result 0; the caller's result is the pid. The copy is made in
// pieces (SysResult::again()); pages are shared until they are written. With shares_memory there is no copy.
// Errors: NoMemory, TryAgain, BadAddress.
SysResult fork_process(Task& caller, const ForkOptions& options);
// A task that ends while it forks: takes back what there is of the child, a piece at a time; true when
// nothing is left.
[[nodiscard]] bool discard_unborn_step(Task& task);

// Replaces the caller's program: on success its next instruction is the new program's first, the other
// threads have ended, caught signals are back to their default, close-on-exec files are closed, and whoever
// lent the memory has it back. The first part, which may fail, changes nothing. A thread that is not its
// process's first keeps its tid. Errors: as spawn_program().
Result<void> exec_program(Task& caller, const ProgramArguments& arguments);
// A task that ends while it executes another program: gives back the space it has beside the process's own, a
// piece at a time; true when nothing is left.
[[nodiscard]] bool discard_spare_space_step(Task& task);

// ---- Between lifecycle.cpp, fork.cpp and exec.cpp ----

struct Launch {
    bool heads_group{false};  // the process has a group of its own
    bool is_held{false};
};
// Makes a prepared process the child of `parent` (null: pid 1) and starts its first task. `group` is its
// process group, empty for the parent's.
TaskId launch(Task* parent, Ref<Process> process, Ref<Task> task, Ref<ProcessGroup> group,
              const Launch& options);
// What the rest of the process knows the task by in its memory: clears the word pthread_join waits on.
void release_child_tid(Task& task);
// Nobody uses the memory the process borrowed any more.
void return_space(Process& process);
// Has all threads but `exec_task` end, if there are others; false when it is alone. Pre: family_lock is held.
[[nodiscard]] bool end_other_threads(Process& process) REQUIRES(family_lock());
// The part of the kernel's memory every space has above its own.
[[nodiscard]] Result<mm::AddressSpace*> create_space();
// The last part of a path, which a task is named after.
[[nodiscard]] std::string_view program_name(std::string_view path);

// ---- Death ----

// Ends the calling task; when it is the last of its process, the process. `status` as in exit(2).
void exit_thread(Task& caller, std::int32_t status);
// Ends every task of the process; `wait_status` is what wait4 reports. May be called from any hart, several
// times: the first status counts.
void exit_process(Process& process, std::int32_t wait_status);
// The end of a task whose must_exit was set; called by the dispatcher.
void end_killed_task(Task& task);
// What happens when pid 1 ends, with its wait status; set once at boot. It does not return.
void set_init_ended_hook(void (*hook)(std::int32_t wait_status));
// Encodings of wait4's status.
inline constexpr std::int32_t kStatusContinued = 0xffff;
[[nodiscard]] constexpr std::int32_t status_stopped(std::uint32_t signal) {
    return static_cast<std::int32_t>(signal << 8 | 0x7f);
}
[[nodiscard]] constexpr std::int32_t status_exited(std::int32_t code) {
    return (code & 0xff) << 8;
}
[[nodiscard]] constexpr std::int32_t status_signaled(std::uint32_t signal) {
    return static_cast<std::int32_t>(signal & 0x7f);
}

// ---- Waiting for children ----

// Which children, and what about them.
struct ChildQuery {
    enum class Whose : std::uint8_t { Any, Pid, Group };
    Whose whose{Whose::Any};
    TaskId id{};  // Pid, Group
    bool ended{true};
    bool stopped{false};
    bool continued{false};
    bool keeps{false};  // what is reported stays to be reported
};
struct ReapedChild {
    TaskId pid;
    std::int32_t wait_status{0};
    Usage usage;
};
enum class ReapOutcome : std::uint8_t { Reaped, NoneYet, NoChild };
// Takes one ended child off `parent`, or the news that one has stopped or continued. NoneYet: there are such
// children, none has news; with `wait_in` set, that task's wait has begun on parent.child_exited (run_again).
// Cost: a query for a group goes by the number of children.
ReapOutcome reap_child(Process& parent, const ChildQuery& query, Task* wait_in, ReapedChild& child);
// A child that lives has stopped by `signal`, or goes on: tells its parent. Pre: no lock of a rank above
// Process is held.
void note_child_change(Process& child, ChildChange change, std::uint32_t signal) REQUIRES(family_lock());

}  // namespace kernel::task
