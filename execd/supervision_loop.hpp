// SPDX-License-Identifier: MIT
#pragma once

#include "supervisor.hpp"

namespace execd {

// Runs a supervisor: starts the services, waits for children, restarts what is due. Nothing polls: the
// calling thread blocks in wait, and a second thread, created with the first restart, sleeps until a pause is
// over. Returns when all services have ended and no child is left; with `forever` (pid 1 must not exit)
// never.
void supervise(Supervisor& supervisor, Kernel& kernel, const LineSink& log, bool forever);

}  // namespace execd
