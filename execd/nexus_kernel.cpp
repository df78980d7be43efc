// SPDX-License-Identifier: MIT
#include "nexus_kernel.hpp"

#include <sys/wait.h>

#include <cerrno>

#include "nexus_abi/sched_calls.hpp"

namespace execd {
namespace {

// The null-terminated array of C strings that spawn wants; valid as long as `strings`.
std::vector<const char*> c_strings(const std::vector<std::string>& strings) {
    std::vector<const char*> pointers;
    pointers.reserve(strings.size() + 1);
    for (const std::string& text : strings) {
        pointers.push_back(text.c_str());
    }
    pointers.push_back(nullptr);
    return pointers;
}

}  // namespace

Result<nexus_abi::abi_info> NexusKernel::info() {
    return nexus_abi::info();
}

Result<std::int32_t> NexusKernel::start(const StartRequest& request) {
    const auto argv = c_strings(request.argv);
    const auto envp = c_strings(request.envp);
    return nexus_abi::spawn({.path = request.program.c_str(),
                             .argv = argv.data(),
                             .envp = envp.data(),
                             .attributes = request.attributes ? &*request.attributes : nullptr,
                             .rights = request.rights});
}

Result<nexus_abi::sched_attr> NexusKernel::attributes(std::int32_t pid) {
    return nexus_abi::sched::get_attr(pid);
}

Result<EndedChild> NexusKernel::wait_for_child() {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, 0);
    if (pid < 0) {
        return static_cast<Error>(errno);
    }
    return EndedChild{.pid = pid, .wait_status = status};
}

Instant NexusKernel::now() {
    return std::chrono::steady_clock::now();
}

}  // namespace execd
