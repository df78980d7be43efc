// SPDX-License-Identifier: MIT
#include "task/program.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <span>

#include "lib/check.hpp"
#include "lib/log.hpp"
#include "mm/file_object.hpp"
#include "mm/layout.hpp"
#include "mm/program_start.hpp"
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
    mm::ProgramStart start;  // of an image that has its own place
};
constinit std::array<KnownImage, kKnownImages> known_images{};
constinit std::atomic<std::uint32_t> known_image_count{0};

KnownImage* find_known(const mm::FileObject& file) {
    if (!takes_short_cuts()) {
        return nullptr;
    }
    for (KnownImage& known : known_images) {
        const mm::FileObject* const described = known.file.load(std::memory_order_acquire);
        if (described == &file) {
            return &known;
        }
        if (described == nullptr) {
            return nullptr;
        }
    }
    return nullptr;
}

void remember(mm::FileObject& file, const ElfImage& image) {
    if (file.is_memory() || known_image_count.load(std::memory_order_relaxed) >= kKnownImages) {
        return;
    }
    const std::uint32_t index = known_image_count.fetch_add(1, std::memory_order_relaxed);
    if (index < kKnownImages) {
        known_images[index].image = image;
        if (!image.is_position_independent) {
            known_images[index].start.begin(mm::page_down(image.segments[0].start));
            file.set_program_start(known_images[index].start);
        }
        known_images[index].file.store(&file, std::memory_order_release);
    }
}

