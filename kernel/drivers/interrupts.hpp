// SPDX-License-Identifier: MIT
// The machine's interrupt controllers, PLICs, APLICs and IMSICs: bringing them up, routing a wire to a
// handler on one CPU, moving it to another. Target only. Concurrency: start_* and route_interrupt() at boot,
// one hart; the rest as said.
#pragma once

#include <cstddef>
#include <string_view>

#include "drivers/interrupt_handlers.hpp"
#include "fdt/machine.hpp"
#include "lib/cpu_mask.hpp"
#include "lib/ids.hpp"
#include "lib/result.hpp"

namespace kernel::drivers {

// Number `index` of machine.plics, whose registers are mapped at `registers`: takes over the contexts of all
// harts it serves, with everything switched off. InvalidArgument: no such PLIC.
Result<void> start_plic(const fdt::Machine& machine, std::size_t index, VirtAddr registers);
// The same for machine.aplics.
Result<void> start_aplic(const fdt::Machine& machine, std::size_t index, VirtAddr registers);
// The calling hart's own part of them. Each hart once, before it takes interrupts and any is routed to it.
void start_hart_interrupts(const fdt::Machine& machine);

// True when the wire's controller was started and can interrupt `cpu`.
[[nodiscard]] bool can_reach(const fdt::Machine& machine, const fdt::WiredInterrupt& wire, CpuId cpu);
// From now on `wire` calls `handler` on `cpu`. NotSupported: !can_reach(). NoSpace: too many handlers.
// Exists: the wire has a handler.
Result<void> route_interrupt(const fdt::Machine& machine, const fdt::WiredInterrupt& wire,
                             InterruptHandler handler, CpuId cpu);
// Moves a routed wire from the calling CPU, `from`, to `to`. NotSupported: `to` cannot take it.
Result<void> move_interrupt(const fdt::Machine& machine, const fdt::WiredInterrupt& wire, CpuId from,
                            CpuId to);

// What route_interrupt() goes by, for people: "PLIC", "APLIC" or "APLIC and IMSIC".
[[nodiscard]] std::string_view controller_name(const fdt::Machine& machine, const fdt::WiredInterrupt& wire);

// The calling hart took an S-mode external interrupt, or saw sip.SEIP pending while it had interrupts off.
void handle_external_interrupt();

}  // namespace kernel::drivers
