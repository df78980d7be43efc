// SPDX-License-Identifier: MIT
// Files by name: what is made, linked, moved and removed, modes and times, the texts of /proc and /sys; and
// files at offsets and in memory.
#include <set>
#include <vector>

#include "file_calls.hpp"

namespace kernel::whole {
namespace {

using nexus_abi::iovec;
using nexus_abi::timespec;

TEST_F(FileCalls, FilesAreReadAndWrittenAtOffsets) {
    const auto file = open("/tmp/a", kCreate);
    put_text(kBig, "0123456789");
    put(kIn, std::array{iovec{.base = kBig, .length = 3}, iovec{.base = kBig + 5, .length = 2}});
    EXPECT_EQ(call(Syscall::pwritev, file, kIn, 2, 4), 5);
    put(kIn, std::array{iovec{.base = kOut, .length = 6}, iovec{.base = kOut + 16, .length = 10}});
    EXPECT_EQ(call(Syscall::preadv, file, kIn, 2, 0), 9);
    EXPECT_EQ(get_text(kOut, 6), (std::string{"\0\0\0\0"
                                              "01",
                                              6}));
    EXPECT_EQ(get_text(kOut + 16, 3), "256");
    EXPECT_EQ(call(Syscall::preadv, file, kIn, 2, -1), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::preadv, 99, kIn, 2, 0), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::pwritev, 1, kIn, 2, 0), error(Error::IllegalSeek));
    EXPECT_EQ(call(Syscall::preadv, file, kIn, 2000, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::fallocate, file, 0, 0, 100), 0);
    EXPECT_EQ(call(Syscall::fallocate, file, 1, 0, 100), error(Error::NotSupported));
    EXPECT_EQ(call(Syscall::fallocate, file, 0, -1, 100), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::fallocate, file, 0, 0, std::uint64_t{1} << 40), error(Error::FileTooBig));
    EXPECT_EQ(call(Syscall::fallocate, 99, 0, 0, 100), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::fstat, file, kOut), 0);
    EXPECT_EQ(get<nexus_abi::stat>(kOut).st_size, 100);
    EXPECT_EQ(call(Syscall::truncate, name("/tmp/a"), 10), 0);
    EXPECT_EQ(call(Syscall::truncate, kPath, -1), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::truncate, name("/tmp"), 1), error(Error::IsDirectory));
    EXPECT_EQ(call(Syscall::truncate, name("/etc/motd"), 1), error(Error::ReadOnly));
    EXPECT_EQ(call(Syscall::truncate, name("/tmp/none"), 1), error(Error::NoEntry));
    EXPECT_EQ(call(Syscall::lseek, file, 0, 2), 10);
    EXPECT_EQ(call(Syscall::fsync, file), 0);
    EXPECT_EQ(call(Syscall::fdatasync, file), 0);
    EXPECT_EQ(call(Syscall::fsync, 99), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::fsync, pipe()[0]), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::statfs, name("/tmp"), kOut), 0);
    EXPECT_EQ(get<nexus_abi::statfs_t>(kOut).f_type, 0x01021994);
    EXPECT_EQ(call(Syscall::fstatfs, open("/etc/motd"), kOut), 0);
    EXPECT_EQ(get<nexus_abi::statfs_t>(kOut).f_bfree, 0U);
    EXPECT_EQ(call(Syscall::fstatfs, 99, kOut), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::statfs, name("/none"), kOut), error(Error::NoEntry));
}

