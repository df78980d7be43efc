// SPDX-License-Identifier: MIT
// What tmpfs knows of one file, directory, named pipe or symbolic link, whose target is its contents.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "file/directory.hpp"
#include "lib/avl_tree.hpp"
#include "lib/intrusive_list.hpp"
#include "lib/ref.hpp"
#include "mm/file_object.hpp"
#include "mm/slab.hpp"

namespace kernel::file::tmpfs {

enum class Root : std::uint8_t { Tmp, Shm };
inline constexpr std::uint32_t kRoots = 2;

class Node;

// A name of a node in a directory; it holds a reference to the node. Guarded by the lock of the trees.
struct Name {
    explicit Name(Node& of) : node{of} {}
    [[nodiscard]] std::string_view text() const { return {text_.data(), bytes_}; }
    // Pre: it is in no directory; at most kMaxName characters.
    void set_text(std::string_view text) { bytes_ = text.copy(text_.data(), text_.size()); }

    Node& node;
    Node* directory{nullptr};     // null: it is in none
    std::uint64_t position{0};    // in listings; larger than those of names that were made before
    ListNode of_node;             // on node.names
    AvlNode<Name> text_node;      // in directory->children
    AvlNode<Name> position_node;  // in directory->by_position
    struct ByText {
        static bool before(const Name& a, const Name& b) { return a.text() < b.text(); }
        static void update(Name&, const Name*, const Name*) {}
    };
    struct ByPosition {
        static bool before(const Name& a, const Name& b) { return a.position < b.position; }
        static void update(Name&, const Name*, const Name*) {}
    };

  private:
    std::array<char, kMaxName> text_{};
    std::size_t bytes_{0};
};

// A node has its own name, and a file or link more, if it was given some.
// Concurrency: names, children and the nodes of lists are guarded by the lock of the trees; contents have
// their own; inode and root are immutable once others know the node.
class Node : public RefCounted<Node> {
  public:
    static void last_reference_gone(Node& node);

    [[nodiscard]] bool is_directory() const { return (mode & task::kTypeMask) == task::kTypeDirectory; }
    [[nodiscard]] bool is_link() const { return (mode & task::kTypeMask) == task::kTypeLink; }
    [[nodiscard]] bool is_pipe() const { return (mode & task::kTypeMask) == task::kTypePipe; }
    [[nodiscard]] task::FileStatus status() const;

    std::atomic<std::uint32_t> mode;  // its type never changes
    std::uint64_t inode{0};
    Root root{};
    void set_permissions(std::uint32_t permissions) {
        mode.store((mode.load() & task::kTypeMask) | (permissions & 07777));
    }
    std::atomic<std::uint64_t> modified_ns{0};  // since boot
    // Whoever writes or cuts has its turn for one step.
    std::atomic<std::uint32_t> is_being_written{0};
    // Of a file that was cut while it was mapped: from where on mappings are still to be looked at, the
    // process (0: none is left to do) and the address. Whoever has its turn goes on; see finish_cut_step().
    std::atomic<std::uint32_t> cut_process{0};
    std::atomic<std::uint64_t> cut_address{0};
    mm::FileObject contents;  // of a file
    // Of a named pipe: what its ends share, from the first open on; pipe.cpp's business, as is the reference.
    std::atomic<void*> pipe{nullptr};

    // The first one it got; of one that has none any more, the last.
    Name own_name{*this};
    mutable IntrusiveList<Name, &Name::of_node> names;  // those in directories
    std::atomic<std::uint32_t> name_count{0};           // of them
    ListNode gone_node;
    // Of a directory: by text to find, by position so that a listing goes on where it was.
    AvlTree<Name, &Name::text_node, Name::ByText> children;
    AvlTree<Name, &Name::position_node, Name::ByPosition> by_position;
    // Of a directory: the one it is in; null: a root, or removed.
    [[nodiscard]] Node* parent() const { return own_name.directory; }

  private:
    template <class T>
    friend class mm::ObjectPool;
    Node(mm::PageBudget& budget, const mm::FileKeeper& keeper, std::uint32_t given_mode)
        : mode{given_mode}, contents{budget, keeper, this} {}
    ~Node() = default;
};

// Errors: NoMemory; open_named_pipe()'s. kOpenTruncate is the caller's business: truncate().
[[nodiscard]] Result<Ref<task::OpenFile>> open(Node& node, std::uint32_t flags);

// ---- Between tmpfs.cpp and tmpfs_file.cpp

// As OpenFile::link_text().
[[nodiscard]] Result<std::string_view> link_text_of(const Node& node, std::span<char> to);
// What open files and open directories have in common. Kind: SeekableFile or Directory.
template <class Kind>
class OpenNode : public Kind {
  public:
    [[nodiscard]] task::FileStatus status() const final { return node_->status(); }
    [[nodiscard]] Result<std::string_view> link_text(std::span<char> to) const final {
        return link_text_of(*node_, to);
    }
    Result<Ref<task::OpenFile>> reopen(std::uint32_t flags) final { return open(*node_, flags); }
    Result<void> set_permissions(std::uint32_t mode) final {
        node_->set_permissions(mode);
        return {};
    }
    Result<void> set_modified(std::int64_t ns) final {
        node_->modified_ns.store(static_cast<std::uint64_t>(ns));
        return {};
    }

  protected:
    OpenNode(Ref<Node> node, std::uint32_t flags) : Kind{flags}, node_{std::move(node)} {}
    ~OpenNode() = default;

    const Ref<Node> node_;
};
// Takes some pages beyond the end away from mappings and from the file; true when there are none, and the
// file may grow. Pre: the caller has its turn.
[[nodiscard]] bool finish_cut_step(Node& node);
// Pre: a regular file. Errors: NoMemory.
[[nodiscard]] Result<Ref<task::OpenFile>> open_memory_file(Ref<Node> node, std::uint32_t flags);

}  // namespace kernel::file::tmpfs
