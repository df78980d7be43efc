// SPDX-License-Identifier: MIT
// Files by descriptor, with tasks that wait for each other: locks, epoll, event counters, sockets, copies.
#include "file_calls.hpp"

namespace kernel::whole {
namespace {

using nexus_abi::epoll_event;
using nexus_abi::iovec;
using nexus_abi::message_header;
using nexus_abi::record_lock;
using nexus_abi::timespec;

TEST_F(FileCalls, DescriptorsAreDoubled) {
    EXPECT_EQ(call(Syscall::dup, 1), 3);
    EXPECT_EQ(call(Syscall::dup, 99), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::dup3, 1, 9, 0), 9);
    EXPECT_EQ(call(Syscall::dup3, 1, 1, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::dup3, 1, 9, 1), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::dup3, 1, 256, 0), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::dup3, 99, 9, 0), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::fcntl, 1, 0, 20), 20) << "F_DUPFD";
    EXPECT_EQ(call(Syscall::fcntl, 1, 1030, 20), 21) << "F_DUPFD_CLOEXEC";
    EXPECT_EQ(call(Syscall::fcntl, 21, 1, 0), 1);
    EXPECT_EQ(call(Syscall::fcntl, 21, 2, 0), 0);
    EXPECT_EQ(call(Syscall::fcntl, 21, 1, 0), 0);
    EXPECT_EQ(call(Syscall::fcntl, 1, 0, 256), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::fcntl, 1, 3, 0), 0100002) << "F_GETFL";
    EXPECT_EQ(call(Syscall::fcntl, 1, 4, kNonBlocking), 0);
    EXPECT_EQ(call(Syscall::fcntl, 1, 3, 0), 0100002 | kNonBlocking);
    EXPECT_EQ(call(Syscall::fcntl, 1, 4, 0), 0);
    EXPECT_EQ(call(Syscall::fcntl, 1, 777, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::close_range, 20, 21, 4), 0) << "CLOSE_RANGE_CLOEXEC";
    EXPECT_EQ(call(Syscall::fcntl, 20, 1, 0), 1);
    EXPECT_EQ(call(Syscall::close_range, 3, ~0U, 0), 0);
    EXPECT_EQ(call(Syscall::fcntl, 9, 1, 0), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::close_range, 5, 4, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::close_range, 1000, 2000, 0), 0);
    EXPECT_EQ(call(Syscall::close, 9), error(Error::BadDescriptor));
}

TEST_F(FileCalls, PipesTellTheirSize) {
    const auto ends = pipe();
    EXPECT_EQ(call(Syscall::fcntl, ends[0], 1032, 0), 65536);
    EXPECT_EQ(call(Syscall::fcntl, ends[0], 1031, 4096), 65536);
    EXPECT_EQ(call(Syscall::fcntl, ends[0], 1031, 1 << 20), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::fcntl, ends[0], 1031, 0xffff'ffff), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::fcntl, 1, 1032, 0), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::pipe2, kOut, 1), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::pipe2, kBadAddress, 0), error(Error::BadAddress));
    task::Task& child = fork();
    EXPECT_EQ(call_as(child, Syscall::read, ends[0], kBig, 10), std::nullopt);
    EXPECT_EQ(write(ends[1], "abc"), 3);
    EXPECT_EQ(result_in_time(child), 3);
}

TEST_F(FileCalls, EventCountersCount) {
    EXPECT_EQ(call(Syscall::eventfd2, 1, 0x10), error(Error::InvalidArgument));
    const auto counter = call(Syscall::eventfd2, 2, kNonBlocking).value_or(-1);
    EXPECT_EQ(call(Syscall::read, counter, kOut, 7), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::read, counter, kOut, 8), 8);
    EXPECT_EQ(get<std::uint64_t>(kOut), 2U);
    EXPECT_EQ(call(Syscall::read, counter, kOut, 8), error(Error::TryAgain));
    put(kOut, std::uint64_t{5});
    EXPECT_EQ(call(Syscall::write, counter, kOut, 8), 8);
    EXPECT_EQ(call(Syscall::write, counter, kOut, 4), error(Error::InvalidArgument));
    put(kOut, ~std::uint64_t{0});
    EXPECT_EQ(call(Syscall::write, counter, kOut, 8), error(Error::InvalidArgument));
    put(kOut, ~std::uint64_t{0} - 5);
    EXPECT_EQ(call(Syscall::write, counter, kOut, 8), error(Error::TryAgain)) << "no room";
    EXPECT_EQ(call(Syscall::write, counter, kBadAddress, 8), error(Error::BadAddress));
    // A semaphore, whose reader waits.
    const auto semaphore = call(Syscall::eventfd2, 0, 1).value_or(-1);
    task::Task& child = fork();
    EXPECT_EQ(call_as(child, Syscall::read, semaphore, kOut, 8), std::nullopt);
    put(kOut, std::uint64_t{3});
    EXPECT_EQ(call(Syscall::write, semaphore, kOut, 8), 8);
    EXPECT_EQ(result_in_time(child), 8);
    EXPECT_EQ(get_as<std::uint64_t>(child, kOut), 1U);
    EXPECT_EQ(call(Syscall::read, semaphore, kOut, 8), 8);
    EXPECT_EQ(get<std::uint64_t>(kOut), 1U);
}

