// SPDX-License-Identifier: MIT
// What the device tree says about the machine, read once at boot through libfdt (Devicetree Specification
// v0.4; RISC-V bindings of Linux 6.12). The blob comes from firmware and is not trusted: anything malformed
// is either refused with the node and property that are wrong, or left out and noted in Machine::problems.
//
// Concurrency: immutable after read_machine(). Every string_view and span points into the blob, which must
// stay mapped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "lib/cpu_mask.hpp"
#include "lib/fixed_vector.hpp"
#include "lib/format.hpp"
#include "lib/ids.hpp"

namespace kernel::fdt {

inline constexpr std::size_t kMaxMemoryRanges = 16;
inline constexpr std::size_t kMaxReservedRanges = 32;
inline constexpr std::size_t kMaxPlics = 8;
inline constexpr std::size_t kMaxAplics = 8;
inline constexpr std::size_t kMaxImsicRanges = 8;
inline constexpr std::size_t kMaxVirtioDevices = 16;
// The Linux boot protocol lets a device tree be at most 2 MiB (Documentation/arch/riscv/boot.rst).
inline constexpr std::size_t kMaxBlobBytes = 2U << 20;

// What is wrong, and where. `what` is static text; `node` and `property` may be empty.
struct Problem {
    std::string_view what;
    std::string_view node;
    std::string_view property;
};
LineWriter& operator<<(LineWriter& line, const Problem& problem);

// [start, start + bytes); bytes > 0 and the end does not wrap.
struct MemoryRange {
    PhysAddr start;
    std::uint64_t bytes{0};
    [[nodiscard]] constexpr PhysAddr end() const { return start + bytes; }
    constexpr bool operator==(const MemoryRange&) const = default;
};

struct ReservedRange {
    MemoryRange range;
    bool no_map{false};  // must not even be mapped: speculation into it may fault (the firmware's own memory)
};

// Extensions the kernel makes a choice about. Names are those of the RISC-V bindings (riscv/extensions.yaml).
struct IsaFeatures {
    bool f{false};
    bool d{false};
    bool ssaia{false};  // CSRs of the hart's IMSIC
    bool sstc{false};
    bool svade{false};  // A/D bits are set by software: a leaf without them faults
    bool svadu{false};
    bool svinval{false};
    bool svnapot{false};
    bool svpbmt{false};
    bool zihintpause{false};
    bool zicbom{false};
    bool zicboz{false};                   // true only with a valid riscv,cboz-block-size
    std::uint32_t zicboz_block_bytes{0};  // a power of two, 0 without zicboz
    constexpr bool operator==(const IsaFeatures&) const = default;
};

// Why a hart of the device tree is not used.
enum class SkipReason : std::uint8_t {
    Disabled,     // status is neither absent, "okay" nor "ok"
    MonitorCore,  // sifive,s7 or sifive,e51: no S-mode, starting it kills the firmware (VisionFive2 issue 33)
    NoMmu,        // mmu-type absent, "riscv,none" or none of sv39, sv48, sv57
    UnreadableIsa,  // neither riscv,isa-extensions nor a riscv,isa that starts with rv64
    NoBaseIsa,      // lacks one of i, m, a, c, which the kernel is compiled for
    NoDoubleFloat,  // lacks f or d, which user programs are compiled for
    DuplicateId,    // an earlier node has the same hart id
    TooMany,        // more than kMaxCpus usable harts
};
[[nodiscard]] std::string_view text(SkipReason reason);

// Where the S-mode external interrupt of a hart is controlled: context number `context` of plics[plic].
struct PlicContext {
    std::uint8_t plic{0};
    std::uint16_t context{0};
    constexpr bool operator==(const PlicContext&) const = default;
};

// Where an APLIC with direct delivery interrupts a hart: its interrupt delivery control number `idc`.
struct AplicIdc {
    std::uint8_t aplic{0};
    std::uint16_t idc{0};
    constexpr bool operator==(const AplicIdc&) const = default;
};

struct Hart {
    HartId id;
    IsaFeatures isa;
    std::uint32_t capacity_dmips_mhz{0};  // relative compute capacity; 0 = not given
    std::optional<PlicContext> plic_context;
    std::optional<AplicIdc> aplic_idc;
    // Where there are IMSICs: how APLICs that send messages name this hart.
    std::optional<std::uint16_t> message_index;
};

struct SkippedHart {
    HartId id;
    SkipReason reason{SkipReason::Disabled};
};

struct Plic {
    MemoryRange registers;
    std::uint32_t sources{0};  // riscv,ndev: sources are 1..sources
};

// Of the RISC-V Advanced Interrupt Architecture, an S-mode domain.
struct Aplic {
    MemoryRange registers;
    std::uint32_t sources{0};    // riscv,num-sources: sources are 1..sources
    bool sends_messages{false};  // to the harts' IMSICs, instead of interrupting by wire
};

// When a wire interrupts; the values are those of the device tree.
enum class Trigger : std::uint8_t { RisingEdge = 1, FallingEdge = 2, LevelHigh = 4, LevelLow = 8 };

enum class Controller : std::uint8_t { Plic, Aplic };

// Wired interrupt `source` (>= 1) of plics[index] or aplics[index].
struct WiredInterrupt {
    Controller controller{Controller::Plic};
    std::uint8_t index{0};
    std::uint32_t source{0};
    Trigger trigger{Trigger::LevelHigh};  // a PLIC has no choice
    constexpr bool operator==(const WiredInterrupt&) const = default;
};

// The "compatible" property: names from the most specific to the most general.
class Compatible {
  public:
    constexpr Compatible() = default;
    constexpr explicit Compatible(std::string_view list) : list_{list} {}
    [[nodiscard]] bool contains(std::string_view name) const;
    [[nodiscard]] std::string_view first() const { return list_.substr(0, list_.find('\0')); }
    // All of it, NUL-separated, as the property holds it.
    [[nodiscard]] std::string_view list() const { return list_; }

