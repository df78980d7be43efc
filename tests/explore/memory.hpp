// SPDX-License-Identifier: MIT
// What the harts see of each other's stores. A store is there for its own hart at once; another one may go on
// reading what was there before, as long as nothing orders the two: not the same location read anew, no
// release that an acquire read from, no fence, no sequentially consistent order. That is what store buffers
// and reordering processors do to a program, and all that the language permits them but loads that come
// before a store they depend on (Kang et al., "A Promising Semantics for Relaxed-Memory Concurrency", POPL
// 2017, without promises). Which of the permitted values a load gets is a choice of the schedule.
//
// Beside that, a plain access is a violation when nothing orders it behind an access of another hart that
// excludes it: a data race, found whether or not the interleaving at hand shows its effect.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace explore::memory {

inline constexpr std::uint32_t kHartsMax = 8;

// As std::memory_order, by the numbers that the compiler uses.
enum class Order : std::uint8_t { Relaxed, Consume, Acquire, Release, AcqRel, SeqCst };

// Nothing is known of any location, nothing is watched; every hart sees everything.
void reset(std::uint32_t harts, bool checks_races);
void watch(const void* start, std::size_t bytes);
[[nodiscard]] bool is_watched(const volatile void* address);
// Plain accesses to this memory are looked at.
void track(const void* start, std::size_t bytes);

// The value that `hart` loads, of those it may; `newest` is what a machine without buffers would load. One of
// `decide(count)` ways is taken: 0 is the newest.
[[nodiscard]] std::uint64_t load(std::uint32_t hart, const volatile void* address, std::uint64_t newest,
                                 Order order, std::uint32_t (*decide)(std::uint32_t options));
void store(std::uint32_t hart, const volatile void* address, std::uint64_t before, std::uint64_t value,
           Order order);
// A read-modify-write: it always reads the newest.
void exchange(std::uint32_t hart, const volatile void* address, std::uint64_t before, std::uint64_t value,
              Order order);
// A compare-exchange that failed.
void failed_exchange(std::uint32_t hart, const volatile void* address, Order order);
void fence(std::uint32_t hart, Order order);
// `hart` sees everything that `other` sees.
void catch_up(std::uint32_t hart, std::uint32_t other);
// A long time passes: every store has arrived everywhere. False when they all had.
bool settle();

// A plain access; what it races with, or nothing. `code` says where it is made.
[[nodiscard]] std::string access(std::uint32_t hart, const volatile void* address, bool is_write,
                                 const void* code);

}  // namespace explore::memory
