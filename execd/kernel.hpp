// SPDX-License-Identifier: MIT
// What execd asks of the kernel it runs on. Two implementations: NexusKernel (the system calls) and the
// tests' fake.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
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

// Thread-safe.
class Kernel {
  public:
    Kernel() = default;
    Kernel(const Kernel&) = delete;
    Kernel& operator=(const Kernel&) = delete;
    virtual ~Kernel() = default;

    // Errors: NotImplemented (not a NEURON kernel).
    virtual Result<nexus_abi::abi_info> info() = 0;
    // Starts a program; the pid. Errors: those of nexus_spawn.
    virtual Result<std::int32_t> start(const StartRequest& request) = 0;
    // Errors: NoProcess when the child has ended, even if it was not waited for yet.
    virtual Result<nexus_abi::sched_attr> attributes(std::int32_t pid) = 0;
    // Blocks until any child ends, adopted orphans included. Errors: NoChild, Interrupted.
    virtual Result<EndedChild> wait_for_child() = 0;
    virtual Instant now() = 0;
};

// The ABI's errors are Linux' numbers, so the C library knows their texts.
[[nodiscard]] inline std::string describe(Error error) {
    return std::strerror(static_cast<int>(error));
}

}  // namespace execd
