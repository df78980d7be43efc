// SPDX-License-Identifier: MIT
// What is left of a program that a fault killed: its registers, and where it may have been called from, for
// scripts/symbolize.
#pragma once

#include "task/task.hpp"

namespace kernel::init {

// Logs, at level Info, lines that begin with "crash PID:": those of other harts may come in between. Ten
// reports at once and one each second after that; further ones are left out. Pre: the task's own hart, no
// lock is held, task.frame is complete.
void report_crash(task::Task& task);

}  // namespace kernel::init
