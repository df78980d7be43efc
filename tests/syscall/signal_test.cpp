// SPDX-License-Identifier: MIT
#include "task/signal.hpp"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

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

// Each case with the handlers alone, and with the quick ways of some calls beside them.
class Signals : public fake::SyscallTest, public testing::WithParamInterface<bool> {
  protected:
    Signals() : SyscallTest{2} { fake::take_quick_ways(GetParam()); }
    ~Signals() override { fake::take_quick_ways(false); }
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

TEST_P(Signals, TheDefaultEndsTheProcess) {
    EXPECT_EQ(kill_self(kUser1), 0);
    EXPECT_EQ(end(), task::status_signaled(kUser1));
}

TEST_P(Signals, SomeAreIgnoredByDefault) {
    for (const std::uint32_t signal : {17U, 18U, 23U, 28U}) {
        EXPECT_EQ(kill_self(signal), 0);
        EXPECT_EQ(end(), std::nullopt) << signal;
    }
}

TEST_P(Signals, AStopHoldsEveryThreadUntilItIsContinued) {
    using Changes = std::vector<std::pair<task::Process*, task::ChildChange>>;
    kill_self(task::signal::kStop);
    EXPECT_EQ(task(0).run_state.load(), task::RunState::Blocking) << "the one that took it";
    EXPECT_EQ(fake::record().changes, Changes{}) << "the other has not stopped yet";
    deliver(task(1));
    EXPECT_EQ(task(1).run_state.load(), task::RunState::Blocking);
    const Changes stopped{{&process(), task::ChildChange::Stopped}};
    EXPECT_EQ(fake::record().changes, stopped);
    const task::SignalInfo info = task::SignalInfo::sent(task::signal::kFromUser, TaskId{5});
    EXPECT_TRUE(task::signal_process(process(), task::signal::kTerminate, info).ok());
    EXPECT_EQ(end(), std::nullopt) << "what would end it waits";
    EXPECT_EQ(fake::record().woken.size(), 0U);
    EXPECT_TRUE(task::signal_process(process(), task::signal::kContinue, info).ok());
    EXPECT_EQ(fake::record().woken.size(), 2U);
    const Changes continued{{&process(), task::ChildChange::Stopped},
                            {&process(), task::ChildChange::Continued}};
    EXPECT_EQ(fake::record().changes, continued);
    for (const std::size_t n : {0U, 1U}) {
        std::exchange(task(n).resume, nullptr)(task(n));
    }
    deliver(task(0));
    EXPECT_EQ(end(), task::status_signaled(task::signal::kTerminate));
}

TEST_P(Signals, AKillDoesNotWaitForAStoppedProcess) {
    kill_self(task::signal::kStop);
    deliver(task(1));
    EXPECT_TRUE(task::signal_process(process(), task::signal::kKill, {}).ok());
    EXPECT_EQ(end(), task::status_signaled(task::signal::kKill));
}

TEST_P(Signals, StopsAndSigcontTakeEachOthersPlace) {
    constexpr std::uint32_t kSuspend = task::signal::kTerminalStop;
    for (const std::size_t n : {0U, 1U}) {
        change_mask(n, kBlock, kSuspend);
        put(kMemory, task::signal::bit(task::signal::kContinue));
        ASSERT_EQ(call_as(n, Syscall::rt_sigprocmask, {kBlock, kMemory, 0, 8}), 0);
    }
    EXPECT_EQ(kill_self(kSuspend), 0);
    EXPECT_EQ(process().signals.pending.set(), task::signal::bit(kSuspend));
    EXPECT_EQ(kill_self(task::signal::kContinue), 0);
    EXPECT_EQ(process().signals.pending.set(), task::signal::bit(task::signal::kContinue));
    EXPECT_EQ(kill_self(kSuspend), 0);
    EXPECT_EQ(process().signals.pending.set(), task::signal::bit(kSuspend));
}

TEST_P(Signals, IgnoringIsObeyedExceptForKill) {
    act(kUser1, kIgnore);
    EXPECT_EQ(kill_self(kUser1), 0);
    EXPECT_EQ(end(), std::nullopt);
    EXPECT_EQ(kill_self(task::signal::kKill), 0);
    EXPECT_EQ(end(), task::status_signaled(task::signal::kKill));
}

TEST_P(Signals, KillAndStopCannotBeChanged) {
    for (const std::uint32_t signal : {9U, 19U}) {
        EXPECT_EQ(call(Syscall::rt_sigaction, signal, kMemory, 0, 8), error(Error::InvalidArgument));
        EXPECT_EQ(call(Syscall::rt_sigaction, signal, 0, kMemory, 8), 0) << "asking is fine";
    }
    EXPECT_EQ(call(Syscall::rt_sigaction, 65, 0, 0, 8), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::rt_sigaction, 0, 0, 0, 8), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::rt_sigaction, kUser1, 0, 0, 4), error(Error::InvalidArgument));
}

