// SPDX-License-Identifier: MIT
// Services for the boot that reloads recipes, by argument:
//   stay        runs until it is killed
//   ask SHARES  asks execd to reload, goes on when the reload has given this very program SHARES, asks again
//   show NAME   tells how the scheduler treats the task of that name
#include <sched.h>
#include <signal.h>
#include <time.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "nexus_abi/sched_calls.hpp"

namespace {

namespace sched = nexus_abi::sched;

[[noreturn]] void stay() {
    for (;;) {
        const timespec hour{.tv_sec = 3600, .tv_nsec = 0};
        nanosleep(&hour, nullptr);
    }
}

int ask(std::uint32_t shares) {
    if (kill(1, SIGHUP) != 0) {
        std::printf("reload_probe: may not signal execd\n");
        return EXIT_FAILURE;
    }
    for (auto own = sched::get_attr(sched::kSelf); own.ok() && own->shares != shares;
         own = sched::get_attr(sched::kSelf)) {
        sched_yield();
    }
    std::printf("reload_probe: has %u shares, asks again\n", shares);
    std::fflush(stdout);
    return kill(1, SIGHUP) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int show(std::string_view name) {
    std::array<nexus_abi::sched_snapshot_entry, 8> entries{};
    std::uint64_t cursor = 0;
    for (;;) {
        const auto count = sched::snapshot(entries, cursor);
        if (!count.ok() || *count == 0) {
            std::printf("reload_probe: no task %.*s\n", static_cast<int>(name.size()), name.data());
            return EXIT_FAILURE;
        }
        for (std::size_t i = 0; i < *count; ++i) {
            const auto& entry = entries[i];
            if (entry.name == name) {
                std::printf("reload_probe: %s has class %u, %u shares, mask 0x%lx\n", entry.name,
                            entry.qos_class, entry.shares, static_cast<unsigned long>(entry.affinity));
                return EXIT_SUCCESS;
            }
        }
    }
}

}  // namespace

int main(int argument_count, char** arguments) {
    const std::string_view what = argument_count > 1 ? arguments[1] : "";
    if (what == "stay") {
        stay();
    }
    if (argument_count > 2 && what == "ask") {
        return ask(static_cast<std::uint32_t>(std::strtoul(arguments[2], nullptr, 10)));
    }
    if (argument_count > 2 && what == "show") {
        return show(arguments[2]);
    }
    std::printf("reload_probe: wants stay, ask SHARES or show NAME\n");
    return EXIT_FAILURE;
}
