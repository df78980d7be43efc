// SPDX-License-Identifier: MIT
// Locks on files: flock, and fcntl's record locks. The rules are task/file_locks.hpp's.
#include "syscall/locks.hpp"

#include <cstdint>

#include "mm/user_memory.hpp"
#include "nexus_abi/linux.hpp"
#include "syscall/dispatch.hpp"
#include "task/file_locks.hpp"
#include "task/file_table.hpp"

namespace kernel::syscall {

namespace {

namespace file_locks = task::file_locks;
using file_locks::Kind;
using file_locks::kLastByte;
using file_locks::Range;
using nexus_abi::record_lock;

// include/uapi/asm-generic/fcntl.h
enum class Command : std::uint32_t {
    Get = 5,
    Set = 6,
    SetWaiting = 7,
    GetOfFile = 36,
    SetOfFile = 37,
    SetOfFileWaiting = 38,
};
constexpr std::int16_t kRead = 0;
constexpr std::int16_t kWrite = 1;
constexpr std::int16_t kUnlock = 2;

constexpr std::uint32_t kFlockShared = 1;
constexpr std::uint32_t kFlockExclusive = 2;
constexpr std::uint32_t kFlockDoNotWait = 4;
constexpr std::uint32_t kFlockUnlock = 8;

bool is_get(Command command) {
    return command == Command::Get || command == Command::GetOfFile;
}

bool is_of_file(Command command) {
    return command >= Command::GetOfFile;
}

// Where the bytes lie that a struct flock names. Errors: InvalidArgument, Overflow.
Result<Range> range_of(task::OpenFile& file, const record_lock& lock) {
    std::int64_t base = 0;
    switch (static_cast<task::Whence>(lock.whence)) {
        case task::Whence::Start:
            break;
        case task::Whence::Current:
            base = static_cast<std::int64_t>(file.seek(0, task::Whence::Current).value_or(0));
            break;
        case task::Whence::End:
            base = static_cast<std::int64_t>(file.status().bytes);
            break;
        default:
            return Error::InvalidArgument;
    }
    std::int64_t first = 0;
    if (__builtin_add_overflow(base, lock.start, &first)) {
        return Error::Overflow;
    }
    if (first < 0 || (lock.length < 0 && first + lock.length < 0)) {
        return Error::InvalidArgument;
    }
    const auto start = static_cast<std::uint64_t>(first);
    if (lock.length == 0) {
        return Range{.first = start};
    }
    if (lock.length < 0) {
        return Range{.first = static_cast<std::uint64_t>(first + lock.length), .last = start - 1};
    }
    std::int64_t last = 0;
    if (__builtin_add_overflow(first, lock.length - 1, &last)) {
        return Error::Overflow;
    }
    return Range{.first = start, .last = static_cast<std::uint64_t>(last)};
}

Result<void> check(task::OpenFile& file, const record_lock& lock, Command command) {
    if (lock.type < kRead || lock.type > kUnlock || (command == Command::Get && lock.type == kUnlock) ||
        (is_of_file(command) && lock.pid != 0)) {
        return Error::InvalidArgument;
    }
    if (!is_get(command) &&
        ((lock.type == kRead && !file.is_readable()) || (lock.type == kWrite && !file.is_writable()))) {
        return Error::BadDescriptor;
    }
    return {};
}

// What F_GETLK writes back.
record_lock described(const record_lock& asked, const std::optional<file_locks::Lock>& found) {
    record_lock result = asked;
    if (!found) {
        result.type = kUnlock;
        return result;
    }
    const Range range = found->range;
    result.type = found->is_exclusive ? kWrite : kRead;
    result.whence = static_cast<std::int16_t>(task::Whence::Start);
    result.start = static_cast<std::int64_t>(range.first);
    result.length = range.last == kLastByte ? 0 : static_cast<std::int64_t>(range.last - range.first + 1);
    result.pid = found->kind == Kind::OfFile ? -1 : found->pid;
    return result;
}

}  // namespace

bool is_lock_command(std::uint32_t command) {
    return (command >= static_cast<std::uint32_t>(Command::Get) &&
            command <= static_cast<std::uint32_t>(Command::SetWaiting)) ||
           (command >= static_cast<std::uint32_t>(Command::GetOfFile) &&
            command <= static_cast<std::uint32_t>(Command::SetOfFileWaiting));
}

SysResult control_locks(Caller& caller, std::int32_t fd, const Ref<task::OpenFile>& file,
                        std::uint32_t number, std::uint64_t argument) {
    const auto command = static_cast<Command>(number);
    const InOut<record_lock> pointer{argument};
    const auto asked = mm::copy_in(caller.space(), pointer);
    if (!asked.ok()) {
        return asked.error();
    }
    const auto range = range_of(*file, *asked);
    const auto checked = check(*file, *asked, command);
    if (!range.ok() || !checked.ok()) {
        return range.ok() ? checked.error() : range.error();
    }
    const file_locks::Lock lock{.kind = is_of_file(command) ? Kind::OfFile : Kind::OfProcess,
                                .is_exclusive = asked->type == kWrite,
                                .range = *range,
                                .pid = static_cast<std::int32_t>(caller.process.pid().value())};
    file_locks::Holder& holder = caller.files().locks;
    if (is_get(command)) {
        return mm::copy_out(caller.space(), pointer,
                            described(*asked, file_locks::find_conflict(holder, *file, lock)));
    }
    if (asked->type == kUnlock) {
        return file_locks::give_up(holder, *file, lock.kind, *range);
    }
    const bool waits = command == Command::SetWaiting || command == Command::SetOfFileWaiting;
    const SysResult result = file_locks::take(caller.task, holder, *file, lock, waits);
    // Another thread may have closed the descriptor before there was a lock to take away.
    if (result.has_value() && result.value() == 0 && lock.kind == Kind::OfProcess) {
        const auto now = caller.files().find(fd);
        if (!now.ok() || now->get() != file.get()) {
            static_cast<void>(file_locks::give_up(holder, *file, lock.kind, *range));
            return Error::BadDescriptor;
        }
    }
    return result;
}

SysResult sys_flock(Caller& caller, std::int32_t fd, std::uint32_t operation) {
    const auto file = caller.files().find(fd);
    const std::uint32_t what = operation & ~kFlockDoNotWait;
    if (what != kFlockShared && what != kFlockExclusive && what != kFlockUnlock) {
        return Error::InvalidArgument;
    }
    if (!file.ok()) {
        return file.error();
    }
    file_locks::Holder& holder = caller.files().locks;
    if (what == kFlockUnlock) {
        return file_locks::give_up(holder, **file, Kind::Whole, {});
    }
    return file_locks::take(caller.task, holder, **file,
                            {.kind = Kind::Whole, .is_exclusive = what == kFlockExclusive},
                            (operation & kFlockDoNotWait) == 0);
}

}  // namespace kernel::syscall
