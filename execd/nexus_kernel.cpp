// SPDX-License-Identifier: MIT
#include "nexus_kernel.hpp"

#include <poll.h>
#include <sys/klog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <span>
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

// A reload was asked for while ppoll() took the signals.
volatile std::sig_atomic_t reload_noted = 0;

void note_signal(int signal) {
    if (signal == SIGHUP) {
        reload_noted = 1;
    }
}

// How long until then.
timespec time_until(Instant deadline, Instant now) {
    const Duration left = std::max(Duration{deadline - now}, Duration{0});
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    return {.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
}

}  // namespace

NexusKernel::NexusKernel() {
    sigemptyset(&awaited_);
    sigaddset(&awaited_, SIGCHLD);
    sigaddset(&awaited_, SIGHUP);
    sigprocmask(SIG_BLOCK, &awaited_, &others_);
    // ppoll() ends by a signal only where there is a handler.
    struct sigaction action{};
    action.sa_handler = note_signal;
    sigaction(SIGCHLD, &action, nullptr);
    sigaction(SIGHUP, &action, nullptr);
}

Result<nexus_abi::abi_info> NexusKernel::info() {
    return nexus_abi::info();
}

Result<std::int32_t> NexusKernel::create(const StartRequest& request) {
    const auto argv = c_strings(request.argv);
    const auto envp = c_strings(request.envp);
    const int control = request.has_control ? channels_.open() : -1;
    const std::array<int, 2> output = outputs_.open(request.service);
    const std::array<nexus_abi::spawn_fd, 4> descriptors{{{.from = 0, .to = 0},
                                                          {.from = output[0], .to = 1},
                                                          {.from = output[1], .to = 2},
                                                          {.from = control, .to = kControlDescriptor}}};
    const auto pid = nexus_abi::spawn({.path = request.program.c_str(),
                                       .argv = argv.data(),
                                       .envp = envp.data(),
                                       .attributes = request.attributes ? &*request.attributes : nullptr,
                                       .rights = request.rights,
                                       .descriptors = std::span{descriptors}.first(control < 0 ? 3 : 4),
                                       .flags = nexus_abi::kSpawnHeld});
    for (const int descriptor : output) {
        if (descriptor > STDERR_FILENO) {
            ::close(descriptor);
        }
    }
    if (control >= 0) {
        ::close(control);
        channels_.assign(pid.ok() ? std::optional{*pid} : std::nullopt);
    }
    return pid;
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

void NexusKernel::send_signal(std::int32_t pid, int signal) {
    // As release().
    static_cast<void>(kill(pid, signal));
}

void NexusKernel::answer(std::int32_t pid, const std::string& text) {
    channels_.answer(pid, text);
}

std::string NexusKernel::kernel_log() {
    constexpr int kReadAll = 3;
    constexpr int kSizeBuffer = 10;
    const int size = klogctl(kSizeBuffer, nullptr, 0);
    std::string text(size > 0 ? static_cast<std::size_t>(size) : 0, '\0');
    const int bytes = klogctl(kReadAll, text.data(), size);
    text.resize(bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
    return text;
}

bool NexusKernel::take_reload() {
    if (reload_noted != 0) {
        reload_noted = 0;
        return true;
    }
    sigset_t reload;
    sigemptyset(&reload);
    sigaddset(&reload, SIGHUP);
    const timespec at_once{};
    return sigtimedwait(&reload, nullptr, &at_once) == SIGHUP;
}

Result<bool> NexusKernel::wait_for_news(std::optional<Instant> deadline) {
    const timespec length = deadline ? time_until(*deadline, now()) : timespec{};
    const timespec* const limit = deadline ? &length : nullptr;
    if (channels_.empty()) {
        const int signal = sigtimedwait(&awaited_, nullptr, limit);
        if (signal == SIGHUP) {
            reload_noted = 1;
        }
        return signal >= 0 || errno == EINTR ? Result<bool>{true}
               : errno == EAGAIN             ? Result<bool>{false}
                                             : static_cast<Error>(errno);
    }
    auto channels = channels_.to_poll();
    const int ready = ppoll(channels.data(), channels.size(), limit, &others_);
    return ready > 0 || (ready < 0 && errno == EINTR) ? Result<bool>{true}
           : ready == 0                               ? Result<bool>{false}
                                                      : static_cast<Error>(errno);
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
            channels_.close(pid);
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
        if (take_reload()) {
            return Event{ReloadAsked{}};
        }
        // Before what channels say: one that is never silent shall not stop the clock.
        if (deadline && *deadline <= now()) {
            return Event{TimePassed{}};
        }
        if (auto asked = channels_.next()) {
            asked_ = std::move(asked->second);
            return Event{ControlAsked{.pid = asked->first, .line = asked_}};
        }
        const auto has_news = wait_for_news(deadline);
        if (!has_news.ok()) {
            return has_news.error();
        }
        if (!*has_news) {
            return Event{TimePassed{}};
        }
    }
}

Instant NexusKernel::now() {
    return std::chrono::steady_clock::now();
}

}  // namespace execd
