// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>

#include "archive.hpp"

namespace initrd_test {
namespace {

using kernel::init::compare_paths;
using kernel::init::FileKind;
using kernel::init::InitrdEntry;
using kernel::init::InitrdIndex;
using kernel::init::InitrdReader;

std::vector<std::string> children(const InitrdIndex& index, const char* directory) {
    std::vector<std::string> names;
    for (std::size_t n = 0; const InitrdEntry* entry = index.child(directory, n); ++n) {
        names.emplace_back(entry->path);
    }
    return names;
}

TEST(Paths, SameNameInManySpellings) {
    for (const char* path : {"a/b", "/a/b", "./a/b", "//a//b", "/a/./b", "a/b/", "/./a/b/."}) {
        EXPECT_EQ(compare_paths(path, "a/b"), std::strong_ordering::equal) << path;
    }
    for (const char* root : {"", "/", ".", "./", "//."}) {
        EXPECT_EQ(compare_paths(root, ""), std::strong_ordering::equal) << root;
    }
}

TEST(Paths, WhatIsInADirectoryFollowsIt) {
    const std::vector<const char*> ordered{"/", "a", "a/b", "a/b/c", "a/c", "a.b", "aa", "b"};
    for (std::size_t left = 0; left < ordered.size(); ++left) {
        for (std::size_t right = 0; right < ordered.size(); ++right) {
            EXPECT_EQ(compare_paths(ordered[left], ordered[right]), left <=> right)
                << ordered[left] << " " << ordered[right];
        }
    }
}

TEST(Reader, GivesEntriesInFileOrderWithTheirAttributes) {
    const auto bytes =
        Archive{}.directory("bin").add("bin/run", "code", {.inode = 9, .mode = 0100755}).trailer().bytes();
    InitrdReader reader{bytes};
    const auto first = reader.next();
    ASSERT_TRUE(first.has_value());
    EXPECT_EQ(first->path, "bin");
    EXPECT_EQ(first->kind(), FileKind::Directory);
    const auto second = reader.next();
    ASSERT_TRUE(second.has_value());
    EXPECT_EQ(second->path, "bin/run");
    EXPECT_EQ(second->kind(), FileKind::Regular);
    EXPECT_EQ(text(second->data), "code");
    EXPECT_EQ(second->mode, 0100755U);
    EXPECT_EQ(second->uid, 7U);
    EXPECT_EQ(second->gid, 8U);
    EXPECT_EQ(second->inode, 9U);
    EXPECT_EQ(second->mtime_s, 1'700'000'000U);
    EXPECT_FALSE(reader.next().has_value());
    EXPECT_EQ(text(reader.problem()), "");
    EXPECT_FALSE(reader.next().has_value()) << "the end stays the end";
}

TEST(Reader, LeadingSlashesAndDotsAreDropped) {
    const auto bytes = Archive{}.directory(".").add("./etc/motd", "").add("/etc/rc", "").trailer().bytes();
    InitrdReader reader{bytes};
    EXPECT_EQ(reader.next()->path, ".");
    EXPECT_EQ(reader.next()->path, "etc/motd");
    EXPECT_EQ(reader.next()->path, "etc/rc");
}

TEST(Reader, SeveralArchivesWithZerosBetween) {
    const auto bytes =
        Archive{}.zeros(512).add("a", "1").trailer().zeros(300).add("b", "2").trailer().zeros(99).bytes();
    InitrdReader reader{bytes};
    EXPECT_EQ(reader.next()->archive, 0U);
    EXPECT_EQ(reader.next()->archive, 1U);
    EXPECT_FALSE(reader.next().has_value());
    EXPECT_EQ(text(reader.problem()), "");
}

TEST(Reader, NothingAndOnlyZerosAreEmptyArchives) {
    for (const auto& bytes :
         {Archive{}.bytes(), Archive{}.zeros(1000).bytes(), Archive{}.trailer().bytes()}) {
        InitrdReader reader{bytes};
        EXPECT_FALSE(reader.next().has_value());
        EXPECT_EQ(text(reader.problem()), "");
    }
}

TEST(Reader, LastContentsMayLackTheirPadding) {
    auto archive = Archive{}.add("a", "1").trailer();
    while (archive.text().back() == '\0' && archive.text().size() % 4 != 1) {
        archive.text().pop_back();
    }
    const auto bytes = archive.bytes();
    InitrdReader reader{bytes};
    EXPECT_TRUE(reader.next().has_value());
    EXPECT_FALSE(reader.next().has_value());
    EXPECT_EQ(text(reader.problem()), "");
}

TEST(Reader, ChecksumsOfTheOtherNewFormatAreChecked) {
    const auto good = Archive{}.add("a", "AB", {.check = 'A' + 'B', .magic = "070702"}).trailer().bytes();
    InitrdReader reader{good};
    EXPECT_TRUE(reader.next().has_value());
    const auto bad = Archive{}.add("a", "AB", {.check = 'A' + 'C', .magic = "070702"}).trailer().bytes();
    InitrdReader second{bad};
    EXPECT_FALSE(second.next().has_value());
    EXPECT_EQ(text(second.problem()), "checksum does not match the contents at byte 0");
}

TEST(Index, FindsEverySpelling) {
    const auto bytes = Archive{}.directory(".").directory("a").add("a/b", "here").trailer().bytes();
    const Indexed index{bytes};
    for (const char* path : {"a/b", "/a/b", "./a/b", "/a/./b", "a//b"}) {
        EXPECT_EQ(index.contents(path), "here") << path;
    }
    for (const char* path : {"b", "a/b/c", "a/bb", "A/B", "../a/b", "a/../a/b", "x"}) {
        EXPECT_EQ(index->find(path), nullptr) << path;
    }
    ASSERT_NE(index->find("/"), nullptr);
    EXPECT_EQ(index->find("/")->kind(), FileKind::Directory);
}

TEST(Index, TheLastOfEqualPathsWins) {
    const auto bytes = Archive{}
                           .add("x", "old")
                           .add("y", "only")
                           .trailer()
                           .add("./x", "newer")
                           .add("/x", "newest")
                           .trailer()
                           .bytes();
    const Indexed index{bytes};
    EXPECT_EQ(index.contents("x"), "newest");
    EXPECT_EQ(index->entries().size(), 2U);
}

TEST(Index, ListsDirectories) {
    const auto bytes = Archive{}
                           .directory("b")
                           .add("b/2", "")
                           .directory("b/1")
                           .add("b/1/deep", "")
                           .add("b.txt", "")
                           .add("a", "")
                           .directory("empty")
                           .trailer()
                           .bytes();
    const Indexed index{bytes};
    EXPECT_THAT(children(*index.operator->(), "/"), ::testing::ElementsAre("a", "b", "b.txt", "empty"));
    EXPECT_THAT(children(*index.operator->(), "/b/"), ::testing::ElementsAre("b/1", "b/2"));
    EXPECT_THAT(children(*index.operator->(), "empty"), ::testing::IsEmpty());
    EXPECT_THAT(children(*index.operator->(), "missing"), ::testing::IsEmpty());
}

TEST(Index, HardLinksShareTheirContents) {
    const Fields link{.inode = 5, .links = 3};
    const auto bytes = Archive{}
                           .add("one", "", link)
                           .add("other", "x", {.inode = 6})
                           .add("two", "", link)
                           .add("three", "data", link)
                           .trailer()
                           .add("four", "", link)
                           .trailer()
                           .bytes();
    const Indexed index{bytes};
    EXPECT_EQ(index.contents("one"), "data");
    EXPECT_EQ(index.contents("two"), "data");
    EXPECT_EQ(index.contents("three"), "data");
    EXPECT_EQ(index.contents("other"), "x");
    EXPECT_EQ(index.contents("four"), "") << "the same inode of another archive is another file";
}

TEST(Index, TooLittleStorageIsAProblem) {
    const auto bytes = Archive{}.add("a", "1").add("b", "2").trailer().bytes();
    std::vector<InitrdEntry> storage(1);
    const InitrdIndex index{bytes, storage};
    ASSERT_TRUE(index.problem().has_value());
    EXPECT_EQ(index.problem()->what, "more entries than the index has room for");
    EXPECT_NE(index.find("a"), nullptr);
}

TEST(Index, KeepsWhatStandsBeforeADefect) {
    const auto bytes =
        Archive{}.add("a", "1").raw("garbage that is long enough to look like a header").bytes();
    const Indexed index{bytes};
    EXPECT_EQ(index.contents("a"), "1");
    EXPECT_EQ(text(index->problem()), "no cpio newc header at byte 116");
}

}  // namespace
}  // namespace initrd_test
