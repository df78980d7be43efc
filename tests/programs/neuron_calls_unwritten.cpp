// SPDX-License-Identifier: MIT
// What calls write into a program's memory, byte by byte, on a kernel whose free memory and unused stack hold
// one byte everywhere (neuron.junk=, debug builds): no byte of it may arrive. Each call is made several times
// into memory with another filling; a place where the kernel's byte stands every time was never written by
// anything but the kernel's leftovers. The first argument says which byte it is; 213 (0xd5) else.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "nexus_abi/calls.hpp"
#include "nexus_abi/sched_calls.hpp"
#include "nexus_abi/terminal.hpp"
#include "nexus_abi/trace.hpp"

#include "neuron_checks.hpp"

namespace {

constexpr std::size_t kRoom = 16384;
// What the memory holds before a call, in each attempt. None is the kernel's byte (prepare() looks), so that
// what a call leaves alone is not suspect; two differ in each bit, so that what it writes is seen.
constexpr std::array<std::uint8_t, 4> kFillings{0x00, 0xff, 0x2a, 0x00};

std::uint8_t kernels_byte = 0xd5;
alignas(4096) std::array<std::uint8_t, kRoom> memory;

// What calls are made with; prepare() opens them.
int file = -1;
int folder = -1;
int pipe_ends[2]{-1, -1};
int sockets[2]{-1, -1};
int counter = -1;
int list = -1;
int timer_file = -1;
int timer = 0;

long call(long number, auto... arguments) {
    return syscall(number, arguments...);
}
template <class T>
T* at(std::size_t offset) {
    return reinterpret_cast<T*>(memory.data() + offset);
}
template <class T>
T* out() {
    return at<T>(0);
}

pid_t ended_child() {
    const pid_t child = fork();
    if (child == 0) {
        _exit(3);
    }
    return child;
}

void interrupt_soon() {
    itimerval soon{};
    soon.it_value.tv_usec = 1000;
    setitimer(ITIMER_REAL, &soon, nullptr);
}
// 0 for a sleep that a signal ended, as the others are for success.
long interrupted(long result) {
    return result == -1 && errno == EINTR ? 0 : -1;
}

constexpr itimerspec kLong{.it_interval = {.tv_sec = 7, .tv_nsec = 1},
                           .it_value = {.tv_sec = 1000, .tv_nsec = 1}};
constexpr timespec kNoTime{};
constexpr timespec kSecond{.tv_sec = 1, .tv_nsec = 0};
constexpr std::uint64_t kUsr1 = std::uint64_t{1} << (SIGUSR1 - 1);

long wait_by(long number) {
    const pid_t child = ended_child();
    return number == SYS_waitid
               ? call(SYS_waitid, P_PID, child, out<siginfo_t>(), WEXITED, at<rusage>(sizeof(siginfo_t)))
               : call(SYS_wait4, child, at<int>(sizeof(rusage)), 0, out<rusage>());
}

long take_signal() {
    raise(SIGUSR1);
    return call(SYS_rt_sigtimedwait, &kUsr1, out<siginfo_t>(), &kNoTime, 8);
}

long pending_signal() {
    raise(SIGUSR1);
    const long result = call(SYS_rt_sigpending, out<std::uint64_t>(), 8);
    timespec no_time{};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigtimedwait(&set, nullptr, &no_time);
    return result;
}

long child_by_clone() {
    const long child = call(SYS_clone, SIGCHLD | CLONE_PARENT_SETTID, nullptr, out<int>(), nullptr, nullptr);
    if (child == 0) {
        _exit(0);
    }
    return child > 0 ? waitpid(static_cast<pid_t>(child), nullptr, 0) : child;
}

long message() {
    write(sockets[0], "four", 4);
    auto* const header = out<msghdr>();
    *header = {};
    auto* const vector = at<iovec>(128);
    *vector = {.iov_base = at<char>(256), .iov_len = 64};
    header->msg_iov = vector;
    header->msg_iovlen = 1;
    header->msg_name = at<char>(512);
    header->msg_namelen = 64;
    return call(SYS_recvmsg, sockets[1], header, 0);
}

long datagram() {
    write(sockets[0], "four", 4);
    *at<std::uint32_t>(256) = 64;
    return call(SYS_recvfrom, sockets[1], out<char>(), 64, 0, at<char>(512), at<std::uint32_t>(256));
}

long closes(long result, int first) {
    close(at<int>(0)[first]);
    close(at<int>(0)[1 - first]);
    return result;
}

long copy_file() {
    *at<std::int64_t>(0) = 0;
    *at<std::int64_t>(8) = 0;
    const int to = open("/tmp/unwritten-copy", O_RDWR | O_CREAT | O_TRUNC, 0600);
    const long result = call(SYS_copy_file_range, file, at<std::int64_t>(0), to, at<std::int64_t>(8), 4, 0);
    close(to);
    return result;
}

long text_of(const char* path) {
    const int text = open(path, O_RDONLY);
    const long result = call(SYS_read, text, out<char>(), kRoom);
    close(text);
    return result;
}

long with_cursor(long number, auto first, auto... rest) {
    *at<std::uint64_t>(kRoom - 8) = 0;
    return call(number, first, rest..., at<std::uint64_t>(kRoom - 8));
}

// Where a handler runs, and what the kernel puts there for it.
void no_handler(int) {}
void handler_of_three(int, siginfo_t*, void*) {}
long frame() {
    stack_t mine{};
    mine.ss_sp = memory.data();
    mine.ss_size = memory.size();
    struct sigaction action{};
    action.sa_sigaction = &handler_of_three;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGUSR2, &action, nullptr);
    sigaltstack(&mine, nullptr);
    const int result = raise(SIGUSR2);
    mine.ss_flags = SS_DISABLE;
    return sigaltstack(&mine, nullptr) | result;
}

