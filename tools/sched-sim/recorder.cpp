// SPDX-License-Identifier: MIT
#include "recorder.hpp"

#include <algorithm>
#include <limits>

namespace sched_sim {
namespace {

// What is drawn stays readable and a file small.
constexpr std::size_t kIncidentsKept = 20'000;
constexpr std::size_t kSegmentsKept = 20'000;
constexpr std::uint32_t kTasksInHistory = 200;

}  // namespace

Recorder::Recorder(const Simulation& simulation, Instant from, Instant to, Instant end)
    : simulation_{simulation},
      from_{from},
      to_{std::min(to, end)},
      end_{end},
      since_(simulation.hart_count(), simulation.now()),
      running_(simulation.hart_count(), kNoTask),
      lanes_(simulation.hart_count()),
      bucket_start_{simulation.now()},
      bucket_length_{
          Duration::nanoseconds(std::max<std::int64_t>((end - simulation.now()).ns() / kBuckets, 1))},
      next_bucket_{bucket_start_ + bucket_length_} {}

void Recorder::on_switch(Instant now, CpuId cpu, TaskIndex previous, TaskIndex task) {
    const std::size_t hart = cpu.value();
    const Segment segment{.from = since_[hart], .to = now, .task = running_[hart]};
    if (segment.task != kNoTask && segment.to > segment.from) {
        if (segment.to > from_ && segment.from < to_ && lanes_[hart].size() < kSegmentsKept) {
            lanes_[hart].push_back({.from = std::max(segment.from, from_),
                                    .to = std::min(segment.to, to_),
                                    .task = segment.task});
        }
        if (simulation_.budget_rate(segment.task) < 1) {
            budgeted_.resize(std::max<std::size_t>(budgeted_.size(), segment.task + 1));
            budgeted_[segment.task].push_back(segment);
        }
    }
    since_[hart] = now;
    running_[hart] = task;
    if (measures_) {
        note_lag(previous);
        note_lag(task);
    }
}

void Recorder::note_lag(TaskIndex task) {
    if (task == kNoTask) {
        return;
    }
    const Entity& entity = simulation_.entity(task);
    if (!entity.is_on_queue()) {
        return;
    }
    const Duration lag = simulation_.queue(entity.cpu()).lag(entity);
    lags_.resize(std::max<std::size_t>(lags_.size(), task + 1));
    lags_[task] = std::max({lags_[task], lag, -lag});
}

void Recorder::keep(Incident incident) {
    if (incident.at >= from_ && incident.at < to_ && incidents_.size() < kIncidentsKept) {
        incidents_.push_back(incident);
    }
}

void Recorder::on_wake(Instant now, TaskIndex task, CpuId target) {
    keep({.kind = Incident::Kind::Wake, .at = now, .task = task, .cpu = target});
}

void Recorder::on_migrate(Instant now, TaskIndex task, CpuId, CpuId to, MoveReason) {
    migrations_ += measures_ ? 1 : 0;
    keep({.kind = Incident::Kind::Move, .at = now, .task = task, .cpu = to});
}

void Recorder::on_throttle(Instant now, TaskIndex task, bool begins) {
    keep({.kind = begins ? Incident::Kind::Throttled : Incident::Kind::Released,
          .at = now,
          .task = task,
          .cpu = simulation_.entity(task).cpu()});
}

void Recorder::on_exit(Instant now, TaskIndex task) {
    keep({.kind = Incident::Kind::Exit, .at = now, .task = task, .cpu = simulation_.entity(task).cpu()});
}

void Recorder::on_online(Instant now, CpuId cpu, bool online) {
    keep({.kind = online ? Incident::Kind::Online : Incident::Kind::Offline, .at = now, .cpu = cpu});
}

std::string Recorder::after_event(const Simulation&) {
    if (simulation_.now() >= next_bucket_) {
        close_bucket();
    }
    return {};
}

// An event may come long after the bucket's end; with hogs it never does by more than a request.
void Recorder::close_bucket() {
    const Duration passed = simulation_.now() - bucket_start_;
    while (next_bucket_ <= simulation_.now()) {
        next_bucket_ += bucket_length_;
    }
    const std::uint32_t tasks = std::min(simulation_.task_count(), kTasksInHistory);
    at_bucket_start_.resize(tasks);
    std::vector<float> shares(tasks);
    for (TaskIndex i = 0; i < tasks; ++i) {
        const Duration service = simulation_.service(i);
        shares[i] =
            static_cast<float>((service - at_bucket_start_[i]).ns()) / static_cast<float>(passed.ns());
        at_bucket_start_[i] = service;
    }
    history_.push_back({.from = bucket_start_, .to = simulation_.now(), .shares = std::move(shares)});
    bucket_start_ = simulation_.now();
}

void Recorder::start_measuring() {
    measures_ = true;
}

void Recorder::finish() {
    for (std::uint32_t hart = 0; hart < running_.size(); ++hart) {
        on_switch(simulation_.now(), CpuId{hart}, running_[hart], running_[hart]);
    }
    if (simulation_.now() - bucket_start_ > bucket_length_ / 2) {
        close_bucket();
    }
}

Duration Recorder::lag_max(TaskIndex task) const {
    return task < lags_.size() ? lags_[task] : Duration{};
}

// The busiest window ends with a segment: moving it later gains nothing after that, and one that begins with
// a segment can be moved until it ends with one.
Duration Recorder::window_max(TaskIndex task, Duration window) const {
    Duration most;
    if (task >= budgeted_.size()) {
        return most;
    }
    const std::vector<Segment>& segments = budgeted_[task];
    Duration inside;
    std::size_t first = 0;
    for (const Segment& segment : segments) {
        inside += segment.to - segment.from;
        const Instant begin = segment.to - window;
        while (segments[first].to <= begin) {
            inside -= segments[first].to - segments[first].from;
            ++first;
        }
        const Duration before = std::max(Duration{}, begin - segments[first].from);
        most = std::max(most, inside - before);
    }
    return most;
}

}  // namespace sched_sim
