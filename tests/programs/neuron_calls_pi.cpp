// SPDX-License-Identifier: MIT
// Priority inversion: an Interactive thread waits for a lock that an Idle one holds, while Normal ones keep
// the only hart they all may use busy. What the waiter lends the owner through a PTHREAD_PRIO_INHERIT mutex
// bounds its wait by the owner's section; through a plain mutex it waits for the Normal ones' share as well.
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "neuron_checks.hpp"

namespace {

namespace sched = nexus_abi::sched;
using checks::equal;
using checks::succeeds;
using checks::truth;
using nexus_abi::QosClass;
using nexus_abi::TaskState;

constexpr std::uint64_t kSectionNs = 20'000'000;
constexpr std::size_t kHogs = 2;

std::uint64_t runtime_of(std::int32_t tid) {
    const auto stat = sched::get_stat(tid);
    return stat.ok() ? stat->runtime_ns : 0;
}

// Spins on the thread's own processor time. What it was charged from one look to the next is some
// microseconds, unless the machine below the kernel stood still meanwhile: then it was charged for nothing,
// and the times of two threads do not compare.
class Spin {
  public:
    void look() {
        const std::uint64_t now = runtime_of(0);
        longest_ = std::max(longest_, now - last_);
        last_ = now;
    }
    [[nodiscard]] std::uint64_t spent() const { return last_ - begin_; }
    [[nodiscard]] std::uint64_t longest() const { return longest_; }

  private:
    std::uint64_t begin_{runtime_of(0)};
    std::uint64_t last_{begin_};
    std::uint64_t longest_{0};
};
// What was charged for nothing counts, so the next ones catch up: one standstill more or less is what it may
// add to a thread. Bystanders get a quarter of the owner's 20 ms, and with this less than all of it.
constexpr double kLongestStandstillMs = 10;
constexpr int kAttempts = 5;

// Every thread of the inversion: on hart 0, in its class from its first useful step on.
void be(QosClass qos_class) {
    if (!sched::set_affinity(0, 1).ok() || !sched::set_qos_class(0, qos_class).ok()) {
        std::abort();
    }
}

struct Measured {
    double wait_ms{0};        // of the Interactive thread
    double owner_ms{0};       // what the owner ran meanwhile
    double bystanders_ms{0};  // what the Normal ones ran meanwhile
    QosClass owner_class{};   // the owner's effective class during the wait
    double standstill_ms{0};  // the longest that one of them was charged for nothing
};

Measured invert(int protocol) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setprotocol(&attributes, protocol);
    pthread_mutex_t mutex;
    equal("a mutex", pthread_mutex_init(&mutex, &attributes), 0);

    std::atomic<bool> is_over{false};
    std::atomic<std::size_t> ready{0};
    std::atomic<std::int32_t> owner_tid{0};
    std::atomic<std::int32_t> waiter_tid{0};
    std::vector<std::int32_t> hog_tids(kHogs);
    std::vector<std::thread> threads;
    std::atomic<std::uint64_t> standstill{0};
    const auto note_standstill = [&](const Spin& spin) {
        std::uint64_t known = standstill.load();
        while (known < spin.longest() && !standstill.compare_exchange_weak(known, spin.longest())) {
        }
    };
    // What ran by the end of the wait: read by the waiter itself.
    std::uint64_t owner_end = 0;
    std::uint64_t hogs_end = 0;
    std::uint64_t waited_ns = 0;
    Measured measured;

    // The owner takes the lock first, and has its section to do from then on.
    std::thread owner{[&] {
        pthread_mutex_lock(&mutex);
        be(QosClass::Idle);
        owner_tid = gettid();
        owner_tid.notify_all();
        while (waiter_tid.load() == 0) {
            waiter_tid.wait(0);
        }
        Spin spin;
        while (spin.spent() < kSectionNs) {
            spin.look();
        }
        note_standstill(spin);
        const auto classes = sched::get_qos_class(0);
        measured.owner_class = classes.value_or({}).effective;
        pthread_mutex_unlock(&mutex);
    }};
    while (owner_tid.load() == 0) {
        owner_tid.wait(0);
    }
    for (std::size_t index = 0; index < kHogs; ++index) {
        threads.emplace_back([&, index] {
            be(QosClass::Normal);
            hog_tids[index] = gettid();
            ++ready;
            ready.notify_all();
            Spin spin;
            while (!is_over.load()) {
                spin.look();
            }
            note_standstill(spin);
        });
    }
    for (std::size_t now = ready.load(); now < kHogs; now = ready.load()) {
        ready.wait(now);
    }
    std::uint64_t owner_begin = 0;
    std::uint64_t hogs_begin = 0;
    std::thread waiter{[&] {
        be(QosClass::Interactive);
        owner_begin = runtime_of(owner_tid);
        for (const std::int32_t tid : hog_tids) {
            hogs_begin += runtime_of(tid);
        }
        timespec before{};
        timespec after{};
        clock_gettime(CLOCK_MONOTONIC, &before);
        waiter_tid = gettid();
        waiter_tid.notify_all();
        pthread_mutex_lock(&mutex);
        clock_gettime(CLOCK_MONOTONIC, &after);
        owner_end = runtime_of(owner_tid);
        for (const std::int32_t tid : hog_tids) {
            hogs_end += runtime_of(tid);
        }
        pthread_mutex_unlock(&mutex);
        waited_ns = static_cast<std::uint64_t>((after.tv_sec - before.tv_sec) * 1'000'000'000 +
                                               after.tv_nsec - before.tv_nsec);
    }};
    waiter.join();
    is_over = true;
    owner.join();
    for (std::thread& thread : threads) {
        thread.join();
    }
    measured.wait_ms = static_cast<double>(waited_ns) / 1e6;
    measured.owner_ms = static_cast<double>(owner_end - owner_begin) / 1e6;
    measured.bystanders_ms = static_cast<double>(hogs_end - hogs_begin) / 1e6;
    measured.standstill_ms = static_cast<double>(standstill.load()) / 1e6;
    std::printf("# %s: waited %.1f ms, owner ran %.1f ms, bystanders %.1f ms; longest standstill %.1f ms\n",
                protocol == PTHREAD_PRIO_INHERIT ? "inherit" : "none", measured.wait_ms, measured.owner_ms,
                measured.bystanders_ms, measured.standstill_ms);
    return measured;
}

