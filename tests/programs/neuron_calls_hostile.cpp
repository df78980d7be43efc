// SPDX-License-Identifier: MIT
// Programs that mean harm, each a child without rights: what it tries ends in exactly the fault or the errno
// that is documented. Meanwhile a task with a latency target wakes on time, and afterwards there are as many
// tasks and as much free memory as before.
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "nested_lists.hpp"
#include "neuron_checks.hpp"

namespace {

namespace call = nexus_abi::call;
namespace sched = nexus_abi::sched;
using checks::end_of;
using checks::equal;
using checks::started;
using checks::succeeds;
using checks::truth;
using nexus_abi::QosClass;
using nexus_abi::sched_attr;

constexpr std::size_t kPage = 4096;

// A page, and behind it one that is not mapped.
char* lonely_page() {
    auto* const both = static_cast<char*>(
        mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    munmap(both + kPage, kPage);
    return both;
}

template <class T>
T* kernel_pointer() {
    return checks::bad_pointer<T>();
}

volatile char* hidden(std::uint64_t address) {
    asm("" : "+r"(address));
    return reinterpret_cast<volatile char*>(address);
}

void run_at(const void* address) {
    asm volatile("fence.i\n\tjalr %0" : : "r"(address) : "ra", "memory");
}

// Whether a call that returns -1 did so with this errno.
bool refused(std::int64_t result, int error) {
    const bool is_so = result == -1 && errno == error;
    if (!is_so) {
        std::printf("# %s instead of %s\n", checks::with_errno(result).c_str(), std::strerror(error));
        std::fflush(stdout);
    }
    return is_so;
}
template <class T>
bool refused(const nexus_abi::Result<T>& result, int error) {
    errno = checks::error_number(result);
    return refused(result.ok() ? 0 : -1, error);
}

[[gnu::noinline]] int dig(int depth) {
    std::array<char, 1024> hole{};
    char* kept = hole.data();
    asm volatile("" : "+r"(kept) : : "memory");
    return depth < 0 ? *kept : dig(depth + 1) + *kept;
}

// One struct, changed by another thread while the kernel reads it: every answer is one that some state of it
// deserves, and what comes of it is in range.
bool race_a_struct() {
    alignas(64) static sched_attr shared{};
    std::atomic<bool> stop{false};
    shared.size = sizeof(shared);
    shared.fields = nexus_abi::kFieldShares | nexus_abi::kFieldLatency;
    shared.shares = 100;
    std::thread other{[&] {
        while (!stop.load(std::memory_order_relaxed)) {
            std::atomic_ref{shared.shares}.fetch_xor(0x8000'0064U);
            std::atomic_ref{shared.size}.fetch_xor(0xffff'ff00U);
            std::atomic_ref{shared.fields}.fetch_xor(std::uint64_t{1} << 60U);
            sched_yield();
        }
    }};
    bool is_good = true;
    for (int turn = 0; turn < 2000; ++turn) {
        const auto done = call::nexus_sched_setattr(0, nexus_abi::In<sched_attr>{&shared}, std::uint64_t{0});
        const int error = checks::error_number(done);
        is_good = is_good && (error == 0 || error == EINVAL || error == E2BIG || error == EFAULT);
        if (turn % 16 == 0) {
            sched_yield();
        }
    }
    stop = true;
    other.join();
    const auto left = sched::get_attr(0).value_or({});
    return is_good && left.shares >= 1 && left.shares <= 1000;
}

// Vectors, changed by another thread while the kernel copies from them: less is written, and the call ends.
bool race_vectors() {
    static std::array<iovec, 1024> vectors;  // many, so that they are looked at for a while
    static std::array<char, 4> bytes{'a', 'b', 'c', 'd'};
    vectors.fill({bytes.data(), bytes.size()});
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_NONBLOCK) != 0) {
        return false;
    }
    std::atomic<bool> stop{false};
    std::thread other{[&] {
        while (!stop.load(std::memory_order_relaxed)) {
            std::atomic_ref{vectors.back().iov_len}.fetch_xor(bytes.size());
        }
    }};
    bool is_good = true;
    std::array<char, vectors.size() * bytes.size()> taken;
    for (int turn = 0; turn < 200; ++turn) {
        const ssize_t written = writev(ends[1], vectors.data(), vectors.size());
        const ssize_t read_back = read(ends[0], taken.data(), taken.size());
        is_good = is_good && written > 0 && written == read_back;
    }
    stop = true;
    other.join();
    close(ends[0]);
    close(ends[1]);
    return is_good;
}

// The kernel changes them itself: what is read makes a later vector empty, one that it has not read ahead.
bool read_into_vectors() {
    std::array<int, 2> ends{};
    std::array<iovec, 64> vectors{};
    constexpr int kCount = vectors.size();
    iovec& later = vectors.back();
    const int counter = eventfd(0x10000, 0);
    const std::array<char, 20> zeros{};
    if (pipe(ends.data()) != 0 || counter < 0 || write(ends[1], zeros.data(), zeros.size()) != 20) {
        return false;
    }
    vectors[0] = {&later, sizeof(iovec)};
    later = {vectors.data(), sizeof(iovec)};
    bool is_good = readv(ends[0], vectors.data(), kCount) == sizeof(iovec);
    // The first two bytes of the number are zero.
    vectors[0] = {&later.iov_len, 2};
    later = {vectors.data(), sizeof(iovec)};
    is_good = is_good && refused(readv(counter, vectors.data(), kCount), EINVAL);
    close(ends[0]);
    close(ends[1]);
    close(counter);
    return is_good;
}

bool use_up_descriptors() {
    int last = -1;
    for (int next = open("/etc/motd", O_RDONLY); next >= 0; next = dup(0)) {
        last = next;
    }
    return refused(-1, EMFILE) && last > 100;
}

bool flood_with_signals() {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, nullptr);
    const union sigval value{.sival_int = 1};
    int queued = 0;
    while (queued < 100'000 && sigqueue(getpid(), SIGRTMIN, value) == 0) {
        ++queued;
    }
    return refused(-1, EAGAIN) && queued == 1024;
}

bool try_every_number() {
    for (long number = 450; number < 2300; ++number) {
        const bool is_known = number >= 1024 && number <= 1060;
        if (!is_known && (syscall(number, -1, -1, -1, -1, -1, -1) != -1 || errno != ENOSYS)) {
            std::printf("# number %ld\n", number);
            return false;
        }
    }
    return refused(syscall(-1L), ENOSYS) && refused(syscall(1L << 40U), ENOSYS);
}

bool flap_for_a_while() {
    for (std::uint64_t turn = 0; turn < 3000; ++turn) {
        static_cast<void>(call::sched_set_affinity(0, turn % 2 == 0 ? 1U : 3U));
        static_cast<void>(sched::set_shares(0, 1 + static_cast<std::uint32_t>(turn % 1000)));
        static_cast<void>(sched::set_latency_hint(0, std::chrono::milliseconds{turn % 9}));
    }
    return true;
}

bool wake_nobody() {
    static std::atomic<std::uint32_t> word{0};
    for (int turn = 0; turn < 20'000; ++turn) {
        syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1 << 30);
        syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1, nullptr);
    }
    return true;
}

