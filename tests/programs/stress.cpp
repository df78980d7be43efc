// SPDX-License-Identifier: MIT
// Everything at once, until something breaks: threads and children that come, go, sleep, contend, move,
// change each other's attributes and kill each other, in an order drawn from a seed.
//
//     stress [SEED [ROUNDS [MILLISECONDS-PER-ROUND]]]          as init
//
// Process 1 does little itself, so that what is left after a round is the kernel's: in each round it starts
// this program again as `stress round`, collects whatever becomes its child until nobody is left, and then
// wants the free memory and the task list of the end of the first round back. Exit status: how much was
// wrong.
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "clock.hpp"
#include "console.hpp"
#include "nexus_abi/sched_calls.hpp"
#include "work.hpp"

namespace {

namespace sched = nexus_abi::sched;
using nexus_abi::Error;
using nexus_abi::QosClass;
using user::format;
using user::now;
using user::write_line;
using namespace std::chrono_literals;

constexpr std::size_t kPageBytes = 4096;

// splitmix64: one per thread, so that what a thread does depends on the seed alone.
class Random {
  public:
    explicit Random(std::uint64_t seed) : state_{seed} {}

    std::uint64_t next() {
        std::uint64_t value = state_ += 0x9e3779b97f4a7c15U;
        value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
        value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
        return value ^ (value >> 31U);
    }
    // 0..bound-1
    std::uint64_t below(std::uint64_t bound) { return next() % bound; }
    std::chrono::microseconds up_to(std::chrono::microseconds longest) {
        return std::chrono::microseconds{below(static_cast<std::uint64_t>(longest.count()) + 1)};
    }

  private:
    std::uint64_t state_;
};

std::atomic<int> wrong{0};
std::atomic<std::uint64_t> cpus{1};  // mask of those online

void complain(const std::string& what) {
    constexpr int kMaxLines = 20;
    if (wrong.fetch_add(1) < kMaxLines) {
        write_line(format("stress: WRONG: %d: ", getpid()) + what);
    }
}

// Whether a call may have ended with this error, given that its target may be gone.
void expect(const char* call, Error error, std::initializer_list<Error> allowed) {
    for (const Error one : allowed) {
        if (error == one) {
            return;
        }
    }
    complain(format("%s: unexpected error %d", call, static_cast<int>(error)));
}

std::uint64_t random_mask(Random& random) {
    const std::uint64_t mask = random.next() & cpus;
    return mask != 0 ? mask : cpus.load();
}

// Ids of tasks to do something to; most of them are alive, some just died.
class Board {
  public:
    void put(Random& random, std::int32_t tid) { ids_[random.below(ids_.size())].store(tid); }
    std::int32_t any(Random& random) { return ids_[random.below(ids_.size())].load(); }

