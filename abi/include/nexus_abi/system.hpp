// SPDX-License-Identifier: MIT
// Structs of nexus_abi_info and nexus_spawn, and the rights a task may hold.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nexus_abi {

// Nothing in version 1 changes; additions keep the version. See CHANGELOG.md.
inline constexpr std::uint32_t kAbiVersion = 1;

// Rights: held by pid 1, passed on at spawn only by an explicit grant, never widened.
inline constexpr std::uint64_t kRightSchedAdmin = 1U << 0;    // change any task, raise classes, lift ceilings
inline constexpr std::uint64_t kRightSchedInspect = 1U << 1;  // read any task
inline constexpr std::uint64_t kRightPower = 1U << 2;         // reboot(2)
inline constexpr std::uint64_t kRightsAll = kRightSchedAdmin | kRightSchedInspect | kRightPower;

struct abi_info {
    std::uint32_t size;             // bytes of the struct the caller knows
    std::uint32_t abi_version;      // kAbiVersion
    std::uint64_t features;         // bit per optional feature; none yet
    std::uint64_t cpus_online;      // mask of CpuIds
    std::uint64_t cpus_possible;    // harts the device tree names as usable
    std::uint64_t timebase_hz;      // of rdtime and of every clock
    std::uint32_t sched_attr_size;  // the kernel's struct sizes
    std::uint32_t sched_stat_size;
    std::uint32_t sched_hartstat_size;
    std::uint32_t spawn_args_size;
    char version[32];  // "neuron 0.1.0", NUL-terminated
};
static_assert(sizeof(abi_info) == 88);

// One descriptor of the child: a copy of the caller's `from` becomes `to`.
struct spawn_fd {
    std::int32_t from;  // the caller's descriptor
    std::int32_t to;    // the child's descriptor
};

// spawn_args.flags. Held: the child runs its first instruction only once it is sent SIGCONT (or is killed),
// so that what it starts with can be completed and read.
inline constexpr std::uint32_t kSpawnHeld = 1U << 0;
inline constexpr std::uint32_t kSpawnFlagsAll = kSpawnHeld;

struct spawn_args {
    std::uint32_t size;      // bytes of the struct the caller knows
    std::uint32_t flags;     // kSpawn*
    std::uint64_t path;      // const char*
    std::uint64_t argv;      // const char* const*, null-terminated
    std::uint64_t envp;      // const char* const*, null-terminated; 0 = empty
    std::uint64_t attr;      // const sched_attr*; 0 = inherit by the spawn rules
    std::uint64_t rights;    // kRight* to grant; must be a subset of the caller's
    std::uint64_t fds;       // const spawn_fd*; 0 = 0, 1 and 2 as in the caller
    std::uint32_t fd_count;  // entries of fds
    std::uint32_t reserved;  // must be 0
    std::uint64_t limits;    // const sched_attr*, as in sched_set_limits; 0 = the caller's
};
static_assert(sizeof(spawn_args) == 72);

}  // namespace nexus_abi
