// SPDX-License-Identifier: MIT
#pragma once

#include "arch/riscv64/cpu.hpp"
