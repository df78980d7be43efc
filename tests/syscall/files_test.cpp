// SPDX-License-Identifier: MIT
// Names, reading, writing and the terminal, as a program sees them.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "fake_task.hpp"
#include "mm/frames.hpp"
#include "nexus_abi/linux.hpp"
#include "nexus_abi/output_log.hpp"
#include "nexus_abi/terminal.hpp"
#include "syscall/file_system.hpp"

namespace kernel {
namespace {

using fake::error;
using fake::kMemory;
using nexus_abi::Error;
using nexus_abi::iovec;
using nexus_abi::Syscall;

constexpr std::uint64_t kCurrentDirectory = static_cast<std::uint64_t>(-100);
constexpr std::uint64_t kPath = kMemory;
constexpr std::uint64_t kBuffer = kMemory + 0x1000;
constexpr std::uint64_t kCreate = 0100;
constexpr std::uint64_t kExclusive = 0200;
constexpr std::uint64_t kTruncate = 01000;
constexpr std::uint64_t kNonBlocking = 04000;
constexpr std::uint64_t kDirectory = 0200000;

std::string big_contents() {
    std::string text;
    for (int i = 0; i < 10000; ++i) {
        text += std::to_string(i) + "\n";
    }
    return text;
}

class Files : public fake::SyscallTest {
  protected:
    Files() {
        static const bool is_filled = fill();
        EXPECT_TRUE(is_filled);
    }
    static bool fill() {
        static const std::string big = big_contents();
        static const std::string motd = "hello file\n";
        static mm::FileObject big_object{"data/big", std::as_bytes(std::span{big})};
        static mm::FileObject motd_object{"etc/motd", std::as_bytes(std::span{motd})};
        static mm::FileObject other_object{"etc-x", {}};
        using namespace syscall::file_system;
        return reserve(8).ok() && add_directory(".", 040755).ok() &&
               add_file("./etc/motd", motd_object, 0100644).ok() &&
               add_file("etc-x", other_object, 0100600).ok() &&
               add_file("/data/big", big_object, 0100644).ok();
    }
    std::int64_t open(const std::string& path, std::uint64_t flags = 0) {
        put_text(kPath, path);
        return call(Syscall::openat, kCurrentDirectory, kPath, flags, 0).value_or(-9999);
    }
    std::int64_t read(std::int64_t fd, std::uint64_t count) {
        return call(Syscall::read, fd, kBuffer, count).value_or(-9999);
    }
    std::string text(std::int64_t bytes) {
        std::string out(static_cast<std::size_t>(bytes), ' ');
        get(kBuffer, std::as_writable_bytes(std::span{out}));
        return out;
    }
};

TEST_F(Files, EverySpellingNamesTheSameFile) {
    for (const char* path :
         {"/etc/motd", "etc/motd", "//etc///motd", "/./etc/./motd", "/data/../etc/motd", "../etc/motd"}) {
        EXPECT_GE(open(path), 0) << path;
    }
}

TEST_F(Files, WhatCannotBeOpenedSaysWhy) {
    EXPECT_EQ(open(""), error(Error::NoEntry));
    EXPECT_EQ(open("/nope"), error(Error::NoEntry));
    EXPECT_EQ(open("/et"), error(Error::NoEntry));
    EXPECT_EQ(open("/etc/motd/x"), error(Error::NotDirectory));
    EXPECT_EQ(open("/etc/motd/"), error(Error::NotDirectory));
    EXPECT_EQ(open("/etc/nope/x"), error(Error::NoEntry));
    EXPECT_EQ(open("/etc/motd", kDirectory), error(Error::NotDirectory));
    EXPECT_EQ(open("/etc", 1), error(Error::IsDirectory));
    EXPECT_EQ(open("/etc/motd", 2), error(Error::ReadOnly));
    EXPECT_EQ(open("/etc/motd", kTruncate), error(Error::ReadOnly));
    EXPECT_EQ(open("/etc/motd", kCreate | kExclusive), error(Error::Exists));
    EXPECT_EQ(open("/nope", kCreate), error(Error::ReadOnly));
    EXPECT_EQ(open("/etc/motd", 3), error(Error::InvalidArgument));
    EXPECT_EQ(open(std::string(300, 'x')), error(Error::NameTooLong));
    EXPECT_EQ(open("/proc/31000/stat"), error(Error::NoEntry));
    EXPECT_EQ(open("/proc/self/nope"), error(Error::NoEntry));
    EXPECT_EQ(open("/proc/99999999999/stat"), error(Error::NoEntry));
    EXPECT_EQ(call(Syscall::openat, kCurrentDirectory, 8, 0, 0), error(Error::BadAddress));
    put_text(kPath, "motd");
    EXPECT_EQ(call(Syscall::openat, 77, kPath, 0, 0), error(Error::BadDescriptor));
}

TEST_F(Files, DirectoriesNeedNoEntryOfTheirOwn) {
    const std::int64_t fd = open("/etc", kDirectory);
    EXPECT_GE(fd, 0);
    EXPECT_EQ(read(fd, 10), error(Error::IsDirectory));
}

TEST_F(Files, ReadingMovesThePosition) {
    const std::int64_t fd = open("/etc/motd");
    EXPECT_EQ(read(fd, 5), 5);
    EXPECT_EQ(text(5), "hello");
    EXPECT_EQ(read(fd, 100), 6);
    EXPECT_EQ(text(6), " file\n");
    EXPECT_EQ(read(fd, 100), 0);
    EXPECT_EQ(call(Syscall::pread64, fd, kBuffer, 4, 6), 4);
    EXPECT_EQ(text(4), "file");
    EXPECT_EQ(call(Syscall::pread64, fd, kBuffer, 4, static_cast<std::uint64_t>(-1)),
              error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::lseek, fd, static_cast<std::uint64_t>(-5), 2), 6);
    EXPECT_EQ(read(fd, 4), 4);
    EXPECT_EQ(text(4), "file");
    EXPECT_EQ(call(Syscall::lseek, fd, static_cast<std::uint64_t>(-11), 1), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::lseek, fd, std::uint64_t{1} << 62, 0), std::int64_t{1} << 62);
    EXPECT_EQ(read(fd, 4), 0);
    EXPECT_EQ(call(Syscall::lseek, fd, std::uint64_t{3} << 61, 1), error(Error::Overflow));
    EXPECT_EQ(call(Syscall::lseek, fd, 0, 3), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::lseek, 0, 0, 0), error(Error::IllegalSeek));
    EXPECT_EQ(call(Syscall::write, fd, kBuffer, 1), error(Error::BadDescriptor));
}

