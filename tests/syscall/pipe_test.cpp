// SPDX-License-Identifier: MIT
// Pipes, socket pairs and polling them, as programs see them; and the ring below.
#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>
#include <vector>

#include "arch/host/host_machine.hpp"
#include "fake_task.hpp"
#include "file/pipe.hpp"
#include "file/pipe_ring.hpp"
#include "mm/frames.hpp"
#include "nexus_abi/linux.hpp"
#include "syscall/console_ops.hpp"

namespace kernel {
namespace {

using fake::error;
using fake::kMemory;
using file::PipeRing;
using nexus_abi::Error;
using nexus_abi::pollfd;
using nexus_abi::Syscall;

constexpr std::uint64_t kEnds = kMemory;
constexpr std::uint64_t kBuffer = kMemory + 0x1000;  // 60 KiB
constexpr std::uint64_t kNonBlocking = 04000;
constexpr std::uint64_t kCloseOnExec = 02000000;
constexpr std::uint64_t kForever = 0;
constexpr std::uint16_t kIn = 1;
constexpr std::uint16_t kOut = 4;
constexpr std::uint16_t kErrorBit = 8;
constexpr std::uint16_t kHangUp = 16;
constexpr std::uint16_t kInvalid = 32;

class Rings : public fake::SyscallTest {};

TEST_F(Rings, WhatGoesInComesOutInOrder) {
    const auto free_before = mm::frames().stats().free;
    std::mt19937 random{1};  // any seed
    {
        PipeRing ring;
        std::uint8_t next_in = 0;
        std::uint8_t next_out = 0;
        std::uint64_t used = 0;
        for (int step = 0; step < 2000; ++step) {
            const std::uint64_t in = std::min<std::uint64_t>(random() % 9000, ring.room());
            ASSERT_TRUE(ring.reserve(in).ok());
            // A writer that was interrupted by a bad address adds less than it reserved.
            const std::uint64_t added = random() % 4 == 0 ? in / 2 : in;
            // The reader works while the writer copies.
            const std::uint64_t out = std::min<std::uint64_t>(random() % 9000, ring.used());
            for (std::uint64_t done = 0; done < in;) {
                const auto space = ring.space_at(done);
                for (std::uint64_t i = 0; i < std::min<std::uint64_t>(space.size(), in - done); ++i) {
                    space[i] = done + i < added ? std::byte{next_in++} : std::byte{0xee};
                }
                done += space.size();
            }
            for (std::uint64_t done = 0; done < out;) {
                const auto data = ring.data_at(done);
                for (std::uint64_t i = 0; i < std::min<std::uint64_t>(data.size(), out - done); ++i) {
                    ASSERT_EQ(data[i], std::byte{next_out++}) << step;
                }
                done += data.size();
            }
            ring.remove(out);
            ring.add(added);
            used += added - out;
            ASSERT_EQ(ring.used(), used);
            ASSERT_LE(used, PipeRing::kBytes);
        }
    }
    EXPECT_EQ(mm::frames().stats().free, free_before);
}

TEST_F(Rings, AnEmptyOneTakesEverythingAndKeepsOnePage) {
    const auto free_before = mm::frames().stats().free;
    PipeRing ring;
    EXPECT_EQ(mm::frames().stats().free, free_before);
    for (const std::uint64_t bytes : {std::uint64_t{100}, PipeRing::kBytes, std::uint64_t{1}}) {
        EXPECT_EQ(ring.room(), PipeRing::kBytes);
        ASSERT_TRUE(ring.reserve(bytes).ok());
        ring.add(bytes);
        ring.remove(bytes);
        EXPECT_LE(free_before - mm::frames().stats().free, 1U) << bytes;
    }
}

// Each case with writers that never hand bytes over to a reader that waits, with those that do, and by the
// quick ways of read and write.
enum class Way : std::uint8_t { ByRing, HandsOver, Quick };
class Pipes : public fake::SyscallTest, public testing::WithParamInterface<Way> {
  protected:
    Pipes() : SyscallTest{3} {
        file::hand_bytes_over(GetParam() != Way::ByRing);
        fake::take_quick_ways(GetParam() == Way::Quick);
    }
    ~Pipes() override {
        file::hand_bytes_over(true);
        fake::take_quick_ways(false);
    }
    void open(Syscall call_number = Syscall::pipe2, std::uint64_t flags = 0) {
        const auto made = call_number == Syscall::pipe2 ? call(call_number, kEnds, flags)
                                                        : call(call_number, 1, 1 | flags, 0, kEnds);
        ASSERT_EQ(made, 0);
        const auto ends = get<std::array<std::int32_t, 2>>(kEnds);
        reader = ends[0];
        writer = ends[1];
    }
    std::optional<std::int64_t> write(const std::string& text, std::size_t task = 0) {
        put(kBuffer, std::as_bytes(std::span{text}));
        return call_as(task, Syscall::write, {static_cast<std::uint64_t>(writer), kBuffer, text.size()});
    }
    std::optional<std::int64_t> write_bytes(std::uint64_t count, std::size_t task = 0) {
        return call_as(task, Syscall::write, {static_cast<std::uint64_t>(writer), kBuffer, count});
    }
    std::optional<std::int64_t> read(std::uint64_t count, std::size_t task = 0) {
        return call_as(task, Syscall::read, {static_cast<std::uint64_t>(reader), kBuffer, count});
    }
    std::string text(std::int64_t bytes) {
        std::string out(static_cast<std::size_t>(bytes), ' ');
        get(kBuffer, std::as_writable_bytes(std::span{out}));
        return out;
    }
    void close(std::int32_t fd) { EXPECT_EQ(call(Syscall::close, fd), 0); }
    // Fills it up by 60 KiB and the rest.
    void fill() {
        EXPECT_EQ(write_bytes(60 << 10), 60 << 10);
        EXPECT_EQ(write_bytes(4 << 10), 4 << 10);
    }
    // revents of the two ends.
    std::array<std::uint16_t, 2> poll(std::uint16_t events) {
        put(kEnds + 64, std::array{pollfd{reader, events, 0xffff}, pollfd{writer, events, 0xffff}});
        put(kEnds + 128, nexus_abi::timespec{0, 0});
        EXPECT_GE(call(Syscall::ppoll, kEnds + 64, 2, kEnds + 128, 0, 8), 0);
        const auto seen = get<std::array<pollfd, 2>>(kEnds + 64);
        return {seen[0].revents, seen[1].revents};
    }

