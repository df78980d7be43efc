// SPDX-License-Identifier: MIT
#include "mm/vma.hpp"

#include <map>
#include <random>

#include "memory_test.hpp"

namespace kernel::mm {
namespace {

using VmaTest = MemoryTest;

constexpr VirtAddr page(std::uint64_t number) {
    return VirtAddr{number * kPageSize};
}
Mapping anonymous(std::uint64_t from, std::uint64_t to, Protection protection = kReadWrite) {
    return {page(from), page(to), protection};
}

TEST_F(VmaTest, JoinsNeighboursThatMeanTheSame) {
    VmaSet set;
    ASSERT_TRUE(set.insert(anonymous(10, 20)).ok());
    ASSERT_TRUE(set.insert(anonymous(30, 40)).ok());
    EXPECT_EQ(set.count(), 2U);
    ASSERT_TRUE(set.insert(anonymous(20, 30)).ok());
    EXPECT_EQ(set.count(), 1U);
    ASSERT_TRUE(set.insert(anonymous(40, 50, kReadOnly)).ok());
    EXPECT_EQ(set.count(), 2U);
    ASSERT_TRUE(set.protect(page(40), page(50), kReadWrite).ok());
    EXPECT_EQ(set.count(), 1U);
    EXPECT_EQ(set.mapped_bytes(), 40 * kPageSize);
}

TEST_F(VmaTest, JoinsAndCutsFileMappingsByTheirOffsets) {
    const std::vector<std::byte> contents(10 * kPageSize);
    FileObject file{"/bin/x", contents};
    FileObject other{"/bin/y", contents};
    VmaSet set;
    const Mapping whole{page(10), page(20), kReadOnly, &file, 0, 7 * kPageSize + 5};
    ASSERT_TRUE(set.insert(whole).ok());
    ASSERT_TRUE(set.isolate(page(12), page(18)).ok());
    EXPECT_EQ(set.count(), 3U);
    const Mapping* middle = set.find(page(12));
    ASSERT_NE(middle, nullptr);
    EXPECT_EQ(middle->file_offset, 2 * kPageSize);
    EXPECT_EQ(middle->file_bytes, 5 * kPageSize + 5);
    const Mapping* rest = set.find(page(18));
    ASSERT_NE(rest, nullptr);
    EXPECT_EQ(rest->file, nullptr) << "past the file part it is plain zero memory";
    // The first two continue one another again; another file at the same offset does not.
    ASSERT_TRUE(set.protect(page(12), page(12) + kPageSize, kReadOnly).ok());
    EXPECT_EQ(set.count(), 2U);
    set.remove(page(12), page(20));
    ASSERT_TRUE(set.insert({page(12), page(13), kReadOnly, &other, 2 * kPageSize, kPageSize}).ok());
    EXPECT_EQ(set.count(), 2U);
}

TEST_F(VmaTest, FindsTheHighestGap) {
    VmaSet set;
    EXPECT_EQ(set.find_gap(kPageSize, page(0x10), page(0x100)).value_or(page(0)), page(0xff));
    ASSERT_TRUE(set.insert(anonymous(0xf0, 0x100)).ok());
    ASSERT_TRUE(set.insert(anonymous(0x80, 0xec)).ok());
    EXPECT_EQ(set.find_gap(4 * kPageSize, page(0x10), page(0x100)).value_or(page(0)), page(0xec));
    EXPECT_EQ(set.find_gap(5 * kPageSize, page(0x10), page(0x100)).value_or(page(0)), page(0x7b));
    EXPECT_EQ(set.find_gap(0x70 * kPageSize, page(0x10), page(0x100)).value_or(page(0)), page(0x10));
    EXPECT_EQ(error_of(set.find_gap(0x71 * kPageSize, page(0x10), page(0x100))), code(Error::NoMemory));
    // A mapping that reaches into the window from below takes its part.
    ASSERT_TRUE(set.insert(anonymous(0x8, 0x12)).ok());
    EXPECT_EQ(error_of(set.find_gap(0x6f * kPageSize, page(0x10), page(0x100))), code(Error::NoMemory));
}

TEST_F(VmaTest, KnowsWhatIsFreeAroundARange) {
    VmaSet set;
    ASSERT_TRUE(set.insert(anonymous(10, 20)).ok());
    ASSERT_TRUE(set.insert(anonymous(30, 40, kReadOnly)).ok());
    ASSERT_TRUE(set.insert(anonymous(40, 50)).ok());
    const auto expect = [&](std::uint64_t from, std::uint64_t to, VirtAddr low, VirtAddr high) {
        const auto around = set.surroundings(page(from), page(to));
        EXPECT_EQ(around.start, low) << from << " to " << to;
        EXPECT_EQ(around.end, high) << from << " to " << to;
    };
    const VirtAddr top{~std::uint64_t{0}};
    expect(30, 40, page(20), page(40));  // as if it were free
    expect(30, 50, page(20), top);
    expect(32, 40, page(32), page(40));
    expect(30, 38, page(20), page(38));
    expect(10, 20, page(0), page(30));
    expect(22, 25, page(20), page(30));
    expect(60, 70, page(50), top);
    expect(5, 60, page(0), top);
}

TEST_F(VmaTest, RefusesMoreMappingsThanTheLimit) {
    VmaSet set;
    for (std::uint64_t i = 0; i < VmaSet::kMaxMappings; ++i) {
        ASSERT_TRUE(set.insert(anonymous(2 * i + 1, 2 * i + 2)).ok());
    }
    EXPECT_EQ(error_of(set.insert(anonymous(2 * VmaSet::kMaxMappings + 1, 2 * VmaSet::kMaxMappings + 2))),
              code(Error::NoMemory));
    set.check_invariants();
    for (std::uint64_t i = 0; i < VmaSet::kMaxMappings; ++i) {
        EXPECT_NE(set.find(page(2 * i + 1)), nullptr);
        EXPECT_EQ(set.find(page(2 * i + 2)), nullptr);
    }
}

TEST_F(VmaTest, ReplaceGoesInStepsAndKeepsTheRangeOccupied) {
    VmaSet set;
    for (std::uint64_t i = 10; i < 60; i += 2) {
        ASSERT_TRUE(set.insert(anonymous(i, i + 1)).ok());
    }
    const Mapping wanted = anonymous(9, 61, kReadOnly);
    ASSERT_TRUE(set.isolate(wanted.start, wanted.end).ok());
    int steps = 0;
    for (;; ++steps) {
        const auto done = set.replace(wanted, 4);
        ASSERT_TRUE(done.ok());
        set.check_invariants();
        EXPECT_FALSE(set.is_free(page(9), page(10))) << "from the first step on";
        if (*done) {
            break;
        }
    }
    EXPECT_GE(steps, 4);
    EXPECT_EQ(set.count(), 1U);
    EXPECT_EQ(set.find(page(60))->protection, kReadOnly);
    EXPECT_EQ(set.mapped_bytes(), 52 * kPageSize);
}

// Every operation against one protection per page.
TEST_F(VmaTest, BehavesLikeAnArrayOfPages) {
    constexpr std::uint64_t kPages = 200;
    const std::array protections{kNoAccess, kReadOnly, kReadWrite, kReadExecute};
    for (const std::uint32_t seed : {11U, 12U, 13U, 14U}) {
        SCOPED_TRACE(seed);
        std::mt19937 random{seed};
        VmaSet set;
        std::map<std::uint64_t, Protection> model;
        for (int step = 0; step < 3000; ++step) {
            const std::uint64_t from = 1 + random() % kPages;
            const std::uint64_t to = from + 1 + random() % 20;
            const Protection protection = protections[random() % protections.size()];
            const auto first = model.lower_bound(from);
            const bool is_free = first == model.end() || first->first >= to;
            EXPECT_EQ(set.is_free(page(from), page(to)), is_free);
            switch (random() % 4) {
                case 0:
                    if (is_free) {
                        ASSERT_TRUE(set.insert(anonymous(from, to, protection)).ok());
                        for (std::uint64_t i = from; i < to; ++i) {
                            model[i] = protection;
                        }
                    }
                    break;
                case 1:
                    ASSERT_TRUE(set.isolate(page(from), page(to)).ok());
                    set.remove(page(from), page(to));
                    model.erase(model.lower_bound(from), model.lower_bound(to));
                    break;
                case 2:
                    ASSERT_TRUE(set.protect(page(from), page(to), protection).ok());
                    for (auto& [number, value] : model) {
                        if (number >= from && number < to) {
                            value = protection;
                        }
                    }
                    break;
                default: {
                    ASSERT_TRUE(set.isolate(page(from), page(to)).ok());
                    for (auto done = set.replace(anonymous(from, to, protection), 2); !*done;) {
                        done = set.replace(anonymous(from, to, protection), 2);
                        ASSERT_TRUE(done.ok());
                    }
                    for (std::uint64_t i = from; i < to; ++i) {
                        model[i] = protection;
                    }
                    break;
                }
            }
            set.check_invariants();
            EXPECT_EQ(set.mapped_bytes(), model.size() * kPageSize);
            const std::uint64_t wanted = 1 + random() % 30;
            const std::uint64_t bottom = random() % kPages;
            const std::uint64_t top = bottom + random() % kPages;
            std::uint64_t best = 0;
            for (std::uint64_t at = bottom; at + wanted <= top; ++at) {
                const auto taken = model.lower_bound(at);
                best = taken == model.end() || taken->first >= at + wanted ? at : best;
            }
            EXPECT_EQ(set.find_gap(wanted * kPageSize, page(bottom), page(top)).value_or(page(0)),
                      page(best));
            for (std::uint64_t i = 0; i < kPages + 30; ++i) {
                const Mapping* mapping = set.find(page(i));
                const auto expected = model.find(i);
                ASSERT_EQ(mapping != nullptr, expected != model.end()) << "page " << i << " step " << step;
                if (mapping != nullptr) {
                    ASSERT_EQ(mapping->protection, expected->second) << "page " << i << " step " << step;
                }
            }
        }
    }
}

TEST_F(VmaTest, IsTakenApartFromBelow) {
    VmaSet set;
    for (const std::uint64_t from : {40, 10, 30, 20}) {
        ASSERT_TRUE(set.insert(anonymous(from, from + 5)).ok());
    }
    set.drop_from_first(page(12));
    EXPECT_EQ(set.first()->start, page(12));
    EXPECT_EQ(set.second()->start, page(20));
    EXPECT_EQ(set.mapped_bytes(), 18 * kPageSize);
    for (const std::uint64_t end : {15, 25, 35}) {
        EXPECT_EQ(set.first()->end, page(end));
        set.drop_from_first(page(end));
    }
    EXPECT_EQ(set.count(), 1U);
    EXPECT_EQ(set.second(), nullptr);
    set.drop_from_first(page(45));
    EXPECT_EQ(set.first(), nullptr);
    EXPECT_EQ(set.count(), 0U);
    EXPECT_EQ(set.mapped_bytes(), 0U);
}

TEST_F(VmaTest, FailedCutsChangeNothing) {
    VmaSet set;
    ASSERT_TRUE(set.insert(anonymous(10, 20)).ok());
    for (std::uint64_t successes = 0;; ++successes) {
        fail_allocation_after(successes);
        const auto result = set.protect(page(12), page(15), kReadOnly);
        if (!has_allocation_failed()) {
            ASSERT_TRUE(result.ok());
            EXPECT_GE(successes, 2U);
            break;
        }
        EXPECT_EQ(error_of(result), code(Error::NoMemory));
        EXPECT_EQ(set.count(), 1U);
        EXPECT_EQ(set.find(page(12))->protection, kReadWrite);
        set.check_invariants();
    }
    stop_failing_allocations();
    EXPECT_EQ(set.count(), 3U);
}

}  // namespace
}  // namespace kernel::mm
