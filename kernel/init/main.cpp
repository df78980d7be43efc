// SPDX-License-Identifier: MIT
// The boot, as a list one can read aloud.
#include "arch/riscv64/cpu.hpp"
#include "drivers/devices.hpp"
#include "init/boot.hpp"
#include "init/log.hpp"
#include "task/dispatcher.hpp"

namespace kernel::init {

namespace {

constinit BootArguments boot_arguments{};
constinit CpuId boot_cpu{};

void finish_boot() {
    prepare_this_hart();
    start_console();
    start_interrupt_controllers();
    start_host_line();
    start_other_harts();
    check_harts();
    check_console();
    read_initrd();
    start_init();
    const std::uint64_t boot_ns = arch::ticks_to_ns(arch::read_ticks() - boot_arguments.ticks);
    log::info("boot: ", boot_ns / 1000, " us from entry to the first program");
    arch::return_to_user(task::exit_to_user());
}

}  // namespace

// From boot.S: on the boot stack, high half, interrupts off.
extern "C" [[noreturn]] void boot_main(std::uint64_t hart, std::uint64_t device_tree, std::uint64_t image,
                                       std::uint64_t ticks) {
    boot_arguments = {
        .hart = HartId{hart}, .device_tree = PhysAddr{device_tree}, .image = PhysAddr{image}, .ticks = ticks};
    arch::set_image_base(boot_arguments.image);
    drivers::start_firmware_console();
    log::set_console(&drivers::console());
    install_hooks();
    read_device_tree(boot_arguments);
    read_command_line();
    move_to_wanted_hart(boot_arguments);
    read_firmware();
    start_clock();
    log::info("NEURON ", NEURON_VERSION, " on ", machine().model, ", boot hart ", boot_arguments.hart);
    report_firmware();
    start_memory(boot_arguments);
    map_kernel(boot_arguments);
    boot_cpu = name_harts(boot_arguments.hart);
    enter_hart(boot_cpu, &finish_boot);
}

}  // namespace kernel::init
