// SPDX-License-Identifier: MIT
#include "task/hart_report.hpp"

#include "arch/riscv64/cpu.hpp"
#include "task/hart.hpp"
#include "task/process.hpp"

namespace kernel::task {

HartReport report_hart(CpuId cpu) NO_THREAD_SAFETY_ANALYSIS {
    const Hart& hart = hart_of(cpu);
    HartReport report{
        .runnable = hart.queue.runnable(),
        .switches = hart.queue.switches(),
        .section_max_ns = arch::ticks_to_ns(hart.section_max_ticks.load(std::memory_order_relaxed)),
        .section_max_what = hart.section_max_what.load(std::memory_order_relaxed)};
    if (const Task* const task = hart.current; task != nullptr) {
        report.has_task = true;
        report.tid = task->tid();
        report.pid = task->process().pid();
        report.name = task->name();
        if (const Ref<Task>& leader = task->process().leader; leader) {
            report.program = leader->name();
        }
        report.qos_class = task->entity.effective();
        report.user_pc = task->frame.pc;
    }
    return report;
}

}  // namespace kernel::task
