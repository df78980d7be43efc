// SPDX-License-Identifier: MIT
#include "file/devices.hpp"

#include <array>

#include "file/transfer.hpp"
#include "mm/slab.hpp"
#include "mm/user_memory.hpp"
#include "task/process.hpp"
#include "task/random.hpp"

namespace kernel::file {

namespace {

using mm::UserBuffers;
using task::SysResult;
using task::Task;

constexpr std::uint64_t kMaxTransfer = 0x7fff'f000;  // Linux' MAX_RW_COUNT

SysResult read_zeros(Task& caller, UserBuffers& buffers) {
    return transfer(caller, buffers, kStepBytes,
                    [&](const UserBuffers::Piece& piece, std::uint64_t) -> Result<std::uint64_t> {
                        TRY(mm::zero_user(caller.process().space(), piece.start, piece.bytes));
                        return piece.bytes;
                    });
}

SysResult read_random(Task& caller, UserBuffers& buffers) {
    std::array<std::byte, 1024> bytes;
    return transfer(caller, buffers, bytes.size(),
                    [&](const UserBuffers::Piece& piece, std::uint64_t) -> Result<std::uint64_t> {
                        const auto part = std::span{bytes}.first(piece.bytes);
                        task::random::fill(part);
                        TRY(mm::copy_to_user(caller.process().space(), piece.start, part));
                        return piece.bytes;
                    });
}

constinit HostWriter host_writer = nullptr;  // immutable after boot

SysResult write_to_host(Task& caller, UserBuffers& buffers) {
    std::array<std::byte, 1024> bytes;
    return transfer(caller, buffers, bytes.size(),
                    [&](const UserBuffers::Piece& piece, std::uint64_t) -> Result<std::uint64_t> {
                        const auto part = std::span{bytes}.first(piece.bytes);
                        TRY(mm::copy_from_user(caller.process().space(), part, piece.start));
                        const std::size_t taken = TRY(host_writer(part));
                        if (taken == 0) {
                            return Error::TryAgain;
                        }
                        return taken;
                    });
}

// Counts what is written to a device that forgets it.
SysResult write_nowhere(UserBuffers& buffers) {
    std::uint64_t total = 0;
    while (total < kMaxTransfer) {
        const auto piece = buffers.next(kMaxTransfer - total);
        if (!piece.ok()) {
            return piece.error();
        }
        if (piece->bytes == 0) {
            break;
        }
        total += piece->bytes;
    }
    return total;
}

class DeviceFile final : public task::OpenFile {
  public:
    SysResult read(Task& caller, UserBuffers& buffers, std::optional<std::uint64_t>) override {
        switch (device_) {
            case Device::Zero:
                return read_zeros(caller, buffers);
            case Device::Random:
                return read_random(caller, buffers);
            case Device::Null:
            case Device::Host:
                break;
        }
        return std::uint64_t{0};
    }
    SysResult write(Task& caller, UserBuffers& buffers, std::optional<std::uint64_t>) override {
        return device_ == Device::Host ? write_to_host(caller, buffers) : write_nowhere(buffers);
    }
    [[nodiscard]] bool is_seekable() const override { return true; }
    Result<std::uint64_t> seek(std::int64_t, task::Whence) override { return std::uint64_t{0}; }
    [[nodiscard]] task::FileStatus status() const override { return status_; }
    [[nodiscard]] Result<Mappable> mappable() override {
        if (device_ != Device::Zero) {
            return Error::NoDevice;
        }
        return Mappable{.is_zero = true};
    }
    [[nodiscard]] Result<std::string_view> link_text(std::span<char> to) const override {
        const std::string_view path = device_ == Device::Null     ? "/dev/null"
                                      : device_ == Device::Zero   ? "/dev/zero"
                                      : device_ == Device::Random ? "/dev/urandom"
                                                                  : "/dev/hvc0";
        if (path.size() > to.size()) {
            return Error::NameTooLong;
        }
        return std::string_view{to.data(), path.copy(to.data(), to.size())};
    }
    Result<Ref<OpenFile>> reopen(std::uint32_t flags) override {
        return open_device(device_, flags, status_);
    }

  private:
    template <class T>
    friend class mm::ObjectPool;
    DeviceFile(Device device, std::uint32_t flags, const task::FileStatus& status)
        : OpenFile{flags}, device_{device}, status_{status} {}
    ~DeviceFile() = default;
    void close() override;

    const Device device_;
    const task::FileStatus status_;
};

constinit mm::ObjectPool<DeviceFile> pool;

void DeviceFile::close() {
    pool.destroy(this);
}

}  // namespace

void set_host_writer(HostWriter writer) {
    host_writer = writer;
}

Result<Ref<task::OpenFile>> open_device(Device device, std::uint32_t flags, const task::FileStatus& status) {
    if (device == Device::Host && host_writer == nullptr) {
        return Error::NoDevice;
    }
    return Ref<task::OpenFile>::adopt(*TRY(pool.create(device, flags, status)));
}

}  // namespace kernel::file
