// SPDX-License-Identifier: MIT
// /proc/coverage: what trace/coverage.hpp keeps, as a file of the archive whose cached pages are the map.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "init/boot.hpp"
#include "lib/log.hpp"
#include "mm/file_object.hpp"
#include "mm/frames.hpp"
#include "mm/layout.hpp"
#include "mm/slab.hpp"
#include "syscall/file_system.hpp"
#include "trace/coverage.hpp"

namespace kernel::init {

namespace {

constexpr std::array<std::byte, trace::kCoveragePages * mm::kPageSize> kNothing{};
constinit mm::ObjectPool<mm::FileObject> coverage_files;

}  // namespace

void add_coverage_file() {
    constexpr std::uint32_t kMode = 0100400;  // a regular file that its owner may read
    const auto file = coverage_files.create("proc/coverage", std::span{kNothing});
    std::array<void*, trace::kCoveragePages> pages{};
    for (std::size_t i = 0; i < pages.size(); ++i) {
        const auto frame = file.ok() ? (*file)->lasting_frame_of(i, false) : Error::NoMemory;
        if (!frame.ok()) {
            log::error("coverage: no memory for the map");
            return;
        }
        pages[i] = phys_to_virt(*frame);
    }
    if (!syscall::file_system::add_file("proc/coverage", **file, kMode).ok()) {
        log::error("coverage: /proc/coverage could not be added");
        return;
    }
    trace::start_coverage(pages);
}

}  // namespace kernel::init
