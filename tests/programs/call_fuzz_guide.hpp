// SPDX-License-Identifier: MIT
// What the fuzzer of calls learns from the kernel's edges (kernel/trace/coverage.hpp): sequences of calls
// that reached new ones are kept, and new rounds are made of changed copies of them.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "call_fuzz_arguments.hpp"

namespace call_fuzz {

inline constexpr std::size_t kTasks = 4;

// A call: which row of the table, and what its arguments are made from.
struct Call {
    std::uint32_t row;
    std::uint32_t seed;
};

// A call of a sequence that is kept. `reached`: not 0 if it was the first to reach some edge; the later that
// was, the higher, and the rarer is what it reaches.
struct KeptCall {
    Call call;
    std::uint32_t reached;
};
using Entry = std::vector<KeptCall>;

// /proc/coverage of this kernel, as far as the fuzzer reads it.
class Coverage {
  public:
    // False: the kernel has none.
    bool map();
    [[nodiscard]] bool is_mapped() const { return counters_ != nullptr; }
    // Edges reached by anybody.
    [[nodiscard]] std::uint32_t edges() const { return is_mapped() ? counters_[0].load() : 0; }
    // Those that the task with this id was the first to reach.
    [[nodiscard]] std::uint32_t edges_of(std::int32_t tid) const {
        return is_mapped() ? counters_[1 + static_cast<std::uint32_t>(tid) % 1023].load() : 0;
    }

  private:
    const std::atomic<std::uint32_t>* counters_{nullptr};
};

// What one task is to do in a round, and which of its calls were the first to reach something. In memory that
// the starter of rounds and their processes share.
struct TaskPlan {
    static constexpr std::size_t kMaxCalls = 1024;
    static constexpr std::size_t kMaxFinds = 256;
    std::array<Call, kMaxCalls> calls;
    std::array<std::uint16_t, kMaxFinds> finds;
    std::uint32_t find_count;
};

// Makes plans and keeps what they found. A round's plans depend on its Random and on what is kept alone.
class Guide {
  public:
    explicit Guide(const std::vector<Row>& rows);

    // Takes entries over, a line each, from "/corpus/calls": "NUMBER:SEED" in hex, "*RANK" behind what
    // reached something; "#" begins a comment; behind a line "learned" they count as found in this run. What
    // is wrong with it; empty: nothing.
    [[nodiscard]] std::string read(std::string_view text);
    // The plan of a round: `calls` (<= TaskPlan::kMaxCalls) for each task. The first rounds make the calls of
    // the entries that were read, as they are.
    void plan(std::uint64_t round, std::uint64_t calls, Random random, std::span<TaskPlan, kTasks> plans);
    // After the round: keeps what reached something new, and returns it as read() reads it. Of the rounds
    // that repeat what was read: the entries that still did.
    [[nodiscard]] std::vector<std::string> learn(std::span<const TaskPlan, kTasks> plans);

    [[nodiscard]] std::size_t read_count() const { return read_count_; }
    [[nodiscard]] std::size_t kept_count() const { return entries_.size() - read_count_; }
    [[nodiscard]] bool is_repeating() const { return is_repeating_; }

  private:
    void add(Entry entry);
    [[nodiscard]] Call random_call(Random& random) const;
    [[nodiscard]] const Entry& pick(Random& random) const;
    [[nodiscard]] Entry mutate(const Entry& entry, Random& random) const;
    [[nodiscard]] Entry make_program(std::uint64_t calls, Random& random) const;
    void repeat(std::uint64_t round, std::uint64_t calls, Random& random);
    [[nodiscard]] std::string text(const Entry& entry) const;

    const std::vector<Row>& rows_;
    std::uint64_t weights_{0};
    std::vector<std::uint32_t> reaching_rows_;  // of each call of the entries that reached something
    std::vector<Entry> entries_;                // those that were read, then those that were found
    std::size_t read_count_{0};
    std::uint32_t last_reached_{0};
    std::array<Entry, kTasks> programs_;                     // of the round at hand
    std::array<std::vector<std::size_t>, kTasks> repeated_;  // is_repeating_: the entries in it
    bool is_repeating_{false};
};

}  // namespace call_fuzz
