// SPDX-License-Identifier: MIT
#include "drivers/console.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "arch/host/host_machine.hpp"
#include "fake_uart.hpp"

namespace {

using kernel::drivers::Console;
using kernel::drivers::Newline;
using Driver = kernel::drivers::Ns16550<fake::UartWindow>;

int space_calls = 0;
std::string typed;

class ConsoleTest : public testing::Test {
  protected:
    ConsoleTest() {
        space_calls = 0;
        typed.clear();
        console_->set_space_handler([] { ++space_calls; });
        console_->set_input_handler(
            [](std::span<const char> bytes) { typed.append(bytes.begin(), bytes.end()); });
        driver_.start();
        console_->attach(driver_);
    }

    // Lets bytes out and takes interrupts until all is quiet.
    void run_until_idle() {
        for (int i = 0; i < 1'000'000 && (uart_.in_fifo() > 0 || uart_.is_interrupting()); ++i) {
            if (uart_.is_interrupting()) {
                console_->service();
            }
            uart_.step();
        }
        EXPECT_EQ(uart_.in_fifo(), 0U);
        EXPECT_FALSE(uart_.is_interrupting()) << "an interrupt that does not go away";
    }
    std::size_t try_write(std::string_view text, Newline newline = Newline::CrLf) {
        return console_->try_write(text, newline);
    }
    // Writes chunks of `letter` until the console takes no more; returns the bytes taken.
    std::size_t fill(char letter) {
        const std::string chunk(1000, letter);
        std::size_t total = 0;
        while (true) {
            const std::size_t taken = try_write(chunk);
            if (taken == 0) {
                return total;
            }
            total += taken;
        }
    }

