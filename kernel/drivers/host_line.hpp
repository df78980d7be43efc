// SPDX-License-Identifier: MIT
// The line to the host: the first virtio console that the device tree names, if there is one. Programs reach
// it as /dev/hvc0. Target only. Concurrency: start at boot, one hart; write from any hart.
#pragma once

#include <cstddef>
#include <span>

#include "fdt/machine.hpp"
#include "lib/result.hpp"

namespace kernel::drivers {

// Looks at each virtio device and starts the first console. NoDevice: there is none that works; NoMemory.
Result<void> start_host_line(const fdt::Machine& machine);

// Hands as much of `bytes` to the host as fits at once, and returns how much; 0: try again later. Never
// waits. Io: the device broke.
[[nodiscard]] Result<std::size_t> write_to_host(std::span<const std::byte> bytes);

}  // namespace kernel::drivers