  private:
    std::array<std::atomic<std::int32_t>, 32> ids_{};  // 0: the asking thread
};
Board board;

// ---- Actors of one process; each does one step ----

nexus_abi::sched_attr random_attributes(Random& random) {
    nexus_abi::sched_attr attributes{};
    attributes.flags = nexus_abi::kAttrClamp;
    attributes.qos_class = static_cast<std::uint32_t>(random.below(nexus_abi::kQosClassCount));
    attributes.shares = static_cast<std::uint32_t>(random.below(1200));
    attributes.latency_ns = random.below(2 * nexus_abi::kLatencyHintMaxNs);
    attributes.burst_ns = random.below(2 * nexus_abi::kBurstHintMaxNs);
    attributes.affinity = random_mask(random);
    constexpr std::uint64_t kFields = nexus_abi::kFieldClass | nexus_abi::kFieldShares |
                                      nexus_abi::kFieldLatency | nexus_abi::kFieldBurst |
                                      nexus_abi::kFieldAffinity;
    attributes.fields = random.next() & kFields;
    return attributes;
}

void tune(Random& random) {
    const std::int32_t tid = board.any(random);
    const auto check = [](const char* call, const auto& result) {
        if (!result.ok()) {
            expect(call, result.error(), {Error::NoProcess});
        }
    };
    switch (random.below(8)) {
        case 0:
        case 1:
            check("sched_set_affinity", nexus_abi::call::sched_set_affinity(tid, random_mask(random)));
            break;
        case 2:
            check("set_qos_class",
                  sched::set_qos_class(tid, static_cast<QosClass>(random.below(nexus_abi::kQosClassCount))));
            break;
        case 3:
            check("set_shares", sched::set_shares(tid, static_cast<std::uint32_t>(random.below(1200))));
            break;
        case 4:
            check("set_latency_hint",
                  sched::set_latency_hint(tid, std::chrono::milliseconds{random.below(1100)}));
            break;
        case 5:
            check("set_burst_hint", sched::set_burst_hint(tid, std::chrono::milliseconds{random.below(60)}));
            break;
        case 6: {
            const std::uint64_t mask = random_mask(random);
            check("set_affinity_policy",
                  sched::set_affinity_policy(tid, {&mask, 1},
                                             random.below(2) == 0 ? nexus_abi::AffinityPolicy::Pin
                                                                  : nexus_abi::AffinityPolicy::Prefer));
            break;
        }
        default:
            check("set_attr", sched::set_attr(tid, random_attributes(random)));
            break;
    }
}

// Nobody else knows this thread's id, so its mask is what it asked for.
void move(Random& random) {
    const auto cpu = static_cast<unsigned>(std::countr_zero(random_mask(random)));
    const auto applied = nexus_abi::call::sched_set_affinity(0, std::uint64_t{1} << cpu);
    if (!applied.ok()) {
        expect("own sched_set_affinity", applied.error(), {});
    } else if (const int at = sched_getcpu(); at != static_cast<int>(cpu)) {
        complain(format("on cpu %d, allowed on %u only", at, cpu));
    }
    std::this_thread::sleep_for(random.up_to(50us));
}

// A page that is mapped some of the time.
std::atomic<char*> unstable_page{nullptr};

void watch(Random& random) {
    const auto before = now();
    const auto stat = sched::get_stat(board.any(random));
    if (stat.ok()) {
        std::uint64_t sum = 0;
        for (const std::uint64_t part : stat->runtime_by_cpu_ns) {
            sum += part;
        }
        // Each part is rounded down on its own.
        if (sum > stat->runtime_ns || stat->runtime_ns - sum > nexus_abi::kMaxHartsInStat) {
            complain(format("runtime %llu ns, on the cpus together %llu ns",
                            static_cast<unsigned long long>(stat->runtime_ns),
                            static_cast<unsigned long long>(sum)));
        }
        if (stat->runtime_ns > static_cast<std::uint64_t>(now().time_since_epoch().count())) {
            complain("a task ran for longer than the machine");
        }
    } else {
        expect("sched_getstat", stat.error(), {Error::NoProcess});
    }
    std::array<nexus_abi::sched_snapshot_entry, 16> entries;
    std::uint64_t cursor = 0;
    while (true) {
        const auto count = sched::snapshot(entries, cursor);
        if (!count.ok()) {
            expect("sched_snapshot", count.error(), {});
            break;
        }
        if (*count == 0) {
            break;
        }
        for (std::size_t i = 0; i < *count; ++i) {
            const auto pid = static_cast<std::int32_t>(entries[i].pid);
            if (pid == 1 || pid == getpid()) {
                continue;
            }
            board.put(random, static_cast<std::int32_t>(entries[i].tid));
            if (random.below(16) == 0 && kill(pid, SIGKILL) != 0 && errno != ESRCH) {
                complain(format("kill: error %d", errno));
            }
        }
    }
    if (char* const page = unstable_page.load(); page != nullptr) {
        const auto into = nexus_abi::call::sched_getstat(
            0, nexus_abi::Out<nexus_abi::sched_stat>{reinterpret_cast<nexus_abi::sched_stat*>(page)},
            sizeof(nexus_abi::sched_stat));
        if (!into.ok()) {
            expect("sched_getstat into a page that comes and goes", into.error(), {Error::BadAddress});
        }
    }
    if (now() < before) {
        complain("time went backwards");
    }
}

void map(Random& random) {
    const std::size_t pages = 1 + random.below(48);
    const std::size_t bytes = pages * kPageBytes;
    void* const mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) {
        complain(format("mmap: error %d", errno));
        return;
    }
    const auto word = [&](std::size_t page) {
        return reinterpret_cast<std::uint64_t*>(static_cast<char*>(mapped) + page * kPageBytes);
    };
    const std::uint64_t mark = random.next() | 1U;
    for (std::size_t page = 0; page < pages; ++page) {
        if (*word(page) != 0) {
            complain("fresh memory is not zero");
        }
        *word(page) = mark + page;
    }
    const std::size_t half = pages / 2;
    if (mprotect(mapped, half * kPageBytes, PROT_READ) != 0) {
        complain(format("mprotect: error %d", errno));
    }
    if (random.below(2) == 0) {
        sched_yield();
    }
    for (std::size_t page = 0; page < pages; ++page) {
        if (*word(page) != mark + page) {
            complain("memory changed by itself");
        }
    }
    if (madvise(word(half), (pages - half) * kPageBytes, MADV_DONTNEED) != 0 || *word(half) != 0) {
        complain("madvise did not drop the pages");
    }
    unstable_page = static_cast<char*>(mapped);
    if (munmap(mapped, half * kPageBytes) != 0 || munmap(word(half), (pages - half) * kPageBytes) != 0) {
        complain(format("munmap: error %d", errno));
    }
    if (random.below(4) == 0) {
        unstable_page = nullptr;
    }
}

