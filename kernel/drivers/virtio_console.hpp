// SPDX-License-Identifier: MIT
// VirtioConsole: port 0 of a virtio console behind virtio-mmio registers, for sending only: a way out of the
// machine that is much faster than a UART. Virtio 1.2: 2.7 (split queues), 4.2.2 (registers), 5.3 (console).
// Polled: the device is told not to interrupt. What the device writes is not believed: an answer that cannot
// be right ends the use of it. Concurrency: the caller's lock.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "lib/ids.hpp"
#include "lib/result.hpp"

namespace kernel::drivers {

namespace virtio {

// Offsets of registers, all 32 bits wide.
inline constexpr std::uint64_t kMagic = 0x000;
inline constexpr std::uint64_t kVersion = 0x004;
inline constexpr std::uint64_t kDeviceId = 0x008;
inline constexpr std::uint64_t kDeviceFeatures = 0x010;
inline constexpr std::uint64_t kDeviceFeaturesSelect = 0x014;
inline constexpr std::uint64_t kDriverFeatures = 0x020;
inline constexpr std::uint64_t kDriverFeaturesSelect = 0x024;
inline constexpr std::uint64_t kQueueSelect = 0x030;
inline constexpr std::uint64_t kQueueMax = 0x034;
inline constexpr std::uint64_t kQueueSize = 0x038;
inline constexpr std::uint64_t kQueueReady = 0x044;
inline constexpr std::uint64_t kQueueNotify = 0x050;
inline constexpr std::uint64_t kStatus = 0x070;
inline constexpr std::uint64_t kQueueDescriptors = 0x080;  // two registers each, the low half first
inline constexpr std::uint64_t kQueueDriver = 0x090;
inline constexpr std::uint64_t kQueueDevice = 0x0a0;

inline constexpr std::uint32_t kMagicValue = 0x7472'6976;
inline constexpr std::uint32_t kModern = 2;
inline constexpr std::uint32_t kConsole = 3;

inline constexpr std::uint32_t kAcknowledge = 1;
inline constexpr std::uint32_t kDriver = 2;
inline constexpr std::uint32_t kDriverOk = 4;
inline constexpr std::uint32_t kFeaturesOk = 8;
inline constexpr std::uint32_t kFailed = 128;
inline constexpr std::uint32_t kVersion1 = 1;  // feature 32, in the upper word

inline constexpr std::uint32_t kTransmitQueue = 1;  // of port 0
inline constexpr std::uint16_t kNoInterrupt = 1;    // in the flags of the driver's ring

struct Descriptor {
    std::uint64_t address;
    std::uint32_t bytes;
    std::uint16_t flags;
    std::uint16_t next;
};
static_assert(sizeof(Descriptor) == 16);

}  // namespace virtio

// `Registers` has read(offset, width) and write(offset, width, value) as Mmio.
template <class Registers>
class VirtioConsole {
  public:
    static constexpr std::uint16_t kEntries = 64;
    static constexpr std::size_t kBufferBytes = 1024;
    // Memory that the device reads and writes, for as long as it is used: a page and the buffers.
    struct Memory {
        std::byte* queue{nullptr};  // 4096 bytes, zeroed, aligned to them
        PhysAddr queue_at;
        std::byte* buffers{nullptr};  // kEntries * kBufferBytes
        PhysAddr buffers_at;
    };

    // Whether a virtio console of version 1 or later answers there: what is worth giving memory to.
    [[nodiscard]] static bool is_there(const Registers& registers) {
        return registers.read(virtio::kMagic, 4) == virtio::kMagicValue &&
               registers.read(virtio::kVersion, 4) == virtio::kModern &&
               registers.read(virtio::kDeviceId, 4) == virtio::kConsole;
    }

    VirtioConsole(const Registers& registers, const Memory& memory)
        : registers_{registers}, memory_{memory} {}
    VirtioConsole(const VirtioConsole&) = delete;
    VirtioConsole& operator=(const VirtioConsole&) = delete;

    // Brings the device up; after an error the device has been told and is not used.
    // NotSupported: it is not ready after a reset, insists on what the driver does not know, or has no queue.
    [[nodiscard]] Result<void> start() {
        write(virtio::kStatus, 0);
        if (!is_reset()) {
            return Error::NotSupported;
        }
        std::uint32_t status = virtio::kAcknowledge | virtio::kDriver;
        write(virtio::kStatus, status);
        write(virtio::kDeviceFeaturesSelect, 1);
        if ((read(virtio::kDeviceFeatures) & virtio::kVersion1) == 0) {
            return fail();
        }
        write(virtio::kDriverFeaturesSelect, 0);
        write(virtio::kDriverFeatures, 0);
        write(virtio::kDriverFeaturesSelect, 1);
        write(virtio::kDriverFeatures, virtio::kVersion1);
        status |= virtio::kFeaturesOk;
        write(virtio::kStatus, status);
        if ((read(virtio::kStatus) & virtio::kFeaturesOk) == 0) {
            return fail();
        }
        write(virtio::kQueueSelect, virtio::kTransmitQueue);
        const std::uint32_t most = std::min<std::uint32_t>(read(virtio::kQueueMax), kEntries);
        if (most == 0 || read(virtio::kQueueReady) != 0) {
            return fail();
        }
        entries_ = static_cast<std::uint16_t>(std::bit_floor(most));
        free_ = entries_ == kEntries ? ~std::uint64_t{0} : (std::uint64_t{1} << entries_) - 1;
        store(kDriverOffset, virtio::kNoInterrupt);
        write(virtio::kQueueSize, entries_);
        write_address(virtio::kQueueDescriptors, memory_.queue_at);
        write_address(virtio::kQueueDriver, memory_.queue_at + kDriverOffset);
        write_address(virtio::kQueueDevice, memory_.queue_at + kDeviceOffset);
        write(virtio::kQueueReady, 1);
        write(virtio::kStatus, status | virtio::kDriverOk);
        return {};
    }

