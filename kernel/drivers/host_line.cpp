// SPDX-License-Identifier: MIT
#include "drivers/host_line.hpp"

#include <cstring>
#include <optional>

#include "drivers/mmio.hpp"
#include "drivers/virtio_console.hpp"
#include "lib/thread_safety.hpp"
#include "mm/frames.hpp"
#include "mm/kernel_map.hpp"
#include "mm/layout.hpp"
#include "sync/spinlock.hpp"

namespace kernel::drivers {

namespace {

using Device = VirtioConsole<Mmio>;

constexpr std::uint32_t kBuffersOrder = 4;
static_assert(Device::kEntries * Device::kBufferBytes == mm::kPageSize << kBuffersOrder);

constinit SpinLock lock{LockRank::HostLine};
constinit std::optional<Device> device GUARDED_BY(lock);

// The memory of a device stays its own when it does not start: it may have been told of it.
Result<void> start_device(const Mmio& registers) {
    const PhysAddr queue = TRY(mm::frames().allocate_zeroed_frame());
    const PhysAddr buffers = TRY(mm::frames().allocate(kBuffersOrder));
    const LockGuard guard{lock};
    Device& started =
        device.emplace(registers, Device::Memory{.queue = static_cast<std::byte*>(phys_to_virt(queue)),
                                                 .queue_at = queue,
                                                 .buffers = static_cast<std::byte*>(phys_to_virt(buffers)),
                                                 .buffers_at = buffers});
    if (const auto result = started.start(); !result.ok()) {
        device.reset();
        return result;
    }
    return {};
}

}  // namespace

Result<void> start_host_line(const fdt::Machine& machine) {
    for (const fdt::MemoryRange& range : machine.virtio_devices) {
        const Mmio registers{TRY(mm::kernel_map().map_mmio(range.start, range.bytes))};
        if (Device::is_there(registers) && start_device(registers).ok()) {
            return {};
        }
    }
    return Error::NoDevice;
}

Result<std::size_t> write_to_host(std::span<const std::byte> bytes) {
    const LockGuard guard{lock};
    return device.has_value() ? device->send(bytes) : Result<std::size_t>{Error::NoDevice};
}

}  // namespace kernel::drivers