TEST_P(Signals, AProcessSignalGoesToAThreadThatDoesNotBlockIt) {
    change_mask(0, kBlock, kUser1);
    EXPECT_EQ(kill_self(kUser1), 0);
    EXPECT_EQ(end(), task::status_signaled(kUser1));
}

TEST_P(Signals, ABlockedSignalWaitsForItsUnblocking) {
    change_mask(0, kBlock, kUser1);
    change_mask(1, kBlock, kUser1);
    EXPECT_EQ(kill_self(kUser1), 0);
    EXPECT_EQ(end(), std::nullopt);
    change_mask(1, kUnblock, kUser1);
    EXPECT_EQ(end(), task::status_signaled(kUser1));
}

TEST_P(Signals, AThreadSignalWaitsForThatThread) {
    change_mask(0, kBlock, kUser1);
    EXPECT_EQ(call(Syscall::tgkill, process().pid().value(), task(0).tid().value(), kUser1), 0);
    EXPECT_EQ(end(), std::nullopt);
    change_mask(0, kUnblock, kUser1);
    EXPECT_EQ(end(), task::status_signaled(kUser1));
}

TEST_P(Signals, IgnoringDropsWhatIsPending) {
    change_mask(0, kBlock, kUser1);
    change_mask(1, kBlock, kUser1);
    EXPECT_EQ(kill_self(kUser1), 0);
    act(kUser1, kIgnore);
    act(kUser1, 0);
    change_mask(0, kUnblock, kUser1);
    EXPECT_EQ(end(), std::nullopt);
}

TEST_P(Signals, KillCannotBeBlocked) {
    change_mask(0, kBlock, task::signal::kKill);
    EXPECT_EQ(task(0).signal_mask.load(), 0U);
}

TEST_P(Signals, TheMaskIsReturnedAsItWas) {
    change_mask(0, kBlock, kUser1);
    EXPECT_EQ(call(Syscall::rt_sigprocmask, 99, 0, kMemory, 8), 0) << "how does not matter without a set";
    EXPECT_EQ(get<std::uint64_t>(kMemory), task::signal::bit(kUser1));
    EXPECT_EQ(call(Syscall::rt_sigprocmask, 99, kMemory, 0, 8), error(Error::InvalidArgument));
}

class SignalWaits : public Signals {
  protected:
    static constexpr std::uint64_t kSet = kMemory + 0x100;
    static constexpr std::uint64_t kInfo = kMemory + 0x200;
    static constexpr std::uint64_t kTime = kMemory + 0x300;

    void block_in_both(std::uint32_t signal) {
        change_mask(0, kBlock, signal);
        change_mask(1, kBlock, signal);
    }
    std::optional<std::int64_t> wait_for(std::size_t n, std::uint64_t set, std::uint64_t timeout = 0,
                                         std::uint64_t info = kInfo) {
        put(kSet, set);
        return call_as(n, Syscall::rt_sigtimedwait, {kSet, info, timeout, 8});
    }
    std::uint64_t time(std::int64_t ns) {
        put(kTime, nexus_abi::timespec{.seconds = 0, .nanoseconds = ns});
        return kTime;
    }
    static void send_to(task::Task& task, std::uint32_t signal) {
        EXPECT_TRUE(
            task::signal_task(task, signal, task::SignalInfo::sent(task::signal::kFromThread, TaskId{5}))
                .ok());
    }
    nexus_abi::siginfo info() { return get<nexus_abi::siginfo>(kInfo); }
    void child_ends(std::int32_t wait_status) {
        const LockGuard guard{task::family_lock()};
        task::signal_child_changed(process(), TaskId{77}, wait_status);
    }
};

TEST_P(SignalWaits, APendingSignalIsTakenAtOnce) {
    block_in_both(task::signal::kHangUp);
    EXPECT_EQ(kill_self(task::signal::kHangUp), 0);
    EXPECT_EQ(wait_for(0, task::signal::bit(task::signal::kHangUp)), task::signal::kHangUp);
    EXPECT_EQ(info().number, 1);
    EXPECT_EQ(info().code, task::signal::kFromUser);
    EXPECT_EQ(info().pid, static_cast<std::int32_t>(process().pid().value()));
    EXPECT_EQ(wait_for(0, task::signal::bit(task::signal::kHangUp), time(0)), error(Error::TryAgain))
        << "it is taken once";
    change_mask(0, kUnblock, task::signal::kHangUp);
    EXPECT_EQ(end(), std::nullopt);
}