    std::int32_t reader{};
    std::int32_t writer{};
};

TEST_P(Pipes, BytesGoThrough) {
    open();
    EXPECT_EQ(write("hello"), 5);
    EXPECT_EQ(read(3), 3);
    EXPECT_EQ(text(3), "hel");
    EXPECT_EQ(write(" world"), 6);
    EXPECT_EQ(read(100), 8);
    EXPECT_EQ(text(8), "lo world");
    EXPECT_EQ(read(0), 0);
    EXPECT_EQ(write_bytes(0), 0);
    EXPECT_EQ(call(Syscall::read, writer, kBuffer, 1), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::write, reader, kBuffer, 1), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::lseek, reader, 0, 0), error(Error::IllegalSeek));
    EXPECT_EQ(call(Syscall::pread64, reader, kBuffer, 1, 0), error(Error::IllegalSeek));
    EXPECT_EQ(call(Syscall::fcntl, reader, 1032, 0), 65536);
}

TEST_P(Pipes, AReaderWaitsForAWriter) {
    open();
    EXPECT_EQ(read(10, 1), std::nullopt);
    EXPECT_EQ(read(10, 2), std::nullopt);
    EXPECT_EQ(write("ab"), 2);
    ASSERT_EQ(fake::record().woken, std::vector{&task(1)}) << "the older one, and only that";
    EXPECT_EQ(resume(1), 2);
    EXPECT_EQ(fake::record().woken.size(), 1U) << "nothing is left for the other";
    close(writer);
    EXPECT_EQ(fake::record().woken.size(), 2U);
    EXPECT_EQ(resume(2), 0) << "end of file";
}

TEST_P(Pipes, AWaitingReaderGetsTheBytes) {
    open();
    for (const std::size_t bytes : {1U, 5U, 128U, 129U, 4096U}) {
        const std::string sent(bytes, 'a' + static_cast<char>(bytes % 26));
        put(kBuffer, std::string(bytes, '.'));
        EXPECT_EQ(read(4096, 1), std::nullopt);
        EXPECT_EQ(write(sent), bytes);
        EXPECT_EQ(task(1).resume == nullptr, GetParam() != Way::ByRing && bytes <= 128) << bytes;
        EXPECT_EQ(resume(1), bytes);
    }
    // What the ring was given behind a reader that has its bytes already is for the next one.
    EXPECT_EQ(read(10, 1), std::nullopt);
    EXPECT_EQ(write("ab"), 2);
    EXPECT_EQ(write("cd"), 2);
    EXPECT_EQ(resume(1), GetParam() == Way::ByRing ? 4 : 2);
    EXPECT_EQ(read(10), GetParam() != Way::ByRing ? std::optional<std::int64_t>{2} : std::nullopt);
}

