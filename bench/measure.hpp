// SPDX-License-Identifier: MIT
// What the measurements share. POSIX and Linux calls only: the same binary runs on NEURON and on Linux.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace bench {

// CLOCK_MONOTONIC. Under `-icount shift=0` one instruction is one nanosecond, so differences are
// instructions.
[[nodiscard]] std::uint64_t now_ns();
void sleep_until_ns(std::uint64_t instant);

// Thrown by what cannot be measured here; the operation is reported as skipped with the text of `error`.
struct Unsupported {
    int error;  // errno
};

// Throws Unsupported with errno when `result` says that the call failed; returns it otherwise.
long must(long result);
// The same for the calls that return their error (pthread_*, posix_spawn).
void must_be_zero(int error);

// Takes the figures of one operation. `name` is the suffix after the operation's name, empty for its only
// figure.
class Figures {
  public:
    virtual ~Figures() = default;
    virtual void add(std::string_view name, double value) = 0;

  protected:
    Figures() = default;
    Figures(const Figures&) = default;
    Figures& operator=(const Figures&) = default;
};

// Nanoseconds of one turn of `body`, over `count` of them, after a tenth as many that do not count: caches of
// the kernel are filled and code and stack are faulted in.
template <typename Body>
[[nodiscard]] double cost_of(std::uint64_t count, Body&& body) {
    for (std::uint64_t i = 0; i < count / 10 + 1; ++i) {
        body();
    }
    const std::uint64_t begin = now_ns();
    for (std::uint64_t i = 0; i < count; ++i) {
        body();
    }
    return static_cast<double>(now_ns() - begin) / static_cast<double>(count);
}

// The calling thread runs on this CPU only. Throws Unsupported when there is no such CPU.
void pin_to(std::size_t cpu);

// p50, p99 and max of latencies in nanoseconds. Pre: not empty.
void add_percentiles(Figures& figures, std::vector<std::uint64_t> latencies);

// Threads on stacks cut from one mapping that is touched beforehand, so that thousands of them are one
// mapping and their stacks fault nothing in. The destructor joins them.
class Crew {
  public:
    // Pre: `stacks` is how many will be added at most.
    explicit Crew(std::size_t stacks);
    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;
    ~Crew();

    // Ends the program when there is no thread to be had.
    void add(std::function<void()> body);
    void join();

  private:
    static constexpr std::size_t kStackBytes = 32 * 1024;
    void* stacks_;
    std::size_t bytes_;
    std::vector<std::function<void()>> bodies_;
    std::vector<pthread_t> threads_;
};

// A 32-bit word that threads of one process wait for.
class Futex {
  public:
    void post();          // sets it and wakes the waiter
    void wait();          // until set; then it is unset
    void wake_all();      // sets it for good and wakes everybody
    void wait_for_all();  // until wake_all

  private:
    std::atomic<std::uint32_t> word_{0};
};

// About `instructions` of them, always the same.
void burn(std::uint64_t instructions);

// The operations, by subject. Each adds its figures, or throws Unsupported.
void null_call(Figures& figures);
void clock_gettime_call(Figures& figures);
void yield_alone(Figures& figures);
void yield_two(Figures& figures);
void yield_thousand(Figures& figures);
void futex_same_hart(Figures& figures);
void futex_two_harts(Figures& figures);
void pipe_same_hart(Figures& figures);

void thread_create_join(Figures& figures);
void thread_memory(Figures& figures);
void spawn_wait(Figures& figures);
void fork_exec(Figures& figures);
void fork_wait(Figures& figures);

void mmap_touch_munmap(Figures& figures);
void first_touch(Figures& figures);
void fault_throughput(Figures& figures);

void wake_idle(Figures& figures);
void wake_hogs4(Figures& figures);
void wake_hogs16(Figures& figures);
void wake_hogs4_fifo(Figures& figures);
void wake_hogs16_fifo(Figures& figures);
void wake_hogs4_slice(Figures& figures);
void wake_hogs16_slice(Figures& figures);

void hackbench_pipe(Figures& figures);
void hackbench_socket(Figures& figures);
void schbench(Figures& figures);

void idle_timer_interrupts(Figures& figures);
void boot_to_init(Figures& figures);

}  // namespace bench
