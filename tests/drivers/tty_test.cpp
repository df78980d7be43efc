// SPDX-License-Identifier: MIT
#include "drivers/tty.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "arch/host/host_machine.hpp"
#include "fake_uart.hpp"

namespace {

using kernel::Error;
using kernel::drivers::Console;
using kernel::drivers::LineDiscipline;
using kernel::drivers::Tty;
namespace iflag = nexus_abi::iflag;
namespace lflag = nexus_abi::lflag;
namespace oflag = nexus_abi::oflag;

class LineDisciplineTest : public testing::Test {
  protected:
    // Types `text`; returns the echo.
    std::string type(std::string_view text) {
        std::string shown;
        for (const char byte : text) {
            LineDiscipline::Echo echo;
            const LineDiscipline::Outcome outcome = discipline_->receive(byte, echo);
            shown.append(echo.begin(), echo.end());
            if (outcome.signal.has_value()) {
                signals_.push_back(std::to_underlying(*outcome.signal));
            }
            ready_ = outcome.is_input_ready;
        }
        return shown;
    }
    // What read() gives: the bytes, "<again>" or "<eof>".
    std::string read(std::size_t size = 4096) {
        std::vector<char> buffer(size);
        const auto count = discipline_->read(buffer);
        if (!count.ok()) {
            EXPECT_EQ(count.error(), Error::TryAgain);
            return "<again>";
        }
        return *count == 0 ? "<eof>" : std::string(buffer.data(), *count);
    }
    void change(std::uint32_t set_local, std::uint32_t clear_local) {
        nexus_abi::termios attributes = discipline_->attributes();
        attributes.c_lflag = (attributes.c_lflag | set_local) & ~clear_local;
        discipline_->set_attributes(attributes);
    }
    void set_time(std::uint8_t tenths) {
        nexus_abi::termios attributes = discipline_->attributes();
        attributes.c_cc[std::to_underlying(nexus_abi::ControlCharacter::Time)] = tenths;
        discipline_->set_attributes(attributes);
    }
    void set_minimum(std::uint8_t bytes) {
        nexus_abi::termios attributes = discipline_->attributes();
        attributes.c_cc[std::to_underlying(nexus_abi::ControlCharacter::Minimum)] = bytes;
        discipline_->set_attributes(attributes);
    }
    void set_input_flags(std::uint32_t flags) {
        nexus_abi::termios attributes = discipline_->attributes();
        attributes.c_iflag = flags;
        discipline_->set_attributes(attributes);
    }

