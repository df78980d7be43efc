// SPDX-License-Identifier: MIT
#include "arch/riscv64/sbi.hpp"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace sbi = kernel::arch::sbi;
using kernel::Error;
using kernel::HartId;

namespace {

struct Call {
    sbi::Extension extension;
    std::uint64_t function;
    sbi::RawArguments arguments;
};
std::vector<Call> calls;
sbi::RawResult answer{0, 0};

class SbiTest : public testing::Test {
  protected:
    SbiTest() {
        calls.clear();
        answer = {0, 0};
    }
};

}  // namespace

// The firmware of this test: records the call, gives the answer.
sbi::RawResult sbi::raw_call(Extension extension, std::uint64_t function, const RawArguments& arguments) {
    calls.push_back({extension, function, arguments});
    return answer;
}

namespace {

TEST_F(SbiTest, EveryErrorCodeHasItsError) {
    const std::array<std::pair<std::int64_t, Error>, 10> table{{{-1, Error::Io},
                                                                {-2, Error::NotSupported},
                                                                {-3, Error::InvalidArgument},
                                                                {-4, Error::AccessDenied},
                                                                {-5, Error::BadAddress},
                                                                {-6, Error::Exists},
                                                                {-7, Error::Exists},
                                                                {-8, Error::Exists},
                                                                {-9, Error::NoMemory},
                                                                {-100, Error::Io}}};
    for (const auto& [code, error] : table) {
        answer = {code, 0};
        const auto result = sbi::set_timer(1);
        ASSERT_FALSE(result.ok()) << code;
        EXPECT_EQ(result.error(), error) << code;
    }
}

TEST_F(SbiTest, SpecVersionAndProbe) {
    answer = {0, (2LL << 24) | 1};
    EXPECT_EQ(sbi::spec_version().major, 2U);
    EXPECT_EQ(sbi::spec_version().minor, 1U);
    EXPECT_TRUE(sbi::has_extension(sbi::Extension::DebugConsole));
    EXPECT_EQ(calls.back().arguments.a0, 0x4442434eU);
    answer = {0, 0};
    EXPECT_FALSE(sbi::has_extension(sbi::Extension::SystemReset));
    answer = {-2, 99};
    EXPECT_FALSE(sbi::has_extension(sbi::Extension::Time)) << "firmware older than the Base extension";
}

TEST_F(SbiTest, OneGroupForHartsCloseTogether) {
    const std::array harts{HartId{3}, HartId{1}, HartId{4}, HartId{1}};
    EXPECT_TRUE(sbi::send_ipi(harts).ok());
    ASSERT_EQ(calls.size(), 1U);
    EXPECT_EQ(calls[0].extension, sbi::Extension::Ipi);
    EXPECT_EQ(calls[0].arguments.a0, 0b1101U);
    EXPECT_EQ(calls[0].arguments.a1, 1U);
}

TEST_F(SbiTest, HartsFarApartTakeSeveralGroups) {
    const std::array harts{HartId{64}, HartId{1000}, HartId{0}, HartId{63}};
    EXPECT_TRUE(sbi::remote_sfence_vma_asid(harts, kernel::VirtAddr{0x1000}, 0x2000, 7).ok());
    ASSERT_EQ(calls.size(), 3U);
    EXPECT_EQ(calls[0].arguments.a0, (1ULL << 63) | 1);
    EXPECT_EQ(calls[0].arguments.a1, 0U);
    EXPECT_EQ(calls[1].arguments.a0, 1U);
    EXPECT_EQ(calls[1].arguments.a1, 64U);
    EXPECT_EQ(calls[2].arguments.a1, 1000U);
    for (const Call& call : calls) {
        EXPECT_EQ(call.extension, sbi::Extension::Rfence);
        EXPECT_EQ(call.function, 2U);
        EXPECT_EQ(call.arguments.a2, 0x1000U);
        EXPECT_EQ(call.arguments.a3, 0x2000U);
        EXPECT_EQ(call.arguments.a4, 7U);
    }
}

TEST_F(SbiTest, NoHartsNoCall) {
    EXPECT_TRUE(sbi::remote_fence_i({}).ok());
    EXPECT_TRUE(calls.empty());
}

TEST_F(SbiTest, HighestHartIdsEnd) {
    const std::array harts{HartId{~std::uint64_t{0} - 1}, HartId{~std::uint64_t{0} - 3}};
    EXPECT_TRUE(sbi::send_ipi(harts).ok());
    ASSERT_EQ(calls.size(), 1U);
    EXPECT_EQ(calls[0].arguments.a0, 0b101U);
}

TEST_F(SbiTest, FirstErrorStops) {
    const std::array harts{HartId{0}, HartId{100}};
    answer = {-3, 0};
    EXPECT_EQ(sbi::remote_fence_i(harts).error(), Error::InvalidArgument);
    EXPECT_EQ(calls.size(), 1U);
}

TEST_F(SbiTest, HartStates) {
    answer = {0, 1};
    const auto stopped = sbi::hart_state(HartId{2});
    ASSERT_TRUE(stopped.ok());
    EXPECT_EQ(*stopped, sbi::HartState::Stopped);
    EXPECT_EQ(calls.back().function, 2U);
    answer = {0, 7};
    EXPECT_EQ(sbi::hart_state(HartId{2}).error(), Error::Io) << "a state the specification does not know";
    answer = {-3, 0};
    EXPECT_EQ(sbi::hart_state(HartId{9}).error(), Error::InvalidArgument);
}

TEST_F(SbiTest, StartPassesEntryAndOpaque) {
    EXPECT_TRUE(sbi::start_hart(HartId{4}, kernel::PhysAddr{0x80200000}, 42).ok());
    EXPECT_EQ(calls[0].extension, sbi::Extension::Hsm);
    EXPECT_EQ(calls[0].arguments.a0, 4U);
    EXPECT_EQ(calls[0].arguments.a1, 0x80200000U);
    EXPECT_EQ(calls[0].arguments.a2, 42U);
}

TEST_F(SbiTest, ResetTypeAndReason) {
    answer = {-2, 0};
    EXPECT_EQ(sbi::reset(sbi::ResetType::ColdReboot, sbi::ResetReason::SystemFailure).error(),
              Error::NotSupported);
    EXPECT_EQ(calls[0].arguments.a0, 1U);
    EXPECT_EQ(calls[0].arguments.a1, 1U);
}

TEST_F(SbiTest, ConsoleBytesAreNotSignExtended) {
    EXPECT_TRUE(sbi::debug_console_write_byte('\xff').ok());
    EXPECT_EQ(calls.back().arguments.a0, 0xffU);
    sbi::legacy_putchar('\xfe');
    EXPECT_EQ(calls.back().arguments.a0, 0xfeU);
    answer = {0, 3};
    const auto written = sbi::debug_console_write(kernel::PhysAddr{0x1000}, 5);
    ASSERT_TRUE(written.ok());
    EXPECT_EQ(*written, 3U);
}

TEST_F(SbiTest, TypedBytesAndTheOldTimer) {
    answer = {0, 1};
    const auto typed = sbi::debug_console_read(kernel::PhysAddr{0x2000}, 8);
    ASSERT_TRUE(typed.ok());
    EXPECT_EQ(*typed, 1U);
    EXPECT_EQ(calls.back().function, 1U);
    EXPECT_EQ(calls.back().arguments.a0, 8U);
    EXPECT_EQ(calls.back().arguments.a1, 0x2000U);
    answer = {-2, 0};
    sbi::legacy_set_timer(12345);
    EXPECT_EQ(calls.back().extension, sbi::Extension::LegacySetTimer);
    EXPECT_EQ(calls.back().arguments.a0, 12345U);
}

TEST_F(SbiTest, IdsOfTheCore) {
    answer = {0, 0x489};
    EXPECT_EQ(sbi::vendor_id(), 0x489U);
    EXPECT_EQ(calls.back().function, 4U);
    EXPECT_EQ(sbi::architecture_id(), 0x489U);
    EXPECT_EQ(calls.back().function, 5U);
    EXPECT_EQ(sbi::implementation_of_core(), 0x489U);
    EXPECT_EQ(calls.back().function, 6U);
    answer = {-2, 7};
    EXPECT_EQ(sbi::vendor_id(), 0U) << "firmware that does not tell";
}

TEST_F(SbiTest, LegacyGetcharKnowsNothingTyped) {
    answer = {-1, 0};
    EXPECT_EQ(sbi::legacy_getchar(), std::nullopt);
    answer = {-2, 0};
    EXPECT_EQ(sbi::legacy_getchar(), std::nullopt);
    answer = {'q', 0};
    EXPECT_EQ(sbi::legacy_getchar(), 'q');
}

}  // namespace
