// SPDX-License-Identifier: MIT
// HartLoad: what one hart tells the others about its queue, as plain values. The kernel publishes it so that
// others read it without the hart's lock; a reader may see an old one, so it guides placement and never
// proves anything.
#pragma once

#include <array>
#include <cstdint>

#include "lib/cpu_mask.hpp"
#include "sched/qos.hpp"
#include "sched/virtual_time.hpp"

namespace kernel::sched {

struct HartLoad {
    static constexpr std::uint8_t kIdle = 0xff;

    std::uint8_t running_class{kIdle};             // effective class index of the running task, or kIdle
    std::uint32_t runnable{0};                     // waiting and running
    std::array<std::uint32_t, kClasses> weight{};  // sum of task weights, per class
    std::array<CpuMask, kClasses>
        waiting_mask{};  // union of the masks of the waiting tasks; empty = none waits
    std::array<VirtualTime, kClasses> global{};  // U of the class; meaningful where weight is not 0

    [[nodiscard]] constexpr bool is_idle() const { return running_class == kIdle && runnable == 0; }
    // Something waits here that may run on cpu: worth taking the lock and asking RunQueue::find_stealable().
    [[nodiscard]] constexpr bool offers_work_to(CpuId cpu) const {
        for (const auto& mask : waiting_mask) {
            if (mask.contains(cpu)) {
                return true;
            }
        }
        return false;
    }
};

}  // namespace kernel::sched
