// SPDX-License-Identifier: MIT
// Keeps what pictures and reports need of a run: who ran when (in the part that is shown), what happened to
// tasks, how the shares went over the whole run, the largest lag, the busiest budget window.
#pragma once

#include <cstdint>
#include <vector>

#include "engine.hpp"

namespace sched_sim {

struct Segment {
    Instant from{};
    Instant to{};
    TaskIndex task{kNoTask};
};

struct Incident {
    enum class Kind : std::uint8_t { Wake, Move, Throttled, Released, Exit, Offline, Online };
    Kind kind{};
    Instant at{};
    TaskIndex task{kNoTask};
    CpuId cpu{};  // where it went
};

// Part of a full hart each task had in a stretch of time.
struct Bucket {
    Instant from{};
    Instant to{};
    std::vector<float> shares{};
};

class Recorder final : public Observer {
  public:
    // Shows [from, to); shares over [start, end) in kBuckets parts.
    Recorder(const Simulation& simulation, Instant from, Instant to, Instant end);

    void on_switch(Instant now, CpuId cpu, TaskIndex previous, TaskIndex task) override;
    void on_wake(Instant now, TaskIndex task, CpuId target) override;
    void on_migrate(Instant now, TaskIndex task, CpuId from, CpuId to, MoveReason reason) override;
    void on_throttle(Instant now, TaskIndex task, bool begins) override;
    void on_exit(Instant now, TaskIndex task) override;
    void on_online(Instant now, CpuId cpu, bool online) override;
    std::string after_event(const Simulation& simulation) override;

    // From now on the figures count.
    void start_measuring();
    // Closes what is going on.
    void finish();

    static constexpr std::uint32_t kBuckets = 120;

    [[nodiscard]] const std::vector<std::vector<Segment>>& lanes() const { return lanes_; }
    [[nodiscard]] const std::vector<Incident>& incidents() const { return incidents_; }
    [[nodiscard]] Instant from() const { return from_; }
    [[nodiscard]] Instant to() const { return to_; }
    [[nodiscard]] const std::vector<Bucket>& history() const { return history_; }
    [[nodiscard]] Duration lag_max(TaskIndex task) const;
    [[nodiscard]] std::uint64_t migrations() const { return migrations_; }
    // The most CPU time the task had in any window of this length. Pre: it has a budget.
    [[nodiscard]] Duration window_max(TaskIndex task, Duration window) const;

  private:
    void note_lag(TaskIndex task);
    void close_bucket();
    void keep(Incident incident);

    const Simulation& simulation_;
    Instant from_;
    Instant to_;
    Instant end_;
    std::vector<Instant> since_;  // per hart, and who runs
    std::vector<TaskIndex> running_;
    std::vector<std::vector<Segment>> lanes_;
    std::vector<Incident> incidents_;
    std::vector<Bucket> history_;
    std::vector<Duration> at_bucket_start_;
    Instant bucket_start_;
    Duration bucket_length_;
    Instant next_bucket_;
    std::vector<Duration> lags_;
    std::vector<std::vector<Segment>> budgeted_;  // per task, of those with a budget
    std::uint64_t migrations_{0};
    bool measures_{false};
};

}  // namespace sched_sim
