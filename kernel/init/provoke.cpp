// SPDX-License-Identifier: MIT
#include "init/provoke.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#include "arch/contract.hpp"
#include "arch/riscv64/csr.hpp"
#include "init/boot.hpp"
#include "init/panic.hpp"
#include "mm/kernel_map.hpp"
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
    Provocation{"sum", &arch_open_user_memory}, Provocation{"kernel-map", &spoil_kernel_map},
    Provocation{"user-map", &spoil_user_map},   Provocation{"panic", &fail_check},
    Provocation{"exception", &fail_load},       Provocation{"lockup", &never_return},
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
