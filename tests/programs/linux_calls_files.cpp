// SPDX-License-Identifier: MIT
// The Linux block's file calls: the initrd, descriptors, devices, the console, information files, randomness.
#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "checks.hpp"

namespace {

using checks::bad_pointer;
using checks::equal;
using checks::fails;
using checks::reads;
using checks::succeeds;
using checks::truth;

constexpr auto kMotd = "/etc/motd";
constexpr std::string_view kMotdText = "a file of the test archive\n";
constexpr std::int64_t kMotdBytes = kMotdText.size();
constexpr std::int32_t kMaxFiles = 256;

std::string contents_of(const std::string& path) {
    std::ifstream file{path};
    return {std::istreambuf_iterator{file}, {}};
}

void read_the_initrd() {
    const int file = open(kMotd, O_RDONLY);
    equal("the lowest free descriptor", file, 3);
    std::array<char, 64> bytes{};
    equal("read of a part", read(file, bytes.data(), 6), 6);
    reads("the first bytes", {bytes.data(), 6}, kMotdText.substr(0, 6));
    equal("position after it", lseek(file, 0, SEEK_CUR), 6);
    equal("pread", pread(file, bytes.data(), 4, 2), 4);
    reads("its bytes", {bytes.data(), 4}, kMotdText.substr(2, 4));
    equal("pread leaves the position", lseek(file, 0, SEEK_CUR), 6);
    equal("one before the end", lseek(file, -1, SEEK_END), kMotdBytes - 1);
    equal("read across the end", read(file, bytes.data(), bytes.size()), 1);
    equal("read at the end", read(file, bytes.data(), bytes.size()), 0);
    fails("seek before the start", lseek(file, -1, SEEK_SET), EINVAL);
    fails("seek with an unknown whence", lseek(file, 0, 9), EINVAL);
    fails("pread before the start", pread(file, bytes.data(), 1, -1), EINVAL);
    fails("write to a file", write(file, bytes.data(), 1), EBADF);
    equal("back to the start", lseek(file, 0, SEEK_SET), 0);
    fails("read into the kernel", read(file, bad_pointer<char>(), 4), EFAULT);

    std::array<char, 3> head{};
    std::array<char, 60> rest{};
    const std::array<iovec, 2> vectors{{{head.data(), head.size()}, {rest.data(), rest.size()}}};
    equal("readv", readv(file, vectors.data(), 2), kMotdBytes);
    reads("its second vector", {rest.data(), 4}, kMotdText.substr(3, 4));
    fails("readv of too many vectors", syscall(SYS_readv, file, vectors.data(), 1025), EINVAL);
    succeeds("close", close(file));
    fails("close again", close(file), EBADF);
    fails("read of a closed descriptor", read(file, bytes.data(), 1), EBADF);
}

void name_files() {
    struct stat status{};
    succeeds("stat of a file", stat(kMotd, &status));
    truth("it is a file", S_ISREG(status.st_mode));
    equal("its size", status.st_size, kMotdBytes);
    for (const char* directory : {"/", "/etc", "/etc/", "/proc", "/sys/devices"}) {
        succeeds(directory, stat(directory, &status));
        truth("it is a directory", S_ISDIR(status.st_mode));
    }
    succeeds("a path with dots", stat("//bin/../etc/./motd", &status));
    succeeds("a relative path", stat("etc/motd", &status));
    fails("a file as directory", stat("/etc/motd/x", &status), ENOTDIR);
    fails("a file with a slash", stat("/etc/motd/", &status), ENOTDIR);
    fails("an absent file", stat("/nope", &status), ENOENT);
    fails("an absent directory", stat("/nope/x", &status), ENOENT);
    fails("an empty path", stat("", &status), ENOENT);
    fails("a path of the kernel", stat(bad_pointer<char>(), &status), EFAULT);
    fails("a path without end", stat(std::string(5000, 'x').c_str(), &status), ENAMETOOLONG);
    fails("stat into the kernel", stat(kMotd, bad_pointer<struct stat>()), EFAULT);

    fails("open of an absent file", open("/nope", O_RDONLY), ENOENT);
    fails("creation", open("/nope", O_RDWR | O_CREAT, 0644), EROFS);
    fails("creation of what exists", open(kMotd, O_RDONLY | O_CREAT | O_EXCL, 0644), EEXIST);
    fails("open for writing", open(kMotd, O_RDWR), EROFS);
    fails("open of a directory for writing", open("/etc", O_RDWR), EISDIR);
    fails("open of a file as directory", open(kMotd, O_RDONLY | O_DIRECTORY), ENOTDIR);
    fails("open of the kernel's path", open(bad_pointer<char>(), O_RDONLY), EFAULT);

    std::array<char, 16> bytes{};
    const int directory = open("/etc", O_RDONLY | O_DIRECTORY);
    succeeds("open of a directory", directory);
    fails("read of a directory", read(directory, bytes.data(), 1), EISDIR);
    succeeds("close of a directory", close(directory));
    fails("a file is no link", readlink(kMotd, bytes.data(), bytes.size()), EINVAL);
    fails("an absent link", readlink("/nope", bytes.data(), bytes.size()), ENOENT);
    truth("the current directory", getcwd(bytes.data(), bytes.size()) != nullptr);
    reads("it is the root", bytes.data(), "/");
    fails("a buffer too small for it", syscall(SYS_getcwd, bytes.data(), 1), ERANGE);
}

// Larger than what the kernel copies in one step.
void read_large_files() {
    struct stat status{};
    const int file = open(checks::program, O_RDONLY);
    succeeds("open of this program", file);
    succeeds("fstat", fstat(file, &status));
    const auto bytes = static_cast<std::size_t>(status.st_size);
    std::vector<char> whole(bytes + 10);
    equal("read of all of it", read(file, whole.data(), whole.size()), status.st_size);
    reads("it is a program", {whole.data(), 4},
          "\x7f"
          "ELF");
    void* const mapped = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file, 0);
    truth("mapping of all of it", mapped != MAP_FAILED);
    truth("the same bytes", std::memcmp(mapped, whole.data(), bytes) == 0);
    succeeds("unmapping", munmap(mapped, bytes));
    succeeds("close", close(file));
}

