// SPDX-License-Identifier: MIT
// The other end of Fleet: what the program does when it is started as `--worker KIND ARGUMENT...`. Instants
// are nanoseconds of CLOCK_MONOTONIC, which all processes share. Every worker reports in its task name
// (report.hpp) and then waits to be killed, unless said otherwise.
//   spin BEGIN A B C D   sleeps until BEGIN, then works without pause until D; first = units done in [A,B),
//   second = in
//                        [C,D). Late if it started after A.
//   capped BEGIN A B C PERIOD
//                        as spin until B; second = the most microseconds it ran in any window of PERIOD ns
//   hog                  works until killed
//   witness LIMIT_NS     works until killed; first = microseconds in which it was charged but its hart did
//   nothing
//                        (absence.hpp), second = the longest of them; state stays Ready
//   restless RUN_US SLEEP_US
//                        works RUN_US by the clock and sleeps SLEEP_US, until killed
//   periodic BEGIN END RUN_US SLEEP_US
//                        from BEGIN: sleeps SLEEP_US, then works RUN_US of CPU time, again and again until
//                        END; first = median lateness of its wake-ups in ns, second = the largest
//   wait                 does nothing
//   exit CODE            ends at once
//   parent               spawns a `wait` worker without attributes; first = its pid
//   perms SIBLING DEAD   tries what an unprivileged task may not do; first = bit per probe with a wrong
//   answer, second =
//                        number of probes
#pragma once

#include <span>
#include <string>

namespace selftest {

inline constexpr const char* kWorkerFlag = "--worker";

// `arguments`: those after --worker. Returns the exit code; 2 for arguments it does not understand.
[[nodiscard]] int run_worker(const std::string& program, std::span<char*> arguments);

}  // namespace selftest