// Ten thousand files behind one descriptor, and behind those of one poll and one select: nothing is ready.
bool look_at(const nested_lists::Lists& lists) {
    std::array<pollfd, nested_lists::kInner> files{};
    fd_set set;
    FD_ZERO(&set);
    for (std::size_t i = 0; i < files.size(); ++i) {
        files[i] = {lists.inner[i], POLLIN, 0};
        FD_SET(lists.inner[i], &set);
    }
    epoll_event event{};
    timeval none{};
    return epoll_wait(lists.outer, &event, 1, 0) == 0 && poll(files.data(), files.size(), 0) == 0 &&
           select(lists.inner.back() + 1, &set, nullptr, nullptr, &none) == 0;
}

bool look_at_lists_of_lists() {
    const nested_lists::Lists lists = nested_lists::make();
    return lists.wrong == 0 && look_at(lists);
}

bool start_and_end() {
    for (int turn = 0; turn < 200; ++turn) {
        const pid_t child = vfork();
        if (child == 0) {
            _exit(0);
        }
        if (child < 0 || end_of(child) != 0) {
            return false;
        }
    }
    return true;
}

// Asks for memory it never gives back, until there is none or a bound: its end gives all back.
bool hoard() {
    constexpr std::size_t kPiece = 1U << 20U;
    for (std::size_t taken = 0; taken < 64 * kPiece; taken += kPiece) {
        void* const piece = mmap(nullptr, kPiece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (piece == MAP_FAILED) {
            return errno == ENOMEM;
        }
        std::memset(piece, 1, kPiece);
    }
    return true;
}

sched_attr longer_struct_tail() {
    sched_attr attr{};
    attr.reserved[1] = 1;
    attr.size = sizeof(attr);
    return attr;
}

struct Attack {
    const char* name;
    int signal;       // what kills it; 0: it lives
    bool (*tries)();  // true: it was refused as it should be
};

#define DIES(name, signal, ...) \
    Attack {                    \
        name, signal, [] {      \
            __VA_ARGS__;        \
            return false;       \
        }                       \
    }
#define REFUSED(name, error, ...)                           \
    Attack {                                                \
        name, 0, [] { return refused(__VA_ARGS__, error); } \
    }

constexpr Attack kAttacks[] {
    DIES("read address 0", SIGSEGV, static_cast<void>(*hidden(0))),
        DIES("write address 0", SIGSEGV, *hidden(0) = 1), DIES("jump to 0", SIGSEGV, run_at(nullptr)),
        DIES("read the kernel", SIGSEGV, static_cast<void>(*hidden(checks::kKernelAddress))),
        DIES("write the kernel", SIGSEGV, *hidden(checks::kKernelAddress) = 1),
        DIES("jump to the kernel", SIGSEGV, run_at(kernel_pointer<void>())),
        DIES("read an address that cannot be", SIGSEGV, static_cast<void>(*hidden(1ULL << 60U))),
        DIES("execute the stack", SIGSEGV, std::uint32_t code[]{0x8082}; run_at(code)),
        DIES("execute data", SIGSEGV, run_at(lonely_page())),
        DIES("write its text", SIGSEGV, *hidden(reinterpret_cast<std::uint64_t>(&lonely_page)) = 1),
        DIES("write what is read-only", SIGSEGV, char* const page = lonely_page();
             mprotect(page, kPage, PROT_READ); *static_cast<volatile char*>(page) = 1),
        DIES("write behind a mapping", SIGSEGV, *static_cast<volatile char*>(lonely_page() + kPage) = 1),
        DIES("no end of recursion", SIGSEGV, static_cast<void>(dig(1))),
        DIES("no instruction", SIGILL, asm volatile(".word 0")),
        DIES("read sstatus", SIGILL, asm volatile("csrr t0, 0x100" : : : "t0")),
        DIES("write satp", SIGILL, asm volatile("csrw 0x180, zero")),
        DIES("return to the supervisor", SIGILL, asm volatile(".word 0x10200073")),
        DIES("flush the TLB", SIGILL, asm volatile(".word 0x12000073")),
        DIES("break", SIGTRAP, asm volatile("ebreak")),
        DIES("an atomic word askew", SIGBUS,
             asm volatile("amoadd.w t0, zero, (%0)" : : "r"(lonely_page() + 1) : "t0", "memory")),
        DIES(
            "a stack in the kernel and a handler", SIGSEGV, struct sigaction action{};
            action.sa_handler = [](int) {}; sigaction(SIGSEGV, &action, nullptr);
            asm volatile("mv sp, %0\n\tsd zero, 0(sp)" : : "r"(kernel_pointer<void>()) : "memory")),
        DIES("return from no signal", SIGSEGV,
             asm volatile("mv sp, zero\n\tli a7, 139\n\tecall" : : : "a7", "a0", "memory")),
        REFUSED("write from the kernel", EFAULT, write(1, kernel_pointer<char>(), 8)),
        REFUSED("read into the kernel", EFAULT, read(open("/etc/motd", O_RDONLY), kernel_pointer<char>(), 8)),
        REFUSED("a name in the kernel", EFAULT, syscall(SYS_openat, AT_FDCWD, kernel_pointer<char>(), 0)),
        REFUSED("a status into the kernel", EFAULT, syscall(SYS_fstat, 1, kernel_pointer<void>())),
        REFUSED("a pipe into the kernel", EFAULT, syscall(SYS_pipe2, kernel_pointer<void>(), 0)),
        REFUSED("the time into the kernel", EFAULT, syscall(SYS_clock_gettime, 0, kernel_pointer<void>())),
        REFUSED("a futex in the kernel", EFAULT,
                syscall(SYS_futex, kernel_pointer<void>(), FUTEX_WAIT_PRIVATE, 0, nullptr)),
        REFUSED("an action in the kernel", EFAULT,
                syscall(SYS_rt_sigaction, SIGUSR1, kernel_pointer<void>(), nullptr, 8)),
        REFUSED("arguments in the kernel", EFAULT,
                syscall(SYS_execve, checks::program, kernel_pointer<void>(), nullptr)),
        REFUSED("a vector in the kernel", EFAULT, syscall(SYS_writev, 1, kernel_pointer<void>(), 1)),
        REFUSED("attributes in the kernel", EFAULT,
                call::nexus_sched_setattr(0, nexus_abi::In<sched_attr>{kernel_pointer<sched_attr>()}, 0)),
        REFUSED("figures into the kernel", EFAULT,
                call::sched_getstat(
                    0, nexus_abi::Out<nexus_abi::sched_stat>{kernel_pointer<nexus_abi::sched_stat>()},
                    sizeof(nexus_abi::sched_stat))),
        REFUSED("a struct across the end of memory", EFAULT,
                syscall(SYS_clock_gettime, 0, lonely_page() + kPage - 8)),
        REFUSED(
            "attributes across the end", EFAULT,
            call::sched_getstat(0,
                                nexus_abi::Out<nexus_abi::sched_stat>{
                                    reinterpret_cast<nexus_abi::sched_stat*>(lonely_page() + kPage - 320)},
                                sizeof(nexus_abi::sched_stat))),
        REFUSED("what is reserved", EINVAL, sched::set_attr(0, longer_struct_tail())),
        REFUSED("a struct of 4 GiB", EINVAL,
                call::sched_getstat(
                    0, nexus_abi::Out<nexus_abi::sched_stat>{kernel_pointer<nexus_abi::sched_stat>()},
                    std::uint64_t{1} << 32U)),
        REFUSED(
            "all memory", ENOMEM,
            syscall(SYS_mmap, 0, ~std::uint64_t{kPage - 1}, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)),
        REFUSED("memory to write and execute", EINVAL,
                syscall(SYS_mmap, 0, kPage, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
                        -1, 0)),
        REFUSED(
            "text to be written", EINVAL,
            mprotect(reinterpret_cast<void*>(reinterpret_cast<std::uint64_t>(&lonely_page) & ~(kPage - 1)),
                     kPage, PROT_READ | PROT_WRITE | PROT_EXEC)),
        REFUSED("the kernel unmapped", EINVAL, munmap(kernel_pointer<void>(), kPage)),
        REFUSED("a futex askew", EINVAL,
                syscall(SYS_futex, lonely_page() + 1, FUTEX_WAIT_PRIVATE, 0, nullptr)),
        REFUSED("an end of the first process", EPERM, kill(1, SIGKILL)),
        REFUSED("another's class", EPERM, sched::set_qos_class(1, QosClass::Idle)),
        REFUSED("a class that there is not", EINVAL, call::sched_set_qos_class(0, std::int64_t{99})),
        REFUSED("no CPU at all", EINVAL, call::sched_set_affinity(0, std::uint64_t{0})),
        REFUSED("a CPU taken away", EPERM, sched::set_cpu_online(0, false)),
        REFUSED("a thread with no memory of its own kind", EINVAL,
                syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0)),
        Attack{"a struct that changes while it is read", 0, &race_a_struct},
        Attack{"vectors that change while they are read", 0, &race_vectors},
        Attack{"vectors that a read changes", 0, &read_into_vectors},
        Attack{"every descriptor", 0, &use_up_descriptors},
        Attack{"a storm of signals", 0, &flood_with_signals}, Attack{"every number", 0, &try_every_number},
        Attack{"attributes that flap", 0, &flap_for_a_while}, Attack{"a storm of futexes", 0, &wake_nobody},
        Attack{"lists of lists", 0, &look_at_lists_of_lists},
        Attack{"children without end", 0, &start_and_end}, Attack{"memory without end", 0, &hoard},
};
static_assert(std::size(kAttacks) >= 30);

