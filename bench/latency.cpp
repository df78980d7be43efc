// SPDX-License-Identifier: MIT
// How late a thread that sleeps to instants 1 ms apart reads the clock, alone and beside hogs on its CPU.
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

#include "measure.hpp"

namespace bench {

namespace {

constexpr std::uint64_t kMs = 1'000'000;

enum class Policy { Default, Fifo, ShortSlice };

// sched_setattr's first version (Linux include/uapi/linux/sched/types.h).
struct SchedAttr {
    std::uint32_t size;
    std::uint32_t policy;
    std::uint64_t flags;
    std::int32_t nice;
    std::uint32_t priority;
    std::uint64_t runtime_ns;
    std::uint64_t deadline_ns;
    std::uint64_t period_ns;
};

void adopt(Policy policy) {
    if (policy == Policy::Fifo) {
        sched_param param{};
        param.sched_priority = 50;
        must(::sched_setscheduler(0, SCHED_FIFO, &param));
    } else if (policy == Policy::ShortSlice) {
        // Who asks for a short slice does not want Linux to bundle his timers within 50 us either.
        static_cast<void>(::prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0));
        // The shortest request of Linux' EEVDF.
        SchedAttr attr{};
        attr.size = sizeof attr;
        attr.policy = SCHED_OTHER;
        attr.runtime_ns = 100'000;
        must(::syscall(SYS_sched_setattr, 0, &attr, 0));
    }
}

// Pre: `instants` > 0. Instants that passed while the thread waited for another one are left out, as
// cyclictest does.
std::vector<std::uint64_t> sleep_and_note(std::size_t instants) {
    constexpr std::size_t kWarmUp = 20;
    std::vector<std::uint64_t> late;
    late.reserve(instants);
    std::uint64_t next = now_ns() + kMs;
    for (std::size_t i = 0; i < kWarmUp + instants; ++i) {
        sleep_until_ns(next);
        const std::uint64_t now = now_ns();
        if (i >= kWarmUp) {
            late.push_back(now - next);
        }
        next += ((now - next) / kMs + 1) * kMs;
    }
    return late;
}

void measure(Figures& figures, std::size_t hogs, Policy policy) {
    std::atomic<bool> stop{false};
    std::vector<std::uint64_t> late;
    int error = 0;
    {
        Crew crew{hogs + 1};
        for (std::size_t i = 0; i < hogs; ++i) {
            crew.add([&stop] {
                while (!stop.load(std::memory_order_relaxed)) {
                    burn(1000);
                }
            });
        }
        crew.add([&] {
            try {
                adopt(policy);
                late = sleep_and_note(300);
            } catch (const Unsupported& reason) {
                error = reason.error;
            }
            stop = true;
        });
    }
    must_be_zero(error);
    add_percentiles(figures, std::move(late));
}

}  // namespace

void wake_idle(Figures& figures) {
    measure(figures, 0, Policy::Default);
}
void wake_hogs4(Figures& figures) {
    measure(figures, 4, Policy::Default);
}
void wake_hogs16(Figures& figures) {
    measure(figures, 16, Policy::Default);
}
void wake_hogs4_fifo(Figures& figures) {
    measure(figures, 4, Policy::Fifo);
}
void wake_hogs16_fifo(Figures& figures) {
    measure(figures, 16, Policy::Fifo);
}
void wake_hogs4_slice(Figures& figures) {
    measure(figures, 4, Policy::ShortSlice);
}
void wake_hogs16_slice(Figures& figures) {
    measure(figures, 16, Policy::ShortSlice);
}

}  // namespace bench
