// SPDX-License-Identifier: MIT
#include "lib/format.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace kernel {
namespace {

template <class... Values>
std::string format(const Values&... values) {
    Line<256> line;
    (line << ... << values);
    EXPECT_FALSE(line.is_truncated());
    return std::string{line.text()};
}

TEST(LineWriter, Integers) {
    EXPECT_EQ(format(0, ' ', 7U, ' ', -1), "0 7 -1");
    EXPECT_EQ(format(std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
    EXPECT_EQ(format(std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
    EXPECT_EQ(format(std::numeric_limits<std::int64_t>::max()), "9223372036854775807");
    EXPECT_EQ(format(std::uint8_t{65}, ',', std::int8_t{-65}), "65,-65")
        << "bytes are numbers, not characters";
}

TEST(LineWriter, Hexadecimal) {
    EXPECT_EQ(format(hex(0U)), "0x0");
    EXPECT_EQ(format(hex(0x80200000U)), "0x80200000");
    EXPECT_EQ(format(hex(0xabU, 8)), "0x000000ab");
    EXPECT_EQ(format(hex(std::numeric_limits<std::uint64_t>::max(), 4)), "0xffffffffffffffff");
    EXPECT_EQ(format(hex(1U, 0)), "0x1");
    EXPECT_EQ(format(hex(1U, 99)), "0x0000000000000001");
}

TEST(LineWriter, Padding) {
    EXPECT_EQ(format(padded(7, 3), '|', padded(7, 3, '0'), '|', padded(12345, 3)), "  7|007|12345");
}

TEST(LineWriter, TextAndBooleans) {
    EXPECT_EQ(format("a", std::string_view{"bc"}, 'd', true, false), "abcdyesno");
    EXPECT_EQ(format(std::string_view{}), "");
}

TEST(LineWriter, KernelTypes) {
    EXPECT_EQ(format(CpuId{3}, ' ', HartId{4}, ' ', TaskId{17}), "3 4 17");
    EXPECT_EQ(format(PhysAddr{0x80000000}, ' ', VirtAddr{0x10000}), "0x80000000 0x10000");
    EXPECT_EQ(format(CpuMask::first(4)), "0xf");
    const int* pointer = nullptr;
    EXPECT_EQ(format(static_cast<const void*>(pointer)), "0x0");
}

TEST(LineWriter, Durations) {
    EXPECT_EQ(format(Duration::nanoseconds(0)), "0ns");
    EXPECT_EQ(format(Duration::nanoseconds(999)), "999ns");
    EXPECT_EQ(format(Duration::nanoseconds(1'500)), "1.500us");
    EXPECT_EQ(format(Duration::microseconds(20'042)), "20.042ms");
    EXPECT_EQ(format(Duration::nanoseconds(999'999'999)), "999.999ms");
    EXPECT_EQ(format(Duration::seconds(3600)), "3600.000s");
    EXPECT_EQ(format(-Duration::microseconds(1)), "-1.000us");
    EXPECT_EQ(format(Duration::nanoseconds(std::numeric_limits<std::int64_t>::min())), "-9223372036.854s");
}

TEST(LineWriter, Instants) {
    EXPECT_EQ(format(Instant::from_ns(0)), "0.000000");
    EXPECT_EQ(format(Instant::from_ns(1'000'250'999)), "1.000250");
    EXPECT_EQ(format(Instant::from_ns(-2'000)), "-0.000002");
    EXPECT_EQ(format(Instant::never()), "never");
}

TEST(LineWriter, ByteCounts) {
    EXPECT_EQ(format(ByteCount{0}), "0B");
    EXPECT_EQ(format(ByteCount{4097}), "4097B");
    EXPECT_EQ(format(ByteCount{12 << 10}), "12KiB");
    EXPECT_EQ(format(ByteCount{128 << 20}), "128MiB");
    EXPECT_EQ(format(ByteCount{std::uint64_t{8} << 30}), "8GiB");
    EXPECT_EQ(format(ByteCount{std::uint64_t{2} << 40}), "2048GiB");
}

TEST(LineWriter, FillsItsBufferToTheLastCharacter) {
    Line<6> line;
    line << "abc" << 123;
    EXPECT_EQ(line.text(), "abc123");
    EXPECT_FALSE(line.is_truncated());
}

TEST(LineWriter, MarksWhatDidNotFit) {
    Line<6> line;
    line << "abc" << 1234 << "more";
    EXPECT_EQ(line.text(), "abc...");
    EXPECT_TRUE(line.is_truncated());
    line.clear();
    line << "ok";
    EXPECT_EQ(line.text(), "ok");
    EXPECT_FALSE(line.is_truncated());
}

TEST(LineWriter, TinyBuffersNeverOverflow) {
    for (std::size_t size = 0; size <= 4; ++size) {
        std::string buffer(size + 2, '#');
        LineWriter line{std::span<char>{buffer.data() + 1, size}};
        line << "abcdefgh";
        EXPECT_TRUE(line.is_truncated());
        EXPECT_EQ(line.text().size(), size);
        EXPECT_EQ(buffer.front(), '#');
        EXPECT_EQ(buffer.back(), '#');
    }
}

}  // namespace
}  // namespace kernel
