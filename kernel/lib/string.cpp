// SPDX-License-Identifier: MIT
// The C library functions that compilers and libfdt call, for the target. Contracts are those of ISO C.
// Copies and fills go by words; addresses that differ modulo the word size are handled by shifting, since the
// cores we run on trap on misaligned access and the firmware's emulation of it is slow.
#include <cstddef>
#include <cstdint>

namespace {

using Word = std::uint64_t;
// The same memory seen as words, whatever its declared type.
using AliasWord __attribute__((may_alias)) = Word;
using Byte = unsigned char;

constexpr std::size_t kWordBytes = sizeof(Word);
// Below this, aligning costs more than it saves.
constexpr std::size_t kSmall = 3 * kWordBytes;
constexpr Word kEveryByte = 0x0101010101010101;

std::size_t misalignment(const void* pointer) {
    return reinterpret_cast<std::uintptr_t>(pointer) % kWordBytes;
}
AliasWord* words(Byte* pointer) {
    return reinterpret_cast<AliasWord*>(pointer);
}
const AliasWord* words(const Byte* pointer) {
    return reinterpret_cast<const AliasWord*>(pointer);
}

// Copies `count` words upwards. Pre: both aligned.
void copy_words(AliasWord* to, const AliasWord* from, std::size_t count) {
    for (; count >= 8; count -= 8, to += 8, from += 8) {
        const Word a = from[0], b = from[1], c = from[2], d = from[3];
        const Word e = from[4], f = from[5], g = from[6], h = from[7];
        to[0] = a, to[1] = b, to[2] = c, to[3] = d;
        to[4] = e, to[5] = f, to[6] = g, to[7] = h;
    }
    for (; count > 0; --count) {
        *to++ = *from++;
    }
}

// Copies `count` words upwards to an aligned address from one that is not. Reads whole aligned words, each of
// which holds at least one byte of the source: never another page, but outside the object, hence no
// AddressSanitizer.
__attribute__((no_sanitize("address"))) void copy_words_shifted(AliasWord* to, const Byte* from,
                                                                std::size_t count) {
    const auto low_bits = static_cast<unsigned>(misalignment(from) * 8);
    const unsigned high_bits = 64 - low_bits;
    const AliasWord* source = words(from - misalignment(from));
    Word current = *source++;
    for (; count >= 4; count -= 4, to += 4, source += 4) {
        const Word a = source[0], b = source[1], c = source[2], d = source[3];
        to[0] = (current >> low_bits) | (a << high_bits);
        to[1] = (a >> low_bits) | (b << high_bits);
        to[2] = (b >> low_bits) | (c << high_bits);
        to[3] = (c >> low_bits) | (d << high_bits);
        current = d;
    }
    for (; count > 0; --count) {
        const Word next = *source++;
        *to++ = (current >> low_bits) | (next << high_bits);
        current = next;
    }
}

void copy_up(Byte* to, const Byte* from, std::size_t bytes) {
    const bool is_aligned = (misalignment(to) | misalignment(from)) == 0;
    if (bytes >= kSmall || is_aligned) {
        for (; misalignment(to) != 0; --bytes) {
            *to++ = *from++;
        }
        const std::size_t count = bytes / kWordBytes;
        if (misalignment(from) == 0) {
            copy_words(words(to), words(from), count);
        } else {
            copy_words_shifted(words(to), from, count);
        }
        to += count * kWordBytes;
        from += count * kWordBytes;
        bytes %= kWordBytes;
    }
    for (; bytes > 0; --bytes) {
        *to++ = *from++;
    }
}

void copy_down(Byte* to, const Byte* from, std::size_t bytes) {
    to += bytes;
    from += bytes;
    if (bytes >= kSmall && misalignment(to) == misalignment(from)) {
        for (; misalignment(to) != 0; --bytes) {
            *--to = *--from;
        }
        for (; bytes >= kWordBytes; bytes -= kWordBytes) {
            to -= kWordBytes;
            from -= kWordBytes;
            *words(to) = *words(from);
        }
    }
    for (; bytes > 0; --bytes) {
        *--to = *--from;
    }
}

}  // namespace

