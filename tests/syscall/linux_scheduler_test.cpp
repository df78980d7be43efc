// SPDX-License-Identifier: MIT
// Linux' scheduling calls: their errno in Linux' order, and what a program reads back of what it set.
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "fake_task.hpp"
#include "nexus_abi/linux.hpp"
#include "nexus_abi/sched.hpp"

namespace kernel {
namespace {

using fake::error;
using fake::kMemory;
using nexus_abi::Error;
using nexus_abi::linux_sched_attr;
using nexus_abi::QosClass;
using nexus_abi::Syscall;

constexpr std::uint64_t kNobody = 31000;
constexpr std::uint64_t kNegative = static_cast<std::uint64_t>(-1);
constexpr std::uint64_t kNowhere = 8;
constexpr std::uint64_t kAnswer = kMemory + 0x1000;
constexpr std::int32_t kOther = 0, kFifo = 1, kRoundRobin = 2, kBatch = 3, kIdle = 5;
constexpr std::int32_t kResetOnFork = 0x4000'0000;
constexpr std::uint64_t kFlagReset = 1, kFlagKeepPolicy = 8, kFlagKeepParams = 16;

class LinuxScheduler : public fake::SyscallTest {
  protected:
    LinuxScheduler() : SyscallTest{2} {
        for (std::size_t i = 0; i < 2; ++i) {
            task(i).entity.limits.class_ceiling = QosClass::PerfBurst;
        }
    }
    void drop_rights() { process().rights = 0; }
    std::int64_t set_policy(std::int32_t policy, std::int32_t priority, std::uint64_t tid = 0) {
        put(kMemory, priority);
        return call(Syscall::sched_setscheduler, tid, policy, kMemory).value_or(-9999);
    }
    std::int64_t set_priority(std::int32_t priority, std::uint64_t tid = 0) {
        put(kMemory, priority);
        return call(Syscall::sched_setparam, tid, kMemory).value_or(-9999);
    }
    std::int64_t policy_of(std::uint64_t tid = 0) {
        return call(Syscall::sched_getscheduler, tid).value_or(-9999);
    }
    std::int32_t priority_of(std::uint64_t tid = 0) {
        EXPECT_EQ(call(Syscall::sched_getparam, tid, kAnswer), 0);
        return get<std::int32_t>(kAnswer);
    }
    std::int64_t set_attr(linux_sched_attr attr, std::uint64_t tid = 0) {
        put(kMemory, attr);
        return call(Syscall::sched_setattr, tid, kMemory, 0).value_or(-9999);
    }
    linux_sched_attr attr_of(std::uint64_t tid = 0) {
        EXPECT_EQ(call(Syscall::sched_getattr, tid, kAnswer, sizeof(linux_sched_attr), 0), 0);
        return get<linux_sched_attr>(kAnswer);
    }
    static linux_sched_attr attr(std::int32_t policy) {
        linux_sched_attr made{};
        made.size = sizeof(made);
        made.policy = static_cast<std::uint32_t>(policy);
        return made;
    }
};

TEST_F(LinuxScheduler, EachPolicyIsAClassAndIsToldAgain) {
    for (const auto& [policy, qos_class] : {std::pair{kIdle, QosClass::Idle},
                                            {kOther, QosClass::Normal},
                                            {kBatch, QosClass::Normal},
                                            {kFifo, QosClass::PerfBurst},
                                            {kRoundRobin, QosClass::PerfBurst}}) {
        const std::int32_t priority = policy == kFifo || policy == kRoundRobin ? 7 : 0;
        EXPECT_EQ(set_policy(policy, priority), 0) << policy;
        EXPECT_EQ(task().entity.attributes.qos_class, qos_class) << policy;
        EXPECT_EQ(policy_of(), policy);
        EXPECT_EQ(priority_of(), priority);
        EXPECT_EQ(attr_of().policy, static_cast<std::uint32_t>(policy));
    }
    for (const std::int32_t policy : {4, 6, 7, -1}) {
        EXPECT_EQ(set_policy(policy, 0), error(Error::InvalidArgument)) << policy;
        EXPECT_EQ(call(Syscall::sched_get_priority_max, policy), error(Error::InvalidArgument)) << policy;
        EXPECT_EQ(call(Syscall::sched_get_priority_min, policy), error(Error::InvalidArgument)) << policy;
    }
    for (const std::int32_t policy : {kOther, kBatch, kIdle}) {
        EXPECT_EQ(call(Syscall::sched_get_priority_max, policy), 0);
        EXPECT_EQ(call(Syscall::sched_get_priority_min, policy), 0);
    }
    EXPECT_EQ(call(Syscall::sched_get_priority_max, kFifo), 99);
    EXPECT_EQ(call(Syscall::sched_get_priority_min, kFifo), 1);
}

TEST_F(LinuxScheduler, AClassChangedElsewhereShowsAsThePolicyNextToIt) {
    EXPECT_EQ(set_policy(kFifo, 7), 0);
    task().entity.attributes.qos_class = QosClass::Interactive;
    EXPECT_EQ(policy_of(), kOther);
    EXPECT_EQ(priority_of(), 0);
    task().entity.attributes.qos_class = QosClass::Idle;
    EXPECT_EQ(policy_of(), kIdle);
    task().entity.attributes.qos_class = QosClass::PerfBurst;
    EXPECT_EQ(policy_of(), kFifo);
    EXPECT_EQ(priority_of(), 7);
}

TEST_F(LinuxScheduler, PrioritiesStayInTheirPolicysRange) {
    for (const std::int32_t policy : {kFifo, kRoundRobin}) {
        EXPECT_EQ(set_policy(policy, 0), error(Error::InvalidArgument));
        EXPECT_EQ(set_policy(policy, 1), 0);
        EXPECT_EQ(set_policy(policy, 99), 0);
        EXPECT_EQ(set_policy(policy, 100), error(Error::InvalidArgument));
    }
    EXPECT_EQ(set_priority(0), error(Error::InvalidArgument));
    EXPECT_EQ(set_priority(12), 0);
    EXPECT_EQ(priority_of(), 12);
    EXPECT_EQ(policy_of(), kRoundRobin) << "the policy stays";
    for (const std::int32_t policy : {kOther, kBatch, kIdle}) {
        EXPECT_EQ(set_policy(policy, 1), error(Error::InvalidArgument));
        EXPECT_EQ(set_policy(policy, -1), error(Error::InvalidArgument));
        EXPECT_EQ(set_policy(policy, 0), 0);
    }
    EXPECT_EQ(set_priority(1), error(Error::InvalidArgument));
    EXPECT_EQ(set_priority(0), 0);
}

TEST_F(LinuxScheduler, ErrorsComeInLinuxOrder) {
    EXPECT_EQ(call(Syscall::sched_setscheduler, kNobody, kOther, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_setscheduler, kNobody, kOther, kNowhere), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::sched_setscheduler, kNobody, 4, kNowhere), error(Error::InvalidArgument));
    EXPECT_EQ(set_policy(kFifo, 0, kNobody), error(Error::InvalidArgument));
    EXPECT_EQ(set_policy(kOther, 0, kNobody), error(Error::NoProcess));
    EXPECT_EQ(set_policy(kOther, 0, kNegative), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_setparam, 0, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_setparam, 0, kNowhere), error(Error::BadAddress));
    EXPECT_EQ(set_priority(0, kNobody), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::sched_getscheduler, kNobody), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::sched_getparam, 0, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_getparam, kNobody, kAnswer), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::sched_getparam, 0, kNowhere), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::sched_rr_get_interval, kNobody, kAnswer), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::sched_rr_get_interval, 0, kNowhere), error(Error::BadAddress));
}

