// SPDX-License-Identifier: MIT
// The lock order, as an enum: a hart may take a lock only of a higher rank than every lock it holds. Two
// locks of one rank are never held together; above all, no path holds two hart locks. Debug builds check
// every acquisition.
#pragma once

#include <cstdint>

#include "lib/ids.hpp"

namespace kernel {

enum class LockRank : std::uint8_t {
    Process = 20,      // family tree, thread list, exit status: spans a few pointer updates
    TaskAttr = 30,     // a task's scheduling attributes while they are changed; then its hart's lock is taken
    CpuChange = 35,    // which CPUs are online, while one goes or comes; then its list of waiters
    Trace = 38,        // the trace is switched; allocates frames
    FutexBucket = 40,  // held across the read of one user word, hence below AddressSpace, and across wake-ups
    AddressSpace = 50,          // mappings and page table of one process; allocates frames
    FileTable = 55,             // descriptors of a process
    FileTree = 58,              // names of files in memory
    PageCache = 60,             // frames of one file
    EventList = 62,             // what an event list watches; then the lists a file is on
    Watched = 63,               // the event lists some files are on
    WaitQueue = 65,             // sleepers of one console, child list or completion; wakes under it
    Alarm = 68,                 // a timer that sends signals, or the table of a process's; then a hart's lock
    Hart = 70,                  // run queue and timers of one hart
    Inbox = 75,                 // leaf under a hart lock
    TaskTable = 78,             // leaf: finding a task by id and taking a reference, giving an id back
    Audit = 79,                 // leaf: one record of who changed what
    Slab = 80,                  // object caches; refill from Frames
    Frames = 90,                // the buddy allocator
    Terminal = 95,              // line discipline of the console; echoes what is typed
    OutputLog = 98,             // leaf: one record into the copy of what a program wrote
    Log = 100,                  // one line into the log ring
    InterruptController = 105,  // leaf: one enable word
    HostLine = 107,             // leaf: one buffer to the host
    Console = 110,              // one line into the transmit ring
};

// Debug bookkeeping of the locks each hart holds. Hart-local.
void note_lock_acquired(LockRank rank);
// A lock that was free when it was tried. Who does not wait for it cannot be part of a circle of those that
// do, so it may have any rank; what is taken while it is held is of a higher one all the same.
void note_lock_tried(LockRank rank);
void note_lock_released(LockRank rank);

}  // namespace kernel
