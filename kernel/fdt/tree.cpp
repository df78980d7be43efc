// SPDX-License-Identifier: MIT
#include "fdt/tree.hpp"

extern "C" {
#include <libfdt.h>
}

#include <algorithm>
#include <utility>

namespace kernel::fdt {

namespace {

constexpr std::size_t kHeaderBytes = 40;  // Devicetree Specification 5.2
constexpr std::uint32_t kVersion = 17;

// Devicetree Specification 5.4: a property is its token, the value's length, the name's offset, and the
// value.
constexpr std::size_t kTokenBytes = 4;
constexpr std::size_t kPropertyHeaderBytes = 12;

constexpr std::size_t align4(std::size_t offset) {
    return (offset + 3) & ~std::size_t{3};
}

std::uint32_t big_endian(const std::byte* at) {
    std::uint32_t value = 0;
    for (std::size_t index = 0; index < 4; ++index) {
        value = value << 8 | std::to_integer<std::uint32_t>(at[index]);
    }
    return value;
}

Problem malformed(std::string_view what, const void* blob, int node) {
    const char* name = node < 0 ? nullptr : fdt_get_name(blob, node, nullptr);
    return Problem{.what = what, .node = name == nullptr ? std::string_view{} : name, .property = {}};
}

// Every tag of the structure block, so that later walks cannot meet a surprise.
std::optional<Problem> check_structure(const void* blob) {
    std::size_t depth = 0;
    int node = -1;
    bool root_seen = false;
    for (int offset = 0;;) {
        int next = 0;
        const std::uint32_t tag = fdt_next_tag(blob, offset, &next);
        if (next < 0) {
            return malformed("device tree: the structure block is cut short or has an unknown token", blob,
                             node);
        }
        switch (tag) {
            case FDT_BEGIN_NODE:
                if (depth == 0 && std::exchange(root_seen, true)) {
                    return malformed("device tree: a second root node", blob, node);
                }
                if (++depth > kMaxDepth) {
                    return malformed("device tree: nodes nest deeper than 16 levels", blob, node);
                }
                node = offset;
                break;
            case FDT_END_NODE:
                if (depth == 0) {
                    return malformed("device tree: more nodes end than begin", blob, node);
                }
                --depth;
                break;
            case FDT_PROP: {
                const char* name = nullptr;
                int length = 0;
                if (depth == 0 || fdt_getprop_by_offset(blob, offset, &name, &length) == nullptr ||
                    length < 0) {
                    return malformed("device tree: a property is malformed", blob, node);
                }
                break;
            }
            case FDT_END:
                if (depth != 0 || !root_seen) {
                    return malformed("device tree: a node does not end", blob, node);
                }
                return std::nullopt;
            default:  // FDT_NOP
                break;
        }
        offset = next;
    }
}

}  // namespace

std::uint32_t Property::cell(std::size_t index) const {
    return big_endian(bytes_.subspan(index * 4, 4).data());
}

std::optional<std::uint64_t> Property::number(std::size_t first, std::size_t count) const {
    if (first > cell_count() || count > cell_count() - first) {
        return std::nullopt;
    }
    std::uint64_t value = 0;
    for (std::size_t index = first; index < first + count; ++index) {
        if (value >> 32 != 0) {
            return std::nullopt;
        }
        value = value << 32 | cell(index);
    }
    return value;
}

std::optional<std::uint64_t> Property::whole_number() const {
    return bytes_.size() == 4 || bytes_.size() == 8 ? number(0, bytes_.size() / 4) : std::nullopt;
}

std::optional<std::string_view> Property::text() const {
    const auto list = text_list();
    if (!list || list->find('\0') != list->size() - 1) {
        return std::nullopt;
    }
    return list->substr(0, list->size() - 1);
}

std::optional<std::string_view> Property::text_list() const {
    const std::string_view characters{reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
    return characters.ends_with('\0') ? std::optional{characters} : std::nullopt;
}

std::optional<Problem> Tree::check(std::span<const std::byte> blob) {
    const auto refuse = [](std::string_view what) {
        return Problem{.what = what, .node = {}, .property = {}};
    };
    if (blob.size() < kHeaderBytes) {
        return refuse("device tree: shorter than its header");
    }
    if (reinterpret_cast<std::uintptr_t>(blob.data()) % 8 != 0) {
        return refuse("device tree: not aligned to 8 bytes");
    }
    const std::byte* start = blob.data();
    if (fdt_magic(start) != FDT_MAGIC) {
        return refuse("device tree: wrong magic number");
    }
    if (fdt_version(start) < kVersion || fdt_last_comp_version(start) > kVersion) {
        return refuse("device tree: version is not 17 or compatible");
    }
    if (fdt_totalsize(start) > blob.size()) {
        return refuse("device tree: larger than the memory it is in");
    }
    // Specification 5.1. libfdt takes both for granted when it reads through typed pointers.
    if (fdt_off_mem_rsvmap(start) % 8 != 0 || fdt_off_dt_struct(start) % 4 != 0) {
        return refuse("device tree: a block is not aligned as the specification wants");
    }
    if (fdt_check_header(start) != 0) {
        return refuse("device tree: the header's offsets and sizes contradict each other");
    }
    if (fdt_num_mem_rsv(start) < 0) {
        return refuse("device tree: the memory reservation block does not end");
    }
    return check_structure(start);
}

Tree::Tree(std::span<const std::byte> blob)
    : blob_{blob.data()},
      structure_{blob_ + fdt_off_dt_struct(blob_)},
      strings_{reinterpret_cast<const char*>(blob_) + fdt_off_dt_strings(blob_)} {}

std::uint32_t Tree::word(std::size_t offset) const {
    return big_endian(structure_ + offset);
}

std::size_t Tree::body(Node node) const {
    const std::size_t name_at = static_cast<std::size_t>(std::to_underlying(node)) + kTokenBytes;
    const std::string_view name{reinterpret_cast<const char*>(structure_ + name_at)};
    return align4(name_at + name.size() + 1);
}

std::size_t Tree::skip_properties(std::size_t offset) const {
    for (;;) {
        const std::uint32_t token = word(offset);
        if (token == FDT_PROP) {
            offset += kPropertyHeaderBytes + align4(word(offset + 4));
        } else if (token == FDT_NOP) {
            offset += kTokenBytes;
        } else {
            return offset;
        }
    }
}

std::optional<Node> Tree::find(std::string_view path) const {
    if (!path.starts_with('/')) {
        return std::nullopt;
    }
    std::optional<Node> node = root();
    while (node && !path.empty()) {
        const std::size_t end = std::min(path.find('/'), path.size());
        if (end != 0) {
            node = find_child(*node, path.substr(0, end));
        }
        path.remove_prefix(std::min(end + 1, path.size()));
    }
    return node;
}

// By full name, or without the unit address where `name` gives none.
std::optional<Node> Tree::find_child(Node parent, std::string_view name) const {
    const bool has_unit = name.find('@') != std::string_view::npos;
    for (auto child = first_child(parent); child; child = next_sibling(*child)) {
        const std::string_view candidate = this->name(*child);
        if (candidate == name || (!has_unit && candidate.substr(0, candidate.find('@')) == name)) {
            return child;
        }
    }
    return std::nullopt;
}

std::optional<Node> Tree::first_child(Node parent) const {
    const std::size_t offset = skip_properties(body(parent));
    return word(offset) == FDT_BEGIN_NODE ? std::optional{Node{static_cast<int>(offset)}} : std::nullopt;
}

std::optional<Node> Tree::next_sibling(Node node) const {
    std::optional<Node> candidate = node;
    for (int depth = 1; (candidate = next(*candidate, depth));) {
        if (depth <= 1) {
            return depth == 1 ? candidate : std::nullopt;
        }
    }
    return std::nullopt;
}

std::optional<Node> Tree::next(Node node, int& depth) const {
    for (std::size_t offset = body(node);; offset += kTokenBytes) {
        offset = skip_properties(offset);
        switch (word(offset)) {
            case FDT_BEGIN_NODE:
                ++depth;
                return Node{static_cast<int>(offset)};
            case FDT_END_NODE:
                --depth;
                break;
            default:  // FDT_END
                return std::nullopt;
        }
    }
}

std::string_view Tree::name(Node node) const {
    const std::string_view name{
        reinterpret_cast<const char*>(structure_ + std::to_underlying(node) + kTokenBytes)};
    return name.empty() ? "/" : name;
}

std::optional<Property> Tree::property(Node node, const char* name) const {
    for (std::size_t offset = body(node);;) {
        const std::uint32_t token = word(offset);
        if (token == FDT_NOP) {
            offset += kTokenBytes;
            continue;
        }
        if (token != FDT_PROP) {
            return std::nullopt;
        }
        const std::size_t bytes = word(offset + 4);
        if (__builtin_strcmp(strings_ + word(offset + 8), name) == 0) {
            return Property{{structure_ + offset + kPropertyHeaderBytes, bytes}};
        }
        offset += kPropertyHeaderBytes + align4(bytes);
    }
}

std::string_view Tree::text(Node node, const char* name) const {
    const auto value = property(node, name);
    return value ? value->text().value_or(std::string_view{}) : std::string_view{};
}

Compatible Tree::compatible(Node node) const {
    const auto value = property(node, "compatible");
    return Compatible{value ? value->text_list().value_or(std::string_view{}) : std::string_view{}};
}

std::uint32_t Tree::cell_or(Node node, const char* name, std::uint32_t fallback) const {
    const auto value = property(node, name);
    return value && value->bytes().size() == 4 ? value->cell(0) : fallback;
}

bool Tree::is_available(Node node) const {
    const auto value = property(node, "status");
    if (!value) {
        return true;
    }
    const auto status = value->text();
    return status == "okay" || status == "ok";
}

std::uint32_t Tree::phandle(Node node) const {
    return cell_or(node, "phandle", cell_or(node, "linux,phandle", 0));
}

std::optional<MemoryRange> Tree::memory_reservation(int index) const {
    std::uint64_t start = 0;
    std::uint64_t bytes = 0;
    if (index >= fdt_num_mem_rsv(blob_) || fdt_get_mem_rsv(blob_, index, &start, &bytes) != 0) {
        return std::nullopt;
    }
    return MemoryRange{.start = PhysAddr{start}, .bytes = bytes};
}

std::optional<std::size_t> blob_bytes(std::span<const std::byte> header) {
    if (header.size() < kHeaderBytes || fdt_magic(header.data()) != FDT_MAGIC) {
        return std::nullopt;
    }
    const std::size_t bytes = fdt_totalsize(header.data());
    return bytes < kHeaderBytes || bytes > kMaxBlobBytes ? std::nullopt : std::optional{bytes};
}

}  // namespace kernel::fdt
