// SPDX-License-Identifier: MIT
#include "mm/user_memory.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace kernel::mm {

namespace {

using Page = std::span<std::byte, kPageSize>;

// Of a string, copied at a time.
constexpr std::size_t kStringPiece = 64;

// Calls part(page bytes of this part, done so far) for each page-wise part of [start, start + bytes).
template <class Part>
Result<void> for_each_part(AddressSpace& space, VirtAddr start, std::uint64_t bytes, Access access,
                           Part&& part) {
    if (bytes == 0) {
        return {};
    }
    if (!is_user_range(start, bytes)) {
        return Error::BadAddress;
    }
    for (std::uint64_t done = 0; done < bytes;) {
        const VirtAddr va = start + done;
        const std::uint64_t offset = page_offset(va.value());
        const std::uint64_t length = std::min(kPageSize - offset, bytes - done);
        TRY(space.with_page(va, access, [&](Page page) { part(page.subspan(offset, length), done); }));
        done += length;
    }
    return {};
}

// Whether [start, start + bytes) is part of one page, as nearly all that is copied is: then there is nothing
// to go through part by part. False for no bytes at all, which are fine anywhere.
bool is_in_one_page(VirtAddr start, std::uint64_t bytes) {
    return bytes - 1 < kPageSize - page_offset(start.value());
}

template <class Use>
Result<std::uint32_t> with_word(AddressSpace& space, VirtAddr word, Access access, Use&& use) {
    if (word.value() % sizeof(std::uint32_t) != 0) {
        return Error::InvalidArgument;
    }
    if (!is_user_range(word, sizeof(std::uint32_t))) {
        return Error::BadAddress;
    }
    std::uint32_t result = 0;
    TRY(space.with_page(word, access, [&](Page page) {
        auto* value = reinterpret_cast<std::uint32_t*>(page.data() + page_offset(word.value()));
        result = use(std::atomic_ref{*value});
    }));
    return result;
}

}  // namespace

Result<void> copy_from_user(AddressSpace& space, std::span<std::byte> to, VirtAddr from) {
    if (is_in_one_page(from, to.size())) [[likely]] {
        return space.with_page(from, Access::Read, [&](Page page) {
            std::memcpy(to.data(), page.data() + page_offset(from.value()), to.size());
        });
    }
    return for_each_part(space, from, to.size(), Access::Read,
                         [&](std::span<std::byte> part, std::uint64_t done) {
                             std::memcpy(to.data() + done, part.data(), part.size());
                         });
}

Result<void> copy_to_user(AddressSpace& space, VirtAddr to, std::span<const std::byte> from) {
    if (is_in_one_page(to, from.size())) [[likely]] {
        return space.with_page(to, Access::Write, [&](Page page) {
            std::memcpy(page.data() + page_offset(to.value()), from.data(), from.size());
        });
    }
    return for_each_part(space, to, from.size(), Access::Write,
                         [&](std::span<std::byte> part, std::uint64_t done) {
                             std::memcpy(part.data(), from.data() + done, part.size());
                         });
}

Result<void> zero_user(AddressSpace& space, VirtAddr to, std::uint64_t bytes) {
    return for_each_part(space, to, bytes, Access::Write, [](std::span<std::byte> part, std::uint64_t) {
        std::memset(part.data(), 0, part.size());
    });
}

Result<std::size_t> copy_in_string(AddressSpace& space, std::span<char> to, VirtAddr from) {
    std::size_t length = 0;
    while (length < to.size()) {
        const VirtAddr va = from + length;
        if (!is_user_range(va, 1)) {
            return Error::BadAddress;
        }
        const std::uint64_t offset = page_offset(va.value());
        const std::size_t room = std::min<std::size_t>(kPageSize - offset, to.size() - length);
        bool ended = false;
        TRY(space.with_page(va, Access::Read, [&](Page page) {
            // Piece by piece, as most strings are short. Copy first, then look: another thread may change the
            // page, but not our copy.
            for (std::size_t done = 0; done < room && !ended;) {
                char* const piece = to.data() + length;
                const std::size_t bytes = std::min(kStringPiece, room - done);
                std::memcpy(piece, page.data() + offset + done, bytes);
                const void* const zero = std::memchr(piece, 0, bytes);
                ended = zero != nullptr;
                length += ended ? static_cast<std::size_t>(static_cast<const char*>(zero) - piece) : bytes;
                done += bytes;
            }
        }));
        if (ended) {
            return length;
        }
    }
    return Error::NameTooLong;
}

Result<std::size_t> copy_in_string(AddressSpace& space, std::span<char> to, In<char> from) {
    return copy_in_string(space, to, nexus_abi::UserPtrAccess::address(from));
}

Result<std::uint32_t> load_word(AddressSpace& space, VirtAddr word) {
    return with_word(space, word, Access::Read, [](auto value) { return value.load(); });
}

Result<void> store_word(AddressSpace& space, VirtAddr word, std::uint32_t value) {
    TRY(with_word(space, word, Access::Write, [&](auto target) { return target.exchange(value); }));
    return {};
}

Result<std::uint32_t> fetch_op_word(AddressSpace& space, VirtAddr word, WordOperation operation,
                                    std::uint32_t operand) {
    return with_word(space, word, Access::Write, [&](auto value) -> std::uint32_t {
        switch (operation) {
            case WordOperation::Set:
                return value.exchange(operand);
            case WordOperation::Add:
                return value.fetch_add(operand);
            case WordOperation::Or:
                return value.fetch_or(operand);
            case WordOperation::AndNot:
                return value.fetch_and(~operand);
            case WordOperation::Xor:
                return value.fetch_xor(operand);
        }
        return 0;
    });
}

Result<std::uint32_t> compare_exchange_word(AddressSpace& space, VirtAddr word, std::uint32_t expected,
                                            std::uint32_t wanted) {
    return with_word(space, word, Access::Write, [&](auto value) {
        std::uint32_t before = expected;
        value.compare_exchange_strong(before, wanted);
        return before;
    });
}

}  // namespace kernel::mm
