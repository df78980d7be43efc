// SPDX-License-Identifier: MIT
#include "job.hpp"

#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>

namespace shell {
namespace {

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (std::string& text : texts) {
        pointers.push_back(text.data());
    }
    pointers.push_back(nullptr);
    return pointers;
}

// posix_spawn's two bags, freed at the end.
class SpawnSettings {
  public:
    SpawnSettings() {
        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
    }
    ~SpawnSettings() {
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
    }
    SpawnSettings(const SpawnSettings&) = delete;
    SpawnSettings& operator=(const SpawnSettings&) = delete;

    posix_spawn_file_actions_t actions{};
    posix_spawnattr_t attributes{};
};

}  // namespace

bool Job::has_ended() const {
    return std::ranges::all_of(processes, &JobProcess::has_ended);
}

bool Job::is_stopped() const {
    return !has_ended() && std::ranges::all_of(processes, [](const JobProcess& process) {
        return process.has_ended || process.is_stopped;
    });
}

int Job::exit_status() const {
    const int status = processes.empty() ? 0 : processes.back().status;
    if (WIFSTOPPED(status)) {
        return 128 + WSTOPSIG(status);
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool Job::note(pid_t pid, int status) {
    const auto process = std::ranges::find(processes, pid, &JobProcess::pid);
    if (process == processes.end()) {
        return false;
    }
    process->is_stopped = WIFSTOPPED(status);
    process->has_ended = WIFEXITED(status) || WIFSIGNALED(status);
    process->status = status;
    return true;
}

Result<pid_t> start_process(const ProcessStart& start) {
    SpawnSettings settings;
    sigset_t none;
    sigset_t ordinary;
    sigemptyset(&none);
    sigemptyset(&ordinary);
    for (const int signal : {SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU}) {
        sigaddset(&ordinary, signal);
    }
    unsigned flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
    posix_spawnattr_setsigdefault(&settings.attributes, &ordinary);
    posix_spawnattr_setsigmask(&settings.attributes, &none);
    if (start.has_group) {
        flags |= POSIX_SPAWN_SETPGROUP;
        posix_spawnattr_setpgroup(&settings.attributes, start.group);
    }
    posix_spawnattr_setflags(&settings.attributes, static_cast<short>(flags));
    int error = 0;
    if (start.terminal >= 0) {
        error = posix_spawn_file_actions_addtcsetpgrp_np(&settings.actions, start.terminal);
    }
    for (const auto& [from, to] : start.moves) {
        error = error != 0 ? error : posix_spawn_file_actions_adddup2(&settings.actions, from, to);
    }
    std::vector<std::string> arguments = start.arguments;
    std::vector<std::string> environment = start.environment;
    pid_t pid = 0;
    if (error == 0) {
        error = posix_spawnp(&pid, start.path.c_str(), &settings.actions, &settings.attributes,
                             pointers_to(arguments).data(), pointers_to(environment).data());
    }
    return error == 0 ? Result<pid_t>{pid} : static_cast<Error>(error);
}

}  // namespace shell
