// SPDX-License-Identifier: MIT
#include "structures.hpp"

#include <array>
#include <atomic>
#include <new>
#include <span>

#include "lib/ref.hpp"
#include "machine.hpp"
#include "steps.hpp"
#include "sync/seqlock.hpp"
#include "sync/spinlock.hpp"
#include "trace/ring.hpp"

namespace explore {

namespace {

// Built anew for each execution.
template <class T>
void renew(T& object) {
    object.~T();
    new (&object) T{};
}

struct Words {
    std::atomic<std::uint32_t> x{0};
    std::atomic<std::uint32_t> y{0};
    std::uint32_t plain{0};
    std::array<std::uint32_t, 4> read{};
};
Words words;

void renew_words() {
    renew(words);
    watch(&words.x, sizeof(words.x));
    watch(&words.y, sizeof(words.y));
    track(&words.plain, sizeof(words.plain));
}

void raise(std::atomic<std::uint32_t>& word, std::uint32_t value, Fencing fencing) {
    switch (fencing) {
        case Fencing::None:
            word.store(value, std::memory_order_relaxed);
            break;
        case Fencing::AcquireRelease:
            word.store(value, std::memory_order_release);
            break;
        case Fencing::SeqCst:
            word.store(value);
            break;
        case Fencing::Fences:
            std::atomic_thread_fence(std::memory_order_release);
            word.store(value, std::memory_order_relaxed);
            std::atomic_thread_fence(std::memory_order_seq_cst);
            break;
    }
}

std::uint32_t look(const std::atomic<std::uint32_t>& word, Fencing fencing) {
    std::uint32_t value = 0;
    switch (fencing) {
        case Fencing::None:
            return word.load(std::memory_order_relaxed);
        case Fencing::AcquireRelease:
            return word.load(std::memory_order_acquire);
        case Fencing::SeqCst:
            return word.load();
        case Fencing::Fences:
            value = word.load(std::memory_order_relaxed);
            std::atomic_thread_fence(std::memory_order_seq_cst);
            return value;
    }
    return value;
}

}  // namespace

Outcome store_buffering(Fencing fencing, const Bounds& bounds) {
    const Steps program{.harts = 2,
                        .body =
                            [fencing](std::uint32_t hart) {
                                raise(hart == 0 ? words.x : words.y, 1, fencing);
                                words.read[hart] = look(hart == 0 ? words.y : words.x, fencing);
                            },
                        .at_end =
                            [] {
                                if (words.read[0] == 0 && words.read[1] == 0) {
                                    fail("neither saw the other");
                                }
                            },
                        .at_begin = renew_words};
    return program.run(bounds);
}

Outcome message_passing(Fencing fencing, const Bounds& bounds) {
    const Steps program{.harts = 2,
                        .body =
                            [fencing](std::uint32_t hart) {
                                if (hart == 0) {
                                    words.plain = 1;
                                    raise(words.x, 1, fencing);
                                } else if (look(words.x, fencing) == 1 && words.plain != 1) {
                                    fail("the flag came before what it announces");
                                }
                            },
                        .at_end = [] {},
                        .at_begin = renew_words};
    return program.run(bounds);
}

Outcome independent_reads(Fencing fencing, const Bounds& bounds) {
    const Steps program{.harts = 4,
                        .body =
                            [fencing](std::uint32_t hart) {
                                if (hart < 2) {
                                    raise(hart == 0 ? words.x : words.y, 1, fencing);
                                    return;
                                }
                                const std::uint32_t first = look(hart == 2 ? words.x : words.y, fencing);
                                const std::uint32_t second = look(hart == 2 ? words.y : words.x, fencing);
                                words.read[hart] = first == 1 && second == 0 ? 1 : 0;
                            },
                        .at_end =
                            [] {
                                if (words.read[2] == 1 && words.read[3] == 1) {
                                    fail("two orders of two stores");
                                }
                            },
                        .at_begin = renew_words};
    return program.run(bounds);
}

Outcome coherence(const Bounds& bounds) {
    const Steps program{.harts = 2,
                        .body =
                            [](std::uint32_t hart) {
                                if (hart == 0) {
                                    words.x.store(1, std::memory_order_relaxed);
                                    words.x.store(2, std::memory_order_relaxed);
                                    return;
                                }
                                const std::uint32_t first = words.x.load(std::memory_order_relaxed);
                                if (words.x.load(std::memory_order_relaxed) < first) {
                                    fail("a word went back");
                                }
                            },
                        .at_end = [] {},
                        .at_begin = renew_words};
    return program.run(bounds);
}

// ---- kernel/sync, kernel/lib, kernel/trace ----

namespace {

struct Pair {
    std::uint64_t first{0};
    std::uint64_t second{0};
};
kernel::SeqLocked<Pair> published;

struct Locked {
    kernel::SpinLock lock{kernel::LockRank::Hart};
    std::uint32_t value{0};
    std::uint32_t inside{0};
};
Locked locked;

void renew_lock() {
    machine::reset(3);
    renew(locked);
    // Both words: which of its own stores a waiter has yet to see is what a lock is about.
    watch(&locked.lock, 2 * sizeof(std::uint32_t));
    track(&locked.value, sizeof(locked.value));
}

// Pre: the lock is held.
void be_alone() {
    if (++locked.inside != 1) {
        fail("two hold the lock");
    }
    choice();
    ++locked.value;
    --locked.inside;
}

// Counts how often it was taken apart, which must be once, after everybody's last store to it.
struct Counted : kernel::RefCounted<Counted> {
    std::uint32_t uses{0};
    std::array<std::uint32_t, 3> used_by{};
    static void last_reference_gone(Counted& object);
};
Counted counted;
std::uint32_t times_gone = 0;

void Counted::last_reference_gone(Counted& object) {
    ++times_gone;
    for (const std::uint32_t used : object.used_by) {
        object.uses += used;
    }
}

constexpr std::size_t kSlots = 4;
constexpr std::uint64_t kRecords = 6;
kernel::trace::Ring ring;
std::array<kernel::trace::Ring::Slot, kSlots> slots;

}  // namespace

Outcome seqlock(const Bounds& bounds) {
    const Steps program{.harts = 2,
                        .body =
                            [](std::uint32_t hart) {
                                if (hart == 0) {
                                    published.store({1, 1});
                                    published.store({2, 2});
                                    return;
                                }
                                Pair last;
                                for (std::uint32_t round = 0; round < 2; ++round) {
                                    const Pair seen = published.load();
                                    if (seen.first != seen.second) {
                                        fail("half of a value");
                                    }
                                    if (seen.first < last.first) {
                                        fail("an older value after a newer one");
                                    }
                                    last = seen;
                                }
                            },
                        .at_end = [] {},
                        .at_begin =
                            [] {
                                renew(published);
                                watch(&published, sizeof(published));
                            }};
    return program.run(bounds);
}

Outcome spin_lock(const Bounds& bounds) {
    const Steps program{.harts = 2,
                        .body =
                            [](std::uint32_t) {
                                const kernel::LockGuard guard{locked.lock};
                                be_alone();
                            },
                        .at_end =
                            [] {
                                if (locked.value != 2) {
                                    fail("a holder did not see what the last one did");
                                }
                            },
                        .at_begin = renew_lock};
    return program.run(bounds);
}

Outcome try_lock(const Bounds& bounds) {
    const Steps program{.harts = 2,
                        .body =
                            [](std::uint32_t hart) {
                                if (hart == 0) {
                                    const kernel::LockGuard guard{locked.lock};
                                    be_alone();
                                } else if (const kernel::TryLockGuard guard{locked.lock}; guard) {
                                    be_alone();
                                }
                            },
                        .at_end = [] {},
                        .at_begin = renew_lock};
    return program.run(bounds);
}

Outcome references(const Bounds& bounds) {
    const Steps program{.harts = 3,
                        .body =
                            [](std::uint32_t hart) {
                                auto mine = kernel::Ref<Counted>::adopt(counted);
                                counted.used_by[hart] = 1;
                                if (hart == 0) {
                                    const auto other = kernel::Ref<Counted>::share(counted);
                                }
                            },
                        .at_end =
                            [] {
                                if (times_gone != 1 || counted.uses != 3) {
                                    fail("taken apart " + std::to_string(times_gone) + " times, after " +
                                         std::to_string(counted.uses) + " uses");
                                }
                            },
                        .at_begin =
                            [] {
                                times_gone = 0;
                                renew(counted);
                                // One for each hart.
                                auto first = kernel::Ref<Counted>::share(counted);
                                auto second = kernel::Ref<Counted>::share(counted);
                                static_cast<void>(first.release());
                                static_cast<void>(second.release());
                                watch(static_cast<kernel::RefCounted<Counted>*>(&counted),
                                      sizeof(std::uint32_t));
                                track(&counted, sizeof(counted));
                            }};
    return program.run(bounds);
}

Outcome trace_ring(const Bounds& bounds) {
    const Steps program{.harts = 2,
                        .body =
                            [](std::uint32_t hart) {
                                if (hart == 0) {
                                    for (std::uint32_t i = 1; i <= kRecords; ++i) {
                                        ring.write(i, i, i);
                                    }
                                    return;
                                }
                                std::uint64_t position = 0;
                                std::array<nexus_abi::trace_record, kSlots> records{};
                                const std::size_t count = ring.read(position, records);
                                for (std::size_t i = 0; i < count; ++i) {
                                    const auto& record = records[i];
                                    // The record at position p has stamp p + 1; the last one read is at
                                    // position - 1.
                                    if (record.stamp != position - count + i + 1 ||
                                        record.task != record.stamp || record.value != record.stamp) {
                                        fail("a record that nobody wrote");
                                    }
                                }
                            },
                        .at_end = [] {},
                        .at_begin =
                            [] {
                                renew(ring);
                                slots = {};
                                ring.provide(slots);
                                watch(&ring, sizeof(ring));
                                watch(&slots, sizeof(slots));
                            }};
    return program.run(bounds);
}

}  // namespace explore
