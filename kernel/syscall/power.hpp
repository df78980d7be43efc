// SPDX-License-Identifier: MIT
// How reboot(2) reaches the machine.
#pragma once

#include <cstdint>

namespace kernel::syscall {

enum class PowerAction : std::uint8_t { PowerOff, Restart, Halt };

// Called by reboot(2) on the hart of the caller, with no lock held. It flushes the console and does not
// return where the platform can do what is asked; when it returns, reboot(2) fails with NotSupported.
using PowerHook = void (*)(PowerAction action);

// Boot, one hart.
void set_power_hook(PowerHook hook);

}  // namespace kernel::syscall
