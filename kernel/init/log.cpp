// SPDX-License-Identifier: MIT
#include "init/log.hpp"

#include <algorithm>
#include <array>
#include <atomic>

#include "arch/contract.hpp"
#include "drivers/console.hpp"
#include "lib/thread_safety.hpp"
#include "sync/spinlock.hpp"

namespace kernel::log {

namespace {

// Room for "[12345.678901] warning: ".
constexpr std::size_t kPrefixBytes = 32;
// Linux' KERN_NOTICE: what markers are kept as.
constexpr std::uint32_t kNotice = 5;

// The newest log text, whole lines. Positions count all bytes ever logged; the index is the position modulo
// kRingBytes. Concurrency: guarded by lock_.
class Ring {
  public:
    // Storage of its own, so that the image carries no 64 KiB of zeros beside an initialised lock.
    explicit constexpr Ring(std::array<char, kRingBytes>& storage) : bytes_{storage} {}

    // Pre: level <= 7.
    void append(std::uint32_t level, std::string_view line) EXCLUDES(lock_) {
        const std::array<char, 3> mark{'<', static_cast<char>('0' + level), '>'};
        const LockGuard guard{lock_};
        while (head_ + mark.size() + line.size() + 1 - oldest_ > kRingBytes) {
            oldest_ = line_end(oldest_);
        }
        put({mark.data(), mark.size()});
        put(line);
        put("\n");
    }

    std::size_t read(std::uint64_t& position, std::span<char> out) EXCLUDES(lock_) {
        const LockGuard guard{lock_};
        std::uint64_t from = std::clamp(position, oldest_, head_);
        std::size_t copied = 0;
        while (from < head_) {
            const std::uint64_t end = line_end(from);
            if (end - from > out.size() - copied) {
                break;
            }
            for (; from < end; ++from) {
                out[copied] = bytes_[from % kRingBytes];
                ++copied;
            }
        }
        position = from;
        return copied;
    }

  private:
    void put(std::string_view text) REQUIRES(lock_) {
        for (const char byte : text) {
            bytes_[head_ % kRingBytes] = byte;
            ++head_;
        }
    }
    // The position after the newline of the line at `position`. Pre: position < head_.
    [[nodiscard]] std::uint64_t line_end(std::uint64_t position) const REQUIRES(lock_) {
        while (bytes_[position % kRingBytes] != '\n') {
            ++position;
        }
        return position + 1;
    }

    SpinLock lock_{LockRank::Log};
    std::uint64_t oldest_ GUARDED_BY(lock_){0};
    std::uint64_t head_ GUARDED_BY(lock_){0};
    std::array<char, kRingBytes>& bytes_ GUARDED_BY(lock_);
};

constinit std::array<char, kRingBytes> ring_bytes{};
constinit Ring ring{ring_bytes};
constinit std::atomic<drivers::Console*> log_console{nullptr};
constinit std::atomic<std::uint32_t> shown_below{kDefaultLogLevel};

std::string_view prefix_of(Level level) {
    switch (level) {
        case Level::Error:
            return "error: ";
        case Level::Warning:
            return "warning: ";
        case Level::Info:
        case Level::Debug:
            break;
    }
    return "";
}

void show(std::string_view line) {
    // Pairs with the release in set_console().
    if (drivers::Console* console = log_console.load(std::memory_order_acquire); console != nullptr) {
        console->write_line(line);
    }
}

}  // namespace

void set_console(drivers::Console* console) {
    log_console.store(console, std::memory_order_release);
}

drivers::Console* current_console() {
    return log_console.load(std::memory_order_acquire);
}

void set_console_level(std::uint32_t level) {
    shown_below.store(level, std::memory_order_relaxed);
}

std::uint32_t console_level() {
    return shown_below.load(std::memory_order_relaxed);
}

void emit(Level level, std::string_view text) {
    Line<kMaxLineBytes + kPrefixBytes> line;
    const auto microseconds = static_cast<std::uint64_t>(arch::now().ns()) / 1000;
    line << '[' << padded(microseconds / 1'000'000, 5) << '.' << padded(microseconds % 1'000'000, 6, '0')
         << "] " << prefix_of(level) << text;
    ring.append(static_cast<std::uint32_t>(level), line.text());
    if (static_cast<std::uint32_t>(level) < console_level()) {
        show(line.text());
    }
}

void emit_marker(std::string_view text) {
    ring.append(kNotice, text);
    show(text);
}

std::size_t read(std::uint64_t& position, std::span<char> out) {
    return ring.read(position, out.first(std::min(out.size(), kMaxReadBytes)));
}

}  // namespace kernel::log
