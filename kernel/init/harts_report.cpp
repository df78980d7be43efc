// SPDX-License-Identifier: MIT
#include "init/harts_report.hpp"

#include <array>
#include <span>

#include "arch/contract.hpp"
#include "arch/riscv64/cpu_local.hpp"
#include "lib/cpu_mask.hpp"
#include "lib/format.hpp"
#include "mm/layout.hpp"
#include "task/dispatcher.hpp"
#include "task/hart_report.hpp"
#include "trace/describe.hpp"
#include "trace/trace.hpp"

extern "C" const char text_start[];
extern "C" const char text_end[];

namespace kernel::init {

namespace {

constexpr Duration kStopDeadline = Duration::milliseconds(10);
constexpr std::size_t kLineBytes = 200;
// What is shown of each trace, and how far back it is looked for: names take four records each.
constexpr std::size_t kEventsShown = 8;
constexpr std::size_t kEventsRead = 64;
// Of a stack: a section rarely goes deeper, and what lies deeper is older.
constexpr std::size_t kWordsRead = 256;
constexpr std::size_t kWordsShown = 24;

// In the order of nexus_abi::QosClass.
constexpr std::array<std::string_view, nexus_abi::kQosClassCount> kClassNames{"idle", "normal", "interactive",
                                                                              "perfburst"};

constinit AtomicCpuMask stopped{};

void describe_task(LineWriter& line, const task::HartReport& report) {
    const auto index = static_cast<std::size_t>(report.qos_class);
    line << "runs " << std::string_view{report.name.data()} << " (tid " << report.tid << " of process "
         << report.pid << " " << std::string_view{report.program.data()} << ", "
         << (index < kClassNames.size() ? kClassNames[index] : "no class") << ") at " << hex(report.user_pc);
}

void describe_hart(CpuId cpu, PrintLine print_line) {
    const task::HartReport report = task::report_hart(cpu);
    Line<kLineBytes> line;
    line << "  cpu " << cpu << ": "
         << (cpu == arch::current_cpu()     ? "reports"
             : stopped.load().contains(cpu) ? "stopped"
                                            : "does not stop")
         << "; ";
    if (report.has_task) {
        describe_task(line, report);
    } else {
        line << "idle";
    }
    line << "; " << report.runnable << " runnable, " << report.switches << " switches";
    if (report.section_max_ns != 0) {
        constexpr std::uint64_t kTrap = std::uint64_t{1} << 63U;
        line << ", longest kernel section "
             << Duration::nanoseconds(static_cast<std::int64_t>(report.section_max_ns))
             << ((report.section_max_what & kTrap) != 0 ? " in trap " : " in call ")
             << (report.section_max_what & ~kTrap);
    }
    print_line(line.text());
}

// A hart that does not stop has its frame pointer in a register: what looks like a return address on its
// stack is all there is. It grows down from the top at each entry; what lies below the current frame is left
// over.
void describe_stack(CpuId cpu, PrintLine print_line) {
    const std::uint64_t top = arch::cpu_locals[cpu.value()].stack_top;
    if (top == 0) {
        return;
    }
    Line<kLineBytes> line;
    line << "stack of cpu " << cpu << ", outermost first, calls that are over at the end:";
    print_line(line.text());
    const auto* const words = reinterpret_cast<const std::uint64_t*>(top);
    const auto first = reinterpret_cast<std::uint64_t>(text_start);
    const auto last = reinterpret_cast<std::uint64_t>(text_end);
    static_assert(kWordsRead * sizeof(std::uint64_t) <= mm::kHartStackBytes);
    std::size_t shown = 0;
    for (std::size_t i = 1; i <= kWordsRead && shown < kWordsShown; ++i) {
        const std::uint64_t word = *(words - i);
        if (word > first && word < last && word % 2 == 0) {
            line.clear();
            line << "  ? " << hex(word, 16);
            print_line(line.text());
            ++shown;
        }
    }
}

void describe_events(CpuId cpu, PrintLine print_line) {
    trace::Ring& ring = trace::ring_of(cpu);
    std::array<nexus_abi::trace_record, kEventsRead> records;
    std::uint64_t position = ring.written() - std::min<std::uint64_t>(ring.written(), records.size());
    const std::size_t count = ring.read(position, records);
    std::size_t first = count;
    for (std::size_t shown = 0; first > 0 && shown < kEventsShown; --first) {
        shown += trace::is_part_of_name(records[first - 1]) ? 0 : 1;
    }
    Line<kLineBytes> line;
    line << "last events of cpu " << cpu << ':'
         << (count == 0 ? " none; neuron.trace=events keeps them" : "");
    print_line(line.text());
    for (const nexus_abi::trace_record& record : std::span{records}.subspan(first, count - first)) {
        if (!trace::is_part_of_name(record)) {
            line.clear();
            line << "  ";
            trace::describe(line, record);
            print_line(line.text());
        }
    }
}

}  // namespace

void stop_harts_for_report() {
    const CpuId self = arch::current_cpu();
    CpuMask others = task::started_cpus();
    others.remove(self);
    arch::send_ipi(others);
    const Instant deadline = arch::now() + kStopDeadline;
    while (!others.without(stopped.load()).empty() && arch::now() < deadline) {
        arch::cpu_relax();
    }
}

void note_stopped() {
    stopped.add(arch::current_cpu());
}

void describe_harts(PrintLine print_line) {
    const CpuMask harts = task::started_cpus();
    if (harts.empty()) {
        return;
    }
    print_line("harts:");
    harts.for_each([&](CpuId cpu) { describe_hart(cpu, print_line); });
    CpuMask silent = harts.without(stopped.load());
    silent.remove(arch::current_cpu());
    silent.for_each([&](CpuId cpu) { describe_stack(cpu, print_line); });
    harts.for_each([&](CpuId cpu) { describe_events(cpu, print_line); });
}

}  // namespace kernel::init
