// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_system.hpp"
#include "top_view.hpp"

namespace {

using shell_test::FakeSystem;
using shell_test::run;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr std::uint64_t kMs = 1'000'000;

// Two tasks on two of four CPUs; a pause of any length is two seconds of theirs.
void populate(FakeSystem& system) {
    system.add_task(5, 5, "hog").runtime_ns = 1000 * kMs;
    system.add_task(6, 6, "sleeper").runtime_ns = 5000 * kMs;
    system.entries[0].state = 2;
    for (std::uint32_t cpu = 0; cpu < 4; ++cpu) {
        system.harts[cpu].online = cpu == 3 ? 0 : 1;
        system.harts[cpu].idle_ns = 10'000 * kMs;
    }
    system.on_pause = [](FakeSystem& fake) {
        fake.entries[0].runtime_ns += 1500 * kMs;
        fake.entries[0].wait_ns += 500 * kMs;
        fake.entries[1].runtime_ns += 20 * kMs;
        fake.harts[0].busy_ns += 1500 * kMs;
        fake.harts[0].idle_ns += 500 * kMs;
        fake.harts[0].nr_switches += 200;
        fake.harts[1].idle_ns += 2000 * kMs;
    };
}

// What batch mode printed, picture by picture.
std::vector<std::string> pictures(FakeSystem& system, std::vector<std::string> words) {
    words.insert(words.begin(), {"top", "-b"});
    const auto outcome = run(system, words);
    EXPECT_EQ(outcome.status, 0) << outcome.errors;
    std::vector<std::string> all;
    for (std::size_t at = 0; at < system.shown.size();) {
        const std::size_t end = system.shown.find("\n\n", at);
        all.push_back(system.shown.substr(at, end + 1 - at));
        at = end + 2;
    }
    return all;
}

TEST(ShellTop, ShowsWhatHappenedInEachInterval) {
    FakeSystem system;
    populate(system);
    const auto shown = pictures(system, {"-n", "2", "-d", "2"});
    ASSERT_EQ(shown.size(), 2U);
    EXPECT_THAT(shown[0],
                StartsWith("top - up 0:10, 2 processes, 2 threads, 1 runnable; since boot 10.0s\n"));
    EXPECT_THAT(shown[0], HasSubstr("\n  6 S normal    100   0    f 50.0   0.0 0:05.00 sleeper\n"
                                    "  5 R normal    100   0    f 10.0   0.0 0:01.00 hog\n"));
    EXPECT_THAT(shown[1],
                StartsWith("top - up 0:12, 2 processes, 2 threads, 1 runnable; last 2.0s\n"
                           "cpu0  [|||||||||||||||||||||||       ]  75.0%  0 ready     100 switches/s"));
    EXPECT_THAT(shown[1], HasSubstr("\ncpu1  [                              ]   0.0%"));
    EXPECT_THAT(shown[1], HasSubstr("\ncpu3   offline\n"));
    EXPECT_THAT(shown[1], HasSubstr("\n  5 R normal    100   0    f 75.0  25.0 0:02.50 hog\n"
                                    "  6 S normal    100   0    f  1.0   0.0 0:05.02 sleeper\n"));
}

TEST(ShellTop, SortsByWhatIsAsked) {
    FakeSystem system;
    populate(system);
    const auto order = [&](const char* key, bool is_reversed) {
        shell::Sample earlier{.at = {}, .entries = system.entries, .harts = {}};
        system.on_pause(system);
        shell::Sample later{.at = std::chrono::seconds{2}, .entries = system.entries, .harts = {}};
        const auto sort = shell::parse_sort_key(key);
        EXPECT_TRUE(sort.has_value());
        std::vector<std::string> names;
        for (const auto& task : shell::activity(
                 earlier, later,
                 {.sort = sort.value_or(shell::SortKey::Cpu), .is_reversed = is_reversed, .pids = {}})) {
            names.push_back(task.task.name);
        }
        return names;
    };
    EXPECT_THAT(order("cpu", false), ElementsAre("hog", "sleeper"));
    EXPECT_THAT(order("cpu", true), ElementsAre("sleeper", "hog"));
    EXPECT_THAT(order("wait", false), ElementsAre("hog", "sleeper"));
    EXPECT_THAT(order("pid", true), ElementsAre("sleeper", "hog"));
    EXPECT_THAT(order("name", false), ElementsAre("hog", "sleeper"));
    system.entries[1].shares = 300;
    EXPECT_THAT(order("shares", false), ElementsAre("sleeper", "hog"));
    EXPECT_EQ(shell::parse_sort_key("size"), std::nullopt);
}

TEST(ShellTop, NewAndGoneTasks) {
    FakeSystem system;
    populate(system);
    const shell::Sample earlier{.at = {}, .entries = system.entries, .harts = {}};
    system.entries.erase(system.entries.begin());
    system.add_task(9, 9, "new").runtime_ns = 700 * kMs;
    const shell::Sample later{.at = std::chrono::seconds{2}, .entries = system.entries, .harts = {}};
    const auto tasks = shell::activity(earlier, later, {.pids = {}});
    ASSERT_EQ(tasks.size(), 2U);
    EXPECT_EQ(tasks[0].task.name, "new");
    EXPECT_EQ(tasks[0].ran_ns, 700 * kMs);
}

TEST(ShellTop, OnlyTheProcessesThatAreAskedFor) {
    FakeSystem system;
    populate(system);
    const auto shown = pictures(system, {"-n1", "-p", "5"});
    ASSERT_EQ(shown.size(), 1U);
    EXPECT_THAT(shown[0], HasSubstr("hog"));
    EXPECT_THAT(shown[0], Not(HasSubstr("sleeper")));
}

TEST(ShellTop, KeysSteerTheScreen) {
    FakeSystem system;
    populate(system);
    for (int pid = 100; pid < 140; ++pid) {
        system.add_task(pid, pid, "crowd");
    }
    system.keys = ".NRq";
    EXPECT_EQ(run(system, {"top"}).status, 0);
    std::vector<std::string> screens;
    for (std::size_t at = 0; at < system.shown.size();) {
        const std::size_t next = std::min(system.shown.find("\x1b[H", at + 1), system.shown.size());
        screens.push_back(system.shown.substr(at, next - at));
        at = next;
    }
    ASSERT_EQ(screens.size(), 4U);
    EXPECT_EQ(std::ranges::count(screens[0], '\n'), 23) << "one line of the screen stays free";
    EXPECT_THAT(screens[2], HasSubstr("\x1b[K\n  5 R ")) << "by pid";
    EXPECT_THAT(screens[3], HasSubstr("\x1b[K\n139 S ")) << "the other way round";
}

TEST(ShellTop, SaysWhatIsWrong) {
    FakeSystem system;
    EXPECT_THAT(run(system, {"top", "-n", "0"}).errors, StartsWith("top: '0': not a number of times\n"));
    EXPECT_THAT(run(system, {"top", "-d", "0.05"}).errors,
                StartsWith("top: '0.05': not seconds from 0.1 to 60\n"));
    EXPECT_THAT(run(system, {"top", "-d"}).errors, StartsWith("top: -d wants a value\n"));
    EXPECT_THAT(run(system, {"top", "-o", "size"}).errors, StartsWith("top: 'size': not cpu, "));
    EXPECT_THAT(run(system, {"top", "5"}).errors, StartsWith("top: '5': it takes options only\n"));
}

}  // namespace
