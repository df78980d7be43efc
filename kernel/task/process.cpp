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

Usage& Usage::operator+=(const Usage& other) {
    runtime += other.runtime;
    voluntary_switches += other.voluntary_switches;
    involuntary_switches += other.involuntary_switches;
    return *this;
}

Usage& Usage::operator-=(const Usage& other) {
    runtime -= other.runtime;
    voluntary_switches -= other.voluntary_switches;
    involuntary_switches -= other.involuntary_switches;
    return *this;
}

void SettledUsage::add(const Usage& usage) {
    runtime_ns.fetch_add(usage.runtime.ns(), std::memory_order_relaxed);
    voluntary_switches.fetch_add(usage.voluntary_switches, std::memory_order_relaxed);
    involuntary_switches.fetch_add(usage.involuntary_switches, std::memory_order_relaxed);
}

Usage SettledUsage::load() const {
    return {.runtime = Duration::nanoseconds(runtime_ns.load(std::memory_order_relaxed)),
            .voluntary_switches = voluntary_switches.load(std::memory_order_relaxed),
            .involuntary_switches = involuntary_switches.load(std::memory_order_relaxed)};
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
