// SPDX-License-Identifier: MIT
// The Linux block's memory calls: what is mapped where, with which rights, and what every refusal says.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>
#include <string>

#include "checks.hpp"

namespace {

using checks::bad_pointer;
using checks::equal;
using checks::fails;
using checks::succeeds;
using checks::truth;

constexpr std::size_t kPage = 4096;
constexpr std::size_t kMegabyte = 1 << 20;
constexpr int kPrivate = MAP_PRIVATE | MAP_ANONYMOUS;
constexpr int kReadWrite = PROT_READ | PROT_WRITE;

char* map(std::size_t bytes, int protection = kReadWrite) {
    void* const mapped = mmap(nullptr, bytes, protection, kPrivate, -1, 0);
    truth("mmap", mapped != MAP_FAILED);
    return static_cast<char*>(mapped);
}

bool is_filled(const char* start, std::size_t bytes, char value) {
    return std::all_of(start, start + bytes, [value](char byte) { return byte == value; });
}

// What /proc/self/maps says of the page at `address`: "rw-p", or "" if it is not mapped.
std::string protection_of(const char* address) {
    std::ifstream maps{"/proc/self/maps"};
    const auto wanted = reinterpret_cast<std::uintptr_t>(address);
    for (std::string line; std::getline(maps, line);) {
        std::istringstream fields{line};
        std::uintptr_t start = 0;
        std::uintptr_t end = 0;
        char dash = 0;
        std::string protection;
        fields >> std::hex >> start >> dash >> end >> protection;
        if (wanted >= start && wanted < end) {
            return protection;
        }
    }
    return "";
}

// Whether the kernel may read or write here for this program: it obeys the same rights.
bool can_read(const char* address) {
    // No such path exists, wherever it can be read.
    return syscall(SYS_openat, AT_FDCWD, address, O_RDONLY, 0) == -1 && errno != EFAULT;
}

bool can_write(char* address) {
    const int zero = open("/dev/zero", O_RDONLY);
    const bool can = read(zero, address, 1) == 1;
    succeeds("close", close(zero));
    return can;
}

void map_and_unmap() {
    char* const start = map(kMegabyte);
    truth("new memory is zero", is_filled(start, kMegabyte, 0));
    std::fill_n(start, kMegabyte, 'x');
    succeeds("unmap one page of it", munmap(start + 2 * kPage, kPage));
    truth("the page is gone", !can_write(start + 2 * kPage) && protection_of(start + 2 * kPage).empty());
    truth("its neighbours are not", start[kPage] == 'x' && start[3 * kPage] == 'x');
    void* const again = mmap(start + 2 * kPage, kPage, kReadWrite, kPrivate | MAP_FIXED_NOREPLACE, -1, 0);
    truth("the hole can be filled", again == start + 2 * kPage && start[2 * kPage] == 0);
    fails("but not twice", mmap(start, kPage, kReadWrite, kPrivate | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
    truth("unless it shall be replaced",
          mmap(start, kPage, kReadWrite, kPrivate | MAP_FIXED, -1, 0) == start && start[0] == 0);
    succeeds("unmap across mappings", munmap(start, kMegabyte));
    succeeds("unmap nothing", munmap(start, kMegabyte));

    fails("no bytes", mmap(nullptr, 0, PROT_READ, kPrivate, -1, 0), EINVAL);
    fails("neither private nor shared", mmap(nullptr, kPage, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
    fails("unknown protection", mmap(nullptr, kPage, 64, kPrivate, -1, 0), EINVAL);
    fails("a crooked place",
          mmap(reinterpret_cast<void*>(kMegabyte + 1), kPage, PROT_READ, kPrivate | MAP_FIXED, -1, 0),
          EINVAL);
    fails("more than an address space", mmap(nullptr, std::size_t{1} << 40, PROT_READ, kPrivate, -1, 0),
          ENOMEM);
    fails("writable and executable", mmap(nullptr, kPage, kReadWrite | PROT_EXEC, kPrivate, -1, 0), EINVAL);
    fails("unmapping a crooked place", munmap(start + 1, kPage), EINVAL);
    fails("unmapping no bytes", munmap(start, 0), EINVAL);
    fails("unmapping the kernel", munmap(bad_pointer<char>(), kPage), EINVAL);
}

void protect() {
    char* const start = map(4 * kPage);
    std::fill_n(start, 4 * kPage, 'x');
    succeeds("make one page read-only", mprotect(start + kPage, kPage, PROT_READ));
    truth("it keeps its contents", start[kPage] == 'x');
    truth("it cannot be written", !can_write(start + kPage));
    truth("its neighbours can", can_write(start) && can_write(start + 2 * kPage));
    checks::reads("maps says so", protection_of(start + kPage), "r--p");
    succeeds("make it inaccessible", mprotect(start + kPage, kPage, PROT_NONE));
    truth("it cannot be read", !can_read(start + kPage));
    truth("another can", can_read(start + 2 * kPage));
    succeeds("make all of it writable", mprotect(start, 4 * kPage, kReadWrite));
    truth("it still keeps its contents", start[kPage] == 'x' && can_write(start + kPage));
    checks::reads("maps says so", protection_of(start + kPage), "rw-p");
    fails("writable and executable", mprotect(start, kPage, kReadWrite | PROT_EXEC), EINVAL);
    fails("unknown protection", mprotect(start, kPage, 64), EINVAL);
    fails("a crooked place", mprotect(start + 1, kPage, PROT_READ), EINVAL);
    succeeds("make a hole", munmap(start + 2 * kPage, kPage));
    fails("protect across the hole", mprotect(start, 4 * kPage, PROT_READ), ENOMEM);
    succeeds("unmap", munmap(start, 4 * kPage));
    fails("protect nothing", mprotect(start, kPage, PROT_READ), ENOMEM);
}

void advise() {
    char* const start = map(kMegabyte);
    std::fill_n(start, kMegabyte, 'x');
    succeeds("drop the first half", madvise(start, kMegabyte / 2, MADV_DONTNEED));
    truth("it is zero", is_filled(start, kMegabyte / 2, 0));
    truth("the second half is not", is_filled(start + kMegabyte / 2, kMegabyte / 2, 'x'));
    succeeds("harmless advice", madvise(start, kMegabyte, MADV_WILLNEED));
    fails("unknown advice", madvise(start, kPage, 99), EINVAL);
    fails("a crooked place", madvise(start + 1, kPage, MADV_DONTNEED), EINVAL);
    succeeds("unmap", munmap(start, kMegabyte));
}

// More than the kernel does in one go, so that each call is carried on several times.
void work_in_steps() {
    constexpr std::size_t kBytes = 16 * kMegabyte;
    char* const start = map(kBytes);
    for (std::size_t at = 0; at < kBytes; at += kPage) {
        start[at] = 'x';
    }
    succeeds("protect", mprotect(start, kBytes, PROT_READ));
    truth("to the end", !can_write(start + kBytes - kPage) && start[kBytes - kPage] == 'x');
    succeeds("discard", madvise(start, kBytes, MADV_DONTNEED));
    truth("to the end as well", start[0] == 0 && start[kBytes - kPage] == 0);
    succeeds("unmap", munmap(start, kBytes));
    truth("nothing is left", protection_of(start).empty() && protection_of(start + kBytes - kPage).empty());
}

void map_files() {
    constexpr std::string_view kText = "a file of the test archive\n";
    const int file = open("/etc/motd", O_RDONLY);
    void* const mapped = mmap(nullptr, kPage, kReadWrite, MAP_PRIVATE, file, 0);
    truth("a private mapping", mapped != MAP_FAILED);
    char* const text = static_cast<char*>(mapped);
    checks::reads("its text", {text, kText.size()}, kText);
    truth("zeros behind it", is_filled(text + kText.size(), kPage - kText.size(), 0));
    text[0] = 'A';
    std::array<char, 1> first{};
    equal("read of the file", pread(file, first.data(), 1, 0), 1);
    equal("writing changed a copy", first[0], 'a');
    succeeds("unmap", munmap(text, kPage));
    fails("shared and writable", mmap(nullptr, kPage, kReadWrite, MAP_SHARED, file, 0), EACCES);
    fails("a crooked offset", mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, file, 1), EINVAL);
    fails("the console", mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, STDIN_FILENO, 0), ENODEV);
    succeeds("close", close(file));
    fails("no file", mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, file, 0), EBADF);
}

std::uint64_t set_break(std::uint64_t address) {
    return static_cast<std::uint64_t>(syscall(SYS_brk, address));
}

void move_the_break() {
    const std::uint64_t before = set_break(0);
    truth("there is one", before != 0);
    equal("grow", static_cast<std::int64_t>(set_break(before + kMegabyte) - before), kMegabyte);
    char* const start = reinterpret_cast<char*>(before);
    truth("new memory is zero", is_filled(start, kMegabyte, 0));
    std::fill_n(start, kMegabyte, 'x');
    truth("shrink", set_break(before) == before);
    truth("grow again", set_break(before + kMegabyte) == before + kMegabyte);
    truth("zero again", is_filled(start + kPage, kMegabyte - kPage, 0));
    truth("below the start it stays", set_break(kPage) == before + kMegabyte);
    truth("into the kernel it stays", set_break(checks::kKernelAddress) == before + kMegabyte);
    truth("shrink again", set_break(before) == before);
}

void limit() {
    rlimit limit{};
    succeeds("files", getrlimit(RLIMIT_NOFILE, &limit));
    equal("how many", limit.rlim_cur, 256);
    limit.rlim_cur = 4;
    succeeds("fewer", setrlimit(RLIMIT_NOFILE, &limit));
    equal("the last one", dup(0), 3);
    fails("no more", dup(0), EMFILE);
    fails("nor by opening", open("/dev/null", O_RDONLY), EMFILE);
    std::array<int, 2> ends{};
    fails("nor in pairs", pipe(ends.data()), EMFILE);
    fails("dup2 beyond it", dup2(0, 4), EBADF);
    fails("fcntl beyond it", fcntl(0, F_DUPFD, 4), EINVAL);
    succeeds("dup2 below it", dup2(0, 3));
    limit.rlim_cur = 3;
    succeeds("fewer than are open", setrlimit(RLIMIT_NOFILE, &limit));
    succeeds("they stay", fcntl(3, F_GETFD));
    const int child = fork();
    if (child == 0) {
        rlimit inherited{};
        getrlimit(RLIMIT_NOFILE, &inherited);
        _exit(inherited.rlim_cur == 3 && dup(0) == -1 && errno == EMFILE ? 0 : 1);
    }
    int ended = -1;
    waitpid(child, &ended, 0);
    equal("a child inherits it", ended, 0);
    close(3);
    limit.rlim_cur = 256;
    succeeds("as many again", setrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_max = limit.rlim_cur = 257;
    fails("more than there can be", setrlimit(RLIMIT_NOFILE, &limit), EPERM);
    succeeds("stack", getrlimit(RLIMIT_STACK, &limit));
    equal("its size", limit.rlim_cur, 8 * kMegabyte);
    limit.rlim_cur = kMegabyte;
    succeeds("a smaller stack", setrlimit(RLIMIT_STACK, &limit));
    rlimit now{};
    succeeds("stack again", getrlimit(RLIMIT_STACK, &now));
    equal("it is remembered", now.rlim_cur, kMegabyte);
    limit.rlim_cur = limit.rlim_max + 1;
    fails("more than the maximum", setrlimit(RLIMIT_STACK, &limit), EINVAL);
    limit.rlim_max = limit.rlim_cur;
    fails("a higher maximum", setrlimit(RLIMIT_STACK, &limit), EPERM);
    succeeds("anything else", getrlimit(RLIMIT_CORE, &limit));
    truth("is unlimited", limit.rlim_cur == RLIM_INFINITY);
    limit.rlim_cur = 5;
    succeeds("till it is set", setrlimit(RLIMIT_CORE, &limit));
    succeeds("and read", getrlimit(RLIMIT_CORE, &now));
    equal("which is kept", now.rlim_cur, 5);
    succeeds("all memory", getrlimit(RLIMIT_AS, &limit));
    truth("is unlimited, too", limit.rlim_cur == RLIM_INFINITY);
    limit.rlim_cur = kMegabyte;
    succeeds("less than there is", setrlimit(RLIMIT_AS, &limit));
    fails("no more is mapped", mmap(nullptr, kPage, kReadWrite, kPrivate, -1, 0), ENOMEM);
    const auto* const before = static_cast<char*>(sbrk(0));
    fails("nor below the break", sbrk(kMegabyte), ENOMEM);
    truth("which stays", sbrk(0) == before);
    limit.rlim_cur = RLIM_INFINITY;
    succeeds("unlimited again", setrlimit(RLIMIT_AS, &limit));
    munmap(map(kPage), kPage);
    fails("an unknown limit", syscall(SYS_prlimit64, 0, 16, nullptr, &limit), EINVAL);
    fails("an absent process", syscall(SYS_prlimit64, 30'000, RLIMIT_STACK, nullptr, &limit), ESRCH);
    fails("a limit of the kernel's", syscall(SYS_prlimit64, 0, RLIMIT_STACK, bad_pointer<rlimit>(), nullptr),
          EFAULT);
}

void flush_instructions() {
    succeeds("flush", syscall(SYS_riscv_flush_icache, 0, 0, 0));
    succeeds("flush for this thread", syscall(SYS_riscv_flush_icache, 0, 0, 1));
    fails("an unknown flag", syscall(SYS_riscv_flush_icache, 0, 0, 8), EINVAL);
}

long barrier(int command, unsigned flags = 0) {
    return syscall(SYS_membarrier, command, flags, 0);
}

void order_memory() {
    const long known = barrier(0);
    truth("what there is", (known & 0x7f) == 0x7f);
    equal("for all", barrier(1), 0);
    equal("at once", barrier(2), 0);
    fails("its own, unannounced", barrier(8), EPERM);
    equal("announce it", barrier(16), 0);
    equal("its own", barrier(8), 0);
    fails("and its code, unannounced", barrier(32), EPERM);
    equal("announce it", barrier(64), 0);
    equal("and its code", barrier(32), 0);
    equal("announced so far", barrier(512), 16 | 64);
    fails("of restartable sequences", barrier(128), EINVAL);
    fails("with a flag", barrier(8, 1), EINVAL);
    fails("no command", barrier(3), EINVAL);
    const int child = fork();
    if (child == 0) {
        _exit(barrier(512) == (16 | 64) ? 0 : 1);
    }
    int ended = -1;
    waitpid(child, &ended, 0);
    equal("a child inherits what was announced", ended, 0);
}

constexpr checks::Case kCases[]{
    {"order memory", order_memory},
    {"map and unmap", map_and_unmap},
    {"protect", protect},
    {"advise", advise},
    {"work in steps", work_in_steps},
    {"map files", map_files},
    {"move the break", move_the_break},
    {"limit", limit},
    {"flush instructions", flush_instructions},
};

}  // namespace

int main(int, char** argv) {
    return checks::run(argv[0], kCases);
}
