// SPDX-License-Identifier: MIT
// Expectations of programs that prove system calls on the running kernel. Cases come out as KTAP; before a
// case that failed stands one line for each expectation that did not hold. The exit status is the number of
// these lines, so that init's status says it all. Used by a program's first thread only.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace checks {

using Place = std::source_location;

inline unsigned made = 0;
inline unsigned wrong = 0;
// Why the case that runs cannot be judged; empty: it can be.
inline std::string unjudged;
// Where the running program lies.
inline const char* program = "";

// The first address of the kernel's half: mapped, but nothing a program may name.
inline constexpr std::uint64_t kKernelAddress = 0xffff'ffff'8000'0000;
template <class T>
T* bad_pointer() {
    return reinterpret_cast<T*>(kKernelAddress);
}

// errno is cleared, so that the next expectation cannot be met by an old one.
inline void note(std::string_view what, bool right, const std::string& difference, const Place& place) {
    ++made;
    if (!right) {
        ++wrong;
        const std::string_view path = place.file_name();
        const std::string_view file = path.substr(path.rfind('/') + 1);
        std::printf("# %.*s:%u: %.*s: %s\n", static_cast<int>(file.size()), file.data(), place.line(),
                    static_cast<int>(what.size()), what.data(), difference.c_str());
    }
    errno = 0;
}

inline std::string with_errno(std::int64_t result) {
    return std::to_string(result) + (result == -1 ? std::string{" with "} + std::strerror(errno) : "");
}

inline void truth(std::string_view what, bool holds, const Place& place = Place::current()) {
    note(what, holds, "does not hold", place);
}

inline void equal(std::string_view what, std::int64_t got, std::int64_t wanted,
                  const Place& place = Place::current()) {
    note(what, got == wanted, with_errno(got) + " instead of " + std::to_string(wanted), place);
}

inline void reads(std::string_view what, std::string_view got, std::string_view wanted,
                  const Place& place = Place::current()) {
    note(what, got == wanted, "'" + std::string{got} + "' instead of '" + std::string{wanted} + "'", place);
}

// For calls that return -1 and set errno.
inline void succeeds(std::string_view what, std::int64_t result, const Place& place = Place::current()) {
    note(what, result >= 0, with_errno(result), place);
}

inline void fails(std::string_view what, std::int64_t result, int error,
                  const Place& place = Place::current()) {
    note(what, result == -1 && errno == error, with_errno(result) + " instead of " + std::strerror(error),
         place);
}

inline void fails(std::string_view what, const void* result, int error,
                  const Place& place = Place::current()) {
    fails(what, reinterpret_cast<std::intptr_t>(result), error, place);
}

// The case comes out as skipped, unless something else about it was wrong.
inline void cannot_judge(std::string reason) {
    unjudged = std::move(reason);
}

struct Case {
    const char* name;
    void (*run)();
};

// For a child process: the expectations of one case, without KTAP around them.
inline int status() {
    constexpr unsigned kMaxStatus = 255;
    return static_cast<int>(std::min(wrong, kMaxStatus));
}

// Returns the program's exit status.
inline int run(const char* path, std::span<const Case> cases) {
    program = path;
    std::printf("KTAP version 1\n1..%zu\n", cases.size());
    for (std::size_t index = 0; index < cases.size(); ++index) {
        const unsigned made_before = made;
        const unsigned wrong_before = wrong;
        unjudged.clear();
        cases[index].run();
        if (wrong == wrong_before && !unjudged.empty()) {
            std::printf("ok %zu - %s # SKIP %s\n", index + 1, cases[index].name, unjudged.c_str());
            continue;
        }
        std::printf("%s %zu - %s # %u checks, %u wrong\n", wrong == wrong_before ? "ok" : "not ok", index + 1,
                    cases[index].name, made - made_before, wrong - wrong_before);
    }
    std::fflush(stdout);
    return status();
}

}  // namespace checks