// From and to any place in a page and in the ring: what comes out is what went in, in whatever pieces.
TEST_P(Pipes, BytesOfAnyAlignmentComeThrough) {
    open();
    constexpr std::uint64_t kFrom = kBuffer;
    constexpr std::uint64_t kTo = kBuffer + 0x4000;
    std::mt19937 random{2};  // any seed
    std::string sent;
    std::string got;
    for (int step = 0; step < 4000; ++step) {
        const std::uint64_t granule = std::uint64_t{1} << random() % 4;
        const std::uint64_t place = random() % 5000 / granule * granule;
        const std::uint64_t bytes = (random() % 140 / granule + 1) * granule;
        if (random() % 2 == 0 && sent.size() - got.size() < 60'000) {
            std::string message(bytes, ' ');
            for (char& byte : message) {
                byte = static_cast<char>('a' + random() % 26);
            }
            put(kFrom + place, std::as_bytes(std::span{message}));
            ASSERT_EQ(call(Syscall::write, writer, kFrom + place, bytes), bytes);
            sent += message;
        } else if (sent.size() > got.size()) {
            const auto taken = std::min<std::uint64_t>(bytes, sent.size() - got.size());
            ASSERT_EQ(call(Syscall::read, reader, kTo + place, bytes), taken);
            std::string piece(taken, ' ');
            get(kTo + place, std::as_writable_bytes(std::span{piece}));
            got += piece;
        }
    }
    EXPECT_EQ(got, sent.substr(0, got.size()));
    EXPECT_GT(got.size(), 50'000U) << "several times through each page";
}

// The writer's bytes are taken before the reader's place changes, also where that is the same memory.
TEST_P(Pipes, AWaitingReaderMayAskForThemWhereTheyAre) {
    open();
    for (const std::int64_t distance : {-64, -8, -1, 0, 1, 4, 8, 24, 64, 100}) {
        std::string message(100, ' ');
        for (std::size_t i = 0; i < message.size(); ++i) {
            message[i] = static_cast<char>('!' + i % 90);
        }
        put(kBuffer + 128, std::as_bytes(std::span{message}));
        const std::uint64_t to = kBuffer + 128 + static_cast<std::uint64_t>(distance);
        EXPECT_EQ(call_as(1, Syscall::read, {static_cast<std::uint64_t>(reader), to, 100}), std::nullopt);
        EXPECT_EQ(call(Syscall::write, writer, kBuffer + 128, 100), 100);
        EXPECT_EQ(resume(1), 100);
        std::string got(100, ' ');
        get(to, std::as_writable_bytes(std::span{got}));
        EXPECT_EQ(got, message) << distance;
    }
}

TEST_P(Pipes, AWaitingReaderGetsThemWhereItAsked) {
    open();
    constexpr std::uint64_t kThere = kBuffer + 0x2000 - 3;  // its last page was never touched
    const auto wait_there = [&](std::uint64_t at, std::uint64_t count) {
        return call_as(1, Syscall::read, {static_cast<std::uint64_t>(reader), at, count});
    };
    const auto there = [&] {
        std::array<char, 5> bytes{};
        get(kThere, std::as_writable_bytes(std::span{bytes}));
        return std::string{bytes.data(), bytes.size()};
    };
    for (const bool is_touched : {false, true}) {
        EXPECT_EQ(wait_there(kThere + (is_touched ? 3 : 0), 5), std::nullopt);
        EXPECT_EQ(write(is_touched ? "xy" : "abcde"), is_touched ? 2 : 5);
        EXPECT_EQ(resume(1), is_touched ? 2 : 5);
        EXPECT_EQ(there(), is_touched ? "abcxy" : "abcde");
    }
    // One that has room for less, and one with nowhere to put it: the rest stays.
    EXPECT_EQ(wait_there(kThere, 2), std::nullopt);
    EXPECT_EQ(write("12345"), 5);
    EXPECT_EQ(resume(1), 2);
    EXPECT_EQ(there(), "12cxy");
    EXPECT_EQ(read(10), 3);
    EXPECT_EQ(wait_there(8, 2), std::nullopt);
    EXPECT_EQ(write("678"), 3);
    EXPECT_EQ(resume(1), error(Error::BadAddress));
    EXPECT_EQ(read(10), 3);
    EXPECT_EQ(text(3), "678");
}

TEST_P(Pipes, AReaderThatLeftGetsNothing) {
    open();
    put(kBuffer, std::string(2, '.'));
    EXPECT_EQ(read(10, 1), std::nullopt);
    task::interrupt_wait(task(1));
    EXPECT_EQ(resume(1), error(Error::Interrupted));
    EXPECT_EQ(write("ab"), 2);
    EXPECT_EQ(read(10, 2), 2);
    EXPECT_EQ(read(10, 2), std::nullopt);
    EXPECT_EQ(read(10, 1), std::nullopt) << "behind the other one";
    task::interrupt_wait(task(2));
    EXPECT_EQ(write("cde"), 3);
    EXPECT_EQ(resume(1), 3);
    EXPECT_EQ(text(3), "cde");
}

TEST_P(Pipes, AReaderOfVectorsGetsAll) {
    open();
    put(kEnds + 64, std::array{nexus_abi::iovec{.base = kBuffer + 0x1000, .length = 2},
                               nexus_abi::iovec{.base = kBuffer + 0x1100, .length = 2}});
    EXPECT_EQ(call_as(1, Syscall::readv, {static_cast<std::uint64_t>(reader), kEnds + 64, 2}), std::nullopt);
    EXPECT_EQ(write("abc"), 3);
    EXPECT_EQ(resume(1), 3);
    EXPECT_EQ(get<char>(kBuffer + 0x1001), 'b');
    EXPECT_EQ(get<char>(kBuffer + 0x1100), 'c');
}

// What is read makes a later vector empty: one that had not been read ahead when the call came to the first.
TEST_P(Pipes, AReadIntoItsOwnVectorsEnds) {
    open();
    constexpr std::uint64_t kCount = 40;
    constexpr std::uint64_t kBytes = sizeof(nexus_abi::iovec);
    const std::uint64_t vectors = kEnds + 64;
    const std::uint64_t last = vectors + (kCount - 1) * kBytes;
    put(vectors, std::array<nexus_abi::iovec, kCount>{nexus_abi::iovec{.base = last, .length = kBytes}});
    put(last, nexus_abi::iovec{.base = kBuffer, .length = kBytes});
    EXPECT_EQ(write(std::string(kBytes, char{0}) + "more"), kBytes + 4);
    EXPECT_EQ(call(Syscall::readv, reader, vectors, kCount), kBytes);
    EXPECT_EQ(read(100), 4) << "the rest is still there";
}

// A few vectors are what they were when the call began, as on Linux.
TEST_P(Pipes, AReadIntoItsNextVectorFillsBoth) {
    open();
    const std::uint64_t vectors = kEnds + 64;
    constexpr std::uint64_t kBytes = sizeof(nexus_abi::iovec);
    put(vectors, std::array{nexus_abi::iovec{.base = vectors + kBytes, .length = kBytes},
                            nexus_abi::iovec{.base = kBuffer, .length = kBytes}});
    EXPECT_EQ(write(std::string(kBytes, char{0}) + "more"), kBytes + 4);
    EXPECT_EQ(call(Syscall::readv, reader, vectors, 2), kBytes + 4);
    EXPECT_EQ(get<char>(kBuffer + 3), 'e');
}

TEST_P(Pipes, WhatOneReaderLeavesGoesToTheNext) {
    open();
    EXPECT_EQ(read(1, 1), std::nullopt);
    EXPECT_EQ(read(10, 2), std::nullopt);
    EXPECT_EQ(write("abc"), 3);
    EXPECT_EQ(resume(1), 1);
    EXPECT_EQ(resume(2), 2);
}

TEST_P(Pipes, EndOfFileReachesEveryReader) {
    open();
    EXPECT_EQ(read(1, 1), std::nullopt);
    EXPECT_EQ(read(1, 2), std::nullopt);
    close(writer);
    EXPECT_EQ(resume(1), 0);
    EXPECT_EQ(resume(2), 0);
}

TEST_P(Pipes, AFullOneMakesWritersWait) {
    open();
    fill();
    EXPECT_EQ(write_bytes(1, 1), std::nullopt);
    EXPECT_EQ(read(4095), 4095);
    EXPECT_TRUE(fake::record().woken.empty());
    EXPECT_EQ(read(1), 1);
    ASSERT_EQ(fake::record().woken, std::vector{&task(1)});
    EXPECT_EQ(resume(1), 1);
}

TEST_P(Pipes, SmallWritesAreNotTorn) {
    open();
    EXPECT_EQ(write_bytes(60 << 10), 60 << 10);
    EXPECT_EQ(write_bytes(1), 1);
    EXPECT_EQ(write_bytes(4096, 1), std::nullopt) << "4095 bytes of room";
    EXPECT_EQ(write_bytes(4095, 2), 4095) << "a smaller one fits";
}

TEST_P(Pipes, ALargeWriteGoesOnAsThereIsRoom) {
    open();
    std::string big;
    while (big.size() < 60000) {
        big += std::to_string(big.size()) + " ";
    }
    EXPECT_EQ(write_bytes(60 << 10), 60 << 10);
    put(kBuffer, std::as_bytes(std::span{big}));
    EXPECT_EQ(write_bytes(50000, 1), std::nullopt);
    EXPECT_EQ(read(60 << 10), 16 << 10) << "what one section copies";
}

TEST_P(Pipes, WithoutAReaderThereIsAnErrorAndASignal) {
    open();
    close(reader);
    EXPECT_EQ(write("x"), error(Error::BrokenPipe));
    EXPECT_EQ(fake::record().ended.count(&process()), 1U);
}

TEST_P(Pipes, AWaitingWriterLearnsThatTheReaderIsGone) {
    open();
    fill();
    EXPECT_EQ(write_bytes(1, 1), std::nullopt);
    close(reader);
    EXPECT_EQ(resume(1), error(Error::BrokenPipe));
}

TEST_P(Pipes, NonBlockingOnesDoNotWait) {
    open(Syscall::pipe2, kNonBlocking | kCloseOnExec);
    EXPECT_EQ(call(Syscall::fcntl, reader, 1, 0), 1);
    EXPECT_EQ(read(1), error(Error::TryAgain));
    EXPECT_EQ(write_bytes(60 << 10), 60 << 10);
    EXPECT_EQ(write_bytes(8 << 10), 4 << 10) << "as much as there is room";
    EXPECT_EQ(write_bytes(1), error(Error::TryAgain));
    EXPECT_EQ(call(Syscall::pipe2, kEnds, 1), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::pipe2, 8, 0), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::close, writer + 1), error(Error::BadDescriptor)) << "nothing was left behind";
}

