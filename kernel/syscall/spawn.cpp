// SPDX-License-Identifier: MIT
// nexus_spawn: everything the child is to have is copied in, checked and worked out before anything is
// created, so that a refused spawn leaves no trace and an accepted one starts with its attributes in force.
#include <array>
#include <string_view>
#include <utility>

#include "arch/contract.hpp"
#include "mm/user_memory.hpp"
#include "sched/params.hpp"
#include "syscall/audit.hpp"
#include "syscall/change_attributes.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/executable.hpp"
#include "syscall/file_system.hpp"
#include "syscall/program_strings.hpp"
#include "syscall/versioned.hpp"
#include "task/dispatcher.hpp"
#include "task/lifecycle.hpp"

namespace kernel::syscall {

namespace {

using nexus_abi::spawn_fd;

// What the child starts with: what it inherits, changed as the caller wishes and its own limits allow.
Result<sched::Attributes> child_attributes(Caller& caller, std::uint64_t attr,
                                           const sched::Authority& authority) {
    const sched::Attributes own = task::read_attributes(caller.task);
    const sched::Attributes inherited =
        faults().keep_hints ? sched::inherit_for_thread(own)
                            : sched::inherit_for_spawn(own, authority.limits, authority.online);
    if (attr == 0) {
        return inherited;
    }
    const auto wanted = TRY(copy_in_versioned(caller.space(), In<sched_attr>{attr}, sizeof(sched_attr)));
    const sched::Change change = TRY(sched::parse_attr(wanted));
    return sched::apply(inherited, change, authority);
}

// That, and its ceilings.
struct Start {
    sched::Attributes attributes;
    sched::Limits limits;
    bool heads_group{false};
};

Result<Start> child_start(Caller& caller, std::uint64_t attr, std::uint64_t limits) {
    const sched::Authority authority = authority_over(caller, caller.task);
    Start start;
    start.attributes = TRY(child_attributes(caller, attr, authority));
    start.limits = sched::limits_for_spawn(authority.limits, start.attributes);
    if (limits != 0) {
        const auto wanted =
            TRY(copy_in_versioned(caller.space(), In<sched_attr>{limits}, sizeof(sched_attr)));
        const sched::LimitsChange change = TRY(sched::parse_limits(wanted));
        const sched::Limited limited = TRY(sched::apply_limits(
            start.attributes, change,
            {.limits = start.limits, .online = authority.online, .privileged = authority.privileged}));
        start.attributes = limited.attributes;
        start.limits = limited.limits;
        start.heads_group = (change.fields & nexus_abi::kFieldGroup) != 0;
    }
    return start;
}

struct Descriptors {
    Caller& caller;
    std::uint64_t pairs;  // user address of spawn_fd[count]; 0: 0, 1 and 2 as in the caller
    std::uint32_t count;
};

// Runs on the child before it does.
Result<void> copy_descriptors(task::Process& child, void* context) {
    const Descriptors& wanted = *static_cast<const Descriptors*>(context);
    task::FileTable& own = wanted.caller.files();
    if (wanted.pairs == 0) {
        for (std::int32_t descriptor = 0; descriptor < 3; ++descriptor) {
            if (auto file = own.find(descriptor); file.ok()) {
                TRY(child.files.insert_at(descriptor, *std::move(file), false));
            }
        }
        return {};
    }
    for (std::uint32_t i = 0; i < wanted.count; ++i) {
        const In<spawn_fd> at{wanted.pairs + i * sizeof(spawn_fd)};
        const spawn_fd pair = TRY(mm::copy_in(wanted.caller.space(), at));
        auto file = TRY(own.find(pair.from));
        TRY(child.files.insert_at(pair.to, std::move(file), false));
    }
    return {};
}

Result<std::uint64_t> spawn(Caller& caller, In<spawn_args> pointer, std::uint64_t size) {
    const auto args = TRY(copy_in_versioned(caller.space(), pointer, size, sizeof(spawn_args)));
    if ((args.flags & ~nexus_abi::kSpawnFlagsAll) != 0 || args.reserved != 0 || args.path == 0 ||
        (args.rights & ~nexus_abi::kRightsAll) != 0 || args.fd_count > task::FileTable::kMaxFiles ||
        (args.fds == 0 && args.fd_count != 0)) {
        return Error::InvalidArgument;
    }
    std::array<char, file_system::kMaxPath> path{};
    const std::size_t path_bytes = TRY(mm::copy_in_string(caller.space(), path, In<char>{args.path}));
    if (!caller.has_right(args.rights)) {
        return deny(caller);
    }
    const Start start = TRY(child_start(caller, args.attr, args.limits));
    const std::string_view name{path.data(), path_bytes};
    StringBuffer strings;
    TRY(strings.allocate());
    const Executable found = TRY(find_executable(caller, {}, name, args.argv, args.envp, strings));
    Descriptors descriptors{.caller = caller, .pairs = args.fds, .count = args.fd_count};
    const TaskId pid = TRY(task::spawn_program(&caller.task,
                                               {.program = found.program.get(),
                                                .find_interpreter = &file_system::find_interpreter,
                                                .path = name,
                                                .strings = strings.strings(),
                                                .argument_count = found.arguments,
                                                .environment_count = found.environment},
                                               {.attributes = start.attributes,
                                                .limits = start.limits,
                                                .heads_group = start.heads_group,
                                                .rights = args.rights,
                                                .prepare = &copy_descriptors,
                                                .context = &descriptors,
                                                .is_held = (args.flags & nexus_abi::kSpawnHeld) != 0}));
    return std::uint64_t{pid.value()};
}

}  // namespace

SysResult sys_nexus_spawn(Caller& caller, In<spawn_args> args, std::uint64_t size) {
    return spawn(caller, args, size);
}

}  // namespace kernel::syscall
