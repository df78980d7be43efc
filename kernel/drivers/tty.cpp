// SPDX-License-Identifier: MIT
#include "drivers/tty.hpp"

#include <algorithm>
#include <utility>

namespace kernel::drivers {

namespace iflag = nexus_abi::iflag;
namespace lflag = nexus_abi::lflag;
namespace oflag = nexus_abi::oflag;
using nexus_abi::ControlCharacter;

namespace {

constexpr unsigned char as_unsigned(char byte) {
    return static_cast<unsigned char>(byte);
}

// Not tab and newline, which are shown as themselves.
constexpr bool is_shown_with_caret(char byte) {
    return (as_unsigned(byte) < 0x20 && byte != '\n' && byte != '\t') || as_unsigned(byte) == 0x7f;
}

// The second and later bytes of a UTF-8 character.
constexpr bool is_continuation(char byte) {
    return (as_unsigned(byte) & 0xc0) == 0x80;
}

constexpr bool is_word_byte(char byte) {
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           byte == '_' || as_unsigned(byte) >= 0x80;
}

// An echo that does not fit is lost; Echo is sized so that none is.
void show(LineDiscipline::Echo& echo, char byte) {
    const bool fitted = echo.try_push(byte);
    DCHECK(fitted);
}

}  // namespace

LineDiscipline::Outcome LineDiscipline::receive(char byte, Echo& echo) {
    if (byte == '\r' && (attributes_.c_iflag & iflag::kIgncr) != 0) {
        return {};
    }
    if (byte == '\r' && (attributes_.c_iflag & iflag::kIcrnl) != 0) {
        byte = '\n';
    } else if (byte == '\n' && (attributes_.c_iflag & iflag::kInlcr) != 0) {
        byte = '\r';
    }
    if (const std::optional<Signal> signal = signal_of(byte); signal.has_value()) {
        if (!has(lflag::kNoflsh)) {
            discard_input();
        }
        echo_byte(byte, echo);
        return {.signal = signal, .is_input_ready = false};
    }
    if (has(lflag::kIcanon)) {
        return receive_canonical(byte, echo);
    }
    if (store({.byte = byte, .ends_line = false, .is_end_of_file = false}, 0)) {
        commit_ = edit_;
        echo_byte(byte, echo);
    }
    return {.signal = std::nullopt, .is_input_ready = has_input()};
}

LineDiscipline::Outcome LineDiscipline::receive_canonical(char byte, Echo& echo) {
    const bool is_erase =
        is_control(byte, ControlCharacter::Erase) || byte == '\b';  // some terminals send Ctrl-H
    if (is_erase) {
        if (edit_ > commit_) {
            erase_to(character_start(edit_), byte, lflag::kEchoe, echo);
        }
        return {};
    }
    if (is_control(byte, ControlCharacter::WordErase) && has(lflag::kIexten)) {
        if (edit_ > commit_) {
            erase_to(word_start(), byte, lflag::kEchoe, echo);
        }
        return {};
    }
    if (is_control(byte, ControlCharacter::Kill)) {
        if (edit_ > commit_) {
            erase_to(commit_, byte, lflag::kEchoke, echo);
            if (has(lflag::kEcho) && has(lflag::kEchok) && !has(lflag::kEchoke)) {
                show(echo, '\n');
            }
        }
        return {};
    }
    const bool is_end_of_file = is_control(byte, ControlCharacter::EndOfFile);
    const bool ends_line = is_end_of_file || byte == '\n' || is_control(byte, ControlCharacter::EndOfLine) ||
                           is_control(byte, ControlCharacter::EndOfLine2);
    // The last place is kept for what ends the line, so that a line too long can still be sent.
    if (!store({.byte = byte, .ends_line = ends_line, .is_end_of_file = is_end_of_file}, ends_line ? 0 : 1)) {
        return {};
    }
    if (!is_end_of_file) {
        echo_byte(byte, echo);
    }
    if (ends_line) {
        commit_ = edit_;
    }
    return {.signal = std::nullopt, .is_input_ready = ends_line};
}

Result<std::size_t> LineDiscipline::read(std::span<char> out) {
    if (!is_ready(out.size())) {
        return Error::TryAgain;
    }
    return take(out);
}

std::size_t LineDiscipline::take(std::span<char> out) {
    const bool is_canonical = has(lflag::kIcanon);
    std::size_t count = 0;
    while (read_ != commit_) {
        const Entry entry = at(read_);
        // An end of file after the last byte that fits belongs to this line and goes with it.
        if (entry.is_end_of_file) {
            ++read_;
            if (is_canonical) {
                break;
            }
            continue;
        }
        if (count == out.size()) {
            break;
        }
        out[count] = entry.byte;
        ++count;
        ++read_;
        if (is_canonical && entry.ends_line) {
            break;
        }
    }
    return count;
}

bool LineDiscipline::has_input() const {
    const bool has_time =
        !has(lflag::kIcanon) && attributes_.c_cc[std::to_underlying(ControlCharacter::Time)] != 0;
    return read_ != commit_ && (has_time || is_ready(kInputBytes));
}

// Whether a read of `wanted` bytes has something to return.
bool LineDiscipline::is_ready(std::size_t wanted) const {
    if (has(lflag::kIcanon)) {
        return read_ != commit_;
    }
    const std::size_t minimum = attributes_.c_cc[std::to_underlying(ControlCharacter::Minimum)];
    return commit_ - read_ >= std::min(minimum, wanted);
}

void LineDiscipline::discard_input() {
    read_ = commit_ = edit_;
}

void LineDiscipline::set_attributes(const nexus_abi::termios& attributes) {
    attributes_ = attributes;
    if (!has(lflag::kIcanon)) {
        commit_ = edit_;
    }
}

bool LineDiscipline::is_control(char byte, ControlCharacter which) const {
    const std::uint8_t character = attributes_.c_cc[std::to_underlying(which)];
    return character != 0 && character == as_unsigned(byte);
}

std::optional<LineDiscipline::Signal> LineDiscipline::signal_of(char byte) const {
    if (!has(lflag::kIsig)) {
        return std::nullopt;
    }
    if (is_control(byte, ControlCharacter::Interrupt)) {
        return Signal::Interrupt;
    }
    if (is_control(byte, ControlCharacter::Quit)) {
        return Signal::Quit;
    }
    if (is_control(byte, ControlCharacter::Suspend)) {
        return Signal::Suspend;
    }
    return std::nullopt;
}

// False, and the byte is lost, unless `spare` places stay free after it.
bool LineDiscipline::store(Entry entry, std::size_t spare) {
    if (edit_ - read_ + spare >= kInputBytes) {
        return false;
    }
    entries_[edit_ % kInputBytes] = entry;
    ++edit_;
    return true;
}

std::size_t LineDiscipline::character_start(std::size_t position) const {
    --position;
    if ((attributes_.c_iflag & iflag::kIutf8) != 0) {
        while (position > commit_ && is_continuation(at(position).byte)) {
            --position;
        }
    }
    return position;
}

std::size_t LineDiscipline::word_start() const {
    std::size_t position = edit_;
    while (position > commit_ && !is_word_byte(at(position - 1).byte)) {
        --position;
    }
    while (position > commit_ && is_word_byte(at(position - 1).byte)) {
        --position;
    }
    return position;
}

// Columns the echo of the byte at `position` took.
std::size_t LineDiscipline::columns_of(std::size_t position) const {
    const char byte = at(position).byte;
    if (is_shown_with_caret(byte)) {
        return has(lflag::kEchoctl) ? 2 : 0;
    }
    const bool is_joined = (attributes_.c_iflag & iflag::kIutf8) != 0 && is_continuation(byte);
    return is_joined ? 0 : 1;
}

void LineDiscipline::erase_to(std::size_t position, char by, std::uint32_t wipe_flag, Echo& echo) {
    std::size_t columns = 0;
    for (std::size_t i = position; i < edit_; ++i) {
        columns += columns_of(i);
    }
    edit_ = position;
    if (!has(lflag::kEcho)) {
        return;
    }
    if (!has(wipe_flag)) {
        echo_byte(by, echo);
        return;
    }
    if (columns > kMaxWipedColumns) {
        show(echo, '\n');
        return;
    }
    for (std::size_t i = 0; i < columns; ++i) {
        for (const char byte : {'\b', ' ', '\b'}) {
            show(echo, byte);
        }
    }
}

void LineDiscipline::echo_byte(char byte, Echo& echo) const {
    if (!has(lflag::kEcho)) {
        if (byte == '\n' && has(lflag::kEchonl) && has(lflag::kIcanon)) {
            show(echo, byte);
        }
        return;
    }
    if (byte == '\t') {
        show(echo, ' ');
    } else if (is_shown_with_caret(byte) && has(lflag::kEchoctl)) {
        show(echo, '^');
        show(echo, static_cast<char>(as_unsigned(byte) ^ 0x40U));
    } else {
        show(echo, byte);
    }
}

void Tty::receive(std::span<const char> bytes) {
    bool is_input_ready = false;
    for (const char byte : bytes) {
        LineDiscipline::Outcome outcome;
        {
            const LockGuard guard{lock_};
            LineDiscipline::Echo echo;
            outcome = discipline_.receive(byte, echo);
            if (!echo.empty()) {
                // An echo that finds the ring full is lost: the typist sees the output that filled it.
                static_cast<void>(console_.try_write({echo.begin(), echo.size()}, newline_mode()));
            }
        }
        is_input_ready = is_input_ready || outcome.is_input_ready;
        if (outcome.signal.has_value() && signal_handler_ != nullptr) {
            signal_handler_(std::to_underlying(*outcome.signal));
        }
    }
    if (is_input_ready && input_handler_ != nullptr) {
        input_handler_();
    }
}

Result<std::size_t> Tty::read(std::span<char> out) {
    if (out.empty()) {
        return std::size_t{0};
    }
    const LockGuard guard{lock_};
    return discipline_.read(out);
}

std::size_t Tty::raw_bytes() {
    const LockGuard guard{lock_};
    return discipline_.raw_bytes();
}

std::size_t Tty::read_raw(std::span<char> out) {
    const LockGuard guard{lock_};
    return discipline_.read_raw(out);
}

bool Tty::has_input() {
    const LockGuard guard{lock_};
    return discipline_.has_input();
}

Result<std::size_t> Tty::try_write(std::span<const char> bytes) {
    Newline newline{};
    {
        const LockGuard guard{lock_};
        newline = newline_mode();
    }
    const std::size_t written = console_.try_write(bytes, newline);
    if (written == 0 && !bytes.empty()) {
        return Error::TryAgain;
    }
    return written;
}

nexus_abi::termios Tty::attributes() {
    const LockGuard guard{lock_};
    return discipline_.attributes();
}

void Tty::set_attributes(const nexus_abi::termios& attributes) {
    bool is_input_ready = false;
    {
        const LockGuard guard{lock_};
        discipline_.set_attributes(attributes);
        is_input_ready = discipline_.is_readable();
    }
    // A reader that waited for a line may have its bytes in the new mode.
    if (is_input_ready && input_handler_ != nullptr) {
        input_handler_();
    }
}

void Tty::discard_input() {
    const LockGuard guard{lock_};
    discipline_.discard_input();
}

nexus_abi::winsize Tty::window_size() {
    const LockGuard guard{lock_};
    return window_size_;
}

void Tty::set_window_size(const nexus_abi::winsize& size) {
    const LockGuard guard{lock_};
    window_size_ = size;
}

Newline Tty::newline_mode() const {
    const std::uint32_t flags = discipline_.attributes().c_oflag;
    return (flags & oflag::kOpost) != 0 && (flags & oflag::kOnlcr) != 0 ? Newline::CrLf : Newline::AsIs;
}

}  // namespace kernel::drivers
