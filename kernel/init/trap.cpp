// SPDX-License-Identifier: MIT
// What trap.S calls: one function for traps from user mode, one for traps in the kernel, which are bugs.
#include <array>
#include <cstdint>

#include "arch/riscv64/cpu.hpp"
#include "arch/riscv64/trap_frame.hpp"
#include "init/panic.hpp"
#include "lib/log.hpp"
#include "mm/kernel_map.hpp"
#include "mm/protection.hpp"
#include "syscall/dispatch.hpp"
#include "task/dispatcher.hpp"
#include "task/process.hpp"
#include "task/signal.hpp"

namespace kernel::init {

namespace {

// scause (Privileged Architecture, table "Supervisor cause register values").
constexpr std::uint64_t kInterruptBit = std::uint64_t{1} << 63;
enum : std::uint64_t {
    kSoftwareInterrupt = kInterruptBit | 1,
    kTimerInterrupt = kInterruptBit | 5,
    kExternalInterrupt = kInterruptBit | 9,
    kInstructionMisaligned = 0,
    kInstructionAccess = 1,
    kIllegalInstruction = 2,
    kBreakpoint = 3,
    kLoadMisaligned = 4,
    kLoadAccess = 5,
    kStoreMisaligned = 6,
    kStoreAccess = 7,
    kUserCall = 8,
    kInstructionPage = 12,
    kLoadPage = 13,
    kStorePage = 15,
};

std::string_view cause_text(std::uint64_t scause) {
    switch (scause) {
        case kInstructionMisaligned:
            return "misaligned jump";
        case kInstructionAccess:
            return "instruction access fault";
        case kIllegalInstruction:
            return "illegal instruction";
        case kBreakpoint:
            return "breakpoint";
        case kLoadMisaligned:
            return "misaligned load";
        case kLoadAccess:
            return "load access fault";
        case kStoreMisaligned:
            return "misaligned store";
        case kStoreAccess:
            return "store access fault";
        case kInstructionPage:
            return "instruction page fault";
        case kLoadPage:
            return "load page fault";
        case kStorePage:
            return "store page fault";
        default:
            return "unexpected trap";
    }
}

// The one line a program that faulted leaves behind.
void kill_faulting(task::Task& task, std::uint64_t scause, std::uint64_t stval, std::uint32_t signal,
                   std::string_view reason) {
    const task::Task::Name name = task.name();
    log::error("fault: ", std::string_view{name.data()}, " (pid ", task.process().pid(), " tid ", task.tid(), "): ",
               cause_text(scause), reason, ", pc ", hex(task.frame.pc), ", address ", hex(stval), ", killed by signal ",
               signal);
    task::signal_fault(task, signal);
}

void handle_page_fault(task::Task& task, std::uint64_t scause, std::uint64_t stval) {
    const mm::Access access = scause == kInstructionPage ? mm::Access::Execute
                              : scause == kStorePage     ? mm::Access::Write
                                                         : mm::Access::Read;
    const Result<void> result = task.process().space().handle_fault(VirtAddr{stval}, access);
    if (result.ok()) {
        return;
    }
    if (result.error() == Error::NoMemory) {
        kill_faulting(task, scause, stval, task::signal::kKill, ", out of memory");
    } else {
        kill_faulting(task, scause, stval, task::signal::kSegmentation, "");
    }
}

void handle_exception(task::Task& task, std::uint64_t scause, std::uint64_t stval) {
    switch (scause) {
        case kInstructionPage:
        case kLoadPage:
        case kStorePage:
            handle_page_fault(task, scause, stval);
            return;
        case kIllegalInstruction:
            kill_faulting(task, scause, stval, task::signal::kIllegal, "");
            return;
        case kBreakpoint:
            kill_faulting(task, scause, stval, task::signal::kTrap, "");
            return;
        case kInstructionMisaligned:
        case kLoadMisaligned:
        case kStoreMisaligned:
            kill_faulting(task, scause, stval, task::signal::kBus, "");
            return;
        default:
            kill_faulting(task, scause, stval, task::signal::kSegmentation, "");
            return;
    }
}

constexpr std::array<std::string_view, 32> kRegisterNames{
    "pc", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "fp", "s1", "a0", "a1", "a2", "a3", "a4", "a5",
    "a6", "a7", "s2", "s3", "s4",  "s5",  "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"};

}  // namespace

// Pre: interrupts off, tp and sp as trap.S says; frame is the current task's.
extern "C" arch::TrapFrame* trap_handle(arch::TrapFrame* frame, std::uint64_t scause, std::uint64_t stval) {
    task::note_section_start();
    const std::uint64_t what = scause == kUserCall ? frame->syscall_number() : kInterruptBit | scause;
    switch (scause) {
        case kUserCall:
            syscall::handle_syscall(task::current_task());
            break;
        case kSoftwareInterrupt:
            task::handle_ipi();
            break;
        case kTimerInterrupt:
            task::handle_timer_interrupt();
            break;
        case kExternalInterrupt:
            task::external_interrupt_hook();
            break;
        default:
            handle_exception(task::current_task(), scause, stval);
            break;
    }
    task::note_section_end(what);
    return task::exit_to_user();
}

// Pre: on the emergency stack, interrupts off.
extern "C" [[noreturn]] void trap_in_kernel(const arch::TrapFrame* frame, std::uint64_t scause, std::uint64_t stval) {
    std::array<NamedRegister, kRegisterNames.size() + 2> registers;
    registers[0] = {"pc", frame->pc};
    for (std::uint32_t i = 1; i < kRegisterNames.size(); ++i) {
        registers[i] = {kRegisterNames[i], frame->reg(i)};
    }
    registers[kRegisterNames.size()] = {"scause", scause};
    registers[kRegisterNames.size() + 1] = {"stval", stval};
    const BacktraceStart start{.frame_pointer = frame->reg(8), .pc = frame->pc};
    if (const auto owner = mm::KernelMap::guard_owner(VirtAddr{stval}); owner.has_value()) {
        panic_at(start, registers, "kernel stack overflow of cpu", *owner);
    }
    panic_at(start, registers, "trap in the kernel: ", cause_text(scause));
}

}  // namespace kernel::init
