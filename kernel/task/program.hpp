// SPDX-License-Identifier: MIT
// Turns an executable into an address space ready to run. Internal to kernel/task.
#pragma once

#include <cstdint>

#include "arch/riscv64/trap_frame.hpp"
#include "lib/result.hpp"
#include "mm/address_space.hpp"
#include "task/lifecycle.hpp"
#include "task/process.hpp"

namespace kernel::task {

// Maps the program's segments, makes its stack with arguments, environment and auxiliary vector as the psABI
// and glibc want them, and sets the registers of its first instruction. Nothing of the file is read but its
// headers: pages come in on first touch. Returns where the arguments are. Errors: NotExecutable (the reason
// is logged), NoMemory, and what finding its interpreter gave. On an error the space holds an unspecified
// part.
Result<ArgumentsPlace> load_program(mm::AddressSpace& space, const ProgramArguments& arguments,
                                    arch::TrapFrame& frame);

}  // namespace kernel::task
