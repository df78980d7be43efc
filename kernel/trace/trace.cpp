// SPDX-License-Identifier: MIT
#include "trace/trace.hpp"

#include <algorithm>
#include <array>

#include "arch/contract.hpp"

namespace kernel::trace {

namespace {

constinit std::atomic<std::int64_t> began_ns{0};

}  // namespace

constinit Switches switches{};
constinit std::array<CpuRing, kMaxCpus> rings{};

void write_at(Instant at, Kind kind, std::uint32_t task, std::uint32_t value) {
    put(at, kind, task, value);
}

void write(Kind kind, std::uint32_t task, std::uint32_t value) {
    put(arch::now(), kind, task, value);
}

void write_name(std::uint32_t task, std::span<const char> name) {
    if (!is_on(category_of(Kind::Name0))) [[likely]] {
        return;
    }
    const Instant now = arch::now();
    constexpr std::array kParts{Kind::Name0, Kind::Name1, Kind::Name2, Kind::Name3};
    std::size_t at = 0;
    for (const Kind part : kParts) {
        std::uint32_t value = 0;
        for (std::uint32_t byte = 0; byte < 4 && at < name.size() && name[at] != '\0'; ++byte, ++at) {
            value |= std::uint32_t{static_cast<unsigned char>(name[at])} << 8U * byte;
        }
        write_at(now, part, task, value);
    }
}

Ring& ring_of(CpuId cpu) {
    return rings[cpu.value()].ring;
}

void provide(CpuId cpu, std::span<Ring::Slot> slots) {
    Ring& ring = ring_of(cpu);
    ring.provide(slots);
#ifdef __riscv
    std::atomic_ref<void*>{arch::cpu_locals[cpu.value()].trace}.store(slots.empty() ? nullptr : &ring,
                                                                      std::memory_order_release);
#endif
}

std::uint32_t switch_to(std::uint32_t wanted) {
    if (wanted != 0) {
        began_ns.store(arch::now().ns(), std::memory_order_relaxed);
    }
    const std::uint32_t before = switches.bits.exchange(wanted, std::memory_order_acq_rel);
    for (std::size_t i = 0; i < kCategories; ++i) {
        switches.on[i].store((wanted >> i & 1U) != 0, std::memory_order_release);
    }
    switches.calls_alone.store(
        (wanted & nexus_abi::kTraceCalls) != 0 && (wanted & nexus_abi::kTraceSched) == 0,
        std::memory_order_release);
#ifdef __riscv
    for (arch::CpuLocal& local : arch::cpu_locals) {
        void* const ring = std::atomic_ref<void*>{local.trace}.load(std::memory_order_acquire);
        std::atomic_ref<void*>{local.traced}.store((wanted & nexus_abi::kTraceSched) != 0 ? ring : nullptr,
                                                   std::memory_order_release);
    }
#endif
    if (wanted != 0) {
        write(Kind::Began, 0, wanted);
    }
    return before;
}

Instant began() {
    return Instant::from_ns(began_ns.load(std::memory_order_relaxed));
}

}  // namespace kernel::trace
