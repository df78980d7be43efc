// SPDX-License-Identifier: MIT
// reboot_from CPU: threads that count on two other CPUs, the rest asleep, and then reboot(2) from CPU: what a
// kernel that neuron.break= tells to fail there says about its harts is known. As init.
#include <pthread.h>
#include <sched.h>
#include <sys/reboot.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace {

constexpr int kCounters = 2;
std::atomic<int> counting{0};

void bind_to(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<unsigned>(cpu), &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0) {
        std::printf("reboot_from: WRONG, cpu %d cannot be had\n", cpu);
        std::_Exit(1);
    }
}

[[gnu::noinline]] void count_for_ever() {
    std::atomic<unsigned long> count{0};
    while (true) {
        count.fetch_add(1, std::memory_order_relaxed);
    }
}

void* run_counter(void* cpu) {
    bind_to(*static_cast<int*>(cpu));
    pthread_setname_np(pthread_self(), "counter");
    counting.fetch_add(1);
    count_for_ever();
    return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    const int from = argc > 1 ? std::atoi(argv[1]) : 0;
    static int places[kCounters];
    int started = 0;
    for (int cpu = 0; cpu < cpus && started < kCounters; ++cpu) {
        if (cpu != from) {
            places[started] = cpu;
            pthread_t thread;
            if (pthread_create(&thread, nullptr, &run_counter, &places[started]) == 0) {
                ++started;
            }
        }
    }
    bind_to(from);
    while (counting.load() < started) {
        sched_yield();
    }
    std::printf("reboot_from: cpu %d, %d counters\n", from, started);
    std::fflush(stdout);
    reboot(RB_POWER_OFF);
    std::puts("reboot_from: WRONG, still here");
    return 1;
}
