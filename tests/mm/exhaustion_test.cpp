// SPDX-License-Identifier: MIT
// Every operation with every single one of its allocations failing in turn: it reports NoMemory, breaks
// nothing, and succeeds when asked again.
#include <functional>
#include <string>

#include "memory_test.hpp"

namespace kernel::mm {
namespace {

constexpr VirtAddr kBase{0x10'0000};

class ExhaustionTest : public MemoryTest {
  protected:
    struct Operation {
        std::string name;
        std::uint64_t at_least;  // allocations the operation is known to make
        std::function<Result<void>(AddressSpace&, FileObject&)> run;
    };
    // Eight pages, read-write, the middle ones resident; above them three pages of the file, one resident.
    static void prepare(AddressSpace& space, FileObject& file) {
        ASSERT_TRUE(space.map_anonymous({kBase, 8 * kPageSize, kReadWrite, Placement::Fixed}).ok());
        ASSERT_TRUE(store_word(space, kBase + 3 * kPageSize, 3).ok());
        ASSERT_TRUE(store_word(space, kBase + 4 * kPageSize, 4).ok());
        space.set_break_base(VirtAddr{0x1000'0000});
        ASSERT_TRUE(space
                        .map_file({kBase + 16 * kPageSize, 3 * kPageSize, kReadWrite, Placement::Fixed},
                                  {&file, 0, 2 * kPageSize + 100})
                        .ok());
        ASSERT_TRUE(load_word(space, kBase + 16 * kPageSize).ok());
    }
    static Result<void> done(auto&& result) {
        if (!result.ok()) {
            return result.error();
        }
        return {};
    }
};

TEST_F(ExhaustionTest, EveryAllocationOfEveryOperationMayFail) {
    const std::vector<Operation> operations{
        {"map far away", 1,
         [](AddressSpace& space, FileObject&) {
             return done(space.map_anonymous({kMmapBottom, kPageSize, kReadOnly, Placement::FixedNoReplace}));
         }},
        {"map over the middle", 2,
         [](AddressSpace& space, FileObject&) {
             return done(
                 map_to_end(space, {kBase + 3 * kPageSize, 2 * kPageSize, kReadOnly, Placement::Fixed}));
         }},
        {"unmap the middle", 1,
         [](AddressSpace& space, FileObject&) {
             return done(unmap_all(space, kBase + 3 * kPageSize, 2 * kPageSize));
         }},
        {"protect the middle", 2,
         [](AddressSpace& space, FileObject&) {
             return done(protect_all(space, kBase + 3 * kPageSize, 2 * kPageSize, kReadOnly));
         }},
        {"discard", 0,
         [](AddressSpace& space, FileObject&) { return done(discard_all(space, kBase, 8 * kPageSize)); }},
        {"first touch", 1,
         [](AddressSpace& space, FileObject&) { return space.handle_fault(kBase, Access::Write); }},
        {"first touch that needs tables", 4,
         [](AddressSpace& space, FileObject&) -> Result<void> {
             const VirtAddr far{0x20'0000'0000};
             if (!space.mapping_at_or_above(far).ok()) {
                 TRY(space.map_anonymous({far, kPageSize, kReadWrite, Placement::FixedNoReplace}));
             }
             return space.handle_fault(far, Access::Read);
         }},
        {"read of a file page", 1,
         [](AddressSpace& space, FileObject&) {
             return space.handle_fault(kBase + 17 * kPageSize, Access::Read);
         }},
        {"write to a file page", 2,
         [](AddressSpace& space, FileObject&) { return done(store_word(space, kBase + 17 * kPageSize, 1)); }},
        {"write to a resident file page", 1,
         [](AddressSpace& space, FileObject&) { return done(store_word(space, kBase + 16 * kPageSize, 1)); }},
        {"touch of a partial file page", 1,
         [](AddressSpace& space, FileObject&) { return done(load_word(space, kBase + 18 * kPageSize)); }},
        {"copy over several pages", 3,
         [](AddressSpace& space, FileObject&) {
             return zero_user(space, kBase + 5 * kPageSize, 3 * kPageSize);
         }},
        {"grow the break", 1,
         [](AddressSpace& space, FileObject&) -> Result<void> {
             const VirtAddr wanted{0x1000'0000 + 0x5000};
             const VirtAddr now = break_to_end(space, wanted);
             EXPECT_TRUE(now == wanted || now == VirtAddr{0x1000'0000});
             return now == wanted ? Result<void>{} : Error::NoMemory;
         }},
        {"another space", 2,
         [](AddressSpace& space, FileObject&) -> Result<void> {
             AddressSpace* other = TRY(AddressSpace::create(space.root()));
             dismantle(other);
             return {};
         }},
    };
    const std::vector<std::byte> contents(10 * kPageSize, std::byte{0x22});
    const PhysAddr kernel_root = PageTable::create()->root();
    for (const Operation& operation : operations) {
        std::uint64_t successes = 0;
        for (bool has_failed = true; has_failed; ++successes) {
            SCOPED_TRACE(operation.name + ", allocation " + std::to_string(successes));
            FileObject file{"/bin/x", contents};
            AddressSpace* space = *AddressSpace::create(kernel_root);
            prepare(*space, file);
            fail_allocation_after(successes);
            const Result<void> result = operation.run(*space, file);
            has_failed = has_allocation_failed();
            stop_failing_allocations();
            space->check_invariants();
            EXPECT_EQ(error_of(result), has_failed ? code(Error::NoMemory) : 0);
            if (has_failed) {
                EXPECT_EQ(load_word(*space, kBase + 3 * kPageSize).value_or(0), 3U) << "nothing was lost";
                EXPECT_EQ(error_of(operation.run(*space, file)), 0) << "the second attempt";
                space->check_invariants();
            }
            dismantle(space);
        }
        EXPECT_GT(successes, operation.at_least) << operation.name;
    }
    frames().unref(kernel_root);
}

TEST_F(ExhaustionTest, AProgramThatEatsAllMemoryGetsAnErrorAndGivesAllBack) {
    const PhysAddr kernel_root = PageTable::create()->root();
    AddressSpace* space = *AddressSpace::create(kernel_root);
    constexpr std::uint64_t kBytes = std::uint64_t{32} << 20;  // twice the machine's RAM
    ASSERT_TRUE(space->map_anonymous({kBase, kBytes, kReadWrite, Placement::Fixed}).ok());
    std::uint64_t touched = 0;
    Result<void> result;
    while ((result = space->handle_fault(kBase + touched * kPageSize, Access::Write)).ok()) {
        ++touched;
    }
    EXPECT_EQ(result.error(), Error::NoMemory);
    EXPECT_GT(touched, free_at_start() * 9 / 10);
    EXPECT_LT(frames().stats().free, 4U);
    EXPECT_EQ(error_of(AddressSpace::create(kernel_root)), code(Error::NoMemory));
    space->check_invariants();
    // With a page given back it goes on.
    ASSERT_TRUE(discard_all(*space, kBase, 4 * kPageSize).ok());
    EXPECT_TRUE(space->handle_fault(kBase + touched * kPageSize, Access::Write).ok());
    dismantle(space);
    frames().unref(kernel_root);
}

}  // namespace
}  // namespace kernel::mm