TEST_F(FileCalls, NamesAreMadeLinkedMovedAndRemoved) {
    EXPECT_EQ(call(Syscall::mkdirat, kHere, name("/tmp/d"), 0755), 0);
    EXPECT_EQ(call(Syscall::mkdirat, kHere, kPath, 0755), error(Error::Exists));
    EXPECT_EQ(call(Syscall::mkdirat, kHere, name("/etc/x"), 0755), error(Error::ReadOnly));
    EXPECT_EQ(call(Syscall::mkdirat, kHere, name("/etc/motd/x"), 0755), error(Error::NotDirectory));
    EXPECT_EQ(call(Syscall::close, open("/tmp/d/x", kCreate)), 0);
    EXPECT_EQ(call(Syscall::linkat, kHere, name("/tmp/d/x"), kHere, second("/tmp/a"), 0), 0);
    EXPECT_EQ(call(Syscall::linkat, kHere, kPath, kHere, kPath2, 0), error(Error::Exists));
    EXPECT_EQ(call(Syscall::linkat, kHere, name("/tmp/d"), kHere, second("/tmp/b"), 0),
              error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::linkat, kHere, name("/etc/motd"), kHere, kPath2, 0), error(Error::CrossDevice));
    EXPECT_EQ(call(Syscall::linkat, kHere, name("/tmp/none"), kHere, kPath2, 0), error(Error::NoEntry));
    EXPECT_EQ(call(Syscall::newfstatat, kHere, name("/tmp/a"), kOut, 0), 0);
    EXPECT_EQ(get<nexus_abi::stat>(kOut).st_nlink, 2U);
    EXPECT_EQ(call(Syscall::symlinkat, name("d/x"), kHere, second("/tmp/b")), 0);
    EXPECT_EQ(call(Syscall::symlinkat, kPath, kHere, kPath2), error(Error::Exists));
    EXPECT_EQ(call(Syscall::symlinkat, kPath, kHere, second("/etc/b")), error(Error::ReadOnly));
    EXPECT_EQ(call(Syscall::readlinkat, kHere, name("/tmp/b"), kOut, 64), 3);
    EXPECT_EQ(get_text(kOut, 3), "d/x");
    EXPECT_EQ(call(Syscall::readlinkat, kHere, name("/tmp/a"), kOut, 64), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::readlinkat, kHere, name("/etc/link"), kOut, 2), 2);
    EXPECT_EQ(call(Syscall::readlinkat, kHere, name("/proc/self/exe"), kOut, 64), 9);
    EXPECT_EQ(get_text(kOut, 9), "/bin/init");
    EXPECT_EQ(call(Syscall::readlinkat, kHere, name("/proc/self/cwd"), kOut, 64), 1);
    EXPECT_GT(call(Syscall::readlinkat, kHere, name("/proc/self/fd/1"), kOut, 64), 0);
    EXPECT_EQ(contents("/etc/link"), "hello file\n");
    EXPECT_EQ(open("/tmp/b", 0400000), error(Error::TooManyLinks)) << "O_NOFOLLOW";
    EXPECT_EQ(call(Syscall::renameat2, kHere, name("/tmp/a"), kHere, second("/tmp/c"), 1), 0);
    EXPECT_EQ(call(Syscall::renameat2, kHere, name("/tmp/c"), kHere, second("/tmp/b"), 1),
              error(Error::Exists));
    EXPECT_EQ(call(Syscall::renameat2, kHere, name("/tmp/c"), kHere, second("/tmp/d"), 0),
              error(Error::IsDirectory));
    EXPECT_EQ(call(Syscall::renameat2, kHere, name("/tmp/d"), kHere, second("/tmp/c"), 0),
              error(Error::NotDirectory));
    EXPECT_EQ(call(Syscall::renameat2, kHere, name("/tmp/d"), kHere, second("/tmp/d/y"), 0),
              error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::renameat2, kHere, name("/tmp/c"), kHere, second("/dev/shm/c"), 0),
              error(Error::CrossDevice));
    EXPECT_EQ(call(Syscall::renameat2, kHere, name("/tmp/none"), kHere, second("/tmp/y"), 0),
              error(Error::NoEntry));
    EXPECT_EQ(call(Syscall::renameat2, kHere, kPath, kHere, kPath2, 8), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::unlinkat, kHere, name("/tmp/d"), 0), error(Error::IsDirectory));
    EXPECT_EQ(call(Syscall::unlinkat, kHere, kPath, 0x200), error(Error::NotEmpty));
    EXPECT_EQ(call(Syscall::unlinkat, kHere, name("/tmp/c"), 0x200), error(Error::NotDirectory));
    EXPECT_EQ(call(Syscall::unlinkat, kHere, name("/etc/motd"), 0), error(Error::ReadOnly));
    EXPECT_EQ(call(Syscall::unlinkat, kHere, name("/tmp"), 0x200), error(Error::Busy));
    EXPECT_EQ(call(Syscall::unlinkat, kHere, kPath, 0x777), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::unlinkat, kHere, kBadAddress, 0), error(Error::BadAddress));
}

