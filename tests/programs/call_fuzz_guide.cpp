// SPDX-License-Identifier: MIT
#include "call_fuzz_guide.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "console.hpp"

namespace call_fuzz {

namespace {

constexpr std::size_t kLongest = 12;     // calls of an entry
constexpr std::size_t kFindsAtOnce = 4;  // that one entry tells of
constexpr std::size_t kNewest = 48;      // entries that every other choice is made from

// Without what is not needed to reach what was reached, as far as that is known: calls that reached nothing
// go first, then those that reached what is found early; of two the older.
void shorten(Entry& entry) {
    while (entry.size() > kLongest) {
        entry.erase(
            std::min_element(entry.begin(), entry.end() - 1,
                             [](const KeptCall& a, const KeptCall& b) { return a.reached < b.reached; }));
    }
}

template <class T>
bool parse_hex(std::string_view& text, T& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return error == std::errc{};
}

std::string_view take(std::string_view& text, char separator) {
    const std::size_t end = std::min(text.find(separator), text.size());
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return part;
}

}  // namespace

bool Coverage::map() {
    const int file = open("/proc/coverage", O_RDONLY);
    if (file < 0) {
        return false;
    }
    void* const page = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    counters_ = page == MAP_FAILED ? nullptr : static_cast<const std::atomic<std::uint32_t>*>(page);
    return is_mapped();
}

Guide::Guide(const std::vector<Row>& rows) : rows_{rows} {
    for (const Row& row : rows_) {
        weights_ += row.weight;
    }
}

void Guide::add(Entry entry) {
    for (const KeptCall& kept : entry) {
        last_reached_ = std::max(last_reached_, kept.reached);
        if (kept.reached != 0) {
            reaching_rows_.push_back(kept.call.row);
        }
    }
    entries_.push_back(std::move(entry));
}

std::string Guide::read(std::string_view text) {
    bool is_learned = false;
    for (std::size_t number = 1; !text.empty(); ++number) {
        std::string_view line = take(text, '\n');
        if (line == "learned") {
            is_learned = true;
            continue;
        }
        Entry entry;
        while (!line.empty() && line.front() != '#') {
            std::string_view word = take(line, ' ');
            std::uint32_t call = 0;
            std::uint32_t seed = 0;
            const bool has_call = parse_hex(word, call) && word.starts_with(':');
            word.remove_prefix(has_call ? 1 : 0);
            const auto row = std::ranges::find(rows_, call, &Row::number);
            const bool has_seed = has_call && parse_hex(word, seed);
            std::uint32_t reached = 0;
            const bool is_marked = has_seed && word.starts_with('*');
            word.remove_prefix(is_marked ? 1 : 0);
            if (!has_seed || (is_marked && !parse_hex(word, reached)) || !word.empty() ||
                row == rows_.end()) {
                return user::format("line %d: wanted NUMBER:SEED of a call, or NUMBER:SEED*RANK",
                                    static_cast<int>(number));
            }
            entry.push_back({.call = {.row = static_cast<std::uint32_t>(row - rows_.begin()), .seed = seed},
                             .reached = reached});
        }
        if (!entry.empty()) {
            add(std::move(entry));
            read_count_ += is_learned ? 0 : 1;
        }
    }
    return {};
}

std::string Guide::text(const Entry& entry) const {
    std::string line;
    for (const KeptCall& kept : entry) {
        line += user::format("%s%x:%x", line.empty() ? "" : " ", rows_[kept.call.row].number, kept.call.seed);
        line += kept.reached != 0 ? user::format("*%x", kept.reached) : "";
    }
    return line;
}

// Every other one is of a row whose calls reached something before, the more often the more they reached.
Call Guide::random_call(Random& random) const {
    if (!reaching_rows_.empty() && random.one_in(2)) {
        return {.row = reaching_rows_[random.below(reaching_rows_.size())],
                .seed = static_cast<std::uint32_t>(random.next())};
    }
    std::uint64_t place = random.below(weights_);
    std::uint32_t row = 0;
    while (place >= rows_[row].weight) {
        place -= rows_[row++].weight;
    }
    return {.row = row, .seed = static_cast<std::uint32_t>(random.next())};
}

// What was found last is not yet exhausted.
const Entry& Guide::pick(Random& random) const {
    const std::size_t among = random.one_in(2) ? std::min(kNewest, entries_.size()) : entries_.size();
    return entries_[entries_.size() - 1 - random.below(among)];
}

Entry Guide::mutate(const Entry& entry, Random& random) const {
    Entry changed = entry;
    for (std::uint64_t changes = random.below(4); changes > 0 && !changed.empty(); --changes) {
        const std::size_t at = random.below(changed.size());
        const auto place = changed.begin() + static_cast<std::ptrdiff_t>(at);
        switch (random.below(5)) {
            case 0:
                changed.insert(place, {.call = random_call(random), .reached = 0});
                break;
            case 1:
                changed.erase(place);
                break;
            case 2:
                changed[at] = {.call = random_call(random), .reached = 0};
                break;
            case 3:
                changed[at].call.seed = static_cast<std::uint32_t>(random.next());
                break;
            default: {
                // Its first part, and the last one of another.
                const Entry& other = pick(random);
                changed.resize(at);
                const auto from = static_cast<std::ptrdiff_t>(random.below(other.size()));
                changed.insert(changed.end(), other.begin() + from, other.end());
                break;
            }
        }
    }
    return changed;
}

Entry Guide::make_program(std::uint64_t calls, Random& random) const {
    Entry program;
    while (program.size() < calls) {
        if (!entries_.empty() && !random.one_in(4)) {
            const Entry part = mutate(pick(random), random);
            program.insert(program.end(), part.begin(), part.end());
        }
        for (std::uint64_t more = random.below(24); more > 0; --more) {
            program.push_back({.call = random_call(random), .reached = 0});
        }
    }
    program.resize(calls);
    return program;
}

// Entries that were read, as many as there is room for, each task some; filled up at random.
void Guide::repeat(std::uint64_t round, std::uint64_t calls, Random& random) {
    std::size_t next = 0;
    for (std::uint64_t at = 0; at <= round && (at == 0 || !repeated_[0].empty()); ++at) {
        for (std::size_t task = 0; task < kTasks; ++task) {
            Entry& program = programs_[task];
            program.clear();
            repeated_[task].clear();
            while (next < read_count_ && program.size() + entries_[next].size() <= calls) {
                program.insert(program.end(), entries_[next].begin(), entries_[next].end());
                repeated_[task].push_back(next++);
            }
        }
    }
    is_repeating_ = !repeated_[0].empty();
    for (Entry& program : programs_) {
        while (program.size() < calls) {
            program.push_back({.call = random_call(random), .reached = 0});
        }
    }
}

void Guide::plan(std::uint64_t round, std::uint64_t calls, Random random, std::span<TaskPlan, kTasks> plans) {
    repeat(round, calls, random);
    for (std::size_t task = 0; task < kTasks; ++task) {
        if (!is_repeating_) {
            programs_[task] = make_program(calls, random);
        }
        TaskPlan& plan = plans[task];
        std::ranges::transform(programs_[task], plan.calls.begin(), &KeptCall::call);
        plan.find_count = 0;
    }
}

std::vector<std::string> Guide::learn(std::span<const TaskPlan, kTasks> plans) {
    std::vector<std::string> lines;
    for (std::size_t task = 0; task < kTasks; ++task) {
        const TaskPlan& plan = plans[task];
        Entry& program = programs_[task];
        const std::size_t finds = std::min<std::size_t>(plan.find_count, TaskPlan::kMaxFinds);
        std::size_t begin = 0;
        for (const std::size_t repeated : repeated_[task]) {
            const std::size_t end = begin + entries_[repeated].size();
            const auto is_in_it = [&](std::size_t find) { return find >= begin && find < end; };
            if (is_repeating_ &&
                std::any_of(plan.finds.begin(), plan.finds.begin() + static_cast<int>(finds), is_in_it)) {
                lines.push_back(text(entries_[repeated]));
            }
            begin = end;
        }
        for (std::size_t i = 0; i < finds && !is_repeating_; ++i) {
            const std::size_t at = plan.finds[i];
            program[at].reached = last_reached_ + 1 + static_cast<std::uint32_t>(i);
            if (i + 1 == finds || (i + 1) % kFindsAtOnce == 0) {
                Entry entry{program.begin(), program.begin() + static_cast<std::ptrdiff_t>(at) + 1};
                shorten(entry);
                lines.push_back(text(entry));
                add(std::move(entry));
            }
        }
    }
    return lines;
}

}  // namespace call_fuzz
