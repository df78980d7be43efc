// SPDX-License-Identifier: MIT
#include "init/command_line.hpp"

#include <algorithm>

namespace kernel::init {

namespace {

// Words that configure a Linux kernel and that Linux does not pass to init; they mean nothing here.
constexpr std::array<std::string_view, 13> kLinuxOnly{
    "console", "earlycon", "root",  "rootfstype", "rootflags",       "rootwait", "rootdelay",
    "ro",      "rw",       "panic", "nokaslr",    "ignore_loglevel", "debug"};

constexpr std::string_view kProjectPrefix = "neuron.";
constexpr std::uint32_t kQuietLevel = 4;
constexpr std::uint64_t kMaxLogLevel = 8;
constexpr std::uint64_t kMaxWatchdogSeconds = 3600;

constexpr bool is_space(char character) {
    return character == ' ' || (character >= '\t' && character <= '\r');
}

std::string_view key_of(std::string_view assignment) {
    return assignment.substr(0, assignment.find('='));
}

// Decimal, or hexadecimal after 0x. nullopt: not a number, or larger than `highest`.
std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t highest) {
    std::uint64_t base = 10;
    if (text.starts_with("0x")) {
        base = 16;
        text.remove_prefix(2);
    }
    if (text.empty()) {
        return std::nullopt;
    }
    std::uint64_t value = 0;
    for (const char character : text) {
        std::uint64_t digit = base;
        if (character >= '0' && character <= '9') {
            digit = static_cast<std::uint64_t>(character - '0');
        } else if (character >= 'a' && character <= 'f') {
            digit = static_cast<std::uint64_t>(character - 'a') + 10;
        }
        if (digit >= base || digit > highest || value > (highest - digit) / base) {
            return std::nullopt;
        }
        value = value * base + digit;
    }
    return value;
}

}  // namespace

LineWriter& operator<<(LineWriter& line, const CommandLineProblem& problem) {
    return line << "command line: " << problem.word << ": " << problem.what;
}

void CommandLine::parse(std::string_view bootargs) {
    length_ = std::min(bootargs.size(), storage_.size());
    std::copy_n(bootargs.begin(), length_, storage_.begin());
    if (length_ < bootargs.size()) {
        note("the line is longer than 2048 bytes and was cut", {storage_.data(), std::size_t{16}});
    }
    for (const std::string_view inherited : {std::string_view{"HOME=/"}, std::string_view{"TERM=linux"}}) {
        pass_to_init(Word{.whole = inherited, .key = key_of(inherited), .value = inherited});
    }
    bool is_for_init = false;
    while (const auto word = next_word()) {
        if (is_for_init) {
            add_argument(word->whole);
        } else if (word->whole == "--") {
            is_for_init = true;
        } else {
            accept(*word);
        }
    }
}

// Splits off the next word and drops its quotes by moving its characters together in storage_, as next_arg
// does.
std::optional<CommandLine::Word> CommandLine::next_word() {
    while (position_ < length_ && is_space(storage_[position_])) {
        ++position_;
    }
    if (position_ == length_) {
        return std::nullopt;
    }
    std::size_t begin = position_;
    const bool is_quoted = storage_[begin] == '"';
    if (is_quoted) {
        ++begin;
    }
    bool in_quotes = is_quoted;
    std::size_t end = begin;
    std::optional<std::size_t> equals;
    for (; end < length_ && (in_quotes || !is_space(storage_[end])); ++end) {
        if (storage_[end] == '=' && !equals) {
            equals = end;
        }
        if (storage_[end] == '"') {
            in_quotes = !in_quotes;
        }
    }
    position_ = end;
    if (is_quoted && end > begin && storage_[end - 1] == '"') {
        --end;
    }
    const bool has_value = equals && *equals != begin;
    const std::size_t value = has_value ? *equals + 1 : end;
    if (value < end && storage_[value] == '"') {
        std::copy(storage_.begin() + static_cast<std::ptrdiff_t>(value) + 1,
                  storage_.begin() + static_cast<std::ptrdiff_t>(end),
                  storage_.begin() + static_cast<std::ptrdiff_t>(value));
        --end;
        if (end > value && storage_[end - 1] == '"') {
            --end;
        }
    }
    const std::string_view whole{storage_.data() + begin, end - begin};
    if (in_quotes) {
        note("a quotation mark is not closed", whole);
    }
    if (!has_value) {
        return Word{.whole = whole, .key = whole, .value = std::nullopt};
    }
    return Word{.whole = whole, .key = key_of(whole), .value = whole.substr(value - begin)};
}

