// SPDX-License-Identifier: MIT
#include "recipe_files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "notation.hpp"

namespace execd {
namespace {

constexpr const char* kCompatiblePath = "/sys/firmware/devicetree/base/compatible";

// Far above any recipe a person writes; bounds what a wrong path can cost.
constexpr std::size_t kMaxRecipeBytes = std::size_t{1} << 20;

void add_error(const std::string& path, std::string what, std::vector<Diagnostic>& errors) {
    errors.push_back({.file = path, .at = {}, .what = std::move(what)});
}

std::optional<std::string> read_all(int fd, const std::string& path, std::vector<Diagnostic>& errors) {
    std::string text;
    std::array<char, 4096> block{};
    for (;;) {
        const ssize_t count = read(fd, block.data(), block.size());
        if (count < 0) {
            add_error(path, std::string{"cannot be read: "} + std::strerror(errno), errors);
            return std::nullopt;
        }
        if (count == 0) {
            return text;
        }
        text.append(block.data(), static_cast<std::size_t>(count));
        if (text.size() > kMaxRecipeBytes) {
            add_error(path, "longer than 1 MiB: not a recipe", errors);
            return std::nullopt;
        }
    }
}

RecipeFile load(const std::string& path, std::vector<Diagnostic>& errors) {
    RecipeFile file{.path = path, .text = std::nullopt};
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        if (errno != ENOENT) {
            add_error(path, std::string{"cannot be opened: "} + std::strerror(errno), errors);
        }
        return file;
    }
    file.text = read_all(fd, path, errors);
    close(fd);
    return file;
}

}  // namespace

RecipeSources load_recipes(const std::string& directory, const BoardNames& board,
                           std::vector<Diagnostic>& errors) {
    const std::string root = directory.ends_with('/') ? directory : directory + '/';
    RecipeSources sources;
    sources.services = load(root + "services.toml", errors);
    sources.affinity = load(root + "sched/affinity.toml", errors);
    sources.qos = load(root + "sched/qos.toml", errors);
    for (const std::string& name : board.names) {
        const std::string board_root = root + "boards/" + name + '/';
        sources.board_affinity = load(board_root + "affinity.toml", errors);
        sources.board_qos = load(board_root + "qos.toml", errors);
        if (sources.board_affinity.text || sources.board_qos.text) {
            sources.board = name;
            return sources;
        }
        if (board.is_given) {
            add_error(board_root, "there are no recipes for board '" + name + "'", errors);
        }
    }
    return sources;
}

std::vector<std::string> split_compatible(std::string_view property) {
    std::vector<std::string> names;
    while (!property.empty()) {
        const std::size_t end = property.find('\0');
        const std::string_view name = property.substr(0, end);
        property.remove_prefix(end == std::string_view::npos ? property.size() : end + 1);
        if (is_board_name(name)) {
            names.emplace_back(name);
        }
    }
    return names;
}

std::vector<std::string> read_compatible() {
    std::vector<Diagnostic> ignored;  // a kernel that does not tell leaves the board unknown
    const RecipeFile property = load(kCompatiblePath, ignored);
    return property.text ? split_compatible(*property.text) : std::vector<std::string>{};
}

}  // namespace execd
