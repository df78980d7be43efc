// SPDX-License-Identifier: MIT
#include "systemd_keys.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include "nexus_abi/sched.hpp"
#include "notation.hpp"

namespace execd::systemd {
namespace {

// Linux' weights, nice -20 first (kernel/sched/core.c, sched_prio_to_weight).
constexpr std::array<std::uint32_t, 40> kNiceWeight{
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904,
    3906,  3121,  2501,  1991,  1586,  1277,  1024,  820,   655,   526,   423,  335,  272,  215,
    172,   137,   110,   87,    70,    56,    45,    36,    29,    23,    18,   15};
constexpr std::uint32_t kNiceWeightNormal = 1024;

}  // namespace

std::optional<std::uint32_t> shares_of_nice(std::int64_t nice) {
    const std::uint32_t weight = kNiceWeight[static_cast<std::size_t>(nice - kNiceMin)];
    const std::uint32_t shares =
        (nexus_abi::kSharesDefault * weight + kNiceWeightNormal / 2) / kNiceWeightNormal;
    return shares <= nexus_abi::kSharesMax ? std::optional{shares} : std::nullopt;
}

std::optional<std::int64_t> parse_percent(std::string_view text) {
    if (!text.ends_with('%')) {
        return std::nullopt;
    }
    constexpr std::int64_t kMost = 1'000'000;
    std::int64_t percent = 0;
    const char* const end = text.data() + text.size() - 1;
    const auto [stop, error] = std::from_chars(text.data(), end, percent);
    if (error != std::errc{} || stop != end || percent < 1 || percent > kMost) {
        return std::nullopt;
    }
    return percent;
}

std::optional<std::uint64_t> parse_cpus(std::string_view text) {
    // Words and commas both separate; parse_cpu_list() wants commas.
    std::string list;
    for (const char c : text) {
        const bool is_separator = c == ' ' || c == ',';
        if (!is_separator) {
            list += c;
        } else if (!list.empty() && list.back() != ',') {
            list += ',';
        }
    }
    if (list.ends_with(',')) {
        list.pop_back();
    }
    return list == "all" ? std::nullopt : parse_cpu_list(list);
}

}  // namespace execd::systemd
