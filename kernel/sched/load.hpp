// SPDX-License-Identifier: MIT
// HartLoad: what one hart tells the others about its queue, as plain values. The kernel publishes it so that
// others read it without the hart's lock; a reader may see an old one, so it guides placement and never
// proves anything.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "lib/cpu_mask.hpp"
#include "lib/ids.hpp"
#include "lib/units.hpp"
#include "sched/qos.hpp"
#include "sched/virtual_time.hpp"

namespace kernel::sched {

struct HartLoad {
    static constexpr std::uint8_t kIdle = 0xff;

    std::uint8_t running_class{kIdle};             // effective class index of the running task, or kIdle
    std::uint16_t capacity{kCapacityFull};         // of this hart
    std::uint8_t whole_classes{0};                 // bit i: a task of class i deserves this hart for itself
    std::uint32_t epoch{0};                        // U of two harts compare only in the same frame epoch
    std::uint32_t runnable{0};                     // waiting and running
    Instant at;                                    // when this was true
    CpuMask running_mask;                          // of the running task
    std::array<std::uint32_t, kClasses> weight{};  // sum of task weights, per class
    std::array<std::uint32_t, kClasses> pace{};    // the same of their paces: U advances by service / pace
    std::array<CpuMask, kClasses>
        waiting_mask{};  // union of the masks of the waiting tasks; empty = none waits
    std::array<VirtualTime, kClasses> global{};  // U of the class; where weight is 0, what it was last
    // Of the waiting tasks, meaningful where waiting_mask is not empty:
    std::array<VirtualTime, kClasses> least{};       // the least U
    std::array<std::uint32_t, kClasses> heaviest{};  // the largest weight
    // Of all members, 0 where there is none:
    std::array<std::uint32_t, kClasses> lightest{};

    // U of the class at `now`: the running class has moved on since `at`, however long ago that was.
    [[nodiscard]] constexpr VirtualTime global_at(std::size_t class_index, Instant now) const {
        if (running_class != class_index || weight[class_index] == 0 || now <= at) {
            return global[class_index];
        }
        const auto elapsed = Duration::nanoseconds(std::min((now - at).ns(), kLongestExtrapolation));
        std::uint64_t carry = 0;
        return global[class_index] + advance(elapsed, capacity, pace[class_index], carry);
    }
    // Something waits here that may run on cpu: worth taking the lock and asking RunQueue::find_stealable().
    [[nodiscard]] constexpr bool offers_work_to(CpuId cpu) const {
        for (const auto& mask : waiting_mask) {
            if (mask.contains(cpu)) {
                return true;
            }
        }
        return false;
    }
    // Classes of which a task waits here that may also run on another hart of `online`.
    [[nodiscard]] constexpr bool is_overloaded(std::size_t class_index, CpuId self, CpuMask online) const {
        return waiting_mask[class_index].intersects(online.without(CpuMask::of(self)));
    }

  private:
    static constexpr std::int64_t kLongestExtrapolation = std::int64_t{1} << 39U;  // advance() takes 2^40 ns
};

}  // namespace kernel::sched
