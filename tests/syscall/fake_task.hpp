// SPDX-License-Identifier: MIT
// A stand-in for the dispatcher and the family of processes: tasks stand still, what would have been done to
// them is recorded, and the test is the program that makes system calls.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "mm/address_space.hpp"
#include "nexus_abi/numbers.hpp"
#include "nexus_abi/sched.hpp"
#include "sched/donation.hpp"
#include "syscall/console_ops.hpp"
#include "task/process.hpp"
#include "task/task.hpp"

namespace kernel::fake {

// What the calls asked for, since reset().
struct Record {
    std::vector<task::Task*> woken;
    std::vector<task::Timer*> timers;  // armed, in order
    std::uint32_t reschedules{0};
    std::uint32_t yields{0};
    std::vector<std::pair<CpuId, bool>> cpus_set;                       // online or not, in order
    std::map<task::Process*, std::int32_t> ended;                       // process -> wait status
    std::map<task::Process*, std::uint32_t> groups;                     // process -> ceiling
    std::vector<std::pair<task::Process*, task::ChildChange>> changes;  // what a parent would be told
    std::map<task::Task*, sched::Donation> donations;                   // what each task is lent
    std::string console;                                                // what was written
    std::size_t console_room{1 << 20};     // bytes the console takes before it says TryAgain
    std::string input;                     // what can be read from the terminal
    std::vector<std::string> log;          // lines of the kernel's log
    Duration thread_runtime{};             // what each task ran
    Duration process_runtime{};            // what each process ran
    nexus_abi::sched_stat stat{};          // of each task
    nexus_abi::sched_hartstat hartstat{};  // of each hart
};
[[nodiscard]] Record& record();
// The run queue of the only hart: tasks are never on it, but what they are lent and granted goes through it.
[[nodiscard]] sched::RunQueue& hart();
void reset();
// Whether calls come by the table that has the quick ways of those that have one, as in a kernel, or by the
// one of handlers only, as with neuron.paths=general and at first.
void take_quick_ways(bool on);

// Ends the waits whose deadline is not after `now`, as the timer interrupt would.
void expire(Instant now);

// One process with `threads` tasks and 64 KiB of memory at kMemory. RAM is the same for all tests of a run.
inline constexpr std::uint64_t kMemory = 0x10'0000;
inline constexpr std::uint64_t kMemoryBytes = 64 << 10;
// The stack pointer a call is made with.
inline constexpr std::uint64_t kStackTop = kMemory + kMemoryBytes;

class SyscallTest : public testing::Test {
  protected:
    explicit SyscallTest(std::uint32_t threads = 1, std::uint64_t rights = ~std::uint64_t{0});
    ~SyscallTest() override;

    // Makes a call as task `n`; nullopt when it blocked. Calls that want to go on are called again until they
    // are done.
    std::optional<std::int64_t> call_number(std::size_t n, std::uint64_t number,
                                            std::initializer_list<std::uint64_t> arguments);
    std::optional<std::int64_t> call_as(std::size_t n, nexus_abi::Syscall number,
                                        std::initializer_list<std::uint64_t> arguments) {
        return call_number(n, static_cast<std::uint64_t>(number), arguments);
    }
    template <class... Arguments>
    std::optional<std::int64_t> call(nexus_abi::Syscall number, Arguments... arguments) {
        return call_as(0, number, {static_cast<std::uint64_t>(arguments)...});
    }
    // Goes on with a call of task `n` that waited, was woken and runs again, or has its result; as
    // call_number().
    std::optional<std::int64_t> resume(std::size_t n);
    // What its way back to user mode does to a task whose signals wait: handlers are entered.
    static void deliver(task::Task& task);
    // What a blocked call of task `n` returned in the end.
    [[nodiscard]] std::int64_t result_of(std::size_t n) const {
        return static_cast<std::int64_t>(task(n).frame.argument(0));
    }

    // User memory.
    void put(std::uint64_t address, std::span<const std::byte> bytes);
    template <class T>
    void put(std::uint64_t address, const T& value) {
        put(address, std::as_bytes(std::span{&value, 1}));
    }
    void put_text(std::uint64_t address, const std::string& text) {
        put(address, std::as_bytes(std::span{text.c_str(), text.size() + 1}));
    }
    void get(std::uint64_t address, std::span<std::byte> bytes);
    template <class T>
    [[nodiscard]] T get(std::uint64_t address) {
        T value{};
        get(address, std::as_writable_bytes(std::span{&value, 1}));
        return value;
    }

    [[nodiscard]] task::Task& task(std::size_t n = 0) const { return *tasks_[n]; }
    [[nodiscard]] task::Process& process() const { return *process_; }
    // Another process with one task, a child of process() or of nobody.
    task::Task& add_process(bool is_child);
    // How often the last call had to be called.
    [[nodiscard]] std::uint32_t pieces() const { return pieces_; }

  private:
    std::optional<std::int64_t> finish(task::Task& caller);
    static std::optional<std::int64_t> settled(task::Task& caller);
    Ref<task::Process> make_process();
    Ref<task::Task> make_task(task::Process& process);

    Ref<task::Process> process_;
    std::vector<Ref<task::Task>> tasks_;
    std::vector<Ref<task::Process>> others_;
    std::vector<Ref<task::Task>> other_tasks_;
    std::uint32_t pieces_{0};
};

inline constexpr std::int64_t error(nexus_abi::Error value) {
    return -static_cast<std::int64_t>(value);
}

}  // namespace kernel::fake
