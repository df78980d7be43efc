// SPDX-License-Identifier: MIT
// Calls about the machine as a whole.
#include <algorithm>
#include <array>
#include <string_view>

#include "arch/contract.hpp"
#include "mm/frames.hpp"
#include "mm/user_memory.hpp"
#include "syscall/audit.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/power.hpp"
#include "syscall/stack_junk.hpp"
#include "syscall/time_values.hpp"
#include "task/lifecycle.hpp"
#include "task/random.hpp"

namespace kernel::syscall {

namespace {

constinit PowerHook power_hook = nullptr;

// include/uapi/linux/reboot.h
constexpr std::uint32_t kRebootMagic1 = 0xfee1'dead;
constexpr std::array<std::uint32_t, 4> kRebootMagic2{0x2812'1969, 0x0512'1996, 0x1604'1998, 0x2011'2000};
constexpr std::uint32_t kRebootRestart = 0x0123'4567;
constexpr std::uint32_t kRebootHalt = 0xcdef'0123;
constexpr std::uint32_t kRebootPowerOff = 0x4321'fedc;
constexpr std::uint32_t kRebootCadOn =
    0x89ab'cdef;  // whether Ctrl-Alt-Del restarts: nothing here listens to it
constexpr std::uint32_t kRebootCadOff = 0;

// What one kernel section generates: 16 blocks of some 900 instructions.
constexpr std::size_t kRandomStepBytes = 1024;
constexpr std::uint64_t kRandomMaxBytes = 0x7fff'ffff;
constexpr std::uint32_t kRandomFlags = 7;  // GRND_NONBLOCK, GRND_RANDOM, GRND_INSECURE: all the same here

void put(char (&field)[65], std::string_view text) {
    std::ranges::copy(text, field);
}

}  // namespace

void set_power_hook(PowerHook hook) {
    power_hook = hook;
}

SysResult sys_uname(Caller& caller, Out<utsname> buffer) {
    utsname name{};
    // Programs test sysname and the leading numbers of release for what they may expect of the calls.
    put(name.sysname, "Linux");
    put(name.nodename, "neuron");
    put(name.release, "6.12.0-neuron");
    put(name.version, "NEURON 0.1.0");
    put(name.machine, "riscv64");
    put(name.domainname, "(none)");
    return mm::copy_out(caller.space(), buffer, name);
}

SysResult sys_sysinfo(Caller& caller, Out<sysinfo_t> info) {
    const mm::FrameStats memory = mm::frames().stats();
    sysinfo_t answer{};
    answer.uptime = arch::now().ns() / kNsPerSecond;
    answer.total_ram = memory.total * mm::kPageSize;
    answer.free_ram = memory.free * mm::kPageSize;
    answer.processes = static_cast<std::uint16_t>(std::min(task::process_count(), 0xffffU));
    answer.memory_unit = 1;
    if (faults().leak_address) {
        answer.total_swap = reinterpret_cast<std::uint64_t>(&answer);
    }
#ifdef NEURON_DEBUG
    if (faults().leak_stack) {
        answer.total_swap = read_unwritten_stack();
    }
#endif
    return mm::copy_out(caller.space(), info, answer);
}

SysResult sys_reboot(Caller& caller, std::uint32_t magic1, std::uint32_t magic2, std::uint32_t command,
                     std::uint64_t) {
    if (magic1 != kRebootMagic1 || std::ranges::find(kRebootMagic2, magic2) == kRebootMagic2.end()) {
        return Error::InvalidArgument;
    }
    PowerAction action{};
    switch (command) {
        case kRebootPowerOff:
            action = PowerAction::PowerOff;
            break;
        case kRebootRestart:
            action = PowerAction::Restart;
            break;
        case kRebootHalt:
            action = PowerAction::Halt;
            break;
        case kRebootCadOn:
        case kRebootCadOff:
            return std::uint64_t{0};
        default:
            return Error::InvalidArgument;
    }
    if (!caller.has_right(nexus_abi::kRightPower)) {
        return deny(caller);
    }
    if (power_hook != nullptr) {
        power_hook(action);
    }
    return Error::NotSupported;
}

SysResult sys_getrandom(Caller& caller, Out<char> buffer, std::uint64_t count, std::uint32_t flags) {
    if ((flags & ~kRandomFlags) != 0) {
        return Error::InvalidArgument;
    }
    count = std::min(count, kRandomMaxBytes);
    const std::uint64_t before = std::min(caller.task.call_progress, count);
    std::array<std::byte, kRandomStepBytes> bytes;
    const auto step = std::span{bytes}.first(std::min<std::size_t>(count - before, bytes.size()));
    task::random::fill(step);
    const auto copied = mm::copy_to_user(caller.space(), mm::user_address(buffer) + before, step);
    if (!copied.ok()) {
        return before > 0 ? SysResult{before} : SysResult{copied.error()};
    }
    const std::uint64_t total = before + step.size();
    if (total == count) {
        return total;
    }
    caller.task.call_progress = total;
    return SysResult::again();
}

}  // namespace kernel::syscall
