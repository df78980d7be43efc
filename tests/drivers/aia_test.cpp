// SPDX-License-Identifier: MIT
// APLIC and IMSIC against models that follow the AIA specification's rules for the registers in use.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <set>
#include <vector>

#include "drivers/aplic.hpp"
#include "drivers/imsic.hpp"

namespace {

using kernel::CpuId;
using kernel::Error;
using kernel::drivers::InterruptHandlers;
using kernel::fdt::Trigger;
namespace map = kernel::drivers::aplic_map;
namespace file = kernel::drivers::imsic_map;

struct Message {
    std::uint32_t hart;
    std::uint32_t identity;
    bool operator==(const Message&) const = default;
};

// One domain with 96 sources. Reset state as bad as the specification allows: everything on.
class FakeAplic {
  public:
    static constexpr std::uint32_t kSources = 96;

    std::vector<Message> messages;
    std::map<std::uint64_t, std::uint32_t> registers;  // what has no behaviour of its own

    FakeAplic() {
        enabled_.fill(true);
        mode_.fill(map::kRisingEdge);
    }
    void set_line(std::uint32_t source, bool level) {
        const bool rises = level && !lines_.contains(source);
        if (level) {
            lines_.insert(source);
        } else {
            lines_.erase(source);
        }
        if (mode_.at(source) == map::kRisingEdge && rises) {
            pending_.at(source) = true;
        } else if (is_level(source)) {
            pending_.at(source) = is_up(source);
        }
        deliver();
    }
    // What the hart behind `idc` sees.
    [[nodiscard]] bool is_interrupting(std::uint32_t idc) const { return best(idc) != 0; }
    [[nodiscard]] bool is_enabled(std::uint32_t source) const { return enabled_.at(source); }
    [[nodiscard]] std::uint32_t mode(std::uint32_t source) const { return mode_.at(source); }

    std::uint32_t read(std::uint64_t offset, std::uint32_t width) {
        EXPECT_EQ(width, 4U);
        if (offset >= map::kSourceConfig && offset < map::kSourceConfig + 4 * kSources) {
            return mode_.at((offset - map::kSourceConfig) / 4 + 1);
        }
        if (offset >= map::kIdc && offset % map::kIdcStride == map::kIdcClaim) {
            const auto idc = static_cast<std::uint32_t>((offset - map::kIdc) / map::kIdcStride);
            const std::uint32_t source = best(idc);
            if (source != 0 && !is_level(source)) {
                pending_.at(source) = false;  // a level stays pending while it is up
            }
            return source == 0 ? 0 : source << map::kClaimShift | (targets_.at(source) & 0xffU);
        }
        ADD_FAILURE() << "read of a register no driver should need: " << offset;
        return 0;
    }
    void write(std::uint64_t offset, std::uint32_t width, std::uint32_t value) {
        EXPECT_EQ(width, 4U);
        if (offset >= map::kSourceConfig && offset < map::kSourceConfig + 4 * kSources) {
            const auto source = static_cast<std::uint32_t>((offset - map::kSourceConfig) / 4 + 1);
            mode_.at(source) = value;
            pending_.at(source) = is_level(source) && is_up(source);
            if (value == map::kInactive) {
                enabled_.at(source) = false;
                targets_.at(source) = 0;
            }
        } else if (offset >= map::kTarget && offset < map::kTarget + 4 * kSources) {
            const auto source = static_cast<std::uint32_t>((offset - map::kTarget) / 4 + 1);
            if (mode_.at(source) != map::kInactive) {  // else read-only zero
                targets_.at(source) = value;
            }
        } else if (offset >= map::kClearEnables && offset < map::kClearEnables + 4 * 32) {
            for (std::uint32_t bit = 0; bit < 32; ++bit) {
                const auto source = static_cast<std::uint32_t>((offset - map::kClearEnables) * 8 + bit);
                if ((value >> bit & 1U) != 0 && source <= kSources) {
                    enabled_.at(source) = false;
                }
            }
        } else if (offset == map::kSetEnable) {
            enabled_.at(value) = mode_.at(value) != map::kInactive;
        } else if (offset == map::kClearEnable) {
            enabled_.at(value) = false;
        } else if (offset == map::kSetPending) {
            pending_.at(value) = pending_.at(value) || !is_level(value) || is_up(value);
        } else {
            registers[offset] = value;
        }
        deliver();
    }