struct Row {
    const char* name;
    long (*make)();
};

// Named as in syscalls.def, so that a call that is missing is seen.
constexpr Row kRows[] = {
    {"getcwd", [] { return call(SYS_getcwd, out<char>(), 256); }},
    {"epoll_pwait", [] { return call(SYS_epoll_pwait, list, out<epoll_event>(), 4, 0, nullptr, 8); }},
    {"epoll_pwait2", [] { return call(441, list, out<epoll_event>(), 4, &kNoTime, nullptr, 8); }},
    {"statfs", [] { return call(SYS_statfs, "/tmp", out<char>()); }},
    {"fstatfs", [] { return call(SYS_fstatfs, file, out<char>()); }},
    {"pipe2", [] { return closes(call(SYS_pipe2, out<int>(), 0), 0); }},
    {"getdents64",
     [] {
         lseek(folder, 0, SEEK_SET);
         return call(SYS_getdents64, folder, out<char>(), kRoom);
     }},
    {"read", [] { return text_of("/proc/self/stat"); }},
    {"pread64", [] { return call(SYS_pread64, file, out<char>(), 64, 0); }},
    {"sendfile",
     [] {
         *at<std::int64_t>(0) = 0;
         return call(SYS_sendfile, pipe_ends[1], file, at<std::int64_t>(0), 1);
     }},
    {"pselect6",
     [] {
         at<std::uint64_t>(0)[0] = at<std::uint64_t>(8)[0] = at<std::uint64_t>(16)[0] =
             std::uint64_t{1} << static_cast<unsigned>(counter);
         *at<timespec>(24) = kSecond;
         return call(SYS_pselect6, 64, at<char>(0), at<char>(8), at<char>(16), at<char>(24), nullptr);
     }},
    {"ppoll",
     [] {
         out<std::int32_t>()[0] = counter;
         out<std::int32_t>()[1] = 1;
         *at<timespec>(8) = kSecond;
         return call(SYS_ppoll, out<char>(), 1, at<timespec>(8), nullptr, 8);
     }},
    {"readlinkat", [] { return call(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", out<char>(), 256); }},
    {"newfstatat", [] { return call(SYS_newfstatat, AT_FDCWD, "/proc/self/exe", out<char>(), 0); }},
    {"fstat", [] { return call(SYS_fstat, file, out<char>()); }},
    {"timerfd_settime", [] { return call(SYS_timerfd_settime, timer_file, 0, &kLong, out<itimerspec>()); }},
    {"timerfd_gettime", [] { return call(SYS_timerfd_gettime, timer_file, out<itimerspec>()); }},
    {"waitid", [] { return wait_by(SYS_waitid); }},
    {"get_robust_list",
     [] { return call(SYS_get_robust_list, 0, at<std::uint64_t>(0), at<std::uint64_t>(8)); }},
    {"nanosleep",
     [] {
         interrupt_soon();
         return interrupted(call(SYS_nanosleep, &kSecond, out<timespec>()));
     }},
    {"clock_nanosleep",
     [] {
         interrupt_soon();
         return interrupted(call(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &kSecond, out<timespec>()));
     }},
    {"getitimer", [] { return call(SYS_getitimer, ITIMER_VIRTUAL, out<itimerval>()); }},
    {"setitimer",
     [] {
         constexpr itimerval kFar{.it_interval = {}, .it_value = {.tv_sec = 1000, .tv_usec = 1}};
         return call(SYS_setitimer, ITIMER_VIRTUAL, &kFar, out<itimerval>());
     }},
    {"timer_create",
     [] {
         const long result = call(SYS_timer_create, CLOCK_MONOTONIC, nullptr, out<int>());
         call(SYS_timer_delete, *out<int>());
         return result;
     }},
    {"timer_gettime", [] { return call(SYS_timer_gettime, timer, out<itimerspec>()); }},
    {"timer_settime", [] { return call(SYS_timer_settime, timer, 0, &kLong, out<itimerspec>()); }},
    {"clock_gettime", [] { return call(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, out<timespec>()); }},
    {"clock_getres", [] { return call(SYS_clock_getres, CLOCK_MONOTONIC, out<timespec>()); }},
    {"syslog", [] { return call(SYS_syslog, 3, out<char>(), kRoom); }},
    {"sched_getparam", [] { return call(SYS_sched_getparam, 0, out<char>()); }},
    {"sched_getaffinity", [] { return call(SYS_sched_getaffinity, 0, 128, out<char>()); }},
    {"sched_rr_get_interval", [] { return call(SYS_sched_rr_get_interval, 0, out<timespec>()); }},
    {"sigaltstack", [] { return call(SYS_sigaltstack, nullptr, out<stack_t>()); }},
    {"rt_sigaction", [] { return call(SYS_rt_sigaction, SIGALRM, nullptr, out<char>(), 8); }},
    {"rt_sigprocmask", [] { return call(SYS_rt_sigprocmask, 0, nullptr, out<char>(), 8); }},
    {"rt_sigpending", pending_signal},
    {"rt_sigtimedwait", take_signal},
    {"getresuid", [] { return call(SYS_getresuid, at<int>(0), at<int>(4), at<int>(8)); }},
    {"getresgid", [] { return call(SYS_getresgid, at<int>(0), at<int>(4), at<int>(8)); }},
    {"times", [] { return call(SYS_times, out<char>()); }},
    {"getgroups", [] { return call(SYS_getgroups, 8, out<char>()); }},
    {"uname", [] { return call(SYS_uname, out<char>()); }},
    {"getrusage", [] { return call(SYS_getrusage, RUSAGE_SELF, out<char>()); }},
    {"getcpu", [] { return call(SYS_getcpu, at<int>(0), at<int>(4), nullptr); }},
    {"gettimeofday", [] { return call(SYS_gettimeofday, out<char>(), nullptr); }},
    {"adjtimex",
     [] {
         *out<nexus_abi::timex_t>() = {};
         return call(SYS_adjtimex, out<char>());
     }},
    {"clock_adjtime",
     [] {
         *out<nexus_abi::timex_t>() = {};
         return call(SYS_clock_adjtime, CLOCK_REALTIME, out<char>());
     }},
    {"sysinfo", [] { return call(SYS_sysinfo, out<char>()); }},
    {"socketpair", [] { return closes(call(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, out<int>()), 1); }},
    {"recvfrom", datagram},
    {"recvmsg", message},
    {"getsockopt",
     [] {
         *at<std::uint32_t>(64) = 4;
         return call(SYS_getsockopt, sockets[0], SOL_SOCKET, SO_SNDBUF, out<char>(), at<char>(64));
     }},
    {"clone", child_by_clone},
    {"wait4", [] { return wait_by(SYS_wait4); }},
    {"prlimit64", [] { return call(SYS_prlimit64, 0, RLIMIT_NOFILE, nullptr, out<char>()); }},
    {"sched_getattr", [] { return call(SYS_sched_getattr, 0, out<char>(), 56, 0); }},
    {"getrandom", [] { return call(SYS_getrandom, out<char>(), 64, 0); }},
    {"copy_file_range", copy_file},
    {"statx", [] { return call(SYS_statx, AT_FDCWD, "/tmp", 0, 0xfff, out<char>()); }},
    {"nexus_abi_info", [] { return call(1024, out<char>(), sizeof(nexus_abi::abi_info)); }},
    {"nexus_sched_getattr", [] { return call(1036, 0, out<char>(), sizeof(nexus_abi::sched_attr)); }},
    {"sched_getstat", [] { return call(1037, 0, out<char>(), sizeof(nexus_abi::sched_stat)); }},
    {"sched_hartstat", [] { return call(1038, 0, out<char>(), sizeof(nexus_abi::sched_hartstat)); }},
    {"sched_snapshot", [] { return with_cursor(1039, out<char>(), 64); }},
    {"nexus_trace_control",
     [] {
         auto* const control = out<nexus_abi::trace_control>();
         *control = {};
         control->size = sizeof *control;
         control->categories = nexus_abi::kTraceAll;
         control->records = 256;
         return call(1041, control, sizeof *control);
     }},
    {"nexus_trace_read", [] { return with_cursor(1042, 0, out<char>(), 256); }},
    {"sched_get_limits", [] { return call(1043, 0, out<char>(), sizeof(nexus_abi::sched_attr)); }},
    {"nexus_audit_read",
     [] {
         call(1031, 0, 5000);  // something to read of: it is clamped
         return with_cursor(1046, out<char>(), 64);
     }},
    {"sched_reserve_budget",
     [] {
         // More than there is. EBUSY, and by how much.
         const long result = call(1047, 0, 1'000'000, 1'000'000, out<char>());
         return result == -1 && errno == EBUSY ? 0L : -1L;
     }},
    // What no prototype tells of: commands of one call, and what a signal brings.
    {"ioctl TCGETS", [] { return call(SYS_ioctl, 0, nexus_abi::kTcgets, out<char>()); }},
    {"ioctl TIOCGWINSZ", [] { return call(SYS_ioctl, 0, nexus_abi::kTiocgwinsz, out<char>()); }},
    {"fcntl F_GETLK",
     [] {
         *out<struct flock>() = {};
         return call(SYS_fcntl, file, F_GETLK, out<char>());
     }},
    {"signal frame", frame},
};

// futex only changes a word that the program has written; set_tid_address's is written when the thread ends.
constexpr std::array<std::string_view, 2> kLeftOut{"futex", "set_tid_address"};

bool is_written_by(const nexus_abi::CallRow& row) {
    return row.prototype.find("Out<") != std::string_view::npos;
}

void every_call_is_tried() {
    for (const nexus_abi::CallRow& row : nexus_abi::kCallRows) {
        const bool is_tried =
            std::ranges::any_of(kRows, [&](const Row& tried) { return tried.name == row.name; });
        const bool is_left_out = std::ranges::find(kLeftOut, row.name) != kLeftOut.end();
        checks::truth(row.name, !is_written_by(row) || is_tried || is_left_out);
    }
}

void nothing_unwritten_arrives() {
    for (const Row& row : kRows) {
        std::array<bool, kRoom> is_suspect{};
        is_suspect.fill(true);
        std::size_t written = 0;
        for (const std::uint8_t filling : kFillings) {
            memory.fill(filling);
            checks::succeeds(row.name, row.make());
            for (std::size_t i = 0; i < kRoom; ++i) {
                is_suspect[i] = is_suspect[i] && memory[i] == kernels_byte;
                written += memory[i] != filling ? 1 : 0;
            }
        }
        checks::truth(std::string{row.name} + " writes something", written > 0);
        const auto* const first = std::ranges::find(is_suspect, true);
        const auto count = std::ranges::count(is_suspect, true);
        checks::truth(std::string{row.name} + ": " + std::to_string(count) +
                          " bytes of the kernel's from byte " + std::to_string(first - is_suspect.begin()),
                      count == 0);
    }
}

void prepare() {
    checks::truth("the kernel's byte is no filling",
                  std::ranges::find(kFillings, kernels_byte) == kFillings.end());
    file = open("/tmp/unwritten", O_RDWR | O_CREAT, 0600);
    checks::succeeds("a file", file);
    checks::succeeds("its bytes", write(file, "twelve bytes", 12));
    mkdir("/tmp/unwritten-folder", 0700);
    for (const char* const name : {"a", "bcd", "efghijk", "lmnopqrstuvwx"}) {
        close(open((std::string{"/tmp/unwritten-folder/"} + name).c_str(), O_CREAT | O_RDWR, 0600));
    }
    folder = open("/tmp/unwritten-folder", O_RDONLY | O_DIRECTORY);
    checks::succeeds("a folder", folder);
    checks::succeeds("a pipe", pipe(pipe_ends));
    checks::succeeds("sockets", socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
    counter = eventfd(1, 0);
    list = epoll_create1(0);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = 7;
    checks::succeeds("a list", epoll_ctl(list, EPOLL_CTL_ADD, counter, &event));
    timer_file = timerfd_create(CLOCK_MONOTONIC, 0);
    checks::succeeds("a timer that is a file", timer_file);
    checks::succeeds("a timer", call(SYS_timer_create, CLOCK_MONOTONIC, nullptr, &timer));
    const gid_t group = 5;
    checks::succeeds("a group", call(SYS_setgroups, 1, &group));
    signal(SIGALRM, no_handler);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, nullptr);
}

constexpr checks::Case kCases[] = {
    {"prepare", prepare},
    {"every call is tried", every_call_is_tried},
    {"nothing unwritten arrives", nothing_unwritten_arrives},
};

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1) {
        kernels_byte = static_cast<std::uint8_t>(std::strtoul(argv[1], nullptr, 0));
    }
    return checks::run(argv[0], kCases);
}
