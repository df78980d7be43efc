// SPDX-License-Identifier: MIT
// It calls nothing, so that it keeps nothing on the stack. Skipped, and why that is sound:
//   the bucket's lock, claiming         Nothing interrupts the kernel, and no other hart runs.
//   memory shared with other processes  The space has none: the address is the futex's name.
//   the range of addresses              Only pages of user memory let the program read them.
#include "task/futex_at_once.hpp"

#ifdef __riscv

#include "mm/user_memory.hpp"
#include "nexus_abi/linux.hpp"
#include "task/begin_wait.hpp"
#include "task/finish_wait_alone.hpp"
#include "task/futex_bucket.hpp"
#include "task/hart.hpp"
#include "task/process.hpp"
#include "task/trace_alone.hpp"

namespace kernel::task {

bool futex_at_once(Task& caller, SysResult& result) NO_THREAD_SAFETY_ANALYSIS {
    Hart& hart = this_hart();
    constexpr std::uint32_t kPrivate = 128;
    constexpr std::uint32_t kWait = 0;
    constexpr std::uint32_t kWake = 1;
    constexpr std::uint32_t kWaitBitset = 9;
    constexpr std::uint32_t kClockRealtime = 256;
    const arch::TrapFrame& frame = caller.frame;
    const VirtAddr address{frame.argument(0)};
    if (hart.has_others) {
        return false;
    }
    std::uint32_t command = static_cast<std::uint32_t>(frame.argument(1)) & ~kPrivate;
    if (command > kWake) [[unlikely]] {
        // As pthread_join() waits: for anybody, and without a deadline, of whatever clock.
        const bool is_wait = (command & ~kClockRealtime) == kWaitBitset && frame.argument(3) == 0 &&
                             static_cast<std::uint32_t>(frame.argument(5)) == ~0U;
        if (!is_wait) {
            return false;
        }
        command = kWait;
    }
    const auto value = static_cast<std::uint32_t>(frame.argument(2));
    mm::AddressSpace& space = caller.process().space();
    if (address.value() % kWordBytes != 0 || space.may_have_shared_place()) {
        return false;
    }
    const auto key = reinterpret_cast<std::uint64_t>(&space);
    FutexBucket& bucket = bucket_of({.space = key, .address = address.value()});
    if (command == kWake) {
        Wait* const only = bucket.only_of(key, address.value());
        if (value != 1 || only == nullptr || only->token.load(std::memory_order_relaxed) != Wait::Open) {
            return false;
        }
        const Task& woken = *only->task;
        const Instant now = arch::now();
        if (!finish_wait_at_once(hart, *only, 0, now)) {
            return false;
        }
        bucket.remove_only();
        result = std::uint64_t{1};
        if (trace::Ring* const ring = trace::ring_if_traced(); ring != nullptr) [[unlikely]] {
            write_wake_alone(*ring, woken, now);
            return true;
        }
        return true;
    }
    static_assert(kWait == 0);
    std::uint32_t word = 0;
    const auto read = [&word, address](std::span<std::byte, mm::kPageSize> page) {
        word = *reinterpret_cast<const std::uint32_t*>(page.data() + mm::page_offset(address.value()));
    };
    if (frame.argument(3) != 0 || !bucket.empty() ||
        !space.with_page_at_hand_alone(address, mm::Access::Read, read)) {
        return false;
    }
    if (word != value) {
        result = Error::TryAgain;
        return true;
    }
    begin_wait_at_once(hart, caller, bucket, key, address.value());
    result = SysResult::blocked();
    return true;
}

}  // namespace kernel::task

#endif