TEST_F(Files, ALargeReadIsDoneInSteps) {
    const std::int64_t fd = open("/data/big");
    const std::string whole = big_contents();
    EXPECT_EQ(read(fd, 48000), 48000);
    EXPECT_EQ(pieces(), 3U + 0U);
    EXPECT_EQ(text(48000), whole.substr(0, 48000));
    EXPECT_EQ(read(fd, 48000), static_cast<std::int64_t>(whole.size()) - 48000);
}

TEST_F(Files, AFaultInTheMiddleReturnsWhatWasDone) {
    const std::int64_t fd = open("/data/big");
    // The last 100 bytes before the end of the mapping, then nothing.
    const std::uint64_t end = kMemory + fake::kMemoryBytes;
    put(kPath, iovec{.base = kBuffer, .length = 50});
    put(kPath + 16, iovec{.base = end, .length = 50});
    EXPECT_EQ(call(Syscall::readv, fd, kPath, 2), 50);
    EXPECT_EQ(call(Syscall::readv, fd, kPath + 16, 1), error(Error::BadAddress));
    put(kPath, iovec{.base = kBuffer, .length = ~std::uint64_t{0}});
    EXPECT_EQ(call(Syscall::readv, fd, kPath, 1), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::readv, fd, kPath, 1025), error(Error::InvalidArgument));
}

