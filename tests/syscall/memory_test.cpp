// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "fake_task.hpp"
#include "mm/user_memory.hpp"
#include "nexus_abi/linux.hpp"

namespace kernel {
namespace {

using fake::error;
using fake::kMemory;
using nexus_abi::Error;
using nexus_abi::Syscall;

constexpr std::uint64_t kNone = static_cast<std::uint64_t>(-1);
constexpr std::uint64_t kReadWrite = 3;
constexpr std::uint64_t kPrivateAnonymous = 0x22;
constexpr std::uint64_t kFixed = 0x10;

class Memory : public fake::SyscallTest {
  protected:
    std::int64_t map(std::uint64_t address, std::uint64_t bytes, std::uint64_t protection = kReadWrite,
                     std::uint64_t flags = kPrivateAnonymous) {
        return call(Syscall::mmap, address, bytes, protection, flags, kNone, 0).value_or(-9999);
    }
    void touch(std::uint64_t start, std::uint64_t pages) {
        for (std::uint64_t i = 0; i < pages; ++i) {
            put(start + i * 4096, std::uint32_t{1});
        }
    }
};

TEST_F(Memory, MapsWhatMallocAsksFor) {
    const std::int64_t at = map(0, 100'000);
    ASSERT_GT(at, 0);
    EXPECT_EQ(get<std::uint64_t>(static_cast<std::uint64_t>(at) + 99'992), 0U);
    EXPECT_EQ(map(0, 128 << 20, 0, kPrivateAnonymous | 0x4000) % 4096, 0) << "PROT_NONE, NORESERVE";
    EXPECT_GT(map(0, 8 << 20, 0, kPrivateAnonymous | 0x20000), 0) << "STACK";
    EXPECT_EQ(map(0x20'0000, 4096, kReadWrite, kPrivateAnonymous | kFixed), 0x20'0000);
    EXPECT_EQ(map(0x20'0000, 4096, kReadWrite, kPrivateAnonymous | 0x10'0000), error(Error::Exists));
}

TEST_F(Memory, RefusesWhatCannotBe) {
    EXPECT_EQ(map(0, 0), error(Error::InvalidArgument));
    EXPECT_EQ(map(0, std::uint64_t{1} << 40), error(Error::NoMemory)) << "more than an address space";
    EXPECT_EQ(map(0, 4096, 6), error(Error::InvalidArgument)) << "write and execute";
    EXPECT_EQ(map(0, 4096, 8), error(Error::InvalidArgument));
    EXPECT_EQ(map(0, 4096, 3, 0x20), error(Error::InvalidArgument)) << "neither private nor shared";
    EXPECT_EQ(map(123, 4096, 3, kPrivateAnonymous | kFixed), error(Error::InvalidArgument));
    EXPECT_EQ(map(0, 4096, 3, kPrivateAnonymous | 0x4'0000), error(Error::InvalidArgument)) << "huge pages";
    EXPECT_EQ(map(0, 4096, 3, 2), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::mmap, 0, 4096, 1, 2, 0, 0), error(Error::NoDevice)) << "the console";
    EXPECT_EQ(call(Syscall::munmap, 123, 4096), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::mprotect, kMemory, fake::kMemoryBytes * 2, 1), error(Error::NoMemory))
        << "a hole";
    EXPECT_EQ(call(Syscall::mprotect, kMemory, 4096, 6), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::madvise, kMemory, 4096, 99), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::madvise, kMemory + 1, 4096, 3), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::madvise, kMemory, 4096, 14), 0);
}

TEST_F(Memory, LongWorkIsDoneInStepsAndCompletely) {
    constexpr std::uint64_t kPages = 300;
    const auto at = static_cast<std::uint64_t>(map(0, kPages * 4096));
    touch(at, kPages);
    const auto before = process().space().resident_pages();
    EXPECT_EQ(call(Syscall::mprotect, at, kPages * 4096, 1), 0);
    EXPECT_EQ(
        mm::copy_to_user(process().space(), VirtAddr{at + (kPages - 1) * 4096}, std::as_bytes(std::span{"x"}))
            .error(),
        Error::BadAddress);
    EXPECT_EQ(call(Syscall::madvise, at, kPages * 4096, 4), 0);
    EXPECT_GT(pieces(), 1U);
    EXPECT_EQ(process().space().resident_pages(), before - kPages);
    EXPECT_EQ(call(Syscall::mprotect, at, kPages * 4096, 3), 0);
    touch(at, kPages);
    EXPECT_EQ(call(Syscall::munmap, at, kPages * 4096), 0);
    EXPECT_GT(pieces(), 1U);
    EXPECT_EQ(process().space().resident_pages(), before - kPages);
}

// Whatever a program arranges to be left in call_progress, a call stays inside its own range.
TEST_F(Memory, StaleProgressIsHarmless) {
    put(kMemory + 0x8000, std::uint32_t{77});
    for (const std::uint64_t stale :
         {std::uint64_t{1}, kMemory + 0x8000, kMemory + 0x1001, ~std::uint64_t{0}}) {
        task().call_progress = stale;
        static_cast<void>(call(Syscall::madvise, kMemory, 0x1000, 4));
        EXPECT_EQ(get<std::uint32_t>(kMemory + 0x8000), 77U);
    }
    task().call_progress = ~std::uint64_t{0};
    EXPECT_EQ(call(Syscall::write, 1, kMemory, 5), -1) << "as if all of it had been written before";
    EXPECT_EQ(task().call_progress, 0U);
}

TEST_F(Memory, BreakReturnsWhereItIs) {
    process().space().set_break_base(VirtAddr{0x40'0000});
    EXPECT_EQ(call(Syscall::brk, 0), 0x40'0000);
    EXPECT_EQ(call(Syscall::brk, 0x40'3001), 0x40'3001);
    put(0x40'2000, std::uint32_t{5});
    EXPECT_EQ(call(Syscall::brk, 0x30'0000), 0x40'3001) << "below its start: stays";
    EXPECT_EQ(call(Syscall::brk, 0x40'0000), 0x40'0000);
    EXPECT_EQ(call(Syscall::brk, 0x40'3000), 0x40'3000);
    EXPECT_EQ(get<std::uint32_t>(0x40'2000), 0U);
}

TEST_F(Memory, LimitsAreTrueAndMayShrink) {
    constexpr std::uint64_t kStack = 3;
    EXPECT_EQ(call(Syscall::prlimit64, 0, kStack, 0, kMemory), 0);
    EXPECT_EQ(get<nexus_abi::rlimit64>(kMemory).current, 8U << 20);
    put(kMemory, nexus_abi::rlimit64{.current = 1 << 20, .maximum = 8 << 20});
    EXPECT_EQ(call(Syscall::prlimit64, 0, kStack, kMemory, 0), 0);
    EXPECT_EQ(process().limits.get(task::ResourceLimits::kStack).current, 1U << 20);
    put(kMemory, nexus_abi::rlimit64{.current = 2 << 20, .maximum = 1 << 20});
    EXPECT_EQ(call(Syscall::prlimit64, 0, kStack, kMemory, 0), error(Error::InvalidArgument));
    put(kMemory, nexus_abi::rlimit64{.current = 16 << 20, .maximum = 16 << 20});
    EXPECT_EQ(call(Syscall::prlimit64, 0, kStack, kMemory, 0), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::prlimit64, 0, 16, 0, kMemory), error(Error::InvalidArgument));
}

}  // namespace
}  // namespace kernel
