// SPDX-License-Identifier: MIT
#include "syscall/map_audit.hpp"

#include "lib/check.hpp"
#include "lib/log.hpp"
#include "mm/kernel_map.hpp"
#include "mm/map_audit.hpp"
#include "task/process.hpp"
#include "task/task.hpp"
#include "task/task_table.hpp"

namespace kernel::syscall {

namespace {

[[noreturn]] void fail(std::string_view whose, TaskId pid, const mm::AuditResult& found) {
    log::error("map audit: ", whose, " ", pid, ": ", mm::text(found.finding), " at ",
               hex(found.where.value()));
    check_failed("every page is as the map promises", "map_audit", 0);
}

}  // namespace

MapAudit audit_all_maps() {
    MapAudit seen;
    if (const auto found = mm::kernel_map().audit(); found.has_value()) {
        fail("kernel", TaskId{0}, *found);
    }
    TaskId at{0};
    while (const Ref<task::Task> task = task::lookup_next_task(at)) {
        at = task->tid();
        task::Process& process = task->process();
        if (process.pid() != task->tid()) {
            continue;
        }
        task::with_space(process, [&](mm::AddressSpace& space) {
            if (const auto found = space.audit(seen.pages); found.has_value()) {
                fail("pid", process.pid(), *found);
            }
            ++seen.spaces;
        });
    }
    return seen;
}

}  // namespace kernel::syscall