TEST_F(FileCalls, WholeFileLocksExclude) {
    const auto mine = open("/tmp/a", kCreate);
    EXPECT_EQ(call(Syscall::flock, mine, 1), 0) << "LOCK_SH";
    task::Task& child = fork();
    const auto theirs = call_as(child, Syscall::openat, kHere, kPath, 2, 0).value_or(-1);
    EXPECT_EQ(call_as(child, Syscall::flock, theirs, 1), 0);
    EXPECT_EQ(call_as(child, Syscall::flock, theirs, 2 | 4), error(Error::TryAgain));
    EXPECT_EQ(call_as(child, Syscall::flock, theirs, 2), std::nullopt);
    EXPECT_EQ(call(Syscall::flock, mine, 8), 0);
    EXPECT_EQ(result_in_time(child), 0);
    EXPECT_EQ(call(Syscall::flock, mine, 1 | 4), error(Error::TryAgain));
    EXPECT_EQ(call(Syscall::flock, mine, 3), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::flock, 99, 1), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::flock, mine, 1), std::nullopt);
    EXPECT_EQ(call_as(child, Syscall::exit_group, 0), std::nullopt);
    EXPECT_EQ(result_in_time(self()), 0) << "its end gives them back";
}

TEST_F(FileCalls, RecordLocksAreOfProcessesAndRanges) {
    constexpr std::uint64_t kGet = 5;
    constexpr std::uint64_t kSet = 6;
    constexpr std::uint64_t kSetWaiting = 7;
    enum : std::int16_t { kRead = 0, kWrite = 1, kUnlock = 2 };
    const auto mine = open("/tmp/a", kCreate);
    EXPECT_EQ(write(mine, std::string(100, 'x')), 100);
    task::Task& child = fork();
    const auto lock = [&](task::Task& task, std::uint64_t command, std::int16_t type, std::int64_t start,
                          std::int64_t length, std::int16_t whence = 0) {
        put_as(task, kIn,
               record_lock{.type = type,
                           .whence = whence,
                           .padding = 0,
                           .start = start,
                           .length = length,
                           .pid = 0,
                           .padding2 = 0});
        return call_as(task, Syscall::fcntl, mine, command, kIn);
    };
    EXPECT_EQ(lock(self(), kSet, kWrite, 10, 20), 0);
    EXPECT_EQ(lock(child, kSet, kRead, 29, 1), error(Error::TryAgain));
    EXPECT_EQ(lock(child, kSet, kWrite, 30, 0), 0) << "from 30 to the end of all";
    EXPECT_EQ(lock(child, kGet, kRead, 0, 0), 0);
    auto found = get_as<record_lock>(child, kIn);
    EXPECT_EQ(found.type, kWrite);
    EXPECT_EQ(found.start, 10);
    EXPECT_EQ(found.length, 20);
    EXPECT_EQ(found.pid, static_cast<std::int32_t>(self().tid().value()));
    EXPECT_EQ(lock(self(), kGet, kRead, -50, 50, 2), 0) << "from the end";
    EXPECT_EQ(get<record_lock>(kIn).start, 30);
    EXPECT_EQ(get<record_lock>(kIn).length, 0);
    EXPECT_EQ(lock(self(), kSet, kUnlock, 15, 5), 0) << "two pieces are left";
    EXPECT_EQ(lock(child, kSet, kWrite, 15, 5), 0);
    EXPECT_EQ(lock(self(), kGet, kRead, 0, 10), 0);
    EXPECT_EQ(get<record_lock>(kIn).type, kUnlock);
    // Each waits for the other: the second is told.
    EXPECT_EQ(lock(child, kSetWaiting, kWrite, 10, 5), std::nullopt);
    EXPECT_EQ(lock(self(), kSetWaiting, kWrite, 30, 5), error(Error::Deadlock));
    EXPECT_EQ(lock(self(), kSet, kUnlock, 0, 0), 0);
    EXPECT_EQ(result_in_time(child), 0);
    EXPECT_EQ(lock(self(), kSet, kWrite, 0, -5, 1), error(Error::TryAgain)) << "before the position";
    EXPECT_EQ(lock(self(), kSet, kWrite, 0, -5), error(Error::InvalidArgument));
    EXPECT_EQ(lock(self(), kSet, kWrite, 0, 5, 7), error(Error::InvalidArgument));
    EXPECT_EQ(lock(self(), kSet, 9, 0, 5), error(Error::InvalidArgument));
    EXPECT_EQ(lock(self(), kSet, kWrite, 0x7fff'ffff'ffff'ffff, 5), error(Error::Overflow));
    EXPECT_EQ(lock(self(), kSet, kWrite, 0x7fff'ffff'ffff'ffff, 1, 1), error(Error::Overflow));
    EXPECT_EQ(call(Syscall::fcntl, mine, kSet, kBadAddress), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::fcntl, 99, kSet, kIn), error(Error::BadDescriptor));
    // Locks of the open file: its own process's conflict with them.
    constexpr std::uint64_t kSetOfFile = 37;
    EXPECT_EQ(call_as(child, Syscall::exit_group, 0), std::nullopt);
    EXPECT_EQ(wait_for(self(), child), 0);
    EXPECT_EQ(lock(self(), kSetOfFile, kWrite, 0, 5), 0);
    EXPECT_EQ(lock(self(), kGet, kWrite, 0, 5), 0);
    EXPECT_EQ(get<record_lock>(kIn).pid, -1);
    const auto read_only = open("/tmp/a", 0);
    put(kIn,
        record_lock{
            .type = kWrite, .whence = 0, .padding = 0, .start = 0, .length = 1, .pid = 0, .padding2 = 0});
    EXPECT_EQ(call(Syscall::fcntl, read_only, kSet, kIn), error(Error::BadDescriptor));
    put(kIn,
        record_lock{
            .type = kWrite, .whence = 0, .padding = 0, .start = 0, .length = 1, .pid = 5, .padding2 = 0});
    EXPECT_EQ(call(Syscall::fcntl, mine, kSetOfFile, kIn), error(Error::InvalidArgument));
}

TEST_F(FileCalls, EventListsTellWhatIsReady) {
    const auto list = call(Syscall::epoll_create1, 0).value_or(-1);
    EXPECT_EQ(call(Syscall::epoll_create1, 1), error(Error::InvalidArgument));
    const auto ends = pipe(kNonBlocking);
    const auto counter = call(Syscall::eventfd2, 0, kNonBlocking).value_or(-1);
    const auto control = [&](std::uint64_t operation, std::int64_t fd, std::uint32_t events,
                             std::uint64_t data = 0) {
        put(kIn, epoll_event{.events = events, .reserved = 0, .data = data});
        return call(Syscall::epoll_ctl, list, operation, fd, kIn);
    };
    const auto wait = [&](std::int64_t milliseconds) {
        return call(Syscall::epoll_pwait, list, kOut, 4, milliseconds, 0, 8);
    };
    EXPECT_EQ(control(1, ends[0], 1, 111), 0);
    EXPECT_EQ(control(1, ends[0], 1, 111), error(Error::Exists));
    EXPECT_EQ(control(3, counter, 1), error(Error::NoEntry));
    EXPECT_EQ(control(2, counter, 0), error(Error::NoEntry));
    EXPECT_EQ(control(9, ends[0], 0), error(Error::InvalidArgument));
    EXPECT_EQ(control(1, list, 1), error(Error::InvalidArgument)) << "itself";
    EXPECT_EQ(control(1, 99, 1), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::epoll_ctl, ends[0], 1, counter, kIn), error(Error::InvalidArgument)) << "no list";
    EXPECT_EQ(call(Syscall::epoll_ctl, 99, 1, counter, kIn), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::epoll_ctl, list, 1, counter, kBadAddress), error(Error::BadAddress));
    EXPECT_EQ(control(1, open("/etc/motd"), 1), error(Error::NotPermitted)) << "files are always ready";
    EXPECT_EQ(wait(0), 0);
    EXPECT_EQ(wait(20), std::nullopt);
    pass(Duration::milliseconds(25));
    EXPECT_EQ(result_of(self()), 0) << "the time is over";
    EXPECT_EQ(write(ends[1], "abc"), 3);
    EXPECT_EQ(wait(-1), 1);
    EXPECT_EQ(get<epoll_event>(kOut).data, 111U);
    EXPECT_EQ(get<epoll_event>(kOut).events, 1U);
    EXPECT_EQ(wait(-1), 1) << "as long as it is";
    EXPECT_EQ(control(3, ends[0], 1 | 1U << 31, 222), 0) << "EPOLLET";
    EXPECT_EQ(wait(-1), 1);
    EXPECT_EQ(wait(0), 0) << "once for each change";
    EXPECT_EQ(control(3, ends[0], 1 | 1U << 30, 333), 0) << "EPOLLONESHOT";
    EXPECT_EQ(wait(-1), 1);
    EXPECT_EQ(wait(0), 0);
    EXPECT_EQ(control(2, ends[0], 0), 0);
    EXPECT_EQ(control(1, counter, 1 | 4, 444), 0);
    EXPECT_EQ(wait(-1), 1) << "it can be written";
    EXPECT_EQ(get<epoll_event>(kOut).events, 4U);
    EXPECT_EQ(control(3, counter, 1 | 1U << 28), error(Error::InvalidArgument)) << "EPOLLEXCLUSIVE, later";
    EXPECT_EQ(control(3, counter, 1, 555), 0);
    // Another task waits, and is woken by what happens to a file.
    task::Task& child = fork();
    EXPECT_EQ(call_as(child, Syscall::epoll_pwait, list, kOut, 4, -1, 0, 8), std::nullopt);
    put(kBig, std::uint64_t{1});
    EXPECT_EQ(call(Syscall::write, counter, kBig, 8), 8);
    EXPECT_EQ(result_in_time(child), 1);
    EXPECT_EQ(get_as<epoll_event>(child, kOut).data, 555U);
    // A list in a list.
    const auto outer = call(Syscall::epoll_create1, 0).value_or(-1);
    put(kIn, epoll_event{.events = 1, .reserved = 0, .data = 666});
    EXPECT_EQ(call(Syscall::epoll_ctl, outer, 1, list, kIn), 0);
    EXPECT_EQ(call(Syscall::epoll_ctl, list, 1, outer, kIn), error(Error::TooManyLinks)) << "in a circle";
    EXPECT_EQ(call(Syscall::epoll_pwait, outer, kOut, 4, 0, 0, 8), 1);
    put(kIn, timespec{.seconds = 0, .nanoseconds = 0});
    EXPECT_EQ(call(Syscall::epoll_pwait2, outer, kOut, 4, kIn, 0, 8), 1);
    EXPECT_EQ(call(Syscall::epoll_pwait2, outer, kOut, 4, kBadAddress, 0, 8), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::epoll_pwait, outer, kOut, 0, 0, 0, 8), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::epoll_pwait, 99, kOut, 4, 0, 0, 8), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::epoll_pwait, counter, kOut, 4, 0, 0, 8), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::epoll_pwait, outer, kOut, 4, 0, kIn, 7), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::epoll_pwait, outer, kBadAddress, 4, 0, 0, 8), error(Error::BadAddress));
}

