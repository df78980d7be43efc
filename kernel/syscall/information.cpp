// SPDX-License-Identifier: MIT
#include "syscall/information.hpp"

#include <string_view>

#include "arch/contract.hpp"
#include "lib/cpu_mask.hpp"
#include "mm/frames.hpp"
#include "mm/layout.hpp"
#include "syscall/change_attributes.hpp"
#include "syscall/target.hpp"
#include "syscall/time_values.hpp"
#include "task/dispatcher.hpp"
#include "task/lifecycle.hpp"

namespace kernel::syscall {

namespace {

constexpr std::int64_t kNsPerTick = 10'000'000;  // USER_HZ = 100

struct Board {
    std::string_view compatible;
    std::string_view model;
};
constinit Board the_board;

// A property of strings: each ends with a NUL.
void describe_strings(std::string_view strings, LineWriter& out) {
    out << strings;
    if (!strings.empty() && !strings.ends_with('\0')) {
        out << '\0';
    }
}

// A CPU list as Linux writes it: "0-2,5".
void describe_cpus(CpuMask cpus, LineWriter& out) {
    bool is_first = true;
    for (std::uint32_t cpu = 0; cpu < kMaxCpus; ++cpu) {
        if (!cpus.contains(CpuId{cpu})) {
            continue;
        }
        std::uint32_t last = cpu;
        while (last + 1 < kMaxCpus && cpus.contains(CpuId{last + 1})) {
            ++last;
        }
        out << (is_first ? "" : ",") << cpu;
        if (last > cpu) {
            out << '-' << last;
        }
        is_first = false;
        cpu = last;
    }
    out << '\n';
}

void describe_memory(LineWriter& out) {
    constexpr std::uint64_t kKibPerFrame = mm::kPageSize / 1024;
    const mm::FrameStats memory = mm::frames().stats();
    out << "MemTotal:       " << padded(memory.total * kKibPerFrame, 8) << " kB\n"
        << "MemFree:        " << padded(memory.free * kKibPerFrame, 8) << " kB\n"
        << "MemAvailable:   " << padded(memory.free * kKibPerFrame, 8) << " kB\n"
        << "SwapTotal:             0 kB\n"
        << "SwapFree:              0 kB\n";
}

void describe_processors(LineWriter& out) {
    task::online_cpus().for_each([&](CpuId cpu) {
        nexus_abi::sched_hartstat stat{};
        task::fill_hart_stat(cpu, stat);
        out << "processor\t: " << cpu << "\nhart\t\t: " << stat.hart_id
            << "\nisa\t\t: rv64imafdc\nmmu\t\t: sv39\n\n";
    });
}

void describe_uptime(LineWriter& out) {
    Duration idle;
    task::possible_cpus().for_each([&](CpuId cpu) {
        nexus_abi::sched_hartstat stat{};
        task::fill_hart_stat(cpu, stat);
        idle += Duration::nanoseconds(static_cast<std::int64_t>(stat.idle_ns));
    });
    const auto put_seconds = [&](std::int64_t ns) {
        const auto hundredths = static_cast<std::uint64_t>(ns / kNsPerTick);
        out << hundredths / 100 << '.' << padded(hundredths % 100, 2, '0');
    };
    put_seconds(arch::now().ns());
    out << ' ';
    put_seconds(idle.ns());
    out << '\n';
}

std::string_view text_of(const task::Task::Name& name) {
    return std::string_view{name.data(), name.size()}.substr(
        0, std::string_view{name.data(), name.size()}.find('\0'));
}

// "start-end rwxp offset device inode path", one mapping a line (proc_pid_maps(5)).
void describe_mapping(const mm::Mapping& mapping, LineWriter& out) {
    const mm::Protection allowed = mapping.protection;
    const auto plain_hex = [&](std::uint64_t value) {
        for (int shift = value >> 32 != 0 ? 36 : 28; shift >= 0; shift -= 4) {
            out << "0123456789abcdef"[(value >> shift) & 0xf];
        }
    };
    plain_hex(mapping.start.value());
    out << '-';
    plain_hex(mapping.end.value());
    out << ' ' << (allowed.read ? 'r' : '-') << (allowed.write ? 'w' : '-') << (allowed.execute ? 'x' : '-')
        << "p ";
    plain_hex(mapping.file != nullptr ? mapping.file_offset : 0);
    out << " 00:00 0";
    if (mapping.file != nullptr) {
        out << "          " << (mapping.file->path().starts_with('/') ? "" : "/") << mapping.file->path();
    } else if (mapping.end == mm::kUserStackTop) {
        out << "          [stack]";
    }
    out << '\n';
}

void describe_mappings(mm::AddressSpace& space, LineWriter& out) {
    VirtAddr at{};
    while (!out.is_truncated()) {
        const auto mapping = space.mapping_at_or_above(at);
        if (!mapping.ok()) {
            break;
        }
        describe_mapping(*mapping, out);
        at = mapping->end;
    }
}

char letter_of(nexus_abi::TaskState state) {
    switch (state) {
        case nexus_abi::TaskState::Blocked:
            return 'S';
        case nexus_abi::TaskState::Dead:
            return 'Z';
        default:
            return 'R';
    }
}

// The 52 fields of proc_pid_stat(5); what does not exist here is 0.
void describe_status(task::Process& process, task::Task& leader, bool shows_memory, LineWriter& out) {
    const nexus_abi::sched_snapshot_entry entry = snapshot_of(leader);
    std::uint32_t threads = 0;
    {
        const LockGuard guard{task::family_lock()};
        threads = process.thread_count;
    }
    const std::int64_t ticks = task::process_usage(process).runtime.ns() / kNsPerTick;
    out << entry.pid << " (" << text_of(leader.name()) << ") "
        << letter_of(static_cast<nexus_abi::TaskState>(entry.state)) << ' ' << entry.parent << ' '
        << entry.pid << ' ' << entry.pid << " 0 -1 0 0 0 0 0 "  // tty, its group, flags, faults
        << ticks << " 0 0 0 20 " << leader.nice  // user, system, children's times, priority, nice
        << ' ' << threads << " 0 0 "             // interval timer, start time
        << (shows_memory ? process.space().mapped_bytes() : 0) << ' '
        << (shows_memory ? process.space().resident_pages() : 0)
        << " 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 "  // limit, addresses, signals, wait channel,
                                                                // exit signal
        << entry.cpu << " 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
}

Result<void> describe_process(Information information, TaskId pid, task::Task& caller, LineWriter& out) {
    const Ref<task::Task> leader = task::find_task(pid);
    if (!leader) {
        return Error::NoEntry;
    }
    task::Process& process = leader->process();
    const bool is_own = &process == &caller.process();
    switch (information) {
        case Information::ProcessMaps:
            if (is_own) {
                describe_mappings(process.space(), out);
            }
            break;
        case Information::ProcessComm:
            out << text_of(leader->name()) << '\n';
            break;
        default:
            describe_status(process, *leader, is_own, out);
            break;
    }
    return {};
}

}  // namespace

void set_board(std::string_view compatible, std::string_view model) {
    the_board = {.compatible = compatible, .model = model};
}

Result<void> describe(Information information, TaskId process, task::Task& caller, LineWriter& out) {
    switch (information) {
        case Information::CpusOnline:
            describe_cpus(task::online_cpus(), out);
            return {};
        case Information::CpusPossible:
            describe_cpus(task::possible_cpus(), out);
            return {};
        case Information::MemoryInfo:
            describe_memory(out);
            return {};
        case Information::CpuInfo:
            describe_processors(out);
            return {};
        case Information::Uptime:
            describe_uptime(out);
            return {};
        case Information::BoardCompatible:
            describe_strings(the_board.compatible, out);
            return {};
        case Information::BoardModel:
            describe_strings(the_board.model, out);
            return {};
        case Information::ProcessMaps:
        case Information::ProcessComm:
        case Information::ProcessStat:
            return describe_process(information, process, caller, out);
    }
    return Error::NoEntry;
}

}  // namespace kernel::syscall
