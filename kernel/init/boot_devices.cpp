// SPDX-License-Identifier: MIT
#include <atomic>

#include "arch/contract.hpp"
#include "arch/riscv64/cpu.hpp"
#include "arch/riscv64/sbi.hpp"
#include "drivers/devices.hpp"
#include "drivers/host_line.hpp"
#include "drivers/interrupts.hpp"
#include "file/devices.hpp"
#include "init/boot.hpp"
#include "init/harts_report.hpp"
#include "init/log.hpp"
#include "init/panic.hpp"
#include "init/provoke.hpp"
#include "lib/log.hpp"
#include "mm/kernel_map.hpp"
#include "smp/bringup.hpp"
#include "sync/data_races.hpp"
#include "syscall/console_ops.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/log_source.hpp"
#include "syscall/map_audit.hpp"
#include "syscall/power.hpp"
#include "task/dispatcher.hpp"
#include "task/lifecycle.hpp"

namespace kernel::init {

namespace {

using arch::sbi::ResetReason;
using arch::sbi::ResetType;

constexpr syscall::ConsoleOps kConsoleOps{
    .read = [](std::span<char> out) { return drivers::terminal().read(out); },
    .raw_bytes = [] { return drivers::terminal().raw_bytes(); },
    .read_raw = [](std::span<char> out) { return drivers::terminal().read_raw(out); },
    .has_input = [] { return drivers::terminal().has_input(); },
    .try_write = [](std::span<const char> bytes) { return drivers::terminal().try_write(bytes); },
    .attributes = [] { return drivers::terminal().attributes(); },
    .set_attributes =
        [](const nexus_abi::termios& attributes) { drivers::terminal().set_attributes(attributes); },
    .discard_input = [] { drivers::terminal().discard_input(); },
    .window_size = [] { return drivers::terminal().window_size(); },
    .set_window_size = [](const nexus_abi::winsize& size) { drivers::terminal().set_window_size(size); },
};

// Maps a controller's registers and hands them to `start`.
template <class Start>
void start_controller(std::string_view kind, const fdt::MemoryRange& range, Start&& start) {
    const auto registers = mm::kernel_map().map_mmio(range.start, range.bytes);
    if (!registers.ok() || !start(*registers).ok()) {
        log::warn("interrupts: the ", kind, " at ", hex(range.start.value()), " could not be set up");
    }
}

// From now on every hart that takes an IPI parks.
constinit std::atomic<bool> is_halting{false};

void stop_other_harts() {
    CpuMask others = task::started_cpus();
    others.remove(arch::current_cpu());
    arch::send_ipi(others);
}

// Asks the firmware; where it cannot, says so in a line that ends the log, and the machine parks: whoever
// reads the console knows that the end was reached.
void change_power(syscall::PowerAction action) {
    provoke_failure();
    fail_if_raced();
#ifdef NEURON_DEBUG
    const syscall::MapAudit seen = syscall::audit_all_maps();
    log::debug("map audit: ", seen.spaces, " programs with ", seen.pages,
               " pages, and the kernel's map: good");
#endif
    drivers::console().flush();
    const auto type = action == syscall::PowerAction::Restart ? ResetType::ColdReboot : ResetType::Shutdown;
    if (action != syscall::PowerAction::Halt) {
        static_cast<void>(arch::sbi::reset(type, ResetReason::None));
        log::marker("KINIT: halted, the firmware cannot ",
                    action == syscall::PowerAction::Restart ? "restart" : "power off", " this machine");
    } else {
        log::marker("KINIT: halted");
    }
    drivers::console().flush();
    is_halting.store(true);
    stop_other_harts();
    smp::park_this_hart();
}

void power_off_in_panic() {
    static_cast<void>(arch::sbi::reset(ResetType::Shutdown, ResetReason::SystemFailure));
}

StackBounds stack_of(CpuId cpu) {
    const std::uint64_t top = arch::cpu_locals[cpu.value()].stack_top;
    if (top == 0) {
        return {};
    }
    return {.low = VirtAddr{top - mm::kHartStackBytes}, .high = VirtAddr{top}};
}

// Pid 1 is the system: without it nothing else would be started or waited for.
void end_with_init(std::int32_t wait_status) {
    if ((wait_status & 0x7f) != 0) {
        log::marker("init: killed by signal ", static_cast<std::uint32_t>(wait_status & 0x7f),
                    ", powering off");
    } else {
        log::marker("init: exited with status ", static_cast<std::uint32_t>((wait_status >> 8) & 0xff),
                    ", powering off");
    }
    change_power(syscall::PowerAction::PowerOff);
}

}  // namespace

void install_hooks() {
    set_panic_hooks({
        .hart_of = [](CpuId cpu) { return arch::cpu_locals[cpu.value()].hart; },
        .stack_of = &stack_of,
        .describe_harts = &describe_harts,
        .stop_other_harts = &stop_harts_for_report,
        .power_off = &power_off_in_panic,
        .park =
            [] {
                note_stopped();
                smp::park_this_hart();
            },
    });
    task::set_rerun_hook(&syscall::rerun_syscall);
    task::set_init_ended_hook(&end_with_init);
    task::set_ipi_hook([] {
        if (is_panicking() || is_halting.load()) {
            note_stopped();
            smp::park_this_hart();
        }
    });
    task::set_cpu_leaves_hook(
        [](CpuId cpu) { drivers::move_interrupts(machine(), cpu, task::online_cpus()); });
    task::set_external_interrupt_hook(&drivers::handle_external_interrupt);
    syscall::set_power_hook(&change_power);
    syscall::set_log_source(
        {.read = &log::read, .set_console_level = &log::set_console_level, .ring_bytes = log::kRingBytes});
    syscall::set_console_ops(kConsoleOps);
    drivers::console().set_space_handler(&syscall::console_space_ready);
    drivers::terminal().set_input_handler(&syscall::console_input_ready);
    drivers::terminal().set_signal_handler(&syscall::console_signal);
}

void give_up() {
    log::error("the boot cannot go on, powering off");
    change_power(syscall::PowerAction::PowerOff);
    smp::park_this_hart();
}

void start_console() {
    if (!machine().console.has_value()) {
        log::info("console: the firmware's (no stdout-path)");
        return;
    }
    const fdt::Console& description = *machine().console;
    if (!drivers::is_supported_uart(description)) {
        log::info("console: the firmware's (no driver for ", description.compatible.first(), ")");
        return;
    }
    const auto registers =
        mm::kernel_map().map_mmio(description.registers.start, description.registers.bytes);
    if (!registers.ok() || !drivers::start_uart(description, *registers).ok()) {
        log::warn("console: ", description.node, " could not be set up; staying with the firmware's");
        return;
    }
    log::info("console: ", description.node, " (", description.compatible.first(), ")");
}

void start_interrupt_controllers() {
    const auto& plics = machine().plics;
    for (std::size_t i = 0; i < plics.size(); ++i) {
        start_controller("PLIC", plics[i].registers,
                         [i](VirtAddr at) { return drivers::start_plic(machine(), i, at); });
    }
    const auto& aplics = machine().aplics;
    for (std::size_t i = 0; i < aplics.size(); ++i) {
        start_controller("APLIC", aplics[i].registers,
                         [i](VirtAddr at) { return drivers::start_aplic(machine(), i, at); });
    }
    drivers::start_hart_interrupts(machine());
}

void start_host_line() {
    if (drivers::start_host_line(machine()).ok()) {
        file::set_host_writer(&drivers::write_to_host);
        log::info("host line: /dev/hvc0 is a virtio console");
    }
}

namespace {

void start_console_interrupts() {
    const auto cpu = drivers::start_uart_interrupts(machine(), task::online_cpus());
    if (cpu.ok()) {
        log::info("interrupts: ", drivers::controller_name(machine(), *machine().console->interrupt),
                  ", the console's go to cpu", *cpu);
    } else if (machine().plics.empty() && machine().aplics.empty()) {
        log::info("interrupts: no supported interrupt controller; the console is polled");
    } else {
        log::info("interrupts: none from the console, which is polled");
    }
}

}  // namespace

void check_console() {
    start_console_interrupts();
    if (!drivers::has_uart_interrupts()) {
        log::marker("KSELFTEST: console irq SKIP (polled)");
    } else if (drivers::check_uart_interrupts()) {
        log::marker("KSELFTEST: console irq ok (",
                    drivers::controller_name(machine(), *machine().console->interrupt), ")");
    } else {
        log::marker("KSELFTEST: console irq FAIL (none came; the console is polled)");
    }
    if (!drivers::has_uart_interrupts()) {
        task::poll_on(task::online_cpus().lowest(), drivers::kConsolePollPeriod, &drivers::poll_console);
    }
}

}  // namespace kernel::init