TEST_F(FileCalls, PollAndSelectWait) {
    const auto ends = pipe();
    put(kIn, nexus_abi::pollfd{.fd = ends[0], .events = 1, .revents = 0});
    put(kIn + 64, timespec{.seconds = 0, .nanoseconds = 10'000'000});
    EXPECT_EQ(call(Syscall::ppoll, kIn, 1, kIn + 64, 0, 8), std::nullopt);
    pass(Duration::milliseconds(15));
    EXPECT_EQ(result_of(self()), 0);
    EXPECT_EQ(get<timespec>(kIn + 64).nanoseconds, 0) << "nothing of it is left";
    put(kIn, std::uint64_t{1} << ends[0]);
    put(kIn + 8, std::uint64_t{1} << ends[1]);
    EXPECT_EQ(call(Syscall::pselect6, 64, kIn, kIn + 8, 0, 0, 0), 1) << "the pipe can be written";
    EXPECT_EQ(get<std::uint64_t>(kIn), 0U);
    EXPECT_EQ(get<std::uint64_t>(kIn + 8), std::uint64_t{1} << ends[1]);
    put(kIn, std::uint64_t{1} << ends[0]);
    task::Task& child = fork();
    EXPECT_EQ(call_as(child, Syscall::pselect6, 64, kIn, 0, 0, 0, 0), std::nullopt);
    EXPECT_EQ(write(ends[1], "x"), 1);
    EXPECT_EQ(result_in_time(child), 1);
    put(kIn, std::uint64_t{1} << 50);
    EXPECT_EQ(call(Syscall::pselect6, 64, kIn, 0, 0, 0, 0), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::pselect6, 64, kBadAddress, 0, 0, 0, 0), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::pselect6, -1, 0, 0, 0, 0, 0), error(Error::InvalidArgument));
    put(kIn + 64, timespec{.seconds = -1, .nanoseconds = 0});
    EXPECT_EQ(call(Syscall::pselect6, 0, 0, 0, 0, kIn + 64, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::ppoll, kIn, 257, 0, 0, 8), error(Error::InvalidArgument));
}

