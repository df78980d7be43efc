// SPDX-License-Identifier: MIT
// epoll: lists of files to wait for (file/event_list.hpp).
#include <utility>

#include "file/event_list.hpp"
#include "mm/user_memory.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/poll_wait.hpp"
#include "syscall/time_values.hpp"
#include "task/file_table.hpp"

namespace kernel::syscall {

namespace {

using file::EventList;

// include/uapi/linux/eventpoll.h
enum class Change : std::int32_t { Add = 1, Remove = 2, Modify = 3 };
// What may be asked for along with kEventExclusive.
constexpr std::uint32_t kExclusiveGoesWith = task::kPollIn | task::kPollOut | task::kPollError |
                                             task::kPollHangUp | file::kEventWakeUp | file::kEventEdge |
                                             file::kEventExclusive;

Result<std::uint64_t> create(Caller& caller, std::uint32_t flags) {
    if ((flags & ~task::kOpenCloseOnExec) != 0) {
        return Error::InvalidArgument;
    }
    auto list = TRY(file::open_event_list());
    return std::uint64_t{TRY(caller.files().insert(std::move(list), flags != 0))};
}

Result<void> control(Caller& caller, std::int32_t list_fd, Change change, std::int32_t fd,
                     In<epoll_event> event) {
    epoll_event wish{};
    if (change != Change::Remove) {
        wish = TRY(mm::copy_in(caller.space(), event));
    }
    const auto list_file = TRY(caller.files().find(list_fd));
    const auto file = TRY(caller.files().find(fd));
    EventList* const list = list_file->event_list();
    if (list == nullptr || file.get() == list_file.get()) {
        return Error::InvalidArgument;
    }
    const bool is_exclusive = (wish.events & file::kEventExclusive) != 0;
    switch (change) {
        case Change::Add:
            if (is_exclusive && (file->event_list() != nullptr || (wish.events & ~kExclusiveGoesWith) != 0)) {
                return Error::InvalidArgument;
            }
            return list->add(*file, fd, wish);
        case Change::Remove:
            return list->remove(*file, fd);
        case Change::Modify:
            return is_exclusive ? Error::InvalidArgument : list->change(*file, fd, wish);
    }
    return Error::InvalidArgument;
}

// Pre: patience >= 0.
SysResult wait(Caller& caller, std::int32_t list_fd, Out<epoll_event> events, std::int32_t most,
               Duration patience) {
    constexpr std::int32_t kMost = 0x7fff'ffff / sizeof(epoll_event);
    if (most <= 0 || most > kMost) {
        return Error::InvalidArgument;
    }
    const auto file = caller.files().find(list_fd);
    if (!file.ok()) {
        return file.error();
    }
    EventList* const list = (*file)->event_list();
    if (list == nullptr) {
        return Error::InvalidArgument;
    }
    const PollDeadline deadline{caller, patience};
    return wait_until_ready(caller, deadline, [&](file::PollWatch& watch) {
        return list->take(caller.space(), events, static_cast<std::uint32_t>(most), watch);
    });
}

}  // namespace

SysResult sys_epoll_create1(Caller& caller, std::uint32_t flags) {
    return create(caller, flags);
}

SysResult sys_epoll_ctl(Caller& caller, std::int32_t list, std::int32_t operation, std::int32_t fd,
                        In<epoll_event> event) {
    return control(caller, list, static_cast<Change>(operation), fd, event);
}

SysResult sys_epoll_pwait(Caller& caller, std::int32_t list, Out<epoll_event> events, std::int32_t most,
                          std::int32_t milliseconds, In<std::uint64_t> mask, std::uint64_t set_size) {
    if (const auto masked = set_waiting_mask(caller, mask, set_size); !masked.ok()) {
        return masked.error();
    }
    return wait(caller, list, events, most,
                milliseconds < 0 ? Duration::max() : Duration::milliseconds(milliseconds));
}

SysResult sys_epoll_pwait2(Caller& caller, std::int32_t list, Out<epoll_event> events, std::int32_t most,
                           In<timespec> timeout, In<std::uint64_t> mask, std::uint64_t set_size) {
    Duration patience = Duration::max();
    if (!timeout.is_null()) {
        const auto given = mm::copy_in(caller.space(), timeout);
        const auto length = given.ok() ? from_timespec(*given) : Result<Duration>{given.error()};
        if (!length.ok()) {
            return length.error();
        }
        patience = *length;
    }
    if (const auto masked = set_waiting_mask(caller, mask, set_size); !masked.ok()) {
        return masked.error();
    }
    return wait(caller, list, events, most, patience);
}

}  // namespace kernel::syscall