TEST_P(Pipes, BadAddressesLoseNothing) {
    open();
    EXPECT_EQ(write("abcdef"), 6);
    EXPECT_EQ(call(Syscall::read, reader, 8, 3), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::write, writer, 8, 3), error(Error::BadAddress));
    const std::uint64_t end = kMemory + fake::kMemoryBytes;
    EXPECT_EQ(call(Syscall::write, writer, end - 2, 5), error(Error::BadAddress));
    put(kEnds + 64, nexus_abi::iovec{.base = kBuffer, .length = 2});
    put(kEnds + 80, nexus_abi::iovec{.base = end, .length = 2});
    put(kBuffer, std::array{'g', 'h'});
    EXPECT_EQ(call(Syscall::writev, writer, kEnds + 64, 2), 2) << "what could be read";
    EXPECT_EQ(read(100), 8);
    EXPECT_EQ(text(8), "abcdefgh");
}

TEST_P(Pipes, EverythingGoesBack) {
    open();
    fill();  // makes the program's buffer resident
    close(reader);
    close(writer);
    const auto free_before = mm::frames().stats().free;
    open();
    fill();
    close(writer);
    close(reader);
    EXPECT_EQ(mm::frames().stats().free, free_before);
}

TEST_P(Pipes, PollSeesBothEnds) {
    open();
    EXPECT_EQ(poll(kIn | kOut), (std::array<std::uint16_t, 2>{0, kOut}));
    fill();
    EXPECT_EQ(poll(kIn | kOut), (std::array<std::uint16_t, 2>{kIn, 0}));
    close(writer);
    EXPECT_EQ(poll(0), (std::array<std::uint16_t, 2>{kHangUp, kInvalid}));
    open();
    close(reader);
    EXPECT_EQ(poll(0), (std::array<std::uint16_t, 2>{kInvalid, kErrorBit}));
}

