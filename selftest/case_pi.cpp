// SPDX-License-Identifier: MIT
// Proves: who waits for a lock lends its class to the one that holds it. An Idle thread takes a mutex and
// works 2 ms under it while four Normal hogs keep the CPU busy; as soon as it holds the mutex an Interactive
// thread wants it. With an ordinary mutex the owner gets its Idle seventeenth of the CPU and the waiter waits
// for that; with PTHREAD_PRIO_INHERIT the owner runs as Interactive. The median wait must fall to a third.
#include <pthread.h>
#include <semaphore.h>

#include <chrono>
#include <thread>

#include "cases.hpp"
#include "console.hpp"
#include "fleet.hpp"
#include "judge_machine.hpp"
#include "nexus_abi/sched_calls.hpp"
#include "work.hpp"

namespace selftest {
namespace {

using namespace std::chrono_literals;
using nexus_abi::QosClass;

constexpr int kRounds = 3;
constexpr int kSectionUnits = 200;  // 2 ms

// Shared by the two threads; the semaphores order everything.
struct Contest {
    pthread_mutex_t lock{};
    sem_t held{};      // the owner has the lock
    sem_t finished{};  // the waiter had it
    std::uint64_t cpu_mask{0};
    std::vector<std::uint64_t> waits_ns;
    bool refused{false};
};

bool become(Contest& contest, QosClass qos_class) {
    const auto set =
        nexus_abi::sched::set_attr(nexus_abi::sched::kSelf, attributes(qos_class, 100, contest.cpu_mask));
    contest.refused = contest.refused || !set.ok();
    return set.ok();
}

void own(Contest& contest) {
    static_cast<void>(become(contest, QosClass::Idle));
    for (int round = 0; round < kRounds; ++round) {
        ::pthread_mutex_lock(&contest.lock);
        ::sem_post(&contest.held);
        for (int unit = 0; unit < kSectionUnits; ++unit) {
            user::burn_unit();
        }
        ::pthread_mutex_unlock(&contest.lock);
        ::sem_wait(&contest.finished);
    }
}

void want(Contest& contest) {
    static_cast<void>(become(contest, QosClass::Interactive));
    for (int round = 0; round < kRounds; ++round) {
        ::sem_wait(&contest.held);
        const user::Instant before = user::now();
        ::pthread_mutex_lock(&contest.lock);
        contest.waits_ns.push_back(static_cast<std::uint64_t>((user::now() - before).count()));
        ::pthread_mutex_unlock(&contest.lock);
        ::sem_post(&contest.finished);
    }
}

// Empty: there is no mutex of this kind, or a thread could not take its class.
std::vector<std::uint64_t> waits_with(const Machine& machine, int protocol) {
    Contest contest;
    contest.cpu_mask = machine.test_mask();
    pthread_mutexattr_t kind;
    ::pthread_mutexattr_init(&kind);
    const bool has_lock = ::pthread_mutexattr_setprotocol(&kind, protocol) == 0 &&
                          ::pthread_mutex_init(&contest.lock, &kind) == 0;
    ::pthread_mutexattr_destroy(&kind);
    if (!has_lock) {
        user::write_line(user::format("# pi: no mutex of protocol %d", protocol));
        return {};
    }
    ::sem_init(&contest.held, 0, 0);
    ::sem_init(&contest.finished, 0, 0);
    {
        std::thread owner{own, std::ref(contest)};
        std::thread waiter{want, std::ref(contest)};
        owner.join();
        waiter.join();
    }
    ::pthread_mutex_destroy(&contest.lock);
    return contest.refused ? std::vector<std::uint64_t>{} : contest.waits_ns;
}

}  // namespace

Result<Verdict> case_pi(const Machine& machine) {
    constexpr int kHogs = 4;
    Fleet hogs{machine};
    for (int i = 0; i < kHogs; ++i) {
        TRY(hogs.start({"hog"}, attributes(QosClass::Normal, 100, machine.test_mask())));
    }
    user::sleep_until(user::now() + 20ms);
    InheritanceFigures figures;
    figures.without_ns = waits_with(machine, PTHREAD_PRIO_NONE);
    figures.with_ns = waits_with(machine, PTHREAD_PRIO_INHERIT);
    return judge_inheritance(figures);
}

}  // namespace selftest
