// SPDX-License-Identifier: MIT
// Whether the machine below the kernel stood still while a task ran. Pure, so host tests can feed it the
// clocks of a right kernel, of a busy one and of an emulator whose host took the CPU away.
#pragma once

#include <algorithm>
#include <cstdint>

namespace selftest {

// Nanoseconds of guest time in which a hart executed nothing though a task ran on it.
struct Absences {
    std::uint64_t total_ns{0};
    std::uint64_t longest_ns{0};

    void add(const Absences& other) {
        total_ns += other.total_ns;
        longest_ns = std::max(longest_ns, other.longest_ns);
    }
};

// Belongs to one thread, which does equal units of work and nothing else. The kernel charges a thread for the
// time it runs, and a unit is always the same instructions: what is charged for one beyond what it takes,
// neither the thread nor another task has had. A thread that another one displaces is not charged meanwhile,
// so no scheduling, right or wrong, looks like an absence.
class AbsenceWatch {
  public:
    // From `limit_ns` on it is the host's doing; shorter ones may be the kernel's own interrupts. `now_ns`
    // and `charged_ns`: the clock and the thread's CPU time at the start.
    AbsenceWatch(std::uint64_t limit_ns, std::uint64_t now_ns, std::uint64_t charged_ns)
        : limit_ns_{limit_ns}, last_ns_{now_ns}, charged_ns_{charged_ns} {}

    // After each unit. `read_charged()` gives the thread's CPU time in ns and is called only after a gap.
    // True: the host has been away.
    template <class ReadCharged>
    bool note(std::uint64_t now_ns, ReadCharged read_charged) {
        const std::uint64_t gap_ns = now_ns - last_ns_;
        last_ns_ = now_ns;
        if (gap_ns < limit_ns_ / kLooksPerLimit) {
            unlooked_ns_ += gap_ns;
            return false;
        }
        const std::uint64_t charged_ns = read_charged();
        // The units since the last look may have been charged in full.
        const std::uint64_t known_ns = charged_ns_ + unlooked_ns_;
        const std::uint64_t away_ns = std::min(gap_ns, charged_ns - std::min(known_ns, charged_ns));
        charged_ns_ = charged_ns;
        unlooked_ns_ = 0;
        if (away_ns < limit_ns_) {
            return false;
        }
        absences_.add({away_ns, away_ns});
        return true;
    }

    [[nodiscard]] const Absences& absences() const { return absences_; }

  private:
    // Looks at shorter gaps keep the account of what was charged exact.
    static constexpr std::uint64_t kLooksPerLimit = 8;

    std::uint64_t limit_ns_;
    std::uint64_t last_ns_;
    std::uint64_t charged_ns_;
    std::uint64_t unlooked_ns_{0};
    Absences absences_;
};

}  // namespace selftest
