// SPDX-License-Identifier: MIT
// What operations cost beside a few other tasks and beside thousands, all of them alive and asleep.
//
//     scale_crowd threads|processes COUNT judged|shown
//     scale_crowd child                                    ends at once; what is spawned
//
// threads: COUNT threads of default attributes, each blocked in a futex of its own, every other one with a
// deadline far away, so that the tables of futexes, of deadlines and of mappings are as full as they get.
// processes: COUNT forked processes, each blocked reading a pipe.
//
// Prints `SCALE OPERATION FEW MANY RATIO` (nanoseconds, which are instructions where QEMU counts them) and
// `SCALE memory BYTES`, what the system has less of for each thread or process. `judged`: a ratio above 3 is
// a failure; the lane in which harts are threads of a busy host can only show it. That all of them live, wake
// when they are woken, and end, is judged always. Exit: 0, 1 for a failure.
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t kFew = 10;
constexpr double kMostGrowth = 3.0;

[[noreturn]] void fail(const char* what, int error) {
    std::printf("scale_crowd: %s: %s\n", what, std::strerror(error));
    std::exit(1);
}
void check(bool good, const char* what) {
    if (!good) {
        fail(what, errno);
    }
}

std::int64_t now_ns() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

std::uint64_t free_bytes() {
    struct sysinfo info{};
    check(::sysinfo(&info) == 0, "sysinfo");
    return std::uint64_t{info.freeram} * info.mem_unit;
}

using Word = std::atomic<std::uint32_t>;

void wake(Word& word) {
    ::syscall(SYS_futex, &word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, nullptr, nullptr, 0);
}
// While the word is `value`.
void wait_while(Word& word, std::uint32_t value, const timespec* for_at_most = nullptr) {
    while (word.load() == value) {
        ::syscall(SYS_futex, &word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, value, for_at_most, nullptr, 0);
    }
}

// What the operations need: a second thread that yields or answers while it is told to.
class Partner {
  public:
    Partner() {
        if (const int error = ::pthread_create(&thread_, nullptr, &run, this); error != 0) {
            fail("pthread_create of the partner", error);
        }
    }
    Partner(const Partner&) = delete;
    Partner& operator=(const Partner&) = delete;
    ~Partner() {
        order(kEnd);
        ::pthread_join(thread_, nullptr);
    }

    void round_of_yields() {
        if (mode_.load() != kYield) {
            order(kYield);
        }
        ::sched_yield();
    }
    void rest() { order(kRest); }
    // It wakes up, answers and sleeps again, and so does the caller.
    void round_of_futexes() {
        asked_.store(1);
        order(kAnswer);
        wait_while(asked_, 1);
    }

  private:
    enum Mode : std::uint32_t { kRest, kYield, kAnswer, kEnd };

    static void* run(void* argument) {
        auto& partner = *static_cast<Partner*>(argument);
        while (true) {
            switch (partner.mode_.load()) {
                case kRest:
                    wait_while(partner.mode_, kRest);
                    break;
                case kYield:
                    ::sched_yield();
                    break;
                case kAnswer:
                    partner.mode_.store(kRest);
                    partner.asked_.store(0);
                    wake(partner.asked_);
                    break;
                default:
                    return nullptr;
            }
        }
    }
    void order(Mode mode) {
        mode_.store(mode);
        wake(mode_);
    }

    pthread_t thread_{};
    Word mode_{kRest};
    Word asked_{0};
};

// One of the crowd: wakes when it is called, says so and sleeps again.
class Member {
  public:
    void start(bool has_deadline) {
        has_deadline_ = has_deadline;
        if (const int error = ::pthread_create(&thread_, nullptr, &run, this); error != 0) {
            fail("pthread_create in the crowd", error);
        }
        wait_while(state_, kNew);
    }
    void call() {
        state_.store(kCalled);
        wake(state_);
        wait_while(state_, kCalled);
    }
    void end() {
        state_.store(kEnds);
        wake(state_);
        if (const int error = ::pthread_join(thread_, nullptr); error != 0) {
            fail("pthread_join in the crowd", error);
        }
    }