TEST_F(FileCalls, NamedPipesHaveTwoSides) {
    EXPECT_EQ(call(Syscall::mknodat, kHere, name("/tmp/a"), 0010644, 0), 0);
    EXPECT_EQ(call(Syscall::mknodat, kHere, kPath, 0010644, 0), error(Error::Exists));
    EXPECT_EQ(call(Syscall::mknodat, kHere, name("/tmp/b"), 0020644, 0), error(Error::NotPermitted))
        << "a device";
    EXPECT_EQ(call(Syscall::mknodat, kHere, kPath, 0100644, 0), 0) << "an empty file";
    EXPECT_EQ(open("/tmp/a", 1 | kNonBlocking), error(Error::NoAddress)) << "nobody reads";
    EXPECT_EQ(call(Syscall::openat, kHere, kPath, 0, 0), std::nullopt);
    task::Task& writer = fork_of(init());
    std::array<char, 7> text{'/', 't', 'm', 'p', '/', 'a', '\0'};
    put_as(writer, kPath, text);
    const auto out = call_as(writer, Syscall::openat, kHere, kPath, 1, 0);
    EXPECT_GE(out.value_or(-1), 0);
    const auto in = result_in_time(self());
    ASSERT_GE(in.value_or(-1), 0);
    EXPECT_EQ(call_as(writer, Syscall::write, *out, kPath, 4), 4);
    EXPECT_EQ(read(*in, 10), "/tmp");
    EXPECT_EQ(call_as(writer, Syscall::exit_group, 0), std::nullopt);
    pass(Duration::milliseconds(50));
    EXPECT_EQ(read(*in, 10), "") << "the end";
}

TEST_F(FileCalls, ModesOwnersAndTimes) {
    const auto file = open("/tmp/a", kCreate, 0666);
    EXPECT_EQ(call(Syscall::fstat, file, kOut), 0);
    EXPECT_EQ(get<nexus_abi::stat>(kOut).st_mode, 0100644U) << "less the umask";
    EXPECT_EQ(call(Syscall::fchmod, file, 0600), 0);
    EXPECT_EQ(call(Syscall::fchmodat, kHere, name("/tmp/a"), 0711), 0);
    EXPECT_EQ(call(Syscall::fchmodat, kHere, name("/etc/motd"), 0600), error(Error::ReadOnly));
    EXPECT_EQ(call(Syscall::fchmod, 99, 0600), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::fchown, file, 0, 0), 0);
    EXPECT_EQ(call(Syscall::fchown, file, 5, 0), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::fchown, open("/etc/motd"), 0, 0), error(Error::ReadOnly));
    EXPECT_EQ(call(Syscall::fchown, 99, 0, 0), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::fchownat, kHere, name("/tmp/a"), ~0U, ~0U, 0x100), 0);
    EXPECT_EQ(call(Syscall::fchownat, kHere, kPath, 0, 7, 0), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::fchownat, kHere, kPath, 0, 0, 1), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::fchownat, kHere, name("/etc/motd"), 0, 0, 0), error(Error::ReadOnly));
    put(kIn, std::array{timespec{.seconds = 1, .nanoseconds = 0},
                        timespec{.seconds = 2'000'000, .nanoseconds = 5}});
    EXPECT_EQ(call(Syscall::utimensat, kHere, name("/tmp/a"), kIn, 0), 0);
    EXPECT_EQ(call(Syscall::statx, kHere, kPath, 0, 0x7ff, kOut), 0);
    const auto status = get<nexus_abi::statx_t>(kOut);
    EXPECT_EQ(status.stx_mtime.seconds, 2'000'000);
    EXPECT_EQ(status.stx_mtime.nanoseconds, 5U);
    EXPECT_EQ(status.stx_mode, 0100711U);
    EXPECT_EQ(call(Syscall::statx, kHere, kPath, 0x6000, 0, kOut), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::statx, kHere, kPath, 0, 0x8000'0000, kOut), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::statx, kHere, name("/none"), 0, 0, kOut), error(Error::NoEntry));
    EXPECT_EQ(call(Syscall::statx, file, 0, 0x1000, 0, kOut), 0) << "AT_EMPTY_PATH";
    put(kIn, std::array{timespec{.seconds = 0, .nanoseconds = 0},
                        timespec{.seconds = 0, .nanoseconds = 0x3ffffffe}});
    EXPECT_EQ(call(Syscall::utimensat, file, 0, kIn, 0), 0) << "UTIME_OMIT";
    EXPECT_EQ(call(Syscall::utimensat, file, 0, 0, 0), 0) << "now";
    put(kIn, std::array{timespec{.seconds = 0, .nanoseconds = 0}, timespec{.seconds = 0, .nanoseconds = -1}});
    EXPECT_EQ(call(Syscall::utimensat, file, 0, kIn, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::utimensat, file, 0, 0, 1), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::utimensat, kHere, name("/etc/motd"), 0, 0), error(Error::ReadOnly));
    EXPECT_EQ(call(Syscall::faccessat, kHere, name("/tmp/a"), 7), 0);
    EXPECT_EQ(call(Syscall::faccessat, kHere, name("/etc/motd"), 1), error(Error::AccessDenied));
    EXPECT_EQ(call(Syscall::faccessat, kHere, kPath, 2), error(Error::ReadOnly));
    EXPECT_EQ(call(Syscall::faccessat, kHere, kPath, 8), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::faccessat2, kHere, kPath, 4, 0x200), 0);
    EXPECT_EQ(call(Syscall::faccessat2, kHere, kPath, 4, 1), error(Error::InvalidArgument));
}

