// SPDX-License-Identifier: MIT
// A number that is written to and read from: what eventfd2 opens.
#pragma once

#include <cstdint>

#include "lib/ref.hpp"
#include "lib/result.hpp"
#include "task/open_file.hpp"

namespace kernel::file {

// `counts_down`: each read takes 1, else all there is. Errors: NoMemory.
[[nodiscard]] Result<Ref<task::OpenFile>> open_event_counter(std::uint64_t value, bool counts_down,
                                                             std::uint32_t flags);

}  // namespace kernel::file
