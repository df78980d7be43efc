// SPDX-License-Identifier: MIT
#include "arch/host/host_machine.hpp"

#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>

#include "arch/contract.hpp"
#include "lib/check.hpp"

namespace kernel::arch {

namespace {

struct FreeMemory {
    void operator()(std::byte* memory) const { std::free(memory); }
};

struct Machine {
    std::mutex mutex;
    Instant now;
    std::array<Instant, kMaxCpus> timers;
    std::vector<CpuMask> ipis;
    std::vector<CpuMask> fences;
    std::vector<host::TlbFlush> flushes;
    std::vector<host::AddressSpaceSwitch> switches;
    void (*flush_observer)(const host::TlbFlush&){nullptr};
    std::unique_ptr<std::byte, FreeMemory> ram;

    Machine() { timers.fill(Instant::never()); }
};

Machine& machine() {
    static Machine the_machine;
    return the_machine;
}

thread_local CpuId this_cpu{0};
// Read on every phys_to_virt(), hence outside the mutex; set before a test starts its threads.
std::uint64_t ram_at_physical_zero = 0;

}  // namespace

CpuId current_cpu() {
    return this_cpu;
}

// Another thread may share our core and hold what we wait for.
bool can_touch_user_pages() {
    return false;
}

void cpu_relax() {
    std::this_thread::yield();
}

Instant now() {
    const std::scoped_lock lock{machine().mutex};
    return machine().now;
}

void set_timer(Instant when) {
    const std::scoped_lock lock{machine().mutex};
    machine().timers[this_cpu.value()] = when;
}

void send_ipi(CpuMask cpus) {
    const std::scoped_lock lock{machine().mutex};
    machine().ipis.push_back(cpus);
}

void remote_fence_i(CpuMask cpus) {
    const std::scoped_lock lock{machine().mutex};
    machine().fences.push_back(cpus);
}

void flush_tlb(CpuMask cpus, VirtAddr start, std::uint64_t bytes, std::uint16_t asid) {
    const host::TlbFlush flush{cpus, start, bytes, asid};
    void (*observer)(const host::TlbFlush&) = nullptr;
    {
        const std::scoped_lock lock{machine().mutex};
        machine().flushes.push_back(flush);
        observer = machine().flush_observer;
    }
    if (observer != nullptr) {
        observer(flush);
    }
}

std::uint64_t physmap_base() {
    return ram_at_physical_zero;
}

void zero_page(void* page) {
    std::memset(page, 0, 4096);
}

void copy_page(void* __restrict to, const void* __restrict from) {
    std::memcpy(to, from, 4096);
}

void switch_address_space(PhysAddr root, std::uint16_t asid) {
    const std::scoped_lock lock{machine().mutex};
    machine().switches.push_back({this_cpu, root, asid});
}

namespace host {

void set_current_cpu(CpuId cpu) {
    CHECK(cpu.value() < kMaxCpus);
    this_cpu = cpu;
}

void set_now(Instant instant) {
    const std::scoped_lock lock{machine().mutex};
    machine().now = instant;
}

void advance(Duration step) {
    const std::scoped_lock lock{machine().mutex};
    machine().now += step;
}

Instant timer_of(CpuId cpu) {
    const std::scoped_lock lock{machine().mutex};
    return machine().timers[cpu.value()];
}

std::vector<CpuMask> sent_ipis() {
    const std::scoped_lock lock{machine().mutex};
    return machine().ipis;
}

std::vector<CpuMask> instruction_fences() {
    const std::scoped_lock lock{machine().mutex};
    return machine().fences;
}

std::vector<TlbFlush> tlb_flushes() {
    const std::scoped_lock lock{machine().mutex};
    return machine().flushes;
}

std::vector<AddressSpaceSwitch> address_space_switches() {
    const std::scoped_lock lock{machine().mutex};
    return machine().switches;
}

void set_flush_observer(void (*observer)(const TlbFlush&)) {
    const std::scoped_lock lock{machine().mutex};
    machine().flush_observer = observer;
}

void reset() {
    const std::scoped_lock lock{machine().mutex};
    machine().now = Instant{};
    machine().timers.fill(Instant::never());
    machine().ipis.clear();
    machine().fences.clear();
    machine().flushes.clear();
    machine().switches.clear();
    machine().flush_observer = nullptr;
}

void set_ram(std::uint64_t bytes) {
    constexpr std::uint64_t kAlignment = std::uint64_t{2} << 20;
    const std::uint64_t size = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(kAlignment, size));
    CHECK(memory != nullptr);
    std::memset(memory, 0, size);
    const std::scoped_lock lock{machine().mutex};
    machine().ram.reset(memory);
    ram_at_physical_zero = reinterpret_cast<std::uint64_t>(memory) - kRamBase.value();
}

}  // namespace host

}  // namespace kernel::arch
