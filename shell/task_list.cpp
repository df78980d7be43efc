// SPDX-License-Identifier: MIT
#include "task_list.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "notation.hpp"

namespace shell {
namespace {

ListedTask listed(const nexus_abi::sched_snapshot_entry& entry) {
    return {.pid = static_cast<std::int32_t>(entry.pid),
            .tid = static_cast<std::int32_t>(entry.tid),
            .parent = static_cast<std::int32_t>(entry.parent),
            .state = entry.state,
            .cpu = entry.cpu,
            .qos_class = entry.qos_class,
            .effective_class = entry.effective_class,
            .shares = entry.shares,
            .affinity = entry.affinity,
            .runtime_ns = entry.runtime_ns,
            .wait_ns = entry.wait_ns,
            .name = name_of(entry)};
}

// By TaskState.
unsigned liveliness(std::uint32_t state) {
    constexpr std::array<unsigned, 6> kRanks{1, 4, 5, 3, 0, 2};
    return state < kRanks.size() ? kRanks[state] : 0;
}

void add_thread(ListedTask& process, const ListedTask& thread) {
    process.runtime_ns += thread.runtime_ns;
    process.wait_ns += thread.wait_ns;
    ++process.threads;
    if (liveliness(thread.state) > liveliness(process.state)) {
        process.state = thread.state;
        process.cpu = thread.cpu;
    }
}

}  // namespace

std::vector<ListedTask> list_tasks(std::span<const nexus_abi::sched_snapshot_entry> entries, bool by_thread) {
    std::vector<ListedTask> tasks;
    for (const auto& entry : entries) {
        tasks.push_back(listed(entry));
    }
    // The first of a process is the one it is named after, if that still lives: it has the lowest tid.
    std::ranges::stable_sort(tasks, {}, [](const ListedTask& task) { return std::pair{task.pid, task.tid}; });
    if (by_thread) {
        return tasks;
    }
    std::vector<ListedTask> processes;
    for (ListedTask& task : tasks) {
        if (!processes.empty() && processes.back().pid == task.pid) {
            add_thread(processes.back(), task);
        } else {
            processes.push_back(std::move(task));
        }
    }
    return processes;
}

std::optional<std::vector<std::int32_t>> parse_pids(const std::string& list) {
    std::vector<std::int32_t> pids;
    for (std::size_t from = 0; from <= list.size();) {
        const std::size_t comma = std::min(list.find(',', from), list.size());
        const auto pid = parse_pid(std::string_view{list}.substr(from, comma - from));
        if (!pid) {
            return std::nullopt;
        }
        pids.push_back(*pid);
        from = comma + 1;
    }
    return pids;
}

}  // namespace shell
