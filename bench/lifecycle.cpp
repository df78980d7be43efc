// SPDX-License-Identifier: MIT
// Threads and processes: begin, end, and what one that waits costs.
#include <malloc.h>
#include <spawn.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <string>

#include "measure.hpp"

namespace bench {

namespace {

// Beside this program on every system.
constexpr const char* kChild = "/bin/bench_child";

void wait_for(pid_t pid) {
    int status = 0;
    must(::waitpid(pid, &status, 0));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        throw Unsupported{ECHILD};
    }
}

std::uint64_t free_memory() {
    struct sysinfo info{};
    must(::sysinfo(&info));
    return static_cast<std::uint64_t>(info.freeram) * info.mem_unit;
}

}  // namespace

void thread_create_join(Figures& figures) {
    figures.add(
        "", cost_of(500, [] {
            pthread_t thread{};
            must_be_zero(::pthread_create(&thread, nullptr, [](void*) -> void* { return nullptr; }, nullptr));
            must_be_zero(::pthread_join(thread, nullptr));
        }));
}

// Memory that the system is short of for each blocked thread; stacks and the C library's own records are
// touched before.
void thread_memory(Figures& figures) {
    constexpr std::size_t kThreads = 1000;
    constexpr std::size_t kRecords = std::size_t{2} << 20;
    Futex gate;
    Crew crew{kThreads};
    ::mallopt(M_TRIM_THRESHOLD, INT_MAX);
    ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
    void* records = std::malloc(kRecords);
    if (records == nullptr) {
        throw Unsupported{ENOMEM};
    }
    std::memset(records, 1, kRecords);
    asm volatile("" : : "r"(records) : "memory");
    std::free(records);
    std::atomic<std::size_t> begun{0};
    const std::uint64_t before = free_memory();
    for (std::size_t i = 0; i < kThreads; ++i) {
        crew.add([&] {
            ++begun;
            gate.wait_for_all();
        });
    }
    while (begun != kThreads) {
        sleep_until_ns(now_ns() + 1'000'000);
    }
    // Behind the last one's way to sleep.
    sleep_until_ns(now_ns() + 1'000'000);
    const std::uint64_t after = free_memory();
    gate.wake_all();
    figures.add("", (static_cast<double>(before) - static_cast<double>(after)) / kThreads);
}

void spawn_wait(Figures& figures) {
    figures.add("", cost_of(50, [] {
                    pid_t pid = 0;
                    std::string name{kChild};
                    char* const argv[]{name.data(), nullptr};
                    char* const envp[]{nullptr};
                    must_be_zero(::posix_spawn(&pid, kChild, nullptr, nullptr, argv, envp));
                    wait_for(pid);
                }));
}

void fork_exec(Figures& figures) {
    figures.add("", cost_of(50, [] {
                    const auto pid = static_cast<pid_t>(must(::fork()));
                    if (pid == 0) {
                        std::string name{kChild};
                        char* const argv[]{name.data(), nullptr};
                        char* const envp[]{nullptr};
                        ::execve(kChild, argv, envp);
                        ::_exit(127);
                    }
                    wait_for(pid);
                }));
}

void fork_wait(Figures& figures) {
    figures.add("", cost_of(100, [] {
                    const auto pid = static_cast<pid_t>(must(::fork()));
                    if (pid == 0) {
                        ::_exit(0);
                    }
                    wait_for(pid);
                }));
}

}  // namespace bench
