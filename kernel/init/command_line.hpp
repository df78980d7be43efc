// SPDX-License-Identifier: MIT
// The kernel command line (/chosen/bootargs). Words are split at white space; double quotes keep white space
// together and are dropped at the ends of a word or value, as Linux does (lib/cmdline.c, next_arg).
//
// A word the kernel does not know goes to init (Linux init/main.c, unknown_bootoption): "key=value" into its
// environment, where a later one replaces an earlier one of the same key; a bare word, and everything after
// "--", into its arguments. neuron.key=value goes into the environment whether the kernel knows it or not, so
// that programs see it. Words that only a Linux kernel acts on (console=, root=, rw, ...) are dropped, as
// they are there. Concurrency: immutable after parse().
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "lib/cpu_mask.hpp"
#include "lib/fixed_vector.hpp"
#include "lib/format.hpp"
#include "lib/ids.hpp"
#include "lib/units.hpp"

namespace kernel::init {

// `what` is static text, `word` the word of the command line it is about.
struct CommandLineProblem {
    std::string_view what;
    std::string_view word;
};
LineWriter& operator<<(LineWriter& line, const CommandLineProblem& problem);

class CommandLine {
  public:
    static constexpr std::size_t kMaxBytes = 2048;
    static constexpr std::size_t kMaxWords = 32;  // arguments, and likewise environment entries, for init

    CommandLine() = default;
    CommandLine(const CommandLine&) = delete;  // the views below point into storage_
    CommandLine& operator=(const CommandLine&) = delete;

    // Call once. A bad value leaves the default and is noted in problems.
    void parse(std::string_view bootargs);

    std::string_view init{"/bin/execd"};  // init=PATH, or rdinit=PATH as Linux calls it for an archive
    std::uint32_t log_level{7};           // loglevel=0..8, 8 shows debug lines too; quiet is 4
    std::uint32_t max_cpus{kMaxCpus};     // maxcpus=1..64; 0 means 1 as in Linux
    std::optional<HartId> boot_hart;      // boothart=ID: the hart that shall be the first
    Duration watchdog{};                  // watchdog=SECONDS, 0..3600; 0 is off
    std::string_view selftest;            // neuron.selftest=stay|CASE
    bool general_paths{false};       // neuron.paths=general: no short cuts for calls, wake-ups and switches
    std::string_view break_feature;  // neuron.break=NAME: the negative control to arm
    std::string_view fault;          // neuron.fault=KIND[:N[:SEED]],...: arch/riscv64/faults.hpp
    std::uint32_t fail_allocation{
        0};                         // neuron.fail=N: about one of N allocations fails, 0 none; debug builds
    std::optional<std::byte> junk;  // neuron.junk=0..255: what freed memory is filled with, and looked at
    bool report_refused_calls{false};  // neuron.trace=refused: name each system call that is not supported
    bool trace_events{false};          // neuron.trace=events: the scheduler's trace is on from the boot on
    bool quiet{false};

    FixedVector<std::string_view, kMaxWords> init_arguments;  // after argv[0], in order
    FixedVector<std::string_view, kMaxWords>
        init_environment;                         // "KEY=value"; starts with HOME=/ and TERM=linux
    FixedVector<CommandLineProblem, 8> problems;  // later ones are only counted
    std::uint32_t unlisted_problems{0};

  private:
    struct Word {
        std::string_view whole;  // key, or key=value without the quotes
        std::string_view key;
        std::optional<std::string_view> value;
    };
    std::optional<Word> next_word();
    void accept(const Word& word);
    bool accept_known(const Word& word);
    void pass_to_init(const Word& word);
    void add_argument(std::string_view argument);
    void read_name(const Word& word, std::string_view& name);
    void read_trace(const Word& word);
    void note(std::string_view what, std::string_view word);
    std::optional<std::uint64_t> number(const Word& word, std::uint64_t highest);

    std::array<char, kMaxBytes> storage_{};
    std::size_t length_{0};
    std::size_t position_{0};
};

}  // namespace kernel::init
