// SPDX-License-Identifier: MIT
// The scheduler's part of the ABI: classes, policies, and the structs of sched_setattr, sched_getattr,
// sched_getstat, sched_hartstat and sched_snapshot. All structs are little-endian, naturally aligned, begin
// with their size, and are size-versioned: a caller passes the size it knows; a longer struct with a non-zero
// unknown tail is E2BIG with the kernel's size written back; reserved fields must be 0.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nexus_abi {

enum class QosClass : std::uint32_t { Idle = 0, Normal = 1, Interactive = 2, PerfBurst = 3 };
inline constexpr std::uint32_t kQosClassCount = 4;

// pin: never outside the mask. prefer: `affinity` stays the hard limit and `affinity_prefer` is tried first.
// perf / eff: prefer the fast or the efficient harts.
enum class AffinityPolicy : std::uint32_t { Pin = 0, Prefer = 1, Perf = 2, Eff = 3 };

// Ranges. Shares and hints outside are clamped by the scalar setters, rejected by sched_setattr without
// Clamp.
inline constexpr std::uint32_t kSharesMin = 1;
inline constexpr std::uint32_t kSharesMax = 1000;
inline constexpr std::uint32_t kSharesDefault = 100;
inline constexpr std::uint32_t kLatencyHintMaxMs = 1000;     // 0 = none
inline constexpr std::uint64_t kLatencyHintMinNs = 100'000;  // sched_setattr: 0 or 100 us .. 1 s
inline constexpr std::uint64_t kLatencyHintMaxNs = 1'000'000'000;
inline constexpr std::uint32_t kBurstHintMaxMs = 50;  // 0 = default
inline constexpr std::uint64_t kBurstHintMinNs = 100'000;
inline constexpr std::uint64_t kBurstHintMaxNs = 50'000'000;
inline constexpr std::uint64_t kBudgetMinNs = 100'000;  // 100 us <= runtime <= period <= 1 s; 0,0 = none
inline constexpr std::uint64_t kBudgetPeriodMaxNs = 1'000'000'000;

// sched_attr.flags
inline constexpr std::uint32_t kAttrResetOnSpawn =
    1U << 0;                                          // children start Normal / 100 / the parent's limit mask
inline constexpr std::uint32_t kAttrClamp = 1U << 1;  // clamp shares and hints instead of rejecting them
inline constexpr std::uint32_t kAttrInheritBudget = 1U << 2;  // children share this task's budget
inline constexpr std::uint32_t kAttrFlagsAll = kAttrResetOnSpawn | kAttrClamp | kAttrInheritBudget;

// sched_attr.fields: which fields setattr applies.
inline constexpr std::uint64_t kFieldClass = 1U << 0;
inline constexpr std::uint64_t kFieldShares = 1U << 1;
inline constexpr std::uint64_t kFieldLatency = 1U << 2;
inline constexpr std::uint64_t kFieldBurst = 1U << 3;
inline constexpr std::uint64_t kFieldBudget = 1U << 4;  // budget_ns and period_ns
inline constexpr std::uint64_t kFieldAffinity = 1U << 5;
inline constexpr std::uint64_t kFieldPrefer = 1U << 6;  // affinity_prefer
inline constexpr std::uint64_t kFieldPolicy = 1U << 7;
inline constexpr std::uint64_t kFieldGroup = 1U << 8;
inline constexpr std::uint64_t kFieldFlags = 1U << 9;  // the persistent flags (ResetOnSpawn, InheritBudget)
inline constexpr std::uint64_t kFieldsAll = (1U << 10) - 1;

struct sched_attr {
    std::uint32_t size;             // bytes of the struct the caller knows
    std::uint32_t flags;            // kAttr*
    std::uint64_t fields;           // kField*: what setattr applies; getattr sets all it filled
    std::uint32_t qos_class;        // QosClass, requested
    std::uint32_t shares;           // 1..1000, requested; weight within the class
    std::uint64_t latency_ns;       // 0 = none, else 100 us..1 s
    std::uint64_t burst_ns;         // 0 = the class's default, else 100 us..50 ms
    std::uint64_t budget_ns;        // runtime per period; 0 = no budget
    std::uint64_t period_ns;        // 0 = no budget
    std::uint64_t affinity;         // mask of CpuIds, requested
    std::uint64_t affinity_prefer;  // mask of CpuIds tried first; 0 = none
    std::uint32_t affinity_policy;  // AffinityPolicy
    std::uint32_t group;            // ceiling of the group in shares; 0 = none; set by sched_set_limits only
    // Filled by sched_getattr; must be 0 in sched_setattr.
    std::uint32_t effective_class;     // QosClass the scheduler uses now
    std::uint32_t effective_shares;    // weight the scheduler uses now
    std::uint64_t effective_affinity;  // affinity without the bits beyond the online CPUs and the limit
    std::uint64_t reserved[2];         // must be 0
};
static_assert(sizeof(sched_attr) == 112 && offsetof(sched_attr, affinity) == 56 &&
              offsetof(sched_attr, reserved) == 96);

