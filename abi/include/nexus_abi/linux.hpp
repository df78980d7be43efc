// SPDX-License-Identifier: MIT
// The Linux structs the Linux block speaks, laid out as on riscv64 (include/uapi/asm-generic, linux).
// Fixed-width copies of our own, because the kernel is built without a C library and user programs use their
// own headers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nexus_abi {

struct iovec {
    std::uint64_t base;
    std::uint64_t length;
};

struct timespec {
    std::int64_t seconds;
    std::int64_t nanoseconds;
};

struct timeval {
    std::int64_t seconds;
    std::int64_t microseconds;
};

struct stat {
    std::uint64_t st_dev;
    std::uint64_t st_ino;
    std::uint32_t st_mode;
    std::uint32_t st_nlink;
    std::uint32_t st_uid;
    std::uint32_t st_gid;
    std::uint64_t st_rdev;
    std::uint64_t pad1;
    std::int64_t st_size;
    std::int32_t st_blksize;
    std::int32_t pad2;
    std::int64_t st_blocks;
    timespec st_atim;
    timespec st_mtim;
    timespec st_ctim;
    std::uint32_t unused[2];
};
static_assert(sizeof(stat) == 128 && offsetof(stat, st_size) == 48);

struct statfs_t {
    std::int64_t f_type;
    std::int64_t f_bsize;
    std::uint64_t f_blocks;
    std::uint64_t f_bfree;
    std::uint64_t f_bavail;
    std::uint64_t f_files;
    std::uint64_t f_ffree;
    std::uint64_t f_fsid;
    std::int64_t f_namelen;
    std::int64_t f_frsize;
    std::int64_t f_flags;
    std::int64_t f_spare[4];
};
static_assert(sizeof(statfs_t) == 120 && offsetof(statfs_t, f_namelen) == 64);

// struct msghdr.
struct message_header {
    std::uint64_t name;  // user addresses, here and below
    std::uint32_t name_bytes;
    std::uint32_t padding;
    std::uint64_t vectors;
    std::uint64_t vector_count;
    std::uint64_t control;
    std::uint64_t control_bytes;
    std::uint32_t flags;
    std::uint32_t padding2;
};
static_assert(sizeof(message_header) == 56 && offsetof(message_header, flags) == 48);

struct pollfd {
    std::int32_t fd;
    std::uint16_t events;
    std::uint16_t revents;
};

// struct epoll_event: what to wait for on a file, and what came.
struct epoll_event {
    std::uint32_t events;
    std::uint32_t reserved;
    std::uint64_t data;  // the program's
};
static_assert(sizeof(epoll_event) == 16 && offsetof(epoll_event, data) == 8);

// The last argument of pselect6.
struct select_mask {
    std::uint64_t mask;  // user address
    std::uint64_t set_size;
};

// struct futex_waitv: one of the words of futex_waitv(2).
struct futex_waitv_t {
    std::uint64_t value;    // what it holds
    std::uint64_t address;  // user address
    std::uint32_t flags;    // FUTEX2_*: 2, its size, and FUTEX_PRIVATE_FLAG
    std::uint32_t reserved;
};

// struct flock of fcntl(2).
struct record_lock {
    std::int16_t type;    // F_RDLCK, F_WRLCK, F_UNLCK
    std::int16_t whence;  // SEEK_*
    std::int32_t padding;
    std::int64_t start;
    std::int64_t length;  // 0: to the end, however far that is
    std::int32_t pid;
    std::int32_t padding2;
};
static_assert(sizeof(record_lock) == 32 && offsetof(record_lock, pid) == 24);

struct statx_timestamp {
    std::int64_t seconds;
    std::uint32_t nanoseconds;
    std::int32_t reserved;
};

struct statx_t {
    std::uint32_t stx_mask;
    std::uint32_t stx_blksize;
    std::uint64_t stx_attributes;
    std::uint32_t stx_nlink;
    std::uint32_t stx_uid;
    std::uint32_t stx_gid;
    std::uint16_t stx_mode;
    std::uint16_t spare0;
    std::uint64_t stx_ino;
    std::uint64_t stx_size;
    std::uint64_t stx_blocks;
    std::uint64_t stx_attributes_mask;
    statx_timestamp stx_atime;
    statx_timestamp stx_btime;
    statx_timestamp stx_ctime;
    statx_timestamp stx_mtime;
    std::uint32_t stx_rdev_major;
    std::uint32_t stx_rdev_minor;
    std::uint32_t stx_dev_major;
    std::uint32_t stx_dev_minor;
    std::uint64_t spare1[14];
};
static_assert(sizeof(statx_t) == 256 && offsetof(statx_t, stx_rdev_major) == 128);

