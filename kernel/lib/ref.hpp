// SPDX-License-Identifier: MIT
// Ref<T>: shared ownership of a kernel object by an intrusive count. T derives from RefCounted<T> and
// provides `static void last_reference_gone(T&)`, called once when the count reaches zero. Concurrency: the
// count is atomic; a Ref itself belongs to one owner at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "lib/check.hpp"

namespace kernel {

template <class T>
class Ref;

template <class T>
class RefCounted {
  public:
    RefCounted() = default;
    RefCounted(const RefCounted&) = delete;
    RefCounted& operator=(const RefCounted&) = delete;
    [[nodiscard]] std::uint32_t reference_count() const {
        return references_.load(std::memory_order_relaxed);
    }

  private:
    friend class Ref<T>;
    // A new object is born with one reference, which Ref::adopt takes over.
    std::atomic<std::uint32_t> references_{1};
};

template <class T>
class Ref {
  public:
    Ref() = default;
    // Takes over a reference the caller owns.
    [[nodiscard]] static Ref adopt(T& object) {
        Ref ref;
        ref.object_ = &object;
        return ref;
    }
    // Adds a reference. Pre: the caller knows the object is alive (it holds a reference, or the lock that
    // guards one).
    [[nodiscard]] static Ref share(T& object) {
        object.references_.fetch_add(1, std::memory_order_relaxed);
        return adopt(object);
    }
    // Adds a reference unless the last one is already gone.
    [[nodiscard]] static Ref try_share(T& object) {
        auto count = object.references_.load(std::memory_order_relaxed);
        while (count != 0) {
            if (object.references_.compare_exchange_weak(count, count + 1, std::memory_order_relaxed)) {
                return adopt(object);
            }
        }
        return {};
    }
    Ref(Ref&& other) noexcept : object_{std::exchange(other.object_, nullptr)} {}
    Ref& operator=(Ref&& other) noexcept {
        if (this != &other) {
            reset();
            object_ = std::exchange(other.object_, nullptr);
        }
        return *this;
    }
    Ref(const Ref&) = delete;
    Ref& operator=(const Ref&) = delete;
    ~Ref() { reset(); }

    [[nodiscard]] Ref clone() const { return object_ == nullptr ? Ref{} : share(*object_); }
    void reset() {
        if (T* object = std::exchange(object_, nullptr); object != nullptr) {
            // acq_rel: the last owner sees everything the others did to the object.
            const auto before = object->references_.fetch_sub(1, std::memory_order_acq_rel);
            DCHECK(before > 0);
            if (before == 1) {
                T::last_reference_gone(*object);
            }
        }
    }
    // Gives the reference to a structure that holds plain pointers; adopt() takes it back.
    [[nodiscard]] T* release() { return std::exchange(object_, nullptr); }

    [[nodiscard]] T* get() const { return object_; }
    T& operator*() const { return *object_; }
    T* operator->() const { return object_; }
    explicit operator bool() const { return object_ != nullptr; }

  private:
    T* object_{nullptr};
};

}  // namespace kernel
