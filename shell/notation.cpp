// SPDX-License-Identifier: MIT
#include "notation.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <csignal>
#include <cstring>
#include <utility>

#include "console.hpp"

namespace shell {
namespace {

using nexus_abi::AffinityPolicy;
using nexus_abi::QosClass;

constexpr unsigned kMaxCpus = 64;
constexpr std::int64_t kMaxUnits = 1'000'000'000;

constexpr std::array<std::pair<std::string_view, QosClass>, 4> kClasses{{
    {"idle", QosClass::Idle},
    {"normal", QosClass::Normal},
    {"interactive", QosClass::Interactive},
    {"perfburst", QosClass::PerfBurst},
}};
constexpr std::array<std::pair<std::string_view, AffinityPolicy>, 4> kPolicies{{
    {"pin", AffinityPolicy::Pin},
    {"prefer", AffinityPolicy::Prefer},
    {"perf", AffinityPolicy::Perf},
    {"eff", AffinityPolicy::Eff},
}};

constexpr std::array<std::pair<int, std::string_view>, 31> kSignals{{
    {SIGHUP, "HUP"},   {SIGINT, "INT"},       {SIGQUIT, "QUIT"}, {SIGILL, "ILL"},     {SIGTRAP, "TRAP"},
    {SIGABRT, "ABRT"}, {SIGBUS, "BUS"},       {SIGFPE, "FPE"},   {SIGKILL, "KILL"},   {SIGUSR1, "USR1"},
    {SIGSEGV, "SEGV"}, {SIGUSR2, "USR2"},     {SIGPIPE, "PIPE"}, {SIGALRM, "ALRM"},   {SIGTERM, "TERM"},
    {16, "STKFLT"},    {SIGCHLD, "CHLD"},     {SIGCONT, "CONT"}, {SIGSTOP, "STOP"},   {SIGTSTP, "TSTP"},
    {SIGTTIN, "TTIN"}, {SIGTTOU, "TTOU"},     {SIGURG, "URG"},   {SIGXCPU, "XCPU"},   {SIGXFSZ, "XFSZ"},
    {SIGPROF, "PROF"}, {SIGVTALRM, "VTALRM"}, {SIGIO, "IO"},     {SIGWINCH, "WINCH"}, {SIGPWR, "PWR"},
    {SIGSYS, "SYS"},
}};

template <class Number>
std::optional<Number> parse_whole(std::string_view text, int base) {
    Number number{};
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number, base);
    if (error != std::errc{} || stop != end) {
        return std::nullopt;
    }
    return number;
}

std::string upper(std::string_view text) {
    std::string result{text};
    std::ranges::transform(result, result.begin(),
                           [](unsigned char letter) { return static_cast<char>(std::toupper(letter)); });
    return result;
}

// "3", "0-3" or "0-6:2".
std::optional<std::uint64_t> parse_range(std::string_view text) {
    std::uint64_t step = 1;
    if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
        const auto given = parse_number(text.substr(colon + 1), 1, kMaxCpus);
        if (!given || !text.substr(0, colon).contains('-')) {
            return std::nullopt;
        }
        step = static_cast<std::uint64_t>(*given);
        text = text.substr(0, colon);
    }
    const std::size_t dash = text.find('-');
    const auto first = parse_number(text.substr(0, dash), 0, kMaxCpus - 1);
    const auto last =
        dash == std::string_view::npos ? first : parse_number(text.substr(dash + 1), 0, kMaxCpus - 1);
    if (!first || !last || *last < *first) {
        return std::nullopt;
    }
    std::uint64_t mask = 0;
    for (auto cpu = static_cast<std::uint64_t>(*first); cpu <= static_cast<std::uint64_t>(*last);
         cpu += step) {
        mask |= std::uint64_t{1} << cpu;
    }
    return mask;
}

template <class Value, std::size_t Size>
std::optional<Value> value_of(const std::array<std::pair<std::string_view, Value>, Size>& names,
                              std::string_view name) {
    const auto found = std::ranges::find(names, name, &std::pair<std::string_view, Value>::first);
    return found == names.end() ? std::nullopt : std::optional{found->second};
}

template <class Value, std::size_t Size>
std::string_view name_in(const std::array<std::pair<std::string_view, Value>, Size>& names,
                         std::uint32_t value) {
    const auto found =
        std::ranges::find(names, static_cast<Value>(value), &std::pair<std::string_view, Value>::second);
    return found == names.end() ? std::string_view{"unknown"} : found->first;
}

}  // namespace

std::optional<std::int64_t> parse_number(std::string_view text, std::int64_t least, std::int64_t most) {
    const auto number = parse_whole<std::int64_t>(text, 10);
    return number && *number >= least && *number <= most ? number : std::nullopt;
}

