// SPDX-License-Identifier: MIT
// sendfile and copy_file_range: from a file into another without a buffer of the program's. The kinds of
// files write from the caller's memory, so a window of the source is mapped there, privately and to be read,
// for each piece that is written, and is gone again before the next. The caller's other threads may see it in
// /proc/self/maps.
#include <algorithm>
#include <optional>

#include "file/transfer.hpp"
#include "mm/layout.hpp"
#include "mm/user_buffers.hpp"
#include "mm/user_memory.hpp"
#include "syscall/dispatch.hpp"
#include "task/file_table.hpp"

namespace kernel::syscall {

namespace {

using nexus_abi::InOut;
using task::OpenFile;

constexpr std::uint64_t kMaxTransfer = 0x7fff'f000;  // Linux' MAX_RW_COUNT

// Where one side of a copy begins, which is behind what was copied so far: at an offset the program keeps, or
// at the file's own position. Task::call_progress: how much that is.
class Place {
  public:
    Place() = default;
    // Errors: BadAddress, IllegalSeek, InvalidArgument.
    static Result<Place> of(Caller& caller, OpenFile& file, InOut<std::int64_t> offset) {
        Place place{file, offset};
        std::int64_t now = 0;
        if (offset.is_null()) {
            now = static_cast<std::int64_t>(TRY(file.seek(0, task::Whence::Current)));
        } else {
            if (!file.is_seekable()) {
                return Error::IllegalSeek;
            }
            now = TRY(mm::copy_in(caller.space(), offset));
        }
        // The program may have changed it meanwhile.
        if (now < 0 || static_cast<std::uint64_t>(now) < caller.task.call_progress) {
            return Error::InvalidArgument;
        }
        place.start_ = static_cast<std::uint64_t>(now) - caller.task.call_progress;
        return place;
    }
    [[nodiscard]] std::uint64_t start() const { return start_; }
    [[nodiscard]] bool is_given() const { return !offset_.is_null(); }
    // So much was copied so far.
    Result<void> move(Caller& caller, std::uint64_t copied) {
        const auto now = static_cast<std::int64_t>(start_ + copied);
        if (is_given()) {
            return mm::copy_out(caller.space(), offset_, now);
        }
        TRY(file_->seek(now, task::Whence::Start));
        return {};
    }

  private:
    Place(OpenFile& file, InOut<std::int64_t> offset) : file_{&file}, offset_{offset} {}