    // Hands up to kBufferBytes of `bytes` to the device and returns how many; 0: all buffers are with it.
    // Io: the device gave back what it did not have, or more than that; it is not used any more.
    [[nodiscard]] Result<std::size_t> send(std::span<const std::byte> bytes) {
        TRY(take_back());
        if (free_ == 0 || bytes.empty()) {
            return std::size_t{0};
        }
        const auto entry = static_cast<std::uint16_t>(std::countr_zero(free_));
        const std::size_t count = std::min(bytes.size(), kBufferBytes);
        const std::size_t offset = entry * kBufferBytes;
        std::memcpy(memory_.buffers + offset, bytes.data(), count);
        const virtio::Descriptor descriptor{.address = (memory_.buffers_at + offset).value(),
                                            .bytes = static_cast<std::uint32_t>(count),
                                            .flags = 0,
                                            .next = 0};
        std::memcpy(memory_.queue + entry * sizeof(descriptor), &descriptor, sizeof(descriptor));
        free_ &= ~(std::uint64_t{1} << entry);
        store(kDriverOffset + 4 + std::size_t{2} * (given_ % entries_), entry);
        ++given_;
        // The device sees the entry before the index that covers it, and the index before it is notified: the
        // register's write comes behind a fence of its own.
        store(kDriverOffset + 2, given_, std::memory_order_release);
        write(virtio::kQueueNotify, virtio::kTransmitQueue);
        return count;
    }

  private:
    // In the page of the queue: 1024 bytes of descriptors, then the rings. 2.7.6, 2.7.8.
    static constexpr std::size_t kDriverOffset = 1024;
    static constexpr std::size_t kDeviceOffset = 2048;
    static_assert(kEntries * sizeof(virtio::Descriptor) <= kDriverOffset);
    // A device is reset at once, or within a few reads of a register.
    static constexpr int kResetPolls = 1000;

    [[nodiscard]] std::uint32_t read(std::uint64_t offset) const { return registers_.read(offset, 4); }
    void write(std::uint64_t offset, std::uint32_t value) const { registers_.write(offset, 4, value); }
    void write_address(std::uint64_t offset, PhysAddr address) const {
        write(offset, static_cast<std::uint32_t>(address.value()));
        write(offset + 4, static_cast<std::uint32_t>(address.value() >> 32U));
    }
    [[nodiscard]] std::uint16_t load(std::size_t offset, std::memory_order order) const {
        return std::atomic_ref{*reinterpret_cast<std::uint16_t*>(memory_.queue + offset)}.load(order);
    }
    void store(std::size_t offset, std::uint16_t value, std::memory_order order = std::memory_order_relaxed) {
        std::atomic_ref{*reinterpret_cast<std::uint16_t*>(memory_.queue + offset)}.store(value, order);
    }
    [[nodiscard]] bool is_reset() const {
        for (int i = 0; i < kResetPolls; ++i) {
            if (read(virtio::kStatus) == 0) {
                return true;
            }
        }
        return false;
    }
    Result<void> fail() {
        write(virtio::kStatus, virtio::kFailed);
        is_broken_ = true;
        return Error::NotSupported;
    }
    Result<void> give_up() {
        write(virtio::kStatus, virtio::kFailed);
        is_broken_ = true;
        return Error::Io;
    }

    // Buffers that the device has done with are free again. At most entries_ steps.
    Result<void> take_back() {
        if (is_broken_ || entries_ == 0) {
            return Error::Io;
        }
        const std::uint16_t done = load(kDeviceOffset + 2, std::memory_order_acquire);
        if (static_cast<std::uint16_t>(done - taken_) > static_cast<std::uint16_t>(given_ - taken_)) {
            return give_up();
        }
        for (; taken_ != done; ++taken_) {
            std::uint32_t entry = 0;
            std::memcpy(&entry, memory_.queue + kDeviceOffset + 4 + std::size_t{8} * (taken_ % entries_),
                        sizeof(entry));
            if (entry >= entries_ || (free_ >> entry & 1U) != 0) {
                return give_up();
            }
            free_ |= std::uint64_t{1} << entry;
        }
        return {};
    }

    const Registers registers_;
    const Memory memory_;
    std::uint64_t free_{0};  // a bit for each buffer that is ours
    std::uint16_t entries_{0};
    std::uint16_t given_{0};  // entries ever given to the device, and taken back; they wrap
    std::uint16_t taken_{0};
    bool is_broken_{false};
};

}  // namespace kernel::drivers
