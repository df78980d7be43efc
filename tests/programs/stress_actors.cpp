// SPDX-License-Identifier: MIT
#include "stress_actors.hpp"

#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <thread>
#include <vector>

#include "clock.hpp"
#include "console.hpp"

namespace stress {

namespace sched = nexus_abi::sched;
using nexus_abi::Error;
using nexus_abi::QosClass;
using user::format;
using user::now;
using namespace std::chrono_literals;

std::atomic<int> wrong{0};
std::atomic<std::uint64_t> cpus{1};

void complain(const std::string& what) {
    constexpr int kMaxLines = 20;
    if (wrong.fetch_add(1) < kMaxLines) {
        user::write_line(format("stress: WRONG: %d: ", getpid()) + what);
    }
}

void expect(const char* call, Error error, std::initializer_list<Error> allowed) {
    for (const Error one : allowed) {
        if (error == one) {
            return;
        }
    }
    complain(format("%s: unexpected error %d", call, static_cast<int>(error)));
}

namespace {

std::uint64_t random_mask(Random& random) {
    const std::uint64_t mask = random.next() & cpus;
    return mask != 0 ? mask : cpus.load();
}

// A CPU that is switched off and on all the time; the others stay. With one CPU there is none: 64.
std::uint32_t restless_cpu() {
    const std::uint64_t mask = cpus;
    return std::has_single_bit(mask) ? 64U : static_cast<std::uint32_t>(63 - std::countl_zero(mask));
}

// The mask may be of the restless CPU alone.
bool may_be_offline(std::uint64_t mask) {
    const std::uint32_t cpu = restless_cpu();
    return cpu < 64 && mask == std::uint64_t{1} << cpu;
}

}  // namespace

Board board;

nexus_abi::sched_attr random_attributes(Random& random) {
    nexus_abi::sched_attr attributes{};
    attributes.flags = nexus_abi::kAttrClamp;
    attributes.qos_class = static_cast<std::uint32_t>(random.below(nexus_abi::kQosClassCount));
    attributes.shares = static_cast<std::uint32_t>(random.below(1200));
    attributes.latency_ns = random.below(2 * nexus_abi::kLatencyHintMaxNs);
    attributes.burst_ns = random.below(2 * nexus_abi::kBurstHintMaxNs);
    attributes.affinity = random_mask(random) | 1U;
    constexpr std::uint64_t kFields = nexus_abi::kFieldClass | nexus_abi::kFieldShares |
                                      nexus_abi::kFieldLatency | nexus_abi::kFieldBurst |
                                      nexus_abi::kFieldAffinity | nexus_abi::kFieldFlags;
    attributes.flags |= random.below(2) == 0 ? nexus_abi::kAttrInheritBudget : 0;
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
    const auto check_mask = [](const char* call, std::uint64_t mask, const auto& result) {
        if (!result.ok() && !(may_be_offline(mask) && result.error() == Error::InvalidArgument)) {
            expect(call, result.error(), {Error::NoProcess});
        }
    };
    switch (random.below(11)) {
        case 0:
        case 1: {
            const std::uint64_t mask = random_mask(random);
            check_mask("sched_set_affinity", mask, nexus_abi::call::sched_set_affinity(tid, mask));
            break;
        }
        case 8:
        case 9: {
            // At least a quarter of the time, so that everybody gets on.
            const auto period = static_cast<std::int64_t>(400 + random.below(20'000));
            const auto runtime =
                period / 4 + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(period) / 2));
            const bool is_capped = random.below(3) != 0;
            check("sched_set_budget",
                  nexus_abi::call::sched_set_budget(tid, is_capped ? runtime : 0, is_capped ? period : 0));
            break;
        }
        case 10: {
            nexus_abi::sched_attr limits{};
            limits.size = sizeof(limits);
            limits.fields = nexus_abi::kFieldGroup;
            limits.group = static_cast<std::uint32_t>(random.below(300));
            check("sched_set_limits",
                  nexus_abi::call::sched_set_limits(tid, nexus_abi::In<nexus_abi::sched_attr>{&limits},
                                                    sizeof(limits)));
            break;
        }
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
            check_mask("set_affinity_policy", mask,
                       sched::set_affinity_policy(tid, {&mask, 1},
                                                  static_cast<nexus_abi::AffinityPolicy>(random.below(4))));
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
    if (cpu == restless_cpu()) {
        return;
    }
    const auto applied = nexus_abi::call::sched_set_affinity(0, std::uint64_t{1} << cpu);
    if (!applied.ok()) {
        expect("own sched_set_affinity", applied.error(), {});
    } else if (const int at = sched_getcpu(); at != static_cast<int>(cpu)) {
        complain(format("on cpu %d, allowed on %u only", at, cpu));
    }
    std::this_thread::sleep_for(random.up_to(50us));
}

namespace {

// A page that may be written some of the time.
char* unstable_page() {
    static char* const page =
        static_cast<char*>(mmap(nullptr, kPageBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    return page;
}

}  // namespace

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
    const auto into = nexus_abi::call::sched_getstat(
        0, nexus_abi::Out<nexus_abi::sched_stat>{reinterpret_cast<nexus_abi::sched_stat*>(unstable_page())},
        sizeof(nexus_abi::sched_stat));
    if (!into.ok()) {
        expect("sched_getstat into a page that comes and goes", into.error(), {Error::BadAddress});
    }
    if (now() < before) {
        complain("time went backwards");
    }
}

void switch_cpu(Random& random) {
    const std::uint32_t cpu = restless_cpu();
    if (cpu >= 64) {
        return;
    }
    const auto done = sched::set_cpu_online(cpu, random.below(2) == 0);
    if (!done.ok()) {
        expect("cpu_set_online", done.error(), {Error::Busy});
    }
    std::this_thread::sleep_for(random.up_to(2ms));
}

void switch_all_on() {
    const std::uint32_t cpu = restless_cpu();
    for (const auto patience = now() + 10s; cpu < 64; sched_yield()) {
        const auto done = sched::set_cpu_online(cpu, true);
        if (done.ok()) {
            return;
        }
        if (done.error() != Error::Busy || now() > patience) {
            complain(format("a cpu does not come back: error %d", static_cast<int>(done.error())));
            return;
        }
    }
}

void map(Random& random) {
    const std::size_t pages = 2 + random.below(48);
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
    if (munmap(mapped, half * kPageBytes) != 0 || munmap(word(half), (pages - half) * kPageBytes) != 0) {
        complain(format("munmap: error %d", errno));
    }
    const bool shows = random.below(2) == 0;
    if (mprotect(unstable_page(), kPageBytes, shows ? PROT_READ | PROT_WRITE : PROT_NONE) != 0 ||
        (!shows && madvise(unstable_page(), kPageBytes, MADV_DONTNEED) != 0)) {
        complain(format("mprotect of the page that comes and goes: error %d", errno));
    }
}

void rest(Random& random) {
    switch (random.below(4)) {
        case 0:
            for (int i = 0; i < 10; ++i) {
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
    constexpr int kTurns = 30;
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
                } else if (!turned.wait_for(lock, own.up_to(1ms), mine)) {
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

}  // namespace stress
