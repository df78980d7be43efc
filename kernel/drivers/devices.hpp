// SPDX-License-Identifier: MIT
// The machine's console and terminal: one object each, and the steps that bring them up, in the order of this
// file. Target only. Concurrency: start_* at boot, one hart.
#pragma once

#include <cstdint>
#include <string_view>

#include "drivers/console.hpp"
#include "drivers/tty.hpp"
#include "fdt/machine.hpp"
#include "lib/cpu_mask.hpp"
#include "lib/ids.hpp"
#include "lib/result.hpp"
#include "lib/units.hpp"

namespace kernel::drivers {

[[nodiscard]] Console& console();
[[nodiscard]] Tty& terminal();

// 1. The firmware's console, before anything else: works without the device tree and without mappings of
// devices.
void start_firmware_console();

// 2. True when there is a driver for the UART: ns16550a and its kin, sifive,uart0. Otherwise the firmware's
// console stays.
[[nodiscard]] bool is_supported_uart(const fdt::Console& description);
// Moves the console to the UART whose registers are mapped at `registers`, still by polling.
// NotSupported: no driver for this UART, or an access width other than 1, 2 and 4.
Result<void> start_uart(const fdt::Console& description, VirtAddr registers);

// 3. Routes the UART's interrupt to the calling CPU, or where that cannot have it to another one of `online`,
// and sends and receives by interrupts from now on; returns which CPU. NotSupported: the UART, its interrupt
// or a controller that reaches one of them is missing; the console stays polled and poll_console() must be
// called now and then.
Result<CpuId> start_uart_interrupts(const fdt::Machine& machine, CpuMask online);

// 4. Has the UART interrupt its CPU, and waits for it: true when it came. Otherwise the
// console is polled from now on. Pre: start_uart_interrupts() was ok.
[[nodiscard]] bool check_uart_interrupts();
[[nodiscard]] bool has_uart_interrupts();

// The calling hart takes no device interrupts any more if one of `others` can: the UART's go there.
void move_interrupts(const fdt::Machine& machine, CpuId self, CpuMask others);

// Takes in typed bytes where the console has no interrupts, every so often; does nothing where it has.
inline constexpr Duration kConsolePollPeriod = Duration::milliseconds(20);  // a fast typist's key: 50 ms
void poll_console();

}  // namespace kernel::drivers
