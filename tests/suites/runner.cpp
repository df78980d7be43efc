// SPDX-License-Identifier: MIT
// Init that runs many tests in one boot, each as a process of its own with a time limit, and says how each
// ended:
//
//     suite_runner [MANIFEST]        (default /suites/manifest)
//
// A line of the manifest is one test: name, limit in seconds, expected end ("exit 0", "signal 6"), then the
// program's path and arguments, all separated by tabs. The output is KTAP with one "# run NAME" before each
// test, so that a log that breaks off tells where. Exit status 77 and 4 are glibc's and Linux' ways to say
// that a test does not apply.
//
// Between two tests nothing is left of the first: what it started is killed, what it wrote to /tmp and
// /dev/shm removed. The same program runs on Linux. One thread.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "console.hpp"
#include "ktap.hpp"

namespace {

constexpr const char* kOutput = "/tmp/.suite-output";
constexpr int kNotApplicable = 77;       // glibc, automake
constexpr int kNotApplicableKernel = 4;  // KSFT_SKIP
constexpr std::size_t kShownLines = 12;
constexpr std::int64_t kNsPerS = 1'000'000'000;

struct Test {
    std::string name;
    std::int64_t limit_s{};
    std::string expected;
    std::vector<std::string> command;
};

struct Counts {
    std::size_t passed{};
    std::size_t failed{};
    std::size_t skipped{};
};

std::int64_t now_ns() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * kNsPerS + time.tv_nsec;
}

std::vector<std::string> split(const std::string& line) {
    std::vector<std::string> fields;
    std::size_t begin = 0;
    while (begin <= line.size()) {
        const std::size_t end = std::min(line.find('\t', begin), line.size());
        fields.push_back(line.substr(begin, end - begin));
        begin = end + 1;
    }
    return fields;
}

std::vector<Test> read_manifest(const char* path) {
    std::vector<Test> tests;
    std::ifstream file{path};
    for (std::string line; std::getline(file, line);) {
        std::vector<std::string> fields = split(line);
        constexpr std::size_t kLeast = 4;
        if (fields.size() < kLeast) {
            user::write_line("suite_runner: " + std::string{path} + ": not a test: '" + line + "'");
            continue;
        }
        tests.push_back({fields[0], std::strtoll(fields[1].c_str(), nullptr, 10), fields[2],
                         std::vector<std::string>{fields.begin() + 3, fields.end()}});
    }
    return tests;
}

// Linux starts init with nothing mounted; elsewhere this is refused, and the folders are there or are not.
void prepare_machine() {
    struct Place {
        const char* type;
        const char* path;
    };
    constexpr std::array kPlaces = {Place{"proc", "/proc"}, Place{"sysfs", "/sys"}, Place{"devtmpfs", "/dev"},
                                    Place{"tmpfs", "/dev/shm"}, Place{"tmpfs", "/tmp"}};
    for (const Place& place : kPlaces) {
        static_cast<void>(::mkdir(place.path, 0755));
        static_cast<void>(::mount(place.type, place.path, place.type, 0, nullptr));
    }
}

// Removes what is below a folder, not the folder.
void clear_folder(const std::string& path) {
    DIR* folder = ::opendir(path.c_str());
    if (folder == nullptr) {
        return;
    }
    while (const dirent* entry = ::readdir(folder)) {
        const std::string_view name{entry->d_name};
        if (name == "." || name == "..") {
            continue;
        }
        const std::string whole = path + "/" + entry->d_name;
        if (::unlink(whole.c_str()) != 0) {
            clear_folder(whole);
            static_cast<void>(::rmdir(whole.c_str()));
        }
    }
    static_cast<void>(::closedir(folder));
}

sigset_t child_signal_set() {
    sigset_t set{};
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGCHLD);
    return set;
}

