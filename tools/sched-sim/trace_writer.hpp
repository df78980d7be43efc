// SPDX-License-Identifier: MIT
// Writes what a simulated machine does as the kernel's trace would have it (nexus_abi/trace.hpp), so that
// scripts/trace2perfetto shows a simulated and a real run alike.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "engine.hpp"
#include "nexus_abi/trace.hpp"

namespace sched_sim {

class TraceWriter final : public Observer {
  public:
    // What happens in [from, to).
    TraceWriter(const Simulation& simulation, Instant from, Instant to);

    void on_switch(Instant now, CpuId cpu, TaskIndex previous, TaskIndex task) override;
    void on_wake(Instant now, TaskIndex task, CpuId target) override;
    void on_migrate(Instant now, TaskIndex task, CpuId from, CpuId to, MoveReason reason) override;
    void on_fork(Instant now, TaskIndex parent, TaskIndex child) override;
    void on_exit(Instant now, TaskIndex task) override;
    void on_ipi(Instant now, CpuId target) override;
    void on_timer(Instant now, CpuId cpu) override;
    void on_attributes(Instant now, TaskIndex task) override;

    // The file: frames of all tasks, then of each hart.
    [[nodiscard]] std::string file() const;

  private:
    [[nodiscard]] static std::uint32_t tid_of(TaskIndex task) { return task == kNoTask ? 0 : task + 1; }
    [[nodiscard]] bool is_shown(Instant now) const { return now >= from_ && now < to_; }
    [[nodiscard]] nexus_abi::TraceFate fate_of(TaskIndex task) const;
    void write(Instant now, CpuId cpu, nexus_abi::TraceKind kind, std::uint32_t task, std::uint32_t value);
    // Where a record goes that no hart in particular writes: to the one the task belongs to.
    [[nodiscard]] CpuId home_of(TaskIndex task) const;

    const Simulation& simulation_;
    Instant from_;
    Instant to_;
    std::set<TaskIndex> ended_;
    std::vector<bool> has_begun_;  // per hart: what runs at `from` was written
    std::vector<std::vector<nexus_abi::trace_record>> records_;
};

}  // namespace sched_sim
