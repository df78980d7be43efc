// SPDX-License-Identifier: MIT
#include "task/program.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <span>

#include "lib/log.hpp"
#include "mm/file_object.hpp"
#include "mm/layout.hpp"
#include "mm/user_memory.hpp"
#include "task/elf.hpp"
#include "task/random.hpp"
#include "task/short_cuts.hpp"
#include "task/signal_delivery.hpp"

namespace kernel::task {

namespace {

// Auxiliary vector types (Linux include/uapi/linux/auxvec.h).
enum : std::uint64_t {
    kAtNull = 0,
    kAtPhdr = 3,
    kAtPhent = 4,
    kAtPhnum = 5,
    kAtPageSize = 6,
    kAtBase = 7,
    kAtFlags = 8,
    kAtEntry = 9,
    kAtUid = 11,
    kAtEuid = 12,
    kAtGid = 13,
    kAtEgid = 14,
    kAtHwcap = 16,
    kAtClockTick = 17,
    kAtSecure = 23,
    kAtRandom = 25,
    kAtExecFn = 31,
};
// A bit per letter of the base ISA: I, M, A, F, D, C (Linux arch/riscv/include/uapi/asm/hwcap.h).
constexpr std::uint64_t kHwcap = 0x112d;
constexpr std::uint64_t kClockTicksPerSecond = 100;
constexpr std::size_t kRandomBytes = 16;
constexpr std::uint64_t kStackAlignment = 16;  // RISC-V psABI

// Errors: NotExecutable; the log says why.
Result<void> read_headers(const mm::FileHead& head, const mm::FileObject& file, std::string_view path,
                          ElfImage& image) {
    const std::uint64_t file_bytes = std::max<std::uint64_t>(file.size(), head.bytes().size());
    if (const ElfDefect defect = read_elf(head.bytes(), file_bytes, image); defect != ElfDefect::None) {
        log::error(path, ": not a program this kernel can run: ", text(defect));
        return Error::NotExecutable;
    }
    return {};
}

// What read_headers() found in constant files, of which nothing ever changes: of the first kKnownImages of
// them that were run. Concurrency: `file` is stored last, and then neither changes; two harts may put the
// same file in two places.
constexpr std::uint32_t kKnownImages = 16;
struct KnownImage {
    std::atomic<const mm::FileObject*> file{nullptr};
    ElfImage image;
};
constinit std::array<KnownImage, kKnownImages> known_images{};
constinit std::atomic<std::uint32_t> known_image_count{0};

const ElfImage* find_known(const mm::FileObject& file) {
    if (!takes_short_cuts()) {
        return nullptr;
    }
    for (const KnownImage& known : known_images) {
        const mm::FileObject* const described = known.file.load(std::memory_order_acquire);
        if (described == &file) {
            return &known.image;
        }
        if (described == nullptr) {
            return nullptr;
        }
    }
    return nullptr;
}

void remember(const mm::FileObject& file, const ElfImage& image) {
    if (file.is_memory() || known_image_count.load(std::memory_order_relaxed) >= kKnownImages) {
        return;
    }
    const std::uint32_t index = known_image_count.fetch_add(1, std::memory_order_relaxed);
    if (index < kKnownImages) {
        known_images[index].image = image;
        known_images[index].file.store(&file, std::memory_order_release);
    }
}

// read_headers(), once for each constant file. Errors: NotExecutable.
Result<void> describe(const mm::FileHead& head, const mm::FileObject& file, std::string_view path,
                      ElfImage& image) {
    if (const ElfImage* const known = find_known(file); known != nullptr) {
        image = *known;
        return {};
    }
    TRY(read_headers(head, file, path, image));
    remember(file, image);
    return {};
}

Result<void> map_segment(mm::AddressSpace& space, mm::FileObject& file, const ElfSegment& segment) {
    const std::uint64_t lead = mm::page_offset(segment.start.value());
    const mm::MapRequest request{
        .address = mm::page_down(segment.start),
        .bytes = segment.memory_bytes + lead,
        .protection = {.read = segment.is_readable,
                       .write = segment.is_writable,
                       .execute = segment.is_executable},
        .placement = mm::Placement::FixedNoReplace,
    };
    if (segment.file_bytes == 0) {
        TRY(space.map_anonymous(request));
    } else {
        TRY(space.map_file(
            request,
            {.file = &file, .offset = segment.file_offset - lead, .bytes = segment.file_bytes + lead}));
    }
    return {};
}

Result<void> map_image(mm::AddressSpace& space, mm::FileObject& file, const ElfImage& image) {
    for (const ElfSegment& segment : image.segments) {
        TRY(map_segment(space, file, segment));
    }
    return {};
}

// Puts a position independent image at the first suitable place from `base` on; returns where. Errors:
// NoMemory.
Result<VirtAddr> move_to(ElfImage& image, VirtAddr base) {
    const std::uint64_t distance = (base.value() + image.alignment - 1) & ~(image.alignment - 1);
    if (distance < base.value() || image.end().value() > mm::kMmapTop.value() - base.value() ||
        image.end() + distance > mm::kMmapTop) {
        return Error::NoMemory;
    }
    image.move_up(distance);
    return VirtAddr{distance};
}

// Where the program begins when it is in memory.
struct Start {
    VirtAddr entry;             // of the first instruction
    VirtAddr interpreter_base;  // AT_BASE; 0: there is none
};

// The program that starts programs: it finds the one it is for by the auxiliary vector.
Result<Start> map_interpreter(mm::AddressSpace& space, const ProgramArguments& arguments,
                              std::string_view path) {
    if (arguments.find_interpreter == nullptr) {
        return Error::NoEntry;
    }
    const auto found = arguments.find_interpreter(path);
    if (!found.ok()) {
        log::error(arguments.path, ": its interpreter ", path, " is not there");
        return found.error();
    }
    mm::FileObject& file = **found;
    ElfImage image;
    const mm::FileHead head{file};
    TRY(describe(head, file, path, image));
    VirtAddr base{};
    if (image.is_position_independent) {
        const std::uint64_t room = image.alignment - mm::kPageSize;
        if (image.end().value() > mm::kUserTop.value() || room > mm::kUserTop.value()) {
            return Error::NoMemory;
        }
        const VirtAddr free = TRY(space.find_free(image.end().value() + room));
        base = TRY(move_to(image, free));
    }
    TRY(map_image(space, file, image));
    return Start{.entry = image.entry, .interpreter_base = base};
}

// Writes 64-bit words upwards into user memory, a buffer at a time.
class WordWriter {
  public:
    WordWriter(mm::AddressSpace& space, VirtAddr at) : space_{space}, at_{at} {}
    Result<void> push(std::uint64_t word) {
        buffer_[used_++] = word;
        return used_ == buffer_.size() ? flush() : Result<void>{};
    }
    Result<void> flush() {
        TRY(mm::copy_to_user(space_, at_, std::as_bytes(std::span{buffer_.data(), used_})));
        at_ = at_ + used_ * sizeof(std::uint64_t);
        used_ = 0;
        return {};
    }

