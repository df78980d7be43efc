// SPDX-License-Identifier: MIT
// Interrupt controllers of the device tree: which of them reach a usable hart in S-mode, how they name that
// hart, and where the console's interrupt hangs. Bindings of Linux 6.12: sifive,plic-1.0.0, riscv,aplic,
// riscv,imsics.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "fdt/harts.hpp"
#include "fdt/machine.hpp"
#include "fdt/tree.hpp"

namespace kernel::fdt {

// An interrupt by the phandle of its controller, until the controllers are known.
struct UnresolvedInterrupt {
    std::uint32_t controller{0};  // 0: there is none
    std::uint32_t source{0};
    std::uint32_t trigger{0};  // second cell, where there is one
};

class InterruptReader {
  public:
    InterruptReader(const Tree& tree, Machine& machine, const HartInterruptControllers& harts)
        : tree_{tree}, machine_{machine}, harts_{harts} {}

    // In document order; `registers` is nullopt where reg is missing or cannot be translated.
    void add_plic(Node node, std::optional<MemoryRange> registers);
    void add_aplic(Node node, std::optional<MemoryRange> registers);
    // The interrupt files lie in `ranges` one after the other.
    void add_imsics(Node node, std::span<const MemoryRange> ranges);
    // After the last controller: fills machine.aplics, and console.interrupt from `console`.
    void resolve(const UnresolvedInterrupt& console);

  private:
    struct AplicNode {
        Node node{};
        MemoryRange registers;
    };

    [[nodiscard]] bool assign_contexts(Node node, Property list, std::uint8_t plic);
    [[nodiscard]] bool assign_idcs(Node node, Property list, std::uint8_t aplic);
    void resolve_aplic(const AplicNode& candidate);
    [[nodiscard]] std::optional<WiredInterrupt> find_wire(const UnresolvedInterrupt& wanted) const;
    [[nodiscard]] Hart* find_hart(std::uint32_t controller_phandle);
    // Calls f(Hart&, index) for the S-mode external interrupt of each usable hart in an interrupts-extended
    // list, with its position; true when one call was.
    template <class F>
    bool for_each_hart(Node node, Property list, F&& f);

    void problem(std::string_view what, Node node, std::string_view property = {}) {
        note(machine_, {.what = what, .node = tree_.name(node), .property = property});
    }

    const Tree& tree_;
    Machine& machine_;
    const HartInterruptControllers& harts_;
    FixedVector<std::uint32_t, kMaxPlics> plic_phandles_;
    FixedVector<std::uint32_t, kMaxAplics> aplic_phandles_;
    // Those of M-mode are among them until their harts' entries tell.
    FixedVector<AplicNode, 2 * kMaxAplics> aplic_nodes_;
    std::uint32_t imsic_phandle_{0};  // of the S-mode one
};

}  // namespace kernel::fdt
