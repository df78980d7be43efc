// SPDX-License-Identifier: MIT
// What is done by name: opening, describing, walking the tree.
#include <algorithm>
#include <array>
#include <cstring>

#include "mm/user_memory.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/file_system.hpp"
#include "syscall/process_files.hpp"
#include "syscall/time.hpp"
#include "syscall/time_values.hpp"
#include "syscall/user_path.hpp"
#include "task/file_table.hpp"
#include "task/process_group.hpp"
#include "task/short_cuts.hpp"

namespace kernel::syscall {

namespace {

using file_system::FinalLink;
using file_system::MemoryPath;
using file_system::Node;
using file_system::NodeKind;
using task::FileStatus;

// include/uapi/linux/fcntl.h, stat.h
constexpr std::uint32_t kAtEffectiveAccess = 0x200;
constexpr std::uint32_t kAtRemoveDirectory = 0x200;
constexpr std::uint32_t kAtFollowLink = 0x400;
constexpr std::uint32_t kRenameNoReplace = 1;
constexpr std::uint32_t kAtNoAutomount = 0x800;
constexpr std::uint32_t kAtStatxSync = 0x6000;  // how fresh: everything is here
constexpr std::uint32_t kStatxReserved = 0x8000'0000;
constexpr std::uint32_t kStatxBasic = 0x7ff;

constexpr std::uint32_t kAccessExecute = 1;
constexpr std::uint32_t kAccessWrite = 2;
constexpr std::uint32_t kAccessAll = 7;
constexpr std::uint32_t kExecutableByAny = 0111;

constexpr std::uint64_t kStatBlockBytes = 512;

FinalLink final_link(std::uint32_t flags) {
    return (flags & kAtNoFollow) != 0 ? FinalLink::Itself : FinalLink::Followed;
}

// Whether a node may be opened like this.
Result<void> check_open(const Node& node, std::uint32_t flags) {
    const bool writes =
        (flags & task::kOpenAccessMask) != task::kOpenReadOnly || (flags & task::kOpenTruncate) != 0;
    if ((flags & task::kOpenCreate) != 0 && (flags & task::kOpenExclusive) != 0) {
        return Error::Exists;
    }
    if (node.is_directory()) {
        return writes || (flags & task::kOpenCreate) != 0 ? Result<void>{Error::IsDirectory} : Result<void>{};
    }
    switch (node.kind) {
        case NodeKind::Link:
            return (flags & task::kOpenDirectory) != 0 ? Error::NotDirectory : Error::TooManyLinks;
        case NodeKind::File:
        case NodeKind::Information:
            if ((flags & task::kOpenDirectory) != 0) {
                return Error::NotDirectory;
            }
            return writes && node.status.is_read_only ? Result<void>{Error::ReadOnly} : Result<void>{};
        default:
            return (flags & task::kOpenDirectory) != 0 ? Result<void>{Error::NotDirectory} : Result<void>{};
    }
}

// A name that is not there: why it cannot be made, or where it can.
Result<MemoryPath> place_for(const Path& path) {
    const auto place = file_system::find_in_memory(path);
    if (place) {
        return *place;
    }
    Path parent;
    TRY(parent.set_base(path.parent()));
    const Node above = TRY(file_system::find(parent));
    return above.is_directory() ? Error::ReadOnly : Error::NotDirectory;
}

// Finds what is to be opened, or makes it.
Result<Node> find_or_create(const Path& path, FinalLink last, std::uint32_t flags, std::uint32_t mode) {
    auto found = file_system::find(path, last);
    if (found.ok() || found.error() != Error::NoEntry || (flags & task::kOpenCreate) == 0) {
        if (found.ok()) {
            TRY(check_open(*found, flags));
        }
        return found;
    }
    const MemoryPath place = TRY(place_for(path));
    if (path.ends_as_directory()) {
        return Error::IsDirectory;
    }
    auto made = file::tmpfs::create_file(place.root, place.rest, mode);
    if (!made.ok() && made.error() == Error::Exists && (flags & task::kOpenExclusive) == 0) {
        made = file::tmpfs::find(place.root, place.rest);  // somebody else was faster
    }
    if (!made.ok()) {
        return made.error();
    }
    const FileStatus status = (*made)->status();
    return Node{.kind = NodeKind::Memory, .status = status, .memory = *std::move(made)};
}

Result<std::uint64_t> open_path(Caller& caller, std::int32_t dirfd, In<char> pointer, std::uint32_t flags,
                                std::uint32_t mode) {
    if ((flags & task::kOpenAccessMask) == task::kOpenAccessMask) {
        return Error::InvalidArgument;
    }
    constexpr std::uint32_t kMakesItself = task::kOpenCreate | task::kOpenExclusive;
    const bool keeps_link = (flags & task::kOpenNoFollow) != 0 || (flags & kMakesItself) == kMakesItself;
    const FinalLink last = keeps_link ? FinalLink::Itself : FinalLink::Followed;
    const Path path = TRY(read_path(caller, dirfd, pointer, last));
    const Node node = TRY(find_or_create(path, last, flags, mode & ~caller.files().umask.load()));
    if (node.is_own_terminal && !task::has_terminal(caller.process)) {
        return Error::NoAddress;
    }
    auto file = TRY(file_system::open(path, node, flags));
    return std::uint64_t{TRY(caller.files().insert(std::move(file), (flags & task::kOpenCloseOnExec) != 0))};
}

// A handler interrupts an open that has its descriptor, as below. The other side may have come and gone
// since.
void undo_open(task::Task& task) {
    const std::uint64_t descriptor = task.call_progress - 1;
    task::FileTable& files = task.process().files;
    const auto file = files.find(static_cast<std::int32_t>(descriptor));
    if (file.ok() && !(*file)->begin_wait_for_partner(task, nullptr)) {
        task.frame.set_result(static_cast<std::int64_t>(descriptor));
        return;
    }
    task.call_progress = 0;
    static_cast<void>(files.close(static_cast<std::int32_t>(descriptor)));
}

// What open does with a file that has its descriptor. Until it is done, Task::call_progress is one more.
SysResult finish_open(Caller& caller, std::uint64_t descriptor, std::uint32_t flags) {
    const auto file = caller.files().find(static_cast<std::int32_t>(descriptor));
    if (!file.ok()) {
        return file.error();  // another thread has closed it
    }
    caller.task.call_progress = descriptor + 1;
    if ((flags & task::kOpenTruncate) != 0) {
        const auto done = (*file)->truncate(0);  // what has no length is as it was
        if (done.ok() && !*done) {
            return SysResult::again();
        }
    }
    return (*file)->begin_wait_for_partner(caller.task, &undo_open) ? SysResult::blocked()
                                                                    : SysResult{descriptor};
}

// What newfstatat and statx are about. With AT_EMPTY_PATH an empty path means the descriptor itself; Linux
// 6.11 takes a null pointer for it too.
Result<FileStatus> find_status(Caller& caller, std::int32_t dirfd, In<char> pointer, std::uint32_t flags) {
    if ((flags & kAtEmptyPath) != 0 &&
        (pointer.is_null() || TRY(mm::copy_in(caller.space(), pointer)) == '\0')) {
        if (dirfd != kCurrentDirectory) {
            return TRY(caller.files().find(dirfd))->status();
        }
        Path path;
        TRY(set_base(caller, dirfd, path));
        return TRY(file_system::find(path)).status;
    }
    const FinalLink last = final_link(flags);
    const Path path = TRY(read_path(caller, dirfd, pointer, last));
    return TRY(file_system::find(path, last)).status;
}

// Files of memory know when they were changed, since boot; the others are as old as time.
timespec modified_at(const FileStatus& status) {
    return status.modified_ns == 0
               ? timespec{}
               : to_timespec(Duration::nanoseconds(status.modified_ns) + realtime_offset());
}

std::int64_t blocks_of(const FileStatus& status) {
    return static_cast<std::int64_t>((status.bytes + kStatBlockBytes - 1) / kStatBlockBytes);
}

stat to_stat(const FileStatus& status) {
    const timespec modified = modified_at(status);
    stat result{};
    result.st_dev = status.filesystem;
    result.st_ino = status.inode;
    result.st_mode = status.mode;
    result.st_nlink = status.links;
    result.st_rdev = status.special_device;
    result.st_size = static_cast<std::int64_t>(status.bytes);
    result.st_blksize = static_cast<std::int32_t>(status.block_bytes);
    result.st_blocks = blocks_of(status);
    result.st_atim = result.st_mtim = result.st_ctim = modified;
    return result;
}

nexus_abi::statx_t to_statx(const FileStatus& status) {
    const timespec time = modified_at(status);
    const nexus_abi::statx_timestamp modified{
        .seconds = time.seconds, .nanoseconds = static_cast<std::uint32_t>(time.nanoseconds), .reserved = 0};
    nexus_abi::statx_t result{};
    result.stx_mask = kStatxBasic;
    result.stx_blksize = status.block_bytes;
    result.stx_nlink = status.links;
    result.stx_mode = static_cast<std::uint16_t>(status.mode);
    result.stx_ino = status.inode;
    result.stx_size = status.bytes;
    result.stx_blocks = static_cast<std::uint64_t>(blocks_of(status));
    result.stx_atime = result.stx_ctime = result.stx_mtime = modified;
    result.stx_rdev_major = static_cast<std::uint32_t>(status.special_device >> 8);
    result.stx_rdev_minor = static_cast<std::uint32_t>(status.special_device & 0xff);
    result.stx_dev_minor = static_cast<std::uint32_t>(status.filesystem);
    return result;
}

// Everybody is root: what is there can be read, and written unless the whole file system cannot be.
Result<void> check_access(Caller& caller, std::int32_t dirfd, In<char> pointer, std::uint32_t wanted,
                          std::uint32_t flags) {
    if ((wanted & ~kAccessAll) != 0 || (flags & ~(kAtEffectiveAccess | kAtNoFollow | kAtEmptyPath)) != 0) {
        return Error::InvalidArgument;
    }
    const FileStatus status = TRY(find_status(caller, dirfd, pointer, flags));
    const bool is_directory = (status.mode & task::kTypeMask) == task::kTypeDirectory;
    if ((wanted & kAccessExecute) != 0 && !is_directory && (status.mode & kExecutableByAny) == 0) {
        return Error::AccessDenied;
    }
    if ((wanted & kAccessWrite) != 0 && status.is_read_only) {
        return Error::ReadOnly;
    }
    return {};
}

Result<void> make_directory(Caller& caller, std::int32_t dirfd, In<char> pointer, std::uint32_t mode) {
    const Path path = TRY(read_path(caller, dirfd, pointer, FinalLink::Itself));
    const auto found = file_system::find(path);
    // A name that says it is a directory and is none is there all the same.
    if (found.ok() || (found.error() == Error::NotDirectory && path.ends_as_directory())) {
        return found.ok() ? Error::Exists : found.error();
    }
    if (found.error() != Error::NoEntry) {
        return found.error();
    }
    const MemoryPath place = TRY(place_for(path));
    return file::tmpfs::create_directory(place.root, place.rest, mode & ~caller.files().umask.load());
}

// Named pipes and empty files; there are no devices to name.
Result<void> make_node(Caller& caller, std::int32_t dirfd, In<char> pointer, std::uint32_t mode) {
    const std::uint32_t type = mode & task::kTypeMask;
    if (type != task::kTypePipe && type != task::kTypeRegular && type != 0) {
        return Error::NotPermitted;
    }
    const Path path = TRY(read_path(caller, dirfd, pointer, FinalLink::Itself));
    const auto found = file_system::find(path);
    if (found.ok() || found.error() != Error::NoEntry) {
        return found.ok() ? Error::Exists : found.error();
    }
    const MemoryPath place = TRY(place_for(path));
    if (path.ends_as_directory()) {
        return Error::NoEntry;
    }
    mode &= ~caller.files().umask.load();
    if (type == task::kTypePipe) {
        return file::tmpfs::create_pipe(place.root, place.rest, mode);
    }
    TRY(file::tmpfs::create_file(place.root, place.rest, mode));
    return {};
}

Result<void> remove(Caller& caller, std::int32_t dirfd, In<char> pointer, std::uint32_t flags) {
    if ((flags & ~kAtRemoveDirectory) != 0) {
        return Error::InvalidArgument;
    }
    const Path path = TRY(read_path(caller, dirfd, pointer, FinalLink::Itself));
    const Node node = TRY(file_system::find(path));
    const auto place = file_system::find_in_memory(path);
    if (!place) {
        if (flags != 0 && !node.is_directory()) {
            return Error::NotDirectory;
        }
        return flags == 0 && node.is_directory() ? Error::IsDirectory : Error::ReadOnly;
    }
    return flags != 0 ? file::tmpfs::remove_directory(place->root, place->rest)
                      : file::tmpfs::remove_file(place->root, place->rest);
}

Result<void> rename(Caller& caller, std::int32_t from_dirfd, In<char> from, std::int32_t to_dirfd,
                    In<char> to, std::uint32_t flags) {
    if ((flags & ~kRenameNoReplace) != 0) {
        return Error::InvalidArgument;
    }
    const Path from_path = TRY(read_path(caller, from_dirfd, from, FinalLink::Itself));
    const Path to_path = TRY(read_path(caller, to_dirfd, to, FinalLink::Itself));
    const auto source = file_system::find_in_memory(from_path);
    const auto target = file_system::find_in_memory(to_path);
    if (source.has_value() != target.has_value() || (source && source->root != target->root)) {
        return Error::CrossDevice;
    }
    if (!source) {
        return Error::ReadOnly;
    }
    const Node moved = TRY(file_system::find(from_path));
    if (to_path.ends_as_directory() && !moved.is_directory()) {
        return Error::NotDirectory;
    }
    return file::tmpfs::rename(source->root, source->rest, target->rest, flags != 0);
}

// A name more for a file. What is not in memory has the names it came with.
Result<void> add_name(Caller& caller, std::int32_t from_dirfd, In<char> from, std::int32_t to_dirfd,
                      In<char> to, std::uint32_t flags) {
    if ((flags & ~kAtFollowLink) != 0) {
        return Error::InvalidArgument;
    }
    const FinalLink last = flags != 0 ? FinalLink::Followed : FinalLink::Itself;
    const Path from_path = TRY(read_path(caller, from_dirfd, from, last));
    const Node existing = TRY(file_system::find(from_path));
    const Path to_path = TRY(read_path(caller, to_dirfd, to, FinalLink::Itself));
    if (file_system::find(to_path).ok()) {
        return Error::Exists;
    }
    const MemoryPath target = TRY(place_for(to_path));
    const auto source = file_system::find_in_memory(from_path);
    if (!source || source->root != target.root) {
        return Error::CrossDevice;
    }
    if (to_path.ends_as_directory()) {
        return Error::NoEntry;
    }
    return file::tmpfs::add_name(source->root, source->rest, target.rest);
}

constexpr std::string_view kOwnProgram = "/proc/self/exe";

// As much of a link's target as there is room for, without a final zero.
Result<std::uint64_t> copy_link(Caller& caller, std::int32_t dirfd, In<char> pointer, Out<char> buffer,
                                std::uint64_t size) {
    if (size == 0 || static_cast<std::int32_t>(size) < 0) {
        return Error::InvalidArgument;
    }
    std::array<char, kMaxPath> given;  // as much of it as is read is written
    const std::string_view text{given.data(), TRY(mm::copy_in_string(caller.space(), given, pointer))};
    std::array<char, kMaxPath> room;
    std::string_view target;
    if (text == kOwnProgram && task::takes_short_cuts()) {
        // Every program of a C library asks for this name when it starts. Both links, "self" and "exe", can
        // only lead to one place, so the path is not walked.
        target = TRY(process_files::program_text(caller.process, room));
    } else {
        const Path path = TRY(path_of(caller, dirfd, text, FinalLink::Itself));
        target = TRY(file_system::read_link(path, room, caller.task));
    }
    const std::size_t bytes = std::min<std::uint64_t>(target.size(), size);
    TRY(mm::copy_out_array(caller.space(), buffer, std::span{target}.first(bytes)));
    return std::uint64_t{bytes};
}

Result<void> make_link(Caller& caller, In<char> target, std::int32_t dirfd, In<char> pointer) {
    std::array<char, kMaxPath> room;
    const std::string_view text{room.data(), TRY(mm::copy_in_string(caller.space(), room, target))};
    if (text.empty()) {
        return Error::NoEntry;
    }
    const Path path = TRY(read_path(caller, dirfd, pointer, FinalLink::Itself));
    if (file_system::find(path).ok()) {
        return Error::Exists;
    }
    const MemoryPath place = TRY(place_for(path));
    return path.ends_as_directory() ? Error::NoEntry : file::tmpfs::create_link(place.root, place.rest, text);
}

Result<bool> truncate_path(Caller& caller, In<char> pointer, std::int64_t bytes) {
    if (bytes < 0) {
        return Error::InvalidArgument;
    }
    const Path path = TRY(read_path(caller, kCurrentDirectory, pointer, FinalLink::Followed));
    const Node node = TRY(file_system::find(path, FinalLink::Followed));
    if (node.is_directory()) {
        return Error::IsDirectory;
    }
    if (node.kind == NodeKind::Memory && (node.status.mode & task::kTypeMask) == task::kTypeRegular) {
        return file::tmpfs::truncate(*node.memory, static_cast<std::uint64_t>(bytes));
    }
    return node.status.is_read_only ? Error::ReadOnly : Error::InvalidArgument;
}

Result<void> change_directory(Caller& caller, In<char> pointer) {
    const Path path = TRY(read_path(caller, kCurrentDirectory, pointer, FinalLink::Followed));
    const Node node = TRY(file_system::find(path, FinalLink::Followed));
    if (!node.is_directory()) {
        return Error::NotDirectory;
    }
    caller.files().set_directory(TRY(file_system::open(path, node, task::kOpenReadOnly)));
    return {};
}

Result<void> change_directory(Caller& caller, std::int32_t fd) {
    auto directory = TRY(caller.files().find(fd));
    Path path;
    TRY(directory->directory_path(path.room()));
    caller.files().set_directory(std::move(directory));
    return {};
}

Result<std::uint64_t> current_directory(Caller& caller, Out<char> buffer, std::uint64_t size) {
    Path path;
    TRY(set_base(caller, kCurrentDirectory, path));
    std::array<char, kMaxPath + 1> text{'/'};
    path.text().copy(text.data() + 1, path.text().size());
    const std::size_t bytes = path.text().size() + 2;  // "/" and the zero
    if (size < bytes) {
        return Error::OutOfRange;
    }
    TRY(mm::copy_out_array(caller.space(), buffer, std::span<const char>{text}.first(bytes)));
    return bytes;
}

}  // namespace

SysResult sys_openat(Caller& caller, std::int32_t dirfd, In<char> path, std::uint32_t flags,
                     std::uint32_t mode) {
    if (caller.task.call_progress != 0) {
        return finish_open(caller, caller.task.call_progress - 1, flags);
    }
    const auto opened = open_path(caller, dirfd, path, flags, mode);
    return opened.ok() ? finish_open(caller, *opened, flags) : SysResult{opened.error()};
}

SysResult sys_mknodat(Caller& caller, std::int32_t dirfd, In<char> path, std::uint32_t mode, std::uint32_t) {
    return make_node(caller, dirfd, path, mode);
}

SysResult sys_mkdirat(Caller& caller, std::int32_t dirfd, In<char> path, std::uint32_t mode) {
    return make_directory(caller, dirfd, path, mode);
}

SysResult sys_unlinkat(Caller& caller, std::int32_t dirfd, In<char> path, std::uint32_t flags) {
    if (caller.task.call_progress != 0) {
        return finish_clean_up(caller);
    }
    const auto removed = remove(caller, dirfd, path, flags);
    return removed.ok() ? finish_clean_up(caller) : SysResult{removed};
}

SysResult sys_renameat2(Caller& caller, std::int32_t from_dirfd, In<char> from, std::int32_t to_dirfd,
                        In<char> to, std::uint32_t flags) {
    if (caller.task.call_progress != 0) {
        return finish_clean_up(caller);
    }
    const auto renamed = rename(caller, from_dirfd, from, to_dirfd, to, flags);
    return renamed.ok() ? finish_clean_up(caller) : SysResult{renamed};
}

SysResult sys_linkat(Caller& caller, std::int32_t from_dirfd, In<char> from, std::int32_t to_dirfd,
                     In<char> to, std::uint32_t flags) {
    return add_name(caller, from_dirfd, from, to_dirfd, to, flags);
}

SysResult sys_truncate(Caller& caller, In<char> path, std::int64_t bytes) {
    const auto done = truncate_path(caller, path, bytes);
    if (!done.ok()) {
        return done.error();
    }
    return *done ? SysResult{std::uint64_t{0}} : SysResult::again();
}

SysResult sys_getcwd(Caller& caller, Out<char> buffer, std::uint64_t size) {
    return current_directory(caller, buffer, size);
}

SysResult sys_chdir(Caller& caller, In<char> path) {
    return change_directory(caller, path);
}

SysResult sys_fchdir(Caller& caller, std::int32_t fd) {
    return change_directory(caller, fd);
}

SysResult sys_faccessat(Caller& caller, std::int32_t dirfd, In<char> path, std::uint32_t wanted) {
    return check_access(caller, dirfd, path, wanted, 0);
}

SysResult sys_faccessat2(Caller& caller, std::int32_t dirfd, In<char> path, std::uint32_t wanted,
                         std::uint32_t flags) {
    return check_access(caller, dirfd, path, wanted, flags);
}

SysResult sys_readlinkat(Caller& caller, std::int32_t dirfd, In<char> path, Out<char> buffer,
                         std::uint64_t size) {
    return copy_link(caller, dirfd, path, buffer, size);
}

SysResult sys_symlinkat(Caller& caller, In<char> target, std::int32_t dirfd, In<char> path) {
    return make_link(caller, target, dirfd, path);
}

SysResult sys_newfstatat(Caller& caller, std::int32_t dirfd, In<char> path, Out<stat> status,
                         std::uint32_t flags) {
    if ((flags & ~(kAtNoFollow | kAtNoAutomount | kAtEmptyPath)) != 0) {
        return Error::InvalidArgument;
    }
    const auto found = find_status(caller, dirfd, path, flags);
    return found.ok() ? SysResult{mm::copy_out(caller.space(), status, to_stat(*found))}
                      : SysResult{found.error()};
}

SysResult sys_fstat(Caller& caller, std::int32_t fd, Out<stat> status) {
    const auto file = caller.files().find(fd);
    return file.ok() ? SysResult{mm::copy_out(caller.space(), status, to_stat((*file)->status()))}
                     : SysResult{file.error()};
}

SysResult sys_statx(Caller& caller, std::int32_t dirfd, In<char> path, std::uint32_t flags,
                    std::uint32_t mask, Out<statx_t> status) {
    if ((flags & ~(kAtNoFollow | kAtNoAutomount | kAtEmptyPath | kAtStatxSync)) != 0 ||
        (flags & kAtStatxSync) == kAtStatxSync || (mask & kStatxReserved) != 0) {
        return Error::InvalidArgument;
    }
    const auto found = find_status(caller, dirfd, path, flags);
    return found.ok() ? SysResult{mm::copy_out(caller.space(), status, to_statx(*found))}
                      : SysResult{found.error()};
}

}  // namespace kernel::syscall
