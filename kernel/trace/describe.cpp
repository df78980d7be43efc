// SPDX-License-Identifier: MIT
#include "trace/describe.hpp"

#include <array>
#include <string_view>

namespace kernel::trace {

namespace {

using Kind = nexus_abi::TraceKind;

// In the order of TraceFate.
constexpr std::array<std::string_view, 7> kFates{"",      "preempted", "yielded",  "blocked",
                                                 "moved", "ended",     "throttled"};

void describe_next(LineWriter& line, std::uint32_t task) {
    if (task == 0) {
        line << "idle";
    } else {
        line << "to " << task;
    }
}

void describe_switch(LineWriter& line, std::uint32_t task, std::uint32_t value) {
    describe_next(line, task);
    const std::uint32_t fate = value & 0xff;
    if (fate != 0) {
        line << ", the one before " << (fate < kFates.size() ? kFates[fate] : "left");
    }
    line << ", " << (value >> 8U) << " runnable";
}

}  // namespace

bool is_part_of_name(const nexus_abi::trace_record& record) {
    const auto kind = static_cast<Kind>(record.stamp & 0xff);
    return kind >= Kind::Name0 && kind <= Kind::Name3;
}

void describe(LineWriter& line, const nexus_abi::trace_record& record) {
    const auto kind = static_cast<Kind>(record.stamp & 0xff);
    const std::uint32_t task = record.task;
    const std::uint32_t value = record.value;
    line << Instant::from_ns(static_cast<std::int64_t>(record.stamp >> 8U)) << ' ';
    switch (kind) {
        case Kind::Switch:
            describe_switch(line, task, value);
            return;
        case Kind::Wait:
            describe_next(line, task);
            line << ", the one before waits in call " << (value >> 16U) << ", " << (value & 0xffffU)
                 << " runnable";
            return;
        case Kind::Wake:
            line << task << " wakes, for cpu " << value;
            return;
        case Kind::Start:
            line << task << " of process " << value << " is new";
            return;
        case Kind::Migrate:
            line << task << " goes from cpu " << (value & 0xff) << " to cpu " << (value >> 8U & 0xff);
            return;
        case Kind::Ended:
            line << task << " of process " << value << " ended";
            return;
        case Kind::SetClass:
            line << "class of " << task << " is " << value;
            return;
        case Kind::SetShares:
            line << "shares of " << task << " are " << value;
            return;
        case Kind::SetMask:
            line << "mask of " << task << " is " << hex(value);
            return;
        case Kind::Lag:
            line << task << " is owed " << static_cast<std::int32_t>(value) << " us";
            return;
        case Kind::Charged:
            line << task << " was charged " << value << " us";
            return;
        case Kind::IpiSent:
            line << "interrupts cpu " << task;
            return;
        case Kind::IpiTaken:
            line << "was interrupted";
            return;
        case Kind::Timer:
            line << "timer";
            return;
        case Kind::External:
            line << "device interrupt";
            return;
        case Kind::CallSlow:
            line << "call " << value << " of " << task << " waits";
            return;
        case Kind::CallAgain:
            line << "call " << value << " of " << task << " goes on later";
            return;
        case Kind::PageFault:
            line << "page fault of " << task << " at " << hex(std::uint64_t{value} << 12U);
            return;
        case Kind::Began:
            line << "the trace begins";
            return;
        case Kind::Name0:
        case Kind::Name1:
        case Kind::Name2:
        case Kind::Name3:
            break;
    }
    line << "record " << static_cast<std::uint32_t>(kind) << ", " << task << ", " << value;
}

}  // namespace kernel::trace
