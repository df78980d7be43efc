// SPDX-License-Identifier: MIT
// The files and directories whose names are fixed: devices, information, and the places where other file
// systems begin. A part of file_system.cpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "file/fixed_files.hpp"
#include "syscall/file_system.hpp"
#include "task/open_file.hpp"

namespace kernel::syscall::file_system {

using file::Device;
using task::kTypeCharacter;
using task::kTypeDirectory;
using task::kTypeLink;
using task::kTypeRegular;

inline constexpr std::uint32_t kReadableByAll = 0444;
inline constexpr std::uint32_t kSearchableByAll = 0555;
inline constexpr std::uint32_t kLinkMode = kTypeLink | 0777;

// Files that are not in the initrd. Inode numbers of theirs follow those of any initrd.
struct Fixed {
    std::string_view path;
    NodeKind kind;
    std::uint32_t mode;
    Information information{};
    Device device{};
    std::string_view text{};  // Link: where to; Information::Constant: all of it
};
inline constexpr std::uint64_t kFirstFixedInode = std::uint64_t{1} << 32;
inline constexpr std::string_view kProcesses = "proc/";
inline constexpr std::string_view kOwnTerminal = "dev/tty";
inline constexpr std::string_view kCpus = "sys/devices/system/cpu/";
inline constexpr Fixed kFixed[]{
    {"", NodeKind::Directory, kTypeDirectory | kSearchableByAll},
    {"dev", NodeKind::Directory, kTypeDirectory | kSearchableByAll},
    {"dev/console", NodeKind::Console, kTypeCharacter | 0620},
    {kOwnTerminal, NodeKind::Console, kTypeCharacter | 0620},
    {"dev/fd", NodeKind::Link, kLinkMode, {}, {}, "/proc/self/fd"},
    {"dev/stdin", NodeKind::Link, kLinkMode, {}, {}, "/proc/self/fd/0"},
    {"dev/stdout", NodeKind::Link, kLinkMode, {}, {}, "/proc/self/fd/1"},
    {"dev/stderr", NodeKind::Link, kLinkMode, {}, {}, "/proc/self/fd/2"},
    {"dev/null", NodeKind::Device, kTypeCharacter | 0666, {}, Device::Null},
    {"dev/zero", NodeKind::Device, kTypeCharacter | 0666, {}, Device::Zero},
    {"dev/random", NodeKind::Device, kTypeCharacter | 0666, {}, Device::Random},
    {"dev/urandom", NodeKind::Device, kTypeCharacter | 0666, {}, Device::Random},
    {"dev/hvc0", NodeKind::Device, kTypeCharacter | 0220, {}, Device::Host},
    // Listed here, looked up in memory.
    {"tmp", NodeKind::Directory, kTypeDirectory | 01777},
    {"dev/shm", NodeKind::Directory, kTypeDirectory | 01777},
    {"proc", NodeKind::Directory, kTypeDirectory | kSearchableByAll},
    // Where these lead depends on who asks.
    {"proc/self", NodeKind::Link, kLinkMode},
    {"proc/thread-self", NodeKind::Link, kLinkMode},
    {"proc/mounts", NodeKind::Link, kLinkMode, {}, {}, "self/mounts"},
    {"proc/meminfo", NodeKind::Information, kTypeRegular | kReadableByAll, Information::MemoryInfo},
    {"proc/cpuinfo", NodeKind::Information, kTypeRegular | kReadableByAll, Information::CpuInfo},
    {"proc/uptime", NodeKind::Information, kTypeRegular | kReadableByAll, Information::Uptime},
    {"proc/stat", NodeKind::Information, kTypeRegular | kReadableByAll, Information::Statistics},
    {"proc/loadavg", NodeKind::Information, kTypeRegular | kReadableByAll, Information::LoadAverage},
    {"proc/interrupts", NodeKind::Information, kTypeRegular | kReadableByAll, Information::Interrupts},
#ifdef NEURON_DEBUG
    {"proc/map_audit", NodeKind::Information, kTypeRegular | 0400, Information::MapAudit},
#endif
    {"proc/version",
     NodeKind::Information,
     kTypeRegular | kReadableByAll,
     Information::Constant,
     {},
     "Linux version 6.12.0-neuron (NEURON 0.1.0)\n"},
    {"proc/filesystems",
     NodeKind::Information,
     kTypeRegular | kReadableByAll,
     Information::Constant,
     {},
     "nodev\ttmpfs\nnodev\tproc\nnodev\tsysfs\n"},
    {"proc/sys", NodeKind::Directory, kTypeDirectory | kSearchableByAll},
    {"proc/sys/kernel", NodeKind::Directory, kTypeDirectory | kSearchableByAll},
    {"proc/sys/kernel/ostype",
     NodeKind::Information,
     kTypeRegular | kReadableByAll,
     Information::Constant,
     {},
     "Linux\n"},
    {"proc/sys/kernel/osrelease",
     NodeKind::Information,
     kTypeRegular | kReadableByAll,
     Information::Constant,
     {},
     "6.12.0-neuron\n"},
    {"proc/sys/kernel/version",
     NodeKind::Information,
     kTypeRegular | kReadableByAll,
     Information::Constant,
     {},
     "NEURON 0.1.0\n"},
    {"proc/sys/kernel/hostname",
     NodeKind::Information,
     kTypeRegular | kReadableByAll,
     Information::Constant,
     {},
     "neuron\n"},
    {"proc/sys/kernel/pid_max",
     NodeKind::Information,
     kTypeRegular | kReadableByAll,
     Information::Constant,
     {},
     "32768\n"},
    {"proc/sys/kernel/threads-max",
     NodeKind::Information,
     kTypeRegular | kReadableByAll,
     Information::Constant,
     {},
     "32767\n"},
    {"proc/sys/kernel/ngroups_max",
     NodeKind::Information,
     kTypeRegular | kReadableByAll,
     Information::Constant,
     {},
     "32\n"},
    // No part of the time is kept from FIFO and RR tasks by a setting: budgets and floors do that.
    {"proc/sys/kernel/sched_rt_runtime_us",
     NodeKind::Information,
     kTypeRegular | kReadableByAll,
     Information::Constant,
     {},
     "-1\n"},
    {"proc/sys/kernel/sched_rt_period_us",
     NodeKind::Information,
     kTypeRegular | kReadableByAll,
     Information::Constant,
     {},
     "1000000\n"},
    {"proc/sys/vm", NodeKind::Directory, kTypeDirectory | kSearchableByAll},
    {"proc/sys/vm/overcommit_memory",
     NodeKind::Information,
     kTypeRegular | kReadableByAll,
     Information::Constant,
     {},
     "1\n"},
    {"proc/sys/vm/max_map_count",
     NodeKind::Information,
     kTypeRegular | kReadableByAll,
     Information::Constant,
     {},
     "65530\n"},
    {"proc/sys/fs", NodeKind::Directory, kTypeDirectory | kSearchableByAll},
    {"proc/sys/fs/pipe-max-size",
     NodeKind::Information,
     kTypeRegular | kReadableByAll,
     Information::Constant,
     {},
     "65536\n"},
    {"sys", NodeKind::Directory, kTypeDirectory | kSearchableByAll},
    {"sys/devices", NodeKind::Directory, kTypeDirectory | kSearchableByAll},
    {"sys/devices/system", NodeKind::Directory, kTypeDirectory | kSearchableByAll},
    {"sys/devices/system/cpu", NodeKind::Directory, kTypeDirectory | kSearchableByAll},
    {"sys/devices/system/cpu/online", NodeKind::Information, kTypeRegular | kReadableByAll,
     Information::CpusOnline},
    {"sys/devices/system/cpu/possible", NodeKind::Information, kTypeRegular | kReadableByAll,
     Information::CpusPossible},
    {"sys/devices/system/cpu/present", NodeKind::Information, kTypeRegular | kReadableByAll,
     Information::CpusPossible},
    {"sys/firmware", NodeKind::Directory, kTypeDirectory | kSearchableByAll},
    {"sys/firmware/devicetree", NodeKind::Directory, kTypeDirectory | kSearchableByAll},
    {"sys/firmware/devicetree/base", NodeKind::Directory, kTypeDirectory | kSearchableByAll},
    {"sys/firmware/devicetree/base/compatible", NodeKind::Information, kTypeRegular | kReadableByAll,
     Information::BoardCompatible},
    {"sys/firmware/devicetree/base/model", NodeKind::Information, kTypeRegular | kReadableByAll,
     Information::BoardModel},
};

[[nodiscard]] inline std::uint64_t inode_of(const Fixed& fixed) {
    return kFirstFixedInode + static_cast<std::uint64_t>(&fixed - kFixed);
}

inline constexpr std::uint32_t letter_bit(char letter) {
    return std::uint32_t{1} << (static_cast<unsigned char>(letter) % 32);
}
inline constexpr std::uint32_t kFixedLetters = [] {
    std::uint32_t letters = 0;
    for (const Fixed& fixed : kFixed) {
        letters |= fixed.path.empty() ? 0 : letter_bit(fixed.path.front());
    }
    return letters;
}();

// Null: none of them. Most paths lead nowhere near them, as their first letter tells, and the digits of a
// process below "proc/".
[[nodiscard]] inline const Fixed* fixed_at(std::string_view path) {
    if (path.empty()) {
        return &kFixed[0];
    }
    if ((kFixedLetters & letter_bit(path.front())) == 0) {
        return nullptr;
    }
    const bool names_process = path.starts_with(kProcesses) && path.size() > kProcesses.size() &&
                               path[kProcesses.size()] >= '0' && path[kProcesses.size()] <= '9';
    if (names_process) {
        return nullptr;
    }
    const auto* found = std::ranges::find(kFixed, path, &Fixed::path);
    return found == std::end(kFixed) ? nullptr : found;
}
static_assert(kFixed[0].path.empty());

}  // namespace kernel::syscall::file_system
