// SPDX-License-Identifier: MIT
// Behind score_switch.hpp, linked into the test programs that score.py builds. NEURON_SCORE_MUTANT chooses
// the mutant; NEURON_SCORE_REACHED names a file that gets a line per test: its name, its nanoseconds, the
// mutants it reached.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace {
constexpr int kScoreMutants = NEURON_SCORE_MUTANTS;
constexpr std::size_t kScoreBytes = kScoreMutants + 1;
unsigned char score_early[kScoreBytes];  // until there is something better
}  // namespace

extern "C" {
unsigned char* neuron_score_seen = score_early;
int neuron_score_mutant = [] {
    const char* const chosen = std::getenv("NEURON_SCORE_MUTANT");
    return chosen == nullptr ? 0 : std::atoi(chosen);
}();
}

namespace {

class Reached : public testing::EmptyTestEventListener {
  public:
    explicit Reached(const char* file) : out_(file) {}

    void OnTestStart(const testing::TestInfo&) override {
        std::memset(neuron_score_seen, 0, kScoreBytes);
        start_ = std::chrono::steady_clock::now();
    }

    void OnTestEnd(const testing::TestInfo& info) override {
        const std::chrono::nanoseconds took = std::chrono::steady_clock::now() - start_;
        out_ << info.test_suite_name() << '.' << info.name() << ' ' << took.count();
        for (int number = 1; number <= kScoreMutants; ++number) {
            if (neuron_score_seen[number] != 0) {
                out_ << ' ' << number;
            }
        }
        out_ << std::endl;
    }

  private:
    std::ofstream out_;
    std::chrono::steady_clock::time_point start_;
};

[[maybe_unused]] const bool kIsListening = [] {
    if (const char* const file = std::getenv("NEURON_SCORE_REACHED")) {
        // Shared with the children of death tests.
        void* const shared =
            mmap(nullptr, kScoreBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (shared == MAP_FAILED) {
            std::abort();
        }
        neuron_score_seen = static_cast<unsigned char*>(shared);
        testing::UnitTest::GetInstance()->listeners().Append(new Reached{file});
    }
    return true;
}();

}  // namespace
