// SPDX-License-Identifier: MIT
// What the tools ask of the machine they run on. Two implementations: NeuronSystem (system calls and /proc)
// and the tests' fake.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nexus_abi/audit.hpp"
#include "nexus_abi/result.hpp"
#include "nexus_abi/sched.hpp"
#include "nexus_abi/system.hpp"

namespace shell {

using nexus_abi::Error;
using nexus_abi::Result;
using Duration = std::chrono::nanoseconds;

// What the power switch is asked for.
enum class Power : std::uint8_t { Off, Restart };

// For one thread.
class System {
  public:
    System() = default;
    System(const System&) = delete;
    System& operator=(const System&) = delete;
    virtual ~System() = default;

    // Errors: NotImplemented (not a NEURON kernel).
    virtual Result<nexus_abi::abi_info> info() = 0;
    // All threads, in the order of their tids. Errors: NotPermitted.
    virtual Result<std::vector<nexus_abi::sched_snapshot_entry>> tasks() = 0;
    // For these, pid: 0 = the caller. Errors: those of the calls (nexus_abi/sched_calls.hpp).
    virtual Result<nexus_abi::sched_attr> attributes(std::int32_t pid) = 0;
    virtual Result<void> change(std::int32_t pid, const nexus_abi::sched_attr& attributes) = 0;
    // The mask in effect.
    virtual Result<std::uint64_t> set_affinity(std::int32_t pid, std::uint64_t mask) = 0;
    virtual Result<nexus_abi::sched_stat> statistics(std::int32_t pid) = 0;
    // Ceilings, and in effective_affinity the CPUs that are allowed now.
    virtual Result<nexus_abi::sched_attr> limits(std::int32_t pid) = 0;
    // What was written down of changes and refusals from `position` on, which moves behind it.
    virtual Result<std::vector<nexus_abi::audit_record>> audited(std::uint64_t& position) = 0;
    virtual Result<nexus_abi::sched_hartstat> hart(std::uint32_t cpu) = 0;

    // A whole file, up to 1 MiB of it. Errors: those of open and read.
    virtual Result<std::string> read_file(const std::string& path) = 0;
    // The kernel's log: lines that begin with "<LEVEL>". Errors: those of syslog(2).
    virtual Result<std::string> kernel_log() = 0;
    virtual Result<void> send_signal(std::int32_t pid, int signal) = 0;
    // What execd says to a request on its control channel: a status and text. Errors: NotSupported (there is
    // no channel here), BrokenPipe (execd closed it), TimedOut, Busy (somebody else asked on it meanwhile).
    struct Answer {
        int status{0};
        std::string text{};
    };
    virtual Result<Answer> ask_execd(const std::string& request) = 0;
    // Returns only with an error.
    virtual Error switch_power(Power power) = 0;
    // Becomes another program, looked for in PATH; returns only with an error.
    virtual Error execute(const std::vector<std::string>& arguments) = 0;

    // What `top` needs beyond that. show: to standard output, at once. wait_for_key: what was typed, as it
    // comes, or nullopt when the time is up or nobody can type.
    virtual void show(std::string_view text) = 0;
    virtual std::optional<char> wait_for_key(Duration time) = 0;
    virtual void pause(Duration time) = 0;
    struct Screen {
        unsigned rows{24};
        unsigned columns{80};
    };
    virtual Screen screen() = 0;

    // Since boot.
    virtual Duration now() = 0;
    // Since 1970, UTC.
    virtual std::chrono::seconds wall_time() = 0;
};

// The ABI's errors are Linux' numbers, so the C library knows their texts.
[[nodiscard]] inline std::string describe(Error error) {
    return std::strerror(static_cast<int>(error));
}

}  // namespace shell
