// SPDX-License-Identifier: MIT
// Reads the headers of a statically linked riscv64 program (System V gABI chapters 4 and 5; RISC-V ELF psABI)
// and says what to map where. Pure: nothing is mapped, nothing allocated. The file comes from user space and
// is not trusted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/fixed_vector.hpp"
#include "lib/ids.hpp"

namespace kernel::task {

inline constexpr std::size_t kMaxElfSegments = 16;
// User addresses: the first page stays unmapped so that null faults; Sv39's lower half ends at 2^38.
inline constexpr std::uint64_t kLowestUserAddress = 0x1000;
inline constexpr std::uint64_t kUserAddressEnd = std::uint64_t{1} << 38;

enum class ElfDefect : std::uint8_t {
    None,
    TooShort,
    NotElf,
    NotElf64LittleEndian,
    UnknownVersion,
    NotRiscV,
    PositionIndependent,
    NotExecutableType,
    UnsupportedAbi,
    BadProgramHeaderSize,
    NoProgramHeaders,
    ProgramHeadersOutsideFile,
    NeedsInterpreter,
    NoSegments,
    TooManySegments,
    SegmentOutsideFile,
    FileLargerThanMemory,
    SegmentOutsideUserRange,
    BadAlignment,
    OffsetNotCongruent,
    WritableAndExecutable,
    SegmentsOutOfOrder,
    SegmentsOverlap,
    EntryNotExecutable,
};
// One clause for the log, e.g. "a segment is writable and executable".
[[nodiscard]] std::string_view text(ElfDefect defect);

// Memory [start, start + memory_bytes): the first file_bytes come from the file at file_offset, the rest is
// zero. start and file_offset are equal modulo the page size; no two segments share a page.
struct ElfSegment {
    VirtAddr start;
    std::uint64_t memory_bytes{0};
    std::uint64_t file_offset{0};
    std::uint64_t file_bytes{0};
    bool is_readable{false};
    bool is_writable{false};
    bool is_executable{false};
    [[nodiscard]] constexpr VirtAddr end() const { return start + memory_bytes; }
};

struct ElfImage {
    VirtAddr entry;
    FixedVector<ElfSegment, kMaxElfSegments> segments;  // by ascending address, none empty
    VirtAddr program_headers;                           // AT_PHDR; 0 when no segment holds them
    std::uint16_t program_header_count{0};              // AT_PHNUM
    std::uint16_t program_header_bytes{0};              // AT_PHENT
    bool wants_executable_stack{false};                 // PT_GNU_STACK with PF_X
};

// Fills `image` and returns None, or returns the first defect found and leaves `image` unspecified. Every
// defect is ENOEXEC to a system call.
[[nodiscard]] ElfDefect read_elf(std::span<const std::byte> file, ElfImage& image);

}  // namespace kernel::task