TEST_P(SignalWaits, AWaiterGetsWhatIsSentLater) {
    block_in_both(kUser1);
    EXPECT_EQ(wait_for(0, task::signal::bit(kUser1) | task::signal::bit(2)), std::nullopt);
    EXPECT_EQ(call_as(1, Syscall::kill, {process().pid().value(), kUser1}), 0);
    EXPECT_EQ(resume(0), kUser1);
    EXPECT_EQ(info().number, static_cast<std::int32_t>(kUser1));
    EXPECT_EQ(end(), std::nullopt);
    EXPECT_EQ(call_as(1, Syscall::kill, {process().pid().value(), 2}), 0);
    EXPECT_EQ(end(), task::status_signaled(2)) << "not blocked: nobody's to wait for";
}

TEST_P(SignalWaits, AThreadsOwnSignalGoesToThatThread) {
    block_in_both(kUser1);
    EXPECT_EQ(wait_for(0, task::signal::bit(kUser1)), std::nullopt);
    EXPECT_EQ(wait_for(1, task::signal::bit(kUser1), 0, 0), std::nullopt);
    send_to(task(1), kUser1);
    EXPECT_EQ(resume(1), kUser1) << "without a place for the details";
    send_to(task(0), kUser1);
    EXPECT_EQ(resume(0), kUser1);
    EXPECT_EQ(info().code, task::signal::kFromThread);
    EXPECT_EQ(info().pid, 5);
}

TEST_P(SignalWaits, AChildsEndIsToldToAParentThatBlocksIt) {
    child_ends(task::status_exited(3));
    block_in_both(task::signal::kChild);
    EXPECT_EQ(wait_for(0, task::signal::bit(task::signal::kChild), time(0)), error(Error::TryAgain))
        << "what was not blocked is forgotten";
    child_ends(task::status_exited(3));
    EXPECT_EQ(wait_for(0, task::signal::bit(task::signal::kChild)), task::signal::kChild);
    EXPECT_EQ(info().code, task::signal::kChildExited);
    EXPECT_EQ(info().pid, 77);
    EXPECT_EQ(info().status, 3);
    EXPECT_EQ(wait_for(0, task::signal::bit(task::signal::kChild)), std::nullopt);
    child_ends(task::status_signaled(9));
    EXPECT_EQ(resume(0), task::signal::kChild);
    EXPECT_EQ(info().code, task::signal::kChildKilled);
    EXPECT_EQ(info().status, 9);
}

TEST_P(SignalWaits, TheDeadlineEndsTheWait) {
    block_in_both(kUser1);
    EXPECT_EQ(wait_for(0, task::signal::bit(kUser1), time(500)), std::nullopt);
    fake::expire(Instant::from_ns(1'000'000));
    EXPECT_EQ(resume(0), error(Error::TryAgain));
    EXPECT_EQ(kill_self(kUser1), 0);
    EXPECT_EQ(wait_for(1, task::signal::bit(kUser1)), kUser1) << "it stayed pending, nobody waited";
}

TEST_P(SignalWaits, TheSmallestNumberComesFirstAndTheThreadsOwnBeforeAll) {
    block_in_both(kUser1);
    block_in_both(task::signal::kHangUp);
    block_in_both(task::signal::kTerminate);
    const std::uint64_t all = ~std::uint64_t{0};
    EXPECT_EQ(kill_self(kUser1), 0);
    EXPECT_EQ(kill_self(task::signal::kHangUp), 0);
    send_to(task(0), task::signal::kTerminate);
    EXPECT_EQ(wait_for(0, all), task::signal::kTerminate);
    EXPECT_EQ(wait_for(0, all), task::signal::kHangUp);
    EXPECT_EQ(wait_for(0, all), kUser1);
}

