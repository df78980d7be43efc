// SPDX-License-Identifier: MIT
// The code under exploration is compiled with -fsanitize=thread, which turns every atomic operation into one
// of the calls below (gcc/tsan.cc; compiler-rt's tsan_interface_atomic.h). They tell the explorer and then do
// the operation. No sanitizer runtime is linked: plain accesses are not looked at.
#include <atomic>
#include <cstdint>

namespace explore {
void before_atomic(const volatile void* address);
}

// NOLINTBEGIN(bugprone-reserved-identifier): the names are the compiler's
#define PLAIN(name)                       \
    extern "C" void __tsan_##name(void*); \
    extern "C" void __tsan_##name(void*) {}
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
PLAIN(func_entry);
#undef PLAIN

extern "C" void __tsan_init();
extern "C" void __tsan_init() {}
extern "C" void __tsan_func_exit();
extern "C" void __tsan_func_exit() {}
extern "C" void __tsan_vptr_update(void**, void*);
extern "C" void __tsan_vptr_update(void**, void*) {}
extern "C" void __tsan_vptr_read(void**);
extern "C" void __tsan_vptr_read(void**) {}
extern "C" void __tsan_read_range(void*, unsigned long);
extern "C" void __tsan_read_range(void*, unsigned long) {}
extern "C" void __tsan_write_range(void*, unsigned long);
extern "C" void __tsan_write_range(void*, unsigned long) {}
extern "C" void __tsan_atomic_thread_fence(int);
extern "C" void __tsan_atomic_thread_fence(int) {}
extern "C" void __tsan_atomic_signal_fence(int);
extern "C" void __tsan_atomic_signal_fence(int) {}

#define FETCH(bits, name, builtin)                                                                           \
    extern "C" std::uint##bits##_t __tsan_atomic##bits##_fetch_##name(volatile std::uint##bits##_t* address, \
                                                                      std::uint##bits##_t value, int);       \
    extern "C" std::uint##bits##_t __tsan_atomic##bits##_fetch_##name(volatile std::uint##bits##_t* address, \
                                                                      std::uint##bits##_t value, int) {      \
        explore::before_atomic(address);                                                                     \
        return __atomic_fetch_##builtin(address, value, __ATOMIC_SEQ_CST);                                   \
    }

#define ATOMICS(bits)                                                                                      \
    extern "C" std::uint##bits##_t __tsan_atomic##bits##_load(const volatile std::uint##bits##_t*, int);   \
    extern "C" std::uint##bits##_t __tsan_atomic##bits##_load(const volatile std::uint##bits##_t* address, \
                                                              int) {                                       \
        explore::before_atomic(address);                                                                   \
        return __atomic_load_n(address, __ATOMIC_SEQ_CST);                                                 \
    }                                                                                                      \
    extern "C" void __tsan_atomic##bits##_store(volatile std::uint##bits##_t*, std::uint##bits##_t, int);  \
    extern "C" void __tsan_atomic##bits##_store(volatile std::uint##bits##_t* address,                     \
                                                std::uint##bits##_t value, int) {                          \
        explore::before_atomic(address);                                                                   \
        __atomic_store_n(address, value, __ATOMIC_SEQ_CST);                                                \
    }                                                                                                      \
    extern "C" std::uint##bits##_t __tsan_atomic##bits##_exchange(volatile std::uint##bits##_t*,           \
                                                                  std::uint##bits##_t, int);               \
    extern "C" std::uint##bits##_t __tsan_atomic##bits##_exchange(volatile std::uint##bits##_t* address,   \
                                                                  std::uint##bits##_t value, int) {        \
        explore::before_atomic(address);                                                                   \
        return __atomic_exchange_n(address, value, __ATOMIC_SEQ_CST);                                      \
    }                                                                                                      \
    FETCH(bits, add, add)                                                                                  \
    FETCH(bits, sub, sub)                                                                                  \
    FETCH(bits, and, and)                                                                                  \
    FETCH(bits, or, or)                                                                                    \
    FETCH(bits, xor, xor)                                                                                  \
    COMPARE_EXCHANGE(bits, strong)                                                                         \
    COMPARE_EXCHANGE(bits, weak)

#define COMPARE_EXCHANGE(bits, kind)                                                                    \
    extern "C" int __tsan_atomic##bits##_compare_exchange_##kind(                                       \
        volatile std::uint##bits##_t*, std::uint##bits##_t*, std::uint##bits##_t, int, int);            \
    extern "C" int __tsan_atomic##bits##_compare_exchange_##kind(volatile std::uint##bits##_t* address, \
                                                                 std::uint##bits##_t* expected,         \
                                                                 std::uint##bits##_t value, int, int) { \
        explore::before_atomic(address);                                                                \
        return __atomic_compare_exchange_n(address, expected, value, false, __ATOMIC_SEQ_CST,           \
                                           __ATOMIC_SEQ_CST)                                            \
                   ? 1                                                                                  \
                   : 0;                                                                                 \
    }

ATOMICS(8)
ATOMICS(16)
ATOMICS(32)
ATOMICS(64)
// NOLINTEND(bugprone-reserved-identifier)
