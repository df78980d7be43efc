// SPDX-License-Identifier: MIT
// The one error enumeration of the ABI. Values are Linux' errno numbers (asm-generic/errno-base.h, errno.h),
// so that a system call returns -value and a C library needs no translation.
#pragma once

#include <cstdint>

namespace nexus_abi {

enum class Error : std::int32_t {
    NotPermitted = 1,        // EPERM
    NoEntry = 2,             // ENOENT
    NoProcess = 3,           // ESRCH
    Interrupted = 4,         // EINTR
    Io = 5,                  // EIO
    NoAddress = 6,           // ENXIO
    TooBig = 7,              // E2BIG
    NotExecutable = 8,       // ENOEXEC
    BadDescriptor = 9,       // EBADF
    NoChild = 10,            // ECHILD
    TryAgain = 11,           // EAGAIN
    NoMemory = 12,           // ENOMEM
    AccessDenied = 13,       // EACCES
    BadAddress = 14,         // EFAULT
    Busy = 16,               // EBUSY
    Exists = 17,             // EEXIST
    CrossDevice = 18,        // EXDEV
    NoDevice = 19,           // ENODEV
    NotDirectory = 20,       // ENOTDIR
    IsDirectory = 21,        // EISDIR
    InvalidArgument = 22,    // EINVAL
    TooManyFiles = 24,       // EMFILE
    NotTerminal = 25,        // ENOTTY
    FileTooBig = 27,         // EFBIG
    NoSpace = 28,            // ENOSPC
    IllegalSeek = 29,        // ESPIPE
    ReadOnly = 30,           // EROFS
    BrokenPipe = 32,         // EPIPE
    OutOfRange = 34,         // ERANGE
    Deadlock = 35,           // EDEADLK
    NameTooLong = 36,        // ENAMETOOLONG
    NoLocks = 37,            // ENOLCK
    NotImplemented = 38,     // ENOSYS
    NotEmpty = 39,           // ENOTEMPTY
    TooManyLinks = 40,       // ELOOP
    Overflow = 75,           // EOVERFLOW
    NotSocket = 88,          // ENOTSOCK
    NoProtocolOption = 92,   // ENOPROTOOPT
    NoProtocol = 93,         // EPROTONOSUPPORT
    NoSocketType = 94,       // ESOCKTNOSUPPORT
    NotSupported = 95,       // EOPNOTSUPP
    NoAddressFamily = 97,    // EAFNOSUPPORT
    AlreadyConnected = 106,  // EISCONN
    TimedOut = 110,          // ETIMEDOUT
};

}  // namespace nexus_abi
