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

namespace kernel::task {

// ---- Finding (table rank: TaskTable) ----

// The live task with this id; a pid names the process's first task. Empty when there is none or it has ended.
[[nodiscard]] Ref<Task> find_task(TaskId id);
// The process with this pid, zombies included. Empty when there is none.
[[nodiscard]] Ref<Process> find_process(TaskId pid);
[[nodiscard]] std::uint32_t process_count();

// ---- Birth ----

// Argument and environment strings, each NUL-terminated, one after the other, as they will lie on the new
// stack.
struct ProgramArguments {
    mm::FileObject* program{nullptr};  // the executable
    std::string_view path;             // its name, for AT_EXECFN and the task's name
    std::span<const char> strings;     // argv strings, then envp strings
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
[[nodiscard]] constexpr std::int32_t status_exited(std::int32_t code) {
    return (code & 0xff) << 8;
}
[[nodiscard]] constexpr std::int32_t status_signaled(std::uint32_t signal) {
    return static_cast<std::int32_t>(signal & 0x7f);
}

// ---- Waiting for children ----

struct ReapedChild {
    TaskId pid;
    std::int32_t wait_status{0};
    Usage usage;
};
enum class ReapOutcome : std::uint8_t { Reaped, NoneYet, NoChild };
// Takes one ended child with `pid` (or any, for pid 0) off `parent`. NoneYet: there are children, none has
// ended; with `wait_in` set, that task's wait has begun on parent.child_exited (run_again).
ReapOutcome reap_child(Process& parent, TaskId pid, Task* wait_in, ReapedChild& child);

}  // namespace kernel::task
