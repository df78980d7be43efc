// SPDX-License-Identifier: MIT
// Memory that processes share: anonymous, of files below /tmp and /dev/shm, and without a name; programs that
// run from there; and what is said of files beside their contents.
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <string>

#include "checks.hpp"

namespace {

using checks::bad_pointer;
using checks::equal;
using checks::fails;
using checks::reads;
using checks::succeeds;
using checks::truth;

constexpr std::size_t kPage = 4096;
constexpr int kReadWrite = PROT_READ | PROT_WRITE;

int* map_words(std::size_t bytes, int flags, int file = -1) {
    void* const at = mmap(nullptr, bytes, kReadWrite, flags, file, 0);
    truth("mmap", at != MAP_FAILED);
    return at == MAP_FAILED ? nullptr : static_cast<int*>(at);
}

// The exit status of what a child does.
template <class Act>
int in_child(Act act) {
    const pid_t child = fork();
    if (child == 0) {
        _exit(act());
    }
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void share_by_fork() {
    int* const shared = map_words(4 * kPage, MAP_SHARED | MAP_ANONYMOUS);
    int* const own = map_words(kPage, MAP_PRIVATE | MAP_ANONYMOUS);
    shared[0] = 1;
    own[0] = 1;
    equal("what the child saw", in_child([&] {
              const int seen = shared[0] * 10 + own[0];
              shared[0] = 2;
              shared[2 * kPage / sizeof(int)] = 3;
              own[0] = 2;
              return seen;
          }),
          11);
    equal("the child's store", shared[0], 2);
    equal("to a page nobody had touched", shared[2 * kPage / sizeof(int)], 3);
    equal("not this one", own[0], 1);
    equal("give it back", munmap(shared, 4 * kPage), 0);
    munmap(own, kPage);
}

void wake_each_other() {
    int* const words = map_words(kPage, MAP_SHARED | MAP_ANONYMOUS);
    constexpr int kRounds = 50;
    const auto futex = [](int* word, int operation, int value) {
        return syscall(SYS_futex, word, operation, value, nullptr, nullptr, 0);
    };
    const auto pass = [&](int* mine, int* theirs) {
        for (int round = 1; round <= kRounds; ++round) {
            while (std::atomic_ref{*mine}.load() < round) {
                futex(mine, FUTEX_WAIT, round - 1);
            }
            std::atomic_ref{*theirs}.store(round);
            futex(theirs, FUTEX_WAKE, 1);
        }
    };
    const pid_t child = fork();
    if (child == 0) {
        pass(&words[0], &words[1]);
        _exit(0);
    }
    for (int round = 1; round <= kRounds; ++round) {
        std::atomic_ref{words[0]}.store(round);
        futex(&words[0], FUTEX_WAKE, 1);
        while (std::atomic_ref{words[1]}.load() < round) {
            futex(&words[1], FUTEX_WAIT, round - 1);
        }
    }
    int status = -1;
    waitpid(child, &status, 0);
    equal("the child's status", status, 0);
    equal("rounds", words[1], kRounds);
    munmap(words, kPage);
}

void share_locks() {
    struct Together {
        pthread_mutex_t mutex;
        pthread_barrier_t barrier;
        int count;
    };
    auto* const both = reinterpret_cast<Together*>(map_words(kPage, MAP_SHARED | MAP_ANONYMOUS));
    pthread_mutexattr_t mutex_attributes;
    pthread_mutexattr_init(&mutex_attributes);
    equal("a mutex for processes", pthread_mutexattr_setpshared(&mutex_attributes, PTHREAD_PROCESS_SHARED),
          0);
    pthread_mutex_init(&both->mutex, &mutex_attributes);
    pthread_barrierattr_t barrier_attributes;
    pthread_barrierattr_init(&barrier_attributes);
    pthread_barrierattr_setpshared(&barrier_attributes, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&both->barrier, &barrier_attributes, 2);
    const auto work = [&] {
        pthread_barrier_wait(&both->barrier);
        for (int i = 0; i < 500; ++i) {
            pthread_mutex_lock(&both->mutex);
            const int before = both->count;
            if (i % 50 == 0) {
                sched_yield();
            }
            both->count = before + 1;
            pthread_mutex_unlock(&both->mutex);
        }
        return 0;
    };
    const pid_t child = fork();
    if (child == 0) {
        _exit(work());
    }
    work();
    waitpid(child, nullptr, 0);
    equal("nothing got lost", both->count, 1000);
    munmap(both, kPage);
}

void map_files() {
    const int file = shm_open("/shared", O_RDWR | O_CREAT | O_EXCL, 0600);
    succeeds("shm_open", file);
    equal("make it two pages long", ftruncate(file, 2 * kPage), 0);
    int* const shared = map_words(2 * kPage, MAP_SHARED, file);
    int* const again = map_words(2 * kPage, MAP_SHARED, file);
    int* const own = map_words(2 * kPage, MAP_PRIVATE, file);
    shared[0] = 11;
    equal("the other mapping", again[0], 11);
    equal("the private one", own[0], 11);
    own[1] = 5;
    equal("its store stays its own", shared[1], 0);
    int value = 0;
    equal("read", pread(file, &value, sizeof value, 0), sizeof value);
    equal("what was stored", value, 11);
    value = 12;
    equal("write", pwrite(file, &value, sizeof value, kPage), sizeof value);
    equal("is there to be loaded", again[kPage / sizeof(int)], 12);
    equal("in a child by its name", in_child([] {
              const int other = shm_open("/shared", O_RDWR, 0);
              void* const at = mmap(nullptr, kPage, kReadWrite, MAP_SHARED, other, 0);
              return at == MAP_FAILED ? 1 : (static_cast<int*>(at)[3] = 33, 0);
          }),
          0);
    equal("its store", shared[3], 33);
    equal("unlink", shm_unlink("/shared"), 0);
    equal("close", close(file), 0);
    equal("it stays while it is mapped", again[3], 33);
    equal("msync", msync(shared, kPage, MS_SYNC), 0);
    munmap(shared, 2 * kPage);
    munmap(own, 2 * kPage);
    equal("and while one mapping is left", again[0], 11);
    munmap(again, 2 * kPage);

    const int nameless = memfd_create("box", MFD_CLOEXEC);
    succeeds("memfd_create", nameless);
    equal("its length", ftruncate(nameless, kPage), 0);
    std::array<char, 64> text{};
    const std::string link = "/proc/self/fd/" + std::to_string(nameless);
    const ssize_t bytes = readlink(link.c_str(), text.data(), text.size());
    reads("what it is called", {text.data(), static_cast<std::size_t>(bytes > 0 ? bytes : 0)},
          "/memfd:box (deleted)");
    const int reopened = open(link.c_str(), O_RDWR);
    succeeds("open it by that", reopened);
    equal("write", pwrite(reopened, "x", 1, 0), 1);
    truth("it is the same", *reinterpret_cast<char*>(map_words(kPage, MAP_SHARED, nameless)) == 'x');
    close(nameless);
    close(reopened);
    fails("a bad name", memfd_create(bad_pointer<char>(), 0), EFAULT);
    fails("bad flags", memfd_create("x", ~0U), EINVAL);
}

void refuse_to_map() {
    const int writer = open("/tmp/only", O_RDWR | O_CREAT, 0600);
    equal("a page", ftruncate(writer, kPage), 0);
    const int reader = open("/tmp/only", O_RDONLY);
    fails("to write what was opened to be read", mmap(nullptr, kPage, kReadWrite, MAP_SHARED, reader, 0),
          EACCES);
    void* const seen = mmap(nullptr, kPage, PROT_READ, MAP_SHARED, reader, 0);
    truth("to read it", seen != MAP_FAILED);
    fails("nor later", mprotect(seen, kPage, kReadWrite), EACCES);
    fails("an odd offset", mmap(nullptr, kPage, PROT_READ, MAP_SHARED, writer, 100), EINVAL);
    fails("more than there is memory",
          mmap(nullptr, std::size_t{1} << 36, kReadWrite, MAP_SHARED | MAP_ANONYMOUS, -1, 0), ENOMEM);
    munmap(seen, kPage);
    close(reader);
    close(writer);
    unlink("/tmp/only");
}

sigjmp_buf behind_fault;
volatile int fault_code = 0;

void on_fault(int, siginfo_t* info, void*) {
    fault_code = info->si_code;
    siglongjmp(behind_fault, 1);
}

void fault_beyond_the_end() {
    struct sigaction action{};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGBUS, &action, nullptr);
    const int file = open("/tmp/short", O_RDWR | O_CREAT, 0600);
    equal("half a page", ftruncate(file, kPage / 2), 0);
    int* const mapped = map_words(2 * kPage, MAP_SHARED, file);
    equal("the rest of its page is zero", mapped[kPage / sizeof(int) - 1], 0);
    int faults = 0;
    if (sigsetjmp(behind_fault, 1) == 0) {
        static_cast<void>(*static_cast<volatile int*>(&mapped[kPage / sizeof(int)]));
    } else {
        ++faults;
    }
    equal("a page behind it is SIGBUS", faults, 1);
    equal("with this code", fault_code, BUS_ADRERR);
    const int other = open("/tmp/other", O_RDWR | O_CREAT, 0600);
    fails("for a call it is a bad address", write(other, &mapped[kPage / sizeof(int)], 4), EFAULT);
    equal("grown, it can be used", ftruncate(file, 2 * kPage), 0);
    mapped[kPage / sizeof(int)] = 9;
    equal("like any other", mapped[kPage / sizeof(int)], 9);
    munmap(mapped, 2 * kPage);
    close(file);
    close(other);
    unlink("/tmp/short");
    unlink("/tmp/other");
    signal(SIGBUS, SIG_DFL);
}

// Whether reading the word raises SIGBUS.
bool is_cut_off(const int* word) {
    if (sigsetjmp(behind_fault, 1) == 0) {
        static_cast<void>(*static_cast<const volatile int*>(word));
        return false;
    }
    return true;
}

void cut_under_mappings() {
    struct sigaction action{};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGBUS, &action, nullptr);
    constexpr std::size_t kPages = 200;
    constexpr std::size_t kWords = kPage / sizeof(int);
    const int file = open("/tmp/cut", O_RDWR | O_CREAT, 0600);
    equal("a long file", ftruncate(file, kPages * kPage), 0);
    int* const shared = map_words(kPages * kPage, MAP_SHARED, file);
    int* const own = map_words(kPages * kPage, MAP_PRIVATE, file);
    for (std::size_t page = 0; page < kPages; ++page) {
        shared[page * kWords] = 7;
        own[page * kWords] = 8;
    }
    std::array<int, 2> told{};
    std::array<int, 2> asked{};
    truth("pipes", pipe(told.data()) == 0 && pipe(asked.data()) == 0);
    const pid_t child = fork();
    if (child == 0) {
        char byte = 0;
        const bool was_there = shared[2 * kWords] == 7 && own[2 * kWords] == 8;
        write(asked[1], "x", 1);
        read(told[0], &byte, 1);
        _exit(was_there && !is_cut_off(&shared[kWords]) && is_cut_off(&shared[2 * kWords]) &&
                      is_cut_off(&shared[(kPages - 1) * kWords]) && is_cut_off(&own[2 * kWords])
                  ? 0
                  : 1);
    }
    char byte = 0;
    read(asked[0], &byte, 1);
    equal("cut in its second page", ftruncate(file, kPage + 4), 0);
    truth("the page the end is in stays", !is_cut_off(&shared[kWords]) && shared[kWords] == 7);
    equal("with zeros behind it", shared[kWords + 1], 0);
    truth("the next is cut off", is_cut_off(&shared[2 * kWords]));
    truth("so is the last", is_cut_off(&shared[(kPages - 1) * kWords]));
    truth("a private copy goes, too", is_cut_off(&own[2 * kWords]));
    equal("not of what stays", own[0], 8);
    write(told[1], "x", 1);
    int status = -1;
    waitpid(child, &status, 0);
    equal("in another process as well", status, 0);
    equal("longer again", ftruncate(file, kPages * kPage), 0);
    equal("new and empty", shared[2 * kWords], 0);
    equal("for both", own[2 * kWords], 0);
    shared[2 * kWords] = 9;
    int read_back = 0;
    equal("and the file's", pread(file, &read_back, sizeof(int), 2 * kPage), sizeof(int));
    equal("own", read_back, 9);
    close(open("/tmp/cut", O_RDONLY | O_TRUNC));
    truth("O_TRUNC cuts as well", is_cut_off(shared));
    munmap(shared, kPages * kPage);
    munmap(own, kPages * kPage);
    for (const int end : {file, told[0], told[1], asked[0], asked[1]}) {
        close(end);
    }
    unlink("/tmp/cut");
    signal(SIGBUS, SIG_DFL);
}

