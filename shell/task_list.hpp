// SPDX-License-Identifier: MIT
// The tasks of a snapshot as ps and top list them: one line per thread, or per process with its threads added
// up. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "nexus_abi/sched.hpp"

namespace shell {

struct ListedTask {
    std::int32_t pid{0};
    std::int32_t tid{0};
    std::int32_t parent{0};
    std::uint32_t state{0};  // of a process the liveliest of its threads'
    std::uint32_t cpu{0};
    std::uint32_t qos_class{0};
    std::uint32_t effective_class{0};
    std::uint32_t shares{0};
    std::uint64_t affinity{0};
    std::uint64_t runtime_ns{0};
    std::uint64_t wait_ns{0};
    std::string name;
    std::size_t threads{1};
};

// In the order of pids, then tids.
[[nodiscard]] std::vector<ListedTask> list_tasks(std::span<const nexus_abi::sched_snapshot_entry> entries,
                                                 bool by_thread);

// "1,7,9"; nullopt: one of them is no pid.
[[nodiscard]] std::optional<std::vector<std::int32_t>> parse_pids(const std::string& list);

}  // namespace shell
