// SPDX-License-Identifier: MIT
// AvlTree with a handful of items, where every operation that is for an empty tree, for one item or for known
// neighbours comes up all the time: all of them at random beside a sorted list, and everything there is to
// see of the tree, and of who is on it, compared after each.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <vector>

#include "avl_items.hpp"

namespace kernel {
namespace {

template <class Order>
class SmallTree {
  public:
    explicit SmallTree(std::uint32_t seed) : random_{seed} {}

    void step() {
        Item& item = items_[below(items_.size())];
        const auto at = std::ranges::find(sorted_, &item);
        if (at == sorted_.end()) {
            item.key = static_cast<int>(below(6));
            item.value = static_cast<int>(below(9));
            add(item);
        } else if (below(4) == 0) {
            item.value = static_cast<int>(below(9));
            below(2) == 0 ? tree_.refresh(item) : Tree::refresh_changed(item);
        } else if (sorted_.size() == 1 && below(2) == 0) {
            tree_.erase_only();
            forget(item);
            sorted_.clear();
        } else {
            tree_.erase(item);
            sorted_.erase(at);
        }
        look();
    }

  private:
    using Tree = AvlTree<Item, &Item::node, Order>;

    std::size_t below(std::size_t bound) { return random_() % bound; }

    void add(Item& item) {
        const auto after =
            std::ranges::find_if(sorted_, [&](const Item* other) { return other->key > item.key; });
        const bool is_last = after == sorted_.end();
        Item* const previous = after == sorted_.begin() ? nullptr : *std::prev(after);
        Item* const next = is_last ? nullptr : *after;
        if (sorted_.size() == 1 && below(3) == 0) {
            Item* const only = sorted_.front();
            tree_.replace_only(item);
            forget(*only);
            sorted_.front() = &item;
            return;
        }
        if (sorted_.empty() && below(3) == 0) {
            tree_.insert_first(item);
        } else if (is_last && below(3) == 0) {
            tree_.insert_last(item);
        } else if (below(2) == 0) {
            tree_.insert_between(item, previous, next);
        } else {
            tree_.insert(item);
        }
        sorted_.insert(after, &item);
    }

    void forget(const Item& item) { EXPECT_FALSE(item.node.is_linked()); }

    void look() const {
        ASSERT_EQ(tree_.size(), sorted_.size());
        ASSERT_EQ(tree_.empty(), sorted_.empty());
        ASSERT_EQ(tree_.first(), sorted_.empty() ? nullptr : sorted_.front());
        ASSERT_EQ(tree_.last(), sorted_.empty() ? nullptr : sorted_.back());
        ASSERT_EQ(tree_.root() == nullptr, sorted_.empty());
        const Item* at = tree_.first();
        for (const Item* item : sorted_) {
            ASSERT_EQ(at, item);
            at = Tree::next(*at);
        }
        ASSERT_EQ(at, nullptr);
        std::size_t linked = 0;
        for (const Item& item : items_) {
            linked += item.node.is_linked() ? 1 : 0;
            ASSERT_TRUE(item.node.is_linked() || item.node.has_no_links());
        }
        ASSERT_EQ(linked, sorted_.size());
        std::size_t below_root = 0;
        ASSERT_EQ(look_below(tree_.root(), nullptr, below_root), tree_.height());
        ASSERT_EQ(below_root, sorted_.size());
    }
    // Its height.
    int look_below(const Item* item, const Item* parent, std::size_t& count) const {
        if (item == nullptr) {
            return 0;
        }
        ++count;
        EXPECT_EQ(Tree::parent(*item), parent);
        const Item* const left = Tree::left(*item);
        const Item* const right = Tree::right(*item);
        EXPECT_EQ(item->node.has_no_links(), left == nullptr && right == nullptr && parent == nullptr);
        const int on_left = look_below(left, item, count);
        const int on_right = look_below(right, item, count);
        int least = item->value;
        for (const Item* child : {left, right}) {
            least = child == nullptr ? least : std::min(least, child->least);
        }
        EXPECT_EQ(item->least, least);
        EXPECT_LE(std::abs(on_left - on_right), 1);
        EXPECT_TRUE(Tree::is_balanced_at(*item));
        return 1 + std::max(on_left, on_right);
    }

    std::mt19937 random_;
    std::array<Item, 12> items_;
    Tree tree_;
    std::vector<Item*> sorted_;  // as the tree: equal items in order of insertion
};

template <class Order>
class AvlSmall : public testing::Test {};
using Orders = testing::Types<ByKey, ByKeyTold, ByKeyJoined>;
TYPED_TEST_SUITE(AvlSmall, Orders);

TYPED_TEST(AvlSmall, IsASortedList) {
    for (std::uint32_t seed = 1; seed <= 100; ++seed) {
        SmallTree<TypeParam> tree{seed};
        for (int i = 0; i < 300; ++i) {
            tree.step();
            ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed << " step " << i;
        }
    }
}

// A tree that forgets its items is a new one.
TYPED_TEST(AvlSmall, AbandonsWhatItHas) {
    std::array<Item, 3> items;
    AvlTree<Item, &Item::node, TypeParam> tree;
    tree.insert(items[0]);
    tree.insert(items[1]);
    tree.abandon();
    EXPECT_TRUE(tree.empty());
    EXPECT_EQ(tree.size(), 0U);
    EXPECT_EQ(tree.first(), nullptr);
    EXPECT_EQ(tree.last(), nullptr);
    tree.insert(items[2]);
    EXPECT_EQ(tree.first(), &items[2]);
    EXPECT_EQ(tree.last(), &items[2]);
    EXPECT_EQ(tree.size(), 1U);
}

// What only one link says is not without links.
TEST(AvlNode, HasNoLinksOnlyWithoutAll) {
    for (const bool is_left : {false, true}) {
        std::array<Item, 2> items;
        AvlTree<Item, &Item::node, ByKey> tree;
        items[0].key = 1;
        items[1].key = is_left ? 0 : 2;
        EXPECT_TRUE(items[0].node.has_no_links());
        tree.insert(items[0]);
        EXPECT_TRUE(items[0].node.is_linked());
        EXPECT_TRUE(items[0].node.has_no_links()) << "alone";
        tree.insert(items[1]);
        EXPECT_FALSE(items[0].node.has_no_links()) << "it has a child";
        EXPECT_FALSE(items[1].node.has_no_links()) << "it has a parent";
        tree.erase(items[0]);
        EXPECT_TRUE(items[0].node.has_no_links());
        EXPECT_FALSE(items[0].node.is_linked());
    }
}

}  // namespace
}  // namespace kernel
