// SPDX-License-Identifier: MIT
#include "drivers/plic.hpp"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <vector>

namespace {

using kernel::CpuId;
using kernel::Error;
namespace map = kernel::drivers::plic_map;

// A PLIC whose sources are level-triggered: the gateway passes one request and waits for its completion.
class FakePlic {
  public:
    std::set<std::uint32_t> asserted;      // lines the devices hold up
    std::vector<std::uint32_t> completed;  // in order
    std::map<std::uint64_t, std::uint32_t> registers;

    std::uint32_t read(std::uint64_t offset, std::uint32_t width) {
        EXPECT_EQ(width, 4U);
        if (offset >= map::kThreshold && (offset - map::kThreshold) % map::kContextStride == 4) {
            return claim(static_cast<std::uint32_t>((offset - map::kThreshold) / map::kContextStride));
        }
        return registers[offset];
    }
    void write(std::uint64_t offset, std::uint32_t width, std::uint32_t value) {
        EXPECT_EQ(width, 4U);
        if (offset >= map::kThreshold && (offset - map::kThreshold) % map::kContextStride == 4) {
            const auto context = static_cast<std::uint32_t>((offset - map::kThreshold) / map::kContextStride);
            if (is_enabled(context, value)) {
                in_service_.erase(value);
            }
            completed.push_back(value);
            return;
        }
        registers[offset] = value;
    }
    [[nodiscard]] std::uint32_t enable_word(std::uint32_t context, std::uint32_t word) {
        return registers[map::kEnable + map::kEnableStride * context + 4 * std::uint64_t{word}];
    }

