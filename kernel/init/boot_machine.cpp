// SPDX-License-Identifier: MIT
#include <algorithm>
#include <optional>
#include <string_view>

#include "arch/contract.hpp"
#include "arch/riscv64/cpu.hpp"
#include "arch/riscv64/faults.hpp"
#include "arch/riscv64/firmware.hpp"
#include "arch/riscv64/sbi.hpp"
#include "init/boot.hpp"
#include "init/log.hpp"
#include "init/panic.hpp"
#include "smp/bringup.hpp"

extern "C" {
extern const char _start[];
extern const char moved_start[];
// Read by moved_start.
extern std::uint64_t moved_from_hart;
}

namespace kernel::init {

namespace {

constinit fdt::Machine the_machine{};
constinit CommandLine the_command_line{};
constinit arch::sbi::Firmware the_firmware{};

constexpr std::size_t kHeaderBytes = 40;  // struct fdt_header

}  // namespace

fdt::Machine& machine() {
    return the_machine;
}
CommandLine& command_line() {
    return the_command_line;
}

const arch::sbi::Firmware& firmware() {
    return the_firmware;
}

void read_device_tree(const BootArguments& boot) {
    const auto* start = static_cast<const std::byte*>(phys_to_virt(boot.device_tree));
    const auto bytes = fdt::blob_bytes({start, kHeaderBytes});
    if (!bytes.has_value()) {
        panic("no device tree at ", hex(boot.device_tree.value()), ", where the firmware says it is (a1)");
    }
    if (const auto problem = fdt::read_machine({start, *bytes}, the_machine); problem.has_value()) {
        panic("device tree: ", *problem);
    }
    for (const fdt::Problem& problem : the_machine.problems) {
        log::warn("device tree: ", problem);
    }
    if (the_machine.unlisted_problems > 0) {
        log::warn("device tree: ", the_machine.unlisted_problems, " more problems");
    }
}

void read_command_line() {
    the_command_line.parse(the_machine.bootargs);
    log::set_console_level(the_command_line.log_level);
    for (const CommandLineProblem& problem : the_command_line.problems) {
        log::warn("command line: ", problem);
    }
    if (the_command_line.unlisted_problems > 0) {
        log::warn("command line: ", the_command_line.unlisted_problems, " more problems");
    }
    if (!the_command_line.break_feature.empty()) {
        log::marker("*** neuron.break=", the_command_line.break_feature,
                    ": this kernel is broken on purpose, its selftest must FAIL ***");
    }
    if (const std::string_view fault = the_command_line.fault; !fault.empty()) {
        if (const auto mistake = arch::faults::set(fault); mistake.why.empty()) {
            log::marker("*** neuron.fault=", fault, ": firmware and interrupts misbehave on purpose ***");
        } else {
            log::warn("neuron.fault=: '", mistake.part, "': ", mistake.why, "; no faults then");
        }
    }
}

void move_to_wanted_hart(const BootArguments& boot) {
    if (!the_command_line.boot_hart.has_value() || *the_command_line.boot_hart == boot.hart) {
        return;
    }
    const HartId wanted = *the_command_line.boot_hart;
    const bool is_usable =
        std::ranges::any_of(the_machine.harts, [&](const fdt::Hart& hart) { return hart.id == wanted; });
    if (!is_usable) {
        log::warn("boothart=", wanted, ": the device tree names no such usable hart; going on with hart ",
                  boot.hart);
        return;
    }
    // Nothing of .data has changed in a way that a second start would mind, and .bss is cleared again.
    moved_from_hart = boot.hart.value();
    const PhysAddr entry = boot.image + static_cast<std::uint64_t>(moved_start - _start);
    const Result<void> started = arch::sbi::start_hart(wanted, entry, boot.device_tree.value());
    if (!started.ok()) {
        log::warn("boothart=", wanted, ": the firmware does not start that hart; going on with hart ",
                  boot.hart);
        return;
    }
    smp::park_this_hart();
}

void read_firmware() {
    the_firmware = arch::sbi::probe_firmware();
}

void report_firmware() {
    Line<160> line;
    line << "firmware: SBI " << the_firmware.spec.major << '.' << the_firmware.spec.minor;
    const std::string_view name = arch::sbi::implementation_name(the_firmware.implementation);
    if (name == "OpenSBI") {
        line << ", OpenSBI " << (the_firmware.implementation_version >> 16) << '.'
             << (the_firmware.implementation_version & 0xffff);
    } else if (!name.empty()) {
        line << ", " << name;
    }
    std::string_view separator = "; without ";
    for (const std::string_view missing : arch::sbi::missing_extensions(the_firmware)) {
        line << separator << missing;
        separator = ", ";
    }
    log::info(line.text());
}

void start_clock() {
    const arch::TimerPath by_firmware =
        the_firmware.has_time ? arch::TimerPath::Firmware : arch::TimerPath::LegacyCall;
    arch::configure_time(the_machine.timebase_hz,
                         the_machine.common_isa.sstc ? arch::TimerPath::Stimecmp : by_firmware);
    // The slowest counter in use, 1 MHz, moves every few thousand instructions of the fastest hart.
    constexpr std::uint32_t kReads = 1'000'000;
    const std::uint64_t start = arch::read_ticks();
    for (std::uint32_t i = 0; arch::read_ticks() == start; ++i) {
        if (i == kReads) {
            panic(
                "the time counter stands still: the firmware has no timer, for want of a node in its "
                "device tree or of a driver");
        }
    }
}

}  // namespace kernel::init
