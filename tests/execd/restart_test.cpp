// SPDX-License-Identifier: MIT
#include "restart.hpp"

#include <gmock/gmock.h>

#include "notation.hpp"

namespace {

using namespace std::chrono_literals;
using execd::Backoff;
using execd::ExitReason;
using execd::RestartPolicy;

TEST(Backoff, DoublesFrom100MillisecondsTo5Seconds) {
    Backoff backoff;
    for (const auto pause : {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 5000ms, 5000ms}) {
        EXPECT_EQ(backoff.next(1ms), pause);
    }
}

TEST(Backoff, BeginsAnewAfterAHealthyTime) {
    Backoff backoff;
    EXPECT_EQ(backoff.next(0s), 100ms);
    EXPECT_EQ(backoff.next(0s), 200ms);
    EXPECT_EQ(backoff.next(9'999ms), 400ms);
    EXPECT_EQ(backoff.next(10s), 100ms);
    EXPECT_EQ(backoff.next(0s), 200ms);
}

TEST(ExitReason, SaysStatusOrSignal) {
    EXPECT_EQ(ExitReason{0x0000}.describe(), "exited (status 0)");
    EXPECT_EQ(ExitReason{0x0300}.describe(), "exited (status 3)");
    EXPECT_EQ(ExitReason{0xff00}.describe(), "exited (status 255)");
    EXPECT_EQ(ExitReason{11}.describe(), "killed by signal 11");
    EXPECT_EQ(ExitReason{0x80 | 6}.describe(), "killed by signal 6");  // with a core dump
}

TEST(ExitReason, OnlyStatus0IsSuccess) {
    EXPECT_TRUE(ExitReason{0}.is_success());
    EXPECT_FALSE(ExitReason{0x0100}.is_success());
    EXPECT_FALSE(ExitReason{9}.is_success());
}

TEST(RestartPolicy, DecidesByHowTheServiceEnded) {
    EXPECT_FALSE(execd::wants_restart(RestartPolicy::No, true));
    EXPECT_FALSE(execd::wants_restart(RestartPolicy::No, false));
    EXPECT_FALSE(execd::wants_restart(RestartPolicy::OnFailure, true));
    EXPECT_TRUE(execd::wants_restart(RestartPolicy::OnFailure, false));
    EXPECT_TRUE(execd::wants_restart(RestartPolicy::Always, true));
    EXPECT_TRUE(execd::wants_restart(RestartPolicy::Always, false));
}

}  // namespace
