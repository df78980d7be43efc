// SPDX-License-Identifier: MIT
// Arguments for system calls, made up from what syscalls.def says of each: mostly plausible, often wrong.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nexus_abi/calls.hpp"

namespace call_fuzz {

// splitmix64: what a task does depends on its seed alone.
class Random {
  public:
    explicit Random(std::uint64_t seed) : state_{seed} {}
    std::uint64_t next() {
        std::uint64_t value = state_ += 0x9e3779b97f4a7c15U;
        value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
        value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
        return value ^ (value >> 31U);
    }
    std::uint64_t below(std::uint64_t bound) { return next() % bound; }
    bool one_in(std::uint64_t n) { return below(n) == 0; }

  private:
    std::uint64_t state_;
};

// What an argument is for, by its type and name in the table.
enum class Kind : std::uint8_t {
    Number,
    Descriptor,
    Path,
    Memory,
    Word,
    Size,
    Address,
    Protection,
    MapFlags,
    CloneFlags,
    Choice,
    Flags,
    Signal,
    Task,
    Operation,
    Timeout,
    Label
};

struct Row {
    std::uint32_t number;
    std::string_view name;
    std::vector<Kind> arguments;
    std::uint32_t weight;  // how often the call is drawn, relative to the others
};

// Every row of the table, read once.
[[nodiscard]] std::vector<Row> read_table();

// Memory that arguments point to; the same places in every task of a process.
class Arena {
  public:
    static constexpr std::size_t kSlots = 16;
    static constexpr std::size_t kSlotBytes = 1024;
    static constexpr std::size_t kFreePages = 64;

    // Maps it. False: there is no memory.
    bool map();
    // A place for one argument: a slot with new contents, or what no kernel may touch.
    std::uint64_t memory(Random& random);
    std::uint64_t word(Random& random);
    std::uint64_t path(Random& random);
    std::uint64_t address(Random& random);
    std::uint64_t short_time(Random& random);
    // A word of the slots that is an address of the kernel's memory which no task put there; 0: there is
    // none.
    // The same for four bytes that tell of memory nobody has written.
    [[nodiscard]] std::uint64_t leaked() const;
    // The same in the slots that these point to.
    [[nodiscard]] std::uint64_t leaked(std::span<const std::uint64_t> pointers) const;
    // Where in the slots, and the words around it.
    static constexpr std::size_t kShownWords = 9;
    [[nodiscard]] std::array<std::uint64_t, kShownWords> around_leak() const;
    // The same for the pages that the calls may have mapped.
    [[nodiscard]] std::uint64_t leaked_pages() const;

  private:
    void fill(std::uint64_t* slot, Random& random);
    [[nodiscard]] std::uint64_t slot(std::uint64_t number) const { return slots_ + number * kSlotBytes; }

    std::uint64_t slots_{0};
    std::uint64_t end_{0};  // of the slots; nothing is mapped behind
    std::uint64_t read_only_{0};
    std::uint64_t closed_{0};  // no access
    std::uint64_t free_{0};    // where the calls may map and unmap
};

using Tasks = std::array<std::int32_t, 4>;  // of this round; 0: not there

// One argument's register.
std::uint64_t argument(Kind kind, Arena& arena, const Tasks& tasks, Random& random);

}  // namespace call_fuzz
