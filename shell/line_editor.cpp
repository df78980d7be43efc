// SPDX-License-Identifier: MIT
#include "line_editor.hpp"

#include <algorithm>

namespace shell {
namespace {

constexpr char ctrl(char letter) {
    return static_cast<char>(letter & 0x1f);
}
constexpr char kEscape = 27;
constexpr char kDelete = 127;
constexpr std::string_view kBell = "\a";

bool is_continuation(char byte) {  // of a UTF-8 character
    return (static_cast<unsigned char>(byte) & 0xc0U) == 0x80;
}

// Characters, each taken as one column wide.
std::size_t width(std::string_view text) {
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char byte) { return !is_continuation(byte); }));
}

// The bytes of text's characters from `first` on, `count` of them at most.
std::string_view characters(std::string_view text, std::size_t first, std::size_t count) {
    std::size_t begin = text.size();
    std::size_t end = text.size();
    std::size_t seen = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (is_continuation(text[i])) {
            continue;
        }
        begin = seen == first ? i : begin;
        if (seen == first + count) {
            end = i;
            break;
        }
        ++seen;
    }
    return text.substr(begin, end - begin);
}

std::string common_prefix(const std::vector<std::string>& candidates) {
    std::string prefix = candidates[0];
    for (const std::string& other : candidates) {
        const auto [end, unused] = std::ranges::mismatch(prefix, other);
        prefix.erase(end, prefix.end());
    }
    return prefix;
}

// In as many columns as fit.
std::string side_by_side(const std::vector<std::string>& candidates, std::size_t columns) {
    std::size_t widest = 0;
    for (const std::string& candidate : candidates) {
        widest = std::max(widest, candidate.size());
    }
    const std::size_t per_row = std::max<std::size_t>(1, columns / (widest + 2));
    std::string text;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        const bool ends_row = (i + 1) % per_row == 0 || i + 1 == candidates.size();
        text += candidates[i] + (ends_row ? "\r\n" : std::string(widest + 2 - candidates[i].size(), ' '));
    }
    return text;
}

}  // namespace

std::string LineEditor::begin(unsigned screen_columns) {
    line_.clear();
    new_line_.clear();
    cursor_ = 0;
    columns_ = std::max<std::size_t>(screen_columns, width(prompt_) + 8);
    escape_ = Escape::None;
    shown_entry_ = history_.size();
    return prompt_;
}

LineEditor::Step LineEditor::feed(char key) {
    Step step;
    if (escape_ == Escape::Begun) {
        escape_ = key == '[' || key == 'O' ? Escape::Bracket : Escape::None;
        sequence_.clear();
        if (key == 'b') {
            step.output = move(word_before(cursor_));
        } else if (key == 'f') {
            step.output = move(word_behind(cursor_));
        } else if (key == 'd') {
            step.output = erase(cursor_, word_behind(cursor_));
        }
    } else if (escape_ == Escape::Bracket) {
        // ECMA-48: parameters, then one byte of 0x40..0x7e.
        if (key >= 0x40 && key <= 0x7e) {
            escape_ = Escape::None;
            step.output = end_sequence(key);
        } else if (sequence_.size() < 8) {
            sequence_ += key;
        }
    } else if (key == kEscape) {
        escape_ = Escape::Begun;
    } else if ((static_cast<unsigned char>(key) >= 0x20 && key != kDelete)) {
        step.output = insert(key);
    } else {
        step.output = control(key, step.event);
    }
    return step;
}

void LineEditor::remember(const std::string& line) {
    if (line.find_first_not_of(" \t") == std::string::npos ||
        (!history_.empty() && history_.back() == line)) {
        return;
    }
    history_.push_back(line);
    if (history_.size() > kMaxHistory) {
        history_.erase(history_.begin());
    }
}

std::string LineEditor::insert(char letter) {
    if (line_.size() >= kMaxBytes) {
        return std::string{kBell};
    }
    const bool is_at_end = cursor_ == line_.size();
    line_.insert(cursor_, 1, letter);
    ++cursor_;
    // At the end nothing else moves.
    return is_at_end && width(prompt_) + width(line_) < columns_ ? std::string(1, letter) : draw();
}

