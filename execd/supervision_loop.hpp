// SPDX-License-Identifier: MIT
#pragma once

#include <functional>

#include "supervisor.hpp"

namespace execd {

// Runs a supervisor: starts the services, waits for the end of children, for the end of pauses and for
// requests to reload, all in one call. Returns when all services have ended, or when the kernel cannot wait;
// with `forever` (pid 1 must not exit) only in the latter case.
void supervise(Supervisor& supervisor, Kernel& kernel, const LineSink& log,
               const std::function<void()>& reload, bool forever);

}  // namespace execd
