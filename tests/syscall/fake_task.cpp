// SPDX-License-Identifier: MIT
#include "fake_task.hpp"

#include <algorithm>

#include "arch/host/host_machine.hpp"
#include "file/event_list.hpp"
#include "file/tmpfs.hpp"
#include "lib/log.hpp"
#include "mm/frames.hpp"
#include "mm/page_table.hpp"
#include "mm/user_memory.hpp"
#include "sched/donation.hpp"
#include "sched/params.hpp"
#include "syscall/console.hpp"
#include "syscall/dispatch.hpp"
#include "task/dispatcher.hpp"
#include "task/hart.hpp"
#include "task/lifecycle.hpp"
#include "task/process_group.hpp"
#include "task/signal.hpp"
#include "task/signal_delivery.hpp"
#include "task/task_table.hpp"

namespace kernel::fake {

namespace {

constexpr std::uint64_t kPc = 0x1000;  // of the ecall
constexpr std::uint64_t kRamBytes = std::uint64_t{32} << 20;

// The table of task ids keeps its frames for ever, so the RAM under it stays as well.
PhysAddr boot() {
    arch::host::set_ram(kRamBytes);
    const std::array ranges{mm::PhysRange{arch::host::kRamBase, kRamBytes}};
    EXPECT_EQ(mm::frames().init(ranges), 0U);
    task::set_rerun_hook(&syscall::rerun_syscall);
    file::tmpfs::prepare();
    task::set_clean_up_hook([] { return file::tmpfs::clean_up_step() && file::EventList::clean_up_step(); });
    syscall::set_console_ops({
        .read = [](std::span<char> out) -> Result<std::size_t> {
            std::string& input = record().input;
            if (input.empty()) {
                return Error::TryAgain;
            }
            const std::size_t bytes = input.copy(out.data(), out.size());
            input.erase(0, bytes);
            return bytes;
        },
        .raw_bytes = [] { return record().input.size(); },
        .read_raw =
            [](std::span<char> out) {
                const std::size_t bytes = record().input.copy(out.data(), out.size());
                record().input.erase(0, bytes);
                return bytes;
            },
        .has_input = [] { return !record().input.empty(); },
        .try_write = [](std::span<const char> bytes) -> Result<std::size_t> {
            if (record().console_room == 0) {
                return Error::TryAgain;
            }
            const std::size_t taken = std::min(bytes.size(), record().console_room);
            record().console.append(bytes.data(), taken);
            record().console_room -= taken;
            return taken;
        },
        .attributes =
            [] {
                return nexus_abi::termios{
                    .c_iflag = 1, .c_oflag = 2, .c_cflag = 3, .c_lflag = 4, .c_line = 0, .c_cc = {}};
            },
        .set_attributes = [](const nexus_abi::termios&) {},
        .discard_input = [] { record().input.clear(); },
        .window_size =
            [] { return nexus_abi::winsize{.rows = 24, .columns = 80, .x_pixels = 0, .y_pixels = 0}; },
        .set_window_size = [](const nexus_abi::winsize&) {},
    });
    const auto root = mm::frames().allocate_zeroed_frame();
    EXPECT_TRUE(root.ok());
    return *root;
}

PhysAddr kernel_root() {
    static const PhysAddr root = boot();
    return root;
}

Record the_record;

}  // namespace

Record& record() {
    return the_record;
}
sched::RunQueue& hart() {
    static sched::RunQueue queue;
    return queue;
}
void reset() {
    the_record = {};
}

namespace {

constinit bool takes_quick_ways = false;

// As trap_call() of kernel/init.
void take_quick_way(task::Task& caller) {
    caller.frame.pc += sizeof(std::uint32_t);
    task::SysResult outcome = syscall::dispatch_with_part_of_frame(caller);
    if (outcome.wants_whole_frame()) {
        outcome = syscall::dispatch(caller);
    }
    syscall::settle_call(caller, outcome);
}

}  // namespace

void take_quick_ways(bool on) {
    takes_quick_ways = on;
}

void expire(Instant now) {
    for (task::Timer* timer : std::exchange(the_record.timers, {})) {
        if (timer->queued && timer->deadline <= now) {
            timer->queued = false;
            if (task::claim_wait(*timer->wait)) {
                task::expire_wait(*timer->wait);
            }
        } else {
            the_record.timers.push_back(timer);
        }
    }
}

SyscallTest::SyscallTest(std::uint32_t threads, std::uint64_t rights) {
    reset();
    arch::host::reset();
    process_ = make_process();
    process_->rights = rights;
    for (std::uint32_t i = 0; i < threads; ++i) {
        tasks_.push_back(make_task(*process_));
    }
    EXPECT_TRUE(syscall::console::open_standard_files(process_->files).ok());
}

SyscallTest::~SyscallTest() {
    for (auto* tasks : {&tasks_, &other_tasks_}) {
        for (const Ref<task::Task>& task : *tasks) {
            task::interrupt_wait(*task);
            task->process().threads.remove(*task);
        }
        tasks->clear();
    }
    others_.push_back(std::move(process_));
    for (const Ref<task::Process>& process : others_) {
        process->leader.reset();
        {
            const LockGuard guard{task::family_lock()};
            task::leave_group(*process).reset();  // its group keeps the task that keeps it
        }
        while (!process->space().teardown_step(mm::AddressSpace::kPagesPerStep)) {
        }
        mm::AddressSpace::destroy(&process->space());
    }
}

Ref<task::Process> SyscallTest::make_process() {
    const PhysAddr root = kernel_root();
    auto process = task::Process::create();
    EXPECT_TRUE(process.ok());
    auto space = mm::AddressSpace::create(root);
    EXPECT_TRUE(space.ok());
    (*process)->set_space(*space);
    const auto mapped = (*space)->map_anonymous({.address = VirtAddr{kMemory},
                                                 .bytes = kMemoryBytes,
                                                 .protection = mm::kReadWrite,
                                                 .placement = mm::Placement::Fixed});
    EXPECT_TRUE(mapped.ok());
    return std::move(*process);
}

Ref<task::Task> SyscallTest::make_task(task::Process& process) {
    auto task = task::Task::create(process, "test");
    EXPECT_TRUE(task.ok());
    (*task)->run_state.store(task::RunState::Running);
    (*task)->entity.limits.class_ceiling = nexus_abi::QosClass::Interactive;
    (*task)->entity.attributes.affinity_effective = task::online_cpus();
    if (process.threads.empty()) {
        process.set_pid((*task)->tid());
        process.leader = task->clone();
    }
    process.threads.push_back(**task);
    ++process.thread_count;
    task::add_signal_thread(process, **task);
    (*task)->publish();
    return std::move(*task);
}

task::Task& SyscallTest::add_process(bool is_child) {
    others_.push_back(make_process());
    others_.back()->parent = is_child ? process_.get() : nullptr;
    other_tasks_.push_back(make_task(*others_.back()));
    return *other_tasks_.back();
}

std::optional<std::int64_t> SyscallTest::call_number(std::size_t n, std::uint64_t number,
                                                     std::initializer_list<std::uint64_t> arguments) {
    task::Task& caller = task(n);
    caller.frame = {};
    caller.frame.pc = kPc;
    caller.frame.set_stack_pointer(kStackTop);
    caller.frame.set_reg(17, number);
    std::uint32_t reg = 10;
    for (const std::uint64_t argument : arguments) {
        caller.frame.set_reg(reg++, argument);
    }
    pieces_ = 0;
    return finish(caller);
}

std::optional<std::int64_t> SyscallTest::resume(std::size_t n) {
    task::Task& caller = task(n);
    auto* const resume = std::exchange(caller.resume, nullptr);
    EXPECT_EQ(caller.run_state.load(), task::RunState::Running) << "was not woken";
    if (resume == nullptr) {
        return settled(caller);
    }
    resume(caller);
    return caller.frame.pc == kPc ? finish(caller) : settled(caller);
}

std::optional<std::int64_t> SyscallTest::finish(task::Task& caller) {
    do {
        ++pieces_;
        if (takes_quick_ways) {
            take_quick_way(caller);
        } else {
            syscall::handle_syscall(caller);
        }
    } while (caller.frame.pc == kPc);
    return settled(caller);
}

std::optional<std::int64_t> SyscallTest::settled(task::Task& caller) {
    if (caller.run_state.load() == task::RunState::Blocking) {
        caller.run_state.store(task::RunState::Blocked);
        return std::nullopt;
    }
    deliver(caller);
    return static_cast<std::int64_t>(caller.frame.argument(0));
}

void SyscallTest::deliver(task::Task& task) {
    // As the exit path: a task that has stopped is off its hart until it is continued.
    while (task::needs_delivery(task) && !task.is_stopped && !record().ended.contains(&task.process())) {
        task::deliver_signals(task);
    }
}

void SyscallTest::put(std::uint64_t address, std::span<const std::byte> bytes) {
    ASSERT_TRUE(mm::copy_to_user(process_->space(), VirtAddr{address}, bytes).ok());
}

void SyscallTest::get(std::uint64_t address, std::span<std::byte> bytes) {
    ASSERT_TRUE(mm::copy_from_user(process_->space(), bytes, VirtAddr{address}).ok());
}

}  // namespace kernel::fake

