// SPDX-License-Identifier: MIT
#include <algorithm>
#include <bit>
#include <cmath>

#include "engine.hpp"

namespace sched_sim {
namespace {

// Below 32 ns exact; above, 32 buckets per doubling.
constexpr unsigned kSubBits = 5;

std::size_t bucket_of(std::uint64_t ns) {
    if (ns < (1U << kSubBits)) {
        return ns;
    }
    const auto exponent = static_cast<unsigned>(std::bit_width(ns)) - kSubBits - 1;
    return (std::size_t{exponent} << kSubBits) + (ns >> exponent);
}

std::uint64_t upper_edge(std::size_t bucket) {
    if (bucket < (1U << kSubBits)) {
        return bucket;
    }
    const auto exponent = static_cast<unsigned>(bucket >> kSubBits) - 1;
    const std::uint64_t mantissa = (bucket & ((1U << kSubBits) - 1)) + (1U << kSubBits);
    return ((mantissa + 1) << exponent) - 1;
}

}  // namespace

void LatencyHistogram::add(Duration d) {
    const std::size_t bucket = bucket_of(static_cast<std::uint64_t>(std::max<std::int64_t>(d.ns(), 0)));
    if (bucket >= buckets_.size()) {
        buckets_.resize(bucket + 1);
    }
    ++buckets_[bucket];
    ++count_;
    max_ = std::max(max_, d);
}

Duration LatencyHistogram::percentile(double part) const {
    const auto wanted = static_cast<std::uint64_t>(std::ceil(part * static_cast<double>(count_)));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
        seen += buckets_[i];
        if (seen >= wanted && seen > 0) {
            return std::min(max_, Duration::nanoseconds(static_cast<std::int64_t>(upper_edge(i))));
        }
    }
    return max_;
}

void LatencyHistogram::merge(const LatencyHistogram& other) {
    buckets_.resize(std::max(buckets_.size(), other.buckets_.size()));
    for (std::size_t i = 0; i < other.buckets_.size(); ++i) {
        buckets_[i] += other.buckets_[i];
    }
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
}

}  // namespace sched_sim
