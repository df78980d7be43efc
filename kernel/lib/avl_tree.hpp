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
// and, where an augment is a least or a greatest value, a union or the like, both or none of
//     bool join(T& item, const T& added);       item's augment now that `added` is below it, too; as update()
//     void inherit(T& item, const T& before);   item's augment becomes that of `before`
// with which insertion and rotation look at fewer items, and first() and last() are kept.
// The fields before() and update() read must not change while the item is linked, or refresh() must be
// called. Concurrency: none of its own; guarded by whatever guards the tree.
#pragma once

#include <cstdint>
#include <type_traits>

#include "lib/check.hpp"

namespace kernel {

template <class T>
class AvlNode {
  public:
    constexpr AvlNode() = default;
    AvlNode(const AvlNode&) = delete;
    AvlNode& operator=(const AvlNode&) = delete;
    [[nodiscard]] constexpr bool is_linked() const { return height_ != 0; }
    // As is what is not linked.
    [[nodiscard]] constexpr bool has_no_links() const {
        return parent_ == nullptr && left_ == nullptr && right_ == nullptr;
    }

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

    [[nodiscard]] T* first() const {
        if constexpr (kJoins) {
            return ends_.first;
        } else {
            return root_ == nullptr ? nullptr : leftmost(root_);
        }
    }
    [[nodiscard]] T* last() const {
        if constexpr (kJoins) {
            return ends_.last;
        } else {
            return root_ == nullptr ? nullptr : rightmost(root_);
        }
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
        hang(item, up, goes_left);
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
        hang(item, goes_left ? next : previous, goes_left);
    }

    // Puts an item in the place of the only one. Pre: size() is 1; item is on no tree.
    void replace_only(T& item) {
        DCHECK(size_ == 1 && !(item.*Member).is_linked());
        (root_->*Member).height_ = 0;
        plant(item);
    }

    // insert() and erase() of the only item. Pre: the tree is empty and item on none; size() is 1.
    void insert_first(T& item) {
        DCHECK(root_ == nullptr && !(item.*Member).is_linked());
        plant(item);
    }
    void erase_only() {
        DCHECK(size_ == 1);
        (root_->*Member).height_ = 0;
        abandon();
    }

    // Pre: item is on this tree.
    void erase(T& item) {
        AvlNode<T>& node = item.*Member;
        DCHECK(node.is_linked());
        if (size_ == 1) {
            erase_only();
            return;
        }
        if constexpr (kJoins) {
            // The first item has nothing on its left, and the last one nothing on its right.
            if (&item == ends_.first) {
                ends_.first = node.right_ != nullptr ? leftmost(node.right_) : node.parent_;
            } else if (&item == ends_.last) {
                ends_.last = node.left_ != nullptr ? rightmost(node.left_) : node.parent_;
            }
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
            // What changes above is told from what was in this place.
            heir_node.height_ = node.height_;
            if constexpr (kJoins) {
                Order::inherit(*heir, item);
            }
            top = heir;
        }
        node.parent_ = node.left_ = node.right_ = nullptr;
        node.height_ = 0;
        --size_;
        shrink_from(dirty, top);
    }

    // Forgets all items. They stay as they are and must not be put on a tree again.
    void abandon() {
        root_ = nullptr;
        ends_ = {};
        size_ = 0;
    }

    // Recomputes the augments from item to the root, after a field that update() reads has changed.
    void refresh(T& item) {
        for (T* at = &item; at != nullptr; at = parent(*at)) {
            Order::update(*at, left(*at), right(*at));
        }
    }

    // The same, only as far as they change.
    static void refresh_changed(T& item) {
        for (T* at = &item; at != nullptr && update(at); at = parent(*at)) {
        }
    }

    // The stored balance of one item is right: for auditors. Does not look below its children.
    [[nodiscard]] static bool is_balanced_at(const T& item) {
        const auto lean = height(left(item)) - height(right(item));
        return lean >= -1 && lean <= 1 && height(&item) == 1 + taller(left(item), right(item));
    }

  private:
    static constexpr bool kJoins = requires(T& item) { Order::join(item, item); };
    struct Ends {
        T* first{nullptr};
        T* last{nullptr};
    };
    struct NoEnds {};

