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
        std::uint32_t task;
        std::uint32_t value;
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

    // Nothing happens without memory: on a hart that came after the trace was set up. Concurrency: one
    // writer, with interrupts off.
    [[gnu::always_inline]] void write(std::uint64_t stamp, std::uint32_t task, std::uint32_t value) {
        Slot* const slots = slots_.load(std::memory_order_relaxed);
        if (slots == nullptr) [[unlikely]] {
            return;
        }
        const std::uint64_t head = head_.load(std::memory_order_relaxed);
        // Pairs with the fence in read(): who sees a word of this record sees the head stored before it.
        std::atomic_thread_fence(std::memory_order_release);
        Slot& slot = slots[head & mask_];
        store_plainly(slot.stamp, stamp);
        store_plainly(slot.task, task);
        store_plainly(slot.value, value);
        std::atomic_thread_fence(std::memory_order_release);
        store_plainly(head_, head + 1);
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
            out[i] = trace_record{.stamp = std::atomic_ref{slot.stamp}.load(std::memory_order_relaxed),
                                  .task = std::atomic_ref{slot.task}.load(std::memory_order_relaxed),
                                  .value = std::atomic_ref{slot.value}.load(std::memory_order_relaxed)};
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
    // A relaxed store. GCC 12 makes an atomic exchange of one, with its address in a register of its own.
#ifdef __riscv
    static void store_plainly(std::uint32_t& word, std::uint32_t value) {
        asm volatile("sw %1, %0" : "=m"(word) : "r"(value));
    }
    static void store_plainly(std::uint64_t& word, std::uint64_t value) {
        asm volatile("sd %1, %0" : "=m"(word) : "r"(value));
    }
    static void store_plainly(std::atomic<std::uint64_t>& word, std::uint64_t value) {
        asm volatile("sd %1, %0" : "=m"(word) : "r"(value));
    }
#else
    template <class Word>
    static void store_plainly(Word& word, Word value) {
        std::atomic_ref{word}.store(value, std::memory_order_relaxed);
    }
    static void store_plainly(std::atomic<std::uint64_t>& word, std::uint64_t value) {
        word.store(value, std::memory_order_relaxed);
    }
#endif
    [[nodiscard]] std::uint64_t oldest(std::uint64_t head) const { return head > mask_ ? head - mask_ : 0; }

    std::atomic<Slot*> slots_{nullptr};
    std::uint64_t mask_{0};  // capacity - 1; one slot less can be read while the next record is written
    std::atomic<std::uint64_t> head_{0};
};

}  // namespace kernel::trace
