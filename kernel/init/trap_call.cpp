// SPDX-License-Identifier: MIT
// System calls and page faults between trap.S and their handlers, while only a part of the registers is in
// the frame.
//
// Most calls change nothing about who runs. Such a call goes straight back to its program, past
// task::exit_to_user(); task/straight_back.hpp says when and why. Every other one completes its frame and
// takes that path. In a release kernel trap.S does what trap_call() does by itself for the calls of the Linux
// block; debug builds come here with each, since they also measure and check. With neuron.paths=general
// (arch::use_general_paths()) all take the long way: the same handlers, the whole frame, no short cut.
//
// So does a page fault whose access is possible afterwards: it is then as if it had not been. One that is not
// answered here is answered by trap_handle(), from the beginning.
#include <bit>
#include <cstddef>
#include <cstdint>

#include "arch/riscv64/asm_offsets.hpp"
#include "arch/riscv64/csr.hpp"
#include "arch/riscv64/errata.hpp"
#include "arch/riscv64/trap_frame.hpp"
#include "mm/protection.hpp"
#include "syscall/dispatch.hpp"
#include "task/dispatcher.hpp"
#include "task/straight_back.hpp"
#include "trace/trace.hpp"

namespace kernel::init {

namespace {

// In a0 and a1.
struct CallExit {
    std::uint64_t value;        // straight back: the call's result; else what trap_leave() is to do
    std::uint64_t is_straight;  // 0 or 1
};

// What trap_leave() is to do once the frame is complete.
constexpr std::uint64_t kTakeExitPath = 0;
constexpr std::uint64_t kRunCall = 1;

// What trap.S knows of the three. Not of standard layout, but of one that both compilers give offsets for.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"
static_assert(offsetof(task::Task, frame) == TASK_FRAME);
static_assert(offsetof(task::Task, call_progress) == TASK_FRAME + FRAME_CALL_PROGRESS);
static_assert(offsetof(task::Task, exit_work) == TASK_FRAME + FRAME_EXIT_WORK);
static_assert(sizeof(task::Task::exit_work) == 4);
static_assert(offsetof(trace::Switches, calls_alone) == TRACE_CALLS_ALONE);
static_assert(offsetof(task::Hart, recheck) == HART_RECHECK && sizeof(task::Hart::recheck) == 1);
#pragma GCC diagnostic pop
static_assert(CALL_NO_VALUE == -(1 << 12) && CALL_NO_VALUE_UPPER == (CALL_NO_VALUE >> 12 & 0xfffff));

void mark_missing_registers([[maybe_unused]] arch::TrapFrame& frame) {
#ifdef NEURON_DEBUG
    constexpr std::uint64_t kJunk = 0x6a75'6e6b'6a75'6e6b;
    for (const std::uint32_t missing : {3U, 8U, 9U, 18U, 19U, 20U, 21U, 22U, 23U, 24U, 25U, 26U, 27U}) {
        frame.set_reg(missing, kJunk);
    }
#endif
}

}  // namespace

namespace {

// What a call that does not go straight back leaves for trap_leave().
std::uint64_t settle(task::Task& caller, task::SysResult outcome) {
    if (outcome.wants_whole_frame()) {
        return kRunCall;
    }
    syscall::settle_call(caller, outcome);
    return kTakeExitPath;
}

}  // namespace

namespace {

arch::TrapFrame* leave() {
    arch::TrapFrame* const frame = task::switch_at_once();
    return frame != nullptr ? frame : task::exit_to_user();
}

}  // namespace

// Pre: interrupts off, tp and sp as trap.S says; the current task's frame holds what C++ may overwrite, and
// pc behind the ecall.
extern "C" CallExit trap_call(arch::TrapFrame* frame) {
    if constexpr (task::kTimesShortWays) {
        task::note_section_start();
    }
    mark_missing_registers(*frame);
    task::Hart& hart = task::this_hart();
    task::Task& caller = *hart.current;
    const task::SysResult outcome = syscall::dispatch_with_part_of_frame(caller);
    if (outcome.has_value() && task::may_go_straight_back(hart, caller)) [[likely]] {
        caller.call_progress = 0;
        if constexpr (task::kTimesShortWays) {
            task::note_section_end(frame->syscall_number());
        }
        return {static_cast<std::uint64_t>(outcome.value()), 1};
    }
    return {settle(caller, outcome), 0};
}

// Whether the program may go straight back: it can make the access now, and there is nothing else to do. If
// not, trap_handle() is to be called with the whole frame, which asks for the access once more.
// Pre: interrupts off, tp and sp as trap.S says; the current task's frame holds what C++ may overwrite, and
// the pc of the fault; cause is one of a page fault, or reserved.
extern "C" std::uint64_t trap_page_fault([[maybe_unused]] arch::TrapFrame* frame, std::uint64_t cause,
                                         std::uint64_t stval) {
    namespace scause = arch::riscv64::scause;
    if constexpr (task::kTimesShortWays) {
        task::note_section_start();
    }
    mark_missing_registers(*frame);
    mm::Access access = mm::Access::Read;
    if (cause == scause::kStorePageFault) {
        access = mm::Access::Write;
    } else if (cause == scause::kInstructionPageFault) {
        if (arch::has_erratum(arch::Erratum::FaultAddressNotExtended)) {
            return 0;
        }
        access = mm::Access::Execute;
    } else if (cause != scause::kLoadPageFault) {
        return 0;
    }
    task::Hart& hart = task::this_hart();
    task::Task& task = *hart.current;
    if (!task.process().space().handle_fault(VirtAddr{stval}, access).ok() ||
        !task::may_go_straight_back(hart, task)) [[unlikely]] {
        return 0;
    }
    if constexpr (task::kTimesShortWays) {
        task::note_section_end(scause::kInterrupt | cause);
    }
    return 1;
}

// Pre: as trap_call(), and the frame is complete.
extern "C" arch::TrapFrame* trap_leave(arch::TrapFrame* frame, std::uint64_t what) {
    const std::uint64_t number = frame->syscall_number();
    if (what == kRunCall) {
        if constexpr (!task::kTimesShortWays) {
            task::note_section_start();
        }
        syscall::rerun_syscall(task::current_task());
    }
    if (task::kTimesShortWays || what == kRunCall) {
        task::note_section_end(number);
    }
    return leave();
}

// What trap.S has done of a call that it made itself and that does not go straight back: settle() and
// trap_leave(). Pre: as trap_leave().
extern "C" arch::TrapFrame* trap_go_on(arch::TrapFrame* frame, task::SysResult outcome) {
    task::Task& caller = *task::this_hart().current;
    if (outcome.has_value()) {
        caller.call_progress = 0;
        frame->set_result(outcome.value());
    } else if (!outcome.is_nothing() || trace::switches.calls_alone.load(std::memory_order_relaxed))
        [[unlikely]] {
        if (const std::uint64_t what = settle(caller, outcome); what != kTakeExitPath) {
            return trap_leave(frame, what);
        }
    }
    return leave();
}

}  // namespace kernel::init
