// SPDX-License-Identifier: MIT
// ppoll and pselect6: look at every file they are given and wait for a change (file/poll.hpp) until one of
// them is ready.
#include "file/poll.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "arch/contract.hpp"
#include "mm/user_memory.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/poll_wait.hpp"
#include "syscall/time_values.hpp"
#include "task/file_table.hpp"

namespace kernel::syscall {

namespace {

// Reported whether or not they were asked for.
constexpr std::uint32_t kAlwaysReported = task::kPollError | task::kPollHangUp | task::kPollInvalid;

std::uint32_t look_at(Caller& caller, const pollfd& wanted, file::PollWatch& watch) {
    const auto file = caller.files().find(wanted.fd);
    if (!file.ok()) {
        return task::kPollInvalid;
    }
    watch.count_look();
    return file::with_normal_bits((*file)->poll(watch)) & (wanted.events | kAlwaysReported);
}

// Where a look that is done in pieces is: the next file, and how many before it are ready.
struct Progress {
    std::uint32_t next{0};
    std::uint32_t ready{0};

    explicit Progress(const file::PollWatch& watch) {
        if (const auto* const place = watch.resumed_at()) {
            next = static_cast<std::uint32_t>((*place)[0]);
            ready = static_cast<std::uint32_t>((*place)[1]);
        }
    }
    void stop(file::PollWatch& watch) const { watch.stop_at({next, ready, 0}); }
};

// How many of the files have something to report; that is written to them.
Result<std::uint64_t> look_at_all(Caller& caller, InOut<pollfd> files, std::uint32_t count,
                                  file::PollWatch& watch) {
    Progress progress{watch};
    for (; progress.next < count; ++progress.next) {
        if (watch.is_tired()) {
            progress.stop(watch);
            break;
        }
        const std::uint32_t i = progress.next;
        const InOut<pollfd> at{mm::user_address(files).value() + i * sizeof(pollfd)};
        pollfd entry = TRY(mm::copy_in(caller.space(), at));
        const std::uint32_t events = entry.fd < 0 ? 0 : look_at(caller, entry, watch);
        entry.revents = static_cast<std::uint16_t>(events);
        progress.ready += events != 0 ? 1 : 0;
        TRY(mm::copy_out(caller.space(), at, entry));
    }
    return std::uint64_t{progress.ready};
}

// How long the call is patient; max() without a timeout. It is read once: the call's later runs find a time
// left there.
Result<Duration> patience(Caller& caller, InOut<timespec> timeout) {
    if (caller.task.call_progress != 0 || timeout.is_null()) {
        return Duration::max();
    }
    return from_timespec(TRY(mm::copy_in(caller.space(), timeout)));
}

// As Linux; that it cannot be written is no error.
void write_time_left(Caller& caller, InOut<timespec> timeout, const PollDeadline& deadline) {
    if (!timeout.is_null()) {
        static_cast<void>(mm::copy_out(caller.space(), timeout, to_timespec(deadline.left())));
    }
}

template <class Look>
SysResult wait_for_files(Caller& caller, InOut<timespec> timeout, Look&& look) {
    const auto length = patience(caller, timeout);
    if (!length.ok()) {
        return length.error();
    }
    const PollDeadline deadline{caller, *length};
    const SysResult result = wait_until_ready(caller, deadline, look);
    if (result.has_value()) {
        write_time_left(caller, timeout, deadline);
    }
    return result;
}

// ---- pselect6

constexpr std::uint32_t kBitsPerWord = 64;
constexpr std::uint32_t kSetWords = task::FileTable::kMaxFiles / kBitsPerWord;
using FileSet = std::array<std::uint64_t, kSetWords>;

// What it waits for in each of its sets: reading, writing, exceptional conditions, of which there are none.
constexpr std::uint32_t kSets = 3;
constexpr std::array<std::uint32_t, kSets> kEventsOfSet{task::kPollIn | task::kPollHangUp | task::kPollError,
                                                        task::kPollOut | task::kPollError, 0};

struct Selection {
    std::array<InOut<std::uint64_t>, kSets> pointers;
    std::uint32_t files{0};  // descriptors below this number count
    std::array<FileSet, kSets> sets{};

