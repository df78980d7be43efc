// SPDX-License-Identifier: MIT
#include "task/elf.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <type_traits>

namespace kernel::task {

namespace {

constexpr std::uint64_t kPageBytes = 4096;

// gABI chapter 4, "ELF Header".
struct FileHeader {
    std::array<unsigned char, 16> ident;
    std::uint16_t type;
    std::uint16_t machine;
    std::uint32_t version;
    std::uint64_t entry;
    std::uint64_t phoff;
    std::uint64_t shoff;
    std::uint32_t flags;
    std::uint16_t ehsize;
    std::uint16_t phentsize;
    std::uint16_t phnum;
    std::uint16_t shentsize;
    std::uint16_t shnum;
    std::uint16_t shstrndx;
};
static_assert(sizeof(FileHeader) == 64);

// gABI chapter 5, "Program Header".
struct ProgramHeader {
    std::uint32_t type;
    std::uint32_t flags;
    std::uint64_t offset;
    std::uint64_t vaddr;
    std::uint64_t paddr;
    std::uint64_t filesz;
    std::uint64_t memsz;
    std::uint64_t align;
};
static_assert(sizeof(ProgramHeader) == 56);

constexpr std::array<unsigned char, 4> kMagic{0x7f, 'E', 'L', 'F'};
constexpr std::size_t kIdentClass = 4;
constexpr std::size_t kIdentData = 5;
constexpr std::size_t kIdentVersion = 6;
constexpr unsigned char kClass64 = 2;
constexpr unsigned char kLittleEndian = 1;
constexpr unsigned kCurrentVersion = 1;
constexpr std::uint16_t kTypeExecutable = 2;
constexpr std::uint16_t kTypeShared = 3;
constexpr std::uint16_t kMachineRiscV = 243;
constexpr std::uint32_t kSegmentLoad = 1;
constexpr std::uint32_t kSegmentInterpreter = 3;
constexpr std::uint32_t kSegmentGnuStack = 0x6474e551;
constexpr std::uint32_t kFlagExecute = 1;
constexpr std::uint32_t kFlagWrite = 2;
constexpr std::uint32_t kFlagRead = 4;
// RISC-V ELF psABI, "File Header": e_flags. Registers saved per task are x1..x31 and f0..f31 of 64 bits.
constexpr std::uint32_t kFlagFloatAbi = 6;
constexpr std::uint32_t kFloatAbiQuad = 6;
constexpr std::uint32_t kFlagRve = 8;

// Pre: offset + sizeof(T) <= file.size(). The file has no particular alignment.
template <class T>
T read_at(std::span<const std::byte> file, std::uint64_t offset) {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    __builtin_memcpy(&value, file.data() + offset, sizeof value);
    return value;
}

// Whether [start, start + bytes) lies in [0, limit), without wrapping.
constexpr bool fits(std::uint64_t start, std::uint64_t bytes, std::uint64_t limit) {
    return bytes <= limit && start <= limit - bytes;
}

constexpr std::uint64_t page_floor(std::uint64_t address) {
    return address & ~(kPageBytes - 1);
}

ElfDefect check_header(const FileHeader& header) {
    if (!std::equal(kMagic.begin(), kMagic.end(), header.ident.begin())) {
        return ElfDefect::NotElf;
    }
    if (header.ident[kIdentClass] != kClass64 || header.ident[kIdentData] != kLittleEndian) {
        return ElfDefect::NotElf64LittleEndian;
    }
    if (header.ident[kIdentVersion] != kCurrentVersion || header.version != kCurrentVersion) {
        return ElfDefect::UnknownVersion;
    }
    if (header.machine != kMachineRiscV) {
        return ElfDefect::NotRiscV;
    }
    if (header.type != kTypeExecutable && header.type != kTypeShared) {
        return ElfDefect::NotExecutableType;
    }
    if ((header.flags & kFlagFloatAbi) == kFloatAbiQuad || (header.flags & kFlagRve) != 0) {
        return ElfDefect::UnsupportedAbi;
    }
    if (header.phnum == 0) {
        return ElfDefect::NoProgramHeaders;
    }
    if (header.phentsize != sizeof(ProgramHeader)) {
        return ElfDefect::BadProgramHeaderSize;
    }
    return ElfDefect::None;
}

ElfDefect check_segment(const ProgramHeader& segment, std::uint64_t file_bytes,
                        std::uint64_t lowest_address) {
    if (!fits(segment.offset, segment.filesz, file_bytes)) {
        return ElfDefect::SegmentOutsideFile;
    }
    if (segment.filesz > segment.memsz) {
        return ElfDefect::FileLargerThanMemory;
    }
    if (segment.vaddr < lowest_address || !fits(segment.vaddr, segment.memsz, kUserAddressEnd)) {
        return ElfDefect::SegmentOutsideUserRange;
    }
    // 0 and 1 both mean "no constraint".
    if (segment.align != 0 && !std::has_single_bit(segment.align)) {
        return ElfDefect::BadAlignment;
    }
    const std::uint64_t alignment = std::max(segment.align, kPageBytes);
    if ((segment.vaddr ^ segment.offset) % alignment != 0) {
        return ElfDefect::OffsetNotCongruent;
    }
    if ((segment.flags & kFlagWrite) != 0 && (segment.flags & kFlagExecute) != 0) {
        return ElfDefect::WritableAndExecutable;
    }
    return ElfDefect::None;
}

ElfDefect add_segment(const ProgramHeader& header, std::uint64_t file_bytes, ElfImage& image) {
    if (header.memsz == 0 && header.filesz == 0) {
        return ElfDefect::None;
    }
    const std::uint64_t lowest_address = image.is_position_independent ? 0 : kLowestUserAddress;
    if (const ElfDefect defect = check_segment(header, file_bytes, lowest_address);
        defect != ElfDefect::None) {
        return defect;
    }
    if (!image.segments.empty()) {
        const ElfSegment& previous = image.segments[image.segments.size() - 1];
        if (header.vaddr < previous.start.value()) {
            return ElfDefect::SegmentsOutOfOrder;
        }
        if (page_floor(header.vaddr) <= page_floor(previous.end().value() - 1)) {
            return ElfDefect::SegmentsOverlap;
        }
    }
    image.alignment = std::max(image.alignment, header.align);
    const ElfSegment segment{.start = VirtAddr{header.vaddr},
                             .memory_bytes = header.memsz,
                             .file_offset = header.offset,
                             .file_bytes = header.filesz,
                             .is_readable = (header.flags & kFlagRead) != 0,
                             .is_writable = (header.flags & kFlagWrite) != 0,
                             .is_executable = (header.flags & kFlagExecute) != 0};
    return image.segments.try_push(segment) ? ElfDefect::None : ElfDefect::TooManySegments;
}

// Where the program headers appear in memory; 0 when no segment loads all of them.
VirtAddr find_program_headers(const FileHeader& header, const ElfImage& image) {
    const std::uint64_t table_bytes = std::uint64_t{header.phnum} * sizeof(ProgramHeader);
    for (const ElfSegment& segment : image.segments) {
        if (header.phoff >= segment.file_offset &&
            fits(header.phoff - segment.file_offset, table_bytes, segment.file_bytes)) {
            return segment.start + (header.phoff - segment.file_offset);
        }
    }
    return VirtAddr{};
}

ElfDefect read_interpreter(const ProgramHeader& header, std::span<const std::byte> head, ElfImage& image) {
    // With its final zero.
    if (header.filesz < 2 || header.filesz > kMaxInterpreterPath + 1 ||
        !fits(header.offset, header.filesz, head.size()) ||
        head[header.offset + header.filesz - 1] != std::byte{0}) {
        return ElfDefect::BadInterpreter;
    }
    const std::string_view path{reinterpret_cast<const char*>(head.data()) + header.offset,
                                header.filesz - 1};
    if (path.find('\0') != std::string_view::npos) {
        return ElfDefect::BadInterpreter;
    }
    image.interpreter = path;
    return ElfDefect::None;
}

bool is_executable(const ElfImage& image, std::uint64_t address) {
    return std::any_of(image.segments.begin(), image.segments.end(), [address](const ElfSegment& segment) {
        return segment.is_executable && address >= segment.start.value() && address < segment.end().value();
    });
}

}  // namespace

void ElfImage::move_up(std::uint64_t distance) {
    entry = entry + distance;
    if (program_headers.value() != 0) {
        program_headers = program_headers + distance;
    }
    for (ElfSegment& segment : segments) {
        segment.start = segment.start + distance;
    }
}

ElfDefect read_elf(std::span<const std::byte> head, std::uint64_t file_bytes, ElfImage& image) {
    image = ElfImage{};
    if (head.size() < sizeof(FileHeader)) {
        return ElfDefect::TooShort;
    }
    const auto header = read_at<FileHeader>(head, 0);
    if (const ElfDefect defect = check_header(header); defect != ElfDefect::None) {
        return defect;
    }
    image.is_position_independent = header.type == kTypeShared;
    const std::uint64_t table_bytes = std::uint64_t{header.phnum} * sizeof(ProgramHeader);
    if (!fits(header.phoff, table_bytes, head.size())) {
        return ElfDefect::ProgramHeadersOutsideFile;
    }
    for (std::uint64_t index = 0; index < header.phnum; ++index) {
        const auto entry = read_at<ProgramHeader>(head, header.phoff + index * sizeof(ProgramHeader));
        switch (entry.type) {
            case kSegmentLoad:
                if (const ElfDefect defect = add_segment(entry, file_bytes, image);
                    defect != ElfDefect::None) {
                    return defect;
                }
                break;
            case kSegmentInterpreter:
                if (const ElfDefect defect = read_interpreter(entry, head, image);
                    defect != ElfDefect::None) {
                    return defect;
                }
                break;
            case kSegmentGnuStack:
                image.wants_executable_stack = (entry.flags & kFlagExecute) != 0;
                break;
            default:  // PT_NOTE, PT_TLS, PT_GNU_RELRO, PT_RISCV_ATTRIBUTES: user space's own business
                break;
        }
    }
    if (image.segments.empty()) {
        return ElfDefect::NoSegments;
    }
    if (!is_executable(image, header.entry)) {
        return ElfDefect::EntryNotExecutable;
    }
    image.entry = VirtAddr{header.entry};
    image.program_headers = find_program_headers(header, image);
    image.program_header_count = header.phnum;
    image.program_header_bytes = header.phentsize;
    return ElfDefect::None;
}

std::string_view text(ElfDefect defect) {
    switch (defect) {
        case ElfDefect::None:
            return "no defect";
        case ElfDefect::TooShort:
            return "shorter than an ELF header";
        case ElfDefect::NotElf:
            return "not an ELF file";
        case ElfDefect::NotElf64LittleEndian:
            return "not a 64-bit little-endian ELF file";
        case ElfDefect::UnknownVersion:
            return "unknown ELF version";
        case ElfDefect::NotRiscV:
            return "built for another architecture than RISC-V";
        case ElfDefect::NotExecutableType:
            return "an object or core file, not an executable";
        case ElfDefect::UnsupportedAbi:
            return "needs the RV32E or quad-precision ABI";
        case ElfDefect::BadProgramHeaderSize:
            return "program headers are not 56 bytes each";
        case ElfDefect::NoProgramHeaders:
            return "no program headers";
        case ElfDefect::ProgramHeadersOutsideFile:
            return "program headers reach beyond the file";
        case ElfDefect::BadInterpreter:
            return "PT_INTERP holds no path of 1 to 255 characters";
        case ElfDefect::NoSegments:
            return "nothing to load";
        case ElfDefect::TooManySegments:
            return "more than 16 loadable segments";
        case ElfDefect::SegmentOutsideFile:
            return "a segment's contents reach beyond the file";
        case ElfDefect::FileLargerThanMemory:
            return "a segment is larger in the file than in memory";
        case ElfDefect::SegmentOutsideUserRange:
            return "a segment lies outside user addresses";
        case ElfDefect::BadAlignment:
            return "a segment's alignment is not a power of two";
        case ElfDefect::OffsetNotCongruent:
            return "a segment's address and file offset differ modulo its alignment";
        case ElfDefect::WritableAndExecutable:
            return "a segment is writable and executable";
        case ElfDefect::SegmentsOutOfOrder:
            return "segments are not in ascending order";
        case ElfDefect::SegmentsOverlap:
            return "two segments share a page";
        case ElfDefect::EntryNotExecutable:
            return "the entry point is not in an executable segment";
    }
    return "unknown defect";
}

}  // namespace kernel::task
