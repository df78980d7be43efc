// SPDX-License-Identifier: MIT
#include "task/signal.hpp"

#include <gtest/gtest.h>

#include "fake_task.hpp"
#include "task/lifecycle.hpp"

namespace kernel {
namespace {

using fake::error;
using fake::kMemory;
using nexus_abi::Error;
using nexus_abi::kernel_sigaction;
using nexus_abi::Syscall;

constexpr std::uint32_t kUser1 = 10;
constexpr std::uint64_t kIgnore = 1;
constexpr std::uint64_t kBlock = 0;
constexpr std::uint64_t kUnblock = 1;

class Signals : public fake::SyscallTest {
  protected:
    Signals() : SyscallTest{2} {}
    void act(std::uint32_t signal, std::uint64_t handler) {
        put(kMemory, kernel_sigaction{.handler = handler, .flags = 0, .mask = 0});
        ASSERT_EQ(call(Syscall::rt_sigaction, signal, kMemory, 0, 8), 0);
    }
    void change_mask(std::size_t n, std::uint64_t how, std::uint32_t signal) {
        put(kMemory, task::signal::bit(signal));
        ASSERT_EQ(call_as(n, Syscall::rt_sigprocmask, {how, kMemory, 0, 8}), 0);
    }
    std::optional<std::int32_t> end_of(const task::Process& which) {
        const auto found = fake::record().ended.find(const_cast<task::Process*>(&which));
        return found == fake::record().ended.end() ? std::nullopt : std::optional{found->second};
    }
    std::optional<std::int32_t> end() { return end_of(process()); }
    std::int64_t kill_self(std::uint32_t signal) {
        return call(Syscall::kill, process().pid().value(), signal).value_or(1);
    }
};

TEST_F(Signals, TheDefaultEndsTheProcess) {
    EXPECT_EQ(kill_self(kUser1), 0);
    EXPECT_EQ(end(), task::status_signaled(kUser1));
}

TEST_F(Signals, SomeAreIgnoredByDefault) {
    for (const std::uint32_t signal : {17U, 18U, 19U, 20U, 21U, 22U, 23U, 28U}) {
        EXPECT_EQ(kill_self(signal), 0);
        EXPECT_EQ(end(), std::nullopt) << signal;
    }
}

TEST_F(Signals, IgnoringIsObeyedExceptForKill) {
    act(kUser1, kIgnore);
    EXPECT_EQ(kill_self(kUser1), 0);
    EXPECT_EQ(end(), std::nullopt);
    EXPECT_EQ(kill_self(task::signal::kKill), 0);
    EXPECT_EQ(end(), task::status_signaled(task::signal::kKill));
}

TEST_F(Signals, ACaughtSignalTakesItsDefault) {
    act(kUser1, 0x1'2345);
    EXPECT_EQ(kill_self(kUser1), 0);
    EXPECT_EQ(end(), task::status_signaled(kUser1));
}

TEST_F(Signals, KillAndStopCannotBeChanged) {
    for (const std::uint32_t signal : {9U, 19U}) {
        EXPECT_EQ(call(Syscall::rt_sigaction, signal, kMemory, 0, 8), error(Error::InvalidArgument));
        EXPECT_EQ(call(Syscall::rt_sigaction, signal, 0, kMemory, 8), 0) << "asking is fine";
    }
    EXPECT_EQ(call(Syscall::rt_sigaction, 65, 0, 0, 8), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::rt_sigaction, 0, 0, 0, 8), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::rt_sigaction, kUser1, 0, 0, 4), error(Error::InvalidArgument));
}

TEST_F(Signals, AProcessSignalGoesToAThreadThatDoesNotBlockIt) {
    change_mask(0, kBlock, kUser1);
    EXPECT_EQ(kill_self(kUser1), 0);
    EXPECT_EQ(end(), task::status_signaled(kUser1));
}

TEST_F(Signals, ABlockedSignalWaitsForItsUnblocking) {
    change_mask(0, kBlock, kUser1);
    change_mask(1, kBlock, kUser1);
    EXPECT_EQ(kill_self(kUser1), 0);
    EXPECT_EQ(end(), std::nullopt);
    change_mask(1, kUnblock, kUser1);
    EXPECT_EQ(end(), task::status_signaled(kUser1));
}

TEST_F(Signals, AThreadSignalWaitsForThatThread) {
    change_mask(0, kBlock, kUser1);
    EXPECT_EQ(call(Syscall::tgkill, process().pid().value(), task(0).tid().value(), kUser1), 0);
    EXPECT_EQ(end(), std::nullopt);
    change_mask(0, kUnblock, kUser1);
    EXPECT_EQ(end(), task::status_signaled(kUser1));
}

TEST_F(Signals, IgnoringDropsWhatIsPending) {
    change_mask(0, kBlock, kUser1);
    change_mask(1, kBlock, kUser1);
    EXPECT_EQ(kill_self(kUser1), 0);
    act(kUser1, kIgnore);
    act(kUser1, 0);
    change_mask(0, kUnblock, kUser1);
    EXPECT_EQ(end(), std::nullopt);
}

TEST_F(Signals, KillCannotBeBlocked) {
    change_mask(0, kBlock, task::signal::kKill);
    EXPECT_EQ(task(0).signal_mask.load(), 0U);
}

TEST_F(Signals, TheMaskIsReturnedAsItWas) {
    change_mask(0, kBlock, kUser1);
    EXPECT_EQ(call(Syscall::rt_sigprocmask, 99, 0, kMemory, 8), 0) << "how does not matter without a set";
    EXPECT_EQ(get<std::uint64_t>(kMemory), task::signal::bit(kUser1));
    EXPECT_EQ(call(Syscall::rt_sigprocmask, 99, kMemory, 0, 8), error(Error::InvalidArgument));
}

TEST_F(Signals, OnlyOwnAndChildrenWithoutTheRight) {
    task::Task& child = add_process(true);
    task::Task& stranger = add_process(false);
    process().rights = 0;
    EXPECT_EQ(call(Syscall::kill, child.tid().value(), 0), 0);
    EXPECT_EQ(call(Syscall::kill, stranger.tid().value(), 15), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::kill, 30000, 15), error(Error::NotPermitted))
        << "does not tell whether it exists";
    EXPECT_EQ(end_of(stranger.process()), std::nullopt);
    process().rights = ~std::uint64_t{0};
    EXPECT_EQ(call(Syscall::kill, 30000, 15), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::kill, stranger.tid().value(), 15), 0);
    EXPECT_EQ(end_of(stranger.process()), task::status_signaled(15));
    EXPECT_EQ(call(Syscall::tgkill, process().pid().value(), child.tid().value(), 0),
              error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::kill, child.tid().value(), 65), error(Error::InvalidArgument));
}

}  // namespace
}  // namespace kernel
