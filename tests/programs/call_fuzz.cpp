// SPDX-License-Identifier: MIT
// System calls at random, from four tasks at once.
//
//     call_fuzz [guided] SEED FIRST ROUNDS CALLS [TASKS [FROM TO]]      as init
//     qemu-riscv64 call_fuzz list SEED FIRST ROUNDS CALLS ...  on a Linux host: prints the calls, makes none
//
// Each round is a process of its own, whose calls depend on SEED and the round's number alone: four threads,
// or two processes of two, make CALLS calls each, drawn from the table of system calls, on memory and files
// they share. Process 1 starts it, kills what is left when nothing goes on, and collects everybody. It is the
// kernel that must not panic, hang, or write addresses of its own memory into a program's. TASKS (a mask of
// the four), FROM and TO leave calls out, which is how tests/fuzz/shrink.py makes a failing run small: what
// the other calls' arguments are stays the same.
//
// `guided` wants a kernel that tells which of its edges calls reach (call_fuzz_guide.hpp). What it keeps is
// printed, a line "call_fuzz: kept ..." each; a round's calls then depend on what was kept before, too, and
// TASKS, FROM and TO are about the last round.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <string>
#include <thread>

#include "call_fuzz_arguments.hpp"
#include "call_fuzz_guide.hpp"
#include "console.hpp"
#include "nexus_abi/sched_calls.hpp"

