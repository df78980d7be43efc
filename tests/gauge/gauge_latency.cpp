// SPDX-License-Identifier: MIT
// How soon, how often and how dear.
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "console.hpp"
#include "crew.hpp"
#include "gauges.hpp"
#include "ktap.hpp"

namespace gauge {

using nexus_abi::QosClass;
using user::format;
using user::largest_lag;
using user::longest_gap;
using user::most_in_any_window;
using user::time_run;
using user::TurnLog;
using user::Weighted;

namespace {

// The kernel's histogram of wake-ups between two readings: the upper end of the bucket that holds this part
// of them.
std::uint64_t told_percentile(const nexus_abi::sched_stat& begin, const nexus_abi::sched_stat& end,
                              double part) {
    std::array<std::uint64_t, nexus_abi::kWakeHistogramBuckets> counts{};
    std::uint64_t all = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        counts[i] = end.wake_latency_hist[i] - begin.wake_latency_hist[i];
        all += counts[i];
    }
    const auto wanted = static_cast<std::uint64_t>(static_cast<double>(all) * part);
    std::uint64_t below = 0;
    std::size_t bucket = 0;
    while (bucket + 1 < counts.size() && below + counts[bucket] <= wanted) {
        below += counts[bucket++];
    }
    return (std::uint64_t{1} << bucket) * 1000;
}

// "# histogram NAME us END:COUNT ..." for the page of scripts/report.sh; sorted times in nanoseconds.
void tell_histogram(const char* name, const std::vector<std::uint64_t>& sorted) {
    std::string bars;
    auto from = sorted.begin();
    for (std::uint64_t end = 100; from != sorted.end(); end += end < 1'000 ? 100 : end / 2) {
        const auto past = std::upper_bound(from, sorted.end(), end);
        bars += format(" %.4g:%zu", microseconds(end), static_cast<std::size_t>(past - from));
        from = past;
    }
    user::Ktap::diagnostic(format("histogram %s us%s", name, bars.c_str()));
}

}  // namespace

// As cyclictest: a task sleeps to absolute instants a millisecond apart and notes how much later it runs.
// Interactive with a latency hint of 2 ms, beside 16 Normal and 2 Idle hogs.
std::string measure_wake(std::uint64_t window_ns) {
    constexpr std::size_t kNormal = 16;
    constexpr std::size_t kIdle = 2;
    Crew crew;
    for (std::size_t i = 0; i < kNormal; ++i) {
        crew.add_hog(attributes(QosClass::Normal, 100, 1));
    }
    for (std::size_t i = 0; i < kIdle; ++i) {
        crew.add_hog(attributes(QosClass::Idle, 100, 1));
    }
    std::vector<std::uint64_t> late;
    late.reserve(window_ns / kMs + 1000);
    Member& sleeper =
        crew.add(with_latency(attributes(QosClass::Interactive, 100, 1), 2 * kMs),
                 [&late, window_ns](Member&, std::uint64_t end) {
                     // The first wakes fault in code and stack.
                     constexpr int kWarmUpWakes = 20;
                     int wakes = 0;
                     // Half a millisecond off the instants at which the observer reads.
                     for (std::uint64_t next = end - window_ns - kMs / 2; next < end; next += kMs) {
                         sleep_until_ns(next);
                         const std::uint64_t now = now_ns();
                         if (++wakes > kWarmUpWakes) {
                             late.push_back(now - next);
                         }
                     }
                 });
    const Span span = crew.run(kWarmUp, window_ns);
    if (late.empty()) {
        give_up("the sleeper never woke");
    }
    // What the hogs did, against equal parts.
    std::vector<Weighted> normal;
    std::uint64_t idle = 0;
    for (std::size_t i = 0; i < kNormal + kIdle; ++i) {
        if (i < kNormal) {
            normal.push_back({crew[i].log.turns(), 1});
        } else {
            idle += time_run(crew[i].log.turns(), span.begin, span.end);
        }
    }
    const std::size_t wakes = late.size();
    const std::uint64_t p50 = percentile(late, 0.50);
    const std::uint64_t p99 = percentile(late, 0.99);
    tell_histogram("wake", late);
    // By how much the task was later than the kernel says.
    std::uint64_t untold = 0;
    for (const double part : {0.5, 0.99}) {
        const std::uint64_t told = told_percentile(sleeper.at_begin, sleeper.at_end, part);
        const std::uint64_t measured = percentile(late, part);
        untold = std::max(untold, measured > told ? measured - told : 0);
    }
    return format(
        "wakes=%zu p50_us=%.1f p99_us=%.1f max_us=%.1f kernel_max_us=%.1f untold_us=%.1f missed=%llu "
        "normal_lag_us=%.1f idle_percent=%.3f",
        wakes, microseconds(p50), microseconds(p99), microseconds(late.back()),
        microseconds(sleeper.at_end.wake_latency_max_ns), microseconds(untold),
        static_cast<unsigned long long>(sleeper.at_end.nr_latency_target_missed),
        largest_lag(normal, span.begin, span.end) / 1000,
        100 * static_cast<double>(idle) / static_cast<double>(span.length()));
}

