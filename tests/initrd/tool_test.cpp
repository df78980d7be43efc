// SPDX-License-Identifier: MIT
// An archive made by GNU cpio (make_archive.sh) reads back as what was packed.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "archive.hpp"

namespace initrd_test {
namespace {

using kernel::init::FileKind;

TEST(ToolArchive, ReadsBackAsPacked) {
    std::ifstream file{TOOL_ARCHIVE, std::ios::binary};
    ASSERT_TRUE(file) << TOOL_ARCHIVE;
    const std::string contents{std::istreambuf_iterator<char>{file}, {}};
    const auto bytes = Archive{}.raw(contents).bytes();
    const Indexed index{bytes};
    EXPECT_EQ(text(index->problem()), "");
    EXPECT_EQ(index->entries().size(), 8U);
    EXPECT_EQ(index.contents("/etc/greeting"), "hello\n");
    EXPECT_EQ(index->find("etc/greeting")->mode, 0100640U);
    EXPECT_EQ(index.contents("/bin/one"), "program");
    EXPECT_EQ(index.contents("/bin/two"), "program");
    EXPECT_EQ(index->find("bin/two")->links, 2U);
    EXPECT_EQ(index->find("bin/link")->kind(), FileKind::SymbolicLink);
    EXPECT_EQ(index.contents("/bin/link"), "../etc/greeting");
    EXPECT_EQ(index->find("/etc/empty")->kind(), FileKind::Directory);
    EXPECT_EQ(index->find("/")->kind(), FileKind::Directory);
}

}  // namespace
}  // namespace initrd_test
