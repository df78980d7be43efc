// SPDX-License-Identifier: MIT
// The small ones, which are about the machine as a whole.
#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdint>

#include "console.hpp"
#include "json.hpp"
#include "notation.hpp"
#include "tools.hpp"
#include "work.hpp"

namespace shell {
namespace {

using std::chrono::seconds;

constexpr long long kMinutesPerDay = 1440;
constexpr long long kSecondsPerDay = 86'400;

constexpr std::array<std::string_view, 8> kLevels{"emerg", "alert",  "crit", "err",
                                                  "warn",  "notice", "info", "debug"};

// Bit per level: "err,warn", "warn+". nullopt: `bad` is no level.
std::optional<unsigned> parse_levels(std::string_view list, std::string& bad) {
    unsigned levels = 0;
    while (!list.empty()) {
        std::string_view name = list.substr(0, list.find(','));
        list.remove_prefix(std::min(list.size(), name.size() + 1));
        const bool is_open = name.ends_with('+');
        name.remove_suffix(is_open ? 1 : 0);
        const auto found = std::ranges::find(kLevels, name);
        if (found == kLevels.end()) {
            bad = name;
            return std::nullopt;
        }
        const auto level = static_cast<unsigned>(found - kLevels.begin());
        levels |= is_open ? (2U << level) - 1 : 1U << level;
    }
    return levels;
}

struct LogLine {
    unsigned level{6};
    std::string_view text;
};

// "<4>[    0.1] warning: ...": what stands in front is the level; without one it is info.
LogLine parse_log_line(std::string_view line) {
    if (line.size() > 3 && line[0] == '<' && line[1] >= '0' && line[1] <= '7' && line[2] == '>') {
        return {.level = static_cast<unsigned>(line[1] - '0'), .text = line.substr(3)};
    }
    return {.text = line};
}

// The one option that a tool takes; nullopt: there is another, which `bad` says.
std::optional<bool> parse_only(Arguments arguments, std::string_view name, std::string& bad) {
    bool is_there = false;
    for (const std::string& argument : arguments) {
        if (argument != name) {
            bad = "'" + argument + "': it takes " + (name.empty() ? "nothing" : std::string{name} + " only");
            return std::nullopt;
        }
        is_there = true;
    }
    return is_there;
}

std::string format_up(seconds up) {
    const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(up).count();
    const auto days = minutes / kMinutesPerDay;
    std::string text;
    if (days > 0) {
        text = std::to_string(days) + (days == 1 ? " day, " : " days, ");
    }
    const auto hours = minutes / 60 % 24;
    return text + (hours > 0 ? user::format("%lld:%02lld", static_cast<long long>(hours),
                                            static_cast<long long>(minutes % 60))
                             : std::to_string(minutes % 60) + " min");
}

Outcome send_signals(System& system, int signal, const std::vector<std::string>& targets) {
    Outcome outcome;
    for (const std::string& target : targets) {
        // A negative number is a process group.
        const auto pid = parse_number(target, -0x7fff'ffff, 0x7fff'ffff);
        if (!pid) {
            outcome = fail("kill", "'" + target + "': not a process id");
            continue;
        }
        if (const auto sent = system.send_signal(static_cast<std::int32_t>(*pid), signal); !sent.ok()) {
            outcome.errors += fail("kill", target, sent.error()).errors;
            outcome.status = kFailure;
        }
    }
    return outcome;
}

Outcome list_signals(Arguments arguments) {
    if (arguments.size() == 1) {
        return {.output = signal_list() + '\n'};
    }
    // As a shell's $?: 128 and more is a signal.
    const auto number = parse_number(arguments[1], 0, 255);
    const auto signal = number ? std::optional{static_cast<int>(*number % 128)} : parse_signal(arguments[1]);
    if (!signal) {
        return fail("kill", "'" + arguments[1] + "': no such signal");
    }
    return {.output = (number ? signal_name(*signal) : std::to_string(*signal)) + '\n'};
}

Outcome switch_power(System& system, std::string_view tool, Power power, Arguments arguments) {
    std::string bad;
    if (!parse_only(arguments, "-f", bad)) {
        return misuse(tool, bad);
    }
    return fail(tool, "the machine stays on", system.switch_power(power));
}

}  // namespace

Outcome run_dmesg(System& system, Arguments arguments) {
    unsigned levels = ~0U;
    bool names_levels = false;
    bool is_json = false;
    OptionReader options{arguments};
    while (const auto option = options.next()) {
        if (*option == "-l" || *option == "--level") {
            const auto list = options.value();
            std::string bad;
            const auto parsed = list ? parse_levels(*list, bad) : std::nullopt;
            if (!parsed) {
                return misuse("dmesg", list ? "'" + bad + "': no such level" : "-l wants a list of levels");
            }
            levels = *parsed;
        } else if (*option == "-x" || *option == "--decode") {
            names_levels = true;
        } else if (*option == "--json") {
            is_json = true;
        } else {
            return misuse("dmesg", "'" + *option + "': no such option");
        }
    }
    if (!options.operands().empty()) {
        return misuse("dmesg", "'" + options.operands()[0] + "': it takes options only");
    }
    const auto log = system.kernel_log();
    if (!log.ok()) {
        return fail("dmesg", "the kernel's log", log.error());
    }
    Outcome outcome;
    JsonWriter json;
    json.begin_array();
    std::string_view rest = *log;
    while (!rest.empty()) {
        const std::string_view whole = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), whole.size() + 1));
        const LogLine line = parse_log_line(whole);
        if ((levels >> line.level & 1U) == 0) {
            continue;
        }
        if (names_levels) {
            outcome.output += user::format("%-6s: ", std::string{kLevels[line.level]}.c_str());
        }
        outcome.output += std::string{line.text} + '\n';
        json.begin_object();
        json.member("level", kLevels[line.level]);
        json.member("text", line.text);
        json.end_object();
    }
    json.end_array();
    if (is_json) {
        outcome.output = json.text();
    }
    return outcome;
}

