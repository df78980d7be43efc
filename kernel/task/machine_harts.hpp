// SPDX-License-Identifier: MIT
// The harts of this machine as the balancing rules see them (Harts in sched/balance.hpp). Internal to
// kernel/task. Made on the stack for one call; belongs to the calling hart, whose interrupts are off.
#pragma once

#include "arch/contract.hpp"
#include "sched/balance.hpp"
#include "task/dispatcher.hpp"
#include "task/hart.hpp"

namespace kernel::task {

class MachineHarts {
  public:
    [[nodiscard]] CpuMask online() const { return online_cpus(); }
    [[nodiscard]] sched::HartLoad load(CpuId cpu) const { return hart_of(cpu).load.load(); }
    [[nodiscard]] Instant now() const { return arch::now(); }
    [[nodiscard]] sched::MachineBalance& machine() const { return machine_balance; }

    template <class F>
    auto with_queue(CpuId cpu, F&& f) NO_THREAD_SAFETY_ANALYSIS {
        Hart& hart = hart_of(cpu);
        const LockGuard guard{hart.lock};
        const auto result = f(hart.queue);
        publish_load(hart);
        return result;
    }
    void set_home(sched::Entity& entity, CpuId cpu);
    void send(sched::Entity& entity, CpuId cpu);

  private:
    // The task this hart was about to run, taken from it while somebody waits until it has left.
    Ref<Task> evicted_;
};

static_assert(sched::Harts<MachineHarts>);

}  // namespace kernel::task
