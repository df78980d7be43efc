// SPDX-License-Identifier: MIT
// How people write CPU sets, signals, times and hints at a prompt, and back. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "nexus_abi/sched.hpp"

namespace shell {

// A whole decimal number from `least` to `most`.
[[nodiscard]] std::optional<std::int64_t> parse_number(std::string_view text, std::int64_t least,
                                                       std::int64_t most);
// A process or thread id: 1 to 2^31 - 1.
[[nodiscard]] std::optional<std::int32_t> parse_pid(std::string_view text);

// "f", "0xf": hexadecimal as taskset(1) has it. nullopt: no number of 64 bits.
[[nodiscard]] std::optional<std::uint64_t> parse_mask(std::string_view text);
// "0-3,5", "0-6:2" (every second one). nullopt: not of this form, or a CPU above 63.
[[nodiscard]] std::optional<std::uint64_t> parse_cpu_list(std::string_view text);
[[nodiscard]] std::string format_cpu_list(std::uint64_t mask);
// Without 0x, as taskset(1) prints it.
[[nodiscard]] std::string format_hex(std::uint64_t value);

// "TERM", "SIGTERM", "15", "0". nullopt: no such signal.
[[nodiscard]] std::optional<int> parse_signal(std::string_view text);
// "TERM"; a number for a signal without a name.
[[nodiscard]] std::string signal_name(int signal);
// Every named signal, in the order of the numbers.
[[nodiscard]] std::string signal_list();

// "5ms", "500us", "1s", "0". nullopt: not a duration of at most 10^9 units.
[[nodiscard]] std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);
// Whole units: "5ms", "1500us", "0ms".
[[nodiscard]] std::string format_duration(std::uint64_t nanoseconds);
// For people: three digits or so, "12.3ms".
[[nodiscard]] std::string format_rough(std::uint64_t nanoseconds);
// "1:02.34": minutes, seconds, hundredths.
[[nodiscard]] std::string format_cpu_time(std::uint64_t nanoseconds);

[[nodiscard]] std::optional<nexus_abi::QosClass> parse_class(std::string_view name);
[[nodiscard]] std::string_view class_name(std::uint32_t qos_class);
[[nodiscard]] std::optional<nexus_abi::AffinityPolicy> parse_policy(std::string_view name);
[[nodiscard]] std::string_view policy_name(std::uint32_t policy);
[[nodiscard]] std::string_view state_name(std::uint32_t state);
// One letter as in ps(1), and B for one whose budget is used up.
[[nodiscard]] char state_letter(std::uint32_t state);

// The name of a snapshot's entry, without what is behind its NUL.
[[nodiscard]] std::string name_of(const nexus_abi::sched_snapshot_entry& entry);

}  // namespace shell
