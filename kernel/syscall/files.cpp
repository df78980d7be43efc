// SPDX-License-Identifier: MIT
// What is done with an open file: reading, writing, seeking, listing. What that means is the business of its
// kind (task/open_file.hpp).
#include <algorithm>
#include <optional>

#include "mm/user_buffers.hpp"
#include "mm/user_memory.hpp"
#include "syscall/dispatch.hpp"
#include "task/file_table.hpp"

namespace kernel::syscall {

namespace {

using mm::UserBuffers;
using task::OpenFile;

constexpr std::uint64_t kMaxTransfer = 0x7fff'f000;  // Linux' MAX_RW_COUNT

using Offset = std::optional<std::uint64_t>;

SysResult read_from(Caller& caller, std::int32_t fd, UserBuffers buffers, Offset at = std::nullopt) {
    const auto file = caller.files().find(fd);
    if (!file.ok()) {
        return file.error();
    }
    if (at && !(*file)->is_seekable()) {
        return Error::IllegalSeek;
    }
    return (*file)->is_readable() ? (*file)->read(caller.task, buffers, at) : SysResult{Error::BadDescriptor};
}

SysResult write_to(Caller& caller, std::int32_t fd, UserBuffers buffers, Offset at = std::nullopt) {
    const auto file = caller.files().find(fd);
    if (!file.ok()) {
        return file.error();
    }
    if (at && !(*file)->is_seekable()) {
        return Error::IllegalSeek;
    }
    return (*file)->is_writable() ? (*file)->write(caller.task, buffers, at)
                                  : SysResult{Error::BadDescriptor};
}

UserBuffers one_buffer(Caller& caller, VirtAddr start, std::uint64_t count) {
    return {caller.space(), start, std::min(count, kMaxTransfer)};
}

}  // namespace

SysResult sys_ioctl(Caller& caller, std::int32_t fd, std::uint32_t request, std::uint64_t argument) {
    const auto file = caller.files().find(fd);
    return file.ok() ? (*file)->control(caller.task, request, argument) : SysResult{file.error()};
}

SysResult sys_lseek(Caller& caller, std::int32_t fd, std::int64_t offset, std::uint32_t whence) {
    const auto file = caller.files().find(fd);
    return file.ok() ? SysResult{(*file)->seek(offset, static_cast<task::Whence>(whence))}
                     : SysResult{file.error()};
}

SysResult sys_read(Caller& caller, std::int32_t fd, Out<char> buffer, std::uint64_t count) {
    return read_from(caller, fd, one_buffer(caller, mm::user_address(buffer), count));
}

SysResult sys_write(Caller& caller, std::int32_t fd, In<char> buffer, std::uint64_t count) {
    return write_to(caller, fd, one_buffer(caller, mm::user_address(buffer), count));
}

SysResult sys_readv(Caller& caller, std::int32_t fd, In<iovec> vectors, std::uint32_t count) {
    if (count > UserBuffers::kMaxVectors) {
        return Error::InvalidArgument;
    }
    return read_from(caller, fd, {caller.space(), vectors, count});
}

SysResult sys_writev(Caller& caller, std::int32_t fd, In<iovec> vectors, std::uint32_t count) {
    if (count > UserBuffers::kMaxVectors) {
        return Error::InvalidArgument;
    }
    return write_to(caller, fd, {caller.space(), vectors, count});
}

SysResult sys_pread64(Caller& caller, std::int32_t fd, Out<char> buffer, std::uint64_t count,
                      std::int64_t offset) {
    if (offset < 0) {
        return Error::InvalidArgument;
    }
    return read_from(caller, fd, one_buffer(caller, mm::user_address(buffer), count),
                     static_cast<std::uint64_t>(offset));
}

SysResult sys_pwrite64(Caller& caller, std::int32_t fd, In<char> buffer, std::uint64_t count,
                       std::int64_t offset) {
    if (offset < 0) {
        return Error::InvalidArgument;
    }
    return write_to(caller, fd, one_buffer(caller, mm::user_address(buffer), count),
                    static_cast<std::uint64_t>(offset));
}

SysResult sys_preadv(Caller& caller, std::int32_t fd, In<iovec> vectors, std::uint32_t count,
                     std::int64_t offset) {
    if (count > UserBuffers::kMaxVectors || offset < 0) {
        return Error::InvalidArgument;
    }
    return read_from(caller, fd, {caller.space(), vectors, count}, static_cast<std::uint64_t>(offset));
}

SysResult sys_pwritev(Caller& caller, std::int32_t fd, In<iovec> vectors, std::uint32_t count,
                      std::int64_t offset) {
    if (count > UserBuffers::kMaxVectors || offset < 0) {
        return Error::InvalidArgument;
    }
    return write_to(caller, fd, {caller.space(), vectors, count}, static_cast<std::uint64_t>(offset));
}

SysResult sys_getdents64(Caller& caller, std::int32_t fd, Out<char> buffer, std::uint32_t count) {
    const auto file = caller.files().find(fd);
    if (!file.ok()) {
        return file.error();
    }
    UserBuffers buffers = one_buffer(caller, mm::user_address(buffer), count);
    return (*file)->list(caller.task, buffers);
}

SysResult sys_ftruncate(Caller& caller, std::int32_t fd, std::int64_t bytes) {
    if (bytes < 0) {
        return Error::InvalidArgument;
    }
    const auto file = caller.files().find(fd);
    if (!file.ok()) {
        return file.error();
    }
    if (!(*file)->is_writable()) {
        return Error::InvalidArgument;
    }
    const auto done = (*file)->truncate(static_cast<std::uint64_t>(bytes));
    if (!done.ok()) {
        return done.error();
    }
    return *done ? SysResult{std::uint64_t{0}} : SysResult::again();
}

SysResult sys_fallocate(Caller& caller, std::int32_t fd, std::uint32_t mode, std::int64_t offset,
                        std::int64_t bytes) {
    const auto file = caller.files().find(fd);
    if (!file.ok()) {
        return file.error();
    }
    std::int64_t end = 0;
    if (offset < 0 || bytes <= 0) {
        return Error::InvalidArgument;
    }
    if (__builtin_add_overflow(offset, bytes, &end)) {
        return Error::FileTooBig;
    }
    if (mode != 0) {
        return Error::NotSupported;
    }
    if (!(*file)->is_writable()) {
        return Error::BadDescriptor;
    }
    const task::FileStatus status = (*file)->status();
    if ((status.mode & task::kTypeMask) != task::kTypeRegular) {
        return (status.mode & task::kTypeMask) == task::kTypePipe ? Error::IllegalSeek : Error::NoDevice;
    }
    if (status.bytes >= static_cast<std::uint64_t>(end)) {
        return std::uint64_t{0};
    }
    const auto done = (*file)->truncate(static_cast<std::uint64_t>(end));
    if (!done.ok()) {
        return done.error();
    }
    return *done ? SysResult{std::uint64_t{0}} : SysResult::again();
}

// What is written is where it stays: memory.
SysResult sys_fsync(Caller& caller, std::int32_t fd) {
    const auto file = caller.files().find(fd);
    if (!file.ok()) {
        return file.error();
    }
    const std::uint32_t type = (*file)->status().mode & task::kTypeMask;
    return type == task::kTypeRegular || type == task::kTypeDirectory ? SysResult{std::uint64_t{0}}
                                                                      : SysResult{Error::InvalidArgument};
}

SysResult sys_fdatasync(Caller& caller, std::int32_t fd) {
    return sys_fsync(caller, fd);
}

}  // namespace kernel::syscall