void rest(Random& random) {
    switch (random.below(4)) {
        case 0:
            for (int i = 0; i < 50; ++i) {
                sched_yield();
            }
            break;
        case 1: {
            // Never woken: ends by its timeout, and not before.
            std::uint32_t word = 0;
            const auto timeout = random.up_to(200us);
            const timespec relative{.tv_sec = 0, .tv_nsec = std::chrono::nanoseconds{timeout}.count()};
            const auto start = now();
            if (syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &relative, nullptr, 0) != -1 ||
                errno != ETIMEDOUT || now() - start < timeout) {
                complain("a futex wait did not end by its timeout");
            }
            break;
        }
        default:
            std::this_thread::sleep_for(random.up_to(100us));
            break;
    }
}

// Threads that hand a number around under one mutex, with time limits short enough to expire often.
void contend(Random& random) {
    constexpr int kTurns = 60;
    constexpr int kThreads = 3;
    std::mutex mutex;
    std::condition_variable turned;
    int turn = 0;
    std::vector<std::thread> threads;
    for (int index = 0; index < kThreads; ++index) {
        threads.emplace_back([&, index, seed = random.next()] {
            Random own{seed};
            board.put(own, gettid());
            // Without a time limit for one of them: a lost wake-up hangs.
            const bool patient = index == 0;
            std::unique_lock lock{mutex};
            while (turn < kTurns) {
                const auto mine = [&] { return turn >= kTurns || turn % kThreads == index; };
                if (patient) {
                    turned.wait(lock, mine);
                } else if (!turned.wait_for(lock, own.up_to(100us), mine)) {
                    continue;
                }
                ++turn;
                turned.notify_all();
            }
        });
    }
    if (random.below(2) == 0) {
        std::this_thread::sleep_for(random.up_to(100us));
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    if (turn < kTurns) {
        complain("contending threads lost count");
    }
}

// ---- Children ----

constexpr const char* kKinds[] = {"quit", "spin", "nap", "forever", "threads", "memory", "leave", "parent"};

std::int32_t start(Random& random, std::string kind) {
    std::string seed = std::to_string(random.next());
    std::string online = std::to_string(cpus);
    const char* const arguments[] = {"stress", kind.c_str(), seed.c_str(), online.c_str(), nullptr};
    const nexus_abi::sched_attr attributes = random_attributes(random);
    const auto pid =
        nexus_abi::spawn({.path = "/bin/stress",
                          .argv = arguments,
                          .attributes = random.below(2) == 0 ? &attributes : nullptr,
                          .rights = nexus_abi::kRightSchedAdmin | nexus_abi::kRightSchedInspect});
    if (!pid.ok()) {
        complain(format("spawn: error %d", static_cast<int>(pid.error())));
        return 0;
    }
    board.put(random, *pid);
    return *pid;
}

void check_status(int status) {
    const bool is_good = (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
                         (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    if (!is_good) {
        complain(format("a child ended with wait status 0x%x", static_cast<unsigned>(status)));
    }
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

// All of it at the same time for a while; then leaves, and whoever is still there with it.
int be_round(Random& random, std::chrono::milliseconds length) {
    constexpr void (*kActors[])(Random&) = {&bring_up, &bring_up, &bring_up, &tune, &tune, &move,
                                            &watch,    &map,      &map,      &rest, &rest, &contend};
    const auto end = now() + length;
    std::vector<std::thread> actors;
    for (auto* const actor : kActors) {
        actors.emplace_back([=, seed = random.next()] {
            Random own{seed};
            while (now() < end) {
                actor(own);
            }
        });
    }
    for (std::thread& actor : actors) {
        actor.join();
    }
    static_cast<void>(start(random, "forever"));
    static_cast<void>(start(random, "leave"));
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

std::uint64_t free_memory() {
    struct sysinfo info{};
    sysinfo(&info);
    return info.freeram;
}

struct Machine {
    std::uint64_t busy_ns{0};
    bool adds_up{true};
};

// What the harts say they did since boot. Busy and idle time together is all the time there is.
Machine machine_now() {
    Machine machine;
    for (std::uint32_t cpu = 0; cpu < 64; ++cpu) {
        if ((cpus >> cpu & 1U) != 0) {
            const auto stat = sched::hart_stat(cpu);
            machine.busy_ns += stat.ok() ? stat->busy_ns : 0;
            machine.adds_up =
                machine.adds_up && stat.ok() &&
                stat->busy_ns + stat->idle_ns <= static_cast<std::uint64_t>(now().time_since_epoch().count());
        }
    }
    return machine;
}

std::uint64_t runtime_of_children_ns() {
    rusage usage{};
    getrusage(RUSAGE_CHILDREN, &usage);
    return static_cast<std::uint64_t>(usage.ru_utime.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(usage.ru_utime.tv_usec) * 1'000U;
}

// One round from start to the last child's end; returns how many children were collected.
std::size_t run_round(Random& random, const std::string& length) {
    const std::string seed = std::to_string(random.next());
    const std::string online = std::to_string(cpus);
    const char* const arguments[] = {"stress",       "round",        seed.c_str(),
                                     online.c_str(), length.c_str(), nullptr};
    const auto pid =
        nexus_abi::spawn({.path = "/bin/stress",
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
    // A process is collected a moment before its last hart has put its last task away.
    const auto patience = now() + 10s;
    while (end_stragglers() != 0) {
        if (now() > patience) {
            complain("tasks are left after all children were collected");
            break;
        }
        sched_yield();
    }
    return collected;
}

int be_init(std::uint64_t seed, std::uint64_t rounds, const std::string& length) {
    const auto info = nexus_abi::info();
    if (!info.ok()) {
        write_line("stress: not a NEURON kernel");
        return 1;
    }
    cpus = info->cpus_online;
    write_line(format("stress: seed %llu, %llu rounds of %s ms, cpus 0x%llx",
                      static_cast<unsigned long long>(seed), static_cast<unsigned long long>(rounds),
                      length.c_str(), static_cast<unsigned long long>(cpus.load())));
    Random random{seed};
    // The first round fills the page cache and this process' own heap.
    static_cast<void>(run_round(random, length));
    const std::uint64_t baseline = free_memory();
    for (std::uint64_t round = 1; round <= rounds; ++round) {
        const Machine before = machine_now();
        const std::uint64_t charged_before = runtime_of_children_ns();
        const std::size_t collected = run_round(random, length);
        const std::uint64_t charged = runtime_of_children_ns() - charged_before;
        const Machine after = machine_now();
        // Memory of the last task goes back when its hart drops it, which may be after it left the task list.
        const auto patience = now() + 10s;
        while (free_memory() != baseline && now() < patience) {
            sched_yield();
        }
        const auto missing = static_cast<long long>(baseline) - static_cast<long long>(free_memory());
        if (missing != 0) {
            complain(format("%lld B of memory are missing", missing));
        }
        // Each collected child was rounded down to a microsecond, so the sum cannot be more than the truth.
        if (charged == 0 || charged > after.busy_ns - before.busy_ns || !after.adds_up) {
            complain("the harts' times do not add up");
        }
        write_line(format("stress: round %llu: %zu children, charged %llu of %llu us, missing %lld B",
                          static_cast<unsigned long long>(round), collected,
                          static_cast<unsigned long long>(charged / 1000),
                          static_cast<unsigned long long>((after.busy_ns - before.busy_ns) / 1000), missing));
    }
    write_line(wrong == 0 ? "stress: good" : format("stress: %d WRONG", wrong.load()));
    return wrong;
}

std::uint64_t number(int count, char** arguments, int index, std::uint64_t otherwise) {
    return index < count ? std::strtoull(arguments[index], nullptr, 10) : otherwise;
}

}  // namespace

int main(int count, char** arguments) {
    constexpr int kMaxStatus = 100;
    int status = 0;
    if (getpid() == 1) {
        status = be_init(number(count, arguments, 1, 1), number(count, arguments, 2, 3),
                         count > 3 ? arguments[3] : "300");
    } else {
        Random random{number(count, arguments, 2, 1)};
        cpus = number(count, arguments, 3, 1);
        const std::string_view kind = arguments[1];
        status = kind == "round"
                     ? be_round(random, std::chrono::milliseconds{number(count, arguments, 4, 300)})
                     : be_child(kind, random);
    }
    return status < kMaxStatus ? status : kMaxStatus;
}