  private:
    enum State : std::uint32_t { kNew, kSleeps, kCalled, kEnds };

    static void* run(void* argument) {
        auto& member = *static_cast<Member*>(argument);
        constexpr timespec kFarAway{.tv_sec = 100'000, .tv_nsec = 0};
        while (true) {
            std::uint32_t state = member.state_.load();
            if (state == kEnds) {
                return nullptr;
            }
            if (state != kSleeps && member.state_.compare_exchange_strong(state, kSleeps)) {
                wake(member.state_);
            }
            wait_while(member.state_, kSleeps, member.has_deadline_ ? &kFarAway : nullptr);
        }
    }

    Word state_{kNew};
    bool has_deadline_{false};
    pthread_t thread_{};
};

void* return_at_once(void* argument) {
    return argument;
}

const char* own_path = nullptr;

void spawn_and_wait() {
    std::string path{own_path};
    std::string argument{"child"};
    std::array<char*, 3> argv{path.data(), argument.data(), nullptr};
    std::array<char*, 1> envp{nullptr};
    pid_t pid = 0;
    if (const int error = ::posix_spawn(&pid, own_path, nullptr, nullptr, argv.data(), envp.data());
        error != 0) {
        fail("posix_spawn", error);
    }
    int status = 0;
    check(::waitpid(pid, &status, 0) == pid && status == 0, "waitpid of what was spawned");
}

// Costs that are only shown are not worth many rounds: across harts that are threads each may take
// milliseconds.
bool is_judged = false;

struct Costs {
    std::vector<std::string_view> names;
    std::vector<double> values;

