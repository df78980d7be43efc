// SPDX-License-Identifier: MIT
// Where syslog(2) finds the kernel log, which lies in a higher layer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace kernel::syscall {

// As the functions of the same names in init/log.hpp. ring_bytes: the most there is to read.
struct LogSource {
    std::size_t (*read)(std::uint64_t& position, std::span<char> out){nullptr};
    void (*set_console_level)(std::uint32_t level){nullptr};
    std::size_t ring_bytes{0};
};

// Boot, one hart.
void set_log_source(const LogSource& source);

}  // namespace kernel::syscall
