// SPDX-License-Identifier: MIT
// Aplic: one S-mode domain of an advanced platform-level interrupt controller (RISC-V Advanced Interrupt
// Architecture 1.0, chapter 4). With direct delivery it interrupts harts through one interrupt delivery
// control (IDC) each; else it sends messages to their IMSICs (drivers/imsic.hpp). Firmware has delegated the
// sources; registers are in any state.
//
// `Registers` has std::uint32_t read(std::uint64_t offset, width) and void write(offset, width, value).
// Concurrency: start(), add_idc() and set_handler() at boot, one hart; handle() on each hart for its own IDC;
// the rest on any.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "drivers/interrupt_handlers.hpp"
#include "fdt/machine.hpp"
#include "lib/cpu_mask.hpp"
#include "lib/ids.hpp"
#include "lib/result.hpp"

namespace kernel::drivers {

// Memory map: AIA 4.5, tables 4.1 and 4.2.
namespace aplic_map {
inline constexpr std::uint64_t kDomainConfig = 0x0000;
inline constexpr std::uint64_t kSourceConfig = 0x0004;  // + 4 * (source - 1)
inline constexpr std::uint64_t kSetEnable = 0x1edc;     // the number of a source
inline constexpr std::uint64_t kClearEnables = 0x1f00;  // + 4 * (source / 32), a bit each
inline constexpr std::uint64_t kClearEnable = 0x1fdc;   // the number of a source
inline constexpr std::uint64_t kSetPending = 0x2000;    // the number of a source, little-endian
inline constexpr std::uint64_t kTarget = 0x3004;        // + 4 * (source - 1)
inline constexpr std::uint64_t kIdc = 0x4000;           // + 0x20 * idc
inline constexpr std::uint64_t kIdcStride = 0x20;
inline constexpr std::uint64_t kIdcDelivery = 0x00;
inline constexpr std::uint64_t kIdcForce = 0x04;
inline constexpr std::uint64_t kIdcThreshold = 0x08;
inline constexpr std::uint64_t kIdcClaim = 0x1c;
inline constexpr std::uint32_t kMaxSource = 1023;

inline constexpr std::uint32_t kInterruptsOn = 1U << 8;  // of domaincfg
inline constexpr std::uint32_t kMessages = 1U << 2;      // of domaincfg
inline constexpr std::uint32_t kHartShift = 18;          // of target
inline constexpr std::uint32_t kClaimShift = 16;         // of claimi: source, then priority
// Source modes of sourcecfg.
inline constexpr std::uint32_t kInactive = 0;
inline constexpr std::uint32_t kRisingEdge = 4;
inline constexpr std::uint32_t kFallingEdge = 5;
inline constexpr std::uint32_t kLevelHigh = 6;
inline constexpr std::uint32_t kLevelLow = 7;
}  // namespace aplic_map

template <class Registers>
class Aplic {
  public:
    // As of a PLIC: what is left comes up again at the next chance.
    static constexpr std::uint32_t kMaxClaims = 16;

    // `sources` is riscv,num-sources: sources are 1..sources.
    constexpr Aplic(Registers registers, std::uint32_t sources)
        : registers_{registers},
          sources_{sources < aplic_map::kMaxSource ? sources : aplic_map::kMaxSource} {}

    // Switches every source off, then the domain on.
    void start(bool sends_messages) {
        sends_messages_ = sends_messages;
        write(aplic_map::kDomainConfig, 0);
        for (std::uint32_t word = 0; word <= sources_ / 32; ++word) {
            write(aplic_map::kClearEnables + 4 * std::uint64_t{word}, ~std::uint32_t{0});
        }
        for (std::uint32_t source = 1; source <= sources_; ++source) {
            write(source_register(aplic_map::kSourceConfig, source), aplic_map::kInactive);
        }
        write(aplic_map::kDomainConfig,
              aplic_map::kInterruptsOn | (sends_messages ? aplic_map::kMessages : 0));
    }

    // Direct delivery: makes `idc` the one of `cpu`, open for every priority. InvalidArgument.
    Result<void> add_idc(CpuId cpu, std::uint32_t idc) {
        if (cpu.value() >= kMaxCpus || idc >= 1U << (32 - aplic_map::kHartShift)) {
            return Error::InvalidArgument;
        }
        idcs_[cpu.value()] = idc;
        start_idc(cpu);
        return {};
    }
    // Each hart once more for itself, as of a PLIC: what firmware does to a hart it starts is its own affair.
    void start_idc(CpuId cpu) {
        if (!has_idc(cpu)) {
            return;
        }
        const std::uint64_t base = idc_register(*idcs_[cpu.value()], 0);
        write(base + aplic_map::kIdcForce, 0);
        write(base + aplic_map::kIdcThreshold, 0);
        write(base + aplic_map::kIdcDelivery, 1);
    }
    [[nodiscard]] bool has_idc(CpuId cpu) const {
        return cpu.value() < kMaxCpus && idcs_[cpu.value()].has_value();
    }

