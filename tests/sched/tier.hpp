// SPDX-License-Identifier: MIT
// How long the proofs run, and from which seed. Three tiers: brief in builds with sanitizers (they look for
// undefined behaviour and are ten times slower) and in those that are not optimised, quick otherwise, long
// with NEURON_SOAK=1. NEURON_SEED is the first seed. scripts/soak.sh sets both.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string_view>

namespace sched_test {

inline bool is_long_tier() {
    const char* const value = std::getenv("NEURON_SOAK");
    return value != nullptr && std::string_view{value} == "1";
}

#if defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
inline constexpr bool kIsSlow = true;
#else
inline constexpr bool kIsSlow = false;
#endif

template <class T>
struct Tiers {
    T brief;
    T quick;
    T thorough;
    // The one this run is in.
    [[nodiscard]] T value() const { return is_long_tier() ? thorough : kIsSlow ? brief : quick; }
};

// A number from the environment, or `otherwise` where it is not set. A value that is no number ends the
// program: a run from another seed than the one asked for proves nothing.
inline std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
    const char* const text = std::getenv(name);
    if (text == nullptr) {
        return otherwise;
    }
    const std::string_view view{text};
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), value);
    if (error != std::errc{} || end != view.data() + view.size()) {
        std::cerr << name << ": not a number: '" << view << "'\n";
        std::exit(2);
    }
    return value;
}

// The seed of the run, printed so that a failure can be repeated.
inline std::uint64_t first_seed() {
    const std::uint64_t seed = number_from_environment("NEURON_SEED", 1);
    std::cout << "seed " << seed << "\n";
    return seed;
}

}  // namespace sched_test
