// SPDX-License-Identifier: MIT
// What the ways that call nothing write into the trace (hart.hpp has the others): on the only hart there is,
// into its ring, which trace::ring_if_traced() gave.
#pragma once

#include <cstdint>

#include "task/task.hpp"
#include "trace/trace.hpp"

namespace kernel::task {

// The hart goes over to `next` from a call that waits ...
[[gnu::always_inline]] inline void write_wait_alone(trace::Ring& ring, const Task& before, const Task& next,
                                                    Instant now) {
    trace::put_alone(ring, now, trace::Kind::Wait, next.tid().value(),
                     before.frame.syscall_number() << 16U | 1U);
}
// ... and from a yield.
[[gnu::always_inline]] inline void write_yield_alone(trace::Ring& ring, const Task& next,
                                                     std::uint32_t runnable, Instant now) {
    trace::put_alone(ring, now, trace::Kind::Switch, next.tid().value(),
                     static_cast<std::uint32_t>(trace::Fate::Yielded) | runnable << 8U);
}
[[gnu::always_inline]] inline void write_wake_alone(trace::Ring& ring, const Task& task, Instant now) {
    // To CPU 0: it has no other id.
    trace::put_alone(ring, now, trace::Kind::Wake, task.tid().value(), 0U);
}

}  // namespace kernel::task
