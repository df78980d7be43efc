// SPDX-License-Identifier: MIT
// Plic: one platform-level interrupt controller (RISC-V PLIC specification 1.0.0; SiFive U54-MC manual 20G1,
// chapter 8). A context is one (hart, mode) pair; ours are the S-mode ones the device tree names. Registers
// come out of reset, or from firmware, in any state: enable bits were found set at random on the JH7110.
//
// `Registers` has std::uint32_t read(std::uint64_t offset) and void write(std::uint64_t offset, std::uint32_t
// value). Concurrency: add_context() and set_handler() at boot, one hart; handle() on each hart for its own
// context; enable() and move() on any.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "drivers/interrupt_handlers.hpp"
#include "lib/cpu_mask.hpp"
#include "lib/ids.hpp"
#include "lib/result.hpp"
#include "sync/spinlock.hpp"

namespace kernel::drivers {

// Memory map: PLIC specification, chapter 3.
namespace plic_map {
inline constexpr std::uint64_t kPriority = 0;     // + 4 * source
inline constexpr std::uint64_t kEnable = 0x2000;  // + 0x80 * context + 4 * (source / 32)
inline constexpr std::uint64_t kEnableStride = 0x80;
inline constexpr std::uint64_t kThreshold = 0x200000;  // + 0x1000 * context
inline constexpr std::uint64_t kClaim = 0x200004;      // + 0x1000 * context; read = claim, write = complete
inline constexpr std::uint64_t kContextStride = 0x1000;
inline constexpr std::uint32_t kMaxSource = 1023;
inline constexpr std::uint32_t kMaxContext = 15871;
}  // namespace plic_map

template <class Registers>
class Plic {
  public:
    // Interrupts handled in one go; a source that keeps screaming is taken up again after the next return to
    // user mode.
    static constexpr std::uint32_t kMaxClaims = 16;

    // `sources` is riscv,ndev: sources are 1..sources. Larger than the specification's 1023 counts as 1023.
    constexpr Plic(Registers registers, std::uint32_t sources)
        : registers_{registers}, sources_{sources < plic_map::kMaxSource ? sources : plic_map::kMaxSource} {}

    // Makes `context` the one of `cpu`: nothing enabled, every priority above 0 let through.
    Result<void> add_context(CpuId cpu, std::uint32_t context) {
        if (cpu.value() >= kMaxCpus || context > plic_map::kMaxContext) {
            return Error::InvalidArgument;
        }
        contexts_[cpu.value()] = context;
        start_context(cpu);
        return {};
    }

    // Nothing enabled for `cpu` any more, every priority above 0 let through. Each hart once more for itself:
    // OpenSBI sets the threshold of a hart it starts so that nothing comes through.
    void start_context(CpuId cpu) {
        if (!has_context(cpu)) {
            return;
        }
        const std::uint32_t context = *contexts_[cpu.value()];
        for (std::uint32_t word = 0; word <= sources_ / 32; ++word) {
            write(enable_word(context, word), 0);
        }
        write(plic_map::kThreshold + plic_map::kContextStride * context, 0);
    }

    // As InterruptHandlers::set().
    Result<void> set_handler(std::uint32_t source, InterruptHandler handler) {
        return source > sources_ ? Error::InvalidArgument : handlers_.set(source, handler);
    }

    // Lets `source` interrupt `cpu`. InvalidArgument: no such source, or the CPU has no context here.
    Result<void> enable(std::uint32_t source, CpuId cpu) {
        if (source == 0 || source > sources_ || cpu.value() >= kMaxCpus ||
            !contexts_[cpu.value()].has_value()) {
            return Error::InvalidArgument;
        }
        set_enabled(source, *contexts_[cpu.value()], true);
        write(plic_map::kPriority + 4 * std::uint64_t{source}, 1);
        return {};
    }

    // Lets `source` interrupt `to` instead of `from`. Pre: `from` is the calling hart: it is not in the
    // middle of a claim, whose completion the PLIC would ignore once the source is off. InvalidArgument: as
    // enable(); nothing has changed.
    Result<void> move(std::uint32_t source, CpuId from, CpuId to) {
        if (from.value() >= kMaxCpus || !contexts_[from.value()].has_value()) {
            return Error::InvalidArgument;
        }
        TRY(enable(source, to));
        set_enabled(source, *contexts_[from.value()], false);
        return {};
    }

    // Claims, handles and completes what is pending for the calling hart, `cpu`. Returns how many were
    // handled. A source without a handler is switched off for this hart and counted: it would come back at
    // once.
    std::uint32_t handle(CpuId cpu) {
        if (cpu.value() >= kMaxCpus || !contexts_[cpu.value()].has_value()) {
            return 0;
        }
        const std::uint32_t context = *contexts_[cpu.value()];
        const std::uint64_t claim = plic_map::kClaim + plic_map::kContextStride * context;
        std::uint32_t handled = 0;
        while (handled < kMaxClaims) {
            const std::uint32_t source = read(claim);
            if (source == 0) {
                break;
            }
            const InterruptHandler handler = handlers_.find(source);
            if (handler != nullptr) {
                handler(source);
            }
            // Complete first: a PLIC ignores the completion of a source that is no longer enabled.
            write(claim, source);
            if (handler == nullptr) {
                set_enabled(source, context, false);
                unexpected_.fetch_add(1, std::memory_order_relaxed);
            }
            ++handled;
        }
        return handled;
    }

    [[nodiscard]] bool has_context(CpuId cpu) const {
        return cpu.value() < kMaxCpus && contexts_[cpu.value()].has_value();
    }
    // Interrupts that came from sources nobody handles, on all harts.
    [[nodiscard]] std::uint64_t unexpected() const { return unexpected_.load(std::memory_order_relaxed); }

  private:
    [[nodiscard]] static constexpr std::uint64_t enable_word(std::uint32_t context, std::uint32_t word) {
        return plic_map::kEnable + plic_map::kEnableStride * context + 4 * std::uint64_t{word};
    }
    [[nodiscard]] std::uint32_t read(std::uint64_t offset) { return registers_.read(offset, 4); }
    void write(std::uint64_t offset, std::uint32_t value) { registers_.write(offset, 4, value); }
    void set_enabled(std::uint32_t source, std::uint32_t context, bool enabled) {
        const std::uint64_t word = enable_word(context, source / 32);
        const std::uint32_t bit = std::uint32_t{1} << (source % 32);
        const LockGuard guard{lock_};
        write(word, enabled ? read(word) | bit : read(word) & ~bit);
    }

    SpinLock lock_{LockRank::InterruptController};  // changes of enable words
    Registers registers_;
    std::uint32_t sources_;
    std::array<std::optional<std::uint32_t>, kMaxCpus> contexts_{};
    InterruptHandlers handlers_;
    std::atomic<std::uint64_t> unexpected_{0};
};

}  // namespace kernel::drivers
