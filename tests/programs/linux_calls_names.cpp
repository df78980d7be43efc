// SPDX-License-Identifier: MIT
// The Linux block's calls about names: listing directories, the current directory, access, statx,
// names of threads, what may be run.
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <thread>

#include "checks.hpp"

namespace {

using checks::bad_pointer;
using checks::equal;
using checks::fails;
using checks::reads;
using checks::succeeds;
using checks::truth;

constexpr int kChildStatus = 77;

// Name -> type of every entry; a name that comes twice is an error.
std::map<std::string, int> list(const std::string& path) {
    std::map<std::string, int> found;
    DIR* const directory = opendir(path.c_str());
    truth("opendir of " + path, directory != nullptr);
    if (directory == nullptr) {
        return found;
    }
    while (const dirent* entry = readdir(directory)) {
        truth(path + "/" + entry->d_name + " comes once", found.emplace(entry->d_name, entry->d_type).second);
    }
    closedir(directory);
    return found;
}

std::string current_directory() {
    std::array<char, 512> path{};
    return getcwd(path.data(), path.size()) == nullptr ? "" : path.data();
}

void list_directories() {
    const auto root = list("/");
    for (const char* name : {".", "..", "bin", "etc", "dev", "proc", "sys", "recipes"}) {
        equal(std::string{"type of /"} + name, root.contains(name) ? root.at(name) : -1, DT_DIR);
    }
    const auto etc = list("/etc");
    equal("type of /etc/motd", etc.contains("motd") ? etc.at("motd") : -1, DT_REG);
    const auto devices = list("/dev");
    equal("type of /dev/null", devices.contains("null") ? devices.at("null") : -1, DT_CHR);
    const auto processes = list("/proc");
    truth("meminfo among the processes", processes.contains("meminfo"));
    const std::string pid = std::to_string(getpid());
    equal("this process", processes.contains(pid) ? processes.at(pid) : -1, DT_DIR);
    truth("its files", list("/proc/" + pid).contains("stat"));
    // Every entry's inode is what stat says, and every name can be found.
    const int bin = open("/bin", O_RDONLY | O_DIRECTORY);
    std::array<char, 256> buffer{};
    unsigned entries = 0;
    while (true) {
        const std::int64_t bytes = syscall(SYS_getdents64, bin, buffer.data(), buffer.size());
        succeeds("getdents64", bytes);
        if (bytes <= 0) {
            break;
        }
        for (std::int64_t at = 0; at < bytes;) {
            const auto* entry = reinterpret_cast<const dirent64*>(buffer.data() + at);
            struct stat status{};
            if (std::string_view{entry->d_name} != "..") {
                succeeds(entry->d_name, fstatat(bin, entry->d_name, &status, AT_SYMLINK_NOFOLLOW));
                equal(entry->d_name, static_cast<std::int64_t>(entry->d_ino),
                      static_cast<std::int64_t>(status.st_ino));
            }
            at += entry->d_reclen;
            ++entries;
        }
    }
    equal("the same as by readdir", entries, static_cast<std::int64_t>(list("/bin").size()));
    equal("back to the beginning", lseek(bin, 0, SEEK_SET), 0);
    fails("a buffer for nothing", syscall(SYS_getdents64, bin, buffer.data(), 8), EINVAL);
    fails("entries into the kernel", syscall(SYS_getdents64, bin, bad_pointer<char>(), 256), EFAULT);
    fails("entries of a file", syscall(SYS_getdents64, open("/etc/motd", O_RDONLY), buffer.data(), 256),
          ENOTDIR);
    succeeds("close", close(bin));
}

void walk() {
    reads("at first", current_directory(), "/");
    succeeds("chdir", chdir("/sys/devices"));
    reads("there", current_directory(), "/sys/devices");
    succeeds("from there", access("system/cpu/online", R_OK));
    succeeds("a relative chdir", chdir("../firmware/."));
    reads("next to it", current_directory(), "/sys/firmware");
    fails("chdir to a file", chdir("/etc/motd"), ENOTDIR);
    fails("chdir to nothing", chdir("/nope"), ENOENT);
    fails("chdir to the kernel", chdir(bad_pointer<char>()), EFAULT);
    const int etc = open("/etc", O_RDONLY | O_DIRECTORY);
    const int motd = openat(etc, "motd", O_RDONLY);
    succeeds("openat", motd);
    fails("openat of a file", openat(motd, "x", O_RDONLY), ENOTDIR);
    fails("openat of nothing open", openat(99, "x", O_RDONLY), EBADF);
    succeeds("an absolute path needs no directory", access("/etc/motd", F_OK));
    succeeds("fchdir", fchdir(etc));
    reads("in it", current_directory(), "/etc");
    succeeds("its file", access("motd", R_OK));
    fails("fchdir to a file", fchdir(motd), ENOTDIR);
    fails("fchdir to nothing", fchdir(99), EBADF);
    std::array<char, 4> small{};
    fails("a buffer too small", syscall(SYS_getcwd, small.data(), small.size()), ERANGE);
    succeeds("home", chdir("/"));
    close(etc);
    close(motd);
}

void ask_for_access() {
    succeeds("read a file", access("/etc/motd", R_OK));
    fails("write to the initrd", access("/etc/motd", W_OK), EROFS);
    fails("run what is no program", access("/etc/motd", X_OK), EACCES);
    succeeds("run a program", access(checks::program, R_OK | X_OK));
    succeeds("search a directory", access("/etc", X_OK));
    succeeds("write to a device", access("/dev/null", R_OK | W_OK));
    fails("what is absent", access("/nope", F_OK), ENOENT);
    fails("an unknown mode", syscall(SYS_faccessat, AT_FDCWD, "/etc/motd", 8), EINVAL);
    constexpr int kFaccessat2 = 439;
    succeeds("faccessat2", syscall(kFaccessat2, AT_FDCWD, "/etc/motd", R_OK, AT_EACCESS));
    fails("faccessat2 with an unknown flag", syscall(kFaccessat2, AT_FDCWD, "/etc/motd", R_OK, 1), EINVAL);

    struct statx extended{};
    struct stat status{};
    succeeds("stat", stat("/etc/motd", &status));
    succeeds("statx", statx(AT_FDCWD, "/etc/motd", 0, STATX_BASIC_STATS, &extended));
    equal("its size", static_cast<std::int64_t>(extended.stx_size), status.st_size);
    equal("its mode", extended.stx_mode, status.st_mode);
    equal("its inode", static_cast<std::int64_t>(extended.stx_ino), static_cast<std::int64_t>(status.st_ino));
    truth("what it says", (extended.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
    succeeds("statx of a descriptor", statx(0, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &extended));
    truth("the console", S_ISCHR(extended.stx_mode));
    fails("statx into the kernel", syscall(SYS_statx, AT_FDCWD, "/", 0, 0, bad_pointer<char>()), EFAULT);
    fails("statx with both kinds of freshness",
          syscall(SYS_statx, AT_FDCWD, "/", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, 0, &extended), EINVAL);
}

std::string comm_of(const std::string& path) {
    std::array<char, 32> text{};
    const int file = open(path.c_str(), O_RDONLY);
    const auto bytes = read(file, text.data(), text.size());
    close(file);
    return {text.data(), bytes > 0 ? static_cast<std::size_t>(bytes) : 0};
}

void name_threads() {
    const std::string own = "/proc/self/comm";
    const std::string name = comm_of(own);
    int file = open(own.c_str(), O_RDWR);
    succeeds("open", file);
    struct stat status{};
    fstat(file, &status);
    equal("its mode", status.st_mode, S_IFREG | 0644);
    equal("write", write(file, "a name", 6), 6);
    reads("it has it", comm_of(own), "a name\n");
    equal("a long one", write(file, "0123456789abcdefghij", 20), 20);
    reads("as much as there is room for", comm_of(own), "0123456789abcde\n");
    fails("the kernel's", write(file, bad_pointer<char>(), 4), EFAULT);
    close(file);
    file = open("/proc/self/stat", O_RDONLY);
    fails("another text", write(file, "x", 1), EBADF);
    close(file);
    fails("is not to be written", open("/proc/self/stat", O_WRONLY), EROFS);
    std::array<int, 2> pipe_ends{};
    succeeds("pipe", pipe(pipe_ends.data()));
    std::thread thread{[&] {
        char byte = 0;
        read(pipe_ends[0], &byte, 1);
    }};
    succeeds("a thread's name", pthread_setname_np(thread.native_handle(), "worker"));
    std::array<char, 16> got{};
    succeeds("is", pthread_getname_np(thread.native_handle(), got.data(), got.size()));
    reads("what was given", got.data(), "worker");
    reads("and the process's another", comm_of(own), "0123456789abcde\n");
    const pid_t child = fork();
    if (child == 0) {
        const int other = open(("/proc/" + std::to_string(getppid()) + "/comm").c_str(), O_WRONLY);
        _exit(write(other, "x", 1) == -1 && errno == EINVAL ? 0 : 1);
    }
    int result = -1;
    waitpid(child, &result, 0);
    equal("another process's name", result, 0);
    write(pipe_ends[1], "x", 1);
    thread.join();
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    const int restored = open(own.c_str(), O_WRONLY | O_TRUNC);
    equal("as before", write(restored, name.data(), name.size() - 1),
          static_cast<std::int64_t>(name.size()) - 1);
    close(restored);
}

// The x bits decide, root or not.
void run_what_may_run() {
    constexpr const char* kCopy = "/tmp/program";
    const int from = open(checks::program, O_RDONLY);
    const int to = open(kCopy, O_RDWR | O_CREAT | O_TRUNC, 0644);
    std::array<char, 65'536> bytes{};
    for (ssize_t got = 0; (got = read(from, bytes.data(), bytes.size())) > 0;) {
        write(to, bytes.data(), static_cast<std::size_t>(got));
    }
    close(from);
    close(to);
    const char* const arguments[]{kCopy, "child", nullptr};
    const auto run = [&] {
        const pid_t child = fork();
        if (child == 0) {
            execv(kCopy, const_cast<char* const*>(arguments));
            _exit(errno);
        }
        int status = -1;
        waitpid(child, &status, 0);
        return WEXITSTATUS(status);
    };
    equal("without", run(), EACCES);
    succeeds("chmod", chmod(kCopy, 0100));
    equal("with one", run(), kChildStatus);
    succeeds("unlink", unlink(kCopy));
    fails("a text of the initrd", execl("/etc/motd", "motd", nullptr), EACCES);
}

// A text is written when it is read from its start.
void read_again() {
    const int file = open("/proc/self/task/1/comm", O_RDONLY);
    std::array<char, 32> text{};
    const auto read_at = [&](off_t at) {
        const ssize_t bytes = pread(file, text.data(), text.size(), at);
        return std::string{text.data(), bytes > 0 ? static_cast<std::size_t>(bytes) : 0};
    };
    const std::string name = read_at(0);
    pthread_setname_np(pthread_self(), "another name");
    reads("what is left of it is as it was", read_at(4), name.substr(4));
    reads("from the start it is new", read_at(0), "another name\n");
    pthread_setname_np(pthread_self(), "a third");
    reads("also by its position", {text.data(), static_cast<std::size_t>(read(file, text.data(), 4))},
          "a th");
    reads("which goes on", {text.data(), static_cast<std::size_t>(read(file, text.data(), 32))}, "ird\n");
    equal("to the end", read(file, text.data(), 1), 0);
    fails("to the kernel", pread(file, bad_pointer<char>(), 4, 0), EFAULT);
    close(file);
    pthread_setname_np(pthread_self(), name.substr(0, name.size() - 1).c_str());
    const pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    const int stat = open(("/proc/" + std::to_string(child) + "/stat").c_str(), O_RDONLY);
    siginfo_t info{};
    waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
    std::array<char, 64> line{};
    truth("read", read(stat, line.data(), line.size()) > 0);
    truth("it has ended", std::string_view{line.data(), line.size()}.find(") Z ") != std::string_view::npos);
    waitpid(child, nullptr, 0);
    fails("it is gone", pread(stat, line.data(), line.size(), 0), ESRCH);
    close(stat);
}

constexpr checks::Case kCases[]{
    {"read again", read_again},
    {"list directories", list_directories},
    {"walk", walk},
    {"ask for access", ask_for_access},
    {"name threads", name_threads},
    {"run what may run", run_what_may_run},
};

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1) {
        return kChildStatus;
    }
    return checks::run(argv[0], kCases);
}
