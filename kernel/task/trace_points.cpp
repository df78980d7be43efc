// SPDX-License-Identifier: MIT
// What the dispatcher writes into the trace; out of line, because it is off most of the time.
#include "task/hart.hpp"
#include "task/process.hpp"
#include "trace/trace.hpp"

namespace kernel::task {

void write_switch(Hart& hart, const Task* before, trace::Fate fate, Instant now) {
    if (trace::is_on(nexus_abi::kTraceLag) && before != nullptr && fate != trace::Fate::Blocked &&
        fate != trace::Fate::Ended) {
        const auto lag = static_cast<std::int32_t>(hart.queue.lag(before->entity).ns() / 1000);
        trace::note_at(now, trace::Kind::Lag, before->tid().value(), static_cast<std::uint32_t>(lag));
    }
    if (fate == trace::Fate::Ended) {
        trace::note_at(now, trace::Kind::Charged, before->tid().value(),
                       static_cast<std::uint32_t>(before->entity.runtime(now).ns() / 1000));
        trace::note_at(now, trace::Kind::Ended, before->tid().value(), before->process().pid().value());
        trace::write_name(before->tid().value(), before->name());
    }
    trace::note_at(now, trace::Kind::Switch, hart.current == nullptr ? 0 : hart.current->tid().value(),
                   static_cast<std::uint32_t>(fate) | hart.queue.runnable() << 8U);
}

void write_placement(const Task& task, sched::EnqueueReason reason, CpuId from, CpuId to, Instant now) {
    const std::uint32_t tid = task.tid().value();
    if (reason == sched::EnqueueReason::New) {
        trace::write_at(now, trace::Kind::Start, tid, task.process().pid().value());
        trace::write_name(tid, task.name());
    } else if (reason == sched::EnqueueReason::Wake) {
        trace::write_at(now, trace::Kind::Wake, tid, to.value());
    }
    if (from != to) {
        trace::write_at(now, trace::Kind::Migrate, tid, from.value() | to.value() << 8U);
    }
}

}  // namespace kernel::task
