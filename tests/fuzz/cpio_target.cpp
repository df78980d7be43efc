// SPDX-License-Identifier: MIT
// An initial archive: entries that lie in it, up to its end or its first defect, and an index that finds each
// of them.
#include <cstring>
#include <memory>
#include <vector>

#include "init/initrd.hpp"
#include "mutators.hpp"
#include "target.hpp"

using fuzz::require;
using kernel::init::InitrdEntry;
using kernel::init::InitrdIndex;
using kernel::init::InitrdReader;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::unique_ptr<std::byte[]> copy{new std::byte[size]};
    if (size > 0) {
        std::memcpy(copy.get(), data, size);
    }
    const std::span<const std::byte> archive{copy.get(), size};
    const std::string_view whole = fuzz::as_text(archive);

    InitrdReader reader{archive};
    std::size_t count = 0;
    while (const auto entry = reader.next()) {
        ++count;
        require(fuzz::is_inside(entry->path, whole), "names lie in the archive");
        require(fuzz::is_inside(fuzz::as_text(entry->data), whole), "contents lie in the archive");
    }
    require(count == kernel::init::count_entries(archive), "the count is the reader's");
    if (reader.problem()) {
        require(!reader.problem()->what.empty() && reader.problem()->offset <= size, "a defect has a place");
        kernel::Line<160> line;
        line << *reader.problem();
    }

    // Room for all, and for one less: the index says so.
    std::vector<InitrdEntry> storage(count);
    const InitrdIndex index{archive, storage};
    require(index.problem().has_value() == reader.problem().has_value(),
            "the index fails where the reader does");
    std::string_view previous;
    for (const InitrdEntry& entry : index.entries()) {
        require(&entry == index.entries().data() || kernel::init::compare_paths(previous, entry.path) < 0,
                "entries are in path order, each path once");
        require(index.find(entry.path) == &entry, "each entry is found by its path");
        previous = entry.path;
    }
    for (std::size_t n = 0; n <= 4; ++n) {
        const InitrdEntry* child = index.child("", n);
        require(child == nullptr || index.find(child->path) == child, "children are entries");
    }
    if (count > 0) {
        std::vector<InitrdEntry> small(count - 1);
        require(InitrdIndex{archive, small}.problem().has_value(), "too little room is a problem");
    }
    return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned int seed) {
    fuzz::Random random{seed};
    if (fuzz::below(random, 2) == 0) {
        return fuzz::change_text(data, size, max_size, random, 8);
    }
    return LLVMFuzzerMutate(data, size, max_size);
}