std::string LineEditor::control(char key, Event& event) {
    switch (key) {
        case '\r':
        case '\n':
            event = Event::Line;
            return move(line_.size()) + "\r\n";
        case ctrl('C'):
            event = Event::Interrupt;
            return "^C\r\n";
        case ctrl('D'):
            if (line_.empty()) {
                event = Event::EndOfFile;
                return "\r\n";
            }
            return erase(cursor_, behind(cursor_));
        case ctrl('H'):
        case kDelete:
            return erase(before(cursor_), cursor_);
        case ctrl('A'):
            return move(0);
        case ctrl('E'):
            return move(line_.size());
        case ctrl('B'):
            return move(before(cursor_));
        case ctrl('F'):
            return move(behind(cursor_));
        case ctrl('K'):
            return erase(cursor_, line_.size());
        case ctrl('U'):
            return erase(0, cursor_);
        case ctrl('W'):
            return erase(word_before(cursor_), cursor_);
        case ctrl('Y'):
            line_.insert(cursor_, killed_.substr(0, kMaxBytes - std::min(kMaxBytes, line_.size())));
            cursor_ = std::min(cursor_ + killed_.size(), line_.size());
            return draw();
        case ctrl('L'):
            return "\x1b[H\x1b[J" + draw();
        case ctrl('P'):
            return recall(shown_entry_ == 0 ? 0 : shown_entry_ - 1);
        case ctrl('N'):
            return recall(shown_entry_ + 1);
        case '\t':
            return complete();
        default:
            return {};
    }
}

std::string LineEditor::end_sequence(char last) {
    switch (last) {
        case 'A':
            return recall(shown_entry_ == 0 ? 0 : shown_entry_ - 1);
        case 'B':
            return recall(shown_entry_ + 1);
        case 'C':
            return move(sequence_.ends_with(";5") ? word_behind(cursor_) : behind(cursor_));
        case 'D':
            return move(sequence_.ends_with(";5") ? word_before(cursor_) : before(cursor_));
        case 'H':
            return move(0);
        case 'F':
            return move(line_.size());
        case '~':
            if (sequence_ == "1" || sequence_ == "7") {
                return move(0);
            }
            if (sequence_ == "4" || sequence_ == "8") {
                return move(line_.size());
            }
            return sequence_ == "3" ? erase(cursor_, behind(cursor_)) : std::string{};
        default:
            return {};
    }
}

std::string LineEditor::recall(std::size_t entry) {
    if (entry > history_.size() || entry == shown_entry_) {
        return {};
    }
    if (shown_entry_ == history_.size()) {
        new_line_ = line_;
    }
    shown_entry_ = entry;
    line_ = entry == history_.size() ? new_line_ : history_[entry];
    cursor_ = line_.size();
    return draw();
}

std::string LineEditor::erase(std::size_t from, std::size_t to) {
    if (from == to) {
        return {};
    }
    if (width(std::string_view{line_}.substr(from, to - from)) > 1) {
        killed_ = line_.substr(from, to - from);
    }
    line_.erase(from, to - from);
    cursor_ = from;
    return draw();
}

std::string LineEditor::move(std::size_t to) {
    if (to == cursor_) {
        return {};
    }
    cursor_ = to;
    return draw();
}

std::string LineEditor::complete() {
    const Completion completion = completer_(std::string_view{line_}.substr(0, cursor_));
    if (completion.candidates.empty()) {
        return std::string{kBell};
    }
    const bool is_only = completion.candidates.size() == 1;
    std::string text = common_prefix(completion.candidates);
    const bool brings_more = text.size() > cursor_ - completion.from;
    if (is_only && !text.ends_with('/')) {
        text += ' ';
    }
    if (!is_only && !brings_more) {
        return "\r\n" + side_by_side(completion.candidates, columns_) + draw();
    }
    if (line_.size() + text.size() > kMaxBytes) {
        return std::string{kBell};
    }
    line_.replace(completion.from, cursor_ - completion.from, text);
    cursor_ = completion.from + text.size();
    return draw();
}

std::string LineEditor::draw() const {
    const std::size_t room = columns_ - width(prompt_) - 1;  // the last column would wrap
    const std::size_t place = width(std::string_view{line_}.substr(0, cursor_));
    const std::size_t first = place > room ? place - room : 0;
    std::string text = '\r' + prompt_ + std::string{characters(line_, first, room)} + "\x1b[K\r";
    if (const std::size_t column = width(prompt_) + place - first; column > 0) {
        text += "\x1b[" + std::to_string(column) + 'C';
    }
    return text;
}

std::size_t LineEditor::before(std::size_t place) const {
    do {
        place -= place > 0 ? 1 : 0;
    } while (place > 0 && is_continuation(line_[place]));
    return place;
}

std::size_t LineEditor::behind(std::size_t place) const {
    do {
        place += place < line_.size() ? 1 : 0;
    } while (place < line_.size() && is_continuation(line_[place]));
    return place;
}

std::size_t LineEditor::word_before(std::size_t place) const {
    while (place > 0 && line_[place - 1] == ' ') {
        --place;
    }
    while (place > 0 && line_[place - 1] != ' ') {
        --place;
    }
    return place;
}

std::size_t LineEditor::word_behind(std::size_t place) const {
    while (place < line_.size() && line_[place] == ' ') {
        ++place;
    }
    while (place < line_.size() && line_[place] != ' ') {
        ++place;
    }
    return place;
}

}  // namespace shell