// One task alone on CPU 1, the observer asleep on CPU 0.
std::string measure_tickless(std::uint64_t window_ns) {
    Crew crew;
    nexus_abi::sched_hartstat before{};
    nexus_abi::sched_hartstat after{};
    crew.add_hog(attributes(QosClass::Normal, 100, 2));
    crew.add(attributes(QosClass::Interactive, 100, 1), [&](Member&, std::uint64_t end) {
        sleep_until_ns(end - window_ns);
        if (const auto stat = nexus_abi::sched::hart_stat(1); stat.ok()) {
            before = *stat;
        }
        // The hog ends at `end`.
        sleep_until_ns(end - kMs);
        if (const auto stat = nexus_abi::sched::hart_stat(1); stat.ok()) {
            after = *stat;
        }
    });
    static_cast<void>(crew.run(kWarmUp, window_ns));
    return format(
        "timer_interrupts=%llu ipis=%llu switches=%llu busy_percent=%.3f",
        static_cast<unsigned long long>(after.nr_timer_interrupts - before.nr_timer_interrupts),
        static_cast<unsigned long long>(after.nr_ipis_received - before.nr_ipis_received),
        static_cast<unsigned long long>(after.nr_switches - before.nr_switches),
        100 * static_cast<double>(after.busy_ns - before.busy_ns) / static_cast<double>(window_ns - kMs));
}

namespace {

// Threads that do nothing but yield, on stacks cut from one mapping: ten thousand of the usual ones would
// need as many mappings.
class Yielders {
  public:
    explicit Yielders(std::size_t count)
        : count_{count}, yields_{std::make_unique<Counter[]>(count)}, threads_(count) {
        stacks_ = ::mmap(nullptr, count * kStack, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (stacks_ == MAP_FAILED) {
            give_up("no memory for stacks");
        }
        pthread_attr_t attr;
        ::pthread_attr_init(&attr);
        for (std::size_t i = 0; i < count; ++i) {
            yields_[i].stop = &stop_;
            ::pthread_attr_setstack(&attr, static_cast<char*>(stacks_) + i * kStack, kStack);
            if (const int error = ::pthread_create(&threads_[i], &attr, yield, &yields_[i]); error != 0) {
                give_up(format("thread %zu of %zu: error %d", i, count, error));
            }
        }
        ::pthread_attr_destroy(&attr);
    }
    Yielders(const Yielders&) = delete;
    Yielders& operator=(const Yielders&) = delete;
    ~Yielders() {
        stop_ = true;
        for (const pthread_t thread : threads_) {
            ::pthread_join(thread, nullptr);
        }
        ::munmap(stacks_, count_ * kStack);
    }

    [[nodiscard]] std::uint64_t yields() const {
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < count_; ++i) {
            sum += yields_[i].count.load(std::memory_order_relaxed);
        }
        return sum;
    }
    // How many have run at all.
    [[nodiscard]] std::size_t begun() const {
        std::size_t sum = 0;
        for (std::size_t i = 0; i < count_; ++i) {
            sum += yields_[i].count.load(std::memory_order_relaxed) != 0 ? 1 : 0;
        }
        return sum;
    }

