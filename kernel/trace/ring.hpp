// SPDX-License-Identifier: MIT
// The newest trace records of one CPU. Written by that CPU alone, read by anyone at any time; neither waits
// for the other. A position counts all records ever written; the slot is the position modulo the capacity.
// The protocol is that of a seqlock whose sequence is the head (Boehm, "Can Seqlocks Get Along With
// Programming Language Memory Models?", MSPC 2012). Per record one fence, between the slot and the head that
// announces it: a slot is overwritten only after the head that announces the record before the last was
// stored, so that two slots less than there are can be read while the next record is written.
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
    // two from 4 on, or 0.
    void provide(std::span<Slot> slots) {
        DCHECK(slots.empty() || (std::has_single_bit(slots.size()) && slots.size() >= 4));
        mask_ = slots.size() * sizeof(Slot) - 1;
        head_.store(0, std::memory_order_relaxed);
        slots_.store(slots.empty() ? nullptr : reinterpret_cast<std::byte*>(slots.data()),
                     std::memory_order_release);
    }
    [[nodiscard]] bool has_memory() const { return slots_.load(std::memory_order_acquire) != nullptr; }

    // Pre: has_memory(). Concurrency: one writer, with interrupts off. Alone: on the only hart there is,
    // where nobody reads meanwhile.
    template <bool Alone = false, class Value>
    [[gnu::always_inline]] void write(std::uint64_t stamp, std::uint32_t task, Value value) {
        const std::uint64_t head = head_.load(std::memory_order_relaxed);
        Slot& slot = at(slots_.load(std::memory_order_relaxed), head);
        store_plainly(slot.stamp, stamp);
        store_plainly(slot.task, task);
        store_plainly(slot.value, value);
        // Pairs with the fence in read(): who sees a word of the record after this one sees the head stored
        // before this fence. And with the first load there: who sees the head sees the record.
        if constexpr (!Alone) {
            fence_stores();
        }
        store_plainly(head_, head + sizeof(Slot));
    }

    // Copies records from `position` on, as many as there are and fit, and moves position behind them. Where
    // some were overwritten it begins with the oldest that is left: what was lost is the new position - the
    // old one - the result. A position ahead of what was written is left alone. Concurrency: anybody.
    std::size_t read(std::uint64_t& position, std::span<trace_record> out) const {
        std::byte* const slots = slots_.load(std::memory_order_acquire);
        if (slots == nullptr) {
            return 0;
        }
        const std::uint64_t head = written();
        if (position >= head) {
            return 0;
        }
        const std::uint64_t first = std::max(position, oldest(head));
        const std::size_t count = std::min<std::uint64_t>(out.size(), head - first);
        for (std::size_t i = 0; i < count; ++i) {
            Slot& slot = at(slots, (first + i) * sizeof(Slot));
            out[i] = trace_record{.stamp = std::atomic_ref{slot.stamp}.load(std::memory_order_relaxed),
                                  .task = std::atomic_ref{slot.task}.load(std::memory_order_relaxed),
                                  .value = std::atomic_ref{slot.value}.load(std::memory_order_relaxed)};
        }
        std::atomic_thread_fence(std::memory_order_acquire);
        // The slot of position p is written anew from the moment the head is p + capacity, which is seen no
        // later than when it is p + capacity - 1.
        const std::uint64_t valid = oldest(head_.load(std::memory_order_relaxed) / sizeof(Slot));
        const std::size_t overwritten = valid > first ? std::min<std::uint64_t>(valid - first, count) : 0;
        for (std::size_t i = overwritten; i < count; ++i) {
            out[i - overwritten] = out[i];
        }
        position = first + count;
        return count - overwritten;
    }

    // How many records were ever written.
    [[nodiscard]] std::uint64_t written() const {
        return head_.load(std::memory_order_acquire) / sizeof(Slot);
    }
    [[nodiscard]] std::size_t capacity() const { return has_memory() ? (mask_ + 1) / sizeof(Slot) : 0; }

  private:
    [[nodiscard]] Slot& at(std::byte* slots, std::uint64_t offset) const {
        return *reinterpret_cast<Slot*>(slots + (offset & mask_));
    }
    // A relaxed store. GCC 12 makes an atomic exchange of one, with its address in a register of its own.
#ifdef __riscv
    // Of a longer value the lower half.
    template <class Value>
    static void store_plainly(std::uint32_t& word, Value value) {
        asm volatile("sw %z1, %0" : "=m"(word) : "rJ"(value));
    }
    static void store_plainly(std::uint64_t& word, std::uint64_t value) {
        asm volatile("sd %1, %0" : "=m"(word) : "r"(value));
    }
    static void store_plainly(std::atomic<std::uint64_t>& word, std::uint64_t value) {
        asm volatile("sd %1, %0" : "=m"(word) : "r"(value));
    }
    // A release fence orders loads, too.
    static void fence_stores() { asm volatile("fence w, w" : : : "memory"); }
#else
    template <class Word, class Value>
    static void store_plainly(Word& word, Value value) {
        std::atomic_ref{word}.store(static_cast<Word>(value), std::memory_order_relaxed);
    }
    static void store_plainly(std::atomic<std::uint64_t>& word, std::uint64_t value) {
        word.store(value, std::memory_order_relaxed);
    }
    static void fence_stores() { std::atomic_thread_fence(std::memory_order_release); }
#endif
    // The position of the oldest record that can be read when the head is at this position.
    [[nodiscard]] std::uint64_t oldest(std::uint64_t head) const {
        const std::uint64_t kept = capacity() - 2;
        return head > kept ? head - kept : 0;
    }

    std::atomic<std::byte*> slots_{nullptr};
    std::uint64_t mask_{0};               // bytes of the slots - 1
    std::atomic<std::uint64_t> head_{0};  // bytes ever written
};

}  // namespace kernel::trace
