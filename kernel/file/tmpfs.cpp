// SPDX-License-Identifier: MIT
#include "file/tmpfs.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <span>
#include <utility>

#include "arch/contract.hpp"
#include "file/transfer.hpp"
#include "lib/check.hpp"
#include "lib/format.hpp"
#include "mm/frames.hpp"
#include "mm/slab.hpp"
#include "mm/user_memory.hpp"
#include "task/process.hpp"

namespace kernel::file::tmpfs {

namespace {

constexpr std::uint64_t kFirstInode = std::uint64_t{3} << 33;  // beyond those of every other kind
constexpr std::uint32_t kPermissions = 07777;
constexpr std::uint32_t kRootMode = task::kTypeDirectory | 01777;
constexpr std::array<std::string_view, kRoots> kMountPoints{"tmp", "dev/shm"};

constinit mm::ObjectPool<Node> pool;
constinit mm::PageBudget budget;
constinit SpinLock tree{LockRank::FileTree};
// The rest is guarded by tree.
constinit std::array<Node*, kRoots> roots{};  // own a reference each; immutable after boot
constinit IntrusiveList<Node, &Node::gone_node> gone;
constinit std::uint64_t next_inode = kFirstInode;
// Looked at without the lock to see whether there is something to do.
constinit std::atomic<std::uint32_t> gone_count{0};

std::uint64_t now_ns() {
    return static_cast<std::uint64_t>(arch::now().ns());
}

// The first part of a canonical path, taken off it.
std::string_view next_part(std::string_view& path) {
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(part.size() + 1, path.size()));
    return part;
}

Node* child_of(Node& directory, std::string_view name) REQUIRES(tree) {
    for (Node* at = directory.children.root(); at != nullptr;) {
        if (at->name() == name) {
            return at;
        }
        at = name < at->name() ? directory.children.left(*at) : directory.children.right(*at);
    }
    return nullptr;
}

// Errors: NoEntry, NotDirectory.
Result<Node*> walk(Root root, std::string_view path) REQUIRES(tree) {
    Node* at = roots[static_cast<std::size_t>(root)];
    while (!path.empty()) {
        if (!at->is_directory()) {
            return Error::NotDirectory;
        }
        at = child_of(*at, next_part(path));
        if (at == nullptr) {
            return Error::NoEntry;
        }
    }
    return at;
}

struct Place {
    Node* directory{nullptr};
    std::string_view name{};
};
// Where a name is or would be. Errors: walk()'s; Exists for a root.
Result<Place> find_place(Root root, std::string_view path) REQUIRES(tree) {
    if (path.empty()) {
        return Error::Exists;
    }
    const std::size_t slash = path.rfind('/');
    const bool is_top = slash == std::string_view::npos;
    Node* const directory = TRY(walk(root, is_top ? std::string_view{} : path.substr(0, slash)));
    if (!directory->is_directory()) {
        return Error::NotDirectory;
    }
    return Place{.directory = directory, .name = is_top ? path : path.substr(slash + 1)};
}

void link(Node& directory, Node& child) REQUIRES(tree) {
    child.parent = &directory;
    directory.children.insert(child);
    directory.by_inode.insert(child);
    directory.modified_ns.store(now_ns());
}

// Takes a name away. The reference that the tree had is the caller's now, to be dropped without the lock.
[[nodiscard]] Ref<Node> unlink(Node& child) REQUIRES(tree) {
    child.parent->children.erase(child);
    child.parent->by_inode.erase(child);
    child.parent->modified_ns.store(now_ns());
    child.parent = nullptr;
    return Ref<Node>::adopt(child);
}

// Counts a file or directory as one page. Errors: NoSpace.
Result<void> charge_node() {
    if (budget.used.fetch_add(1, std::memory_order_relaxed) >= budget.limit) {
        budget.used.fetch_sub(1, std::memory_order_relaxed);
        return Error::NoSpace;
    }
    return {};
}

void uncharge_node() {
    budget.used.fetch_sub(1, std::memory_order_relaxed);
}

// The path of a node without leading "/", written from the end of `to` backwards, then moved to the front.
// Errors: NoEntry when it was removed; NameTooLong.
Result<std::string_view> path_of(const Node& node, std::span<char> to) {
    const LockGuard guard{tree};
    std::size_t start = to.size();
    const auto put = [&](std::string_view text) {
        const bool fits = text.size() <= start;
        start -= fits ? text.size() : 0;
        text.copy(to.data() + start, fits ? text.size() : 0);
        return fits;
    };
    bool fits = true;
    const Node* at = &node;
    for (; at->parent != nullptr && fits; at = at->parent) {
        fits = put(at->name()) && put("/");
    }
    if (at != roots[static_cast<std::size_t>(at->root)] && fits) {
        return Error::NoEntry;
    }
    if (!fits || !put(kMountPoints[static_cast<std::size_t>(at->root)])) {
        return Error::NameTooLong;
    }
    const std::size_t bytes = to.size() - start;
    std::ranges::copy(to.subspan(start), to.begin());
    return std::string_view{to.data(), bytes};
}

// Mappings and processes count as owners like open files.
constexpr mm::FileKeeper kKeeper{
    .keep = [](void* owner) { static_cast<void>(Ref<Node>::share(*static_cast<Node*>(owner)).release()); },
    .let_go = [](void* owner) { Ref<Node>::adopt(*static_cast<Node*>(owner)).reset(); },
    .link_text = [](const void* owner,
                    std::span<char> to) { return link_text_of(*static_cast<const Node*>(owner), to); }};

// A new node that is not in the tree yet.
Result<Ref<Node>> make_node(std::uint32_t mode) {
    TRY(charge_node());
    const auto node = pool.create(budget, kKeeper, mode);
    if (!node.ok()) {
        uncharge_node();
        return node.error();
    }
    (*node)->modified_ns.store(now_ns());
    return Ref<Node>::adopt(**node);
}

// Gives a new node its name.
Result<void> enter(Root root, std::string_view path, Node& made) {
    const LockGuard guard{tree};
    const Place place = TRY(find_place(root, path));
    if (child_of(*place.directory, place.name) != nullptr) {
        return Error::Exists;
    }
    made.inode = next_inode++;
    made.root = root;
    made.set_name(place.name);
    link(*place.directory, *Ref<Node>::share(made).release());
    return {};
}

Result<Ref<Node>> create(Root root, std::string_view path, std::uint32_t mode) {
    Ref<Node> made = TRY(make_node(mode));
    TRY(enter(root, path, *made));
    return made;
}

// Whether `directory` is `node` or somewhere below it.
bool is_within(const Node* directory, const Node& node) REQUIRES(tree) {
    while (directory != nullptr && directory != &node) {
        directory = directory->parent;
    }
    return directory != nullptr;
}

// Whether `target` may make room for `moved`.
Result<void> check_replacement(const Node& target, const Node& moved) REQUIRES(tree) {
    if (target.is_directory() && !moved.is_directory()) {
        return Error::IsDirectory;
    }
    if (!target.is_directory() && moved.is_directory()) {
        return Error::NotDirectory;
    }
    return target.children.empty() ? Result<void>{} : Result<void>{Error::NotEmpty};
}

// ---- Open files

class OpenDirectory final : public Directory {
  public:
    [[nodiscard]] task::FileStatus status() const override { return node_->status(); }
    Result<std::string_view> directory_path(std::span<char> to) const override { return path_of(*node_, to); }
    [[nodiscard]] Result<std::string_view> link_text(std::span<char> to) const override {
        return link_text_of(*node_, to);
    }
    Result<Ref<OpenFile>> reopen(std::uint32_t flags) override { return tmpfs::open(*node_, flags); }
    Result<void> set_permissions(std::uint32_t mode) override {
        node_->set_permissions(mode);
        return {};
    }
    Result<void> set_modified(std::int64_t ns) override {
        node_->modified_ns.store(static_cast<std::uint64_t>(ns));
        return {};
    }

