// SPDX-License-Identifier: MIT
#include "task/process.hpp"

#include "arch/contract.hpp"
#include "mm/slab.hpp"
#include "task/process_group.hpp"

namespace kernel::task {

namespace {

constinit mm::ObjectPool<Process> pool;
constinit SpinLock family{LockRank::Process};

}  // namespace

SpinLock& family_lock() {
    return family;
}

void Identity::copy_from(const Identity& parent) {
    const auto copy = [](Ids& to, const Ids& from) {
        to.real.store(from.real.load());
        to.effective.store(from.effective.load());
        to.saved.store(from.saved.load());
    };
    copy(user, parent.user);
    copy(group, parent.group);
    const std::uint32_t count = parent.group_count.load();
    for (std::uint32_t i = 0; i < count; ++i) {
        groups[i].store(parent.groups[i].load());
    }
    group_count.store(count);
}

mm::FileRef program_of(Process& process) {
    const LockGuard guard{family};
    return process.program;
}

void set_program(Process& process, mm::FileRef program) {
    {
        const LockGuard guard{family};
        std::swap(process.program, program);
    }
    // What it was goes without the lock.
}

Usage& Usage::operator+=(const Usage& other) {
    runtime += other.runtime;
    voluntary_switches += other.voluntary_switches;
    involuntary_switches += other.involuntary_switches;
    return *this;
}

Usage SettledUsage::load() const {
    return {.runtime = Duration::nanoseconds(runtime_ns.load(std::memory_order_relaxed)),
            .voluntary_switches = voluntary_switches.load(std::memory_order_relaxed),
            .involuntary_switches = involuntary_switches.load(std::memory_order_relaxed)};
}

void SettledUsage::add(const Usage& usage) {
    runtime_ns.fetch_add(usage.runtime.ns(), std::memory_order_relaxed);
    voluntary_switches.fetch_add(usage.voluntary_switches, std::memory_order_relaxed);
    involuntary_switches.fetch_add(usage.involuntary_switches, std::memory_order_relaxed);
}

Process::~Process() = default;

Result<Ref<Process>> Process::create() {
    Process& process = *TRY(pool.create());
    process.born_ns = arch::now().ns();
    return Ref<Process>::adopt(process);
}

void Process::last_reference_gone(Process& process) {
    pool.destroy(&process);
}

}  // namespace kernel::task
