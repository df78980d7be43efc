// SPDX-License-Identifier: MIT
// bench: measures what operations of the system cost, with POSIX and Linux calls only.
//
//     bench [settle] [OPERATION]...        all of them without a name
//
// `settle`: 15 s asleep before the first one. Linux' own threads work on after init began, and what is
// measured meanwhile is partly theirs.
//
// Prints, at the start of a line, one of
//     BENCH OPERATION[.FIGURE] VALUE
//     SKIP OPERATION ERROR-TEXT
// for each figure, and `BENCH end MEASURED SKIPPED` behind them. Values are nanoseconds, which are
// instructions when QEMU counts them, unless docs/perf/bench.md says otherwise. As init it powers the machine
// off at the end. Exit: 0, 1 for a name that it does not know.
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>

#include "measure.hpp"

namespace bench {
namespace {

struct Operation {
    std::string_view name;
    void (*measure)(Figures& figures);
};

constexpr std::array kOperations{
    Operation{"boot_to_init", boot_to_init},
    Operation{"null_call", null_call},
    Operation{"clock_gettime_call", clock_gettime_call},
    Operation{"yield_alone", yield_alone},
    Operation{"yield_two", yield_two},
    Operation{"yield_thousand", yield_thousand},
    Operation{"futex_same_hart", futex_same_hart},
    Operation{"futex_two_harts", futex_two_harts},
    Operation{"pipe_same_hart", pipe_same_hart},
    Operation{"thread_create_join", thread_create_join},
    Operation{"spawn_wait", spawn_wait},
    Operation{"fork_exec", fork_exec},
    Operation{"fork_wait", fork_wait},
    Operation{"mmap_touch_munmap", mmap_touch_munmap},
    Operation{"first_touch", first_touch},
    Operation{"fault_throughput", fault_throughput},
    Operation{"wake_idle", wake_idle},
    Operation{"wake_hogs4", wake_hogs4},
    Operation{"wake_hogs16", wake_hogs16},
    Operation{"wake_hogs4_fifo", wake_hogs4_fifo},
    Operation{"wake_hogs16_fifo", wake_hogs16_fifo},
    Operation{"wake_hogs4_slice", wake_hogs4_slice},
    Operation{"wake_hogs16_slice", wake_hogs16_slice},
    Operation{"hackbench_pipe", hackbench_pipe},
    Operation{"hackbench_socket", hackbench_socket},
    Operation{"schbench", schbench},
    Operation{"idle_timer_interrupts", idle_timer_interrupts},
    // Last: it leaves a larger process behind, which fork would copy.
    Operation{"thread_memory", thread_memory},
};

// A line at a time, and nothing of it is still on its way when the next measurement begins.
void print(const std::string& line) {
    std::fputs(line.c_str(), stdout);
    std::fflush(stdout);
    static_cast<void>(::tcdrain(STDOUT_FILENO));
    sleep_until_ns(now_ns() + 5'000'000);
}

class Printer final : public Figures {
  public:
    explicit Printer(std::string_view operation) : operation_{operation} {}
    void add(std::string_view name, double value) override {
        std::array<char, 160> line{};
        std::snprintf(line.data(), line.size(), "BENCH %s%s%.*s %.1f\n", operation_.c_str(),
                      name.empty() ? "" : ".", static_cast<int>(name.size()), name.data(), value);
        lines_ += line.data();
    }
    [[nodiscard]] const std::string& lines() const { return lines_; }

  private:
    std::string operation_;
    std::string lines_;
};

// Whether it could be measured.
bool run(const Operation& operation) {
    Printer figures{operation.name};
    try {
        pin_to(0);
        operation.measure(figures);
    } catch (const Unsupported& reason) {
        print("SKIP " + std::string{operation.name} + " " + std::strerror(reason.error) + "\n");
        return false;
    }
    print(figures.lines());
    return true;
}

const Operation* find(std::string_view name) {
    for (const Operation& operation : kOperations) {
        if (operation.name == name) {
            return &operation;
        }
    }
    return nullptr;
}

// Linux starts init with nothing mounted; elsewhere this is refused, and /proc is there or is not.
void prepare_as_init() {
    static_cast<void>(::mkdir("/proc", 0755));
    static_cast<void>(::mount("proc", "/proc", "proc", 0, nullptr));
}

void print_operations() {
    for (const Operation& operation : kOperations) {
        std::printf(" %.*s", static_cast<int>(operation.name.size()), operation.name.data());
    }
    print("\n");
}

int run_all(std::span<char*> names) {
    if (!names.empty() && std::strcmp(names.front(), "settle") == 0) {
        constexpr std::uint64_t kSettle = 15'000'000'000;
        sleep_until_ns(now_ns() + kSettle);
        names = names.subspan(1);
    }
    if (!names.empty() && std::strcmp(names.front(), "--help") == 0) {
        print("usage: bench [OPERATION...]\nWhat operations cost; all of them:");
        print_operations();
        return 0;
    }
    std::vector<const Operation*> wanted;
    for (const char* name : names) {
        wanted.push_back(find(name));
        if (wanted.back() == nullptr) {
            print("bench: no operation '" + std::string{name} + "'; there are:");
            print_operations();
            return 1;
        }
    }
    if (wanted.empty()) {
        for (const Operation& operation : kOperations) {
            wanted.push_back(&operation);
        }
    }
    std::size_t measured = 0;
    for (const Operation* operation : wanted) {
        measured += run(*operation) ? 1 : 0;
    }
    print("BENCH end " + std::to_string(measured) + " " + std::to_string(wanted.size() - measured) + "\n");
    return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
    const bool is_init = ::getpid() == 1;
    if (is_init) {
        bench::prepare_as_init();
    }
    const std::span arguments{argv, static_cast<std::size_t>(argc)};
    const int status = bench::run_all(arguments.subspan(argc > 0 ? 1 : 0));
    if (is_init) {
        ::sync();
        ::reboot(RB_POWER_OFF);
    }
    return status;
}
