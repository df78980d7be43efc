// SPDX-License-Identifier: MIT
#include "lib/fixed_vector.hpp"

#include <gmock/gmock.h>

namespace kernel {
namespace {

TEST(FixedVector, RefusesWhatDoesNotFit) {
    FixedVector<int, 2> vector;
    EXPECT_TRUE(vector.empty());
    EXPECT_TRUE(vector.try_push(1));
    EXPECT_TRUE(vector.try_push(2));
    EXPECT_TRUE(vector.full());
    EXPECT_FALSE(vector.try_push(3));
    EXPECT_THAT(vector, ::testing::ElementsAre(1, 2));
}

TEST(FixedVector, ShrinksAndClears) {
    FixedVector<int, 3> vector;
    for (const int value : {1, 2, 3}) {
        EXPECT_TRUE(vector.try_push(value));
    }
    vector.shrink_to(1);
    EXPECT_THAT(vector, ::testing::ElementsAre(1));
    vector.clear();
    EXPECT_TRUE(vector.empty());
}

TEST(FixedVectorDeathTest, IndexBeyondTheSizeIsABug) {
    FixedVector<int, 3> vector;
    EXPECT_TRUE(vector.try_push(1));
    EXPECT_DEATH(static_cast<void>(vector[1]), "index < size_");
    EXPECT_DEATH(vector.shrink_to(2), "new_size <= size_");
}

}  // namespace
}  // namespace kernel
