// SPDX-License-Identifier: MIT
// User and group ids (credentials(7)).
#include <array>

#include "mm/user_memory.hpp"
#include "syscall/dispatch.hpp"
#include "task/process.hpp"

namespace kernel::syscall {

namespace {

using Ids = task::Identity::Ids;

constexpr std::uint32_t kKeep = ~std::uint32_t{0};  // "leave this one as it is"

bool is_root(Caller& caller) {
    return caller.process.identity.user.effective.load() == 0;
}

bool has(const Ids& ids, std::uint32_t id) {
    return id == ids.real.load() || id == ids.effective.load() || id == ids.saved.load();
}

SysResult set_three(Caller& caller, Ids& ids, std::uint32_t real, std::uint32_t effective,
                    std::uint32_t saved) {
    for (const std::uint32_t id : {real, effective, saved}) {
        if (id != kKeep && !is_root(caller) && !has(ids, id)) {
            return Error::NotPermitted;
        }
    }
    const auto set = [](std::atomic<std::uint32_t>& to, std::uint32_t id) {
        if (id != kKeep) {
            to.store(id);
        }
    };
    // The effective user id last: who is root is asked by it.
    set(ids.real, real);
    set(ids.saved, saved);
    set(ids.effective, effective);
    return std::uint64_t{0};
}

SysResult set_two(Caller& caller, Ids& ids, std::uint32_t real, std::uint32_t effective) {
    // The saved id follows the effective one when the real one is set, or when that becomes another than it.
    const bool follows = real != kKeep || (effective != kKeep && effective != ids.real.load());
    const std::uint32_t next = effective != kKeep ? effective : ids.effective.load();
    if (!is_root(caller) && ((real != kKeep && real != ids.real.load() && real != ids.effective.load()) ||
                             (effective != kKeep && !has(ids, effective)))) {
        return Error::NotPermitted;
    }
    if (real != kKeep) {
        ids.real.store(real);
    }
    if (follows) {
        ids.saved.store(next);
    }
    ids.effective.store(next);
    return std::uint64_t{0};
}

SysResult set_one(Caller& caller, Ids& ids, std::uint32_t id) {
    if (id == kKeep) {
        return Error::InvalidArgument;
    }
    if (is_root(caller)) {
        return set_three(caller, ids, id, id, id);
    }
    if (id != ids.real.load() && id != ids.saved.load()) {
        return Error::NotPermitted;
    }
    ids.effective.store(id);
    return std::uint64_t{0};
}

SysResult give_three(Caller& caller, const Ids& ids, Out<std::uint32_t> real, Out<std::uint32_t> effective,
                     Out<std::uint32_t> saved) {
    if (const auto copied = mm::copy_out(caller.space(), real, ids.real.load()); !copied.ok()) {
        return copied.error();
    }
    if (const auto copied = mm::copy_out(caller.space(), effective, ids.effective.load()); !copied.ok()) {
        return copied.error();
    }
    return mm::copy_out(caller.space(), saved, ids.saved.load());
}

}  // namespace

SysResult sys_getuid(Caller& caller) {
    return std::uint64_t{caller.process.identity.user.real.load()};
}
SysResult sys_geteuid(Caller& caller) {
    return std::uint64_t{caller.process.identity.user.effective.load()};
}
SysResult sys_getgid(Caller& caller) {
    return std::uint64_t{caller.process.identity.group.real.load()};
}
SysResult sys_getegid(Caller& caller) {
    return std::uint64_t{caller.process.identity.group.effective.load()};
}

SysResult sys_setuid(Caller& caller, std::uint32_t uid) {
    return set_one(caller, caller.process.identity.user, uid);
}
SysResult sys_setgid(Caller& caller, std::uint32_t gid) {
    return set_one(caller, caller.process.identity.group, gid);
}
SysResult sys_setreuid(Caller& caller, std::uint32_t real, std::uint32_t effective) {
    return set_two(caller, caller.process.identity.user, real, effective);
}
SysResult sys_setregid(Caller& caller, std::uint32_t real, std::uint32_t effective) {
    return set_two(caller, caller.process.identity.group, real, effective);
}
SysResult sys_setresuid(Caller& caller, std::uint32_t real, std::uint32_t effective, std::uint32_t saved) {
    return set_three(caller, caller.process.identity.user, real, effective, saved);
}
SysResult sys_setresgid(Caller& caller, std::uint32_t real, std::uint32_t effective, std::uint32_t saved) {
    return set_three(caller, caller.process.identity.group, real, effective, saved);
}
SysResult sys_getresuid(Caller& caller, Out<std::uint32_t> real, Out<std::uint32_t> effective,
                        Out<std::uint32_t> saved) {
    return give_three(caller, caller.process.identity.user, real, effective, saved);
}
SysResult sys_getresgid(Caller& caller, Out<std::uint32_t> real, Out<std::uint32_t> effective,
                        Out<std::uint32_t> saved) {
    return give_three(caller, caller.process.identity.group, real, effective, saved);
}
SysResult sys_setfsuid(Caller& caller, std::uint32_t) {
    return sys_geteuid(caller);
}
SysResult sys_setfsgid(Caller& caller, std::uint32_t) {
    return sys_getegid(caller);
}

SysResult sys_getgroups(Caller& caller, std::int32_t count, Out<std::uint32_t> groups) {
    const task::Identity& identity = caller.process.identity;
    const std::uint32_t have = identity.group_count.load();
    if (count < 0 || (count != 0 && static_cast<std::uint32_t>(count) < have)) {
        return Error::InvalidArgument;
    }
    if (count != 0) {
        std::array<std::uint32_t, task::Identity::kMaxGroups> copy{};
        for (std::uint32_t i = 0; i < have; ++i) {
            copy[i] = identity.groups[i].load();
        }
        if (const auto copied =
                mm::copy_out_array(caller.space(), groups, std::span<const std::uint32_t>{copy}.first(have));
            !copied.ok()) {
            return copied.error();
        }
    }
    return std::uint64_t{have};
}

SysResult sys_setgroups(Caller& caller, std::int32_t count, In<std::uint32_t> groups) {
    task::Identity& identity = caller.process.identity;
    if (!is_root(caller)) {
        return Error::NotPermitted;
    }
    if (count < 0 || static_cast<std::uint32_t>(count) > task::Identity::kMaxGroups) {
        return Error::InvalidArgument;
    }
    const auto wanted = static_cast<std::uint32_t>(count);
    std::array<std::uint32_t, task::Identity::kMaxGroups> copy{};
    if (const auto copied = mm::copy_in_array(caller.space(), std::span{copy}.first(wanted), groups);
        !copied.ok()) {
        return copied.error();
    }
    for (std::uint32_t i = 0; i < wanted; ++i) {
        identity.groups[i].store(copy[i]);
    }
    identity.group_count.store(wanted);
    return std::uint64_t{0};
}

}  // namespace kernel::syscall
