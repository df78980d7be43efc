// SPDX-License-Identifier: MIT
#include "control_channels.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using ::testing::Optional;
using ::testing::Pair;

class ControlChannelsTest : public ::testing::Test {
  protected:
    ~ControlChannelsTest() override {
        for (const int end : ends_) {
            ::close(end);
        }
    }
    // The service's end.
    int open(std::int32_t pid) {
        const int end = channels_.open();
        EXPECT_GE(end, 0);
        channels_.assign(pid);
        ends_.push_back(end);
        return end;
    }
    static void send(int end, const std::string& text) {
        EXPECT_EQ(::send(end, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    }
    static std::string receive(int end) {
        std::string text(1000, '\0');
        const ssize_t count = ::recv(end, text.data(), text.size(), MSG_DONTWAIT);
        text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
        return text;
    }

    execd::ControlChannels channels_;
    std::vector<int> ends_;
};

TEST_F(ControlChannelsTest, LinesComeOneByOne) {
    const int end = open(5);
    EXPECT_EQ(channels_.next(), std::nullopt);
    send(end, "one\ntwo\nth");
    EXPECT_THAT(channels_.next(), Optional(Pair(5, "one")));
    EXPECT_THAT(channels_.next(), Optional(Pair(5, "two")));
    EXPECT_EQ(channels_.next(), std::nullopt);
    send(end, "ree\n");
    EXPECT_THAT(channels_.next(), Optional(Pair(5, "three")));
    channels_.answer(5, "answer");
    EXPECT_EQ(receive(end), "answer");
}

TEST_F(ControlChannelsTest, NobodyKeepsTheOthersWaiting) {
    const int first = open(5);
    const int second = open(6);
    send(first, "a\na\na\na\n");
    send(second, "b\nb\n");
    std::string order;
    while (const auto line = channels_.next()) {
        order += line->second;
    }
    EXPECT_EQ(order, "ababaa");
}

TEST_F(ControlChannelsTest, TooLongALineCostsTheChannel) {
    const int good = open(5);
    const int bad = open(6);
    send(bad, std::string(execd::kMaxRequestBytes, 'x') + '\n');
    EXPECT_EQ(channels_.next(), std::nullopt);
    EXPECT_EQ(channels_.to_poll().size(), 1U);
    send(good, std::string(execd::kMaxRequestBytes - 1, 'x') + '\n');
    EXPECT_EQ(channels_.next()->second.size(), execd::kMaxRequestBytes - 1);
}

TEST_F(ControlChannelsTest, OneThatDoesNotReadLosesItsChannel) {
    open(5);
    const std::string text(std::size_t{32} << 10, 'x');
    for (int i = 0; i < 1000 && !channels_.empty(); ++i) {
        channels_.answer(5, text);
    }
    EXPECT_TRUE(channels_.empty()) << "and execd never waited";
}

TEST_F(ControlChannelsTest, ClosedEndsAreForgotten) {
    const int end = open(5);
    send(end, "last\n");
    ::close(end);
    ends_.clear();
    EXPECT_THAT(channels_.next(), Optional(Pair(5, "last")));
    EXPECT_EQ(channels_.next(), std::nullopt);
    EXPECT_TRUE(channels_.empty());
    channels_.answer(5, "nobody");
    const int other = channels_.open();
    channels_.assign(std::nullopt);
    EXPECT_TRUE(channels_.empty()) << "its service did not start";
    EXPECT_EQ(::recv(other, nullptr, 0, MSG_DONTWAIT), 0);
    ::close(other);
}

}  // namespace
