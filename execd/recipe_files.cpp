// SPDX-License-Identifier: MIT
#include "recipe_files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace execd {
namespace {

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

RecipeSources load_recipes(const std::string& directory, std::vector<Diagnostic>& errors) {
    const std::string root = directory.ends_with('/') ? directory : directory + '/';
    return {.services = load(root + "services.toml", errors),
            .affinity = load(root + "sched/affinity.toml", errors),
            .qos = load(root + "sched/qos.toml", errors)};
}

}  // namespace execd
