// SPDX-License-Identifier: MIT
// syslog(2): the kernel log for programs.
#include <algorithm>
#include <array>
#include <string_view>

#include "mm/user_memory.hpp"
#include "syscall/audit.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/log_source.hpp"

namespace kernel::syscall {

namespace {

constinit LogSource source;

enum class Action : std::int32_t { Close = 0, Open = 1, ReadAll = 3, ConsoleLevel = 8, SizeBuffer = 10 };

constexpr std::size_t kStepBytes = 1024;  // what one kernel section copies
// Task::call_progress: the position behind what was copied, above how much that was. A log of 2^40 bytes is
// further than any machine gets.
constexpr unsigned kCopiedBits = 24;

std::uint64_t position_clamped(std::uint64_t position) {
    static_cast<void>(source.read(position, {}));
    return position;
}

// Where the last `count` bytes of whole lines begin.
std::uint64_t start_of_last(std::uint64_t count) {
    const std::uint64_t oldest = position_clamped(0);
    const std::uint64_t end = position_clamped(~std::uint64_t{0});
    if (end - oldest <= count) {
        return oldest;
    }
    // The line that the limit cuts is left out; when it ends right before, that is its newline alone.
    std::uint64_t at = end - count - 1;
    std::array<char, kStepBytes> text;
    const std::size_t bytes = source.read(at, text);
    const std::string_view cut{text.data(), bytes};
    return at - bytes + std::min(cut.find('\n') + 1, bytes);
}

SysResult read_all(Caller& caller, Out<char> buffer, std::uint64_t count) {
    constexpr std::uint64_t kCopiedMask = (std::uint64_t{1} << kCopiedBits) - 1;
    std::uint64_t copied = caller.task.call_progress & kCopiedMask;
    std::uint64_t position = caller.task.call_progress >> kCopiedBits;
    if (caller.task.call_progress == 0) {
        position = start_of_last(count);
    }
    std::array<char, kStepBytes> text;
    const std::size_t bytes =
        source.read(position, std::span{text}.first(std::min<std::uint64_t>(count - copied, text.size())));
    const auto done = mm::copy_to_user(caller.space(), mm::user_address(buffer) + copied,
                                       std::as_bytes(std::span{text}.first(bytes)));
    if (!done.ok()) {
        return done.error();
    }
    copied += bytes;
    // Lines that come meanwhile do not make it endless: it stops at what the ring holds.
    if (bytes == 0 || copied >= count || copied >= source.ring_bytes) {
        return copied;
    }
    caller.task.call_progress = position << kCopiedBits | copied;
    return SysResult::again();
}

SysResult set_console_level(Caller& caller, std::int32_t level) {
    if (level < 1 || level > 8) {
        return Error::InvalidArgument;
    }
    if (!caller.has_right(nexus_abi::kRightSchedAdmin)) {
        return deny(caller);
    }
    source.set_console_level(static_cast<std::uint32_t>(level));
    return std::uint64_t{0};
}

}  // namespace

void set_log_source(const LogSource& given) {
    source = given;
}

SysResult sys_syslog(Caller& caller, std::int32_t action, Out<char> buffer, std::int32_t count) {
    switch (static_cast<Action>(action)) {
        case Action::Close:
        case Action::Open:
            return std::uint64_t{0};
        case Action::ReadAll:
            return buffer.is_null() || count < 0
                       ? SysResult{Error::InvalidArgument}
                       : read_all(
                             caller, buffer,
                             std::min<std::uint64_t>(static_cast<std::uint64_t>(count), source.ring_bytes));
        case Action::ConsoleLevel:
            return set_console_level(caller, count);
        case Action::SizeBuffer:
            return std::uint64_t{source.ring_bytes};
    }
    return Error::InvalidArgument;
}

}  // namespace kernel::syscall
