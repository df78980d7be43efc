// SPDX-License-Identifier: MIT
// How much of the harts' time is left to work that has nothing to do with the kernel or with the other harts:
// a thread for each CPU computes, and every unit of work that was due to be done and was not is the kernel's.
//
//     scale_share one|each MILLISECONDS
//
// one: QEMU counts instructions and runs the harts in turn, so that all of them share one stream of time. The
// kernel's share is exact then, and more than 2 % of it is a failure. each: every hart has a time of its own,
// and the host's other programs take of it; the share is shown. Either way nothing may interrupt a hart that
// computes: on NEURON the harts' own counts (sched_hartstat) say so; elsewhere they are not looked at.
// Exit: 0, 1 for a failure.
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string_view>
#include <vector>

#include "nexus_abi/sched_calls.hpp"

namespace {

constexpr double kMostShare = 0.02;

std::int64_t now_ns() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// A quarter of a million instructions: what reads the clock behind each is three thousandths of it.
void work_a_unit() {
    for (int i = 0; i < 125'000; ++i) {
        asm volatile("" ::: "memory");
    }
}

std::int64_t cost_of_a_unit() {
    std::int64_t best = INT64_MAX;
    for (int i = 0; i < 20; ++i) {
        const std::int64_t begin = now_ns();
        work_a_unit();
        best = std::min(best, now_ns() - begin);
    }
    return best;
}

std::atomic<std::int64_t> deadline{INT64_MAX};

struct Worker {
    pthread_t thread{};
    std::atomic<std::uint64_t> units{0};

    static void* run(void* argument) {
        auto& worker = *static_cast<Worker*>(argument);
        while (now_ns() < deadline.load(std::memory_order_relaxed)) {
            work_a_unit();
            worker.units.fetch_add(1, std::memory_order_relaxed);
        }
        return nullptr;
    }
};

// What all harts did since boot, of which the kernel could make work less.
struct Counts {
    std::uint64_t interrupts{0};  // of timers and by other harts
    std::uint64_t busy_ns{0};     // charged to tasks
};

// False: this is another kernel.
bool read_counts(std::uint32_t cpus, Counts& counts) {
    for (std::uint32_t cpu = 0; cpu < cpus; ++cpu) {
        const auto stat = nexus_abi::sched::hart_stat(cpu);
        if (!stat.ok()) {
            return false;
        }
        counts.interrupts += stat->nr_timer_interrupts + stat->nr_ipis_received;
        counts.busy_ns += stat->busy_ns;
    }
    return true;
}

void sleep_ms(long milliseconds) {
    const timespec time{.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1'000'000};
    ::clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr);
}

std::uint64_t units_of(const std::vector<Worker>& workers) {
    std::uint64_t sum = 0;
    for (const Worker& worker : workers) {
        sum += worker.units.load(std::memory_order_relaxed);
    }
    return sum;
}

int measure(bool one_stream, long milliseconds) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof set, &set) != 0) {
        std::perror("sched_getaffinity");
        return 1;
    }
    const auto cpus = static_cast<std::uint32_t>(CPU_COUNT(&set));
    const std::int64_t unit = cost_of_a_unit();
    std::vector<Worker> workers(cpus);
    // All but this thread's, which works too while it measures: it takes one of the CPUs.
    for (std::uint32_t i = 1; i < cpus; ++i) {
        if (const int error = ::pthread_create(&workers[i].thread, nullptr, &Worker::run, &workers[i]);
            error != 0) {
            std::printf("scale_share: pthread_create: error %d\n", error);
            return 1;
        }
    }
    // Until each has a hart of its own.
    sleep_ms(50);
    Counts counts_before;
    Counts counts_after;
    const bool has_counts = read_counts(cpus, counts_before);
    const std::uint64_t units_before = units_of(workers);
    const std::int64_t begin = now_ns();
    const std::int64_t end = begin + milliseconds * 1'000'000;
    while (now_ns() < end) {
        work_a_unit();
        workers[0].units.fetch_add(1, std::memory_order_relaxed);
    }
    const std::int64_t elapsed = now_ns() - begin;
    const std::uint64_t units = units_of(workers) - units_before;
    static_cast<void>(has_counts && read_counts(cpus, counts_after));
    deadline.store(0);
    for (std::uint32_t i = 1; i < cpus; ++i) {
        ::pthread_join(workers[i].thread, nullptr);
    }

    const double due = static_cast<double>(elapsed) * (one_stream ? 1 : cpus);
    const double share = 1 - static_cast<double>(units) * static_cast<double>(unit) / due;
    // A unit of each hart may be under way at either end.
    const double doubt = static_cast<double>(cpus) * static_cast<double>(unit) / due;
    bool good = true;
    if (one_stream) {
        good = share <= kMostShare + doubt;
    }
    std::printf("SCALE share of the kernel %.4f of %u harts in %.0f ms (read to %.4f)%s\n", share, cpus,
                static_cast<double>(elapsed) / 1e6, doubt,
                good ? one_stream ? "" : " (not judged)" : " WRONG");
    if (has_counts) {
        const std::uint64_t interrupts = counts_after.interrupts - counts_before.interrupts;
        // Each takes a few thousand instructions; two in a second of a hart are its longest turns' and
        // balancing's.
        const double seconds = static_cast<double>(elapsed) / 1e9;
        const double most = static_cast<double>(cpus) * (2 + 10 * seconds);
        const bool is_quiet = static_cast<double>(interrupts) <= most;
        const double busy = static_cast<double>(counts_after.busy_ns - counts_before.busy_ns) /
                            (static_cast<double>(elapsed) * cpus);
        std::printf("SCALE interrupts %ju on %u harts, at most %.0f; harts busy %.4f of the time%s\n",
                    static_cast<std::uintmax_t>(interrupts), cpus, most, busy, is_quiet ? "" : " WRONG");
        good = good && is_quiet;
    }
    return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    const std::string_view how{argc == 3 ? argv[1] : ""};
    const long milliseconds = argc == 3 ? std::strtol(argv[2], nullptr, 10) : 0;
    if ((how != "one" && how != "each") || milliseconds <= 0) {
        std::puts("usage: scale_share one|each MILLISECONDS");
        return 1;
    }
    return measure(how == "one", milliseconds);
}
