// SPDX-License-Identifier: MIT
// The tools, each in a source of its own or with its like; what they do their usage says (registry.cpp).
#pragma once

#include "tool.hpp"

namespace shell {

// machine_tools.cpp
Outcome run_dmesg(System& system, Arguments arguments);
Outcome run_help(System& system, Arguments arguments);
Outcome run_kill(System& system, Arguments arguments);
Outcome run_nproc(System& system, Arguments arguments);
Outcome run_poweroff(System& system, Arguments arguments);
Outcome run_reboot(System& system, Arguments arguments);
Outcome run_spin(System& system, Arguments arguments);
Outcome run_uptime(System& system, Arguments arguments);
// ps.cpp
Outcome run_ps(System& system, Arguments arguments);
// svc.cpp
Outcome run_svc(System& system, Arguments arguments);
// taskset.cpp
Outcome run_taskset(System& system, Arguments arguments);
// qos.cpp
Outcome run_qos(System& system, Arguments arguments);
// sched.cpp
Outcome run_sched(System& system, Arguments arguments);
// top.cpp
Outcome run_top(System& system, Arguments arguments);

}  // namespace shell
