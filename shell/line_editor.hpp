// SPDX-License-Identifier: MIT
// One line of a terminal, edited key by key: keys come in, what to send to the terminal goes out. vt100
// sequences only; a line longer than the screen is shown in part. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace shell {

// What may stand where the cursor is. The candidates replace the line from `from` to the cursor; one that
// ends in '/' goes on.
struct Completion {
    std::size_t from{0};
    std::vector<std::string> candidates;
};
// line: up to the cursor.
using Completer = std::function<Completion(std::string_view line)>;

// For one thread.
class LineEditor {
  public:
    static constexpr std::size_t kMaxBytes = 4096;  // of a line
    static constexpr std::size_t kMaxHistory = 200;

    enum class Event : std::uint8_t {
        None,
        Line,       // Return: line() is it
        EndOfFile,  // Ctrl-D on an empty line
        Interrupt,  // Ctrl-C
    };
    struct Step {
        Event event{Event::None};
        std::string output;  // for the terminal
    };

    LineEditor(std::string prompt, Completer completer)
        : prompt_{std::move(prompt)}, completer_{std::move(completer)} {}

    // A new line: the prompt. Pre: at the start, and after each event.
    [[nodiscard]] std::string begin(unsigned screen_columns);
    [[nodiscard]] Step feed(char key);
    [[nodiscard]] const std::string& line() const { return line_; }

    // Empty lines and repetitions are left out.
    void remember(const std::string& line);
    [[nodiscard]] const std::vector<std::string>& history() const { return history_; }

  private:
    enum class Escape : std::uint8_t { None, Begun, Bracket };
    std::string insert(char letter);
    std::string control(char key, Event& event);
    std::string end_sequence(char last);
    std::string recall(std::size_t entry);
    std::string erase(std::size_t from, std::size_t to);
    std::string move(std::size_t to);
    std::string complete();
    // The line drawn again, the cursor in its place.
    [[nodiscard]] std::string draw() const;
    [[nodiscard]] std::size_t before(std::size_t place) const;
    [[nodiscard]] std::size_t behind(std::size_t place) const;
    [[nodiscard]] std::size_t word_before(std::size_t place) const;
    [[nodiscard]] std::size_t word_behind(std::size_t place) const;

    const std::string prompt_;
    const Completer completer_;
    std::string line_;
    std::size_t cursor_{0};  // a byte of line_, where a character begins
    std::size_t columns_{80};
    Escape escape_{Escape::None};
    std::string sequence_;  // of an escape sequence, behind the bracket
    std::string killed_;
    std::vector<std::string> history_;
    std::size_t shown_entry_{0};  // history_.size(): the new line
    std::string new_line_;        // while an old one is shown
};

}  // namespace shell
