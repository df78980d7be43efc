// SPDX-License-Identifier: MIT
// Console: the one place bytes leave the kernel for the UART. The bytes of one call stay together on the
// wire; they are copied into a transmit ring under the lock and leave it by transmit interrupts, or at once
// where there are none.
//
// Early boot: attach() the firmware's console; every write is sent before it returns. Later attach() the
// UART, route its interrupt, start_interrupts(). Devices without interrupts stay as they are. Concurrency:
// any hart; guarded by lock_ (LockRank::Console). Handlers are called with no console lock held.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "drivers/console_device.hpp"
#include "lib/thread_safety.hpp"
#include "sync/spinlock.hpp"

namespace kernel::drivers {

enum class Newline : std::uint8_t {
    AsIs,
    CrLf,  // "\n" leaves as "\r\n"
};

class Console {
  public:
    static constexpr std::size_t kRingBytes = 16 * 1024;
    // The most one try_write() takes. Copying it, expanded, stays near 10 000 instructions.
    static constexpr std::size_t kChunkBytes = 1024;
    // The most one call sends while interrupts are to send the rest.
    static constexpr std::size_t kPumpBytes = 256;
    // Writers that found the ring full are called when this much is free.
    static constexpr std::size_t kSpaceBytes = kRingBytes / 2;
    // A device that was busy this often in a row without taking a byte is given up on until it takes one
    // again: at 115200 baud a FIFO of 16 empties in 1.4 ms, some thousand polls.
    static constexpr std::uint32_t kStalledPolls = 1'000'000;

    using InputHandler = void (*)(std::span<const char> bytes);
    using SpaceHandler = void (*)();

    constexpr Console() = default;
    Console(const Console&) = delete;
    Console& operator=(const Console&) = delete;

    // Sends what is left to the old device, then uses `device`, by polling. `device` lives as long as the
    // console.
    void attach(ConsoleDevice& device) EXCLUDES(lock_);
    // From now on the ring is emptied by interrupts. Pre: the device's interrupt arrives at service().
    void start_interrupts() EXCLUDES(lock_);
    // The device interrupts as soon as it can send, whether or not there is anything to send; service() ends
    // that. For finding out whether interrupts arrive.
    void provoke_interrupt() EXCLUDES(lock_);
    // Back to polling.
    void stop_interrupts() EXCLUDES(lock_);
    // Boot, one hart. Input is thrown away while there is no handler.
    void set_input_handler(InputHandler handler) { input_handler_ = handler; }
    void set_space_handler(SpaceHandler handler) { space_handler_ = handler; }

    // A kernel line: starts at column 0 (what was there before is ended first) and ends with a newline; any
    // length. When the ring is full the caller sends bytes by polling until there is room.
    void write_line(std::string_view line) EXCLUDES(lock_);
    // Takes as much of `bytes` as one chunk holds and returns how much: all of it up to kChunkBytes, beyond
    // that up to the last newline in the chunk if it has one. 0 means the ring is full: the space handler
    // will be called when there is room again. To wait without missing the call, hold the lock the handler
    // takes around try_write().
    [[nodiscard]] std::size_t try_write(std::span<const char> bytes, Newline newline) EXCLUDES(lock_);

    // The device's interrupt, or a periodic poll: takes input in, sends output, calls the handlers.
    void service() EXCLUDES(lock_);
    // Sends everything and waits until the wire is idle; for power-off.
    void flush() EXCLUDES(lock_);

    // From now on only write_panic() reaches the device, on the calling hart; other writes vanish. Waits a
    // bounded time for the lock, then goes on without it, and sends what the ring still holds. Idempotent.
    void begin_panic() NO_THREAD_SAFETY_ANALYSIS;
    // Sends `text` by polling, newlines as CRLF. Pre: begin_panic().
    void write_panic(std::string_view text) NO_THREAD_SAFETY_ANALYSIS;

    // Bytes that were given up because the device was stuck. For tests and reports; exact once writers are
    // quiet.
    [[nodiscard]] std::uint64_t dropped_bytes() const {
        return dropped_bytes_.load(std::memory_order_relaxed);
    }

  private:
    [[nodiscard]] std::size_t free_bytes() const REQUIRES(lock_) { return kRingBytes - (head_ - tail_); }
    void append(char byte) REQUIRES(lock_);
    void append_expanded(char byte, Newline newline) REQUIRES(lock_);
    void append_polled(char byte) REQUIRES(lock_);
    [[nodiscard]] bool send_some(std::size_t limit) REQUIRES(lock_);
    void send_until_free(std::size_t wanted_bytes) REQUIRES(lock_);
    void pump() REQUIRES(lock_);
    void send_all() REQUIRES(lock_);
    void send_queued() REQUIRES(lock_);
    [[nodiscard]] bool is_silenced() const { return panicking_.load(std::memory_order_acquire); }

    SpinLock lock_{LockRank::Console};
    ConsoleDevice* device_ GUARDED_BY(lock_){nullptr};
    // Absolute positions; the ring index is the position modulo kRingBytes. head_ - tail_ bytes are queued.
    std::size_t head_ GUARDED_BY(lock_){0};
    std::size_t tail_ GUARDED_BY(lock_){0};
    bool has_interrupts_ GUARDED_BY(lock_){false};
    bool space_wanted_ GUARDED_BY(lock_){false};
    bool stalled_ GUARDED_BY(lock_){false};
    bool at_line_start_ GUARDED_BY(lock_){true};
    std::atomic<bool> panicking_{false};
    std::atomic<std::uint64_t> dropped_bytes_{0};
    InputHandler input_handler_{nullptr};  // immutable after boot
    SpaceHandler space_handler_{nullptr};  // immutable after boot
    std::array<char, kRingBytes> ring_ GUARDED_BY(lock_){};
};

}  // namespace kernel::drivers
