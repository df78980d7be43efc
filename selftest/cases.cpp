// SPDX-License-Identifier: MIT
#include "cases.hpp"

namespace selftest {
namespace {

// What is merely stored comes before what acts on it: a wrong clamp explains a wrong share, not the other way
// round.
constexpr Case kCases[] = {
    {"clamp", "affinity clamp/reject", 1, false, case_clamp},
    {"perms", "qos perms", 1, false, case_perms},
    {"inherit", "inherit/reset", 1, false, case_inherit},
    {"affinity", "affinity applied", 2, false, case_affinity},
    {"steal", "affinity steal", 2, false, case_steal},
    {"shares", "qos shares ratio", 1, true, case_shares},
    {"low-end", "shares low end", 1, true, case_low_end},
    {"neutral", "hints neutral", 1, true, case_neutral},
    {"latency", "qos latency order", 1, true, case_latency},
    {"starvation", "no starvation", 1, true, case_starvation},
    {"conserving", "work conserving", 1, true, case_conserving},
    {"tickless", "tickless", 2, false, case_tickless},
    {"machine", "shares machine", 2, true, case_machine},
    {"pinned", "shares vs affinity", 2, true, case_pinned},
    {"perfburst", "perfburst bounded", 2, true, case_perfburst},
    {"budget", "budget", 1, true, case_budget},
    {"pi", "pi", 1, true, case_pi},
    {"stress", "smp stress", 1, false, case_stress},
};

}  // namespace

std::span<const Case> all_cases() {
    return kCases;
}

}  // namespace selftest
