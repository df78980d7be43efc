// SPDX-License-Identifier: MIT
#include "mm/slab.hpp"

#include <algorithm>
#include <cstring>
#include <random>
#include <thread>

#include "memory_test.hpp"

namespace kernel::mm {
namespace {

using SlabTest = MemoryTest;

struct Small {
    explicit Small(std::uint32_t value) : number{value} {}
    std::uint32_t number;
};
struct alignas(64) Big {
    std::array<std::uint64_t, 230> words{};
};
static_assert(sizeof(Big) > 1800);

template <class T>
void expect_distinct_and_returned(ObjectPool<T>& pool, std::uint64_t free_before, auto make) {
    std::vector<T*> objects;
    for (std::uint32_t i = 0; i < 1000; ++i) {
        const auto object = make(i);
        ASSERT_TRUE(object.ok());
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(*object) % alignof(T), 0U);
        objects.push_back(*object);
    }
    EXPECT_EQ(pool.in_use(), 1000U);
    std::vector<T*> sorted = objects;
    std::ranges::sort(sorted);
    for (std::size_t i = 1; i < sorted.size(); ++i) {
        EXPECT_GE(
            reinterpret_cast<std::uintptr_t>(sorted[i]) - reinterpret_cast<std::uintptr_t>(sorted[i - 1]),
            sizeof(T));
    }
    std::mt19937 random{7};
    std::ranges::shuffle(objects, random);
    for (T* object : objects) {
        pool.destroy(object);
    }
    EXPECT_EQ(pool.in_use(), 0U);
    EXPECT_EQ(frames().stats().free, free_before) << "empty slabs go back";
}

TEST_F(SlabTest, ObjectsAreDistinctAndAllComesBack) {
    ObjectPool<Small> small;
    expect_distinct_and_returned(small, free_at_start(), [&](std::uint32_t i) { return small.create(i); });
    ObjectPool<Big> big;
    expect_distinct_and_returned(big, free_at_start(), [&](std::uint32_t) { return big.create(); });
}

// As tasks: seventeen in the largest slab there is, and not two in a frame.
TEST_F(SlabTest, AnObjectTakesLittleMoreThanItNeeds) {
    struct alignas(64) TaskLike {
        std::array<std::byte, 1920> bytes{};
    };
    ObjectPool<TaskLike> pool;
    std::vector<TaskLike*> objects;
    for (int i = 0; i < 17 * 10; ++i) {
        const auto object = pool.create();
        ASSERT_TRUE(object.ok());
        objects.push_back(*object);
    }
    EXPECT_EQ(free_at_start() - frames().stats().free, 8U * 10);
    for (TaskLike* object : objects) {
        pool.destroy(object);
    }
}

// The tail is the object's own, and lines are not shared.
TEST_F(SlabTest, ATailLiesBehindEachObject) {
    struct Tailed {
        std::array<std::uint64_t, 3> words{};
    };
    ObjectPool<Tailed> pool;
    constexpr std::size_t kTail = 5 * sizeof(std::uint64_t);
    pool.set_tail_bytes(kTail);
    std::vector<Tailed*> objects;
    for (int i = 0; i < 100; ++i) {
        objects.push_back(*pool.create());
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(objects.back()) % 64, 0U);
        std::memset(static_cast<void*>(objects.back() + 1), i, kTail);
    }
    for (int i = 0; i < 100; ++i) {
        const auto* tail = reinterpret_cast<const unsigned char*>(objects[static_cast<std::size_t>(i)] + 1);
        EXPECT_TRUE(std::all_of(tail, tail + kTail, [i](unsigned char byte) { return byte == i; }));
    }
    for (Tailed* object : objects) {
        pool.destroy(object);
    }
}

TEST_F(SlabTest, ConstructsAndDestroys) {
    static int alive = 0;
    struct Counted {
        Counted() { ++alive; }
        ~Counted() { --alive; }
        std::array<std::uint64_t, 4> payload{};
    };
    ObjectPool<Counted> pool;
    const auto object = pool.create();
    ASSERT_TRUE(object.ok());
    EXPECT_EQ(alive, 1);
    pool.destroy(*object);
    EXPECT_EQ(alive, 0);
}

TEST_F(SlabTest, ReusesFreedSlotsBeforeGrowing) {
    ObjectPool<Small> pool;
    const auto keeper = pool.create(1U);
    ASSERT_TRUE(keeper.ok());
    const std::uint64_t with_one_slab = frames().stats().free;
    for (std::uint32_t i = 0; i < 5000; ++i) {
        const auto object = pool.create(i);
        ASSERT_TRUE(object.ok());
        pool.destroy(*object);
    }
    EXPECT_EQ(frames().stats().free, with_one_slab);
    pool.destroy(*keeper);
}

TEST_F(SlabTest, ExhaustionIsAnErrorAndReversible) {
    ObjectPool<Big> pool;
    std::vector<Big*> objects;
    for (auto object = pool.create(); object.ok(); object = pool.create()) {
        objects.push_back(*object);
    }
    EXPECT_GT(objects.size(), 3000U);
    EXPECT_EQ(error_of(pool.create()), code(Error::NoMemory));
    for (Big* object : objects) {
        pool.destroy(object);
    }
}

TEST_F(SlabTest, HartsShareAPool) {
    ObjectPool<Small> pool;
    std::vector<std::thread> harts;
    for (std::uint32_t cpu = 0; cpu < 4; ++cpu) {
        harts.emplace_back([&pool, cpu] {
            arch::host::set_current_cpu(CpuId{cpu});
            std::vector<Small*> mine;
            for (std::uint32_t step = 0; step < 3000; ++step) {
                if (step % 3 != 2) {
                    const auto object = pool.create(cpu);
                    ASSERT_TRUE(object.ok());
                    mine.push_back(*object);
                } else {
                    EXPECT_EQ(mine.back()->number, cpu);
                    pool.destroy(mine.back());
                    mine.pop_back();
                }
            }
            for (Small* object : mine) {
                pool.destroy(object);
            }
            frames().drain_this_hart();
        });
    }
    for (std::thread& hart : harts) {
        hart.join();
    }
}

using SlabDeathTest = MemoryTest;

TEST_F(SlabDeathTest, MisuseStopsTheMachine) {
    ObjectPool<Small> pool;
    ObjectPool<Small> other;
    const auto keeper = pool.create(1U);
    const auto object = pool.create(2U);
    ASSERT_TRUE(keeper.ok() && object.ok());
    EXPECT_DEATH(
        {
            pool.destroy(*object);
            pool.destroy(*object);
        },
        "CHECK failed: .slab.taken");
    EXPECT_DEATH(other.destroy(*object), "CHECK failed: slab.owner == this");
    pool.destroy(*object);
    pool.destroy(*keeper);
}

}  // namespace
}  // namespace kernel::mm
