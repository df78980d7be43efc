// SPDX-License-Identifier: MIT
#include "random.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace sched_sim {
namespace {

std::uint64_t split_mix(std::uint64_t& state) {
    state += 0x9e3779b97f4a7c15U;
    std::uint64_t z = state;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
}

}  // namespace

Random::Random(std::uint64_t seed) {
    for (std::uint64_t& word : state_) {
        word = split_mix(seed);
    }
}

std::uint64_t Random::next() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t t = state_[1] << 17U;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
}

std::uint64_t Random::below(std::uint64_t bound) {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>((Wide{next()} * bound) >> 64U);
}

double Random::fraction() {
    return static_cast<double>(next() >> 11U) * 0x1p-53;
}

std::int64_t Random::between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
}

Random Random::fork() {
    return Random{next()};
}

Duration Distribution::draw(Random& random) const {
    const auto scale = static_cast<double>(mean.ns());
    double ns = scale;
    switch (kind) {
        case Kind::Constant:
            return mean;
        case Kind::Uniform:
            ns = 2 * scale * random.fraction();
            break;
        case Kind::Exponential:
            ns = std::min(20.0, -std::log1p(-random.fraction())) * scale;
            break;
        case Kind::Bimodal: {
            const double short_value = scale / (1.0 - long_part + 10.0 * long_part);
            ns = random.fraction() < long_part ? 10.0 * short_value : short_value;
            break;
        }
        case Kind::HeavyTail: {
            // Median of a Pareto distribution: least * 2^(1/shape).
            const double least = scale / std::exp2(1.0 / 1.5);
            ns = least * std::min(1000.0, std::pow(1.0 - random.fraction(), -1.0 / 1.5));
            break;
        }
    }
    return Duration::nanoseconds(std::max<std::int64_t>(mean.ns() > 0 ? 1 : 0, std::llround(ns)));
}

}  // namespace sched_sim
