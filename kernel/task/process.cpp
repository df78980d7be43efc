// SPDX-License-Identifier: MIT
#include "task/process.hpp"

#include "mm/slab.hpp"

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

Result<Ref<Process>> Process::create() {
    return Ref<Process>::adopt(*TRY(pool.create()));
}

void Process::last_reference_gone(Process& process) {
    pool.destroy(&process);
}

}  // namespace kernel::task
