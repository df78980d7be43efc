// SPDX-License-Identifier: MIT
#include "cases.hpp"

namespace selftest {
namespace {

// What is merely stored comes before what acts on it: a wrong clamp explains a wrong share, not the other way
// round.
constexpr Case kCases[] = {
    {"clamp", "affinity clamp/reject", 1, case_clamp},
    {"perms", "qos perms", 1, case_perms},
    {"inherit", "inherit/reset", 1, case_inherit},
    {"affinity", "affinity applied", 2, case_affinity},
    {"steal", "affinity steal", 2, case_steal},
    {"shares", "qos shares ratio", 1, case_shares},
    {"low-end", "shares low end", 1, case_low_end},
    {"neutral", "hints neutral", 1, case_neutral},
    {"latency", "qos latency order", 1, case_latency},
    {"starvation", "no starvation", 1, case_starvation},
    {"conserving", "work conserving", 1, case_conserving},
    {"tickless", "tickless", 2, case_tickless},
};

}  // namespace

std::span<const Case> all_cases() {
    return kCases;
}

}  // namespace selftest
