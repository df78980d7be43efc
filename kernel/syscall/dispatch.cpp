// SPDX-License-Identifier: MIT
#include "syscall/dispatch.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

#include "file/pipe_at_once.hpp"
#include "lib/log.hpp"
#include "mm/junk.hpp"
#include "syscall/planted.hpp"
#include "syscall/signals_at_once.hpp"
#include "syscall/stack_junk.hpp"
#include "task/dispatcher.hpp"
#include "task/futex_at_once.hpp"
#include "task/yield_at_once.hpp"
#include "trace/coverage.hpp"
#include "trace/trace.hpp"

namespace kernel::syscall {

namespace {

using nexus_abi::Support;

using Entry = SysResult (*)(task::Task&);

// A register as C sees the parameter: a 32-bit integer is its lower half, whatever the upper half holds.
template <class T>
constexpr T from_register(std::uint64_t value) {
    if constexpr (std::is_integral_v<T>) {
        static_assert(sizeof(T) == 4 || sizeof(T) == 8);
        return static_cast<T>(value);
    } else {
        return T{value};
    }
}

template <auto Function>
struct Unpack;
template <class... Arguments, SysResult (*Function)(Caller&, Arguments...)>
struct Unpack<Function> {
    static_assert(sizeof...(Arguments) <= 6, "a system call has six argument registers");

    static SysResult call(task::Task& task) { return spread(task, std::index_sequence_for<Arguments...>{}); }

