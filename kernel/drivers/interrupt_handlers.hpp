// SPDX-License-Identifier: MIT
// InterruptHandlers: who handles which interrupt of one controller. Concurrency: set() at boot, one hart;
// afterwards immutable.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/fixed_vector.hpp"
#include "lib/result.hpp"

namespace kernel::drivers {

using InterruptHandler = void (*)(std::uint32_t source);

class InterruptHandlers {
  public:
    static constexpr std::size_t kMaxHandlers = 16;

    // InvalidArgument: no handler, or source 0. Exists: the source has one. NoSpace: kMaxHandlers sources do.
    Result<void> set(std::uint32_t source, InterruptHandler handler) {
        if (source == 0 || handler == nullptr) {
            return Error::InvalidArgument;
        }
        if (find(source) != nullptr) {
            return Error::Exists;
        }
        if (!entries_.try_push({source, handler})) {
            return Error::NoSpace;
        }
        return {};
    }
    // nullptr: nobody handles it.
    [[nodiscard]] InterruptHandler find(std::uint32_t source) const {
        for (const Entry& entry : entries_) {
            if (entry.source == source) {
                return entry.handler;
            }
        }
        return nullptr;
    }

  private:
    struct Entry {
        std::uint32_t source{0};
        InterruptHandler handler{nullptr};
    };
    FixedVector<Entry, kMaxHandlers> entries_;
};

}  // namespace kernel::drivers
