// SPDX-License-Identifier: MIT
#include "observer.hpp"

namespace sched_sim {

void Observer::on_switch(Instant, CpuId, TaskIndex, TaskIndex) {}
void Observer::on_wake(Instant, TaskIndex, CpuId) {}
void Observer::on_sleep(Instant, TaskIndex) {}
void Observer::on_migrate(Instant, TaskIndex, CpuId, CpuId, MoveReason) {}
void Observer::on_throttle(Instant, TaskIndex, bool) {}
void Observer::on_fork(Instant, TaskIndex, TaskIndex) {}
void Observer::on_exit(Instant, TaskIndex) {}
void Observer::on_ipi(Instant, CpuId) {}
void Observer::on_timer(Instant, CpuId) {}
void Observer::on_attributes(Instant, TaskIndex) {}
void Observer::on_online(Instant, CpuId, bool) {}

std::string Observer::after_event(const Simulation&) {
    return {};
}

}  // namespace sched_sim
