// SPDX-License-Identifier: MIT
// What recipes say, after reading: plain values, each already in range.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "document.hpp"
#include "nexus_abi/sched.hpp"

namespace execd {

// The schema version all three files name as `schema = 1`.
inline constexpr std::int64_t kSchemaVersion = 1;

enum class RestartPolicy : std::uint8_t { No, OnFailure, Always };

// When the services that come `after` one may start: once it was started, or once it has ended for the first
// time.
enum class ReadyWhen : std::uint8_t { Started, Ended };

// Another table by name: a service of an `after` list, or a role.
struct Reference {
    std::string name;
    Position at;
    bool until_end{false};  // of an `after` list: whatever that service's ReadyWhen, once it has ended
};

// Where a value comes from. No file: it is built in.
struct Origin {
    std::string file;
    Position at;
    std::string table;  // "defaults", "role.audio", "service.audio"
};

// A value of a recipe, with its place.
template <class T>
struct Placed {
    T value;
    Origin origin;

    template <class U>
    friend bool operator==(const Placed& placed, const U& other) {
        return placed.value == other;
    }
};

// One [[service]] of services.toml.
struct Service {
    std::string name;
    Position at;  // of the name
    std::string program;
    std::vector<std::string> args;  // without argv[0]
    std::map<std::string, std::string> env;
    RestartPolicy restart{RestartPolicy::No};
    ReadyWhen ready{ReadyWhen::Started};
    std::vector<Reference> after;
    std::uint64_t rights{0};  // nexus_abi::kRight* bits
    bool has_control{false};  // may ask execd: starts, stops, reloads (control.hpp)
    std::optional<Reference> role;
};

// CPU time: at most `runtime` in any window of length `period`. Both 0: no budget.
struct Budget {
    std::chrono::nanoseconds runtime{0};
    std::chrono::nanoseconds period{0};

    friend bool operator==(const Budget&, const Budget&) = default;
};

// One table of affinity.toml. No value: what the role, then [defaults] says, else every CPU and pin.
struct AffinityRecipe {
    std::optional<Placed<std::uint64_t>> cpus;
    std::optional<Placed<std::uint64_t>> prefer;
    std::optional<Placed<nexus_abi::AffinityPolicy>> policy;
    std::optional<Placed<std::uint64_t>> limit_cpus;
};

// One table of qos.toml. No value: what the role, then [defaults] says, else normal, 100 shares, no hints, no
// budget, no ceilings.
struct QosRecipe {
    std::optional<Placed<nexus_abi::QosClass>> qos_class;
    std::optional<Placed<std::uint32_t>> shares;
    std::optional<Placed<std::chrono::nanoseconds>> latency;
    std::optional<Placed<std::chrono::nanoseconds>> burst;
    std::optional<Placed<Budget>> budget;
    std::optional<Placed<bool>> inherit_budget;
    std::optional<Placed<bool>> reset_on_spawn;
    std::optional<Placed<nexus_abi::QosClass>> max_class;
    std::optional<Placed<std::uint32_t>> max_shares;
    std::optional<Placed<std::uint32_t>> group_shares;  // 0: no group of its own
};

}  // namespace execd
