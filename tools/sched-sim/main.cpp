// SPDX-License-Identifier: MIT
// sched-sim: runs a workload through the kernel's own scheduler and says who got what. docs/sched-sim.md
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <optional>
#include <span>
#include <sstream>
#include <string_view>

#include "notation.hpp"
#include "report.hpp"

namespace {

using namespace std::string_view_literals;

constexpr int kExpectationFailed = 1;
constexpr int kUsage = 2;

constexpr const char* kHelp =
    R"(usage: sched-sim [options] WORKLOAD.toml
       sched-sim [options] --scenario NAME
       sched-sim --list | --bench

Runs the workload through the kernel's scheduler on a simulated machine and prints what every task got,
beside what it deserved. Exit status: 0, or 1 when an expectation of the workload is not met, 2 for wrong use.

  --scenario NAME    a workload that comes with the tool; --list names them
  --timeline         also print who ran where, as text (--columns N: how wide)
  --csv FILE         the table for programs; FILE may be - for the terminal
  --json FILE        everything for programs
  --html FILE        a report with pictures, in one file
  --svg FILE         the picture alone
  --trace FILE       what the pictures show as a trace, for scripts/trace2perfetto
  --quiet            no table
  --audit            check every invariant after every event (slow)
  --seed N           instead of the workload's
  --duration TIME    instead of the workload's, such as 30s
  --view FROM SPAN   what the pictures show, such as 1s 200ms
  --break NAME       break a rule on purpose, as neuron.break= does in the kernel: shares,
                     affinity, latency, starvation, conserving, tickless, neutral, budget, boost,
                     donation, machine, stress
  --bench            how many events the simulator does per second on this computer
)";

struct Options {
    std::string file{};
    std::string scenario{};
    std::string csv{};
    std::string json{};
    std::string html{};
    std::string svg{};
    std::string trace{};
    std::string fault{};
    std::optional<std::uint64_t> seed{};
    std::optional<sched_sim::Duration> duration{};
    std::optional<sched_sim::Duration> view_from{};
    std::optional<sched_sim::Duration> view_span{};
    std::uint32_t columns{100};
    bool timeline{false};
    bool quiet{false};
    bool audit{false};
    bool list{false};
    bool bench{false};
};

class Usage : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

std::uint64_t number(std::string_view option, std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) {
        throw Usage{std::string{option} + ": '" + std::string{text} + "' is no number"};
    }
    return value;
}

sched_sim::Duration duration(std::string_view option, std::string_view text) {
    const auto parsed = execd::parse_duration(text);
    if (!parsed) {
        throw Usage{std::string{option} + ": '" + std::string{text} + "' is no duration such as 10s or 5ms"};
    }
    return sched_sim::Duration::nanoseconds(parsed->count());
}

Options parse(std::span<char*> arguments) {
    Options options;
    std::size_t at = 0;
    const auto value = [&](std::string_view option) -> std::string {
        if (at + 1 >= arguments.size()) {
            throw Usage{std::string{option} + ": what follows is missing"};
        }
        return arguments[++at];
    };
    for (; at < arguments.size(); ++at) {
        const std::string_view word = arguments[at];
        if (word == "--scenario"sv) {
            options.scenario = value(word);
        } else if (word == "--csv"sv) {
            options.csv = value(word);
        } else if (word == "--json"sv) {
            options.json = value(word);
        } else if (word == "--html"sv) {
            options.html = value(word);
        } else if (word == "--svg"sv) {
            options.svg = value(word);
        } else if (word == "--trace"sv) {
            options.trace = value(word);
        } else if (word == "--break"sv) {
            options.fault = value(word);
        } else if (word == "--seed"sv) {
            options.seed = number(word, value(word));
        } else if (word == "--columns"sv) {
            options.columns =
                static_cast<std::uint32_t>(std::clamp<std::uint64_t>(number(word, value(word)), 10, 1000));
        } else if (word == "--duration"sv) {
            options.duration = duration(word, value(word));
        } else if (word == "--view"sv) {
            options.view_from = duration(word, value(word));
            options.view_span = duration(word, value(word));
        } else if (word == "--timeline"sv) {
            options.timeline = true;
        } else if (word == "--quiet"sv) {
            options.quiet = true;
        } else if (word == "--audit"sv) {
            options.audit = true;
        } else if (word == "--list"sv) {
            options.list = true;
        } else if (word == "--bench"sv) {
            options.bench = true;
        } else if (word == "--help"sv || word == "-h"sv) {
            throw Usage{""};
        } else if (word.starts_with("-") || !options.file.empty()) {
            throw Usage{"'" + std::string{word} + "' is not understood"};
        } else {
            options.file = word;
        }
    }
    const int wanted = (options.file.empty() ? 0 : 1) + (options.scenario.empty() ? 0 : 1) +
                       (options.list ? 1 : 0) + (options.bench ? 1 : 0);
    if (wanted != 1) {
        throw Usage{"name one workload file, --scenario, --list or --bench"};
    }
    return options;
}

std::string read_file(const std::filesystem::path& path) {
    std::ifstream in{path, std::ios::binary};
    if (!in) {
        throw Usage{path.string() + ": cannot be read"};
    }
    std::ostringstream text;
    text << in.rdbuf();
    return std::move(text).str();
}

