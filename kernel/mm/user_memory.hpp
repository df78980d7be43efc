// SPDX-License-Identifier: MIT
// The only way to a user program's memory. A user pointer is never dereferenced: each page is looked up in
// the address space's page table, faulted in if need be, and reached through the physmap. Works for any
// address space, running or not. Sequences are copied page by page, the AddressSpace lock held for one page
// at a time; another thread may change the bytes in between, so what was copied in is checked after the copy,
// never before.
//
// Errors everywhere: BadAddress (not mapped, not allowed, outside user space, wrapping), NoMemory. After an
// error an unspecified part is copied. Work grows with the length: callers bound it. Concurrency: any hart,
// with or without locks of a rank below AddressSpace.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "lib/result.hpp"
#include "mm/address_space.hpp"
#include "nexus_abi/user_ptr.hpp"

namespace nexus_abi {

// Opens the border's pointers. For mm/user_memory only.
struct UserPtrAccess {
    template <class Derived, class Pointer>
    [[nodiscard]] static constexpr kernel::VirtAddr address(const UserPtr<Derived, Pointer>& pointer) {
        return kernel::VirtAddr{pointer.address_};
    }
};

}  // namespace nexus_abi

namespace kernel::mm {

using nexus_abi::In;
using nexus_abi::InOut;
using nexus_abi::Out;

// Bytes between kernel memory and user addresses; the untyped base of what follows.
[[nodiscard]] Result<void> copy_from_user(AddressSpace& space, std::span<std::byte> to, VirtAddr from);
[[nodiscard]] Result<void> copy_to_user(AddressSpace& space, VirtAddr to, std::span<const std::byte> from);
// Writes `bytes` zeros.
[[nodiscard]] Result<void> zero_user(AddressSpace& space, VirtAddr to, std::uint64_t bytes);

[[nodiscard]] inline Result<void> copy_bytes_in(AddressSpace& space, std::span<std::byte> to,
                                                In<std::byte> from) {
    return copy_from_user(space, to, nexus_abi::UserPtrAccess::address(from));
}
[[nodiscard]] inline Result<void> copy_bytes_out(AddressSpace& space, Out<std::byte> to,
                                                 std::span<const std::byte> from) {
    return copy_to_user(space, nexus_abi::UserPtrAccess::address(to), from);
}

// Any bit pattern is a T, and a T has no padding through which kernel memory could leak.
template <class T>
concept UserCopyable = std::is_trivially_copyable_v<T> && std::has_unique_object_representations_v<T>;

// A T at an address that suits it lies in one page, and no page reaches over an end of user space: if the
// page is at hand, the T is moved by the loads and stores the compiler makes of an assignment. Otherwise it
// takes the way of sequences of bytes, which gives the same bytes or the error.
template <class T>
[[nodiscard]] constexpr bool is_in_one_place(VirtAddr at) {
    return at.value() % alignof(T) == 0 && page_offset(at.value()) <= kPageSize - sizeof(T);
}
inline constexpr std::size_t kMovedAtOnce = 64;  // more is copied in a loop

// Bytes that most often are one.
inline void copy_few(std::byte* to, const std::byte* from, std::uint64_t bytes) {
    if (bytes == 1) {
        *to = *from;
    } else {
        __builtin_memcpy(to, from, bytes);
    }
}

// A copy of a few bytes that is part of its caller: by words where both ends lie at multiples of 4, else by
// bytes. Whether they are so few, for addresses, or pointers into pages at the same place in them; and in one
// page.
inline constexpr std::uint64_t kShortCopy = 128;
inline constexpr std::uint64_t kShortCopyByBytes = 16;
[[nodiscard]] constexpr bool is_short_copy(VirtAddr there, std::uint64_t here, std::uint64_t bytes) {
    return bytes <= kPageSize - page_offset(there.value()) &&
           (bytes <= kShortCopyByBytes || (bytes <= kShortCopy && ((there.value() | here) & 3) == 0));
}
[[nodiscard]] inline bool is_short_copy(VirtAddr there, const std::byte* here, std::uint64_t bytes) {
    return is_short_copy(there, reinterpret_cast<std::uintptr_t>(here), bytes);
}
[[nodiscard]] constexpr bool is_short_copy(VirtAddr from, VirtAddr to, std::uint64_t bytes) {
    return is_short_copy(from, to.value(), bytes) && bytes <= kPageSize - page_offset(to.value());
}
// Moves so many words and goes behind them. Pre: both are aligned.
template <class Word, std::size_t kWords>
[[gnu::always_inline]] inline void move_words(std::byte*& to, const std::byte*& from) {
    using AliasWord __attribute__((may_alias)) = Word;
    auto* const target = reinterpret_cast<AliasWord*>(to);
    const auto* const source = reinterpret_cast<const AliasWord*>(from);
    if constexpr (kWords >= 4) {
#pragma GCC unroll 2
        for (std::size_t i = 0; i < kWords; i += 4) {
            const Word a = source[i], b = source[i + 1], c = source[i + 2], d = source[i + 3];
            target[i] = a, target[i + 1] = b, target[i + 2] = c, target[i + 3] = d;
        }
    } else {
        const Word first = source[0], last = source[kWords - 1];
        target[0] = first, target[kWords - 1] = last;
    }
    to += kWords * sizeof(Word);
    from += kWords * sizeof(Word);
}
// Pre: is_short_copy().
[[gnu::always_inline]] inline void copy_short(std::byte* to, const std::byte* from, std::uint64_t bytes) {
    const auto places = reinterpret_cast<std::uintptr_t>(to) | reinterpret_cast<std::uintptr_t>(from);
    if (bytes >= 4 && places % 4 == 0) {
        if (places % 8 == 0) {
            for (; bytes >= 64; bytes -= 64) {
                move_words<std::uint64_t, 8>(to, from);
            }
            if ((bytes & 32) != 0) {
                move_words<std::uint64_t, 4>(to, from);
            }
            if ((bytes & 16) != 0) {
                move_words<std::uint64_t, 2>(to, from);
            }
            if ((bytes & 8) != 0) {
                move_words<std::uint64_t, 1>(to, from);
            }
        } else {
            for (; bytes >= 32; bytes -= 32) {
                move_words<std::uint32_t, 8>(to, from);
            }
            if ((bytes & 16) != 0) {
                move_words<std::uint32_t, 4>(to, from);
            }
            if ((bytes & 8) != 0) {
                move_words<std::uint32_t, 2>(to, from);
            }
        }
        if ((bytes & 4) != 0) {
            move_words<std::uint32_t, 1>(to, from);
        }
        bytes &= 3;
    }
    for (; bytes > 0; --bytes) {
        *to++ = *from++;
    }
}

// One T from or to a page that is at hand (with_page_at_hand()); else false, and nothing has happened.
// Pre: is_in_one_place().
template <class T>
[[nodiscard, gnu::always_inline]] inline bool copy_present_in(AddressSpace& space, VirtAddr from, T& value) {
    return space.with_page_at_hand(from, Access::Read, [&](std::span<std::byte, kPageSize> page) {
        const std::byte* const there = page.data() + page_offset(from.value());
        __builtin_memcpy(&value, __builtin_assume_aligned(there, alignof(T)), sizeof(T));
    });
}
template <class T>
[[nodiscard, gnu::always_inline]] inline bool copy_present_out(AddressSpace& space, VirtAddr to,
                                                               const T& value) {
    return space.with_page_at_hand(to, Access::Write, [to, value](std::span<std::byte, kPageSize> page) {
        std::byte* const there = page.data() + page_offset(to.value());
        __builtin_memcpy(__builtin_assume_aligned(there, alignof(T)), &value, sizeof(T));
    });
}
// copy_from_user() and copy_to_user() where all the bytes lie in one page that is at hand; else false, and
// nothing has happened. Pre: bytes > 0.
[[nodiscard, gnu::always_inline]] inline bool copy_in_at_hand(AddressSpace& space, std::byte* to,
                                                              VirtAddr from, std::uint64_t bytes) {
    const std::uint64_t offset = page_offset(from.value());
    return bytes <= kPageSize - offset &&
           space.with_page_at_hand(from, Access::Read, [&](std::span<std::byte, kPageSize> page) {
               copy_few(to, page.data() + offset, bytes);
           });
}
[[nodiscard, gnu::always_inline]] inline bool copy_out_at_hand(AddressSpace& space, VirtAddr to,
                                                               const std::byte* from, std::uint64_t bytes) {
    const std::uint64_t offset = page_offset(to.value());
    return bytes <= kPageSize - offset &&
           space.with_page_at_hand(to, Access::Write, [&](std::span<std::byte, kPageSize> page) {
               copy_few(page.data() + offset, from, bytes);
           });
}

// The first half of copy_out(), for where every instruction counts: its caller has nothing to save for a call
// on the way, and goes on to copy_out() when it is false.
template <class T, template <class> class Pointer>
    requires UserCopyable<T> && (!std::is_same_v<Pointer<T>, In<T>>) && (sizeof(T) <= kMovedAtOnce)
[[nodiscard, gnu::always_inline]] inline bool copy_out_at_hand(AddressSpace& space, Pointer<T> to,
                                                               const T& value) {
    const VirtAddr at = nexus_abi::UserPtrAccess::address(to);
    return is_in_one_place<T>(at) && copy_present_out(space, at, value);
}

// One T from user space; InOut pointers work as In and Out do.
template <class T, template <class> class Pointer>
    requires UserCopyable<T> && (!std::is_same_v<Pointer<T>, Out<T>>)
[[nodiscard]] Result<T> copy_in(AddressSpace& space, Pointer<T> from) {
    T value{};
    const VirtAddr at = nexus_abi::UserPtrAccess::address(from);
    if constexpr (sizeof(T) <= kMovedAtOnce) {
        if (is_in_one_place<T>(at) && copy_present_in(space, at, value)) [[likely]] {
            return value;
        }
    }
    TRY(copy_from_user(space, std::as_writable_bytes(std::span{&value, 1}),
                       nexus_abi::UserPtrAccess::address(from)));
    return value;
}
// to.size() consecutive Ts.
template <class T>
    requires UserCopyable<T>
[[nodiscard]] Result<void> copy_in_array(AddressSpace& space, std::span<T> to, In<T> from) {
    return copy_from_user(space, std::as_writable_bytes(to), nexus_abi::UserPtrAccess::address(from));
}
template <class T, template <class> class Pointer>
    requires UserCopyable<T> && (!std::is_same_v<Pointer<T>, In<T>>)
[[nodiscard]] Result<void> copy_out(AddressSpace& space, Pointer<T> to, const T& value) {
    if constexpr (sizeof(T) <= kMovedAtOnce) {
        if (copy_out_at_hand(space, to, value)) [[likely]] {
            return {};
        }
    }
    return copy_to_user(space, nexus_abi::UserPtrAccess::address(to), std::as_bytes(std::span{&value, 1}));
}
template <class T>
    requires UserCopyable<T>
[[nodiscard]] Result<void> copy_out_array(AddressSpace& space, Out<T> to, std::span<const T> values) {
    return copy_to_user(space, nexus_abi::UserPtrAccess::address(to), std::as_bytes(values));
}

// A zero-terminated string. Returns its length without the zero, which is stored too. NameTooLong when no
// zero comes within to.size() bytes.
[[nodiscard]] Result<std::size_t> copy_in_string(AddressSpace& space, std::span<char> to, In<char> from);
[[nodiscard]] Result<std::size_t> copy_in_string(AddressSpace& space, std::span<char> to, VirtAddr from);

// ---- Single words, as futexes need them: atomic with respect to user instructions, sequentially consistent.
// A word that is not aligned is InvalidArgument. store_word and fetch_op_word make the page writable first.

enum class WordOperation : std::uint8_t { Set, Add, Or, AndNot, Xor };  // the order of FUTEX_OP_*

[[nodiscard]] Result<std::uint32_t> load_word(AddressSpace& space, VirtAddr word);
// load_word() from a page that is at hand, with no order of its own; else false, and nothing has happened.
// Pre: is_in_one_place<std::uint32_t>(word).
[[nodiscard, gnu::always_inline]] inline bool load_word_at_hand(AddressSpace& space, VirtAddr word,
                                                                std::uint32_t& value) {
    return space.with_page_at_hand(word, Access::Read, [&](std::span<std::byte, kPageSize> page) {
        auto* const there = reinterpret_cast<std::uint32_t*>(page.data() + page_offset(word.value()));
        value = std::atomic_ref{*there}.load(std::memory_order_relaxed);
    });
}
[[nodiscard]] Result<void> store_word(AddressSpace& space, VirtAddr word, std::uint32_t value);
// Returns the word as it was before.
[[nodiscard]] Result<std::uint32_t> fetch_op_word(AddressSpace& space, VirtAddr word, WordOperation operation,
                                                  std::uint32_t operand);
// Stores `wanted` if the word is `expected`; returns the word as it was before. Makes the page writable.
[[nodiscard]] Result<std::uint32_t> compare_exchange_word(AddressSpace& space, VirtAddr word,
                                                          std::uint32_t expected, std::uint32_t wanted);

template <class Pointer>
[[nodiscard]] Result<std::uint32_t> load_word(AddressSpace& space, Pointer word) {
    return load_word(space, nexus_abi::UserPtrAccess::address(word));
}
template <class Pointer>
[[nodiscard]] Result<void> store_word(AddressSpace& space, Pointer word, std::uint32_t value) {
    return store_word(space, nexus_abi::UserPtrAccess::address(word), value);
}
template <class Pointer>
[[nodiscard]] Result<std::uint32_t> fetch_op_word(AddressSpace& space, Pointer word, WordOperation operation,
                                                  std::uint32_t operand) {
    return fetch_op_word(space, nexus_abi::UserPtrAccess::address(word), operation, operand);
}

// The address itself, for keys and comparisons.
template <class Derived, class Pointer>
[[nodiscard]] constexpr VirtAddr user_address(const nexus_abi::UserPtr<Derived, Pointer>& pointer) {
    return nexus_abi::UserPtrAccess::address(pointer);
}

}  // namespace kernel::mm