TEST_F(LinuxScheduler, WithoutTheRightAPolicyIsOnlyLowered) {
    EXPECT_EQ(set_policy(kFifo | kResetOnFork, 50), 0);
    drop_rights();
    EXPECT_EQ(set_policy(kRoundRobin | kResetOnFork, 50), error(Error::NotPermitted)) << "another one";
    EXPECT_EQ(set_policy(kFifo | kResetOnFork, 51), error(Error::NotPermitted)) << "higher";
    EXPECT_EQ(set_policy(kFifo, 50), error(Error::NotPermitted)) << "children would keep it";
    EXPECT_EQ(set_policy(kFifo | kResetOnFork, 50), 0);
    EXPECT_EQ(set_priority(49), 0);
    EXPECT_EQ(set_priority(50), error(Error::NotPermitted));
    EXPECT_EQ(policy_of(), kFifo | kResetOnFork);
    EXPECT_EQ(set_policy(kOther | kResetOnFork, 0), 0);
    EXPECT_EQ(set_policy(kFifo | kResetOnFork, 1), error(Error::NotPermitted));
    EXPECT_EQ(set_policy(kOther | kResetOnFork, 0), 0) << "nothing changes";
}

TEST_F(LinuxScheduler, AClassThatStaysMayBeAboveACeilingThatCameDown) {
    EXPECT_EQ(set_policy(kFifo, 50), 0);
    drop_rights();
    task().entity.limits.class_ceiling = QosClass::Normal;
    EXPECT_EQ(set_priority(40), 0);
    EXPECT_EQ(priority_of(), 40);
}

