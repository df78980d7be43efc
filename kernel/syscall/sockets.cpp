// SPDX-License-Identifier: MIT
// What is done with sockets beyond reading and writing them. There are pairs only: streams without names.
#include <cstdint>

#include "mm/user_buffers.hpp"
#include "mm/user_memory.hpp"
#include "syscall/dispatch.hpp"
#include "task/file_table.hpp"

namespace kernel::syscall {

namespace {

using mm::UserBuffers;

// include/linux/socket.h
constexpr std::uint32_t kPeek = 0x2;
constexpr std::uint32_t kDoNotWait = 0x40;
constexpr std::uint32_t kNoSignal = 0x4000;
// include/uapi/asm-generic/socket.h
constexpr std::uint32_t kLevelSocket = 1;
enum class Option : std::uint32_t { Type = 3, Error = 4, SendBuffer = 7, ReceiveBuffer = 8 };
constexpr std::uint32_t kTypeStream = 1;
constexpr std::uint32_t kBufferBytes = 64 << 10;

Result<Ref<task::OpenFile>> find_socket(Caller& caller, std::int32_t fd) {
    auto file = TRY(caller.files().find(fd));
    if ((file->status().mode & task::kTypeMask) != task::kTypeSocket) {
        return Error::NotSocket;
    }
    return file;
}

// Of sending; receiving knows kPeek beside, and kNoSignal does nothing there.
constexpr std::uint32_t kSendFlags = kDoNotWait | kNoSignal;
constexpr std::uint32_t kReceiveFlags = kSendFlags | kPeek;

Result<std::uint32_t> message_flags(std::uint32_t flags, std::uint32_t known) {
    if ((flags & ~known) != 0) {
        return Error::NotSupported;
    }
    return ((flags & kDoNotWait) != 0 ? task::kMessageDoNotWait : 0) |
           ((flags & kNoSignal) != 0 ? task::kMessageNoSignal : 0) |
           ((flags & kPeek) != 0 ? task::kMessagePeek : 0);
}

SysResult send(Caller& caller, std::int32_t fd, UserBuffers buffers, std::uint32_t flags, bool has_address) {
    const auto file = find_socket(caller, fd);
    const auto how = message_flags(flags, kSendFlags);
    if (!file.ok() || !how.ok()) {
        return file.ok() ? how.error() : file.error();
    }
    return has_address ? SysResult{Error::AlreadyConnected} : (*file)->send(caller.task, buffers, *how);
}

SysResult receive(Caller& caller, std::int32_t fd, UserBuffers buffers, std::uint32_t flags) {
    const auto file = find_socket(caller, fd);
    const auto how = message_flags(flags, kReceiveFlags);
    if (!file.ok() || !how.ok()) {
        return file.ok() ? how.error() : file.error();
    }
    return (*file)->receive(caller.task, buffers, *how);
}

Result<void> get_option(Caller& caller, std::int32_t fd, std::uint32_t level, std::uint32_t name,
                        Out<std::uint32_t> value, InOut<std::uint32_t> bytes) {
    static_cast<void>(TRY(find_socket(caller, fd)));
    if (level != kLevelSocket) {
        return Error::NotSupported;
    }
    std::uint32_t result = 0;
    switch (static_cast<Option>(name)) {
        case Option::Type:
            result = kTypeStream;
            break;
        case Option::Error:
            break;
        case Option::SendBuffer:
        case Option::ReceiveBuffer:
            result = kBufferBytes;
            break;
        default:
            return Error::NoProtocolOption;
    }
    const std::uint32_t room = TRY(mm::copy_in(caller.space(), bytes));
    if (room < sizeof(result)) {
        return Error::InvalidArgument;
    }
    TRY(mm::copy_out(caller.space(), value, result));
    return mm::copy_out(caller.space(), bytes, std::uint32_t{sizeof(result)});
}

Result<void> set_option(Caller& caller, std::int32_t fd, std::uint32_t level, std::uint32_t name,
                        In<std::uint32_t> value, std::uint32_t bytes) {
    static_cast<void>(TRY(find_socket(caller, fd)));
    if (level != kLevelSocket) {
        return Error::NotSupported;
    }
    if (static_cast<Option>(name) != Option::SendBuffer &&
        static_cast<Option>(name) != Option::ReceiveBuffer) {
        return Error::NoProtocolOption;
    }
    if (bytes < sizeof(std::uint32_t)) {
        return Error::InvalidArgument;
    }
    static_cast<void>(TRY(mm::copy_in(caller.space(), value)));
    return {};
}

Result<void> shut_down(Caller& caller, std::int32_t fd, std::uint32_t how) {
    constexpr std::uint32_t kReading = 0;
    constexpr std::uint32_t kWriting = 1;
    constexpr std::uint32_t kBoth = 2;
    const auto file = TRY(find_socket(caller, fd));
    if (how > kBoth) {
        return Error::InvalidArgument;
    }
    return file->shut_down(how == kReading || how == kBoth, how == kWriting || how == kBoth);
}

}  // namespace

SysResult sys_sendto(Caller& caller, std::int32_t fd, In<char> buffer, std::uint64_t count,
                     std::uint32_t flags, In<char> address, std::uint32_t) {
    return send(caller, fd, {caller.space(), mm::user_address(buffer), count}, flags, !address.is_null());
}

SysResult sys_recvfrom(Caller& caller, std::int32_t fd, Out<char> buffer, std::uint64_t count,
                       std::uint32_t flags, Out<char> address, InOut<std::uint32_t> address_bytes) {
    if (!address.is_null()) {
        // Those of a pair have no name.
        const auto told = mm::copy_out(caller.space(), address_bytes, std::uint32_t{0});
        if (!told.ok()) {
            return told.error();
        }
    }
    return receive(caller, fd, {caller.space(), mm::user_address(buffer), count}, flags);
}

SysResult sys_sendmsg(Caller& caller, std::int32_t fd, In<message_header> message, std::uint32_t flags) {
    const auto header = mm::copy_in(caller.space(), message);
    if (!header.ok()) {
        return header.error();
    }
    if (header->control_bytes != 0) {
        return Error::NotSupported;
    }
    if (header->vector_count > UserBuffers::kMaxVectors) {
        return Error::InvalidArgument;
    }
    return send(
        caller, fd,
        {caller.space(), In<iovec>{header->vectors}, static_cast<std::uint32_t>(header->vector_count)}, flags,
        header->name != 0 && header->name_bytes != 0);
}

SysResult sys_recvmsg(Caller& caller, std::int32_t fd, InOut<message_header> message, std::uint32_t flags) {
    auto header = mm::copy_in(caller.space(), message);
    if (!header.ok()) {
        return header.error();
    }
    if (header->vector_count > UserBuffers::kMaxVectors) {
        return Error::InvalidArgument;
    }
    const auto count = static_cast<std::uint32_t>(header->vector_count);
    const In<iovec> vectors{header->vectors};
    header->name_bytes = 0;
    header->control_bytes = 0;
    header->flags = 0;
    const auto told = mm::copy_out(caller.space(), message, *header);
    return told.ok() ? receive(caller, fd, {caller.space(), vectors, count}, flags) : SysResult{told.error()};
}

SysResult sys_setsockopt(Caller& caller, std::int32_t fd, std::uint32_t level, std::uint32_t name,
                         In<std::uint32_t> value, std::uint32_t bytes) {
    return set_option(caller, fd, level, name, value, bytes);
}

SysResult sys_getsockopt(Caller& caller, std::int32_t fd, std::uint32_t level, std::uint32_t name,
                         Out<std::uint32_t> value, InOut<std::uint32_t> bytes) {
    return get_option(caller, fd, level, name, value, bytes);
}

SysResult sys_shutdown(Caller& caller, std::int32_t fd, std::uint32_t how) {
    return shut_down(caller, fd, how);
}

}  // namespace kernel::syscall
