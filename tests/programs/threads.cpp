// SPDX-License-Identifier: MIT
// std::thread, mutex, condition variable, atomic wait, thread-local storage and an exception that crosses
// frames, on stock libstdc++.
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

namespace {

constexpr int kThreads = 8;
constexpr int kRounds = 1000;

thread_local int mine = 0;

int count_together() {
    std::mutex mutex;
    int total = 0;
    std::vector<std::thread> threads;
    for (int index = 0; index < kThreads; ++index) {
        threads.emplace_back([&] {
            for (int round = 0; round < kRounds; ++round) {
                const std::lock_guard guard{mutex};
                ++total;
                ++mine;
            }
            if (mine != kRounds) {
                std::terminate();
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    return total;
}

// Two threads hand a number to and fro.
int play_ping_pong() {
    std::mutex mutex;
    std::condition_variable turned;
    int value = 0;
    const auto play = [&](int parity) {
        std::unique_lock lock{mutex};
        while (value < 2 * kRounds) {
            turned.wait(lock, [&] { return value % 2 == parity; });
            ++value;
            turned.notify_one();
        }
    };
    std::thread other{play, 1};
    play(0);
    other.join();
    return value;
}

int wait_for_atomic() {
    std::atomic<int> flag{0};
    std::thread setter{[&] {
        flag.store(1);
        flag.notify_one();
    }};
    flag.wait(0);
    setter.join();
    return flag.load();
}

bool catch_thrown() {
    try {
        throw std::runtime_error{"thrown"};
    } catch (const std::exception&) {
        return true;
    }
}

}  // namespace

int main() {
    const int counted = count_together();
    const int played = play_ping_pong();
    const int flag = wait_for_atomic();
    const bool caught = catch_thrown();
    std::printf("threads: counted %d of %d, ping-pong %d, flag %d, caught %s\n", counted, kThreads * kRounds,
                played, flag, caught ? "yes" : "no");
    const bool good = counted == kThreads * kRounds && played >= 2 * kRounds && flag == 1 && caught;
    std::printf("threads: %s\n", good ? "good" : "WRONG");
    return good ? 0 : 1;
}
