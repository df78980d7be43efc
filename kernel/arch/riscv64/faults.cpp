// SPDX-License-Identifier: MIT
#include "arch/riscv64/faults.hpp"

#include <algorithm>
#include <array>
#include <atomic>

namespace kernel::arch::faults {

#ifdef NEURON_DEBUG
namespace {

struct Name {
    std::string_view text;
    Kind kind;
};
constexpr std::array<Name, 12> kNames{{
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
constexpr std::uint32_t kMaxInterval = 1'000'000;

// Immutable after set().
constinit Kind wanted = Kind::None;
constinit std::uint32_t interval = 1;
constinit std::atomic<std::uint64_t> random_state{1};

// Knuth's MMIX generator, of which the upper bits are good. One step for each caller, whichever hart it is
// on.
std::uint32_t next_random() {
    constexpr std::uint64_t kMultiplier = 6364136223846793005;
    constexpr std::uint64_t kIncrement = 1442695040888963407;
    std::uint64_t state = random_state.load(std::memory_order_relaxed);
    while (!random_state.compare_exchange_weak(state, state * kMultiplier + kIncrement)) {
    }
    return static_cast<std::uint32_t>(state >> 32);
}

}  // namespace

bool set(std::string_view text) {
    const std::size_t colon = text.find(':');
    const std::string_view name = text.substr(0, colon);
    const auto* const found = std::ranges::find(kNames, name, &Name::text);
    std::uint32_t occasions = colon == std::string_view::npos ? 1 : 0;
    for (const char digit : text.substr(std::min(text.size(), name.size() + 1))) {
        if (digit < '0' || digit > '9' || occasions > kMaxInterval / 10) {
            return false;
        }
        occasions = occasions * 10 + static_cast<std::uint32_t>(digit - '0');
    }
    if (found == kNames.end() || occasions == 0) {
        return false;
    }
    wanted = found->kind;
    interval = occasions;
    return true;
}

bool happens(Kind kind) {
    return kind == wanted && kind != Kind::None && next_random() % interval == 0;
}
#endif

}  // namespace kernel::arch::faults
