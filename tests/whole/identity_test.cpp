// SPDX-License-Identifier: MIT
// What a process is, may do and asks about: ids, rights, limits, names, locks of the machine, the audit.
#include <array>
#include <limits>
#include <string_view>

#include "nexus_abi/audit.hpp"
#include "nexus_abi/linux.hpp"
#include "nexus_abi/system.hpp"
#include "world.hpp"

namespace kernel::whole {
namespace {

constexpr std::uint64_t kKeep = ~std::uint64_t{0};
constexpr std::uint64_t kBadAddress = 0x10;
constexpr std::uint64_t kOut = kMemory + 0x2000;

class Identity : public WholeKernelTest {
  protected:
    // Real, effective and saved user id.
    std::array<std::uint32_t, 3> user_ids() {
        EXPECT_EQ(call(Syscall::getresuid, kOut, kOut + 4, kOut + 8), 0);
        return get<std::array<std::uint32_t, 3>>(kOut);
    }
};

TEST_F(Identity, UserIdsAreLabelsThatFollowTheRules) {
    EXPECT_EQ(user_ids(), (std::array{0U, 0U, 0U}));
    EXPECT_EQ(call(Syscall::setresuid, 10, 20, 30), 0);
    EXPECT_EQ(user_ids(), (std::array{10U, 20U, 30U}));
    EXPECT_EQ(call(Syscall::getuid), 10);
    EXPECT_EQ(call(Syscall::geteuid), 20);
    EXPECT_EQ(call(Syscall::setresuid, kKeep, 99, kKeep), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::setresuid, 30, kKeep, 10), 0) << "ids it has";
    EXPECT_EQ(user_ids(), (std::array{30U, 20U, 10U}));
    EXPECT_EQ(call(Syscall::setuid, 20), error(Error::NotPermitted)) << "neither real nor saved";
    EXPECT_EQ(call(Syscall::setuid, 10), 0);
    EXPECT_EQ(user_ids(), (std::array{30U, 10U, 10U}));
    EXPECT_EQ(call(Syscall::setuid, kKeep), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::setreuid, 99, kKeep), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::setreuid, kKeep, 99), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::setreuid, 10, 30), 0);
    EXPECT_EQ(user_ids(), (std::array{10U, 30U, 30U})) << "the saved id follows";
    EXPECT_EQ(call(Syscall::setfsuid, 5), 30);
    EXPECT_EQ(call(Syscall::setgroups, 0, 0), error(Error::NotPermitted)) << "no longer root";
    EXPECT_EQ(call(Syscall::getresuid, kBadAddress, kOut, kOut), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::getresuid, kOut, kBadAddress, kOut), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::getresuid, kOut, kOut, kBadAddress), error(Error::BadAddress));
}

TEST_F(Identity, RootSetsAllThree) {
    EXPECT_EQ(call(Syscall::setreuid, kKeep, 7), 0);
    EXPECT_EQ(user_ids(), (std::array{0U, 7U, 7U}));
    EXPECT_EQ(call(Syscall::setreuid, kKeep, 0), 0) << "its real id";
    EXPECT_EQ(call(Syscall::setuid, 8), 0);
    EXPECT_EQ(user_ids(), (std::array{8U, 8U, 8U}));
}

