// SPDX-License-Identifier: MIT
// The kernel's error flow is the ABI's: Result<T>, Error, TRY().
#pragma once

#include "nexus_abi/error.hpp"
#include "nexus_abi/result.hpp"

namespace kernel {
using nexus_abi::Error;
using nexus_abi::Result;
}  // namespace kernel
