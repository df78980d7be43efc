// SPDX-License-Identifier: MIT
// Programs that mean ill: who wait for each other in circles, who change a task whose number goes to another
// one, and who multiply. Each time the others must not feel it.
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "neuron_checks.hpp"

namespace {

namespace sched = nexus_abi::sched;
using checks::equal;
using checks::fails;
using checks::started;
using checks::succeeds;
using checks::truth;
using nexus_abi::QosClass;
using nexus_abi::sched_attr;

// With one hart the machine counts instructions, and times are exact; else nothing is said about them.
bool time_is_exact() {
    const auto told = nexus_abi::info();
    return told.ok() && (told->cpus_possible & (told->cpus_possible - 1)) == 0;
}

// ---- Circles of owners ----

using Word = std::atomic<std::uint32_t>;

long futex(Word& word, int operation) {
    return syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, 0, nullptr, nullptr, 0);
}

constexpr std::size_t kLongestCircle = 8;

// Each thread but the last one waits for the next one's word, so the last one would close the circle.
void close_a_circle(std::size_t owners) {
    std::array<Word, kLongestCircle> words{};
    std::vector<std::thread> threads;
    // From the end: whoever waits finds the owner there already.
    succeeds("the last one's", futex(words[owners - 1], FUTEX_LOCK_PI));
    for (std::size_t i = owners - 1; i-- > 0;) {
        std::atomic<bool> has_own{false};
        threads.emplace_back([&words, &has_own, i] {
            futex(words[i], FUTEX_LOCK_PI);
            has_own = true;
            has_own.notify_all();
            futex(words[i + 1], FUTEX_LOCK_PI);
            futex(words[i + 1], FUTEX_UNLOCK_PI);
            futex(words[i], FUTEX_UNLOCK_PI);
        });
        has_own.wait(false);
        while ((words[i + 1].load() & FUTEX_WAITERS) == 0) {
            sched_yield();
        }
    }
    fails(std::to_string(owners) + " owners", futex(words[0], FUTEX_LOCK_PI), EDEADLK);
    succeeds("let go", futex(words[owners - 1], FUTEX_UNLOCK_PI));
    for (std::thread& thread : threads) {
        thread.join();
    }
    for (const Word& word : words) {
        equal("free", word.load(), 0);
    }
}