void use_up_descriptors() {
    std::vector<int> files;
    for (int file = open("/dev/null", O_RDWR); file >= 0; file = open("/dev/null", O_RDWR)) {
        files.push_back(file);
    }
    equal("the table is full", errno, EMFILE);
    equal("descriptors beside 0, 1 and 2", static_cast<std::int64_t>(files.size()), kMaxFiles - 3);
    succeeds("close in the middle", close(100));
    equal("the gap is used first", open(kMotd, O_RDONLY), 100);
    for (const int file : files) {
        succeeds("close", close(file));
    }
    fails("a negative descriptor", close(-1), EBADF);
    fails("a descriptor beyond the table", close(kMaxFiles), EBADF);
}

void use_devices() {
    std::vector<char> bytes(100'000, 'x');
    const auto size = static_cast<std::int64_t>(bytes.size());
    int device = open("/dev/zero", O_RDWR);
    equal("read of zeros", read(device, bytes.data(), bytes.size()), size);
    truth("all zero", std::ranges::all_of(bytes, [](char byte) { return byte == 0; }));
    equal("write to zero", write(device, bytes.data(), bytes.size()), size);
    succeeds("close", close(device));

    device = open("/dev/null", O_RDWR);
    equal("read of null", read(device, bytes.data(), bytes.size()), 0);
    equal("write to null", write(device, bytes.data(), bytes.size()), size);
    succeeds("close", close(device));

    device = open("/dev/urandom", O_RDONLY);
    equal("read of random bytes", read(device, bytes.data(), 10'000), 10'000);
    // 10000 fair draws leave one of 256 values out with a probability below 10^-14.
    equal("every value comes", std::set<char>(bytes.begin(), bytes.begin() + 10'000).size(), 256);
    succeeds("close", close(device));
    std::array<char, 64> first{};
    std::array<char, 64> second{};
    equal("getrandom", getrandom(first.data(), first.size(), 0), 64);
    equal("getrandom again", getrandom(second.data(), second.size(), GRND_NONBLOCK), 64);
    truth("other bytes", first != second);
    fails("getrandom with an unknown flag", getrandom(first.data(), first.size(), 64), EINVAL);
    fails("getrandom into the kernel", getrandom(bad_pointer<char>(), 64, 0), EFAULT);
}

void use_the_console() {
    equal("it is a terminal", isatty(STDOUT_FILENO), 1);
    struct stat status{};
    succeeds("fstat", fstat(STDOUT_FILENO, &status));
    truth("it is a character device", S_ISCHR(status.st_mode));
    termios settings{};
    succeeds("tcgetattr", tcgetattr(STDOUT_FILENO, &settings));
    truth("it edits lines", (settings.c_lflag & ICANON) != 0);
    succeeds("tcsetattr", tcsetattr(STDOUT_FILENO, TCSANOW, &settings));
    winsize size{};
    succeeds("its size", ioctl(STDOUT_FILENO, TIOCGWINSZ, &size));
    equal("its columns", size.ws_col, 80);
    fails("an unknown request", ioctl(STDOUT_FILENO, 0x1234), ENOTTY);
    fails("write from the kernel", write(STDOUT_FILENO, bad_pointer<char>(), 4), EFAULT);
    fails("a seek", lseek(STDIN_FILENO, 0, SEEK_CUR), ESPIPE);
    std::string one = "# one ";
    std::string two = "two ";
    std::string three = "three\n";
    const std::array<iovec, 3> vectors{
        {{one.data(), one.size()}, {two.data(), two.size()}, {three.data(), three.size()}}};
    equal("writev", writev(STDOUT_FILENO, vectors.data(), 3), 16);
    // More than the console takes at once: the writer waits for the line.
    std::string lines;
    for (int line = 0; line < 100; ++line) {
        lines += "# line " + std::to_string(line) + " of a long write 0123456789abcdefghijklmnopqrstuvwxyz\n";
    }
    equal("a long write", write(STDOUT_FILENO, lines.data(), lines.size()),
          static_cast<std::int64_t>(lines.size()));
    const int console = open("/dev/console", O_RDWR | O_NONBLOCK);
    std::array<char, 4> bytes{};
    fails("nothing was typed", read(console, bytes.data(), bytes.size()), EAGAIN);
    succeeds("close", close(console));
}

std::size_t count_of(const std::string& text, std::string_view word) {
    std::size_t count = 0;
    for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
        ++count;
    }
    return count;
}

void read_information() {
    cpu_set_t usable;
    succeeds("the usable cpus", sched_getaffinity(0, sizeof(usable), &usable));
    const int cpus = CPU_COUNT(&usable);
    const std::string list = cpus == 1 ? "0\n" : "0-" + std::to_string(cpus - 1) + "\n";
    for (const char* file : {"online", "possible", "present"}) {
        reads(file, contents_of(std::string{"/sys/devices/system/cpu/"} + file), list);
    }
    equal("processors of cpuinfo", count_of(contents_of("/proc/cpuinfo"), "processor\t:"), cpus);
    truth("meminfo", contents_of("/proc/meminfo").starts_with("MemTotal: "));
    // In hundredths of a second, and not so much has passed since the boot.
    const auto hundredths = [] {
        timespec now{};
        clock_gettime(CLOCK_BOOTTIME, &now);
        return now.tv_sec * 100LL + now.tv_nsec / 10'000'000;
    };
    const long long before = hundredths();
    const std::string uptime = contents_of("/proc/uptime");
    const long long told = std::llround(std::stod(uptime) * 100);
    truth("uptime", before <= told && told <= hundredths());
    truth("two numbers", count_of(uptime, ".") == 2 && uptime.back() == '\n');

    const std::string name = std::string{checks::program}.substr(std::strlen("/bin/"), 15);
    reads("comm", contents_of("/proc/self/comm"), name + "\n");
    const std::string pid = std::to_string(getpid());
    const std::string status = contents_of("/proc/self/stat");
    truth("stat begins with pid, name, state, parent",
          status.starts_with(pid + " (" + name + ") R " + std::to_string(getppid()) + " " + pid + " "));
    equal("its 52 fields", count_of(status, " ") + 1, 52);
    truth("the same by number", contents_of("/proc/" + pid + "/stat").starts_with(pid + " ("));
    const std::string maps = contents_of("/proc/self/maps");
    truth("maps names the program", maps.find(checks::program) != std::string::npos);
    truth("maps names the stack", maps.find(" rw-p ") != std::string::npos && count_of(maps, "[stack]") == 1);
    fails("an absent process", open("/proc/30000/stat", O_RDONLY), ENOENT);
    fails("an absent file of a process", open("/proc/self/none", O_RDONLY), ENOENT);
    fails("information is read-only", open("/proc/meminfo", O_RDWR), EROFS);
}

constexpr checks::Case kCases[]{
    {"read the initrd", read_the_initrd},   {"name files", name_files},
    {"read large files", read_large_files}, {"use up descriptors", use_up_descriptors},
    {"use devices", use_devices},           {"use the console", use_the_console},
    {"read information", read_information},
};

}  // namespace

int main(int, char** argv) {
    return checks::run(argv[0], kCases);
}
