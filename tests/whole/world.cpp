// SPDX-License-Identifier: MIT
#include "world.hpp"

#include <array>

#include "file/event_list.hpp"
#include "file/tmpfs.hpp"
#include "lib/check.hpp"
#include "mm/user_memory.hpp"
#include "syscall/console.hpp"
#include "syscall/console_ops.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/file_system.hpp"
#include "syscall/information.hpp"
#include "syscall/time.hpp"
#include "task/dispatcher.hpp"
#include "task/lifecycle.hpp"
#include "task/open_file.hpp"
#include "task/random.hpp"
#include "task/wait.hpp"

namespace kernel::whole {

namespace {

constexpr std::uint64_t kSigKill = 9;
constexpr std::uint64_t kSigChild = 17;
constexpr std::uint64_t kNoHang = 1;
constexpr std::uint64_t kTimebaseHz = 10'000'000;
// Nobody waits longer than this for its turn: more timers than a hart sets in seconds.
constexpr std::uint32_t kTimersMax = 10'000;
// In which each of a few tasks of class Normal has had its turn on a hart: requests of 4 ms.
constexpr Duration kAllTurns = Duration::milliseconds(100);

std::size_t take_input(std::span<char> out) {
    std::string& input = outside().input;
    const std::size_t bytes = input.copy(out.data(), out.size());
    input.erase(0, bytes);
    return bytes;
}

constinit nexus_abi::termios attributes{
    .c_iflag = 1, .c_oflag = 2, .c_cflag = 3, .c_lflag = 4, .c_line = 0, .c_cc = {}};
constinit nexus_abi::winsize window{.rows = 24, .columns = 80, .x_pixels = 0, .y_pixels = 0};

constexpr syscall::ConsoleOps kConsole{
    .read = [](std::span<char> out) -> Result<std::size_t> {
        if (outside().input.empty()) {
            return Error::TryAgain;
        }
        return take_input(out);
    },
    .raw_bytes = [] { return outside().input.size(); },
    .read_raw = &take_input,
    .has_input = [] { return !outside().input.empty(); },
    .try_write = [](std::span<const char> bytes) -> Result<std::size_t> {
        Outside& world = outside();
        if (world.console_room == 0) {
            return Error::TryAgain;
        }
        const std::size_t taken = std::min(bytes.size(), world.console_room);
        world.console.append(bytes.data(), taken);
        world.console_room -= taken;
        return taken;
    },
    .attributes = [] { return attributes; },
    .set_attributes = [](const nexus_abi::termios& wanted) { attributes = wanted; },
    .discard_input = [] { outside().input.clear(); },
    .window_size = [] { return window; },
    .set_window_size = [](const nexus_abi::winsize& wanted) { window = wanted; },
};

// What kernel/init does of it, in its order.
void boot() {
    task::set_rerun_hook(&syscall::rerun_syscall);
    syscall::set_console_ops(kConsole);
    syscall::set_timebase_hz(kTimebaseHz);
    syscall::set_realtime_offset(Duration::seconds(1'000'000));
    file::tmpfs::prepare();
    task::set_clean_up_hook([] { return file::tmpfs::clean_up_step() && file::EventList::clean_up_step(); });
    task::random::seed(std::as_bytes(std::span{"not at all"}));
    add_programs();

    constexpr std::string_view kPath = "/bin/init";
    constexpr std::array kStrings{'i', 'n', 'i', 't', '\0'};
    const auto program = syscall::file_system::find_program({}, kPath, nullptr);
    CHECK(program.ok());
    task::ProgramArguments arguments;
    arguments.path = kPath;
    arguments.program = program->get();
    arguments.find_interpreter = &syscall::file_system::find_interpreter;
    arguments.strings = kStrings;
    arguments.argument_count = 1;
    task::SpawnOptions options;
    options.rights = nexus_abi::kRightsAll;
    options.attributes.affinity_effective = task::online_cpus();
    options.limits.class_ceiling = sched::QosClass::PerfBurst;
    options.prepare = [](task::Process& child, void*) {
        return syscall::console::open_standard_files(child.files);
    };
    CHECK(task::spawn_program(nullptr, arguments, options).ok());
}

bool is_over(const task::Task& task) {
    return task.run_state.load() == task::RunState::Dead;
}

// Neither at its call nor in it, and no signal is on its way to it.
bool is_through(const task::Task& task) {
    const task::RunState state = task.run_state.load();
    return (state == task::RunState::Running || state == task::RunState::Ready) && task.resume == nullptr &&
           task.exit_work.load() == 0 && task.frame.pc != kCallPc;
}

}  // namespace

WholeKernelTest::WholeKernelTest() {
    static const bool is_on = [] {
        power_on(&boot);
        return true;
    }();
    EXPECT_TRUE(is_on);
    outside() = {};
    self_ = &fork_of(init());
}

// Whatever the test left: its process, and what process 1 inherited of it.
WholeKernelTest::~WholeKernelTest() {
    const std::uint64_t pid = self_->process().pid().value();
    static_cast<void>(call_as(init(), Syscall::kill, pid, kSigKill));
    self_ = nullptr;
    kept_.clear();
    for (std::uint32_t rounds = 0;; ++rounds) {
        const auto child = call_as(init(), Syscall::wait4, ~0ULL, 0, kNoHang, 0);
        if (child == error(Error::NoChild)) {
            break;
        }
        if (rounds > kTimersMax) {
            ADD_FAILURE() << "a process does not end";
            break;
        }
        if (child == 0) {
            // One that the test's process left to process 1.
            static_cast<void>(call_as(init(), Syscall::kill, ~0ULL, kSigKill));
            static_cast<void>(pass_to_next_timer());
        }
    }
    EXPECT_EQ(task::process_count(), 1U);
}

task::Task& WholeKernelTest::init() {
    static const Ref<task::Task> the_init = task::find_task(TaskId{1});
    return *the_init;
}

void WholeKernelTest::bring_on(task::Task& task) {
    run_harts();
    for (std::uint32_t i = 0; hart_of(task) == kHarts; ++i) {
        ASSERT_TRUE(i < kTimersMax && !is_over(task) && pass_to_next_timer())
            << "task " << task.tid().value() << " does not get its turn";
    }
}

std::optional<std::int64_t> WholeKernelTest::call_as(task::Task& task, Syscall number,
                                                     std::initializer_list<std::uint64_t> arguments) {
    bring_on(task);
    if (testing::Test::HasFatalFailure()) {
        return std::nullopt;
    }
    const Ref<task::Task> kept = Ref<task::Task>::share(task);
    task.frame.pc = kCallPc;
    task.frame.set_reg(17, static_cast<std::uint64_t>(number));
    std::uint32_t reg = 10;
    for (const std::uint64_t argument : arguments) {
        task.frame.set_reg(reg++, argument);
    }
    return result_of(task);
}

std::optional<std::int64_t> WholeKernelTest::result_of(task::Task& task) {
    run_harts();
    // What is neither through nor waiting goes on when it has its turn.
    for (std::uint32_t i = 0; !is_through(task); ++i) {
        const task::RunState state = task.run_state.load();
        if (state == task::RunState::Blocked || state == task::RunState::Dead) {
            return std::nullopt;
        }
        EXPECT_TRUE(i < kTimersMax && pass_to_next_timer());
    }
    return static_cast<std::int64_t>(task.frame.argument(0));
}

std::optional<std::int64_t> WholeKernelTest::result_in_time(task::Task& task) {
    pass(kAllTurns);
    return result_of(task);
}

task::Task& WholeKernelTest::task_of(std::optional<std::int64_t> tid) {
    Ref<task::Task> found = task::find_task(TaskId{static_cast<std::uint32_t>(tid.value_or(0))});
    EXPECT_TRUE(found) << "there is no task " << tid.value_or(0);
    kept_.push_back(std::move(found));
    return *kept_.back();
}

task::Task& WholeKernelTest::fork_of(task::Task& parent) {
    return task_of(call_as(parent, Syscall::clone, kSigChild, 0, 0, 0, 0));
}

task::Task& WholeKernelTest::thread_of(task::Task& parent) {
    // VM, FS, FILES, SIGHAND, THREAD
    constexpr std::uint64_t kThread = 0x1'0f00;
    return task_of(call_as(parent, Syscall::clone, kThread, kMemory + kMemoryBytes, 0, 0, 0));
}

std::int32_t WholeKernelTest::wait_for(task::Task& parent, task::Task& child) {
    constexpr std::uint64_t kStatus = kMemory + kMemoryBytes - 64;
    const auto pid = std::int64_t{child.process().pid().value()};
    EXPECT_EQ(call_as(parent, Syscall::wait4, pid, kStatus, 0, 0), pid);
    return get_as<std::int32_t>(parent, kStatus);
}

void WholeKernelTest::put_in(task::Task& task, std::uint64_t address, std::span<const std::byte> bytes) {
    ASSERT_TRUE(mm::copy_to_user(task.process().space(), VirtAddr{address}, bytes).ok());
}

void WholeKernelTest::get_from(task::Task& task, std::uint64_t address, std::span<std::byte> bytes) {
    ASSERT_TRUE(mm::copy_from_user(task.process().space(), bytes, VirtAddr{address}).ok());
}

std::string WholeKernelTest::get_text(std::uint64_t address, std::size_t bytes) {
    std::string text(bytes, '\0');
    get_from(self(), address, std::as_writable_bytes(std::span{text}));
    return text;
}

std::uint64_t WholeKernelTest::put_strings(std::uint64_t address,
                                           std::initializer_list<const char*> strings) {
    std::uint64_t word = address;
    std::uint64_t at = address + (strings.size() + 1) * sizeof(std::uint64_t);
    for (const char* const text : strings) {
        put(word, at);
        put_text(at, text);
        word += sizeof(std::uint64_t);
        at += std::string_view{text}.size() + 1;
    }
    put(word, std::uint64_t{0});
    return address;
}

}  // namespace kernel::whole
