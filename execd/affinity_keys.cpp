// SPDX-License-Identifier: MIT
#include "key_reader.hpp"
#include "notation.hpp"
#include "systemd_keys.hpp"

namespace execd {
namespace {

using nexus_abi::AffinityPolicy;

std::optional<std::uint64_t> read_cpu_array(const Array& array, const std::string& key, KeyReader& reader) {
    std::uint64_t mask = 0;
    bool is_right = true;
    for (const Value& item : array.items) {
        const auto* const cpu = reader.table().as<std::int64_t>(item, key, "an array of integers only");
        if (cpu != nullptr && (*cpu < 0 || *cpu >= kMaxCpus)) {
            reader.errors().add(item.at, "cpu " + std::to_string(*cpu) + " is out of range 0..63");
            is_right = false;
        } else if (cpu != nullptr) {
            mask |= std::uint64_t{1} << static_cast<unsigned>(*cpu);
        } else {
            is_right = false;
        }
    }
    return is_right ? std::optional{mask} : std::nullopt;
}

// [0, 1] or "0-2,4"; `parse` reads the string.
template <class Parse>
std::optional<std::uint64_t> read_cpus(const Entry& entry, Parse parse, KeyReader& reader) {
    const Value& value = entry.value;
    if (const auto* const array = std::get_if<Array>(&value.data)) {
        return read_cpu_array(*array, entry.key, reader);
    }
    const auto* const text =
        reader.table().as<std::string>(value, entry.key, "an array of integers or a string like \"0-2,4\"");
    if (text == nullptr) {
        return std::nullopt;
    }
    const auto mask = parse(*text);
    if (!mask) {
        reader.errors().add(value.at,
                            "\"" + *text + "\" is no list of cpus: write it like \"0-2,4\", each 0..63");
    }
    return mask;
}

// 0x3 or "0x3" (a string also reaches bit 63).
std::optional<std::uint64_t> read_mask(const Entry& entry, KeyReader& reader) {
    const Value& value = entry.value;
    if (const auto* const text = std::get_if<std::string>(&value.data)) {
        const auto mask = parse_mask(*text);
        if (!mask) {
            reader.errors().add(value.at, "\"" + *text + "\" is no mask: write it like 0x3 or \"0x3\"");
        }
        return mask;
    }
    const auto* const integer =
        reader.table().as<std::int64_t>(value, entry.key, "an integer like 0x3 or a string like \"0x3\"");
    if (integer != nullptr && *integer < 0) {
        reader.errors().add(value.at, "mask = " + std::to_string(*integer) + " is negative");
        return std::nullopt;
    }
    return integer == nullptr ? std::nullopt : std::optional{static_cast<std::uint64_t>(*integer)};
}

// The set of CPUs one of several keys names. nullptr: none of them is there.
std::optional<Placed<std::uint64_t>> read_set(const Entry* entry, KeyReader& reader) {
    if (entry == nullptr) {
        return std::nullopt;
    }
    std::optional<std::uint64_t> mask;
    if (entry->key == "mask") {
        mask = read_mask(*entry, reader);
    } else if (entry->key == "CPUAffinity" || entry->key == "AllowedCPUs") {
        mask = read_cpus(*entry, systemd::parse_cpus, reader);
    } else {
        mask = read_cpus(*entry, parse_cpu_list, reader);
    }
    if (!mask) {
        return std::nullopt;
    }
    if (*mask == 0) {
        reader.errors().add(entry->value.at, "'" + entry->key + "' names no cpu");
        return std::nullopt;
    }
    return reader.place(*mask, entry->value.at);
}

// A list of preferred CPUs means policy "prefer", and goes with no other.
void imply_prefer(const Entry* prefer, const Entry* policy, KeyReader& reader, AffinityRecipe& recipe) {
    if (prefer == nullptr) {
        return;
    }
    if (policy == nullptr) {
        recipe.policy = reader.place(AffinityPolicy::Prefer, prefer->at);
    } else if (recipe.policy && recipe.policy->value != AffinityPolicy::Prefer) {
        reader.errors().add(std::max(prefer->at, policy->at),
                            "'prefer' and policy = \"" +
                                std::string{policy_name(static_cast<std::uint32_t>(recipe.policy->value))} +
                                "\" (lines " + std::to_string(prefer->at.line) + " and " +
                                std::to_string(policy->at.line) + ") contradict each other");
    }
}

}  // namespace

void read_keys(KeyReader& reader, AffinityRecipe& recipe) {
    TableReader& table = reader.table();
    const Entry* const prefer = table.find("prefer");
    const Entry* const policy = table.find("policy");
    recipe.cpus =
        read_set(table.one_of({table.find("cpus"), table.find("mask"), table.find("CPUAffinity")}), reader);
    recipe.prefer = read_set(prefer, reader);
    recipe.limit_cpus = read_set(table.one_of({table.find("limit_cpus"), table.find("AllowedCPUs")}), reader);
    if (const auto value = table.find_name("policy", kPolicyNames)) {
        recipe.policy = reader.place(*value, policy->value.at);
    }
    imply_prefer(prefer, policy, reader, recipe);
}

}  // namespace execd