// All at once: whoever comes last is refused, and nobody waits for ever.
void race_in_a_circle(std::size_t owners) {
    constexpr int kRounds = 10;
    std::array<Word, kLongestCircle> words{};
    std::atomic<int> refused{0};
    std::atomic<int> odd{0};
    pthread_barrier_t all;
    equal("a barrier", pthread_barrier_init(&all, nullptr, static_cast<unsigned>(owners)), 0);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < owners; ++i) {
        threads.emplace_back([&, i] {
            for (int round = 0; round < kRounds; ++round) {
                odd += futex(words[i], FUTEX_LOCK_PI) == 0 ? 0 : 1;
                pthread_barrier_wait(&all);
                Word& next = words[(i + 1) % owners];
                if (futex(next, FUTEX_LOCK_PI) == 0) {
                    odd += futex(next, FUTEX_UNLOCK_PI) == 0 ? 0 : 1;
                } else {
                    (errno == EDEADLK ? refused : odd) += 1;
                }
                odd += futex(words[i], FUTEX_UNLOCK_PI) == 0 ? 0 : 1;
                pthread_barrier_wait(&all);
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    truth("one in each round", refused >= kRounds);
    equal("all else went well", odd, 0);
    for (const Word& word : words) {
        equal("free", word.load(), 0);
    }
}

void refuse_every_circle() {
    for (std::size_t owners = 2; owners <= kLongestCircle; ++owners) {
        close_a_circle(owners);
        race_in_a_circle(owners);
    }
}

// ---- Numbers that are used again ----

constexpr std::uint32_t kFewShares = 7;
constexpr std::uint32_t kManyShares = 999;

std::int32_t born_with(std::uint32_t shares) {
    sched_attr attr{};
    attr.fields = nexus_abi::kFieldShares;
    attr.shares = shares;
    return started("sleep", {.attributes = &attr});
}

// Setters that go on while the task they mean dies. What they say never reaches anybody else: not those who
// are born meanwhile, and not the one who gets the number in the end.
void change_the_dead() {
    constexpr int kDeaths = 20;
    constexpr std::size_t kSetters = 3;
    std::atomic<std::int32_t> victim{0};
    std::atomic<bool> is_over{false};
    std::atomic<int> odd{0};
    std::atomic<std::uint64_t> hits{0};
    std::vector<std::thread> setters;
    for (std::size_t i = 0; i < kSetters; ++i) {
        setters.emplace_back([&] {
            while (!is_over) {
                const std::int32_t pid = victim;
                const auto set = pid == 0 ? nexus_abi::Result<std::uint32_t>{nexus_abi::Error::NoProcess}
                                          : sched::set_shares(pid, kManyShares);
                hits += set.ok() ? 1 : 0;
                odd += set.ok() || set.error() == nexus_abi::Error::NoProcess ? 0 : 1;
                sched_yield();
            }
        });
    }
    for (int death = 0; death < kDeaths; ++death) {
        const std::int32_t dying = born_with(kFewShares);
        victim = dying;
        const std::uint64_t before = hits;
        while (hits == before) {
            sched_yield();
        }
        succeeds("SIGKILL", kill(dying, SIGKILL));
        const std::int32_t next = born_with(kFewShares);
        checks::is_killed("it obeys", dying, SIGKILL);
        const std::int32_t last = born_with(kFewShares);
        for (const std::int32_t other : {next, last}) {
            equal("another's shares", sched::get_attr(other).value_or({}).shares, kFewShares);
            succeeds("SIGKILL", kill(other, SIGKILL));
            checks::is_killed("it obeys", other, SIGKILL);
        }
        fails("the dead one", sched::set_shares(dying, kManyShares), ESRCH);
    }
    is_over = true;
    for (std::thread& thread : setters) {
        thread.join();
    }
    equal("set, or nobody there", odd, 0);
}

// Uses up numbers: a thread that cannot be told its own is never born.
void burn_numbers(int count) {
    constexpr unsigned long kThread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                                      CLONE_SYSVSEM | CLONE_PARENT_SETTID;
    alignas(16) static std::array<std::byte, 64> stack;
    int odd = 0;
    for (int i = 0; i < count; ++i) {
        const long result = syscall(SYS_clone, kThread, stack.end(), checks::bad_pointer<void>(), 0, 0);
        odd += result == -1 && errno == EFAULT ? 0 : 1;
    }
    equal("none is born", odd, 0);
}

// All numbers once round: the next one is that of a task that died, and was changed until just before.
void use_a_number_again() {
    if (!time_is_exact()) {
        return;  // it takes a while, and no second hart
    }
    const std::int32_t first = born_with(kManyShares);
    succeeds("a hint", sched::set_latency_hint(first, std::chrono::milliseconds{1}));
    succeeds("SIGKILL", kill(first, SIGKILL));
    checks::is_killed("it obeys", first, SIGKILL);
    constexpr int kNumbers = 32'768;
    constexpr int kLeft = 100;  // more than there are tasks: those have numbers that are passed over
    burn_numbers(kNumbers - kLeft);
    std::int32_t tid = 0;
    std::uint64_t answered = 0;
    while (tid != first - 1) {
        std::thread{[&tid] { tid = gettid(); }}.join();
        answered += sched::set_shares(first, kManyShares).ok() ? 1 : 0;
    }
    equal("nobody answers", static_cast<std::int64_t>(answered), 0);
    const std::int32_t second = born_with(kFewShares);
    equal("the number again", second, first);
    const sched_attr attr = sched::get_attr(second).value_or({});
    equal("its own shares", attr.shares, kFewShares);
    equal("no hint", static_cast<std::int64_t>(attr.latency_ns), 0);
    const auto stat = sched::get_stat(second).value_or({});
    truth("statistics from zero", stat.runtime_ns < 1'000'000'000 && stat.nr_latency_target_met == 0);
    succeeds("SIGKILL", kill(second, SIGKILL));
    checks::is_killed("it obeys", second, SIGKILL);
}

// ---- Who multiplies ----

std::uint64_t now_ns() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
}

// When everybody of a role ends: its second argument.
std::uint64_t end_ns = 0;

nexus_abi::Result<std::int32_t> start_until(const char* role, std::uint64_t end,
                                            nexus_abi::SpawnRequest request = {}) {
    const std::string text = std::to_string(end);
    const char* const arguments[]{checks::program, role, text.c_str(), nullptr};
    request.path = checks::program;
    request.argv = arguments;
    return nexus_abi::spawn(request);
}

void spin() {
    while (now_ns() < end_ns) {
    }
}

// A program of four, each with eight threads more.
void play_crowd() {
    for (int child = 0; child < 4; ++child) {
        succeeds("a child", start_until("litter", end_ns));
    }
    spin();
}

void play_litter() {
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back(spin);
    }
    spin();
    for (std::thread& thread : threads) {
        thread.join();
    }
}

// Eight lines of descent: everybody has one child and ends.
void play_chains() {
    for (int line = 0; line < 8; ++line) {
        succeeds("a child", start_until("link", end_ns));
    }
}

void play_link() {
    if (now_ns() < end_ns) {
        succeeds("a child", start_until("link", end_ns));
    }
}

// What an ordinary task keeps beside a program that multiplies there, in parts of ten thousand of the time
// that hart 0 charged to anybody.
std::int64_t part_beside(const char* role, bool has_ceiling, std::uint64_t window_ns) {
    sched_attr attr{};
    attr.fields = nexus_abi::kFieldAffinity | nexus_abi::kFieldClass | nexus_abi::kFieldShares;
    attr.affinity = 1;
    attr.qos_class = std::to_underlying(QosClass::Normal);
    attr.shares = nexus_abi::kSharesDefault;
    succeeds("an ordinary task", sched::set_attr(0, attr));
    sched_attr limits{};
    limits.fields = nexus_abi::kFieldGroup;
    limits.group = nexus_abi::kSharesDefault;
    constexpr std::uint64_t kWarmUp = 50'000'000;
    const std::uint64_t begin = now_ns() + kWarmUp;
    const std::uint64_t end = begin + window_ns;
    succeeds(role, start_until(role, end, {.limits = has_ceiling ? &limits : nullptr}));
    while (now_ns() < begin) {
    }
    const auto run = [] { return sched::get_stat(0).value_or({}).runtime_ns; };
    const auto charged = [] { return sched::hart_stat(0).value_or({}).busy_ns; };
    const std::uint64_t ran_before = run();
    const std::uint64_t charged_before = charged();
    while (now_ns() < end) {
    }
    const std::uint64_t ran = run() - ran_before;
    const std::uint64_t all = charged() - charged_before;
    int status = 0;
    while (wait(&status) > 0) {
        equal("all goes well with them", status, 0);
    }
    attr.affinity = ~std::uint64_t{0};
    succeeds("anywhere", sched::set_attr(0, attr));
    return static_cast<std::int64_t>(ran * 10'000 / all);
}

void keep_a_share_beside_crowds() {
    const std::uint64_t window = time_is_exact() ? 400'000'000 : 50'000'000;
    // Half, give or take a fiftieth of it: of a window three times as long two requests of 3 ms, one at each
    // end, are half of that.
    const std::uint64_t long_window = 3 * window;
    constexpr std::int64_t kLeast = 4900;
    constexpr std::int64_t kMost = 5100;
    constexpr std::string_view kAlwaysAtWork = "crowd";
    for (const char* const role : {"crowd", "chains"}) {
        const std::int64_t alone = part_beside(role, false, window);
        const std::int64_t beside = part_beside(role, true, long_window);
        if (!time_is_exact()) {
            continue;
        }
        std::printf("# beside %s: %lld of 10000, with a ceiling %lld\n", role, static_cast<long long>(alone),
                    static_cast<long long>(beside));
        truth("a ceiling keeps half for the other", beside >= kLeast);
        // Who has one child and ends is gone before half a request is over, which a newborn waits longer for
        // than others: its line does not take what it may.
        truth("and no more than half beside who always has work", role != kAlwaysAtWork || beside <= kMost);
        truth("the ceiling is what does", alone < beside);
    }
}

constexpr checks::Case kCases[]{
    {"refuse every circle", refuse_every_circle},
    {"change the dead", change_the_dead},
    {"use a number again", use_a_number_again},
    {"keep a share beside crowds", keep_a_share_beside_crowds},
};

constexpr checks::Role kRoles[]{
    {"crowd", play_crowd},
    {"litter", play_litter},
    {"chains", play_chains},
    {"link", play_link},
    {"sleep",
     [] {
         const timespec long_time{.tv_sec = 1000, .tv_nsec = 0};
         nanosleep(&long_time, nullptr);
     }},
};

}  // namespace

int main(int argc, char** argv) {
    end_ns = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
    return checks::run_with_roles(argc, argv, kCases, kRoles);
}
