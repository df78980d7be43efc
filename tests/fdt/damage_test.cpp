// SPDX-License-Identifier: MIT
// Damaged blobs: read_machine answers or refuses, but reads no byte outside the blob (AddressSanitizer
// watches the exact heap copy) and always ends.
#include <gmock/gmock.h>

#include <memory>
#include <random>

#include "blob.hpp"

namespace fdt_test {
namespace {

using kernel::fdt::Machine;

std::vector<std::string> sources() {
    return {"icicle-odd", "vf2-stock", "odd-harts", "numa", "nested-bus", "aia-only"};
}

void put_be32(std::vector<char>& bytes, std::size_t offset, std::uint32_t value) {
    for (std::size_t index = 0; index < 4; ++index) {
        bytes.at(offset + index) = static_cast<char>(value >> (24 - 8 * index));
    }
}

// Whatever is read out must lie in the blob and within the promised limits.
void expect_sound(const Blob& blob, const std::string& what) {
    auto machine = std::make_unique<Machine>();
    if (kernel::fdt::read_machine(blob.bytes(), *machine)) {
        return;
    }
    ASSERT_FALSE(machine->harts.empty()) << what;
    ASSERT_FALSE(machine->memory.empty()) << what;
    for (std::size_t index = 1; index < machine->memory.size(); ++index) {
        ASSERT_LT(machine->memory[index - 1].end(), machine->memory[index].start) << what;
    }
    for (std::size_t index = 1; index < machine->harts.size(); ++index) {
        ASSERT_LT(machine->harts[index - 1].id, machine->harts[index].id) << what;
    }
    for (const auto& hart : machine->harts) {
        ASSERT_TRUE(!hart.plic_context || hart.plic_context->plic < machine->plics.size()) << what;
        ASSERT_TRUE(!hart.aplic_idc || hart.aplic_idc->aplic < machine->aplics.size()) << what;
    }
    if (machine->console && machine->console->interrupt) {
        const auto& wire = *machine->console->interrupt;
        const bool is_plic = wire.controller == kernel::fdt::Controller::Plic;
        ASSERT_LT(wire.index, is_plic ? machine->plics.size() : machine->aplics.size()) << what;
    }
    const auto first = reinterpret_cast<std::uintptr_t>(blob.bytes().data());
    for (const std::string_view text : {machine->model, machine->bootargs}) {
        const auto at = reinterpret_cast<std::uintptr_t>(text.data());
        ASSERT_TRUE(text.empty() || (at >= first && at + text.size() <= first + blob.bytes().size())) << what;
    }
}

TEST(Damage, EveryCutIsRefused) {
    for (const auto& name : sources()) {
        const auto whole = Blob::fixture(name);
        const auto bytes = whole.bytes();
        for (std::size_t length = 0; length < bytes.size(); length += length < 128 ? 1 : 64) {
            const auto* data = reinterpret_cast<const char*>(bytes.data());
            const Blob cut{std::vector<char>(data, data + length)};
            ASSERT_THAT(refusal(cut), ::testing::StartsWith("device tree: ")) << name << " cut to " << length;
        }
    }
}

// Cut, and with a header that agrees with the cut: the structure itself ends too early.
TEST(Damage, EveryCutWithAMatchingHeaderIsSound) {
    for (const auto& name : sources()) {
        const auto whole = Blob::fixture(name);
        const auto bytes = whole.bytes();
        const auto* data = reinterpret_cast<const char*>(bytes.data());
        for (std::size_t length = 40; length < bytes.size(); length += 64) {
            Blob cut{std::vector<char>(data, data + length)};
            put_be32(cut.raw(), 4, static_cast<std::uint32_t>(length));
            expect_sound(cut, name + " cut to " + std::to_string(length));
        }
    }
}

TEST(Damage, ShorterStructureBlocksAreRefused) {
    const auto whole = Blob::fixture("icicle-odd");
    const std::uint32_t size = fdt_size_dt_struct(whole.bytes().data());
    for (std::uint32_t length = 0; length < size; length += 4) {
        Blob cut{whole};
        put_be32(cut.raw(), 36, length);
        ASSERT_THAT(refusal(cut), ::testing::HasSubstr("device tree: ")) << length;
    }
}

TEST(Damage, HeaderFieldsAreChecked) {
    constexpr std::size_t kFields = 10;
    for (std::size_t field = 0; field < kFields; ++field) {
        for (const std::uint32_t value :
             {0U, 1U, 39U, 0x1000U, 0x7fffffffU, 0x80000000U, 0xfffffff8U, 0xffffffffU}) {
            Blob blob = Blob::fixture("icicle-odd");
            put_be32(blob.raw(), field * 4, value);
            expect_sound(blob, "header field " + std::to_string(field) + " = " + std::to_string(value));
        }
    }
    const auto with_field = [](std::size_t field, std::uint32_t value) {
        Blob blob = Blob::fixture("icicle-odd");
        put_be32(blob.raw(), field * 4, value);
        return refusal(blob);
    };
    EXPECT_EQ(with_field(0, 0xd00dfeee), "device tree: wrong magic number");
    EXPECT_EQ(with_field(1, 0x7ffffff0), "device tree: larger than the memory it is in");
    EXPECT_EQ(with_field(4, 41), "device tree: a block is not aligned as the specification wants");
    EXPECT_EQ(with_field(2, 57), "device tree: a block is not aligned as the specification wants");
    EXPECT_EQ(with_field(5, 16), "device tree: version is not 17 or compatible");
    EXPECT_EQ(with_field(6, 18), "device tree: version is not 17 or compatible");
}

TEST(Damage, MisalignedBlobsAreRefused) {
    const auto blob = Blob::fixture("icicle-odd");
    std::vector<char> shifted(blob.bytes().size() + 4);
    std::memcpy(shifted.data() + 4, blob.bytes().data(), blob.bytes().size());
    Machine machine;
    const auto failure = kernel::fdt::read_machine(std::as_bytes(std::span{shifted}).subspan(4), machine);
    ASSERT_TRUE(failure.has_value());
    EXPECT_EQ(to_string(*failure), "device tree: not aligned to 8 bytes");
}

TEST(Damage, DeepNestingIsRefused) {
    Blob blob = Blob::fixture("odd-harts");
    std::string path;
    for (int depth = 1; depth <= 15; ++depth) {
        blob.add_node(path.empty() ? "/" : path, "n");
        path += "/n";
    }
    EXPECT_EQ(refusal(blob), "accepted");
    blob.add_node(path, "n");
    EXPECT_THAT(refusal(blob), ::testing::HasSubstr("nodes nest deeper than 16 levels"));
}

TEST(Damage, FlippedBits) {
    for (const auto& name : sources()) {
        std::mt19937_64 random{20250101};
        const Blob whole = Blob::fixture(name);
        for (int round = 0; round < 1500; ++round) {
            Blob blob{whole};
            const auto flips = 1 + random() % 4;
            for (std::uint64_t flip = 0; flip < flips; ++flip) {
                blob.raw()[random() % blob.raw().size()] ^= static_cast<char>(1U << (random() % 8));
            }
            expect_sound(blob, name + " round " + std::to_string(round));
        }
    }
}

// Values that matter more often than random ones: limits and structure tokens in place of whole words.
TEST(Damage, ReplacedWords) {
    constexpr std::uint32_t kWords[]{0, 1, 2, 3, 4, 9, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff};
    for (const auto& name : sources()) {
        std::mt19937_64 random{20250102};
        const Blob whole = Blob::fixture(name);
        for (int round = 0; round < 1500; ++round) {
            Blob blob{whole};
            const auto words = 1 + random() % 3;
            for (std::uint64_t word = 0; word < words; ++word) {
                put_be32(blob.raw(), random() % (blob.raw().size() / 4) * 4,
                         kWords[random() % std::size(kWords)]);
            }
            expect_sound(blob, name + " round " + std::to_string(round));
        }
    }
}

TEST(BlobBytes, TellsTheSizeOrRefuses) {
    Blob blob = Blob::fixture("icicle-odd");
    EXPECT_EQ(kernel::fdt::blob_bytes(blob.bytes().first(40)), blob.bytes().size());
    EXPECT_EQ(kernel::fdt::blob_bytes(blob.bytes().first(39)), std::nullopt);
    put_be32(blob.raw(), 4, kernel::fdt::kMaxBlobBytes + 1);
    EXPECT_EQ(kernel::fdt::blob_bytes(blob.bytes()), std::nullopt);
    put_be32(blob.raw(), 4, 8);
    EXPECT_EQ(kernel::fdt::blob_bytes(blob.bytes()), std::nullopt);
    put_be32(blob.raw(), 0, 0);
    EXPECT_EQ(kernel::fdt::blob_bytes(blob.bytes()), std::nullopt);
}

}  // namespace
}  // namespace fdt_test
