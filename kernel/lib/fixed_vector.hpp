// SPDX-License-Identifier: MIT
// FixedVector: up to N values in place, in the order they were added. No allocation; a full vector refuses
// politely. Concurrency: none of its own.
#pragma once

#include <array>
#include <cstddef>

#include "lib/check.hpp"

namespace kernel {

template <class T, std::size_t N>
class FixedVector {
  public:
    using value_type = T;
    using const_iterator = const T*;

    [[nodiscard]] static constexpr std::size_t capacity() { return N; }
    [[nodiscard]] constexpr std::size_t size() const { return size_; }
    [[nodiscard]] constexpr bool empty() const { return size_ == 0; }
    [[nodiscard]] constexpr bool full() const { return size_ == N; }

    // False, and nothing changes, when the vector is full.
    [[nodiscard]] constexpr bool try_push(const T& value) {
        if (full()) {
            return false;
        }
        items_[size_] = value;
        ++size_;
        return true;
    }
    // Pre: new_size <= size().
    constexpr void shrink_to(std::size_t new_size) {
        DCHECK(new_size <= size_);
        size_ = new_size;
    }
    constexpr void clear() { size_ = 0; }

    // Pre: index < size().
    [[nodiscard]] constexpr T& operator[](std::size_t index) {
        DCHECK(index < size_);
        return items_[index];
    }
    [[nodiscard]] constexpr const T& operator[](std::size_t index) const {
        DCHECK(index < size_);
        return items_[index];
    }
    [[nodiscard]] constexpr T* begin() { return items_.data(); }
    [[nodiscard]] constexpr T* end() { return items_.data() + size_; }
    [[nodiscard]] constexpr const T* begin() const { return items_.data(); }
    [[nodiscard]] constexpr const T* end() const { return items_.data() + size_; }

  private:
    std::array<T, N> items_{};
    std::size_t size_{0};
};

}  // namespace kernel
