// SPDX-License-Identifier: MIT
// A thread that does nothing but wake every few milliseconds on the home CPU. QEMU counting instructions lets
// a hart go on until the machine's next timer; on a tickless kernel that may be seconds away, and a hart that
// spins would keep the others from their turn for that long. With the metronome no turn is longer than a
// beat. Costs about 1 % of a hart that is not measured.
#pragma once

#include <atomic>
#include <chrono>
#include <thread>

#include "clock.hpp"

namespace selftest {

// Owned by one thread; starts and ends with the object. It inherits class and mask of its creator.
class Metronome {
  public:
    Metronome() : thread_{[this] { beat(); }} {}
    Metronome(const Metronome&) = delete;
    Metronome& operator=(const Metronome&) = delete;
    ~Metronome() {
        stop_ = true;
        thread_.join();
    }

  private:
    // Not in step with any request length (1, 2, 3, 10 ms): a beat takes the emulator's time from whoever
    // runs then.
    static constexpr std::chrono::microseconds kBeat{3700};

    void beat() const {
        while (!stop_) {
            user::sleep_until(user::now() + kBeat);
        }
    }

    std::atomic<bool> stop_{false};
    std::thread thread_;
};

}  // namespace selftest