TEST_F(FileCalls, DirectoriesAreWalked) {
    EXPECT_EQ(call(Syscall::chdir, name("/etc")), 0);
    EXPECT_EQ(contents("motd"), "hello file\n");
    EXPECT_EQ(call(Syscall::getcwd, kOut, 64), 5);
    EXPECT_EQ(call(Syscall::getcwd, kOut, 4), error(Error::OutOfRange));
    EXPECT_EQ(call(Syscall::chdir, name("motd")), error(Error::NotDirectory));
    EXPECT_EQ(call(Syscall::chdir, name("none")), error(Error::NoEntry));
    EXPECT_EQ(call(Syscall::chdir, kBadAddress), error(Error::BadAddress));
    const auto root = open("/", 0200000);
    EXPECT_EQ(call(Syscall::fchdir, root), 0);
    EXPECT_EQ(call(Syscall::fchdir, 99), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::fchdir, open("/etc/motd")), error(Error::NotDirectory));
    EXPECT_EQ(call(Syscall::openat, root, name("etc/motd"), 0, 0).value_or(-1) >= 0, true);
    // Every directory there is, and every text in it can be read.
    std::set<std::string> seen;
    const auto list = [&](const std::string& path) {
        std::vector<std::string> names;
        const auto fd = open(path, 0200000);
        EXPECT_GE(fd, 0) << path;
        while (true) {
            const auto bytes = call(Syscall::getdents64, fd, kBig, 2048).value_or(-1);
            EXPECT_GE(bytes, 0);
            if (bytes <= 0) {
                break;
            }
            for (std::int64_t at = 0; at < bytes;) {
                const std::uint64_t entry = kBig + static_cast<std::uint64_t>(at);
                const auto length = get<std::uint16_t>(entry + 16);
                names.push_back(get_text(entry + 19, length - 19U).c_str());
                at += length;
            }
        }
        EXPECT_EQ(call(Syscall::close, fd), 0);
        return names;
    };
    for (const char* const path :
         {"/", "/bin", "/dev", "/proc", "/proc/self", "/proc/self/fd", "/proc/self/task", "/sys",
          "/sys/devices/system/cpu", "/sys/devices/system/cpu/cpu0", "/sys/devices/system/cpu/cpu0/topology",
          "/tmp"}) {
        const auto names = list(path);
        EXPECT_FALSE(std::string_view{path} != "/tmp" && names.empty()) << path;
        for (const std::string& entry : names) {
            EXPECT_TRUE(seen.insert(path + ("/" + entry)).second) << path << " " << entry;
        }
    }
    for (const char* const path : {"//etc", "/proc/self/stat", "/sys/devices/system/cpu/online"}) {
        EXPECT_TRUE(seen.contains(path)) << path;
    }
    for (const std::string& path : seen) {
        if (path.starts_with("/proc/self/fd/")) {
            continue;  // the directory that was read was open then
        }
        EXPECT_EQ(call(Syscall::newfstatat, kHere, name(path), kOut, 0x100), 0) << path;
        const auto mode = get<nexus_abi::stat>(kOut).st_mode;
        if ((mode & 0170000) == 0100000 && path.starts_with("/proc/")) {
            EXPECT_FALSE(path != "/proc/self/mounts" && contents(path).empty()) << path;
        }
    }
    EXPECT_EQ(call(Syscall::getdents64, root, kBadAddress, 2048), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::getdents64, 1, kBig, 2048), error(Error::NotDirectory));
}

