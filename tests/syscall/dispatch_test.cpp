// SPDX-License-Identifier: MIT
#include "syscall/dispatch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>

#include "fake_task.hpp"
#include "nexus_abi/calls.hpp"

namespace kernel {
namespace {

using fake::error;
using nexus_abi::Error;
using nexus_abi::Support;
using nexus_abi::Syscall;

class Dispatch : public fake::SyscallTest {
  protected:
    std::optional<std::int64_t> call_with_junk(std::uint64_t number) {
        return call_number(0, number, {~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL});
    }
};

// Every number of both blocks is in the class its row says, and what has no row is refused.
TEST_F(Dispatch, EveryNumberBehavesAsItsClass) {
    std::map<std::uint32_t, Support> listed;
    for (const auto& row : nexus_abi::kCallRows) {
        listed[row.number] = row.support;
    }
    for (std::uint32_t number = 0; number < nexus_abi::kNeuronBlockEnd; ++number) {
        const auto row = listed.find(number);
        const auto result = call_with_junk(number);
        const bool is_refused = result == error(Error::NotImplemented);
        const bool should_be_refused = row == listed.end() || row->second == Support::Unsupported;
        EXPECT_EQ(is_refused && number != 98, should_be_refused)
            << number;  // futex refuses unknown operations itself
        task().run_state.store(task::RunState::Running);
    }
}

TEST_F(Dispatch, NumbersOutsideTheBlocksAreRefused) {
    for (const std::uint64_t number :
         {std::uint64_t{2048}, std::uint64_t{1} << 32, (std::uint64_t{1} << 32) + 172, ~std::uint64_t{0},
          ~std::uint64_t{0} - 1023}) {
        EXPECT_EQ(call_with_junk(number), error(Error::NotImplemented)) << number;
    }
}

TEST_F(Dispatch, NamesEachRefusedNumberOnceWhenAsked) {
    task().set_name("program");
    call_with_junk(1000);
    EXPECT_TRUE(fake::record().log.empty());
    syscall::report_refused_calls(true);
    for (const std::uint64_t number : {1000, 1001, 1000, 172, 2048}) {
        call_with_junk(number);
    }
    syscall::report_refused_calls(false);
    call_with_junk(1002);
    const std::string who = "program (tid " + std::to_string(task().tid().value()) + ")";
    EXPECT_THAT(fake::record().log, testing::ElementsAre("system call 1000 is not supported: " + who,
                                                         "system call 1001 is not supported: " + who));
}

TEST_F(Dispatch, StepsOverTheEcallAndReturnsInA0) {
    EXPECT_EQ(call(Syscall::gettid), task().tid().value());
    EXPECT_EQ(task().frame.pc, 0x1004U);
    EXPECT_EQ(task().frame.syscall_number(), 178U);
}

// An int parameter is the lower half of its register, as a C callee sees it.
TEST_F(Dispatch, UpperHalvesOfIntsAreIgnored) {
    EXPECT_EQ(call(Syscall::close, 0xffff'ffff'0000'0002), 0);
    EXPECT_EQ(call(Syscall::close, 2), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::close, 0x0000'0000'ffff'ffff), error(Error::BadDescriptor));
}

// With a part of the registers at hand, a call does what it does with all of them, or asks for them.
TEST_F(Dispatch, APartOfTheFrameIsEnoughForAllCallsButThree) {
    std::uint32_t asked = 0;
    for (std::uint32_t number = 0; number < nexus_abi::kNeuronBlockEnd; ++number) {
        const auto call = static_cast<Syscall>(number);
        task().frame.set_reg(17, number);
        const arch::TrapFrame before = task().frame;
        if (call == Syscall::clone || call == Syscall::execve || call == Syscall::rt_sigreturn) {
            const task::SysResult outcome = syscall::dispatch_with_part_of_frame(task());
            EXPECT_TRUE(outcome.wants_whole_frame()) << number;
            EXPECT_FALSE(outcome.has_value()) << number;
            EXPECT_EQ(task().frame.x, before.x) << number;
            ++asked;
        }
    }
    EXPECT_EQ(asked, 3U);
    for (const Syscall call :
         {Syscall::gettid, Syscall::getppid, Syscall::clone3, Syscall::sched_get_priority_max}) {
        task().frame = {};
        task().frame.set_reg(17, static_cast<std::uint64_t>(call));
        const task::SysResult with_part = syscall::dispatch_with_part_of_frame(task());
        const task::SysResult with_all = syscall::dispatch(task());
        ASSERT_TRUE(with_part.has_value() && with_all.has_value());
        EXPECT_EQ(with_part.value(), with_all.value());
        EXPECT_FALSE(with_all.wants_whole_frame());
    }
}

TEST_F(Dispatch, AWaitingCallRunsAgainWithItsArguments) {
    EXPECT_EQ(call(Syscall::read, 0, fake::kMemory, 10), std::nullopt);
    fake::record().input = "typed\n";
    syscall::console_input_ready();
    EXPECT_EQ(resume(0), 6);
    EXPECT_EQ(get<char>(fake::kMemory), 't');
}

}  // namespace
}  // namespace kernel