TEST_F(LinuxScheduler, ResetOnForkIsAFlagOfTheTask) {
    task().entity.attributes.flags = nexus_abi::kAttrInheritBudget;
    EXPECT_EQ(set_policy(kBatch | kResetOnFork, 0), 0);
    EXPECT_EQ(task().entity.attributes.flags, nexus_abi::kAttrResetOnSpawn | nexus_abi::kAttrInheritBudget);
    EXPECT_TRUE(task().linux_policy.load().resets_on_fork);
    EXPECT_EQ(policy_of(), kBatch | kResetOnFork);
    EXPECT_EQ(attr_of().flags, kFlagReset);
    EXPECT_EQ(set_priority(0), 0);
    EXPECT_EQ(policy_of(), kBatch | kResetOnFork) << "a priority changes nothing else";
    EXPECT_EQ(set_policy(kBatch, 0), 0);
    EXPECT_EQ(task().entity.attributes.flags, nexus_abi::kAttrInheritBudget);
    EXPECT_EQ(attr_of().flags, 0U);
    EXPECT_FALSE(task().linux_policy.load().resets_on_fork);
}

TEST_F(LinuxScheduler, AttributesGoInAndComeOut) {
    linux_sched_attr wanted = attr(kBatch);
    wanted.nice = 5;
    wanted.runtime_ns = 7'000'000;
    wanted.flags = kFlagReset;
    EXPECT_EQ(set_attr(wanted), 0);
    EXPECT_EQ(task().entity.attributes.shares, 33U);
    EXPECT_EQ(task().entity.attributes.latency, Duration::milliseconds(7));
    linux_sched_attr now = attr_of();
    EXPECT_EQ(now.size, sizeof(now));
    EXPECT_EQ(now.policy, 3U);
    EXPECT_EQ(now.nice, 5);
    EXPECT_EQ(now.priority, 0U);
    EXPECT_EQ(now.runtime_ns, 7'000'000U);
    EXPECT_EQ(now.flags, kFlagReset);
    wanted.runtime_ns = 0;
    EXPECT_EQ(set_attr(wanted), 0);
    EXPECT_TRUE(task().entity.attributes.latency.is_zero());
    EXPECT_EQ(attr_of().runtime_ns, 3'000'000U) << "the class's own";
    for (const auto& [asked, given] :
         {std::pair{1ULL, 100'000}, {100'000ULL, 100'000}, {200'000'000ULL, 100'000'000}}) {
        wanted.runtime_ns = asked;
        EXPECT_EQ(set_attr(wanted), 0);
        EXPECT_EQ(task().entity.attributes.latency.ns(), given);
    }
    for (const auto& [asked, given] : {std::pair{-100, -20}, {100, 19}, {19, 19}, {-20, -20}}) {
        wanted.nice = asked;
        EXPECT_EQ(set_attr(wanted), 0);
        EXPECT_EQ(attr_of().nice, given);
    }
    linux_sched_attr idle = attr(kIdle);
    idle.nice = 5;
    idle.runtime_ns = 2'000'000;
    EXPECT_EQ(set_attr(idle), 0);
    EXPECT_EQ(task().entity.attributes.shares, 33U);
    EXPECT_EQ(task().entity.attributes.latency, Duration::milliseconds(100))
        << "idle tasks have no slice to set";
    linux_sched_attr realtime = attr(kFifo);
    realtime.priority = 30;
    realtime.nice = 7;
    realtime.runtime_ns = 5'000'000;
    EXPECT_EQ(set_attr(realtime), 0);
    EXPECT_EQ(task().entity.attributes.shares, 33U) << "neither nice";
    EXPECT_EQ(task().entity.attributes.latency, Duration::milliseconds(100)) << "nor slice";
    now = attr_of();
    EXPECT_EQ(now.priority, 30U);
    EXPECT_EQ(now.nice, 0);
    EXPECT_EQ(now.runtime_ns, 0U);
    EXPECT_EQ(call(Syscall::getpriority, 0, 0), 15) << "nice is kept for the next fair policy";
}

TEST_F(LinuxScheduler, WhatIsKeptIsKept) {
    linux_sched_attr wanted = attr(kFifo);
    wanted.priority = 30;
    EXPECT_EQ(set_attr(wanted), 0);
    wanted = attr(kOther);
    wanted.flags = kFlagKeepPolicy;
    wanted.priority = 20;
    EXPECT_EQ(set_attr(wanted), 0);
    EXPECT_EQ(policy_of(), kFifo);
    EXPECT_EQ(priority_of(), 20);
    wanted.flags = kFlagKeepPolicy | kFlagKeepParams;
    wanted.priority = 10;
    wanted.policy = 99;
    EXPECT_EQ(set_attr(wanted), 0) << "not looked at";
    EXPECT_EQ(priority_of(), 20);
    wanted = attr(kRoundRobin);
    wanted.flags = kFlagKeepParams;
    EXPECT_EQ(set_attr(wanted), 0);
    EXPECT_EQ(policy_of(), kRoundRobin);
    EXPECT_EQ(priority_of(), 20);
    EXPECT_EQ(set_policy(kOther, 0), 0);
    wanted = attr(kBatch);
    wanted.nice = 4;
    wanted.runtime_ns = 1'000'000;
    wanted.flags = kFlagKeepParams;
    EXPECT_EQ(set_attr(wanted), 0);
    EXPECT_EQ(policy_of(), kBatch);
    EXPECT_EQ(task().entity.attributes.shares, 100U);
    EXPECT_TRUE(task().entity.attributes.latency.is_zero());
}

TEST_F(LinuxScheduler, AttributesAreCheckedInLinuxOrder) {
    EXPECT_EQ(call(Syscall::sched_setattr, 0, 0, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_setattr, 0, kNowhere, 1), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_setattr, kNegative, kNowhere, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sched_setattr, 0, kNowhere, 0), error(Error::BadAddress));
    linux_sched_attr wanted = attr(kBatch);
    for (const std::uint32_t size : {1U, 47U, 4097U, ~0U}) {
        wanted.size = size;
        EXPECT_EQ(set_attr(wanted, kNobody), error(Error::TooBig)) << size;
        EXPECT_EQ(get<std::uint32_t>(kMemory), sizeof(wanted)) << "the kernel's size is written back";
    }
    for (const std::uint32_t size : {0U, 48U, 56U, 64U, 4096U}) {
        wanted.size = size;
        EXPECT_EQ(set_attr(wanted), 0) << size;
    }
    EXPECT_EQ(policy_of(), kBatch);
    wanted.size = sizeof(wanted) + 8;
    put(kMemory + sizeof(wanted) + 7, std::uint8_t{1});
    EXPECT_EQ(set_attr(wanted), error(Error::TooBig)) << "something unknown is set";
    wanted = attr(kBatch);
    EXPECT_EQ(set_attr(wanted, kNobody), error(Error::NoProcess));
    wanted.flags = 2;
    EXPECT_EQ(set_attr(wanted, kNobody), error(Error::InvalidArgument));
    wanted = attr(6);
    EXPECT_EQ(set_attr(wanted), error(Error::InvalidArgument)) << "SCHED_DEADLINE";
    wanted = attr(kFifo);
    for (const std::uint32_t priority : {0U, 100U, 0x8000'0001U, ~0U}) {
        wanted.priority = priority;
        EXPECT_EQ(set_attr(wanted), error(Error::InvalidArgument)) << priority;
    }
    const auto read = [&](std::uint64_t tid, std::uint64_t to, std::uint64_t size, std::uint64_t flags) {
        return call(Syscall::sched_getattr, tid, to, size, flags);
    };
    EXPECT_EQ(read(0, 0, 56, 0), error(Error::InvalidArgument));
    EXPECT_EQ(read(0, kNowhere, 56, 0), error(Error::BadAddress));
    EXPECT_EQ(read(0, kAnswer, 56, 1), error(Error::InvalidArgument));
    EXPECT_EQ(read(0, kAnswer, 47, 0), error(Error::InvalidArgument));
    EXPECT_EQ(read(0, kAnswer, 4097, 0), error(Error::InvalidArgument));
    EXPECT_EQ(read(kNegative, kAnswer, 56, 0), error(Error::InvalidArgument));
    EXPECT_EQ(read(kNobody, kAnswer, 56, 0), error(Error::NoProcess));
    put(kAnswer + 48, std::uint64_t{0x5555});
    EXPECT_EQ(read(0, kAnswer, 48, 0), 0);
    EXPECT_EQ(get<std::uint32_t>(kAnswer), 48U);
    EXPECT_EQ(get<std::uint64_t>(kAnswer + 48), 0x5555U) << "no more than was asked for";
    EXPECT_EQ(read(0, kAnswer, 4096, 0), 0);
    EXPECT_EQ(get<std::uint32_t>(kAnswer), sizeof(linux_sched_attr));
}

TEST_F(LinuxScheduler, TheIntervalIsTheClassesRequest) {
    for (const auto& [policy, ns] : {std::pair{kIdle, 6'000'000}, {kOther, 3'000'000}, {kFifo, 2'000'000}}) {
        EXPECT_EQ(set_policy(policy, policy == kFifo ? 1 : 0), 0);
        EXPECT_EQ(call(Syscall::sched_rr_get_interval, 0, kAnswer), 0);
        EXPECT_EQ(get<nexus_abi::timespec>(kAnswer).nanoseconds, ns);
        EXPECT_EQ(get<nexus_abi::timespec>(kAnswer).seconds, 0);
    }
}

TEST_F(LinuxScheduler, MasksAreReadAndWrittenInTheirLength) {
    EXPECT_EQ(call(Syscall::sched_setaffinity, 0, 8, kNowhere), error(Error::BadAddress));
    put(kMemory, std::uint64_t{1});
    EXPECT_EQ(call(Syscall::sched_setaffinity, kNobody, 8, kMemory), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::sched_setaffinity, 0, 128, kMemory), 0) << "we know 64 bits of it";
    EXPECT_EQ(task().entity.attributes.affinity.bits(), 1U);
    EXPECT_EQ(call(Syscall::sched_setaffinity, 0, 0, kMemory), error(Error::InvalidArgument)) << "no CPU";
    for (const std::uint64_t size : {0, 4, 12}) {
        EXPECT_EQ(call(Syscall::sched_getaffinity, 0, size, kAnswer), error(Error::InvalidArgument)) << size;
    }
    put(kAnswer, ~std::uint64_t{0});
    put(kAnswer + 8, ~std::uint64_t{0});
    EXPECT_EQ(call(Syscall::sched_getaffinity, 0, 16, kAnswer), 8);
    EXPECT_EQ(get<std::uint64_t>(kAnswer), 1U);
    EXPECT_EQ(get<std::uint64_t>(kAnswer + 8), ~std::uint64_t{0}) << "as many bytes as it says";
    EXPECT_EQ(call(Syscall::sched_getaffinity, 0, 8, kAnswer), 8);
    EXPECT_EQ(call(Syscall::sched_getaffinity, kNobody, 8, kAnswer), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::sched_getaffinity, 0, 8, kNowhere), error(Error::BadAddress));
}

