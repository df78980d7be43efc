// SPDX-License-Identifier: MIT
#include "notation.hpp"

#include <algorithm>
#include <charconv>

namespace execd {
namespace {

// All of `text` as a number, or nullopt.
std::optional<std::uint64_t> parse_number(std::string_view text, int base) {
    std::uint64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value, base);
    if (error != std::errc{} || stop != end) {
        return std::nullopt;
    }
    return value;
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && text.front() == ' ') {
        text.remove_prefix(1);
    }
    while (!text.empty() && text.back() == ' ') {
        text.remove_suffix(1);
    }
    return text;
}

// "4" or "0-2".
std::optional<std::uint64_t> parse_cpu_range(std::string_view text) {
    const std::size_t dash = text.find('-');
    const auto first = parse_number(trim(text.substr(0, dash)), 10);
    const auto last = dash == std::string_view::npos ? first : parse_number(trim(text.substr(dash + 1)), 10);
    if (!first || !last || *first > *last || *last >= kMaxCpus) {
        return std::nullopt;
    }
    std::uint64_t mask = 0;
    for (std::uint64_t cpu = *first; cpu <= *last; ++cpu) {
        mask |= std::uint64_t{1} << cpu;
    }
    return mask;
}

template <std::size_t Count, class T>
std::string_view name_of(const std::array<std::pair<std::string_view, T>, Count>& names,
                         std::uint32_t value) {
    for (const auto& [name, known] : names) {
        if (static_cast<std::uint32_t>(known) == value) {
            return name;
        }
    }
    return "unknown";
}

}  // namespace

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
    struct Unit {
        std::string_view name;
        std::chrono::nanoseconds length;
    };
    using namespace std::chrono_literals;
    // "s" last: the others end in it too.
    static constexpr std::array<Unit, 3> kUnits{{{"us", 1us}, {"ms", 1ms}, {"s", 1s}}};
    constexpr std::uint64_t kMaxCount = 1'000'000'000;  // the product stays in 64 bits
    for (const auto& [name, length] : kUnits) {
        if (!text.ends_with(name)) {
            continue;
        }
        const auto count = parse_number(text.substr(0, text.size() - name.size()), 10);
        if (!count || *count > kMaxCount) {
            return std::nullopt;
        }
        return length * static_cast<std::int64_t>(*count);
    }
    return std::nullopt;
}

std::string format_duration(std::chrono::nanoseconds duration) {
    using std::chrono::duration_cast;
    const auto milliseconds = duration_cast<std::chrono::milliseconds>(duration);
    if (milliseconds == duration) {
        return std::to_string(milliseconds.count()) + "ms";
    }
    const auto microseconds = duration_cast<std::chrono::microseconds>(duration);
    if (microseconds == duration) {
        return std::to_string(microseconds.count()) + "us";
    }
    return std::to_string(duration.count()) + "ns";
}

std::optional<std::uint64_t> parse_cpu_list(std::string_view text) {
    if (text == "all") {
        return ~std::uint64_t{0};
    }
    std::uint64_t mask = 0;
    for (;;) {
        const std::size_t comma = text.find(',');
        const auto range = parse_cpu_range(text.substr(0, comma));
        if (!range) {
            return std::nullopt;
        }
        mask |= *range;
        if (comma == std::string_view::npos) {
            return mask;
        }
        text.remove_prefix(comma + 1);
    }
}

std::optional<std::uint64_t> parse_mask(std::string_view text) {
    if (text.starts_with("0x") || text.starts_with("0X")) {
        return parse_number(text.substr(2), 16);
    }
    return parse_number(text, 10);
}

std::string format_cpu_list(std::uint64_t mask) {
    std::string list;
    for (unsigned cpu = 0; cpu < kMaxCpus; ++cpu) {
        if (((mask >> cpu) & 1U) == 0) {
            continue;
        }
        unsigned last = cpu;
        while (last + 1 < kMaxCpus && ((mask >> (last + 1)) & 1U) != 0) {
            ++last;
        }
        list += (list.empty() ? "" : ",") + std::to_string(cpu);
        if (last != cpu) {
            list += '-' + std::to_string(last);
        }
        cpu = last;
    }
    return list.empty() ? "none" : list;
}

std::string format_mask(std::uint64_t mask) {
    std::array<char, 16> digits{};
    const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), mask, 16);
    return "0x" + std::string{digits.data(), end};
}

bool is_board_name(std::string_view name) {
    const auto is_allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ',' ||
               c == '.' || c == '_' || c == '+' || c == '-';
    };
    return !name.empty() && !name.starts_with('.') && std::ranges::all_of(name, is_allowed);
}

std::string_view class_name(std::uint32_t qos_class) {
    return name_of(kClassNames, qos_class);
}

std::string_view policy_name(std::uint32_t policy) {
    return name_of(kPolicyNames, policy);
}

std::string_view restart_name(RestartPolicy policy) {
    return name_of(kRestartNames, static_cast<std::uint32_t>(policy));
}

}  // namespace execd
