// SPDX-License-Identifier: MIT
#include "mm/user_memory.hpp"

#include <algorithm>
#include <optional>
#include <string_view>

#include "memory_test.hpp"

namespace kernel::mm {
namespace {

constexpr VirtAddr kBase{0x10'0000};
const std::int32_t kBad = code(Error::BadAddress);

template <class T>
In<T> in(VirtAddr va) {
    return In<T>{va.value()};
}
template <class T>
Out<T> out(VirtAddr va) {
    return Out<T>{va.value()};
}

class UserMemoryTest : public AddressSpaceTest {
  protected:
    void SetUp() override {
        AddressSpaceTest::SetUp();
        map_at(kBase, 2, kReadWrite);
        map_at(kBase + 2 * kPageSize, 1, kReadOnly);
    }
};

struct Pair {
    std::uint64_t first;
    std::uint32_t second;
    std::uint32_t third;
    bool operator==(const Pair&) const = default;
};

TEST_F(UserMemoryTest, ValuesRoundTripAcrossAPageBorder) {
    const Pair pair{0x1122'3344'5566'7788, 0x99aa'bbcc, 0xddee'ff00};
    for (const std::uint64_t before_border : {0U, 1U, 7U, 8U, 15U, 16U, 100U}) {
        const VirtAddr va{kBase.value() + kPageSize - before_border};
        ASSERT_TRUE(copy_out(space(), out<Pair>(va), pair).ok());
        const auto back = copy_in(space(), in<Pair>(va));
        ASSERT_TRUE(back.ok());
        EXPECT_EQ(*back, pair);
    }
}

// Each access by the short way, where its page is at hand, and by the long one: the lock is not free, or the
// table is not among those found last.
TEST_F(UserMemoryTest, BothWaysDoTheSame) {
    const Pair pair{0x0102'0304'0506'0708, 0x090a'0b0c, 0x0d0e'0f10};
    // Far enough apart that one drives the other's table out.
    constexpr VirtAddr kElsewhere = kBase + (std::uint64_t{1} << 25);
    map_at(kElsewhere, 1, kReadWrite);
    const auto forget = [&] { ASSERT_TRUE(load_word(space(), kElsewhere).ok()); };
    struct Case {
        const char* name;
        VirtAddr va;
        bool readable;
        bool writable;
    };
    for (const Case& each :
         {Case{"writable", kBase + 8, true, true}, Case{"does not suit", kBase + 4, true, true},
          Case{"over a border", VirtAddr{kBase.value() + kPageSize - 8}, true, true},
          Case{"read-only", kBase + 2 * kPageSize, true, false},
          Case{"past the end", kBase + 3 * kPageSize, false, false},
          Case{"same entry, no user address", VirtAddr{kBase.value() | std::uint64_t{1} << 62}, false,
               false}}) {
        SCOPED_TRACE(each.name);
        std::optional<Pair> first;
        for (const bool is_at_hand : {false, true}) {
            ASSERT_TRUE(load_word(space(), kBase).ok());
            ASSERT_TRUE(store_word(space(), kBase, 7).ok());
            ASSERT_TRUE(is_at_hand || (forget(), true));
            EXPECT_EQ(copy_out(space(), out<Pair>(each.va), pair).ok(), each.writable);
            ASSERT_TRUE(is_at_hand || (forget(), true));
            const auto back = copy_in(space(), in<Pair>(each.va));
            ASSERT_EQ(back.ok(), each.readable);
            if (back.ok()) {
                EXPECT_TRUE(!each.writable || *back == pair);
                EXPECT_EQ(first.value_or(*back), *back);
                first = *back;
            }
        }
    }
    // What is at hand is told by the function that asks for nothing else.
    ASSERT_TRUE(load_word(space(), kBase).ok());
    EXPECT_TRUE(copy_out_at_hand(space(), out<Pair>(kBase + 8), pair));
    EXPECT_FALSE(copy_out_at_hand(space(), out<Pair>(kBase + 4), pair));
    EXPECT_FALSE(copy_out_at_hand(space(), out<Pair>(kBase + 2 * kPageSize), pair));
    forget();
    EXPECT_FALSE(copy_out_at_hand(space(), out<Pair>(kBase + 8), pair));
    // Nor does an entry outlive its mapping.
    ASSERT_TRUE(load_word(space(), kBase).ok());
    ASSERT_TRUE(space().unmap(kBase, 3 * kPageSize).ok());
    EXPECT_FALSE(copy_out_at_hand(space(), out<Pair>(kBase + 8), pair));
    EXPECT_EQ(error_of(copy_out(space(), out<Pair>(kBase + 8), pair)), kBad);
}

// The page that was asked for last is known without a look at its table, but only as long as its entry stays.
TEST_F(UserMemoryTest, OwnPageIsKnownWhileItsEntryStays) {
    std::byte* seen = nullptr;
    const auto ask = [&](VirtAddr va) {
        return space().with_own_page_at_hand(va, [&](std::byte* page) {
            seen = page;
            return true;
        });
    };
    // The second access finds the table.
    const auto touch = [&](VirtAddr va, std::uint32_t value) {
        ASSERT_TRUE(store_word(space(), va, value).ok());
        ASSERT_TRUE(load_word(space(), va).ok());
    };
    EXPECT_FALSE(ask(kBase)) << "nothing is there yet";
    touch(kBase, 7);
    for (const bool is_known : {false, true}) {
        SCOPED_TRACE(is_known);
        ASSERT_TRUE(ask(kBase));
        EXPECT_EQ(*seen, std::byte{7});
    }
    EXPECT_FALSE(space().with_own_page_at_hand(kBase, [](std::byte*) { return false; }));
    touch(kBase + kPageSize, 8);
    ASSERT_TRUE(ask(kBase + kPageSize));
    EXPECT_EQ(*seen, std::byte{8}) << "another page";
    ASSERT_TRUE(load_word(space(), kBase + 2 * kPageSize).ok());
    EXPECT_FALSE(ask(kBase + 2 * kPageSize)) << "read-only";
    EXPECT_FALSE(ask(VirtAddr{kBase.value() | std::uint64_t{1} << 62})) << "same entry, no user address";

    // Its entry changes: by mprotect, and by another page in its place.
    ASSERT_TRUE(ask(kBase));
    ASSERT_TRUE(space().protect(kBase, kPageSize, kReadOnly).ok());
    EXPECT_FALSE(ask(kBase));
    ASSERT_TRUE(space().protect(kBase, kPageSize, kReadWrite).ok());
    touch(kBase, 7);
    ASSERT_TRUE(ask(kBase));
    ASSERT_TRUE(space().discard(kBase, kPageSize).ok());
    EXPECT_FALSE(ask(kBase));
}

TEST_F(UserMemoryTest, ArraysAndBytesRoundTrip) {
    std::vector<std::uint32_t> values(1500);
    for (std::uint32_t i = 0; i < values.size(); ++i) {
        values[i] = i * 3;
    }
    ASSERT_TRUE(
        copy_out_array(space(), out<std::uint32_t>(kBase + 4), std::span<const std::uint32_t>{values}).ok());
    std::vector<std::uint32_t> back(values.size());
    ASSERT_TRUE(copy_in_array(space(), std::span{back}, in<std::uint32_t>(kBase + 4)).ok());
    EXPECT_EQ(back, values);
    std::vector<std::byte> bytes(4);
    ASSERT_TRUE(copy_bytes_in(space(), bytes, in<std::byte>(kBase + 8)).ok());
    EXPECT_EQ(bytes[0], std::byte{3});
    ASSERT_TRUE(copy_bytes_out(space(), out<std::byte>(kBase + 9), bytes).ok());
    ASSERT_TRUE(zero_user(space(), kBase + 2, 2 * kPageSize - 2).ok());
    ASSERT_TRUE(copy_in_array(space(), std::span{back}, in<std::uint32_t>(kBase + 4)).ok());
    EXPECT_TRUE(std::ranges::all_of(back, [](std::uint32_t value) { return value == 0; }));
}

TEST_F(UserMemoryTest, BadAddressesAreErrors) {
    const VirtAddr last_bytes{kBase.value() + 3 * kPageSize - 4};
    struct Case {
        const char* name;
        VirtAddr va;
        bool readable;
        bool writable;
    };
    const std::array cases{
        Case{"writable", kBase, true, true},
        Case{"into read-only", VirtAddr{kBase.value() + 2 * kPageSize - 4}, true, false},
        Case{"past the end", last_bytes, false, false},
        Case{"null", VirtAddr{0}, false, false},
        Case{"null page", VirtAddr{0xff8}, false, false},
        Case{"unmapped", VirtAddr{0x5000'0000}, false, false},
        Case{"last user bytes", VirtAddr{kUserTop.value() - 8}, false, false},
        Case{"over the user top", VirtAddr{kUserTop.value() - 4}, false, false},
        Case{"user top", kUserTop, false, false},
        Case{"hole", VirtAddr{std::uint64_t{1} << 45}, false, false},
        Case{"physmap", kPhysmapBase, false, false},
        Case{"kernel image", kImageBase, false, false},
        Case{"wraps", VirtAddr{~std::uint64_t{0} - 3}, false, false},
        Case{"last byte", VirtAddr{~std::uint64_t{0}}, false, false},
    };
    for (const Case& each : cases) {
        SCOPED_TRACE(each.name);
        EXPECT_EQ(error_of(copy_in(space(), in<std::uint64_t>(each.va))), each.readable ? 0 : kBad);
        EXPECT_EQ(error_of(copy_out(space(), out<std::uint64_t>(each.va), std::uint64_t{1})),
                  each.writable ? 0 : kBad);
    }
    // Lengths that would wrap; an empty copy touches nothing.
    std::byte byte{};
    const std::span<std::byte> endless{&byte, ~std::uint64_t{0} - 5};
    EXPECT_EQ(error_of(copy_from_user(space(), endless, kBase)), kBad);
    EXPECT_EQ(error_of(zero_user(space(), kBase, ~std::uint64_t{0})), kBad);
    EXPECT_EQ(error_of(copy_from_user(space(), {}, VirtAddr{0})), 0);
}

TEST_F(UserMemoryTest, StringsEndInTime) {
    constexpr std::string_view kText = "hello, world";
    const VirtAddr across{kBase.value() + kPageSize - 5};
    ASSERT_TRUE(copy_out_array(space(), out<char>(across), std::span<const char>{kText}).ok());
    std::array<char, 64> buffer{};
    buffer.fill('x');
    const auto length = copy_in_string(space(), buffer, in<char>(across));
    ASSERT_TRUE(length.ok());
    EXPECT_EQ(std::string_view(buffer.data(), *length), kText);
    EXPECT_EQ(buffer[*length], 0);
    // Room for the text and not for its zero.
    EXPECT_EQ(error_of(copy_in_string(space(), std::span{buffer}.first(kText.size()), in<char>(across))),
              code(Error::NameTooLong));
    EXPECT_EQ(
        copy_in_string(space(), std::span{buffer}.first(kText.size() + 1), in<char>(across)).value_or(0),
        kText.size());
    EXPECT_EQ(error_of(copy_in_string(space(), std::span<char>{}, in<char>(across))),
              code(Error::NameTooLong));
    // No zero before the mapping, or user space, ends.
    const VirtAddr last{kBase.value() + 2 * kPageSize - 3};
    ASSERT_TRUE(copy_out_array(space(), out<char>(last), std::span<const char>{"abc", 3}).ok());
    ASSERT_TRUE(unmap_all(space(), kBase + 2 * kPageSize, kPageSize).ok());
    EXPECT_EQ(error_of(copy_in_string(space(), buffer, in<char>(last))), kBad);
    EXPECT_EQ(error_of(copy_in_string(space(), buffer, in<char>(kUserTop))), kBad);
    EXPECT_EQ(error_of(copy_in_string(space(), buffer, in<char>(VirtAddr{~std::uint64_t{0}}))), kBad);
}

TEST_F(UserMemoryTest, WordsAreAlignedAndAtomic) {
    ASSERT_TRUE(store_word(space(), kBase + 8, 0b1100).ok());
    EXPECT_EQ(load_word(space(), in<std::uint32_t>(kBase + 8)).value_or(0), 0b1100U);
    struct Case {
        WordOperation operation;
        std::uint32_t operand;
        std::uint32_t after;
    };
    for (const Case& each :
         {Case{WordOperation::Set, 5, 5}, Case{WordOperation::Add, 3, 15},
          Case{WordOperation::Or, 0b0110, 0b1110}, Case{WordOperation::AndNot, 0b0100, 0b1000},
          Case{WordOperation::Xor, 0b1010, 0b0110}}) {
        ASSERT_TRUE(store_word(space(), kBase + 8, 0b1100).ok());
        EXPECT_EQ(fetch_op_word(space(), kBase + 8, each.operation, each.operand).value_or(0), 0b1100U);
        EXPECT_EQ(load_word(space(), kBase + 8).value_or(0), each.after);
    }
    for (const std::uint64_t offset : {1U, 2U, 3U}) {
        EXPECT_EQ(error_of(load_word(space(), kBase + offset)), code(Error::InvalidArgument));
        EXPECT_EQ(error_of(store_word(space(), kBase + offset, 1)), code(Error::InvalidArgument));
    }
    EXPECT_EQ(error_of(store_word(space(), kBase + 2 * kPageSize, 1)), kBad) << "read-only";
    EXPECT_EQ(load_word(space(), kBase + 2 * kPageSize).value_or(1), 0U);
    EXPECT_EQ(error_of(load_word(space(), VirtAddr{0})), kBad);
    EXPECT_EQ(error_of(load_word(space(), VirtAddr{kUserTop.value() - 4})), kBad);
    EXPECT_EQ(error_of(load_word(space(), kKernelHalf)), kBad);
}

TEST_F(UserMemoryTest, WritingASharedPageCopiesItFirst) {
    const std::vector<std::byte> contents(kPageSize, std::byte{0x11});
    FileObject file{"/bin/x", contents};
    const VirtAddr mapped = kBase + 16 * kPageSize;
    ASSERT_TRUE(
        space().map_file({mapped, kPageSize, kReadWrite, Placement::Fixed}, {&file, 0, kPageSize}).ok());
    EXPECT_EQ(load_word(space(), mapped).value_or(0), 0x1111'1111U);
    EXPECT_EQ(fetch_op_word(space(), mapped, WordOperation::Add, 1).value_or(0), 0x1111'1111U);
    EXPECT_EQ(load_word(space(), mapped).value_or(0), 0x1111'1112U);
    const PhysAddr cached = *file.frame_of(0, false);
    EXPECT_EQ(frame_bytes(cached)[0], std::byte{0x11});
    frames().unref(cached);
    ASSERT_TRUE(unmap_all(space(), mapped, kPageSize).ok());
}

// A copy to or from a page the table lets the program use does not ask the mappings; a fault always does.
// Both must say the same of every page, whatever became of it, before and after it is resident.
TEST_F(UserMemoryTest, ACopyIsAllowedWhatAFaultIsAllowed) {
    constexpr std::array kAll{kNoAccess, kReadOnly, kReadWrite, kReadExecute};
    const std::vector<std::byte> contents(kPageSize, std::byte{0x11});
    FileObject file{"/bin/x", contents};
    const VirtAddr copied = kBase + 16 * kPageSize;
    const VirtAddr faulted = copied + kPageSize;
    const auto allowed = [&](VirtAddr page, bool by_fault, Access access) {
        if (by_fault) {
            return space().handle_fault(page, access).ok();
        }
        return access == Access::Write
                   ? copy_out(space(), out<std::uint64_t>(page + 8), std::uint64_t{7}).ok()
                   : copy_in(space(), in<std::uint64_t>(page + 8)).ok();
    };
    std::uint32_t granted = 0;
    for (const Protection first : kAll) {
        for (const Protection then : kAll) {
            for (const bool is_file : {false, true}) {
                for (const VirtAddr page : {copied, faulted}) {
                    const MapRequest request{page, kPageSize, first, Placement::FixedNoReplace};
                    ASSERT_TRUE(is_file ? space().map_file(request, {&file, 0, kPageSize}).ok()
                                        : space().map_anonymous(request).ok());
                }
                for (const bool is_changed : {false, true}) {
                    if (is_changed) {
                        ASSERT_TRUE(protect_all(space(), copied, 2 * kPageSize, then).ok());
                    }
                    for (const Access access : {Access::Read, Access::Write, Access::Write, Access::Read}) {
                        const bool by_copy = allowed(copied, false, access);
                        EXPECT_EQ(by_copy, allowed(faulted, true, access));
                        EXPECT_EQ(by_copy, allowed(copied, true, access));
                        granted += by_copy ? 1 : 0;
                    }
                }
                ASSERT_TRUE(unmap_all(space(), copied, 2 * kPageSize).ok());
            }
        }
    }
    EXPECT_EQ(granted, 2U * (2U * 4U * (2U + 4U + 2U)));
    const PhysAddr cached = *file.frame_of(0, false);
    EXPECT_EQ(frame_bytes(cached)[8], std::byte{0x11}) << "a file's own page was written";
    frames().unref(cached);
}

}  // namespace
}  // namespace kernel::mm