namespace call_fuzz {
namespace {

using user::format;
using user::write_line;

constexpr const char* kProgram = "/bin/call_fuzz";
constexpr const char* kBoard = "/dev/shm/call_fuzz";
constexpr const char* kCorpus = "/corpus/calls";

struct Plan {
    std::uint64_t seed{1};
    std::uint64_t first{0};
    std::uint64_t rounds{1};
    std::uint64_t calls{1};
    std::uint64_t tasks{0xf};
    std::uint64_t from{0};
    std::uint64_t to{~std::uint64_t{0}};
    bool is_list{false};
    bool is_guided{false};
};

// What all processes see.
struct Board {
    std::atomic<std::uint64_t> calls;
    std::atomic<std::uint64_t> accepted;
    std::atomic<std::uint64_t> leaked;
    std::atomic<std::uint64_t> leaking_call;
    std::array<TaskPlan, kTasks> plans;  // of a guided round
    std::array<std::uint64_t, Arena::kShownWords> around;
};

Board* open_board(bool create) {
    const int file = open(kBoard, create ? O_RDWR | O_CREAT : O_RDWR, 0600);
    if (file < 0 || (create && ftruncate(file, sizeof(Board)) != 0)) {
        return nullptr;
    }
    void* const memory = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return memory == MAP_FAILED ? nullptr : static_cast<Board*>(memory);
}

// The call itself. A child of clone ends at once: its stack is whatever the call was given.
std::int64_t raw_call(std::uint64_t number, const std::array<std::uint64_t, 6>& arguments) {
    register std::uint64_t a7 asm("a7") = number;
    register std::uint64_t a0 asm("a0") = arguments[0];
    register std::uint64_t a1 asm("a1") = arguments[1];
    register std::uint64_t a2 asm("a2") = arguments[2];
    register std::uint64_t a3 asm("a3") = arguments[3];
    register std::uint64_t a4 asm("a4") = arguments[4];
    register std::uint64_t a5 asm("a5") = arguments[5];
    asm volatile(
        "ecall\n"
        "bnez a0, 1f\n"
        "li t0, 220\n"
        "bne a7, t0, 1f\n"
        "li a7, 93\n"
        "ecall\n"
        "1:\n"
        : "+r"(a0), "+r"(a7)
        : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5)
        : "memory", "t0");
    return static_cast<std::int64_t>(a0);
}

// Which call of the table comes next, and what its arguments are made from.
struct Choice {
    std::size_t row;
    std::uint64_t seed;
};
Choice choose(const std::vector<Row>& rows, std::uint64_t weights, Random& random) {
    std::uint64_t place = random.below(weights);
    std::size_t row = 0;
    while (place >= rows[row].weight) {
        place -= rows[row++].weight;
    }
    return {.row = row, .seed = random.next()};
}

void make_calls(const Plan& plan, std::uint64_t task, const std::vector<Row>& rows, Arena& arena,
                Tasks& tasks, Board& board, const Coverage& coverage, Random random) {
    const auto tid = static_cast<std::int32_t>(*nexus_abi::call::gettid());
    tasks[task] = tid;
    TaskPlan& mine = board.plans[task];
    std::uint64_t weights = 0;
    for (const Row& row : rows) {
        weights += row.weight;
    }
    for (std::uint64_t i = 0; i < plan.calls; ++i) {
        const Choice choice = plan.is_guided ? Choice{.row = mine.calls[i].row, .seed = mine.calls[i].seed}
                                             : choose(rows, weights, random);
        const Row& row = rows[choice.row];
        std::array<std::uint64_t, 6> arguments{};
        Random own{choice.seed};
        for (std::size_t n = 0; n < row.arguments.size(); ++n) {
            arguments[n] = argument(row.arguments[n], arena, tasks, own);
        }
        if ((plan.tasks >> task & 1) == 0 || i < plan.from || i >= plan.to) {
            continue;
        }
        if (plan.is_list) {
            std::string line =
                format("task %d call %d: %s", static_cast<int>(task), static_cast<int>(i), row.name.data());
            for (std::size_t n = 0; n < row.arguments.size(); ++n) {
                line +=
                    format("%s0x%llx", n == 0 ? "(" : ", ", static_cast<unsigned long long>(arguments[n]));
            }
            write_line(line + ")");
            continue;
        }
        board.calls.fetch_add(1);
        const std::uint32_t edges = coverage.edges_of(tid);
        if (raw_call(row.number, arguments) >= 0) {
            board.accepted.fetch_add(1);
        }
        if (coverage.edges_of(tid) != edges && mine.find_count < TaskPlan::kMaxFinds) {
            mine.finds[mine.find_count] = static_cast<std::uint16_t>(i);
            mine.find_count += 1;  // last: the task may end at any time
        }
        // Most calls write where their arguments point to; the rest is looked at now and then.
        const bool is_time_for_all = i % 16 == 15;
        if (const std::uint64_t leaked = is_time_for_all ? arena.leaked() : arena.leaked(arguments);
            leaked != 0) {
            board.leaking_call.store(row.number);
            board.around = arena.around_leak();
            board.leaked.store(leaked);
            return;
        }
    }
}

// A round's process. What it says nobody reads.
int be_round(const Plan& plan, Board& board) {
    const int nothing = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; ++fd) {
        dup2(nothing, fd);
    }
    const std::vector<Row> rows = read_table();
    Random random{plan.seed * 1'000'003 + plan.first};
    Arena arena;
    Coverage coverage;
    static Tasks tasks{};
    if (!arena.map() || (plan.is_guided && !coverage.map())) {
        return 1;
    }
    const std::uint64_t seeds[] = {random.next(), random.next(), random.next(), random.next()};
    std::uint64_t mine = 0;
    pid_t second = 0;
    if (random.one_in(2) && (second = fork()) == 0) {
        mine = 2;
    }
    std::thread other{
        [&] { make_calls(plan, mine + 1, rows, arena, tasks, board, coverage, Random{seeds[mine + 1]}); }};
    make_calls(plan, mine, rows, arena, tasks, board, coverage, Random{seeds[mine]});
    other.join();
    if (const std::uint64_t leaked = arena.leaked_pages(); leaked != 0) {
        board.leaking_call.store(222);  // mmap
        board.leaked.store(leaked);
    }
    while (second > 0 && waitpid(second, nullptr, 0) == -1 && errno == EINTR) {
    }
    _exit(0);
}

std::string text(std::uint64_t value) {
    return std::to_string(value);
}