std::optional<std::int32_t> parse_pid(std::string_view text) {
    const auto number = parse_number(text, 1, 0x7fff'ffff);
    return number ? std::optional{static_cast<std::int32_t>(*number)} : std::nullopt;
}

std::optional<std::uint64_t> parse_mask(std::string_view text) {
    if (text.starts_with("0x") || text.starts_with("0X")) {
        text.remove_prefix(2);
    }
    return parse_whole<std::uint64_t>(text, 16);
}

std::optional<std::uint64_t> parse_cpu_list(std::string_view text) {
    std::uint64_t mask = 0;
    for (;;) {
        const std::size_t comma = text.find(',');
        const auto part = parse_range(text.substr(0, comma));
        if (!part) {
            return std::nullopt;
        }
        mask |= *part;
        if (comma == std::string_view::npos) {
            return mask;
        }
        text.remove_prefix(comma + 1);
    }
}

std::string format_cpu_list(std::uint64_t mask) {
    std::string text;
    for (unsigned cpu = 0; cpu < kMaxCpus; ++cpu) {
        const auto has = [&](unsigned number) { return number < kMaxCpus && (mask >> number & 1U) != 0; };
        if (!has(cpu)) {
            continue;
        }
        const unsigned first = cpu;
        while (has(cpu + 1)) {
            ++cpu;
        }
        text += (text.empty() ? "" : ",") + std::to_string(first);
        text += cpu == first ? "" : '-' + std::to_string(cpu);
    }
    return text;
}

std::string format_hex(std::uint64_t value) {
    return user::format("%llx", static_cast<unsigned long long>(value));
}

std::optional<int> parse_signal(std::string_view text) {
    if (const auto number = parse_number(text, 0, 64)) {
        return static_cast<int>(*number);
    }
    const std::string name = upper(text);
    const std::string_view plain = std::string_view{name}.substr(name.starts_with("SIG") ? 3 : 0);
    const auto found = std::ranges::find(kSignals, plain, &std::pair<int, std::string_view>::second);
    return found == kSignals.end() ? std::nullopt : std::optional{found->first};
}

std::string signal_name(int signal) {
    const auto found = std::ranges::find(kSignals, signal, &std::pair<int, std::string_view>::first);
    return found == kSignals.end() ? std::to_string(signal) : std::string{found->second};
}

std::string signal_list() {
    std::string list;
    for (int signal = 1; signal <= static_cast<int>(kSignals.size()); ++signal) {
        list += (signal == 1 ? "" : " ") + signal_name(signal);
    }
    return list;
}

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
    if (text == "0") {
        return std::chrono::nanoseconds{0};
    }
    constexpr std::array<std::pair<std::string_view, std::int64_t>, 4> kUnits{
        {{"ns", 1}, {"us", 1'000}, {"ms", 1'000'000}, {"s", 1'000'000'000}}};
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto unit = std::ranges::find(kUnits, text.substr(digits), &decltype(kUnits)::value_type::first);
    const auto number = parse_number(text.substr(0, digits), 0, kMaxUnits);
    if (unit == kUnits.end() || !number) {
        return std::nullopt;
    }
    return std::chrono::nanoseconds{*number * unit->second};
}

std::string format_duration(std::uint64_t nanoseconds) {
    if (nanoseconds % 1'000'000 == 0) {
        return std::to_string(nanoseconds / 1'000'000) + "ms";
    }
    return nanoseconds % 1000 == 0 ? std::to_string(nanoseconds / 1000) + "us"
                                   : std::to_string(nanoseconds) + "ns";
}

std::string format_rough(std::uint64_t nanoseconds) {
    const auto value = static_cast<double>(nanoseconds);
    if (nanoseconds < 10'000) {
        return user::format("%.2fus", value / 1e3);
    }
    if (nanoseconds < 1'000'000) {
        return user::format("%.0fus", value / 1e3);
    }
    if (nanoseconds < 10'000'000'000) {
        return user::format("%.1fms", value / 1e6);
    }
    return user::format("%.1fs", value / 1e9);
}

std::string format_cpu_time(std::uint64_t nanoseconds) {
    const std::uint64_t hundredths = nanoseconds / 10'000'000;
    return user::format("%llu:%02llu.%02llu", static_cast<unsigned long long>(hundredths / 6000),
                        static_cast<unsigned long long>(hundredths / 100 % 60),
                        static_cast<unsigned long long>(hundredths % 100));
}

std::optional<QosClass> parse_class(std::string_view name) {
    return value_of(kClasses, name);
}

std::string_view class_name(std::uint32_t qos_class) {
    return name_in(kClasses, qos_class);
}

std::optional<AffinityPolicy> parse_policy(std::string_view name) {
    return value_of(kPolicies, name);
}

std::string_view policy_name(std::uint32_t policy) {
    return name_in(kPolicies, policy);
}

std::string_view state_name(std::uint32_t state) {
    constexpr std::array<std::string_view, 6> kNames{"blocked",   "queued", "running",
                                                     "migrating", "dead",   "throttled"};
    return state < kNames.size() ? kNames[state] : std::string_view{"unknown"};
}

char state_letter(std::uint32_t state) {
    constexpr std::string_view kLetters = "SRRRZB";
    return state < kLetters.size() ? kLetters[state] : '?';
}

std::string name_of(const nexus_abi::sched_snapshot_entry& entry) {
    return std::string{entry.name, ::strnlen(entry.name, sizeof(entry.name))};
}

}  // namespace shell
