// SPDX-License-Identifier: MIT
// What the tests of AvlTree put into trees: items by key, with an augment (the least value below), in each
// way that an order may keep it.
#pragma once

#include <algorithm>
#include <cstdint>

#include "lib/avl_tree.hpp"

namespace kernel {

struct Item {
    int key{0};
    int value{0};
    int least{0};
    std::uint64_t arrival{0};
    AvlNode<Item> node;
};
struct ByKey {
    static bool before(const Item& a, const Item& b) { return a.key < b.key; }
    static void update(Item& item, const Item* left, const Item* right) {
        item.least = item.value;
        for (const Item* child : {left, right}) {
            if (child != nullptr) {
                item.least = std::min(item.least, child->least);
            }
        }
    }
};
// The same, telling whether something changed.
struct ByKeyTold : ByKey {
    static bool update(Item& item, const Item* left, const Item* right) {
        const int before = item.least;
        ByKey::update(item, left, right);
        return item.least != before;
    }
};
// And how to add one item to an augment.
struct ByKeyJoined : ByKeyTold {
    static bool join(Item& item, const Item& added) {
        const bool is_less = added.value < item.least;
        item.least = std::min(item.least, added.value);
        return is_less;
    }
    static void inherit(Item& item, const Item& before) { item.least = before.least; }
};

}  // namespace kernel
