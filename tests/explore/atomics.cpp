// SPDX-License-Identifier: MIT
// The code under exploration is compiled with -fsanitize=thread, which turns every access to memory into one
// of the calls below (gcc/tsan.cc; compiler-rt's tsan_interface_atomic.h). They tell the explorer and then do
// the operation, or load what the explorer says. No sanitizer runtime is linked.
#include <atomic>
#include <cstdint>
#include <string_view>

#include "explorer.hpp"
#include "memory.hpp"

namespace {

using explore::memory::Order;

// Where the access is made: the caller of the function that is called.
#define CALLER __builtin_extract_return_addr(__builtin_return_address(0))

constexpr std::uintptr_t kStep = 8;
void range(const void* start, unsigned long bytes, bool is_write, const void* code) {
    for (std::uintptr_t at = 0; at < bytes; at += kStep) {
        explore::plain_access(static_cast<const char*>(start) + at, is_write, code);
    }
}

template <class T>
T load(const volatile T* address, int order) {
    explore::before_atomic(address);
    return static_cast<T>(
        explore::atomic_load(address, __atomic_load_n(address, __ATOMIC_SEQ_CST), Order(order)));
}

template <class T>
void store(volatile T* address, T value, int order) {
    explore::before_atomic(address);
    const T before = __atomic_exchange_n(address, value, __ATOMIC_SEQ_CST);
    explore::atomic_store(address, before, value, Order(order));
}

template <class T, class F>
T change(volatile T* address, int order, F&& value_after) {
    explore::before_atomic(address);
    const T before = __atomic_load_n(address, __ATOMIC_SEQ_CST);
    const T after = value_after(before);
    __atomic_store_n(address, after, __ATOMIC_SEQ_CST);  // nobody else runs meanwhile
    explore::atomic_exchange(address, before, after, Order(order));
    return before;
}

template <class T>
int compare_exchange(volatile T* address, T* expected, T value, int order, int failure_order) {
    explore::before_atomic(address);
    const T before = __atomic_load_n(address, __ATOMIC_SEQ_CST);
    if (before != *expected) {
        *expected = before;
        explore::atomic_failed_exchange(address, Order(failure_order));
        return 0;
    }
    __atomic_store_n(address, value, __ATOMIC_SEQ_CST);
    explore::atomic_exchange(address, before, value, Order(order));
    return 1;
}

}  // namespace

// NOLINTBEGIN(bugprone-reserved-identifier): the names are the compiler's
#define PLAIN(name)                                                                                     \
    extern "C" void __tsan_##name(void*);                                                               \
    extern "C" void __tsan_##name(void* address) {                                                      \
        explore::plain_access(address, std::string_view{#name}.find("write") != std::string_view::npos, \
                              CALLER);                                                                  \
    }
PLAIN(read1);
PLAIN(read2);
PLAIN(read4);
PLAIN(read8);
PLAIN(read16);
PLAIN(write1);
PLAIN(write2);
PLAIN(write4);
PLAIN(write8);
PLAIN(write16);
PLAIN(unaligned_read2);
PLAIN(unaligned_read4);
PLAIN(unaligned_read8);
PLAIN(unaligned_read16);
PLAIN(unaligned_write2);
PLAIN(unaligned_write4);
PLAIN(unaligned_write8);
PLAIN(unaligned_write16);
#undef PLAIN

extern "C" void __tsan_func_entry(void*);
extern "C" void __tsan_func_entry(void*) {}
extern "C" void __tsan_init();
extern "C" void __tsan_init() {}
extern "C" void __tsan_func_exit();
extern "C" void __tsan_func_exit() {}
extern "C" void __tsan_vptr_update(void**, void*);
extern "C" void __tsan_vptr_update(void**, void*) {}
extern "C" void __tsan_vptr_read(void**);
extern "C" void __tsan_vptr_read(void**) {}
extern "C" void __tsan_read_range(void*, unsigned long);
extern "C" void __tsan_read_range(void* start, unsigned long bytes) {
    range(start, bytes, false, CALLER);
}
extern "C" void __tsan_write_range(void*, unsigned long);
extern "C" void __tsan_write_range(void* start, unsigned long bytes) {
    range(start, bytes, true, CALLER);
}
extern "C" void __tsan_atomic_thread_fence(int);
extern "C" void __tsan_atomic_thread_fence(int order) {
    explore::atomic_fence(Order(order));
}
extern "C" void __tsan_atomic_signal_fence(int);
extern "C" void __tsan_atomic_signal_fence(int) {}

#define WORD(bits) std::uint##bits##_t

#define CHANGE(bits, name, result)                                                                 \
    extern "C" WORD(bits) __tsan_atomic##bits##_##name(volatile WORD(bits)*, WORD(bits), int);     \
    extern "C" WORD(bits)                                                                          \
        __tsan_atomic##bits##_##name(volatile WORD(bits) * address, WORD(bits) value, int order) { \
        return change(address, order, [value]([[maybe_unused]] WORD(bits) before) {                \
            return static_cast<WORD(bits)>(result);                                                \
        });                                                                                        \
    }

#define COMPARE_EXCHANGE(bits, kind)                                                                      \
    extern "C" int __tsan_atomic##bits##_compare_exchange_##kind(volatile WORD(bits)*, WORD(bits)*,       \
                                                                 WORD(bits), int, int);                   \
    extern "C" int __tsan_atomic##bits##_compare_exchange_##kind(volatile WORD(bits) * address,           \
                                                                 WORD(bits) * expected, WORD(bits) value, \
                                                                 int order, int failure_order) {          \
        return compare_exchange(address, expected, value, order, failure_order);                          \
    }

#define ATOMICS(bits)                                                                                  \
    extern "C" WORD(bits) __tsan_atomic##bits##_load(const volatile WORD(bits)*, int);                 \
    extern "C" WORD(bits) __tsan_atomic##bits##_load(const volatile WORD(bits) * address, int order) { \
        return load(address, order);                                                                   \
    }                                                                                                  \
    extern "C" void __tsan_atomic##bits##_store(volatile WORD(bits)*, WORD(bits), int);                \
    extern "C" void __tsan_atomic##bits##_store(volatile WORD(bits) * address, WORD(bits) value,       \
                                                int order) {                                           \
        store(address, value, order);                                                                  \
    }                                                                                                  \
    CHANGE(bits, exchange, value)                                                                      \
    CHANGE(bits, fetch_add, before + value)                                                            \
    CHANGE(bits, fetch_sub, before - value)                                                            \
    CHANGE(bits, fetch_and, before& value)                                                             \
    CHANGE(bits, fetch_or, before | value)                                                             \
    CHANGE(bits, fetch_xor, before ^ value)                                                            \
    COMPARE_EXCHANGE(bits, strong)                                                                     \
    COMPARE_EXCHANGE(bits, weak)

ATOMICS(8)
ATOMICS(16)
ATOMICS(32)
ATOMICS(64)
// NOLINTEND(bugprone-reserved-identifier)
