// SPDX-License-Identifier: MIT
// Who waits for whom through PI futexes, and what waiters lend to owners. A state exists for each PI futex
// that has waiters in the kernel; the word of one without is the program's business alone. The functions are
// in futex_pi.hpp.
// Concurrency: all of it is guarded by one lock of rank FutexBucket, in futex_pi.cpp. One for the machine,
// because a chain of owners and waiters crosses futexes; it is held for bounded work and on contention only.
#pragma once

#include <cstdint>

#include "lib/avl_tree.hpp"
#include "lib/units.hpp"
#include "sched/donation.hpp"

namespace kernel::task {

class Task;
struct PiState;

// A task's place among the waiters of a futex; part of Task.
struct PiWaiter {
    AvlNode<PiWaiter> node;
    Task* task{nullptr};        // the owner; immutable
    PiState* state{nullptr};    // what it waits for; null: it does not
    sched::Donation lends;      // its class orders the waiters
    std::uint64_t sequence{0};  // the older first
    Duration least_latency;     // of the subtree; 0 = none
};

// The shorter of two latency hints, where 0 means none.
[[nodiscard]] constexpr Duration shorter_hint(Duration a, Duration b) {
    return a.is_zero() || (!b.is_zero() && b < a) ? b : a;
}

struct PiWaiterOrder {
    static bool before(const PiWaiter& a, const PiWaiter& b) {
        return a.lends.qos_class != b.lends.qos_class ? a.lends.qos_class > b.lends.qos_class
                                                      : a.sequence < b.sequence;
    }
    static void update(PiWaiter& item, const PiWaiter* left, const PiWaiter* right) {
        item.least_latency = item.lends.latency;
        for (const PiWaiter* child : {left, right}) {
            if (child != nullptr) {
                item.least_latency = shorter_hint(item.least_latency, child->least_latency);
            }
        }
    }
};

// A contended PI futex.
struct PiState {
    AvlNode<PiState> by_key;
    AvlNode<PiState> by_owner;
    // Its name, as of other futexes: the address space and the address, or the file and the offset.
    std::uint64_t space{0};
    std::uint64_t address{0};
    // Null when the last unlock found only waiters that were giving up.
    Task* owner{nullptr};
    AvlTree<PiWaiter, &PiWaiter::node, PiWaiterOrder> waiters;
    // What its waiters lend together, and the sequence of the first of them: the place on by_owner.
    sched::Donation lends;
    std::uint64_t sequence{0};
    Duration least_latency;  // of the subtree of by_owner; 0 = none
};

struct PiKeyOrder {
    static bool before(const PiState& a, const PiState& b) {
        return a.space != b.space ? a.space < b.space : a.address < b.address;
    }
    static void update(PiState&, const PiState*, const PiState*) {}  // no augment
};

struct PiStateOrder {
    static bool before(const PiState& a, const PiState& b) {
        return a.lends.qos_class != b.lends.qos_class ? a.lends.qos_class > b.lends.qos_class
                                                      : a.sequence < b.sequence;
    }
    static void update(PiState& item, const PiState* left, const PiState* right) {
        item.least_latency = item.lends.latency;
        for (const PiState* child : {left, right}) {
            if (child != nullptr) {
                item.least_latency = shorter_hint(item.least_latency, child->least_latency);
            }
        }
    }
};

// What a task owns; part of Task.
struct PiOwner {
    AvlTree<PiState, &PiState::by_owner, PiStateOrder> held;
    sched::Donation lent;  // what all waiters of all of them lend it: as last applied, if anybody does
    bool is_lent_to{false};
    bool has_exited{false};  // it takes part no more
};

}  // namespace kernel::task