void attack(const Attack& one) {
    const pid_t child = fork();
    if (child == 0) {
        static_cast<void>(call::nexus_limit_rights(0));
        _exit(one.tries() ? 0 : 1);
    }
    const int status = end_of(child);
    if (one.signal != 0) {
        truth(one.name, WIFSIGNALED(status));
        equal(one.name, WTERMSIG(status), one.signal);
    } else {
        truth(one.name, WIFEXITED(status));
        equal(one.name, WEXITSTATUS(status), 0);
    }
}

std::uint64_t task_count() {
    std::array<nexus_abi::sched_snapshot_entry, 16> part{};
    std::uint64_t cursor = 0;
    std::uint64_t count = 0;
    while (const std::size_t more = sched::snapshot(part, cursor).value_or(0)) {
        count += more;
    }
    return count;
}

std::uint64_t free_memory() {
    struct sysinfo info{};
    sysinfo(&info);
    return info.freeram;
}

void attack_in_turn() {
    for (const Attack& one : kAttacks) {
        attack(one);
    }
}

std::uint64_t newest_id() {
    const pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    end_of(child);
    return static_cast<std::uint64_t>(child);
}

// The second time: what the kernel keeps for the next one it has by now. Ids go on rising until they are used
// again, and the kernel keeps a frame of pointers for each 512 of them, and one of counts for each 1024.
void leave_nothing_behind() {
    const auto frames_for = [](std::uint64_t id) { return id / 512 + id / 1024; };
    const std::uint64_t first = newest_id();
    const std::uint64_t tasks = task_count();
    const std::uint64_t memory = free_memory();
    attack_in_turn();
    equal("as many tasks", static_cast<std::int64_t>(task_count()), static_cast<std::int64_t>(tasks));
    const std::uint64_t left = free_memory();
    const std::uint64_t for_ids = (frames_for(newest_id()) - frames_for(first)) * kPage;
    equal("as much free memory", static_cast<std::int64_t>(left + for_ids),
          static_cast<std::int64_t>(memory));
}