  private:
    template <class T>
    friend class mm::ObjectPool;
    OpenDirectory(Ref<Node> node, std::uint32_t flags) : Directory{flags}, node_{std::move(node)} {}
    ~OpenDirectory() = default;
    void close() override;
    Result<DirectoryEntry> entry_at(std::uint64_t position, std::span<char, kMaxName> room,
                                    task::Task& caller) override;

    const Ref<Node> node_;
};

Result<DirectoryEntry> OpenDirectory::entry_at(std::uint64_t position, std::span<char, kMaxName> room,
                                               task::Task&) {
    const LockGuard guard{tree};
    Node* next = nullptr;
    for (Node* at = node_->by_inode.root(); at != nullptr;) {
        const bool is_after = at->inode >= position;
        next = is_after ? at : next;
        at = is_after ? node_->by_inode.left(*at) : node_->by_inode.right(*at);
    }
    if (next == nullptr) {
        return Error::NoEntry;
    }
    const std::size_t bytes = next->name().copy(room.data(), room.size());
    return DirectoryEntry{
        .name = {room.data(), bytes}, .inode = next->inode, .mode = next->mode, .next = next->inode + 1};
}

constinit mm::ObjectPool<OpenDirectory> open_directories;

void OpenDirectory::close() {
    open_directories.destroy(this);
}

}  // namespace

