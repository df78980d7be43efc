// SPDX-License-Identifier: MIT
#include "task/futex_robust.hpp"

#include <array>
#include <span>

#include "mm/user_memory.hpp"
#include "task/futex.hpp"
#include "task/futex_pi.hpp"
#include "task/process.hpp"

namespace kernel::task {

namespace {

// include/uapi/linux/futex.h
constexpr std::uint32_t kTidMask = 0x3fff'ffff;
constexpr std::uint32_t kOwnerDied = 0x4000'0000;
constexpr std::uint32_t kHasWaiters = 0x8000'0000;
// ROBUST_LIST_LIMIT: a longer list, or one that bites its tail, is cut.
constexpr std::uint32_t kMaxEntries = 2048;
constexpr std::uint32_t kEntriesPerStep = 16;
// Bit 0 of a pointer to an entry: its lock is a PI futex.
constexpr std::uint64_t kIsPi = 1;
// Of Task::robust_list, where no user address has it: unborn_next and exec_files are the walk's.
constexpr std::uint64_t kWalkBegun = std::uint64_t{1} << 63;
// How often a word that changes under our eyes is looked at again; only its owner and waiters that announce
// themselves change it, so this is more than there are harts.
constexpr std::uint32_t kWordTries = 128;

struct Head {
    std::uint64_t first{0};
    std::uint64_t offset{0};   // from an entry to its lock's word, signed
    std::uint64_t pending{0};  // the lock that was being taken or let go, on the list or not
};
static_assert(sizeof(Head) == kRobustHeadBytes);

enum class Place : std::uint8_t { OnList, Pending };

Result<Head> read_head(mm::AddressSpace& space, std::uint64_t address) {
    std::array<std::uint64_t, 3> words{};
    TRY(mm::copy_from_user(space, std::as_writable_bytes(std::span{words}), VirtAddr{address}));
    return Head{words[0], words[1], words[2]};
}

Result<std::uint64_t> read_next(mm::AddressSpace& space, std::uint64_t entry) {
    std::uint64_t next = 0;
    TRY(mm::copy_from_user(space, std::as_writable_bytes(std::span{&next, 1}), VirtAddr{entry & ~kIsPi}));
    return next;
}

// The owner of a lock that is no PI futex has ended.
Result<void> mark_dead(Task& task, VirtAddr word, Place place) {
    mm::AddressSpace& space = task.process().space();
    std::uint32_t value = TRY(mm::load_word(space, word));
    for (std::uint32_t tries = 0; tries < kWordTries; ++tries) {
        if (place == Place::Pending && value == 0) {
            // It let go and ended before it could wake anybody.
            wake_futex(space, word.value(), 1);
            return {};
        }
        if (TaskId{value & kTidMask} != task.tid()) {
            return {};
        }
        const std::uint32_t seen =
            TRY(mm::compare_exchange_word(space, word, value, (value & kHasWaiters) | kOwnerDied));
        if (seen == value) {
            if ((value & kHasWaiters) != 0) {
                wake_futex(space, word.value(), 1);
            }
            return {};
        }
        value = seen;
    }
    return {};
}

Result<void> release(Task& task, std::uint64_t entry, std::uint64_t offset, Place place) {
    const VirtAddr word{(entry & ~kIsPi) + offset};
    return (entry & kIsPi) != 0 ? give_up_pi_futex(task, word) : mark_dead(task, word, place);
}

// A few entries from task.unborn_next on; task.exec_files counts them; true at the end.
Result<bool> walk(Task& task) {
    mm::AddressSpace& space = task.process().space();
    const std::uint64_t head_address = task.robust_list & ~kWalkBegun;
    const Head head = TRY(read_head(space, head_address));
    if ((task.robust_list & kWalkBegun) == 0) {
        task.robust_list |= kWalkBegun;
        task.unborn_next = VirtAddr{head.first};
        task.exec_files = 0;
    }
    for (std::uint32_t i = 0; i < kEntriesPerStep && task.exec_files < kMaxEntries; ++i) {
        const std::uint64_t entry = task.unborn_next.value();
        if ((entry & ~kIsPi) == head_address) {
            task.exec_files = kMaxEntries;
            break;
        }
        // Read before the lock is let go: whoever takes it makes its entry part of a list of his own.
        const Result<std::uint64_t> next = read_next(space, entry);
        if ((entry & ~kIsPi) != (head.pending & ~kIsPi)) {
            TRY(release(task, entry, head.offset, Place::OnList));
        }
        task.unborn_next = VirtAddr{TRY(next)};
        ++task.exec_files;
    }
    if (task.exec_files < kMaxEntries) {
        return false;
    }
    if ((head.pending & ~kIsPi) != 0) {
        TRY(release(task, head.pending, head.offset, Place::Pending));
    }
    return true;
}

// Mostly the list is empty and no lock is being taken. Whether that is seen at once.
bool is_seen_empty(Task& task) {
    const VirtAddr head{task.robust_list};  // no user address while a walk has begun
    std::array<std::uint64_t, 3> words;
    static_assert(sizeof words == kRobustHeadBytes);
    return head.value() % sizeof words[0] == 0 && mm::is_user_range(head, sizeof words) &&
           mm::page_offset(head.value()) <= mm::kPageSize - sizeof words &&
           mm::copy_present_in(task.process().space(), head, words) && words[0] == head.value() &&
           (words[2] & ~kIsPi) == 0;
}

}  // namespace

bool release_robust_futexes(Task& task) {
    if (task.robust_list == 0) {
        return true;
    }
    if (is_seen_empty(task)) [[likely]] {
        task.robust_list = 0;
        return true;
    }
    // A list that cannot be read is the program's loss.
    const Result<bool> is_done = walk(task);
    if (is_done.ok() && !*is_done) {
        return false;
    }
    task.robust_list = 0;
    return true;
}

}  // namespace kernel::task
