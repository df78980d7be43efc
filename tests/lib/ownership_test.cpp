// SPDX-License-Identifier: MIT
// IntrusiveList and Ref: who is where, and who lives how long.
#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <utility>
#include <vector>

#include "lib/intrusive_list.hpp"
#include "lib/ref.hpp"

namespace kernel {
namespace {

struct Item {
    int value{0};
    ListNode node;
    ListNode other;
};
using List = IntrusiveList<Item, &Item::node>;

std::vector<int> values(List& list) {
    std::vector<int> result;
    for (Item* item = list.front(); item != nullptr; item = list.next(*item)) {
        result.push_back(item->value);
    }
    return result;
}

TEST(IntrusiveList, KeepsOrder) {
    std::deque<Item> items(4);
    for (int i = 0; i < 4; ++i) {
        items[static_cast<std::size_t>(i)].value = i;
    }
    List list;
    EXPECT_TRUE(list.empty());
    EXPECT_EQ(list.front(), nullptr);
    EXPECT_EQ(list.pop_front(), nullptr);
    list.push_back(items[1]);
    list.push_front(items[0]);
    list.push_back(items[3]);
    list.insert_before(items[3], items[2]);
    EXPECT_EQ(values(list), (std::vector<int>{0, 1, 2, 3}));
    list.remove(items[1]);
    EXPECT_FALSE(items[1].node.is_linked());
    EXPECT_EQ(values(list), (std::vector<int>{0, 2, 3}));
    EXPECT_EQ(list.pop_front(), &items[0]);
    list.remove(items[3]);
    list.remove(items[2]);
    EXPECT_TRUE(list.empty());
}

TEST(IntrusiveList, AnItemMayBeOnOneListPerNode) {
    Item item;
    List list;
    IntrusiveList<Item, &Item::other> second;
    list.push_back(item);
    second.push_back(item);
    EXPECT_EQ(second.front(), &item);
    list.remove(item);
    EXPECT_EQ(second.front(), &item);
    second.remove(item);
}

TEST(IntrusiveListDeathTest, LinkingTwiceIsABug) {
    EXPECT_DEATH(
        {
            Item item;
            List list;
            list.push_back(item);
            list.push_back(item);
        },
        "is_linked");
}

struct Counted : RefCounted<Counted> {
    explicit Counted(int& gone_count) : gone{gone_count} {}
    static void last_reference_gone(Counted& object) { ++object.gone; }
    int& gone;
};

TEST(Ref, TheLastOneOutTurnsOffTheLight) {
    int gone = 0;
    Counted object{gone};
    {
        Ref<Counted> first = Ref<Counted>::adopt(object);
        Ref<Counted> second = first.clone();
        EXPECT_EQ(object.reference_count(), 2U);
        Ref<Counted> third = std::move(first);
        EXPECT_FALSE(
            static_cast<bool>(first));  // NOLINT(bugprone-use-after-move): that it is empty is the point
        EXPECT_EQ(object.reference_count(), 2U);
        second.reset();
        EXPECT_EQ(gone, 0);
    }
    EXPECT_EQ(gone, 1);
    EXPECT_FALSE(static_cast<bool>(Ref<Counted>::try_share(object)));
}

TEST(Ref, ReleaseAndAdoptAreInverse) {
    int gone = 0;
    Counted object{gone};
    Ref<Counted> ref = Ref<Counted>::adopt(object);
    Counted* plain = ref.release();
    EXPECT_EQ(plain, &object);
    EXPECT_EQ(gone, 0);
    ref = Ref<Counted>::adopt(*plain);
    ref = Ref<Counted>::share(object);
    EXPECT_EQ(object.reference_count(), 1U);
    ref.reset();
    EXPECT_EQ(gone, 1);
}

}  // namespace
}  // namespace kernel
