// SPDX-License-Identifier: MIT
#include "sync/spinlock.hpp"

namespace kernel {

constinit bool has_one_hart = false;

}  // namespace kernel