TEST_P(Pipes, PollWaitsForAChange) {
    open();
    put(kEnds + 64, pollfd{reader, kIn, 0});
    EXPECT_EQ(call_as(1, Syscall::ppoll, {kEnds + 64, 1, kForever, 0, 8}), std::nullopt);
    EXPECT_EQ(write("x"), 1);
    ASSERT_EQ(fake::record().woken, std::vector{&task(1)});
    EXPECT_EQ(resume(1), 1);
    EXPECT_EQ(get<pollfd>(kEnds + 64).revents, kIn);
    fake::record().woken.clear();
    EXPECT_EQ(write("x"), 1);
    EXPECT_TRUE(fake::record().woken.empty()) << "nobody polls any more";
}

TEST_P(Pipes, PollWaitsForAnyOfSeveral) {
    open();
    const std::int32_t quiet = reader;
    open();
    put(kEnds + 64, std::array{pollfd{quiet, kIn, 0}, pollfd{reader, kIn, 0}, pollfd{-1, kIn, 0xff}});
    EXPECT_EQ(call_as(1, Syscall::ppoll, {kEnds + 64, 3, kForever, 0, 8}), std::nullopt);
    EXPECT_EQ(call_as(2, Syscall::ppoll, {kEnds + 64, 1, kForever, 0, 8}), std::nullopt);
    close(writer);
    ASSERT_EQ(fake::record().woken, std::vector{&task(1)}) << "not the one that waits for another file";
    EXPECT_EQ(resume(1), 1);
    const auto seen = get<std::array<pollfd, 3>>(kEnds + 64);
    EXPECT_EQ(seen[0].revents, 0);
    EXPECT_EQ(seen[1].revents, kHangUp);
    EXPECT_EQ(seen[2].revents, 0);
}

