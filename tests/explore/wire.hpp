// SPDX-License-Identifier: MIT
#pragma once

namespace explore {

// What one hart writes and another reads of the machine itself: real hardware orders nothing by it, so
// neither the explorer nor ThreadSanitizer sees these accesses.
template <class T>
class Wire {
  public:
    Wire(T value = T{}) : value_{value} {}  // NOLINT(google-explicit-constructor): reads and is set like a T
    Wire(const Wire& other) : value_{T{other}} {}
    Wire& operator=(const Wire& other) { return *this = T{other}; }
    [[gnu::no_sanitize("thread")]] Wire& operator=(T value) {
        __atomic_store(&value_, &value, __ATOMIC_RELAXED);
        return *this;
    }
    [[gnu::no_sanitize("thread")]] operator T() const {  // NOLINT(google-explicit-constructor): as above
        T value;
        __atomic_load(&value_, &value, __ATOMIC_RELAXED);
        return value;
    }

  private:
    T value_;
};

}  // namespace explore
