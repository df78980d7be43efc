// SPDX-License-Identifier: MIT
// Proves: who waits for a lock lends its class to the one that holds it. An Idle thread takes a mutex and
// works 2 ms under it while four Normal hogs keep the CPU busy; as soon as it holds the mutex an Interactive
// thread wants it. With an ordinary mutex the owner gets its Idle seventeenth of the CPU and the waiter waits
// for that; with PTHREAD_PRIO_INHERIT the owner runs as Interactive. The median wait must fall to a third.
// And in one more round the owner waits until the other is blocked on the mutex, and looks: it must have the
// class Interactive then, and Idle again when it has given the mutex back. That holds whatever the host does.
#include <pthread.h>
#include <semaphore.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <thread>

#include "cases.hpp"
#include "console.hpp"
#include "fleet.hpp"
#include "judge_machine.hpp"
#include "nexus_abi/sched_calls.hpp"
#include "patience.hpp"
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
    bool looks{false};                    // one more round, in which the owner looks at its class
    std::atomic<std::int32_t> waiter{0};  // its tid
    std::atomic<bool> wanting{false};     // it is about to want the lock for the last time
    std::optional<QosClass> class_wanted;
    std::optional<QosClass> class_after;
    std::vector<std::uint64_t> waits_ns;
    bool refused{false};
};

bool become(Contest& contest, QosClass qos_class) {
    const auto set =
        nexus_abi::sched::set_attr(nexus_abi::sched::kSelf, attributes(qos_class, 100, contest.cpu_mask));
    contest.refused = contest.refused || !set.ok();
    return set.ok();
}

std::optional<QosClass> own_class() {
    const auto stat = nexus_abi::sched::get_stat(nexus_abi::sched::kSelf);
    return stat.ok() ? std::optional{static_cast<QosClass>(stat->effective_class)} : std::nullopt;
}

// Once it says that it wants the lock there is nothing else to be blocked on.
bool await_waiter(const Contest& contest) {
    for (Patience patience{user::now()}; patience.lasts();) {
        if (contest.wanting) {
            const auto stat = nexus_abi::sched::get_stat(contest.waiter);
            if (stat.ok() && stat->state == static_cast<std::uint32_t>(nexus_abi::TaskState::Blocked)) {
                return true;
            }
        }
        user::burn_unit();
    }
    return false;
}

void look_at_class(Contest& contest) {
    ::pthread_mutex_lock(&contest.lock);
    ::sem_post(&contest.held);
    const bool waits = await_waiter(contest);
    const std::optional<QosClass> wanted = own_class();
    ::pthread_mutex_unlock(&contest.lock);
    if (waits) {
        contest.class_after = own_class();
        contest.class_wanted = wanted;
    }
    ::sem_wait(&contest.finished);
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
    if (contest.looks) {
        look_at_class(contest);
    }
}

void want(Contest& contest) {
    static_cast<void>(become(contest, QosClass::Interactive));
    const auto tid = nexus_abi::call::gettid();
    contest.waiter = tid.ok() ? static_cast<std::int32_t>(*tid) : 0;
    for (int round = 0; round < kRounds; ++round) {
        ::sem_wait(&contest.held);
        const user::Instant before = user::now();
        ::pthread_mutex_lock(&contest.lock);
        contest.waits_ns.push_back(static_cast<std::uint64_t>((user::now() - before).count()));
        ::pthread_mutex_unlock(&contest.lock);
        ::sem_post(&contest.finished);
    }
    if (contest.looks) {
        ::sem_wait(&contest.held);
        contest.wanting = true;
        ::pthread_mutex_lock(&contest.lock);
        ::pthread_mutex_unlock(&contest.lock);
        ::sem_post(&contest.finished);
    }
}

// No waits: there is no mutex of this kind, or a thread could not take its class.
void hold(const Machine& machine, int protocol, Contest& contest) {
    contest.cpu_mask = machine.test_mask();
    pthread_mutexattr_t kind;
    ::pthread_mutexattr_init(&kind);
    const bool has_lock = ::pthread_mutexattr_setprotocol(&kind, protocol) == 0 &&
                          ::pthread_mutex_init(&contest.lock, &kind) == 0;
    ::pthread_mutexattr_destroy(&kind);
    if (!has_lock) {
        user::write_line(user::format("# pi: no mutex of protocol %d", protocol));
        return;
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
    if (contest.refused) {
        contest.waits_ns.clear();
    }
}

}  // namespace

Result<Verdict> case_pi(const Machine& machine) {
    constexpr int kHogs = 4;
    Fleet hogs{machine};
    for (int i = 0; i < kHogs; ++i) {
        TRY(hogs.start({"witness", std::to_string(machine.absence_ns())},
                       attributes(QosClass::Normal, 100, machine.test_mask())));
    }
    user::sleep_until(user::now() + 20ms);
    Contest without;
    hold(machine, PTHREAD_PRIO_NONE, without);
    Contest with;
    with.looks = true;
    hold(machine, PTHREAD_PRIO_INHERIT, with);
    return judge_inheritance({with.waits_ns, without.waits_ns, with.class_wanted, with.class_after});
}

}  // namespace selftest