    fake::Uart uart_{0, 1};
    Driver driver_{{&uart_}, {}};
    std::unique_ptr<Console> console_ = std::make_unique<Console>();
};

TEST_F(ConsoleTest, PolledLineIsOnTheWireWhenTheCallReturns) {
    uart_.steps_when_polled = true;
    console_->write_line("KINIT: cpu0 online");
    console_->flush();
    EXPECT_EQ(uart_.wire, "KINIT: cpu0 online\r\n");
    EXPECT_EQ(uart_.lost_bytes, 0U);
}

TEST_F(ConsoleTest, LinesWrittenBeforeADeviceIsThereAreKept) {
    auto console = std::make_unique<Console>();
    console->write_line("early");
    uart_.is_instant = true;
    console->attach(driver_);
    EXPECT_EQ(uart_.wire, "early\r\n");
}

TEST_F(ConsoleTest, KernelLineStartsAtColumnZero) {
    uart_.is_instant = true;
    EXPECT_EQ(try_write("prompt> "), 8U);
    console_->write_line("KSELFTEST: x ok");
    EXPECT_EQ(uart_.wire, "prompt> \r\nKSELFTEST: x ok\r\n");
}

TEST_F(ConsoleTest, NewlinesAsAskedFor) {
    uart_.is_instant = true;
    EXPECT_EQ(try_write("a\nb\n", Newline::CrLf), 4U);
    EXPECT_EQ(try_write("c\nd\n", Newline::AsIs), 4U);
    EXPECT_EQ(uart_.wire, "a\r\nb\r\nc\nd\n");
}

TEST_F(ConsoleTest, InterruptsEmptyTheRingInOrderAndLoseNothing) {
    console_->start_interrupts();
    std::string expected;
    for (int i = 0; i < 2000; ++i) {
        const std::string line = "line " + std::to_string(i) + "\n";
        while (try_write(line) == 0) {
            console_->service();
            uart_.step();
        }
        expected += line.substr(0, line.size() - 1) + "\r\n";
        if (i % 7 == 0) {
            uart_.step();
        }
    }
    run_until_idle();
    EXPECT_EQ(uart_.wire, expected);
    EXPECT_EQ(uart_.lost_bytes, 0U);
    EXPECT_EQ(console_->dropped_bytes(), 0U);
    EXPECT_EQ(uart_.interrupt_enable(), 1U) << "receive only once the ring is empty";
}

TEST_F(ConsoleTest, OneCallSendsABoundedPieceEvenToAnInstantUart) {
    uart_.is_instant = true;
    console_->start_interrupts();
    EXPECT_EQ(try_write(std::string(1000, 'x')), 1000U);
    EXPECT_LE(uart_.wire.size(), Console::kPumpBytes);
    EXPECT_TRUE(uart_.is_interrupting()) << "the rest is to come by interrupt";
    run_until_idle();
    EXPECT_EQ(uart_.wire, std::string(1000, 'x'));
}

TEST_F(ConsoleTest, FullRingSaysSoAndCallsBackOnceThereIsRoom) {
    console_->start_interrupts();
    const std::size_t taken = fill('x');
    EXPECT_GT(taken, Console::kRingBytes - 2 * Console::kChunkBytes);
    EXPECT_EQ(space_calls, 0);
    run_until_idle();
    EXPECT_EQ(space_calls, 1);
    EXPECT_EQ(uart_.wire.size(), taken);
    EXPECT_EQ(uart_.interrupt_enable(), 1U);
    // Nobody waits any more, so nobody is called.
    EXPECT_EQ(try_write("again\n"), 6U);
    run_until_idle();
    EXPECT_EQ(space_calls, 1);
}

// The space may come from another writer's own sending; the waiting one must hear of it all the same.
TEST_F(ConsoleTest, WaitingWriterIsCalledWhenOthersEmptiedTheRing) {
    console_->start_interrupts();
    fill('x');
    uart_.is_instant = true;
    for (int i = 0; i < 200; ++i) {
        uart_.step();
        console_->write_line("kernel");
    }
    EXPECT_EQ(space_calls, 0);
    run_until_idle();
    EXPECT_EQ(space_calls, 1);
}

TEST_F(ConsoleTest, KernelLineIntoAFullRingPollsAndStaysWhole) {
    console_->start_interrupts();
    const std::size_t taken = fill('x');
    uart_.steps_when_polled = true;
    const std::string line(3000, 'k');
    console_->write_line(line);
    run_until_idle();
    EXPECT_EQ(uart_.wire, std::string(taken, 'x') + "\r\n" + line + "\r\n");
    EXPECT_EQ(console_->dropped_bytes(), 0U);
}

TEST_F(ConsoleTest, LongWritesAreCutBehindALineOrAtTheChunk) {
    uart_.is_instant = true;
    const std::string with_line = std::string(900, 'a') + "\n" + std::string(900, 'b');
    EXPECT_EQ(try_write(with_line), 901U);
    EXPECT_EQ(try_write(std::string(5000, 'c')), Console::kChunkBytes);
    EXPECT_EQ(try_write(""), 0U);
}

TEST_F(ConsoleTest, StuckDeviceCostsOneBoundedWaitAndIsCounted) {
    const std::string line(1000, 'x');
    const std::size_t lines = 2 * Console::kRingBytes / line.size();
    for (std::size_t i = 0; i < lines; ++i) {
        EXPECT_EQ(try_write(line), line.size()) << "a writer is not held up for ever";
    }
    EXPECT_GT(console_->dropped_bytes(), 0U);
    EXPECT_LE(uart_.line_status_reads, Console::kStalledPolls + 10 * lines);
    const std::uint64_t dropped = console_->dropped_bytes();
    uart_.steps_when_polled = true;
    uart_.step();
    console_->flush();
    EXPECT_EQ(uart_.wire.size() + dropped, lines * line.size()) << "every byte is sent or counted";
}

TEST_F(ConsoleTest, InputReachesTheHandler) {
    console_->start_interrupts();
    uart_.type("hello");
    EXPECT_TRUE(uart_.is_interrupting());
    console_->service();
    EXPECT_EQ(typed, "hello");
    EXPECT_FALSE(uart_.is_interrupting());
}

TEST_F(ConsoleTest, MoreInputThanABatchKeepsTheInterruptUp) {
    console_->start_interrupts();
    const std::string paste(200, 'p');
    uart_.type(paste);
    int interrupts = 0;
    while (uart_.is_interrupting() && interrupts < 10) {
        console_->service();
        ++interrupts;
    }
    EXPECT_EQ(typed, paste);
    EXPECT_EQ(interrupts, 4);
}

TEST_F(ConsoleTest, InputIsPolledWhereThereAreNoInterrupts) {
    uart_.type("x");
    console_->service();
    EXPECT_EQ(typed, "x");
    EXPECT_EQ(uart_.interrupt_enable(), 0U);
}

TEST_F(ConsoleTest, AttachMovesOverWithoutLosingOrRepeating) {
    uart_.steps_when_polled = true;
    console_->write_line("on the first");
    fake::Uart second{2, 4};
    second.is_instant = true;
    Driver second_driver{{&second}, {.reg_shift = 2, .io_width_bytes = 4}};
    second_driver.start();
    console_->attach(second_driver);
    console_->write_line("on the second");
    while (uart_.in_fifo() > 0) {
        uart_.step();
    }
    EXPECT_EQ(uart_.wire, "on the first\r\n");
    EXPECT_EQ(second.wire, "on the second\r\n");
}

TEST_F(ConsoleTest, FlushWaitsForTheLastBit) {
    console_->start_interrupts();
    EXPECT_EQ(try_write("SELFTEST: end\n"), 14U);
    uart_.steps_when_polled = true;
    console_->flush();
    EXPECT_EQ(uart_.wire, "SELFTEST: end\r\n");
    EXPECT_EQ(uart_.in_fifo(), 0U);
}

TEST_F(ConsoleTest, PanicSilencesEverybodyElse) {
    console_->start_interrupts();
    EXPECT_EQ(try_write("half a li"), 9U);
    uart_.steps_when_polled = true;
    console_->begin_panic();
    console_->write_line("other hart");
    EXPECT_EQ(try_write("other task\n"), 11U);
    console_->service();
    console_->write_panic("report\n");
    console_->flush();
    EXPECT_EQ(uart_.wire, "half a li\r\nreport\r\n");
}

// A device that panics the console's own code path: begin_panic() is called with the lock held.
class RecursiveDevice final : public kernel::drivers::ConsoleDevice {
  public:
    Console* console{nullptr};
    std::string wire;
    bool has_panicked{false};

