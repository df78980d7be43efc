// SPDX-License-Identifier: MIT
// What execd asks of the kernel it runs on. Two implementations: NexusKernel (the system calls) and the
// tests' fake.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "nexus_abi/result.hpp"
#include "nexus_abi/sched.hpp"
#include "nexus_abi/system.hpp"
#include "restart.hpp"
#include "service_log.hpp"

namespace execd {

using nexus_abi::Error;
using nexus_abi::Result;

struct StartRequest {
    std::string service{};  // whose output() keeps what it writes
    std::string program;
    std::vector<std::string> argv;
    std::vector<std::string> envp;                    // "KEY=value"
    std::optional<nexus_abi::sched_attr> attributes;  // hold before the first instruction; nullopt: inherited
    std::uint64_t rights{0};
    bool has_control{false};  // a control channel is its descriptor kControlDescriptor
};

// Where a service finds its control channel, and what tells it so.
inline constexpr int kControlDescriptor = 3;
inline constexpr const char* kControlVariable = "EXECD_CONTROL=3";

struct EndedChild {
    std::int32_t pid{0};
    std::int32_t wait_status{0};
};
struct ReloadAsked {};  // SIGHUP
// A line came in on a service's control channel, from whoever holds it.
struct ControlAsked {
    std::int32_t pid{0};      // the service's
    std::string_view line{};  // until the next wait()
};
struct TimePassed {};
// What ends a wait.
using Event = std::variant<EndedChild, ReloadAsked, ControlAsked, TimePassed>;

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
    virtual void send_signal(std::int32_t pid, int signal) = 0;
    // What the service's processes wrote, as much of it as is kept; nothing is taken away.
    virtual std::vector<OutputPart> output(const std::string& service) = 0;
    virtual void forget_output(const std::string& service) = 0;
    // What the kernel has logged, as much of it as is kept.
    virtual std::string kernel_log() = 0;
    // To a service's control channel; it never blocks, and one that does not take its answer loses the
    // channel.
    virtual void answer(std::int32_t pid, const std::string& text) = 0;
    // Blocks until a child has ended, adopted orphans included, a reload or anything else is asked for, or
    // the deadline has passed. Errors: those of wait4, rt_sigtimedwait and ppoll; none of them passes.
    virtual Result<Event> wait(std::optional<Instant> deadline) = 0;
    virtual Instant now() = 0;
};

// The ABI's errors are Linux' numbers, so the C library knows their texts.
[[nodiscard]] inline std::string describe(Error error) {
    return std::strerror(static_cast<int>(error));
}

}  // namespace execd
