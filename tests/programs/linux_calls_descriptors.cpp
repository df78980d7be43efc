// SPDX-License-Identifier: MIT
// The Linux block's calls about descriptors: dup, dup3, fcntl.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checks.hpp"

namespace {

using checks::equal;
using checks::fails;
using checks::succeeds;

constexpr int kMaxFiles = 256;

void duplicate() {
    const int file = open("/etc/motd", O_RDONLY | O_CLOEXEC);
    const int same = dup(file);
    equal("the lowest free one", same, file + 1);
    equal("seek by the one", lseek(file, 5, SEEK_SET), 5);
    equal("is seen by the other", lseek(same, 0, SEEK_CUR), 5);
    equal("dup3 to a number", dup3(file, 100, O_CLOEXEC), 100);
    equal("dup3 over an open one", dup3(0, 100, 0), 100);
    fails("it is the console now", lseek(100, 0, SEEK_CUR), ESPIPE);
    fails("dup3 to itself", dup3(file, file, 0), EINVAL);
    fails("dup3 with an unknown flag", dup3(file, 101, O_APPEND), EINVAL);
    fails("dup3 of nothing", dup3(99, 101, 0), EBADF);
    fails("dup3 beyond the table", dup3(file, kMaxFiles, 0), EBADF);
    fails("dup3 to a negative number", dup3(file, -1, 0), EBADF);
    fails("dup of nothing", dup(99), EBADF);
    succeeds("close", close(file));
    equal("the other goes on", lseek(same, 0, SEEK_CUR), 5);
    close(same);
    close(100);
}

void control() {
    const int file = open("/etc/motd", O_RDONLY | O_CLOEXEC);
    equal("the mark", fcntl(file, F_GETFD), FD_CLOEXEC);
    equal("without", fcntl(file, F_SETFD, 0), 0);
    equal("it is gone", fcntl(file, F_GETFD), 0);
    const int from = fcntl(file, F_DUPFD, 50);
    equal("from a number on", from, 50);
    equal("the next one", fcntl(file, F_DUPFD_CLOEXEC, 50), 51);
    equal("marked", fcntl(51, F_GETFD), FD_CLOEXEC);
    equal("not marked", fcntl(50, F_GETFD), 0);
    fails("a number beyond the table", fcntl(file, F_DUPFD, kMaxFiles), EINVAL);
    fails("a negative number", fcntl(file, F_DUPFD, -1), EINVAL);
    equal("how it was opened", fcntl(file, F_GETFL) & O_ACCMODE, O_RDONLY);
    equal("not blocking", fcntl(file, F_SETFL, O_NONBLOCK | O_RDWR), 0);
    equal("the mode stays", fcntl(50, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY | O_NONBLOCK);
    fails("an unknown command", fcntl(file, 12345), EINVAL);
    fails("of nothing", fcntl(99, F_GETFD), EBADF);
    fails("a file is no pipe", fcntl(file, F_GETPIPE_SZ), EBADF);
    succeeds("fsync", fsync(file));
    fails("fsync of the console", fsync(0), EINVAL);
    fails("fsync of nothing", fsync(99), EBADF);
    close(file);
    close(50);
    close(51);
}

constexpr checks::Case kCases[]{
    {"duplicate", duplicate},
    {"control", control},
};

}  // namespace

int main(int, char** argv) {
    return checks::run(argv[0], kCases);
}