  private:
    std::string_view list_;  // NUL-separated, the last one terminated too
};

// The UART that /chosen/stdout-path names, by path or alias.
struct Console {
    std::string_view node;     // e.g. "serial@10000000"
    std::string_view options;  // what follows ':' in stdout-path, e.g. "115200n8"; often empty
    Compatible compatible;
    MemoryRange registers;
    std::uint32_t reg_shift{0};                       // register n is at n << reg_shift
    std::uint32_t reg_io_width{1};                    // bytes per access: 1, 2 or 4
    std::optional<std::uint32_t> clock_frequency_hz;  // absent: leave the divisor as the firmware set it
    std::optional<WiredInterrupt> interrupt;
};

struct Initrd {
    PhysAddr start;  // any alignment
    std::uint64_t bytes{0};
};

struct Machine {
    std::string_view model;     // "/" model, may be empty
    Compatible compatible;      // "/" compatible
    std::string_view bootargs;  // without the NUL
    std::span<const std::byte> rng_seed;
    std::uint64_t timebase_hz{0};

    FixedVector<Hart, kMaxCpus> harts;  // the usable ones by ascending id: harts[CpuId::value()]
    FixedVector<SkippedHart, kMaxCpus> skipped_harts;
    IsaFeatures common_isa;  // what every usable hart has

    FixedVector<MemoryRange, kMaxMemoryRanges> memory;        // by address, merged, disjoint
    FixedVector<ReservedRange, kMaxReservedRanges> reserved;  // by address; may overlap where no_map differs

    std::optional<Console> console;
    FixedVector<Plic, kMaxPlics> plics;     // those that can interrupt at least one usable hart in S-mode
    FixedVector<Aplic, kMaxAplics> aplics;  // likewise
    // Message identities 1..message_ids exist in the IMSIC of each hart that has a message_index; 0: no
    // IMSICs.
    std::uint32_t message_ids{0};
    std::optional<MemoryRange> goldfish_rtc;
    FixedVector<MemoryRange, kMaxVirtioDevices> virtio_devices;  // registers; most have no device behind them
    std::optional<Initrd> initrd;

    FixedVector<Problem, 16> problems;  // what was left out, in the order found; later ones are only counted
    std::uint32_t unlisted_problems{0};
};

// Compute capacity of harts[index] in 1024ths of the fastest hart's: 1..1024. Where a hart does not say
// (capacity-dmips-mhz, Linux's cpu-capacity binding), nothing is known about any: all are 1024.
// Pre: index < harts.size().
[[nodiscard]] std::uint32_t relative_capacity(const Machine& machine, std::size_t index);

// The size the blob claims to have. Pre: `header` is the start of a blob, at least 40 readable bytes.
// nullopt: not a device tree (magic), or larger than kMaxBlobBytes.
[[nodiscard]] std::optional<std::size_t> blob_bytes(std::span<const std::byte> header);

// Fills `machine` from `blob`, which must be aligned to 8 bytes. nullopt is success; otherwise the kernel
// cannot run on what the tree says: the blob is malformed, or names no memory, no usable hart or no timebase.
// `machine` is an out parameter because it is larger than a boot stack likes.
[[nodiscard]] std::optional<Problem> read_machine(std::span<const std::byte> blob, Machine& machine);

}  // namespace kernel::fdt
