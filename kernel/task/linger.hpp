// SPDX-License-Identifier: MIT
// What a hart does first when its task begins to wait and nothing else is to run here: it stays with the task
// for a moment. Whoever is to end the wait often runs on another hart and does so soon, as two threads do
// that hand work to each other. The task is then still Blocking, so that ending its wait takes no placement,
// no inbox and no interrupt, and it goes on without having left its queue.
//
// The moment is about as long as what it may save takes: an interrupt to a hart that sleeps is 3 700
// instructions in OpenSBI alone. So a hart is never awake for more than twice what was necessary (Karlin et
// al., "Competitive Randomized Algorithms for Non-Uniform Problems", SODA 1990: the deterministic case), and
// in between it sleeps where its timer can be set without the firmware.
#pragma once

#include "lib/units.hpp"
#include "task/hart.hpp"
#include "task/task.hpp"

namespace kernel::task {

// False: it returned at once. Returns when the task's wait has ended (RunState::Woken), an interrupt is
// pending, or the moment is over; at once when another hart cannot end the wait soon, or this one has
// something else to do. For the others the hart runs the task meanwhile: what they send here interrupts. Not
// with neuron.paths=general. Pre: the task is current, on its way out of the kernel, `now` was read since it
// entered; no lock is held. Post: the timer is set anew before the hart leaves the kernel.
[[nodiscard]] bool linger(Hart& hart, const Task& task, Instant now);

}  // namespace kernel::task
