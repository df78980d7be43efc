// SPDX-License-Identifier: MIT
// What tmpfs knows of one file, directory or symbolic link, whose target is its contents.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>

#include "file/directory.hpp"
#include "lib/avl_tree.hpp"
#include "lib/intrusive_list.hpp"
#include "lib/ref.hpp"
#include "mm/file_object.hpp"
#include "mm/slab.hpp"

namespace kernel::file::tmpfs {

enum class Root : std::uint8_t { Tmp, Shm };
inline constexpr std::uint32_t kRoots = 2;

// There are no hard links, so a node has one name. A name in a directory is a reference.
// Concurrency: name, parent, children and the nodes of lists are guarded by the lock of the trees; contents
// have their own; mode, inode and root are immutable once others know the node.
class Node : public RefCounted<Node> {
  public:
    static void last_reference_gone(Node& node);

    [[nodiscard]] bool is_directory() const { return (mode & task::kTypeMask) == task::kTypeDirectory; }
    [[nodiscard]] bool is_link() const { return (mode & task::kTypeMask) == task::kTypeLink; }
    [[nodiscard]] task::FileStatus status() const;
    [[nodiscard]] std::string_view name() const { return {name_.data(), name_bytes_}; }
    // Pre: the node is in no directory; at most kMaxName characters.
    void set_name(std::string_view name) { name_bytes_ = name.copy(name_.data(), name_.size()); }

    std::atomic<std::uint32_t> mode;  // its type never changes
    std::uint64_t inode{0};
    Root root{};
    void set_permissions(std::uint32_t permissions) {
        mode.store((mode.load() & task::kTypeMask) | (permissions & 07777));
    }
    std::atomic<std::uint64_t> modified_ns{0};  // since boot
    // Whoever writes or cuts has its turn for one step.
    std::atomic<std::uint32_t> is_being_written{0};
    mm::FileObject contents;  // of a file

    Node* parent{nullptr};  // null: a root, or removed
    AvlNode<Node> name_node;
    AvlNode<Node> inode_node;
    ListNode gone_node;
    struct ByName {
        static bool before(const Node& a, const Node& b) { return a.name() < b.name(); }
        static void update(Node&, const Node*, const Node*) {}
    };
    struct ByInode {
        static bool before(const Node& a, const Node& b) { return a.inode < b.inode; }
        static void update(Node&, const Node*, const Node*) {}
    };
    // Of a directory: by name to find, by inode so that a listing goes on where it was.
    AvlTree<Node, &Node::name_node, ByName> children;
    AvlTree<Node, &Node::inode_node, ByInode> by_inode;

  private:
    template <class T>
    friend class mm::ObjectPool;
    Node(mm::PageBudget& budget, const mm::FileKeeper& keeper, std::uint32_t given_mode)
        : mode{given_mode}, contents{budget, keeper, this} {}
    ~Node() = default;

    std::array<char, kMaxName> name_{};
    std::size_t name_bytes_{0};
};

// ---- Between tmpfs.cpp and tmpfs_file.cpp

// As OpenFile::link_text().
[[nodiscard]] Result<std::string_view> link_text_of(const Node& node, std::span<char> to);
// Pre: a regular file. Errors: NoMemory.
[[nodiscard]] Result<Ref<task::OpenFile>> open_memory_file(Ref<Node> node, std::uint32_t flags);

}  // namespace kernel::file::tmpfs
