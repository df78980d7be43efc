// SPDX-License-Identifier: MIT
// What programs wrote to the terminal, kept in a ring for whoever started them (nexus_abi/output_log.hpp). A
// writer never waits for a reader: the oldest records make room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/ref.hpp"
#include "lib/result.hpp"
#include "lib/thread_safety.hpp"
#include "mm/slab.hpp"
#include "nexus_abi/output_log.hpp"
#include "sync/spinlock.hpp"
#include "syscall/caller.hpp"
#include "task/open_file.hpp"

namespace kernel::syscall {

// Concurrency: any hart; guarded by lock_ (LockRank::OutputLog), held for the copy of one record.
class OutputLog : public RefCounted<OutputLog> {
  public:
    static constexpr std::uint64_t kBytes = nexus_abi::kOutputLogBytes;

    // Errors: NoMemory.
    [[nodiscard]] static Result<Ref<OutputLog>> create();
    static void last_reference_gone(OutputLog& log);

    // Pre: at most kOutputRecordMaxBytes.
    void add(nexus_abi::OutputStream stream, std::span<const char> text) EXCLUDES(lock_);
    // Copies whole records from `position` on, or from the oldest one if that is gone, and moves it behind
    // them; how many bytes that were. Errors: InvalidArgument when not even one fits.
    [[nodiscard]] Result<std::size_t> copy_from(std::uint64_t& position, std::span<std::byte> to)
        EXCLUDES(lock_);

  private:
    template <class T>
    friend class mm::ObjectPool;
    explicit OutputLog(std::byte* memory) : memory_{memory} {}
    ~OutputLog() = default;

    // Positions count all bytes since the ring was made.
    void put(std::uint64_t position, std::span<const std::byte> bytes) REQUIRES(lock_);
    void get(std::uint64_t position, std::span<std::byte> bytes) const REQUIRES(lock_);
    [[nodiscard]] nexus_abi::output_record record_at(std::uint64_t position) const REQUIRES(lock_);

    SpinLock lock_{LockRank::OutputLog};
    std::byte* const memory_;  // kBytes
    std::uint64_t oldest_ GUARDED_BY(lock_){0};
    std::uint64_t end_ GUARDED_BY(lock_){0};
    std::uint32_t next_number_ GUARDED_BY(lock_){0};
};

// A new ring's reader, as a descriptor of the caller. Errors: NoMemory, TooManyFiles.
[[nodiscard]] task::SysResult open_output_log(Caller& caller);

}  // namespace kernel::syscall
