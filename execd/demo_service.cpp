// SPDX-License-Identifier: MIT
// demo NAME [PERIODS [MILLISECONDS]]: a service to try recipes on. It works in short bursts with pauses
// between them, as one that plays sound or draws would, says what it did, and ends.
// demo NAME crash reads address 0; demo NAME flood writes lines for ever.
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "clock.hpp"
#include "console.hpp"
#include "work.hpp"

namespace {

// Unless it is told how many and how long: a fifth of a second in all, long enough for execd to read back
// under which hints it runs.
constexpr int kPeriods = 20;
constexpr int kPeriodMs = 10;
constexpr int kUnitsPerMs = 5;  // about a twentieth of the time at one instruction per nanosecond

// A function of its own, so that the report of the crash names it.
[[gnu::noinline]] int read_from(const volatile int* address) {
    return *address;
}

[[gnu::noinline]] int crash(const std::string& name) {
    const volatile int* volatile address = nullptr;
    user::write_line("demo: " + name + " reads address 0");
    return read_from(address) + 1;
}

[[noreturn]] void flood(const std::string& name) {
    for (std::uint64_t line = 0;; ++line) {
        user::write_line("demo: " + name + " writes line " + std::to_string(line));
    }
}

}  // namespace

int main(int argument_count, char** arguments) {
    const std::string name = argument_count > 1 ? arguments[1] : "unnamed";
    const std::string_view what = argument_count > 2 ? arguments[2] : "";
    if (what == "crash") {
        return crash(name);
    }
    if (what == "flood") {
        flood(name);
    }
    const int periods = argument_count > 2 ? std::atoi(arguments[2]) : kPeriods;
    const std::chrono::milliseconds period_length{argument_count > 3 ? std::atoi(arguments[3]) : kPeriodMs};
    user::Instant next = user::now();
    for (int period = 0; period < periods; ++period) {
        for (int unit = 0; unit < period_length.count() * kUnitsPerMs; ++unit) {
            user::burn_unit();
        }
        next += period_length;
        user::sleep_until(next);
    }
    const auto worked = std::chrono::duration_cast<std::chrono::milliseconds>(user::thread_cpu_time());
    user::write_line("demo: " + name + " worked " + std::to_string(worked.count()) + " ms in " +
                     std::to_string(periods) + " periods");
    return EXIT_SUCCESS;
}
