// SPDX-License-Identifier: MIT
// The terminal on the console: Linux' line discipline N_TTY as far as programs use it. Canonical mode edits
// lines (erase, word erase, kill, end of file), raw mode hands out bytes; ISIG turns Ctrl-C, Ctrl-\ and
// Ctrl-Z into signals. VTIME is the reader's to observe (raw_bytes(), read_raw()). Not done: flow control by
// Ctrl-S/Ctrl-Q, literal next, reprint. A tab is echoed as one space, so that erasing it removes what it
// showed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "drivers/console.hpp"
#include "lib/fixed_vector.hpp"
#include "lib/result.hpp"
#include "lib/thread_safety.hpp"
#include "nexus_abi/terminal.hpp"
#include "sync/spinlock.hpp"

namespace kernel::drivers {

// The settings a terminal starts with: canonical, echo, signals, CR -> NL on input, NL -> CRLF on output,
// 115200 8N1.
[[nodiscard]] constexpr nexus_abi::termios default_termios() {
    namespace abi = nexus_abi;
    return {
        .c_iflag = abi::iflag::kIcrnl,
        .c_oflag = abi::oflag::kOpost | abi::oflag::kOnlcr,
        .c_cflag = abi::cflag::kB115200 | abi::cflag::kCs8 | abi::cflag::kCread | abi::cflag::kClocal,
        .c_lflag = abi::lflag::kIsig | abi::lflag::kIcanon | abi::lflag::kEcho | abi::lflag::kEchoe |
                   abi::lflag::kEchok | abi::lflag::kEchoctl | abi::lflag::kEchoke | abi::lflag::kIexten,
        .c_line = 0,
        // By index of ControlCharacter; Linux' INIT_C_CC (include/asm-generic/termios-base.h).
        .c_cc = {3, 28, 0x7f, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0},
    };
}

// The discipline itself: bytes in, echo and finished input out. Pure.
// Concurrency: none of its own; guarded by the lock of its Tty.
class LineDiscipline {
  public:
    static constexpr std::size_t kInputBytes = 4096;
    // Killing a longer line moves to a new one instead of wiping it column by column.
    static constexpr std::size_t kMaxWipedColumns = 160;
    using Echo = FixedVector<char, 3 * kMaxWipedColumns + 8>;

    // Linux' SIGINT, SIGQUIT and SIGTSTP.
    enum class Signal : std::uint8_t { Interrupt = 2, Quit = 3, Suspend = 20 };

    struct Outcome {
        std::optional<Signal> signal;
        bool is_input_ready{false};
    };

    constexpr LineDiscipline() = default;

    // Takes one byte from the wire. What is to be shown is appended to `echo`, which must be empty.
    [[nodiscard]] Outcome receive(char byte, Echo& echo);
    // Canonical: at most one line, without waiting for more than the rest of it; 0 = end of file. Raw: what
    // is there. TryAgain: nothing to read yet. Pre: out is not empty.
    [[nodiscard]] Result<std::size_t> read(std::span<char> out);
    // How many bytes are there in raw mode, be they fewer than VMIN; 0 in canonical mode.
    [[nodiscard]] std::size_t raw_bytes() const {
        return has(nexus_abi::lflag::kIcanon) ? 0 : commit_ - read_;
    }
    // Raw mode: takes what is there, be it fewer than VMIN.
    [[nodiscard]] std::size_t read_raw(std::span<char> out) { return take(out); }
    // True when read() would return something, an end of file included; with VTIME in raw mode, when there is
    // a byte, from which on a reader waits for so long only.
    [[nodiscard]] bool has_input() const;
    // True when read() would not say TryAgain; where VMIN is 0 it may return nothing.
    [[nodiscard]] bool is_readable() const { return is_ready(kInputBytes); }
    void discard_input();

    [[nodiscard]] const nexus_abi::termios& attributes() const { return attributes_; }
    void set_attributes(const nexus_abi::termios& attributes);

  private:
    // A byte, or an end of file; ends_line tells a canonical read to stop after it.
    struct Entry {
        char byte;
        bool ends_line : 1;
        bool is_end_of_file : 1;
    };

