// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "arch/host/host_machine.hpp"
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
    std::uint32_t word_{0};
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

// Linux' flags one by one: what each combination is, and that a fixed place is taken as it is.
TEST_F(Memory, FlagsSayHowAndWhere) {
    constexpr std::uint64_t kShared = 0x21, kSharedValidate = 0x23, kFixedNoReplace = 0x10'0000;
    for (const std::uint64_t flags : {kShared, kSharedValidate, kPrivateAnonymous}) {
        EXPECT_GT(map(0, 4096, kReadWrite, flags), 0) << flags;
    }
    for (const std::uint64_t flags : {0x20, 0x24, 0x28, 0x2f}) {
        EXPECT_EQ(map(0, 4096, kReadWrite, flags), error(Error::InvalidArgument)) << flags;
    }
    for (const std::uint64_t protection : {0, 1, 2, 3, 4, 5}) {
        EXPECT_GT(map(0, 4096, protection), 0) << protection;
    }
    for (const std::uint64_t protection : {6, 7, 8, 16}) {
        EXPECT_EQ(map(0, 4096, protection), error(Error::InvalidArgument)) << protection;
    }
    EXPECT_EQ(map(0x30'0123, 4096), 0x30'0000) << "a hint is rounded down";
    EXPECT_EQ(map(0x30'0000, 4096, kReadWrite, kPrivateAnonymous | kFixed | kFixedNoReplace),
              error(Error::Exists));
    EXPECT_EQ(map(0x31'0000, 4096, kReadWrite, kPrivateAnonymous | kFixedNoReplace), 0x31'0000);
    put(0x30'0000, std::uint32_t{9});
    EXPECT_EQ(map(0x30'0000, 4096, kReadWrite, kPrivateAnonymous | kFixed), 0x30'0000);
    EXPECT_EQ(get<std::uint32_t>(0x30'0000), 0U) << "replaced";
    EXPECT_NE(map(0x30'0000, 4096), 0x30'0000) << "a hint where something is";
    EXPECT_EQ(map(0x31'0800, 4096, kReadWrite, kPrivateAnonymous | kFixedNoReplace),
              error(Error::InvalidArgument));
}

TEST_F(Memory, ProtectionsAreObeyed) {
    const auto at = static_cast<std::uint64_t>(map(0, 2 * 4096));
    put(at, std::uint32_t{1});
    const auto may_read = [&] {
        return mm::copy_from_user(process().space(), std::as_writable_bytes(std::span{&word_, 1}),
                                  VirtAddr{at})
            .ok();
    };
    const auto may_write = [&] {
        return mm::copy_to_user(process().space(), VirtAddr{at}, std::as_bytes(std::span{&word_, 1})).ok();
    };
    EXPECT_EQ(call(Syscall::mprotect, at, 4096, 1), 0);
    EXPECT_TRUE(may_read());
    EXPECT_FALSE(may_write());
    EXPECT_EQ(call(Syscall::mprotect, at, 4096, 0), 0);
    EXPECT_FALSE(may_read());
    EXPECT_EQ(call(Syscall::mprotect, at, 4096, 5), 0);
    EXPECT_TRUE(may_read());
    EXPECT_FALSE(may_write());
    EXPECT_EQ(call(Syscall::mprotect, at, 4096, 3), 0);
    EXPECT_TRUE(may_write());
    EXPECT_EQ(call(Syscall::mprotect, at, 4096, 8), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::mprotect, at + 1, 4096, 1), error(Error::InvalidArgument));
}

TEST_F(Memory, AdviceIsTakenRefusedOrWithoutEffect) {
    for (std::uint64_t advice = 0; advice < 130; ++advice) {
        const bool is_known =
            (advice <= 4) || advice == 8 || (advice >= 14 && advice <= 17) || advice == 20 || advice == 21;
        EXPECT_EQ(call(Syscall::madvise, kMemory, 4096, advice), is_known ? 0 : error(Error::InvalidArgument))
            << advice;
    }
    for (const std::uint64_t advice : {4, 8}) {
        put(kMemory, std::uint32_t{5});
        put(kMemory + 4096, std::uint32_t{6});
        EXPECT_EQ(call(Syscall::madvise, kMemory, 4096, advice), 0);
        EXPECT_EQ(get<std::uint32_t>(kMemory), 0U) << advice;
        EXPECT_EQ(get<std::uint32_t>(kMemory + 4096), 6U);
    }
    put(kMemory, std::uint32_t{5});
    EXPECT_EQ(call(Syscall::madvise, kMemory, 4096, 3), 0);
    EXPECT_EQ(get<std::uint32_t>(kMemory), 5U);
}

TEST_F(Memory, BarriersAreRegisteredBeforeTheyArePrivate) {
    const auto barrier = [&](std::uint64_t command, std::uint64_t flags = 0) {
        return call(Syscall::membarrier, command, flags, 0).value_or(-9999);
    };
    const auto fences = [] { return arch::host::instruction_fences().size(); };
    EXPECT_EQ(barrier(0), 0x27f);
    EXPECT_EQ(barrier(0, 1), error(Error::InvalidArgument));
    EXPECT_EQ(fences(), 0U);
    EXPECT_EQ(barrier(1), 0);
    EXPECT_EQ(barrier(2), 0);
    EXPECT_EQ(fences(), 2U);
    EXPECT_EQ(barrier(8), error(Error::NotPermitted));
    EXPECT_EQ(barrier(0x20), error(Error::NotPermitted));
    EXPECT_EQ(barrier(0x200), 0) << "none so far";
    EXPECT_EQ(barrier(0x10), 0);
    EXPECT_EQ(barrier(0x200), 0x10);
    EXPECT_EQ(barrier(8), 0);
    EXPECT_EQ(barrier(0x20), error(Error::NotPermitted));
    EXPECT_EQ(barrier(0x40), 0);
    EXPECT_EQ(barrier(0x20), 0);
    EXPECT_EQ(barrier(4), 0);
    EXPECT_EQ(barrier(0x200), 0x54);
    EXPECT_EQ(fences(), 4U) << "registering is none";
    for (const std::uint64_t command : {3, 0x80, 0x100, 0x400}) {
        EXPECT_EQ(barrier(command), error(Error::InvalidArgument)) << command;
    }
}

TEST_F(Memory, InstructionsAreFlushedOnEveryHart) {
    EXPECT_EQ(call(Syscall::riscv_flush_icache, 0, 0, 2), error(Error::InvalidArgument));
    EXPECT_TRUE(arch::host::instruction_fences().empty());
    EXPECT_EQ(call(Syscall::riscv_flush_icache, 0, 0, 0), 0);
    EXPECT_EQ(call(Syscall::riscv_flush_icache, 0, 0, 1), 0) << "the thread may move";
    ASSERT_EQ(arch::host::instruction_fences().size(), 2U);
    EXPECT_EQ(arch::host::instruction_fences()[1].bits(), 3U);
}

TEST_F(Memory, TheAddressSpaceHasItsLimit) {
    constexpr std::uint64_t kAddressSpace = 9;
    process().space().set_break_base(VirtAddr{0x40'0000});
    EXPECT_EQ(call(Syscall::brk, 0x40'1000), 0x40'1000);
    const std::uint64_t mapped = process().space().mapped_bytes();
    put(kMemory, nexus_abi::rlimit64{.current = mapped + 3 * 4096, .maximum = ~std::uint64_t{0}});
    EXPECT_EQ(call(Syscall::prlimit64, 0, kAddressSpace, kMemory, 0), 0);
    EXPECT_EQ(map(0, 4 * 4096), error(Error::NoMemory));
    EXPECT_EQ(map(0, 3 * 4096 + 1), error(Error::NoMemory)) << "whole pages count";
    EXPECT_GT(map(0, 4096), 0);
    EXPECT_EQ(call(Syscall::brk, 0x40'3001), 0x40'1000) << "it stays where it was";
    EXPECT_EQ(call(Syscall::brk, 0x40'3000), 0x40'3000);
    EXPECT_EQ(map(0, 4096), error(Error::NoMemory));
    EXPECT_EQ(call(Syscall::brk, 0x40'0000), 0x40'0000) << "less is always possible";
    EXPECT_GT(map(0, 3 * 4096), 0);
}

TEST_F(Memory, FilesAreMappedAsTheirDescriptorsAllow) {
    constexpr std::uint64_t kShared = 1, kPrivate = 2;
    put_text(kMemory, "mapped");
    const std::int64_t fd = call(Syscall::memfd_create, kMemory, 0).value_or(-1);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(call(Syscall::ftruncate, fd, 3 * 4096), 0);
    const auto map_file = [&](std::uint64_t protection, std::uint64_t flags, std::uint64_t offset,
                              std::int64_t from) {
        return call(Syscall::mmap, 0, 4096, protection, flags, from, offset).value_or(-9999);
    };
    const std::int64_t shared = map_file(3, kShared, 4096, fd);
    const std::int64_t own = map_file(3, kPrivate, 4096, fd);
    ASSERT_GT(shared, 0);
    ASSERT_GT(own, 0);
    put(static_cast<std::uint64_t>(shared) + 8, std::uint32_t{77});
    EXPECT_EQ(get<std::uint32_t>(static_cast<std::uint64_t>(own) + 8), 77U)
        << "of the file, until it is written";
    put(static_cast<std::uint64_t>(own) + 8, std::uint32_t{78});
    EXPECT_EQ(get<std::uint32_t>(static_cast<std::uint64_t>(shared) + 8), 77U);
    EXPECT_EQ(map_file(3, kShared, 1, fd), error(Error::InvalidArgument));
    EXPECT_EQ(map_file(3, kShared, ~std::uint64_t{0xfff}, fd), error(Error::InvalidArgument))
        << "before its begin";
    EXPECT_EQ(map_file(3, kShared, 0, 77), error(Error::BadDescriptor));
    constexpr std::uint64_t kEnds = kMemory + 0x100;
    EXPECT_EQ(call(Syscall::pipe2, kEnds, 0), 0);
    EXPECT_EQ(map_file(1, kShared, 0, get<std::int32_t>(kEnds)), error(Error::NoDevice));
    EXPECT_EQ(map_file(1, kShared, 0, get<std::int32_t>(kEnds + 4)), error(Error::AccessDenied))
        << "cannot be read";
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