TEST_F(LinuxScheduler, NiceOfOneThread) {
    EXPECT_EQ(call(Syscall::setpriority, 0, kNobody, 5), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::getpriority, 0, kNobody), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::getpriority, 3, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::setpriority, 0, task(1).tid().value(), 5), 0);
    EXPECT_EQ(call(Syscall::getpriority, 0, 0), 20);
    EXPECT_EQ(call(Syscall::getpriority, 0, task(1).tid().value()), 15);
    drop_rights();
    task().entity.limits.shares_ceiling = 50;
    EXPECT_EQ(call(Syscall::setpriority, 0, 0, 0), error(Error::AccessDenied)) << "above its ceiling";
    EXPECT_EQ(call(Syscall::getpriority, 0, 0), 20) << "and it stays";
    EXPECT_EQ(call(Syscall::setpriority, 0, 0, 10), 0);
    const std::uint64_t stranger = add_process(false).tid().value();
    EXPECT_EQ(call(Syscall::setpriority, 0, stranger, 5), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::getpriority, 0, stranger), error(Error::NotPermitted));
}

TEST_F(LinuxScheduler, NiceOfAUser) {
    constexpr std::uint64_t kUser = 2;
    process().identity.user.real.store(1000);
    task::Task& child = add_process(true);
    child.process().identity.user.real.store(1001);
    task::Task& stranger = add_process(false);
    stranger.process().identity.user.real.store(1001);
    EXPECT_EQ(call(Syscall::setpriority, kUser, 1001, 5), 0);
    EXPECT_EQ(child.linux_policy.load().nice, 5);
    EXPECT_EQ(stranger.linux_policy.load().nice, 5);
    EXPECT_EQ(task().linux_policy.load().nice, 0);
    EXPECT_EQ(call(Syscall::setpriority, kUser, 0, 7), 0) << "0: the caller's";
    EXPECT_EQ(task(0).linux_policy.load().nice, 7);
    EXPECT_EQ(task(1).linux_policy.load().nice, 7);
    EXPECT_EQ(child.linux_policy.load().nice, 5);
    EXPECT_EQ(call(Syscall::setpriority, 0, task(1).tid().value(), 3), 0);
    EXPECT_EQ(call(Syscall::getpriority, kUser, 1000), 17) << "the most urgent one's";
    EXPECT_EQ(call(Syscall::getpriority, kUser, 77), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::setpriority, kUser, 77, 1), error(Error::NoProcess));
    drop_rights();
    EXPECT_EQ(call(Syscall::setpriority, kUser, 1001, 9), error(Error::NotPermitted));
    EXPECT_EQ(child.linux_policy.load().nice, 9) << "those that it may are changed";
    EXPECT_EQ(stranger.linux_policy.load().nice, 5);
    EXPECT_EQ(call(Syscall::getpriority, kUser, 1001), 11) << "of those it may see";
    child.process().identity.user.real.store(1002);
    EXPECT_EQ(call(Syscall::getpriority, kUser, 1001), error(Error::NotPermitted));
    child.entity.limits.shares_ceiling = 10;
    EXPECT_EQ(call(Syscall::setpriority, kUser, 1002, 0), error(Error::AccessDenied));
    stranger.run_state.store(task::RunState::Dead);
    EXPECT_EQ(call(Syscall::getpriority, kUser, 1001), error(Error::NoProcess)) << "an ended one is nobody";
}

