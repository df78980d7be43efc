// SPDX-License-Identifier: MIT
#include "fdt/machine.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <new>
#include <type_traits>

#include "fdt/harts.hpp"
#include "fdt/interrupts.hpp"
#include "fdt/tree.hpp"

namespace kernel::fdt {

namespace {

// The specification's defaults for #address-cells and #size-cells (2.3.5).
constexpr std::uint32_t kDefaultAddressCells = 2;
constexpr std::uint32_t kDefaultSizeCells = 1;

constexpr std::array<std::string_view, 3> kPlicNames{"sifive,plic-1.0.0", "riscv,plic0", "thead,c900-plic"};

bool is_any_of(Compatible compatible, std::span<const std::string_view> names) {
    return std::any_of(names.begin(), names.end(),
                       [compatible](std::string_view name) { return compatible.contains(name); });
}

constexpr bool wraps(std::uint64_t start, std::uint64_t bytes) {
    return bytes > std::numeric_limits<std::uint64_t>::max() - start;
}

// How the children of a node on the way down are to be read.
struct Level {
    Node node{};
    std::uint32_t address_cells{kDefaultAddressCells};
    std::uint32_t size_cells{kDefaultSizeCells};
    std::uint32_t interrupt_parent{0};  // phandle; 0: none so far
};

class MachineReader {
  public:
    MachineReader(const Tree& tree, Machine& machine) : tree_{tree}, machine_{machine} {}
    [[nodiscard]] std::optional<Problem> read();

  private:
    void read_root();
    void read_chosen();
    void read_initrd(Node chosen);
    void find_console(std::string_view stdout_path);
    void walk();
    void visit(Node node, std::size_t depth);
    void enter(Node node, std::size_t depth);
    void read_memory(Node node, std::size_t depth);
    void read_reserved(Node node, std::size_t depth);
    void read_memory_reservations();
    void read_console(Node node, std::size_t depth);
    void read_imsics(Node node, std::size_t depth);
    void finish_ranges();

    [[nodiscard]] std::optional<MemoryRange> read_range(Property reg, std::size_t index,
                                                        std::size_t depth) const;
    [[nodiscard]] std::optional<MemoryRange> read_registers(Node node, std::size_t depth,
                                                            std::size_t index = 0) const;
    [[nodiscard]] std::optional<std::uint64_t> translate(std::uint64_t address, std::size_t depth) const;
    [[nodiscard]] UnresolvedInterrupt read_interrupt(Node node, std::size_t depth) const;

    void problem(std::string_view what, Node node, std::string_view property = {}) {
        note(machine_, {.what = what, .node = tree_.name(node), .property = property});
    }

