// SPDX-License-Identifier: MIT
// Result<T>: a value or an Error, shared by kernel and user space. Freestanding, no exceptions. A small type
// of our own because std::expected is not visible to clang with libstdc++ 12 and its value() pulls in
// abort().
#pragma once

#include <type_traits>
#include <utility>

#include "nexus_abi/error.hpp"

namespace nexus_abi {

template <class T>
class [[nodiscard]] Result;

// Result<void>: success or an Error. Default-constructed means success.
template <>
class [[nodiscard]] Result<void> {
  public:
    constexpr Result() = default;
    // Pre: error is one of Error's values, none of which is 0.
    constexpr Result(Error error)
        : error_{error} {}  // NOLINT(google-explicit-constructor): `return Error::X`

    [[nodiscard]] constexpr bool ok() const { return error_ == Error{}; }
    constexpr explicit operator bool() const { return ok(); }
    // Pre: !ok().
    [[nodiscard]] constexpr Error error() const { return error_; }

  private:
    Error error_{};  // 0: success, so that a Result<void> is one register to return and to ask
};

// T must be cheap to default-construct (an id, a pointer, a number, a small aggregate).
template <class T>
class [[nodiscard]] Result {
    static_assert(std::is_default_constructible_v<T>);

  public:
    constexpr Result(T value) : value_{std::move(value)} {}  // NOLINT(google-explicit-constructor)
    // Pre: as for Result<void>.
    constexpr Result(Error error) : error_{error} {}  // NOLINT(google-explicit-constructor)

    [[nodiscard]] constexpr bool ok() const { return error_ == Error{}; }
    constexpr explicit operator bool() const { return ok(); }
    // Pre: ok().
    [[nodiscard]] constexpr T& operator*() & { return value_; }
    [[nodiscard]] constexpr const T& operator*() const& { return value_; }
    [[nodiscard]] constexpr T&& operator*() && { return std::move(value_); }
    constexpr T* operator->() { return &value_; }
    constexpr const T* operator->() const { return &value_; }
    [[nodiscard]] constexpr T value_or(T fallback) const { return ok() ? value_ : fallback; }
    // Pre: !ok().
    [[nodiscard]] constexpr Error error() const { return error_; }

  private:
    T value_{};
    Error error_{};  // 0: there is a value
};

}  // namespace nexus_abi

// Evaluates to the value of a Result expression, or returns its error from the enclosing function.
#define TRY(...)                                             \
    ({                                                       \
        auto try_result_ = (__VA_ARGS__);                    \
        if (!try_result_.ok()) [[unlikely]] {                \
            return try_result_.error();                      \
        }                                                    \
        ::nexus_abi::detail::unwrap(std::move(try_result_)); \
    })

namespace nexus_abi::detail {
constexpr void unwrap(Result<void>&&) {}
template <class T>
constexpr T unwrap(Result<T>&& result) {
    return std::move(*result);
}
}  // namespace nexus_abi::detail
