// SPDX-License-Identifier: MIT
// Event lists that hold event lists, as full as they get: more files than a kernel should look at at once.
#pragma once

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>

namespace nested_lists {

inline constexpr int kInner = 20;
inline constexpr int kFiles = 16;
inline constexpr int kNumbers =
    32;  // each file is on each list under so many descriptors: 512 items of a list
inline constexpr int kFirstNumber = 100;

struct Lists {
    int outer{-1};
    std::array<int, kInner> inner{};
    std::array<int, kInner> own{};  // one eventfd for each inner list, on that list only
    std::array<int, kFiles> shared{};
    int wrong{0};  // calls that failed

    void close_all() const {
        for (const int file : inner) {
            close(file);
        }
        for (const int file : own) {
            close(file);
        }
        for (const int file : shared) {
            close(file);
        }
        close(outer);
    }
};

inline int add(int list, int file, int data) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = static_cast<std::uint64_t>(data);
    return epoll_ctl(list, EPOLL_CTL_ADD, file, &event) == 0 ? 0 : 1;
}

// Nothing is ready. Descriptors below kFirstNumber are used.
inline Lists make() {
    Lists lists;
    lists.outer = epoll_create1(0);
    for (int& file : lists.shared) {
        file = eventfd(0, EFD_NONBLOCK);
    }
    for (int i = 0; i < kInner; ++i) {
        const auto at = static_cast<std::size_t>(i);
        lists.inner[at] = epoll_create1(0);
        lists.own[at] = eventfd(0, EFD_NONBLOCK);
        lists.wrong += add(lists.inner[at], lists.own[at], i) + add(lists.outer, lists.inner[at], i);
    }
    for (const int file : lists.shared) {
        const int numbers = file == lists.shared.front() ? kNumbers - 1 : kNumbers;
        for (int number = kFirstNumber; number < kFirstNumber + numbers; ++number) {
            lists.wrong += dup2(file, number) == number ? 0 : 1;
            for (const int list : lists.inner) {
                lists.wrong += add(list, number, -1);
            }
        }
    }
    // The items stay: the files are open elsewhere.
    for (int number = kFirstNumber; number < kFirstNumber + kNumbers; ++number) {
        close(number);
    }
    return lists;
}

}  // namespace nested_lists
