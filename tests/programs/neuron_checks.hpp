// SPDX-License-Identifier: MIT
// Expectations of calls that return a Result, and children to expect things of. A program that proves
// NEURON's own calls starts itself again in a role, its first argument; a role's status is how much was
// wrong.
#pragma once

#include <sys/wait.h>

#include <cerrno>
#include <cstdint>
#include <string_view>
#include <utility>

#include "checks.hpp"
#include "nexus_abi/sched_calls.hpp"

namespace checks {

using nexus_abi::Error;
using nexus_abi::Result;

template <class T>
int error_number(const Result<T>& result) {
    return result.ok() ? 0 : std::to_underlying(result.error());
}

template <class T>
void succeeds(std::string_view what, const Result<T>& result, const Place& place = Place::current()) {
    errno = error_number(result);
    succeeds(what, result.ok() ? 0 : -1, place);
}

template <class T>
void fails(std::string_view what, const Result<T>& result, int error, const Place& place = Place::current()) {
    errno = error_number(result);
    fails(what, result.ok() ? 0 : -1, error, place);
}

// The call succeeds and answers `wanted`.
template <class T>
void answers(std::string_view what, const Result<T>& result, std::int64_t wanted,
             const Place& place = Place::current()) {
    errno = error_number(result);
    equal(what, result.ok() ? static_cast<std::int64_t>(*result) : -1, wanted, place);
}

// Starts this program in a role. Only what `request` says of attributes, rights and descriptors counts.
inline Result<std::int32_t> start(const char* role, nexus_abi::SpawnRequest request = {}) {
    const char* const arguments[]{program, role, nullptr};
    request.path = program;
    request.argv = arguments;
    return nexus_abi::spawn(request);
}

// As start(), for children that must come into being; -1 if one does not.
inline std::int32_t started(const char* role, const nexus_abi::SpawnRequest& request = {},
                            const Place& place = Place::current()) {
    const auto child = start(role, request);
    succeeds(role, child, place);
    return child.value_or(-1);
}

// Waits until a child has ended and tells how, or -1.
inline int end_of(std::int32_t child) {
    int status = -1;
    return waitpid(child, &status, 0) == child ? status : -1;
}

// The child ends on its own with this status.
inline void exits(std::string_view what, std::int32_t child, int wanted,
                  const Place& place = Place::current()) {
    const int status = end_of(child);
    truth(what, WIFEXITED(status), place);
    equal(what, WEXITSTATUS(status), wanted, place);
}

inline void is_killed(std::string_view what, std::int32_t child, int signal,
                      const Place& place = Place::current()) {
    const int status = end_of(child);
    truth(what, WIFSIGNALED(status), place);
    equal(what, WTERMSIG(status), signal, place);
}

struct Role {
    std::string_view name;
    void (*play)();
};

// What main() of such a program does.
inline int run_with_roles(int count, char** arguments, std::span<const Case> cases,
                          std::span<const Role> roles) {
    if (count < 2) {
        return run(arguments[0], cases);
    }
    program = arguments[0];
    for (const Role& role : roles) {
        if (role.name == arguments[1]) {
            role.play();
            std::fflush(stdout);
            return status();
        }
    }
    std::printf("# %s: no role '%s'\n", program, arguments[1]);
    return 255;
}

}  // namespace checks
