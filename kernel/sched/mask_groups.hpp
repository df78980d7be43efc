// SPDX-License-Identifier: MIT
// MaskGroups: the members of one class queue by affinity mask: how much weight each mask has here. Kept as
// members come and go, in a search of at most kMaxMaskGroups; where all masks are equal the first look finds
// it. Concurrency: guarded by the lock of the hart.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/check.hpp"
#include "lib/cpu_mask.hpp"
#include "sched/rate_table.hpp"

namespace kernel::sched {

class MaskGroups {
  public:
    struct Group {
        CpuMask mask;
        std::uint32_t count{0};
        std::uint32_t weight{0};
    };
    // The last one takes whoever finds no place of its own; its mask means nothing.
    static constexpr std::size_t kRest = kMaxMaskGroups - 1;

    // Answers the place, which the member keeps for leave().
    [[nodiscard]] std::uint8_t join(CpuMask mask, std::uint32_t weight) {
        const std::size_t at = place_of(mask);
        Group& group = groups_[at];
        group.mask = mask;
        used_ += group.count == 0 ? 1 : 0;
        ++group.count;
        group.weight += weight;
        return static_cast<std::uint8_t>(at);
    }
    void leave(std::uint8_t place, std::uint32_t weight) {
        Group& group = groups_[place];
        DCHECK(group.count != 0 && group.weight >= weight);
        --group.count;
        used_ -= group.count == 0 ? 1 : 0;
        group.weight -= weight;
    }
    // join() of another one, then leave() of the only member there is. Answers the place of the other one.
    [[nodiscard]] std::uint8_t replace_only(std::uint8_t place, std::uint32_t weight, CpuMask mask,
                                            std::uint32_t new_weight) {
        Group& group = groups_[place];
        DCHECK(used_ == 1 && group.count == 1 && group.weight == weight);
        if (group.mask == mask && place != kRest) [[likely]] {
            group.weight = new_weight;
            return place;
        }
        const std::uint8_t other = join(mask, new_weight);
        leave(place, weight);
        return other;
    }
    [[nodiscard]] const std::array<Group, kMaxMaskGroups>& all() const { return groups_; }

  private:
    // Where the mask is, or the first free place, or kRest. Looks no further than there are masks.
    [[nodiscard]] std::size_t place_of(CpuMask mask) const {
        std::size_t free = kRest;
        std::uint32_t left = used_;
        for (std::size_t i = 0; i < kRest; ++i) {
            if (groups_[i].count == 0) {
                free = free == kRest ? i : free;
                if (left == 0) {
                    break;
                }
            } else if (groups_[i].mask == mask) {
                return i;
            } else {
                --left;
            }
        }
        return free;
    }

    std::uint32_t used_{0};  // places with members, kRest among them
    std::array<Group, kMaxMaskGroups> groups_{};
};

}  // namespace kernel::sched
