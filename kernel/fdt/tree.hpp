// SPDX-License-Identifier: MIT
// A checked view of a flattened device tree, over libfdt. libfdt checks offsets against the blob; this adds
// what it leaves to its callers: the structure as a whole, and the length and form of property values.
// Concurrency: immutable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "fdt/machine.hpp"

namespace kernel::fdt {

// A node by its offset in the structure block; valid as long as the blob is.
enum class Node : int {};

// Deeper trees are refused: real ones have 5 or 6 levels, and walkers keep one record per level.
inline constexpr std::size_t kMaxDepth = 16;

// The value of a property. Numbers are big-endian cells of 4 bytes.
class Property {
  public:
    constexpr explicit Property(std::span<const std::byte> bytes) : bytes_{bytes} {}
    [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
    [[nodiscard]] std::size_t cell_count() const { return bytes_.size() / 4; }
    // Pre: index < cell_count().
    [[nodiscard]] std::uint32_t cell(std::size_t index) const;
    // `count` cells from `first` on as one number; nullopt when they are not all there or the number needs
    // over 64 bits.
    [[nodiscard]] std::optional<std::uint64_t> number(std::size_t first, std::size_t count) const;
    // The whole value as a number of one or two cells; nullopt for any other length.
    [[nodiscard]] std::optional<std::uint64_t> whole_number() const;
    // One string without its NUL; nullopt when the NUL is missing or not last.
    [[nodiscard]] std::optional<std::string_view> text() const;
    // A list of strings with every NUL; nullopt when the last NUL is missing.
    [[nodiscard]] std::optional<std::string_view> text_list() const;

  private:
    std::span<const std::byte> bytes_;
};

class Tree {
  public:
    // Pre: check(blob) found nothing.
    explicit Tree(std::span<const std::byte> blob);

    // What makes the blob unusable; nullopt when every node and property in it can be read.
    [[nodiscard]] static std::optional<Problem> check(std::span<const std::byte> blob);

    [[nodiscard]] static constexpr Node root() { return Node{0}; }
    // By absolute path, e.g. "/chosen". Aliases are not followed.
    [[nodiscard]] std::optional<Node> find(std::string_view path) const;
    [[nodiscard]] std::optional<Node> first_child(Node parent) const;
    [[nodiscard]] std::optional<Node> next_sibling(Node node) const;
    // The node after `node` in document order; `depth` follows along (0 for the root).
    [[nodiscard]] std::optional<Node> next(Node node, int& depth) const;

    // With unit address, e.g. "cpu@0"; "/" for the root.
    [[nodiscard]] std::string_view name(Node node) const;
    [[nodiscard]] std::optional<Property> property(Node node, const char* name) const;
    [[nodiscard]] bool has(Node node, const char* name) const { return property(node, name).has_value(); }
    // Empty when absent or malformed.
    [[nodiscard]] std::string_view text(Node node, const char* name) const;
    [[nodiscard]] Compatible compatible(Node node) const;
    // One cell; `fallback` when absent or not exactly one cell.
    [[nodiscard]] std::uint32_t cell_or(Node node, const char* name, std::uint32_t fallback) const;
    // status is absent, "okay" or "ok".
    [[nodiscard]] bool is_available(Node node) const;
    // 0: none.
    [[nodiscard]] std::uint32_t phandle(Node node) const;

    // Entry `index` of the /memreserve/ block; nullopt past the last one.
    [[nodiscard]] std::optional<MemoryRange> memory_reservation(int index) const;

  private:
    [[nodiscard]] std::uint32_t word(std::size_t offset) const;
    // Offset of what follows the node's name: its properties, then its children.
    [[nodiscard]] std::size_t body(Node node) const;
    // Offset of the first token from `offset` on that is neither a property nor padding.
    [[nodiscard]] std::size_t skip_properties(std::size_t offset) const;
    [[nodiscard]] std::optional<Node> find_child(Node parent, std::string_view name) const;

    const std::byte* blob_;
    const std::byte* structure_;
    const char* strings_;
};

}  // namespace kernel::fdt
