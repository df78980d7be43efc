// SPDX-License-Identifier: MIT
// Descriptors as numbers: copies, flags, ranges, and files that come without a name; every errno.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "fake_task.hpp"
#include "nexus_abi/linux.hpp"

namespace kernel {
namespace {

using fake::error;
using fake::kMemory;
using nexus_abi::Error;
using nexus_abi::Syscall;

constexpr std::uint64_t kNowhere = 8;
constexpr std::uint64_t kNonBlocking = 04000;
constexpr std::uint64_t kCloseOnExec = 02000000;
constexpr std::uint64_t kAppend = 02000;
constexpr std::uint64_t kEnds = kMemory + 0x800;
constexpr std::uint64_t kBuffer = kMemory + 0x1000;
enum Command : std::uint64_t {
    kDup = 0,
    kGetFd = 1,
    kSetFd = 2,
    kGetFl = 3,
    kSetFl = 4,
    kDupCloexec = 1030,
    kSetPipe = 1031,
    kGetPipe = 1032
};

class Descriptors : public fake::SyscallTest {
  protected:
    std::int64_t control(std::int64_t fd, std::uint64_t command, std::uint64_t argument = 0) {
        return call(Syscall::fcntl, fd, command, argument).value_or(-9999);
    }
    std::int64_t counter(std::uint64_t value = 0, std::uint64_t flags = 0) {
        return call(Syscall::eventfd2, value, flags).value_or(-9999);
    }
    std::int64_t read_counter(std::int64_t fd) {
        const std::int64_t status = call(Syscall::read, fd, kBuffer, 8).value_or(-9999);
        return status == 8 ? static_cast<std::int64_t>(get<std::uint64_t>(kBuffer)) : status;
    }
    bool is_open(std::int64_t fd) { return control(fd, kGetFd) >= 0; }
    std::int64_t memory_file(const std::string& name, std::uint64_t flags = 0) {
        put_text(kBuffer, name);
        return call(Syscall::memfd_create, kBuffer, flags).value_or(-9999);
    }
};

TEST_F(Descriptors, CopiesNameTheSameFile) {
    const std::int64_t fd = counter(5);
    ASSERT_EQ(fd, 3) << "behind the standard ones";
    EXPECT_EQ(call(Syscall::dup, fd), 4);
    EXPECT_EQ(control(fd, kDup, 9), 9);
    EXPECT_EQ(control(fd, kDup, 9), 10);
    EXPECT_EQ(control(fd, kDupCloexec, 0), 5);
    EXPECT_EQ(control(4, kGetFd), 0);
    EXPECT_EQ(control(9, kGetFd), 0);
    EXPECT_EQ(control(5, kGetFd), 1);
    EXPECT_EQ(call(Syscall::close, fd), 0);
    EXPECT_EQ(read_counter(9), 5);
    EXPECT_EQ(call(Syscall::dup, fd), error(Error::BadDescriptor));
    EXPECT_EQ(control(fd, kDup, 0), error(Error::BadDescriptor));
    EXPECT_EQ(control(4, kDup, 255), 255);
    EXPECT_EQ(control(4, kDup, 256), error(Error::InvalidArgument));
    EXPECT_EQ(control(4, kDup, std::uint64_t{1} << 32), error(Error::InvalidArgument));
    EXPECT_EQ(control(4, kDup, 255), error(Error::TooManyFiles));
    process().files.limit.store(20);
    EXPECT_EQ(control(4, kDup, 20), error(Error::InvalidArgument));
    EXPECT_EQ(control(4, kDup, 19), 19);
}

TEST_F(Descriptors, ACopyTakesThePlaceOfWhatWasThere) {
    const std::int64_t five = counter(5, kNonBlocking);
    const std::int64_t six = counter(6);
    EXPECT_EQ(call(Syscall::dup3, six, five, 0), five);
    EXPECT_EQ(read_counter(five), 6);
    EXPECT_EQ(control(five, kGetFd), 0);
    EXPECT_EQ(call(Syscall::dup3, six, 40, kCloseOnExec), 40);
    EXPECT_EQ(control(40, kGetFd), 1);
    EXPECT_EQ(call(Syscall::dup3, six, six, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::dup3, six, 41, 1), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::dup3, six, -1, 0), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::dup3, six, 256, 0), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::dup3, six, 255, 0), 255);
    EXPECT_EQ(call(Syscall::dup3, six, 0, 0), 0);
    EXPECT_EQ(call(Syscall::dup3, 99, 41, 0), error(Error::BadDescriptor));
    EXPECT_FALSE(is_open(41));
    process().files.limit.store(50);
    EXPECT_EQ(call(Syscall::dup3, six, 50, 0), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::dup3, six, 49, 0), 49);
}

