// SPDX-License-Identifier: MIT
// Files: opening by name, reading and writing by descriptor. A transfer larger than kStepBytes is done in
// steps; how far it came is in Task::call_progress.
#include <algorithm>
#include <array>
#include <optional>

#include "mm/user_memory.hpp"
#include "syscall/console.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/file_system.hpp"
#include "syscall/user_buffers.hpp"
#include "task/file_table.hpp"
#include "task/random.hpp"

namespace kernel::syscall {

namespace {

using task::FileKind;
using task::OpenFile;

// What one kernel section copies: some 10 000 instructions with the page lookups.
constexpr std::uint64_t kStepBytes = 16 << 10;
constexpr std::uint64_t kMaxTransfer = 0x7fff'f000;  // Linux' MAX_RW_COUNT

// include/uapi/asm-generic/fcntl.h, linux/fcntl.h
constexpr std::int32_t kCurrentDirectory = -100;
constexpr std::uint32_t kOpenCreate = 0100;
constexpr std::uint32_t kOpenExclusive = 0200;
constexpr std::uint32_t kOpenTruncate = 01000;
constexpr std::uint32_t kOpenNonBlocking = 04000;
constexpr std::uint32_t kOpenDirectory = 0200000;
constexpr std::uint32_t kOpenCloseOnExec = 02000000;
constexpr std::uint32_t kAtEmptyPath = 0x1000;
constexpr std::uint32_t kAtKnownFlags =
    0x100 | 0x800 | kAtEmptyPath;  // no symbolic links, no automounts here

constexpr std::int32_t kFileBlockBytes = 4096;
constexpr std::uint64_t kStatBlockBytes = 512;

enum class Whence : std::uint32_t { Start = 0, Current = 1, End = 2 };

bool is_nonblocking(const OpenFile& file) {
    return (file.open_flags() & kOpenNonBlocking) != 0;
}

// Runs `step(piece)` over the next kStepBytes of `buffers`: it makes use of a piece and says how much of it,
// less than all of it at the end of the file. Returns the whole call's count once there is no more, else
// SysResult::again().
template <class Step>
SysResult transfer(Caller& caller, UserBuffers& buffers, std::uint64_t step_bytes, Step&& step) {
    const std::uint64_t before = caller.task.call_progress;
    std::uint64_t total = before;
    const auto result_or = [&](Error error) { return total > 0 ? SysResult{total} : SysResult{error}; };
    if (const auto skipped = buffers.skip(before); !skipped.ok()) {
        return result_or(skipped.error());
    }
    while (total - before < step_bytes) {
        const auto piece = buffers.next(step_bytes - (total - before));
        if (!piece.ok()) {
            return result_or(piece.error());
        }
        if (piece->bytes == 0) {
            return total;
        }
        const Result<std::uint64_t> used = step(*piece, total);
        if (!used.ok()) {
            return result_or(used.error());
        }
        total += *used;
        if (*used < piece->bytes) {
            return total;
        }
    }
    caller.task.call_progress = total;
    return SysResult::again();
}

// The bytes of a file from `position` on.
std::span<const std::byte> contents_from(const OpenFile& file, std::uint64_t position) {
    const auto contents =
        file.kind() == FileKind::Regular ? file.object->contents() : std::as_bytes(file.text());
    return contents.subspan(std::min<std::uint64_t>(position, contents.size()));
}

// `at`: pread's offset; without it the file's own position is used and moves.
SysResult read_contents(Caller& caller, OpenFile& file, UserBuffers& buffers,
                        std::optional<std::uint64_t> at) {
    return transfer(caller, buffers, kStepBytes,
                    [&](const UserBuffers::Piece& piece, std::uint64_t total) -> Result<std::uint64_t> {
                        const std::uint64_t position = at ? *at + total : file.position.load();
                        const auto available = contents_from(file, position);
                        const auto bytes = std::min<std::uint64_t>(piece.bytes, available.size());
                        TRY(mm::copy_to_user(caller.space(), piece.start, available.first(bytes)));
                        if (!at) {
                            file.position.store(position + bytes);
                        }
                        return bytes;
                    });
}

SysResult read_zeros(Caller& caller, UserBuffers& buffers) {
    return transfer(caller, buffers, kStepBytes,
                    [&](const UserBuffers::Piece& piece, std::uint64_t) -> Result<std::uint64_t> {
                        TRY(mm::zero_user(caller.space(), piece.start, piece.bytes));
                        return piece.bytes;
                    });
}

SysResult read_random(Caller& caller, UserBuffers& buffers) {
    std::array<std::byte, 1024> bytes;
    return transfer(caller, buffers, bytes.size(),
                    [&](const UserBuffers::Piece& piece, std::uint64_t) -> Result<std::uint64_t> {
                        const auto part = std::span{bytes}.first(piece.bytes);
                        task::random::fill(part);
                        TRY(mm::copy_to_user(caller.space(), piece.start, part));
                        return piece.bytes;
                    });
}

// Counts what is written to a device that forgets it.
SysResult write_nowhere(UserBuffers& buffers) {
    std::uint64_t total = 0;
    while (total < kMaxTransfer) {
        const auto piece = buffers.next(kMaxTransfer - total);
        if (!piece.ok()) {
            return piece.error();
        }
        if (piece->bytes == 0) {
            break;
        }
        total += piece->bytes;
    }
    return total;
}

SysResult read_from(Caller& caller, std::int32_t fd, UserBuffers buffers,
                    std::optional<std::uint64_t> at = std::nullopt) {
    const auto found = caller.files().find(fd);
    if (!found.ok()) {
        return found.error();
    }
    OpenFile& file = **found;
    if (!file.is_readable()) {
        return Error::BadDescriptor;
    }
    switch (file.kind()) {
        case FileKind::Console:
            return at ? SysResult{Error::IllegalSeek} : console::read(caller, buffers, is_nonblocking(file));
        case FileKind::Regular:
        case FileKind::Information:
            return read_contents(caller, file, buffers, at);
        case FileKind::Directory:
            return Error::IsDirectory;
        case FileKind::Null:
            return std::uint64_t{0};
        case FileKind::Zero:
            return read_zeros(caller, buffers);
        case FileKind::Random:
            return read_random(caller, buffers);
    }
    return Error::InvalidArgument;
}

SysResult write_to(Caller& caller, std::int32_t fd, UserBuffers buffers) {
    const auto found = caller.files().find(fd);
    if (!found.ok()) {
        return found.error();
    }
    OpenFile& file = **found;
    if (!file.is_writable()) {
        return Error::BadDescriptor;
    }
    switch (file.kind()) {
        case FileKind::Console:
            return console::write(caller, buffers, is_nonblocking(file));
        case FileKind::Null:
        case FileKind::Zero:
        case FileKind::Random:
            return write_nowhere(buffers);
        default:
            return Error::BadDescriptor;  // nothing else opens for writing
    }
}

UserBuffers one_buffer(Caller& caller, VirtAddr start, std::uint64_t count) {
    return {caller.space(), start, std::min(count, kMaxTransfer)};
}

struct Path {
    std::array<char, file_system::kMaxPath> characters{};
    std::size_t length{0};
    [[nodiscard]] std::string_view text() const { return {characters.data(), length}; }
};

// A path that is absolute or starts at the current directory, which is the root. Errors: BadAddress,
// NameTooLong, NoEntry (empty), and for another directory's descriptor BadDescriptor, NotDirectory or
// NotSupported.
Result<Path> read_path(Caller& caller, std::int32_t dirfd, In<char> pointer) {
    Path path;
    path.length = TRY(mm::copy_in_string(caller.space(), path.characters, pointer));
    if (path.length == 0) {
        return Error::NoEntry;
    }
    if (path.characters[0] != '/' && dirfd != kCurrentDirectory) {
        const auto directory = TRY(caller.files().find(dirfd));
        return directory->kind() == FileKind::Directory ? Error::NotSupported : Error::NotDirectory;
    }
    return path;
}

// Whether a node may be opened like this.
Result<void> check_open(const file_system::Node& node, std::uint32_t flags) {
    const bool writes =
        (flags & task::kOpenAccessMask) != task::kOpenReadOnly || (flags & kOpenTruncate) != 0;
    if ((flags & kOpenCreate) != 0 && (flags & kOpenExclusive) != 0) {
        return Error::Exists;
    }
    switch (node.kind) {
        case FileKind::Directory:
            return writes || (flags & kOpenCreate) != 0 ? Result<void>{Error::IsDirectory} : Result<void>{};
        case FileKind::Regular:
        case FileKind::Information:
            if ((flags & kOpenDirectory) != 0) {
                return Error::NotDirectory;
            }
            return writes ? Result<void>{Error::ReadOnly} : Result<void>{};
        default:
            return (flags & kOpenDirectory) != 0 ? Result<void>{Error::NotDirectory} : Result<void>{};
    }
}

Result<std::uint64_t> open_path(Caller& caller, std::int32_t dirfd, In<char> pointer, std::uint32_t flags) {
    if ((flags & task::kOpenAccessMask) == task::kOpenAccessMask) {
        return Error::InvalidArgument;
    }
    const Path path = TRY(read_path(caller, dirfd, pointer));
    const auto node = file_system::find(path.text(), caller.task);
    if (!node.ok()) {
        const bool would_create = node.error() == Error::NoEntry && (flags & kOpenCreate) != 0;
        return would_create ? Error::ReadOnly : node.error();
    }
    TRY(check_open(*node, flags));
    auto file = TRY(file_system::open(*node, flags, caller.task));
    return std::uint64_t{TRY(caller.files().insert(std::move(file), (flags & kOpenCloseOnExec) != 0))};
}

stat describe(FileKind kind, std::uint32_t mode, std::uint64_t inode, std::uint64_t bytes) {
    constexpr std::uint64_t kConsoleDevice = 5 << 8 | 1;  // Linux' /dev/console
    stat status{};
    status.st_dev = 1;
    status.st_ino = inode;
    status.st_mode = mode;
    status.st_nlink = 1;
    status.st_rdev = kind == FileKind::Console ? kConsoleDevice : 0;
    status.st_size = static_cast<std::int64_t>(bytes);
    status.st_blksize = kind == FileKind::Console ? std::int32_t{console::kChunkBytes} : kFileBlockBytes;
    status.st_blocks = static_cast<std::int64_t>((bytes + kStatBlockBytes - 1) / kStatBlockBytes);
    return status;
}

Result<stat> describe_descriptor(Caller& caller, std::int32_t fd) {
    const auto file = TRY(caller.files().find(fd));
    return describe(file->kind(), file->mode, file->inode, file->size());
}

Result<stat> describe_path(Caller& caller, std::int32_t dirfd, In<char> pointer, std::uint32_t flags) {
    if ((flags & ~kAtKnownFlags) != 0) {
        return Error::InvalidArgument;
    }
    if ((flags & kAtEmptyPath) != 0) {
        // An empty path means the descriptor itself; Linux 6.11 takes a null pointer for it too.
        const bool is_empty = pointer.is_null() || TRY(mm::copy_in(caller.space(), pointer)) == '\0';
        if (is_empty && dirfd != kCurrentDirectory) {
            return describe_descriptor(caller, dirfd);
        }
        if (is_empty) {
            const auto root = TRY(file_system::find("/", caller.task));
            return describe(root.kind, root.mode, root.inode, 0);
        }
    }
    const Path path = TRY(read_path(caller, dirfd, pointer));
    const auto node = TRY(file_system::find(path.text(), caller.task));
    const std::uint64_t bytes = node.object != nullptr ? node.object->contents().size() : 0;
    return describe(node.kind, node.mode, node.inode, bytes);
}

Result<std::uint64_t> seek(OpenFile& file, std::int64_t offset, std::uint32_t whence) {
    if (file.kind() == FileKind::Console) {
        return Error::IllegalSeek;
    }
    if (!file.is_seekable()) {
        return std::uint64_t{0};
    }
    std::int64_t base = 0;
    switch (static_cast<Whence>(whence)) {
        case Whence::Start:
            break;
        case Whence::Current:
            base = static_cast<std::int64_t>(file.position.load());
            break;
        case Whence::End:
            base = static_cast<std::int64_t>(file.size());
            break;
        default:
            return Error::InvalidArgument;
    }
    std::int64_t position = 0;
    if (__builtin_add_overflow(base, offset, &position)) {
        return Error::Overflow;
    }
    if (position < 0) {
        return Error::InvalidArgument;
    }
    file.position.store(static_cast<std::uint64_t>(position));
    return static_cast<std::uint64_t>(position);
}

}  // namespace

SysResult sys_getcwd(Caller& caller, Out<char> buffer, std::uint64_t size) {
    constexpr std::array<char, 2> kRoot{'/', '\0'};
    if (size < kRoot.size()) {
        return Error::OutOfRange;
    }
    const auto copied = mm::copy_out_array(caller.space(), buffer, std::span<const char>{kRoot});
    return copied.ok() ? SysResult{std::uint64_t{kRoot.size()}} : SysResult{copied.error()};
}

SysResult sys_ioctl(Caller& caller, std::int32_t fd, std::uint32_t request, std::uint64_t argument) {
    const auto file = caller.files().find(fd);
    if (!file.ok()) {
        return file.error();
    }
    if ((*file)->kind() != FileKind::Console) {
        return Error::NotTerminal;
    }
    return console::control(caller, request, argument);
}

SysResult sys_openat(Caller& caller, std::int32_t dirfd, In<char> path, std::uint32_t flags, std::uint32_t) {
    return open_path(caller, dirfd, path, flags);
}

SysResult sys_close(Caller& caller, std::int32_t fd) {
    return caller.files().close(fd);
}

SysResult sys_lseek(Caller& caller, std::int32_t fd, std::int64_t offset, std::uint32_t whence) {
    const auto file = caller.files().find(fd);
    return file.ok() ? SysResult{seek(**file, offset, whence)} : SysResult{file.error()};
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

SysResult sys_readlinkat(Caller& caller, std::int32_t dirfd, In<char> pointer, Out<char>, std::uint64_t) {
    const auto path = read_path(caller, dirfd, pointer);
    if (!path.ok()) {
        return path.error();
    }
    const auto node = file_system::find(path->text(), caller.task);
    return node.ok() ? Error::InvalidArgument : node.error();
}

SysResult sys_newfstatat(Caller& caller, std::int32_t dirfd, In<char> path, Out<stat> status,
                         std::uint32_t flags) {
    const auto described = describe_path(caller, dirfd, path, flags);
    return described.ok() ? SysResult{mm::copy_out(caller.space(), status, *described)}
                          : SysResult{described.error()};
}

SysResult sys_fstat(Caller& caller, std::int32_t fd, Out<stat> status) {
    const auto described = describe_descriptor(caller, fd);
    return described.ok() ? SysResult{mm::copy_out(caller.space(), status, *described)}
                          : SysResult{described.error()};
}

}  // namespace kernel::syscall
