// SPDX-License-Identifier: MIT
// kernel/task/futex.cpp in the small machine: the words are in a page of the process, and every lock of a
// bucket is a choice of the schedule. For the locks, which nobody else knows, the source is part of this
// file.
#include "machine.hpp"
#include "mm/user_memory.hpp"
#include "task/futex.cpp"  // NOLINT(bugprone-suspicious-include)
#include "world.hpp"

namespace kernel::task {

// Each word's bucket.
void watch_futex(const mm::AddressSpace& space, VirtAddr address) {
    FutexBucket& bucket = bucket_of(key_of(space, address));
    // What an earlier world left there; nobody waits.
    bucket.may_have_waits.store(false, std::memory_order_relaxed);
    explore::watch(&bucket.lock(), sizeof(std::uint32_t));
    explore::watch(&bucket.may_have_waits, sizeof(bucket.may_have_waits));
}
bool has_waiters(const mm::AddressSpace& space, VirtAddr address) {
    return !bucket_of(key_of(space, address)).empty();
}

}  // namespace kernel::task

namespace explore {

namespace {

using kernel::VirtAddr;
using kernel::task::FutexWord;

constexpr VirtAddr kPage{0x20'0000};
constexpr std::uint64_t kSpacing = 64;

VirtAddr address_of(std::uint32_t word) {
    return kPage + kSpacing * word;
}

kernel::mm::AddressSpace& space() {
    return machine::process().space();
}

// The page is there for good.
std::byte* page_bytes() {
    static std::byte* const bytes = [] {
        const auto mapped = space().map_anonymous({.address = kPage,
                                                   .bytes = kernel::mm::kPageSize,
                                                   .protection = {.read = true, .write = true},
                                                   .placement = kernel::mm::Placement::Fixed});
        std::byte* found = nullptr;
        const auto touched =
            space().with_page(kPage, kernel::mm::Access::Write, [&found](auto page) { found = page.data(); });
        return mapped.ok() && touched.ok() ? found : nullptr;
    }();
    return bytes;
}

// What the program does with a word by itself, without the kernel's locks and with no order but its own.
void store(std::uint32_t word, std::uint32_t value) {
    auto* const there = reinterpret_cast<std::uint32_t*>(page_bytes() + kSpacing * word);
    std::atomic_ref{*there}.store(value, std::memory_order_relaxed);
}

void finish(Actor& caller, kernel::task::SysResult result) {
    if (result.wants_again()) {
        --caller.next_call;
    } else if (result.has_value()) {
        caller.task->frame.set_result(0);
    }
}

}  // namespace

void World::watch_words() {
    for (std::uint32_t word = 0; word < kWords; ++word) {
        store(word, 0);
        watch(page_bytes() + kSpacing * word, sizeof(std::uint32_t));
        kernel::task::watch_futex(space(), address_of(word));
    }
    const auto check_places = at_end;
    at_end = [check_places](World& world) {
        for (std::uint32_t word = 0; word < kWords; ++word) {
            if (kernel::task::has_waiters(space(), address_of(word))) {
                fail("a wait that has ended is still at its futex");
            }
        }
        if (check_places) {
            check_places(world);
        }
    };
}

std::function<void(World&, Actor&)> World::futex_wait(std::uint32_t word, kernel::Duration timeout) {
    return [word, timeout](World&, Actor& caller) {
        finish(caller, kernel::task::futex_wait(
                           *caller.task, FutexWord{address_of(word).value()}, 0, kernel::task::kFutexMatchAny,
                           timeout.is_zero() ? kernel::Instant::never() : kernel::arch::now() + timeout));
    };
}

std::function<void(World&, Actor&)> World::futex_wake(std::uint32_t word, std::uint32_t count) {
    return [word, count](World&, Actor& caller) {
        store(word, 1);
        finish(caller, kernel::task::futex_wake(*caller.task, FutexWord{address_of(word).value()}, count,
                                                kernel::task::kFutexMatchAny));
    };
}

std::function<void(World&, Actor&)> World::futex_requeue(std::uint32_t from, std::uint32_t to) {
    return [from, to](World&, Actor& caller) {
        finish(caller, kernel::task::futex_requeue(*caller.task, FutexWord{address_of(from).value()}, 0,
                                                   FutexWord{address_of(to).value()}, 1, nullptr));
    };
}

}  // namespace explore
