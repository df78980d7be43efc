// SPDX-License-Identifier: MIT
// affinity.toml and qos.toml: one shape ([defaults] and [service.NAME]), two sets of keys.
#include "notation.hpp"
#include "recipes.hpp"
#include "table_reader.hpp"

namespace execd {
namespace {

using std::chrono::nanoseconds;

std::optional<std::uint64_t> read_cpu_array(const Array& array, TableReader& reader, ErrorSink& errors) {
    std::uint64_t mask = 0;
    bool is_right = true;
    for (const Value& item : array.items) {
        const auto* const cpu = reader.as<std::int64_t>(item, "cpus", "an array of integers only");
        if (cpu != nullptr && (*cpu < 0 || *cpu >= kMaxCpus)) {
            errors.add(item.at, "cpu " + std::to_string(*cpu) + " is out of range 0..63");
            is_right = false;
        } else if (cpu != nullptr) {
            mask |= std::uint64_t{1} << static_cast<unsigned>(*cpu);
        } else {
            is_right = false;
        }
    }
    return is_right ? std::optional{mask} : std::nullopt;
}

// cpus = [0, 1] or "0-2,4".
std::optional<std::uint64_t> read_cpus(const Value& value, TableReader& reader, ErrorSink& errors) {
    if (const auto* const array = std::get_if<Array>(&value.data)) {
        return read_cpu_array(*array, reader, errors);
    }
    const auto* const text =
        reader.as<std::string>(value, "cpus", "an array of integers or a string like \"0-2,4\"");
    if (text == nullptr) {
        return std::nullopt;
    }
    const auto mask = parse_cpu_list(*text);
    if (!mask) {
        errors.add(value.at, "\"" + *text + "\" is no list of cpus: write it like \"0-2,4\", each 0..63");
    }
    return mask;
}

// mask = 0x3 or "0x3" (a string also reaches bit 63).
std::optional<std::uint64_t> read_mask(const Value& value, TableReader& reader, ErrorSink& errors) {
    if (const auto* const text = std::get_if<std::string>(&value.data)) {
        const auto mask = parse_mask(*text);
        if (!mask) {
            errors.add(value.at, "\"" + *text + "\" is no mask: write it like 0x3 or \"0x3\"");
        }
        return mask;
    }
    const auto* const integer =
        reader.as<std::int64_t>(value, "mask", "an integer like 0x3 or a string like \"0x3\"");
    if (integer != nullptr && *integer < 0) {
        errors.add(value.at, "mask = " + std::to_string(*integer) + " is negative");
        return std::nullopt;
    }
    return integer == nullptr ? std::nullopt : std::optional{static_cast<std::uint64_t>(*integer)};
}

void read_keys(TableReader& reader, ErrorSink& errors, AffinityRecipe& recipe) {
    const Entry* const cpus = reader.find("cpus");
    const Entry* const mask = reader.find("mask");
    recipe.policy = reader.find_name("policy", kPolicyNames);
    if (cpus != nullptr && mask != nullptr) {
        errors.add(std::max(cpus->at, mask->at), "'cpus' and 'mask' say the same thing: give one of them");
        return;
    }
    const Entry* const given = cpus != nullptr ? cpus : mask;
    if (given == nullptr) {
        return;
    }
    const auto bits =
        cpus != nullptr ? read_cpus(given->value, reader, errors) : read_mask(given->value, reader, errors);
    if (bits && *bits == 0) {
        errors.add(given->value.at, "'" + given->key + "' names no cpu");
    } else if (bits) {
        recipe.cpus = CpuSet{.mask = *bits, .at = given->value.at};
    }
}

std::optional<std::uint32_t> read_shares(TableReader& reader, ErrorSink& errors) {
    const auto* const shares = reader.find_as<std::int64_t>("shares", "an integer");
    const Entry* const entry = reader.find("shares");
    if (shares == nullptr || entry == nullptr) {
        return std::nullopt;
    }
    if (*shares < nexus_abi::kSharesMin || *shares > nexus_abi::kSharesMax) {
        errors.add(entry->value.at, "shares = " + std::to_string(*shares) + " is out of range " +
                                        std::to_string(nexus_abi::kSharesMin) + ".." +
                                        std::to_string(nexus_abi::kSharesMax));
        return std::nullopt;
    }
    return static_cast<std::uint32_t>(*shares);
}

// A hint: 0, or a duration from least to most.
std::optional<nanoseconds> read_hint(TableReader& reader, std::string_view key, nanoseconds least,
                                     nanoseconds most, ErrorSink& errors) {
    const auto* const text = reader.find_as<std::string>(key, "a duration like \"5ms\"");
    const Entry* const entry = reader.find(key);
    if (text == nullptr || entry == nullptr) {
        return std::nullopt;
    }
    const auto duration = parse_duration(*text);
    if (!duration) {
        errors.add(entry->value.at,
                   "\"" + *text + "\" is no duration: write it like \"500us\", \"5ms\" or \"1s\"");
        return std::nullopt;
    }
    if (duration->count() != 0 && (*duration < least || *duration > most)) {
        errors.add(entry->value.at, std::string{key} + " = \"" + *text + "\" is out of range: 0ms, or " +
                                        format_duration(least) + " to " + format_duration(most));
        return std::nullopt;
    }
    return duration;
}

void read_keys(TableReader& reader, ErrorSink& errors, QosRecipe& recipe) {
    recipe.qos_class = reader.find_name("class", kClassNames);
    recipe.shares = read_shares(reader, errors);
    recipe.latency = read_hint(reader, "latency", nanoseconds{nexus_abi::kLatencyHintMinNs},
                               nanoseconds{nexus_abi::kLatencyHintMaxNs}, errors);
    recipe.burst = read_hint(reader, "burst", nanoseconds{nexus_abi::kBurstHintMinNs},
                             nanoseconds{nexus_abi::kBurstHintMaxNs}, errors);
}

// One table: its values, or an empty recipe and `faulty` set.
template <class Recipe>
Recipe read_table(const Table& table, ErrorSink& errors, bool& faulty) {
    const std::size_t errors_before = errors.count();
    TableReader reader{table, errors};
    Recipe recipe;
    read_keys(reader, errors, recipe);
    reader.reject_unknown_keys();
    faulty = errors.count() != errors_before;
    return faulty ? Recipe{} : recipe;
}

template <class Recipe>
void read_service_tables(TableReader& root, ErrorSink& errors, std::vector<NamedRecipe<Recipe>>& services) {
    const auto* const tables = root.find_as<Table>("service", "tables named [service.NAME]");
    if (tables == nullptr) {
        return;
    }
    for (const Entry& entry : tables->entries) {
        NamedRecipe<Recipe> named{.name = entry.key, .at = entry.at, .recipe = {}, .faulty = true};
        if (const auto* const table = root.as<Table>(entry.value, "service." + entry.key, "a table")) {
            named.recipe = read_table<Recipe>(*table, errors, named.faulty);
        }
        services.push_back(std::move(named));
    }
}

template <class Recipe>
SchedRecipe<Recipe> read_sched_recipe(const RecipeFile& file, std::vector<Diagnostic>& errors) {
    ErrorSink sink{file.path, errors};
    SchedRecipe<Recipe> result;
    const auto root = open_recipe(file, sink, result.outcome);
    if (!root) {
        return result;
    }
    TableReader reader{*root, sink};
    reader.expect("schema");
    if (const auto* const defaults = reader.find_as<Table>("defaults", "a table")) {
        result.defaults = read_table<Recipe>(*defaults, sink, result.defaults_faulty);
    }
    read_service_tables(reader, sink, result.services);
    reader.reject_unknown_keys();
    return result;
}

}  // namespace

SchedRecipe<AffinityRecipe> read_affinity(const RecipeFile& file, std::vector<Diagnostic>& errors) {
    return read_sched_recipe<AffinityRecipe>(file, errors);
}

SchedRecipe<QosRecipe> read_qos(const RecipeFile& file, std::vector<Diagnostic>& errors) {
    return read_sched_recipe<QosRecipe>(file, errors);
}

}  // namespace execd
