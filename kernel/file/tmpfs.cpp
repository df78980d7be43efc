// SPDX-License-Identifier: MIT
#include "file/tmpfs.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <span>
#include <utility>

#include "arch/contract.hpp"
#include "file/pipe.hpp"
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
constinit mm::ObjectPool<Name> more_names;
constinit mm::PageBudget budget;
constinit SpinLock tree{LockRank::FileTree};
// The rest is guarded by tree.
constinit std::array<Node*, kRoots> roots{};  // own a reference each; immutable after boot
constinit IntrusiveList<Node, &Node::gone_node> gone;
constinit std::uint64_t next_inode = kFirstInode;
constinit std::uint64_t next_position = Directory::kFirstPosition;
// Looked at without the lock to see whether there is something to do.
constinit std::atomic<std::uint32_t> gone_count{0};

std::uint64_t now_ns() {
    return static_cast<std::uint64_t>(arch::now().ns());
}

// Counts a file, a directory or a further name as one page. Errors: NoSpace.
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

// The first part of a canonical path, taken off it.
std::string_view next_part(std::string_view& path) {
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(part.size() + 1, path.size()));
    return part;
}

Name* child_of(Node& directory, std::string_view text) REQUIRES(tree) {
    for (Name* at = directory.children.root(); at != nullptr;) {
        if (at->text() == text) {
            return at;
        }
        at = text < at->text() ? directory.children.left(*at) : directory.children.right(*at);
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
        Name* const found = child_of(*at, next_part(path));
        if (found == nullptr) {
            return Error::NoEntry;
        }
        at = &found->node;
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

// The name that a path names. Errors: find_place()'s; NoEntry.
Result<Name*> find_name(Root root, std::string_view path) REQUIRES(tree) {
    const Place place = TRY(find_place(root, path));
    Name* const name = child_of(*place.directory, place.name);
    return name == nullptr ? Result<Name*>{Error::NoEntry} : name;
}

// Pre: the name has its text, and owns a reference to its node.
void link(Node& directory, Name& name) REQUIRES(tree) {
    name.directory = &directory;
    directory.children.insert(name);
    directory.by_position.insert(name);
    directory.modified_ns.store(now_ns());
    name.node.names.push_back(name);
    name.node.name_count.fetch_add(1, std::memory_order_relaxed);
}

// The same for a name that is new.
void link_new(const Place& place, Name& name) REQUIRES(tree) {
    name.set_text(place.name);
    name.position = next_position++;
    static_cast<void>(Ref<Node>::share(name.node).release());
    link(*place.directory, name);
}

// Takes a name out of its directory; it may be linked again.
void unlink(Name& name) REQUIRES(tree) {
    name.directory->children.erase(name);
    name.directory->by_position.erase(name);
    name.directory->modified_ns.store(now_ns());
    name.directory = nullptr;
    name.node.names.remove(name);
    name.node.name_count.fetch_sub(1, std::memory_order_relaxed);
}

// The same for good. The reference it had is the caller's now, to be dropped without the lock.
[[nodiscard]] Ref<Node> drop(Name& name) REQUIRES(tree) {
    Node& node = name.node;
    unlink(name);
    if (&name != &node.own_name) {
        if (node.names.empty()) {
            node.own_name.set_text(name.text());
        }
        more_names.destroy(&name);
        uncharge_node();
    }
    return Ref<Node>::adopt(node);
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
    for (const Name* name = at->names.front(); name != nullptr && fits; name = at->names.front()) {
        fits = put(name->text()) && put("/");
        at = name->directory;
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
    link_new(place, made.own_name);
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
        directory = directory->parent();
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

class OpenDirectory final : public OpenNode<Directory> {
  public:
    Result<std::string_view> directory_path(std::span<char> to) const override { return path_of(*node_, to); }

  private:
    template <class T>
    friend class mm::ObjectPool;
    OpenDirectory(Ref<Node> node, std::uint32_t flags) : OpenNode{std::move(node), flags} {}
    ~OpenDirectory() = default;
    void close() override;
    Result<DirectoryEntry> entry_at(std::uint64_t position, std::span<char, kMaxName> room,
                                    task::Task& caller) override;
};

Result<DirectoryEntry> OpenDirectory::entry_at(std::uint64_t position, std::span<char, kMaxName> room,
                                               task::Task&) {
    const LockGuard guard{tree};
    Name* next = nullptr;
    for (Name* at = node_->by_position.root(); at != nullptr;) {
        const bool is_after = at->position >= position;
        next = is_after ? at : next;
        at = is_after ? node_->by_position.left(*at) : node_->by_position.right(*at);
    }
    if (next == nullptr) {
        return Error::NoEntry;
    }
    const std::size_t bytes = next->text().copy(room.data(), room.size());
    return DirectoryEntry{.name = {room.data(), bytes},
                          .inode = next->node.inode,
                          .mode = next->node.mode,
                          .next = next->position + 1};
}

constinit mm::ObjectPool<OpenDirectory> open_directories;

void OpenDirectory::close() {
    open_directories.destroy(this);
}

// Not inlined: nearly always there is nothing to be given back, and whoever finds that needs no registers.
[[gnu::noinline]] bool clean_up_one() {
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
    discard_named_pipe(*node);
    pool.destroy(node);
    uncharge_node();
    return gone_count.fetch_sub(1, std::memory_order_relaxed) == 1;
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
    out << '/' << node.own_name.text() << " (deleted)";
    return path.error() == Error::NoEntry && !out.is_truncated() ? Result<std::string_view>{out.text()}
                                                                 : Error::NameTooLong;
}

task::FileStatus Node::status() const {
    return {.mode = mode,
            .inode = inode,
            .bytes = is_directory() ? 0 : contents.size(),
            .filesystem = 2 + static_cast<std::uint64_t>(root),
            .links = is_directory() ? 2U : name_count.load(std::memory_order_relaxed),
            .modified_ns = static_cast<std::int64_t>(modified_ns.load())};
}

// A mapping may have been the last owner: with the lock of its address space held, nothing more is done here.
void Node::last_reference_gone(Node& node) {
    const LockGuard guard{tree};
    gone.push_back(node);
    gone_count.fetch_add(1, std::memory_order_relaxed);
}

bool clean_up_step() {
    return gone_count.load(std::memory_order_relaxed) == 0 || clean_up_one();
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

Result<void> create_pipe(Root root, std::string_view path, std::uint32_t mode) {
    TRY(create(root, path, task::kTypePipe | (mode & kPermissions)));
    return {};
}

Result<Ref<Node>> create_unnamed(std::string_view name, std::uint64_t bytes) {
    if (bytes > mm::FileObject::kMaxBytes) {
        return Error::NoMemory;
    }
    Ref<Node> made = TRY(make_node(task::kTypeRegular | 0777));
    made->own_name.set_text(name);
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

Result<void> add_name(Root root, std::string_view existing, std::string_view path) {
    const auto add = [&]() -> Result<void> {
        const LockGuard guard{tree};
        Node* const node = TRY(walk(root, existing));
        const Place place = TRY(find_place(root, path));
        if (child_of(*place.directory, place.name) != nullptr) {
            return Error::Exists;
        }
        if (node->is_directory()) {
            return Error::NotPermitted;
        }
        link_new(place, *TRY(more_names.create(*node)));
        return {};
    };
    TRY(charge_node());
    const auto added = add();
    if (!added.ok()) {
        uncharge_node();
    }
    return added;
}

Result<void> remove_file(Root root, std::string_view path) {
    Ref<Node> removed;  // dropped after the lock
    const LockGuard guard{tree};
    if (path.empty()) {
        return Error::IsDirectory;
    }
    Name* const name = TRY(find_name(root, path));
    if (name->node.is_directory()) {
        return Error::IsDirectory;
    }
    removed = drop(*name);
    return {};
}

Result<void> remove_directory(Root root, std::string_view path) {
    Ref<Node> removed;  // dropped after the lock
    const LockGuard guard{tree};
    if (path.empty()) {
        return Error::Busy;
    }
    Name* const name = TRY(find_name(root, path));
    if (!name->node.is_directory()) {
        return Error::NotDirectory;
    }
    if (!name->node.children.empty()) {
        return Error::NotEmpty;
    }
    removed = drop(*name);
    return {};
}

Result<void> rename(Root root, std::string_view from, std::string_view to, bool keeps_target) {
    Ref<Node> replaced;  // dropped after the lock
    const LockGuard guard{tree};
    if (from.empty() || to.empty()) {
        return Error::Busy;
    }
    Name* const name = TRY(find_name(root, from));
    const Place place = TRY(find_place(root, to));
    if (is_within(place.directory, name->node)) {
        return Error::InvalidArgument;
    }
    Name* const target = child_of(*place.directory, place.name);
    if (target != nullptr && keeps_target) {
        return Error::Exists;
    }
    if (target != nullptr && &target->node == &name->node) {
        return {};  // two names of one file: POSIX leaves both
    }
    if (target != nullptr) {
        if (is_within(name->directory, target->node)) {
            return Error::NotEmpty;
        }
        TRY(check_replacement(target->node, name->node));
        replaced = drop(*target);
    }
    unlink(*name);
    name->set_text(place.name);
    link(*place.directory, *name);
    return {};
}

Result<Ref<task::OpenFile>> open(Node& node, std::uint32_t flags) {
    auto kept = Ref<Node>::share(node);
    if (node.is_directory()) {
        return Ref<task::OpenFile>::adopt(*TRY(open_directories.create(std::move(kept), flags)));
    }
    return node.is_pipe() ? open_named_pipe(std::move(kept), flags)
                          : open_memory_file(std::move(kept), flags);
}

}  // namespace kernel::file::tmpfs