  private:
    mm::AddressSpace& space_;
    VirtAddr at_;
    std::array<std::uint64_t, 64> buffer_;
    std::size_t used_{0};
};

// Stack, from the top: path, strings, random bytes, then (aligned, upwards from sp) argc, argv, envp, auxv.
struct Stack {
    VirtAddr pointer;
    ArgumentsPlace arguments;
};
Result<Stack> build_stack(mm::AddressSpace& space, const ProgramArguments& arguments, const ElfImage& image,
                          VirtAddr interpreter_base) {
    TRY(space.map_anonymous({.address = VirtAddr{mm::kUserStackTop.value() - mm::kUserStackBytes},
                             .bytes = mm::kUserStackBytes,
                             .protection = mm::kReadWrite,
                             .placement = mm::Placement::FixedNoReplace}));
    std::uint64_t at =
        mm::kUserStackTop.value() - sizeof(std::uint64_t);  // Linux ends its stacks with a null word
    at -= arguments.path.size() + 1;
    const std::uint64_t path_address = at;
    TRY(mm::copy_to_user(space, VirtAddr{at}, std::as_bytes(std::span{arguments.path})));
    at -= arguments.strings.size();
    const std::uint64_t strings_address = at;
    TRY(mm::copy_to_user(space, VirtAddr{at}, std::as_bytes(arguments.strings)));
    at = (at - kRandomBytes) & ~(kStackAlignment - 1);
    const std::uint64_t random_address = at;
    std::array<std::byte, kRandomBytes> bytes{};
    random::fill(bytes);
    TRY(mm::copy_to_user(space, VirtAddr{at}, bytes));

    const std::array<std::uint64_t, 34> auxv{
        kAtPhdr,      image.program_headers.value(),
        kAtPhent,     image.program_header_bytes,
        kAtPhnum,     image.program_header_count,
        kAtPageSize,  mm::kPageSize,
        kAtBase,      interpreter_base.value(),
        kAtFlags,     0,
        kAtEntry,     image.entry.value(),
        kAtUid,       0,
        kAtEuid,      0,
        kAtGid,       0,
        kAtEgid,      0,
        kAtHwcap,     kHwcap,
        kAtClockTick, kClockTicksPerSecond,
        kAtSecure,    0,
        kAtRandom,    random_address,
        kAtExecFn,    path_address,
        kAtNull,      0,
    };
    const std::uint64_t words =
        1 + arguments.argument_count + 1 + arguments.environment_count + 1 + auxv.size();
    const VirtAddr sp{(at - words * sizeof(std::uint64_t)) & ~(kStackAlignment - 1)};
    WordWriter writer{space, sp};
    TRY(writer.push(arguments.argument_count));
    std::size_t offset = 0;
    const auto write_pointers = [&](std::uint32_t count) -> Result<void> {
        for (std::uint32_t i = 0; i < count; ++i) {
            TRY(writer.push(strings_address + offset));
            while (arguments.strings[offset] != '\0') {
                ++offset;
            }
            ++offset;
        }
        return writer.push(0);
    };
    TRY(write_pointers(arguments.argument_count));
    const std::size_t arguments_bytes = offset;
    TRY(write_pointers(arguments.environment_count));
    for (const std::uint64_t word : auxv) {
        TRY(writer.push(word));
    }
    TRY(writer.flush());
    return Stack{.pointer = sp,
                 .arguments = {.arguments = VirtAddr{strings_address}, .bytes = arguments_bytes}};
}

// load_program() for an image that is where it is to be.
Result<ArgumentsPlace> load_image(mm::AddressSpace& space, const ProgramArguments& arguments,
                                  const ElfImage& image, arch::TrapFrame& frame) {
    TRY(map_image(space, *arguments.program, image));
    space.set_break_base(VirtAddr{mm::page_up(image.end().value())});
    const Start start = image.interpreter.empty() ? Start{.entry = image.entry, .interpreter_base = {}}
                                                  : TRY(map_interpreter(space, arguments, image.interpreter));
    TRY(map_trampoline(space));
    const Stack stack = TRY(build_stack(space, arguments, image, start.interpreter_base));
    frame = {};
    frame.pc = start.entry.value();
    frame.set_stack_pointer(stack.pointer.value());
    return stack.arguments;
}

// Any image. Not inlined: it needs room for one.
[[gnu::noinline]] Result<ArgumentsPlace> load_any_image(mm::AddressSpace& space,
                                                        const ProgramArguments& arguments,
                                                        arch::TrapFrame& frame) {
    mm::FileObject& file = *arguments.program;
    ElfImage image;
    const mm::FileHead head{file};  // image.interpreter points into it
    TRY(describe(head, file, arguments.path, image));
    if (image.is_position_independent) {
        TRY(move_to(image, mm::kProgramBase));
    }
    return load_image(space, arguments, image, frame);
}

}  // namespace

Result<ArgumentsPlace> load_program(mm::AddressSpace& space, const ProgramArguments& arguments,
                                    arch::TrapFrame& frame) {
    // A program that was run before and has its own place: its description is used as it is.
    const ElfImage* const known = find_known(*arguments.program);
    if (known != nullptr && !known->is_position_independent) [[likely]] {
        return load_image(space, arguments, *known, frame);
    }
    return load_any_image(space, arguments, frame);
}

}  // namespace kernel::task
