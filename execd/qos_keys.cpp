// SPDX-License-Identifier: MIT
#include "key_reader.hpp"
#include "notation.hpp"
#include "systemd_keys.hpp"

namespace execd {
namespace {

using nexus_abi::QosClass;
using std::chrono::nanoseconds;

constexpr nanoseconds kBudgetMin{nexus_abi::kBudgetMinNs};
constexpr nanoseconds kPeriodMax{nexus_abi::kBudgetPeriodMaxNs};

// systemd's names of the policies that NEURON has a class for. Real-time policies are not among them: their
// promise, to run before all others, is none that a class gives.
constexpr std::array<std::pair<std::string_view, QosClass>, 3> kSystemdPolicies{{
    {"other", QosClass::Normal},
    {"batch", QosClass::Normal},
    {"idle", QosClass::Idle},
}};

// CPUWeight = "idle" is a class; a number is shares.
bool is_idle_weight(const Entry* weight) {
    const auto* const text = weight == nullptr ? nullptr : std::get_if<std::string>(&weight->value.data);
    return text != nullptr && *text == "idle";
}

std::optional<Placed<QosClass>> read_class(const Entry* entry, KeyReader& reader) {
    if (entry == nullptr) {
        return std::nullopt;
    }
    if (is_idle_weight(entry)) {
        return reader.place(QosClass::Idle, entry->value.at);
    }
    TableReader& table = reader.table();
    const auto qos_class = entry->key == "CPUSchedulingPolicy"
                               ? table.find_name("CPUSchedulingPolicy", kSystemdPolicies)
                               : table.find_name(entry->key, kClassNames);
    return qos_class ? std::optional{reader.place(*qos_class, entry->value.at)} : std::nullopt;
}

// An integer from least to most.
std::optional<std::int64_t> read_integer(const Entry& entry, std::int64_t least, std::int64_t most,
                                         KeyReader& reader) {
    const auto* const number = reader.table().as<std::int64_t>(entry.value, entry.key, "an integer");
    if (number == nullptr) {
        return std::nullopt;
    }
    if (*number < least || *number > most) {
        reader.errors().add(entry.value.at, entry.key + " = " + std::to_string(*number) +
                                                " is out of range " + std::to_string(least) + ".." +
                                                std::to_string(most));
        return std::nullopt;
    }
    return *number;
}

std::optional<std::uint32_t> read_nice(const Entry& entry, KeyReader& reader) {
    const auto nice = read_integer(entry, systemd::kNiceMin, systemd::kNiceMax, reader);
    if (!nice) {
        return std::nullopt;
    }
    const auto shares = systemd::shares_of_nice(*nice);
    if (!shares) {
        reader.errors().add(entry.value.at, "Nice = " + std::to_string(*nice) +
                                                " is more than 1000 shares can say: the least is -10; a "
                                                "higher class may be what you want");
    }
    return shares;
}

std::optional<std::uint32_t> read_weight(const Entry& entry, KeyReader& reader) {
    const auto weight = read_integer(entry, 1, systemd::kWeightMax, reader);
    if (weight && *weight > nexus_abi::kSharesMax) {
        reader.errors().add(entry.value.at, "CPUWeight = " + std::to_string(*weight) +
                                                " is more than shares can say: they end at 1000; a higher "
                                                "class may be what you want");
        return std::nullopt;
    }
    return weight ? std::optional{static_cast<std::uint32_t>(*weight)} : std::nullopt;
}

std::optional<std::uint32_t> read_shares_value(const Entry& entry, KeyReader& reader) {
    if (entry.key == "Nice") {
        return read_nice(entry, reader);
    }
    if (entry.key == "CPUWeight") {
        return read_weight(entry, reader);
    }
    const auto shares = read_integer(entry, nexus_abi::kSharesMin, nexus_abi::kSharesMax, reader);
    return shares ? std::optional{static_cast<std::uint32_t>(*shares)} : std::nullopt;
}

std::optional<Placed<std::uint32_t>> read_shares(const Entry* entry, KeyReader& reader) {
    const auto shares = entry == nullptr ? std::nullopt : read_shares_value(*entry, reader);
    return shares ? std::optional{reader.place(*shares, entry->value.at)} : std::nullopt;
}

std::optional<nanoseconds> parse_duration_or_report(std::string_view text, Position at, KeyReader& reader) {
    const auto duration = parse_duration(text);
    if (!duration) {
        reader.errors().add(
            at, "\"" + std::string{text} + "\" is no duration: write it like \"500us\", \"5ms\" or \"1s\"");
    }
    return duration;
}

// A hint: 0, or a duration from least to most.
std::optional<Placed<nanoseconds>> read_hint(std::string_view key, nanoseconds least, nanoseconds most,
                                             KeyReader& reader) {
    const Entry* const entry = reader.table().find(key);
    const auto* const text = reader.table().find_as<std::string>(key, "a duration like \"5ms\"");
    if (text == nullptr || entry == nullptr) {
        return std::nullopt;
    }
    const auto duration = parse_duration_or_report(*text, entry->value.at, reader);
    if (!duration) {
        return std::nullopt;
    }
    if (duration->count() != 0 && (*duration < least || *duration > most)) {
        reader.errors().add(entry->value.at, std::string{key} + " = \"" + *text +
                                                 "\" is out of range: 0ms, or " + format_duration(least) +
                                                 " to " + format_duration(most));
        return std::nullopt;
    }
    return reader.place(*duration, entry->value.at);
}

std::optional<Placed<Budget>> check_budget(const Budget& budget, const Entry& entry, KeyReader& reader) {
    if (budget.runtime < kBudgetMin || budget.runtime > budget.period || budget.period > kPeriodMax) {
        reader.errors().add(entry.value.at, "'" + entry.key + "' is out of range (" +
                                                format_duration(budget.runtime) + " in each " +
                                                format_duration(budget.period) +
                                                "): " + format_duration(kBudgetMin) +
                                                " <= budget <= period <= " + format_duration(kPeriodMax));
        return std::nullopt;
    }
    return reader.place(budget, entry.value.at);
}

// budget = "20ms/100ms", or "20ms" and period = "100ms", or "none".
std::optional<Placed<Budget>> read_native_budget(const Entry& entry, const Entry* period, KeyReader& reader) {
    const auto* const text = reader.table().as<std::string>(
        entry.value, entry.key, "\"none\" or a pair of durations like \"20ms/100ms\"");
    if (text == nullptr) {
        return std::nullopt;
    }
    const std::size_t slash = text->find('/');
    const bool is_pair = slash != std::string::npos;
    if (period != nullptr && (is_pair || *text == "none")) {
        reader.errors().add(period->at, "'period' says again what budget = \"" + *text + "\" (line " +
                                            std::to_string(entry.at.line) + ") says: leave it out");
        return std::nullopt;
    }
    if (*text == "none") {
        return reader.place(Budget{}, entry.value.at);
    }
    const std::string* period_text = nullptr;
    if (period != nullptr) {
        period_text = reader.table().as<std::string>(period->value, "period", "a duration like \"100ms\"");
        if (period_text == nullptr) {
            return std::nullopt;
        }
    } else if (!is_pair) {
        reader.errors().add(entry.value.at, "budget = \"" + *text + "\" has no period: write it like \"" +
                                                *text + "/100ms\"");
        return std::nullopt;
    }
    const std::string_view whole{*text};
    const auto runtime = parse_duration_or_report(whole.substr(0, slash), entry.value.at, reader);
    const auto window = is_pair ? parse_duration_or_report(whole.substr(slash + 1), entry.value.at, reader)
                                : parse_duration_or_report(*period_text, period->value.at, reader);
    if (!runtime || !window) {
        return std::nullopt;
    }
    return check_budget({.runtime = *runtime, .period = *window}, entry, reader);
}

// CPUQuota = "20%" of one CPU, in each CPUQuotaPeriodSec.
std::optional<Placed<Budget>> read_quota(const Entry& entry, const Entry* period, KeyReader& reader) {
    nanoseconds window = systemd::kDefaultQuotaPeriod;
    if (period != nullptr) {
        const auto* const text =
            reader.table().as<std::string>(period->value, "CPUQuotaPeriodSec", "a duration like \"50ms\"");
        const auto given =
            text == nullptr ? std::nullopt : parse_duration_or_report(*text, period->value.at, reader);
        if (!given) {
            return std::nullopt;
        }
        window = *given;
    }
    const auto* const text = reader.table().as<std::string>(entry.value, "CPUQuota", "a string like \"20%\"");
    if (text == nullptr) {
        return std::nullopt;
    }
    const auto percent = systemd::parse_percent(*text);
    if (!percent) {
        reader.errors().add(entry.value.at,
                            "\"" + *text + "\" is no quota: write it in whole percent, like \"20%\"");
        return std::nullopt;
    }
    if (*percent > 100) {
        reader.errors().add(entry.value.at,
                            "CPUQuota = \"" + *text + "\": a budget is at most one whole cpu (100%)");
        return std::nullopt;
    }
    return check_budget({.runtime = window * *percent / 100, .period = window}, entry, reader);
}

std::optional<Placed<bool>> read_flag(const Entry* entry, KeyReader& reader) {
    const bool* const flag =
        entry == nullptr ? nullptr : reader.table().as<bool>(entry->value, entry->key, "true or false");
    return flag == nullptr ? std::nullopt : std::optional{reader.place(*flag, entry->value.at)};
}

void read_budget(KeyReader& reader, QosRecipe& recipe) {
    TableReader& table = reader.table();
    const Entry* const period = table.find("period");
    const Entry* const quota_period = table.find("CPUQuotaPeriodSec");
    const Entry* const budget = table.find("budget");
    const Entry* const quota = table.find("CPUQuota");
    recipe.inherit_budget = read_flag(table.find("inherit_budget"), reader);
    if (period != nullptr && budget == nullptr) {
        reader.errors().add(period->at, "'period' without 'budget'");
    }
    if (quota_period != nullptr && quota == nullptr) {
        reader.errors().add(quota_period->at, "'CPUQuotaPeriodSec' without 'CPUQuota'");
    }
    const Entry* const given = table.one_of({budget, quota});
    if (given == nullptr) {
        return;
    }
    if (given == budget) {
        recipe.budget = read_native_budget(*given, period, reader);
        return;
    }
    recipe.budget = read_quota(*given, quota_period, reader);
    if (!recipe.inherit_budget) {
        // A quota is one of the whole service, its threads and children included.
        recipe.inherit_budget = reader.place(true, given->value.at);
    }
}

void read_limits(KeyReader& reader, QosRecipe& recipe) {
    TableReader& table = reader.table();
    recipe.max_class = read_class(table.find("max_class"), reader);
    recipe.max_shares = read_shares(table.find("max_shares"), reader);
    const Entry* const group = table.find("group_shares");
    const auto ceiling =
        group == nullptr ? std::nullopt : read_integer(*group, 0, nexus_abi::kSharesMax, reader);
    if (ceiling) {
        recipe.group_shares = reader.place(static_cast<std::uint32_t>(*ceiling), group->value.at);
    }
}

}  // namespace

void read_keys(KeyReader& reader, QosRecipe& recipe) {
    TableReader& table = reader.table();
    const Entry* const weight = table.find("CPUWeight");
    const bool is_idle = is_idle_weight(weight);
    recipe.qos_class = read_class(
        table.one_of({table.find("class"), table.find("CPUSchedulingPolicy"), is_idle ? weight : nullptr}),
        reader);
    recipe.shares = read_shares(
        table.one_of({table.find("shares"), table.find("Nice"), is_idle ? nullptr : weight}), reader);
    recipe.latency = read_hint("latency", nanoseconds{nexus_abi::kLatencyHintMinNs},
                               nanoseconds{nexus_abi::kLatencyHintMaxNs}, reader);
    recipe.burst = read_hint("burst", nanoseconds{nexus_abi::kBurstHintMinNs},
                             nanoseconds{nexus_abi::kBurstHintMaxNs}, reader);
    read_budget(reader, recipe);
    read_limits(reader, recipe);
    recipe.reset_on_spawn = read_flag(
        table.one_of({table.find("reset_on_spawn"), table.find("CPUSchedulingResetOnFork")}), reader);
    if (const Entry* const slack = table.find("TimerSlackNSec")) {
        reader.errors().warn(slack->at, "'TimerSlackNSec' has no effect: timer slack follows the class");
    }
}

}  // namespace execd
