// SPDX-License-Identifier: MIT
// What the dispatcher writes into the trace; out of line, because it is off most of the time.
#include "task/hart.hpp"
#include "task/process.hpp"
#include "trace/trace.hpp"

namespace kernel::task {

namespace {

// What is written besides, of what `before` was owed and of its end.
void write_more(Hart& hart, const Task* before, trace::Fate fate, Instant now) REQUIRES(hart.lock) {
    if (trace::is_on(nexus_abi::kTraceLag) &&
        (fate == trace::Fate::Preempted || fate == trace::Fate::Throttled || fate == trace::Fate::Moved)) {
        const auto lag = static_cast<std::int32_t>(hart.queue.lag(before->entity).ns() / 1000);
        trace::note_at(now, trace::Kind::Lag, before->tid().value(), static_cast<std::uint32_t>(lag));
    }
    if (fate == trace::Fate::Ended) {
        trace::note_at(now, trace::Kind::Charged, before->tid().value(),
                       static_cast<std::uint32_t>(before->entity.runtime(now).ns() / 1000));
        trace::note_at(now, trace::Kind::Ended, before->tid().value(), before->process().pid().value());
        trace::write_name(before->tid().value(), before->name());
    }
}

}  // namespace

void write_migration(const Task& task, CpuId from, CpuId to, Instant now) {
    trace::put(now, trace::Kind::Migrate, task.tid().value(), from.value() | to.value() << 8U);
}

void write_switch(Hart& hart, const Task* before, trace::Fate fate, Instant now) {
    if (before != nullptr) {
        write_more(hart, before, fate, now);
    }
    if (fate == trace::Fate::Blocked && !before->in_stop) {
        write_wait(hart, *before, hart.current, now);
    } else {
        write_plain_switch(hart, hart.current, fate, now);
    }
}

void write_birth(const Task& task, Instant now) {
    trace::write_at(now, trace::Kind::Start, task.tid().value(), task.process().pid().value());
    trace::write_name(task.tid().value(), task.name());
}

}  // namespace kernel::task
