// SPDX-License-Identifier: MIT
// Two harts and three tasks, small enough to try everything: real run queues under the dispatcher's protocol
// (kernel/task: inboxes, IPIs, idle announcement, stealing, eviction), one locked section a step. explore()
// visits every state that a number of steps can reach, nearest first, and checks each.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "sched/run_queue.hpp"

namespace sched_test {

// Deliberate defects of the protocol: each must be found.
struct ProtocolDefects {
    bool receiver_trusts_mask{false};     // a task whose mask changed under way is enqueued all the same
    bool evict_without_ipi{false};        // the setter waits, but nobody tells the hart
    bool claim_without_ipi{false};        // an idle hart is chosen and not woken
    bool thief_drops{false};              // a stolen task that may not run here is forgotten
    bool no_nudge{false};                 // an idle hart is not told of work that came to wait elsewhere
    bool looks_before_announcing{false};  // an idle hart looks for work first and says so afterwards
    bool setter_skips_waiting{false};     // a waiting task stays where its new mask forbids it
};

struct Exploration {
    std::uint64_t states{0};
    std::uint64_t steps{0};
    std::uint32_t depth{0};   // every state this many steps away was visited
    bool is_complete{false};  // to the depth that was asked for
    std::string violation;    // empty: none; else what, and the steps that lead there
};

// Stops early, between two depths or within one, at `max_states`.
Exploration explore(std::uint32_t depth, std::uint64_t max_states, const ProtocolDefects& defects = {},
                    const kernel::sched::Faults& faults = {});

}  // namespace sched_test
