// SPDX-License-Identifier: MIT
// What trap.S calls: one function for traps from user mode, one for traps in the kernel, which are bugs.
#include <array>
#include <cstdint>

#include "arch/riscv64/cpu.hpp"
#include "arch/riscv64/csr.hpp"
#include "arch/riscv64/errata.hpp"
#include "arch/riscv64/trap_frame.hpp"
#include "init/crash.hpp"
#include "init/panic.hpp"
#include "init/registers.hpp"
#include "lib/log.hpp"
#include "mm/kernel_map.hpp"
#include "mm/protection.hpp"
#include "sync/data_races.hpp"
#include "syscall/dispatch.hpp"
#include "task/dispatcher.hpp"
#include "task/process.hpp"
#include "task/signal.hpp"
#include "trace/trace.hpp"

namespace kernel::init {

namespace {

namespace scause = arch::riscv64::scause;

std::string_view cause_text(std::uint64_t cause) {
    switch (cause) {
        case scause::kInstructionMisaligned:
            return "misaligned jump";
        case scause::kInstructionAccessFault:
            return "instruction access fault";
        case scause::kIllegalInstruction:
            return "illegal instruction";
        case scause::kBreakpoint:
            return "breakpoint";
        case scause::kLoadMisaligned:
            return "misaligned load";
        case scause::kLoadAccessFault:
            return "load access fault";
        case scause::kStoreMisaligned:
            return "misaligned store";
        case scause::kStoreAccessFault:
            return "store access fault";
        case scause::kInstructionPageFault:
            return "instruction page fault";
        case scause::kLoadPageFault:
            return "load page fault";
        case scause::kStorePageFault:
            return "store page fault";
        default:
            return "unexpected trap";
    }
}

// The line a program that faulted leaves behind, with a report where its own fault ended it.
void end_faulting(task::Task& task, std::uint64_t cause, std::uint64_t stval, std::uint32_t signal,
                  std::string_view reason) {
    const task::Task::Name name = task.name();
    log::error("fault: ", std::string_view{name.data()}, " (pid ", task.process().pid(), " tid ", task.tid(),
               "): ", cause_text(cause), reason, ", pc ", hex(task.frame.pc), ", address ", hex(stval),
               ", killed by signal ", signal);
    if (signal != task::signal::kKill) {
        report_crash(task);
    }
    task::end_by_fault(task, signal);
}

// Has the program's handler run, if it has one.
void signal_faulting(task::Task& task, std::uint64_t cause, std::uint64_t stval, std::uint32_t signal,
                     const task::SignalInfo& info) {
    if (!task::signal_fault(task, signal, info)) {
        end_faulting(task, cause, stval, signal, "");
    }
}

bool is_mapped(mm::AddressSpace& space, std::uint64_t address) {
    const auto mapping = space.mapping_at_or_above(VirtAddr{address});
    return mapping.ok() && mapping->mapping.contains(VirtAddr{address});
}

void handle_page_fault(task::Task& task, std::uint64_t cause, std::uint64_t stval) {
    const mm::Access access = cause == scause::kInstructionPageFault ? mm::Access::Execute
                              : cause == scause::kStorePageFault     ? mm::Access::Write
                                                                     : mm::Access::Read;
    trace::note(trace::Kind::PageFault, task.tid().value(),
                static_cast<std::uint32_t>(stval >> mm::kPageShift));
    const Result<void> result = task.process().space().handle_fault(VirtAddr{stval}, access);
    if (result.ok()) {
        return;
    }
    if (result.error() == Error::NoMemory) {
        end_faulting(task, cause, stval, task::signal::kKill, ", out of memory");
    } else if (task.process().space().is_beyond_file(VirtAddr{stval}, access)) {
        signal_faulting(task, cause, stval, task::signal::kBus,
                        task::SignalInfo::fault(task::signal::kNoObject, stval));
    } else {
        const bool mapped = is_mapped(task.process().space(), stval);
        signal_faulting(
            task, cause, stval, task::signal::kSegmentation,
            task::SignalInfo::fault(mapped ? task::signal::kNotAllowed : task::signal::kNotMapped, stval));
    }
}

void handle_exception(task::Task& task, std::uint64_t cause, std::uint64_t stval) {
    switch (cause) {
        case scause::kInstructionPageFault:
        case scause::kLoadPageFault:
        case scause::kStorePageFault:
            handle_page_fault(task, cause, stval);
            return;
        case scause::kIllegalInstruction:
            signal_faulting(task, cause, stval, task::signal::kIllegal,
                            task::SignalInfo::fault(task::signal::kIllegalOpcode, task.frame.pc));
            return;
        case scause::kBreakpoint:
            signal_faulting(task, cause, stval, task::signal::kTrap,
                            task::SignalInfo::fault(task::signal::kBreakpoint, task.frame.pc));
            return;
        case scause::kInstructionMisaligned:
        case scause::kLoadMisaligned:
        case scause::kStoreMisaligned:
            signal_faulting(task, cause, stval, task::signal::kBus,
                            task::SignalInfo::fault(task::signal::kMisaligned, stval));
            return;
        default:
            signal_faulting(task, cause, stval, task::signal::kSegmentation,
                            task::SignalInfo::fault(task::signal::kNotAllowed, stval));
            return;
    }
}

}  // namespace

// Pre: interrupts off, tp and sp as trap.S says; frame is the current task's.
extern "C" arch::TrapFrame* trap_handle(arch::TrapFrame* frame, std::uint64_t cause, std::uint64_t stval) {
    task::note_section_start();
    if ((cause == scause::kInstructionPageFault || cause == scause::kInstructionAccessFault) &&
        arch::has_erratum(arch::Erratum::FaultAddressNotExtended)) {
        stval = arch::extend_fault_address(stval);
    }
    const std::uint64_t what =
        cause == scause::kEcallFromUser ? frame->syscall_number() : scause::kInterrupt | cause;
    switch (cause) {
        case scause::kEcallFromUser:
            syscall::handle_syscall(task::current_task());
            break;
        case scause::kSoftwareInterrupt:
            task::handle_ipi();
            break;
        case scause::kTimerInterrupt:
            task::handle_timer_interrupt();
            break;
        case scause::kExternalInterrupt:
            task::external_interrupt_hook();
            break;
        default:
            handle_exception(task::current_task(), cause, stval);
            break;
    }
    task::note_section_end(what);
    report_races();
    return task::exit_to_user();
}

// Pre: on the emergency stack, interrupts off.
extern "C" [[noreturn]] void trap_in_kernel(const arch::TrapFrame* frame, std::uint64_t cause,
                                            std::uint64_t stval) {
    std::array<NamedRegister, kRegisterNames.size() + 2> registers;
    registers[0] = {"pc", frame->pc};
    for (std::uint32_t i = 1; i < kRegisterNames.size(); ++i) {
        registers[i] = {kRegisterNames[i], frame->reg(i)};
    }
    registers[kRegisterNames.size()] = {"scause", cause};
    registers[kRegisterNames.size() + 1] = {"stval", stval};
    const BacktraceStart start{.frame_pointer = frame->reg(8), .pc = frame->pc};
    if (const auto owner = mm::KernelMap::guard_owner(VirtAddr{stval}); owner.has_value()) {
        panic_at(start, registers, "kernel stack overflow of cpu", *owner);
    }
    panic_at(start, registers, "trap in the kernel: ", cause_text(cause));
}

}  // namespace kernel::init
