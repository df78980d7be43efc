// SPDX-License-Identifier: MIT
// What the simulator tells those who watch. All calls come synchronously at the simulated time they name; an
// observer reads the simulation and changes nothing.
#pragma once

#include <cstdint>
#include <string>

#include "behaviour.hpp"
#include "lib/ids.hpp"
#include "lib/units.hpp"

namespace sched_sim {

using kernel::CpuId;

enum class MoveReason : std::uint8_t {
    Wake,       // placement of a woken or new task
    IdlePull,   // an idle hart took it
    ClassPull,  // a hart took it instead of running a lower class
    PickPull,   // a hart took it instead of running an over-served task
    Push,       // an overloaded hart sent it on
    Evict,      // its mask changed, or its hart goes offline
};

class Observer {
  public:
    virtual ~Observer() = default;

    // The hart runs `task` from `now` on (kNoTask: idle); what ran before is `previous`.
    virtual void on_switch(Instant now, CpuId cpu, TaskIndex previous, TaskIndex task);
    // Woken at `now`; it may be under way to `target` for a while.
    virtual void on_wake(Instant now, TaskIndex task, CpuId target);
    virtual void on_sleep(Instant now, TaskIndex task);
    // Arrived on `to`, coming from `from`.
    virtual void on_migrate(Instant now, TaskIndex task, CpuId from, CpuId to, MoveReason reason);
    virtual void on_throttle(Instant now, TaskIndex task, bool begins);
    virtual void on_fork(Instant now, TaskIndex parent, TaskIndex child);
    virtual void on_exit(Instant now, TaskIndex task);
    virtual void on_ipi(Instant now, CpuId target);
    virtual void on_timer(Instant now, CpuId cpu);
    virtual void on_attributes(Instant now, TaskIndex task);
    virtual void on_online(Instant now, CpuId cpu, bool online);
    // After every event, when all it caused at once is done: for invariants. A text stops the run and becomes
    // Simulation::violation(); an empty one means that all is well.
    virtual std::string after_event(const Simulation& simulation);
};

}  // namespace sched_sim
