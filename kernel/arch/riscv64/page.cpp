// SPDX-License-Identifier: MIT
// Whole pages: what memory operations spend most of their instructions on. Zicboz zeroes a cache block per
// instruction (RISC-V "Cache-block Zero Instructions"); supervisor mode may use it where menvcfg.CBZE says
// so, which the firmware sets on the harts whose device tree node names the extension.
#include <cstdint>

#include "arch/contract.hpp"
#include "arch/riscv64/cpu.hpp"
#include "lib/check.hpp"

namespace kernel::arch {

namespace {

using AliasWord __attribute__((may_alias)) = std::uint64_t;

constexpr std::uint64_t kPageBytes = 4096;
constexpr std::uint64_t kWordsPerTurn = 32;
constexpr std::uint64_t kBlocksPerTurn = 16;

// 0: not on every hart. Immutable after configure_page_zeroing().
constinit std::uint64_t zero_block_bytes{0};

void zero_blocks(std::uint64_t at, std::uint64_t block_bytes) {
    for (const std::uint64_t end = at + kPageBytes; at != end;) {
        // kBlocksPerTurn times cbo.zero (at).
        asm volatile(
            ".rept 16\n\t"
            ".insn i 0x0F, 2, x0, %0, 4\n\t"
            "add %0, %0, %1\n\t"
            ".endr"
            : "+r"(at)
            : "r"(block_bytes)
            : "memory");
    }
}

}  // namespace

void configure_page_zeroing(std::uint32_t block_bytes) {
    // Blocks of another size than whole turns make of a page are left alone.
    zero_block_bytes = block_bytes > 0 && kPageBytes % (block_bytes * kBlocksPerTurn) == 0 ? block_bytes : 0;
}

void zero_page(void* page) {
    if (zero_block_bytes != 0) {
        zero_blocks(reinterpret_cast<std::uint64_t>(page), zero_block_bytes);
        return;
    }
    auto* out = static_cast<AliasWord*>(page);
    for (auto* const end = out + kPageBytes / sizeof(AliasWord); out != end; out += kWordsPerTurn) {
#pragma GCC unroll 32
        for (std::uint64_t i = 0; i < kWordsPerTurn; ++i) {
            out[i] = 0;
        }
        asm volatile("" : : "r"(out) : "memory");  // or the compiler makes a call of memset() of this
    }
}

void copy_page(void* __restrict to, const void* __restrict from) {
    auto* out = static_cast<AliasWord*>(to);
    const auto* in = static_cast<const AliasWord*>(from);
    // Eight words at a time, so that no load is waited for, and 64 to a turn of the loop.
    for (auto* const end = out + kPageBytes / sizeof(AliasWord); out != end; out += 64, in += 64) {
#pragma GCC unroll 8
        for (std::uint64_t i = 0; i < 64; i += 8) {
            const AliasWord a = in[i], b = in[i + 1], c = in[i + 2], d = in[i + 3];
            const AliasWord e = in[i + 4], f = in[i + 5], g = in[i + 6], h = in[i + 7];
            out[i] = a, out[i + 1] = b, out[i + 2] = c, out[i + 3] = d;
            out[i + 4] = e, out[i + 5] = f, out[i + 6] = g, out[i + 7] = h;
        }
    }
}

}  // namespace kernel::arch
