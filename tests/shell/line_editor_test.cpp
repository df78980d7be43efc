// SPDX-License-Identifier: MIT
#include "line_editor.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using shell::Completion;
using shell::LineEditor;
using testing::ElementsAre;
using testing::HasSubstr;

// The screen's only line as a terminal shows it: what the editor sends is acted on.
class Screen {
  public:
    explicit Screen(std::size_t columns) : columns_{columns} {}
    void write(std::string_view text) {
        for (std::size_t i = 0; i < text.size(); ++i) {
            const char letter = text[i];
            if (letter == '\r') {
                cursor_ = 0;
            } else if (letter == '\n') {
                line_.clear();
            } else if (letter == '\a') {
                ++bells_;
            } else if (text.substr(i).starts_with("\x1b[K")) {
                line_.resize(std::min(line_.size(), cursor_));
                i += 2;
            } else if (letter == '\x1b') {
                std::size_t number = 0;
                for (i += 2; text[i] >= '0' && text[i] <= '9'; ++i) {
                    number = number * 10 + static_cast<std::size_t>(text[i] - '0');
                }
                EXPECT_EQ(text[i], 'C') << "the only other sequence";
                cursor_ += number;
            } else {
                line_.resize(std::max(line_.size(), cursor_ + 1), ' ');
                line_[cursor_++] = letter;
                EXPECT_LT(cursor_, columns_) << "it would wrap";
            }
        }
    }
    // With '|' where the cursor is.
    [[nodiscard]] std::string shown() const {
        std::string text = line_;
        text.resize(std::max(text.size(), cursor_), ' ');
        return text.insert(cursor_, "|");
    }
    [[nodiscard]] int bells() const { return bells_; }

  private:
    std::size_t columns_;
    std::string line_;
    std::size_t cursor_{0};
    int bells_{0};
};

class ShellLineEditor : public testing::Test {
  protected:
    static Completion complete(std::string_view line) {
        const std::size_t from = line.rfind(' ') + 1;
        Completion completion{.from = from, .candidates = {}};
        for (const char* const name : {"sched", "spin", "taskset", "top", "dir/"}) {
            if (std::string_view{name}.starts_with(line.substr(from))) {
                completion.candidates.emplace_back(name);
            }
        }
        return completion;
    }
    void begin() { screen_.write('\r' + editor_.begin(30) + "\x1b[K"); }
    LineEditor::Event type(std::string_view keys) {
        LineEditor::Event last{};
        for (const char key : keys) {
            const auto step = editor_.feed(key);
            screen_.write(step.output);
            output_ += step.output;
            last = step.event;
        }
        return last;
    }
    // A line from the prompt to Return.
    std::string line(std::string_view keys) {
        begin();
        EXPECT_EQ(type(std::string{keys} + '\r'), LineEditor::Event::Line);
        editor_.remember(editor_.line());
        return editor_.line();
    }

    LineEditor editor_{"> ", complete};
    Screen screen_{30};
    std::string output_;
};

TEST_F(ShellLineEditor, WhatIsTypedIsEchoedAsItIs) {
    begin();
    type("ps -T");
    EXPECT_EQ(output_, "ps -T") << "a log of the session reads well";
    EXPECT_EQ(screen_.shown(), "> ps -T|");
    EXPECT_EQ(type("\r"), LineEditor::Event::Line);
    EXPECT_EQ(editor_.line(), "ps -T");
}

TEST_F(ShellLineEditor, EditsInTheMiddle) {
    begin();
    type("tsk\x1b[D\x1b[Da");
    EXPECT_EQ(screen_.shown(), "> ta|sk");
    type("\x1b[C\x7f");
    EXPECT_EQ(screen_.shown(), "> ta|k");
    type("\x1b[3~s\x1b[Hx\x1b[Fy");
    EXPECT_EQ(screen_.shown(), "> xtasy|");
    type("\x01\x04\x05\x08");
    EXPECT_EQ(screen_.shown(), "> tas|");
}

TEST_F(ShellLineEditor, CutsAndPutsBack) {
    EXPECT_EQ(line("one two three\x17\x15"
                   "x \x19"),
              "x one two ")
        << "what was cut last";
}

TEST_F(ShellLineEditor, KillsToTheEnds) {
    begin();
    type(
        "one two three\x1b[D\x1b"
        "b\x0b");
    EXPECT_EQ(screen_.shown(), "> one two |");
    type("\x15\x19");
    EXPECT_EQ(screen_.shown(), "> one two |");
    type(
        "\x1b"
        "b\x1b"
        "d");
    EXPECT_EQ(screen_.shown(), "> one | ");
}

TEST_F(ShellLineEditor, RemembersLines) {
    line("first");
    line("second");
    line("second");
    line("   ");
    EXPECT_THAT(editor_.history(), ElementsAre("first", "second"));
    begin();
    type("new\x1b[A");
    EXPECT_EQ(screen_.shown(), "> second|");
    type("\x1b[A\x1b[A");
    EXPECT_EQ(screen_.shown(), "> first|");
    type("\x0e\x0e");
    EXPECT_EQ(screen_.shown(), "> new|") << "what was typed first is still there";
    for (int i = 0; i < 300; ++i) {
        editor_.remember(std::to_string(i));
    }
    EXPECT_EQ(editor_.history().size(), LineEditor::kMaxHistory);
    EXPECT_EQ(editor_.history().back(), "299");
}

TEST_F(ShellLineEditor, Completes) {
    begin();
    type("ta\t");
    EXPECT_EQ(screen_.shown(), "> taskset |");
    type("d\t");
    EXPECT_EQ(screen_.shown(), "> taskset dir/|") << "a directory goes on";
    type(" s\t");
    EXPECT_THAT(output_, HasSubstr("\r\nsched  spin\r\n"));
    EXPECT_EQ(screen_.shown(), "> taskset dir/ s|");
    EXPECT_EQ(screen_.bells(), 0);
    type("zz\t");
    EXPECT_EQ(screen_.bells(), 1);
}

TEST_F(ShellLineEditor, ALongLineIsShownInPart) {
    begin();
    type("0123456789012345678901234567890123456789");
    EXPECT_EQ(screen_.shown(), "> 345678901234567890123456789|");
    type("\x01");
    EXPECT_EQ(screen_.shown(), "> |012345678901234567890123456");
    EXPECT_EQ(type("\r"), LineEditor::Event::Line);
    EXPECT_EQ(editor_.line().size(), 40U);
}

TEST_F(ShellLineEditor, UmlautsAreOneCharacter) {
    begin();
    type("a\xc3\xa4z\x02\x08");
    EXPECT_EQ(editor_.line(), "az");
}

TEST_F(ShellLineEditor, EndsAndInterrupts) {
    begin();
    EXPECT_EQ(type("\x04"), LineEditor::Event::EndOfFile);
    begin();
    EXPECT_EQ(type("abc\x03"), LineEditor::Event::Interrupt);
    begin();
    EXPECT_EQ(editor_.line(), "");
}

TEST_F(ShellLineEditor, ALineHasALimit) {
    begin();
    for (std::size_t i = 0; i < LineEditor::kMaxBytes + 10; ++i) {
        static_cast<void>(editor_.feed('x'));
    }
    EXPECT_EQ(editor_.line().size(), LineEditor::kMaxBytes);
    EXPECT_EQ(editor_.feed('x').output, "\a");
}

TEST_F(ShellLineEditor, StrangeKeysDoNothing) {
    begin();
    type("ab\x1b[99;99;99;99;99~\x1bz\x1b[Z\x1bOP\x07\x00");
    EXPECT_EQ(editor_.line(), "ab");
}

}  // namespace
