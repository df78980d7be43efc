// SPDX-License-Identifier: MIT
// What the threads of the stress program do, a step at a time, and how they say that something is wrong.
// Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "nexus_abi/sched_calls.hpp"

namespace stress {

inline constexpr std::size_t kPageBytes = 4096;

// splitmix64: one per thread, so that what a thread does depends on the seed alone.
class Random {
  public:
    explicit Random(std::uint64_t seed) : state_{seed} {}

    std::uint64_t next() {
        std::uint64_t value = state_ += 0x9e3779b97f4a7c15U;
        value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
        value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
        return value ^ (value >> 31U);
    }
    // 0..bound-1
    std::uint64_t below(std::uint64_t bound) { return next() % bound; }
    std::chrono::microseconds up_to(std::chrono::microseconds longest) {
        return std::chrono::microseconds{below(static_cast<std::uint64_t>(longest.count()) + 1)};
    }

  private:
    std::uint64_t state_;
};

// How much was wrong in this process so far.
extern std::atomic<int> wrong;
// The online CPUs; set once at the start.
extern std::atomic<std::uint64_t> cpus;

// Counts a failure and says so on a line, if there were not too many yet.
void complain(const std::string& what);
// Whether a call may have ended with this error, given that its target may be gone.
void expect(const char* call, nexus_abi::Error error, std::initializer_list<nexus_abi::Error> allowed);

// Ids of tasks to do something to; most of them are alive, some just died.
class Board {
  public:
    void put(Random& random, std::int32_t tid) { ids_[random.below(ids_.size())].store(tid); }
    std::int32_t any(Random& random) { return ids_[random.below(ids_.size())].load(); }

  private:
    std::array<std::atomic<std::int32_t>, 32> ids_{};  // 0: the asking thread
};
extern Board board;

// Attributes in and out of range, to be clamped; some of them named in `fields`.
[[nodiscard]] nexus_abi::sched_attr random_attributes(Random& random);

// ---- Steps ----

// Changes one attribute of somebody on the board.
void tune(Random& random);
// Moves the calling thread to one CPU and sees that it is there.
void move(Random& random);
// Takes one CPU out of scheduling or back in.
void switch_cpu(Random& random);
// Brings every CPU back.
void switch_all_on();
// Reads statistics of everybody, those who die meanwhile included, and kills some children.
void watch(Random& random);
// Maps, touches, protects, drops and unmaps memory.
void map(Random& random);
// Yields, or sleeps for at most 200 us.
void rest(Random& random);
// Creates and joins threads that contend for one mutex.
void contend(Random& random);

}  // namespace stress
