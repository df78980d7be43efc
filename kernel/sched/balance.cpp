// SPDX-License-Identifier: MIT
#include "sched/balance.hpp"

namespace kernel::sched {

CpuMask MachineBalance::overloaded() const {
    CpuMask any;
    for (std::size_t i = 0; i < kClasses; ++i) {
        any = any | overloaded(i);
    }
    return any;
}

void MachineBalance::note_load(CpuId cpu, const HartLoad& load, CpuMask online) {
    for (std::size_t i = 0; i < kClasses; ++i) {
        const bool is_now = load.is_overloaded(i, cpu, online);
        if (is_now != overloaded(i).contains(cpu)) {
            is_now ? overloaded_[i].add(cpu) : overloaded_[i].remove(cpu);
        }
    }
}

void MachineBalance::forget(CpuId cpu) {
    for (AtomicCpuMask& mask : overloaded_) {
        mask.remove(cpu);
    }
}

bool MachineBalance::try_begin_compression(Instant now) {
    const auto time = static_cast<std::uint64_t>(now.ns());
    std::uint64_t due = next_compression_ns_.load(std::memory_order_relaxed);
    return time >= due && next_compression_ns_.compare_exchange_strong(
                              due, time + static_cast<std::uint64_t>(kCompressSpacing.ns()));
}

}  // namespace kernel::sched