bool is_steady(const Measured& measured) {
    return measured.standstill_ms < kLongestStandstillMs;
}

// The first attempt on which the machine below did not stand still, or the last one.
Measured invert_steadily(int protocol) {
    Measured measured;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        measured = invert(protocol);
        if (is_steady(measured)) {
            return measured;
        }
    }
    checks::cannot_judge("the machine below the kernel stands still");
    return measured;
}

// Idle to Normal is 1 to 16, Interactive to Normal 64 to 16. Compared are the processor times of threads of
// one hart, so the bounds hold however fast the machine is; the owner's 20 ms are some ten requests of each
// class, so that a request more or less moves neither side over its bound.
void lend_to_the_owner() {
    const Measured with = invert_steadily(PTHREAD_PRIO_INHERIT);
    equal("the owner was Interactive", static_cast<int>(with.owner_class),
          static_cast<int>(QosClass::Interactive));
    truth("bystanders got less than the owner", !is_steady(with) || with.bystanders_ms < with.owner_ms);
    const Measured without = invert_steadily(PTHREAD_PRIO_NONE);
    equal("without, it was Idle", static_cast<int>(without.owner_class), static_cast<int>(QosClass::Idle));
    truth("and bystanders got several times as much",
          !is_steady(without) || without.bystanders_ms > 4 * without.owner_ms);
}

// The loan ends with the wait, and the owner is what it was.
void return_the_loan() {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    pthread_mutex_t mutex;
    equal("a mutex", pthread_mutex_init(&mutex, &attributes), 0);
    const auto effective = [] { return static_cast<int>(sched::get_qos_class(0).value_or({}).effective); };
    equal("lock", pthread_mutex_lock(&mutex), 0);
    equal("Normal at first", effective(), static_cast<int>(QosClass::Normal));
    std::thread waiter{[&] {
        if (!sched::set_qos_class(0, QosClass::Interactive).ok()) {
            std::abort();
        }
        pthread_mutex_lock(&mutex);
        pthread_mutex_unlock(&mutex);
    }};
    while (effective() == static_cast<int>(QosClass::Normal)) {
        sched_yield();
    }
    equal("Interactive while it is waited for", effective(), static_cast<int>(QosClass::Interactive));
    const auto stat = sched::get_stat(0);
    truth("the statistics say why", stat.ok() && (stat->flags & nexus_abi::kStatDonated) != 0);
    equal("unlock", pthread_mutex_unlock(&mutex), 0);
    equal("Normal again", effective(), static_cast<int>(QosClass::Normal));
    waiter.join();
    const auto after = sched::get_stat(0);
    truth("the statistics, too", after.ok() && (after->flags & nexus_abi::kStatDonated) == 0);

    // A waiter whose class is raised while it waits lends the higher class; when it gives up, nothing is
    // left.
    equal("lock", pthread_mutex_lock(&mutex), 0);
    std::atomic<std::int32_t> tid{0};
    std::thread patient{[&] {
        tid = gettid();
        pthread_mutex_lock(&mutex);
        pthread_mutex_unlock(&mutex);
    }};
    const auto* word = reinterpret_cast<const std::atomic<std::uint32_t>*>(&mutex);
    while ((word->load() >> 31) == 0) {
        sched_yield();
    }
    equal("a Normal one lends nothing new", effective(), static_cast<int>(QosClass::Normal));
    succeeds("raise it", sched::set_qos_class(tid, QosClass::Interactive));
    equal("it lends that", effective(), static_cast<int>(QosClass::Interactive));
    equal("unlock", pthread_mutex_unlock(&mutex), 0);
    patient.join();
}

constexpr checks::Case kCases[]{
    {"lend to the owner", lend_to_the_owner},
    {"return the loan", return_the_loan},
};

}  // namespace

int main(int argc, char** argv) {
    return checks::run_with_roles(argc, argv, kCases, {});
}