TEST_F(FileCalls, SocketsOfAPair) {
    EXPECT_EQ(call(Syscall::socketpair, 2, 1, 0, kOut), error(Error::NoAddressFamily));
    EXPECT_EQ(call(Syscall::socketpair, 99, 1, 0, kOut), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::socketpair, 1, 1, 6, kOut), error(Error::NoProtocol));
    EXPECT_EQ(call(Syscall::socketpair, 1, 2, 0, kOut), error(Error::NoSocketType));
    EXPECT_EQ(call(Syscall::socketpair, 1, 15, 0, kOut), error(Error::InvalidArgument));
    const auto ends = pair();
    put_text(kBig, "hello");
    EXPECT_EQ(call(Syscall::sendto, ends[0], kBig, 5, 0x4000, 0, 0), 5);
    EXPECT_EQ(call(Syscall::sendto, ends[0], kBig, 5, 1, 0, 0), error(Error::NotSupported)) << "MSG_OOB";
    EXPECT_EQ(call(Syscall::sendto, ends[0], kBig, 5, 0, kBig, 16), error(Error::AlreadyConnected));
    EXPECT_EQ(call(Syscall::sendto, 1, kBig, 5, 0, 0, 0), error(Error::NotSocket));
    EXPECT_EQ(call(Syscall::recvfrom, ends[1], kOut, 3, 2, 0, 0), 3) << "MSG_PEEK";
    put(kIn, std::uint32_t{16});
    EXPECT_EQ(call(Syscall::recvfrom, ends[1], kOut, 10, 0, kIn + 16, kIn), 5);
    EXPECT_EQ(get_text(kOut, 5), "hello");
    EXPECT_EQ(get<std::uint32_t>(kIn), 0U) << "nobody has a name";
    EXPECT_EQ(call(Syscall::recvfrom, ends[1], kOut, 10, 0, kIn + 16, kBadAddress), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::recvfrom, ends[1], kOut, 10, 0x40, 0, 0), error(Error::TryAgain))
        << "MSG_DONTWAIT";
    put(kIn, std::array{iovec{.base = kBig, .length = 2}, iovec{.base = kBig + 2, .length = 3}});
    message_header header{};
    header.vectors = kIn;
    header.vector_count = 2;
    put(kIn + 64, header);
    EXPECT_EQ(call(Syscall::sendmsg, ends[1], kIn + 64, 0), 5);
    header.control_bytes = 16;
    put(kIn + 256, header);
    EXPECT_EQ(call(Syscall::sendmsg, ends[1], kIn + 256, 0), error(Error::NotSupported));
    header.control_bytes = 0;
    header.vector_count = 2000;
    put(kIn + 256, header);
    EXPECT_EQ(call(Syscall::sendmsg, ends[1], kIn + 256, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::recvmsg, ends[0], kIn + 256, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sendmsg, ends[1], kBadAddress, 0), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::recvmsg, ends[1], kBadAddress, 0), error(Error::BadAddress));
    put(kIn, std::array{iovec{.base = kOut, .length = 2}, iovec{.base = kOut + 8, .length = 30}});
    EXPECT_EQ(call(Syscall::recvmsg, ends[0], kIn + 64, 0), 5);
    EXPECT_EQ(get_text(kOut + 8, 3), "llo");
    put(kIn, std::uint32_t{4});
    EXPECT_EQ(call(Syscall::getsockopt, ends[0], 1, 7, kOut, kIn), 0);
    EXPECT_EQ(get<std::uint32_t>(kOut), 65536U);
    EXPECT_EQ(call(Syscall::getsockopt, ends[0], 1, 3, kOut, kIn), 0) << "SO_TYPE";
    EXPECT_EQ(get<std::uint32_t>(kOut), 1U);
    EXPECT_EQ(call(Syscall::getsockopt, ends[0], 1, 99, kOut, kIn), error(Error::NoProtocolOption));
    EXPECT_EQ(call(Syscall::getsockopt, ends[0], 6, 3, kOut, kIn), error(Error::NotSupported));
    EXPECT_EQ(call(Syscall::getsockopt, 1, 1, 3, kOut, kIn), error(Error::NotSocket));
    put(kIn, std::uint32_t{2});
    EXPECT_EQ(call(Syscall::getsockopt, ends[0], 1, 3, kOut, kIn), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::setsockopt, ends[0], 1, 7, kIn, 4), 0);
    EXPECT_EQ(call(Syscall::setsockopt, ends[0], 1, 7, kIn, 2), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::setsockopt, ends[0], 1, 99, kIn, 4), error(Error::NoProtocolOption));
    EXPECT_EQ(call(Syscall::setsockopt, ends[0], 6, 7, kIn, 4), error(Error::NotSupported));
    EXPECT_EQ(call(Syscall::setsockopt, ends[0], 1, 7, kBadAddress, 4), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::shutdown, ends[0], 3), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::shutdown, 1, 0), error(Error::NotSocket));
    EXPECT_EQ(call(Syscall::shutdown, ends[0], 1), 0);
    EXPECT_EQ(call(Syscall::recvfrom, ends[1], kOut, 10, 0, 0, 0), 0) << "the end";
    EXPECT_EQ(call(Syscall::sendto, ends[0], kBig, 5, 0x4000, 0, 0), error(Error::BrokenPipe));
    EXPECT_EQ(call(Syscall::sendto, ends[1], kBig, 5, 0, 0, 0), 5) << "the other way is open";
}

