// SPDX-License-Identifier: MIT
// Descriptors themselves: closing, duplicating, their flags, and pairs of files that come without a name.
#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "file/event_counter.hpp"
#include "file/pipe.hpp"
#include "file/tmpfs.hpp"
#include "mm/user_memory.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/locks.hpp"
#include "task/file_table.hpp"

namespace kernel::syscall {

namespace {

using task::FileTable;

// include/uapi/linux/fcntl.h, asm-generic/fcntl.h
enum class FileControl : std::uint32_t {
    Duplicate = 0,
    GetDescriptorFlags = 1,
    SetDescriptorFlags = 2,
    GetFlags = 3,
    SetFlags = 4,
    DuplicateCloseOnExec = 1030,
    SetPipeBytes = 1031,
    GetPipeBytes = 1032,
};
constexpr std::uint64_t kDescriptorCloseOnExec = 1;
constexpr std::uint32_t kLargeFile = 0100000;  // O_LARGEFILE: every file of a 64-bit program

Result<std::uint64_t> duplicate(Caller& caller, std::int32_t fd, std::uint64_t minimum, bool close_on_exec) {
    auto file = TRY(caller.files().find(fd));
    if (minimum >= caller.files().limit.load()) {
        return Error::InvalidArgument;
    }
    return std::uint64_t{
        TRY(caller.files().insert(std::move(file), close_on_exec, static_cast<std::uint32_t>(minimum)))};
}

// Every pipe has the same room: whoever asks for less gets it all, as Linux gives whole pages.
Result<std::uint64_t> resize_pipe(const task::OpenFile& file, std::uint32_t wanted_bytes) {
    constexpr std::uint32_t kMostOnLinux = 1U << 31;
    const std::uint64_t bytes = TRY(file.pipe_bytes());
    if (wanted_bytes > kMostOnLinux) {
        return Error::InvalidArgument;
    }
    if (wanted_bytes > bytes) {
        return Error::NotPermitted;
    }
    return bytes;
}

Result<std::uint64_t> control(Caller& caller, std::int32_t fd, std::uint32_t command,
                              std::uint64_t argument) {
    const auto file = TRY(caller.files().find(fd));
    switch (static_cast<FileControl>(command)) {
        case FileControl::Duplicate:
            return duplicate(caller, fd, argument, false);
        case FileControl::DuplicateCloseOnExec:
            return duplicate(caller, fd, argument, true);
        case FileControl::GetDescriptorFlags:
            return TRY(caller.files().closes_on_exec(fd)) ? kDescriptorCloseOnExec : 0;
        case FileControl::SetDescriptorFlags:
            TRY(caller.files().set_closes_on_exec(fd, (argument & kDescriptorCloseOnExec) != 0));
            return std::uint64_t{0};
        case FileControl::GetFlags:
            return std::uint64_t{file->flags() | kLargeFile};
        case FileControl::SetFlags:
            file->set_flags(static_cast<std::uint32_t>(argument));
            return std::uint64_t{0};
        case FileControl::SetPipeBytes:
            return resize_pipe(*file, static_cast<std::uint32_t>(argument));
        case FileControl::GetPipeBytes:
            return file->pipe_bytes();
    }
    return Error::InvalidArgument;
}

Result<std::uint64_t> duplicate_to(Caller& caller, std::int32_t from, std::int32_t to, std::uint32_t flags) {
    if ((flags & ~task::kOpenCloseOnExec) != 0 || from == to) {
        return Error::InvalidArgument;
    }
    if (to < 0 || static_cast<std::uint32_t>(to) >= caller.files().limit.load()) {
        return Error::BadDescriptor;
    }
    auto file = TRY(caller.files().find(from));
    TRY(caller.files().insert_at(to, std::move(file), flags != 0));
    return static_cast<std::uint64_t>(to);
}

// Gives both files descriptors and tells the program. Nothing is left behind by a failure.
Result<void> insert_pair(Caller& caller, file::FilePair pair, bool close_on_exec, Out<std::int32_t> to) {
    task::FileTable& files = caller.files();
    const auto first = static_cast<std::int32_t>(TRY(files.insert(std::move(pair.first), close_on_exec)));
    const auto second = files.insert(std::move(pair.second), close_on_exec);
    if (!second.ok()) {
        static_cast<void>(files.close(first));
        return second.error();
    }
    const std::array<std::int32_t, 2> both{first, static_cast<std::int32_t>(*second)};
    const auto told = mm::copy_out_array(caller.space(), to, std::span<const std::int32_t>{both});
    if (!told.ok()) {
        static_cast<void>(files.close(both[0]));
        static_cast<void>(files.close(both[1]));
    }
    return told;
}

Result<void> make_pipe(Caller& caller, Out<std::int32_t> to, std::uint32_t flags) {
    if ((flags & ~(task::kOpenCloseOnExec | task::kOpenNonBlocking)) != 0) {
        return Error::InvalidArgument;
    }
    return insert_pair(caller, TRY(file::open_pipe(flags)), (flags & task::kOpenCloseOnExec) != 0, to);
}

constexpr std::uint32_t kMemfdCloseOnExec = 1;
constexpr std::uint32_t kMemfdAllFlags = 0x1b;  // CLOEXEC, ALLOW_SEALING, NOEXEC_SEAL, EXEC

Result<std::uint64_t> make_memory_file(Caller& caller, In<char> pointer, std::uint32_t flags) {
    // As on Linux: a name, of which the kernel's prefix takes the rest.
    constexpr std::string_view kPrefix = "memfd:";
    std::array<char, file::kMaxName + 1> name{};
    kPrefix.copy(name.data(), kPrefix.size());
    if ((flags & ~kMemfdAllFlags) != 0) {
        return Error::InvalidArgument;
    }
    const auto length = mm::copy_in_string(caller.space(), std::span{name}.subspan(kPrefix.size()), pointer);
    if (!length.ok()) {
        return length.error() == Error::NameTooLong ? Error::InvalidArgument : length.error();
    }
    const auto node = TRY(file::tmpfs::create_unnamed({name.data(), kPrefix.size() + *length}, 0));
    auto file = TRY(file::tmpfs::open(*node, task::kOpenReadWrite));
    return std::uint64_t{TRY(caller.files().insert(std::move(file), (flags & kMemfdCloseOnExec) != 0))};
}

Result<std::uint64_t> make_event_counter(Caller& caller, std::uint32_t value, std::uint32_t flags) {
    constexpr std::uint32_t kSemaphore = 1;
    if ((flags & ~(kSemaphore | task::kOpenCloseOnExec | task::kOpenNonBlocking)) != 0) {
        return Error::InvalidArgument;
    }
    auto file =
        TRY(file::open_event_counter(value, (flags & kSemaphore) != 0, flags & task::kOpenNonBlocking));
    return std::uint64_t{TRY(caller.files().insert(std::move(file), (flags & task::kOpenCloseOnExec) != 0))};
}

// include/linux/net.h, socket.h; SOCK_NONBLOCK and SOCK_CLOEXEC have the values of their O_ twins.
constexpr std::uint32_t kFamilyUnix = 1;
constexpr std::uint32_t kFamilies = 46;
constexpr std::uint32_t kTypeStream = 1;
constexpr std::uint32_t kSocketTypes = 11;
constexpr std::uint32_t kSocketTypeMask = 0xf;

Result<void> make_socket_pair(Caller& caller, std::uint32_t family, std::uint32_t type,
                              std::uint32_t protocol, Out<std::int32_t> to) {
    const std::uint32_t flags = type & ~kSocketTypeMask;
    const std::uint32_t kind = type & kSocketTypeMask;
    if ((flags & ~(task::kOpenCloseOnExec | task::kOpenNonBlocking)) != 0 || kind >= kSocketTypes) {
        return Error::InvalidArgument;
    }
    if (family != kFamilyUnix) {
        return family < kFamilies ? Error::NoAddressFamily : Error::InvalidArgument;
    }
    if (protocol != 0 && protocol != kFamilyUnix) {
        return Error::NoProtocol;
    }
    if (kind != kTypeStream) {
        return Error::NoSocketType;
    }
    return insert_pair(caller, TRY(file::open_socket_pair(flags)), (flags & task::kOpenCloseOnExec) != 0, to);
}

}  // namespace

SysResult sys_pipe2(Caller& caller, Out<std::int32_t> ends, std::uint32_t flags) {
    return make_pipe(caller, ends, flags);
}

SysResult sys_socketpair(Caller& caller, std::uint32_t family, std::uint32_t type, std::uint32_t protocol,
                         Out<std::int32_t> ends) {
    return make_socket_pair(caller, family, type, protocol, ends);
}

SysResult sys_eventfd2(Caller& caller, std::uint32_t value, std::uint32_t flags) {
    return make_event_counter(caller, value, flags);
}

SysResult sys_memfd_create(Caller& caller, In<char> name, std::uint32_t flags) {
    return make_memory_file(caller, name, flags);
}

SysResult sys_close(Caller& caller, std::int32_t fd) {
    if (caller.task.call_progress == 0) {
        if (const auto closed = caller.files().close(fd); !closed.ok()) {
            return closed.error();
        }
    }
    return finish_clean_up(caller);
}

SysResult sys_close_range(Caller& caller, std::uint32_t first, std::uint32_t last, std::uint32_t flags) {
    constexpr std::uint32_t kUnshare = 2;
    constexpr std::uint32_t kMark = 4;
    if (first > last || (flags & ~(kUnshare | kMark)) != 0) {
        return Error::InvalidArgument;
    }
    last = std::min(last, FileTable::kMaxFiles - 1);
    if (first > last) {
        return std::uint64_t{0};
    }
    if ((flags & kMark) != 0) {
        caller.files().mark_range(first, last);
        return std::uint64_t{0};
    }
    // Task::call_progress: where to go on; never below where the program said to begin.
    const std::uint64_t from = std::max<std::uint64_t>(caller.task.call_progress, first);
    if (from <= last) {
        caller.task.call_progress = caller.files().close_range_step(static_cast<std::uint32_t>(from), last);
        return SysResult::again();
    }
    if (!task::clean_up_step()) {
        caller.task.call_progress = std::uint64_t{last} + 1;
        return SysResult::again();
    }
    return std::uint64_t{0};
}

SysResult sys_dup(Caller& caller, std::int32_t fd) {
    return duplicate(caller, fd, 0, false);
}

SysResult sys_dup3(Caller& caller, std::int32_t from, std::int32_t to, std::uint32_t flags) {
    if (caller.task.call_progress == 0) {
        if (const auto done = duplicate_to(caller, from, to, flags); !done.ok()) {
            return done.error();
        }
    }
    // What the file that had the descriptor left.
    const SysResult cleaned = finish_clean_up(caller);
    return cleaned.wants_again() ? cleaned : SysResult{static_cast<std::uint64_t>(to)};
}

SysResult sys_fcntl(Caller& caller, std::int32_t fd, std::uint32_t command, std::uint64_t argument) {
    if (!is_lock_command(command)) {
        return control(caller, fd, command, argument);
    }
    const auto file = caller.files().find(fd);
    return file.ok() ? control_locks(caller, fd, *file, command, argument) : SysResult{file.error()};
}

}  // namespace kernel::syscall