TEST_P(Pipes, PollGivesUp) {
    open();
    put(kEnds + 64, pollfd{reader, kIn, 0});
    put(kEnds + 128, nexus_abi::timespec{0, 100});
    EXPECT_EQ(call(Syscall::ppoll, kEnds + 64, 1, kEnds + 128, 0, 8), std::nullopt);
    const Instant later = arch::now() + Duration::nanoseconds(100);
    arch::host::set_now(later);
    fake::expire(later);
    EXPECT_EQ(resume(0), 0);
    EXPECT_EQ(get<nexus_abi::timespec>(kEnds + 128).nanoseconds, 0);
    put(kEnds + 128, nexus_abi::timespec{0, 1'000'000'000});
    EXPECT_EQ(call(Syscall::ppoll, kEnds + 64, 1, kEnds + 128, 0, 8), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::ppoll, kEnds + 64, 257, kForever, 0, 8), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::ppoll, 8, 1, kForever, 0, 8), error(Error::BadAddress));
}

TEST_P(Pipes, PollWaitsForTheTerminal) {
    put(kEnds + 64, pollfd{0, kIn, 0});
    EXPECT_EQ(call(Syscall::ppoll, kEnds + 64, 1, kForever, 0, 8), std::nullopt);
    fake::record().input = "x";
    syscall::console_input_ready();
    EXPECT_EQ(resume(0), 1);
    EXPECT_EQ(get<pollfd>(kEnds + 64).revents, kIn);
}

TEST_P(Pipes, SocketPairsGoBothWays) {
    open(Syscall::socketpair);
    EXPECT_EQ(write("there"), 5);
    EXPECT_EQ(read(10), 5);
    std::swap(reader, writer);
    EXPECT_EQ(write("back"), 4);
    EXPECT_EQ(read(10), 4);
    EXPECT_EQ(text(4), "back");
    EXPECT_EQ(poll(kIn), (std::array<std::uint16_t, 2>{0, 0}));
    close(writer);
    EXPECT_EQ(poll(kIn), (std::array<std::uint16_t, 2>{kIn | kHangUp, kInvalid}));
    EXPECT_EQ(read(10), 0);
    EXPECT_EQ(call(Syscall::write, reader, kBuffer, 1), error(Error::BrokenPipe));
    EXPECT_EQ(call(Syscall::socketpair, 2, 1, 0, kEnds), error(Error::NoAddressFamily));
    EXPECT_EQ(call(Syscall::socketpair, 1, 2, 0, kEnds), error(Error::NoSocketType));
    EXPECT_EQ(call(Syscall::socketpair, 1, 1, 6, kEnds), error(Error::NoProtocol));
    EXPECT_EQ(call(Syscall::socketpair, 1, 1 | 1 << 20, 0, kEnds), error(Error::InvalidArgument));
}

INSTANTIATE_TEST_SUITE_P(Ways, Pipes, testing::Values(Way::ByRing, Way::HandsOver, Way::Quick));

}  // namespace
}  // namespace kernel
