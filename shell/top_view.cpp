// SPDX-License-Identifier: MIT
#include "top_view.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <utility>

#include "console.hpp"
#include "notation.hpp"
#include "table.hpp"

namespace shell {
namespace {

constexpr std::array<std::pair<std::string_view, SortKey>, 6> kSortKeys{{
    {"cpu", SortKey::Cpu},
    {"wait", SortKey::Wait},
    {"time", SortKey::Time},
    {"pid", SortKey::Pid},
    {"shares", SortKey::Shares},
    {"name", SortKey::Name},
}};
constexpr unsigned kBarCells = 30;

std::uint64_t since(std::uint64_t later, std::uint64_t earlier) {
    return later > earlier ? later - earlier : 0;
}

double percent(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

bool comes_before(const TaskActivity& a, const TaskActivity& b, SortKey key) {
    switch (key) {
        case SortKey::Cpu:
            return a.ran_ns > b.ran_ns;
        case SortKey::Wait:
            return a.waited_ns > b.waited_ns;
        case SortKey::Time:
            return a.task.runtime_ns > b.task.runtime_ns;
        case SortKey::Pid:
            return std::pair{a.task.pid, a.task.tid} < std::pair{b.task.pid, b.task.tid};
        case SortKey::Shares:
            return a.task.shares > b.task.shares;
        case SortKey::Name:
            return a.task.name < b.task.name;
    }
    return false;
}

std::uint64_t interval_ns(const Sample& earlier, const Sample& later) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>((later.at - earlier.at).count(), 0));
}

std::string totals(const Sample& earlier, const Sample& later) {
    std::size_t running = 0;
    std::size_t processes = 0;
    for (const auto& entry : later.entries) {
        const auto state = static_cast<nexus_abi::TaskState>(entry.state);
        running += state == nexus_abi::TaskState::Running || state == nexus_abi::TaskState::Queued ? 1 : 0;
        processes += entry.tid == entry.pid ? 1 : 0;
    }
    const auto up = std::chrono::duration_cast<std::chrono::seconds>(later.at).count();
    const std::uint64_t interval = interval_ns(earlier, later);
    return user::format("top - up %lld:%02lld, %zu processes, %zu threads, %zu runnable; %s %.1fs\n",
                        static_cast<long long>(up / 60), static_cast<long long>(up % 60), processes,
                        later.entries.size(), running, earlier.at == Duration{} ? "since boot" : "last",
                        static_cast<double>(interval) / 1e9);
}

// "cpu0 [||||||          ]  38.2%  12 switches/s"
std::string hart_line(const HartSample& before, const HartSample& now, std::uint64_t interval) {
    const auto& stat = now.stat;
    if (stat.online == 0) {
        return user::format("cpu%-3u offline\n", now.cpu);
    }
    // Of what was charged, not of the interval: the two readings of a hart are not at the sample's instant.
    const std::uint64_t busy = since(stat.busy_ns, before.stat.busy_ns);
    const std::uint64_t all = busy + since(stat.idle_ns, before.stat.idle_ns);
    const double part = percent(busy, all);
    const auto cells = std::min(kBarCells, static_cast<unsigned>(std::lround(part * kBarCells / 100)));
    const double seconds = static_cast<double>(interval) / 1e9;
    const auto rate = [&](std::uint64_t later_count, std::uint64_t earlier_count) {
        return seconds == 0 ? 0 : static_cast<double>(since(later_count, earlier_count)) / seconds;
    };
    return user::format("cpu%-3u[%s%s] %5.1f%% %2llu ready %7.0f switches/s %5.0f steals/s\n", now.cpu,
                        std::string(cells, '|').c_str(), std::string(kBarCells - cells, ' ').c_str(), part,
                        static_cast<unsigned long long>(stat.nr_runnable),
                        rate(stat.nr_switches, before.stat.nr_switches),
                        rate(stat.nr_steals, before.stat.nr_steals));
}

std::string harts(const Sample& earlier, const Sample& later) {
    std::string text;
    for (const HartSample& now : later.harts) {
        const auto before = std::ranges::find(earlier.harts, now.cpu, &HartSample::cpu);
        text += hart_line(before == earlier.harts.end() ? HartSample{} : *before, now,
                          interval_ns(earlier, later));
    }
    return text;
}

std::string task_table(const std::vector<TaskActivity>& tasks, std::uint64_t interval, bool by_thread) {
    std::vector<Column> columns{{"PID"}};
    if (by_thread) {
        columns.push_back({"TID"});
    }
    for (const Column& column : std::initializer_list<Column>{{"S", Align::Left},
                                                              {"CLASS", Align::Left},
                                                              {"SHARES"},
                                                              {"CPU"},
                                                              {"MASK"},
                                                              {"%CPU"},
                                                              {"%WAIT"},
                                                              {"TIME"},
                                                              {"COMMAND", Align::Left}}) {
        columns.push_back(column);
    }
    Table table{std::move(columns)};
    for (const auto& [task, ran_ns, waited_ns] : tasks) {
        std::vector<std::string> cells{std::to_string(task.pid)};
        if (by_thread) {
            cells.push_back(std::to_string(task.tid));
        }
        for (const std::string& cell :
             {std::string(1, state_letter(task.state)), std::string{class_name(task.effective_class)},
              std::to_string(task.shares), std::to_string(task.cpu), format_hex(task.affinity),
              user::format("%.1f", percent(ran_ns, interval)),
              user::format("%.1f", percent(waited_ns, interval)), format_cpu_time(task.runtime_ns),
              task.name}) {
            cells.push_back(cell);
        }
        table.add(std::move(cells));
    }
    return table.text();
}

// Within the screen.
std::string clip(std::string_view text, const ViewOptions& options) {
    std::string clipped;
    for (unsigned row = 0; !text.empty() && (options.rows == 0 || row < options.rows); ++row) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        clipped += line.substr(0, options.columns == 0 ? line.size() : options.columns);
        clipped += '\n';
    }
    return clipped;
}

}  // namespace

std::optional<SortKey> parse_sort_key(std::string_view name) {
    const auto found = std::ranges::find(kSortKeys, name, &std::pair<std::string_view, SortKey>::first);
    return found == kSortKeys.end() ? std::nullopt : std::optional{found->second};
}

std::vector<TaskActivity> activity(const Sample& earlier, const Sample& later, const ViewOptions& options) {
    std::map<std::int32_t, ListedTask> before;
    for (const ListedTask& task : list_tasks(earlier.entries, options.by_thread)) {
        before.emplace(task.tid, task);
    }
    std::vector<TaskActivity> all;
    for (const ListedTask& task : list_tasks(later.entries, options.by_thread)) {
        if (!options.pids.empty() && std::ranges::find(options.pids, task.pid) == options.pids.end()) {
            continue;
        }
        const auto was = before.find(task.tid);
        const bool is_new = was == before.end();
        all.push_back({.task = task,
                       .ran_ns = since(task.runtime_ns, is_new ? 0 : was->second.runtime_ns),
                       .waited_ns = since(task.wait_ns, is_new ? 0 : was->second.wait_ns)});
    }
    std::ranges::stable_sort(all, [&](const TaskActivity& a, const TaskActivity& b) {
        return options.is_reversed ? comes_before(b, a, options.sort) : comes_before(a, b, options.sort);
    });
    return all;
}

std::string render(const Sample& earlier, const Sample& later, const ViewOptions& options) {
    return clip(
        totals(earlier, later) + harts(earlier, later) +
            task_table(activity(earlier, later, options), interval_ns(earlier, later), options.by_thread),
        options);
}

}  // namespace shell