  private:
    bool is_enabled(std::uint32_t context, std::uint32_t source) {
        return ((enable_word(context, source / 32) >> (source % 32)) & 1U) != 0;
    }
    std::uint32_t claim(std::uint32_t context) {
        for (const std::uint32_t source : asserted) {
            const bool is_above = registers[4 * std::uint64_t{source}] >
                                  registers[map::kThreshold + map::kContextStride * context];
            if (!in_service_.contains(source) && is_enabled(context, source) && is_above) {
                in_service_.insert(source);
                return source;
            }
        }
        return 0;
    }
    std::set<std::uint32_t> in_service_;
};

struct Window {
    FakePlic* plic;
    std::uint32_t read(std::uint64_t offset, std::uint32_t width) { return plic->read(offset, width); }
    void write(std::uint64_t offset, std::uint32_t width, std::uint32_t value) {
        plic->write(offset, width, value);
    }
};
using Plic = kernel::drivers::Plic<Window>;

FakePlic* device = nullptr;
std::vector<std::uint32_t> handled;

class PlicTest : public testing::Test {
  protected:
    PlicTest() {
        device = &fake_;
        handled.clear();
    }
    // Handles and quietens the source.
    static void serve(std::uint32_t source) {
        handled.push_back(source);
        device->asserted.erase(source);
    }
    FakePlic fake_;
    Plic plic_{Window{&fake_}, 136};
};

// JH7110: context 2N is hart N's S-mode; whatever stood in its enable words goes, the M-mode ones are not
// ours.
TEST_F(PlicTest, AddContextSwitchesEverythingOffInThatContextOnly) {
    for (std::uint32_t context = 0; context < 4; ++context) {
        for (std::uint32_t word = 0; word <= 136 / 32; ++word) {
            fake_.write(map::kEnable + map::kEnableStride * context + 4 * std::uint64_t{word}, 4, 0xdeadbeef);
        }
        fake_.write(map::kThreshold + map::kContextStride * context, 4, 7);
    }
    EXPECT_TRUE(plic_.add_context(CpuId{0}, 2).ok());
    for (std::uint32_t word = 0; word <= 136 / 32; ++word) {
        EXPECT_EQ(fake_.enable_word(2, word), 0U);
        EXPECT_EQ(fake_.enable_word(1, word), 0xdeadbeefU);
        EXPECT_EQ(fake_.enable_word(3, word), 0xdeadbeefU);
    }
    EXPECT_EQ(fake_.registers[0x202000], 0U);
    EXPECT_EQ(fake_.registers[0x201000], 7U);
    EXPECT_TRUE(plic_.has_context(CpuId{0}));
    EXPECT_FALSE(plic_.has_context(CpuId{1}));
}

// What OpenSBI leaves of a context when it starts the hart.
TEST_F(PlicTest, AStartedHartOpensItsContextAgain) {
    ASSERT_TRUE(plic_.add_context(CpuId{0}, 2).ok());
    fake_.write(map::kThreshold + map::kContextStride * 2, 4, 7);
    plic_.start_context(CpuId{0});
    plic_.start_context(CpuId{1});  // has none
    ASSERT_TRUE(plic_.set_handler(10, serve).ok());
    ASSERT_TRUE(plic_.enable(10, CpuId{0}).ok());
    fake_.asserted = {10};
    EXPECT_EQ(plic_.handle(CpuId{0}), 1U);
}

TEST_F(PlicTest, EnableSetsTheBitAndAPriority) {
    ASSERT_TRUE(plic_.add_context(CpuId{0}, 2).ok());
    EXPECT_TRUE(plic_.enable(32, CpuId{0}).ok());
    EXPECT_TRUE(plic_.enable(33, CpuId{0}).ok());
    EXPECT_EQ(fake_.registers[0x2104], 3U);  // hart 1's S-mode enables are at 0x2100 on the JH7110
    EXPECT_EQ(fake_.registers[4 * 32], 1U);
}

TEST_F(PlicTest, HandleDispatchesAndCompletesEachClaim) {
    ASSERT_TRUE(plic_.add_context(CpuId{0}, 1).ok());
    for (const std::uint32_t source : {10U, 11U}) {
        ASSERT_TRUE(plic_.set_handler(source, serve).ok());
        ASSERT_TRUE(plic_.enable(source, CpuId{0}).ok());
    }
    fake_.asserted = {10, 11};
    EXPECT_EQ(plic_.handle(CpuId{0}), 2U);
    EXPECT_EQ(handled, (std::vector<std::uint32_t>{10, 11}));
    EXPECT_EQ(fake_.completed, handled);
    EXPECT_EQ(plic_.handle(CpuId{0}), 0U);
    fake_.asserted = {10};
    EXPECT_EQ(plic_.handle(CpuId{0}), 1U) << "a completed source can come again";
}

TEST_F(PlicTest, AMovedSourceInterruptsTheOtherHart) {
    ASSERT_TRUE(plic_.add_context(CpuId{0}, 1).ok());
    ASSERT_TRUE(plic_.add_context(CpuId{1}, 3).ok());
    ASSERT_TRUE(plic_.set_handler(10, serve).ok());
    ASSERT_TRUE(plic_.enable(10, CpuId{0}).ok());
    ASSERT_TRUE(plic_.enable(11, CpuId{0}).ok());
    EXPECT_TRUE(plic_.move(10, CpuId{0}, CpuId{1}).ok());
    EXPECT_EQ(fake_.enable_word(1, 0), 1U << 11U) << "its neighbours stay";
    EXPECT_EQ(fake_.enable_word(3, 0), 1U << 10U);
    fake_.asserted = {10};
    EXPECT_EQ(plic_.handle(CpuId{0}), 0U);
    EXPECT_EQ(plic_.handle(CpuId{1}), 1U);
    EXPECT_EQ(plic_.move(10, CpuId{1}, CpuId{2}).error(), Error::InvalidArgument) << "no context there";
    EXPECT_EQ(plic_.move(10, CpuId{2}, CpuId{0}).error(), Error::InvalidArgument);
    EXPECT_EQ(fake_.enable_word(3, 0), 1U << 10U) << "and nothing has changed";
}

TEST_F(PlicTest, AnotherHartsContextSeesNothing) {
    ASSERT_TRUE(plic_.add_context(CpuId{0}, 1).ok());
    ASSERT_TRUE(plic_.add_context(CpuId{1}, 3).ok());
    ASSERT_TRUE(plic_.set_handler(10, serve).ok());
    ASSERT_TRUE(plic_.enable(10, CpuId{1}).ok());
    fake_.asserted = {10};
    EXPECT_EQ(plic_.handle(CpuId{0}), 0U);
    EXPECT_EQ(plic_.handle(CpuId{2}), 0U) << "a hart without a context";
    EXPECT_EQ(plic_.handle(CpuId{1}), 1U);
}

TEST_F(PlicTest, SourceWithoutHandlerIsSwitchedOffOnce) {
    ASSERT_TRUE(plic_.add_context(CpuId{0}, 1).ok());
    ASSERT_TRUE(plic_.enable(20, CpuId{0}).ok());
    fake_.asserted = {20};
    EXPECT_EQ(plic_.handle(CpuId{0}), 1U);
    EXPECT_EQ(plic_.unexpected(), 1U);
    EXPECT_EQ(fake_.completed, std::vector<std::uint32_t>{20});
    EXPECT_EQ(plic_.handle(CpuId{0}), 0U);
    EXPECT_EQ(fake_.enable_word(1, 0), 0U);
}

TEST_F(PlicTest, ScreamingSourceIsBounded) {
    ASSERT_TRUE(plic_.add_context(CpuId{0}, 1).ok());
    ASSERT_TRUE(plic_.set_handler(10, [](std::uint32_t source) { handled.push_back(source); }).ok());
    ASSERT_TRUE(plic_.enable(10, CpuId{0}).ok());
    fake_.asserted = {10};
    EXPECT_EQ(plic_.handle(CpuId{0}), Plic::kMaxClaims);
    EXPECT_EQ(fake_.completed.size(), Plic::kMaxClaims);
}

TEST_F(PlicTest, NonsenseIsRefused) {
    EXPECT_EQ(plic_.add_context(CpuId{64}, 1).error(), Error::InvalidArgument);
    EXPECT_EQ(plic_.add_context(CpuId{0}, 15872).error(), Error::InvalidArgument);
    EXPECT_EQ(plic_.enable(10, CpuId{0}).error(), Error::InvalidArgument) << "no context yet";
    ASSERT_TRUE(plic_.add_context(CpuId{0}, 1).ok());
    EXPECT_EQ(plic_.enable(0, CpuId{0}).error(), Error::InvalidArgument);
    EXPECT_EQ(plic_.enable(137, CpuId{0}).error(), Error::InvalidArgument);
    EXPECT_TRUE(plic_.enable(136, CpuId{0}).ok());
    EXPECT_EQ(plic_.set_handler(0, serve).error(), Error::InvalidArgument);
    EXPECT_EQ(plic_.set_handler(137, serve).error(), Error::InvalidArgument);
    EXPECT_EQ(plic_.set_handler(1, nullptr).error(), Error::InvalidArgument);
    for (std::uint32_t source = 1; source <= kernel::drivers::InterruptHandlers::kMaxHandlers; ++source) {
        EXPECT_TRUE(plic_.set_handler(source, serve).ok());
    }
    EXPECT_EQ(plic_.set_handler(1, serve).error(), Error::Exists);
    EXPECT_EQ(plic_.set_handler(kernel::drivers::InterruptHandlers::kMaxHandlers + 1, serve).error(),
              Error::NoSpace);
}

}  // namespace
