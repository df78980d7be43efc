// SPDX-License-Identifier: MIT
// Which edges of the kernel's code system calls reach, for the fuzzer of calls. In builds with
// NEURON_COVERAGE (preset riscv-fuzz) alone; elsewhere CoverageScope is nothing and no code is instrumented.
//
// The compiler puts a call in front of each basic block. While a hart handles a system call, two blocks that
// follow each other are an edge, and its hash is a bit of a map; interrupts, page faults and the choice of
// who runs are left out, since they would be as new every time. Programs map the pages read-only
// (/proc/coverage):
//   page 0        std::uint32_t[1024]: [0] edges ever reached, [slot] those of them that a task was the first
//                 to reach, slot = 1 + tid % 1023; grows, is never reset
//   pages 1..16   the map, one bit for each of 2^19 hashes
// Concurrency: a hart's state is its own; bits and counters are atomic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/ids.hpp"

namespace kernel::trace {

#ifdef NEURON_COVERAGE

inline constexpr std::size_t kCoveragePages = 17;

// From now on edges are kept. Pre: once; one hart; the pages are zero and stay for ever.
void start_coverage(std::span<void* const, kCoveragePages> pages);

// The calling hart handles a system call of `caller` as long as this lives. Pre: interrupts off; not nested.
class CoverageScope {
  public:
    explicit CoverageScope(TaskId caller);
    CoverageScope(const CoverageScope&) = delete;
    CoverageScope& operator=(const CoverageScope&) = delete;
    ~CoverageScope();
};

#else

struct CoverageScope {
    explicit constexpr CoverageScope(TaskId) {}
};

#endif

}  // namespace kernel::trace
