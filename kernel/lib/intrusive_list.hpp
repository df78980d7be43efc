// SPDX-License-Identifier: MIT
// IntrusiveList: a doubly linked list through a ListNode member of T. No allocation; O(1) push, pop, remove.
// An object is on at most one list per node. Trivially destructible, so that lists and nodes may live in
// constinit globals; taking an object off its list before it goes is its owner's duty. Concurrency: none of
// its own; guarded by whatever guards the list.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/check.hpp"

namespace kernel {

class ListNode {
  public:
    constexpr ListNode() = default;
    ListNode(const ListNode&) = delete;
    ListNode& operator=(const ListNode&) = delete;
    [[nodiscard]] bool is_linked() const { return next_ != nullptr; }

  private:
    template <class T, ListNode T::* Member>
    friend class IntrusiveList;
    ListNode* previous_{nullptr};
    ListNode* next_{nullptr};
};

template <class T, ListNode T::* Member>
class IntrusiveList {
  public:
    constexpr IntrusiveList() { head_.previous_ = head_.next_ = &head_; }
    IntrusiveList(const IntrusiveList&) = delete;
    IntrusiveList& operator=(const IntrusiveList&) = delete;

    [[nodiscard]] bool empty() const { return head_.next_ == &head_; }
    [[nodiscard]] T* front() { return empty() ? nullptr : owner(head_.next_); }
    [[nodiscard]] T* next(T& item) {
        ListNode* node = (item.*Member).next_;
        return node == &head_ ? nullptr : owner(node);
    }
    void push_back(T& item) { insert_before(&head_, &(item.*Member)); }
    void push_front(T& item) { insert_before(head_.next_, &(item.*Member)); }
    // Pre: position is on this list, item on none.
    void insert_before(T& position, T& item) { insert_before(&(position.*Member), &(item.*Member)); }
    T* pop_front() {
        T* item = front();
        if (item != nullptr) {
            remove(*item);
        }
        return item;
    }
    // Pre: item is on this list.
    void remove(T& item) {
        ListNode& node = item.*Member;
        DCHECK(node.is_linked());
        node.previous_->next_ = node.next_;
        node.next_->previous_ = node.previous_;
        node.previous_ = node.next_ = nullptr;
    }

  private:
    static void insert_before(ListNode* position, ListNode* node) {
        DCHECK(!node->is_linked());
        node->previous_ = position->previous_;
        node->next_ = position;
        position->previous_->next_ = node;
        position->previous_ = node;
    }
    // The object whose Member is `node`. The offset is measured on a suitably aligned address that is never
    // accessed.
    static T* owner(ListNode* node) {
        constexpr std::uintptr_t kProbe = 0x10000;
        const auto offset =
            reinterpret_cast<std::uintptr_t>(&(reinterpret_cast<T*>(kProbe)->*Member)) - kProbe;
        return reinterpret_cast<T*>(reinterpret_cast<std::byte*>(node) - offset);
    }

    ListNode head_;
};

}  // namespace kernel
