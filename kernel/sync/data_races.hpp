// SPDX-License-Identifier: MIT
// Plain accesses that race, found by watching some of them, as KCSAN does (Linux,
// Documentation/dev-tools/kcsan.rst; Erickson et al., "Effective Data-Race Detection for the Kernel", OSDI
// 2010). In a build with NEURON_KCSAN the compiler calls data_races.cpp before each access to memory. Some
// plain ones are watched: the hart waits, and when another hart touches the same bytes meanwhile, and one of
// the two writes, or the bytes have changed, that is a data race. Locks need not be known: who holds one
// keeps the others away for as long as it waits.
//
// Atomic accesses race with plain ones, not with each other; they are looked at and not watched. Left alone:
// volatile accesses (devices), a hart's own stack, assembly, and what memcpy() and memset() copy or fill
// (lib/string.cpp). Memory of programs is UnwatchedAccesses': it is theirs to race for.
#pragma once

#include <cstdint>

namespace kernel {

#ifdef NEURON_KCSAN
// From now on accesses are watched. Boot, once, when other harts are about to start.
void start_watching_races();
// Prints what was found since the last time, a line for each pair of places in the code. Pre: no lock is
// held.
void report_races();
// Stops the machine with a report when races were found. Pre: no lock is held.
void fail_if_raced();

// While it lives, this hart's accesses are neither watched nor looked at. Say why where it is used.
class UnwatchedAccesses {
  public:
    UnwatchedAccesses();
    ~UnwatchedAccesses();
    UnwatchedAccesses(const UnwatchedAccesses&) = delete;
    UnwatchedAccesses& operator=(const UnwatchedAccesses&) = delete;
};
#else
inline void start_watching_races() {}
inline void report_races() {}
inline void fail_if_raced() {}

class UnwatchedAccesses {
  public:
    UnwatchedAccesses() = default;
    UnwatchedAccesses(const UnwatchedAccesses&) = delete;
    UnwatchedAccesses& operator=(const UnwatchedAccesses&) = delete;
};
#endif

}  // namespace kernel