    std::unique_ptr<LineDiscipline> discipline_ = std::make_unique<LineDiscipline>();
    std::vector<int> signals_;
    bool ready_{false};
};

TEST_F(LineDisciplineTest, LineComesWhole) {
    EXPECT_EQ(read(), "<again>");
    EXPECT_EQ(type("ls"), "ls");
    EXPECT_FALSE(ready_);
    EXPECT_FALSE(discipline_->has_input());
    EXPECT_EQ(read(), "<again>");
    EXPECT_EQ(type("\r"), "\n") << "ICRNL";
    EXPECT_TRUE(ready_);
    EXPECT_TRUE(discipline_->has_input());
    EXPECT_EQ(read(), "ls\n");
    EXPECT_EQ(read(), "<again>");
}

TEST_F(LineDisciplineTest, OneReadOneLineAndShortReadsGoOn) {
    type("first\nsecond\n");
    EXPECT_EQ(read(3), "fir");
    EXPECT_EQ(read(), "st\n");
    EXPECT_EQ(read(), "second\n");
    EXPECT_EQ(read(), "<again>");
}

TEST_F(LineDisciplineTest, EraseRemovesWhatItShowed) {
    EXPECT_EQ(type("ab\x7f"), "ab\b \b");
    EXPECT_EQ(type("\b"), "\b \b") << "Ctrl-H too";
    EXPECT_EQ(type("\x7f"), "") << "nothing left to erase";
    EXPECT_EQ(type("\x01\x7f"), "^A\b \b\b \b");
    EXPECT_EQ(type("\t\x7f"), " \b \b");
    type("x\n");
    EXPECT_EQ(read(), "x\n");
    EXPECT_EQ(type("\x7f"), "") << "a line already sent stays";
}

TEST_F(LineDisciplineTest, EraseTakesAWholeUtf8Character) {
    set_input_flags(iflag::kIcrnl | iflag::kIutf8);
    EXPECT_EQ(type("a\xc3\xa9\x7f"), "a\xc3\xa9\b \b");
    type("\n");
    EXPECT_EQ(read(), "a\n");
}

TEST_F(LineDisciplineTest, KillAndWordErase) {
    EXPECT_EQ(type("cat foo.c\x17"), "cat foo.c\b \b");
    EXPECT_EQ(type("\x17"), "\b \b\b \b\b \b\b \b") << "the dot and the word before it";
    EXPECT_EQ(type("\x15"), "\b \b\b \b\b \b\b \b");
    type("x\n");
    EXPECT_EQ(read(), "x\n");
}

TEST_F(LineDisciplineTest, KillOfAVeryLongLineStartsANewOne) {
    type(std::string(LineDiscipline::kMaxWipedColumns + 1, 'x'));
    EXPECT_EQ(type("\x15"), "\n");
    EXPECT_EQ(type(std::string(LineDiscipline::kMaxWipedColumns, '\x01')).size(),
              2 * LineDiscipline::kMaxWipedColumns);
    EXPECT_EQ(type("\x15"), "\n") << "columns count, not bytes";
    type(std::string(LineDiscipline::kMaxWipedColumns, 'x'));
    EXPECT_EQ(type("\x15").size(), 3 * LineDiscipline::kMaxWipedColumns) << "the largest echo fits";
}

TEST_F(LineDisciplineTest, EchoesWithoutWiping) {
    change(0, lflag::kEchoe | lflag::kEchoke);
    EXPECT_EQ(type("a\x7f"), "a^?");
    EXPECT_EQ(type("b\x15"), "b^U\n");
    change(0, lflag::kEchoctl);
    EXPECT_EQ(type("\x01"), "\x01");
}

TEST_F(LineDisciplineTest, EndOfFile) {
    EXPECT_EQ(type("\x04"), "");
    EXPECT_TRUE(ready_);
    EXPECT_EQ(read(), "<eof>");
    EXPECT_EQ(read(), "<again>") << "an end of file is read once";
    type("abc\x04");
    EXPECT_EQ(read(), "abc") << "with text before it, it only sends that";
    EXPECT_EQ(read(), "<again>");
    type("abc\x04");
    EXPECT_EQ(read(3), "abc");
    EXPECT_EQ(read(), "<again>") << "also when the text just fits";
}

TEST_F(LineDisciplineTest, SignalsThrowTheLineAway) {
    EXPECT_EQ(type("abc\x03"), "abc^C");
    EXPECT_EQ(type("\x1c"), "^\\");
    EXPECT_EQ(type("\x1a"), "^Z");
    EXPECT_EQ(signals_, (std::vector<int>{2, 3, 20}));
    type("x\n");
    EXPECT_EQ(read(), "x\n");
    change(lflag::kNoflsh, 0);
    type("keep\x03\n");
    EXPECT_EQ(read(), "keep\n");
}

TEST_F(LineDisciplineTest, WithoutIsigControlCharactersAreInput) {
    change(0, lflag::kIsig);
    type("\x03\n");
    EXPECT_EQ(read(), "\x03\n");
    EXPECT_TRUE(signals_.empty());
}

TEST_F(LineDisciplineTest, NoEchoAndEchoNewline) {
    change(0, lflag::kEcho);
    EXPECT_EQ(type("secret\x7f\x15\n"), "");
    change(lflag::kEchonl, 0);
    EXPECT_EQ(type("secret\n"), "\n");
}

TEST_F(LineDisciplineTest, LineTooLongCanStillBeSent) {
    const std::string longest(LineDiscipline::kInputBytes - 1, 'x');
    EXPECT_EQ(type(longest + "yyy"), longest) << "what does not fit is not shown";
    type("\n");
    EXPECT_EQ(read(8192), longest + "\n");
    type("again\n");
    EXPECT_EQ(read(), "again\n");
}

TEST_F(LineDisciplineTest, RingGoesRound) {
    for (int i = 0; i < 3000; ++i) {
        const std::string line = "line " + std::to_string(i) + "\n";
        type(line);
        ASSERT_EQ(read(), line);
    }
}

TEST_F(LineDisciplineTest, RawGivesBytesAtOnce) {
    change(0, lflag::kIcanon | lflag::kEcho | lflag::kIsig);
    set_input_flags(0);
    EXPECT_EQ(read(), "<again>");
    EXPECT_EQ(type("\x03\r\x7f\x04"), "");
    EXPECT_TRUE(ready_);
    EXPECT_EQ(read(2), "\x03\r");
    EXPECT_EQ(read(), "\x7f\x04");
}

TEST_F(LineDisciplineTest, RawMinimum) {
    change(0, lflag::kIcanon);
    set_minimum(3);
    type("ab");
    EXPECT_FALSE(ready_);
    EXPECT_EQ(read(), "<again>");
    EXPECT_EQ(read(2), "ab") << "a buffer smaller than VMIN lowers it";
    type("abc");
    EXPECT_TRUE(ready_);
    EXPECT_EQ(read(), "abc");
    set_minimum(0);
    EXPECT_EQ(read(), "<eof>") << "VMIN 0 never waits";
}

TEST_F(LineDisciplineTest, RawMinimumWithATime) {
    type("x");
    EXPECT_EQ(discipline_->raw_bytes(), 0U) << "canonical";
    change(0, lflag::kIcanon);
    set_minimum(3);
    set_time(2);
    EXPECT_EQ(discipline_->raw_bytes(), 1U);
    type("y");
    EXPECT_TRUE(ready_) << "a reader begins its time anew";
    EXPECT_TRUE(discipline_->has_input());
    EXPECT_EQ(read(), "<again>");
    std::array<char, 8> taken{};
    EXPECT_EQ(discipline_->read_raw(std::span{taken}.first(1)), 1U);
    EXPECT_EQ(taken[0], 'x');
    EXPECT_EQ(discipline_->read_raw(taken), 1U);
    EXPECT_EQ(taken[0], 'y');
    EXPECT_EQ(discipline_->read_raw(taken), 0U);
    EXPECT_FALSE(discipline_->has_input());
}

TEST_F(LineDisciplineTest, SwitchToRawHandsOverTheLineBeingEdited) {
    type("abc");
    EXPECT_EQ(read(), "<again>");
    change(0, lflag::kIcanon);
    EXPECT_EQ(read(2), "ab");
    change(lflag::kIcanon, 0);
    EXPECT_EQ(read(), "c") << "and what was raw stays readable";
    EXPECT_EQ(read(), "<again>");
}

TEST_F(LineDisciplineTest, CarriageReturnsAsTheFlagsSay) {
    set_input_flags(iflag::kIgncr);
    type("a\rb\n");
    EXPECT_EQ(read(), "ab\n");
    set_input_flags(iflag::kInlcr);
    change(0, lflag::kIcanon);
    type("a\n");
    EXPECT_EQ(read(), "a\r");
}

TEST_F(LineDisciplineTest, EndOfLineCharacter) {
    nexus_abi::termios attributes = discipline_->attributes();
    attributes.c_cc[std::to_underlying(nexus_abi::ControlCharacter::EndOfLine)] = ';';
    discipline_->set_attributes(attributes);
    type("a;b\n");
    EXPECT_EQ(read(), "a;");
    EXPECT_EQ(read(), "b\n");
}

TEST_F(LineDisciplineTest, DiscardInput) {
    type("abc\nde");
    discipline_->discard_input();
    EXPECT_EQ(read(), "<again>");
    type("f\n");
    EXPECT_EQ(read(), "f\n");
}

int input_calls = 0;
std::vector<int> signals;

class TtyTest : public testing::Test {
  protected:
    TtyTest() {
        input_calls = 0;
        signals.clear();
        uart_.is_instant = true;
        driver_.start();
        console_->attach(driver_);
        tty_->set_input_handler([] { ++input_calls; });
        tty_->set_signal_handler([](int signal) { signals.push_back(signal); });
    }
    fake::Uart uart_{0, 1};
    kernel::drivers::Ns16550<fake::UartWindow> driver_{{&uart_}, {}};
    std::unique_ptr<Console> console_ = std::make_unique<Console>();
    std::unique_ptr<Tty> tty_ = std::make_unique<Tty>(*console_);
};

TEST_F(TtyTest, EchoesOnTheConsoleAndCallsTheHandlers) {
    tty_->receive(std::string_view{"hi\r"});
    EXPECT_EQ(uart_.wire, "hi\r\n");
    EXPECT_EQ(input_calls, 1);
    std::array<char, 8> buffer{};
    const auto count = tty_->read(buffer);
    ASSERT_TRUE(count.ok());
    EXPECT_EQ(std::string_view(buffer.data(), *count), "hi\n");
    EXPECT_EQ(tty_->read(buffer).error(), Error::TryAgain);
    EXPECT_FALSE(tty_->has_input());
    tty_->receive(std::string_view{"\x03"});
    EXPECT_EQ(signals, std::vector<int>{2});
    EXPECT_EQ(input_calls, 1);
    const auto nothing = tty_->read({});
    ASSERT_TRUE(nothing.ok());
    EXPECT_EQ(*nothing, 0U);
}

TEST_F(TtyTest, OutputProcessingFollowsTheFlags) {
    const auto cooked = tty_->try_write(std::string_view{"a\n"});
    ASSERT_TRUE(cooked.ok());
    EXPECT_EQ(*cooked, 2U);
    nexus_abi::termios attributes = tty_->attributes();
    attributes.c_oflag &= ~oflag::kOpost;
    tty_->set_attributes(attributes);
    EXPECT_TRUE(tty_->try_write(std::string_view{"b\n"}).ok());
    EXPECT_EQ(uart_.wire, "a\r\nb\n");
    EXPECT_EQ(tty_->attributes(), attributes);
}

TEST_F(TtyTest, FullConsoleSaysTryAgain) {
    uart_.is_instant = false;
    console_->start_interrupts();
    const std::string chunk(Console::kChunkBytes, 'x');
    std::size_t writes = 0;
    while (tty_->try_write(chunk).ok()) {
        ++writes;
        ASSERT_LE(writes, 2 * Console::kRingBytes / Console::kChunkBytes);
    }
    EXPECT_EQ(tty_->try_write(chunk).error(), Error::TryAgain);
    EXPECT_TRUE(tty_->try_write({}).ok()) << "nothing to write never waits";
    tty_->receive(std::string_view{"typed\n"});
    EXPECT_TRUE(tty_->has_input()) << "a lost echo is not lost input";
}

TEST_F(TtyTest, ReaderWaitingForALineIsCalledWhenTheModeMakesItsBytesReadable) {
    tty_->receive(std::string_view{"abc"});
    EXPECT_EQ(input_calls, 0);
    nexus_abi::termios attributes = tty_->attributes();
    attributes.c_lflag &= ~lflag::kIcanon;
    tty_->set_attributes(attributes);
    EXPECT_EQ(input_calls, 1);
    tty_->discard_input();
    EXPECT_FALSE(tty_->has_input());
}

TEST_F(TtyTest, WindowSizeIsKept) {
    EXPECT_EQ(tty_->window_size().columns, 80);
    tty_->set_window_size({.rows = 50, .columns = 132, .x_pixels = 0, .y_pixels = 0});
    EXPECT_EQ(tty_->window_size().rows, 50);
}

// Linux' defaults, so that stty(1) and glibc see a terminal they know.
TEST(Termios, DefaultsAreThoseOfLinux) {
    const nexus_abi::termios defaults = kernel::drivers::default_termios();
    EXPECT_EQ(defaults.c_oflag, 05U);
    EXPECT_EQ(defaults.c_lflag, 0105073U);
    EXPECT_EQ(defaults.c_cc[0], 3);
    EXPECT_EQ(defaults.c_cc[2], 0x7f);
    EXPECT_EQ(defaults.c_cc[4], 4);
    EXPECT_EQ(defaults.c_cc[6], 1);
}

}  // namespace
