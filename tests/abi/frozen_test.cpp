// SPDX-License-Identifier: MIT
#include "frozen.hpp"

#include <gtest/gtest.h>

namespace {

using abi_docs::broken_promises;
using Lines = std::vector<std::string>;

const std::string kFrozen =
    "# a comment\n"
    "call 63 read (std::int32_t fd, Out<char> buffer) implemented\n"
    "call 99 set_robust_list (std::uint64_t head) ENOSYS\n"
    "struct grows size=16 align=8\n"
    "field grows.size offset=0 size=4 u32\n"
    "struct fixed size=16 align=8\n"
    "field fixed.base offset=0 size=8 u64\n"
    "enum Error.NoEntry = 2\n"
    "const kBitsAll = 7\n"
    "const kMost = 1000\n";

std::string with(std::string_view from, std::string_view to) {
    std::string text = kFrozen;
    return text.replace(text.find(from), from.size(), to);
}

TEST(Frozen, TheSameBreaksNothing) {
    EXPECT_EQ(broken_promises(kFrozen, kFrozen), Lines{});
}

TEST(Frozen, AdditionsBreakNothing) {
    EXPECT_EQ(broken_promises(kFrozen, kFrozen + "call 1041 more () implemented\nconst kNew = 3\n"), Lines{});
    EXPECT_EQ(broken_promises(kFrozen, with("head) ENOSYS", "head) implemented")), Lines{});
    EXPECT_EQ(broken_promises(kFrozen, with("grows size=16", "grows size=24")), Lines{});
    EXPECT_EQ(broken_promises(kFrozen, with("kBitsAll = 7", "kBitsAll = 15")), Lines{});
}

TEST(Frozen, EveryOtherChangeIsNamed) {
    struct Case {
        std::string_view from;
        std::string_view to;
    };
    for (const Case& c :
         {Case{"call 63", "call 64"}, Case{"Out<char> buffer", "In<char> buffer"},
          Case{"buffer) implemented", "buffer) ENOSYS"}, Case{"grows size=16", "grows size=8"},
          Case{"grows size=16 align=8", "grows size=24 align=4"}, Case{"fixed size=16", "fixed size=24"},
          Case{"fixed.base offset=0", "fixed.base offset=8"}, Case{"fixed.base", "fixed.start"},
          Case{"NoEntry = 2", "NoEntry = 3"}, Case{"kBitsAll = 7", "kBitsAll = 11"},
          Case{"kMost = 1000", "kMost = 2000"}}) {
        const std::string now = with(c.from, c.to);
        EXPECT_EQ(broken_promises(kFrozen, now).size(), 1U) << c.from << " -> " << c.to;
    }
    EXPECT_EQ(broken_promises(kFrozen, with("const kMost = 1000\n", "")), Lines{"const kMost = 1000"});
}

}  // namespace