TEST_F(Identity, GroupsLikewise) {
    EXPECT_EQ(call(Syscall::setregid, 5, 6), 0);
    EXPECT_EQ(call(Syscall::getgid), 5);
    EXPECT_EQ(call(Syscall::getegid), 6);
    EXPECT_EQ(call(Syscall::setresgid, 1, 2, 3), 0);
    EXPECT_EQ(call(Syscall::getresgid, kOut, kOut + 4, kOut + 8), 0);
    EXPECT_EQ(get<std::uint32_t>(kOut + 8), 3U);
    EXPECT_EQ(call(Syscall::setgid, 4), 0);
    EXPECT_EQ(call(Syscall::setfsgid, 9), 4);
    put(kOut, std::array{100U, 200U, 300U});
    EXPECT_EQ(call(Syscall::setgroups, 3, kOut), 0);
    EXPECT_EQ(call(Syscall::getgroups, 0, 0), 3);
    EXPECT_EQ(call(Syscall::getgroups, 2, kOut), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::getgroups, kKeep, kOut), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::getgroups, 3, kBadAddress), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::getgroups, 10, kOut + 64), 3);
    EXPECT_EQ(get<std::uint32_t>(kOut + 64 + 8), 300U);
    EXPECT_EQ(call(Syscall::setgroups, 33, kOut), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::setgroups, 2, kBadAddress), error(Error::BadAddress));
    task::Task& child = fork();
    EXPECT_EQ(call_as(child, Syscall::getgroups, 0, 0), 3) << "children have them, too";
    EXPECT_EQ(call_as(child, Syscall::getgid), 4);
}

TEST_F(Identity, NamesAreCutWhereLinuxCuts) {
    constexpr std::uint64_t kSetName = 15;
    constexpr std::uint64_t kGetName = 16;
    EXPECT_EQ(call(Syscall::prctl, kSetName, put_text(kMemory, "a name longer than fifteen"), 0, 0, 0), 0);
    EXPECT_EQ(call(Syscall::prctl, kGetName, kOut, 0, 0, 0), 0);
    EXPECT_EQ(get_text(kOut, 16), (std::string{"a name longer t\0", 16}));
    EXPECT_EQ(call(Syscall::prctl, kSetName, kBadAddress, 0, 0, 0), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::prctl, 9999, 0, 0, 0, 0), error(Error::InvalidArgument));
}

TEST_F(Identity, LimitsAreKeptAndInherited) {
    constexpr std::uint64_t kStack = 3;
    constexpr std::uint64_t kFiles = 7;
    put(kOut, nexus_abi::rlimit64{.current = 20, .maximum = 30});
    EXPECT_EQ(call(Syscall::prlimit64, 0, kFiles, kOut, kOut + 64), 0);
    EXPECT_EQ(get<nexus_abi::rlimit64>(kOut + 64).current, 256U);
    EXPECT_EQ(call(Syscall::dup3, 0, 20, 0), error(Error::BadDescriptor)) << "at the limit";
    EXPECT_EQ(call(Syscall::dup3, 0, 19, 0), 19);
    task::Task& child = fork();
    EXPECT_EQ(call_as(child, Syscall::prlimit64, 0, kFiles, 0, kOut), 0);
    EXPECT_EQ(get_as<nexus_abi::rlimit64>(child, kOut).maximum, 30U);
    put(kOut, nexus_abi::rlimit64{.current = 20, .maximum = 31});
    EXPECT_EQ(call(Syscall::prlimit64, 0, kFiles, kOut, 0), error(Error::NotPermitted));
    put(kOut, nexus_abi::rlimit64{.current = 4096, .maximum = 8 << 20});
    EXPECT_EQ(call(Syscall::prlimit64, 0, kStack, kOut, 0), error(Error::NotPermitted)) << "too little";
    EXPECT_EQ(call(Syscall::prlimit64, 0, kFiles, kBadAddress, 0), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::prlimit64, 9999, kFiles, 0, kOut), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::prlimit64, 0, 16, 0, kOut), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::prlimit64, 0, kFiles, 0, kBadAddress), error(Error::BadAddress));
}