std::int32_t start_round(const Plan& plan, std::uint64_t round) {
    const std::string words[] = {text(plan.seed),  text(round),     text(1),      text(plan.calls),
                                 text(plan.tasks), text(plan.from), text(plan.to)};
    const char* arguments[10] = {"call_fuzz", plan.is_guided ? "guided-round" : "round"};
    for (std::size_t i = 0; i < std::size(words); ++i) {
        arguments[i + 2] = words[i].c_str();
    }
    Random random{plan.seed ^ round << 32};
    const auto pid = nexus_abi::spawn(
        {.path = kProgram,
         .argv = arguments,
         .rights = random.below(4) & (nexus_abi::kRightSchedAdmin | nexus_abi::kRightSchedInspect)});
    return pid.ok() ? *pid : -1;
}

// Until the round is over, or nobody has made a call for a while.
void wait_for_round(std::int32_t pid, const Board& board) {
    constexpr int kPatience = 6;
    std::uint64_t before = ~std::uint64_t{0};
    for (int quiet = 0; quiet < kPatience;) {
        if (waitpid(pid, nullptr, WNOHANG) == pid) {
            return;
        }
        const timespec pause{.tv_sec = 0, .tv_nsec = 500'000};
        nanosleep(&pause, nullptr);
        const std::uint64_t now = board.calls.load();
        quiet = now == before ? quiet + 1 : 0;
        before = now;
    }
}

void clean_up() {
    kill(-1, SIGKILL);
    while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
    }
    for (const char* path :
         {"/tmp/d/c", "/tmp/d/e", "/tmp/a", "/tmp/b", "/tmp/l", "/dev/shm/a", "/dev/shm/b"}) {
        unlink(path);
    }
    rmdir("/tmp/d");
    for (std::uint64_t cpu = 0; cpu < 8; ++cpu) {
        static_cast<void>(nexus_abi::call::nexus_cpu_set_online(cpu, 1));
    }
}

// How far the kernel's edges were reached, where it tells.
std::string progress(const Coverage& coverage, const Guide& guide) {
    return coverage.is_mapped()
               ? format(", %s edges, %s entries read, %s kept", text(coverage.edges()).c_str(),
                        text(guide.read_count()).c_str(), text(guide.kept_count()).c_str())
               : "";
}

// All of a file; empty: there is none.
std::string read_file(const char* path) {
    std::string text;
    const int file = open(path, O_RDONLY);
    std::array<char, 4096> piece;
    for (ssize_t bytes = 0; file >= 0 && (bytes = read(file, piece.data(), piece.size())) > 0;) {
        text.append(piece.data(), static_cast<std::size_t>(bytes));
    }
    close(file);
    return text;
}

// The round's part of the plan: of a guided run's rounds the last alone leaves calls out, since the others
// decide what it does.
Plan part_of(const Plan& plan, std::uint64_t round) {
    Plan part = plan;
    if (plan.is_guided && round + 1 != plan.first + plan.rounds) {
        part.tasks = Plan{}.tasks;
        part.from = Plan{}.from;
        part.to = Plan{}.to;
    }
    return part;
}

