// SPDX-License-Identifier: MIT
// A GoogleTest binary on the target: the framework and a few things of libstdc++ that need the kernel.
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>

TEST(Target, ClockAdvances) {
    const auto start = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() == start) {
    }
    EXPECT_GT(std::chrono::steady_clock::now(), start);
}

TEST(Target, ReadsAFileOfTheArchive) {
    std::ifstream file{"/etc/motd"};
    std::string line;
    ASSERT_TRUE(std::getline(file, line));
    EXPECT_EQ(line, "a file of the test archive");
    EXPECT_FALSE(std::ifstream{"/etc/none"}.is_open());
}

TEST(Target, ThreadsShareMemory) {
    int value = 0;
    std::thread{[&] { value = 42; }}.join();
    EXPECT_EQ(value, 42);
}

TEST(Target, BigAllocationIsZeroOnDemand) {
    const std::string big(8U << 20U, 'x');
    EXPECT_EQ(big.back(), 'x');
}
