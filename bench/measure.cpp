// SPDX-License-Identifier: MIT
#include "measure.hpp"

#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace bench {

namespace {

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

void futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value) {
    static_cast<void>(
        ::syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, value, nullptr, nullptr, 0));
}

void* run(void* argument) {
    (*static_cast<std::function<void()>*>(argument))();
    return nullptr;
}

}  // namespace

std::uint64_t now_ns() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * kNsPerSecond + static_cast<std::uint64_t>(time.tv_nsec);
}

void sleep_until_ns(std::uint64_t instant) {
    timespec deadline{};
    deadline.tv_sec = static_cast<std::time_t>(instant / kNsPerSecond);
    deadline.tv_nsec = static_cast<long>(instant % kNsPerSecond);
    while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, nullptr) == EINTR) {
    }
}

long must(long result) {
    if (result < 0) {
        throw Unsupported{errno};
    }
    return result;
}

void must_be_zero(int error) {
    if (error != 0) {
        throw Unsupported{error};
    }
}

void pin_to(std::size_t cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    must(::sched_setaffinity(0, sizeof set, &set));
}

void add_percentiles(Figures& figures, std::vector<std::uint64_t> latencies) {
    std::ranges::sort(latencies);
    const auto at = [&latencies](std::size_t percent) {
        return static_cast<double>(latencies[(latencies.size() - 1) * percent / 100]);
    };
    figures.add("p50", at(50));
    figures.add("p99", at(99));
    figures.add("max", at(100));
}

Crew::Crew(std::size_t stacks)
    : stacks_{::mmap(nullptr, stacks * kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                     0)},
      bytes_{stacks * kStackBytes} {
    if (stacks_ == MAP_FAILED) {
        throw Unsupported{errno};
    }
    std::memset(stacks_, 0, bytes_);
    bodies_.reserve(stacks);  // threads keep pointers to them
    threads_.reserve(stacks);
}

Crew::~Crew() {
    join();
    ::munmap(stacks_, bytes_);
}

void Crew::add(std::function<void()> body) {
    bodies_.push_back(std::move(body));
    pthread_attr_t attr;
    ::pthread_attr_init(&attr);
    ::pthread_attr_setstack(&attr, static_cast<char*>(stacks_) + threads_.size() * kStackBytes, kStackBytes);
    pthread_t thread{};
    const int error = ::pthread_create(&thread, &attr, run, &bodies_.back());
    ::pthread_attr_destroy(&attr);
    if (error != 0) {
        // Those that run already wait for this one.
        std::printf("bench: thread %zu could not be created: %s\n", threads_.size(), std::strerror(error));
        std::exit(1);
    }
    threads_.push_back(thread);
}

void Crew::join() {
    for (const pthread_t thread : threads_) {
        ::pthread_join(thread, nullptr);
    }
    threads_.clear();
}

void Futex::post() {
    word_.store(1);
    futex(word_, FUTEX_WAKE, 1);
}

void Futex::wait() {
    while (word_.load() == 0) {
        futex(word_, FUTEX_WAIT, 0);
    }
    word_.store(0);
}

void Futex::wake_all() {
    word_.store(1);
    futex(word_, FUTEX_WAKE, INT_MAX);
}

void Futex::wait_for_all() {
    while (word_.load() == 0) {
        futex(word_, FUTEX_WAIT, 0);
    }
}

void burn(std::uint64_t instructions) {
    constexpr std::uint64_t kPerTurn = 4;
    std::uint64_t value = 1;
    for (std::uint64_t i = 0; i < instructions / kPerTurn; ++i) {
        value = value * 6364136223846793005U + 1442695040888963407U;
        asm volatile("" : "+r"(value));  // keeps the loop
    }
}

}  // namespace bench