    // Direct delivery: as InterruptHandlers::set().
    Result<void> set_handler(std::uint32_t source, InterruptHandler handler) {
        return source > sources_ ? Error::InvalidArgument : handlers_.set(source, handler);
    }

    // Direct delivery: lets `source` interrupt `cpu`, and no other hart. InvalidArgument: no such source, or
    // the CPU has no IDC here.
    Result<void> enable(std::uint32_t source, fdt::Trigger trigger, CpuId cpu) {
        if (!has_idc(cpu)) {
            return Error::InvalidArgument;
        }
        constexpr std::uint32_t kPriority = 1;
        return enable_to(source, trigger, *idcs_[cpu.value()] << aplic_map::kHartShift | kPriority);
    }
    // By message: lets `source` send `identity` to the hart with that message index. InvalidArgument.
    Result<void> enable_message(std::uint32_t source, fdt::Trigger trigger, std::uint16_t message_index,
                                std::uint32_t identity) {
        return enable_to(source, trigger, std::uint32_t{message_index} << aplic_map::kHartShift | identity);
    }
    // By message, after the handler: a level that is still up sends again.
    void rearm(std::uint32_t source, fdt::Trigger trigger) {
        if (trigger == fdt::Trigger::LevelHigh || trigger == fdt::Trigger::LevelLow) {
            write(aplic_map::kSetPending, source);
        }
    }

    // Direct delivery: claims and handles what is pending for the calling hart, `cpu`; returns how many. A
    // source without a handler is switched off and counted.
    std::uint32_t handle(CpuId cpu) {
        if (sends_messages_ || !has_idc(cpu)) {
            return 0;
        }
        const std::uint64_t claim = idc_register(*idcs_[cpu.value()], aplic_map::kIdcClaim);
        std::uint32_t handled = 0;
        while (handled < kMaxClaims) {
            const std::uint32_t source = read(claim) >> aplic_map::kClaimShift;
            if (source == 0) {
                break;
            }
            if (const InterruptHandler handler = handlers_.find(source); handler != nullptr) {
                handler(source);
            } else {
                write(aplic_map::kClearEnable, source);
                unexpected_.fetch_add(1, std::memory_order_relaxed);
            }
            ++handled;
        }
        return handled;
    }
    // Interrupts that came from sources nobody handles, on all harts.
    [[nodiscard]] std::uint64_t unexpected() const { return unexpected_.load(std::memory_order_relaxed); }

  private:
    [[nodiscard]] static constexpr std::uint64_t source_register(std::uint64_t first, std::uint32_t source) {
        return first + 4 * (std::uint64_t{source} - 1);
    }
    [[nodiscard]] static constexpr std::uint64_t idc_register(std::uint32_t idc, std::uint64_t offset) {
        return aplic_map::kIdc + aplic_map::kIdcStride * idc + offset;
    }
    [[nodiscard]] static constexpr std::uint32_t mode_of(fdt::Trigger trigger) {
        switch (trigger) {
            case fdt::Trigger::RisingEdge:
                return aplic_map::kRisingEdge;
            case fdt::Trigger::FallingEdge:
                return aplic_map::kFallingEdge;
            case fdt::Trigger::LevelLow:
                return aplic_map::kLevelLow;
            case fdt::Trigger::LevelHigh:
                break;
        }
        return aplic_map::kLevelHigh;
    }
    // A target may be changed while its source is on; an interrupt then goes to the one or the other.
    Result<void> enable_to(std::uint32_t source, fdt::Trigger trigger, std::uint32_t target) {
        if (source == 0 || source > sources_) {
            return Error::InvalidArgument;
        }
        const std::uint64_t config = source_register(aplic_map::kSourceConfig, source);
        if (const std::uint32_t mode = mode_of(trigger); read(config) != mode) {
            write(config, mode);
        }
        write(source_register(aplic_map::kTarget, source), target);
        write(aplic_map::kSetEnable, source);
        if (sends_messages_) {
            rearm(source, trigger);  // it may have gone up before the source was on
        }
        return {};
    }
    [[nodiscard]] std::uint32_t read(std::uint64_t offset) { return registers_.read(offset, 4); }
    void write(std::uint64_t offset, std::uint32_t value) { registers_.write(offset, 4, value); }

    Registers registers_;
    std::uint32_t sources_;
    bool sends_messages_{false};
    std::array<std::optional<std::uint32_t>, kMaxCpus> idcs_{};
    InterruptHandlers handlers_;
    std::atomic<std::uint64_t> unexpected_{0};
};

}  // namespace kernel::drivers
