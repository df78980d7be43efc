// SPDX-License-Identifier: MIT
#include "supervision_loop.hpp"

namespace execd {

void supervise(Supervisor& supervisor, Kernel& kernel, const LineSink& log,
               const std::function<void()>& reload, bool forever) {
    supervisor.start_ready();
    while (forever || !supervisor.is_finished()) {
        const auto event = kernel.wait(supervisor.next_restart());
        if (!event.ok()) {
            // Not a kernel to supervise on; trying again would only spin.
            log("execd: cannot wait for services: " + describe(event.error()));
            return;
        }
        if (const auto* const ended = std::get_if<EndedChild>(&*event)) {
            supervisor.child_ended(*ended);
        } else if (std::holds_alternative<ReloadAsked>(*event)) {
            reload();
        } else if (const auto* const asked = std::get_if<ControlAsked>(&*event)) {
            kernel.answer(asked->pid, supervisor.control(asked->line, reload));
        } else {
            supervisor.restart_due();
        }
    }
}

}  // namespace execd