  private:
    static constexpr std::size_t kStack = 32 * 1024;
    struct Counter {
        std::atomic<std::uint64_t> count{0};
        const std::atomic<bool>* stop{nullptr};
    };
    static void* yield(void* argument) {
        auto& self = *static_cast<Counter*>(argument);
        // The creator's class would run before it.
        if (!nexus_abi::sched::set_attr(nexus_abi::sched::kSelf, attributes(QosClass::Normal, 100, 1)).ok()) {
            give_up("a thread's attributes were refused");
        }
        while (!self.stop->load(std::memory_order_relaxed)) {
            ::sched_yield();
            self.count.store(self.count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        }
        return nullptr;
    }

    std::size_t count_;
    std::unique_ptr<Counter[]> yields_;
    std::vector<pthread_t> threads_;
    void* stacks_{nullptr};
    std::atomic<bool> stop_{false};
};

// Nanoseconds, which are instructions when they are counted, from one return of sched_yield to the next,
// whoever it is that returns.
double cost_of_yield(std::size_t threads, std::uint64_t window_ns) {
    const Yielders yielders{threads};
    while (yielders.begun() < threads) {
        sleep_until_ns(now_ns() + 10 * kMs);
    }
    const std::uint64_t begin = now_ns();
    const std::uint64_t yields = yielders.yields();
    sleep_until_ns(begin + window_ns);
    const std::uint64_t done = yielders.yields() - yields;
    return static_cast<double>(now_ns() - begin) / static_cast<double>(std::max<std::uint64_t>(done, 1));
}

}  // namespace

std::string measure_yield(std::uint64_t window_ns) {
    const double alone = cost_of_yield(1, window_ns / 10);
    const double two = cost_of_yield(2, window_ns / 10);
    const double ten = cost_of_yield(10, window_ns / 10);
    const double thousand = cost_of_yield(1000, window_ns / 5);
    const double ten_thousand = cost_of_yield(10'000, window_ns / 2);
    return format("ns_at_1=%.1f ns_at_2=%.1f ns_at_10=%.1f ns_at_1000=%.1f ns_at_10000=%.1f growth=%.3f",
                  alone, two, ten, thousand, ten_thousand, ten_thousand / ten);
}

namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kStack = 8 << 20;

// What a program gives back of a large stack: every page of it, or one here and there.
void give_back(std::size_t spacing, std::uint64_t end) {
    auto* const memory = static_cast<char*>(
        ::mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (memory == MAP_FAILED) {
        give_up("no memory for a stack");
    }
    while (now_ns() < end) {
        for (std::size_t at = 0; at < kStack; at += spacing) {
            memory[at] = 1;
        }
        if (::madvise(memory, kStack, MADV_DONTNEED) != 0) {
            give_up("madvise was refused");
        }
    }
    ::munmap(memory, kStack);
}

// How late an Interactive sleeper with a latency hint was at worst while another task did this: as long as
// the longest piece of the kernel that cannot be interrupted, and a wake-up.
std::uint64_t longest_wait_beside(std::uint64_t window_ns,
                                  const std::function<void(std::uint64_t end)>& work) {
    constexpr std::uint64_t kInterval = 43'000;  // in step with nothing
    Crew crew;
    crew.add(attributes(QosClass::Normal, 100, 1), [&work](Member&, std::uint64_t end) { work(end); });
    std::uint64_t longest = 0;
    crew.add(with_latency(attributes(QosClass::Interactive, 100, 1), kMs),
             [&longest, window_ns](Member&, std::uint64_t end) {
                 // Not at either end of the window, where everybody's figures are being read.
                 for (std::uint64_t next = end - window_ns + kMs; next < end - 2 * kMs; next += kInterval) {
                     sleep_until_ns(next);
                     const std::uint64_t now = now_ns();
                     longest = std::max(longest, now - next);
                     next = std::max(next, now);
                 }
             });
    static_cast<void>(crew.run(kWarmUp, window_ns));
    return longest;
}

}  // namespace

std::string measure_sections(std::uint64_t window_ns) {
    const auto beside = [window_ns](auto&& work) {
        return microseconds(longest_wait_beside(window_ns, work));
    };
    const double hog = beside([](std::uint64_t end) {
        while (now_ns() < end) {
        }
    });
    const double dense = beside([](std::uint64_t end) { give_back(kPage, end); });
    const double sparse = beside([](std::uint64_t end) { give_back(64 * kPage, end); });
    return format("hog_us=%.1f dense_us=%.1f sparse_us=%.1f", hog, dense, sparse);
}

// Many tasks are sent to a busy hart at once: how many it takes in at each interrupt, on average. They are of
// class Idle, so that none of them runs and enters the kernel meanwhile.
std::string measure_arrivals(std::uint64_t window_ns) {
    constexpr std::size_t kArrivals = 256;
    constexpr std::uint64_t kOther = 2;
    constexpr std::uint64_t kSettled = 3 * kMs;
    Crew crew;
    std::atomic<std::uint32_t> word{0};
    for (std::size_t i = 0; i < kArrivals; ++i) {
        crew.add(attributes(QosClass::Idle, 100, kOther), [&word](Member&, std::uint64_t) {
            ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
        });
    }
    // Busy once all of them wait.
    crew.add(attributes(QosClass::Interactive, 100, kOther), [window_ns](Member&, std::uint64_t end) {
        sleep_until_ns(end - window_ns / 2);
        while (now_ns() < end) {
        }
    });
    long woken = 0;
    std::uint64_t interrupts = 0;
    const auto taken = [] {
        const auto stat = nexus_abi::sched::hart_stat(1);
        return stat.ok() ? stat->nr_ipis_received + stat->nr_timer_interrupts : 0;
    };
    crew.add(attributes(QosClass::Interactive, 100, 1), [&](Member&, std::uint64_t end) {
        sleep_until_ns(end - window_ns / 4);
        const std::uint64_t before = taken();
        word = 1;
        woken = ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, kArrivals, nullptr, nullptr, 0);
        sleep_until_ns(now_ns() + kSettled);
        interrupts = taken() - before;
    });
    static_cast<void>(crew.run(kWarmUp, window_ns));
    // The hart may have been in the kernel for another reason when counting began, and have taken some in
    // before it left: one entry more than interrupts.
    return format("arrivals=%ld interrupts=%llu per_interrupt=%.1f", woken,
                  static_cast<unsigned long long>(interrupts),
                  static_cast<double>(woken) / static_cast<double>(interrupts + 1));
}

// Two threads wake each other from two harts: how many interrupts between harts each wake-up takes, on
// average.
std::string measure_handover(std::uint64_t window_ns) {
    struct Flag {
        std::atomic<std::uint32_t> word{0};
        void set() {
            word = 1;
            ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
        }
        void take() {
            while (word.exchange(0) == 0) {
                ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
            }
        }
    };
    Crew crew;
    Flag there;
    Flag back;
    std::atomic<bool> is_over{false};
    std::uint64_t wakes = 0;
    std::uint64_t interrupts = 0;
    const auto taken = [] {
        std::uint64_t sum = 0;
        for (const std::uint32_t cpu : {0U, 1U}) {
            const auto stat = nexus_abi::sched::hart_stat(cpu);
            sum += stat.ok() ? stat->nr_ipis_received : 0;
        }
        return sum;
    };
    crew.add(attributes(QosClass::Normal, 100, 2), [&](Member&, std::uint64_t) {
        while (!is_over) {
            there.take();
            back.set();
        }
    });
    crew.add(attributes(QosClass::Normal, 100, 1), [&](Member&, std::uint64_t end) {
        const std::uint64_t before = taken();
        // The observer wakes at the end, with interrupts of its own.
        while (now_ns() < end - kMs) {
            there.set();
            back.take();
            wakes += 2;
        }
        interrupts = taken() - before;
        is_over = true;
        there.set();
    });
    static_cast<void>(crew.run(kWarmUp, window_ns));
    return format("wakes=%llu interrupts=%llu per_wake=%.3f", static_cast<unsigned long long>(wakes),
                  static_cast<unsigned long long>(interrupts),
                  static_cast<double>(interrupts) / static_cast<double>(wakes));
}

}  // namespace gauge