    [[nodiscard]] std::uint32_t words() const { return (files + kBitsPerWord - 1) / kBitsPerWord; }
};

Result<void> read_sets(Caller& caller, Selection& selection) {
    for (std::uint32_t i = 0; i < kSets; ++i) {
        const InOut<std::uint64_t> from = selection.pointers[i];
        for (std::uint32_t word = 0; !from.is_null() && word < selection.words(); ++word) {
            const In<std::uint64_t> at{mm::user_address(from).value() + word * sizeof(std::uint64_t)};
            selection.sets[i][word] = TRY(mm::copy_in(caller.space(), at));
        }
    }
    return {};
}

Result<void> write_sets(Caller& caller, const Selection& selection) {
    for (std::uint32_t i = 0; i < kSets; ++i) {
        if (!selection.pointers[i].is_null()) {
            const Out<std::uint64_t> to{mm::user_address(selection.pointers[i]).value()};
            TRY(mm::copy_out_array(
                caller.space(), to,
                std::span<const std::uint64_t>{selection.sets[i]}.first(selection.words())));
        }
    }
    return {};
}

// Leaves in the sets what is ready. Errors: BadDescriptor, BadAddress. A look in pieces leaves the program's
// sets as they are until something is ready, as a wait may follow; from then on they hold what is ready of
// the files before the next one.
Result<std::uint64_t> look_at_sets(Caller& caller, Selection& selection, file::PollWatch& watch) {
    Progress progress{watch};
    const std::uint32_t first = progress.next;  // the ones before it are not ready, unless the sets say so
    for (progress.next = progress.ready > 0 ? first : 0; progress.next < selection.files; ++progress.next) {
        const std::uint32_t word = progress.next / kBitsPerWord;
        const std::uint64_t bit = std::uint64_t{1} << (progress.next % kBitsPerWord);
        std::uint64_t wanted = 0;
        for (const FileSet& set : selection.sets) {
            wanted |= set[word] & bit;
        }
        if (wanted == 0) {
            continue;
        }
        std::uint32_t events = 0;
        if (progress.next >= first) {
            if (watch.is_tired()) {
                progress.stop(watch);
                if (progress.ready > 0) {
                    TRY(write_sets(caller, selection));
                }
                break;
            }
            watch.count_look();
            const auto file = TRY(caller.files().find(static_cast<std::int32_t>(progress.next)));
            events = file->poll(watch);
        }
        for (std::uint32_t i = 0; i < kSets; ++i) {
            std::uint64_t& place = selection.sets[i][word];
            if ((place & bit) != 0 && (events & kEventsOfSet[i]) != 0) {
                ++progress.ready;
            } else {
                place &= ~bit;
            }
        }
    }
    return std::uint64_t{progress.ready};
}

SysResult select(Caller& caller, Selection& selection, InOut<timespec> timeout) {
    if (const auto read = read_sets(caller, selection); !read.ok()) {
        return read.error();
    }
    bool is_looked_at = false;
    const SysResult result =
        wait_for_files(caller, timeout, [&](file::PollWatch& watch) -> Result<std::uint64_t> {
            const std::uint64_t ready = TRY(look_at_sets(caller, selection, watch));
            is_looked_at = true;
            return ready;
        });
    if (!is_looked_at || !result.has_value()) {
        return result;
    }
    const auto written = write_sets(caller, selection);
    return written.ok() ? result : SysResult{written};
}

}  // namespace

SysResult sys_ppoll(Caller& caller, InOut<pollfd> files, std::uint32_t count, InOut<timespec> timeout,
                    In<std::uint64_t> mask, std::uint64_t set_size) {
    if (const auto masked = set_waiting_mask(caller, mask, set_size); !masked.ok()) {
        return masked.error();
    }
    if (count > caller.files().limit.load()) {
        return Error::InvalidArgument;
    }
    return wait_for_files(caller, timeout,
                          [&](file::PollWatch& watch) { return look_at_all(caller, files, count, watch); });
}

SysResult sys_pselect6(Caller& caller, std::int32_t count, InOut<std::uint64_t> reading,
                       InOut<std::uint64_t> writing, InOut<std::uint64_t> exceptional,
                       InOut<timespec> timeout, In<select_mask> mask) {
    if (!mask.is_null()) {
        const auto wanted = mm::copy_in(caller.space(), mask);
        if (!wanted.ok()) {
            return wanted.error();
        }
        const auto masked = set_waiting_mask(caller, In<std::uint64_t>{wanted->mask}, wanted->set_size);
        if (!masked.ok()) {
            return masked.error();
        }
    }
    if (count < 0) {
        return Error::InvalidArgument;
    }
    Selection selection{.pointers = {reading, writing, exceptional},
                        .files = std::min(static_cast<std::uint32_t>(count), task::FileTable::kMaxFiles)};
    return select(caller, selection, timeout);
}

}  // namespace kernel::syscall