namespace kernel::log {

void emit(Level, std::string_view text) {
    fake::record().log.emplace_back(text);
}

}  // namespace kernel::log

namespace kernel::task {

// ---- dispatcher.hpp ----

CpuMask online_cpus() {
    return CpuMask::first(2);
}
CpuMask started_cpus() {
    return online_cpus();
}
CpuMask possible_cpus() {
    return CpuMask::first(4);
}
void request_yield() {
    ++fake::record().yields;
}
void request_reschedule() {
    ++fake::record().reschedules;
}

void interrupt_hart(CpuId) {}
void save_fp_for_copy(Task&) {}

void wake(Task& task) {
    fake::record().woken.push_back(&task);
    task.run_state.store(RunState::Running);
}

void arm_timer(Timer& timer, Instant deadline) {
    timer.deadline = deadline;
    timer.queued = true;
    fake::record().timers.push_back(&timer);
}
void arm_alarm(Timer& timer, Instant deadline) {
    timer.deadline = deadline;
    timer.queued = true;
}
void cancel_timer(Timer& timer) {
    timer.queued = false;
    std::erase(fake::record().timers, &timer);
}

SysResult apply_attributes(Task&, Task& target, const sched::Attributes& attributes, std::uint64_t result) {
    static_cast<void>(fake::hart().set_attributes(target.entity, attributes, Instant{}));
    return result;
}
// What is booked is not kept: it always fits.
Result<std::uint32_t> book_budget(Task&, std::uint32_t, CpuMask) {
    return std::uint32_t{0};
}
void unbook_budget(Task&) {}

SysResult apply_limits(Task&, Task& target, const sched::Limited& limited) {
    static_cast<void>(fake::hart().set_attributes(target.entity, limited.attributes, Instant{}));
    target.entity.limits = limited.limits;
    return std::uint64_t{0};
}
SysResult set_group_ceiling(Task&, Process& process, std::uint32_t ceiling) {
    fake::record().groups[&process] = ceiling;
    return std::uint64_t{0};
}
sched::Attributes read_attributes(Task& task) {
    return task.entity.attributes;
}
sched::Limits read_limits(Task& task) {
    return task.entity.limits;
}
sched::Standing read_standing(Task& task) {
    return task.entity.standing();
}
SysResult set_cpu_online(Task&, CpuId cpu, bool online) {
    fake::record().cpus_set.emplace_back(cpu, online);
    return std::uint64_t{0};
}
void fill_hart_stat(CpuId, nexus_abi::sched_hartstat& stat) {
    stat = fake::record().hartstat;
}
void fill_task_stat(Task&, nexus_abi::sched_stat& stat) {
    stat = fake::record().stat;
}
void apply_donation(Task& task, const sched::Donation& donation) {
    fake::record().donations[&task] = donation;
}
void end_donation(Task& task) {
    fake::record().donations.erase(&task);
}
sched::Donation read_donation(Task& task) {
    sched::Donation lends{.qos_class = task.entity.attributes.qos_class,
                          .latency = task.entity.attributes.latency};
    if (const auto lent = fake::record().donations.find(&task); lent != fake::record().donations.end()) {
        lends.qos_class = std::max(lends.qos_class, lent->second.qos_class);
        lends.latency = shorter_hint(lends.latency, lent->second.latency);
    }
    return lends;
}
Usage task_usage(Task&) {
    return {.runtime = fake::record().thread_runtime};
}
Usage process_usage(Process&) {
    return {.runtime = fake::record().process_runtime};
}

// ---- lifecycle.hpp ----

Ref<Task> find_task(TaskId id) {
    return lookup_task(id);
}
Ref<Process> find_process(TaskId pid) {
    const Ref<Task> task = lookup_task(pid);
    return task && task->process().pid() == pid ? Ref<Process>::share(task->process()) : Ref<Process>{};
}
Ref<Process> find_namesake(TaskId group) {
    return find_process(group);
}
std::uint64_t process_births() {
    return 1;
}

std::uint32_t process_count() {
    return 1;
}
void release_process(Process&, Task&) {}

Result<TaskId> spawn_program(Task*, const ProgramArguments&, const SpawnOptions&) {
    return Error::NotExecutable;
}
SysResult fork_process(Task&, const ForkOptions&) {
    return Error::TryAgain;
}
Result<void> exec_program(Task&, const ProgramArguments&) {
    return Error::NotExecutable;
}
Result<TaskId> create_thread(Task&, const ThreadOptions&) {
    return Error::TryAgain;
}
void exit_thread(Task&, std::int32_t) {}
void exit_process(Process& process, std::int32_t wait_status) {
    fake::record().ended.try_emplace(&process, wait_status);
}
ReapOutcome reap_child(Process&, const ChildQuery&, Task*, ReapedChild&) {
    return ReapOutcome::NoChild;
}
void note_child_change(Process& child, ChildChange change, std::uint32_t) {
    fake::record().changes.emplace_back(&child, change);
}

}  // namespace kernel::task