TEST_F(Files, VectorsAreOneSequence) {
    const std::int64_t fd = open("/etc/motd");
    put(kPath, iovec{.base = kBuffer + 100, .length = 3});
    put(kPath + 16, iovec{.base = 0, .length = 0});
    put(kPath + 32, iovec{.base = kBuffer, .length = 100});
    EXPECT_EQ(call(Syscall::readv, fd, kPath, 3), 11);
    EXPECT_EQ(text(8), "lo file\n");
}

TEST_F(Files, TheConsoleTakesAVectorInOnePiece) {
    put_text(kBuffer, "one two ");
    put(kPath, iovec{.base = kBuffer, .length = 4});
    put(kPath + 16, iovec{.base = kBuffer + 4, .length = 4});
    EXPECT_EQ(call(Syscall::writev, 1, kPath, 2), 8);
    EXPECT_EQ(fake::record().console, "one two ");
    EXPECT_EQ(pieces(), 1U);
}

TEST_F(Files, AWriteWaitsForRoomAndLosesNothing) {
    const std::string whole = big_contents().substr(0, 5000);
    put(kBuffer, std::as_bytes(std::span{whole}));
    fake::record().console_room = 1500;
    EXPECT_EQ(call(Syscall::write, 2, kBuffer, whole.size()), std::nullopt);
    fake::record().console_room = 10000;
    syscall::console_space_ready();
    EXPECT_EQ(resume(0), 5000);
    EXPECT_EQ(fake::record().console, whole);
}

// A ring's records from where its reader is: "NUMBER:STREAM:TEXT|...".
class OutputLogs : public Files {
  protected:
    OutputLogs() : ring_{*call(Syscall::ioctl, 1, nexus_abi::kOutputLogNew, 0)} {}
    std::int64_t writer(nexus_abi::OutputStream stream) {
        return *call(Syscall::ioctl, ring_, nexus_abi::kOutputLogWriter, std::to_underlying(stream));
    }
    void write(std::int64_t fd, const std::string& text) {
        put_text(kBuffer, text);
        EXPECT_EQ(call(Syscall::write, fd, kBuffer, text.size()), text.size());
    }
    std::string read_all() {
        std::string told;
        for (;;) {
            const std::int64_t count = *call(Syscall::read, ring_, kBuffer, 4096);
            EXPECT_GE(count, 0);
            if (count <= 0) {
                return told;
            }
            for (std::uint64_t at = 0; at < static_cast<std::uint64_t>(count);) {
                const auto record = get<nexus_abi::output_record>(kBuffer + at);
                std::string text(record.bytes, '\0');
                get(kBuffer + at + sizeof(record), std::as_writable_bytes(std::span{text}));
                told +=
                    std::to_string(record.number) + ':' + std::to_string(record.stream) + ':' + text + '|';
                at += sizeof(record) + record.bytes;
            }
        }
    }
    static constexpr std::uint64_t kBuffer = kMemory + 0x4000;
    const std::int64_t ring_;
};

TEST_F(OutputLogs, KeepWhatGoesToTheTerminal) {
    const std::int64_t out = writer(nexus_abi::OutputStream::Output);
    const std::int64_t errors = writer(nexus_abi::OutputStream::Errors);
    EXPECT_EQ(read_all(), "");
    write(out, "one\n");
    write(errors, "two\n");
    write(1, "of somebody else\n");
    EXPECT_EQ(fake::record().console, "one\ntwo\nof somebody else\n");
    EXPECT_EQ(read_all(), "0:1:one\n|1:2:two\n|");
    EXPECT_EQ(call(Syscall::ioctl, out, nexus_abi::kTcgets, kBuffer), 0) << "it is a terminal";
    // Its last writer is gone; what was written stays.
    EXPECT_EQ(call(Syscall::close, out), 0);
    EXPECT_EQ(call(Syscall::close, errors), 0);
    EXPECT_EQ(read_all(), "");
    EXPECT_EQ(call(Syscall::lseek, ring_, 0, 0), 0);
    EXPECT_EQ(read_all(), "0:1:one\n|1:2:two\n|");
}

