// SPDX-License-Identifier: MIT
// /dev/null, /dev/zero, /dev/random, /dev/hvc0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "task/open_file.hpp"

namespace kernel::file {

enum class Device : std::uint8_t {
    Null,    // reads nothing, takes everything
    Zero,    // reads zeros, takes everything
    Random,  // reads random bytes, takes everything
    Host,    // reads nothing, sends what it takes to the host; never waits: EAGAIN while it can take nothing
};

// Takes as many of the bytes as it can at once and returns how many; an error ends the write.
using HostWriter = Result<std::size_t> (*)(std::span<const std::byte> bytes);
// Boot, one hart: the machine has a line to its host.
void set_host_writer(HostWriter writer);

// Errors: NoMemory; NoDevice: Host, and the machine has no line to it.
[[nodiscard]] Result<Ref<task::OpenFile>> open_device(Device device, std::uint32_t flags,
                                                      const task::FileStatus& status);

}  // namespace kernel::file