// With one hart the machine counts instructions, and its times are exact.
void keep_a_latency_target() {
    sched_attr wanted{};
    wanted.fields = nexus_abi::kFieldClass | nexus_abi::kFieldLatency;
    wanted.qos_class = static_cast<std::uint32_t>(QosClass::Interactive);
    wanted.latency_ns = 1'000'000;
    const std::int32_t child = started("beat", {.attributes = &wanted});
    attack_in_turn();
    const auto stat = sched::get_stat(child).value_or({});
    std::printf("# target met %llu times, missed %llu times, at most %llu ns late\n",
                static_cast<unsigned long long>(stat.nr_latency_target_met),
                static_cast<unsigned long long>(stat.nr_latency_target_missed),
                static_cast<unsigned long long>(stat.wake_latency_max_ns));
    const auto hart = sched::hart_stat(0).value_or({});
    std::printf("# longest section of hart 0: %llu ns, call %llu\n",
                static_cast<unsigned long long>(hart.section_max_ns),
                static_cast<unsigned long long>(hart.section_max_what));
    truth("it woke", stat.nr_latency_target_met > 10);
    const std::uint64_t cpus = nexus_abi::info().value_or({}).cpus_possible;
    truth("on time", cpus != 1 || stat.nr_latency_target_missed == 0);
    succeeds("it ends", kill(child, SIGKILL));
    end_of(child);
}

