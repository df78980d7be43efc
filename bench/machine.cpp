// SPDX-License-Identifier: MIT
// What the machine and its boot cost.
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <string>

#include "measure.hpp"

// entry.S: rdtime at this program's first instruction.
extern "C" {
extern std::uint64_t bench_entry_ticks;
}

namespace bench {

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

// Timer interrupts that CPU 1 has taken, by /proc/interrupts.
std::uint64_t timer_interrupts() {
    std::ifstream file{"/proc/interrupts"};
    if (!file) {
        throw Unsupported{ENOENT};
    }
    std::string line;
    while (std::getline(file, line)) {
        if (line.find("timer") != std::string::npos) {
            std::istringstream words{line};
            std::string number;
            std::uint64_t first = 0;
            std::uint64_t second = 0;
            if (words >> number >> first >> second) {
                return second;
            }
        }
    }
    throw Unsupported{ENODATA};
}

#ifdef __riscv
std::uint64_t read_time() {
    std::uint64_t ticks = 0;
    asm volatile("rdtime %0" : "=r"(ticks));
    return ticks;
}
#endif

}  // namespace

void idle_timer_interrupts(Figures& figures) {
    sleep_until_ns(now_ns() + kSecond / 10);
    const std::uint64_t before = timer_interrupts();
    sleep_until_ns(now_ns() + kSecond);
    figures.add("", static_cast<double>(timer_interrupts() - before));
}

// Nanoseconds from the machine's reset to this program's first instruction, the firmware's part included.
void boot_to_init(Figures& figures) {
#ifdef __riscv
    if (::getpid() != 1) {
        throw Unsupported{ECHILD};
    }
    // The tick's length in whole nanoseconds, from both clocks.
    constexpr std::uint64_t kTicks = 100'000;
    const std::uint64_t first = read_time();
    const std::uint64_t begin = now_ns();
    while (read_time() - first < kTicks) {
    }
    const std::uint64_t end = now_ns();
    const std::uint64_t last = read_time();
    const std::uint64_t tick_ns = ((end - begin) + (last - first) / 2) / (last - first);
    figures.add("ticks", static_cast<double>(bench_entry_ticks));
    figures.add("tick_ns", static_cast<double>(tick_ns));
#else
    static_cast<void>(figures);
    throw Unsupported{ENOSYS};
#endif
}

}  // namespace bench
