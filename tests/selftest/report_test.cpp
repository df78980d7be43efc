// SPDX-License-Identifier: MIT
#include "report.hpp"

#include <gtest/gtest.h>

#include "options.hpp"

namespace {

using selftest::decode_report;
using selftest::encode_report;
using selftest::Report;
using selftest::WorkerState;

TEST(Report, FitsATaskNameAndComesBack) {
    for (const Report& report :
         {Report{WorkerState::Ready, 0, 0}, Report{WorkerState::Partial, 1, 0},
          Report{WorkerState::Done, 0xabcdef, selftest::kReportMax}, Report{WorkerState::Late, 0, 0}}) {
        const std::string name = encode_report(report);
        EXPECT_EQ(name.size(), 15U) << name;
        const auto back = decode_report(name);
        ASSERT_TRUE(back.has_value()) << name;
        EXPECT_EQ(back->state, report.state);
        EXPECT_EQ(back->first, report.first);
        EXPECT_EQ(back->second, report.second);
    }
}

TEST(Report, TooLargeFiguresSaturate) {
    const auto back = decode_report(encode_report({WorkerState::Done, ~std::uint64_t{0}, 0x1000'0000}));
    ASSERT_TRUE(back.has_value());
    EXPECT_EQ(back->first, selftest::kReportMax);
    EXPECT_EQ(back->second, selftest::kReportMax);
}

TEST(Report, OrdinaryNamesAreNoReports) {
    for (const char* name : {"", "selftest", "!0000001000000", "!000000100000022", "?00000010000002",
                             "!0000g010000002", "!-000001000000f"}) {
        EXPECT_FALSE(decode_report(name).has_value()) << name;
    }
}

TEST(Options, CasesAndStay) {
    EXPECT_EQ(selftest::parse_options("").case_name, "");
    EXPECT_FALSE(selftest::parse_options("").stay);
    EXPECT_EQ(selftest::parse_options("shares").case_name, "shares");
    EXPECT_TRUE(selftest::parse_options("stay").stay);
    EXPECT_EQ(selftest::parse_options("stay").case_name, "");
    const auto both = selftest::parse_options("affinity,stay,");
    EXPECT_EQ(both.case_name, "affinity");
    EXPECT_TRUE(both.stay);
    EXPECT_EQ(selftest::parse_options("shares,affinity").case_name, "affinity");
    const auto longer = selftest::parse_options("stay,stress:10000");
    EXPECT_EQ(longer.case_name, "stress");
    EXPECT_EQ(longer.milliseconds, 10'000U);
    EXPECT_EQ(selftest::parse_options("stress:10000,pi").milliseconds, 0U);
    for (const char* wrong : {"stress:", "stress:1s", "stress:-1", "stress:99999999999999999999"}) {
        EXPECT_EQ(selftest::parse_options(wrong).case_name, wrong);
    }
}

}  // namespace