// Prints what is wrong and returns nothing, or the workload.
std::optional<sched_sim::Workload> load(const std::filesystem::path& path) {
    std::vector<execd::Diagnostic> errors;
    sched_sim::Workload workload = sched_sim::read_workload(read_file(path), path.string(), errors);
    if (workload.name.empty()) {
        workload.name = path.stem().string();
    }
    for (const execd::Diagnostic& error : errors) {
        std::cerr << execd::to_string(error) << '\n';
    }
    return errors.empty() ? std::optional{std::move(workload)} : std::nullopt;
}

std::vector<std::filesystem::path> scenarios() {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator{SCENARIO_DIRECTORY}) {
        if (entry.path().extension() == ".toml") {
            found.push_back(entry.path());
        }
    }
    std::ranges::sort(found);
    return found;
}

int list() {
    for (const auto& path : scenarios()) {
        if (const auto workload = load(path)) {
            std::printf("%-24s %s\n", path.stem().c_str(), workload->summary.c_str());
        }
    }
    return 0;
}

std::filesystem::path find_scenario(const std::string& name) {
    std::vector<std::string> names;
    for (const auto& path : scenarios()) {
        if (path.stem() == name) {
            return path;
        }
        names.push_back(path.stem().string());
    }
    throw Usage{"there is no scenario '" + name + "'" +
                execd::suggestion(name, {names.begin(), names.end()}) + "; --list names them"};
}

void write_to(const std::string& file, const std::function<void(std::ostream&)>& write) {
    if (file.empty()) {
        return;
    }
    if (file == "-") {
        write(std::cout);
        return;
    }
    std::ofstream out{file, std::ios::binary};
    write(out);
    out.close();
    if (!out) {
        throw Usage{file + ": cannot be written"};
    }
}

void override_workload(sched_sim::Workload& workload, const Options& options) {
    workload.machine.seed = options.seed.value_or(workload.machine.seed);
    if (options.duration) {
        workload.duration = *options.duration;
        if (workload.warmup >= workload.duration) {
            throw Usage{"--duration: the workload warms up for longer than that"};
        }
    }
    workload.view_from = options.view_from.value_or(workload.view_from);
    workload.view_span = options.view_span.value_or(workload.view_span);
    if (!options.fault.empty() && !sched_sim::set_fault(workload.machine.faults, options.fault)) {
        throw Usage{"--break: there is no fault '" + options.fault + "'"};
    }
}

int run(const Options& options) {
    const std::filesystem::path path =
        options.scenario.empty() ? std::filesystem::path{options.file} : find_scenario(options.scenario);
    auto workload = load(path);
    if (!workload) {
        return kUsage;
    }
    override_workload(*workload, options);
    const sched_sim::Report report =
        sched_sim::run_workload(*workload, options.audit, !options.trace.empty());
    if (!options.quiet) {
        sched_sim::write_table(std::cout, report);
    }
    if (options.timeline) {
        std::cout << '\n';
        sched_sim::write_timeline(std::cout, report, options.columns);
    }
    write_to(options.csv, [&](std::ostream& out) { sched_sim::write_csv(out, report); });
    write_to(options.json, [&](std::ostream& out) { sched_sim::write_json(out, report); });
    write_to(options.html, [&](std::ostream& out) { sched_sim::write_html(out, report); });
    write_to(options.svg, [&](std::ostream& out) { sched_sim::write_svg(out, report); });
    write_to(options.trace, [&](std::ostream& out) { out << report.trace; });
    return report.is_good() ? 0 : kExpectationFailed;
}

// Events per second of processor time, so that other programs on the computer do not count.
void bench_one(const char* name, std::uint32_t harts, std::uint32_t tasks, bool sleepers,
               sched_sim::Duration span) {
    using sched_sim::Distribution;
    using sched_sim::Duration;
    sched_sim::Simulation simulation{{.harts = harts}};
    for (std::uint32_t i = 0; i < tasks; ++i) {
        sched_sim::TaskOptions task;
        task.attributes.shares = 50 + i % 7 * 50;
        if (sleepers && i % 2 == 0) {
            task.behaviour = sched_sim::on_off(Distribution::exponential(Duration::microseconds(500)),
                                               Distribution::exponential(Duration::milliseconds(4)));
        }
        simulation.add_task(std::move(task));
    }
    const std::clock_t begin = std::clock();
    simulation.run_for(span);
    const double spent = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    std::printf("%-28s %3u harts %6u tasks  %10llu events  %6.2f million/s\n", name, harts, tasks,
                static_cast<unsigned long long>(simulation.events()),
                static_cast<double>(simulation.events()) / spent * 1e-6);
}

int bench() {
    using sched_sim::Duration;
    bench_one("hogs", 4, 32, false, Duration::seconds(2000));
    bench_one("hogs and sleepers", 4, 32, true, Duration::seconds(200));
    bench_one("hogs", 64, 10'000, false, Duration::seconds(20));
    bench_one("hogs and sleepers", 64, 10'000, true, Duration::seconds(2));
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const Options options = parse(std::span{argv, static_cast<std::size_t>(argc)}.subspan(1));
        if (options.list) {
            return list();
        }
        return options.bench ? bench() : run(options);
    } catch (const Usage& problem) {
        const std::string_view what = problem.what();
        if (what.empty()) {
            std::cout << kHelp;
            return 0;
        }
        std::cerr << "sched-sim: " << what << '\n';
        return kUsage;
    }
}