    // Of one round of `operation`; a tenth of the rounds comes before.
    template <class Operation>
    void measure(std::string_view name, int most_rounds, Operation&& operation) {
        const int rounds = is_judged ? most_rounds : most_rounds / 10;
        for (int i = 0; i < rounds / 10; ++i) {
            operation(i);
        }
        const std::int64_t begin = now_ns();
        for (int i = 0; i < rounds; ++i) {
            operation(i);
        }
        names.push_back(name);
        values.push_back(static_cast<double>(now_ns() - begin) / rounds);
    }
};

Costs measure_common() {
    Costs costs;
    Partner partner;
    costs.measure("yield", 1000, [&](int) { partner.round_of_yields(); });
    partner.rest();
    costs.measure("futex", 500, [&](int) { partner.round_of_futexes(); });
    costs.measure("create_join", 100, [](int) {
        pthread_t thread{};
        if (const int error = ::pthread_create(&thread, nullptr, &return_at_once, nullptr); error != 0) {
            fail("pthread_create", error);
        }
        ::pthread_join(thread, nullptr);
    });
    costs.measure("sleep", 200, [](int) {
        constexpr timespec kShort{.tv_sec = 0, .tv_nsec = 1000};
        ::clock_nanosleep(CLOCK_MONOTONIC, 0, &kShort, nullptr);
    });
    costs.measure("spawn", 20, [](int) { spawn_and_wait(); });
    return costs;
}

Costs measure_with(std::vector<std::unique_ptr<Member>>& members) {
    Costs costs = measure_common();
    // All over the crowd: each of them is a waiter of its own among all the others.
    costs.measure("wake", 500, [&](int i) {
        constexpr std::size_t kStride = 7919;
        members[static_cast<std::size_t>(i) * kStride % members.size()]->call();
    });
    return costs;
}

bool report(const Costs& few, const Costs& many) {
    bool good = true;
    for (std::size_t i = 0; i < few.names.size(); ++i) {
        const double ratio = many.values[i] / few.values[i];
        const bool within = ratio <= kMostGrowth;
        good = good && (within || !is_judged);
        std::printf("SCALE %-12s %10.0f %10.0f %6.2f%s\n", few.names[i].data(), few.values[i], many.values[i],
                    ratio,
                    within      ? ""
                    : is_judged ? " WRONG"
                                : " (not judged)");
    }
    return good;
}

int crowd_of_threads(std::size_t count) {
    std::vector<std::unique_ptr<Member>> members;
    members.reserve(count);
    const auto grow_to = [&](std::size_t size) {
        while (members.size() < size) {
            members.push_back(std::make_unique<Member>());
            members.back()->start(members.size() % 2 == 0);
        }
    };
    grow_to(kFew);
    const Costs few = measure_with(members);
    const std::uint64_t before = free_bytes();
    grow_to(count);
    const std::uint64_t after = free_bytes();
    std::printf("SCALE memory %zu\n", static_cast<std::size_t>(before - after) / (count - kFew));
    const Costs many = measure_with(members);
    const bool good = report(few, many);
    // All of them are there, and wake.
    for (const auto& member : members) {
        member->call();
    }
    for (const auto& member : members) {
        member->end();
    }
    std::printf("SCALE threads %zu lived and ended\n", count);
    return good ? 0 : 1;
}

int crowd_of_processes(std::size_t count) {
    std::array<int, 2> gate{};
    check(::pipe(gate.data()) == 0, "pipe");
    std::vector<pid_t> members;
    members.reserve(count);
    const auto grow_to = [&](std::size_t size) {
        while (members.size() < size) {
            const pid_t pid = ::fork();
            check(pid >= 0, "fork");
            if (pid == 0) {
                ::close(gate[1]);
                char nothing = 0;
                // To the end of the pipe, when its last writer is gone.
                ::_exit(::read(gate[0], &nothing, 1) == 0 ? 7 : 1);
            }
            members.push_back(pid);
        }
    };
    const auto measure = [&] {
        Costs costs = measure_common();
        costs.measure("fork", 20, [](int) {
            const pid_t pid = ::fork();
            check(pid >= 0, "fork");
            if (pid == 0) {
                ::_exit(0);
            }
            check(::waitpid(pid, nullptr, 0) == pid, "waitpid");
        });
        costs.measure("find", 200, [&](int i) {
            check(::kill(members[static_cast<std::size_t>(i) * 7 % members.size()], 0) == 0, "kill");
        });
        return costs;
    };
    grow_to(kFew);
    const Costs few = measure();
    const std::uint64_t before = free_bytes();
    grow_to(count);
    const std::uint64_t after = free_bytes();
    std::printf("SCALE memory %zu\n", static_cast<std::size_t>(before - after) / (count - kFew));
    const Costs many = measure();
    const bool good = report(few, many);
    ::close(gate[1]);
    for (const pid_t pid : members) {
        int status = 0;
        check(::waitpid(pid, &status, 0) == pid, "waitpid in the crowd");
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 7) {
            std::printf("scale_crowd: process %d ended with status %#x\n", pid,
                        static_cast<unsigned>(status));
            return 1;
        }
    }
    std::printf("SCALE processes %zu lived and ended\n", count);
    return good ? 0 : 1;
}

int usage() {
    std::puts("usage: scale_crowd threads|processes COUNT judged|shown");
    return 1;
}

}  // namespace

int main(int argc, char** argv) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    own_path = argv[0];
    if (argc == 2 && std::string_view{argv[1]} == "child") {
        return 0;
    }
    if (argc != 4) {
        return usage();
    }
    const std::size_t count = std::strtoul(argv[2], nullptr, 10);
    const std::string_view how{argv[3]};
    if (count <= kFew || (how != "judged" && how != "shown")) {
        return usage();
    }
    is_judged = how == "judged";
    const std::string_view what{argv[1]};
    if (what == "threads") {
        return crowd_of_threads(count);
    }
    return what == "processes" ? crowd_of_processes(count) : usage();
}
