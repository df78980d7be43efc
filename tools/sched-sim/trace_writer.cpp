// SPDX-License-Identifier: MIT
#include "trace_writer.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "trace_frames.hpp"

namespace sched_sim {

namespace {

using nexus_abi::trace_record;
using nexus_abi::TraceFate;
using nexus_abi::TraceKind;

constexpr std::string_view kMagic = "NEURONTRACE1\n";

std::uint64_t ns(Instant at) {
    return static_cast<std::uint64_t>(at.ns());
}

}  // namespace

TraceWriter::TraceWriter(const Simulation& simulation, Instant from, Instant to)
    : simulation_{simulation},
      from_{from},
      to_{to},
      has_begun_(simulation.hart_count()),
      records_(simulation.hart_count()) {}

void TraceWriter::write(Instant now, CpuId cpu, TraceKind kind, std::uint32_t task, std::uint32_t value) {
    records_[cpu.value()].push_back(user::trace_record_of(ns(now), kind, task, value));
}

CpuId TraceWriter::home_of(TaskIndex task) const {
    const CpuId cpu = simulation_.entity(task).cpu();
    return cpu.value() < simulation_.hart_count() ? cpu : CpuId{0};
}

TraceFate TraceWriter::fate_of(TaskIndex task) const {
    if (task == kNoTask) {
        return TraceFate::None;
    }
    if (ended_.contains(task)) {
        return TraceFate::Ended;
    }
    switch (simulation_.entity(task).state()) {
        case kernel::sched::TaskState::Blocked:
            return TraceFate::Blocked;
        case kernel::sched::TaskState::Throttled:
            return TraceFate::Throttled;
        default:
            return TraceFate::Preempted;
    }
}

void TraceWriter::on_switch(Instant now, CpuId cpu, TaskIndex previous, TaskIndex task) {
    if (!is_shown(now)) {
        return;
    }
    if (!has_begun_[cpu.value()]) {
        has_begun_[cpu.value()] = true;
        if (now > from_) {
            // In front of what was written since: a timer fires before the first switch.
            std::vector<trace_record>& all = records_[cpu.value()];
            all.insert(all.begin(), user::trace_record_of(ns(from_), TraceKind::Switch, tid_of(previous), 0));
        }
    }
    const kernel::sched::RunQueue& queue = simulation_.queue(cpu);
    if (previous != kNoTask && simulation_.entity(previous).is_on_queue()) {
        write(now, cpu, TraceKind::Lag, tid_of(previous),
              static_cast<std::uint32_t>(queue.lag(simulation_.entity(previous)).ns() / 1000));
    }
    write(now, cpu, TraceKind::Switch, tid_of(task),
          static_cast<std::uint32_t>(fate_of(previous)) | queue.runnable() << 8U);
}

void TraceWriter::on_wake(Instant now, TaskIndex task, CpuId target) {
    if (is_shown(now)) {
        write(now, target, TraceKind::Wake, tid_of(task), target.value());
    }
}

void TraceWriter::on_migrate(Instant now, TaskIndex task, CpuId from, CpuId to, MoveReason) {
    if (is_shown(now)) {
        write(now, to, TraceKind::Migrate, tid_of(task), from.value() | to.value() << 8U);
    }
}

void TraceWriter::on_fork(Instant now, TaskIndex, TaskIndex child) {
    if (is_shown(now)) {
        write(now, home_of(child), TraceKind::Start, tid_of(child), tid_of(child));
    }
}

void TraceWriter::on_exit(Instant now, TaskIndex task) {
    ended_.insert(task);
    if (is_shown(now)) {
        write(now, home_of(task), TraceKind::Charged, tid_of(task),
              static_cast<std::uint32_t>(simulation_.runtime(task).ns() / 1000));
        write(now, home_of(task), TraceKind::Ended, tid_of(task), tid_of(task));
    }
}

void TraceWriter::on_ipi(Instant now, CpuId target) {
    if (is_shown(now)) {
        write(now, target, TraceKind::IpiTaken, 0, 0);
    }
}

void TraceWriter::on_timer(Instant now, CpuId cpu) {
    if (is_shown(now)) {
        write(now, cpu, TraceKind::Timer, 0, 0);
    }
}

void TraceWriter::on_attributes(Instant now, TaskIndex task) {
    if (is_shown(now)) {
        const kernel::sched::Attributes& attributes = simulation_.entity(task).attributes;
        write(now, home_of(task), TraceKind::SetClass, tid_of(task),
              static_cast<std::uint32_t>(attributes.qos_class));
        write(now, home_of(task), TraceKind::SetShares, tid_of(task), attributes.shares);
    }
}

std::string TraceWriter::file() const {
    std::string out{kMagic};
    std::uint32_t number = 0;
    for (TaskIndex task = 0; task < simulation_.task_count(); ++task) {
        const kernel::sched::Attributes& attributes = simulation_.entity(task).attributes;
        const std::uint32_t tid = tid_of(task);
        std::vector<trace_record> records;
        user::append_task(records, user::trace_record_of(0, TraceKind::Start, tid, tid),
                          simulation_.name(task));
        records.push_back(user::trace_record_of(0, TraceKind::SetClass, tid,
                                                static_cast<std::uint32_t>(attributes.qos_class)));
        records.push_back(user::trace_record_of(0, TraceKind::SetShares, tid, attributes.shares));
        out += user::trace_frame(user::kTraceTasksCpu, number++, 0, records);
    }
    for (std::size_t cpu = 0; cpu < records_.size(); ++cpu) {
        std::vector<trace_record> all = records_[cpu];
        if (!has_begun_[cpu]) {
            // Nothing changed here in all that time.
            const TaskIndex running = simulation_.running(CpuId{static_cast<std::uint32_t>(cpu)});
            all.insert(all.begin(), user::trace_record_of(ns(from_), TraceKind::Switch, tid_of(running), 0));
        }
        for (std::span<const trace_record> left{all}; !left.empty();) {
            const auto part = left.first(std::min(left.size(), user::kTraceFrameRecords));
            out += user::trace_frame(static_cast<std::uint8_t>(cpu), number++, 0, part);
            left = left.subspan(part.size());
        }
    }
    return out + user::trace_frame(user::kTraceEndCpu, number, 0, {});
}

}  // namespace sched_sim