  private:
    [[nodiscard]] bool is_level(std::uint32_t source) const {
        return mode_.at(source) == map::kLevelHigh || mode_.at(source) == map::kLevelLow;
    }
    [[nodiscard]] bool is_up(std::uint32_t source) const {
        return lines_.contains(source) == (mode_.at(source) == map::kLevelHigh);
    }
    [[nodiscard]] bool has(std::uint32_t bit) const {
        const auto found = registers.find(map::kDomainConfig);
        return found != registers.end() && (found->second & bit) != 0;
    }
    [[nodiscard]] std::uint32_t best(std::uint32_t idc) const {
        const auto delivery = registers.find(map::kIdc + map::kIdcStride * idc + map::kIdcDelivery);
        if (!has(map::kInterruptsOn) || has(map::kMessages) || delivery == registers.end() ||
            delivery->second != 1) {
            return 0;
        }
        for (std::uint32_t source = 1; source <= kSources; ++source) {
            if (pending_.at(source) && enabled_.at(source) && targets_.at(source) >> map::kHartShift == idc) {
                EXPECT_NE(targets_.at(source) & 0xffU, 0U) << "priority 0 is reserved";
                return source;
            }
        }
        return 0;
    }
    // A message takes the pending bit along, of a level too.
    void deliver() {
        if (!has(map::kInterruptsOn) || !has(map::kMessages)) {
            return;
        }
        for (std::uint32_t source = 1; source <= kSources; ++source) {
            if (pending_.at(source) && enabled_.at(source)) {
                pending_.at(source) = false;
                messages.push_back({.hart = targets_.at(source) >> map::kHartShift,
                                    .identity = targets_.at(source) & 0x7ffU});
            }
        }
    }

