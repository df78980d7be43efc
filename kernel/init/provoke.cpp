// SPDX-License-Identifier: MIT
#include "init/provoke.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <limits>

#include "arch/contract.hpp"
#include "arch/riscv64/csr.hpp"
#include "init/boot.hpp"
#include "init/panic.hpp"
#include "lib/check.hpp"
#include "mm/frames.hpp"
#include "mm/kernel_map.hpp"
#include "mm/slab.hpp"
#include "task/dispatcher.hpp"
#include "task/process.hpp"

namespace kernel::init {

namespace {

struct Provocation {
    std::string_view name;
    void (*fail)();
};

[[gnu::noinline]] void fail_check() {
    panic("provoked by neuron.break=panic");
}

// Nothing is mapped there for the kernel.
[[gnu::noinline]] void fail_load() {
    constexpr std::uint64_t kNowhere = 0xffff'fff0'dead'0000;
    static_cast<void>(*reinterpret_cast<const volatile std::uint64_t*>(kNowhere));
}

[[gnu::noinline]] void never_return() {
    while (true) {
        arch::cpu_relax();
    }
}

// A page outside the image that could be executed.
[[gnu::noinline]] void spoil_kernel_map() {
    mm::PageTable table{mm::kernel_map().root()};
    static_cast<void>(table.map_page(mm::kMmioBase + (mm::kMmioBytes - mm::kPageSize), PhysAddr{0},
                                     mm::kReadExecute, mm::PageOwner::Kernel));
}

// The kernel's root table, for the caller's program to write to. Nothing else is mapped there.
constexpr VirtAddr kUnused{0x20'0000'0000};
[[gnu::noinline]] void spoil_user_map() {
    task::with_space(task::current_task().process(), [](mm::AddressSpace& space) {
        mm::PageTable table{space.root()};
        static_cast<void>(
            table.map_page(kUnused, mm::kernel_map().root(), mm::kReadWrite, mm::PageOwner::User));
    });
}

// Memory used wrongly: what builds with shadow memory, or neuron.junk=, find. Four of a slab stay, so that
// its frames do.
struct Victim {
    std::array<std::uint64_t, 5> words{};
};
constinit mm::ObjectPool<Victim> victims;
constexpr std::size_t kVictims = 4;

void read(const volatile std::uint64_t& word) {
    static_cast<void>(*&word);
}

[[gnu::noinline]] Victim* create_victims() {
    Victim* last = nullptr;
    for (std::size_t i = 0; i < kVictims; ++i) {
        const auto victim = victims.create();
        CHECK(victim.ok());
        last = *victim;
    }
    return last;
}

[[gnu::noinline]] void read_freed_object() {
    Victim* const victim = create_victims();
    victims.destroy(victim);
    read(victim->words[2]);
}

[[gnu::noinline]] void write_behind_object() {
    auto* const bytes = reinterpret_cast<volatile std::uint8_t*>(create_victims());
    bytes[sizeof(Victim)] = 0;
}

[[gnu::noinline]] void copy_behind_object() {
    std::memset(static_cast<void*>(create_victims()), 0, sizeof(Victim) + 1);
}

// Found when the object is given out again: by the end of its slab.
[[gnu::noinline]] void write_freed_object() {
    Victim* const victim = create_victims();
    victims.destroy(victim);
    static_cast<volatile std::uint64_t&>(victim->words[3]) = 0;
    constexpr std::size_t kMost = 256;
    for (std::size_t i = 0; i < kMost; ++i) {
        static_cast<void>(victims.create());
    }
}

[[gnu::noinline]] volatile std::uint64_t& word_of_freed_frame() {
    const auto frame = mm::frames().allocate_frame();
    CHECK(frame.ok());
    mm::frames().unref(*frame);
    constexpr std::size_t kInTheMiddle = 1000;
    return *reinterpret_cast<std::uint64_t*>(&mm::frame_bytes(*frame)[kInTheMiddle]);
}

[[gnu::noinline]] void read_freed_frame() {
    read(word_of_freed_frame());
}

// Found when the frame is given out again: at the latest, as the last one.
[[gnu::noinline]] void write_freed_frame() {
    word_of_freed_frame() = 0;
    while (mm::frames().allocate_frame().ok()) {
    }
}

// What the compiler's checks in debug builds are for.
[[gnu::noinline]] void overflow_number() {
    volatile std::int32_t largest = std::numeric_limits<std::int32_t>::max();
    largest = largest + 1;
}

// By way of a pointer whose object the compiler does not know, so that only the word behind the array tells.
[[gnu::noinline]] void smash_stack() {
    std::array<volatile char, 16> text{};
    volatile char* volatile at = text.data();
    for (std::size_t i = 0; i < text.size() + sizeof(std::uint64_t); ++i) {
        *at = 'x';
        at = at + 1;
    }
}

#ifdef NEURON_DEBUG
// Opens programs' pages to the kernel: the end of this call finds it so.
extern "C" [[gnu::noinline]] void arch_open_user_memory() {
    arch::riscv64::set_csr_bits<arch::riscv64::Csr::Sstatus>(arch::riscv64::sstatus::kSum);
    task::note_section_end(0);
}
#else
void arch_open_user_memory() {}
#endif

constexpr std::array kProvocations{
    Provocation{"sum", &arch_open_user_memory},
    Provocation{"kernel-map", &spoil_kernel_map},
    Provocation{"user-map", &spoil_user_map},
    Provocation{"panic", &fail_check},
    Provocation{"exception", &fail_load},
    Provocation{"lockup", &never_return},
    Provocation{"use-after-free", &read_freed_object},
    Provocation{"use-after-free-frame", &read_freed_frame},
    Provocation{"out-of-bounds", &write_behind_object},
    Provocation{"copy-behind", &copy_behind_object},
    Provocation{"write-after-free", &write_freed_object},
    Provocation{"write-after-free-frame", &write_freed_frame},
    Provocation{"overflow", &overflow_number},
    Provocation{"stack", &smash_stack},
};

const Provocation* find(std::string_view name) {
    const auto* const found = std::ranges::find(kProvocations, name, &Provocation::name);
    return found == kProvocations.end() ? nullptr : found;
}

}  // namespace

bool is_provocation(std::string_view name) {
    return find(name) != nullptr;
}

void provoke_failure() {
    if (const Provocation* const wanted = find(command_line().break_feature); wanted != nullptr) {
        wanted->fail();
    }
}

}  // namespace kernel::init
