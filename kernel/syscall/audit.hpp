// SPDX-License-Identifier: MIT
// Writes down who changed whose scheduling, who was refused and whose wish was cut (nexus_abi/audit.hpp). A
// record takes a lock and some hundred instructions of the caller's own time; callers that are too fast leave
// records out and are only counted, on the hart they are on, so that nobody pays for them.
#pragma once

#include <cstdint>

#include "lib/ids.hpp"
#include "nexus_abi/audit.hpp"
#include "syscall/caller.hpp"
#include "task/sys_result.hpp"

namespace kernel::syscall {

struct AuditedField {
    std::uint16_t number{nexus_abi::kAuditNoField};
    std::uint64_t old_value{0};
    std::uint64_t new_value{0};
};

// target: null when there is none with the id `id`.
void audit(Caller& caller, nexus_abi::AuditWhat what, const task::Task* target, TaskId id,
           std::int64_t result, const AuditedField& field = {});

// The answer to who lacks a right, after it was written down. id: whom it was about, 0 for nobody.
[[nodiscard]] Error deny(Caller& caller, TaskId id = TaskId{0});

// Of one hart since boot. Concurrency: anybody, any time.
struct AuditCounts {
    std::uint64_t denied{0};
    std::uint64_t clamped{0};
    std::uint64_t foreign_sets{0};
};
[[nodiscard]] AuditCounts audit_counts(CpuId cpu);

}  // namespace kernel::syscall