    std::set<std::uint32_t> lines_;
    std::array<bool, kSources + 1> pending_{};
    std::array<bool, kSources + 1> enabled_{};
    std::array<std::uint32_t, kSources + 1> mode_{};
    std::array<std::uint32_t, kSources + 1> targets_{};
};

struct Window {
    FakeAplic* aplic;
    std::uint32_t read(std::uint64_t offset, std::uint32_t width) { return aplic->read(offset, width); }
    void write(std::uint64_t offset, std::uint32_t width, std::uint32_t value) {
        aplic->write(offset, width, value);
    }
};
using Aplic = kernel::drivers::Aplic<Window>;

FakeAplic* device = nullptr;
std::vector<std::uint32_t> handled;

// Handles and quietens the source.
void serve(std::uint32_t source) {
    handled.push_back(source);
    device->set_line(source, false);
}

class AplicTest : public testing::Test {
  protected:
    AplicTest() {
        device = &fake_;
        handled.clear();
    }
    FakeAplic fake_;
    Aplic aplic_{Window{&fake_}, FakeAplic::kSources};
};

TEST_F(AplicTest, StartSwitchesEverySourceOff) {
    aplic_.start(false);
    for (std::uint32_t source = 1; source <= FakeAplic::kSources; ++source) {
        EXPECT_FALSE(fake_.is_enabled(source)) << source;
        EXPECT_EQ(fake_.mode(source), map::kInactive) << source;
    }
    EXPECT_EQ(fake_.registers[map::kDomainConfig], map::kInterruptsOn);
}

TEST_F(AplicTest, ALevelInterruptsTheHartItIsAimedAt) {
    aplic_.start(false);
    ASSERT_TRUE(aplic_.add_idc(CpuId{0}, 2).ok());
    ASSERT_TRUE(aplic_.add_idc(CpuId{1}, 0).ok());
    ASSERT_TRUE(aplic_.set_handler(10, &serve).ok());
    ASSERT_TRUE(aplic_.enable(10, Trigger::LevelHigh, CpuId{0}).ok());
    EXPECT_FALSE(fake_.is_interrupting(2));
    fake_.set_line(10, true);
    EXPECT_TRUE(fake_.is_interrupting(2));
    EXPECT_FALSE(fake_.is_interrupting(0));
    EXPECT_EQ(aplic_.handle(CpuId{1}), 0U);
    EXPECT_EQ(aplic_.handle(CpuId{0}), 1U);
    EXPECT_EQ(handled, (std::vector<std::uint32_t>{10}));
    EXPECT_FALSE(fake_.is_interrupting(2));
}

TEST_F(AplicTest, AnEnabledSourceCanBeAimedElsewhere) {
    aplic_.start(false);
    ASSERT_TRUE(aplic_.add_idc(CpuId{0}, 0).ok());
    ASSERT_TRUE(aplic_.add_idc(CpuId{1}, 1).ok());
    ASSERT_TRUE(aplic_.set_handler(96, &serve).ok());
    ASSERT_TRUE(aplic_.enable(96, Trigger::LevelHigh, CpuId{0}).ok());
    fake_.set_line(96, true);
    ASSERT_TRUE(aplic_.enable(96, Trigger::LevelHigh, CpuId{1}).ok());
    EXPECT_FALSE(fake_.is_interrupting(0));
    EXPECT_EQ(aplic_.handle(CpuId{1}), 1U) << "what was pending goes along";
}

TEST_F(AplicTest, LowLevelsAndEdges) {
    aplic_.start(false);
    ASSERT_TRUE(aplic_.add_idc(CpuId{0}, 0).ok());
    ASSERT_TRUE(aplic_.set_handler(3, &serve).ok());
    ASSERT_TRUE(aplic_.set_handler(4, [](std::uint32_t source) { handled.push_back(source); }).ok());
    fake_.set_line(3, true);
    ASSERT_TRUE(aplic_.enable(3, Trigger::LevelLow, CpuId{0}).ok());
    ASSERT_TRUE(aplic_.enable(4, Trigger::RisingEdge, CpuId{0}).ok());
    EXPECT_FALSE(fake_.is_interrupting(0));
    fake_.set_line(4, true);
    EXPECT_EQ(aplic_.handle(CpuId{0}), 1U) << "claiming an edge ends it";
    ASSERT_TRUE(aplic_.enable(5, Trigger::FallingEdge, CpuId{0}).ok());
    EXPECT_EQ(fake_.mode(3), map::kLevelLow);
    EXPECT_EQ(fake_.mode(5), map::kFallingEdge);
}

TEST_F(AplicTest, SourceWithoutHandlerIsSwitchedOffOnce) {
    aplic_.start(false);
    ASSERT_TRUE(aplic_.add_idc(CpuId{0}, 0).ok());
    ASSERT_TRUE(aplic_.enable(20, Trigger::LevelHigh, CpuId{0}).ok());
    fake_.set_line(20, true);
    EXPECT_EQ(aplic_.handle(CpuId{0}), 1U);
    EXPECT_EQ(aplic_.unexpected(), 1U);
    EXPECT_EQ(aplic_.handle(CpuId{0}), 0U);
}

TEST_F(AplicTest, ScreamingSourceIsBounded) {
    aplic_.start(false);
    ASSERT_TRUE(aplic_.add_idc(CpuId{0}, 0).ok());
    ASSERT_TRUE(aplic_.set_handler(7, [](std::uint32_t source) { handled.push_back(source); }).ok());
    ASSERT_TRUE(aplic_.enable(7, Trigger::LevelHigh, CpuId{0}).ok());
    fake_.set_line(7, true);
    EXPECT_EQ(aplic_.handle(CpuId{0}), Aplic::kMaxClaims);
}

TEST_F(AplicTest, NonsenseIsRefused) {
    aplic_.start(false);
    EXPECT_EQ(aplic_.add_idc(CpuId{64}, 0).error(), Error::InvalidArgument);
    EXPECT_EQ(aplic_.add_idc(CpuId{0}, 1U << 14U).error(), Error::InvalidArgument);
    EXPECT_EQ(aplic_.enable(1, Trigger::LevelHigh, CpuId{0}).error(), Error::InvalidArgument) << "no IDC yet";
    ASSERT_TRUE(aplic_.add_idc(CpuId{0}, 0).ok());
    EXPECT_EQ(aplic_.enable(0, Trigger::LevelHigh, CpuId{0}).error(), Error::InvalidArgument);
    EXPECT_EQ(aplic_.enable(97, Trigger::LevelHigh, CpuId{0}).error(), Error::InvalidArgument);
    EXPECT_EQ(aplic_.set_handler(97, &serve).error(), Error::InvalidArgument);
    EXPECT_EQ(aplic_.set_handler(0, &serve).error(), Error::InvalidArgument);
    EXPECT_EQ(aplic_.set_handler(1, nullptr).error(), Error::InvalidArgument);
    ASSERT_TRUE(aplic_.set_handler(1, &serve).ok());
    EXPECT_EQ(aplic_.set_handler(1, &serve).error(), Error::Exists);
}

TEST_F(AplicTest, MessagesGoToTheHartAndComeAgainWhileTheLevelIsUp) {
    aplic_.start(true);
    ASSERT_TRUE(aplic_.enable_message(10, Trigger::LevelHigh, 5, 3).ok());
    EXPECT_TRUE(fake_.messages.empty());
    fake_.set_line(10, true);
    EXPECT_EQ(fake_.messages, (std::vector<Message>{{5, 3}}));
    aplic_.rearm(10, Trigger::LevelHigh);
    EXPECT_EQ(fake_.messages.size(), 2U) << "still up: the handler has not served it";
    fake_.set_line(10, false);
    aplic_.rearm(10, Trigger::LevelHigh);
    EXPECT_EQ(fake_.messages.size(), 2U);
    EXPECT_EQ(aplic_.handle(CpuId{0}), 0U) << "nothing comes by wire";
}

TEST_F(AplicTest, AnEdgeIsSentOnce) {
    aplic_.start(true);
    ASSERT_TRUE(aplic_.enable_message(10, Trigger::RisingEdge, 0, 1).ok());
    EXPECT_TRUE(fake_.messages.empty());
    fake_.set_line(10, true);
    aplic_.rearm(10, Trigger::RisingEdge);
    EXPECT_EQ(fake_.messages.size(), 1U);
}

TEST_F(AplicTest, ALevelThatIsUpWhenItIsAimedSendsAtOnce) {
    aplic_.start(true);
    fake_.set_line(10, true);
    ASSERT_TRUE(aplic_.enable_message(10, Trigger::LevelHigh, 1, 2).ok());
    ASSERT_FALSE(fake_.messages.empty());
    EXPECT_EQ(fake_.messages.back(), (Message{1, 2}));
    ASSERT_TRUE(aplic_.enable_message(10, Trigger::LevelHigh, 6, 2).ok());
    EXPECT_EQ(fake_.messages.back(), (Message{6, 2})) << "aimed elsewhere, unserved";
}

// One hart's interrupt file, with identities 1..255.
struct FakeFile {
    std::map<std::uint32_t, std::uint64_t> indirect;

