// SPDX-License-Identifier: MIT
// Keeping instruction caches honest (RISC-V Unprivileged Architecture, "Zifencei"): before a page that was
// just written can be executed, every hart that runs user code does a fence.i. Concurrency: atomic.
#pragma once

#include "lib/ids.hpp"

namespace kernel::mm {

// The calling hart is about to run user code; the first time it drops what its instruction cache may hold.
void note_user_hart(CpuId cpu);
// What the caller has stored is what every hart fetches from now on. Pre: the page is not yet executable
// anywhere.
void fence_instructions();

}  // namespace kernel::mm
