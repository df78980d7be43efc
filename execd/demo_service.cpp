// SPDX-License-Identifier: MIT
// demo NAME: a service to try recipes on. It works in short bursts with pauses between them, as one that
// plays sound or draws would, says what it did, and ends.
#include <chrono>
#include <cstdlib>
#include <string>

#include "clock.hpp"
#include "console.hpp"
#include "work.hpp"

namespace {

using namespace std::chrono_literals;

// A fifth of a second in all: long enough for execd to read back under which hints it runs.
constexpr int kPeriods = 20;
constexpr auto kPeriod = 10ms;
constexpr int kUnitsPerPeriod = 50;  // about half a millisecond at one instruction per nanosecond

}  // namespace

int main(int argument_count, char** arguments) {
    const std::string name = argument_count > 1 ? arguments[1] : "unnamed";
    user::Instant next = user::now();
    for (int period = 0; period < kPeriods; ++period) {
        for (int unit = 0; unit < kUnitsPerPeriod; ++unit) {
            user::burn_unit();
        }
        next += kPeriod;
        user::sleep_until(next);
    }
    const auto worked = std::chrono::duration_cast<std::chrono::milliseconds>(user::thread_cpu_time());
    user::write_line("demo: " + name + " worked " + std::to_string(worked.count()) + " ms in " +
                     std::to_string(kPeriods) + " periods");
    return EXIT_SUCCESS;
}
