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

// One name of an `after` list.
struct Reference {
    std::string name;
    Position at;
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
};

// A set of CPUs as a recipe asks for it, with the place that says so.
struct CpuSet {
    std::uint64_t mask{0};
    Position at;
};

// One table of affinity.toml. No value: what [defaults] says, else every CPU and pin.
struct AffinityRecipe {
    std::optional<CpuSet> cpus;
    std::optional<nexus_abi::AffinityPolicy> policy;
};

// One table of qos.toml. No value: what [defaults] says, else normal, 100 shares, no hints.
struct QosRecipe {
    std::optional<nexus_abi::QosClass> qos_class;
    std::optional<std::uint32_t> shares;
    std::optional<std::chrono::nanoseconds> latency;
    std::optional<std::chrono::nanoseconds> burst;
};

}  // namespace execd
