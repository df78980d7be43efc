// SPDX-License-Identifier: MIT
// Single system calls, and calls that hand the hart to another thread.
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <ctime>
#include <memory>

#include "measure.hpp"

namespace bench {

namespace {

// A system call without the C library's wrapper, which costs about 15 instructions.
long raw_call(long number, long first, long second) {
#ifdef __riscv
    register long a0 asm("a0") = first;
    register long a1 asm("a1") = second;
    register long a7 asm("a7") = number;
    asm volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a7) : "memory");
    return a0;
#else
    return ::syscall(number, first, second);
#endif
}

// From one return of sched_yield to the next, whoever it is that returns, with so many threads on CPU 0.
double cost_of_switch(std::size_t threads, std::uint64_t turns) {
    struct alignas(64) Counter {
        std::atomic<std::uint64_t> yields{0};
    };
    const auto counters = std::make_unique<Counter[]>(threads);
    std::atomic<std::size_t> begun{0};
    std::atomic<bool> stop{false};
    const auto yields = [&] {
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < threads; ++i) {
            sum += counters[i].yields.load(std::memory_order_relaxed);
        }
        return sum;
    };
    double cost = 0;
    Futex gate;  // the hart is the creator's until all are there
    {
        Crew crew{threads};
        // One of them measures: the creator has had more of the hart than they and would have to wait for its
        // turn.
        crew.add([&] {
            gate.wait_for_all();
            while (begun != threads - 1) {
                ::sched_yield();
            }
            ::sched_yield();
            const std::uint64_t before = yields();
            const std::uint64_t begin = now_ns();
            for (std::uint64_t i = 0; i < turns; ++i) {
                ::sched_yield();
            }
            const std::uint64_t end = now_ns();
            cost = static_cast<double>(end - begin) / static_cast<double>(yields() - before + turns);
            stop = true;
        });
        for (std::size_t i = 1; i < threads; ++i) {
            crew.add([&, i] {
                gate.wait_for_all();
                ++begun;
                while (!stop.load(std::memory_order_relaxed)) {
                    ::sched_yield();
                    std::atomic<std::uint64_t>& mine = counters[i].yields;
                    mine.store(mine.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
                }
            });
        }
        gate.wake_all();
    }
    return cost;
}

// CPU of the other thread; this one is on CPU 0.
double cost_of_futex_round_trip(std::size_t cpu, std::uint64_t rounds) {
    pin_to(cpu);  // is there one?
    pin_to(0);
    Futex ping;
    Futex pong;
    const std::uint64_t all = rounds + rounds / 10 + 1;  // as cost_of counts them
    Crew crew{1};
    crew.add([&, cpu] {
        pin_to(cpu);
        for (std::uint64_t i = 0; i < all; ++i) {
            ping.wait();
            pong.post();
        }
    });
    return cost_of(rounds, [&] {
        ping.post();
        pong.wait();
    });
}

}  // namespace

void null_call(Figures& figures) {
    figures.add("", cost_of(20'000, [] { static_cast<void>(raw_call(SYS_getppid, 0, 0)); }));
}

void clock_gettime_call(Figures& figures) {
    timespec time{};
    figures.add(
        "", cost_of(20'000, [&time] {
            static_cast<void>(raw_call(SYS_clock_gettime, CLOCK_MONOTONIC, reinterpret_cast<long>(&time)));
        }));
}

void yield_alone(Figures& figures) {
    figures.add("", cost_of(20'000, [] { ::sched_yield(); }));
}

void yield_two(Figures& figures) {
    figures.add("", cost_of_switch(2, 10'000));
}

void yield_thousand(Figures& figures) {
    figures.add("", cost_of_switch(1000, 50));
}

void futex_same_hart(Figures& figures) {
    figures.add("", cost_of_futex_round_trip(0, 5'000));
}

void futex_two_harts(Figures& figures) {
    figures.add("", cost_of_futex_round_trip(1, 2'000));
}

void pipe_same_hart(Figures& figures) {
    struct Pipe {
        int ends[2]{-1, -1};
        Pipe() { must(::pipe(ends)); }
        Pipe(const Pipe&) = delete;
        Pipe& operator=(const Pipe&) = delete;
        ~Pipe() {
            ::close(ends[0]);
            ::close(ends[1]);
        }
        void send() const {
            const char byte = 0;
            must(::write(ends[1], &byte, 1));
        }
        void take() const {
            char byte = 0;
            must(::read(ends[0], &byte, 1));
        }
    };
    constexpr std::uint64_t kRounds = 5'000;
    constexpr std::uint64_t kAll = kRounds + kRounds / 10 + 1;
    const Pipe ping;
    const Pipe pong;
    Crew crew{1};
    crew.add([&] {
        for (std::uint64_t i = 0; i < kAll; ++i) {
            ping.take();
            pong.send();
        }
    });
    figures.add("", cost_of(kRounds, [&] {
                    ping.send();
                    pong.take();
                }));
}

}  // namespace bench
