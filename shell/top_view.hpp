// SPDX-License-Identifier: MIT
// One picture of top: what happened between two samples. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "system.hpp"
#include "task_list.hpp"

namespace shell {

struct HartSample {
    std::uint32_t cpu{0};
    nexus_abi::sched_hartstat stat{};
};

struct Sample {
    Duration at{};  // since boot
    std::vector<nexus_abi::sched_snapshot_entry> entries;
    std::vector<HartSample> harts;
};

enum class SortKey : std::uint8_t { Cpu, Wait, Time, Pid, Shares, Name };
[[nodiscard]] std::optional<SortKey> parse_sort_key(std::string_view name);

struct ViewOptions {
    SortKey sort{SortKey::Cpu};
    bool is_reversed{false};  // the least first; for Pid and Name the last
    bool by_thread{false};
    std::vector<std::int32_t> pids;  // empty: all
    unsigned rows{0};                // lines at most; 0: no limit
    unsigned columns{0};             // characters of a line at most; 0: no limit
};

// A task of the later sample with what it did since the earlier one.
struct TaskActivity {
    ListedTask task;
    std::uint64_t ran_ns{0};
    std::uint64_t waited_ns{0};
};

// Sorted. A task that the earlier sample lacks did everything in between; so did all of them when there is no
// earlier sample, whose interval began at boot.
[[nodiscard]] std::vector<TaskActivity> activity(const Sample& earlier, const Sample& later,
                                                 const ViewOptions& options);

// The text: a line of totals, a bar per hart, a line per task.
[[nodiscard]] std::string render(const Sample& earlier, const Sample& later, const ViewOptions& options);

}  // namespace shell