  private:
    template <std::size_t... I>
    static SysResult spread(task::Task& task, std::index_sequence<I...>) {
        Caller caller{task};
        return Function(caller, from_register<Arguments>(task.frame.argument(I))...);
    }
};

// A call whose usual case has a way of its own, beside the handler that does any case: Quick(task, result) is
// false, and has done nothing, for all others. It says what it skips. Only calls that come by trap.S's table
// take it, so none does with neuron.paths=general.
template <auto Function>
[[gnu::noinline]] SysResult call_anyway(task::Task& task) {
    return Unpack<Function>::call(task);
}
template <auto Quick, auto Function>
SysResult call_quickly(task::Task& task) {
    SysResult result{std::uint64_t{0}};
    if (Quick(task, result)) [[likely]] {
        return result;
    }
    return call_anyway<Function>(task);
}

// See report_refused_calls(); and which numbers have been named, atomic.
constinit bool reports_refused{false};
constinit std::array<std::atomic<std::uint64_t>, nexus_abi::kNeuronBlockEnd / 64> named_numbers{};

void name_refused(const task::Task& task, std::uint64_t number) {
    if (number >= nexus_abi::kNeuronBlockEnd) {
        return;
    }
    const std::uint64_t bit = std::uint64_t{1} << (number % 64);
    if ((named_numbers[number / 64].fetch_or(bit) & bit) == 0) {
        const task::Task::Name name = task.name();
        log::info("system call ", number, " is not supported: ", std::string_view{name.data()}, " (tid ",
                  task.tid(), ")");
    }
}

SysResult refuse(task::Task& task) {
    if (reports_refused) {
        name_refused(task, task.frame.syscall_number());
    }
    return Error::NotImplemented;
}

template <Support support, auto Function>
constexpr Entry entry_for() {
    if constexpr (support == Support::Implemented) {
        return &Unpack<Function>::call;
    } else if constexpr (support == Support::Accepted) {
        return [](task::Task&) { return SysResult{std::uint64_t{0}}; };
    } else {
        return &refuse;
    }
}

// How much of the caller's registers is in its frame when a handler runs.
enum class Frame : std::uint8_t {
    Whole,
    Part,  // what C++ functions may overwrite (arguments, ra, sp, tp) and pc
};

// These read or replace all registers: a new task starts with them, the other two end with others. Debug
// builds put junk where a part of a frame has no registers, so a call that is missing here shows.
using nexus_abi::Syscall;
constexpr std::array kNeedsWholeFrame{Syscall::clone, Syscall::execve, Syscall::rt_sigreturn};

SysResult ask_for_whole_frame(task::Task&) {
    return SysResult::needs_whole_frame();
}

struct Row {
    std::uint32_t number;
    Entry entry;
};
constexpr std::array kQuickRows{
    Row{static_cast<std::uint32_t>(Syscall::read), &call_quickly<&file::Pipe::read_at_once, &sys_read>},
    Row{static_cast<std::uint32_t>(Syscall::write), &call_quickly<&file::Pipe::write_at_once, &sys_write>},
    Row{static_cast<std::uint32_t>(Syscall::rt_sigaction),
        &call_quickly<&signal_action_at_once, &sys_rt_sigaction>},
    Row{static_cast<std::uint32_t>(Syscall::rt_sigprocmask),
        &call_quickly<&signal_mask_at_once, &sys_rt_sigprocmask>},
    Row{static_cast<std::uint32_t>(Syscall::futex), &call_quickly<&task::futex_at_once, &sys_futex>},
    Row{static_cast<std::uint32_t>(Syscall::sched_yield),
        &call_quickly<&task::yield_at_once, &sys_sched_yield>},
};
constexpr std::array kRows{
#define SYSCALL(number, name, prototype, support, contract) \
    Row{number, entry_for<Support::support, &sys_##name>()},
#include "nexus_abi/syscalls.def"
#undef SYSCALL
};

// One past the highest listed number of [begin, end).
consteval std::uint32_t end_of_block(std::uint32_t begin, std::uint32_t end) {
    std::uint32_t result = begin;
    for (const Row& row : kRows) {
        if (row.number >= begin && row.number < end) {
            result = row.number + 1;
        }
    }
    return result;
}

// The table of one block, index = number - Begin; what the rows do not name is refused.
template <Frame Saved, std::uint32_t Begin, std::uint32_t End,
          std::size_t Size = end_of_block(Begin, End) - Begin>
consteval auto make_table() {
    static_assert(Size >= end_of_block(Begin, End) - Begin);
    std::array<Entry, Size> table{};
    table.fill(&refuse);
    for (const Row& row : kRows) {
        if (row.number >= Begin && row.number < End) {
            table[row.number - Begin] = row.entry;
        }
    }
    for (const Row& row : kQuickRows) {
        if (Saved == Frame::Part && row.number >= Begin && row.number < End) {
            table[row.number - Begin] = row.entry;
        }
    }
    for (const Syscall call : kNeedsWholeFrame) {
        const auto number = static_cast<std::uint32_t>(call);
        if (Saved == Frame::Part && number >= Begin && number < End) {
            table[number - Begin] = &ask_for_whole_frame;
        }
    }
    return table;
}
template <Frame Saved>
constexpr auto kLinuxTable = make_table<Saved, 0, nexus_abi::kLinuxBlockEnd, CALL_TABLE_ENTRIES>();
template <Frame Saved>
constexpr auto kNeuronTable = make_table<Saved, nexus_abi::kLinuxBlockEnd, nexus_abi::kNeuronBlockEnd>();

// The one that trap.S jumps through.
extern "C" constinit const std::array<Entry, CALL_TABLE_ENTRIES> trap_call_table = kLinuxTable<Frame::Part>;

template <Frame Saved>
Entry find_entry(std::uint64_t number) {
    const auto& linux_table = Saved == Frame::Part ? trap_call_table : kLinuxTable<Saved>;
    if (number < linux_table.size()) [[likely]] {
        return linux_table[number];
    }
    const std::uint64_t index = number - nexus_abi::kLinuxBlockEnd;  // wraps for the gap between the tables
    return index < kNeuronTable<Saved>.size() ? kNeuronTable<Saved>[index] : &refuse;
}

template <Frame Saved>
SysResult run_call(task::Task& task) {
    [[maybe_unused]] const trace::CoverageScope scope{task.tid()};
#ifdef NEURON_COVERAGE
    note_planted_step(task);
#endif
#ifdef NEURON_DEBUG
    if (kAlwaysFillsStack || mm::is_careful()) {
        fill_unused_stack();
    }
#endif
#ifdef NEURON_KCSAN
    race_as_planted();
#endif
    return find_entry<Saved>(task.frame.syscall_number())(task);
}

constexpr std::uint64_t kEcallBytes = 4;  // there is no compressed ecall

[[gnu::noinline]] void write_slow_call(const task::Task& caller, SysResult outcome) {
    trace::put(arch::now(), outcome.wants_again() ? trace::Kind::CallAgain : trace::Kind::CallSlow,
               caller.tid().value(), static_cast<std::uint32_t>(caller.frame.syscall_number()));
}

}  // namespace

void settle_call(task::Task& caller, SysResult outcome) {
    if (outcome.has_value()) {
        caller.call_progress = 0;
        caller.frame.set_result(outcome.value());
        return;
    }
    // Of a call that waits the switch away from the task tells.
    if (trace::is_on(nexus_abi::kTraceCalls) &&
        (outcome.wants_again() || !trace::is_on(nexus_abi::kTraceSched))) [[unlikely]] {
        write_slow_call(caller, outcome);
    }
    if (outcome.wants_again()) {
        // Back to the ecall: on its way through user mode the task takes the interrupts that came meanwhile,
        // and whoever should run instead does.
        caller.frame.pc -= kEcallBytes;
        task::request_reschedule();
    }
}

void report_refused_calls(bool on) {
    reports_refused = on;
}

SysResult dispatch(task::Task& task) {
    return run_call<Frame::Whole>(task);
}

SysResult dispatch_with_part_of_frame(task::Task& task) {
    return run_call<Frame::Part>(task);
}

void handle_syscall(task::Task& caller) {
    caller.frame.pc += kEcallBytes;
    settle_call(caller, dispatch(caller));
}

void rerun_syscall(task::Task& caller) {
    settle_call(caller, dispatch(caller));
}

}  // namespace kernel::syscall
