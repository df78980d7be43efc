// SPDX-License-Identifier: MIT
// Loads for shared_lines.cpp: a process on each CPU that does one thing and nothing else, over and over.
//
//     scale_lines CASE
//
// null, yield, futex, fault, timer: what the processes do has nothing to do with what the others do.
// shared: two threads of one process on two CPUs wake each other.
//
// The process on CPU 0 marks the window that is counted, by hints of the instruction set: others have long
// begun by then, and go on until they are killed.
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string_view>
#include <vector>

namespace {

void check(bool good, const char* what) {
    if (!good) {
        std::perror(what);
        std::exit(1);
    }
}

void begin_window() {
    asm volatile("slti x0, x0, 0x51" ::: "memory");
}
void end_window() {
    asm volatile("slti x0, x0, 0x52" ::: "memory");
}

std::int64_t now_ns() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

void pin_to(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    check(::sched_setaffinity(0, sizeof set, &set) == 0, "sched_setaffinity");
}

// Two threads that take turns.
class Pair {
  public:
    // The partner runs on `cpu`, and answers until the process ends.
    explicit Pair(int cpu) : cpu_{cpu} {
        pthread_t thread{};
        check(::pthread_create(&thread, nullptr, &answer, this) == 0, "pthread_create");
    }
    void round() {
        hand_over(there_);
        wait_for(here_);
    }

  private:
    static void* answer(void* argument) {
        auto& pair = *static_cast<Pair*>(argument);
        pin_to(pair.cpu_);
        while (true) {
            wait_for(pair.there_);
            hand_over(pair.here_);
        }
    }
    static void hand_over(std::atomic<std::uint32_t>& word) {
        word.store(1);
        ::syscall(SYS_futex, &word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, nullptr, nullptr, 0);
    }
    static void wait_for(std::atomic<std::uint32_t>& word) {
        while (word.exchange(0) == 0) {
            ::syscall(SYS_futex, &word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, nullptr, nullptr, 0);
        }
    }

    int cpu_;
    std::atomic<std::uint32_t> here_{0};
    std::atomic<std::uint32_t> there_{0};
};

void* yield_for_ever(void*) {
    while (true) {
        ::sched_yield();
    }
}

void* compute_for_ever(void*) {
    while (true) {
        asm volatile("" ::: "memory");
    }
}

void start(void* (*body)(void*)) {
    pthread_t thread{};
    check(::pthread_create(&thread, nullptr, body, nullptr) == 0, "pthread_create");
}

constexpr std::size_t kPage = 4096;
constexpr std::size_t kPages = 16;

// The frames go back and are taken again.
void touch_new_pages(void* area) {
    for (std::size_t at = 0; at < kPages * kPage; at += kPage) {
        static_cast<volatile char*>(area)[at] = 1;
    }
    check(::madvise(area, kPages * kPage, MADV_DONTNEED) == 0, "madvise");
}

void sleep_a_little() {
    const timespec time{.tv_sec = 0, .tv_nsec = 20'000};
    check(::clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr) == 0, "clock_nanosleep");
}

// Never returns on CPUs other than 0.
template <class Round>
void repeat(int cpu, Round&& round) {
    constexpr int kAtOnce = 16;  // between two looks at the clock
    const auto repeat_for = [&](std::int64_t duration) {
        std::uint64_t rounds = 0;
        for (const std::int64_t until = now_ns() + duration; now_ns() < until; rounds += kAtOnce) {
            for (int i = 0; i < kAtOnce; ++i) {
                round();
            }
        }
        return rounds;
    };
    while (cpu != 0) {
        round();
    }
    // Until all are at it, and each has been through all it does; then long enough that each of them has its
    // turns on a host that runs many more threads than it has processors.
    constexpr std::int64_t kWarmUp = 200'000'000;
    constexpr std::int64_t kWindow = 1'000'000'000;
    static_cast<void>(repeat_for(kWarmUp));
    begin_window();
    const std::uint64_t rounds = repeat_for(kWindow);
    end_window();
    std::printf("scale_lines: %ju rounds\n", static_cast<std::uintmax_t>(rounds));
    std::fflush(stdout);
}

void run_case(std::string_view name, int cpu) {
    pin_to(cpu);
    if (name == "null") {
        repeat(cpu, [] { ::syscall(SYS_getuid); });
    } else if (name == "yield") {
        start(&yield_for_ever);
        repeat(cpu, [] { ::sched_yield(); });
    } else if (name == "futex") {
        Pair pair{cpu};
        repeat(cpu, [&] { pair.round(); });
    } else if (name == "fault") {
        void* const area =
            ::mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        check(area != MAP_FAILED, "mmap");
        repeat(cpu, [area] { touch_new_pages(area); });
    } else if (name == "timer") {
        start(&compute_for_ever);
        repeat(cpu, &sleep_a_little);
    } else {
        std::printf("scale_lines: no case '%.*s'\n", static_cast<int>(name.size()), name.data());
        std::exit(1);
    }
    std::_Exit(0);
}

int run_on_all_cpus(std::string_view name) {
    cpu_set_t set;
    check(::sched_getaffinity(0, sizeof set, &set) == 0, "sched_getaffinity");
    std::vector<pid_t> children;
    for (int cpu = CPU_COUNT(&set); cpu-- > 0;) {
        const pid_t pid = ::fork();
        check(pid >= 0, "fork");
        if (pid == 0) {
            run_case(name, cpu);
        }
        children.push_back(pid);
    }
    int status = 0;
    check(::waitpid(children.back(), &status, 0) == children.back(), "waitpid");
    children.pop_back();
    for (const pid_t pid : children) {
        check(::kill(pid, SIGKILL) == 0, "kill");
        check(::waitpid(pid, nullptr, 0) == pid, "waitpid");
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int run_shared() {
    pin_to(0);
    Pair pair{1};
    repeat(0, [&] { pair.round(); });
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::puts("usage: scale_lines null|yield|futex|fault|timer|shared");
        return 1;
    }
    const std::string_view name{argv[1]};
    const int status = name == "shared" ? run_shared() : run_on_all_cpus(name);
    std::printf("scale_lines: %s %s\n", argv[1], status == 0 ? "done" : "failed");
    return status;
}
