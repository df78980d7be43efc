// SPDX-License-Identifier: MIT
// How trace records leave the machine: in frames that survive a serial line on which log lines, other
// programs and lost bytes come in between. A frame is one console line: "@T ", then base64 of
//
//   offset 0  u8   version, 1
//          1  u8   CPU, or kTasksCpu, kEndCpu
//          2  u16  records
//          4  u32  number of the frame in its dump, from 0
//          8  u64  records of this CPU that were overwritten before these
//         16       records (nexus_abi/trace.hpp), 16 bytes each
//          -  u32  CRC-32 (ISO 3309, as zlib's) of all bytes before
//
// all little-endian. The frame of kEndCpu ends a dump: its number is how many came before. docs/tracing.md.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nexus_abi/trace.hpp"

namespace user {

inline constexpr std::string_view kTraceLinePrefix = "@T ";
// A trace file: this, then frames one behind the other. Several may follow each other in one file.
inline constexpr std::string_view kTraceFileMagic = "NEURONTRACE1\n";
// In the place of a CPU. Tasks: records that tell of tasks there were when the dump was made, without a time.
inline constexpr std::uint8_t kTraceTasksCpu = 0xfe;
inline constexpr std::uint8_t kTraceEndCpu = 0xff;
// A line stays below 600 characters.
inline constexpr std::size_t kTraceFrameRecords = 24;

// One frame as bytes: what the lines carry and what trace files are made of. Pre: at most kTraceFrameRecords
// records.
[[nodiscard]] std::string trace_frame(std::uint8_t cpu, std::uint32_t number, std::uint64_t lost,
                                      std::span<const nexus_abi::trace_record> records);
// The console line of a frame, without a newline.
[[nodiscard]] std::string trace_line(std::string_view frame);

// Appends the records that name a task: Start with its process, Name0..3, SetClass, SetShares, SetMask; time
// 0.
void append_task(std::vector<nexus_abi::trace_record>& records, const nexus_abi::trace_record& start,
                 std::string_view name);

[[nodiscard]] constexpr nexus_abi::trace_record trace_record_of(std::uint64_t at_ns,
                                                                nexus_abi::TraceKind kind, std::uint32_t task,
                                                                std::uint32_t value) {
    return {.stamp = at_ns << 8U | static_cast<std::uint64_t>(kind), .task = task, .value = value};
}

}  // namespace user
