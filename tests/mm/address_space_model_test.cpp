// SPDX-License-Identifier: MIT
// Random sequences of everything a program can do to its memory, against a model that keeps one record per
// page; with a second hart whose TLB remembers whatever it was not told to forget.
#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>

#include "memory_test.hpp"
#include "mm/asid.hpp"

namespace kernel::mm {
namespace {

constexpr std::uint64_t kFirstPage = 0x1f0;  // the window lies across a 2 MiB border
constexpr std::uint64_t kPages = 200;        // and takes several steps to unmap
constexpr CpuId kRemembering{1};

VirtAddr address(std::uint64_t page) {
    return VirtAddr{page * kPageSize};
}

struct ModelPage {
    Protection protection;
    // The first word when the page is next read from its backing: 0, or the file's.
    std::uint32_t backing{0};
    std::optional<std::uint32_t> written;  // what the program stored since
    [[nodiscard]] std::uint32_t word() const { return written.value_or(backing); }
};

// The remembering hart's TLB. A flush takes entries out; nothing else does.
std::map<std::uint64_t, Pte> remembered;

void forget(const arch::host::TlbFlush& flush) {
    if (!flush.cpus.contains(kRemembering)) {
        return;
    }
    // A frame that a TLB may still reach must not be free yet.
    for (const auto& [page, pte] : remembered) {
        EXPECT_GT(frames().references(pte.frame()), 0U) << "page " << page;
    }
    std::erase_if(remembered, [&](const auto& entry) {
        const VirtAddr va = address(entry.first);
        return flush.bytes == kFlushEverything || (va >= flush.start && va - flush.start < flush.bytes);
    });
}

// How a run differs from others: its random numbers, and whether a fault maps cached pages around it, too.
struct Run {
    std::uint32_t seed;
    bool maps_neighbours;
};

class AddressSpaceModelTest : public AddressSpaceTest, public ::testing::WithParamInterface<Run> {
  protected:
    void SetUp() override {
        AddressSpaceTest::SetUp();
        remembered.clear();
        map_neighbours_at_faults(GetParam().maps_neighbours);
        arch::host::set_flush_observer(forget);
        space().activate(kRemembering);
        contents_.resize(kFilePages * kPageSize);
        for (std::uint64_t page = 0; page < kFilePages; ++page) {
            const auto word = static_cast<std::uint32_t>(0xf11e'0000 + page);
            std::memcpy(contents_.data() + page * kPageSize, &word, sizeof word);
        }
        file_.emplace("/bin/model", contents_);
    }
    void TearDown() override {
        space().deactivate(kRemembering);
        arch::host::set_flush_observer(nullptr);
        ASSERT_TRUE(unmap_all(space(), kUserBase, kUserTop - kUserBase).ok());
        EXPECT_EQ(space().resident_pages(), 0U);
        file_.reset();
        map_neighbours_at_faults(true);
        AddressSpaceTest::TearDown();
    }

    void map(std::uint64_t from, std::uint64_t to, Protection protection, bool from_file,
             std::uint64_t file_page, Placement placement) {
        const bool is_free = model_.lower_bound(from) == model_.lower_bound(to);
        const std::uint64_t bytes = (to - from) * kPageSize;
        const FileSlice slice{from_file ? &*file_ : nullptr, file_page * kPageSize, bytes};
        const auto mapped = map_to_end(space(), {address(from), bytes, protection, placement}, slice);
        if (placement == Placement::FixedNoReplace && !is_free) {
            EXPECT_EQ(error_of(mapped), code(Error::Exists));
            return;
        }
        ASSERT_TRUE(mapped.ok());
        for (std::uint64_t page = from; page < to; ++page) {
            const std::uint64_t source = file_page + (page - from);
            const bool has_file = from_file && source < kFilePages;
            model_[page] = {protection, has_file ? static_cast<std::uint32_t>(0xf11e'0000 + source) : 0, {}};
        }
    }
    [[nodiscard]] bool has_hole(std::uint64_t from, std::uint64_t to) const {
        return static_cast<std::uint64_t>(std::distance(model_.lower_bound(from), model_.lower_bound(to))) !=
               to - from;
    }
    // Applies change to the pages from `from` up to the first hole, as mprotect and madvise do.
    void change_until_hole(std::uint64_t from, std::uint64_t to, auto&& change) {
        for (std::uint64_t page = from; page < to; ++page) {
            const auto found = model_.find(page);
            if (found == model_.end()) {
                return;
            }
            change(found->second);
        }
    }
    void access(std::uint64_t page, Access kind, std::uint32_t value) {
        const auto found = model_.find(page);
        const bool allowed = found != model_.end() && permits(found->second.protection, kind);
        const std::int32_t expected = allowed ? 0 : code(Error::BadAddress);
        if (kind == Access::Write) {
            EXPECT_EQ(error_of(write(address(page), value)), expected) << "page " << page;
            if (allowed) {
                found->second.written = value;
            }
        } else if (kind == Access::Read) {
            // As a program reads, or as a call reads for it.
            if (value % 4 == 1) {
                EXPECT_EQ(error_of(space().handle_fault(address(page), kind)), expected) << "page " << page;
            }
            const auto word = read(address(page));
            EXPECT_EQ(error_of(word), expected) << "page " << page;
            if (allowed) {
                EXPECT_EQ(word.value_or(~0U), found->second.word()) << "page " << page;
            }
        } else {
            EXPECT_EQ(error_of(space().handle_fault(address(page), kind)), expected) << "page " << page;
        }
        // Now and then the other hart uses the page too and remembers how.
        if (const Pte pte = pte_of(address(page)); pte.is_valid() && value % 2 == 0) {
            remembered[page] = pte;
        }
    }
    // Whatever a TLB remembers is still true, or less than the truth.
    void expect_no_stale_translations() {
        for (const auto& [page, pte] : remembered) {
            const Pte current = pte_of(address(page));
            ASSERT_EQ(current.frame(), pte.frame()) << "page " << page;
            for (const Access kind : {Access::Read, Access::Write, Access::Execute}) {
                ASSERT_TRUE(!permits(pte.protection(), kind) || permits(current.protection(), kind))
                    << "page " << page;
            }
        }
    }

    static constexpr std::uint64_t kFilePages = 40;
    std::vector<std::byte> contents_;
    std::optional<FileObject> file_;
    std::map<std::uint64_t, ModelPage> model_;
};

TEST_P(AddressSpaceModelTest, BehavesLikeAnArrayOfPages) {
    std::mt19937 random{GetParam().seed};
    const std::array protections{kNoAccess, kReadOnly, kReadWrite, kReadWrite, kReadExecute};
    const std::array accesses{Access::Read, Access::Write, Access::Write, Access::Execute};
    for (int step = 0; step < 1500 && !HasFailure(); ++step) {
        SCOPED_TRACE(step);
        const std::uint64_t from = kFirstPage + random() % kPages;
        const std::uint64_t to =
            std::min(from + 1 + random() % (random() % 8 == 0 ? kPages : 12), kFirstPage + kPages);
        const std::uint64_t bytes = (to - from) * kPageSize;
        const Protection protection = protections[random() % protections.size()];
        switch (random() % 12) {
            case 0:
                map(from, to, protection, random() % 2 == 0, random() % kFilePages, Placement::Fixed);
                break;
            case 1:
            case 2:
                map(from, to, protection, random() % 2 == 0, random() % kFilePages,
                    Placement::FixedNoReplace);
                break;
            case 3:
                ASSERT_TRUE(unmap_all(space(), address(from), bytes).ok());
                model_.erase(model_.lower_bound(from), model_.lower_bound(to));
                break;
            case 4:
            case 5: {
                const auto result = protect_all(space(), address(from), bytes, protection);
                EXPECT_EQ(error_of(result), has_hole(from, to) ? code(Error::NoMemory) : 0);
                change_until_hole(from, to, [&](ModelPage& page) { page.protection = protection; });
                break;
            }
            case 6: {
                const auto result = discard_all(space(), address(from), bytes);
                EXPECT_EQ(error_of(result), has_hole(from, to) ? code(Error::NoMemory) : 0);
                change_until_hole(from, to, [](ModelPage& page) { page.written.reset(); });
                break;
            }
            default:
                for (std::uint64_t page = from; page < to; ++page) {
                    access(page, accesses[random() % accesses.size()], static_cast<std::uint32_t>(random()));
                }
                break;
        }
        space().check_invariants();
        EXPECT_EQ(space().mapped_bytes(), model_.size() * kPageSize);
        expect_no_stale_translations();
    }
    for (const auto& [page, expected] : model_) {
        if (expected.protection.read) {
            EXPECT_EQ(read(address(page)).value_or(~0U), expected.word()) << "page " << page;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Seeds, AddressSpaceModelTest,
                         ::testing::Values(Run{1, true}, Run{2, true}, Run{3, true}, Run{4, true},
                                           Run{5, true}, Run{6, true}, Run{1, false}, Run{2, false},
                                           Run{3, false}),
                         [](const auto& run) {
                             return (run.param.maps_neighbours ? "WithNeighbours" : "PageByPage") +
                                    std::to_string(run.param.seed);
                         });

}  // namespace
}  // namespace kernel::mm