TEST_F(OutputLogs, KeepTheNewestAndCountTheRest) {
    const std::int64_t out = writer(nexus_abi::OutputStream::Output);
    std::string all;
    for (int i = 0; i < 3000; ++i) {
        const std::string line =
            "line " + std::to_string(i) + std::string(static_cast<std::size_t>(i % 700), '.');
        write(out, line);
        all += std::to_string(i) + ":1:" + line + '|';
    }
    const std::string kept = read_all();
    EXPECT_TRUE(all.ends_with(kept));
    EXPECT_GT(kept.size(), nexus_abi::kOutputLogBytes - 2048);
    EXPECT_LT(kept.size(), nexus_abi::kOutputLogBytes);
    // A longer write is several records of what the terminal takes at once.
    write(out, std::string(2500, 'x'));
    EXPECT_EQ(read_all().size(), 2500 + 3 * std::string_view{"3000:1:|"}.size());
}

TEST_F(OutputLogs, RefuseWhatMakesNoSense) {
    EXPECT_EQ(call(Syscall::ioctl, ring_, nexus_abi::kOutputLogWriter, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::ioctl, ring_, nexus_abi::kOutputLogWriter, 3), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::ioctl, ring_, nexus_abi::kTcgets, kBuffer), error(Error::NotTerminal));
    EXPECT_EQ(call(Syscall::ioctl, 1, nexus_abi::kOutputLogWriter, 1), error(Error::NotTerminal));
    EXPECT_EQ(call(Syscall::write, ring_, kBuffer, 1), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::lseek, ring_, 1, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::lseek, ring_, 0, 2), error(Error::InvalidArgument));
    write(writer(nexus_abi::OutputStream::Output), "text");
    EXPECT_EQ(call(Syscall::read, ring_, kBuffer, 19), error(Error::InvalidArgument)) << "one is 20 bytes";
    EXPECT_EQ(call(Syscall::read, ring_, 0x10, 4096), error(Error::BadAddress));
    EXPECT_EQ(read_all(), "0:1:text|") << "it was not given away";
}

TEST_F(OutputLogs, GiveTheirMemoryBack) {
    const auto use_one = [&] {
        const std::int64_t ring = *call(Syscall::ioctl, 1, nexus_abi::kOutputLogNew, 0);
        const std::int64_t out = *call(Syscall::ioctl, ring, nexus_abi::kOutputLogWriter, 1);
        EXPECT_EQ(call(Syscall::close, ring), 0);
        write(out, "nobody can read it");
        EXPECT_EQ(call(Syscall::close, out), 0);
    };
    use_one();  // caches of objects keep a page
    const auto free_before = mm::frames().stats().free;
    use_one();
    EXPECT_EQ(mm::frames().stats().free, free_before);
}

TEST_F(Files, ANonBlockingConsoleDoesNotWait) {
    const std::int64_t fd = open("/dev/console", 2 | kNonBlocking);
    fake::record().console_room = 1100;
    EXPECT_EQ(call(Syscall::write, fd, kBuffer, 3000), 1100);
    EXPECT_EQ(call(Syscall::write, fd, kBuffer, 3000), error(Error::TryAgain));
    EXPECT_EQ(read(fd, 10), error(Error::TryAgain));
    EXPECT_EQ(call(Syscall::write, 1, 8, 3), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::write, 1, kBuffer, 0), 0);
}

TEST_F(Files, CtrlCReachesWhoReadsTheTerminal) {
    fake::record().input = "x";
    EXPECT_EQ(read(0, 10), 1);
    syscall::console_signal(2);
    EXPECT_EQ(fake::record().ended.count(&process()), 1U);
}

