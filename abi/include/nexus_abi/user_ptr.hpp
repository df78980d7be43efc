// SPDX-License-Identifier: MIT
// Pointers that cross the system call border. User code builds them from ordinary pointers; in the kernel
// they are opaque, and only mm/user_memory (through UserPtrAccess) can open them, so that a raw user pointer
// cannot be dereferenced by mistake. In<T>: the kernel reads; Out<T>: it writes; InOut<T>: both. They may
// address one T or an array; how many is the call's business.
#pragma once

#include <cstdint>

namespace nexus_abi {

struct UserPtrAccess;

template <class Derived, class Pointer>
class UserPtr {
  public:
    constexpr UserPtr() = default;
    constexpr explicit UserPtr(std::uint64_t address) : address_{address} {}
    UserPtr(
        Pointer pointer)  // NOLINT(google-explicit-constructor): a call's argument list reads like a C call
        : address_{reinterpret_cast<std::uint64_t>(pointer)} {}
    [[nodiscard]] constexpr bool is_null() const { return address_ == 0; }
    // The register value, for the system call instruction.
    [[nodiscard]] constexpr std::uint64_t raw_register() const { return address_; }

  private:
    friend struct UserPtrAccess;
    std::uint64_t address_{0};
};

template <class T>
class In : public UserPtr<In<T>, const T*> {
  public:
    using UserPtr<In<T>, const T*>::UserPtr;
};
template <class T>
class Out : public UserPtr<Out<T>, T*> {
  public:
    using UserPtr<Out<T>, T*>::UserPtr;
};
template <class T>
class InOut : public UserPtr<InOut<T>, T*> {
  public:
    using UserPtr<InOut<T>, T*>::UserPtr;
};

}  // namespace nexus_abi
