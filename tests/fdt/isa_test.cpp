// SPDX-License-Identifier: MIT
// riscv,isa strings as boards, emulators and the specification write them.
#include "fdt/isa.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <utility>

namespace kernel::fdt {
namespace {

bool has_base(const Isa& isa) {
    return isa.i && isa.m && isa.a && isa.c;
}

TEST(IsaString, Virt) {
    const auto isa = parse_isa_string("rv64imafdch_zicsr_zifencei_zihintpause_zba_zbb_zbc_zbs_sstc");
    ASSERT_TRUE(isa.has_value());
    EXPECT_TRUE(has_base(*isa));
    EXPECT_TRUE(isa->features.f && isa->features.d && isa->features.sstc && isa->features.zihintpause);
    EXPECT_FALSE(isa->features.zicboz || isa->features.svade);
}

TEST(IsaString, LettersSUXOfOldTrees) {
    const auto u74 = parse_isa_string("rv64imafdcbsux_zba_zbb");
    ASSERT_TRUE(u74.has_value());
    EXPECT_TRUE(has_base(*u74) && u74->features.d);
    const auto s7 = parse_isa_string("rv64imacu_zba_zbb");
    ASSERT_TRUE(s7.has_value());
    EXPECT_TRUE(has_base(*s7));
    EXPECT_FALSE(s7->features.f || s7->features.d);
}

// A vendor name right after the letters must not be read as letters.
TEST(IsaString, VendorNamesAreNotLetters) {
    const auto isa = parse_isa_string("rv64imacxtheadfd_svpbmt");
    ASSERT_TRUE(isa.has_value());
    EXPECT_FALSE(isa->features.f || isa->features.d);
    EXPECT_TRUE(isa->features.svpbmt);
}

TEST(IsaString, NameWithoutUnderscore) {
    EXPECT_TRUE(parse_isa_string("rv64imafdcsstc")->features.sstc);
    EXPECT_TRUE(parse_isa_string("rv64imafdczicbom_sstc")->features.zicbom);
}

TEST(IsaString, VersionsAndCapitals) {
    const auto isa = parse_isa_string("RV64I2p1M2A2p1F2p2D2p2C2p0_Zicsr2p0_Sstc1p0_Svinval1p0");
    ASSERT_TRUE(isa.has_value());
    EXPECT_TRUE(has_base(*isa) && isa->features.f && isa->features.d);
    EXPECT_TRUE(isa->features.sstc && isa->features.svinval);
}

TEST(IsaString, GeneralPurposeAndSeparateLetters) {
    const auto general = parse_isa_string("rv64gc");
    ASSERT_TRUE(general.has_value());
    EXPECT_TRUE(has_base(*general) && general->features.d);
    const auto separate = parse_isa_string("rv64i_m_a_f_d_c");
    ASSERT_TRUE(separate.has_value());
    EXPECT_TRUE(has_base(*separate) && separate->features.d);
}

// Each letter for itself, alone and among others: what it adds and nothing else.
TEST(IsaString, EachLetterIsItsExtension) {
    for (char letter = 'a'; letter <= 'z'; ++letter) {
        if (letter == 'z' || letter == 'x' || letter == 's') {
            continue;  // begin names
        }
        for (const std::string& text : {std::string{"rv64"} + letter, std::string{"rv64_"} + letter}) {
            const auto isa = parse_isa_string(text);
            ASSERT_TRUE(isa.has_value()) << text;
            const bool is_general = letter == 'g';
            EXPECT_EQ(isa->i, letter == 'i' || is_general) << text;
            EXPECT_EQ(isa->m, letter == 'm' || is_general) << text;
            EXPECT_EQ(isa->a, letter == 'a' || is_general) << text;
            EXPECT_EQ(isa->c, letter == 'c') << text;
            EXPECT_EQ(isa->features.f, letter == 'f' || letter == 'd' || is_general) << text;
            EXPECT_EQ(isa->features.d, letter == 'd' || is_general) << text;
        }
    }
}

// An s is a letter at the end and before a u; before anything else it begins a name.
TEST(IsaString, TheLetterSOfOldTrees) {
    EXPECT_TRUE(parse_isa_string("rv64suc")->c);
    EXPECT_TRUE(parse_isa_string("rv64ics")->c);
    EXPECT_TRUE(parse_isa_string("rv64SUC")->c);
    EXPECT_FALSE(parse_isa_string("rv64sc")->c) << "an extension named sc";
    EXPECT_FALSE(parse_isa_string("rv64zc")->c);
    EXPECT_FALSE(parse_isa_string("rv64xc")->c);
}

TEST(IsaString, AVersionIsDigitsAPAndDigits) {
    EXPECT_TRUE(parse_isa_string("rv64i_sstc1p0")->features.sstc);
    EXPECT_TRUE(parse_isa_string("rv64i_sstc12P34")->features.sstc);
    EXPECT_TRUE(parse_isa_string("rv64i_sstc")->features.sstc);
    for (const char* text : {"rv64i_sstc1", "rv64i_sstcp0", "rv64i_sstc1p", "rv64i_sstc1q0", "rv64i_1p0",
                             "rv64i_sst", "rv64i_sstcc", "rv64i_p0", "rv64i_00"}) {
        EXPECT_FALSE(parse_isa_string(text)->features.sstc) << text;
    }
    const auto isa = parse_isa_string("rv64i2p1m2p0");
    EXPECT_TRUE(isa->i && isa->m);
    EXPECT_FALSE(parse_isa_string("rv64i2p1")->m);
}

TEST(IsaString, EachNameIsItsFeature) {
    for (const auto& [name, flag] : {std::pair{"ssaia", &IsaFeatures::ssaia},
                                     {"sstc", &IsaFeatures::sstc},
                                     {"svade", &IsaFeatures::svade},
                                     {"svadu", &IsaFeatures::svadu},
                                     {"svinval", &IsaFeatures::svinval},
                                     {"svnapot", &IsaFeatures::svnapot},
                                     {"svpbmt", &IsaFeatures::svpbmt},
                                     {"zihintpause", &IsaFeatures::zihintpause},
                                     {"zicbom", &IsaFeatures::zicbom},
                                     {"zicboz", &IsaFeatures::zicboz}}) {
        const auto isa = parse_isa_string(std::string{"rv64imac_"} + name);
        EXPECT_TRUE(isa->features.*flag) << name;
        IsaFeatures only{};
        only.*flag = true;
        EXPECT_EQ(isa->features, only) << name;
        EXPECT_TRUE(common_features(isa->features, isa->features).*flag) << name;
        EXPECT_EQ(common_features(isa->features, {}), IsaFeatures{}) << name;
        EXPECT_EQ(common_features({}, isa->features), IsaFeatures{}) << name;
    }
}

TEST(CommonFeatures, FloatingPointIsCommonWhereBothHaveIt) {
    const IsaFeatures single{.f = true};
    const IsaFeatures both{.f = true, .d = true};
    EXPECT_EQ(common_features(both, both), both);
    EXPECT_EQ(common_features(both, single), single);
    EXPECT_EQ(common_features(single, both), single);
    EXPECT_EQ(common_features(single, {}), IsaFeatures{});
    EXPECT_EQ(common_features({}, both), IsaFeatures{});
}

TEST(IsaString, OthersAreRefused) {
    for (const char* text : {"", "rv", "rv6", "rv32imafdc", "rv128imac", "64imac", "riscv"}) {
        EXPECT_FALSE(parse_isa_string(text).has_value()) << text;
    }
    EXPECT_FALSE(has_base(parse_isa_string("rv64").value_or(Isa{})));
}

TEST(IsaString, AnyTextEnds) {
    std::mt19937_64 random{7};
    constexpr std::string_view kAlphabet = "imafdcgsuxzhp_0129v \xff";
    for (int round = 0; round < 20'000; ++round) {
        std::string text = "rv64";
        for (auto length = random() % 40; length > 0; --length) {
            text += kAlphabet[random() % kAlphabet.size()];
        }
        EXPECT_TRUE(parse_isa_string(text).has_value()) << text;
    }
}

TEST(CommonFeatures, ZicbozNeedsTheSameBlockSize) {
    IsaFeatures small{.zicboz = true, .zicboz_block_bytes = 32};
    IsaFeatures large{.zicboz = true, .zicboz_block_bytes = 64};
    EXPECT_TRUE(common_features(large, large).zicboz);
    EXPECT_FALSE(common_features(small, large).zicboz);
    EXPECT_EQ(common_features(small, large).zicboz_block_bytes, 0U);
}

}  // namespace
}  // namespace kernel::fdt
