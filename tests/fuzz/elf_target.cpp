// SPDX-License-Identifier: MIT
// A program file: refused, or segments that can be mapped as they are. The first two bytes of the input say
// how much of the file its head holds, as where the kernel has read the beginning of a file in memory.
#include <cstring>
#include <memory>

#include "mutators.hpp"
#include "target.hpp"
#include "task/elf.hpp"

namespace {

using fuzz::require;
using kernel::task::ElfImage;
using kernel::task::ElfSegment;

constexpr std::uint64_t kPage = 4096;

void require_sound(const ElfImage& image, std::uint64_t file_bytes, std::string_view head) {
    require(!image.segments.empty(), "there is something to load");
    require((image.alignment & (image.alignment - 1)) == 0 && image.alignment >= kPage,
            "the alignment is a power of two");
    std::uint64_t last_page_end = image.is_position_independent ? 0 : kernel::task::kLowestUserAddress;
    bool entry_is_code = false;
    for (const ElfSegment& segment : image.segments) {
        const std::uint64_t start = segment.start.value();
        require(segment.memory_bytes > 0, "no segment is empty");
        require(start / kPage * kPage >= last_page_end / kPage * kPage, "no two segments share a page");
        require(start < kernel::task::kUserAddressEnd &&
                    segment.memory_bytes <= kernel::task::kUserAddressEnd - start,
                "segments lie in user addresses");
        require(segment.file_bytes <= segment.memory_bytes, "the file's part is not larger");
        require(segment.file_offset <= file_bytes && segment.file_bytes <= file_bytes - segment.file_offset,
                "contents lie in the file");
        require(start % kPage == segment.file_offset % kPage, "place and offset are congruent");
        require(!segment.is_writable || !segment.is_executable, "no segment is writable and executable");
        last_page_end = (segment.end().value() + kPage - 1) / kPage * kPage;
        entry_is_code = entry_is_code || (segment.is_executable && image.entry >= segment.start &&
                                          image.entry < segment.end());
    }
    require(entry_is_code, "the entry is code");
    require(fuzz::is_inside(image.interpreter, head), "the interpreter's name is in the file");
    require(image.interpreter.size() <= kernel::task::kMaxInterpreterPath &&
                image.interpreter.find('\0') == std::string_view::npos,
            "the interpreter's name is a path");
    if (image.program_headers.value() != 0) {
        const std::uint64_t bytes = std::uint64_t{image.program_header_count} * image.program_header_bytes;
        bool is_loaded = false;
        for (const ElfSegment& segment : image.segments) {
            is_loaded = is_loaded || (image.program_headers >= segment.start && bytes <= segment.file_bytes &&
                                      image.program_headers - segment.start <= segment.file_bytes - bytes);
        }
        require(is_loaded, "the program headers are loaded where AT_PHDR says");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) {
        return 0;
    }
    const std::uint64_t beyond = std::uint64_t{data[0]} << 8 | data[1];
    const std::size_t head_bytes = size - 2;
    const std::unique_ptr<std::byte[]> copy{new std::byte[head_bytes]};
    if (head_bytes > 0) {
        std::memcpy(copy.get(), data + 2, head_bytes);
    }
    const std::span<const std::byte> head{copy.get(), head_bytes};
    const std::uint64_t file_bytes = head_bytes + beyond * 16;
    ElfImage image;
    const auto defect = kernel::task::read_elf(head, file_bytes, image);
    require(!kernel::task::text(defect).empty(), "each defect has words");
    if (defect == kernel::task::ElfDefect::None) {
        require_sound(image, file_bytes, fuzz::as_text(head));
    }
    return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned int seed) {
    fuzz::Random random{seed};
    if (fuzz::below(random, 2) == 0) {
        // Behind the two bytes of our own.
        fuzz::change_field({data + std::min<std::size_t>(size, 2), size - std::min<std::size_t>(size, 2)}, 8,
                           false, random);
        return size;
    }
    return LLVMFuzzerMutate(data, size, max_size);
}
