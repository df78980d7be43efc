// SPDX-License-Identifier: MIT
#include "mm/instruction_fence.hpp"

#include "arch/contract.hpp"
#include "lib/cpu_mask.hpp"

namespace kernel::mm {

namespace {

// Harts that have ever run user code. Sequentially consistent: a hart that fence_instructions() does not see
// here has yet to add itself, and drops its cache after that.
constinit AtomicCpuMask user_harts;

}  // namespace

void note_user_hart(CpuId cpu) {
    if (!user_harts.load().contains(cpu)) {
        user_harts.add(cpu);
        arch::remote_fence_i(CpuMask::of(cpu));
    }
}

void fence_instructions() {
    const CpuMask harts = user_harts.load();
    if (!harts.empty()) {
        arch::remote_fence_i(harts);
    }
}

}  // namespace kernel::mm