// In the child: its own session, no input, output to a file, the program.
[[noreturn]] void become(const Test& test) {
    ::setsid();
    const int input = ::open("/dev/null", O_RDONLY);
    const int output = ::open(kOutput, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
    if (input >= 0) {
        ::dup2(input, STDIN_FILENO);
        ::close(input);
    }
    if (output >= 0) {
        ::dup2(output, STDOUT_FILENO);
        ::dup2(output, STDERR_FILENO);
        ::close(output);
    }
    if (::chdir("/tmp") != 0) {
        std::perror("chdir /tmp");
    }
    std::vector<char*> arguments;
    for (const std::string& word : test.command) {
        arguments.push_back(const_cast<char*>(word.c_str()));
    }
    arguments.push_back(nullptr);
    const std::array<const char*, 5> environment = {"PATH=/bin:/usr/bin", "HOME=/", "TMPDIR=/tmp", "LANG=C",
                                                    nullptr};
    const sigset_t child_signal = child_signal_set();
    ::sigprocmask(SIG_UNBLOCK, &child_signal, nullptr);
    ::execve(arguments[0], arguments.data(), const_cast<char* const*>(environment.data()));
    std::perror(arguments[0]);
    ::_exit(127);
}

// The child's wait status, nothing when the time is up or nobody is left to wait for. Pre: SIGCHLD is
// blocked.
std::optional<int> wait_until(pid_t child, std::int64_t deadline_ns) {
    const sigset_t child_signal = child_signal_set();
    while (true) {
        // Orphans come to init, too.
        int status = 0;
        const pid_t ended = ::waitpid(-1, &status, WNOHANG);
        if (ended == child) {
            return status;
        }
        if (ended > 0) {
            continue;
        }
        if (ended < 0 && errno == ECHILD) {
            return std::nullopt;
        }
        const std::int64_t left_ns = deadline_ns - now_ns();
        if (left_ns <= 0) {
            return std::nullopt;
        }
        const timespec left{left_ns / kNsPerS, left_ns % kNsPerS};
        ::sigtimedwait(&child_signal, nullptr, &left);
    }
}

// Ends whatever a test has left behind.
void end_everybody(pid_t child) {
    static_cast<void>(::kill(-child, SIGKILL));
    static_cast<void>(::kill(child, SIGKILL));
    static_cast<void>(::kill(-1, SIGKILL));
    // Everybody is dying; who does not die in this time is the kernel's fault, and the next tests tell.
    static_cast<void>(wait_until(-2, now_ns() + kNsPerS / 10));
}

std::string describe(const std::optional<int>& status) {
    if (!status) {
        return "time";
    }
    if (WIFSIGNALED(*status)) {
        return "signal " + std::to_string(WTERMSIG(*status));
    }
    return "exit " + std::to_string(WEXITSTATUS(*status));
}

// The last lines of what a failed test said.
void show_output() {
    std::ifstream file{kOutput};
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) {
        for (char& letter : line) {
            letter = letter >= ' ' && letter <= '~' ? letter : '?';
        }
        constexpr std::size_t kWidth = 160;
        lines.push_back(line.substr(0, kWidth));
        if (lines.size() > kShownLines) {
            lines.erase(lines.begin());
        }
    }
    for (const std::string& line : lines) {
        user::Ktap::diagnostic("  " + line);
    }
}

void run(const Test& test, user::Ktap& report, Counts& counts) {
    user::Ktap::diagnostic("run " + test.name);
    const std::int64_t begin_ns = now_ns();
    const pid_t child = ::fork();
    if (child == 0) {
        become(test);
    }
    if (child < 0) {
        report.not_ok(test.name, "fork: " + std::string{std::strerror(errno)});
        ++counts.failed;
        return;
    }
    const std::optional<int> status = wait_until(child, begin_ns + test.limit_s * kNsPerS);
    const std::int64_t spent_ms = (now_ns() - begin_ns) / 1'000'000;
    end_everybody(child);
    const std::string end = describe(status);
    const std::string figures = end + ", " + std::to_string(spent_ms) + " ms";
    if (end == test.expected) {
        report.ok(test.name, figures);
        ++counts.passed;
    } else if (status && WIFEXITED(*status) &&
               (WEXITSTATUS(*status) == kNotApplicable || WEXITSTATUS(*status) == kNotApplicableKernel)) {
        report.skip(test.name, figures);
        show_output();
        ++counts.skipped;
    } else {
        report.not_ok(test.name, figures);
        show_output();
        ++counts.failed;
    }
    clear_folder("/tmp");
    clear_folder("/dev/shm");
}

}  // namespace

int main(int argc, char** argv) {
    const bool is_init = ::getpid() == 1;
    if (is_init) {
        prepare_machine();
    }
    const char* manifest = argc > 1 ? argv[1] : "/suites/manifest";
    const std::vector<Test> tests = read_manifest(manifest);
    if (tests.empty()) {
        user::write_line("suite_runner: " + std::string{manifest} + ": no tests");
    }
    // wait_until() takes it.
    const sigset_t child_signal = child_signal_set();
    ::sigprocmask(SIG_BLOCK, &child_signal, nullptr);
    user::Ktap report{tests.size()};
    Counts counts;
    for (const Test& test : tests) {
        run(test, report, counts);
    }
    user::write_line("SUITES: end (pass=" + std::to_string(counts.passed) + " fail=" +
                     std::to_string(counts.failed) + " skip=" + std::to_string(counts.skipped) + ")");
    if (is_init) {
        ::reboot(RB_POWER_OFF);
    }
    return counts.failed == 0 && !tests.empty() ? 0 : 1;
}
