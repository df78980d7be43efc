// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <utility>
#include <variant>

#include "notation.hpp"
#include "script.hpp"
#include "table_reader.hpp"
#include "workload.hpp"

namespace sched_sim {
namespace {

using execd::Entry;
using execd::ErrorSink;
using execd::Position;
using execd::Table;
using execd::TableReader;

constexpr std::array<std::pair<std::string_view, Conduct::Kind>, 9> kConducts{{
    {"hog", Conduct::Kind::Hog},
    {"periodic", Conduct::Kind::Periodic},
    {"on-off", Conduct::Kind::OnOff},
    {"script", Conduct::Kind::Script},
    {"forker", Conduct::Kind::Forker},
    {"schbench", Conduct::Kind::Schbench},
    {"hackbench", Conduct::Kind::Hackbench},
    {"cyclictest", Conduct::Kind::Cyclictest},
    {"build", Conduct::Kind::Build},
}};

constexpr std::array<std::pair<std::string_view, Measure>, 18> kMeasures{{
    {"share", Measure::Share},
    {"share error", Measure::ShareError},
    {"share spread", Measure::ShareSpread},
    {"wait max", Measure::WaitMax},
    {"wake p50", Measure::WakeP50},
    {"wake p99", Measure::WakeP99},
    {"wake p99.9", Measure::WakeP999},
    {"wake max", Measure::WakeMax},
    {"response p50", Measure::ResponseP50},
    {"response p99", Measure::ResponseP99},
    {"response max", Measure::ResponseMax},
    {"lag max", Measure::LagMax},
    {"latency missed", Measure::LatencyMissed},
    {"window max", Measure::WindowMax},
    {"migrations per second", Measure::Migrations},
    {"switches per second", Measure::Switches},
    {"completions", Measure::Completions},
    {"idle", Measure::Idle},
}};

// The names neuron.break= has for the kernel (docs/testing.md).
constexpr std::array<std::pair<std::string_view, bool Faults::*>, 12> kFaults{{
    {"shares", &Faults::ignore_shares},
    {"affinity", &Faults::ignore_affinity},
    {"latency", &Faults::never_preempt},
    {"starvation", &Faults::strict_classes},
    {"conserving", &Faults::stay_put},
    {"tickless", &Faults::always_tick},
    {"neutral", &Faults::hints_buy_share},
    {"budget", &Faults::no_budget},
    {"boost", &Faults::endless_boost},
    {"donation", &Faults::no_donation},
    {"machine", &Faults::no_balance},
    {"stress", &Faults::lose_time},
}};

// scheduler.md B.14
constexpr Duration kBudgetMin = Duration::microseconds(100);
constexpr Duration kBudgetPeriodMax = Duration::seconds(1);

class Reader {
  public:
    Reader(std::string file, std::vector<execd::Diagnostic>& errors) : sink_{std::move(file), errors} {}

    Workload read(const Table& root);
    ErrorSink& sink() { return sink_; }

  private:
    using Range = std::pair<std::int64_t, std::int64_t>;

    void read_machine(const Table& table);
    void read_run(const Table& table);
    void read_view(const Table& table);
    void read_task(const Table& table, Position at);
    void read_conduct(TableReader& reader, Conduct& conduct, Position at);
    void read_attributes(TableReader& reader, Attributes& attributes);
    void check_budget(TableReader& reader, Duration budget, Duration period);
    void read_change(const Table& table, Position at);
    void read_expect(const Table& table, Position at);
    void check_names();

    template <class F>
    void for_each_table(TableReader& reader, std::string_view key, F&& f);
    std::optional<Duration> find_duration(TableReader& reader, std::string_view key);
    std::optional<std::int64_t> find_integer(TableReader& reader, std::string_view key, Range range);
    std::optional<CpuMask> find_cpus(TableReader& reader, std::string_view key);
    std::optional<Distribution> find_distribution(TableReader& reader, std::string_view key);
    std::optional<double> find_bound(TableReader& reader, std::string_view key, Measure measure);
    Distribution require_distribution(TableReader& reader, std::string_view key, Position at);
    Duration require_duration(TableReader& reader, std::string_view key, Position at);
    std::uint32_t require_integer(TableReader& reader, std::string_view key, Range range, Position at);