    [[nodiscard]] bool has(std::uint32_t local_flag) const { return (attributes_.c_lflag & local_flag) != 0; }
    [[nodiscard]] bool is_control(char byte, nexus_abi::ControlCharacter which) const;
    [[nodiscard]] std::optional<Signal> signal_of(char byte) const;
    [[nodiscard]] const Entry& at(std::size_t position) const { return entries_[position % kInputBytes]; }
    [[nodiscard]] bool is_ready(std::size_t wanted) const;
    [[nodiscard]] std::size_t take(std::span<char> out);
    [[nodiscard]] bool store(Entry entry, std::size_t spare);
    Outcome receive_canonical(char byte, Echo& echo);
    // Where the character that ends at `position` starts, in the line being edited. Pre: position > commit_.
    [[nodiscard]] std::size_t character_start(std::size_t position) const;
    [[nodiscard]] std::size_t columns_of(std::size_t position) const;
    // `by` is the character that asked for it, shown where wiping (ECHOE, ECHOKE) is off.
    void erase_to(std::size_t position, char by, std::uint32_t wipe_flag, Echo& echo);
    [[nodiscard]] std::size_t word_start() const;
    void echo_byte(char byte, Echo& echo) const;

    nexus_abi::termios attributes_{default_termios()};
    // Absolute positions: [read_, commit_) can be read, [commit_, edit_) is the line being edited.
    std::size_t read_{0};
    std::size_t commit_{0};
    std::size_t edit_{0};
    std::array<Entry, kInputBytes> entries_{};
};

// The terminal: a line discipline, its lock and the console it echoes on.
// Concurrency: any hart; guarded by lock_ (LockRank::Terminal). Handlers are called with no lock of the
// terminal held.
class Tty {
  public:
    // Something can be read now: wake the readers.
    using InputHandler = void (*)();
    // Send this signal number to the foreground.
    using SignalHandler = void (*)(int signal);

    explicit constexpr Tty(Console& console) : console_{console} {}
    Tty(const Tty&) = delete;
    Tty& operator=(const Tty&) = delete;

    // Boot, one hart.
    void set_input_handler(InputHandler handler) { input_handler_ = handler; }
    void set_signal_handler(SignalHandler handler) { signal_handler_ = handler; }

    // Bytes from the UART.
    void receive(std::span<const char> bytes) EXCLUDES(lock_);
    // See LineDiscipline::read. To wait without missing the input handler's call, hold the lock that handler
    // takes around read(). An empty `out` reads 0 bytes.
    [[nodiscard]] Result<std::size_t> read(std::span<char> out) EXCLUDES(lock_);
    // See LineDiscipline.
    [[nodiscard]] std::size_t raw_bytes() EXCLUDES(lock_);
    [[nodiscard]] std::size_t read_raw(std::span<char> out) EXCLUDES(lock_);
    [[nodiscard]] bool has_input() EXCLUDES(lock_);
    // Takes some of `bytes` (see Console::try_write) and returns how many. TryAgain: no room; the console's
    // space handler will be called.
    [[nodiscard]] Result<std::size_t> try_write(std::span<const char> bytes) EXCLUDES(lock_);

    [[nodiscard]] nexus_abi::termios attributes() EXCLUDES(lock_);
    // May call the input handler: hold none of its locks.
    void set_attributes(const nexus_abi::termios& attributes) EXCLUDES(lock_);
    void discard_input() EXCLUDES(lock_);
    [[nodiscard]] nexus_abi::winsize window_size() EXCLUDES(lock_);
    void set_window_size(const nexus_abi::winsize& size) EXCLUDES(lock_);

  private:
    [[nodiscard]] Newline newline_mode() const REQUIRES(lock_);

    Console& console_;
    InputHandler input_handler_{nullptr};    // immutable after boot
    SignalHandler signal_handler_{nullptr};  // immutable after boot
    SpinLock lock_{LockRank::Terminal};
    LineDiscipline discipline_ GUARDED_BY(lock_);
    nexus_abi::winsize window_size_ GUARDED_BY(lock_){
        .rows = 24, .columns = 80, .x_pixels = 0, .y_pixels = 0};
};

}  // namespace kernel::drivers