std::int64_t now_ns() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

struct Beats {
    std::int64_t latest{0};  // ns
    int wakes{0};
    int status{-1};  // the child's
};

// Wakes with a latency target, and looks how late, until the child has ended.
Beats beat_until_end_of(pid_t child) {
    truth("a target", sched::set_latency_hint(0, std::chrono::milliseconds{1}).ok() &&
                          sched::set_qos_class(0, QosClass::Interactive).ok());
    constexpr std::int64_t kPause = 730'000;  // no multiple of anything the child does
    Beats beats;
    for (; waitpid(child, &beats.status, WNOHANG) == 0; ++beats.wakes) {
        const std::int64_t next = now_ns() + kPause;
        const timespec moment{.tv_sec = next / 1'000'000'000, .tv_nsec = next % 1'000'000'000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &moment, nullptr);
        beats.latest = std::max(beats.latest, now_ns() - next);
    }
    static_cast<void>(sched::set_qos_class(0, QosClass::Normal));
    return beats;
}

// Many files are looked at in pieces: somebody with a latency target wakes on time by his own clock, however
// the wake-ups lie to the looks. In one piece he would be late by a whole look now and then, so half of one
// is the bound: of a kernel that checks itself as of one that does not.
void be_held_up_by_lists() {
    const nested_lists::Lists lists = nested_lists::make();
    epoll_event event{};
    const std::int64_t begun = now_ns();
    equal("nothing is ready", epoll_wait(lists.outer, &event, 1, 0), 0);
    const std::int64_t whole = now_ns() - begun;
    const pid_t child = fork();
    if (child == 0) {
        bool is_good = lists.wrong == 0;
        for (int turn = 0; turn < 5; ++turn) {
            is_good = look_at(lists) && is_good;
        }
        _exit(is_good ? 0 : 1);
    }
    const Beats beats = beat_until_end_of(child);
    lists.close_all();
    equal("the looks found nothing", beats.status, 0);
    std::printf("# woke %d times, at most %lld ns late; a look takes %lld ns\n", beats.wakes,
                static_cast<long long>(beats.latest), static_cast<long long>(whole));
    truth("it woke", beats.wakes > 10);
    truth("on time", nexus_abi::info().value_or({}).cpus_possible != 1 || beats.latest < whole / 2);
}

