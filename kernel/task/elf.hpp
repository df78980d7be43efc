// SPDX-License-Identifier: MIT
// Reads the headers of a riscv64 program (System V gABI chapters 4 and 5; RISC-V ELF psABI) and says what to
// map where, and which other program (PT_INTERP) starts it. Pure: nothing is mapped, nothing allocated. The
// file comes from user space and is not trusted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/fixed_vector.hpp"
#include "lib/ids.hpp"

namespace kernel::task {

inline constexpr std::size_t kMaxElfSegments = 16;
inline constexpr std::size_t kMaxInterpreterPath = 255;
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
    NotExecutableType,
    UnsupportedAbi,
    BadProgramHeaderSize,
    NoProgramHeaders,
    ProgramHeadersOutsideFile,
    BadInterpreter,
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
// zero. start and file_offset are equal modulo the page size; no two segments share a page. A position
// independent program's addresses count from where it is put.
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
    bool is_position_independent{false};                // ET_DYN
    std::uint64_t alignment{4096};                      // of the place of a position independent program
    std::string_view interpreter{};                     // PT_INTERP's path, part of the file; empty: none

    // The end of the last segment. Pre: there is one.
    [[nodiscard]] VirtAddr end() const { return segments[segments.size() - 1].end(); }
    // Puts a position independent program `distance` bytes further up. Pre: it ends within user addresses.
    void move_up(std::uint64_t distance);
};

// Fills `image` and returns None, or returns the first defect found and leaves `image` unspecified. Every
// defect is ENOEXEC to a system call. `head` is the file, or the beginning of it that holds the headers;
// file_bytes >= head.size() is how long the whole is.
[[nodiscard]] ElfDefect read_elf(std::span<const std::byte> head, std::uint64_t file_bytes, ElfImage& image);

}  // namespace kernel::task