inline constexpr std::size_t kMaxHartsInStat = 64;
inline constexpr std::size_t kWakeHistogramBuckets = 16;

// Throttled: it could run, but its budget is used up.
enum class TaskState : std::uint32_t {
    Blocked = 0,
    Queued = 1,
    Running = 2,
    Migrating = 3,
    Dead = 4,
    Throttled = 5
};

// sched_stat.flags
inline constexpr std::uint32_t kStatAffinityBroken = 1U << 0;
inline constexpr std::uint32_t kStatThrottled = 1U << 1;
inline constexpr std::uint32_t kStatBoosted = 1U << 2;
inline constexpr std::uint32_t kStatDonated = 1U << 3;

struct sched_stat {
    std::uint32_t size;                   // bytes of the struct the caller knows
    std::uint32_t state;                  // TaskState
    std::uint64_t runtime_ns;             // time charged, all harts
    std::uint64_t wait_ns;                // runnable but not running
    std::uint64_t wait_max_ns;            // longest single wait
    std::uint64_t sleep_ns;               // blocked
    std::uint64_t nr_switch_voluntary;    // left the CPU by blocking or yielding
    std::uint64_t nr_switch_involuntary;  // left the CPU while it could have gone on
    std::uint64_t nr_migrations;          // ran on another CPU than before
    std::uint64_t nr_preempted;  // of the involuntary switches: for a better task, before the request ended
    std::uint64_t
        wake_latency_hist[kWakeHistogramBuckets];  // bucket i: wake to run < 2^i us; the last one: the rest
    std::uint64_t wake_latency_max_ns;    // wake (event or deadline) to run (return to user mode): longest
    std::uint64_t nr_latency_target_met;  // wake-ups that ran within the latency hint
    std::uint64_t nr_latency_target_missed;
    std::uint64_t perfburst_ns;  // run as PerfBurst, boosted
    std::uint64_t throttled_ns;  // it could have run, but its budget was used up
    std::uint64_t nr_throttled;  // how often that began
    std::int64_t lag_ns;         // service owed (+) or ahead (-), in the task's queue
    std::uint32_t effective_class;
    std::uint32_t effective_shares;
    std::uint64_t mask_effective;
    std::uint64_t mask_requested;
    std::uint32_t last_cpu;
    std::uint32_t flags;
    std::uint64_t reserved[4];
    std::uint64_t runtime_by_cpu_ns[kMaxHartsInStat];
};
static_assert(offsetof(sched_stat, wake_latency_hist) == 72 && offsetof(sched_stat, reserved) == 288 &&
              sizeof(sched_stat) == 320 + 8 * kMaxHartsInStat);

struct sched_hartstat {
    std::uint32_t size;                 // bytes of the struct the caller knows
    std::uint32_t online;               // 1 while the hart runs tasks
    std::uint64_t hart_id;              // the firmware's number
    std::uint64_t busy_ns;              // charged to tasks
    std::uint64_t idle_ns;              // charged to nobody
    std::uint64_t nr_switches;          // another task than the last one began to run
    std::uint64_t nr_timer_interrupts;  // taken since boot
    std::uint64_t nr_ipis_sent;
    std::uint64_t nr_ipis_received;
    std::uint64_t nr_steals;         // tasks this hart took from another
    std::uint64_t nr_pushes;         // tasks this hart gave to another
    std::uint64_t nr_runnable;       // waiting or running now
    std::uint64_t section_max_ns;    // longest kernel section with interrupts off
    std::uint64_t section_max_what;  // system call number, or bit 63 | scause
    std::uint64_t capacity;          // 1..1024
    std::uint64_t reserved[4];
    // Decided on this hart since boot, whether or not there was room for a record (audit.hpp).
    std::uint64_t nr_denied;
    std::uint64_t nr_clamped;
    std::uint64_t nr_foreign_sets;  // of another process's task
};
static_assert(offsetof(sched_hartstat, nr_denied) == 144 && sizeof(sched_hartstat) == 168);

struct sched_snapshot_entry {
    std::uint32_t tid;
    std::uint32_t pid;
    std::uint32_t state;  // TaskState
    std::uint32_t cpu;    // last or current
    std::uint32_t qos_class;
    std::uint32_t effective_class;
    std::uint32_t shares;
    std::uint32_t parent;
    std::uint64_t runtime_ns;
    std::uint64_t wait_ns;
    std::uint64_t affinity;  // effective mask
    char name[16];           // NUL-terminated; PR_SET_NAME, first the program's file name
};
static_assert(sizeof(sched_snapshot_entry) == 72);

}  // namespace nexus_abi
