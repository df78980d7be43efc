// SPDX-License-Identifier: MIT
#include "arch/riscv64/faults.hpp"

#include <algorithm>
#include <array>

#include "lib/shared_random.hpp"

namespace kernel::arch::faults {

#ifdef NEURON_DEBUG
namespace {

struct Name {
    std::string_view text;
    Kind kind;
};
constexpr std::array<Name, kKinds> kNames{{
    {"time", Kind::TimeCall},
    {"ipi", Kind::IpiCall},
    {"rfence", Kind::FenceCall},
    {"hsm", Kind::HartCall},
    {"srst", Kind::ResetCall},
    {"dbcn", Kind::ConsoleCall},
    {"hart-absent", Kind::HartAbsent},
    {"ipi-lost", Kind::IpiLost},
    {"ipi-doubled", Kind::IpiDoubled},
    {"ipi-spurious", Kind::IpiSpurious},
    {"timer-late", Kind::TimerLate},
    {"timer-early", Kind::TimerEarly},
}};

// A kind of fault. Each has a generator of its own: what one does is the same whatever others are wanted.
// Immutable after set(), but for the generator's state.
struct Source {
    std::uint32_t interval{0};  // 0: not wanted
    SharedRandom random{1};
};
constinit std::array<Source, kKinds + 1> sources{};  // the last is None's

Source& source_of(Kind kind) {
    return sources[static_cast<std::size_t>(kind)];
}

std::string_view cut_off(std::string_view& rest, char separator) {
    const std::string_view part = rest.substr(0, rest.find(separator));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    return part;
}

// Digits and nothing else, up to most.
bool read_number(std::string_view text, std::uint64_t most, std::uint64_t& number) {
    number = 0;
    for (const char digit : text) {
        const auto value = static_cast<std::uint64_t>(digit - '0');
        if (digit < '0' || digit > '9' || number > (most - value) / 10) {
            return false;
        }
        number = number * 10 + value;
    }
    return !text.empty();
}

struct Wanted {
    Kind kind{};
    std::uint64_t interval{1};
    std::uint64_t seed{1};
};

// "": it is fine.
std::string_view read_one(std::string_view text, Wanted& wanted) {
    const bool has_interval = text.find(':') != std::string_view::npos;
    const std::string_view name = cut_off(text, ':');
    const bool has_seed = text.find(':') != std::string_view::npos;
    const std::string_view interval = cut_off(text, ':');
    const auto* const found = std::ranges::find(kNames, name, &Name::text);
    if (found == kNames.end()) {
        return "no such kind";
    }
    wanted.kind = found->kind;
    if (has_interval && (!read_number(interval, kMaxInterval, wanted.interval) || wanted.interval == 0)) {
        return "behind the kind, one of how many occasions: 1 to 1000000";
    }
    if (has_seed && !read_number(text, UINT64_MAX, wanted.seed)) {
        return "behind the occasions, the seed: a number";
    }
    return {};
}

}  // namespace

Mistake set(std::string_view text) {
    std::array<Wanted, kKinds> all{};
    std::size_t count = 0;
    std::string_view rest = text;
    do {
        const std::string_view part = cut_off(rest, ',');
        if (count == all.size()) {
            return {.part = part, .why = "too many"};
        }
        if (const std::string_view why = read_one(part, all[count]); !why.empty()) {
            return {.part = part, .why = why};
        }
        ++count;
    } while (!rest.empty());
    std::ranges::for_each(sources, [](Source& source) { source.interval = 0; });
    std::for_each(all.begin(), all.begin() + count, [](const Wanted& wanted) {
        Source& source = source_of(wanted.kind);
        source.interval = static_cast<std::uint32_t>(wanted.interval);
        source.random.seed(wanted.seed);
    });
    return {};
}

bool happens(Kind kind) {
    Source& source = source_of(kind);
    return source.interval != 0 && source.random.next() % source.interval == 0;
}
#endif

}  // namespace kernel::arch::faults