extern "C" {

#ifdef NEURON_KASAN
// mm/shadow_hooks.cpp: what a copy or fill touches is looked at as a whole, not word by word.
void __asan_loadN_noabort(void* address, std::size_t bytes);
void __asan_storeN_noabort(void* address, std::size_t bytes);
#else
#define __asan_loadN_noabort(address, bytes) static_cast<void>(0)
#define __asan_storeN_noabort(address, bytes) static_cast<void>(0)
#endif

void* memcpy(void* __restrict to, const void* __restrict from, std::size_t bytes) {
    __asan_loadN_noabort(const_cast<void*>(from), bytes);
    __asan_storeN_noabort(to, bytes);
    copy_up(static_cast<Byte*>(to), static_cast<const Byte*>(from), bytes);
    return to;
}

void* memmove(void* to, const void* from, std::size_t bytes) {
    __asan_loadN_noabort(const_cast<void*>(from), bytes);
    __asan_storeN_noabort(to, bytes);
    const auto distance = reinterpret_cast<std::uintptr_t>(to) - reinterpret_cast<std::uintptr_t>(from);
    // Upwards unless `to` lies inside the source; the subtraction wraps to a large number when it lies before
    // it. The shifted copy is safe too then: it writes word n only after it has read the word that n + 1
    // begins in.
    if (distance >= bytes) {
        copy_up(static_cast<Byte*>(to), static_cast<const Byte*>(from), bytes);
    } else {
        copy_down(static_cast<Byte*>(to), static_cast<const Byte*>(from), bytes);
    }
    return to;
}

void* memset(void* to, int value, std::size_t bytes) {
    __asan_storeN_noabort(to, bytes);
    auto* target = static_cast<Byte*>(to);
    const auto byte = static_cast<Byte>(value);
    if (bytes >= kSmall) {
        for (; misalignment(target) != 0; --bytes) {
            *target++ = byte;
        }
        const Word word = kEveryByte * byte;
        AliasWord* out = words(target);
        std::size_t count = bytes / kWordBytes;
        target += count * kWordBytes;
        bytes %= kWordBytes;
        for (; count >= 8; count -= 8, out += 8) {
            out[0] = word, out[1] = word, out[2] = word, out[3] = word;
            out[4] = word, out[5] = word, out[6] = word, out[7] = word;
        }
        for (; count > 0; --count) {
            *out++ = word;
        }
    }
    for (; bytes > 0; --bytes) {
        *target++ = byte;
    }
    return to;
}

int memcmp(const void* left, const void* right, std::size_t bytes) {
    __asan_loadN_noabort(const_cast<void*>(left), bytes);
    __asan_loadN_noabort(const_cast<void*>(right), bytes);
    const auto* a = static_cast<const Byte*>(left);
    const auto* b = static_cast<const Byte*>(right);
    if (misalignment(a) == 0 && misalignment(b) == 0) {
        for (; bytes >= kWordBytes && *words(a) == *words(b); bytes -= kWordBytes) {
            a += kWordBytes;
            b += kWordBytes;
        }
    }
    for (; bytes > 0; --bytes, ++a, ++b) {
        if (*a != *b) {
            return *a - *b;
        }
    }
    return 0;
}

void* memchr(const void* memory, int value, std::size_t bytes) {
    const auto* at = static_cast<const Byte*>(memory);
    for (; bytes > 0; --bytes, ++at) {
        if (*at == static_cast<Byte>(value)) {
            return const_cast<Byte*>(at);
        }
    }
    return nullptr;
}

std::size_t strlen(const char* text) {
    const char* end = text;
    while (*end != '\0') {
        ++end;
    }
    return static_cast<std::size_t>(end - text);
}

std::size_t strnlen(const char* text, std::size_t limit) {
    std::size_t length = 0;
    while (length < limit && text[length] != '\0') {
        ++length;
    }
    return length;
}

int strncmp(const char* left, const char* right, std::size_t limit) {
    for (; limit > 0; --limit, ++left, ++right) {
        const auto a = static_cast<Byte>(*left);
        const auto b = static_cast<Byte>(*right);
        if (a != b || a == 0) {
            return a - b;
        }
    }
    return 0;
}

int strcmp(const char* left, const char* right) {
    return strncmp(left, right, SIZE_MAX);
}

char* strchr(const char* text, int value) {
    for (;; ++text) {
        if (*text == static_cast<char>(value)) {
            return const_cast<char*>(text);
        }
        if (*text == '\0') {
            return nullptr;
        }
    }
}

char* strrchr(const char* text, int value) {
    const char* last = nullptr;
    for (;; ++text) {
        if (*text == static_cast<char>(value)) {
            last = text;
        }
        if (*text == '\0') {
            return const_cast<char*>(last);
        }
    }
}

}  // extern "C"