    void send(std::uint32_t identity) {
        indirect[file::kPending + 2 * (identity / 64)] |= std::uint64_t{1} << (identity % 64);
    }
    std::uint32_t claim() {
        if (indirect[file::kDelivery] != 1) {
            return 0;
        }
        for (std::uint32_t identity = 1; identity < 256; ++identity) {
            const std::uint32_t word = 2 * (identity / 64);
            const std::uint64_t bit = std::uint64_t{1} << (identity % 64);
            const std::uint64_t threshold = indirect[file::kThreshold];
            if ((indirect[file::kPending + word] & indirect[file::kEnabled + word] & bit) != 0 &&
                (threshold == 0 || identity < threshold)) {
                indirect[file::kPending + word] &= ~bit;
                return identity << file::kClaimShift | identity;
            }
        }
        return 0;
    }
};

struct Csrs {
    FakeFile* fake;
    std::uint64_t read_indirect(std::uint32_t number) { return fake->indirect[number]; }
    void write_indirect(std::uint32_t number, std::uint64_t value) {
        EXPECT_EQ(number % 2, 0U) << "odd numbers do not exist where registers have 64 bits";
        fake->indirect[number] = value;
    }
    std::uint32_t claim() { return fake->claim(); }
};

TEST(Imsic, StartDropsWhatWasThereAndLetsTheFirstIdentitiesIn) {
    FakeFile fake;
    for (std::uint32_t word = 0; word < 4; ++word) {
        fake.indirect[file::kEnabled + 2 * word] = ~std::uint64_t{0};
        fake.indirect[file::kPending + 2 * word] = ~std::uint64_t{0};
    }
    fake.indirect[file::kThreshold] = 1;
    kernel::drivers::Imsic<Csrs> imsic{Csrs{&fake}};
    imsic.start(255, 16);
    EXPECT_EQ(fake.claim(), 0U);
    fake.send(17);
    fake.send(200);
    EXPECT_EQ(fake.claim(), 0U);
    fake.send(16);
    EXPECT_EQ(fake.claim() >> file::kClaimShift, 16U);
}

TEST(Imsic, MessagesReachTheirHandlersAndStrayOnesAreCounted) {
    FakeFile fake;
    kernel::drivers::Imsic<Csrs> imsic{Csrs{&fake}};
    imsic.start(255, 16);
    InterruptHandlers handlers;
    ASSERT_TRUE(handlers.set(2, [](std::uint32_t identity) { handled.push_back(identity); }).ok());
    handled.clear();
    fake.send(2);
    fake.send(9);
    EXPECT_EQ(imsic.handle(handlers), 2U);
    EXPECT_EQ(handled, (std::vector<std::uint32_t>{2}));
    EXPECT_EQ(imsic.unexpected(), 1U);
    EXPECT_EQ(imsic.handle(handlers), 0U);
}

TEST(Imsic, AScreamingSenderIsBounded) {
    static FakeFile fake;
    kernel::drivers::Imsic<Csrs> imsic{Csrs{&fake}};
    imsic.start(255, 16);
    InterruptHandlers handlers;
    ASSERT_TRUE(handlers.set(1, [](std::uint32_t identity) { fake.send(identity); }).ok());
    fake.send(1);
    EXPECT_EQ(imsic.handle(handlers), kernel::drivers::Imsic<Csrs>::kMaxClaims);
}

}  // namespace
