// SPDX-License-Identifier: MIT
// Every defect once, each made by one change to a program that is fine, then damage of all kinds under
// AddressSanitizer.
#include "task/elf.hpp"

#include <elf.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <random>
#include <vector>

namespace kernel::task {
namespace {

constexpr std::size_t kText = 1;  // indices of the program headers below
constexpr std::size_t kData = 2;
constexpr std::size_t kStack = 3;

// Laid out like a static Debian program: text with the ELF header in it, data not page aligned, a stack note.
struct Program {
    Elf64_Ehdr header{};
    std::vector<Elf64_Phdr> segments;
    std::size_t file_bytes{0x3000};

    Program() {
        std::memcpy(header.e_ident, ELFMAG, SELFMAG);
        header.e_ident[EI_CLASS] = ELFCLASS64;
        header.e_ident[EI_DATA] = ELFDATA2LSB;
        header.e_ident[EI_VERSION] = EV_CURRENT;
        header.e_type = ET_EXEC;
        header.e_machine = EM_RISCV;
        header.e_version = EV_CURRENT;
        header.e_entry = 0x10400;
        header.e_phoff = sizeof(Elf64_Ehdr);
        header.e_flags = EF_RISCV_RVC | EF_RISCV_FLOAT_ABI_DOUBLE;
        header.e_ehsize = sizeof(Elf64_Ehdr);
        header.e_phentsize = sizeof(Elf64_Phdr);
        segments = {
            {.p_type = PT_NOTE,
             .p_flags = PF_R,
             .p_offset = 0x200,
             .p_vaddr = 0x10200,
             .p_paddr = 0,
             .p_filesz = 0x20,
             .p_memsz = 0x20,
             .p_align = 4},
            {.p_type = PT_LOAD,
             .p_flags = PF_R | PF_X,
             .p_offset = 0,
             .p_vaddr = 0x10000,
             .p_paddr = 0,
             .p_filesz = 0x1234,
             .p_memsz = 0x1234,
             .p_align = 0x1000},
            {.p_type = PT_LOAD,
             .p_flags = PF_R | PF_W,
             .p_offset = 0x1888,
             .p_vaddr = 0x12888,
             .p_paddr = 0,
             .p_filesz = 0x700,
             .p_memsz = 0x2000,
             .p_align = 0x1000},
            {.p_type = PT_GNU_STACK,
             .p_flags = PF_R | PF_W,
             .p_offset = 0,
             .p_vaddr = 0,
             .p_paddr = 0,
             .p_filesz = 0,
             .p_memsz = 0,
             .p_align = 16},
        };
    }