// ---- Nodes

Result<std::string_view> link_text_of(const Node& node, std::span<char> to) {
    if (to.empty()) {
        return Error::NameTooLong;
    }
    const auto path = path_of(node, to.subspan(1));
    LineWriter out{to};
    if (path.ok()) {
        to[0] = '/';
        return std::string_view{to.data(), path->size() + 1};
    }
    out << '/' << node.name() << " (deleted)";
    return path.error() == Error::NoEntry && !out.is_truncated() ? Result<std::string_view>{out.text()}
                                                                 : Error::NameTooLong;
}

task::FileStatus Node::status() const {
    return {.mode = mode,
            .inode = inode,
            .bytes = is_directory() ? 0 : contents.size(),
            .filesystem = 2 + static_cast<std::uint64_t>(root),
            .links = is_directory() ? 2U : 1U,
            .modified_ns = static_cast<std::int64_t>(modified_ns.load())};
}

// A mapping may have been the last owner: with the lock of its address space held, nothing more is done here.
void Node::last_reference_gone(Node& node) {
    const LockGuard guard{tree};
    gone.push_back(node);
    gone_count.fetch_add(1, std::memory_order_relaxed);
}

bool clean_up_step() {
    if (gone_count.load(std::memory_order_relaxed) == 0) {
        return true;
    }
    Node* node = nullptr;
    {
        const LockGuard guard{tree};
        node = gone.pop_front();
        if (node == nullptr) {
            return true;
        }
    }
    node->contents.cut_to(0);
    if (!node->contents.shrink_step()) {
        const LockGuard guard{tree};
        gone.push_back(*node);
        return false;
    }
    pool.destroy(node);
    uncharge_node();
    return gone_count.fetch_sub(1, std::memory_order_relaxed) == 1;
}

std::uint64_t pages_allowed() {
    return budget.limit;
}

std::uint64_t pages_in_use() {
    return budget.used.load(std::memory_order_relaxed);
}

void prepare() {
    budget.limit = mm::frames().stats().total / 2;
    for (std::uint32_t i = 0; i < kRoots; ++i) {
        auto root = make_node(kRootMode);
        CHECK(root.ok());
        const LockGuard guard{tree};
        (*root)->inode = next_inode++;
        (*root)->root = static_cast<Root>(i);
        roots[i] = root->release();
    }
}

Result<Ref<Node>> find(Root root, std::string_view path) {
    const LockGuard guard{tree};
    return Ref<Node>::share(*TRY(walk(root, path)));
}

Result<Ref<Node>> create_file(Root root, std::string_view path, std::uint32_t mode) {
    return create(root, path, task::kTypeRegular | (mode & kPermissions));
}

Result<Ref<Node>> create_unnamed(std::string_view name, std::uint64_t bytes) {
    if (bytes > mm::FileObject::kMaxBytes) {
        return Error::NoMemory;
    }
    Ref<Node> made = TRY(make_node(task::kTypeRegular | 0777));
    made->set_name(name);
    made->contents.grow_to(bytes);
    const LockGuard guard{tree};
    made->inode = next_inode++;
    return made;
}