void CommandLine::accept(const Word& word) {
    const bool is_known = accept_known(word);
    if (!is_known || word.key.starts_with(kProjectPrefix)) {
        pass_to_init(word);
    }
}

bool CommandLine::accept_known(const Word& word) {
    if (word.key == "init" || word.key == "rdinit") {
        if (word.value && word.value->starts_with('/')) {
            init = *word.value;
        } else {
            note("wants an absolute path", word.whole);
        }
    } else if (word.key == "loglevel") {
        if (const auto level = number(word, kMaxLogLevel)) {
            log_level = static_cast<std::uint32_t>(*level);
        }
    } else if (word.key == "maxcpus") {
        if (const auto count = number(word, kMaxCpus)) {
            max_cpus = std::max(static_cast<std::uint32_t>(*count), 1U);
        }
    } else if (word.key == "boothart") {
        if (const auto id = number(word, UINT64_MAX)) {
            boot_hart = HartId{*id};
        }
    } else if (word.key == "watchdog") {
        if (const auto seconds = number(word, kMaxWatchdogSeconds)) {
            watchdog = Duration::seconds(static_cast<std::int64_t>(*seconds));
        }
    } else if (word.whole == "quiet") {
        quiet = true;
        log_level = kQuietLevel;
    } else if (word.key == "neuron.selftest") {
        read_name(word, selftest);
    } else if (word.key == "neuron.paths") {
        general_paths = word.value == "general";
        if (!general_paths) {
            note("wants general after =", word.whole);
        }
    } else if (word.key == "neuron.break") {
        read_name(word, break_feature);
    } else if (word.key == "neuron.fault") {
        read_name(word, fault);
    } else if (word.key == "neuron.fail") {
        if (const auto interval = number(word, UINT32_MAX)) {
            fail_allocation = static_cast<std::uint32_t>(*interval);
        }
    } else if (word.key == "neuron.junk") {
        if (const auto fill = number(word, UINT8_MAX)) {
            junk = static_cast<std::byte>(*fill);
        }
    } else if (word.key == "neuron.trace") {
        read_trace(word);
    } else {
        return std::find(kLinuxOnly.begin(), kLinuxOnly.end(), word.key) != kLinuxOnly.end();
    }
    return true;
}

void CommandLine::pass_to_init(const Word& word) {
    if (!word.value) {
        add_argument(word.whole);
        return;
    }
    for (std::string_view& entry : init_environment) {
        if (key_of(entry) == word.key) {
            entry = word.whole;
            return;
        }
    }
    if (!init_environment.try_push(word.whole)) {
        note("is the 33rd environment entry for init and was dropped", word.whole);
    }
}

void CommandLine::add_argument(std::string_view argument) {
    if (!init_arguments.try_push(argument)) {
        note("is the 33rd argument for init and was dropped", argument);
    }
}

void CommandLine::read_name(const Word& word, std::string_view& name) {
    if (word.value && !word.value->empty()) {
        name = *word.value;
    } else {
        note("wants a name after =", word.whole);
    }
}

void CommandLine::read_trace(const Word& word) {
    std::string_view rest = word.value.value_or(std::string_view{});
    do {
        const std::string_view what = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(rest.size(), what.size() + 1));
        if (what == "refused") {
            report_refused_calls = true;
        } else if (what == "events") {
            trace_events = true;
        } else {
            note("knows the values refused and events", word.whole);
        }
    } while (!rest.empty());
}

std::optional<std::uint64_t> CommandLine::number(const Word& word, std::uint64_t highest) {
    const auto value = word.value ? parse_number(*word.value, highest) : std::nullopt;
    if (!value) {
        note("wants a number in range after =; the default stays", word.whole);
    }
    return value;
}

void CommandLine::note(std::string_view what, std::string_view word) {
    if (!problems.try_push({.what = what, .word = word})) {
        ++unlisted_problems;
    }
}

}  // namespace kernel::init