void run_from_memory() {
    {
        std::ifstream from{checks::program, std::ios::binary};
        std::ofstream to{"/tmp/program", std::ios::binary};
        to << from.rdbuf();
    }
    succeeds("make it a program", chmod("/tmp/program", 0755));
    const auto run = [](const char* path, const char* argument) {
        return in_child([&] {
            execl(path, path, "child", argument, nullptr);
            return errno;
        });
    };
    equal("a program in a file of memory", run("/tmp/program", "/tmp/program"), 42);
    std::ofstream{"/tmp/script"} << "#!/tmp/program child\nnever read\n";
    succeeds("make it one", chmod("/tmp/script", 0755));
    equal("a script there", run("/tmp/script", "/tmp/script"), 42);
    succeeds("unlink", unlink("/tmp/program"));
    equal("gone", run("/tmp/program", ""), ENOENT);
    equal("an empty file", (close(creat("/tmp/program", 0755)), run("/tmp/program", "")), ENOEXEC);
    unlink("/tmp/program");
    unlink("/tmp/script");
}

void change_status() {
    const mode_t before = umask(027);
    equal("the first umask", before, 022);
    close(creat("/tmp/masked", 0666));
    struct stat status{};
    succeeds("stat", stat("/tmp/masked", &status));
    equal("its permissions", status.st_mode & 07777, 0640);
    equal("the umask", umask(before), 027);
    succeeds("chmod", chmod("/tmp/masked", 0601));
    const int file = open("/tmp/masked", O_RDWR);
    succeeds("fstat", fstat(file, &status));
    equal("changed", status.st_mode, S_IFREG | 0601);
    succeeds("fchmod", fchmod(file, 0777));
    succeeds("chown to root", fchown(file, 0, 0));
    fails("to somebody else", fchown(file, 5, 5), EPERM);
    const std::array<timespec, 2> times{
        {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, {.tv_sec = 2'000'000'000, .tv_nsec = 5}}};
    succeeds("utimensat", utimensat(AT_FDCWD, "/tmp/masked", times.data(), 0));
    succeeds("fstat", fstat(file, &status));
    equal("the time", status.st_mtim.tv_sec, 2'000'000'000);
    equal("exactly", status.st_mtim.tv_nsec, 5);
    fails("chmod of the initrd's", chmod("/etc/motd", 0777), EROFS);
    fails("of nothing", chmod("/tmp/none", 0777), ENOENT);
    struct statfs system{};
    succeeds("statfs", statfs("/tmp", &system));
    truth("tmpfs with room", system.f_type == 0x01021994 && system.f_bavail > 0 && system.f_bsize == 4096);
    succeeds("fstatfs", fstatfs(file, &system));
    succeeds("of the root", statfs("/", &system));
    equal("which is full", static_cast<std::int64_t>(system.f_bavail), 0);
    fails("of nothing", statfs("/none", &system), ENOENT);
    equal("fallocate", posix_fallocate(file, 0, 10000), 0);
    succeeds("fstat", fstat(file, &status));
    equal("longer", status.st_size, 10000);
    std::array<char, 3> left{};
    std::array<char, 3> right{};
    const std::array<iovec, 2> out{{{const_cast<char*>("abc"), 3}, {const_cast<char*>("def"), 3}}};
    const std::array<iovec, 2> in{{{left.data(), 3}, {right.data(), 3}}};
    equal("pwritev", pwritev(file, out.data(), 2, 100), 6);
    equal("preadv", preadv(file, in.data(), 2, 100), 6);
    reads("the second part", {right.data(), 3}, "def");
    close(file);
    succeeds("symlink", symlink("masked", "/tmp/link"));
    succeeds("lstat", lstat("/tmp/link", &status));
    truth("a link", S_ISLNK(status.st_mode) && status.st_size == 6);
    succeeds("stat through it", stat("/tmp/link", &status));
    equal("leads to the file", status.st_size, 10000);
    fails("again", symlink("x", "/tmp/link"), EEXIST);
    fails("where nothing can be made", symlink("x", "/etc/link"), EROFS);
    succeeds("unlink it", unlink("/tmp/link"));
    succeeds("and not what it names", unlink("/tmp/masked"));
}

void use_sockets() {
    std::array<int, 2> pair{};
    succeeds("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()));
    std::array<char, 16> bytes{};
    fails("nothing there", recv(pair[1], bytes.data(), bytes.size(), MSG_DONTWAIT), EAGAIN);
    equal("send", send(pair[0], "hello", 5, MSG_NOSIGNAL), 5);
    equal("look", recv(pair[1], bytes.data(), 3, MSG_PEEK), 3);
    reads("at the first", {bytes.data(), 3}, "hel");
    equal("look again", recv(pair[1], bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT), 5);
    equal("recv", recv(pair[1], bytes.data(), bytes.size(), 0), 5);
    fails("looked at, it was still there", recv(pair[1], bytes.data(), 1, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
    fails("another flag", recv(pair[1], bytes.data(), 1, MSG_OOB), EOPNOTSUPP);
    fails("nothing is sent by looking", send(pair[0], "x", 1, MSG_PEEK), EOPNOTSUPP);
    std::array<iovec, 2> parts{{{const_cast<char*>("ab"), 2}, {const_cast<char*>("cde"), 3}}};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    equal("sendmsg", sendmsg(pair[0], &message, 0), 5);
    iovec whole{bytes.data(), bytes.size()};
    message = {};
    message.msg_iov = &whole;
    message.msg_iovlen = 1;
    equal("recvmsg", recvmsg(pair[1], &message, 0), 5);
    reads("in order", {bytes.data(), 5}, "abcde");
    int value = 0;
    socklen_t length = sizeof value;
    succeeds("getsockopt", getsockopt(pair[0], SOL_SOCKET, SO_TYPE, &value, &length));
    equal("a stream", value, SOCK_STREAM);
    value = 1000;
    succeeds("setsockopt", setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &value, sizeof value));
    fails("another option", setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &value, sizeof value), ENOPROTOOPT);
    fails("of a file", getsockopt(1, SOL_SOCKET, SO_TYPE, &value, &length), ENOTSOCK);
    equal("send more", send(pair[0], "end", 3, 0), 3);
    succeeds("shutdown", shutdown(pair[0], SHUT_WR));
    fails("send behind it", send(pair[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    equal("what was sent comes", recv(pair[1], bytes.data(), bytes.size(), 0), 3);
    equal("then the end", recv(pair[1], bytes.data(), bytes.size(), 0), 0);
    equal("the other way", send(pair[1], "yes", 3, 0), 3);
    equal("is open", recv(pair[0], bytes.data(), bytes.size(), 0), 3);
    fails("a bad way", shutdown(pair[0], 7), EINVAL);
    fails("shutdown of a file", shutdown(1, SHUT_RD), ENOTSOCK);
    close(pair[0]);
    close(pair[1]);
}

constexpr checks::Case kCases[]{
    {"cut under mappings", cut_under_mappings},
    {"share by fork", share_by_fork},
    {"wake each other", wake_each_other},
    {"share locks", share_locks},
    {"map files", map_files},
    {"refuse to map", refuse_to_map},
    {"fault beyond the end", fault_beyond_the_end},
    {"run from memory", run_from_memory},
    {"change status", change_status},
    {"use sockets", use_sockets},
};

}  // namespace

int main(int argc, char** argv) {
    if (argc > 2 && std::string{argv[1]} == "child") {
        return std::string{argv[2]} == argv[argc - 1] ? 42 : 1;
    }
    return checks::run(argv[0], kCases);
}