    ErrorSink sink_;
    Workload workload_;
    std::vector<std::pair<std::string, Position>> used_names_;
};

template <class F>
void Reader::for_each_table(TableReader& reader, std::string_view key, F&& f) {
    const auto* const array = reader.find_as<execd::Array>(key, "an array of tables");
    if (array == nullptr) {
        return;
    }
    for (const execd::Value& item : array->items) {
        if (const auto* const table = reader.as<Table>(item, key, "an array of tables")) {
            f(*table, item.at);
        }
    }
}

std::optional<Duration> Reader::find_duration(TableReader& reader, std::string_view key) {
    const auto* const text = reader.find_as<std::string>(key, "a duration such as \"5ms\"");
    if (text == nullptr) {
        return std::nullopt;
    }
    const auto parsed = execd::parse_duration(*text);
    if (!parsed) {
        sink_.add(reader.find(key)->value.at,
                  "'" + std::string{key} +
                      "' must be a duration such as \"5ms\", \"500us\" or \"10s\", not \"" + *text + "\"");
        return std::nullopt;
    }
    return Duration::nanoseconds(parsed->count());
}

std::optional<std::int64_t> Reader::find_integer(TableReader& reader, std::string_view key, Range range) {
    const auto* const number = reader.find_as<std::int64_t>(key, "an integer");
    if (number == nullptr) {
        return std::nullopt;
    }
    if (*number < range.first || *number > range.second) {
        sink_.add(reader.find(key)->value.at,
                  "'" + std::string{key} + "' must be " + std::to_string(range.first) + " to " +
                      std::to_string(range.second) + ", not " + std::to_string(*number));
        return std::nullopt;
    }
    return *number;
}

// [0, 2], "0-2,4" or a mask.
std::optional<CpuMask> Reader::find_cpus(TableReader& reader, std::string_view key) {
    const Entry* const entry = reader.find(key);
    if (entry == nullptr) {
        return std::nullopt;
    }
    std::optional<std::uint64_t> bits;
    if (const auto* const text = std::get_if<std::string>(&entry->value.data)) {
        bits = execd::parse_cpu_list(*text);
    } else if (const auto* const array = std::get_if<execd::Array>(&entry->value.data)) {
        bits = 0;
        for (const execd::Value& item : array->items) {
            const auto* const cpu = std::get_if<std::int64_t>(&item.data);
            if (cpu == nullptr || *cpu < 0 || *cpu >= kernel::kMaxCpus) {
                bits.reset();
                break;
            }
            *bits |= std::uint64_t{1} << static_cast<unsigned>(*cpu);
        }
    }
    if (!bits || *bits == 0) {
        sink_.add(entry->value.at,
                  "'" + std::string{key} + "' must be harts as \"0-2,4\" or [0, 2], each 0 to 63");
        return std::nullopt;
    }
    const CpuMask mask = CpuMask::from_bits(*bits);
    if (!mask.intersects(CpuMask::first(workload_.machine.harts))) {
        sink_.add(entry->value.at, "'" + std::string{key} + "' names none of the machine's " +
                                       std::to_string(workload_.machine.harts) + " harts");
        return std::nullopt;
    }
    return mask;
}

// "2ms", "exp 2ms", "heavy 500us"
std::optional<Distribution> Reader::find_distribution(TableReader& reader, std::string_view key) {
    const auto* const text = reader.find_as<std::string>(key, "a duration or a distribution");
    if (text == nullptr) {
        return std::nullopt;
    }
    const auto found = parse_distribution(*text);
    if (!found) {
        sink_.add(reader.find(key)->value.at,
                  "'" + std::string{key} + "' must be " + kDistributionForm + ", not \"" + *text + "\"");
    }
    return found;
}

Distribution Reader::require_distribution(TableReader& reader, std::string_view key, Position at) {
    if (reader.find(key) == nullptr) {
        sink_.add(at, "'" + std::string{key} + "' is missing");
    }
    return find_distribution(reader, key).value_or(Distribution{});
}

Duration Reader::require_duration(TableReader& reader, std::string_view key, Position at) {
    const Entry* const entry = reader.find(key);
    if (entry == nullptr) {
        sink_.add(at, "'" + std::string{key} + "' is missing");
    }
    const auto found = find_duration(reader, key);
    if (found && found->is_zero()) {
        sink_.add(entry->value.at, "'" + std::string{key} + "' must be above 0");
    }
    return found.value_or(Duration{});
}

std::uint32_t Reader::require_integer(TableReader& reader, std::string_view key, Range range, Position at) {
    if (reader.find(key) == nullptr) {
        sink_.add(at, "'" + std::string{key} + "' is missing");
    }
    return static_cast<std::uint32_t>(find_integer(reader, key, range).value_or(range.first));
}

void Reader::read_machine(const Table& table) {
    TableReader reader{table, sink_};
    Config& machine = workload_.machine;
    machine.harts = static_cast<std::uint32_t>(find_integer(reader, "harts", {1, 64}).value_or(1));
    if (const auto* const array = reader.find_as<execd::Array>("capacities", "an array of integers")) {
        for (const execd::Value& item : array->items) {
            const auto* const capacity = std::get_if<std::int64_t>(&item.data);
            if (capacity == nullptr || *capacity < 1 || *capacity > 1024) {
                sink_.add(item.at, "'capacities' must be integers from 1 to 1024");
                continue;
            }
            machine.capacities.push_back(static_cast<std::uint32_t>(*capacity));
        }
        if (array->items.size() != machine.harts) {
            sink_.add(reader.find("capacities")->value.at, "'capacities' names " +
                                                               std::to_string(array->items.size()) +
                                                               " harts of " + std::to_string(machine.harts));
        }
    }
    machine.ipi_latency = find_duration(reader, "ipi_latency").value_or(machine.ipi_latency);
    machine.timer_latency = find_duration(reader, "timer_latency").value_or(machine.timer_latency);
    machine.switch_cost = find_duration(reader, "switch_cost").value_or(machine.switch_cost);
    machine.section_time = find_duration(reader, "section_time").value_or(machine.section_time);
    if (const auto* const on = reader.find_as<bool>("lock_regions", "a boolean")) {
        machine.lock_regions = *on;
    }
    if (const auto* const on = reader.find_as<bool>("balancing", "a boolean")) {
        machine.balancing = *on;
    }
    if (const auto fault = reader.find_name("break", kFaults)) {
        machine.faults.*(*fault) = true;
    }
    reader.reject_unknown_keys();
}

void Reader::read_run(const Table& table) {
    TableReader reader{table, sink_};
    workload_.duration = find_duration(reader, "duration").value_or(workload_.duration);
    workload_.warmup = find_duration(reader, "warmup").value_or(workload_.warmup);
    workload_.machine.seed =
        static_cast<std::uint64_t>(find_integer(reader, "seed", {0, INT64_MAX}).value_or(1));
    if (workload_.warmup >= workload_.duration) {
        const Entry* const entry = reader.find("warmup");
        sink_.add(entry == nullptr ? table.entries.front().at : entry->value.at,
                  "'warmup' must be shorter than 'duration'");
    }
    reader.reject_unknown_keys();
}

void Reader::read_view(const Table& table) {
    TableReader reader{table, sink_};
    workload_.view_from = find_duration(reader, "from").value_or(workload_.view_from);
    workload_.view_span = find_duration(reader, "span").value_or(workload_.view_span);
    reader.reject_unknown_keys();
}

void Reader::read_attributes(TableReader& reader, Attributes& attributes) {
    attributes.qos_class = reader.find_name("class", execd::kClassNames).value_or(attributes.qos_class);
    attributes.shares = static_cast<std::uint32_t>(
        find_integer(reader, "shares", {nexus_abi::kSharesMin, nexus_abi::kSharesMax})
            .value_or(attributes.shares));
    attributes.latency = find_duration(reader, "latency").value_or(attributes.latency);
    attributes.burst = find_duration(reader, "burst").value_or(attributes.burst);
    if (const auto mask = find_cpus(reader, "cpus")) {
        attributes.affinity = *mask;
        attributes.affinity_effective = *mask & CpuMask::first(workload_.machine.harts);
    }
    if (const auto mask = find_cpus(reader, "prefer")) {
        attributes.affinity_prefer = *mask;
        attributes.policy = nexus_abi::AffinityPolicy::Prefer;
    }
}

void Reader::read_conduct(TableReader& reader, Conduct& conduct, Position at) {
    conduct.kind = reader.find_name("does", kConducts).value_or(Conduct::Kind::Hog);
    switch (conduct.kind) {
        case Conduct::Kind::Hog:
            break;
        case Conduct::Kind::Periodic:
        case Conduct::Kind::Cyclictest:
            conduct.period = require_duration(reader, "period", at);
            conduct.work = require_distribution(reader, "work", at);
            conduct.offset = find_duration(reader, "offset").value_or(Duration{});
            break;
        case Conduct::Kind::OnOff:
            conduct.work = require_distribution(reader, "work", at);
            conduct.rest = require_distribution(reader, "rest", at);
            break;
        case Conduct::Kind::Script: {
            if (const auto* const repeats = reader.find_as<bool>("repeat", "a boolean")) {
                conduct.repeats = *repeats;
            }
            for (const TableReader::PlacedString& step : reader.find_strings("steps")) {
                if (const std::string problem = check_step(step.text); !problem.empty()) {
                    sink_.add(step.at, problem);
                }
                conduct.steps.push_back(step.text);
            }
            if (conduct.steps.empty()) {
                sink_.add(at, "'steps' is missing or empty");
            }
            break;
        }
        case Conduct::Kind::Forker:
            conduct.forks = require_integer(reader, "forks", {1, 100'000}, at);
            conduct.gap = find_duration(reader, "gap").value_or(Duration{});
            if (reader.find("work") != nullptr) {
                conduct.work = require_distribution(reader, "work", at);
            }
            break;
        case Conduct::Kind::Schbench:
        case Conduct::Kind::Hackbench:
            conduct.groups = require_integer(reader, "groups", {1, 1000}, at);
            conduct.workers = require_integer(reader, "workers", {1, 1000}, at);
            conduct.work = require_distribution(reader, "work", at);
            if (conduct.kind == Conduct::Kind::Schbench) {
                conduct.rest = require_distribution(reader, "rest", at);
            }
            break;
        case Conduct::Kind::Build:
            conduct.parallel = require_integer(reader, "parallel", {1, 1000}, at);
            conduct.work = require_distribution(reader, "work", at);
            conduct.forks = require_integer(reader, "jobs", {1, 1'000'000}, at);
            break;
    }
}

void Reader::check_budget(TableReader& reader, Duration budget, Duration period) {
    const Entry* const entry =
        reader.find("budget") != nullptr ? reader.find("budget") : reader.find("budget_period");
    const bool is_none = budget.is_zero() && period.is_zero();
    if (!is_none && (budget < kBudgetMin || period < budget || period > kBudgetPeriodMax)) {
        sink_.add(entry->value.at,
                  "'budget' and 'budget_period' must be 100us <= budget <= budget_period <= 1s");
    }
}

void Reader::read_task(const Table& table, Position at) {
    TableReader reader{table, sink_};
    TaskSpec task;
    if (const auto* const name = reader.find_as<std::string>("name", "a string")) {
        task.name = *name;
    } else if (reader.find("name") == nullptr) {
        sink_.add(at, "'name' is missing");
    }
    const auto is_same = [&](const TaskSpec& other) { return other.name == task.name; };
    if (std::ranges::any_of(workload_.tasks, is_same)) {
        sink_.add(reader.find("name")->value.at, "there is already a task '" + task.name + "'");
    }
    task.count = static_cast<std::uint32_t>(find_integer(reader, "count", {1, 100'000}).value_or(1));
    task.group = static_cast<std::uint32_t>(find_integer(reader, "group", {1, 1000}).value_or(0));
    task.starts_at = Instant{} + find_duration(reader, "starts").value_or(Duration{});
    if (const auto stops = find_duration(reader, "stops")) {
        task.stops_at = Instant{} + *stops;
    }
    read_conduct(reader, task.conduct, at);
    read_attributes(reader, task.attributes);
    task.budget = find_duration(reader, "budget").value_or(Duration{});
    task.budget_period = find_duration(reader, "budget_period").value_or(Duration{});
    check_budget(reader, task.budget, task.budget_period);
    reader.reject_unknown_keys();
    workload_.tasks.push_back(std::move(task));
}

void Reader::read_change(const Table& table, Position at) {
    TableReader reader{table, sink_};
    ChangeSpec change;
    if (reader.find("at") == nullptr) {
        sink_.add(at, "'at' is missing");
    }
    change.at = Instant{} + find_duration(reader, "at").value_or(Duration{});
    if (const auto* const name = reader.find_as<std::string>("task", "a string")) {
        change.task = *name;
        used_names_.emplace_back(*name, reader.find("task")->value.at);
    }
    if (const auto shares = find_integer(reader, "shares", {nexus_abi::kSharesMin, nexus_abi::kSharesMax})) {
        change.shares = static_cast<std::uint32_t>(*shares);
    }
    change.qos_class = reader.find_name("class", execd::kClassNames);
    change.affinity = find_cpus(reader, "cpus");
    change.latency = find_duration(reader, "latency");
    change.burst = find_duration(reader, "burst");
    change.budget = find_duration(reader, "budget");
    change.budget_period = find_duration(reader, "budget_period");
    check_budget(reader, change.budget.value_or(Duration{}), change.budget_period.value_or(Duration{}));
    const std::int64_t last = workload_.machine.harts - 1;
    if (const auto hart = find_integer(reader, "offline", {0, last})) {
        change.offline = static_cast<std::uint32_t>(*hart);
    }
    if (const auto hart = find_integer(reader, "online", {0, last})) {
        change.online = static_cast<std::uint32_t>(*hart);
    }
    if (const auto* const exits = reader.find_as<bool>("exit", "a boolean")) {
        change.exits = *exits;
    }
    if (change.task.empty() && !change.offline && !change.online) {
        sink_.add(at, "a change names a 'task', or a hart as 'offline' or 'online'");
    }
    reader.reject_unknown_keys();
    workload_.changes.push_back(std::move(change));
}

std::optional<double> Reader::find_bound(TableReader& reader, std::string_view key, Measure measure) {
    if (is_duration(measure)) {
        const auto bound = find_duration(reader, key);
        return bound ? std::optional{static_cast<double>(bound->ns()) * 1e-9} : std::nullopt;
    }
    const Entry* const entry = reader.find(key);
    if (entry == nullptr) {
        return std::nullopt;
    }
    if (const auto* const whole = std::get_if<std::int64_t>(&entry->value.data)) {
        return static_cast<double>(*whole);
    }
    const auto* const number = reader.find_as<double>(key, "a number");
    return number == nullptr ? std::nullopt : std::optional{*number};
}

void Reader::read_expect(const Table& table, Position at) {
    TableReader reader{table, sink_};
    ExpectSpec expect;
    if (reader.find("measure") == nullptr) {
        sink_.add(at, "'measure' is missing");
    }
    const auto measure = reader.find_name("measure", kMeasures);
    if (const auto* const name = reader.find_as<std::string>("task", "a string")) {
        expect.task = *name;
        used_names_.emplace_back(*name, reader.find("task")->value.at);
    }
    if (const auto* const because = reader.find_as<std::string>("because", "a string")) {
        expect.because = *because;
    } else if (reader.find("because") == nullptr) {
        sink_.add(at, "'because' is missing: say where the bound comes from");
    }
    reader.expect("at_least");
    reader.expect("at_most");
    if (measure) {
        expect.measure = *measure;
        expect.at_least = find_bound(reader, "at_least", *measure);
        expect.at_most = find_bound(reader, "at_most", *measure);
    }
    if (reader.find("at_least") == nullptr && reader.find("at_most") == nullptr) {
        sink_.add(at, "an expectation has 'at_least', 'at_most' or both");
    }
    reader.reject_unknown_keys();
    workload_.expects.push_back(std::move(expect));
}

void Reader::check_names() {
    std::vector<std::string_view> known;
    for (const TaskSpec& task : workload_.tasks) {
        known.push_back(task.name);
    }
    for (const auto& [name, at] : used_names_) {
        if (std::ranges::find(known, name) == known.end()) {
            sink_.add(at, "there is no task '" + name + "'" + execd::suggestion(name, known));
        }
    }
}

Workload Reader::read(const Table& root) {
    TableReader reader{root, sink_};
    if (const auto* const text = reader.find_as<std::string>("name", "a string")) {
        workload_.name = *text;
    }
    if (const auto* const text = reader.find_as<std::string>("summary", "a string")) {
        workload_.summary = *text;
    }
    if (const auto* const table = reader.find_as<Table>("machine", "a table")) {
        read_machine(*table);
    }
    if (const auto* const table = reader.find_as<Table>("run", "a table")) {
        read_run(*table);
    }
    workload_.view_from = workload_.warmup;
    if (const auto* const table = reader.find_as<Table>("view", "a table")) {
        read_view(*table);
    }
    for_each_table(reader, "task", [this](const Table& table, Position at) { read_task(table, at); });
    for_each_table(reader, "change", [this](const Table& table, Position at) { read_change(table, at); });
    for_each_table(reader, "expect", [this](const Table& table, Position at) { read_expect(table, at); });
    reader.reject_unknown_keys();
    check_names();
    if (workload_.tasks.empty()) {
        sink_.add({}, "there is no [[task]]");
    }
    return std::move(workload_);
}

}  // namespace

bool is_duration(Measure measure) {
    switch (measure) {
        case Measure::WaitMax:
        case Measure::WakeP50:
        case Measure::WakeP99:
        case Measure::WakeP999:
        case Measure::WakeMax:
        case Measure::ResponseP50:
        case Measure::ResponseP99:
        case Measure::ResponseMax:
        case Measure::LagMax:
        case Measure::WindowMax:
            return true;
        default:
            return false;
    }
}

std::string_view name_of(Measure measure) {
    const auto* const found =
        std::ranges::find(kMeasures, measure, &std::pair<std::string_view, Measure>::second);
    return found->first;
}

bool set_fault(Faults& faults, std::string_view name) {
    const auto* const found =
        std::ranges::find(kFaults, name, &std::pair<std::string_view, bool Faults::*>::first);
    if (found == kFaults.end()) {
        return false;
    }
    faults.*(found->second) = true;
    return true;
}

Workload read_workload(std::string_view text, const std::string& file,
                       std::vector<execd::Diagnostic>& errors) {
    Reader reader{file, errors};
    const auto document = execd::read_document(text);
    if (const auto* const error = std::get_if<execd::SyntaxError>(&document)) {
        reader.sink().add(error->at, error->what);
        return {};
    }
    return reader.read(std::get<Table>(document));
}

}  // namespace sched_sim
