// SPDX-License-Identifier: MIT
// AvlTree against std::multiset, with an augment (the least value below) checked everywhere.
#include "lib/avl_tree.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "avl_items.hpp"

namespace kernel {
namespace {

using Tree = AvlTree<Item, &Item::node, ByKey>;

template <class Tree>
void expect_sound(const Item* item) {
    if (item == nullptr) {
        return;
    }
    ASSERT_TRUE(Tree::is_balanced_at(*item));
    int least = item->value;
    for (const Item* child : {Tree::left(*item), Tree::right(*item)}) {
        if (child != nullptr) {
            ASSERT_EQ(Tree::parent(*child), item);
            least = std::min(least, child->least);
        }
    }
    ASSERT_EQ(item->least, least);
    expect_sound<Tree>(Tree::left(*item));
    expect_sound<Tree>(Tree::right(*item));
}

class AvlTreeSeeded : public testing::TestWithParam<std::uint32_t> {};

template <class Tree>
void behave_like_a_multiset(std::uint32_t seed) {
    std::mt19937 random{seed};
    std::vector<std::unique_ptr<Item>> items;
    for (int i = 0; i < 300; ++i) {
        items.push_back(std::make_unique<Item>());
    }
    Tree tree;
    std::multiset<int> model;
    std::uint64_t arrivals = 0;
    for (int step = 0; step < 6000; ++step) {
        Item& item = *items[random() % items.size()];
        if (!item.node.is_linked()) {
            item.key = static_cast<int>(random() % 50);  // many ties
            item.value = static_cast<int>(random() % 1000);
            item.arrival = arrivals++;
            if (model.empty() || item.key >= *model.rbegin()) {
                tree.insert_last(item);
            } else if (random() % 2 == 0) {
                Item* next = tree.first();
                Item* previous = nullptr;
                for (; next->key <= item.key; next = Tree::next(*next)) {
                    previous = next;
                }
                tree.insert_between(item, previous, next);
            } else {
                tree.insert(item);
            }
            model.insert(item.key);
        } else if (random() % 4 == 0) {
            item.value = static_cast<int>(random() % 1000);
            random() % 2 == 0 ? tree.refresh(item) : Tree::refresh_changed(item);
        } else {
            tree.erase(item);
            model.erase(model.find(item.key));
        }
        ASSERT_EQ(tree.size(), model.size());
        ASSERT_EQ(tree.first() == nullptr ? -1 : tree.first()->key, model.empty() ? -1 : *model.begin());
        ASSERT_EQ(tree.last() == nullptr ? -1 : tree.last()->key, model.empty() ? -1 : *model.rbegin());
        if (step % 50 == 0) {
            expect_sound<Tree>(tree.root());
            auto expected = model.begin();
            const Item* previous = nullptr;
            for (const Item* at = tree.first(); at != nullptr; at = Tree::next(*at), ++expected) {
                ASSERT_NE(expected, model.end());
                ASSERT_EQ(at->key, *expected);
                ASSERT_TRUE(previous == nullptr || previous->key < at->key || previous->arrival < at->arrival)
                    << "equal items must stay in order of insertion";
                previous = at;
            }
            ASSERT_EQ(expected, model.end());
            const double bound = 1.4405 * std::log2(static_cast<double>(tree.size()) + 2);
            ASSERT_LE(tree.height(), bound);
        }
        ASSERT_FALSE(testing::Test::HasFailure());
    }
    while (tree.root() != nullptr) {
        tree.erase(*tree.root());
    }
    EXPECT_TRUE(tree.empty());
}

TEST_P(AvlTreeSeeded, BehavesLikeAMultiset) {
    behave_like_a_multiset<Tree>(GetParam());
}
TEST_P(AvlTreeSeeded, BehavesLikeAMultisetWhenTold) {
    behave_like_a_multiset<AvlTree<Item, &Item::node, ByKeyTold>>(GetParam());
}
TEST_P(AvlTreeSeeded, BehavesLikeAMultisetWithJoins) {
    behave_like_a_multiset<AvlTree<Item, &Item::node, ByKeyJoined>>(GetParam());
}

INSTANTIATE_TEST_SUITE_P(Seeds, AvlTreeSeeded, testing::Range(1U, 6U));

TEST(AvlTree, SortedInsertionStaysLow) {
    std::vector<std::unique_ptr<Item>> items;
    Tree tree;
    for (int i = 0; i < 1023; ++i) {
        items.push_back(std::make_unique<Item>());
        items.back()->key = i;
        tree.insert(*items.back());
    }
    EXPECT_EQ(tree.height(), 10);
    for (auto& item : items) {
        tree.erase(*item);
    }
}

}  // namespace
}  // namespace kernel
