// SPDX-License-Identifier: MIT
// AvlTree: an intrusive balanced tree with an augmentation kept along every path. No allocation, no
// recursion; insert, erase, first and last take at most 1.44 log2(n) + 2 steps (Knuth, TAOCP 3, 6.2.3), next
// is amortised O(1).
//
// Order is a type with two static functions:
//     bool before(const T& a, const T& b);                      a strict weak order; equal items keep
//     insertion order
//     bool update(T& item, const T* left, const T* right);      recompute item's augment from its two
//     subtrees; whether it is another one now (or void: it may be)
// The fields before() and update() read must not change while the item is linked, or refresh() must be
// called. Concurrency: none of its own; guarded by whatever guards the tree.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "lib/check.hpp"

namespace kernel {

template <class T>
class AvlNode {
  public:
    constexpr AvlNode() = default;
    AvlNode(const AvlNode&) = delete;
    AvlNode& operator=(const AvlNode&) = delete;
    [[nodiscard]] constexpr bool is_linked() const { return height_ != 0; }

  private:
    template <class U, AvlNode<U> U::* Member, class Order>
    friend class AvlTree;
    T* parent_{nullptr};
    T* left_{nullptr};
    T* right_{nullptr};
    std::int32_t height_{0};  // of the subtree; 0 = not linked
};

template <class T, AvlNode<T> T::* Member, class Order>
class AvlTree {
  public:
    constexpr AvlTree() = default;
    AvlTree(const AvlTree&) = delete;
    AvlTree& operator=(const AvlTree&) = delete;

    [[nodiscard]] bool empty() const { return root_ == nullptr; }
    [[nodiscard]] std::uint32_t size() const { return size_; }
    [[nodiscard]] std::int32_t height() const { return height(root_); }
    [[nodiscard]] T* root() const { return root_; }
    [[nodiscard]] static T* left(const T& item) { return (item.*Member).left_; }
    [[nodiscard]] static T* right(const T& item) { return (item.*Member).right_; }
    [[nodiscard]] static T* parent(const T& item) { return (item.*Member).parent_; }

    [[nodiscard]] T* first() const { return root_ == nullptr ? nullptr : leftmost(root_); }
    [[nodiscard]] T* last() const {
        T* item = root_;
        while (item != nullptr && right(*item) != nullptr) {
            item = right(*item);
        }
        return item;
    }
    // The item after `item` in order, or null.
    [[nodiscard]] static T* next(const T& item) {
        if (right(item) != nullptr) {
            return leftmost(right(item));
        }
        const T* child = &item;
        T* up = parent(item);
        while (up != nullptr && right(*up) == child) {
            child = up;
            up = parent(*up);
        }
        return up;
    }

    // Pre: item is on no tree.
    void insert(T& item) {
        DCHECK(!(item.*Member).is_linked());
        if (root_ == nullptr) {
            plant(item);
            return;
        }
        T* up = nullptr;
        bool goes_left = false;
        for (T* at = root_; at != nullptr; at = goes_left ? left(*at) : right(*at)) {
            up = at;
            goes_left = Order::before(item, *at);
        }
        AvlNode<T>& node = item.*Member;
        node.parent_ = up;
        node.left_ = node.right_ = nullptr;
        node.height_ = 1;
        (goes_left ? (up->*Member).left_ : (up->*Member).right_) = &item;
        ++size_;
        rebalance_from(&item, &item);
    }

    // insert() of an item that no other one is behind, as before() has it. Pre: as insert().
    void insert_last(T& item) { insert_between(item, last(), nullptr); }

    // insert() of an item whose neighbours are known, in a step: of two neighbours, one has no child on the
    // side of the other. Null: there is none. Pre: as insert(); nothing else is between the two.
    void insert_between(T& item, T* previous, T* next) {
        DCHECK(!(item.*Member).is_linked());
        DCHECK(previous == nullptr || !Order::before(item, *previous));
        DCHECK(next == nullptr || Order::before(item, *next));
        if (root_ == nullptr) {
            plant(item);
            return;
        }
        const bool goes_left = next != nullptr && left(*next) == nullptr;
        T* const up = goes_left ? next : previous;
        AvlNode<T>& node = item.*Member;
        node.parent_ = up;
        node.left_ = node.right_ = nullptr;
        node.height_ = 1;
        (goes_left ? (up->*Member).left_ : (up->*Member).right_) = &item;
        ++size_;
        rebalance_from(&item, &item);
    }

    // Pre: item is on this tree.
    void erase(T& item) {
        AvlNode<T>& node = item.*Member;
        DCHECK(node.is_linked());
        if (size_ == 1) {
            root_ = nullptr;
            size_ = 0;
            node.height_ = 0;
            return;
        }
        T* dirty = nullptr;  // the lowest item whose subtree changed
        T* top = nullptr;    // the highest one that has other children now
        if (node.left_ == nullptr || node.right_ == nullptr) {
            dirty = node.parent_;
            replace_child(node.parent_, item, node.left_ != nullptr ? node.left_ : node.right_);
        } else {
            T* heir = leftmost(node.right_);
            AvlNode<T>& heir_node = heir->*Member;
            dirty = heir;
            if (heir != node.right_) {
                dirty = heir_node.parent_;
                replace_child(heir_node.parent_, *heir, heir_node.right_);
                adopt_right(heir, node.right_);
            }
            adopt_left(heir, node.left_);
            replace_child(node.parent_, item, heir);
            top = heir;
        }
        node.parent_ = node.left_ = node.right_ = nullptr;
        node.height_ = 0;
        --size_;
        rebalance_from(dirty, top);
    }

