// SPDX-License-Identifier: MIT
#include "nexus_kernel.hpp"

#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <utility>

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

NexusKernel::NexusKernel() {
    sigemptyset(&awaited_);
    sigaddset(&awaited_, SIGCHLD);
    sigaddset(&awaited_, SIGHUP);
    sigprocmask(SIG_BLOCK, &awaited_, nullptr);
}

Result<nexus_abi::abi_info> NexusKernel::info() {
    return nexus_abi::info();
}

Result<std::int32_t> NexusKernel::create(const StartRequest& request) {
    const auto argv = c_strings(request.argv);
    const auto envp = c_strings(request.envp);
    return nexus_abi::spawn({.path = request.program.c_str(),
                             .argv = argv.data(),
                             .envp = envp.data(),
                             .attributes = request.attributes ? &*request.attributes : nullptr,
                             .rights = request.rights,
                             .flags = nexus_abi::kSpawnHeld});
}

void NexusKernel::release(std::int32_t pid) {
    // It can only fail when the child was killed, which wait() will tell.
    static_cast<void>(kill(pid, SIGCONT));
}

Result<nexus_abi::sched_attr> NexusKernel::attributes(std::int32_t pid) {
    return nexus_abi::sched::get_attr(pid);
}

Result<void> NexusKernel::change(std::int32_t pid, const nexus_abi::sched_attr& attributes) {
    return nexus_abi::sched::set_attr(pid, attributes);
}

Result<void> NexusKernel::limit(std::int32_t pid, const nexus_abi::sched_attr& limits) {
    return nexus_abi::sched::set_limits(pid, limits);
}

bool NexusKernel::take_reload() {
    sigset_t reload;
    sigemptyset(&reload);
    sigaddset(&reload, SIGHUP);
    const timespec at_once{};
    return sigtimedwait(&reload, nullptr, &at_once) == SIGHUP;
}

Result<Event> NexusKernel::wait(std::optional<Instant> deadline) {
    if (const auto reaped = std::exchange(reaped_, std::nullopt); reaped.has_value()) {
        return Event{*reaped};
    }
    for (;;) {
        // One SIGCHLD may stand for several children: they are asked for one by one.
        int status = 0;
        const pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid > 0) {
            const EndedChild ended{.pid = pid, .wait_status = status};
            // A reload that was asked for before the child ended comes first.
            if (take_reload()) {
                reaped_ = ended;
                return Event{ReloadAsked{}};
            }
            return Event{ended};
        }
        if (pid < 0 && errno != ECHILD) {
            return static_cast<Error>(errno);
        }
        timespec length{};
        if (deadline) {
            const Duration left = std::max(Duration{*deadline - now()}, Duration{0});
            const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
            length = {.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
        }
        const int signal = sigtimedwait(&awaited_, nullptr, deadline ? &length : nullptr);
        if (signal == SIGHUP) {
            return Event{ReloadAsked{}};
        }
        if (signal < 0 && errno == EAGAIN) {
            return Event{TimePassed{}};
        }
        if (signal < 0 && errno != EINTR) {
            return static_cast<Error>(errno);
        }
    }
}

Instant NexusKernel::now() {
    return std::chrono::steady_clock::now();
}

}  // namespace execd
