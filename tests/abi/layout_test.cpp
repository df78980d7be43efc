// SPDX-License-Identifier: MIT
// The golden file must freeze everything the headers declare, and the structs must hold no hidden bytes (the
// kernel copies them to user space whole: a hole would leak kernel memory).
#include "layout.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "header_text.hpp"
#include "render.hpp"

namespace {

using abi_docs::Layout;
using abi_docs::Struct;

TEST(Layout, StructsHaveNoHoles) {
    for (const Struct& type : abi_docs::compiled_layout().structs) {
        std::size_t next = 0;
        for (const abi_docs::Field& field : type.fields) {
            EXPECT_EQ(field.offset_bytes, next) << type.name << '.' << field.name;
            next = field.offset_bytes + field.size_bytes;
        }
        EXPECT_EQ(type.size_bytes, next) << type.name;
    }
}

// "scope.name" of everything the text of a header declares.
std::set<std::string> declared_in(const std::string& header) {
    const auto text = abi_docs::read_file(std::string{NEURON_ABI_HEADERS} + "/" + header);
    EXPECT_TRUE(text.has_value()) << header;
    std::set<std::string> names;
    for (const abi_docs::Declaration& declaration : abi_docs::read_declarations(text.value_or(""))) {
        names.insert(declaration.scope + "." + declaration.name);
    }
    return names;
}

std::set<std::string> listed_for(const std::string& header, const Layout& layout) {
    std::set<std::string> names;
    for (const Struct& type : layout.structs) {
        if (type.header == header) {
            for (const abi_docs::Field& field : type.fields) {
                names.insert(std::string{type.name} + "." + std::string{field.name});
            }
        }
    }
    for (const abi_docs::Enumerator& enumerator : layout.enumerators) {
        if (enumerator.header == header) {
            names.insert(std::string{enumerator.type} + "." + std::string{enumerator.name});
        }
    }
    for (const abi_docs::Constant& constant : layout.constants) {
        if (constant.header == header) {
            names.insert("." + std::string{constant.name});
        }
    }
    return names;
}

class HeaderIsFrozen : public testing::TestWithParam<const char*> {};

TEST_P(HeaderIsFrozen, LayoutDefListsEveryDeclaration) {
    EXPECT_EQ(declared_in(GetParam()), listed_for(GetParam(), abi_docs::compiled_layout()));
}
INSTANTIATE_TEST_SUITE_P(Headers, HeaderIsFrozen,
                         testing::Values("error.hpp", "sched.hpp", "system.hpp", "linux.hpp"),
                         [](const auto& header) {
                             const std::string name = header.param;
                             return name.substr(0, name.find('.'));
                         });

TEST(HeaderText, ReadsFieldsEnumeratorsAndConstants) {
    const auto found = abi_docs::read_declarations(
        "struct a {\n    std::uint32_t x;  // first\n    char name[16];\n    std::int64_t p, q;\n};\n"
        "static_assert(sizeof(a) == 1);\n"
        "enum class E : int { One = 1, Two = 2 };\n"
        "enum class F {\n    Three = 3,  // third\n};\n"
        "inline constexpr std::uint32_t kC = 7;  // seven\n");
    std::string all;
    for (const auto& declaration : found) {
        all += declaration.scope + "." + declaration.name + "=" + declaration.comment + ";";
    }
    EXPECT_EQ(all, "a.x=first;a.name=;a.p=;a.q=;E.One=;E.Two=;F.Three=third;.kC=seven;");
}

TEST(Golden, ShowsAChangedNumberSizeAndConstant) {
    const Layout layout = abi_docs::compiled_layout();
    const std::string golden = abi_docs::render_golden(nexus_abi::kCallRows, layout);
    EXPECT_NE(
        golden.find("call 1028 sched_set_affinity (std::int32_t pid, std::uint64_t mask) implemented\n"),
        std::string::npos);
    EXPECT_NE(golden.find("struct sched_attr size=112 align=8\n"), std::string::npos);

    Layout changed = layout;
    changed.structs.front().size_bytes += 8;
    EXPECT_NE(abi_docs::render_golden(nexus_abi::kCallRows, changed), golden);
    changed = layout;
    changed.constants.front().value += 1;
    EXPECT_NE(abi_docs::render_golden(nexus_abi::kCallRows, changed), golden);
}

}  // namespace
