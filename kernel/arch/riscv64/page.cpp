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
constexpr std::uint64_t kBlocksPerTurn = 8;

// 0: not on every hart. Immutable after configure_page_zeroing().
constinit std::uint64_t zero_block_bytes{0};

void zero_blocks(std::uint64_t at, std::uint64_t block_bytes) {
    for (const std::uint64_t end = at + kPageBytes; at != end;) {
        // kBlocksPerTurn times cbo.zero (at).
        asm volatile(
            ".rept 8\n\t"
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
    for (auto* const end = out + kPageBytes / sizeof(AliasWord); out != end; out += 16, in += 16) {
        const AliasWord a = in[0], b = in[1], c = in[2], d = in[3], e = in[4], f = in[5], g = in[6],
                        h = in[7];
        const AliasWord i = in[8], j = in[9], k = in[10], l = in[11], m = in[12], n = in[13], o = in[14],
                        p = in[15];
        out[0] = a, out[1] = b, out[2] = c, out[3] = d, out[4] = e, out[5] = f, out[6] = g, out[7] = h;
        out[8] = i, out[9] = j, out[10] = k, out[11] = l, out[12] = m, out[13] = n, out[14] = o, out[15] = p;
    }
}

}  // namespace kernel::arch
