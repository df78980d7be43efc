// SPDX-License-Identifier: MIT
#include "syscall/output_log.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <utility>

#include "arch/contract.hpp"
#include "lib/check.hpp"
#include "mm/frames.hpp"
#include "mm/layout.hpp"
#include "mm/slab.hpp"
#include "mm/user_memory.hpp"
#include "syscall/console.hpp"
#include "task/file_table.hpp"
#include "task/process.hpp"

namespace kernel::syscall {

namespace {

using mm::UserBuffers;
using nexus_abi::output_record;
using nexus_abi::OutputStream;

constexpr std::uint32_t kOrder = std::bit_width(OutputLog::kBytes / mm::kPageSize - 1);
static_assert(mm::kPageSize << kOrder == OutputLog::kBytes);

constinit mm::ObjectPool<OutputLog> logs;

// The reading end.
class LogReader final : public task::OpenFile {
  public:
    task::SysResult read(task::Task& caller, UserBuffers& buffers, std::optional<std::uint64_t>) override;
    Result<std::uint64_t> seek(std::int64_t offset, task::Whence whence) override;
    task::SysResult control(task::Task& caller, std::uint32_t request, std::uint64_t argument) override;
    [[nodiscard]] task::FileStatus status() const override { return {.mode = 0400}; }
    [[nodiscard]] Result<std::string_view> link_text(std::span<char> to) const override {
        constexpr std::string_view kText = "anon_inode:[output log]";
        if (kText.size() > to.size()) {
            return Error::NameTooLong;
        }
        return std::string_view{to.data(), kText.copy(to.data(), to.size())};
    }

  private:
    template <class T>
    friend class mm::ObjectPool;
    explicit LogReader(Ref<OutputLog> log) : OpenFile{task::kOpenReadOnly}, log_{std::move(log)} {}
    ~LogReader() = default;
    void close() override;

    const Ref<OutputLog> log_;
    // Two that read at once may both get a record.
    std::atomic<std::uint64_t> position_{0};
};

constinit mm::ObjectPool<LogReader> readers;

void LogReader::close() {
    readers.destroy(this);
}

task::SysResult LogReader::read(task::Task& caller, UserBuffers& buffers, std::optional<std::uint64_t>) {
    const auto piece = buffers.next(sizeof(output_record) + nexus_abi::kOutputRecordMaxBytes);
    if (!piece.ok()) {
        return piece.error();
    }
    std::array<std::byte, sizeof(output_record) + nexus_abi::kOutputRecordMaxBytes> bytes;
    std::uint64_t position = position_.load(std::memory_order_relaxed);
    const auto copied = log_->copy_from(position, std::span{bytes}.first(piece->bytes));
    if (!copied.ok()) {
        return copied.error();
    }
    const auto given = std::as_bytes(std::span{bytes}.first(*copied));
    if (const auto done = mm::copy_to_user(caller.process().space(), piece->start, given); !done.ok()) {
        return done.error();
    }
    position_.store(position, std::memory_order_relaxed);
    return std::uint64_t{*copied};
}

Result<std::uint64_t> LogReader::seek(std::int64_t offset, task::Whence whence) {
    if (offset != 0 || whence != task::Whence::Start) {
        return Error::InvalidArgument;
    }
    position_.store(0, std::memory_order_relaxed);
    return std::uint64_t{0};
}

task::SysResult LogReader::control(task::Task& caller, std::uint32_t request, std::uint64_t argument) {
    if (request != nexus_abi::kOutputLogWriter) {
        return Error::NotTerminal;
    }
    if (argument != std::to_underlying(OutputStream::Output) &&
        argument != std::to_underlying(OutputStream::Errors)) {
        return Error::InvalidArgument;
    }
    auto file = console::open_logged(log_.clone(), static_cast<OutputStream>(argument));
    if (!file.ok()) {
        return file.error();
    }
    const auto descriptor = Caller{caller}.files().insert(std::move(*file), true);
    return descriptor.ok() ? task::SysResult{std::uint64_t{*descriptor}}
                           : task::SysResult{descriptor.error()};
}

}  // namespace

Result<Ref<OutputLog>> OutputLog::create() {
    const PhysAddr block = TRY(mm::frames().allocate(kOrder));
    const auto log = logs.create(static_cast<std::byte*>(phys_to_virt(block)));
    if (!log.ok()) {
        mm::frames().free(block, kOrder);
        return log.error();
    }
    return Ref<OutputLog>::adopt(**log);
}

void OutputLog::last_reference_gone(OutputLog& log) {
    mm::frames().free(virt_to_phys(log.memory_), kOrder);
    logs.destroy(&log);
}

void OutputLog::put(std::uint64_t position, std::span<const std::byte> bytes) {
    const std::uint64_t at = position % kBytes;
    const std::size_t first = std::min<std::size_t>(bytes.size(), kBytes - at);
    std::memcpy(memory_ + at, bytes.data(), first);
    std::memcpy(memory_, bytes.data() + first, bytes.size() - first);
}

void OutputLog::get(std::uint64_t position, std::span<std::byte> bytes) const {
    const std::uint64_t at = position % kBytes;
    const std::size_t first = std::min<std::size_t>(bytes.size(), kBytes - at);
    std::memcpy(bytes.data(), memory_ + at, first);
    std::memcpy(bytes.data() + first, memory_, bytes.size() - first);
}

output_record OutputLog::record_at(std::uint64_t position) const {
    output_record record{};
    get(position, std::as_writable_bytes(std::span{&record, 1}));
    return record;
}

void OutputLog::add(OutputStream stream, std::span<const char> text) {
    DCHECK(text.size() <= nexus_abi::kOutputRecordMaxBytes);
    const auto now_ns = static_cast<std::uint64_t>(arch::now().ns());
    const LockGuard guard{lock_};
    const std::uint64_t needed = sizeof(output_record) + text.size();
    while (end_ + needed - oldest_ > kBytes) {
        oldest_ += sizeof(output_record) + record_at(oldest_).bytes;
    }
    const output_record record{.time_ns = now_ns,
                               .number = next_number_++,
                               .stream = std::to_underlying(stream),
                               .bytes = static_cast<std::uint16_t>(text.size())};
    put(end_, std::as_bytes(std::span{&record, 1}));
    put(end_ + sizeof(output_record), std::as_bytes(text));
    end_ += needed;
}

Result<std::size_t> OutputLog::copy_from(std::uint64_t& position, std::span<std::byte> to) {
    const LockGuard guard{lock_};
    std::uint64_t at = std::max(position, oldest_);
    std::size_t copied = 0;
    while (at < end_) {
        const std::size_t bytes = sizeof(output_record) + record_at(at).bytes;
        if (bytes > to.size() - copied) {
            if (copied == 0) {
                return Error::InvalidArgument;
            }
            break;
        }
        get(at, to.subspan(copied, bytes));
        copied += bytes;
        at += bytes;
    }
    position = at;
    return copied;
}

task::SysResult open_output_log(Caller& caller) {
    auto log = OutputLog::create();
    if (!log.ok()) {
        return log.error();
    }
    const auto reader = readers.create(std::move(*log));
    if (!reader.ok()) {
        return reader.error();
    }
    const auto descriptor = caller.files().insert(Ref<task::OpenFile>::adopt(**reader), true);
    return descriptor.ok() ? task::SysResult{std::uint64_t{*descriptor}}
                           : task::SysResult{descriptor.error()};
}

}  // namespace kernel::syscall