TEST_F(Identity, RightsOnlyShrink) {
    using nexus_abi::kRightPower;
    using nexus_abi::kRightsAll;
    using nexus_abi::kRightSchedInspect;
    EXPECT_EQ(call(Syscall::nexus_limit_rights, 1 << 20), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::nexus_limit_rights, kRightSchedInspect | kRightPower), 6);
    EXPECT_EQ(call(Syscall::nexus_limit_rights, kRightsAll), 6);
    EXPECT_EQ(call(Syscall::nexus_task_serial, 1) > 0, true) << "it may look at others";
    EXPECT_EQ(call(Syscall::nexus_task_serial, 9999), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::sched_set_shares, 1, 5), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::nexus_limit_rights, 0), 0);
    EXPECT_EQ(call(Syscall::nexus_task_serial, 1), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::nexus_task_serial, 0) > 0, true);
    EXPECT_EQ(call(Syscall::nexus_audit_read, kOut, 1, kOut + 64), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::nexus_sched_lock, 0), 0) << "to ask is free";
    EXPECT_EQ(call(Syscall::nexus_sched_lock, 1), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::nexus_sched_lock, 1 << 9), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::reboot, 0xfee1'dead, 672274793, 0x4321'fedc, 0), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::nexus_cpu_set_online, 1, 0), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::syslog, 8, 0, 4), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::sched_reserve_budget, 0, 1000, 10'000, kOut), error(Error::NotPermitted));
}

// Every refusal leaves a record that says who, what and whom.
TEST_F(Identity, TheAuditTellsWhoWasDenied) {
    task::Task& child = fork();
    EXPECT_EQ(call_as(child, Syscall::nexus_limit_rights, 0), 0);
    put(kOut, std::numeric_limits<std::uint64_t>::max());
    EXPECT_EQ(call(Syscall::nexus_audit_read, kOut + 64, 4, kOut), 0) << "from the end on";
    const auto position = get<std::uint64_t>(kOut);
    EXPECT_EQ(call_as(child, Syscall::sched_set_shares, 1, 5), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::sched_set_shares, child.tid().value(), 5000), 1000);
    EXPECT_GE(call(Syscall::nexus_audit_read, kOut + 64, 4, kOut), 2);
    EXPECT_GE(get<std::uint64_t>(kOut), position + 2);
    const auto denied = get<nexus_abi::audit_record>(kOut + 64);
    EXPECT_EQ(denied.what, static_cast<std::uint16_t>(nexus_abi::AuditWhat::Denied));
    EXPECT_EQ(denied.caller, child.tid().value());
    EXPECT_EQ(denied.target, 1U);
    EXPECT_EQ(denied.call, static_cast<std::uint32_t>(Syscall::sched_set_shares));
    EXPECT_EQ(denied.result, -1);
    EXPECT_EQ(call(Syscall::nexus_audit_read, kOut, 4, kBadAddress), error(Error::BadAddress));
    put(kOut, std::uint64_t{0});
    EXPECT_EQ(call(Syscall::nexus_audit_read, kBadAddress, 4, kOut), error(Error::BadAddress));
}