// read_headers(), once for each constant file. Errors: NotExecutable.
Result<void> describe(const mm::FileHead& head, mm::FileObject& file, std::string_view path,
                      ElfImage& image) {
    if (const KnownImage* const known = find_known(file); known != nullptr) {
        image = known->image;
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
    void push(std::uint64_t word) {
        buffer_[used_++] = word;
        if (used_ == buffer_.size()) {
            flush();
        }
    }
    [[nodiscard]] Result<void> finish() {
        flush();
        return outcome_;
    }

  private:
    void flush() {
        if (outcome_.ok()) {
            outcome_ = mm::copy_to_user(space_, at_, std::as_bytes(std::span{buffer_.data(), used_}));
        }
        at_ = at_ + used_ * sizeof(std::uint64_t);
        used_ = 0;
    }
    mm::AddressSpace& space_;
    VirtAddr at_;
    std::array<std::uint64_t, 64> buffer_;
    std::size_t used_{0};
    Result<void> outcome_{};
};

// The same into a page. Pre: the words fit.
class PageWriter {
  public:
    explicit PageWriter(std::byte* at) : at_{reinterpret_cast<AliasWord*>(at)} {}
    void push(std::uint64_t word) { *at_++ = word; }

  private:
    using AliasWord __attribute__((may_alias)) = std::uint64_t;
    AliasWord* at_;
};

// Stack, from the top: a null word as on Linux, path, strings, random bytes, then (aligned, upwards from sp)
// argc, argv, envp, auxv.
struct StackPlan {
    static constexpr std::uint64_t kAuxiliaryWords = 34;

    StackPlan(const ProgramArguments& arguments, std::uint64_t top)
        : path{top - sizeof(std::uint64_t) - (arguments.path.size() + 1)},
          strings{path - arguments.strings.size()},
          random{(strings - kRandomBytes) & ~(kStackAlignment - 1)},
          pointer{(random -
                   (1 + arguments.argument_count + 1 + arguments.environment_count + 1 + kAuxiliaryWords) *
                       sizeof(std::uint64_t)) &
                  ~(kStackAlignment - 1)} {}
    std::uint64_t path;
    std::uint64_t strings;
    std::uint64_t random;
    std::uint64_t pointer;
};

// Pushes the words from argc to the end of auxv. Returns how many of the strings' bytes are the arguments.
template <class Writer>
std::size_t push_words(Writer& writer, const StackPlan& plan, const ProgramArguments& arguments,
                       const ElfImage& image, VirtAddr interpreter_base) {
    writer.push(arguments.argument_count);
    std::size_t offset = 0;
    const auto push_pointers = [&](std::uint32_t count) {
        for (std::uint32_t i = 0; i < count; ++i) {
            writer.push(plan.strings + offset);
            while (arguments.strings[offset] != '\0') {
                ++offset;
            }
            ++offset;
        }
        writer.push(0);
    };
    push_pointers(arguments.argument_count);
    const std::size_t arguments_bytes = offset;
    push_pointers(arguments.environment_count);
    std::uint64_t pushed = 0;
    const auto push_entry = [&](std::uint64_t type, std::uint64_t value) {
        writer.push(type);
        writer.push(value);
        pushed += 2;
    };
    push_entry(kAtPhdr, image.program_headers.value());
    push_entry(kAtPhent, image.program_header_bytes);
    push_entry(kAtPhnum, image.program_header_count);
    push_entry(kAtPageSize, mm::kPageSize);
    push_entry(kAtBase, interpreter_base.value());
    push_entry(kAtFlags, 0);
    push_entry(kAtEntry, image.entry.value());
    push_entry(kAtUid, 0);
    push_entry(kAtEuid, 0);
    push_entry(kAtGid, 0);
    push_entry(kAtEgid, 0);
    push_entry(kAtHwcap, kHwcap);
    push_entry(kAtClockTick, kClockTicksPerSecond);
    push_entry(kAtSecure, 0);
    push_entry(kAtRandom, plan.random);
    push_entry(kAtExecFn, plan.path);
    push_entry(kAtNull, 0);
    DCHECK(pushed == StackPlan::kAuxiliaryWords);
    return arguments_bytes;
}

using RandomBytes = std::array<std::byte, kRandomBytes>;

// Any stack. Returns as push_words().
[[gnu::noinline]] Result<std::size_t> write_any_stack(mm::AddressSpace& space, const StackPlan& plan,
                                                      const ProgramArguments& arguments,
                                                      const ElfImage& image, VirtAddr interpreter_base,
                                                      const RandomBytes& random) {
    TRY(mm::copy_to_user(space, VirtAddr{plan.path}, std::as_bytes(std::span{arguments.path})));
    TRY(mm::copy_to_user(space, VirtAddr{plan.strings}, std::as_bytes(arguments.strings)));
    TRY(mm::copy_to_user(space, VirtAddr{plan.random}, random));
    WordWriter writer{space, VirtAddr{plan.pointer}};
    const std::size_t bytes = push_words(writer, plan, arguments, image, interpreter_base);
    TRY(writer.finish());
    return bytes;
}

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
    constexpr std::uint64_t kTop = mm::kUserStackTop.value();
    const StackPlan plan{arguments, kTop};
    RandomBytes random{};
    random::fill(random);
    std::size_t arguments_bytes = 0;
    if (takes_short_cuts() && plan.pointer < kTop && kTop - plan.pointer <= mm::kPageSize) [[likely]] {
        // All in the top page, which is fresh: nothing is looked up again, and its zeros stay.
        TRY(space.with_page(
            VirtAddr{kTop - mm::kPageSize}, mm::Access::Write, [&](std::span<std::byte, mm::kPageSize> page) {
                const auto at = [&](std::uint64_t address) { return page.data() + mm::page_offset(address); };
                __builtin_memcpy(at(plan.path), arguments.path.data(), arguments.path.size());
                __builtin_memcpy(at(plan.strings), arguments.strings.data(), arguments.strings.size());
                __builtin_memcpy(at(plan.random), random.data(), random.size());
                PageWriter writer{at(plan.pointer)};
                arguments_bytes = push_words(writer, plan, arguments, image, interpreter_base);
            }));
    } else {
        arguments_bytes = TRY(write_any_stack(space, plan, arguments, image, interpreter_base, random));
    }
    return Stack{.pointer = VirtAddr{plan.pointer},
                 .arguments = {.arguments = VirtAddr{plan.strings}, .bytes = arguments_bytes}};
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
    KnownImage* const known = find_known(*arguments.program);
    if (known != nullptr && !known->image.is_position_independent) [[likely]] {
        const ArgumentsPlace place = TRY(load_image(space, arguments, known->image, frame));
        space.map_start(*arguments.program, known->start);
        return place;
    }
    return load_any_image(space, arguments, frame);
}

}  // namespace kernel::task
