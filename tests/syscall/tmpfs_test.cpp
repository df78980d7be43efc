// SPDX-License-Identifier: MIT
// Files of memory: the tree, their contents, what they cost.
#include "file/tmpfs.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <string>

#include "fake_task.hpp"
#include "mm/frames.hpp"
#include "nexus_abi/linux.hpp"

namespace kernel {
namespace {

using fake::error;
using fake::kMemory;
using nexus_abi::Error;
using nexus_abi::Syscall;

constexpr std::uint64_t kHere = static_cast<std::uint64_t>(-100);
constexpr std::uint64_t kPath = kMemory;
constexpr std::uint64_t kOther = kMemory + 0x400;
constexpr std::uint64_t kBuffer = kMemory + 0x1000;  // 60 KiB
constexpr std::uint64_t kReadWrite = 2;
constexpr std::uint64_t kCreate = 0100;
constexpr std::uint64_t kExclusive = 0200;
constexpr std::uint64_t kTruncate = 01000;
constexpr std::uint64_t kAppend = 02000;
constexpr std::uint64_t kDirectory = 0200000;
constexpr std::uint64_t kRemoveDirectory = 0x200;
constexpr std::uint64_t kNoReplace = 1;

class Tmpfs : public fake::SyscallTest {
  protected:
    std::int64_t open(const std::string& path, std::uint64_t flags = kReadWrite | kCreate) {
        put_text(kPath, path);
        return call(Syscall::openat, kHere, kPath, flags, 0644).value_or(-9999);
    }
    void make(const std::string& path) { close(open(path)); }
    std::int64_t mkdir(const std::string& path) {
        put_text(kPath, path);
        return call(Syscall::mkdirat, kHere, kPath, 0755).value_or(-9999);
    }
    std::int64_t unlink(const std::string& path, std::uint64_t flags = 0) {
        put_text(kPath, path);
        return call(Syscall::unlinkat, kHere, kPath, flags).value_or(-9999);
    }
    std::int64_t rmdir(const std::string& path) { return unlink(path, kRemoveDirectory); }
    std::int64_t rename(const std::string& from, const std::string& to, std::uint64_t flags = 0) {
        put_text(kPath, from);
        put_text(kOther, to);
        return call(Syscall::renameat2, kHere, kPath, kHere, kOther, flags).value_or(-9999);
    }
    std::int64_t stat(const std::string& path) {
        put_text(kPath, path);
        return call(Syscall::newfstatat, kHere, kPath, kBuffer, 0).value_or(-9999);
    }
    std::int64_t size_of(std::int64_t fd) {
        EXPECT_EQ(call(Syscall::fstat, fd, kBuffer), 0);
        return get<nexus_abi::stat>(kBuffer).st_size;
    }
    void close(std::int64_t fd) { EXPECT_EQ(call(Syscall::close, fd), 0); }
    std::int64_t write_at(std::int64_t fd, const std::string& text, std::uint64_t at) {
        put(kBuffer, std::as_bytes(std::span{text}));
        return call(Syscall::pwrite64, fd, kBuffer, text.size(), at).value_or(-9999);
    }
    std::string read_at(std::int64_t fd, std::uint64_t bytes, std::uint64_t at) {
        const auto got = call(Syscall::pread64, fd, kBuffer, bytes, at).value_or(-9999);
        std::string text(got < 0 ? 0 : static_cast<std::size_t>(got), ' ');
        get(kBuffer, std::as_writable_bytes(std::span{text}));
        return text;
    }
};

TEST_F(Tmpfs, FilesAreMadeFoundAndRemoved) {
    EXPECT_EQ(open("/tmp/a", kReadWrite), error(Error::NoEntry));
    const std::int64_t fd = open("/tmp/a");
    EXPECT_GE(fd, 0);
    EXPECT_EQ(open("/tmp/a", kReadWrite | kCreate | kExclusive), error(Error::Exists));
    EXPECT_GE(open("/tmp/a", 0), 0);
    EXPECT_EQ(open("/tmp/a/b"), error(Error::NotDirectory));
    EXPECT_EQ(open("/tmp/no/b"), error(Error::NoEntry));
    EXPECT_EQ(open("/tmp/new/"), error(Error::IsDirectory));
    EXPECT_EQ(open("/nope"), error(Error::ReadOnly));
    EXPECT_EQ(open("/nope/x"), error(Error::NoEntry));
    EXPECT_EQ(open("/tmp", kReadWrite), error(Error::IsDirectory));
    EXPECT_EQ(write_at(fd, "still here", 0), 10);
    EXPECT_EQ(unlink("/tmp/a"), 0);
    EXPECT_EQ(unlink("/tmp/a"), error(Error::NoEntry));
    EXPECT_EQ(read_at(fd, 100, 0), "still here") << "as long as it is open";
    EXPECT_EQ(unlink("/dev/null"), error(Error::ReadOnly));
    EXPECT_EQ(unlink("/proc"), error(Error::IsDirectory));
}

TEST_F(Tmpfs, DirectoriesHoldFiles) {
    EXPECT_EQ(mkdir("/tmp/d"), 0);
    EXPECT_EQ(mkdir("/tmp/d"), error(Error::Exists));
    EXPECT_EQ(mkdir("/tmp/d/e/"), 0);
    EXPECT_EQ(mkdir("/tmp/x/y"), error(Error::NoEntry));
    EXPECT_EQ(mkdir("/proc/x"), error(Error::ReadOnly));
    EXPECT_EQ(mkdir("/tmp"), error(Error::Exists));
    make("/tmp/d/e/f");
    EXPECT_EQ(mkdir("/tmp/d/e/f/g"), error(Error::NotDirectory));
    EXPECT_EQ(unlink("/tmp/d"), error(Error::IsDirectory));
    EXPECT_EQ(rmdir("/tmp/d"), error(Error::NotEmpty));
    EXPECT_EQ(rmdir("/tmp/d/e/f"), error(Error::NotDirectory));
    EXPECT_EQ(rmdir("/tmp"), error(Error::Busy));
    EXPECT_EQ(unlink("/tmp/d/e/f"), 0);
    EXPECT_EQ(rmdir("/tmp/d/e"), 0);
    EXPECT_EQ(rmdir("/tmp/d"), 0);
    EXPECT_EQ(stat("/tmp/d"), error(Error::NoEntry));
    EXPECT_EQ(unlink("/tmp/d", 1), error(Error::InvalidArgument));
}

TEST_F(Tmpfs, RenamingReplacesAndMoves) {
    EXPECT_EQ(mkdir("/tmp/d"), 0);
    EXPECT_EQ(mkdir("/tmp/e"), 0);
    make("/tmp/a");
    EXPECT_EQ(rename("/tmp/a", "/tmp/d/b"), 0);
    EXPECT_EQ(stat("/tmp/a"), error(Error::NoEntry));
    EXPECT_EQ(stat("/tmp/d/b"), 0);
    make("/tmp/c");
    EXPECT_EQ(rename("/tmp/c", "/tmp/d/b", kNoReplace), error(Error::Exists));
    EXPECT_EQ(rename("/tmp/c", "/tmp/d/b"), 0);
    EXPECT_EQ(rename("/tmp/d/b", "/tmp/d/b"), 0);
    EXPECT_EQ(rename("/tmp/d/b", "/tmp/e"), error(Error::IsDirectory));
    EXPECT_EQ(rename("/tmp/e", "/tmp/d/b"), error(Error::NotDirectory));
    EXPECT_EQ(rename("/tmp/e", "/tmp/d"), error(Error::NotEmpty));
    EXPECT_EQ(rename("/tmp/d/b", "/tmp/d"), error(Error::NotEmpty));
    EXPECT_EQ(rename("/tmp/d", "/tmp/d/x"), error(Error::InvalidArgument));
    EXPECT_EQ(rename("/tmp/d", "/dev/shm/d"), error(Error::CrossDevice));
    EXPECT_EQ(rename("/tmp/d", "/proc/d"), error(Error::CrossDevice));
    EXPECT_EQ(rename("/tmp", "/tmp/t"), error(Error::Busy));
    EXPECT_EQ(rename("/proc", "/dev/proc"), error(Error::ReadOnly));
    EXPECT_EQ(rename("/tmp/none", "/tmp/t"), error(Error::NoEntry));
    EXPECT_EQ(rename("/tmp/d", "/tmp/e", 2), error(Error::InvalidArgument)) << "RENAME_EXCHANGE";
    EXPECT_EQ(rename("/tmp/d", "/tmp/e"), 0);
    EXPECT_EQ(stat("/tmp/e/b"), 0);
    EXPECT_EQ(unlink("/tmp/e/b"), 0);
    EXPECT_EQ(rmdir("/tmp/e"), 0);
}

TEST_F(Tmpfs, ADirectoryKnowsWhereItIs) {
    EXPECT_EQ(mkdir("/tmp/d"), 0);
    EXPECT_EQ(mkdir("/tmp/d/e"), 0);
    put_text(kPath, "/tmp/d/e");
    EXPECT_EQ(call(Syscall::chdir, kPath), 0);
    EXPECT_EQ(rename("/tmp/d", "/tmp/moved"), 0);
    EXPECT_EQ(call(Syscall::getcwd, kBuffer, 100), 13);
    std::string path(12, ' ');
    get(kBuffer, std::as_writable_bytes(std::span{path}));
    EXPECT_EQ(path, "/tmp/moved/e");
    make("f");
    EXPECT_EQ(stat("/tmp/moved/e/f"), 0);
    EXPECT_EQ(unlink("f"), 0);
    EXPECT_EQ(rmdir("/tmp/moved/e"), 0);
    EXPECT_EQ(call(Syscall::getcwd, kBuffer, 100), error(Error::NoEntry));
    EXPECT_EQ(open("f"), error(Error::NoEntry));
    put_text(kPath, "/");
    EXPECT_EQ(call(Syscall::chdir, kPath), 0);
    EXPECT_EQ(rmdir("/tmp/moved"), 0);
}

TEST_F(Tmpfs, ContentsAreAsIfTheyWereAnArray) {
    const std::int64_t fd = open("/dev/shm/model");
    std::string model;
    std::mt19937 random{2};  // any seed
    for (int step = 0; step < 400; ++step) {
        const std::uint64_t at = random() % 40000;
        const std::uint64_t bytes = random() % 9000;
        switch (random() % 3) {
            case 0: {
                std::string text(bytes, ' ');
                for (char& byte : text) {
                    byte = static_cast<char>(random());
                }
                ASSERT_EQ(write_at(fd, text, at), static_cast<std::int64_t>(bytes));
                if (bytes > 0) {
                    model.resize(std::max<std::size_t>(model.size(), at + bytes), '\0');
                    model.replace(at, bytes, text);
                }
                break;
            }
            case 1:
                ASSERT_EQ(call(Syscall::ftruncate, fd, at), 0);
                model.resize(at, '\0');
                break;
            default:
                ASSERT_EQ(read_at(fd, bytes, at), at < model.size() ? model.substr(at, bytes) : "") << step;
                break;
        }
        ASSERT_EQ(size_of(fd), static_cast<std::int64_t>(model.size())) << step;
    }
    EXPECT_EQ(unlink("/dev/shm/model"), 0);
}

TEST_F(Tmpfs, AppendingWritesAtTheEnd) {
    const std::int64_t first = open("/tmp/log", kReadWrite | kCreate | kAppend);
    const std::int64_t second = open("/tmp/log", kReadWrite | kAppend);
    put_text(kBuffer, "one two ");
    EXPECT_EQ(call(Syscall::write, first, kBuffer, 4), 4);
    EXPECT_EQ(call(Syscall::write, second, kBuffer + 4, 4), 4);
    EXPECT_EQ(call(Syscall::write, first, kBuffer, 4), 4);
    EXPECT_EQ(read_at(first, 100, 0), "one two one ");
    EXPECT_EQ(size_of(open("/tmp/log", kReadWrite | kTruncate)), 0);
    EXPECT_EQ(call(Syscall::write, open("/tmp/log", 0), kBuffer, 1), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::ftruncate, open("/tmp/log", 0), 1), error(Error::InvalidArgument));
    EXPECT_EQ(unlink("/tmp/log"), 0);
}

TEST_F(Tmpfs, SizesHaveALimit) {
    const std::int64_t fd = open("/tmp/sparse");
    EXPECT_EQ(call(Syscall::ftruncate, fd, std::uint64_t{1} << 30), 0) << "holes cost nothing";
    EXPECT_EQ(call(Syscall::ftruncate, fd, (std::uint64_t{1} << 30) + 1), error(Error::FileTooBig));
    EXPECT_EQ(call(Syscall::ftruncate, fd, static_cast<std::uint64_t>(-1)), error(Error::InvalidArgument));
    EXPECT_EQ(write_at(fd, "xy", (std::uint64_t{1} << 30) - 1), 1);
    EXPECT_EQ(write_at(fd, "xy", std::uint64_t{1} << 30), error(Error::FileTooBig));
    EXPECT_EQ(read_at(fd, 3, 12345), std::string(3, '\0'));
    EXPECT_EQ(unlink("/tmp/sparse"), 0);
}

TEST_F(Tmpfs, AFullOneSaysSoAndEverythingGoesBack) {
    EXPECT_EQ(write_at(open("/tmp/warm"), std::string(60000, 'x'), 0), 60000);  // the buffer is resident now
    EXPECT_EQ(unlink("/tmp/warm"), 0);
    close(0);
    const std::uint64_t pages_before = file::tmpfs::pages_in_use();
    const std::int64_t fd = open("/tmp/big");
    const auto free_before = mm::frames().stats().free;
    std::int64_t written = 0;
    std::int64_t last = 0;
    while ((last = call(Syscall::write, fd, kBuffer, 60 << 10).value_or(-9999)) > 0) {
        written += last;
    }
    EXPECT_EQ(last, error(Error::NoSpace));
    EXPECT_EQ(mkdir("/tmp/none"), error(Error::NoSpace));
    const auto limit = mm::frames().stats().total / 2;
    EXPECT_EQ(file::tmpfs::pages_in_use(), limit);
    EXPECT_EQ(static_cast<std::uint64_t>(written) >> mm::kPageShift, limit - pages_before - 1);
    EXPECT_EQ(unlink("/tmp/big"), 0);
    EXPECT_EQ(file::tmpfs::pages_in_use(), limit) << "it is open yet";
    EXPECT_EQ(call(Syscall::close, fd), 0);
    EXPECT_GT(pieces(), 10U) << "in steps";
    EXPECT_EQ(file::tmpfs::pages_in_use(), pages_before);
    EXPECT_GE(mm::frames().stats().free, free_before);
}

TEST_F(Tmpfs, ListingShowsEachNameOnceWhateverChangesMeanwhile) {
    EXPECT_EQ(mkdir("/tmp/many"), 0);
    for (int i = 0; i < 200; ++i) {
        make("/tmp/many/file" + std::to_string(i));
    }
    const std::int64_t fd = open("/tmp/many", kDirectory);
    std::map<std::string, int> seen;
    while (true) {
        const std::int64_t bytes = call(Syscall::getdents64, fd, kBuffer, 1000).value_or(-9999);
        ASSERT_GE(bytes, 0);
        if (bytes == 0) {
            break;
        }
        std::string text(static_cast<std::size_t>(bytes), ' ');
        get(kBuffer, std::as_writable_bytes(std::span{text}));
        for (std::size_t at = 0; at < text.size();) {
            std::uint16_t length = 0;
            std::memcpy(&length, text.data() + at + 16, sizeof(length));
            ++seen[text.c_str() + at + 19];
            at += length;
        }
        const std::string removed = "/tmp/many/file" + std::to_string(seen.size() % 7);
        static_cast<void>(unlink(removed));
    }
    for (const auto& [name, times] : seen) {
        EXPECT_EQ(times, 1) << name;
    }
    for (int i = 7; i < 200; ++i) {
        EXPECT_EQ(seen.count("file" + std::to_string(i)), 1U) << i;
        EXPECT_EQ(unlink("/tmp/many/file" + std::to_string(i)), 0);
    }
    for (int i = 0; i < 7; ++i) {
        static_cast<void>(unlink("/tmp/many/file" + std::to_string(i)));
    }
    EXPECT_EQ(rmdir("/tmp/many"), 0);
}

}  // namespace
}  // namespace kernel
