// SPDX-License-Identifier: MIT
#include "drivers/console.hpp"

#include <algorithm>
#include <optional>

#include "arch/contract.hpp"

namespace kernel::drivers {

namespace {

// Causes one service() acknowledges: the five a UART has, and again for what came in meanwhile.
constexpr std::uint32_t kMaxCauses = 10;
constexpr std::size_t kInputBatchBytes = 64;
// Tries for the lock before a panic goes on without it; a holder sends 256 bytes at most, some thousand
// instructions.
constexpr std::uint32_t kPanicLockTries = 200'000;

std::span<const char> chunk_of(std::span<const char> bytes) {
    if (bytes.size() <= Console::kChunkBytes) {
        return bytes;
    }
    for (std::size_t end = Console::kChunkBytes; end > 0; --end) {
        if (bytes[end - 1] == '\n') {
            return bytes.first(end);
        }
    }
    return bytes.first(Console::kChunkBytes);
}

std::size_t expanded_bytes(std::span<const char> bytes, Newline newline) {
    if (newline == Newline::AsIs) {
        return bytes.size();
    }
    return bytes.size() + static_cast<std::size_t>(std::count(bytes.begin(), bytes.end(), '\n'));
}

}  // namespace

void Console::attach(ConsoleDevice& device) {
    const FirmLockGuard guard{lock_};
    if (device_ != nullptr) {
        send_all();
        device_->set_interrupts(false, false);
    }
    has_interrupts_ = false;
    stalled_ = false;
    device_ = &device;
    send_all();
}

void Console::start_interrupts() {
    const FirmLockGuard guard{lock_};
    if (device_ != nullptr) {
        has_interrupts_ = true;
        pump();
    }
}

void Console::provoke_interrupt() {
    const FirmLockGuard guard{lock_};
    if (device_ != nullptr && has_interrupts_) {
        device_->set_interrupts(true, true);
    }
}

void Console::stop_interrupts() {
    const FirmLockGuard guard{lock_};
    if (device_ != nullptr) {
        device_->set_interrupts(false, false);
        has_interrupts_ = false;
        send_all();
    }
}

void Console::write_line(std::string_view line) {
    if (is_silenced()) {
        return;
    }
    const FirmLockGuard guard{lock_};
    if (!at_line_start_) {
        append_polled('\n');
    }
    for (const char byte : line) {
        append_polled(byte);
    }
    append_polled('\n');
    send_queued();
}

std::size_t Console::try_write(std::span<const char> bytes, Newline newline) {
    if (is_silenced()) {
        return bytes.size();
    }
    const FirmLockGuard guard{lock_};
    const std::span<const char> chunk = chunk_of(bytes);
    const std::size_t needed = expanded_bytes(chunk, newline);
    if (free_bytes() < needed) {
        if (has_interrupts_) {
            pump();
        } else {
            send_until_free(needed);
        }
    }
    if (free_bytes() < needed) {
        if (has_interrupts_) {
            space_wanted_ = true;
            device_->set_interrupts(true, true);
            return 0;
        }
        // Nothing would ever tell the writer to come back.
        dropped_bytes_.fetch_add(needed, std::memory_order_relaxed);
        return chunk.size();
    }
    for (const char byte : chunk) {
        append_expanded(byte, newline);
    }
    send_queued();
    return chunk.size();
}

void Console::service() {
    if (is_silenced()) {
        return;
    }
    std::array<char, kInputBatchBytes> input;
    std::size_t received = 0;
    bool has_new_space = false;
    {
        const FirmLockGuard guard{lock_};
        if (device_ == nullptr) {
            return;
        }
        for (std::uint32_t i = 0; i < kMaxCauses; ++i) {
            const bool was_pending = device_->acknowledge_interrupt();
            while (received < input.size()) {
                const std::optional<char> byte = device_->receive();
                if (!byte.has_value()) {
                    break;
                }
                input[received] = *byte;
                ++received;
            }
            // A full batch leaves the rest in the device, whose interrupt stays up.
            if (!was_pending || received == input.size()) {
                break;
            }
        }
        send_queued();
        if (space_wanted_ && free_bytes() >= kSpaceBytes) {
            space_wanted_ = false;
            has_new_space = true;
            device_->set_interrupts(has_interrupts_, has_interrupts_ && head_ != tail_);
        }
    }
    if (received > 0 && input_handler_ != nullptr) {
        input_handler_(std::span<const char>{input}.first(received));
    }
    if (has_new_space && space_handler_ != nullptr) {
        space_handler_();
    }
}

void Console::flush() {
    const FirmLockGuard guard{lock_};
    stalled_ = false;  // the last chance is worth one more wait
    send_all();
    for (std::uint32_t polls = 0; device_ != nullptr && polls < kStalledPolls && !device_->is_idle();
         ++polls) {
        arch::cpu_relax();
    }
}

void Console::begin_panic() {
    panicking_.store(true, std::memory_order_release);
    for (std::uint32_t tries = 0; tries < kPanicLockTries; ++tries) {
        const PanicLockGuard guard{lock_};
        if (guard) {
            break;
        }
        arch::cpu_relax();
    }
    // From here on without the lock: its holder may be this very hart. Every new writer sees panicking_ and
    // stays out.
    if (head_ - tail_ > kRingBytes) {
        tail_ = head_;
    }
    stalled_ = false;
    send_all();
    if (!at_line_start_) {
        write_panic("\n");
    }
}

void Console::write_panic(std::string_view text) {
    for (const char byte : text) {
        append_polled(byte);
    }
    send_all();
}

// Pre: free_bytes() >= 1.
void Console::append(char byte) {
    ring_[head_ % kRingBytes] = byte;
    ++head_;
}

// Pre: free_bytes() >= 2.
void Console::append_expanded(char byte, Newline newline) {
    if (byte == '\n' && newline == Newline::CrLf) {
        append('\r');
    }
    append(byte);
    at_line_start_ = byte == '\n';
}

void Console::append_polled(char byte) {
    if (free_bytes() < 2) {
        send_until_free(kPumpBytes);
    }
    if (free_bytes() < 2) {
        dropped_bytes_.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    append_expanded(byte, Newline::CrLf);
}

// Sends up to `limit` queued bytes, as many as the device takes at once. False: none.
bool Console::send_some(std::size_t limit) {
    const std::size_t index = tail_ % kRingBytes;
    const std::size_t queued = std::min(head_ - tail_, kRingBytes - index);
    const std::size_t sent =
        device_->send(std::span<const char>{ring_}.subspan(index, std::min(queued, limit)));
    tail_ += sent;
    if (sent > 0) {
        stalled_ = false;
    }
    return sent > 0;
}

// Polls until `wanted_bytes` are free, the ring is empty or the device is stuck.
void Console::send_until_free(std::size_t wanted_bytes) {
    std::uint32_t busy_polls = 0;
    while (device_ != nullptr && head_ != tail_ && free_bytes() < wanted_bytes) {
        if (send_some(kRingBytes)) {
            busy_polls = 0;
            continue;
        }
        ++busy_polls;
        if (stalled_ || busy_polls == kStalledPolls) {
            stalled_ = true;
            return;
        }
        arch::cpu_relax();
    }
}

void Console::send_all() {
    send_until_free(kRingBytes);
}

// Sends a bounded piece now and leaves the rest to the transmit interrupt.
void Console::pump() {
    const std::size_t start = tail_;
    while (head_ != tail_ && tail_ - start < kPumpBytes) {
        if (!send_some(kPumpBytes - (tail_ - start))) {
            break;
        }
    }
    device_->set_interrupts(true, head_ != tail_ || space_wanted_);
}

void Console::send_queued() {
    if (has_interrupts_) {
        pump();
    } else {
        send_all();
    }
}

}  // namespace kernel::drivers
