// SPDX-License-Identifier: MIT
// Advisory locks on files: flock(2), record locks of a process (fcntl, lockf) and of an open file (F_OFD_*).
//
// The first kind belongs to an open file and covers all of it; the other two cover ranges of bytes and see
// each other. A file is known by its file system and inode, so locks need nothing of the kinds of files. Who
// gives a lock up hands what became free to those that wait, in the order they came: whoever wakes has its
// lock already, and its call, which runs again, finds it so.
//
// Concurrency: one lock (rank WaitQueue) guards all of it. Work by the locks and waiters of one file, of
// which there are at most kMaxRecordsPerFile.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "lib/intrusive_list.hpp"
#include "lib/result.hpp"
#include "task/sys_result.hpp"

namespace kernel::task {

class OpenFile;
class Task;
struct Wait;

namespace file_locks {

struct Holder;
struct LockedFile;

inline constexpr std::uint32_t kMaxRecordsPerFile = 256;
inline constexpr std::uint32_t kMaxRecords = 8192;
inline constexpr std::uint64_t kLastByte = ~std::uint64_t{0} >> 1;  // that a file can have

enum class Kind : std::uint8_t {
    Whole,      // flock: of an open file, and only flock's see it
    OfProcess,  // a range, of a process
    OfFile,     // a range, of an open file
};

struct Range {
    std::uint64_t first{0};
    std::uint64_t last{kLastByte};  // included; >= first
};

struct Lock {
    Kind kind{};
    bool is_exclusive{false};
    Range range{};
    std::int32_t pid{0};  // of who asked for it
};

// A lock, or a wish for one.
struct Record {
    Lock lock;
    LockedFile* place{nullptr};
    const void* owner{nullptr};  // the Holder or the OpenFile, as the kind says
    Holder* holder{nullptr};     // the process that asked; good while it waits, and with Kind::OfProcess
    OpenFile* file{nullptr};     // through which, while it waits
    Wait* wait{nullptr};         // null: it has the lock
    ListNode node{};             // of place
    ListNode holder_node{};      // on holder->waiting, while it waits
};

// What a table of descriptors, that is a process, has to do with locks. Concurrency: `is_used` is atomic, the
// rest is guarded by the lock of all locks.
struct Holder {
    // Set before the first lock is asked for: until then, closing a file costs a look at it.
    std::atomic<bool> is_used{false};
    std::uint32_t owned{0};  // locks of Kind::OfProcess
    IntrusiveList<Record, &Record::holder_node> waiting;
    // For the search of one that would wait for itself: those that were found, and in which search.
    Holder* next_found{nullptr};
    std::uint64_t found_in{0};
};

// Gives the lock, in place of what the owner has there. Blocks when `waits` and somebody else has one in the
// way; the call then runs again. Errors: TryAgain; Deadlock (Kind::OfProcess); NoLocks beyond the limits and
// without memory. Pre: `holder` is of the caller's process.
[[nodiscard]] SysResult take(Task& caller, Holder& holder, OpenFile& file, const Lock& wanted, bool waits);
// Takes what the owner has in the range away. Errors: NoLocks, when a lock would fall into two.
Result<void> give_up(Holder& holder, OpenFile& file, Kind kind, Range range);
// A lock that stands in the way.
[[nodiscard]] std::optional<Lock> find_conflict(const Holder& holder, const OpenFile& file,
                                                const Lock& wanted);

// For all of these: no lock of rank WaitQueue or above is held.
// The process has closed a descriptor of the file: its record locks there are gone, as POSIX has it, and its
// threads that wait for one look again.
void descriptor_closed(Holder& holder, OpenFile& file);
// Nobody knows the open file any more.
void file_closed(OpenFile& file);
// The process ends. Pre: none of its threads waits.
void holder_gone(Holder& holder);

// How many there are now.
[[nodiscard]] std::uint64_t records_in_use();

}  // namespace file_locks

}  // namespace kernel::task