    OpenFile* file_{nullptr};
    InOut<std::int64_t> offset_;
    std::uint64_t start_{0};
};

// Writes the next piece of `source` from `start` on, `bytes` in all, of which call_progress are written.
SysResult write_piece(Caller& caller, const OpenFile::Mappable& source, std::uint64_t start,
                      std::uint64_t bytes, OpenFile& to, std::optional<std::uint64_t> at) {
    const std::uint64_t done = caller.task.call_progress;
    const std::uint64_t window = mm::page_down(start + done);
    const std::uint64_t wanted = std::min(bytes - done, file::kStepBytes) + mm::page_offset(start + done);
    mm::AddressSpace& space = caller.space();
    const mm::MapRequest request{
        .address = VirtAddr{}, .bytes = wanted, .protection = {.read = true}, .placement = {}};
    const auto mapped =
        space.map_file(request, {.file = source.object, .offset = window, .bytes = mm::page_up(wanted)});
    if (!mapped.ok()) {
        return mapped.error();
    }
    // As if all of it were mapped: a writer passes over what is written without looking at it.
    mm::UserBuffers buffers{space, VirtAddr{mapped->start.value() - (window - start)}, bytes};
    const SysResult written = to.write(caller.task, buffers, at);
    for (VirtAddr next = mapped->start; next < mapped->start + mm::page_up(wanted);) {
        const auto unmapped = space.unmap(next, mapped->start + mm::page_up(wanted) - next);
        if (!unmapped.ok()) {
            break;  // another thread has mapped something there, which stays
        }
        next = unmapped->next;
    }
    return written;
}

struct Ends {
    Ref<OpenFile> from;
    Ref<OpenFile> to;
    OpenFile::Mappable source;
};

// What can be read page by page, and something that can be written.
Result<Ends> find_ends(Caller& caller, std::int32_t from, bool has_offset, std::int32_t to) {
    Ends ends;
    ends.from = TRY(caller.files().find(from));
    ends.to = TRY(caller.files().find(to));
    if (!ends.from->is_readable() || !ends.to->is_writable()) {
        return Error::BadDescriptor;
    }
    if (has_offset && !ends.from->is_seekable()) {
        return Error::IllegalSeek;
    }
    const auto source = ends.from->mappable();
    if (!source.ok() || source->is_zero) {
        return Error::InvalidArgument;
    }
    ends.source = *source;
    return ends;
}

// From where to where; `to` is empty for what is written at its own position.
struct Plan {
    Place from;
    std::optional<Place> to;
    std::uint64_t bytes{0};
};
Result<Plan> plan(Caller& caller, const Ends& ends, InOut<std::int64_t> from_offset,
                  InOut<std::int64_t> to_offset, std::uint64_t count) {
    const Place from = TRY(Place::of(caller, *ends.from, from_offset));
    std::optional<Place> to;
    if (!to_offset.is_null()) {
        to = TRY(Place::of(caller, *ends.to, to_offset));
    }
    const std::uint64_t size = ends.source.bytes;
    const std::uint64_t there = from.start() < size ? size - from.start() : 0;
    return Plan{.from = from, .to = to, .bytes = std::min({count, there, kMaxTransfer})};
}

SysResult copy(Caller& caller, const Ends& ends, InOut<std::int64_t> from_offset,
               InOut<std::int64_t> to_offset, std::uint64_t count) {
    auto planned = plan(caller, ends, from_offset, to_offset, count);
    if (!planned.ok()) {
        return planned.error();
    }
    if (planned->bytes <= caller.task.call_progress) {
        return caller.task.call_progress;
    }
    const SysResult written =
        write_piece(caller, ends.source, planned->from.start(), planned->bytes, *ends.to,
                    planned->to ? std::optional{planned->to->start()} : std::nullopt);
    const bool has_failed = written.has_value() && written.value() < 0;
    if (has_failed || (!written.has_value() && !written.wants_again())) {
        return written;  // or it waits, and nothing is written yet
    }
    const std::uint64_t copied =
        written.has_value() ? static_cast<std::uint64_t>(written.value()) : caller.task.call_progress;
    auto moved = planned->from.move(caller, copied);
    if (moved.ok() && planned->to) {
        moved = planned->to->move(caller, copied);
    }
    return moved.ok() ? written : SysResult{moved.error()};
}

bool is_regular(const OpenFile& file) {
    return (file.status().mode & task::kTypeMask) == task::kTypeRegular;
}

// Whether what is read and what is written are parts of one file that overlap.
Result<bool> overlap(Caller& caller, const Ends& ends, InOut<std::int64_t> from_offset,
                     InOut<std::int64_t> to_offset, std::uint64_t count) {
    const auto target = ends.to->mappable();
    if (!target.ok() || target->object != ends.source.object) {
        return false;
    }
    const std::uint64_t from = TRY(Place::of(caller, *ends.from, from_offset)).start();
    const std::uint64_t to = TRY(Place::of(caller, *ends.to, to_offset)).start();
    return std::max(from, to) - std::min(from, to) < count;
}

}  // namespace

SysResult sys_sendfile(Caller& caller, std::int32_t out_fd, std::int32_t in_fd, InOut<std::int64_t> offset,
                       std::uint64_t count) {
    const auto ends = find_ends(caller, in_fd, !offset.is_null(), out_fd);
    if (!ends.ok()) {
        return ends.error();
    }
    if ((ends->to->flags() & task::kOpenAppend) != 0) {
        return Error::InvalidArgument;
    }
    return copy(caller, *ends, offset, InOut<std::int64_t>{}, count);
}

SysResult sys_copy_file_range(Caller& caller, std::int32_t in_fd, InOut<std::int64_t> in_offset,
                              std::int32_t out_fd, InOut<std::int64_t> out_offset, std::uint64_t count,
                              std::uint32_t flags) {
    const auto ends = find_ends(caller, in_fd, !in_offset.is_null(), out_fd);
    if (!ends.ok() || flags != 0 || !is_regular(*ends->to)) {
        return !ends.ok() ? ends.error() : Error::InvalidArgument;
    }
    if ((ends->to->flags() & task::kOpenAppend) != 0) {
        return Error::BadDescriptor;
    }
    const auto overlaps = overlap(caller, *ends, in_offset, out_offset, count);
    if (!overlaps.ok() || *overlaps) {
        return !overlaps.ok() ? overlaps.error() : Error::InvalidArgument;
    }
    return copy(caller, *ends, in_offset, out_offset, count);
}

}  // namespace kernel::syscall