    // In its exact size on the heap, so that AddressSanitizer sees every read past the end.
    [[nodiscard]] std::vector<std::byte> file() const {
        auto complete = header;
        if (complete.e_phnum == 0) {
            complete.e_phnum = static_cast<Elf64_Half>(segments.size());
        }
        std::vector<std::byte> bytes(file_bytes);
        std::memcpy(bytes.data(), &complete, sizeof complete);
        std::memcpy(bytes.data() + sizeof complete, segments.data(), segments.size() * sizeof(Elf64_Phdr));
        return bytes;
    }
};

ElfDefect read(const Program& program, ElfImage& image) {
    const auto file = program.file();
    const ElfDefect defect = read_elf(file, file.size(), image);
    EXPECT_TRUE(image.interpreter.empty());  // it would point into the file
    return defect;
}

ElfDefect defect_after(const std::function<void(Program&)>& change) {
    Program program;
    change(program);
    ElfImage image;
    return read(program, image);
}

TEST(ReadElf, AcceptsAStaticProgram) {
    ElfImage image;
    ASSERT_EQ(read(Program{}, image), ElfDefect::None);
    EXPECT_EQ(image.entry, VirtAddr{0x10400});
    ASSERT_EQ(image.segments.size(), 2U);
    const ElfSegment& code = image.segments[0];
    EXPECT_EQ(code.start, VirtAddr{0x10000});
    EXPECT_EQ(code.memory_bytes, 0x1234U);
    EXPECT_TRUE(code.is_readable && code.is_executable && !code.is_writable);
    const ElfSegment& data = image.segments[1];
    EXPECT_EQ(data.start, VirtAddr{0x12888});
    EXPECT_EQ(data.end(), VirtAddr{0x14888});
    EXPECT_EQ(data.file_offset, 0x1888U);
    EXPECT_EQ(data.file_bytes, 0x700U);
    EXPECT_TRUE(data.is_readable && data.is_writable && !data.is_executable);
    EXPECT_EQ(image.program_headers, VirtAddr{0x10000 + sizeof(Elf64_Ehdr)});
    EXPECT_EQ(image.program_header_count, 4U);
    EXPECT_EQ(image.program_header_bytes, sizeof(Elf64_Phdr));
    EXPECT_FALSE(image.wants_executable_stack);
}

TEST(ReadElf, ProgramHeadersOutsideEverySegmentHaveNoAddress) {
    Program program;
    program.segments[kText].p_offset = 0x1000;
    program.segments[kText].p_vaddr = 0x10000;
    ElfImage image;
    ASSERT_EQ(read(program, image), ElfDefect::None);
    EXPECT_EQ(image.program_headers, VirtAddr{0});
}

TEST(ReadElf, ExecutableStackIsReported) {
    Program program;
    program.segments[kStack].p_flags |= PF_X;
    ElfImage image;
    ASSERT_EQ(read(program, image), ElfDefect::None);
    EXPECT_TRUE(image.wants_executable_stack);
}

// Linked at 0, as a position independent program is.
Program position_independent() {
    Program program;
    program.header.e_type = ET_DYN;
    program.header.e_entry -= 0x10000;
    for (Elf64_Phdr& segment : program.segments) {
        segment.p_vaddr -= std::min<Elf64_Addr>(segment.p_vaddr, 0x10000);
    }
    return program;
}

TEST(ReadElf, PositionIndependentProgramsGoWhereTheyAreMoved) {
    Program program = position_independent();
    program.segments[kData].p_align = 0x1000;
    ElfImage image;
    ASSERT_EQ(read(program, image), ElfDefect::None);
    EXPECT_TRUE(image.is_position_independent);
    EXPECT_EQ(image.alignment, 0x1000U);
    EXPECT_EQ(image.end(), VirtAddr{0x4888});
    image.move_up(0x70'0000);
    EXPECT_EQ(image.entry, VirtAddr{0x70'0400});
    EXPECT_EQ(image.program_headers, VirtAddr{0x70'0000 + sizeof(Elf64_Ehdr)});
    EXPECT_EQ(image.segments[0].start, VirtAddr{0x70'0000});
    EXPECT_EQ(image.end(), VirtAddr{0x70'4888});
}

TEST(ReadElf, AFixedProgramIsNotOne) {
    ElfImage image;
    ASSERT_EQ(read(Program{}, image), ElfDefect::None);
    EXPECT_FALSE(image.is_position_independent);
}

// The interpreter's path in place of the note.
struct Interpreted {
    std::vector<std::byte> file;
    std::size_t head_bytes{0};
    ElfImage image{};
    explicit Interpreted(std::string_view path, std::size_t head = 0x1000) : head_bytes{head} {
        Program program = position_independent();
        program.segments[0].p_type = PT_INTERP;
        program.segments[0].p_filesz = path.size();
        file = program.file();
        std::memcpy(file.data() + program.segments[0].p_offset, path.data(), path.size());
    }
    ElfDefect read() { return read_elf(std::span{file}.first(head_bytes), file.size(), image); }
};

TEST(ReadElf, NamesTheInterpreter) {
    using namespace std::string_view_literals;
    Interpreted program{"/lib/ld.so.1\0"sv};
    ASSERT_EQ(program.read(), ElfDefect::None);
    EXPECT_EQ(program.image.interpreter, "/lib/ld.so.1");
}

TEST(ReadElf, TheShortestInterpreterIsOneCharacter) {
    using namespace std::string_view_literals;
    Interpreted program{"/\0"sv};
    ASSERT_EQ(program.read(), ElfDefect::None);
    EXPECT_EQ(program.image.interpreter, "/");
}

// Program headers after all that a segment loads, or before it, are not in memory.
TEST(ReadElf, ProgramHeadersBesideTheSegmentsHaveNoAddress) {
    Program program;
    program.segments[kText].p_filesz = sizeof(Elf64_Ehdr) + program.segments.size() * sizeof(Elf64_Phdr);
    ElfImage image;
    ASSERT_EQ(read(program, image), ElfDefect::None);
    EXPECT_EQ(image.program_headers, VirtAddr{0x10000 + sizeof(Elf64_Ehdr)}) << "all of them";
    --program.segments[kText].p_filesz;
    ASSERT_EQ(read(program, image), ElfDefect::None);
    EXPECT_EQ(image.program_headers, VirtAddr{0}) << "a byte is missing";
}

TEST(Defects, OfTheInterpreter) {
    using namespace std::string_view_literals;
    EXPECT_EQ(Interpreted{""sv}.read(), ElfDefect::BadInterpreter);
    EXPECT_EQ(Interpreted{"\0"sv}.read(), ElfDefect::BadInterpreter);
    EXPECT_EQ(Interpreted{"/lib/ld.so.1"sv}.read(), ElfDefect::BadInterpreter) << "no final zero";
    EXPECT_EQ(Interpreted{"/lib\0/ld.so.1\0"sv}.read(), ElfDefect::BadInterpreter);
    EXPECT_EQ(Interpreted{std::string(256, 'a') + '\0'}.read(), ElfDefect::BadInterpreter);
    EXPECT_EQ((Interpreted{"/lib/ld.so.1\0"sv, 0x20c}.read()), ElfDefect::BadInterpreter)
        << "beyond the head";
    EXPECT_EQ((Interpreted{std::string(255, 'a') + '\0'}.read()), ElfDefect::None);
}

TEST(ReadElf, EmptySegmentsAreNone) {
    Program program;
    program.segments.push_back({.p_type = PT_LOAD,
                                .p_flags = PF_R,
                                .p_offset = 0,
                                .p_vaddr = 0,
                                .p_paddr = 0,
                                .p_filesz = 0,
                                .p_memsz = 0,
                                .p_align = 0});
    ElfImage image;
    ASSERT_EQ(read(program, image), ElfDefect::None);
    EXPECT_EQ(image.segments.size(), 2U);
}

TEST(ReadElf, SegmentMayReachTheEndOfUserSpace) {
    Program program;
    program.segments[kData].p_vaddr = kUserAddressEnd - 0x1000 + 0x888;
    program.segments[kData].p_memsz = 0x1000 - 0x888;
    ElfImage image;
    EXPECT_EQ(read(program, image), ElfDefect::None);
}

TEST(Defects, OfTheHeader) {
    EXPECT_EQ(defect_after([](Program& p) { p.header.e_ident[EI_MAG3] = 'f'; }), ElfDefect::NotElf);
    EXPECT_EQ(defect_after([](Program& p) { p.header.e_ident[EI_CLASS] = ELFCLASS32; }),
              ElfDefect::NotElf64LittleEndian);
    EXPECT_EQ(defect_after([](Program& p) { p.header.e_ident[EI_DATA] = ELFDATA2MSB; }),
              ElfDefect::NotElf64LittleEndian);
    EXPECT_EQ(defect_after([](Program& p) { p.header.e_ident[EI_VERSION] = 0; }), ElfDefect::UnknownVersion);
    EXPECT_EQ(defect_after([](Program& p) { p.header.e_version = 2; }), ElfDefect::UnknownVersion);
    EXPECT_EQ(defect_after([](Program& p) { p.header.e_machine = EM_X86_64; }), ElfDefect::NotRiscV);
    EXPECT_EQ(defect_after([](Program& p) { p.header.e_type = ET_REL; }), ElfDefect::NotExecutableType);
    EXPECT_EQ(defect_after([](Program& p) { p.header.e_type = ET_CORE; }), ElfDefect::NotExecutableType);
    EXPECT_EQ(defect_after([](Program& p) { p.header.e_flags = EF_RISCV_FLOAT_ABI_QUAD; }),
              ElfDefect::UnsupportedAbi);
    EXPECT_EQ(defect_after([](Program& p) { p.header.e_flags |= EF_RISCV_RVE; }), ElfDefect::UnsupportedAbi);
    EXPECT_EQ(defect_after([](Program& p) { p.segments.clear(); }), ElfDefect::NoProgramHeaders);
    EXPECT_EQ(defect_after([](Program& p) { p.header.e_phentsize = 32; }), ElfDefect::BadProgramHeaderSize);
    EXPECT_EQ(defect_after([](Program& p) { p.header.e_phoff = p.file_bytes; }),
              ElfDefect::ProgramHeadersOutsideFile);
    EXPECT_EQ(defect_after([](Program& p) { p.header.e_phoff = ~std::uint64_t{0} - 8; }),
              ElfDefect::ProgramHeadersOutsideFile);
    EXPECT_EQ(defect_after([](Program& p) { p.header.e_phnum = 0xffff; }),
              ElfDefect::ProgramHeadersOutsideFile);
}

TEST(Defects, OfTheSegments) {
    const auto data = [](auto change) {
        return defect_after([change](Program& p) { change(p.segments[kData]); });
    };
    EXPECT_EQ(defect_after([](Program& p) { p.segments[kText].p_type = p.segments[kData].p_type = PT_NULL; }),
              ElfDefect::NoSegments);
    EXPECT_EQ(data([](Elf64_Phdr& s) { s.p_filesz = 0x2000; }), ElfDefect::SegmentOutsideFile);
    EXPECT_EQ(data([](Elf64_Phdr& s) { s.p_offset = ~std::uint64_t{0} - 0xfff + 0x888; }),
              ElfDefect::SegmentOutsideFile);
    EXPECT_EQ(data([](Elf64_Phdr& s) { s.p_memsz = 0x6ff; }), ElfDefect::FileLargerThanMemory);
    EXPECT_EQ(data([](Elf64_Phdr& s) { s.p_memsz = 0; }), ElfDefect::FileLargerThanMemory);
    EXPECT_EQ(data([](Elf64_Phdr& s) { s.p_vaddr = 0x888; }), ElfDefect::SegmentOutsideUserRange);
    EXPECT_EQ(data([](Elf64_Phdr& s) { s.p_vaddr = kUserAddressEnd + 0x888; }),
              ElfDefect::SegmentOutsideUserRange);
    EXPECT_EQ(data([](Elf64_Phdr& s) { s.p_memsz = kUserAddressEnd; }), ElfDefect::SegmentOutsideUserRange);
    EXPECT_EQ(data([](Elf64_Phdr& s) { s.p_memsz = ~std::uint64_t{0}; }), ElfDefect::SegmentOutsideUserRange);
    EXPECT_EQ(data([](Elf64_Phdr& s) { s.p_vaddr = 0xffffffff80000888; }),
              ElfDefect::SegmentOutsideUserRange);
    EXPECT_EQ(data([](Elf64_Phdr& s) { s.p_align = 0x1800; }), ElfDefect::BadAlignment);
    EXPECT_EQ(data([](Elf64_Phdr& s) { s.p_vaddr += 8; }), ElfDefect::OffsetNotCongruent);
    EXPECT_EQ(data([](Elf64_Phdr& s) { s.p_align = 0x10000; }), ElfDefect::OffsetNotCongruent);
    EXPECT_EQ(data([](Elf64_Phdr& s) { s.p_flags |= PF_X; }), ElfDefect::WritableAndExecutable);
    EXPECT_EQ(defect_after([](Program& p) { std::swap(p.segments[kText], p.segments[kData]); }),
              ElfDefect::SegmentsOutOfOrder);
    EXPECT_EQ(data([](Elf64_Phdr& s) { s.p_vaddr = 0x11888; }), ElfDefect::SegmentsOverlap)
        << "the last text page";
    EXPECT_EQ(defect_after([](Program& p) { p.segments[kText].p_memsz = 0x2889; }),
              ElfDefect::SegmentsOverlap);
    EXPECT_EQ(defect_after([](Program& p) {
                  for (std::uint64_t page = 0x20; p.segments.size() < 19; ++page) {
                      p.segments.push_back({.p_type = PT_LOAD,
                                            .p_flags = PF_R,
                                            .p_offset = 0,
                                            .p_vaddr = page << 12,
                                            .p_paddr = 0,
                                            .p_filesz = 1,
                                            .p_memsz = 1,
                                            .p_align = 0x1000});
                  }
              }),
              ElfDefect::TooManySegments);
    EXPECT_EQ(defect_after([](Program& p) { p.header.e_entry = 0x12888; }), ElfDefect::EntryNotExecutable);
    EXPECT_EQ(defect_after([](Program& p) { p.header.e_entry = 0x11234; }), ElfDefect::EntryNotExecutable);
    EXPECT_EQ(defect_after([](Program& p) { p.header.e_entry = 0; }), ElfDefect::EntryNotExecutable);
}

TEST(Defects, HaveDistinctTexts) {
    std::vector<std::string_view> texts;
    for (int defect = 0; defect <= static_cast<int>(ElfDefect::EntryNotExecutable); ++defect) {
        texts.push_back(text(static_cast<ElfDefect>(defect)));
    }
    EXPECT_THAT(texts, ::testing::Not(::testing::Contains("unknown defect")));
    EXPECT_THAT(texts, ::testing::Each(::testing::Not(::testing::IsEmpty())));
    std::sort(texts.begin(), texts.end());
    EXPECT_EQ(std::adjacent_find(texts.begin(), texts.end()), texts.end());
}

// What a loader relies on when the answer is None.
void expect_sound(const std::vector<std::byte>& file, std::uint64_t seed) {
    ElfImage image;
    if (read_elf(file, file.size(), image) != ElfDefect::None) {
        return;
    }
    std::uint64_t free_from = kLowestUserAddress;
    bool entry_is_code = false;
    for (const ElfSegment& segment : image.segments) {
        ASSERT_GE(segment.start.value(), free_from) << seed;
        ASSERT_GT(segment.memory_bytes, 0U) << seed;
        ASSERT_LE(segment.end().value(), kUserAddressEnd) << seed;
        ASSERT_LE(segment.file_bytes, segment.memory_bytes) << seed;
        ASSERT_TRUE(segment.file_bytes <= file.size() &&
                    segment.file_offset <= file.size() - segment.file_bytes);
        ASSERT_EQ((segment.start.value() - segment.file_offset) % 4096, 0U) << seed;
        ASSERT_FALSE(segment.is_writable && segment.is_executable) << seed;
        entry_is_code |= segment.is_executable && image.entry >= segment.start && image.entry < segment.end();
        free_from = (segment.end().value() + 4095) & ~std::uint64_t{4095};
    }
    ASSERT_TRUE(entry_is_code) << seed;
}

TEST(Damage, EveryCutIsRefused) {
    Program program;
    program.file_bytes = 0x1f88;  // exactly what the data segment needs
    const auto whole = program.file();
    ElfImage image;
    ASSERT_EQ(read_elf(whole, whole.size(), image), ElfDefect::None);
    for (std::size_t length = 0; length < whole.size(); ++length) {
        const std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
        const ElfDefect defect = read_elf(cut, cut.size(), image);
        ASSERT_NE(defect, ElfDefect::None) << length;
        ASSERT_TRUE(length >= sizeof(Elf64_Ehdr) || defect == ElfDefect::TooShort) << length;
    }
}

TEST(Damage, AnyAlignmentOfTheFile) {
    const auto whole = Program{}.file();
    for (std::size_t shift = 0; shift < 8; ++shift) {
        std::vector<std::byte> shifted(whole.size() + shift);
        std::copy(whole.begin(), whole.end(), shifted.begin() + static_cast<std::ptrdiff_t>(shift));
        ElfImage image;
        EXPECT_EQ(read_elf(std::span{shifted}.subspan(shift), whole.size(), image), ElfDefect::None) << shift;
    }
}

TEST(Damage, FlippedBitsAndExtremeWords) {
    const auto whole = Program{}.file();
    constexpr std::uint64_t kWords[]{0,
                                     1,
                                     0xfff,
                                     0x1000,
                                     kUserAddressEnd - 1,
                                     kUserAddressEnd,
                                     ~std::uint64_t{0} - 0xfff,
                                     ~std::uint64_t{0} >> 1,
                                     ~std::uint64_t{0}};
    const std::size_t headers = sizeof(Elf64_Ehdr) + 4 * sizeof(Elf64_Phdr);
    std::mt19937_64 random{20250103};
    for (std::uint64_t round = 0; round < 20'000; ++round) {
        auto file = whole;
        for (auto changes = 1 + random() % 3; changes > 0; --changes) {
            if (random() % 2 == 0) {
                file[random() % headers] ^= std::byte{1} << (random() % 8);
            } else {
                const std::uint64_t word = kWords[random() % std::size(kWords)];
                std::memcpy(file.data() + random() % (headers / 8) * 8, &word, sizeof word);
            }
        }
        expect_sound(file, round);
    }
}

}  // namespace
}  // namespace kernel::task
