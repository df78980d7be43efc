// SPDX-License-Identifier: MIT
// Which instruction set extensions a cpu node claims: riscv,isa-base with riscv,isa-extensions, else the
// older riscv,isa string (RISC-V ISA manual, "ISA Extension Naming Conventions"; Linux bindings
// riscv/extensions.yaml).
#pragma once

#include <optional>
#include <string_view>

#include "fdt/machine.hpp"
#include "fdt/tree.hpp"

namespace kernel::fdt {

struct Isa {
    bool i{false};
    bool m{false};
    bool a{false};
    bool c{false};
    IsaFeatures features;
};

// nullopt: neither form is there, or it is not of a 64-bit hart.
[[nodiscard]] std::optional<Isa> read_isa(const Tree& tree, Node cpu);
// The string form alone, e.g. "rv64imafdch_zicsr_sstc". Unknown letters and names are passed over.
[[nodiscard]] std::optional<Isa> parse_isa_string(std::string_view text);
// Extensions that both have; zicboz only with the same block size.
[[nodiscard]] IsaFeatures common_features(const IsaFeatures& left, const IsaFeatures& right);

}  // namespace kernel::fdt