TEST_F(Descriptors, FlagsOfDescriptorAndFile) {
    const std::int64_t fd = counter();
    const std::int64_t copy = call(Syscall::dup, fd).value_or(-1);
    EXPECT_EQ(control(fd, kSetFd, 1), 0);
    EXPECT_EQ(control(fd, kGetFd), 1);
    EXPECT_EQ(control(copy, kGetFd), 0) << "of the descriptor";
    EXPECT_EQ(control(fd, kSetFd, 2), 0);
    EXPECT_EQ(control(fd, kGetFd), 0) << "there is one such flag";
    EXPECT_EQ(control(fd, kGetFl), 0100002) << "to read and to write";
    EXPECT_EQ(control(fd, kSetFl, kNonBlocking | kAppend | 1), 0);
    EXPECT_EQ(control(copy, kGetFl), 0100002 | kNonBlocking | kAppend) << "of the file";
    EXPECT_EQ(read_counter(copy), error(Error::TryAgain));
    EXPECT_EQ(control(fd, 77), error(Error::InvalidArgument));
    for (const std::uint64_t command : {kDup, kGetFd, kSetFd, kGetFl, kSetFl, kGetPipe, kSetPipe}) {
        EXPECT_EQ(control(99, command), error(Error::BadDescriptor)) << command;
    }
    EXPECT_EQ(control(99, 5), error(Error::BadDescriptor)) << "F_GETLK";
}

