// SPDX-License-Identifier: MIT
#include "syscall/information.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "arch/contract.hpp"
#include "file/tmpfs.hpp"
#include "lib/cpu_mask.hpp"
#include "mm/frames.hpp"
#include "mm/layout.hpp"
#include "sync/spinlock.hpp"
#include "syscall/map_audit.hpp"
#include "syscall/process_information.hpp"
#include "syscall/time.hpp"
#include "task/dispatcher.hpp"
#include "task/lifecycle.hpp"

namespace kernel::syscall {

namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;

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

void describe_memory(LineWriter& out) {
    constexpr std::uint64_t kKibPerFrame = mm::kPageSize / 1024;
    const mm::FrameStats memory = mm::frames().stats();
    out << "MemTotal:       " << padded(memory.total * kKibPerFrame, 8) << " kB\n"
        << "MemFree:        " << padded(memory.free * kKibPerFrame, 8) << " kB\n"
        << "MemAvailable:   " << padded(memory.free * kKibPerFrame, 8) << " kB\n"
        << "Buffers:               0 kB\n"
        << "Cached:         " << padded(file::tmpfs::pages_in_use() * kKibPerFrame, 8) << " kB\n"
        << "SwapCached:            0 kB\n"
        << "Shmem:          " << padded(file::tmpfs::pages_in_use() * kKibPerFrame, 8) << " kB\n"
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

// What all CPUs that may come have in common: a line of /proc/interrupts, one column each.
void describe_interrupts(LineWriter& out) {
    std::array<nexus_abi::sched_hartstat, kMaxCpus> stats;
    out << "     ";
    task::possible_cpus().for_each([&](CpuId cpu) {
        task::fill_hart_stat(cpu, stats[cpu.value()]);
        out << "       CPU" << cpu;
    });
    const auto put = [&](std::string_view name, std::uint64_t nexus_abi::sched_hartstat::* count,
                         std::string_view what) {
        out << '\n' << name;
        task::possible_cpus().for_each(
            [&](CpuId cpu) { out << ' ' << padded(stats[cpu.value()].*count, 10); });
        out << "  " << what;
    };
    put("  5: ", &nexus_abi::sched_hartstat::nr_timer_interrupts, "RISC-V INTC   5 Edge      riscv-timer");
    put("IPI0:", &nexus_abi::sched_hartstat::nr_ipis_received, "Rescheduling interrupts");
    out << '\n';
}

// Of all harts.
struct Totals {
    std::uint64_t busy_ns{0};
    std::uint64_t idle_ns{0};
    std::uint64_t switches{0};
    std::uint64_t interrupts{0};
    std::uint64_t runnable{0};
    void add(const nexus_abi::sched_hartstat& stat) {
        busy_ns += stat.busy_ns;
        idle_ns += stat.idle_ns;
        switches += stat.nr_switches;
        interrupts += stat.nr_timer_interrupts + stat.nr_ipis_received;
        runnable += stat.nr_runnable;
    }
};

Totals totals() {
    Totals all;
    task::possible_cpus().for_each([&](CpuId cpu) {
        nexus_abi::sched_hartstat stat{};
        task::fill_hart_stat(cpu, stat);
        all.add(stat);
    });
    return all;
}

// proc_stat(5). What tasks ran counts as user time: the kernel's share is not told apart.
void describe_statistics(LineWriter& out) {
    const auto put_times = [&](std::uint64_t busy_ns, std::uint64_t idle_ns) {
        out << ' ' << busy_ns / kNsPerTick << " 0 0 " << idle_ns / kNsPerTick << " 0 0 0 0 0 0\n";
    };
    const Totals all = totals();
    out << "cpu ";
    put_times(all.busy_ns, all.idle_ns);
    task::online_cpus().for_each([&](CpuId cpu) {
        nexus_abi::sched_hartstat stat{};
        task::fill_hart_stat(cpu, stat);
        out << "cpu" << cpu;
        put_times(stat.busy_ns, stat.idle_ns);
    });
    out << "intr " << all.interrupts << "\nctxt " << all.switches << "\nbtime "
        << realtime_offset().ns() / kNsPerSecond << "\nprocesses " << task::process_births()
        << "\nprocs_running " << all.runnable << "\nprocs_blocked 0\n";
}

// Linux' load averages: every 5 s each keeps e^(-5s/period) of itself, in units of 1/2048. Nobody is woken
// for it: a reader makes up for the steps since the last one with what is runnable now.
struct LoadAverages {
    std::int64_t last_ns{0};
    std::array<std::uint64_t, 3> value{};
};
constexpr std::uint64_t kLoadUnit = 2048;
constexpr std::int64_t kLoadStepNs = 5'000'000'000;
constexpr std::array<std::uint64_t, 3> kLoadKept{1884, 2014, 2037};  // 1, 5 and 15 minutes
constexpr std::int64_t kMaxLoadSteps = 1000;                         // after these nothing changes
constinit SpinLock load_lock{LockRank::WaitQueue};
constinit LoadAverages load GUARDED_BY(load_lock);

void describe_load(LineWriter& out) {
    // The reader itself does not count.
    const std::uint64_t runnable = totals().runnable;
    const std::uint64_t active = runnable > 0 ? runnable - 1 : 0;
    LoadAverages now;
    {
        const LockGuard guard{load_lock};
        const std::int64_t steps = (arch::now().ns() - load.last_ns) / kLoadStepNs;
        load.last_ns += steps * kLoadStepNs;
        for (std::int64_t i = 0; i < std::min(steps, kMaxLoadSteps); ++i) {
            for (std::size_t k = 0; k < load.value.size(); ++k) {
                load.value[k] =
                    (load.value[k] * kLoadKept[k] + active * kLoadUnit * (kLoadUnit - kLoadKept[k])) /
                    kLoadUnit;
            }
        }
        now = load;
    }
    for (const std::uint64_t value : now.value) {
        out << value / kLoadUnit << '.' << padded(value % kLoadUnit * 100 / kLoadUnit, 2, '0') << ' ';
    }
    out << runnable << '/' << task::process_count() << ' ' << task::process_births() << '\n';
}

}  // namespace

void set_board(std::string_view compatible, std::string_view model) {
    the_board = {.compatible = compatible, .model = model};
}

Result<void> describe(Information information, Subject subject, LineWriter& out) {
    switch (information) {
        case Information::CpusOnline:
            describe_cpu_list(task::online_cpus(), out);
            out << '\n';
            return {};
        case Information::CpusPossible:
            describe_cpu_list(task::possible_cpus(), out);
            out << '\n';
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
        case Information::Statistics:
            describe_statistics(out);
            return {};
        case Information::LoadAverage:
            describe_load(out);
            return {};
        case Information::Interrupts:
            describe_interrupts(out);
            return {};
        case Information::MapAudit: {
            const MapAudit seen = audit_all_maps();
            out << "spaces " << seen.spaces << "\npages " << seen.pages << '\n';
            return {};
        }
        case Information::CpuIsOnline:
            out << (task::online_cpus().contains(subject.cpu) ? '1' : '0') << '\n';
            return {};
        case Information::CpuNumber:
            out << subject.cpu << '\n';
            return {};
        case Information::CpuPackage:
            out << "0\n";
            return {};
        case Information::BoardCompatible:
            describe_strings(the_board.compatible, out);
            return {};
        case Information::BoardModel:
            describe_strings(the_board.model, out);
            return {};
        default:
            return describe_process(information, subject, out);
    }
}

}  // namespace kernel::syscall
