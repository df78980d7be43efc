// SPDX-License-Identifier: MIT
#include "syscall/process_information.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "arch/contract.hpp"
#include "file/directory.hpp"
#include "lib/cpu_mask.hpp"
#include "mm/layout.hpp"
#include "syscall/change_attributes.hpp"
#include "syscall/target.hpp"
#include "task/dispatcher.hpp"
#include "task/file_table.hpp"
#include "task/lifecycle.hpp"
#include "task/process_group.hpp"
#include "task/signal.hpp"

namespace kernel::syscall {

namespace {

constexpr std::uint64_t kKib = 1024;

std::string_view text_of(const task::Task::Name& name) {
    return std::string_view{name.data(), name.size()}.substr(
        0, std::string_view{name.data(), name.size()}.find('\0'));
}

// What a process has mapped and resident; nothing for one that ended.
struct Memory {
    std::uint64_t mapped_bytes{0};
    std::uint64_t resident_pages{0};
};

Memory memory_of(task::Process& process) {
    Memory memory;
    task::with_space(process, [&](mm::AddressSpace& space) {
        memory = {.mapped_bytes = space.mapped_bytes(), .resident_pages = space.resident_pages()};
    });
    return memory;
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
        << (mapping.is_shared ? "s " : "p ");
    plain_hex(mapping.file != nullptr ? mapping.file_offset : 0);
    out << " 00:00 0";
    if (mapping.file != nullptr) {
        std::array<char, file::kMaxPath> room;
        const auto name = mapping.file->link_text(room);
        out << "          " << (name.ok() ? *name : std::string_view{"?"});
    } else if (mapping.end == mm::kUserStackTop) {
        out << "          [stack]";
    }
    out << '\n';
}

// One mapping at a time: the process may change them, or go, in between.
void describe_mappings(task::Process& process, LineWriter& out) {
    VirtAddr at{};
    bool is_last = false;
    while (!is_last && !out.is_truncated()) {
        Result<mm::AddressSpace::Listed> listed = Error::NoEntry;
        task::with_space(process, [&](mm::AddressSpace& space) { listed = space.mapping_at_or_above(at); });
        is_last = !listed.ok();
        if (listed.ok()) {
            describe_mapping(listed->mapping, out);
            at = listed->mapping.end;
        }
    }
}

// The arguments as they lie on the process's stack, each with its zero.
void describe_arguments(task::Process& process, LineWriter& out) {
    std::uint64_t at = process.arguments_start.load(std::memory_order_relaxed);
    const std::uint64_t end = at + process.arguments_bytes.load(std::memory_order_relaxed);
    while (at < end && !out.is_truncated()) {
        std::uint64_t bytes = 0;
        task::with_space(process, [&](mm::AddressSpace& space) {
            const std::uint64_t offset = mm::page_offset(at);
            const std::uint64_t wanted = std::min(end - at, mm::kPageSize - offset);
            const auto copied =
                space.with_page(VirtAddr{at}, mm::Access::Read, [&](std::span<std::byte> page) {
                    const auto part = page.subspan(offset, wanted);
                    out << std::string_view{reinterpret_cast<const char*>(part.data()), part.size()};
                });
            bytes = copied.ok() ? wanted : 0;
        });
        if (bytes == 0) {
            return;
        }
        at += bytes;
    }
}

char letter_of(nexus_abi::TaskState state, bool is_stopped) {
    switch (state) {
        case nexus_abi::TaskState::Blocked:
            return is_stopped ? 'T' : 'S';
        case nexus_abi::TaskState::Dead:
            return 'Z';
        default:
            return 'R';
    }
}

std::string_view word_of(nexus_abi::TaskState state, bool is_stopped) {
    switch (state) {
        case nexus_abi::TaskState::Blocked:
            return is_stopped ? "T (stopped)" : "S (sleeping)";
        case nexus_abi::TaskState::Dead:
            return "Z (zombie)";
        default:
            return "R (running)";
    }
}

// What a text is about, read once.
struct Facts {
    task::Process& process;
    task::Task& task;
    nexus_abi::sched_snapshot_entry entry;
    task::Usage usage;
    task::Usage children;
    bool is_stopped{false};
    bool has_terminal{false};
    TaskId group{};
    TaskId session{};
    std::uint32_t threads{0};
};

Facts facts_of(task::Task& task, bool is_thread) {
    task::Process& process = task.process();
    Facts facts{.process = process,
                .task = task,
                .entry = snapshot_of(task),
                .usage = is_thread ? task::task_usage(task) : task::process_usage(process),
                .children = {},
                .is_stopped = task::is_stopped(process),
                .has_terminal = task::has_terminal(process),
                .group = task::group_of(process),
                .session = task::session_of(process)};
    const LockGuard guard{task::family_lock()};
    facts.threads = process.thread_count;
    facts.children = process.dead_children;
    return facts;
}

// The 52 fields of proc_pid_stat(5); what does not exist here is 0. All time counts as the user's.
void describe_stat(const Facts& facts, LineWriter& out) {
    constexpr std::uint32_t kTerminal = 5U << 8 | 1U;
    const Memory memory = memory_of(facts.process);
    out << facts.entry.tid << " (" << text_of(facts.task.name()) << ") "
        << letter_of(static_cast<nexus_abi::TaskState>(facts.entry.state), facts.is_stopped) << ' '
        << facts.entry.parent << ' ' << facts.group << ' ' << facts.session << ' '
        << (facts.has_terminal ? kTerminal : 0) << ' ';
    if (facts.has_terminal) {
        out << task::foreground_group();
    } else {
        out << "-1";
    }
    const int nice{facts.task.linux_policy.load().nice};
    out << " 0 0 0 0 0 "  // flags, faults
        << facts.usage.runtime.ns() / kNsPerTick << " 0 " << facts.children.runtime.ns() / kNsPerTick << " 0 "
        << 20 + nice << ' ' << nice << ' ' << facts.threads << " 0 "  // interval timer
        << facts.process.born_ns / kNsPerTick << ' ' << memory.mapped_bytes << ' ' << memory.resident_pages
        << " 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 "  // limit, addresses, signals, wait channel,
                                                                // exit signal
        << facts.entry.cpu << " 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
}

void describe_status(const Facts& facts, LineWriter& out) {
    const Memory memory = memory_of(facts.process);
    const std::uint64_t mapped_kib = memory.mapped_bytes / kKib;
    const std::uint64_t resident_kib = memory.resident_pages * mm::kPageSize / kKib;
    out << "Name:\t" << text_of(facts.task.name()) << "\nUmask:\t";
    const std::uint32_t umask = facts.process.files.umask.load();
    for (int shift = 9; shift >= 0; shift -= 3) {
        out << "01234567"[umask >> shift & 7];
    }
    out << "\nState:\t" << word_of(static_cast<nexus_abi::TaskState>(facts.entry.state), facts.is_stopped)
        << "\nTgid:\t" << facts.entry.pid << "\nNgid:\t0\nPid:\t" << facts.entry.tid << "\nPPid:\t"
        << facts.entry.parent << "\nTracerPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t"
        << task::FileTable::kMaxFiles << "\nGroups:\t\n";
    const auto put_kib = [&](std::string_view name, std::uint64_t kib) {
        out << name << ":\t" << padded(kib, 8) << " kB\n";
    };
    put_kib("VmPeak", mapped_kib);
    put_kib("VmSize", mapped_kib);
    put_kib("VmHWM", resident_kib);
    put_kib("VmRSS", resident_kib);
    const CpuMask cpus = CpuMask::from_bits(facts.entry.affinity);
    out << "Threads:\t" << facts.threads << "\nCpus_allowed:\t";
    for (int shift = 28; shift >= 0; shift -= 4) {
        out << "0123456789abcdef"[(facts.entry.affinity >> shift) & 0xf];
    }
    out << "\nCpus_allowed_list:\t";
    describe_cpu_list(cpus, out);
    out << "\nvoluntary_ctxt_switches:\t" << facts.usage.voluntary_switches
        << "\nnonvoluntary_ctxt_switches:\t" << facts.usage.involuntary_switches << '\n';
}

// Pages: size, resident, shared, text, library, data, dirty; what is not told apart is 0.
void describe_memory(task::Process& process, LineWriter& out) {
    const Memory memory = memory_of(process);
    out << memory.mapped_bytes / mm::kPageSize << ' ' << memory.resident_pages << " 0 0 0 0 0\n";
}

// By number, as setrlimit(2) has them.
struct LimitName {
    std::string_view name;  // 26 characters
    std::string_view unit;
};
constexpr std::array<LimitName, task::ResourceLimits::kCount> kLimitNames{
    {{"Max cpu time              ", "seconds   "},
     {"Max file size             ", "bytes     "},
     {"Max data size             ", "bytes     "},
     {"Max stack size            ", "bytes     "},
     {"Max core file size        ", "bytes     "},
     {"Max resident set          ", "bytes     "},
     {"Max processes             ", "processes "},
     {"Max open files            ", "files     "},
     {"Max locked memory         ", "bytes     "},
     {"Max address space         ", "bytes     "},
     {"Max file locks            ", "locks     "},
     {"Max pending signals       ", "signals   "},
     {"Max msgqueue size         ", "bytes     "},
     {"Max nice priority         ", "          "},
     {"Max realtime priority     ", "          "},
     {"Max realtime timeout      ", "us        "}}};

void describe_limits(task::Process& process, LineWriter& out) {
    out << "Limit                     Soft Limit           Hard Limit           Units     \n";
    const auto put = [&out](std::uint64_t value) {
        constexpr std::size_t kColumns = 21;
        const std::size_t before = out.text().size();
        if (value == task::ResourceLimits::kUnlimited) {
            out << "unlimited";
        } else {
            out << value;
        }
        for (std::size_t used = out.text().size() - before; used < kColumns; ++used) {
            out << ' ';
        }
    };
    for (std::uint32_t which = 0; which < kLimitNames.size(); ++which) {
        const task::ResourceLimits::Limit limit = process.limits.get(which);
        out << kLimitNames[which].name;
        put(limit.current);
        put(limit.maximum);
        out << kLimitNames[which].unit << '\n';
    }
}

constexpr std::string_view kMounts =
    "rootfs / rootfs ro 0 0\n"
    "proc /proc proc ro 0 0\n"
    "sysfs /sys sysfs ro 0 0\n"
    "tmpfs /tmp tmpfs rw 0 0\n"
    "tmpfs /dev/shm tmpfs rw 0 0\n";

}  // namespace

void describe_cpu_list(CpuMask cpus, LineWriter& out) {
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
}

Result<void> describe_process(Information information, Subject subject, LineWriter& out) {
    const Ref<task::Task> task = task::lookup_task(subject.tid);
    if (!task) {
        return Error::NoEntry;
    }
    task::Process& process = task->process();
    switch (information) {
        case Information::ProcessArguments:
            describe_arguments(process, out);
            return {};
        case Information::ProcessComm:
            out << text_of(task->name()) << '\n';
            return {};
        case Information::ProcessLimits:
            describe_limits(process, out);
            return {};
        case Information::ProcessMaps:
            describe_mappings(process, out);
            return {};
        case Information::ProcessMemory:
            describe_memory(process, out);
            return {};
        case Information::ProcessSchedule: {
            // Run time, wait time, turns.
            const nexus_abi::sched_snapshot_entry entry = snapshot_of(*task);
            const task::Usage usage = task::task_usage(*task);
            out << entry.runtime_ns << ' ' << entry.wait_ns << ' '
                << usage.voluntary_switches + usage.involuntary_switches << '\n';
            return {};
        }
        case Information::ProcessStat:
            describe_stat(facts_of(*task, subject.is_thread), out);
            return {};
        case Information::ProcessStatus:
            describe_status(facts_of(*task, subject.is_thread), out);
            return {};
        case Information::Mounts:
            out << kMounts;
            return {};
        default:
            return Error::NoEntry;
    }
}

}  // namespace kernel::syscall
