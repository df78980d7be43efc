// SPDX-License-Identifier: MIT
#include "record.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace sched_test {

namespace {

std::string number(double value) {
    std::ostringstream out;
    out.precision(4);
    if (std::abs(value) >= 1000 && std::abs(value) < 1e9) {
        out << std::fixed;
        out.precision(0);
    }
    out << value;
    return out.str();
}

}  // namespace

void record(const std::string& id, const std::string& what, const std::string& target,
            const std::string& measured, bool holds) {
    testing::Test::RecordProperty(id + " " + what, measured);
    const std::string line =
        id + "\t" + what + "\t" + target + "\t" + measured + "\t" + (holds ? "ok" : "FAIL") + "\n";
    std::printf("%s: %s: %s (target %s)\n", id.c_str(), what.c_str(), measured.c_str(), target.c_str());
    if (const char* const path = std::getenv("NEURON_RESULTS"); path != nullptr) {
        // One write in append mode: tests that run side by side do not mix their lines.
        std::ofstream file{path, std::ios::app};
        file.write(line.data(), static_cast<std::streamsize>(line.size()));
        EXPECT_TRUE(file.good()) << path;
    }
}

void expect_at_most(const std::string& id, const std::string& what, double measured, double bound,
                    const std::string& unit) {
    const bool holds = measured <= bound;
    record(id, what, "<= " + number(bound) + " " + unit, number(measured) + " " + unit, holds);
    EXPECT_TRUE(holds) << id << ": " << what << ": " << measured << " > " << bound << " " << unit;
}

void expect_at_least(const std::string& id, const std::string& what, double measured, double bound,
                     const std::string& unit) {
    const bool holds = measured >= bound;
    record(id, what, ">= " + number(bound) + " " + unit, number(measured) + " " + unit, holds);
    EXPECT_TRUE(holds) << id << ": " << what << ": " << measured << " < " << bound << " " << unit;
}

void expect_none(const std::string& id, const std::string& what, std::uint64_t count, std::uint64_t of,
                 const std::string& first) {
    record(id, what, "0", std::to_string(count) + " of " + number(static_cast<double>(of)), count == 0);
    EXPECT_EQ(count, 0U) << id << ": " << what << ": " << first;
    EXPECT_GT(of, 0U) << "nothing was looked at";
}

}  // namespace sched_test