Result<void> create_directory(Root root, std::string_view path, std::uint32_t mode) {
    TRY(create(root, path, task::kTypeDirectory | (mode & kPermissions)));
    return {};
}

Result<void> create_link(Root root, std::string_view path, std::string_view target) {
    Ref<Node> made = TRY(make_node(task::kTypeLink | 0777));
    const PhysAddr frame = TRY(made->contents.frame_to_write(0));
    const auto bytes = std::as_bytes(std::span{target});
    std::ranges::copy(bytes, mm::frame_bytes(frame).begin());
    mm::frames().unref(frame);
    made->contents.grow_to(bytes.size());
    return enter(root, path, *made);
}

Result<std::string_view> read_link(Root root, std::string_view path, std::span<char> room) {
    const LockGuard guard{tree};
    Node& node = *TRY(walk(root, path));
    if (!node.is_link()) {
        return Error::InvalidArgument;
    }
    const std::uint64_t bytes = node.contents.size();
    if (bytes > room.size()) {
        return Error::NameTooLong;
    }
    const PhysAddr frame = TRY(node.contents.existing_frame(0));
    std::ranges::copy(mm::frame_bytes(frame).first(bytes), std::as_writable_bytes(room).begin());
    mm::frames().unref(frame);
    return std::string_view{room.data(), bytes};
}

Result<void> remove_file(Root root, std::string_view path) {
    Ref<Node> removed;  // dropped after the lock
    const LockGuard guard{tree};
    Node* const node = TRY(walk(root, path));
    if (node->is_directory()) {
        return Error::IsDirectory;
    }
    removed = unlink(*node);
    return {};
}

Result<void> remove_directory(Root root, std::string_view path) {
    Ref<Node> removed;  // dropped after the lock
    const LockGuard guard{tree};
    Node* const node = TRY(walk(root, path));
    if (!node->is_directory()) {
        return Error::NotDirectory;
    }
    if (path.empty()) {
        return Error::Busy;
    }
    if (!node->children.empty()) {
        return Error::NotEmpty;
    }
    removed = unlink(*node);
    return {};
}

Result<void> rename(Root root, std::string_view from, std::string_view to, bool keeps_target) {
    Ref<Node> moved;
    Ref<Node> replaced;  // dropped after the lock
    const LockGuard guard{tree};
    if (from.empty() || to.empty()) {
        return Error::Busy;
    }
    Node* const node = TRY(walk(root, from));
    const Place place = TRY(find_place(root, to));
    if (is_within(place.directory, *node)) {
        return Error::InvalidArgument;
    }
    Node* const target = child_of(*place.directory, place.name);
    if (target != nullptr && keeps_target) {
        return Error::Exists;
    }
    if (target == node) {
        return {};
    }
    if (target != nullptr) {
        if (is_within(node->parent, *target)) {
            return Error::NotEmpty;
        }
        TRY(check_replacement(*target, *node));
        replaced = unlink(*target);
    }
    moved = unlink(*node);
    moved->set_name(place.name);
    link(*place.directory, *moved.release());
    return {};
}

Result<Ref<task::OpenFile>> open(Node& node, std::uint32_t flags) {
    auto kept = Ref<Node>::share(node);
    if (node.is_directory()) {
        return Ref<task::OpenFile>::adopt(*TRY(open_directories.create(std::move(kept), flags)));
    }
    return open_memory_file(std::move(kept), flags);
}

Result<bool> truncate(Node& node, std::uint64_t bytes) {
    if (bytes > mm::FileObject::kMaxBytes) {
        return Error::FileTooBig;
    }
    if (node.is_being_written.exchange(1) != 0) {
        return false;
    }
    node.contents.cut_to(bytes);
    // Pages of an earlier end have to go before the file can reach them again.
    const bool is_done = node.contents.shrink_step();
    if (is_done) {
        node.contents.grow_to(bytes);
        node.modified_ns.store(now_ns());
    }
    node.is_being_written.store(0);
    return is_done;
}

}  // namespace kernel::file::tmpfs