TEST_F(FileCalls, TextsTellTheTruth) {
    EXPECT_EQ(contents("/sys/devices/system/cpu/online"), "0-1\n");
    EXPECT_EQ(contents("/sys/devices/system/cpu/cpu1/online"), "1\n");
    EXPECT_EQ(contents("/sys/devices/system/cpu/cpu1/topology/core_id"), "1\n");
    EXPECT_EQ(open("/sys/devices/system/cpu/cpu7"), error(Error::NoEntry));
    EXPECT_EQ(contents("/proc/self/comm"), "init\n");
    const auto comm = open("/proc/self/comm", 1);
    EXPECT_EQ(write(comm, "renamed"), 7);
    EXPECT_EQ(contents("/proc/self/comm"), "renamed\n");
    EXPECT_NE(contents("/proc/self/status").find("PPid:\t1\n"), std::string::npos);
    EXPECT_NE(contents("/proc/self/maps").find("[stack]"), std::string::npos);
    EXPECT_NE(contents("/proc/stat").find("cpu1 "), std::string::npos);
    EXPECT_EQ(contents("/proc/self/cmdline"), (std::string{"init\0", 5}));
    EXPECT_NE(contents("/proc/1/stat").find("1 (init)"), std::string::npos);
    EXPECT_EQ(open("/proc/9999"), error(Error::NoEntry));
    EXPECT_EQ(open("/proc/self/task/9999/stat"), error(Error::NoEntry));
    EXPECT_EQ(open("/proc/meminfo", 1), error(Error::ReadOnly));
    EXPECT_EQ(open("/proc/self/fd/99"), error(Error::NoEntry));
    EXPECT_EQ(open("/etc/motd", 3), error(Error::InvalidArgument));
    EXPECT_EQ(open("/etc/motd", 1), error(Error::ReadOnly));
    EXPECT_EQ(open("/etc", 1), error(Error::IsDirectory));
    EXPECT_EQ(open("/etc/motd", 0200000), error(Error::NotDirectory));
    EXPECT_EQ(open("/etc/motd", 0300), error(Error::Exists));
    EXPECT_EQ(open("/etc/none", 0102), error(Error::ReadOnly));
    EXPECT_EQ(open("/tmp/none/x", 0102), error(Error::NoEntry));
}

TEST_F(FileCalls, SharedMappingsAreTheFile) {
    const auto file = open("/tmp/a", kCreate);
    EXPECT_EQ(call(Syscall::ftruncate, file, 8192), 0);
    const auto at = call(Syscall::mmap, 0, 8192, 3, 1, file, 0).value_or(-1);
    ASSERT_GT(at, 0);
    const auto address = static_cast<std::uint64_t>(at);
    put(address + 4096, std::uint64_t{0x6162'6364});
    EXPECT_EQ(call(Syscall::pread64, file, kOut, 4, 4096), 4);
    EXPECT_EQ(get_text(kOut, 4), "dcba");
    task::Task& child = fork();
    put_as(child, address, std::uint64_t{7});
    EXPECT_EQ(get<std::uint64_t>(address), 7U) << "children share it";
    EXPECT_EQ(call(Syscall::mprotect, address, 4096, 1), 0);
    EXPECT_EQ(call(Syscall::munmap, address, 8192), 0);
    EXPECT_EQ(call(Syscall::mmap, 0, 4096, 3, 1, open("/tmp/a", 0), 0), error(Error::AccessDenied));
    EXPECT_EQ(call(Syscall::mmap, 0, 4096, 3, 1, open("/etc/motd"), 0), error(Error::AccessDenied));
    const auto text = call(Syscall::mmap, 0, 4096, 1, 2, open("/etc/motd"), 0).value_or(-1);
    EXPECT_EQ(get_text(static_cast<std::uint64_t>(text), 5), "hello");
    EXPECT_EQ(call(Syscall::mmap, 0, 4096, 1, 2, file, 1), error(Error::InvalidArgument)) << "no page";
}

}  // namespace
}  // namespace kernel::whole