    const Tree& tree_;
    Machine& machine_;
    HartInterruptControllers controllers_;
    std::array<Level, kMaxDepth + 1> levels_{};  // levels_[d] is the node at depth d on the current path
    std::optional<Node> console_node_;
    std::string_view console_options_;
    UnresolvedInterrupt console_interrupt_;
    InterruptReader interrupts_{tree_, machine_, controllers_};
};

std::optional<Problem> MachineReader::read() {
    read_root();
    read_chosen();
    if (const auto failure = read_harts(tree_, machine_, controllers_)) {
        return failure;
    }
    read_memory_reservations();
    walk();
    interrupts_.resolve(console_interrupt_);
    finish_ranges();
    if (machine_.memory.empty()) {
        return Problem{.what = "no usable memory node", .node = "/", .property = "memory"};
    }
    return std::nullopt;
}

void MachineReader::read_root() {
    machine_.model = tree_.text(Tree::root(), "model");
    machine_.compatible = tree_.compatible(Tree::root());
}

void MachineReader::read_chosen() {
    const auto chosen = tree_.find("/chosen");
    if (!chosen) {
        return;
    }
    machine_.bootargs = tree_.text(*chosen, "bootargs");
    if (const auto seed = tree_.property(*chosen, "rng-seed")) {
        machine_.rng_seed = seed->bytes();
    }
    read_initrd(*chosen);
    if (const auto stdout_path = tree_.property(*chosen, "stdout-path")) {
        if (const auto text = stdout_path->text()) {
            find_console(*text);
        }
        if (!console_node_) {
            problem("names no node", *chosen, "stdout-path");
        }
    }
}

// QEMU writes both ends as one cell, U-Boot as two.
void MachineReader::read_initrd(Node chosen) {
    const auto start = tree_.property(chosen, "linux,initrd-start");
    const auto end = tree_.property(chosen, "linux,initrd-end");
    if (!start && !end) {
        return;
    }
    const auto first = start ? start->whole_number() : std::nullopt;
    const auto last = end ? end->whole_number() : std::nullopt;
    if (!first || !last || *first >= *last) {
        problem("start and end are not one or two cells each with start < end", chosen, "linux,initrd-start");
        return;
    }
    machine_.initrd = Initrd{.start = PhysAddr{*first}, .bytes = *last - *first};
}

// "/soc/serial@10000000", "serial0", either with ":options". libfdt would follow aliases too, but without end
// when one names itself.
void MachineReader::find_console(std::string_view stdout_path) {
    const std::size_t colon = std::min(stdout_path.find(':'), stdout_path.size());
    std::string_view path = stdout_path.substr(0, colon);
    if (!path.starts_with('/')) {
        const auto aliases = tree_.find("/aliases");
        std::array<char, 32> name{};  // the specification allows 31 characters (3.3)
        if (!aliases || path.empty() || path.size() >= name.size()) {
            return;
        }
        std::copy(path.begin(), path.end(), name.begin());
        path = tree_.text(*aliases, name.data());
    }
    console_node_ = tree_.find(path);
    console_options_ = stdout_path.substr(std::min(colon + 1, stdout_path.size()));
}

void MachineReader::walk() {
    int depth = 0;
    for (std::optional<Node> node = Tree::root(); node && depth >= 0; node = tree_.next(*node, depth)) {
        const auto level = static_cast<std::size_t>(depth);
        if (level > kMaxDepth) {
            return;  // refused by Tree::check
        }
        enter(*node, level);
        if (level > 0) {
            visit(*node, level);
        }
    }
}

void MachineReader::enter(Node node, std::size_t depth) {
    const std::uint32_t inherited = depth == 0 ? 0 : levels_[depth - 1].interrupt_parent;
    levels_[depth] = Level{.node = node,
                           .address_cells = tree_.cell_or(node, "#address-cells", kDefaultAddressCells),
                           .size_cells = tree_.cell_or(node, "#size-cells", kDefaultSizeCells),
                           .interrupt_parent = tree_.cell_or(node, "interrupt-parent", inherited)};
}

void MachineReader::visit(Node node, std::size_t depth) {
    if (node == console_node_) {
        read_console(node, depth);
        return;
    }
    const std::string_view parent = tree_.name(levels_[depth - 1].node);
    if (depth == 2 && parent == "reserved-memory") {
        read_reserved(node, depth);
        return;
    }
    if (depth == 1 && tree_.text(node, "device_type") == "memory") {
        read_memory(node, depth);
        return;
    }
    const Compatible compatible = tree_.compatible(node);
    if (is_any_of(compatible, kPlicNames)) {
        interrupts_.add_plic(node, read_registers(node, depth));
    } else if (compatible.contains("riscv,aplic")) {
        interrupts_.add_aplic(node, read_registers(node, depth));
    } else if (compatible.contains("riscv,imsics")) {
        read_imsics(node, depth);
    } else if (compatible.contains("google,goldfish-rtc") && tree_.is_available(node)) {
        machine_.goldfish_rtc = read_registers(node, depth);
    } else if (compatible.contains("virtio,mmio") && tree_.is_available(node)) {
        const auto registers = read_registers(node, depth);
        if (registers && !machine_.virtio_devices.try_push(*registers)) {
            problem("more than 16 virtio devices", node, "reg");
        }
    }
}

void MachineReader::read_memory(Node node, std::size_t depth) {
    const auto reg = tree_.property(node, "reg");
    if (!reg) {
        problem("is missing", node, "reg");
        return;
    }
    if (!tree_.is_available(node)) {
        return;
    }
    const Level& parent = levels_[depth - 1];
    const std::size_t entry_cells = std::size_t{parent.address_cells} + parent.size_cells;
    for (std::size_t index = 0; (index + 1) * entry_cells <= reg->cell_count() && entry_cells != 0; ++index) {
        const auto range = read_range(*reg, index, depth);
        if (!range) {
            problem("is no address range", node, "reg");
        } else if (range->bytes != 0 && !machine_.memory.try_push(*range)) {
            problem("more than 16 memory ranges", node, "reg");
        }
    }
}

void MachineReader::read_reserved(Node node, std::size_t depth) {
    const auto reg = tree_.property(node, "reg");
    if (!reg || !tree_.is_available(node)) {
        return;  // without reg the range is the reader's choice, and we choose none
    }
    const bool no_map = tree_.has(node, "no-map");
    const Level& parent = levels_[depth - 1];
    const std::size_t entry_cells = std::size_t{parent.address_cells} + parent.size_cells;
    for (std::size_t index = 0; (index + 1) * entry_cells <= reg->cell_count() && entry_cells != 0; ++index) {
        const auto range = read_range(*reg, index, depth);
        if (!range) {
            problem("is no address range", node, "reg");
        } else if (range->bytes != 0 && !machine_.reserved.try_push({.range = *range, .no_map = no_map})) {
            problem("more than 32 reserved ranges", node, "reg");
        }
    }
}

void MachineReader::read_memory_reservations() {
    for (int index = 0;; ++index) {
        const auto range = tree_.memory_reservation(index);
        if (!range) {
            return;
        }
        if (wraps(range->start.value(), range->bytes)) {
            problem("an entry wraps around", Tree::root(), "memreserve");
        } else if (range->bytes != 0 && !machine_.reserved.try_push({.range = *range, .no_map = false})) {
            problem("more than 32 reserved ranges", Tree::root(), "memreserve");
        }
    }
}

void MachineReader::read_console(Node node, std::size_t depth) {
    const auto registers = read_registers(node, depth);
    if (!registers || !tree_.is_available(node)) {
        problem("the console is disabled or its reg cannot be translated", node, "reg");
        return;
    }
    Console console{.node = tree_.name(node),
                    .options = console_options_,
                    .compatible = tree_.compatible(node),
                    .registers = *registers,
                    .reg_shift = tree_.cell_or(node, "reg-shift", 0),
                    .reg_io_width = tree_.cell_or(node, "reg-io-width", 1),
                    .clock_frequency_hz = std::nullopt,
                    .interrupt = std::nullopt};
    const std::uint32_t width = console.reg_io_width;
    if (console.reg_shift > 4 || (width != 1 && width != 2 && width != 4)) {
        problem("reg-shift is over 4 or reg-io-width is not 1, 2 or 4", node, "reg-shift");
        return;
    }
    if (const std::uint32_t clock = tree_.cell_or(node, "clock-frequency", 0); clock != 0) {
        console.clock_frequency_hz = clock;
    }
    console_interrupt_ = read_interrupt(node, depth);
    machine_.console = console;
}

void MachineReader::read_imsics(Node node, std::size_t depth) {
    FixedVector<MemoryRange, kMaxImsicRanges> ranges;
    for (auto range = read_registers(node, depth); range;
         range = read_registers(node, depth, ranges.size())) {
        if (!ranges.try_push(*range)) {
            problem("more than 8 ranges of interrupt files", node, "reg");
            break;
        }
    }
    interrupts_.add_imsics(node, {ranges.begin(), ranges.size()});
}

// Sorts both lists and joins what touches or overlaps: all memory, and reserved ranges of the same kind.
void MachineReader::finish_ranges() {
    auto& memory = machine_.memory;
    std::sort(memory.begin(), memory.end(),
              [](const MemoryRange& left, const MemoryRange& right) { return left.start < right.start; });
    std::size_t kept = 0;
    for (const MemoryRange& range : memory) {
        if (kept != 0 && range.start <= memory[kept - 1].end()) {
            memory[kept - 1].bytes = std::max(memory[kept - 1].end(), range.end()) - memory[kept - 1].start;
        } else {
            memory[kept++] = range;
        }
    }
    memory.shrink_to(kept);

    auto& reserved = machine_.reserved;
    std::sort(reserved.begin(), reserved.end(), [](const ReservedRange& left, const ReservedRange& right) {
        return left.range.start < right.range.start;
    });
    kept = 0;
    for (const ReservedRange& range : reserved) {
        if (kept != 0 && range.no_map == reserved[kept - 1].no_map &&
            range.range.start <= reserved[kept - 1].range.end()) {
            MemoryRange& last = reserved[kept - 1].range;
            last.bytes = std::max(last.end(), range.range.end()) - last.start;
        } else {
            reserved[kept++] = range;
        }
    }
    reserved.shrink_to(kept);
}

// Entry `index` of a reg property of a node at `depth`, in its parent's address space.
std::optional<MemoryRange> MachineReader::read_range(Property reg, std::size_t index,
                                                     std::size_t depth) const {
    const Level& parent = levels_[depth - 1];
    const std::size_t first = index * (std::size_t{parent.address_cells} + parent.size_cells);
    const auto start = reg.number(first, parent.address_cells);
    const auto bytes = reg.number(first + parent.address_cells, parent.size_cells);
    if (!start || !bytes || parent.address_cells == 0 || wraps(*start, *bytes)) {
        return std::nullopt;
    }
    return MemoryRange{.start = PhysAddr{*start}, .bytes = *bytes};
}

// Entry `index` of reg as a CPU sees it.
std::optional<MemoryRange> MachineReader::read_registers(Node node, std::size_t depth,
                                                         std::size_t index) const {
    const auto reg = tree_.property(node, "reg");
    auto range = reg ? read_range(*reg, index, depth) : std::nullopt;
    if (!range) {
        return std::nullopt;
    }
    const auto start = translate(range->start.value(), depth);
    if (!start || wraps(*start, range->bytes)) {
        return std::nullopt;
    }
    return MemoryRange{.start = PhysAddr{*start}, .bytes = range->bytes};
}

// Takes an address used by a node at `depth` up through the "ranges" of every bus above it
// (specification 2.3.8).
std::optional<std::uint64_t> MachineReader::translate(std::uint64_t address, std::size_t depth) const {
    for (std::size_t bus = depth - 1; bus > 0; --bus) {
        const auto ranges = tree_.property(levels_[bus].node, "ranges");
        if (!ranges) {
            return std::nullopt;
        }
        if (ranges->bytes().empty()) {
            continue;  // identity
        }
        const std::size_t child_cells = levels_[bus].address_cells;
        const std::size_t parent_cells = levels_[bus - 1].address_cells;
        const std::size_t size_cells = levels_[bus].size_cells;
        const std::size_t entry_cells = child_cells + parent_cells + size_cells;
        std::optional<std::uint64_t> translated;
        for (std::size_t cell = 0; cell + entry_cells <= ranges->cell_count() && !translated;
             cell += entry_cells) {
            const auto child = ranges->number(cell, child_cells);
            const auto parent = ranges->number(cell + child_cells, parent_cells);
            const auto bytes = ranges->number(cell + child_cells + parent_cells, size_cells);
            if (child && parent && bytes && address >= *child && address - *child < *bytes &&
                !wraps(*parent, address - *child)) {
                translated = *parent + (address - *child);
            }
            if (entry_cells == 0) {
                break;
            }
        }
        if (!translated) {
            return std::nullopt;
        }
        address = *translated;
    }
    return address;
}

UnresolvedInterrupt MachineReader::read_interrupt(Node node, std::size_t depth) const {
    if (const auto extended = tree_.property(node, "interrupts-extended");
        extended && extended->cell_count() >= 2) {
        return {.controller = extended->cell(0),
                .source = extended->cell(1),
                .trigger = extended->cell_count() > 2 ? extended->cell(2) : 0};
    }
    const auto interrupts = tree_.property(node, "interrupts");
    if (!interrupts || interrupts->cell_count() == 0) {
        return {};
    }
    return {.controller = levels_[depth].interrupt_parent,
            .source = interrupts->cell(0),
            .trigger = interrupts->cell_count() > 1 ? interrupts->cell(1) : 0};
}

}  // namespace

LineWriter& operator<<(LineWriter& line, const Problem& problem) {
    if (!problem.node.empty()) {
        line << problem.node << ": ";
    }
    if (!problem.property.empty()) {
        line << problem.property << ": ";
    }
    return line << problem.what;
}

bool Compatible::contains(std::string_view name) const {
    for (std::string_view rest = list_; !rest.empty();) {
        const std::size_t end = std::min(rest.find('\0'), rest.size());
        if (rest.substr(0, end) == name) {
            return true;
        }
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return false;
}

std::optional<Problem> read_machine(std::span<const std::byte> blob, Machine& machine) {
    // In place: an assignment would build a second Machine on the boot stack.
    static_assert(std::is_trivially_destructible_v<Machine>);
    new (&machine) Machine{};
    if (const auto failure = Tree::check(blob)) {
        return failure;
    }
    const Tree tree{blob};
    return MachineReader{tree, machine}.read();
}

}  // namespace kernel::fdt
