// SPDX-License-Identifier: MIT
// Loads after hackbench and schbench, written here: many threads that hand each other messages or requests.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <mutex>

#include "measure.hpp"

namespace bench {

namespace {

constexpr std::size_t kSenders = 10;
constexpr std::size_t kReceivers = 10;
constexpr std::size_t kMessageBytes = 100;

struct Channel {
    int read_end{-1};
    int write_end{-1};
    Channel() = default;
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;
    ~Channel() {
        ::close(read_end);
        ::close(write_end);
    }
};

// Each sender sends `loops` messages to each receiver, one receiver after the other, as `hackbench -g 1 -f
// 10` does.
double cost_of_message(bool sockets, std::size_t loops) {
    std::array<Channel, kReceivers> channels;
    for (Channel& channel : channels) {
        int ends[2]{};
        must(sockets ? ::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : ::pipe(ends));
        channel.read_end = ends[0];
        channel.write_end = ends[1];
    }
    Futex start;
    std::atomic<bool> broken{false};
    std::uint64_t begin = 0;
    {
        Crew crew{kSenders + kReceivers};
        for (std::size_t i = 0; i < kSenders; ++i) {
            crew.add([&] {
                start.wait_for_all();
                const std::array<char, kMessageBytes> message{};
                for (std::size_t loop = 0; loop < loops; ++loop) {
                    for (const Channel& channel : channels) {
                        // Shorter than PIPE_BUF: all or nothing.
                        if (::write(channel.write_end, message.data(), message.size()) !=
                            static_cast<ssize_t>(message.size())) {
                            broken = true;
                        }
                    }
                }
            });
        }
        for (const Channel& channel : channels) {
            crew.add([&] {
                start.wait_for_all();
                std::array<char, kMessageBytes> message{};
                for (std::size_t left = kSenders * loops * kMessageBytes; left > 0;) {
                    const ssize_t got = ::read(channel.read_end, message.data(), message.size());
                    if (got <= 0) {
                        broken = true;
                        return;
                    }
                    left -= static_cast<std::size_t>(got);
                }
            });
        }
        begin = now_ns();
        start.wake_all();
    }
    const std::uint64_t end = now_ns();
    if (broken) {
        throw Unsupported{EIO};
    }
    return static_cast<double>(end - begin) / static_cast<double>(kSenders * kReceivers * loops);
}

}  // namespace

void hackbench_pipe(Figures& figures) {
    figures.add("", cost_of_message(false, 50));
}

void hackbench_socket(Figures& figures) {
    figures.add("", cost_of_message(true, 50));
}

// A messenger wakes workers that wait for a request; a request is 10 000 instructions of work. The latency is
// from the messenger's wake-up call to the worker's first instruction.
void schbench(Figures& figures) {
    constexpr std::size_t kWorkers = 8;
    constexpr std::size_t kRequests = 250;  // of each worker
    constexpr std::uint64_t kWork = 10'000;
    struct Worker {
        Futex wanted;
        std::uint64_t woken_ns{0};
        std::vector<std::uint64_t> late;
    };
    const auto workers = std::make_unique<Worker[]>(kWorkers);
    std::mutex lock;
    std::vector<Worker*> waiting;
    waiting.reserve(kWorkers);
    Futex somebody_waits;
    const std::uint64_t begin = now_ns();
    {
        Crew crew{kWorkers + 1};
        for (std::size_t i = 0; i < kWorkers; ++i) {
            Worker& self = workers[i];
            self.late.reserve(kRequests);
            crew.add([&] {
                for (std::size_t request = 0; request < kRequests; ++request) {
                    {
                        const std::scoped_lock guard{lock};
                        waiting.push_back(&self);
                    }
                    somebody_waits.post();
                    self.wanted.wait();
                    self.late.push_back(now_ns() - self.woken_ns);
                    burn(kWork);
                }
            });
        }
        crew.add([&] {
            std::vector<Worker*> batch;
            batch.reserve(kWorkers);
            for (std::size_t done = 0; done < kWorkers * kRequests; done += batch.size()) {
                batch.clear();
                while (batch.empty()) {
                    somebody_waits.wait();
                    const std::scoped_lock guard{lock};
                    batch.swap(waiting);
                }
                for (Worker* worker : batch) {
                    worker->woken_ns = now_ns();
                    worker->wanted.post();
                }
            }
        });
    }
    figures.add("request", static_cast<double>(now_ns() - begin) / (kWorkers * kRequests));
    std::vector<std::uint64_t> late;
    for (std::size_t i = 0; i < kWorkers; ++i) {
        late.insert(late.end(), workers[i].late.begin(), workers[i].late.end());
    }
    add_percentiles(figures, std::move(late));
}

}  // namespace bench