Outcome run_help(System&, Arguments arguments) {
    if (!arguments.empty()) {
        const Tool* const tool = find_tool(arguments[0]);
        return tool == nullptr ? fail("help", "'" + arguments[0] + "': no such tool")
                               : Outcome{.output = std::string{tool->usage} + '\n'};
    }
    Outcome outcome;
    for (const Tool& tool : all_tools()) {
        outcome.output +=
            user::format("%-10s%s\n", std::string{tool.name}.c_str(), std::string{tool.summary}.c_str());
    }
    outcome.output += "TOOL --help says more.\n";
    return outcome;
}

Outcome run_kill(System& system, Arguments arguments) {
    if (arguments.empty()) {
        return misuse("kill", "which process?");
    }
    if (arguments[0] == "-l") {
        return list_signals(arguments);
    }
    std::optional<int> signal = 15;  // SIGTERM
    std::size_t first = 0;
    if (arguments[0] == "-s" || arguments[0] == "-n") {
        if (arguments.size() < 2) {
            return misuse("kill", arguments[0] + " wants a signal");
        }
        signal = parse_signal(arguments[1]);
        first = 2;
    } else if (arguments[0].size() > 1 && arguments[0][0] == '-' && arguments[0] != "--") {
        signal = parse_signal(std::string_view{arguments[0]}.substr(1));
        first = 1;
    }
    if (!signal) {
        return fail("kill", "'" + arguments[first - 1] + "': no such signal");
    }
    if (first < arguments.size() && arguments[first] == "--") {
        ++first;
    }
    const Arguments targets = arguments.subspan(first);
    return targets.empty() ? misuse("kill", "which process?")
                           : send_signals(system, *signal, {targets.begin(), targets.end()});
}

Outcome run_nproc(System& system, Arguments arguments) {
    bool wants_all = false;
    bool is_json = false;
    for (const std::string& argument : arguments) {
        if (argument != "--all" && argument != "--json") {
            return misuse("nproc", "'" + argument + "': no such option");
        }
        (argument == "--all" ? wants_all : is_json) = true;
    }
    const auto info = system.info();
    const auto own = system.attributes(0);
    if (!info.ok() || !own.ok()) {
        return fail("nproc", "the CPUs", info.ok() ? own.error() : info.error());
    }
    const int count = std::popcount(wants_all ? info->cpus_possible : own->effective_affinity);
    if (!is_json) {
        return {.output = std::to_string(count) + '\n'};
    }
    JsonWriter json;
    json.begin_object();
    json.member("cpus", count);
    json.member("online", format_hex(info->cpus_online));
    json.member("possible", format_hex(info->cpus_possible));
    json.end_object();
    return {.output = json.text()};
}

Outcome run_poweroff(System& system, Arguments arguments) {
    return switch_power(system, "poweroff", Power::Off, arguments);
}

Outcome run_reboot(System& system, Arguments arguments) {
    return switch_power(system, "reboot", Power::Restart, arguments);
}

Outcome run_spin(System& system, Arguments arguments) {
    std::optional<std::int64_t> length;
    if (!arguments.empty()) {
        length = parse_number(arguments[0], 1, 1'000'000);
        if (!length || arguments.size() > 1) {
            return misuse("spin", "'" + arguments.back() + "': not one number of seconds");
        }
    }
    const Duration begin = system.now();
    while (!length || system.now() - begin < seconds{*length}) {
        user::burn_unit();
    }
    return {};
}

Outcome run_uptime(System& system, Arguments arguments) {
    std::string bad;
    const auto is_json = parse_only(arguments, "--json", bad);
    if (!is_json) {
        return misuse("uptime", bad);
    }
    const auto loads = system.read_file("/proc/loadavg");
    if (!loads.ok()) {
        return fail("uptime", "/proc/loadavg", loads.error());
    }
    std::vector<std::string> averages;
    for (std::string_view rest = *loads; averages.size() < 3 && !rest.empty();) {
        const std::string_view word = rest.substr(0, rest.find(' '));
        averages.emplace_back(word);
        rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    }
    if (averages.size() < 3) {
        return fail("uptime", "/proc/loadavg: not three averages");
    }
    const auto up = std::chrono::duration_cast<seconds>(system.now());
    if (*is_json) {
        JsonWriter json;
        json.begin_object();
        json.member("up_seconds", up.count());
        json.member("load", averages[0] + ' ' + averages[1] + ' ' + averages[2]);
        json.end_object();
        return {.output = json.text()};
    }
    const long long day = system.wall_time().count() % kSecondsPerDay;
    return {.output = user::format(" %02lld:%02lld:%02lld up %s,  load average: %s, %s, %s\n", day / 3600,
                                   day / 60 % 60, day % 60, format_up(up).c_str(), averages[0].c_str(),
                                   averages[1].c_str(), averages[2].c_str())};
}

}  // namespace shell
