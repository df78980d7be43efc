// SPDX-License-Identifier: MIT
// Programs for the explorer around single pieces of the kernel that harts share without a lock, or that are
// the lock. What they do is in structures.cpp, which is compiled as the kernel under exploration is.
#pragma once

#include "explorer.hpp"

namespace explore {

// Two harts, each stores to its own word and then loads the other's: at least one must see the other's store.
enum class Fencing : std::uint8_t { None, AcquireRelease, SeqCst, Fences };
[[nodiscard]] Outcome store_buffering(Fencing fencing, const Bounds& bounds);
// One hart fills a plain word and raises a flag; the other one that sees the flag reads the word.
[[nodiscard]] Outcome message_passing(Fencing fencing, const Bounds& bounds);
// Two harts store to a word each, two read both in opposite order: they must agree on which came first.
[[nodiscard]] Outcome independent_reads(Fencing fencing, const Bounds& bounds);
// One hart stores 1 and then 2; another one never sees 1 after it has seen 2, in whatever order.
[[nodiscard]] Outcome coherence(const Bounds& bounds);

// kernel/sync, kernel/lib, kernel/trace: who reads never sees half of what was written, who holds the lock
// has it alone and sees what its last holder did, the last reference goes last.
[[nodiscard]] Outcome seqlock(const Bounds& bounds);
[[nodiscard]] Outcome spin_lock(const Bounds& bounds);
[[nodiscard]] Outcome try_lock(const Bounds& bounds);
[[nodiscard]] Outcome references(const Bounds& bounds);
[[nodiscard]] Outcome trace_ring(const Bounds& bounds);

// kernel/mm: one hart runs in an address space, another comes to it that may remember a page under this ASID
// from whoever had it before, and a third unmaps a page. Nobody reads the page once it is given back. Without
// ASIDs every switch forgets.
[[nodiscard]] Outcome shootdown(bool with_asids, const Bounds& bounds);
// A hart reads a page and leaves while another one takes the space apart: it is on no table, and reads no
// page, that was given back.
[[nodiscard]] Outcome teardown(bool with_asids, const Bounds& bounds);

}  // namespace explore
