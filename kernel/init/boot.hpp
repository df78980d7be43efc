// SPDX-License-Identifier: MIT
// The steps of the boot, in the order of init/main.cpp. Boot hart only, one after the other; what a step
// finds wrong with the machine is said, and the boot goes on with what is left where that makes sense.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "arch/riscv64/firmware.hpp"
#include "fdt/machine.hpp"
#include "init/command_line.hpp"
#include "lib/ids.hpp"

namespace kernel::init {

// What boot.S found: the firmware's arguments and where the image lies.
struct BootArguments {
    HartId hart;
    PhysAddr device_tree;
    PhysAddr image;
    std::uint64_t ticks{0};  // the time counter at entry
};

// Filled by read_device_tree() and read_firmware(); immutable afterwards.
[[nodiscard]] fdt::Machine& machine();
[[nodiscard]] CommandLine& command_line();
[[nodiscard]] const arch::sbi::Firmware& firmware();

// boot_machine.cpp
void read_device_tree(const BootArguments& boot);
void read_command_line();
// boothart=: goes on from the start on that hart, if it is another one.
void move_to_wanted_hart(const BootArguments& boot);
void read_firmware();
void report_firmware();
// Gives up when the counter stands still.
void start_clock();

// boot_memory.cpp
// Hands RAM that nothing uses to the frame allocator.
void start_memory(const BootArguments& boot);
// Replaces the boot page table by the final one, W^X and with guard pages.
void map_kernel(const BootArguments& boot);

// boot_devices.cpp
void start_console();
void start_interrupt_controllers();
// /dev/hvc0, where the machine has a virtio console.
void start_host_line();
// Lets the console interrupt a CPU that is online. KSELFTEST: that arrives; else it is polled from now on.
void check_console();
void install_hooks();
// The end of a boot that cannot go on because of what it was given, not because of a bug: the reason was
// logged as an error, and the machine is powered off.
[[noreturn]] void give_up();

// boot_harts.cpp
// The CpuId of the hart the firmware started us on.
[[nodiscard]] CpuId name_harts(HartId boot_hart);
// Continues on the boot hart's own stack, as its CPU.
[[noreturn]] void enter_hart(CpuId cpu, void (*next)());
void prepare_this_hart();
void start_other_harts();
// KSELFTEST: each hart that came answers an IPI.
void check_harts();

// boot_programs.cpp
void read_initrd();
#ifdef NEURON_COVERAGE
// Starts to watch which edges calls reach, for /proc/coverage. A part of read_initrd().
void add_coverage_file();
#endif
void start_init();

}  // namespace kernel::init
