// SPDX-License-Identifier: MIT
// A copy of what programs write to the terminal, kept for whoever started them: two requests of ioctl(2).
#pragma once

#include <cstddef>
#include <cstdint>

namespace nexus_abi {

// On a descriptor of the terminal: makes a ring that keeps the newest kOutputLogBytes, and returns a
// descriptor, closed on exec, that reads it. ENOMEM, EMFILE.
inline constexpr std::uint32_t kOutputLogNew = 0x4e01;
// On that descriptor: returns one of the terminal, closed on exec, which behaves as any other; what is
// written to it is kept in the ring as well. argument: an OutputStream. EINVAL, ENOMEM, EMFILE.
inline constexpr std::uint32_t kOutputLogWriter = 0x4e02;

enum class OutputStream : std::uint16_t { Output = 1, Errors = 2 };

// What read(2) of the ring gives: as many whole records as fit, each followed by its bytes; 0 at the end,
// EINVAL where not even one fits. lseek(fd, 0, SEEK_SET) goes back to the oldest that is still there.
struct output_record {
    std::uint64_t time_ns;  // CLOCK_MONOTONIC
    std::uint32_t number;   // counts from 0 in each ring; a gap is what was overwritten before it was read
    std::uint16_t stream;   // OutputStream
    std::uint16_t bytes;    // behind this record; at most kOutputRecordMaxBytes
};
static_assert(sizeof(output_record) == 16);

inline constexpr std::uint64_t kOutputRecordMaxBytes = 1024;
// Of each ring, records included.
inline constexpr std::uint64_t kOutputLogBytes = 16384;

}  // namespace nexus_abi