struct utsname {
    char sysname[65];
    char nodename[65];
    char release[65];
    char version[65];
    char machine[65];
    char domainname[65];
};
static_assert(sizeof(utsname) == 390);

struct rusage {
    timeval user_time;
    timeval system_time;
    std::int64_t max_rss_kib;
    std::int64_t unused1[3];
    std::int64_t minor_faults;
    std::int64_t major_faults;
    std::int64_t unused2[6];
    std::int64_t voluntary_switches;
    std::int64_t involuntary_switches;
};
static_assert(sizeof(rusage) == 144);

struct sysinfo_t {
    std::int64_t uptime;
    std::uint64_t loads[3];
    std::uint64_t total_ram;
    std::uint64_t free_ram;
    std::uint64_t shared_ram;
    std::uint64_t buffer_ram;
    std::uint64_t total_swap;
    std::uint64_t free_swap;
    std::uint16_t processes;
    std::uint16_t pad;
    std::uint32_t pad2;
    std::uint64_t total_high;
    std::uint64_t free_high;
    std::uint32_t memory_unit;
    std::uint32_t pad3;
};
static_assert(sizeof(sysinfo_t) == 112);

struct rlimit64 {
    std::uint64_t current;
    std::uint64_t maximum;
};

struct itimerspec {
    timespec interval;
    timespec value;
};

struct itimerval {
    timeval interval;
    timeval value;
};

// struct timex of adjtimex(2).
struct timex_t {
    std::uint32_t modes;
    std::uint32_t padding;
    std::int64_t offset;
    std::int64_t frequency;
    std::int64_t maximum_error;
    std::int64_t estimated_error;
    std::int32_t status;
    std::uint32_t padding2;
    std::int64_t constant;
    std::int64_t precision;
    std::int64_t tolerance;
    timeval time;
    std::int64_t tick;
    std::int64_t pulse_frequency;
    std::int64_t pulse[7];
    std::int32_t tai;
    std::int32_t unused[11];
};
static_assert(sizeof(timex_t) == 208 && offsetof(timex_t, tick) == 88 && offsetof(timex_t, tai) == 160);

// struct sigevent; thread counts with SIGEV_THREAD_ID.
struct sigevent_t {
    std::uint64_t value;
    std::int32_t signal;
    std::int32_t notify;
    std::int32_t thread;
    std::uint32_t unused[11];
};
static_assert(sizeof(sigevent_t) == 64 && offsetof(sigevent_t, thread) == 16);

struct tms {
    std::int64_t user, system, children_user, children_system;
};

struct sched_param {
    std::int32_t priority;
};

// struct sched_attr of sched_setattr(2), as of SCHED_ATTR_SIZE_VER1.
struct linux_sched_attr {
    std::uint32_t size;
    std::uint32_t policy;
    std::uint64_t flags;
    std::int32_t nice;
    std::uint32_t priority;
    std::uint64_t runtime_ns;  // SCHED_OTHER, SCHED_BATCH: the slice, 0 = the default
    std::uint64_t deadline_ns;
    std::uint64_t period_ns;
    std::uint32_t util_min;
    std::uint32_t util_max;
};

// struct sigaction as the system call sees it (no sa_restorer on riscv).
struct kernel_sigaction {
    std::uint64_t handler;  // 0 = SIG_DFL, 1 = SIG_IGN
    std::uint64_t flags;
    std::uint64_t mask;
};

// stack_t of sigaltstack.
struct signal_stack {
    std::uint64_t start;
    std::uint32_t flags;  // SS_ONSTACK, SS_DISABLE, SS_AUTODISARM
    std::uint32_t pad;
    std::uint64_t bytes;
};
static_assert(sizeof(signal_stack) == 24 && offsetof(signal_stack, bytes) == 16);

// siginfo_t as kill and SIGCHLD fill it; for other signals the same bytes mean other things (sigaction(2)).
struct siginfo {
    std::int32_t number;  // si_signo
    std::int32_t error_number;
    std::int32_t code;  // SI_USER, SI_TKILL, SI_KERNEL, CLD_EXITED, CLD_KILLED
    std::int32_t pad1;
    std::int32_t pid;  // who sent it, or which child ended
    std::uint32_t uid;
    std::int32_t status;  // SIGCHLD: exit code or signal
    std::int32_t pad2;
    std::int64_t user_time;
    std::int64_t system_time;
    std::uint64_t unused[10];
};
static_assert(sizeof(siginfo) == 128 && offsetof(siginfo, pid) == 16 && offsetof(siginfo, status) == 24);

}  // namespace nexus_abi