TEST_F(FileCalls, CopiesNeedNoBuffer) {
    const auto from = open("/etc/motd");
    const auto to = open("/tmp/a", kCreate);
    EXPECT_EQ(call(Syscall::sendfile, to, from, 0, 100), 11);
    EXPECT_EQ(call(Syscall::sendfile, to, from, 0, 100), 0) << "the end";
    put(kIn, std::int64_t{6});
    EXPECT_EQ(call(Syscall::sendfile, 1, from, kIn, 100), 5);
    EXPECT_EQ(outside().console, "file\n");
    EXPECT_EQ(get<std::int64_t>(kIn), 11);
    const auto ends = pipe();
    EXPECT_EQ(call(Syscall::sendfile, to, ends[0], 0, 10), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::sendfile, to, ends[0], kIn, 10), error(Error::IllegalSeek));
    EXPECT_EQ(call(Syscall::sendfile, from, to, 0, 10), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::sendfile, 99, from, 0, 10), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::sendfile, to, from, kBadAddress, 10), error(Error::BadAddress));
    put(kIn, std::int64_t{-1});
    EXPECT_EQ(call(Syscall::sendfile, to, from, kIn, 10), error(Error::InvalidArgument));
    const auto appending = open("/tmp/a", 1 | kAppend);
    EXPECT_EQ(call(Syscall::sendfile, appending, from, 0, 10), error(Error::InvalidArgument));
    put(kIn, std::int64_t{0});
    put(kIn + 8, std::int64_t{100});
    EXPECT_EQ(call(Syscall::copy_file_range, from, kIn, to, kIn + 8, 5, 0), 5);
    EXPECT_EQ(get<std::int64_t>(kIn + 8), 105);
    EXPECT_EQ(call(Syscall::pread64, to, kOut, 10, 98), 7);
    EXPECT_EQ(get_text(kOut, 7), (std::string{"\0\0hello", 7}));
    EXPECT_EQ(call(Syscall::copy_file_range, from, kIn, to, kIn + 8, 5, 1), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::copy_file_range, from, kIn, 1, 0, 5, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::copy_file_range, from, kIn, appending, 0, 5, 0), error(Error::BadDescriptor));
    put(kIn, std::int64_t{0});
    put(kIn + 8, std::int64_t{3});
    EXPECT_EQ(call(Syscall::copy_file_range, to, kIn, to, kIn + 8, 5, 0), error(Error::InvalidArgument))
        << "they overlap";
    // More than one piece.
    const auto big = call(Syscall::memfd_create, name("big"), 1).value_or(-1);
    EXPECT_EQ(call(Syscall::ftruncate, big, 1 << 20), 0);
    EXPECT_EQ(call(Syscall::lseek, to, 0, 0), 0);
    EXPECT_EQ(call(Syscall::sendfile, to, big, 0, 1 << 20), 1 << 20);
    EXPECT_EQ(call(Syscall::memfd_create, kPath, 0x100), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::memfd_create, kBadAddress, 0), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::memfd_create, name(std::string(260, 'a')), 0), error(Error::InvalidArgument));
}

}  // namespace
}  // namespace kernel::whole
