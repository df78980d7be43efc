// SPDX-License-Identifier: MIT
// What setrlimit(2) set for a process. Two of the limits bind: NOFILE, of which FileTable has a copy, and AS,
// which mmap and brk look at; the others are kept for whoever asks.
//
// Concurrency: each number is atomic on its own: who reads while another thread writes may see the new
// current value with the old maximum.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "mm/layout.hpp"
#include "task/file_table.hpp"

namespace kernel::task {

class ResourceLimits {
  public:
    // include/uapi/asm-generic/resource.h
    static constexpr std::uint32_t kStack = 3;
    static constexpr std::uint32_t kFiles = 7;
    static constexpr std::uint32_t kAddressSpace = 9;
    static constexpr std::uint32_t kCount = 16;
    static constexpr std::uint64_t kUnlimited = ~std::uint64_t{0};

    struct Limit {
        std::uint64_t current{kUnlimited};
        std::uint64_t maximum{kUnlimited};
    };

    ResourceLimits() {
        for (std::uint32_t which = 0; which < kCount; ++which) {
            set(which, {});
        }
        set(kStack, {.current = mm::kUserStackBytes, .maximum = mm::kUserStackBytes});
        set(kFiles, {.current = FileTable::kMaxFiles, .maximum = FileTable::kMaxFiles});
    }
    ResourceLimits(const ResourceLimits&) = delete;
    ResourceLimits& operator=(const ResourceLimits&) = delete;
    ~ResourceLimits() = default;

    // Pre for both: which < kCount.
    [[nodiscard]] Limit get(std::uint32_t which) const {
        return {.current = values_[which].current.load(std::memory_order_relaxed),
                .maximum = values_[which].maximum.load(std::memory_order_relaxed)};
    }
    void set(std::uint32_t which, const Limit& limit) {
        values_[which].current.store(limit.current, std::memory_order_relaxed);
        values_[which].maximum.store(limit.maximum, std::memory_order_relaxed);
    }
    // For a child, before it runs.
    void copy_from(const ResourceLimits& parent) {
        for (std::uint32_t which = 0; which < kCount; ++which) {
            set(which, parent.get(which));
        }
    }

  private:
    struct Value {
        std::atomic<std::uint64_t> current;
        std::atomic<std::uint64_t> maximum;
    };
    std::array<Value, kCount> values_;
};

}  // namespace kernel::task
