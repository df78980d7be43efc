// SPDX-License-Identifier: MIT
// Life of processes and threads: fork, vfork, execve, spawn, exit and the calls that wait for them.
#include <array>
#include <functional>
#include <string>

#include "nexus_abi/linux.hpp"
#include "nexus_abi/sched.hpp"
#include "nexus_abi/system.hpp"
#include "world.hpp"

namespace kernel::whole {
namespace {

constexpr std::uint64_t kAny = ~std::uint64_t{0};
constexpr std::uint64_t kBadAddress = 0x10;
constexpr std::uint64_t kOut = kMemory + 0x2000;
constexpr std::uint64_t kStrings = kMemory + 0x4000;

constexpr std::uint64_t kSigInt = 2;
constexpr std::uint64_t kSigKill = 9;
constexpr std::uint64_t kSigUsr1 = 10;
constexpr std::uint64_t kSigTerm = 15;
constexpr std::uint64_t kSigChild = 17;
constexpr std::uint64_t kSigCont = 18;
constexpr std::uint64_t kSigStop = 19;

constexpr std::uint64_t kNoHang = 1;
constexpr std::uint64_t kStopped = 2;
constexpr std::uint64_t kExited = 4;
constexpr std::uint64_t kContinued = 8;
constexpr std::uint64_t kKeep = 0x0100'0000;

constexpr std::uint64_t kCloneVm = 0x100;
constexpr std::uint64_t kCloneVfork = 0x4000;
constexpr std::uint64_t kThread = 0x1'0f00;
constexpr std::uint64_t kSetTls = 0x8'0000;
constexpr std::uint64_t kParentSetTid = 0x10'0000;
constexpr std::uint64_t kChildClearTid = 0x20'0000;
constexpr std::uint64_t kChildSetTid = 0x100'0000;

class Processes : public WholeKernelTest {
  protected:
    std::uint64_t path(const std::string& text) { return put_text(kMemory, text); }
    std::optional<std::int64_t> execute(const std::string& program,
                                        std::initializer_list<const char*> arguments = {"program"},
                                        std::initializer_list<const char*> environment = {}) {
        return call(Syscall::execve, path(program), put_strings(kStrings, arguments),
                    put_strings(kStrings + 0x800, environment));
    }
    std::optional<std::int64_t> kill(task::Task& task, std::uint64_t signal) {
        return call(Syscall::kill, task.process().pid().value(), signal);
    }
    std::int64_t pid(const task::Task& task) { return task.process().pid().value(); }
    // argv[n] of a program that has just begun.
    std::string argument(task::Task& task, std::uint64_t n) {
        const auto at = get_as<std::uint64_t>(task, task.frame.stack_pointer() + 8 * (n + 1));
        std::string text;
        for (std::uint64_t i = 0; at != 0; ++i) {
            const char c = get_as<char>(task, at + i);
            if (c == '\0') {
                break;
            }
            text += c;
        }
        return text;
    }
};

TEST_F(Processes, AForkIsACopyThatGoesOn) {
    put(kMemory, std::uint64_t{11});
    self().frame.set_reg(9, 0x5a5a);
    bring_on(self());
    write_fp(hart_of(self()), 3, 0x4010'0000'0000'0000);
    task::Task& child = fork();
    EXPECT_EQ(child.frame.argument(0), 0U);
    EXPECT_EQ(child.frame.reg(9), 0x5a5aU);
    put(kMemory, std::uint64_t{22});
    EXPECT_EQ(get_as<std::uint64_t>(child, kMemory), 11U);
    EXPECT_EQ(call_as(child, Syscall::getppid), pid(self()));
    bring_on(child);
    EXPECT_EQ(read_fp(hart_of(child), 3), 0x4010'0000'0000'0000U);
    EXPECT_EQ(call_as(child, Syscall::exit_group, 7), std::nullopt);
    EXPECT_EQ(wait_for(self(), child), exited(7));
    EXPECT_EQ(call(Syscall::wait4, kAny, 0, 0, 0), error(Error::NoChild));
}

TEST_F(Processes, CloneRefusesWhatItDoesNotKnow) {
    constexpr std::uint64_t kStack = kMemory + 0x8000;
    EXPECT_EQ(call(Syscall::clone, 0x0002'0000, 0, 0, 0, 0), error(Error::InvalidArgument)) << "CLONE_NEWNS";
    EXPECT_EQ(call(Syscall::clone, kSigUsr1, 0, 0, 0, 0), error(Error::InvalidArgument)) << "exit signal";
    EXPECT_EQ(call(Syscall::clone, 0x1'0000 | kCloneVm, kStack, 0, 0, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::clone, 0x800, kStack, 0, 0, 0), error(Error::InvalidArgument)) << "no VM";
    EXPECT_EQ(call(Syscall::clone, kThread, 0, 0, 0, 0), error(Error::InvalidArgument)) << "no stack";
    EXPECT_EQ(call(Syscall::clone, kThread | kSigChild, kStack, 0, 0, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::clone, kThread & ~0x200ULL, kStack, 0, 0, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::clone, kThread | kParentSetTid, kStack, kBadAddress, 0, 0),
              error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::clone, kSigChild | kParentSetTid, 0, kBadAddress, 0, 0),
              error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::wait4, kAny, 0, 0, 0), error(Error::NoChild)) << "nothing is left of them";
}

TEST_F(Processes, AThreadHasWhatItsMakerSays) {
    put(kOut, std::int32_t{-1});
    put(kOut + 8, std::int32_t{-1});
    task::Task& thread =
        task_of(call(Syscall::clone, kThread | kSetTls | kParentSetTid | kChildSetTid | kChildClearTid,
                     kMemory + 0x8000, kOut, 0x1234'5000, kOut + 8));
    const auto tid = static_cast<std::int32_t>(thread.tid().value());
    EXPECT_EQ(get<std::int32_t>(kOut), tid);
    EXPECT_EQ(get<std::int32_t>(kOut + 8), tid);
    EXPECT_EQ(thread.frame.reg(4), 0x1234'5000U);
    EXPECT_EQ(thread.frame.stack_pointer(), kMemory + 0x8000);
    EXPECT_EQ(call_as(thread, Syscall::getpid), pid(self()));
    EXPECT_EQ(call_as(thread, Syscall::gettid), tid);
    // Its end clears the word and wakes who waits for it, as pthread_join does.
    EXPECT_EQ(call(Syscall::futex, kOut + 8, 0, static_cast<std::uint64_t>(tid), 0, 0, 0), std::nullopt);
    EXPECT_EQ(call_as(thread, Syscall::exit, 0), std::nullopt);
    EXPECT_EQ(result_of(self()), 0);
    EXPECT_EQ(get<std::int32_t>(kOut + 8), 0);
    EXPECT_EQ(call(Syscall::set_tid_address, kOut), self().tid().value());
}

TEST_F(Processes, TheLastThreadsEndIsTheProcesss) {
    task::Task& child = fork();
    task::Task& thread = thread_of(child);
    EXPECT_EQ(call_as(child, Syscall::exit, 3), std::nullopt);
    EXPECT_EQ(call(Syscall::wait4, pid(child), 0, kNoHang, 0), 0) << "a thread of it goes on";
    EXPECT_EQ(call_as(thread, Syscall::exit, 4), std::nullopt);
    EXPECT_EQ(wait_for(self(), child), exited(4));
}

TEST_F(Processes, ExitGroupEndsThreadsThatWait) {
    task::Task& child = fork();
    task::Task& sleeper = thread_of(child);
    task::Task& runner = thread_of(child);
    put_as(child, kOut, nexus_abi::timespec{.seconds = 1000, .nanoseconds = 0});
    EXPECT_EQ(call_as(sleeper, Syscall::nanosleep, kOut, 0), std::nullopt);
    EXPECT_EQ(call_as(runner, Syscall::exit_group, 0x1ff), std::nullopt);
    EXPECT_EQ(wait_for(self(), child), exited(0xff));
    EXPECT_EQ(call(Syscall::wait4, kAny, 0, 0, 0), error(Error::NoChild));
}

TEST_F(Processes, AVforkWaitsForItsChild) {
    EXPECT_EQ(call(Syscall::clone, kCloneVm | kCloneVfork | kSigChild, 0, 0, 0, 0), std::nullopt);
    task::Task& child = task_of(std::int64_t{self().tid().value()} + 1);
    put_as(child, kMemory, std::uint64_t{77});
    EXPECT_EQ(get<std::uint64_t>(kMemory), 77U) << "it is the same memory";
    EXPECT_EQ(call_as(child, Syscall::exit_group, 1), std::nullopt);
    EXPECT_EQ(result_of(self()), pid(child));
    EXPECT_EQ(wait_for(self(), child), exited(1));
}

TEST_F(Processes, AVforkGoesOnWhenItsChildExecutes) {
    path("/bin/other");
    put_strings(kStrings, {"other"});
    EXPECT_EQ(call(Syscall::clone, kCloneVm | kCloneVfork | kSigChild, 0, 0, 0, 0), std::nullopt);
    task::Task& child = task_of(std::int64_t{self().tid().value()} + 1);
    EXPECT_NE(call_as(child, Syscall::execve, kMemory, kStrings, 0), std::nullopt);
    EXPECT_EQ(child.frame.pc, kOtherEntry);
    EXPECT_EQ(result_of(self()), pid(child));
    put_as(child, kMemory, std::uint64_t{1});
    EXPECT_NE(get<std::uint64_t>(kMemory), 1U);
    EXPECT_EQ(kill(child, kSigTerm), 0);
    EXPECT_EQ(wait_for(self(), child), kSigTerm);
}

TEST_F(Processes, ExecuteBeginsAnew) {
    put(kMemory + 0x8000, std::uint64_t{5});
    put(kOut, nexus_abi::kernel_sigaction{.handler = kText + 0x900, .flags = 0, .mask = 0});
    EXPECT_EQ(call(Syscall::rt_sigaction, kSigUsr1, kOut, 0, 8), 0);
    put(kOut, nexus_abi::kernel_sigaction{.handler = 1, .flags = 0, .mask = 0});
    EXPECT_EQ(call(Syscall::rt_sigaction, kSigTerm, kOut, 0, 8), 0);
    constexpr std::uint64_t kCloseOnExec = 0x8'0000;
    EXPECT_EQ(call(Syscall::dup3, 0, 10, 0), 10);
    EXPECT_EQ(call(Syscall::dup3, 0, 11, kCloseOnExec), 11);
    task::Task& thread = this->thread();
    EXPECT_EQ(call_as(thread, Syscall::sched_yield), 0);

    ASSERT_NE(execute("/bin/other", {"other", "one", "two"}, {"HOME=/"}), std::nullopt);
    EXPECT_EQ(self().frame.pc, kOtherEntry);
    EXPECT_EQ(get<std::uint64_t>(self().frame.stack_pointer()), 3U) << "argc";
    EXPECT_EQ(argument(self(), 0), "other");
    EXPECT_EQ(argument(self(), 2), "two");
    EXPECT_EQ(argument(self(), 4), "HOME=/");
    EXPECT_EQ(get<std::uint64_t>(kMemory + 0x8000), 0U);
    EXPECT_EQ(get<std::uint64_t>(kData), kDataWord);
    EXPECT_EQ(std::string{self().name().data()}, "other");
    EXPECT_EQ(self().process().thread_count, 1U) << "the other thread has ended";
    EXPECT_EQ(call(Syscall::fcntl, 10, 1, 0), 0);
    EXPECT_EQ(call(Syscall::fcntl, 11, 1, 0), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::rt_sigaction, kSigUsr1, 0, kOut, 8), 0);
    EXPECT_EQ(get<nexus_abi::kernel_sigaction>(kOut).handler, 0U);
    EXPECT_EQ(call(Syscall::rt_sigaction, kSigTerm, 0, kOut, 8), 0);
    EXPECT_EQ(get<nexus_abi::kernel_sigaction>(kOut).handler, 1U) << "ignored signals stay ignored";
}

TEST_F(Processes, AThreadMayExecuteForAll) {
    path("/bin/other");
    put_strings(kStrings, {"other"});
    task::Task& child = fork();
    task::Task& thread = thread_of(child);
    if (!call_as(thread, Syscall::execve, kMemory, kStrings, 0)) {
        ASSERT_NE(result_in_time(thread), std::nullopt) << "the others have ended";
    }
    EXPECT_EQ(thread.frame.pc, kOtherEntry);
    EXPECT_EQ(call_as(thread, Syscall::getpid), pid(child));
    EXPECT_EQ(call_as(thread, Syscall::exit_group, 9), std::nullopt);
    EXPECT_EQ(wait_for(self(), child), exited(9));
}

TEST_F(Processes, ExecuteFindsInterpreters) {
    ASSERT_NE(execute("/bin/script", {"script", "last"}), std::nullopt);
    EXPECT_EQ(self().frame.pc, kOtherEntry);
    EXPECT_EQ(get<std::uint64_t>(self().frame.stack_pointer()), 4U);
    EXPECT_EQ(argument(self(), 0), "/bin/other");
    EXPECT_EQ(argument(self(), 1), "-x");
    EXPECT_EQ(argument(self(), 2), "/bin/script");
    EXPECT_EQ(argument(self(), 3), "last");
    ASSERT_NE(execute("/bin/loaded"), std::nullopt);
    EXPECT_NE(self().frame.pc, kOtherEntry) << "its loader begins";
    EXPECT_EQ(self().frame.pc % 0x1000, kLoaderEntry);
    EXPECT_EQ(get<std::uint64_t>(kData), kDataWord) << "the program is there, too";
    // A program of a memory file, as a compiler leaves them.
    const auto from = call(Syscall::openat, kAny, path("/bin/other"), 0, 0);
    const auto to = call(Syscall::openat, kAny, path("/tmp/copy"), 0102, 0755);
    ASSERT_TRUE(from.value_or(-1) >= 0 && to.value_or(-1) >= 0);
    EXPECT_EQ(call(Syscall::sendfile, *to, *from, 0, 0x10000), 0x2000);
    EXPECT_EQ(call(Syscall::close, *to), 0);
    ASSERT_NE(execute("/tmp/copy"), std::nullopt);
    EXPECT_EQ(self().frame.pc, kOtherEntry);
    EXPECT_EQ(call(Syscall::unlinkat, kAny, path("/tmp/copy"), 0), 0);
}

TEST_F(Processes, ExecuteRefusesAndGoesOn) {
    EXPECT_EQ(execute("/bin/none"), error(Error::NoEntry));
    EXPECT_EQ(execute("/bin"), error(Error::AccessDenied));
    EXPECT_EQ(execute("/bin/plain"), error(Error::AccessDenied)) << "no x bit";
    EXPECT_EQ(execute("/bin/broken"), error(Error::NotExecutable));
    EXPECT_EQ(execute("/bin/lost"), error(Error::NoEntry)) << "its interpreter is not there";
    EXPECT_EQ(execute("/etc/motd/x"), error(Error::NotDirectory));
    EXPECT_EQ(call(Syscall::execve, kBadAddress, kStrings, 0), error(Error::BadAddress));
    path("/bin/other");
    EXPECT_EQ(call(Syscall::execve, kMemory, kBadAddress, 0), error(Error::BadAddress));
    put(kStrings, std::uint64_t{kBadAddress});
    put(kStrings + 8, std::uint64_t{0});
    EXPECT_EQ(call(Syscall::execve, kMemory, kStrings, 0), error(Error::BadAddress));
    const std::string long_text(20'000, 'a');
    put_text(kMemory + 0x9000, long_text);
    put(kStrings, std::uint64_t{kMemory + 0x9000});
    EXPECT_EQ(call(Syscall::execve, kMemory, kStrings, 0), error(Error::TooBig));
    EXPECT_EQ(execute(std::string(300, 'a')), error(Error::NameTooLong));
    EXPECT_EQ(call(Syscall::getpid), pid(self()));
}

TEST_F(Processes, AParentHearsOfStopsAndGoings) {
    task::Task& child = fork();
    EXPECT_EQ(kill(child, kSigStop), 0);
    EXPECT_EQ(call(Syscall::wait4, kAny, kOut, kNoHang, 0), 0) << "it did not ask for stops";
    EXPECT_EQ(call(Syscall::waitid, 0, 0, kOut, kStopped | kKeep, 0), 0);
    EXPECT_EQ(get<nexus_abi::siginfo>(kOut).code, 5) << "CLD_STOPPED";
    EXPECT_EQ(call(Syscall::wait4, kAny, kOut, kStopped, 0), pid(child));
    EXPECT_EQ(get<std::int32_t>(kOut), 0x137f);
    EXPECT_EQ(call(Syscall::wait4, kAny, kOut, kStopped | kNoHang, 0), 0) << "told once";
    EXPECT_EQ(kill(child, kSigCont), 0);
    EXPECT_EQ(call(Syscall::wait4, pid(child), kOut, kContinued, 0), pid(child));
    EXPECT_EQ(get<std::int32_t>(kOut), 0xffff);
    EXPECT_EQ(call_as(child, Syscall::getpid), pid(child)) << "it goes on";
    EXPECT_EQ(call(Syscall::waitid, 1, pid(child), kOut, kExited, 0), std::nullopt);
    EXPECT_EQ(call_as(child, Syscall::exit_group, 5), std::nullopt);
    EXPECT_EQ(result_of(self()), 0);
    const auto info = get<nexus_abi::siginfo>(kOut);
    EXPECT_EQ(info.number, static_cast<std::int32_t>(kSigChild));
    EXPECT_EQ(info.code, 1) << "CLD_EXITED";
    EXPECT_EQ(info.pid, pid(child));
    EXPECT_EQ(info.status, 5);
}

TEST_F(Processes, AStoppedProcessMayStillBeKilled) {
    task::Task& child = fork();
    task::Task& thread = thread_of(child);
    EXPECT_EQ(kill(child, kSigStop), 0);
    pass(Duration::milliseconds(100));
    EXPECT_TRUE(child.is_stopped && thread.is_stopped) << "each stops when it has its turn";
    EXPECT_EQ(kill(child, kSigKill), 0);
    EXPECT_EQ(wait_for(self(), child), kSigKill);
}

TEST_F(Processes, WaitingRefusesNonsense) {
    EXPECT_EQ(call(Syscall::wait4, kAny, 0, 0x10, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::wait4, 0x8000'0000, 0, 0, 0), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::wait4, 9999, 0, 0, 0), error(Error::NoChild));
    EXPECT_EQ(call(Syscall::waitid, 0, 0, 0, 0, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::waitid, 3, 0, 0, kExited, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::waitid, 1, 0, 0, kExited, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::waitid, 0, 0, 0, kExited, 0), error(Error::NoChild));
    task::Task& child = fork();
    EXPECT_EQ(call(Syscall::waitid, 0, 0, kOut, kExited | kNoHang, 0), 0);
    EXPECT_EQ(get<nexus_abi::siginfo>(kOut).pid, 0) << "nothing has happened";
    EXPECT_EQ(kill(child, kSigKill), 0);
    EXPECT_EQ(call(Syscall::waitid, 0, 0, 0, kExited | kKeep, kBadAddress), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::wait4, kAny, kOut, 0, kOut + 64), pid(child));
}

TEST_F(Processes, AWaitEndsWithItsChildOrASignal) {
    task::Task& child = fork();
    EXPECT_EQ(call(Syscall::wait4, pid(child), kOut, 0, 0), std::nullopt);
    EXPECT_EQ(call_as(child, Syscall::kill, pid(child), kSigInt), std::nullopt);
    EXPECT_EQ(result_of(self()), pid(child));
    EXPECT_EQ(get<std::int32_t>(kOut), static_cast<std::int32_t>(kSigInt));
    // A handler without SA_RESTART ends a wait.
    task::Task& other = fork();
    put(kOut, nexus_abi::kernel_sigaction{.handler = kText + 0x900, .flags = 0, .mask = 0});
    EXPECT_EQ(call(Syscall::rt_sigaction, kSigUsr1, kOut, 0, 8), 0);
    EXPECT_EQ(call(Syscall::wait4, kAny, 0, 0, 0), std::nullopt);
    EXPECT_EQ(call_as(init(), Syscall::kill, pid(self()), kSigUsr1), 0);
    EXPECT_EQ(result_of(self()), static_cast<std::int64_t>(kSigUsr1)) << "the handler's argument";
    EXPECT_EQ(self().frame.pc, kText + 0x900);
    EXPECT_EQ(call(Syscall::rt_sigreturn), error(Error::Interrupted));
    EXPECT_EQ(call_as(other, Syscall::nexus_limit_rights, 0), 0);
    EXPECT_EQ(call_as(other, Syscall::kill, pid(self()), kSigUsr1), error(Error::NotPermitted))
        << "a child has no say over its parent without the right";
}

// Others may still hold it, as whoever has a file of it in /proc open does, or its hart on its last steps.
TEST_F(Processes, NobodyIsFoundByThePidOfWhoWasWaitedFor) {
    task::Task& child = fork();
    EXPECT_EQ(call_as(child, Syscall::exit_group, 0), std::nullopt);
    EXPECT_EQ(call(Syscall::kill, pid(child), 0), 0) << "not waited for yet";
    EXPECT_EQ(wait_for(self(), child), 0);
    EXPECT_EQ(call(Syscall::kill, pid(child), 0), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::tkill, pid(child), 0), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::getpgid, pid(child)), error(Error::NoProcess));
}

TEST_F(Processes, WhoIsNotWaitedForIsNotFoundEither) {
    put(kOut, nexus_abi::kernel_sigaction{.handler = 1, .flags = 0, .mask = 0});  // SIG_IGN
    EXPECT_EQ(call(Syscall::rt_sigaction, kSigChild, kOut, 0, 8), 0);
    task::Task& child = fork();
    EXPECT_EQ(call_as(child, Syscall::exit_group, 0), std::nullopt);
    EXPECT_EQ(call(Syscall::kill, pid(child), 0), error(Error::NoProcess));
}

TEST_F(Processes, ProcessGroupsAreWaitedForAndKilledTogether) {
    task::Task& first = fork();
    task::Task& second = fork();
    EXPECT_EQ(call(Syscall::setpgid, pid(first), 0), 0);
    EXPECT_EQ(call(Syscall::setpgid, pid(second), pid(first)), 0);
    EXPECT_EQ(call(Syscall::getpgid, pid(second)), pid(first));
    EXPECT_EQ(call_as(second, Syscall::getpgid, 0), pid(first));
    EXPECT_EQ(call(Syscall::setpgid, 0, 9999), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::setpgid, 0, kAny), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::setpgid, 9999, 0), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::getpgid, 9999), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::getpgid, kAny), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::kill, -pid(first), kSigTerm), 0);
    EXPECT_EQ(call(Syscall::wait4, -pid(first), 0, 0, 0).value_or(0) > 0, true);
    EXPECT_EQ(call(Syscall::waitid, 2, pid(first), 0, kExited, 0), 0);
    EXPECT_EQ(call(Syscall::wait4, -pid(first), 0, 0, 0), error(Error::NoChild));
    EXPECT_EQ(call(Syscall::kill, -pid(first), kSigTerm), error(Error::NoProcess));
}

// As in a shell's pipeline whose first program has ended.
TEST_F(Processes, AGroupKeepsTheNameOfWhoWasWaitedFor) {
    task::Task& first = fork();
    task::Task& second = fork();
    task::Task& third = fork();
    EXPECT_EQ(call(Syscall::setpgid, pid(first), 0), 0);
    EXPECT_EQ(call(Syscall::setpgid, pid(second), pid(first)), 0);
    EXPECT_EQ(call_as(first, Syscall::exit_group, 0), std::nullopt);
    EXPECT_EQ(wait_for(self(), first), 0);
    EXPECT_EQ(call(Syscall::kill, pid(first), 0), error(Error::NoProcess));
    EXPECT_EQ(call(Syscall::setpgid, pid(third), pid(first)), 0) << "it still has a member";
    EXPECT_EQ(call(Syscall::getpgid, pid(third)), pid(first));
    EXPECT_EQ(call(Syscall::kill, -pid(first), kSigTerm), 0);
    EXPECT_EQ(wait_for(self(), second), static_cast<std::int32_t>(kSigTerm));
    EXPECT_EQ(wait_for(self(), third), static_cast<std::int32_t>(kSigTerm));
    EXPECT_EQ(call(Syscall::kill, -pid(first), 0), error(Error::NoProcess));
}

TEST_F(Processes, ASessionLeadsItsGroup) {
    task::Task& child = fork();
    EXPECT_EQ(call_as(child, Syscall::setsid), pid(child));
    EXPECT_EQ(call_as(child, Syscall::setsid), error(Error::NotPermitted));
    EXPECT_EQ(call_as(child, Syscall::getsid, 0), pid(child));
    EXPECT_EQ(call(Syscall::getsid, pid(child)), pid(child));
    EXPECT_EQ(call(Syscall::setpgid, pid(child), 0), error(Error::NotPermitted));
    task::Task& executed = fork();
    put_strings(kStrings, {"other"});
    path("/bin/other");
    put_text(kMemory, "/bin/other");
    task::Task& grown = fork();
    put_as(grown, kMemory, std::array{'/', 'b', 'i', 'n', '/', 'o', 't', 'h', 'e', 'r', '\0'});
    ASSERT_NE(call_as(grown, Syscall::execve, kMemory, 0, 0), std::nullopt);
    EXPECT_EQ(call(Syscall::setpgid, pid(grown), 0), error(Error::AccessDenied));
    EXPECT_EQ(call_as(executed, Syscall::setpgid, 0, 0), 0);
}

TEST_F(Processes, OrphansAreInherited) {
    task::Task& child = fork();
    task::Task& grandchild = fork_of(child);
    EXPECT_EQ(call_as(child, Syscall::exit_group, 0), std::nullopt);
    EXPECT_EQ(wait_for(self(), child), 0);
    EXPECT_EQ(call_as(grandchild, Syscall::getppid), 1);
    EXPECT_EQ(call(Syscall::wait4, kAny, 0, 0, 0), error(Error::NoChild));
}

TEST_F(Processes, AParentThatIgnoresItsChildrenNeedNotWait) {
    put(kOut, nexus_abi::kernel_sigaction{.handler = 1, .flags = 0, .mask = 0});
    EXPECT_EQ(call(Syscall::rt_sigaction, kSigChild, kOut, 0, 8), 0);
    task::Task& child = fork();
    EXPECT_EQ(call_as(child, Syscall::exit_group, 0), std::nullopt);
    EXPECT_EQ(call(Syscall::wait4, kAny, 0, 0, 0), error(Error::NoChild));
}

// ---- nexus_spawn ----

class Spawning : public Processes {
  protected:
    std::optional<std::int64_t> spawn(const std::function<void(nexus_abi::spawn_args&)>& change = {}) {
        nexus_abi::spawn_args arguments{};
        arguments.size = sizeof arguments;
        arguments.path = path("/bin/other");
        arguments.argv = put_strings(kStrings, {"other", "x"});
        if (change) {
            change(arguments);
        }
        put(kOut, arguments);
        return call(Syscall::nexus_spawn, kOut, sizeof arguments);
    }
};

TEST_F(Spawning, AChildBeginsAsItsSpawnSays) {
    auto wanted = attributes_of(nexus_abi::kFieldClass | nexus_abi::kFieldShares);
    wanted.qos_class = 2;
    wanted.shares = 300;
    put(kOut + 0x200, wanted);
    put(kOut + 0x300, std::array{nexus_abi::spawn_fd{.from = 0, .to = 5}});
    task::Task& child = task_of(spawn([](auto& arguments) {
        arguments.attr = kOut + 0x200;
        arguments.fds = kOut + 0x300;
        arguments.fd_count = 1;
        arguments.rights = nexus_abi::kRightSchedInspect;
    }));
    bring_on(child);
    EXPECT_EQ(child.frame.pc, kOtherEntry);
    EXPECT_EQ(argument(child, 1), "x");
    EXPECT_EQ(call_as(child, Syscall::sched_get_qos_class, 0), 0x202);
    EXPECT_EQ(child.entity.attributes.shares, 300U);
    EXPECT_EQ(call_as(child, Syscall::fcntl, 5, 1, 0), 0);
    EXPECT_EQ(call_as(child, Syscall::fcntl, 0, 1, 0), error(Error::BadDescriptor));
    EXPECT_EQ(call_as(child, Syscall::nexus_limit_rights, 7), nexus_abi::kRightSchedInspect);
    EXPECT_EQ(call_as(child, Syscall::exit_group, 2), std::nullopt);
    EXPECT_EQ(wait_for(self(), child), exited(2));
}

TEST_F(Spawning, AHeldChildWaitsForItsSignal) {
    task::Task& child = task_of(spawn([](auto& arguments) { arguments.flags = nexus_abi::kSpawnHeld; }));
    pass(Duration::milliseconds(50));
    EXPECT_EQ(hart_of(child), kHarts);
    EXPECT_EQ(kill(child, kSigCont), 0);
    bring_on(child);
    EXPECT_EQ(child.frame.pc, kOtherEntry);
    // One that was never let go ends as others do.
    task::Task& killed = task_of(spawn([](auto& arguments) { arguments.flags = nexus_abi::kSpawnHeld; }));
    EXPECT_EQ(kill(killed, kSigKill), 0);
    EXPECT_EQ(wait_for(self(), killed), kSigKill);
}

TEST_F(Spawning, RefusesWhatCannotBe) {
    const auto refused = [&](Error expected, const std::function<void(nexus_abi::spawn_args&)>& change) {
        EXPECT_EQ(spawn(change), error(expected));
    };
    refused(Error::InvalidArgument, [](auto& arguments) { arguments.flags = 0x80; });
    refused(Error::InvalidArgument, [](auto& arguments) { arguments.reserved = 1; });
    refused(Error::InvalidArgument, [](auto& arguments) { arguments.path = 0; });
    refused(Error::InvalidArgument, [](auto& arguments) { arguments.rights = 1 << 20; });
    refused(Error::InvalidArgument, [](auto& arguments) { arguments.fd_count = 1; });
    refused(Error::BadAddress, [](auto& arguments) { arguments.path = kBadAddress; });
    refused(Error::BadAddress, [](auto& arguments) { arguments.attr = kBadAddress; });
    refused(Error::BadAddress, [](auto& arguments) { arguments.limits = kBadAddress; });
    refused(Error::BadAddress, [](auto& arguments) { arguments.argv = kBadAddress; });
    refused(Error::BadDescriptor, [&](auto& arguments) {
        put(kOut + 0x300, nexus_abi::spawn_fd{.from = 77, .to = 5});
        arguments.fds = kOut + 0x300;
        arguments.fd_count = 1;
    });
    refused(Error::NoEntry, [&](auto& arguments) { arguments.path = path("/bin/none"); });
    refused(Error::NotExecutable, [&](auto& arguments) { arguments.path = path("/bin/broken"); });
    EXPECT_EQ(call(Syscall::nexus_spawn, kOut, 8), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::nexus_spawn, kBadAddress, sizeof(nexus_abi::spawn_args)),
              error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::nexus_limit_rights, 0), 0);
    refused(Error::NotPermitted, [](auto& arguments) { arguments.rights = nexus_abi::kRightPower; });
    EXPECT_EQ(call(Syscall::wait4, kAny, 0, 0, 0), error(Error::NoChild)) << "nothing is left of them";
}

TEST_F(Spawning, LimitsMakeAGroup) {
    auto wanted = attributes_of(nexus_abi::kFieldClass | nexus_abi::kFieldShares | nexus_abi::kFieldGroup);
    wanted.qos_class = 1;
    wanted.shares = 200;
    wanted.group = 150;
    put(kOut + 0x200, wanted);
    task::Task& child = task_of(spawn([](auto& arguments) { arguments.limits = kOut + 0x200; }));
    EXPECT_EQ(call(Syscall::sched_get_limits, child.tid().value(), kOut, sizeof(nexus_abi::sched_attr)), 0);
    const auto limits = get<nexus_abi::sched_attr>(kOut);
    EXPECT_EQ(limits.qos_class, 1U);
    EXPECT_EQ(limits.shares, 200U);
    EXPECT_EQ(limits.group, 150U);
    EXPECT_EQ(call_as(child, Syscall::sched_set_qos_class, 0, 2), error(Error::NotPermitted));
    // What it makes counts for the same group, until the group ends.
    task::Task& grandchild = fork_of(child);
    EXPECT_EQ(grandchild.group.get(), child.group.get());
    put(kOut, attributes_of(nexus_abi::kFieldGroup));
    EXPECT_EQ(call(Syscall::sched_set_limits, child.tid().value(), kOut, sizeof(nexus_abi::sched_attr)), 0);
    EXPECT_EQ(call(Syscall::sched_get_limits, child.tid().value(), kOut, sizeof(nexus_abi::sched_attr)), 0);
    EXPECT_EQ(get<nexus_abi::sched_attr>(kOut).group, 0U);
}

}  // namespace
}  // namespace kernel::whole