TEST_F(Files, DevicesDoWhatTheirNamesSay) {
    const std::int64_t null = open("/dev/null", 2);
    EXPECT_EQ(read(null, 10), 0);
    EXPECT_EQ(call(Syscall::write, null, 8, 10), 10) << "what is thrown away is not looked at";
    const std::int64_t zero = open("/dev/zero", 2);
    put(kBuffer, std::uint64_t{~0ULL});
    EXPECT_EQ(read(zero, 40000), 40000);
    EXPECT_EQ(get<std::uint64_t>(kBuffer), 0U);
    EXPECT_EQ(pieces(), 3U);
    EXPECT_EQ(read(open("/dev/urandom"), 3000), 3000);
    EXPECT_EQ(call(Syscall::ioctl, null, 0x5401, kBuffer), error(Error::NotTerminal));
    EXPECT_EQ(call(Syscall::ioctl, 0, 0x5401, kBuffer), 0);
    EXPECT_EQ(get<nexus_abi::termios>(kBuffer).c_lflag, 4U);
    EXPECT_EQ(call(Syscall::ioctl, 0, 0x9999, kBuffer), error(Error::NotTerminal));
}

TEST_F(Files, StatTellsConsoleFileAndDirectoryApart) {
    constexpr std::uint64_t kEmptyPath = 0x1000;
    const auto stat_of = [&](const std::string& path) {
        put_text(kPath, path);
        EXPECT_EQ(call(Syscall::newfstatat, kCurrentDirectory, kPath, kBuffer, 0), 0) << path;
        return get<nexus_abi::stat>(kBuffer);
    };
    EXPECT_EQ(stat_of("/etc/motd").st_size, 11);
    EXPECT_EQ(stat_of("/etc/motd").st_mode, 0100644U);
    EXPECT_EQ(stat_of("/etc").st_mode & 0170000, 0040000U);
    EXPECT_EQ(stat_of("/").st_mode & 0170000, 0040000U);
    EXPECT_EQ(stat_of("/dev/tty").st_mode & 0170000, 0020000U);
    EXPECT_NE(stat_of("/etc/motd").st_ino, stat_of("/data/big").st_ino);
    put_text(kPath, "");
    EXPECT_EQ(call(Syscall::newfstatat, 1, kPath, kBuffer, kEmptyPath), 0);
    EXPECT_EQ(get<nexus_abi::stat>(kBuffer).st_mode & 0170000, 0020000U);
    EXPECT_EQ(get<nexus_abi::stat>(kBuffer).st_blksize, 1024);
    EXPECT_EQ(call(Syscall::newfstatat, 1, kPath, kBuffer, 0), error(Error::NoEntry));
    EXPECT_EQ(call(Syscall::newfstatat, 1, kPath, kBuffer, 0x8000), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::fstat, 50, kBuffer), error(Error::BadDescriptor));
}

TEST_F(Files, InformationIsWrittenWhenOpened) {
    const auto contents = [&](const std::string& path) { return text(read(open(path), 4000)); };
    EXPECT_EQ(contents("/sys/devices/system/cpu/online"), "0-1\n");
    EXPECT_EQ(contents("/sys/devices/system/cpu/possible"), "0-3\n");
    EXPECT_EQ(contents("/proc/self/comm"), "test\n");
    EXPECT_EQ(contents("/proc/self/maps"), "00100000-00110000 rw-p 00000000 00:00 0\n");
    EXPECT_NE(contents("/proc/meminfo").find("MemTotal:"), std::string::npos);
    const std::string status = contents("/proc/self/stat");
    EXPECT_EQ(std::count(status.begin(), status.end(), ' '), 51) << status;
}

TEST_F(Files, TheCurrentDirectoryIsTheRoot) {
    EXPECT_EQ(call(Syscall::getcwd, kBuffer, 2), 2);
    EXPECT_EQ(text(2), std::string("/\0", 2));
    EXPECT_EQ(call(Syscall::getcwd, kBuffer, 1), error(Error::OutOfRange));
}

}  // namespace
}  // namespace kernel
