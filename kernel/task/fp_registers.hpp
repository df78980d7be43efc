// SPDX-License-Identifier: MIT
// Whose floating point registers a hart has, for the exit path.
#pragma once

#include "arch/contract.hpp"
#include "arch/riscv64/cpu.hpp"
#include "task/hart.hpp"
#include "task/task.hpp"

namespace kernel::task {

// FP registers of the task that ran last are kept in the hart; a copy goes to the task before another hart
// could run it. An epoch names what the registers hold: tasks of the same epoch have the same contents, as a
// new thread and its creator do until one of them writes to an FP register.
inline void save_fp_if_dirty(Hart& hart, Task& task) {
    if (!arch::fp_is_dirty()) {
        return;
    }
    arch::arch_save_fp(&task.fp);
    task.fp_epoch = hart.fp_epoch = ++hart.next_fp_epoch;
    arch::fp_set_clean();
}

inline void load_fp(Hart& hart, Task& task) {
    if (task.fp_epoch == hart.fp_epoch && hart.fp_epoch != 0) {
        return;  // the registers hold what the task saved last
    }
    if (task.fp_epoch == 0) {
        task.fp_epoch = ++hart.next_fp_epoch;
    }
    arch::fp_set_clean();  // FS must not be Off for the loads
    arch::arch_restore_fp(&task.fp);
    hart.fp_epoch = task.fp_epoch;
    arch::fp_set_clean();
}

}  // namespace kernel::task
