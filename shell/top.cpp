// SPDX-License-Identifier: MIT
// top: pictures of what runs, one after the other, until the time is up or q is typed.
#include "console.hpp"
#include "notation.hpp"
#include "tools.hpp"
#include "top_view.hpp"

namespace shell {
namespace {

constexpr std::string_view kName = "top";
constexpr Duration kShortestInterval = std::chrono::milliseconds{100};
constexpr Duration kLongestInterval = std::chrono::seconds{60};
constexpr std::int64_t kMaxHundredths = 6000;

struct Wish {
    ViewOptions view;
    Duration interval{std::chrono::seconds{2}};
    std::int64_t times{0};  // 0: until q
    bool is_batch{false};
};

// "2", "0.5": up to a minute, in hundredths.
std::optional<Duration> parse_interval(const std::string& text) {
    const std::size_t dot = text.find('.');
    const auto whole = parse_number(text.substr(0, dot), 0, 60);
    std::string digits = dot == std::string::npos ? "0" : text.substr(dot + 1);
    if (!whole || digits.empty() || digits.size() > 2) {
        return std::nullopt;
    }
    digits.resize(2, '0');
    const auto hundredths = parse_number(digits, 0, 99);
    if (!hundredths || *whole * 100 + *hundredths > kMaxHundredths) {
        return std::nullopt;
    }
    const Duration interval = std::chrono::seconds{*whole} + std::chrono::milliseconds{*hundredths * 10};
    return interval < kShortestInterval ? std::nullopt : std::optional{interval};
}

std::optional<std::string> take_value(Wish& wish, const std::string& option, const std::string& value) {
    if (option == "-n") {
        const auto times = parse_number(value, 1, 1'000'000);
        wish.times = times.value_or(0);
        return times ? std::nullopt : std::optional{"'" + value + "': not a number of times"};
    }
    if (option == "-d") {
        const auto interval = parse_interval(value);
        wish.interval = interval.value_or(Duration{});
        return interval ? std::nullopt : std::optional{"'" + value + "': not seconds from 0.1 to 60"};
    }
    if (option == "-p") {
        const auto pids = parse_pids(value);
        wish.view.pids = pids.value_or(std::vector<std::int32_t>{});
        return pids ? std::nullopt : std::optional{"'" + value + "': not a list of process ids"};
    }
    const auto key = parse_sort_key(value);
    wish.view.sort = key.value_or(SortKey::Cpu);
    return key ? std::nullopt : std::optional{"'" + value + "': not cpu, wait, time, pid, shares or name"};
}

std::optional<Outcome> parse(Arguments arguments, Wish& wish) {
    OptionReader options{arguments};
    while (const auto option = options.next()) {
        if (*option == "-b") {
            wish.is_batch = true;
        } else if (*option == "-H") {
            wish.view.by_thread = true;
        } else if (*option == "-n" || *option == "-d" || *option == "-o" || *option == "-p") {
            const auto value = options.value();
            const auto problem =
                value ? take_value(wish, *option, *value) : std::optional{*option + " wants a value"};
            if (problem) {
                return misuse(kName, *problem);
            }
        } else {
            return misuse(kName, "'" + *option + "': no such option");
        }
    }
    if (!options.operands().empty()) {
        return misuse(kName, "'" + options.operands()[0] + "': it takes options only");
    }
    return std::nullopt;
}

Result<Sample> take_sample(System& system, std::uint64_t cpus) {
    Sample sample{.at = system.now(), .entries = TRY(system.tasks()), .harts = {}};
    for (std::uint32_t cpu = 0; cpu < nexus_abi::kMaxHartsInStat; ++cpu) {
        if ((cpus >> cpu & 1U) != 0) {
            sample.harts.push_back({.cpu = cpu, .stat = TRY(system.hart(cpu))});
        }
    }
    return sample;
}

// What a key changes; false: the end.
bool take_key(char key, Wish& wish) {
    constexpr char kControlC = 3;
    const auto sort_by = [&](SortKey sort) { wish.view.sort = sort; };
    switch (key) {
        case 'q':
        case kControlC:
            return false;
        case 'P':
            sort_by(SortKey::Cpu);
            break;
        case 'T':
            sort_by(SortKey::Time);
            break;
        case 'W':
            sort_by(SortKey::Wait);
            break;
        case 'S':
            sort_by(SortKey::Shares);
            break;
        case 'N':
            sort_by(SortKey::Pid);
            break;
        case 'R':
            wish.view.is_reversed = !wish.view.is_reversed;
            break;
        case 'H':
            wish.view.by_thread = !wish.view.by_thread;
            break;
        case '+':
            wish.interval = std::min(wish.interval * 2, kLongestInterval);
            break;
        case '-':
            wish.interval = std::max(wish.interval / 2, kShortestInterval);
            break;
        default:
            break;
    }
    return true;
}

// From the screen's corner, each line cleared behind its text, and what is below: nothing flickers.
std::string on_screen(std::string_view text) {
    std::string shown = "\x1b[H";
    for (const char letter : text) {
        shown += letter == '\n' ? std::string{"\x1b[K\n"} : std::string(1, letter);
    }
    return shown + "\x1b[J";
}

void show(System& system, const Sample& earlier, const Sample& later, Wish& wish) {
    if (wish.is_batch) {
        system.show(render(earlier, later, wish.view) + '\n');
        return;
    }
    const System::Screen screen = system.screen();
    wish.view.rows = screen.rows - 1;
    wish.view.columns = screen.columns;
    system.show(on_screen(render(earlier, later, wish.view)));
}

}  // namespace

Outcome run_top(System& system, Arguments arguments) {
    Wish wish;
    if (auto wrong = parse(arguments, wish)) {
        return *wrong;
    }
    const auto info = system.info();
    if (!info.ok()) {
        return fail(kName, "the CPUs", info.error());
    }
    Sample earlier;
    for (std::int64_t shown = 1;; ++shown) {
        auto later = take_sample(system, info->cpus_possible);
        if (!later.ok()) {
            return fail(kName, "the list of tasks", later.error());
        }
        show(system, earlier, *later, wish);
        earlier = std::move(*later);
        if (shown == wish.times) {
            return {};
        }
        if (wish.is_batch) {
            system.pause(wish.interval);
        } else if (const auto key = system.wait_for_key(wish.interval); key && !take_key(*key, wish)) {
            return {.output = "\n"};
        }
    }
}

}  // namespace shell
