// SPDX-License-Identifier: MIT
// This file is compiled without instrumentation: the function that blocks call must not call itself. For the
// same reason it calls nothing that has a body elsewhere (tests/fuzz/calls looks at its code).
#include "trace/coverage.hpp"

#include <array>
#include <atomic>

#include "arch/contract.hpp"
#include "lib/cpu_mask.hpp"

namespace kernel::trace {

namespace {

constexpr std::uint32_t kSlots = 1024;
constexpr std::uint32_t kMapBits = 19;
constexpr std::uint32_t kPageBits = 15;  // bits of the map in a page, as a power of two
static_assert(kCoveragePages == 1 + (1U << (kMapBits - kPageBits)));

struct alignas(64) HartCoverage {
    std::uint32_t slot{0};      // of the task whose call is handled; 0: none is
    std::uint32_t previous{0};  // hash of the block before
};
constinit std::array<HartCoverage, kMaxCpus> hart_coverage{};

using Word = std::atomic<std::uint64_t>;
using Counter = std::atomic<std::uint32_t>;
constinit std::array<Word*, kCoveragePages> map_pages{};  // [0] is not of the map
constinit Counter* counters{nullptr};                     // not null: start_coverage() was called

}  // namespace

void start_coverage(std::span<void* const, kCoveragePages> pages) {
    for (std::size_t i = 1; i < pages.size(); ++i) {
        map_pages[i] = static_cast<Word*>(pages[i]);
    }
    counters = static_cast<Counter*>(pages[0]);
}

CoverageScope::CoverageScope(TaskId caller) {
    HartCoverage& mine = hart_coverage[arch::current_cpu().value()];
    mine.previous = 0;
    mine.slot = counters == nullptr ? 0 : 1 + caller.value() % (kSlots - 1);
}

CoverageScope::~CoverageScope() {
    hart_coverage[arch::current_cpu().value()].slot = 0;
}

extern "C" void __sanitizer_cov_trace_pc() {
    // Before that tp may hold nothing yet.
    if (counters == nullptr) {
        return;
    }
    HartCoverage& mine = hart_coverage[arch::current_cpu().value()];
    if (mine.slot == 0) {
        return;
    }
    constexpr std::uint64_t kMultiplier = 0x9e3779b97f4a7c15;  // 2^64 divided by the golden ratio
    const auto pc = reinterpret_cast<std::uint64_t>(__builtin_return_address(0));
    const auto block = static_cast<std::uint32_t>(pc * kMultiplier >> (64 - kMapBits));
    const std::uint32_t edge = block ^ mine.previous;
    mine.previous = block >> 1;  // A to B is another edge than B to A
    Word& word = map_pages[1 + (edge >> kPageBits)][edge % (1U << kPageBits) / 64];
    const std::uint64_t bit = std::uint64_t{1} << (edge % 64);
    if ((word.load(std::memory_order_relaxed) & bit) == 0 &&
        (word.fetch_or(bit, std::memory_order_relaxed) & bit) == 0) {
        counters[0].fetch_add(1, std::memory_order_relaxed);
        counters[mine.slot].fetch_add(1, std::memory_order_relaxed);
    }
}

}  // namespace kernel::trace
