// SPDX-License-Identifier: MIT
// What is said of files beside their contents: permissions, owners, times, the file system they are on.
#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "arch/contract.hpp"
#include "file/tmpfs.hpp"
#include "mm/user_memory.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/file_system.hpp"
#include "syscall/time.hpp"
#include "syscall/time_values.hpp"
#include "syscall/user_path.hpp"
#include "task/file_table.hpp"

namespace kernel::syscall {

namespace {

using file_system::FinalLink;
using file_system::Node;
using file_system::NodeKind;
using task::FileStatus;

// include/uapi/linux/magic.h
constexpr std::int64_t kTmpfsMagic = 0x0102'1994;
constexpr std::int64_t kRamfsMagic = 0x8584'58f6;
constexpr std::uint64_t kFirstMemoryFileSystem = 2;  // FileStatus::filesystem, as tmpfs counts
constexpr std::int64_t kReadOnlyMount = 1;           // ST_RDONLY

constexpr std::int64_t kTimeNow = (1 << 30) - 1;   // UTIME_NOW
constexpr std::int64_t kTimeOmit = (1 << 30) - 2;  // UTIME_OMIT
constexpr std::uint32_t kUnchanged = ~std::uint32_t{0};

// The file itself, to change something of it.
Result<Ref<task::OpenFile>> open_named(Caller& caller, std::int32_t dirfd, In<char> pointer, FinalLink last) {
    const Path path = TRY(read_path(caller, dirfd, pointer, last));
    const Node node = TRY(file_system::find(path, last));
    if (node.kind == NodeKind::Descriptor) {
        return node.descriptor.clone();
    }
    // What lies elsewhere is read-only, and its files need not be made only to say so.
    return node.kind == NodeKind::Memory ? file_system::open(path, node, task::kOpenReadOnly)
                                         : Result<Ref<task::OpenFile>>{Error::ReadOnly};
}

statfs_t file_system_of(const FileStatus& status) {
    const bool is_memory = status.filesystem >= kFirstMemoryFileSystem;
    statfs_t result{};
    result.f_type = is_memory ? kTmpfsMagic : kRamfsMagic;
    result.f_bsize = result.f_frsize = mm::kPageSize;
    if (is_memory) {
        const std::uint64_t used = file::tmpfs::pages_in_use();
        result.f_blocks = result.f_files = file::tmpfs::pages_allowed();
        result.f_bfree = result.f_bavail = result.f_ffree = result.f_blocks - std::min(used, result.f_blocks);
    } else {
        result.f_flags = kReadOnlyMount;
    }
    result.f_fsid = status.filesystem;
    result.f_namelen = file::kMaxName;
    return result;
}

Result<void> check_owner(std::uint32_t user, std::uint32_t group) {
    const auto is_root = [](std::uint32_t id) { return id == 0 || id == kUnchanged; };
    return is_root(user) && is_root(group) ? Result<void>{} : Error::NotPermitted;
}

Result<void> change_owner(Caller& caller, std::int32_t dirfd, In<char> pointer, std::uint32_t user,
                          std::uint32_t group, std::uint32_t flags) {
    if ((flags & ~(kAtNoFollow | kAtEmptyPath)) != 0) {
        return Error::InvalidArgument;
    }
    const FinalLink last = (flags & kAtNoFollow) != 0 ? FinalLink::Itself : FinalLink::Followed;
    const Path path = TRY(read_path(caller, dirfd, pointer, last));
    const Node node = TRY(file_system::find(path, last));
    if (node.status.is_read_only) {
        return Error::ReadOnly;
    }
    return check_owner(user, group);
}

Result<void> change_owner(Caller& caller, std::int32_t fd, std::uint32_t user, std::uint32_t group) {
    const auto file = TRY(caller.files().find(fd));
    return file->status().is_read_only ? Result<void>{Error::ReadOnly} : check_owner(user, group);
}

Result<void> change_mode(Caller& caller, std::int32_t dirfd, In<char> path, std::uint32_t mode) {
    return TRY(open_named(caller, dirfd, path, FinalLink::Followed))->set_permissions(mode);
}

Result<void> change_mode(Caller& caller, std::int32_t fd, std::uint32_t mode) {
    return TRY(caller.files().find(fd))->set_permissions(mode);
}

// The second of utimensat's two times, since boot; nothing to change: none.
Result<std::optional<std::int64_t>> wanted_time(Caller& caller, In<timespec> times) {
    const std::int64_t now = arch::now().ns();
    if (times.is_null()) {
        return std::optional{now};
    }
    std::array<timespec, 2> both{};
    TRY(mm::copy_in_array(caller.space(), std::span<timespec>{both}, times));
    for (const timespec& time : both) {
        const bool is_special = time.nanoseconds == kTimeNow || time.nanoseconds == kTimeOmit;
        if (!is_special && (time.nanoseconds < 0 || time.nanoseconds >= 1'000'000'000)) {
            return Error::InvalidArgument;
        }
    }
    if (both[1].nanoseconds == kTimeOmit) {
        return std::optional<std::int64_t>{};
    }
    if (both[1].nanoseconds == kTimeNow) {
        return std::optional{now};
    }
    const Duration since_1970 = TRY(from_timespec(both[1]));
    return std::optional{since_1970.ns() - realtime_offset().ns()};
}

Result<void> change_times(Caller& caller, std::int32_t dirfd, In<char> path, In<timespec> times,
                          std::uint32_t flags) {
    if ((flags & ~(kAtNoFollow | kAtEmptyPath)) != 0) {
        return Error::InvalidArgument;
    }
    const FinalLink last = (flags & kAtNoFollow) != 0 ? FinalLink::Itself : FinalLink::Followed;
    const auto time = TRY(wanted_time(caller, times));
    const auto file =
        path.is_null() ? TRY(caller.files().find(dirfd)) : TRY(open_named(caller, dirfd, path, last));
    return time ? file->set_modified(*time) : Result<void>{};
}

}  // namespace

SysResult sys_statfs(Caller& caller, In<char> pointer, Out<statfs_t> status) {
    const auto path = read_path(caller, kCurrentDirectory, pointer, FinalLink::Followed);
    if (!path.ok()) {
        return path.error();
    }
    const auto node = file_system::find(*path, FinalLink::Followed);
    return node.ok() ? SysResult{mm::copy_out(caller.space(), status, file_system_of(node->status))}
                     : SysResult{node.error()};
}

SysResult sys_fstatfs(Caller& caller, std::int32_t fd, Out<statfs_t> status) {
    const auto file = caller.files().find(fd);
    return file.ok() ? SysResult{mm::copy_out(caller.space(), status, file_system_of((*file)->status()))}
                     : SysResult{file.error()};
}

SysResult sys_fchmod(Caller& caller, std::int32_t fd, std::uint32_t mode) {
    return change_mode(caller, fd, mode);
}

SysResult sys_fchmodat(Caller& caller, std::int32_t dirfd, In<char> path, std::uint32_t mode) {
    return change_mode(caller, dirfd, path, mode);
}

SysResult sys_fchown(Caller& caller, std::int32_t fd, std::uint32_t user, std::uint32_t group) {
    return change_owner(caller, fd, user, group);
}

SysResult sys_fchownat(Caller& caller, std::int32_t dirfd, In<char> path, std::uint32_t user,
                       std::uint32_t group, std::uint32_t flags) {
    return change_owner(caller, dirfd, path, user, group, flags);
}

SysResult sys_utimensat(Caller& caller, std::int32_t dirfd, In<char> path, In<timespec> times,
                        std::uint32_t flags) {
    return change_times(caller, dirfd, path, times, flags);
}

SysResult sys_umask(Caller& caller, std::uint32_t mask) {
    return std::uint64_t{caller.files().umask.exchange(mask & 0777)};
}

}  // namespace kernel::syscall
