// SPDX-License-Identifier: MIT
#include "restart.hpp"

#include <algorithm>
#include <csignal>

namespace execd {

Duration Backoff::next(Duration run_time) {
    if (run_time >= kHealthyTime || pause_ == Duration{0}) {
        pause_ = kFirstBackoff;
    } else {
        pause_ = std::min(pause_ * 2, kLongestBackoff);
    }
    return pause_;
}

bool ExitReason::was_killed_by_fault() const {
    const auto signal = static_cast<int>(wait_status_ & 0x7fU);
    return signal == SIGILL || signal == SIGTRAP || signal == SIGBUS || signal == SIGFPE || signal == SIGSEGV;
}

std::string ExitReason::describe() const {
    const std::uint32_t signal = wait_status_ & 0x7fU;
    if (signal != 0) {
        return "killed by signal " + std::to_string(signal);
    }
    return "exited (status " + std::to_string((wait_status_ >> 8U) & 0xffU) + ")";
}

bool wants_restart(RestartPolicy policy, bool is_success) {
    switch (policy) {
        case RestartPolicy::No:
            return false;
        case RestartPolicy::OnFailure:
            return !is_success;
        case RestartPolicy::Always:
            return true;
    }
    return false;
}

}  // namespace execd