TEST_P(SignalWaits, RefusesBadArguments) {
    EXPECT_EQ(call(Syscall::rt_sigtimedwait, kSet, 0, 0, 4), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::rt_sigtimedwait, 8, 0, 0, 8), error(Error::BadAddress));
    EXPECT_EQ(wait_for(0, 1, 8), error(Error::BadAddress));
    EXPECT_EQ(wait_for(0, 1, time(1'000'000'000)), error(Error::InvalidArgument));
}

TEST_P(Signals, OnlyOwnAndChildrenWithoutTheRight) {
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

INSTANTIATE_TEST_SUITE_P(Ways, Signals, testing::Bool());
class LoneSignals : public fake::SyscallTest, public testing::WithParamInterface<bool> {
  protected:
    LoneSignals() : SyscallTest{1} { fake::take_quick_ways(GetParam()); }
    ~LoneSignals() override { fake::take_quick_ways(false); }
    std::int64_t set(std::uint32_t signal, const kernel_sigaction& action) {
        put(kMemory, action);
        return call(Syscall::rt_sigaction, signal, kMemory, 0, 8).value_or(1);
    }
    kernel_sigaction ask(std::uint32_t signal) {
        put(kMemory + 64, kernel_sigaction{.handler = 7, .flags = 7, .mask = 7});
        EXPECT_EQ(call(Syscall::rt_sigaction, signal, 0, kMemory + 64, 8), 0);
        return get<kernel_sigaction>(kMemory + 64);
    }
    std::uint64_t pending() {
        EXPECT_EQ(call(Syscall::rt_sigpending, kMemory + 128, 8), 0);
        return get<std::uint64_t>(kMemory + 128);
    }
};

TEST_P(LoneSignals, ActionsAreAskedForAndSetAlike) {
    const auto expect = [&](std::uint32_t signal, std::uint64_t handler, std::uint64_t mask) {
        const kernel_sigaction now = ask(signal);
        EXPECT_EQ(now.handler, handler);
        EXPECT_EQ(now.flags, 0U);
        EXPECT_EQ(now.mask, mask);
    };
    const std::int64_t invalid = error(Error::InvalidArgument);
    // The first time, the memory has to be found.
    for (const bool is_at_hand : {false, true}) {
        SCOPED_TRACE(is_at_hand);
        EXPECT_EQ(set(kUser1, {}), 0);
        expect(kUser1, 0, 0);
        for (const std::uint32_t number : {0U, task::signal::kKill, task::signal::kStop, 65U}) {
            EXPECT_EQ(set(number, {}), invalid) << number;
        }
        expect(task::signal::kKill, 0, 0);
        EXPECT_EQ(call(Syscall::rt_sigaction, kUser1, kMemory, 0, 4), invalid);
        EXPECT_EQ(set(kUser1, {.handler = kIgnore, .flags = 0, .mask = 0}), 0);
        expect(kUser1, kIgnore, 0);
        EXPECT_EQ(set(kUser1, {.handler = 0, .flags = 0, .mask = 4}), 0);
        expect(kUser1, 0, 4);
        EXPECT_EQ(set(kUser1, {}), 0);
        expect(kUser1, 0, 0);
        EXPECT_EQ(set(64, {.handler = kIgnore, .flags = 0, .mask = 0}), 0);
        EXPECT_EQ(call(Syscall::rt_sigaction, 64, kMemory + 256, kMemory + 64, 8), 0) << "both at once";
        EXPECT_EQ(get<kernel_sigaction>(kMemory + 64).handler, kIgnore);
    }
}

// What is ignored by default and blocked stays pending until its action is set, to whatever it was.
TEST_P(LoneSignals, SettingTheDefaultDropsWhatIsPending) {
    put(kMemory, task::signal::bit(task::signal::kChild));
    ASSERT_EQ(call(Syscall::rt_sigprocmask, kBlock, kMemory, 0, 8), 0);
    for (const bool is_at_hand : {false, true}) {
        SCOPED_TRACE(is_at_hand);
        EXPECT_EQ(call(Syscall::kill, process().pid().value(), task::signal::kChild), 0);
        EXPECT_EQ(pending(), task::signal::bit(task::signal::kChild));
        EXPECT_EQ(set(task::signal::kChild, {}), 0);
        EXPECT_EQ(pending(), 0U);
        EXPECT_EQ(call(Syscall::tgkill, process().pid().value(), task(0).tid().value(), task::signal::kChild),
                  0);
        EXPECT_EQ(pending(), task::signal::bit(task::signal::kChild));
        EXPECT_EQ(set(task::signal::kChild, {}), 0);
        EXPECT_EQ(pending(), 0U);
    }
}

INSTANTIATE_TEST_SUITE_P(Ways, LoneSignals, testing::Bool());
INSTANTIATE_TEST_SUITE_P(Ways, SignalWaits, testing::Bool());

}  // namespace
}  // namespace kernel