    std::size_t send(std::span<const char> bytes) override {
        if (console != nullptr && !has_panicked) {
            has_panicked = true;
            console->begin_panic();
            console->write_panic("broken lock\n");
        }
        wire.append(bytes.begin(), bytes.end());
        return bytes.size();
    }
    std::optional<char> receive() override { return std::nullopt; }
    bool is_idle() override { return true; }
    void set_interrupts(bool /*receive*/, bool /*transmit*/) override {}
    bool acknowledge_interrupt() override { return false; }
};

// A lock whose rank was overwritten is taken for one above the console's.
TEST_F(ConsoleTest, PanicIsReportedWhateverItsHartHolds) {
    kernel::SpinLock damaged{static_cast<kernel::LockRank>(0xd5)};
    uart_.steps_when_polled = true;
    {
        const kernel::LockGuard guard{damaged};
        console_->begin_panic();
        console_->write_panic("report\n");
    }
    console_->flush();
    EXPECT_EQ(uart_.wire, "report\r\n");
}

TEST(ConsolePanic, BreaksTheLockOfItsOwnHart) {
    auto console = std::make_unique<Console>();
    RecursiveDevice device;
    console->attach(device);
    device.console = console.get();
    console->write_line("x");
    EXPECT_NE(device.wire.find("broken lock\r\n"), std::string::npos);
}

TEST_F(ConsoleTest, LinesOfManyHartsStayWholeAndInOrder) {
    constexpr std::uint32_t kHarts = 4;
    constexpr int kLines = 300;
    console_->start_interrupts();
    uart_.is_instant = true;
    std::vector<std::thread> harts;
    for (std::uint32_t hart = 0; hart < kHarts; ++hart) {
        harts.emplace_back([this, hart] {
            kernel::arch::host::set_current_cpu(kernel::CpuId{hart});
            for (int i = 0; i < kLines; ++i) {
                const std::string line =
                    std::to_string(hart) + " " + std::to_string(i) + " the quick brown fox";
                if (hart % 2 == 0) {
                    console_->write_line(line);
                } else {
                    while (try_write(line + "\n") == 0) {
                        console_->service();
                    }
                }
            }
        });
    }
    for (std::thread& hart : harts) {
        hart.join();
    }
    run_until_idle();
    std::istringstream wire{uart_.wire};
    std::string line;
    std::vector<int> next(kHarts, 0);
    int lines = 0;
    while (std::getline(wire, line)) {
        const auto hart = static_cast<std::size_t>(line.at(0) - '0');
        ASSERT_LT(hart, kHarts) << line;
        EXPECT_EQ(line, std::to_string(hart) + " " + std::to_string(next[hart]) + " the quick brown fox\r");
        ++next[hart];
        ++lines;
    }
    EXPECT_EQ(lines, static_cast<int>(kHarts) * kLines);
}

}  // namespace
