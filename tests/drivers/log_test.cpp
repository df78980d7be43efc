// SPDX-License-Identifier: MIT
#include "init/log.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "arch/host/host_machine.hpp"
#include "drivers/console.hpp"
#include "fake_uart.hpp"

namespace {

namespace log = kernel::log;
using kernel::drivers::Console;

class LogTest : public testing::Test {
  protected:
    LogTest() {
        uart_.is_instant = true;
        driver_.start();
        console_->attach(driver_);
        log::set_console(console_.get());
        log::set_console_level(log::kDefaultLogLevel);
        kernel::arch::host::set_now(kernel::Instant::from_ns(1'234'567));
        // Tests share the ring: start behind what is there.
        while (log::read(position_, buffer_) > 0) {
        }
    }
    ~LogTest() override { log::set_console(nullptr); }
    std::string read_ring() {
        std::string text;
        while (true) {
            const std::size_t count = log::read(position_, buffer_);
            if (count == 0) {
                return text;
            }
            text.append(buffer_.data(), count);
        }
    }

    fake::Uart uart_{0, 1};
    kernel::drivers::Ns16550<fake::UartWindow> driver_{{&uart_}, {}};
    std::unique_ptr<Console> console_ = std::make_unique<Console>();
    std::uint64_t position_{0};
    std::vector<char> buffer_ = std::vector<char>(4096);
};

TEST_F(LogTest, LinesHaveAStampAndMarkersHaveNone) {
    log::info("memory: ", kernel::ByteCount{128U << 20}, " free");
    log::marker("KINIT: cpu", kernel::CpuId{2}, " online");
    EXPECT_EQ(uart_.wire, "[    0.001234] memory: 128MiB free\r\nKINIT: cpu2 online\r\n");
    EXPECT_EQ(read_ring(), "<6>[    0.001234] memory: 128MiB free\n<5>KINIT: cpu2 online\n");
}

TEST_F(LogTest, WarningsAndErrorsSaySo) {
    kernel::arch::host::set_now(kernel::Instant::from_ns(12'345'678'901'000));
    log::warn("a");
    log::error("b");
    EXPECT_EQ(uart_.wire, "[12345.678901] warning: a\r\n[12345.678901] error: b\r\n");
    EXPECT_EQ(read_ring(), "<4>[12345.678901] warning: a\n<3>[12345.678901] error: b\n");
}

TEST_F(LogTest, LogLevelHidesButKeeps) {
    log::debug("hidden by default");
    log::set_console_level(4);
    log::info("hidden by quiet");
    log::error("shown");
    log::set_console_level(0);
    log::error("hidden by 0");
    log::marker("MARKER");
    log::set_console_level(8);
    log::debug("shown by 8");
    EXPECT_EQ(uart_.wire, "[    0.001234] error: shown\r\nMARKER\r\n[    0.001234] shown by 8\r\n");
    const std::string ring = read_ring();
    EXPECT_NE(ring.find("hidden by default\n"), std::string::npos);
    EXPECT_NE(ring.find("hidden by quiet\n"), std::string::npos);
    EXPECT_NE(ring.find("hidden by 0\n"), std::string::npos);
}

TEST_F(LogTest, TooLongALineIsCutVisibly) {
    log::marker(std::string_view{std::string(500, 'x')});
    EXPECT_LE(uart_.wire.size(), log::kMaxLineBytes + 2);
    EXPECT_TRUE(uart_.wire.ends_with("...\r\n")) << uart_.wire;
}

TEST_F(LogTest, OldLinesGiveWayWhole) {
    std::uint64_t from_the_start = 0;
    const int lines = static_cast<int>(log::kRingBytes / 20);
    for (int i = 0; i < lines; ++i) {
        log::marker("a line with number ", i, " in it");
    }
    std::string kept;
    while (true) {
        const std::size_t count = log::read(from_the_start, buffer_);
        if (count == 0) {
            break;
        }
        EXPECT_LE(count, log::kMaxReadBytes);
        kept.append(buffer_.data(), count);
    }
    EXPECT_GT(kept.size(), log::kRingBytes - 64);
    EXPECT_LE(kept.size(), log::kRingBytes);
    EXPECT_TRUE(kept.starts_with("<5>a line with number ")) << kept.substr(0, 40);
    EXPECT_TRUE(kept.ends_with("a line with number " + std::to_string(lines - 1) + " in it\n"));
}

TEST_F(LogTest, ReadGivesWholeLinesOnly) {
    log::marker("first");
    log::marker("second");
    std::vector<char> small(12);
    EXPECT_EQ(log::read(position_, small), 9U);
    EXPECT_EQ(std::string(small.data(), 9), "<5>first\n");
    std::vector<char> tiny(3);
    EXPECT_EQ(log::read(position_, tiny), 0U) << "the next line does not fit";
    EXPECT_EQ(log::read(position_, small), 10U);
    std::uint64_t beyond = position_ + 1000;
    EXPECT_EQ(log::read(beyond, small), 0U);
    EXPECT_EQ(beyond, position_);
}

}  // namespace
