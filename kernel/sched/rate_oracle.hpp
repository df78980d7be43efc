// SPDX-License-Identifier: MIT
// RateOracle: what rate each affinity mask of one class deserves on the whole machine: weighted max-min
// fairness over harts and masks, where a task can use at most one hart. The tasks with the least rate per
// weight are those whose harts are wanted most: a maximum flow says whether a rate per weight (a level) can
// be served, a minimum cut names the masks and harts that make it impossible, and their level is fixed when
// it can (discrete Newton steps; Radzik, "Parametric flows, weighted means of cuts", 1993).
//
// Integer arithmetic in units of 2^-20 of a hart, errors of a few units per task. Pure; no allocation; no
// division wider than 64 bits. Work is done in pieces: step() does a bounded part of it, as a kernel entry
// may not take long. Concurrency: one owner.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/cpu_mask.hpp"
#include "lib/ids.hpp"
#include "sched/rate_table.hpp"

namespace kernel::sched {

class RateOracle {
  public:
    static constexpr std::uint32_t kHart = std::uint32_t{1} << 20U;  // a whole hart
    static constexpr std::size_t kMaxHeavies = 64;
    static constexpr std::uint32_t kWorkPerStep = 2048;  // flow edges looked at

    // A new problem over these harts, with nobody on them.
    void begin(CpuMask harts);
    // What of a hart the class can use: 1..kHart. Pre: cpu is one of the harts.
    void set_capacity(CpuId cpu, std::uint32_t capacity) { capacity_[cpu.value()] = capacity; }
    // Members of this mask that weigh so much together, none of them too heavy for one hart. Masks without a
    // hart are ignored.
    void add(CpuMask mask, std::uint64_t weight);
    // One member that may be too heavy for one hart. Beyond kMaxHeavies it is added as the others are.
    void add_heavy(CpuMask mask, std::uint32_t weight);

    // True when the table is complete. Pre: after begin(), until it answers true.
    [[nodiscard]] bool step();
    // Pre: step() answered true. The generation is left 0 where paces are the weights.
    [[nodiscard]] const RateTable& table() const { return table_; }

  private:
    struct Group {
        CpuMask mask;
        CpuMask open;             // its harts that were not given to a lower level
        std::uint64_t weight{0};  // of the divisible members
        std::uint64_t demand{0};  // at the present level
        std::uint64_t routed{0};
        std::uint64_t level_num{0};  // once fixed: units of a hart per weight
        std::uint64_t level_den{1};
        bool is_fixed{false};
    };
    struct Heavy {
        std::uint32_t weight{0};
        std::uint32_t group{0};
    };
    enum class Phase : std::uint8_t { Level, Flow, Done };
    using GroupSet = std::uint32_t;  // one bit each
    static_assert(kMaxRateGroups <= 32);

    [[nodiscard]] std::uint32_t group_of(CpuMask mask);
    [[nodiscard]] bool is_tried(std::uint32_t group) const { return ((tried_ >> group) & 1U) != 0; }
    [[nodiscard]] std::uint64_t rate_of(std::uint64_t weight) const { return weight * num_ / den_; }
    void begin_level();
    void begin_flow();
    bool route_more();
    void follow_path(std::uint32_t hart, const std::array<std::uint8_t, kMaxCpus>& via_group,
                     const std::array<std::uint8_t, kMaxRateGroups>& via_hart, GroupSet sources);
    void fix_tried();
    void complete();

    CpuMask harts_;
    std::uint32_t limit_{0};  // what one task can use: the largest capacity
    std::array<std::uint32_t, kMaxCpus> capacity_{};
    std::array<std::uint32_t, kMaxCpus> used_{};
    std::array<Group, kMaxRateGroups> groups_{};
    std::array<Heavy, kMaxHeavies> heavies_{};  // the heaviest first
    std::array<std::array<std::uint32_t, kMaxCpus>, kMaxRateGroups> flow_{};
    std::uint32_t group_count_{0};
    std::uint32_t heavy_count_{0};
    std::uint32_t work_{0};
    GroupSet tried_{0};  // the groups of the present level
    std::uint64_t num_{0};
    std::uint64_t den_{1};
    bool has_limited_{false};  // somebody gets a whole hart
    bool has_shared_{false};   // somebody shares one
    Phase phase_{Phase::Done};
    RateTable table_;
};

}  // namespace kernel::sched
