// SPDX-License-Identifier: MIT
// Everything at once, until something breaks: threads and children that come, go, sleep, contend, move,
// change each other's attributes and kill each other, in an order drawn from a seed.
//
//     stress [SEED [ROUNDS [MILLISECONDS-PER-ROUND]]]          as init
//     stress kills SEED ROUNDS KILLS-PER-ROUND                 as init: children that are started and killed,
//     no more
//
// Process 1 does little itself, so that what is left after a round is the kernel's: in each round it starts
// this program again as `stress round`, collects whatever becomes its child until nobody is left, and then
// wants the free memory and the task list of the end of the first round back. Exit status: how much was
// wrong.
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "clock.hpp"
#include "console.hpp"
#include "nexus_abi/sched_calls.hpp"
#include "stress_actors.hpp"
#include "work.hpp"

namespace stress {
namespace {

namespace sched = nexus_abi::sched;
using user::format;
using user::now;
using user::write_line;
using namespace std::chrono_literals;

constexpr const char* kProgram = "/bin/stress";

// ---- Children ----

// What this process did: children it started, and those it collected that SIGKILL had ended.
std::atomic<std::uint64_t> started{0};
std::atomic<std::uint64_t> killed{0};

constexpr const char* kKinds[] = {"quit",   "spin",  "nap",    "forever", "threads",
                                  "memory", "leave", "parent", "switch"};

std::int32_t start(Random& random, std::string kind) {
    std::string seed = std::to_string(random.next());
    std::string online = std::to_string(cpus);
    const char* const arguments[] = {"stress", kind.c_str(), seed.c_str(), online.c_str(), nullptr};
    const nexus_abi::sched_attr attributes = random_attributes(random);
    const auto pid =
        nexus_abi::spawn({.path = kProgram,
                          .argv = arguments,
                          .attributes = random.below(2) == 0 ? &attributes : nullptr,
                          .rights = nexus_abi::kRightSchedAdmin | nexus_abi::kRightSchedInspect});
    if (!pid.ok()) {
        complain(format("spawn: error %d", static_cast<int>(pid.error())));
        return 0;
    }
    ++started;
    board.put(random, *pid);
    return *pid;
}

void check_status(int status) {
    killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 1 : 0;
    const bool is_good = (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
                         (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    if (!is_good) {
        complain(format("a child ended with wait status 0x%x", static_cast<unsigned>(status)));
    }
}

// Starts one child that would live for a while, and kills it before, when or while it runs.
void bring_down(Random& random) {
    constexpr const char* kLongLived[] = {"forever", "threads", "memory", "spin", "nap"};
    const std::int32_t pid = start(random, kLongLived[random.below(std::size(kLongLived))]);
    if (pid == 0) {
        return;
    }
    if (random.below(2) == 0) {
        std::this_thread::sleep_for(random.up_to(500us));
    }
    int status = 0;
    if (kill(pid, SIGKILL) != 0 || waitpid(pid, &status, 0) != pid) {
        complain(format("a child is not killed: error %d", errno));
        return;
    }
    check_status(status);
}

// Starts one child and sees it off in one of several ways.
void bring_up(Random& random) {
    const std::int32_t pid = start(random, kKinds[random.below(std::size(kKinds))]);
    if (pid == 0) {
        return;
    }
    if (random.below(2) == 0) {
        std::this_thread::sleep_for(random.up_to(3ms));
    }
    int status = 0;
    // Looks a few times, so that it may end by itself, and then ends it.
    for (std::uint64_t looks = random.below(6); looks > 0; --looks) {
        const pid_t seen = waitpid(pid, &status, WNOHANG);
        if (seen == pid) {
            check_status(status);
            return;
        }
        if (seen != 0) {
            complain(format("waitpid without waiting: error %d", errno));
            return;
        }
        std::this_thread::sleep_for(random.up_to(500us));
    }
    if (kill(pid, SIGKILL) != 0) {
        complain(format("kill of a child: error %d", errno));
    }
    if (waitpid(pid, &status, 0) != pid) {
        complain(format("waitpid: error %d", errno));
        return;
    }
    check_status(status);
    if (waitpid(pid, &status, WNOHANG) != -1 || errno != ECHILD) {
        complain("a child was collected twice");
    }
}

// Debug kernels walk all page tables when asked, and stop at a page that should not be there.
void audit_maps() {
    const int file = open("/proc/map_audit", O_RDONLY);
    if (file < 0) {
        return;
    }
    char text[64];
    if (read(file, text, sizeof text) <= 0) {
        complain(format("/proc/map_audit: error %d", errno));
    }
    close(file);
}

// What a child of a kind does; its exit status. Every kind but "forever" ends by itself.
int be_child(std::string_view kind, Random& random) {
    if (kind == "spin") {
        for (std::uint64_t units = random.below(200); units > 0; --units) {
            user::burn_unit();
        }
    } else if (kind == "nap") {
        for (int i = 0; i < 20; ++i) {
            rest(random);
        }
    } else if (kind == "switch") {
        for (int i = 0; i < 20; ++i) {
            switch_cpu(random);
        }
    } else if (kind == "forever") {
        std::uint32_t word = 0;
        while (true) {
            syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
        }
    } else if (kind == "threads") {
        contend(random);
    } else if (kind == "memory") {
        std::thread other{[seed = random.next()] {
            Random own{seed};
            for (int i = 0; i < 10; ++i) {
                map(own);
            }
        }};
        for (int i = 0; i < 10; ++i) {
            map(random);
        }
        audit_maps();
        other.join();
    } else if (kind == "leave") {
        // Ends the process under threads that run, sleep and begin.
        for (int i = 0; i < 4; ++i) {
            std::thread{[seed = random.next(), i] {
                Random own{seed};
                while (i % 2 == 0) {
                    rest(own);
                }
                while (true) {
                    std::thread{[] {}}.join();
                }
            }}.detach();
        }
        std::this_thread::sleep_for(random.up_to(2ms));
        _exit(0);
    } else if (kind == "parent") {
        // Leaves orphans, some of them already dead.
        static_cast<void>(start(random, "quit"));
        static_cast<void>(start(random, "nap"));
        static_cast<void>(start(random, "forever"));
    }
    return wrong;
}

void tell_counts() {
    write_line(format("stress: %llu children started, %llu killed", static_cast<unsigned long long>(started),
                      static_cast<unsigned long long>(killed)));
}

// All of it at the same time for a while; then leaves, and whoever is still there with it.
int be_round(Random& random, std::chrono::milliseconds length) {
    constexpr void (*kActors[])(Random&) = {&bring_up, &bring_up,   &bring_up, &tune, &tune,
                                            &move,     &switch_cpu, &watch,    &map,  &map,
                                            &rest,     &rest,       &contend};
    const auto end = now() + length;
    std::vector<std::thread> actors;
    for (auto* const actor : kActors) {
        actors.emplace_back([=, seed = random.next()] {
            Random own{seed};
            while (now() < end) {
                actor(own);
                // Room for the others: most races need somebody who wakes up.
                std::this_thread::sleep_for(own.up_to(500us));
            }
        });
    }
    for (std::thread& actor : actors) {
        actor.join();
    }
    static_cast<void>(start(random, "forever"));
    static_cast<void>(start(random, "leave"));
    tell_counts();
    return wrong;
}

// Several at once, until so many were killed.
int be_kill_round(Random& random, std::uint64_t kills) {
    constexpr std::size_t kKillers = 6;
    std::vector<std::thread> killers;
    for (std::size_t i = 0; i < kKillers; ++i) {
        killers.emplace_back([=, seed = random.next()] {
            Random own{seed};
            while (killed < kills && wrong == 0) {
                bring_down(own);
            }
        });
    }
    for (std::thread& killer : killers) {
        killer.join();
    }
    tell_counts();
    return wrong;
}

// ---- Process 1 ----

// Kills who is still there after a round; returns how many tasks there are besides this one.
std::size_t end_stragglers() {
    std::size_t others = 0;
    std::array<nexus_abi::sched_snapshot_entry, 16> entries;
    std::uint64_t cursor = 0;
    while (true) {
        const auto count = sched::snapshot(entries, cursor);
        if (!count.ok() || *count == 0) {
            return others;
        }
        for (std::size_t i = 0; i < *count; ++i) {
            if (entries[i].pid != 1) {
                ++others;
                static_cast<void>(kill(static_cast<pid_t>(entries[i].pid), SIGKILL));
            }
        }
    }
}

// A process is collected a moment before its last hart has put its last task away.
void wait_until_alone() {
    const auto patience = now() + 10s;
    while (end_stragglers() != 0) {
        if (now() > patience) {
            complain("tasks are left after all children were collected");
            return;
        }
        sched_yield();
    }
}

std::uint64_t free_memory() {
    struct sysinfo info{};
    sysinfo(&info);
    return info.freeram;
}

// Brings every page of this program into the page cache, which never gives one back.
void fill_page_cache() {
    const int file = open(kProgram, O_RDONLY);
    struct stat status{};
    if (file < 0 || fstat(file, &status) != 0) {
        complain(format("%s: error %d", kProgram, errno));
        return;
    }
    const auto bytes = static_cast<std::size_t>(status.st_size);
    void* const contents = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file, 0);
    for (std::size_t at = 0; contents != MAP_FAILED && at < bytes; at += kPageBytes) {
        static_cast<void>(static_cast<volatile char*>(contents)[at]);
    }
    if (contents == MAP_FAILED || munmap(contents, bytes) != 0) {
        complain(format("mapping %s: error %d", kProgram, errno));
    }
    close(file);
}

// Frames of the kernel's task table, which it never gives back: one for every 512 ids and one for every 1024,
// as the ids are handed out in ascending order. Once all were handed out, it has them all.
std::uint64_t task_table_bytes(std::int32_t youngest) {
    constexpr std::uint64_t kIds = 32768;
    constexpr std::uint64_t kIdsPerFrame = 512;
    constexpr std::uint64_t kCountsPerFrame = 1024;
    const auto serial = nexus_abi::call::nexus_task_serial(youngest);
    if (!serial.ok()) {
        complain(format("task_serial: error %d", static_cast<int>(serial.error())));
        return 0;
    }
    const bool is_second_time = *serial >> 32U > 1;
    const std::uint64_t last = is_second_time ? kIds - 1 : static_cast<std::uint64_t>(youngest);
    return (last / kIdsPerFrame + last / kCountsPerFrame + 2) * kPageBytes;
}

// Free memory and what the task table has of it, which is the same after every round. Starts a child, to
// learn the youngest id.
std::uint64_t memory_left(Random& random) {
    const std::int32_t youngest = start(random, "forever");
    const std::uint64_t table = task_table_bytes(youngest);
    static_cast<void>(kill(youngest, SIGKILL));
    waitpid(youngest, nullptr, 0);
    wait_until_alone();
    return free_memory() + table;
}

// How much less memory is left than the baseline. A last task's memory goes back when its hart drops it,
// which may be after it left the task list. What harts keep in their frame caches counts as free.
long long missing_memory(Random& random, std::uint64_t baseline) {
    const auto patience = now() + 5s;
    while (true) {
        const auto missing = static_cast<long long>(baseline) - static_cast<long long>(memory_left(random));
        if (missing == 0 || now() > patience) {
            return missing;
        }
    }
}

// What all harts charged to tasks since boot. Busy and idle time together is all the time there is.
std::uint64_t busy_ns() {
    std::uint64_t busy = 0;
    for (std::uint64_t left = cpus; left != 0; left &= left - 1) {
        const auto stat = sched::hart_stat(static_cast<std::uint32_t>(std::countr_zero(left)));
        if (!stat.ok()) {
            expect("sched_hartstat", stat.error(), {});
            continue;
        }
        if (stat->busy_ns + stat->idle_ns > static_cast<std::uint64_t>(now().time_since_epoch().count())) {
            complain("a hart was busy and idle for longer than the machine runs");
        }
        busy += stat->busy_ns;
    }
    return busy;
}

std::uint64_t runtime_of_children_ns() {
    rusage usage{};
    getrusage(RUSAGE_CHILDREN, &usage);
    return static_cast<std::uint64_t>(usage.ru_utime.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(usage.ru_utime.tv_usec) * 1'000U;
}

// One round from start to the last child's end; returns how many children were collected.
std::size_t run_round(Random& random, const char* kind, const std::string& length) {
    const std::string seed = std::to_string(random.next());
    const std::string online = std::to_string(cpus);
    const char* const arguments[] = {"stress", kind, seed.c_str(), online.c_str(), length.c_str(), nullptr};
    const auto pid =
        nexus_abi::spawn({.path = kProgram,
                          .argv = arguments,
                          .rights = nexus_abi::kRightSchedAdmin | nexus_abi::kRightSchedInspect});
    if (!pid.ok()) {
        complain(format("spawn of a round: error %d", static_cast<int>(pid.error())));
        return 0;
    }
    std::size_t collected = 0;
    for (bool is_over = false;; ++collected) {
        if (is_over) {
            end_stragglers();
        }
        int status = 0;
        const pid_t ended = waitpid(-1, &status, 0);
        if (ended == -1) {
            break;
        }
        is_over = is_over || ended == *pid;
        if (ended == *pid && status != 0) {
            complain(format("the round ended with wait status 0x%x", static_cast<unsigned>(status)));
        } else {
            check_status(status);
        }
    }
    wait_until_alone();
    switch_all_on();
    return collected;
}

// `length`: of a round, in what its kind counts.
int be_init(const char* kind, std::uint64_t seed, std::uint64_t rounds, const std::string& length) {
    const auto info = nexus_abi::info();
    if (!info.ok()) {
        write_line("stress: not a NEURON kernel");
        return 1;
    }
    cpus = info->cpus_online;
    write_line(format("stress: seed %llu, %llu rounds of %s, cpus 0x%llx",
                      static_cast<unsigned long long>(seed), static_cast<unsigned long long>(rounds),
                      length.c_str(), static_cast<unsigned long long>(cpus.load())));
    Random random{seed};
    fill_page_cache();
    std::uint64_t baseline = 0;
    for (std::uint64_t round = 0; round <= rounds; ++round) {
        const std::uint64_t busy_before = busy_ns();
        const std::uint64_t charged_before = runtime_of_children_ns();
        const std::size_t collected = run_round(random, kind, length);
        const std::uint64_t charged = runtime_of_children_ns() - charged_before;
        const std::uint64_t busy = busy_ns() - busy_before;
        // Each collected child was rounded down to a microsecond, so the sum cannot be more than the truth.
        if (charged == 0 || charged > busy) {
            complain("the harts' times do not add up");
        }
        const long long missing = round == 0 ? 0 : missing_memory(random, baseline);
        if (missing != 0) {
            complain(format("%lld B of memory are missing", missing));
        }
        write_line(format("stress: round %llu: %zu children, charged %llu of %llu us",
                          static_cast<unsigned long long>(round), collected,
                          static_cast<unsigned long long>(charged / 1000),
                          static_cast<unsigned long long>(busy / 1000)));
        // Round 0 makes this process touch every page it needs for a round.
        if (round == 0) {
            baseline = memory_left(random);
        }
    }
    write_line(wrong == 0 ? "stress: good" : format("stress: %d WRONG", wrong.load()));
    return wrong;
}

std::uint64_t number(int count, char** arguments, int index, std::uint64_t otherwise) {
    return index < count ? std::strtoull(arguments[index], nullptr, 10) : otherwise;
}

}  // namespace

// Returns how much was wrong.
int run(int count, char** arguments) {
    if (getpid() == 1) {
        const bool kills = count > 1 && std::string_view{arguments[1]} == "kills";
        const int first = kills ? 2 : 1;
        return be_init(kills ? "kill-round" : "round", number(count, arguments, first, 1),
                       number(count, arguments, first + 1, 3),
                       count > first + 2 ? arguments[first + 2] : "300");
    }
    Random random{number(count, arguments, 2, 1)};
    cpus = number(count, arguments, 3, 1);
    const std::string_view kind = count > 1 ? arguments[1] : "";
    if (kind == "kill-round") {
        return be_kill_round(random, number(count, arguments, 4, 300));
    }
    return kind == "round" ? be_round(random, std::chrono::milliseconds{number(count, arguments, 4, 300)})
                           : be_child(kind, random);
}

}  // namespace stress

int main(int count, char** arguments) {
    constexpr int kMaxStatus = 100;
    const int status = stress::run(count, arguments);
    return status < kMaxStatus ? status : kMaxStatus;
}