TEST_F(Descriptors, APipesRoomIsWhatItIs) {
    EXPECT_EQ(call(Syscall::pipe2, kEnds, 0), 0);
    const auto reader = get<std::int32_t>(kEnds);
    EXPECT_EQ(control(reader, kGetPipe), 65536);
    EXPECT_EQ(control(reader, kSetPipe, 1), 65536);
    EXPECT_EQ(control(reader, kSetPipe, 65536), 65536);
    EXPECT_EQ(control(reader, kSetPipe, 65537), error(Error::NotPermitted));
    EXPECT_EQ(control(reader, kSetPipe, 0x8000'0000), error(Error::NotPermitted));
    EXPECT_EQ(control(reader, kSetPipe, 0x8000'0001), error(Error::InvalidArgument));
    EXPECT_EQ(control(counter(), kGetPipe), error(Error::BadDescriptor));
    EXPECT_EQ(control(counter(), kSetPipe, 1), error(Error::BadDescriptor));
}

TEST_F(Descriptors, AFullTableLeavesNoHalfOfAPair) {
    process().files.limit.store(4);
    EXPECT_EQ(call(Syscall::pipe2, kEnds, 0), error(Error::TooManyFiles));
    EXPECT_FALSE(is_open(3));
    process().files.limit.store(5);
    EXPECT_EQ(call(Syscall::pipe2, kNowhere, 0), error(Error::BadAddress));
    EXPECT_FALSE(is_open(3));
    EXPECT_FALSE(is_open(4));
    EXPECT_EQ(call(Syscall::pipe2, kEnds, kCloseOnExec), 0);
    EXPECT_EQ(get<std::int32_t>(kEnds), 3);
    EXPECT_EQ(get<std::int32_t>(kEnds + 4), 4);
    EXPECT_EQ(control(3, kGetFd), 1);
    EXPECT_EQ(control(4, kGetFd), 1);
    process().files.limit.store(7);
    EXPECT_EQ(call(Syscall::pipe2, kEnds, kNonBlocking), 0);
    EXPECT_EQ(control(5, kGetFd), 0);
    EXPECT_EQ(control(5, kGetFl) & static_cast<std::int64_t>(kNonBlocking), kNonBlocking);
    EXPECT_EQ(call(Syscall::pipe2, kEnds, kAppend), error(Error::InvalidArgument));
}

TEST_F(Descriptors, SocketPairsAreOfOneKind) {
    const auto pair = [&](std::uint64_t family, std::uint64_t type, std::uint64_t protocol) {
        return call(Syscall::socketpair, family, type, protocol, kEnds).value_or(-9999);
    };
    EXPECT_EQ(pair(1, 1, 0), 0);
    EXPECT_EQ(pair(1, 1, 1), 0);
    EXPECT_EQ(pair(1, 1 | kCloseOnExec | kNonBlocking, 0), 0);
    EXPECT_EQ(control(get<std::int32_t>(kEnds), kGetFd), 1);
    EXPECT_EQ(pair(1, 1 | kAppend, 0), error(Error::InvalidArgument));
    EXPECT_EQ(pair(1, 11, 0), error(Error::InvalidArgument));
    EXPECT_EQ(pair(1, 10, 0), error(Error::NoSocketType));
    EXPECT_EQ(pair(1, 2, 0), error(Error::NoSocketType));
    EXPECT_EQ(pair(1, 0, 0), error(Error::NoSocketType));
    EXPECT_EQ(pair(1, 1, 2), error(Error::NoProtocol));
    EXPECT_EQ(pair(2, 1, 0), error(Error::NoAddressFamily));
    EXPECT_EQ(pair(45, 1, 0), error(Error::NoAddressFamily));
    EXPECT_EQ(pair(46, 1, 0), error(Error::InvalidArgument));
    EXPECT_EQ(pair(2, 11, 0), error(Error::InvalidArgument)) << "the type first";
}

TEST_F(Descriptors, EventCountersAndTheirFlags) {
    const std::int64_t whole = counter(3);
    EXPECT_EQ(read_counter(whole), 3);
    const std::int64_t one_by_one = counter(3, 1 | kCloseOnExec | kNonBlocking);
    EXPECT_EQ(read_counter(one_by_one), 1);
    EXPECT_EQ(read_counter(one_by_one), 1);
    EXPECT_EQ(read_counter(one_by_one), 1);
    EXPECT_EQ(read_counter(one_by_one), error(Error::TryAgain));
    EXPECT_EQ(control(one_by_one, kGetFd), 1);
    EXPECT_EQ(control(whole, kGetFd), 0);
    EXPECT_EQ(counter(0, 2), error(Error::InvalidArgument));
    process().files.limit.store(5);
    EXPECT_EQ(counter(), error(Error::TooManyFiles));
}

TEST_F(Descriptors, FilesOfMemoryHaveANameAndNoPath) {
    const std::int64_t fd = memory_file("a");
    ASSERT_EQ(fd, 3);
    EXPECT_EQ(control(fd, kGetFd), 0);
    EXPECT_EQ(control(fd, kGetFl) & 3, 2);
    EXPECT_EQ(control(memory_file("b", 1), kGetFd), 1);
    for (const std::uint64_t flags : {2, 8, 16, 26}) {
        EXPECT_GE(memory_file("c", flags), 0) << flags;
    }
    for (const std::uint64_t flags : {4, 32, 0x1c}) {
        EXPECT_EQ(memory_file("d", flags), error(Error::InvalidArgument)) << flags;
    }
    EXPECT_GE(memory_file(""), 0);
    EXPECT_GE(memory_file(std::string(249, 'x')), 0);
    EXPECT_EQ(memory_file(std::string(250, 'x')), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::memfd_create, kNowhere, 0), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::memfd_create, kNowhere, 4), error(Error::InvalidArgument)) << "the flags first";
    process().files.limit.store(4);
    EXPECT_EQ(memory_file("e"), error(Error::TooManyFiles));
}

TEST_F(Descriptors, RangesAreClosedOrMarked) {
    const auto open_ten = [&] {
        for (std::int64_t fd = 3; fd < 13; ++fd) {
            ASSERT_EQ(counter(), fd);
        }
    };
    const auto range = [&](std::uint64_t first, std::uint64_t last, std::uint64_t flags) {
        return call(Syscall::close_range, first, last, flags).value_or(-9999);
    };
    const auto open_ones = [&] {
        std::vector<std::int64_t> found;
        for (std::int64_t fd = 3; fd < 20; ++fd) {
            if (is_open(fd)) {
                found.push_back(fd);
            }
        }
        return found;
    };
    open_ten();
    EXPECT_EQ(range(5, 4, 0), error(Error::InvalidArgument));
    EXPECT_EQ(range(5, 5, 1), error(Error::InvalidArgument));
    EXPECT_EQ(range(5, 5, 8), error(Error::InvalidArgument));
    EXPECT_EQ(range(256, ~0U, 0), 0) << "there are none";
    EXPECT_EQ(range(6, 7, 4), 0);
    EXPECT_EQ(control(5, kGetFd), 0);
    EXPECT_EQ(control(6, kGetFd), 1);
    EXPECT_EQ(control(7, kGetFd), 1);
    EXPECT_EQ(control(8, kGetFd), 0);
    EXPECT_EQ(range(4, 4, 0), 0);
    EXPECT_EQ(open_ones(), (std::vector<std::int64_t>{3, 5, 6, 7, 8, 9, 10, 11, 12}));
    EXPECT_EQ(range(6, 9, 2), 0);
    EXPECT_EQ(open_ones(), (std::vector<std::int64_t>{3, 5, 10, 11, 12}));
    EXPECT_EQ(call(Syscall::dup3, 3, 255, 0), 255);
    EXPECT_EQ(range(11, ~0U, 0), 0);
    EXPECT_EQ(open_ones(), (std::vector<std::int64_t>{3, 5, 10}));
    EXPECT_FALSE(is_open(255));
    EXPECT_EQ(call(Syscall::close, 10), 0);
    EXPECT_EQ(call(Syscall::close, 10), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::close, 256), error(Error::BadDescriptor));
}

}  // namespace
}  // namespace kernel
