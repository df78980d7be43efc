// SPDX-License-Identifier: MIT
#include "syscall/dispatch.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

#include "lib/log.hpp"
#include "task/dispatcher.hpp"

namespace kernel::syscall {

namespace {

using arch::TrapFrame;
using nexus_abi::Support;

using Entry = SysResult (*)(Caller&, const TrapFrame&);

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

    static SysResult call(Caller& caller, const TrapFrame& frame) {
        return spread(caller, frame, std::index_sequence_for<Arguments...>{});
    }

  private:
    // `frame` is not looked at by calls without arguments.
    template <std::size_t... I>
    static SysResult spread(Caller& caller, [[maybe_unused]] const TrapFrame& frame,
                            std::index_sequence<I...>) {
        return Function(caller, from_register<Arguments>(frame.argument(I))...);
    }
};

// See report_refused_calls(); and which numbers have been named, atomic.
constinit bool reports_refused{false};
constinit std::array<std::atomic<std::uint64_t>, nexus_abi::kNeuronBlockEnd / 64> named_numbers{};

void name_refused(Caller& caller, std::uint64_t number) {
    if (number >= nexus_abi::kNeuronBlockEnd) {
        return;
    }
    const std::uint64_t bit = std::uint64_t{1} << (number % 64);
    if ((named_numbers[number / 64].fetch_or(bit) & bit) == 0) {
        const task::Task::Name name = caller.task.name();
        log::info("system call ", number, " is not supported: ", std::string_view{name.data()}, " (tid ",
                  caller.task.tid(), ")");
    }
}

SysResult refuse(Caller& caller, const TrapFrame& frame) {
    if (reports_refused) {
        name_refused(caller, frame.syscall_number());
    }
    return Error::NotImplemented;
}

template <Support support, auto Function>
constexpr Entry entry_for() {
    if constexpr (support == Support::Implemented) {
        return &Unpack<Function>::call;
    } else if constexpr (support == Support::Accepted) {
        return [](Caller&, const TrapFrame&) { return SysResult{std::uint64_t{0}}; };
    } else {
        return &refuse;
    }
}

struct Row {
    std::uint32_t number;
    Entry entry;
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
template <std::uint32_t Begin, std::uint32_t End>
consteval auto make_table() {
    std::array<Entry, end_of_block(Begin, End) - Begin> table{};
    table.fill(&refuse);
    for (const Row& row : kRows) {
        if (row.number >= Begin && row.number < End) {
            table[row.number - Begin] = row.entry;
        }
    }
    return table;
}
constexpr auto kLinuxTable = make_table<0, nexus_abi::kLinuxBlockEnd>();
constexpr auto kNeuronTable = make_table<nexus_abi::kLinuxBlockEnd, nexus_abi::kNeuronBlockEnd>();

constexpr Entry find_entry(std::uint64_t number) {
    if (number < kLinuxTable.size()) {
        return kLinuxTable[number];
    }
    const std::uint64_t index = number - nexus_abi::kLinuxBlockEnd;  // wraps for the gap between the tables
    return index < kNeuronTable.size() ? kNeuronTable[index] : &refuse;
}

constexpr std::uint64_t kEcallBytes = 4;  // there is no compressed ecall

void settle(task::Task& caller, const SysResult& outcome) {
    if (outcome.has_value()) {
        caller.call_progress = 0;
        caller.frame.set_result(outcome.value());
    } else if (outcome.wants_again()) {
        // Back to the ecall: on its way through user mode the task takes the interrupts that came meanwhile,
        // and whoever should run instead does.
        caller.frame.pc -= kEcallBytes;
        task::request_reschedule();
    }
}

}  // namespace

void report_refused_calls(bool on) {
    reports_refused = on;
}

SysResult dispatch(task::Task& task) {
    Caller caller{task};
    return find_entry(task.frame.syscall_number())(caller, task.frame);
}

void handle_syscall(task::Task& caller) {
    caller.frame.pc += kEcallBytes;
    settle(caller, dispatch(caller));
}

void rerun_syscall(task::Task& caller) {
    settle(caller, dispatch(caller));
}

}  // namespace kernel::syscall
