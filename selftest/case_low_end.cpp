// SPDX-License-Identifier: MIT
// Proves: small shares are as exact as large ones. Three processes pinned to one CPU with shares 10, 50 and
// 100; each must get its part (water-filling: 1/16, 5/16, 10/16) within 15 %, by work and by charge. A
// scheduler that maps shares to a handful of slice lengths gives all three the same. The burst hint of 1 ms
// makes requests short: the smallest part, 37 ms of 600, is then 37 requests, and the lag bound of one
// request is 3 % of it.
#include <array>
#include <chrono>

#include "cases.hpp"
#include "fleet.hpp"
#include "water_fill.hpp"

namespace selftest {

Result<Verdict> case_low_end(const Machine& machine) {
    using namespace std::chrono_literals;
    constexpr std::array<std::uint32_t, 3> kShares{10, 50, 100};
    constexpr std::uint64_t kRequestNs = 1'000'000;
    constexpr double kTolerance = 0.15;
    Fleet fleet{machine};
    const Schedule schedule = Schedule::one_window(kShares.size(), 40ms, 600ms);
    std::vector<Demand> demands;
    for (const std::uint32_t shares : kShares) {
        nexus_abi::sched_attr attr = attributes(nexus_abi::QosClass::Normal, shares, machine.test_mask());
        attr.fields |= nexus_abi::kFieldBurst;
        attr.burst_ns = kRequestNs;
        TRY(fleet.start(schedule.spin(), attr));
        demands.push_back({static_cast<double>(shares), 1});
    }
    const Observation at_a = TRY(fleet.observe(schedule.a));
    const Observation at_b = TRY(fleet.observe(schedule.b));
    const std::vector<Report> reports = TRY(fleet.reports());
    if (const auto late = late_start(reports)) {
        return *late;
    }
    return judge_split(window_between(machine, at_a, at_b, reports, false), water_fill(1, demands),
                       kTolerance);
}

}  // namespace selftest
