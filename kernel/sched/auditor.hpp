// SPDX-License-Identifier: MIT
// The invariants of a run queue as a function (numbers: README.md). Host tests call it after every step, the
// kernel in debug builds with a bound: the same predicates on both sides.
#pragma once

#include <cstdint>

#include "sched/run_queue.hpp"

namespace kernel::sched {

struct Violation {
    const char* rule{nullptr};      // "S3: ..." ; null = all hold
    const Entity* entity{nullptr};  // the one it was seen on, if one
    [[nodiscard]] bool found() const { return rule != nullptr; }
};

class Auditor {
  public:
    static constexpr std::uint32_t kUnbounded = ~std::uint32_t{0};

    // Checks at most max_entities waiting entities per class; the sums are checked where all of a class were
    // seen. Pre: the hart's lock is held.
    [[nodiscard]] static Violation check(const RunQueue& queue, std::uint32_t max_entities = kUnbounded);

  private:
    static Violation check_class(const RunQueue& queue, QosClass qos_class, std::uint32_t max_entities);
    static Violation check_throttled(const RunQueue& queue, std::uint32_t max_entities);
    static Violation check_weight(const RunQueue& queue, const Entity& entity);
    static Violation check_entity(const RunQueue& queue, const Entity& entity);
};

}  // namespace kernel::sched
