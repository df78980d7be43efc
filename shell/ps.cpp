// SPDX-License-Identifier: MIT
// ps(1), as far as it makes sense here.
#include <algorithm>
#include <array>

#include "json.hpp"
#include "notation.hpp"
#include "table.hpp"
#include "task_list.hpp"
#include "tools.hpp"

namespace shell {
namespace {

constexpr std::string_view kName = "ps";

struct Field {
    std::string_view name;
    std::string_view title;
    Align align;
    bool is_number;
    std::string (*text)(System& system, const ListedTask& task);
    std::uint64_t (*number)(const ListedTask& task);  // what it is sorted by; null: by the text
};

// What it was started with, NULs as spaces; in brackets the name of one that does not say.
std::string command_line(System& system, const ListedTask& task) {
    auto text = system.read_file("/proc/" + std::to_string(task.pid) + "/cmdline");
    if (!text.ok() || text->empty()) {
        return '[' + task.name + ']';
    }
    while (text->ends_with('\0')) {
        text->pop_back();
    }
    std::ranges::replace(*text, '\0', ' ');
    return *text;
}

template <auto Member>
std::string number_text(System&, const ListedTask& task) {
    return std::to_string(task.*Member);
}
template <auto Member>
std::uint64_t number_of(const ListedTask& task) {
    return static_cast<std::uint64_t>(task.*Member);
}
template <auto Member>
Field number_field(std::string_view name, std::string_view title) {
    return {name, title, Align::Right, true, number_text<Member>, number_of<Member>};
}
template <auto Member>
Field time_field(std::string_view name, std::string_view title) {
    return {name,
            title,
            Align::Right,
            false,
            [](System&, const ListedTask& task) { return format_cpu_time(task.*Member); },
            number_of<Member>};
}
template <auto Member>
Field class_field(std::string_view name, std::string_view title) {
    return {name,
            title,
            Align::Left,
            false,
            [](System&, const ListedTask& task) { return std::string{class_name(task.*Member)}; },
            number_of<Member>};
}
Field text_field(std::string_view name, std::string_view title,
                 std::string (*text)(System&, const ListedTask&)) {
    return {name, title, Align::Left, false, text, nullptr};
}

const std::array<Field, 15>& fields() {
    static const std::array<Field, 15> all{
        number_field<&ListedTask::pid>("pid", "PID"),
        number_field<&ListedTask::tid>("tid", "TID"),
        number_field<&ListedTask::parent>("ppid", "PPID"),
        text_field("s", "S",
                   [](System&, const ListedTask& task) { return std::string(1, state_letter(task.state)); }),
        text_field("state", "STATE",
                   [](System&, const ListedTask& task) { return std::string{state_name(task.state)}; }),
        class_field<&ListedTask::qos_class>("class", "CLASS"),
        class_field<&ListedTask::effective_class>("eclass", "ECLASS"),
        number_field<&ListedTask::shares>("shares", "SHARES"),
        number_field<&ListedTask::cpu>("cpu", "CPU"),
        text_field("mask", "MASK", [](System&, const ListedTask& task) { return format_hex(task.affinity); }),
        text_field("cpus", "CPUS",
                   [](System&, const ListedTask& task) { return format_cpu_list(task.affinity); }),
        time_field<&ListedTask::runtime_ns>("time", "TIME"),
        time_field<&ListedTask::wait_ns>("wait", "WAIT"),
        text_field("comm", "COMMAND", [](System&, const ListedTask& task) { return task.name; }),
        text_field("args", "COMMAND", command_line),
    };
    return all;
}

const Field* find_field(std::string_view name) {
    const auto found = std::ranges::find(fields(), name, &Field::name);
    return found == fields().end() ? nullptr : &*found;
}

struct Wish {
    bool by_thread{false};
    bool is_json{false};
    std::vector<const Field*> columns;
    const Field* sort{nullptr};
    bool is_descending{false};
    std::optional<std::vector<std::int32_t>> pids;
};

// The columns of "pid,comm"; the name that is none of them is returned.
std::optional<std::string> add_columns(Wish& wish, const std::string& list) {
    for (std::size_t from = 0; from <= list.size();) {
        const std::size_t comma = std::min(list.find(',', from), list.size());
        const std::string name = list.substr(from, comma - from);
        const Field* const field = find_field(name);
        if (field == nullptr) {
            return name;
        }
        wish.columns.push_back(field);
        from = comma + 1;
    }
    return std::nullopt;
}

std::optional<Outcome> take_value(Wish& wish, const std::string& option, const std::string& value) {
    if (option == "-o" || option == "--format") {
        if (const auto bad = add_columns(wish, value)) {
            return misuse(kName, "'" + *bad + "': no such field");
        }
    } else if (option == "-p" || option == "--pid") {
        wish.pids = parse_pids(value);
        if (!wish.pids) {
            return misuse(kName, "'" + value + "': not a list of process ids");
        }
    } else {
        wish.is_descending = value.starts_with('-');
        const std::string name = value.substr(value.starts_with('-') || value.starts_with('+') ? 1 : 0);
        wish.sort = find_field(name);
        if (wish.sort == nullptr) {
            return misuse(kName, "'" + name + "': no such field");
        }
    }
    return std::nullopt;
}

std::optional<Outcome> parse(Arguments arguments, Wish& wish) {
    OptionReader options{arguments};
    while (const auto option = options.next()) {
        if (*option == "-T" || *option == "-L") {
            wish.by_thread = true;
        } else if (*option == "--json") {
            wish.is_json = true;
        } else if (*option == "-o" || *option == "-p" || *option == "--sort" || *option == "--format" ||
                   *option == "--pid") {
            const auto value = options.value();
            if (!value) {
                return misuse(kName, *option + " wants a value");
            }
            if (auto wrong = take_value(wish, *option, *value)) {
                return wrong;
            }
        } else if (*option != "-e" && *option != "-A" && *option != "-f") {
            return misuse(kName, "'" + *option + "': no such option");
        }
    }
    for (const std::string& operand : options.operands()) {
        if (operand != "aux" && operand != "ax") {
            return misuse(kName, "'" + operand + "': it takes options only");
        }
    }
    if (wish.columns.empty()) {
        static_cast<void>(add_columns(wish, wish.by_thread ? "pid,tid,ppid,s,class,shares,cpu,cpus,time,comm"
                                                           : "pid,ppid,s,class,shares,cpu,cpus,time,comm"));
    }
    return std::nullopt;
}

void sort(System& system, std::vector<ListedTask>& tasks, const Field& by, bool is_descending) {
    const auto is_before = [&](const ListedTask& a, const ListedTask& b) {
        return by.number != nullptr ? by.number(a) < by.number(b) : by.text(system, a) < by.text(system, b);
    };
    std::ranges::stable_sort(tasks, [&](const ListedTask& a, const ListedTask& b) {
        return is_descending ? is_before(b, a) : is_before(a, b);
    });
}

std::string to_json(System& system, const std::vector<ListedTask>& tasks, const Wish& wish) {
    JsonWriter json;
    json.begin_array();
    for (const ListedTask& task : tasks) {
        json.begin_object();
        for (const Field* const field : wish.columns) {
            json.key(field->name);
            if (field->is_number) {
                json.value(field->number(task));
            } else {
                json.value(field->text(system, task));
            }
        }
        json.end_object();
    }
    json.end_array();
    return json.text();
}

}  // namespace

Outcome run_ps(System& system, Arguments arguments) {
    Wish wish;
    if (auto wrong = parse(arguments, wish)) {
        return *wrong;
    }
    const auto entries = system.tasks();
    if (!entries.ok()) {
        return fail(kName, "the list of tasks", entries.error());
    }
    std::vector<ListedTask> tasks = list_tasks(*entries, wish.by_thread);
    if (wish.pids) {
        std::erase_if(tasks, [&](const ListedTask& task) {
            return std::ranges::find(*wish.pids, task.pid) == wish.pids->end();
        });
    }
    if (wish.sort != nullptr) {
        sort(system, tasks, *wish.sort, wish.is_descending);
    }
    Outcome outcome{.status = tasks.empty() ? kFailure : kSuccess};
    if (wish.is_json) {
        outcome.output = to_json(system, tasks, wish);
        return outcome;
    }
    std::vector<Column> columns;
    for (const Field* const field : wish.columns) {
        columns.push_back({std::string{field->title}, field->align});
    }
    Table table{std::move(columns)};
    for (const ListedTask& task : tasks) {
        std::vector<std::string> cells;
        for (const Field* const field : wish.columns) {
            cells.push_back(field->text(system, task));
        }
        table.add(std::move(cells));
    }
    outcome.output = table.text();
    return outcome;
}

}  // namespace shell