TEST_F(Identity, TheMachineTellsAboutItself) {
    EXPECT_EQ(call(Syscall::uname, kOut), 0);
    EXPECT_EQ(std::string{get<nexus_abi::utsname>(kOut).machine}, "riscv64");
    EXPECT_EQ(call(Syscall::uname, kBadAddress), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::sysinfo, kOut), 0);
    EXPECT_EQ(get<nexus_abi::sysinfo_t>(kOut).processes, 2U);
    EXPECT_EQ(call(Syscall::nexus_abi_info, kOut, sizeof(nexus_abi::abi_info)), 0);
    const auto info = get<nexus_abi::abi_info>(kOut);
    EXPECT_EQ(info.cpus_online, 3U);
    EXPECT_EQ(info.timebase_hz, 10'000'000U);
    EXPECT_EQ(call(Syscall::nexus_abi_info, kOut, 1), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::getcpu, kOut, kOut + 4, 0), 0);
    EXPECT_LT(get<std::uint32_t>(kOut), kHarts);
    EXPECT_EQ(call(Syscall::getcpu, kBadAddress, 0, 0), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::umask, 077), 022);
    EXPECT_EQ(call(Syscall::umask, 022), 077);
    EXPECT_EQ(call(Syscall::getrandom, kOut, 64, 0), 64);
    EXPECT_NE(get<std::uint64_t>(kOut), get<std::uint64_t>(kOut + 8));
    EXPECT_EQ(call(Syscall::getrandom, kBadAddress, 64, 0), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::getrandom, kOut, 64, 0x80), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::riscv_flush_icache, kText, kText + 64, 0), 0);
    EXPECT_EQ(call(Syscall::reboot, 1, 2, 0x4321'fedc, 0), error(Error::InvalidArgument)) << "magic numbers";
    EXPECT_EQ(call(Syscall::reboot, 0xfee1'dead, 672274793, 77, 0), error(Error::InvalidArgument));
}

TEST_F(Identity, UsageCountsWhatWasUsed) {
    put(kOut, nexus_abi::timespec{.seconds = 0, .nanoseconds = 1'000'000});
    pass(Duration::milliseconds(300));
    EXPECT_EQ(call(Syscall::getrusage, 0, kOut + 64), 0);
    const auto own = get<nexus_abi::rusage>(kOut + 64);
    EXPECT_GT(own.user_time.microseconds + own.user_time.seconds * 1'000'000, 100'000)
        << "half of a hart at least";
    EXPECT_EQ(call(Syscall::getrusage, 1, kOut + 64), 0);
    EXPECT_EQ(call(Syscall::getrusage, kKeep, kOut + 64), 0);
    EXPECT_EQ(get<nexus_abi::rusage>(kOut + 64).user_time.microseconds, 0) << "no children yet";
    EXPECT_EQ(call(Syscall::getrusage, 5, kOut + 64), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::getrusage, 0, kBadAddress), error(Error::BadAddress));
    task::Task& child = fork();
    bring_on(child);
    pass(Duration::milliseconds(300));
    EXPECT_EQ(call_as(child, Syscall::exit_group, 0), std::nullopt);
    EXPECT_EQ(wait_for(self(), child), 0);
    EXPECT_EQ(call(Syscall::getrusage, kKeep, kOut + 64), 0);
    EXPECT_GT(get<nexus_abi::rusage>(kOut + 64).user_time.microseconds, 50'000);
    EXPECT_GT(call(Syscall::times, kOut), 0);
    EXPECT_GT(get<nexus_abi::tms>(kOut).children_user, 0);
    EXPECT_GT(call(Syscall::times, 0), 0);
    EXPECT_EQ(call(Syscall::times, kBadAddress), error(Error::BadAddress));
}

TEST_F(Identity, BarriersAreAnnouncedFirst) {
    constexpr std::uint64_t kQuery = 0;
    constexpr std::uint64_t kGlobal = 1;
    constexpr std::uint64_t kPrivate = 1 << 3;
    constexpr std::uint64_t kRegisterPrivate = 1 << 4;
    constexpr std::uint64_t kSyncCore = 1 << 5;
    EXPECT_GT(call(Syscall::membarrier, kQuery, 0, 0), 0);
    EXPECT_EQ(call(Syscall::membarrier, kGlobal, 0, 0), 0);
    EXPECT_EQ(call(Syscall::membarrier, kPrivate, 0, 0), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::membarrier, kRegisterPrivate, 0, 0), 0);
    EXPECT_EQ(call(Syscall::membarrier, kPrivate, 0, 0), 0);
    EXPECT_EQ(call(Syscall::membarrier, kSyncCore, 0, 0), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::membarrier, kSyncCore << 1, 0, 0), 0);
    EXPECT_EQ(call(Syscall::membarrier, kSyncCore, 0, 0), 0);
    EXPECT_EQ(call(Syscall::membarrier, 1 << 20, 0, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::membarrier, kGlobal, 1, 0), error(Error::InvalidArgument));
}

}  // namespace
}  // namespace kernel::whole
