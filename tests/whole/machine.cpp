// SPDX-License-Identifier: MIT
#include "machine.hpp"

#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "arch/contract.hpp"
#include "arch/riscv64/cpu.hpp"
#include "lib/check.hpp"
#include "lib/log.hpp"
#include "mm/frames.hpp"
#include "mm/kernel_map.hpp"
#include "syscall/dispatch.hpp"
#include "task/dispatcher.hpp"
#include "task/hart.hpp"

namespace kernel::whole {

namespace {

constexpr PhysAddr kRamBase{0x8000'0000};
constexpr std::uint64_t kRamBytes = std::uint64_t{32} << 20;
constexpr std::size_t kRamAlignment = std::size_t{2} << 20;
constexpr std::uint64_t kImageBytes = std::uint64_t{1} << 20;
constexpr std::uint64_t kSegmentBytes = kImageBytes / 4;
constexpr std::int64_t kReadingNs = 20;  // what reading the clock takes
// A test that has the harts do more than this has sent them in circles.
constexpr std::uint32_t kStepsMax = 1'000'000;

constexpr std::size_t kStackBytes = 512 << 10;  // of a hart: what the kernel takes when it is not optimised

struct Hart {
    ucontext_t context{};
    const arch::TrapFrame* in_user{nullptr};  // what it shows of its task in user mode; null in the kernel
    bool has_started{false};
    bool software{false};
    Instant timer{Instant::never()};
    arch::FpState fp{};
    bool fp_is_dirty{false};
};

std::array<Hart, kHarts> harts;
std::int64_t time_ns = 1'000'000;
std::byte* ram = nullptr;
std::uint32_t this_cpu = 0;
ucontext_t test_context;
void (*first_boot)() = nullptr;

Hart& this_hart() {
    return harts[this_cpu];
}

bool is_interrupted(const Hart& hart) {
    return hart.software || hart.timer <= now();
}

bool has_work(const Hart& hart) {
    return !hart.has_started || is_interrupted(hart) ||
           (hart.in_user != nullptr && hart.in_user->pc == kCallPc);
}

void hand_back(Hart& hart) {
    CHECK(swapcontext(&hart.context, &test_context) == 0);
}

void go_on(Hart& hart) {
    this_cpu = static_cast<std::uint32_t>(&hart - harts.data());
    CHECK(swapcontext(&test_context, &hart.context) == 0);
    this_cpu = 0;
}

void take_interrupts() {
    const std::uint64_t pending = arch::pending_interrupts();
    if ((pending & arch::kPendingSoftware) != 0) {
        task::handle_ipi();
    }
    if ((pending & arch::kPendingTimer) != 0) {
        task::handle_timer_interrupt();
    }
}

void live() {
    Hart& hart = this_hart();
    hart.has_started = true;
    task::hart_online();
    if (this_cpu == 0) {
        first_boot();
    }
    while (true) {
        const arch::TrapFrame* const frame = task::exit_to_user();
        hart.in_user = frame;
        while (!has_work(hart)) {
            hand_back(hart);
        }
        hart.in_user = nullptr;
        if (is_interrupted(hart)) {
            take_interrupts();
        } else {
            task::note_section_start();
            syscall::handle_syscall(task::current_task());
            task::note_section_end(frame->syscall_number());
        }
    }
}

void set_up_memory() {
    ram = static_cast<std::byte*>(std::aligned_alloc(kRamAlignment, kRamBytes));
    const std::array free{mm::PhysRange{kRamBase + kImageBytes, kRamBytes - kImageBytes}};
    CHECK(mm::frames().init(free) == 0);
    const std::array all{mm::PhysRange{kRamBase, kRamBytes}};
    const mm::KernelMapDescription description{
        .text = {mm::kImageBase, kRamBase, kSegmentBytes},
        .rodata = {mm::kImageBase + kSegmentBytes, kRamBase + kSegmentBytes, kSegmentBytes},
        .data = {mm::kImageBase + 2 * kSegmentBytes, kRamBase + 2 * kSegmentBytes, 2 * kSegmentBytes},
        .ram = all,
    };
    CHECK(mm::kernel_map().build(description).ok());
    CHECK(!mm::kernel_map().audit().has_value());
}

}  // namespace

Instant now() {
    return Instant::from_ns(time_ns);
}

void power_on(void (*boot)()) {
    set_up_memory();
    const CpuMask cpus = CpuMask::first(kHarts);
    for (std::uint32_t i = 0; i < kMaxCpus; ++i) {
        arch::cpu_locals[i].cpu = CpuId{i};
        arch::cpu_locals[i].hart = HartId{i};
    }
    task::set_possible_cpus(cpus);
    std::array<std::uint32_t, kMaxCpus> capacities{};
    cpus.for_each([&](CpuId cpu) {
        capacities[cpu.value()] = 1024;
        task::configure_hart(cpu, capacities[cpu.value()], {});
    });
    task::set_machine_shape(sched::MachineShape::of(capacities));
    first_boot = boot;
    for (Hart& hart : harts) {
        CHECK(getcontext(&hart.context) == 0);
        hart.context.uc_stack.ss_sp = std::malloc(kStackBytes);  // for ever
        hart.context.uc_stack.ss_size = kStackBytes;
        makecontext(&hart.context, &live, 0);
    }
    run_harts();
}

void run_harts() {
    bool moved = true;
    for (std::uint32_t steps = 0; moved; ++steps) {
        CHECK(steps < kStepsMax);
        moved = false;
        for (Hart& hart : harts) {
            if (has_work(hart)) {
                moved = true;
                go_on(hart);
            }
        }
    }
}

namespace {

Instant next_timer() {
    Instant next = Instant::never();
    for (const Hart& hart : harts) {
        next = min(next, hart.timer);
    }
    return next;
}

}  // namespace

bool pass_to_next_timer() {
    run_harts();
    const Instant next = next_timer();
    if (next.is_never()) {
        return false;
    }
    time_ns = std::max(time_ns, next.ns());
    run_harts();
    return true;
}

void pass(Duration time) {
    const Instant end = now() + time;
    run_harts();
    while (next_timer() <= end) {
        pass_to_next_timer();
    }
    time_ns = std::max(time_ns, end.ns());
    run_harts();
}

std::uint32_t hart_of(const task::Task& task) {
    for (std::uint32_t i = 0; i < kHarts; ++i) {
        if (harts[i].in_user == &task.frame) {
            return i;
        }
    }
    return kHarts;
}

void write_fp(std::uint32_t hart, std::uint32_t reg, std::uint64_t value) {
    harts[hart].fp.f[reg] = value;
    harts[hart].fp_is_dirty = true;
}
std::uint64_t read_fp(std::uint32_t hart, std::uint32_t reg) {
    return harts[hart].fp.f[reg];
}

Outside& outside() {
    static Outside the_outside;
    return the_outside;
}

}  // namespace kernel::whole

namespace kernel::arch {

using whole::this_hart;

std::array<CpuLocal, kMaxCpus> cpu_locals;
CpuLocal& cpu_local() {
    return cpu_locals[whole::this_cpu];
}
CpuId current_cpu() {
    return CpuId{whole::this_cpu};
}
void cpu_relax() {
    whole::time_ns += whole::kReadingNs;
}
Instant now() {
    whole::time_ns += whole::kReadingNs;
    return whole::now();
}
std::uint64_t read_ticks() {
    return static_cast<std::uint64_t>(now().ns());
}
std::uint64_t ticks_to_ns(std::uint64_t ticks) {
    return ticks;
}
void set_timer(Instant when) {
    this_hart().timer = when;
}
void send_ipi(CpuMask cpus) {
    cpus.for_each([](CpuId cpu) { whole::harts[cpu.value()].software = true; });
}
void acknowledge_ipi() {
    this_hart().software = false;
}
std::uint64_t pending_interrupts() {
    const whole::Hart& hart = this_hart();
    return (hart.software ? kPendingSoftware : 0) | (hart.timer <= whole::now() ? kPendingTimer : 0);
}
void wait_for_interrupt() {
    while (!whole::is_interrupted(this_hart())) {
        whole::hand_back(this_hart());
    }
}
// The other harts do nothing meanwhile.
void rest_until(Instant when) {
    set_timer(when);
    whole::time_ns = std::max(whole::time_ns, when.ns());
}
bool can_touch_user_pages() {
    return false;
}
bool fp_is_dirty() {
    return this_hart().fp_is_dirty;
}
void fp_set_clean() {
    this_hart().fp_is_dirty = false;
}
extern "C" void arch_save_fp(FpState* state) {
    *state = this_hart().fp;
}
extern "C" void arch_restore_fp(const FpState* state) {
    this_hart().fp = *state;
}

void zero_page(void* page) {
    std::memset(page, 0, mm::kPageSize);
}
void copy_page(void* __restrict to, const void* __restrict from) {
    std::memcpy(to, from, mm::kPageSize);
}
// No hart remembers a translation or an instruction.
void remote_fence_i(CpuMask) {}
void flush_tlb(CpuMask, VirtAddr, std::uint64_t, std::uint16_t) {}
void switch_address_space(PhysAddr, std::uint16_t) {}
std::uint64_t physmap_base() {
    return reinterpret_cast<std::uint64_t>(whole::ram) - whole::kRamBase.value();
}

}  // namespace kernel::arch

namespace kernel::log {

void emit(Level, std::string_view text) {
    whole::outside().log.emplace_back(text);
}
void emit_marker(std::string_view text) {
    whole::outside().log.emplace_back(text);
}

}  // namespace kernel::log
