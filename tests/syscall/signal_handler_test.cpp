// SPDX-License-Identifier: MIT
// Handlers: how they are entered and left, and what becomes of calls they interrupt.
#include <gtest/gtest.h>

#include "arch/host/host_machine.hpp"
#include "fake_task.hpp"
#include "syscall/dispatch.hpp"
#include "task/lifecycle.hpp"
#include "task/signal.hpp"
#include "task/signal_delivery.hpp"

namespace kernel {
namespace {

using fake::error;
using fake::kMemory;
using fake::kStackTop;
using nexus_abi::Error;
using nexus_abi::kernel_sigaction;
using nexus_abi::signal_stack;
using nexus_abi::Syscall;
using nexus_abi::timespec;
using task::SignalFrame;

constexpr std::uint64_t kHandler = 0x1'2340;
constexpr std::uint32_t kUser1 = 10;
constexpr std::uint32_t kUser2 = 12;
constexpr std::uint64_t kPc = 0x1000;
constexpr std::uint64_t kBlock = 0;

// Each case with the handlers alone, and with the quick ways of some calls beside them.
class Handlers : public fake::SyscallTest, public testing::WithParamInterface<bool> {
  protected:
    Handlers() : SyscallTest{2} { fake::take_quick_ways(GetParam()); }
    ~Handlers() override { fake::take_quick_ways(false); }
    void act(std::uint32_t signal, std::uint64_t flags = 0, std::uint64_t mask = 0) {
        put(kMemory, kernel_sigaction{.handler = kHandler, .flags = flags, .mask = mask});
        ASSERT_EQ(call(Syscall::rt_sigaction, signal, kMemory, 0, 8), 0);
    }
    void block(std::size_t n, std::uint64_t set) {
        put(kMemory, set);
        ASSERT_EQ(call_as(n, Syscall::rt_sigprocmask, {kBlock, kMemory, 0, 8}), 0);
    }
    // Of task 0, whose last call it interrupts on its way out.
    void raise(std::uint32_t signal) {
        call(Syscall::tgkill, process().pid().value(), task(0).tid().value(), signal);
    }
    std::int64_t raise_from_other(std::uint32_t signal) {
        return call_as(1, Syscall::tgkill, {process().pid().value(), task(0).tid().value(), signal})
            .value_or(1);
    }
    [[nodiscard]] bool is_in_handler(std::size_t n = 0) const { return task(n).frame.pc == kHandler; }
    [[nodiscard]] SignalFrame frame() { return get<SignalFrame>(task(0).frame.stack_pointer()); }
    void leave_handler() {
        task(0).frame.set_reg(17, static_cast<std::uint64_t>(Syscall::rt_sigreturn));
        static_cast<void>(task::return_from_handler(task(0)));
        deliver(task(0));
    }
    [[nodiscard]] bool has_ended() const { return !fake::record().ended.empty(); }
};

TEST_P(Handlers, AreEnteredWithTheFrameLinuxMakes) {
    act(kUser1, 0, task::signal::bit(kUser2));
    task(0).fp.f[7] = 0x4045'0000'0000'0000;
    task(0).fp.fcsr = 0x21;
    raise(kUser1);
    ASSERT_TRUE(is_in_handler());
    const arch::TrapFrame& now = task(0).frame;
    EXPECT_EQ(now.argument(0), kUser1);
    EXPECT_EQ(now.stack_pointer() % 16, 0U);
    EXPECT_EQ(now.argument(1), now.stack_pointer());
    EXPECT_EQ(now.argument(2), now.stack_pointer() + 128);
    EXPECT_EQ(now.return_address(), task::kTrampoline.value());
    const SignalFrame made = frame();
    EXPECT_EQ(made.info.number, static_cast<std::int32_t>(kUser1));
    EXPECT_EQ(made.info.code, task::signal::kFromThread);
    EXPECT_EQ(made.info.pid, static_cast<std::int32_t>(process().pid().value()));
    EXPECT_EQ(made.registers.pc, kPc + 4) << "behind the ecall";
    EXPECT_EQ(made.registers.argument(0), 0U) << "the call's result";
    EXPECT_EQ(made.registers.stack_pointer(), kStackTop);
    EXPECT_EQ(made.f[7], 0x4045'0000'0000'0000U);
    EXPECT_EQ(made.fcsr, 0x21U);
    EXPECT_EQ(made.mask, 0U);
    EXPECT_EQ(task(0).signal_mask.load(), task::signal::bit(kUser1) | task::signal::bit(kUser2));
    leave_handler();
    EXPECT_EQ(task(0).frame.pc, kPc + 4);
    EXPECT_EQ(task(0).frame.stack_pointer(), kStackTop);
    EXPECT_EQ(task(0).signal_mask.load(), 0U);
    EXPECT_EQ(task(0).fp.f[7], 0x4045'0000'0000'0000U);
    EXPECT_EQ(task(0).fp_epoch, 0U) << "the registers are loaded anew";
}

TEST_P(Handlers, WhatAFrameSaysIsNoMoreThanAProgramCouldDoItself) {
    act(kUser1);
    raise(kUser1);
    SignalFrame changed = frame();
    changed.mask = ~std::uint64_t{0};
    changed.fcsr = ~std::uint64_t{0};
    changed.registers.pc = 0xffff'ffff'8000'0000;
    put(task(0).frame.stack_pointer(), changed);
    leave_handler();
    EXPECT_EQ(task(0).signal_mask.load() & (task::signal::bit(9) | task::signal::bit(19)), 0U);
    EXPECT_EQ(task(0).fp.fcsr, 0xffU);
    EXPECT_EQ(task(0).frame.pc, 0xffff'ffff'8000'0000U) << "user mode faults there";
}

TEST_P(Handlers, AFrameThatIsNotThereEndsTheProcess) {
    task(0).frame.set_stack_pointer(8);
    leave_handler();
    EXPECT_TRUE(has_ended());
}

TEST_P(Handlers, AStackThatIsNotThereEndsTheProcess) {
    act(kUser1);
    block(0, task::signal::bit(kUser1));
    raise(kUser1);
    task(0).frame.set_stack_pointer(64);
    task::set_signal_mask(task(0), 0);
    deliver(task(0));
    EXPECT_EQ(fake::record().ended[&process()], task::status_signaled(task::signal::kSegmentation));
}

TEST_P(Handlers, ResetHandlerRunsOnceAndNoDeferLeavesItOpen) {
    act(kUser1, task::signal::kResetHandler | task::signal::kNoDefer);
    raise(kUser1);
    ASSERT_TRUE(is_in_handler());
    EXPECT_EQ(task(0).signal_mask.load(), 0U);
    leave_handler();
    raise(kUser1);
    EXPECT_TRUE(has_ended()) << "its default";
}

TEST_P(Handlers, TheSecondStandsOnTopOfTheFirst) {
    act(kUser1);
    act(kUser2);
    block(0, task::signal::bit(kUser1) | task::signal::bit(kUser2));
    raise(kUser1);
    raise(kUser2);
    EXPECT_FALSE(is_in_handler());
    task::set_signal_mask(task(0), 0);
    deliver(task(0));
    ASSERT_TRUE(is_in_handler());
    EXPECT_EQ(task(0).frame.argument(0), kUser2) << "the last one entered runs first";
    EXPECT_EQ(frame().registers.pc, kHandler);
    leave_handler();
    EXPECT_EQ(task(0).frame.argument(0), kUser1);
    leave_handler();
    EXPECT_EQ(task(0).frame.pc, kPc + 4);
}

TEST_P(Handlers, AnAlternateStackIsUsedByThoseThatAskForIt) {
    constexpr std::uint64_t kAlternate = kMemory + 0x4000;
    constexpr std::uint64_t kSmall = kMemory + 0x100;
    put(kSmall, signal_stack{.start = kAlternate, .flags = 0, .pad = 0, .bytes = 2047});
    EXPECT_EQ(call(Syscall::sigaltstack, kSmall, 0), error(Error::NoMemory));
    put(kSmall, signal_stack{.start = kAlternate, .flags = 8, .pad = 0, .bytes = 8192});
    EXPECT_EQ(call(Syscall::sigaltstack, kSmall, 0), error(Error::InvalidArgument));
    put(kSmall, signal_stack{.start = kAlternate, .flags = 0, .pad = 0, .bytes = 8192});
    EXPECT_EQ(call(Syscall::sigaltstack, kSmall, 0), 0);
    act(kUser1, task::signal::kOnAlternateStack);
    act(kUser2);
    raise(kUser2);
    EXPECT_GT(task(0).frame.stack_pointer(), kAlternate + 8192);
    leave_handler();
    raise(kUser1);
    ASSERT_TRUE(is_in_handler());
    const std::uint64_t sp = task(0).frame.stack_pointer();
    EXPECT_EQ(sp, kAlternate + 8192 - sizeof(SignalFrame));
    EXPECT_EQ(frame().stack.flags, 0U) << "it was not in use yet";
    EXPECT_EQ(task::read_alternate_stack(task(0)).flags, task::kStackInUse);
    EXPECT_EQ(task::set_alternate_stack(task(0), {}).error(), Error::NotPermitted);
    leave_handler();
    EXPECT_EQ(task::read_alternate_stack(task(0)).flags, 0U);
    put(kSmall, signal_stack{.start = 0, .flags = task::kStackDisabled, .pad = 0, .bytes = 0});
    EXPECT_EQ(call(Syscall::sigaltstack, kSmall, 0), 0);
    EXPECT_EQ(task::read_alternate_stack(task(0)).flags, task::kStackDisabled);
}

static_assert(task::place_frame(0x10'0000, 0, 0, false, true).address == 0x10'0000 - 1088);
static_assert(!task::place_frame(64, 0, 0, false, false).fits);
static_assert(!task::place_frame(0x8000 + 512, 0x8000, 4096, true, true).fits, "it would overflow");
static_assert(!task::place_frame(0x10'0000, 0x8000, 512, false, true).fits);

TEST_P(Handlers, ASleepEndsWithWhatIsLeft) {
    act(kUser1, task::signal::kRestart);
    put(kMemory, timespec{.seconds = 10, .nanoseconds = 0});
    ASSERT_EQ(call(Syscall::nanosleep, kMemory, kMemory + 16), std::nullopt);
    arch::host::advance(Duration::milliseconds(4000));
    EXPECT_EQ(raise_from_other(kUser1), 0);
    deliver(task(0));
    ASSERT_TRUE(is_in_handler());
    EXPECT_EQ(get<timespec>(kMemory + 16).seconds, 6);
    leave_handler();
    EXPECT_EQ(result_of(0), error(Error::Interrupted)) << "sleeps never begin anew";
    EXPECT_EQ(task(0).frame.pc, kPc + 4);
    EXPECT_EQ(task(0).call_progress, 0U);
}

TEST_P(Handlers, ASleepOnAClockTellsWhatIsLeftWhereItsFourthArgumentSays) {
    act(kUser1);
    const auto interrupted_after = [&](std::int64_t ms, std::uint64_t flags, std::uint64_t place) {
        put(kMemory, timespec{.seconds = 10, .nanoseconds = 5});
        put(kMemory + 16, timespec{.seconds = 77, .nanoseconds = 77});
        arch::host::set_now(Instant::from_ns(1'000'000'000));
        ASSERT_EQ(call(Syscall::clock_nanosleep, 1, flags, kMemory, place), std::nullopt);
        arch::host::advance(Duration::milliseconds(ms));
        EXPECT_EQ(raise_from_other(kUser1), 0);
        deliver(task(0));
        ASSERT_TRUE(is_in_handler());
        leave_handler();
        EXPECT_EQ(result_of(0), error(Error::Interrupted));
    };
    interrupted_after(4000, 0, kMemory + 16);
    EXPECT_EQ(get<timespec>(kMemory + 16).seconds, 6);
    EXPECT_EQ(get<timespec>(kMemory + 16).nanoseconds, 5);
    interrupted_after(10'001, 0, kMemory + 16);
    EXPECT_EQ(get<timespec>(kMemory + 16).seconds, 0) << "it is over, and the signal came first";
    EXPECT_EQ(get<timespec>(kMemory + 16).nanoseconds, 0);
    interrupted_after(4000, 1, kMemory + 16);
    EXPECT_EQ(get<timespec>(kMemory + 16).seconds, 77) << "until a time: nothing is left to tell";
    interrupted_after(4000, 0, 0);
    interrupted_after(4000, 0, 8);
}

TEST_P(Handlers, ASleepGoesOnUntilItsTimeWhenThereIsNoHandlerAfterAll) {
    act(kUser1);
    put(kMemory, timespec{.seconds = 10, .nanoseconds = 0});
    ASSERT_EQ(call(Syscall::nanosleep, kMemory, 0), std::nullopt);
    const Instant until = task(0).wait.deadline;
    arch::host::advance(Duration::milliseconds(4000));
    EXPECT_EQ(raise_from_other(kUser1), 0);
    put(kMemory + 32, kernel_sigaction{.handler = 1, .flags = 0, .mask = 0});
    ASSERT_EQ(call_as(1, Syscall::rt_sigaction, {kUser1, kMemory + 32, 0, 8}), 0);
    deliver(task(0));
    ASSERT_EQ(task(0).frame.pc, kPc) << "on its ecall";
    syscall::handle_syscall(task(0));
    EXPECT_EQ(task(0).run_state.load(), task::RunState::Blocking);
    EXPECT_EQ(task(0).wait.deadline, until);
    EXPECT_EQ(task(0).call_progress, 0U);
}

TEST_P(Handlers, AFutexWaitBeginsAnewWhereTheHandlerAllowsIt) {
    act(kUser1);
    act(kUser2, task::signal::kRestart);
    put(kMemory + 64, std::uint32_t{5});
    ASSERT_EQ(call(Syscall::futex, kMemory + 64, 0, 5, 0, 0, 0), std::nullopt);
    EXPECT_EQ(raise_from_other(kUser1), 0);
    deliver(task(0));
    ASSERT_TRUE(is_in_handler());
    leave_handler();
    EXPECT_EQ(result_of(0), error(Error::Interrupted));
    ASSERT_EQ(call(Syscall::futex, kMemory + 64, 0, 5, 0, 0, 0), std::nullopt);
    EXPECT_EQ(raise_from_other(kUser2), 0);
    deliver(task(0));
    ASSERT_TRUE(is_in_handler());
    leave_handler();
    EXPECT_EQ(task(0).frame.pc, kPc) << "on its ecall";
    EXPECT_EQ(task(0).frame.argument(0), kMemory + 64) << "with its arguments";
}

TEST_P(Handlers, AnIgnoredSignalDoesNotInterrupt) {
    put(kMemory + 64, std::uint32_t{5});
    ASSERT_EQ(call(Syscall::futex, kMemory + 64, 0, 5, 0, 0, 0), std::nullopt);
    EXPECT_EQ(raise_from_other(task::signal::kChild), 0);
    EXPECT_EQ(task(0).run_state.load(), task::RunState::Blocked);
}

TEST_P(Handlers, SuspendPutsTheMaskBackBehindTheHandler) {
    act(kUser1);
    const std::uint64_t blocked = task::signal::bit(kUser1) | task::signal::bit(3);
    block(0, blocked);
    put(kMemory + 64, std::uint64_t{0});
    ASSERT_EQ(call(Syscall::rt_sigsuspend, kMemory + 64, 8), std::nullopt);
    EXPECT_EQ(task(0).signal_mask.load(), 0U);
    EXPECT_EQ(raise_from_other(kUser1), 0);
    deliver(task(0));
    ASSERT_TRUE(is_in_handler());
    EXPECT_EQ(frame().mask, blocked);
    leave_handler();
    EXPECT_EQ(result_of(0), error(Error::Interrupted));
    EXPECT_EQ(task(0).signal_mask.load(), blocked);
}

TEST_P(Handlers, RealTimeSignalsAreQueuedAndOthersAreNot) {
    constexpr std::uint32_t kRealTime = 34;
    block(0, task::signal::bit(kRealTime) | task::signal::bit(kUser1));
    block(1, task::signal::bit(kRealTime) | task::signal::bit(kUser1));
    nexus_abi::siginfo info{};
    info.code = task::signal::kFromQueue;
    for (std::int32_t value = 1; value <= 3; ++value) {
        info.status = value;
        put(kMemory + 256, info);
        EXPECT_EQ(call(Syscall::rt_sigqueueinfo, process().pid().value(), kRealTime, kMemory + 256), 0);
        EXPECT_EQ(call(Syscall::rt_sigqueueinfo, process().pid().value(), kUser1, kMemory + 256), 0);
    }
    EXPECT_EQ(call(Syscall::rt_sigpending, kMemory + 512, 8), 0);
    EXPECT_EQ(get<std::uint64_t>(kMemory + 512), task::signal::bit(kRealTime) | task::signal::bit(kUser1));
    task::SignalInfo taken;
    const auto take = [&](std::uint32_t number) {
        return task::wait_for_signal(task(0), task::signal::bit(number), Instant{}, Instant{}, nullptr, taken)
            .value();
    };
    for (std::uint64_t value = 1; value <= 3; ++value) {
        EXPECT_EQ(take(kRealTime), kRealTime);
        EXPECT_EQ(taken.second, value);
    }
    EXPECT_EQ(take(kRealTime), error(Error::TryAgain));
    EXPECT_EQ(take(kUser1), kUser1);
    EXPECT_EQ(taken.second, 1U) << "the first one counts";
    EXPECT_EQ(take(kUser1), error(Error::TryAgain));
}

TEST_P(Handlers, TheQueueHasAnEnd) {
    constexpr std::uint32_t kRealTime = 40;
    block(0, task::signal::bit(kRealTime));
    const task::SignalInfo info = task::SignalInfo::sent(task::signal::kFromQueue, TaskId{1});
    for (std::uint32_t i = 0; i < task::kMaxQueuedSignals; ++i) {
        ASSERT_TRUE(task::signal_task(task(0), kRealTime, info).ok());
    }
    EXPECT_EQ(task::signal_task(task(0), kRealTime, info).error(), Error::TryAgain);
}

TEST_P(Handlers, OnlyTheKernelSaysThatItSentASignal) {
    task::Task& other = add_process(true);
    nexus_abi::siginfo info{};
    for (const std::int32_t code : {0, 0x80, task::signal::kFromThread}) {
        info.code = code;
        put(kMemory + 256, info);
        EXPECT_EQ(call(Syscall::rt_sigqueueinfo, other.process().pid().value(), 0, kMemory + 256),
                  error(Error::NotPermitted));
        EXPECT_EQ(call(Syscall::rt_sigqueueinfo, process().pid().value(), 0, kMemory + 256), 0);
    }
    info.code = task::signal::kFromQueue;
    put(kMemory + 256, info);
    EXPECT_EQ(call(Syscall::rt_sigqueueinfo, other.process().pid().value(), 0, kMemory + 256), 0);
}

TEST_P(Handlers, FaultsGoToTheirHandlerUnlessItIsBlocked) {
    const task::SignalInfo info = task::SignalInfo::fault(task::signal::kNotMapped, 0xdead'b000);
    EXPECT_FALSE(task::signal_fault(task(0), task::signal::kSegmentation, info)) << "there is none";
    act(task::signal::kSegmentation);
    act(task::signal::kHangUp);
    task(0).frame.pc = kPc;
    block(0, task::signal::bit(task::signal::kHangUp));
    ASSERT_TRUE(task::signal_fault(task(0), task::signal::kSegmentation, info));
    deliver(task(0));
    ASSERT_TRUE(is_in_handler());
    EXPECT_EQ(get<std::uint64_t>(task(0).frame.stack_pointer() + 16), 0xdead'b000U) << "si_addr";
    EXPECT_EQ(frame().info.code, task::signal::kNotMapped);
    EXPECT_FALSE(task::signal_fault(task(0), task::signal::kSegmentation, info)) << "it faults itself";
}

TEST_P(Handlers, AThreadThatBlocksASignalLeavesItToTheOthers) {
    act(kUser1);
    block(0, task::signal::bit(kUser1));
    EXPECT_EQ(call(Syscall::kill, process().pid().value(), kUser1), 0);
    EXPECT_FALSE(is_in_handler(0));
    task(1).frame.set_stack_pointer(kStackTop);
    deliver(task(1));
    EXPECT_TRUE(is_in_handler(1));
}

TEST_P(Handlers, WhatAThreadBeginsToBlockIsOfferedToTheOthers) {
    act(kUser1);
    block(0, task::signal::bit(kUser2));
    block(1, task::signal::bit(kUser1));
    put(kMemory + 64, std::uint32_t{5});
    ASSERT_EQ(call_as(1, Syscall::futex, {kMemory + 64, 0, 5, 0, 0, 0}), std::nullopt);
    // Task 0 is chosen, and blocks it before it has looked.
    EXPECT_TRUE(
        task::signal_process(process(), kUser1, task::SignalInfo::sent(task::signal::kFromUser, TaskId{1}))
            .ok());
    task::set_signal_mask(task(0), task::signal::bit(kUser1));
    deliver(task(0));
    EXPECT_FALSE(is_in_handler(0));
    task::set_signal_mask(task(1), 0);
    deliver(task(1));
    EXPECT_TRUE(is_in_handler(1));
}

INSTANTIATE_TEST_SUITE_P(Ways, Handlers, testing::Bool());

}  // namespace
}  // namespace kernel