    // Forgets all items. They stay as they are and must not be put on a tree again.
    void abandon() {
        root_ = nullptr;
        size_ = 0;
    }

    // Recomputes the augments from item to the root, after a field that update() reads has changed.
    void refresh(T& item) {
        for (T* at = &item; at != nullptr; at = parent(*at)) {
            Order::update(*at, left(*at), right(*at));
        }
    }
    // The same, only as far as they change.
    static void refresh_changed(T& item) { augment_from(&item); }

    // The stored balance of one item is right: for auditors. Does not look below its children.
    [[nodiscard]] static bool is_balanced_at(const T& item) {
        const auto lean = height(left(item)) - height(right(item));
        return lean >= -1 && lean <= 1 && height(&item) == 1 + taller(left(item), right(item));
    }

  private:
    // Makes the item the only one.
    void plant(T& item) {
        AvlNode<T>& node = item.*Member;
        node.parent_ = node.left_ = node.right_ = nullptr;
        node.height_ = 1;
        root_ = &item;
        size_ = 1;
        Order::update(item, nullptr, nullptr);
    }
    static T* leftmost(T* item) {
        while (left(*item) != nullptr) {
            item = left(*item);
        }
        return item;
    }
    static std::int32_t height(const T* item) { return item == nullptr ? 0 : (item->*Member).height_; }
    static std::int32_t taller(const T* a, const T* b) {
        return height(a) > height(b) ? height(a) : height(b);
    }

    static void adopt_left(T* up, T* child) {
        (up->*Member).left_ = child;
        if (child != nullptr) {
            (child->*Member).parent_ = up;
        }
    }
    static void adopt_right(T* up, T* child) {
        (up->*Member).right_ = child;
        if (child != nullptr) {
            (child->*Member).parent_ = up;
        }
    }
    // Puts `heir` (may be null) where `old` hangs below `up` (null: at the root).
    void replace_child(T* up, const T& old, T* heir) {
        if (up == nullptr) {
            root_ = heir;
        } else if (left(*up) == &old) {
            (up->*Member).left_ = heir;
        } else {
            (up->*Member).right_ = heir;
        }
        if (heir != nullptr) {
            (heir->*Member).parent_ = up;
        }
    }

    // Whether the augment is another one now, or may be.
    static bool augment(T* item) {
        if constexpr (std::is_void_v<decltype(Order::update(*item, item, item))>) {
            Order::update(*item, left(*item), right(*item));
            return true;
        } else {
            return Order::update(*item, left(*item), right(*item));
        }
    }
    static void measure(T* item) {
        (item->*Member).height_ = 1 + taller(left(*item), right(*item));
        static_cast<void>(augment(item));
    }
    T* rotate_right(T* top) {
        T* pivot = left(*top);
        replace_child(parent(*top), *top, pivot);
        adopt_left(top, right(*pivot));
        adopt_right(pivot, top);
        measure(top);
        measure(pivot);
        return pivot;
    }
    T* rotate_left(T* top) {
        T* pivot = right(*top);
        replace_child(parent(*top), *top, pivot);
        adopt_right(top, left(*pivot));
        adopt_left(pivot, top);
        measure(top);
        measure(pivot);
        return pivot;
    }
    // Restores balance and augments from `item` up, beyond `top` (null: nothing to pass) only as long as
    // something changes: heights at first, then augments alone, which may change where no height does.
    void rebalance_from(T* item, const T* top) {
        while (item != nullptr) {
            AvlNode<T>& node = item->*Member;
            const std::int32_t left_height = height(node.left_);
            const std::int32_t right_height = height(node.right_);
            const std::int32_t lean = left_height - right_height;
            const bool is_top = item == top;
            if (lean > 1) {
                T* child = node.left_;
                if (height(left(*child)) < height(right(*child))) {
                    rotate_left(child);
                }
                item = rotate_right(item);
            } else if (lean < -1) {
                T* child = node.right_;
                if (height(right(*child)) < height(left(*child))) {
                    rotate_right(child);
                }
                item = rotate_left(item);
            } else {
                const std::int32_t now = 1 + (lean > 0 ? left_height : right_height);
                const bool grew_or_shrank = std::exchange(node.height_, now) != now;
                const bool changed = augment(item);
                if (!grew_or_shrank && top == nullptr) {
                    if (changed) {
                        augment_from(node.parent_);
                    }
                    return;
                }
            }
            if (is_top) {
                top = nullptr;
            }
            item = parent(*item);
        }
    }
    // Augments from `item` (null: nothing) up, as long as they change.
    static void augment_from(T* item) {
        while (item != nullptr && augment(item)) {
            item = parent(*item);
        }
    }

    T* root_{nullptr};
    std::uint32_t size_{0};
};

}  // namespace kernel
