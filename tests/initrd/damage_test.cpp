// SPDX-License-Identifier: MIT
// Damaged archives: each kind of defect is named with its place, and nothing is read outside the archive.
#include <gmock/gmock.h>

#include <random>
#include <string_view>

#include "archive.hpp"

namespace initrd_test {
namespace {

using kernel::init::compare_paths;
using kernel::init::InitrdReader;

Archive sample() {
    return Archive{}
        .directory(".")
        .directory("bin")
        .add("bin/one", "contents", {.inode = 4, .links = 2})
        .add("bin/two", "", {.inode = 4, .links = 2})
        .trailer()
        .zeros(16)
        .add("more", std::string(70, 'm'))
        .trailer();
}

std::string problem_of(const Archive& archive) {
    const auto bytes = archive.bytes();
    InitrdReader reader{bytes};
    while (reader.next()) {
    }
    return text(reader.problem());
}

// The sample with the 8 digits of header field `field` of its first entry replaced.
std::string problem_with_field(std::size_t field, const std::string& digits) {
    auto archive = sample();
    archive.text().replace(6 + field * 8, 8, digits);
    return problem_of(archive);
}

// Every byte in a digit's place: digits of both cases and nothing else, each with its value.
TEST(Defects, AreAllThatIsNoHexadecimalDigit) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    for (int value = 0; value < 256; ++value) {
        const char byte = static_cast<char>(value);
        const auto at = kDigits.find(byte >= 'A' && byte <= 'F' ? static_cast<char>(byte + 32) : byte);
        auto archive = sample();
        archive.text().replace(6 + 8, 8, std::string{"0004100"} + byte);
        const auto bytes = archive.bytes();
        InitrdReader reader{bytes};
        const auto first = reader.next();
        ASSERT_EQ(first.has_value(), at != std::string_view::npos) << value;
        if (first) {
            EXPECT_EQ(first->mode, 0x41000U + at) << value;
        }
    }
}

TEST(Defects, AreNamedWithTheirPlace) {
    EXPECT_EQ(problem_of(sample()), "");
    EXPECT_EQ(problem_with_field(1, "0000O755"), "header field is not a hexadecimal number at byte 0");
    EXPECT_EQ(problem_with_field(11, "00000000"),
              "name length is 0, over 4096 or beyond the archive at byte 0");
    EXPECT_EQ(problem_with_field(11, "00001001"),
              "name length is 0, over 4096 or beyond the archive at byte 0");
    EXPECT_EQ(problem_with_field(11, "ffffffff"),
              "name length is 0, over 4096 or beyond the archive at byte 0");
    EXPECT_EQ(problem_with_field(11, "00000003"), "name does not end where its length says at byte 110");
    EXPECT_EQ(problem_with_field(11, "00000001"), "name does not end where its length says at byte 110");
    EXPECT_EQ(problem_with_field(6, "00001000"), "contents reach beyond the archive at byte 0");
    EXPECT_EQ(problem_with_field(6, "ffffffff"), "contents reach beyond the archive at byte 0");
    EXPECT_EQ(problem_of(Archive{}.add("a/../b", "").trailer()), "name contains \"..\" at byte 110");
    EXPECT_EQ(problem_of(Archive{}.add("a", "1")), "archive ends without a trailer at byte 116");
    EXPECT_EQ(problem_of(Archive{}.add("a", "1").raw("07070")), "no cpio newc header at byte 116");
    EXPECT_EQ(problem_of(Archive{}.raw("070701")), "header reaches beyond the archive at byte 0");
}

TEST(Defects, OtherFormatsAreRecognised) {
    EXPECT_EQ(problem_of(Archive{}.raw("\x1f\x8b\x08 gzip")),
              "archive is compressed with gzip, which is not supported; store it uncompressed at byte 0");
    for (const char* magic : {"\xfd"
                              "7zXZ",
                              "\x28\xb5\x2f\xfd", "BZh9", "\x04\x22\x4d\x18"}) {
        EXPECT_EQ(problem_of(Archive{}.raw(magic)),
                  "archive is compressed, which is not supported; store it uncompressed at byte 0");
    }
    for (const char* magic : {"070707", "\xc7\x71"}) {
        EXPECT_EQ(problem_of(Archive{}.raw(magic)),
                  "archive is an old cpio format; make it with -H newc at byte 0");
    }
    EXPECT_EQ(problem_of(Archive{}.raw("\x7f"
                                       "ELF")),
              "no cpio newc header at byte 0");
}

// Everything the index promises, for an archive of unknown soundness.
void expect_sound(const std::vector<std::byte>& bytes, const std::string& what) {
    const Indexed index{bytes};
    const auto within = [&bytes](const void* start, std::size_t size) {
        const auto at = reinterpret_cast<std::uintptr_t>(start);
        const auto first = reinterpret_cast<std::uintptr_t>(bytes.data());
        return size == 0 || (at >= first && at + size <= first + bytes.size());
    };
    for (std::size_t n = 0; n < index->entries().size(); ++n) {
        const auto& entry = index->entries()[n];
        ASSERT_TRUE(within(entry.path.data(), entry.path.size())) << what;
        ASSERT_TRUE(within(entry.data.data(), entry.data.size())) << what;
        ASSERT_EQ(index->find(entry.path), &entry) << what;
        ASSERT_TRUE(n == 0 || compare_paths(index->entries()[n - 1].path, entry.path) < 0) << what;
    }
    for (const char* directory : {"/", "bin"}) {
        std::size_t count = 0;
        while (index->child(directory, count) != nullptr) {
            ++count;
        }
        ASSERT_LE(count, index->entries().size()) << what;
    }
    if (index->problem()) {
        ASSERT_LE(index->problem()->offset, bytes.size()) << what;
    }
}

TEST(Damage, EveryCut) {
    const auto whole = sample().bytes();
    for (std::size_t length = 0; length < whole.size(); ++length) {
        expect_sound({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)},
                     "cut to " + std::to_string(length));
    }
}

TEST(Damage, CutsInsideAnEntryAreNoticed) {
    const auto archive = Archive{}.add("name", "some contents").trailer();
    const std::size_t end_of_contents = 110 + 6 + 13;
    for (std::size_t length = 1; length < end_of_contents; ++length) {
        EXPECT_NE(problem_of(Archive{}.raw(
                      archive.bytes().size() > length ? text(archive.bytes()).substr(0, length) : "")),
                  "")
            << length;
    }
}

TEST(Damage, FlippedBitsAndDigits) {
    const auto whole = sample().bytes();
    std::mt19937_64 random{20250104};
    for (int round = 0; round < 20'000; ++round) {
        auto bytes = whole;
        for (auto changes = 1 + random() % 3; changes > 0; --changes) {
            std::byte& byte = bytes[random() % bytes.size()];
            byte = random() % 2 == 0 ? byte ^ (std::byte{1} << (random() % 8))
                                     : static_cast<std::byte>("0123456789abcdefF/.\0"[random() % 20]);
        }
        expect_sound(bytes, "round " + std::to_string(round));
    }
}

}  // namespace
}  // namespace initrd_test
