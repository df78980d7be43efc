// SPDX-License-Identifier: MIT
// demo NAME: a service to try recipes on. It works in short bursts with pauses between them, as one that
// plays sound or draws would, says what it did, and ends.
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>

namespace {

using namespace std::chrono_literals;

// A fifth of a second in all: long enough for execd to read back under which hints it runs.
constexpr int kPeriods = 20;
constexpr auto kPeriod = 10ms;
constexpr auto kWorkPerPeriod = 500us;

std::chrono::nanoseconds cpu_time() {
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

void work_for(std::chrono::nanoseconds duration) {
    const auto end = cpu_time() + duration;
    while (cpu_time() < end) {
    }
}

}  // namespace

int main(int argument_count, char** arguments) {
    const std::string name = argument_count > 1 ? arguments[1] : "unnamed";
    auto next = std::chrono::steady_clock::now();
    for (int period = 0; period < kPeriods; ++period) {
        work_for(kWorkPerPeriod);
        next += kPeriod;
        std::this_thread::sleep_until(next);
    }
    const auto worked = std::chrono::duration_cast<std::chrono::milliseconds>(cpu_time());
    const std::string line = "demo: " + name + " worked " + std::to_string(worked.count()) + " ms in " +
                             std::to_string(kPeriods) + " periods\n";
    return write(STDOUT_FILENO, line.data(), line.size()) == static_cast<ssize_t>(line.size()) ? 0 : 1;
}