    // Makes the item the only one.
    void plant(T& item) {
        AvlNode<T>& node = item.*Member;
        DCHECK(node.has_no_links());
        node.height_ = 1;
        root_ = &item;
        if constexpr (kJoins) {
            ends_ = {&item, &item};
        }
        size_ = 1;
        Order::update(item, nullptr, nullptr);
    }
    // Makes the item a leaf below `up`. Pre: there is no other on that side.
    void hang(T& item, T* up, bool goes_left) {
        AvlNode<T>& node = item.*Member;
        DCHECK(node.has_no_links());
        node.parent_ = up;
        node.height_ = 1;
        (goes_left ? (up->*Member).left_ : (up->*Member).right_) = &item;
        if constexpr (kJoins) {
            T*& end = goes_left ? ends_.first : ends_.last;
            end = end == up ? &item : end;
        }
        ++size_;
        grow_from(item);
    }
    static T* leftmost(T* item) {
        while (left(*item) != nullptr) {
            item = left(*item);
        }
        return item;
    }
    static T* rightmost(T* item) {
        while (right(*item) != nullptr) {
            item = right(*item);
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

    // Whether it may be another augment now.
    [[gnu::always_inline]] static bool update(T* item) {
        if constexpr (std::is_void_v<decltype(Order::update(*item, item, item))>) {
            Order::update(*item, left(*item), right(*item));
            return true;
        } else {
            return Order::update(*item, left(*item), right(*item));
        }
    }
    // `pivot` is where `top` was, which is below it now: the same items are below the one as were below the
    // other.
    static void measure_turned(T* top, T* pivot) {
        if constexpr (kJoins) {
            Order::inherit(*pivot, *top);
            update(top);
        } else {
            update(top);
            update(pivot);
        }
        (top->*Member).height_ = 1 + taller(left(*top), right(*top));
        (pivot->*Member).height_ = 1 + taller(left(*pivot), right(*pivot));
    }
    T* rotate_right(T* top) {
        T* pivot = left(*top);
        replace_child(parent(*top), *top, pivot);
        adopt_left(top, right(*pivot));
        adopt_right(pivot, top);
        measure_turned(top, pivot);
        return pivot;
    }
    T* rotate_left(T* top) {
        T* pivot = right(*top);
        replace_child(parent(*top), *top, pivot);
        adopt_right(top, left(*pivot));
        adopt_left(pivot, top);
        measure_turned(top, pivot);
        return pivot;
    }
    // Pre: the subtrees of `item` differ in height by two; its augment is right. Answers what is in its place
    // now.
    [[gnu::noinline]] T* balance(T* item) {
        if (height(left(*item)) > height(right(*item))) {
            T* child = left(*item);
            if (height(left(*child)) < height(right(*child))) {
                rotate_left(child);
            }
            return rotate_right(item);
        }
        T* child = right(*item);
        if (height(right(*child)) < height(left(*child))) {
            rotate_right(child);
        }
        return rotate_left(item);
    }

    // `item` is a new leaf, not the root. Up from it augments change until one holds the item already, and
    // heights until one is as it was; a rotation ends it, for it takes away what the subtree has grown.
    [[gnu::noinline]] void grow_from(T& item) {
        Order::update(item, nullptr, nullptr);
        for (T* at = parent(item); at != nullptr; at = parent(*at)) {
            if constexpr (kJoins) {
                if (!Order::join(*at, item)) {
                    break;
                }
            } else if (!update(at)) {
                break;
            }
        }
        const T* child = &item;
        for (T* at = parent(item); at != nullptr; at = parent(*at)) {
            AvlNode<T>& node = at->*Member;
            const std::int32_t tall = (child->*Member).height_;
            if (node.height_ > tall) {
                return;
            }
            const T* const other = node.left_ == child ? node.right_ : node.left_;
            if (tall - height(other) > 1) {
                balance(at);
                return;
            }
            node.height_ = tall + 1;
            child = at;
        }
    }

    // Something below `item` is gone, and `top`, if not null, at it or above it, has other children: restores
    // augments and balance upwards as far as they change.
    [[gnu::noinline]] void shrink_from(T* item, T* top) {
        bool is_lower = true;
        while (item != nullptr) {
            bool has_changed = update(item);
            const bool is_top = item == top;
            if (is_lower) {
                AvlNode<T>& node = item->*Member;
                const std::int32_t before = node.height_;
                const std::int32_t on_left = height(node.left_);
                const std::int32_t on_right = height(node.right_);
                const std::int32_t lean = on_left - on_right;
                if (lean > 1 || lean < -1) {
                    item = balance(item);
                } else {
                    node.height_ = 1 + (lean > 0 ? on_left : on_right);
                }
                is_lower = (item->*Member).height_ != before;
            }
            if (is_top) {
                top = nullptr;
                has_changed = has_changed || !kJoins;  // else it is told from what was in its place before
            }
            if (is_lower || has_changed) {
                item = parent(*item);
            } else {
                item = top;  // what is between the two has not changed
            }
        }
    }

    T* root_{nullptr};
    [[no_unique_address]] std::conditional_t<kJoins, Ends, NoEnds> ends_;
    std::uint32_t size_{0};
};

}  // namespace kernel
