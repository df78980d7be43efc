// SPDX-License-Identifier: MIT
// The virtio console's driver against a model of the device that reads the queue from memory as a device
// does, and against devices that lie.
#include "drivers/virtio_console.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

namespace {

namespace virtio = kernel::drivers::virtio;
using kernel::Error;
using kernel::PhysAddr;

// Queue memory where a device would find it: addresses are pointers.
struct QueueMemory {
    alignas(4096) std::array<std::byte, 4096> queue{};
    std::array<std::byte, std::size_t{64} * 1024> buffers{};
};

// What the registers lead to.
class FakeDevice {
  public:
    std::uint32_t magic{virtio::kMagicValue};
    std::uint32_t version{virtio::kModern};
    std::uint32_t kind{virtio::kConsole};
    std::uint32_t features_high{virtio::kVersion1};
    std::uint32_t queue_max{256};
    bool has_reader{true};
    bool keeps_features_ok{true};
    bool leaves_reset{true};
    std::mt19937* garbage{nullptr};  // every register reads as anything

    std::string wire;
    std::uint32_t status{1};
    std::uint32_t accepted{0};
    std::uint32_t notified{0};
    std::uint32_t size{0};
    std::array<std::uint64_t, 3> areas{};  // descriptors, driver, device
    std::uint16_t done{0};

    std::uint32_t read(std::uint64_t offset) {
        if (garbage != nullptr) {
            return static_cast<std::uint32_t>((*garbage)());
        }
        switch (offset) {
            case virtio::kMagic:
                return magic;
            case virtio::kVersion:
                return version;
            case virtio::kDeviceId:
                return kind;
            case virtio::kDeviceFeatures:
                return features_high;
            case virtio::kQueueMax:
                return queue_max;
            case virtio::kStatus:
                return status;
            default:
                return 0;
        }
    }
    void write(std::uint64_t offset, std::uint32_t value) {
        if (offset == virtio::kStatus) {
            status = value == 0 && !leaves_reset                                ? 1
                     : (value & virtio::kFeaturesOk) != 0 && !keeps_features_ok ? value & ~virtio::kFeaturesOk
                                                                                : value;
        } else if (offset == virtio::kDriverFeatures) {
            accepted = value;
        } else if (offset == virtio::kQueueSize) {
            size = value;
        } else if (offset == virtio::kQueueNotify) {
            ++notified;
            if (has_reader) {
                consume();
            }
        } else if (offset >= virtio::kQueueDescriptors && offset < virtio::kQueueDevice + 8) {
            std::uint64_t& area = areas.at((offset - virtio::kQueueDescriptors) / 16);
            area |= std::uint64_t{value} << ((offset & 4U) != 0 ? 32U : 0U);
        }
    }
    // Takes in everything that the driver has given.
    void consume() {
        for (; done != at<std::uint16_t>(1, 2); ++done) {
            const auto entry = at<std::uint16_t>(1, 4 + std::size_t{2} * (done % size));
            const auto descriptor = at<virtio::Descriptor>(0, entry * sizeof(virtio::Descriptor));
            wire.append(reinterpret_cast<const char*>(descriptor.address), descriptor.bytes);
            give_back(done, entry);
        }
    }
    void give_back(std::uint16_t index, std::uint32_t entry) {
        at<std::uint32_t>(2, 4 + std::size_t{8} * (index % size)) = entry;
        at<std::uint16_t>(2, 2) = static_cast<std::uint16_t>(index + 1);
    }
    template <class T>
    T& at(std::size_t area, std::size_t offset) const {
        return *reinterpret_cast<T*>(areas.at(area) + offset);
    }
};

struct Registers {
    FakeDevice* device;
    [[nodiscard]] std::uint32_t read(std::uint64_t offset, std::uint32_t width) const {
        EXPECT_EQ(width, 4U);
        return device->read(offset);
    }
    void write(std::uint64_t offset, std::uint32_t width, std::uint32_t value) const {
        EXPECT_EQ(width, 4U);
        device->write(offset, value);
    }
};

using Console = kernel::drivers::VirtioConsole<Registers>;

class VirtioConsoleTest : public testing::Test {
  protected:
    [[nodiscard]] Console make() {
        return Console{Registers{&device},
                       {.queue = memory->queue.data(),
                        .queue_at = PhysAddr{reinterpret_cast<std::uint64_t>(memory->queue.data())},
                        .buffers = memory->buffers.data(),
                        .buffers_at = PhysAddr{reinterpret_cast<std::uint64_t>(memory->buffers.data())}}};
    }
    static kernel::Result<std::size_t> send(Console& console, std::string_view text) {
        return console.send(std::as_bytes(std::span{text}));
    }

