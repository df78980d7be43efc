// SPDX-License-Identifier: MIT
// What the tests of files have in common: places in memory, and short forms of the usual calls.
#pragma once

#include <algorithm>
#include <array>
#include <string>

#include "nexus_abi/linux.hpp"
#include "world.hpp"

namespace kernel::whole {

inline constexpr std::uint64_t kBadAddress = 0x10;
inline constexpr std::uint64_t kPath = kMemory;
inline constexpr std::uint64_t kPath2 = kMemory + 0x800;
inline constexpr std::uint64_t kIn = kMemory + 0x1000;
inline constexpr std::uint64_t kOut = kMemory + 0x2000;
inline constexpr std::uint64_t kBig = kMemory + 0x4000;
inline constexpr std::uint64_t kHere = static_cast<std::uint64_t>(-100);  // AT_FDCWD
inline constexpr std::uint64_t kNonBlocking = 04000;
inline constexpr std::uint64_t kCreate = 0102;  // O_CREAT | O_RDWR
inline constexpr std::uint64_t kAppend = 02000;

class FileCalls : public WholeKernelTest {
  protected:
    ~FileCalls() override {
        // What a test leaves below /tmp would be there in the next one's.
        for (const char* const path : {"/tmp/a", "/tmp/b", "/tmp/c", "/tmp/d/x"}) {
            static_cast<void>(call(Syscall::unlinkat, kHere, name(path), 0));
        }
        static_cast<void>(call(Syscall::unlinkat, kHere, name("/tmp/d"), 0x200));
    }
    std::uint64_t name(const std::string& text) { return put_text(kPath, text); }
    std::uint64_t second(const std::string& text) { return put_text(kPath2, text); }
    std::int64_t open(const std::string& path, std::uint64_t flags = 0, std::uint64_t mode = 0644) {
        return call(Syscall::openat, kHere, name(path), flags, mode).value_or(-9999);
    }
    std::string read(std::int64_t fd, std::uint64_t bytes = 0x2000) {
        const auto count = call(Syscall::read, fd, kBig, bytes).value_or(-9999);
        EXPECT_GE(count, 0);
        return get_text(kBig, static_cast<std::size_t>(std::max<std::int64_t>(count, 0)));
    }
    std::string contents(const std::string& path) {
        const auto fd = open(path);
        EXPECT_GE(fd, 0) << path;
        std::string all;
        for (std::string part = read(fd); !part.empty(); part = read(fd)) {
            all += part;
        }
        EXPECT_EQ(call(Syscall::close, fd), 0);
        return all;
    }
    std::int64_t write(std::int64_t fd, const std::string& text) {
        return call(Syscall::write, fd, put_text(kBig, text), text.size()).value_or(-9999);
    }
    std::array<std::int32_t, 2> pair(std::uint64_t type = 1) {
        EXPECT_EQ(call(Syscall::socketpair, 1, type, 0, kOut), 0);
        return get<std::array<std::int32_t, 2>>(kOut);
    }
    std::array<std::int32_t, 2> pipe(std::uint64_t flags = 0) {
        EXPECT_EQ(call(Syscall::pipe2, kOut, flags), 0);
        return get<std::array<std::int32_t, 2>>(kOut);
    }
};

}  // namespace kernel::whole