TEST_F(LinuxScheduler, NiceOfManyIsDoneInSteps) {
    constexpr std::uint64_t kUser = 2;
    std::vector<task::Task*> others;
    for (int i = 0; i < 20; ++i) {
        others.push_back(&add_process(true));
        others.back()->process().identity.user.real.store(5);
    }
    EXPECT_EQ(call(Syscall::setpriority, kUser, 5, 4), 0);
    EXPECT_EQ(pieces(), 2U) << "16 threads a step";
    for (const task::Task* other : others) {
        EXPECT_EQ(other->linux_policy.load().nice, 4);
    }
    EXPECT_EQ(task().linux_policy.load().nice, 0);
    others.back()->linux_policy.store({.policy = 0, .priority = 0, .nice = -3, .resets_on_fork = false});
    EXPECT_EQ(call(Syscall::getpriority, kUser, 5), 23);
}

TEST_F(LinuxScheduler, TheCpuIsTold) {
    put(kAnswer, ~std::uint64_t{0});
    EXPECT_EQ(call(Syscall::getcpu, kAnswer, kAnswer + 4, 0), 0);
    EXPECT_EQ(get<std::uint64_t>(kAnswer), 0U);
    put(kAnswer, ~std::uint64_t{0});
    EXPECT_EQ(call(Syscall::getcpu, kAnswer, 0, 0), 0);
    EXPECT_EQ(get<std::uint64_t>(kAnswer), 0xffff'ffff'0000'0000U);
    EXPECT_EQ(call(Syscall::getcpu, 0, 0, 0), 0);
    EXPECT_EQ(call(Syscall::getcpu, kNowhere, 0, 0), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::getcpu, 0, kNowhere, 0), error(Error::BadAddress));
}

}  // namespace
}  // namespace kernel
