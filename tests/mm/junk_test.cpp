// SPDX-License-Identifier: MIT
// Freed memory is filled, rests, and who writes to it is found; and what the shadow of memory says may be
// used.
#include "mm/junk.hpp"

#include "memory_test.hpp"
#include "mm/shadow.hpp"
#include "mm/slab.hpp"

namespace kernel::mm {
namespace {

constexpr std::byte kFill{0xa5};

class JunkTest : public MemoryTest {
  protected:
    JunkTest() : MemoryTest{std::uint64_t{4} << 20} {}
    void SetUp() override {
        set_junk(kFill);
        MemoryTest::SetUp();
    }
    void TearDown() override {
        MemoryTest::TearDown();
        set_junk(std::nullopt);
    }
    static std::vector<PhysAddr> take_all() {
        std::vector<PhysAddr> taken;
        for (auto frame = frames().allocate_frame(); frame.ok(); frame = frames().allocate_frame()) {
            taken.push_back(*frame);
        }
        return taken;
    }
    static void give_back(const std::vector<PhysAddr>& taken) {
        for (const PhysAddr frame : taken) {
            frames().unref(frame);
        }
    }
};

TEST_F(JunkTest, AFreedFrameIsFilledAndRests) {
    const PhysAddr freed = *frames().allocate_frame();
    frames().unref(freed);
    EXPECT_EQ(first_change(frame_bytes(freed), kFill), std::nullopt);
    EXPECT_EQ(frames().stats().free, free_at_start());
    const PhysAddr next = *frames().allocate_frame();
    EXPECT_NE(next, freed);
    frames().unref(next);
}

TEST_F(JunkTest, RestingFramesAreGivenOutBeforeMemoryIsShort) {
    give_back(take_all());
    const auto taken = take_all();
    EXPECT_EQ(taken.size(), free_at_start());
    give_back(taken);
    // All of them in one piece again, as far as they lay so.
    const auto block = frames().allocate(kMaxOrder);
    ASSERT_TRUE(block.ok());
    frames().free(*block, kMaxOrder);
    EXPECT_EQ(frames().stats().free, free_at_start());
}

TEST_F(JunkTest, AWriteToAFreeFrameIsFoundWhenItIsGivenOut) {
    const PhysAddr freed = *frames().allocate_frame();
    frames().unref(freed);
    frame_bytes(freed)[2001] = std::byte{7};
    EXPECT_DEATH(take_all(),
                 "a free frame was written to: byte 2001 of the frame at 0x[0-9a-f]+ is 0x7 instead of 0xa5");
    frame_bytes(freed)[2001] = kFill;
}

TEST_F(JunkTest, AWriteToAFreeBlockIsFoundWhenItIsGivenOut) {
    const PhysAddr freed = *frames().allocate(3);
    frames().free(freed, 3);
    frame_bytes(freed + 5 * kPageSize)[4095] = std::byte{0};
    EXPECT_DEATH(take_all(), "a free frame was written to: byte 4095 of the frame at");
    frame_bytes(freed + 5 * kPageSize)[4095] = kFill;
}

struct Item {
    std::array<std::uint64_t, 6> words;
};

TEST_F(JunkTest, AFreedObjectIsFilledAndRests) {
    ObjectPool<Item> pool;
    Item* const stays = *pool.create();
    Item* const freed = *pool.create();
    pool.destroy(freed);
    EXPECT_EQ(first_change(std::as_bytes(std::span{freed, 1}), kFill), std::nullopt);
    Item* const next = *pool.create();
    EXPECT_NE(next, freed);
    pool.destroy(next);
    pool.destroy(stays);
}

TEST_F(JunkTest, AWriteToAFreeObjectIsFoundWhenItIsGivenOut) {
    ObjectPool<Item> pool;
    Item* const stays = *pool.create();
    Item* const freed = *pool.create();
    pool.destroy(freed);
    freed->words[5] = 0;
    EXPECT_DEATH(
        {
            for (int i = 0; i < 256; ++i) {
                static_cast<void>(pool.create());
            }
        },
        "a free object of .*Item was written to: byte 40 of 48 at 0x[0-9a-f]+ is 0x0 instead of 0xa5");
    pool.destroy(stays);
}

// Also a slot that was never given out.
TEST_F(JunkTest, AWriteBehindTheLastObjectIsFound) {
    ObjectPool<Item> pool;
    Item* const only = *pool.create();
    (only + 1)->words[0] = 0;
    EXPECT_DEATH(
        { static_cast<void>(pool.create()); }, "a free object of .*Item was written to: byte 0 of 48");
    pool.destroy(only);
}

TEST(FirstChange, IsFoundAtEachPlace) {
    alignas(8) std::array<std::byte, 40> bytes{};
    for (std::size_t begin = 0; begin < 9; ++begin) {
        const std::span<std::byte> part = std::span{bytes}.subspan(begin, 23);
        EXPECT_EQ(first_change(part, std::byte{0}), std::nullopt);
        for (std::size_t at = 0; at < part.size(); ++at) {
            part[at] = std::byte{1};
            EXPECT_EQ(first_change(part, std::byte{0}), at);
            part[at] = std::byte{0};
        }
    }
}

// Every access of every length against a byte by byte model of what may be used.
TEST(ShadowMap, SaysOfEachAccessWhatItsBytesSay) {
    constexpr std::uintptr_t kStart = 0x1000;
    constexpr std::size_t kBytes = 96;
    std::array<std::uint8_t, kBytes / kGranule> shadow{};
    std::array<bool, kBytes + 64> usable{};
    usable.fill(true);
    ShadowMap map;
    map.init(kStart, kBytes, shadow.data());
    const auto forbid = [&](std::size_t from, std::size_t bytes) {
        map.forbid(kStart + from, bytes, Shadow::FreeObject);
        std::fill_n(usable.begin() + static_cast<std::ptrdiff_t>(from), bytes, false);
    };
    forbid(8, 32);
    forbid(80, 16);
    map.allow(kStart + 16, 13);
    std::fill_n(usable.begin() + 16, 13, true);
    for (std::size_t from = 0; from < kBytes; ++from) {
        for (std::size_t bytes = 1; bytes <= 40; ++bytes) {
            std::optional<std::uintptr_t> expected;
            for (std::size_t at = from; at < from + bytes && !expected.has_value(); ++at) {
                if (!usable[at]) {
                    expected = kStart + at;
                }
            }
            EXPECT_EQ(map.first_forbidden(kStart + from, bytes), expected) << from << ' ' << bytes;
        }
    }
    EXPECT_FALSE(map.covers(kStart - 1));
    EXPECT_FALSE(map.covers(kStart + kBytes));
}

}  // namespace
}  // namespace kernel::mm
