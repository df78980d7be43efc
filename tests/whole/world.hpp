// SPDX-License-Identifier: MIT
// Tests that make system calls as programs do, on the whole kernel. Each has a process of its own, a child of
// process 1; what it leaves behind is ended and waited for, and nothing of it may be left.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "machine.hpp"
#include "nexus_abi/numbers.hpp"
#include "nexus_abi/sched.hpp"
#include "programs.hpp"
#include "task/process.hpp"
#include "task/task.hpp"

namespace kernel::whole {

using nexus_abi::Error;
using nexus_abi::Syscall;

inline constexpr std::int64_t error(Error value) {
    return -static_cast<std::int64_t>(value);
}

class WholeKernelTest : public testing::Test {
  protected:
    WholeKernelTest();
    ~WholeKernelTest() override;

    // Makes a call as `task`, which gets its turn first, and lets every hart go on until there is nothing to
    // do but to let time pass. nullopt: it waits, or has ended. Calls that want to go on are called until
    // they are done, with time passing if others must have their turn.
    std::optional<std::int64_t> call_as(task::Task& task, Syscall number,
                                        std::initializer_list<std::uint64_t> arguments);
    template <class... Arguments>
    std::optional<std::int64_t> call_as(task::Task& task, Syscall number, Arguments... arguments) {
        return call_as(task, number, {static_cast<std::uint64_t>(arguments)...});
    }
    template <class... Arguments>
    std::optional<std::int64_t> call(Syscall number, Arguments... arguments) {
        return call_as(self(), number, {static_cast<std::uint64_t>(arguments)...});
    }
    // What a call that waited has returned; nullopt: it still waits.
    static std::optional<std::int64_t> result_of(task::Task& task);
    // The same of one that waits for what others do when they have their turns.
    static std::optional<std::int64_t> result_in_time(task::Task& task);
    // Lets the task have its turn: it is in user mode on a hart.
    static void bring_on(task::Task& task);

    // The first task of the test's process, and of process 1.
    [[nodiscard]] task::Task& self() const { return *self_; }
    static task::Task& init();
    // A task by its id, kept until the test ends.
    task::Task& task_of(std::optional<std::int64_t> tid);

    // A child by fork(), and a thread, of `parent`.
    task::Task& fork_of(task::Task& parent);
    task::Task& fork() { return fork_of(self()); }
    task::Task& thread_of(task::Task& parent);
    task::Task& thread() { return thread_of(self()); }
    // Waits for a child of `parent`, which has ended; its wait status.
    std::int32_t wait_for(task::Task& parent, task::Task& child);

    // User memory of the test's process, or of another task's.
    static void put_in(task::Task& task, std::uint64_t address, std::span<const std::byte> bytes);
    static void get_from(task::Task& task, std::uint64_t address, std::span<std::byte> bytes);
    template <class T>
    void put(std::uint64_t address, const T& value) {
        put_in(self(), address, std::as_bytes(std::span{&value, 1}));
    }
    template <class T>
    static void put_as(task::Task& task, std::uint64_t address, const T& value) {
        put_in(task, address, std::as_bytes(std::span{&value, 1}));
    }
    // Where it was put.
    std::uint64_t put_text(std::uint64_t address, const std::string& text) {
        put_in(self(), address, std::as_bytes(std::span{text.c_str(), text.size() + 1}));
        return address;
    }
    template <class T>
    static T get_as(task::Task& task, std::uint64_t address) {
        T value{};
        get_from(task, address, std::as_writable_bytes(std::span{&value, 1}));
        return value;
    }
    template <class T>
    T get(std::uint64_t address) {
        return get_as<T>(self(), address);
    }
    std::string get_text(std::uint64_t address, std::size_t bytes);
    // Puts argv or envp, as execve wants them, at `address`, the strings behind it; returns `address`.
    std::uint64_t put_strings(std::uint64_t address, std::initializer_list<const char*> strings);

  private:
    std::vector<Ref<task::Task>> kept_;
    task::Task* self_{nullptr};
};

// What is named in `fields` is for the caller to fill in.
inline nexus_abi::sched_attr attributes_of(std::uint64_t fields) {
    nexus_abi::sched_attr attributes{};
    attributes.size = sizeof attributes;
    attributes.fields = fields;
    return attributes;
}

// Exit statuses of wait4.
inline constexpr std::int32_t exited(std::int32_t code) {
    return code << 8;
}

}  // namespace kernel::whole
