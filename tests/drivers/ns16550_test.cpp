// SPDX-License-Identifier: MIT
#include "drivers/ns16550.hpp"

#include <gtest/gtest.h>

#include "fake_uart.hpp"

namespace {

using Driver = kernel::drivers::Ns16550<fake::UartWindow>;

struct Shape {
    std::uint32_t reg_shift;
    std::uint32_t width_bytes;
};

// virt, icicle and JH7110, and a byte-wide UART with spread registers: the model throws on any other access.
class Ns16550Shapes : public testing::TestWithParam<Shape> {};
INSTANTIATE_TEST_SUITE_P(All, Ns16550Shapes,
                         testing::Values(Shape{0, 1}, Shape{2, 4}, Shape{2, 1}, Shape{1, 2}));

TEST_P(Ns16550Shapes, SendsAndReceivesThroughTheRightRegisters) {
    fake::Uart uart{GetParam().reg_shift, GetParam().width_bytes};
    Driver driver{{&uart}, {.reg_shift = GetParam().reg_shift, .io_width_bytes = GetParam().width_bytes}};
    driver.start();
    uart.type("ok");
    EXPECT_EQ(driver.send(std::string_view{"hello"}), 5U);
    EXPECT_EQ(driver.receive(), 'o');
    EXPECT_EQ(driver.receive(), 'k');
    EXPECT_EQ(driver.receive(), std::nullopt);
    while (uart.in_fifo() > 0) {
        uart.step();
    }
    EXPECT_EQ(uart.wire, "hello");
    EXPECT_EQ(uart.touched_lcr_or_divisor, "");
}

TEST(Ns16550, FillsTheFifoOnlyWhenItIsEmpty) {
    fake::Uart uart{0, 1};
    Driver driver{{&uart}, {}};
    driver.start();
    const std::string text(40, 'x');
    EXPECT_EQ(driver.send(text), fake::Uart::kFifoBytes);
    EXPECT_EQ(driver.send(text), 0U);
    uart.step();
    EXPECT_EQ(driver.send(text), 0U) << "one free place is not an empty FIFO";
    while (uart.in_fifo() > 0) {
        uart.step();
    }
    EXPECT_EQ(driver.send(text), fake::Uart::kFifoBytes);
    EXPECT_EQ(uart.lost_bytes, 0U);
}

TEST(Ns16550, StartWaitsForWhatTheFirmwareWrote) {
    fake::Uart uart{0, 1};
    uart.preload("firmware");
    uart.steps_when_polled = true;
    Driver driver{{&uart}, {}};
    driver.start();
    EXPECT_EQ(uart.wire, "firmware");
    EXPECT_EQ(uart.lost_bytes, 0U);
    EXPECT_EQ(uart.interrupt_enable(), 0U);
}

TEST(Ns16550, StartGivesUpOnATransmitterThatNeverEmpties) {
    fake::Uart uart{0, 1};
    uart.preload("stuck");
    Driver driver{{&uart}, {}};
    driver.start();
    EXPECT_GE(uart.line_status_reads, Driver::kStartPolls);
}

TEST(Ns16550, BusyDetectEndsByReadingUsrOnDesignwareOnly) {
    fake::Uart designware{2, 4};
    designware.is_busy_detected = true;
    Driver driver{{&designware}, {.reg_shift = 2, .io_width_bytes = 4, .is_designware = true}};
    EXPECT_TRUE(driver.acknowledge_interrupt());
    EXPECT_EQ(designware.status_reads, 1U);
    EXPECT_FALSE(designware.is_interrupting());
    EXPECT_FALSE(driver.acknowledge_interrupt());

    fake::Uart plain{0, 1};
    plain.is_busy_detected = true;  // cannot happen; register 31 would be outside the device
    Driver plain_driver{{&plain}, {}};
    EXPECT_FALSE(plain_driver.acknowledge_interrupt());
    EXPECT_EQ(plain.status_reads, 0U);
}

TEST(Ns16550, TransmitInterruptSwitchedOnWhileEmptyComesAtOnce) {
    fake::Uart uart{0, 1};
    Driver driver{{&uart}, {}};
    driver.start();
    EXPECT_FALSE(uart.is_interrupting());
    driver.set_interrupts(true, true);
    EXPECT_TRUE(uart.is_interrupting());
    EXPECT_TRUE(driver.acknowledge_interrupt());
    EXPECT_FALSE(uart.is_interrupting());
    EXPECT_FALSE(driver.acknowledge_interrupt());
}

TEST(Ns16550, DamagedBytesAreSkipped) {
    fake::Uart uart{0, 1};
    Driver driver{{&uart}, {}};
    driver.start();
    uart.type_damaged('#');
    uart.type("a");
    EXPECT_EQ(driver.receive(), 'a');
}

}  // namespace