// Full lists are dropped in pieces, and files that are on many lists go in one step. Were it not so, one
// piece of closing many descriptors at once would be a quarter of what is to be dropped: half of that is the
// bound.
void be_held_up_by_lists_that_go() {
    const nested_lists::Lists lists = nested_lists::make();
    const std::int64_t begun = now_ns();
    lists.close_all();
    const std::int64_t whole = now_ns() - begun;
    const pid_t child = fork();
    if (child == 0) {
        for (int turn = 0; turn < 4; ++turn) {
            if (const pid_t ends = fork(); ends == 0) {
                _exit(nested_lists::make().wrong);  // the files go first
            } else if (end_of(ends) != 0) {
                _exit(1);
            }
            const nested_lists::Lists more = nested_lists::make();
            close_range(static_cast<unsigned>(more.inner.front()), static_cast<unsigned>(more.own.back()), 0);
            more.close_all();
            if (more.wrong != 0) {
                _exit(1);
            }
        }
        _exit(0);
    }
    const Beats beats = beat_until_end_of(child);
    equal("all was made", beats.status, 0);
    std::printf("# woke %d times, at most %lld ns late; to drop all takes %lld ns\n", beats.wakes,
                static_cast<long long>(beats.latest), static_cast<long long>(whole));
    truth("it woke", beats.wakes > 10);
    truth("on time", nexus_abi::info().value_or({}).cpus_possible != 1 || beats.latest < whole / 8);
}

constexpr checks::Case kCases[]{
    {"each gets what is documented", attack_in_turn},
    {"nothing is left behind", leave_nothing_behind},
    {"a latency target holds meanwhile", keep_a_latency_target},
    {"lists of lists hold nobody up", be_held_up_by_lists},
    {"lists that go hold nobody up", be_held_up_by_lists_that_go},
};

constexpr checks::Role kRoles[]{
    {"beat",
     [] {
         for (;;) {
             const timespec pause{.tv_sec = 0, .tv_nsec = 2'000'000};
             nanosleep(&pause, nullptr);
         }
     }},
};

}  // namespace

int main(int argc, char** argv) {
    return checks::run_with_roles(argc, argv, kCases, kRoles);
}
