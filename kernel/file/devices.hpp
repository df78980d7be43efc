// SPDX-License-Identifier: MIT
// /dev/null, /dev/zero, /dev/random.
#pragma once

#include <cstdint>

#include "task/open_file.hpp"

namespace kernel::file {

enum class Device : std::uint8_t {
    Null,    // reads nothing, takes everything
    Zero,    // reads zeros, takes everything
    Random,  // reads random bytes, takes everything
};

// Errors: NoMemory.
[[nodiscard]] Result<Ref<task::OpenFile>> open_device(Device device, std::uint32_t flags,
                                                      const task::FileStatus& status);

}  // namespace kernel::file