    std::unique_ptr<QueueMemory> memory = std::make_unique<QueueMemory>();
    FakeDevice device;
};

TEST_F(VirtioConsoleTest, SendsEverythingInOrder) {
    Console console = make();
    ASSERT_TRUE(Console::is_there(Registers{&device}));
    ASSERT_TRUE(console.start().ok());
    EXPECT_EQ(device.status,
              virtio::kAcknowledge | virtio::kDriver | virtio::kFeaturesOk | virtio::kDriverOk);
    EXPECT_EQ(device.accepted, virtio::kVersion1);
    std::string sent;
    // More often than the rings' indices have numbers: they wrap.
    for (int i = 0; i < 70'000; ++i) {
        const std::string text = std::to_string(i) + ' ';
        const auto count = send(console, text);
        ASSERT_TRUE(count.ok());
        ASSERT_EQ(*count, text.size());
        sent += text;
    }
    EXPECT_EQ(device.wire, sent);
    EXPECT_EQ(device.at<std::uint16_t>(1, 0), virtio::kNoInterrupt);
}

TEST_F(VirtioConsoleTest, TakesABufferAtMostAndNothingOfNothing) {
    Console console = make();
    ASSERT_TRUE(console.start().ok());
    EXPECT_EQ(*send(console, std::string(5000, 'x')), Console::kBufferBytes);
    EXPECT_EQ(*send(console, ""), 0U);
    EXPECT_EQ(device.wire, std::string(1024, 'x'));
    EXPECT_EQ(device.notified, 1U);
}

TEST_F(VirtioConsoleTest, WithoutAReaderItIsFullAndNothingWaits) {
    device.has_reader = false;
    Console console = make();
    ASSERT_TRUE(console.start().ok());
    for (std::size_t i = 0; i < Console::kEntries; ++i) {
        ASSERT_EQ(*send(console, "x"), 1U);
    }
    EXPECT_EQ(*send(console, "y"), 0U);
    EXPECT_EQ(*send(console, "y"), 0U);
    device.consume();
    EXPECT_EQ(*send(console, "z"), 1U);
    device.consume();
    EXPECT_EQ(device.wire, std::string(Console::kEntries, 'x') + 'z');
}

TEST_F(VirtioConsoleTest, ASmallQueueIsEnough) {
    for (const std::uint32_t max : {1U, 3U, 64U, 1000U}) {
        *memory = {};
        device = {};
        device.queue_max = max;
        Console console = make();
        ASSERT_TRUE(console.start().ok());
        EXPECT_EQ(device.size, max == 3 ? 2U : std::min(max, 64U));
        for (int i = 0; i < 10; ++i) {
            ASSERT_EQ(*send(console, "ab"), 2U);
        }
        EXPECT_EQ(device.wire.size(), 20U);
    }
}

TEST_F(VirtioConsoleTest, OthersAreLeftAlone) {
    device.version = 1;
    EXPECT_FALSE(Console::is_there(Registers{&device}));
    device = {};
    device.kind = 4;
    EXPECT_FALSE(Console::is_there(Registers{&device}));
    device.kind = 0;
    EXPECT_FALSE(Console::is_there(Registers{&device}));
    device = {};
    device.magic = 0xffff'ffff;
    EXPECT_FALSE(Console::is_there(Registers{&device}));
}

TEST_F(VirtioConsoleTest, RefusesWhatItCannotWorkWith) {
    const auto refuses = [&](auto&& change) {
        device = {};
        change();
        Console console = make();
        EXPECT_EQ(console.start().error(), Error::NotSupported);
        EXPECT_FALSE(send(console, "x").ok());
        EXPECT_TRUE(device.wire.empty());
    };
    refuses([&] { device.leaves_reset = false; });
    refuses([&] { device.features_high = 0; });
    refuses([&] { device.keeps_features_ok = false; });
    refuses([&] { device.queue_max = 0; });
}

TEST_F(VirtioConsoleTest, GarbageInTheRegistersHarmsNobody) {
    for (std::uint32_t seed = 0; seed < 2000; ++seed) {
        std::mt19937 random{seed};
        device = {};
        device.garbage = &random;
        Console console = make();
        if (console.start().ok()) {
            // It fills its buffers and gives them back to nobody.
            device.has_reader = false;
            for (int i = 0; i < 100; ++i) {
                static_cast<void>(send(console, "x"));
            }
        }
    }
}

TEST_F(VirtioConsoleTest, ADeviceThatGivesBackWhatItDidNotHaveIsNotUsedAnyMore) {
    // The index of what is done, and the entry it names.
    struct Lie {
        std::uint16_t index;
        std::uint32_t entry;
    };
    for (const Lie lie :
         {Lie{1, 0}, Lie{40'000, 0}, Lie{0xfffe, 0}, Lie{0, 64}, Lie{0, 0xffff'ffff}, Lie{0, 1}}) {
        *memory = {};
        device = {};
        device.has_reader = false;
        Console console = make();
        ASSERT_TRUE(console.start().ok());
        ASSERT_EQ(*send(console, "x"), 1U);
        device.give_back(lie.index, lie.entry);
        EXPECT_EQ(send(console, "x").error(), Error::Io) << lie.index << ' ' << lie.entry;
        EXPECT_EQ(device.status, virtio::kFailed);
        EXPECT_EQ(send(console, "x").error(), Error::Io);
    }
}

}  // namespace
