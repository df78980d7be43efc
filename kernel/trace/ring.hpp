// SPDX-License-Identifier: MIT
// The newest trace records of one CPU. Written by that CPU alone, read by anyone at any time; neither waits
// for the other. A position counts all records ever written; the slot is the position modulo the capacity.
// The protocol is that of a seqlock whose sequence is the head (Boehm, "Can Seqlocks Get Along With
// Programming Language Memory Models?", MSPC 2012): a slot is overwritten only after the head that announces
// it was stored.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/check.hpp"
#include "nexus_abi/trace.hpp"

namespace kernel::trace {

using nexus_abi::trace_record;

class Ring {
  public:
    // Zeros are not needed: only slots below the head are read.
    struct Slot {
        std::uint64_t stamp;
        std::uint64_t payload;  // task in the lower half, value in the upper
    };
    static_assert(sizeof(Slot) == sizeof(trace_record));

    // Gives the ring its memory, or takes it away. Pre: nobody writes or reads; slots.size() is a power of
    // two or 0.
    void provide(std::span<Slot> slots) {
        DCHECK(slots.empty() || std::has_single_bit(slots.size()));
        mask_ = slots.size() - 1;
        head_.store(0, std::memory_order_relaxed);
        slots_.store(slots.empty() ? nullptr : slots.data(), std::memory_order_release);
    }
    [[nodiscard]] bool has_memory() const { return slots_.load(std::memory_order_relaxed) != nullptr; }

    // Concurrency: one writer, with interrupts off. Pre: has_memory().
    void write(std::uint64_t stamp, std::uint32_t task, std::uint32_t value) {
        const std::uint64_t head = head_.load(std::memory_order_relaxed);
        // Pairs with the fence in read(): who sees a word of this record sees the head stored before it.
        std::atomic_thread_fence(std::memory_order_release);
        Slot& slot = slots_.load(std::memory_order_relaxed)[head & mask_];
        std::atomic_ref{slot.stamp}.store(stamp, std::memory_order_relaxed);
        std::atomic_ref{slot.payload}.store(task | std::uint64_t{value} << 32U, std::memory_order_relaxed);
        head_.store(head + 1, std::memory_order_release);
    }

    // Copies records from `position` on, as many as there are and fit, and moves position behind them. Where
    // some were overwritten it begins with the oldest that is left: what was lost is the new position - the
    // old one - the result. A position ahead of what was written is left alone. Concurrency: anybody.
    std::size_t read(std::uint64_t& position, std::span<trace_record> out) const {
        Slot* const slots = slots_.load(std::memory_order_acquire);
        if (slots == nullptr) {
            return 0;
        }
        const std::uint64_t head = head_.load(std::memory_order_acquire);
        if (position >= head) {
            return 0;
        }
        const std::uint64_t first = std::max(position, oldest(head));
        const std::size_t count = std::min<std::uint64_t>(out.size(), head - first);
        for (std::size_t i = 0; i < count; ++i) {
            Slot& slot = slots[(first + i) & mask_];
            const std::uint64_t payload = std::atomic_ref{slot.payload}.load(std::memory_order_relaxed);
            out[i] = trace_record{.stamp = std::atomic_ref{slot.stamp}.load(std::memory_order_relaxed),
                                  .task = static_cast<std::uint32_t>(payload),
                                  .value = static_cast<std::uint32_t>(payload >> 32U)};
        }
        std::atomic_thread_fence(std::memory_order_acquire);
        // The slot of position p is written anew from the moment the head is p + capacity.
        const std::uint64_t after = head_.load(std::memory_order_relaxed);
        const std::uint64_t valid = after > mask_ ? after - mask_ : 0;
        const std::size_t overwritten = valid > first ? std::min<std::uint64_t>(valid - first, count) : 0;
        for (std::size_t i = overwritten; i < count; ++i) {
            out[i - overwritten] = out[i];
        }
        position = first + count;
        return count - overwritten;
    }

    // How many records were ever written.
    [[nodiscard]] std::uint64_t written() const { return head_.load(std::memory_order_acquire); }
    [[nodiscard]] std::size_t capacity() const { return has_memory() ? mask_ + 1 : 0; }

  private:
    [[nodiscard]] std::uint64_t oldest(std::uint64_t head) const { return head > mask_ ? head - mask_ : 0; }

    std::atomic<Slot*> slots_{nullptr};
    std::uint64_t mask_{0};  // capacity - 1; one slot less can be read while the next record is written
    std::atomic<std::uint64_t> head_{0};
};

}  // namespace kernel::trace
