// SPDX-License-Identifier: MIT
// What execd asks of the kernel it runs on. Two implementations: NexusKernel (the system calls) and the
// tests' fake.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "nexus_abi/result.hpp"
#include "nexus_abi/sched.hpp"
#include "nexus_abi/system.hpp"
#include "restart.hpp"

namespace execd {

using nexus_abi::Error;
using nexus_abi::Result;

struct StartRequest {
    std::string program;
    std::vector<std::string> argv;
    std::vector<std::string> envp;                    // "KEY=value"
    std::optional<nexus_abi::sched_attr> attributes;  // hold before the first instruction; nullopt: inherited
    std::uint64_t rights{0};
};

struct EndedChild {
    std::int32_t pid{0};
    std::int32_t wait_status{0};
};
struct ReloadAsked {};  // SIGHUP
struct TimePassed {};
// What ends a wait.
using Event = std::variant<EndedChild, ReloadAsked, TimePassed>;

// For one thread.
class Kernel {
  public:
    Kernel() = default;
    Kernel(const Kernel&) = delete;
    Kernel& operator=(const Kernel&) = delete;
    virtual ~Kernel() = default;

    // Errors: NotImplemented (not a NEURON kernel).
    virtual Result<nexus_abi::abi_info> info() = 0;
    // Creates a process that runs a program from release() on; the pid. Errors: those of nexus_spawn.
    virtual Result<std::int32_t> create(const StartRequest& request) = 0;
    // It begins to run, unless it was killed before.
    virtual void release(std::int32_t pid) = 0;
    // For these three: NoProcess when the child has ended, even if it was not waited for yet.
    virtual Result<nexus_abi::sched_attr> attributes(std::int32_t pid) = 0;
    // All named fields or none. Errors: those of sched_setattr.
    virtual Result<void> change(std::int32_t pid, const nexus_abi::sched_attr& attributes) = 0;
    // Errors: those of sched_set_limits.
    virtual Result<void> limit(std::int32_t pid, const nexus_abi::sched_attr& limits) = 0;
    // Blocks until a child has ended, adopted orphans included, a reload is asked for, or the deadline has
    // passed. Errors: those of wait4 and rt_sigtimedwait; none of them passes.
    virtual Result<Event> wait(std::optional<Instant> deadline) = 0;
    virtual Instant now() = 0;
};

// The ABI's errors are Linux' numbers, so the C library knows their texts.
[[nodiscard]] inline std::string describe(Error error) {
    return std::strerror(static_cast<int>(error));
}

}  // namespace execd
