// SPDX-License-Identifier: MIT
// The target's own string functions against the C library's, over all small sizes and alignments, with a page
// that may not be touched directly behind the memory they are given.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

extern "C" {
void* kernel_memcpy(void* to, const void* from, std::size_t bytes);
void* kernel_memmove(void* to, const void* from, std::size_t bytes);
void* kernel_memset(void* to, int value, std::size_t bytes);
int kernel_memcmp(const void* left, const void* right, std::size_t bytes);
void* kernel_memchr(const void* memory, int value, std::size_t bytes);
std::size_t kernel_strlen(const char* text);
std::size_t kernel_strnlen(const char* text, std::size_t limit);
int kernel_strcmp(const char* left, const char* right);
int kernel_strncmp(const char* left, const char* right, std::size_t limit);
char* kernel_strchr(const char* text, int value);
char* kernel_strrchr(const char* text, int value);
int kernel___popcountdi2(unsigned long value);
int kernel___ctzdi2(unsigned long value);
int kernel___clzdi2(unsigned long value);
}

namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kMaxAlignment = 8;

// One page between two that fault.
class FencedPage {
  public:
    FencedPage() {
        void* memory = mmap(nullptr, 3 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        EXPECT_NE(memory, MAP_FAILED);
        base_ = static_cast<unsigned char*>(memory);
        EXPECT_EQ(mprotect(base_ + kPage, kPage, PROT_READ | PROT_WRITE), 0);
    }
    FencedPage(const FencedPage&) = delete;
    FencedPage& operator=(const FencedPage&) = delete;
    ~FencedPage() { munmap(base_, 3 * kPage); }
    [[nodiscard]] unsigned char* begin() const { return base_ + kPage; }
    [[nodiscard]] unsigned char* end() const { return base_ + 2 * kPage; }
    void fill(std::uint64_t seed) const {
        std::mt19937_64 random{seed};
        for (unsigned char& byte : std::span{begin(), kPage}) {
            byte = static_cast<unsigned char>(random());
        }
    }

  private:
    unsigned char* base_;
};

int sign(int value) {
    return (value > 0) - (value < 0);
}

// The last `bytes` of the page, and the first: reads beyond either end fault.
TEST(Memcpy, EveryAlignmentAtBothEndsOfAPage) {
    const FencedPage from;
    const FencedPage to;
    from.fill(1);
    for (std::size_t bytes = 0; bytes < 200; ++bytes) {
        for (std::size_t shift = 0; shift < kMaxAlignment; ++shift) {
            for (const bool at_end : {false, true}) {
                to.fill(2);
                const unsigned char* source = at_end ? from.end() - bytes : from.begin();
                unsigned char* target =
                    (at_end ? to.begin() + 64 : to.end() - 64 - bytes - kMaxAlignment) + shift;
                std::vector<unsigned char> expected(to.begin(), to.end());
                std::memcpy(expected.data() + (target - to.begin()), source, bytes);
                ASSERT_EQ(kernel_memcpy(target, source, bytes), target);
                ASSERT_EQ(std::memcmp(expected.data(), to.begin(), kPage), 0) << bytes << " " << shift;
            }
        }
    }
}

TEST(Memcpy, WritesUpToTheEdgeOfAPage) {
    const FencedPage from;
    const FencedPage to;
    from.fill(1);
    for (std::size_t bytes = 0; bytes < 200; ++bytes) {
        for (std::size_t shift = 0; shift < kMaxAlignment; ++shift) {
            kernel_memcpy(to.end() - bytes, from.begin() + shift, bytes);
            ASSERT_EQ(std::memcmp(to.end() - bytes, from.begin() + shift, bytes), 0) << bytes << " " << shift;
        }
    }
}

TEST(Memmove, EveryOverlap) {
    const FencedPage page;
    for (const std::size_t bytes : {0U, 1U, 7U, 8U, 23U, 24U, 25U, 63U, 64U, 65U, 130U}) {
        for (std::size_t from = 0; from < 40; ++from) {
            for (std::size_t to = 0; to < 40; ++to) {
                page.fill(3);
                std::vector<unsigned char> expected(page.begin(), page.end());
                std::memmove(expected.data() + to, expected.data() + from, bytes);
                ASSERT_EQ(kernel_memmove(page.begin() + to, page.begin() + from, bytes), page.begin() + to);
                ASSERT_EQ(std::memcmp(expected.data(), page.begin(), kPage), 0)
                    << bytes << " bytes from " << from << " to " << to;
            }
        }
    }
}

TEST(Memset, EveryAlignment) {
    const FencedPage page;
    for (std::size_t bytes = 0; bytes < 200; ++bytes) {
        for (std::size_t shift = 0; shift < kMaxAlignment; ++shift) {
            page.fill(4);
            std::vector<unsigned char> expected(page.begin(), page.end());
            std::memset(expected.data() + shift, 0x1a5, bytes);
            ASSERT_EQ(kernel_memset(page.begin() + shift, 0x1a5, bytes), page.begin() + shift);
            ASSERT_EQ(std::memcmp(expected.data(), page.begin(), kPage), 0) << bytes << " " << shift;
        }
    }
    kernel_memset(page.end() - 100, 0, 100);
    EXPECT_EQ(page.end()[-1], 0);
}

TEST(Memcmp, FindsTheFirstDifference) {
    const FencedPage left;
    const FencedPage right;
    for (std::size_t bytes = 0; bytes < 70; ++bytes) {
        for (std::size_t shift = 0; shift < kMaxAlignment; ++shift) {
            unsigned char* a = left.end() - bytes;
            unsigned char* b = right.end() - bytes - shift;
            std::memset(a, 0x80, bytes);
            std::memset(b, 0x80, bytes);
            ASSERT_EQ(kernel_memcmp(a, b, bytes), 0);
            for (std::size_t at = 0; at < bytes; ++at) {
                b[at] = 0x7f;
                ASSERT_EQ(sign(kernel_memcmp(a, b, bytes)), 1) << at << " of " << bytes;
                ASSERT_EQ(sign(kernel_memcmp(b, a, bytes)), -1) << at << " of " << bytes;
                b[at] = 0x80;
            }
        }
    }
}

TEST(Memchr, FindsTheFirst) {
    const char text[] = "abcabc\xff";
    EXPECT_EQ(kernel_memchr(text, 'b', 7), text + 1);
    EXPECT_EQ(kernel_memchr(text, 0x1ff, 7), text + 6) << "the value is converted to unsigned char";
    EXPECT_EQ(kernel_memchr(text, 'b', 1), nullptr);
    EXPECT_EQ(kernel_memchr(text, 'x', 7), nullptr);
}

TEST(Strings, LengthsAndComparison) {
    EXPECT_EQ(kernel_strlen(""), 0U);
    EXPECT_EQ(kernel_strlen("four"), 4U);
    EXPECT_EQ(kernel_strnlen("four", 2), 2U);
    EXPECT_EQ(kernel_strnlen("four", 9), 4U);
    EXPECT_EQ(kernel_strcmp("a", "a"), 0);
    EXPECT_LT(kernel_strcmp("a", "ab"), 0);
    EXPECT_GT(kernel_strcmp("\xff", "a"), 0) << "characters compare as unsigned";
    EXPECT_EQ(kernel_strncmp("abc", "abd", 2), 0);
    EXPECT_LT(kernel_strncmp("abc", "abd", 3), 0);
    EXPECT_EQ(kernel_strncmp("a", "a", 100), 0);
}

TEST(Strings, Search) {
    const char text[] = "/a/b";
    EXPECT_EQ(kernel_strchr(text, '/'), text);
    EXPECT_EQ(kernel_strrchr(text, '/'), text + 2);
    EXPECT_EQ(kernel_strchr(text, 'x'), nullptr);
    EXPECT_EQ(kernel_strrchr(text, 'x'), nullptr);
    EXPECT_EQ(kernel_strchr(text, '\0'), text + 4);
    EXPECT_EQ(kernel_strrchr(text, '\0'), text + 4);
}

TEST(Bits, CountsAgreeWithTheStandardLibrary) {
    std::mt19937_64 random{5};
    for (int round = 0; round < 10'000; ++round) {
        const std::uint64_t value = random() >> (random() % 64);
        ASSERT_EQ(kernel___popcountdi2(value), std::popcount(value)) << value;
        if (value != 0) {
            ASSERT_EQ(kernel___ctzdi2(value), std::countr_zero(value)) << value;
            ASSERT_EQ(kernel___clzdi2(value), std::countl_zero(value)) << value;
        }
    }
    for (int bit = 0; bit < 64; ++bit) {
        const std::uint64_t value = std::uint64_t{1} << bit;
        ASSERT_EQ(kernel___ctzdi2(value), bit);
        ASSERT_EQ(kernel___clzdi2(value), 63 - bit);
        ASSERT_EQ(kernel___ctzdi2(~std::uint64_t{0} << bit), bit);
    }
}

}  // namespace
