// SPDX-License-Identifier: MIT
// A device tree from firmware that lies: refused with a reason, or a machine within its promised limits.
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "fdt/machine.hpp"
#include "mutators.hpp"
#include "target.hpp"

namespace {

using fuzz::require;
using kernel::fdt::Machine;

void require_sound(const Machine& machine, std::string_view blob) {
    require(!machine.harts.empty() && !machine.memory.empty() && machine.timebase_hz > 0,
            "an accepted machine has harts, memory and a clock");
    for (std::size_t i = 0; i < machine.memory.size(); ++i) {
        const auto& range = machine.memory[i];
        require(range.bytes > 0 && range.start.value() + range.bytes > range.start.value(),
                "ranges do not wrap");
        require(i == 0 || machine.memory[i - 1].end() < range.start, "memory is ascending, merged, disjoint");
    }
    for (std::size_t i = 0; i < machine.reserved.size(); ++i) {
        require(i == 0 || machine.reserved[i - 1].range.start <= machine.reserved[i].range.start,
                "reserved ranges ascend");
    }
    for (std::size_t i = 0; i < machine.harts.size(); ++i) {
        const auto& hart = machine.harts[i];
        require(i == 0 || machine.harts[i - 1].id < hart.id, "hart ids ascend");
        require(!hart.plic_context || hart.plic_context->plic < machine.plics.size(), "a hart's PLIC exists");
        require(!hart.aplic_idc || hart.aplic_idc->aplic < machine.aplics.size(), "a hart's APLIC exists");
        const std::uint32_t block = hart.isa.zicboz_block_bytes;
        require(hart.isa.zicboz == (block != 0) && (block & (block - 1)) == 0, "zicboz has a block size");
        const std::uint32_t capacity = kernel::fdt::relative_capacity(machine, i);
        require(capacity >= 1 && capacity <= 1024, "capacities are 1..1024");
    }
    if (machine.console && machine.console->interrupt) {
        const auto& wire = *machine.console->interrupt;
        require(wire.index < (wire.controller == kernel::fdt::Controller::Plic ? machine.plics.size()
                                                                               : machine.aplics.size()),
                "the console's interrupt controller exists");
        require(wire.source >= 1, "sources count from 1");
    }
    for (const std::string_view text :
         {machine.model, machine.bootargs, machine.compatible.list(), fuzz::as_text(machine.rng_seed),
          machine.console ? machine.console->node : std::string_view{},
          machine.console ? machine.console->options : std::string_view{}}) {
        require(fuzz::is_inside(text, blob), "texts point into the blob");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // In its exact size on the heap, aligned as the kernel's copy is.
    const std::unique_ptr<std::byte[]> copy{new std::byte[size]};
    if (size > 0) {
        std::memcpy(copy.get(), data, size);
    }
    const std::span<const std::byte> blob{copy.get(), size};
    const auto bytes = kernel::fdt::blob_bytes(blob);
    require(!bytes || *bytes <= kernel::fdt::kMaxBlobBytes, "blobs are at most 2 MiB");
    static const auto machine = std::make_unique<Machine>();
    *machine = Machine{};
    const auto problem = kernel::fdt::read_machine(blob, *machine);
    if (problem) {
        require(!problem->what.empty(), "a refusal says why");
    } else {
        require_sound(*machine, fuzz::as_text(blob));
    }
    kernel::Line<256> line;
    for (const auto& note : machine->problems) {
        line << note;
    }
    return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned int seed) {
    fuzz::Random random{seed};
    if (fuzz::below(random, 2) == 0) {
        fuzz::change_field({data, size}, 4, true, random);
        return size;
    }
    return LLVMFuzzerMutate(data, size, max_size);
}
