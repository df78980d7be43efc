// SPDX-License-Identifier: MIT
#include "task/file_table.hpp"

#include <gtest/gtest.h>

#include <memory>

#include "fake_task.hpp"
#include "file/devices.hpp"
#include "mm/frames.hpp"

namespace kernel {
namespace {

using task::FileTable;
using task::OpenFile;

class FileTables : public fake::SyscallTest {
  protected:
    static Ref<OpenFile> make() {
        auto file = file::open_device(file::Device::Null, task::kOpenReadWrite, {});
        EXPECT_TRUE(file.ok());
        return std::move(*file);
    }
};

TEST_F(FileTables, TheLowestFreeDescriptorIsGiven) {
    FileTable table;
    for (std::uint32_t i = 0; i < 20; ++i) {
        EXPECT_EQ(table.insert(make(), false).value_or(999), i);
    }
    EXPECT_TRUE(table.close(3).ok());
    EXPECT_TRUE(table.close(17).ok());
    EXPECT_EQ(table.insert(make(), false).value_or(999), 3U);
    EXPECT_EQ(table.insert(make(), false).value_or(999), 17U);
    EXPECT_EQ(table.insert(make(), false).value_or(999), 20U);
}

TEST_F(FileTables, AFullTableSaysSo) {
    FileTable table;
    for (std::uint32_t i = 0; i < FileTable::kMaxFiles; ++i) {
        EXPECT_TRUE(table.insert(make(), false).ok());
    }
    EXPECT_EQ(table.insert(make(), false).error(), Error::TooManyFiles);
}

TEST_F(FileTables, UnusedAndImpossibleDescriptorsAreBad) {
    FileTable table;
    for (const std::int32_t descriptor :
         {-1, 0, 15, 16, 255, 256, 1 << 30, std::numeric_limits<std::int32_t>::min()}) {
        EXPECT_EQ(table.find(descriptor).error(), Error::BadDescriptor) << descriptor;
        EXPECT_EQ(table.close(descriptor).error(), Error::BadDescriptor) << descriptor;
    }
    EXPECT_EQ(table.insert_at(256, make(), false).error(), Error::BadDescriptor);
    EXPECT_EQ(table.insert_at(-1, make(), false).error(), Error::BadDescriptor);
}

TEST_F(FileTables, CopyingSharesEverythingWithItsMarks) {
    FileTable parent;
    const Ref<OpenFile> kept = make();
    const Ref<OpenFile> directory = make();
    EXPECT_TRUE(parent.insert_at(5, kept.clone(), false).ok());
    EXPECT_TRUE(parent.insert_at(200, kept.clone(), false).ok());
    EXPECT_TRUE(parent.insert_at(7, make(), true).ok());
    parent.set_directory(directory.clone());
    FileTable child;
    EXPECT_TRUE(child.copy_from(parent).ok());
    EXPECT_EQ(child.find(5)->get(), kept.get());
    EXPECT_EQ(child.find(200)->get(), kept.get());
    EXPECT_EQ(child.find(7)->get(), parent.find(7)->get());
    EXPECT_EQ(child.closes_on_exec(5).value_or(true), false);
    EXPECT_EQ(child.closes_on_exec(7).value_or(false), true);
    EXPECT_EQ(child.directory().get(), directory.get());
}

TEST_F(FileTables, ExecClosesWhatIsMarkedInSteps) {
    FileTable table;
    const Ref<OpenFile> file = make();
    for (std::int32_t i = 0; i < 40; ++i) {
        EXPECT_TRUE(table.insert_at(i, file.clone(), i % 2 == 1).ok());
    }
    EXPECT_TRUE(table.set_closes_on_exec(2, true).ok());
    EXPECT_TRUE(table.set_closes_on_exec(3, false).ok());
    EXPECT_EQ(table.set_closes_on_exec(41, false).error(), Error::BadDescriptor);
    std::uint32_t steps = 0;
    for (std::uint32_t at = 0; at < FileTable::kMaxFiles; ++steps) {
        at = table.close_marked_step(at);
    }
    EXPECT_EQ(steps, 20 / FileTable::kClosedPerStep + 1);
    EXPECT_EQ(file->reference_count(), 1U + 20U);
    EXPECT_TRUE(table.find(3).ok());
    EXPECT_EQ(table.find(2).error(), Error::BadDescriptor);
    EXPECT_EQ(table.find(39).error(), Error::BadDescriptor);
}

TEST_F(FileTables, DescriptorsAreGivenFromAMinimumOn) {
    FileTable table;
    EXPECT_EQ(table.insert(make(), false, 100).value_or(999), 100U);
    EXPECT_EQ(table.insert(make(), false, 100).value_or(999), 101U);
    EXPECT_EQ(table.insert(make(), false).value_or(999), 0U);
    EXPECT_TRUE(table.insert(make(), false, 255).ok());
    EXPECT_EQ(table.insert(make(), false, 255).error(), Error::TooManyFiles);
}

TEST_F(FileTables, ReplacingClosesAndEverythingGoesBack) {
    const auto free_before = mm::frames().stats().free;
    {
        FileTable table;
        const Ref<OpenFile> first = make();
        EXPECT_TRUE(table.insert_at(100, first.clone(), false).ok());
        EXPECT_EQ(first->reference_count(), 2U);
        EXPECT_TRUE(table.insert_at(100, make(), false).ok());
        EXPECT_EQ(first->reference_count(), 1U);
    }
    EXPECT_EQ(mm::frames().stats().free, free_before);
}

}  // namespace
}  // namespace kernel