int be_init(const Plan& plan) {
    // A round's tasks may send process 1 whatever they like.
    sigset_t all{};
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, nullptr);
    Board* const board = open_board(true);
    if (board == nullptr) {
        write_line("call_fuzz: no shared memory");
        return 1;
    }
    write_line(format("call_fuzz: seed %s, rounds %s to %s, 4 tasks of %s calls", text(plan.seed).c_str(),
                      text(plan.first).c_str(), text(plan.first + plan.rounds - 1).c_str(),
                      text(plan.calls).c_str()));
    Coverage coverage;
    const std::vector<Row> rows = read_table();
    Guide guide{rows};
    if (!coverage.map() && plan.is_guided) {
        write_line("call_fuzz: WRONG: this kernel has no /proc/coverage to be guided by");
        return 1;
    }
    if (const std::string wrong = guide.read(read_file(kCorpus)); plan.is_guided && !wrong.empty()) {
        write_line(format("call_fuzz: WRONG: %s: %s", kCorpus, wrong.c_str()));
        return 1;
    }
    for (std::uint64_t round = plan.first; round < plan.first + plan.rounds; ++round) {
        if (round % 16 == 0 || plan.is_guided) {
            write_line(format("call_fuzz: round %s, %s calls%s", text(round).c_str(),
                              text(board->calls.load()).c_str(), progress(coverage, guide).c_str()));
        }
        if (plan.is_guided) {
            guide.plan(round, plan.calls, Random{plan.seed * 1'000'033 + round}, board->plans);
        }
        const std::int32_t pid = start_round(part_of(plan, round), round);
        if (pid < 0) {
            write_line(format("call_fuzz: WRONG: round %s cannot be started", text(round).c_str()));
            return 1;
        }
        wait_for_round(pid, *board);
        clean_up();
        if (plan.is_guided) {
            const char* const what = guide.is_repeating() ? "again" : "kept";
            for (const std::string& line : guide.learn(board->plans)) {
                write_line(format("call_fuzz: %s %s", what, line.c_str()));
            }
        }
        if (board->leaked.load() != 0) {
            std::string words;
            for (const std::uint64_t word : board->around) {
                words += format(" %llx", static_cast<unsigned long long>(word));
            }
            write_line("call_fuzz: place and words around it:" + words);
            write_line(format("call_fuzz: WRONG: call %s wrote 0x%llx of the kernel's in round %s",
                              text(board->leaking_call.load()).c_str(),
                              static_cast<unsigned long long>(board->leaked.load()), text(round).c_str()));
            return 1;
        }
    }
    write_line(format("call_fuzz: good: %s calls, %s accepted%s", text(board->calls.load()).c_str(),
                      text(board->accepted.load()).c_str(), progress(coverage, guide).c_str()));
    return 0;
}

int list(const Plan& plan) {
    const std::vector<Row> rows = read_table();
    for (std::uint64_t round = plan.first; round < plan.first + plan.rounds; ++round) {
        write_line(format("round %s", text(round).c_str()));
        Random random{plan.seed * 1'000'003 + round};
        std::uint64_t seeds[] = {random.next(), random.next(), random.next(), random.next()};
        for (std::uint64_t task = 0; task < 4; ++task) {
            Arena arena;
            Tasks tasks{};
            static Board board{};
            if (!arena.map()) {
                return 1;
            }
            make_calls(plan, task, rows, arena, tasks, board, Coverage{}, Random{seeds[task]});
        }
    }
    return 0;
}

}  // namespace
}  // namespace call_fuzz

int main(int argc, char** argv) {
    using call_fuzz::Plan;
    const std::string_view word = argc > 1 ? argv[1] : "";
    const bool is_round = word == "round" || word == "guided-round";
    const bool is_list = word == "list";
    const int first = is_round || is_list || word == "guided" ? 2 : 1;
    if (argc < first + 4 || (getpid() != 1 && !is_round && !is_list)) {
        return 2;
    }
    Plan plan;
    plan.is_guided = word.starts_with("guided");
    std::uint64_t* const fields[] = {&plan.seed,  &plan.first, &plan.rounds, &plan.calls,
                                     &plan.tasks, &plan.from,  &plan.to};
    for (int i = 0; i < 7 && first + i < argc; ++i) {
        *fields[i] = std::strtoull(argv[first + i], nullptr, 0);
    }
    if (plan.is_guided && plan.calls > call_fuzz::TaskPlan::kMaxCalls) {
        return 2;
    }
    if (is_list) {
        plan.is_list = true;
        return call_fuzz::list(plan);
    }
    if (!is_round) {
        return call_fuzz::be_init(plan);
    }
    call_fuzz::Board* const board = call_fuzz::open_board(false);
    return board == nullptr ? 1 : call_fuzz::be_round(plan, *board);
}
