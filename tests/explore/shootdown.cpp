// SPDX-License-Identifier: MIT
// kernel/mm against what harts remember of address spaces (structures.hpp).
#include <cstring>

#include "arch/contract.hpp"
#include "machine.hpp"
#include "mm/address_space.hpp"
#include "mm/asid.hpp"
#include "mm/frames.hpp"
#include "steps.hpp"
#include "structures.hpp"

namespace explore {

namespace {

using kernel::CpuId;
using kernel::PhysAddr;
using kernel::VirtAddr;
using kernel::mm::AddressSpace;

constexpr VirtAddr kPage{0x10'0000};
constexpr std::byte kMark{0x5a};  // a frame that is given back holds kPoisonByte
constexpr std::uint32_t kPages = 64;

struct Scene {
    AddressSpace* space{nullptr};
    PhysAddr root;
    bool is_unmapped{false};  // else a violation came first, and whoever was at it keeps the space's lock
    bool is_taken_apart{false};
};
Scene scene;

PhysAddr kernel_root() {
    static const PhysAddr root = *kernel::mm::frames().allocate_zeroed_frame();
    return root;
}

// A space with one page that is there.
void make_scene(bool with_asids) {
    scene = {};
    kernel::mm::set_highest_asid(with_asids ? 1 : 0);
    scene.space = *AddressSpace::create(kernel_root());
    scene.root = scene.space->root();
    const auto mapped = scene.space->map_anonymous({.address = kPage,
                                                    .bytes = kernel::mm::kPageSize,
                                                    .protection = {.read = true, .write = true},
                                                    .placement = kernel::mm::Placement::Fixed});
    const auto filled = scene.space->with_page(kPage, kernel::mm::Access::Write, [](auto page) {
        std::memset(page.data(), std::to_integer<int>(kMark), page.size());
    });
    if (!mapped.ok() || !filled.ok()) {
        fail("the scene cannot be set");
    }
    watch(scene.space, sizeof(*scene.space));
    watch(machine::entry_of(scene.root, kPage), sizeof(std::uint64_t));
}

void take_apart() {
    while (!scene.space->teardown_step(kPages)) {
        spin();
    }
    AddressSpace::destroy(scene.space);
    scene.is_taken_apart = true;
}

// As the program would. It looks at pages as no code of the kernel does.
[[gnu::no_sanitize("thread")]] void read_page() {
    const PhysAddr frame = machine::translate(kPage);
    if (frame != PhysAddr{} && *machine::bytes_of(frame) != kMark) {
        fail("a page is read that was given back");
    }
}

}  // namespace

Outcome shootdown(bool with_asids, const Bounds& bounds) {
    const Steps program{.harts = 3,
                        .body =
                            [](std::uint32_t hart) {
                                if (hart == 0) {
                                    static_cast<void>(scene.space->unmap(kPage, kernel::mm::kPageSize));
                                    scene.is_unmapped = true;
                                    return;
                                }
                                if (hart == 2) {
                                    scene.space->activate(CpuId{hart});
                                }
                                read_page();
                                read_page();
                            },
                        .at_end =
                            [] {
                                if (!scene.is_unmapped) {
                                    return;
                                }
                                for (std::uint32_t hart = 1; hart < 3; ++hart) {
                                    as_hart(hart);
                                    scene.space->deactivate(CpuId{hart});
                                }
                                as_hart(0);
                                take_apart();
                            },
                        .at_begin =
                            [with_asids] {
                                machine::reset(3);
                                make_scene(with_asids);
                                // Hart 1 has been there for a while. Hart 2 was there before the ASID was
                                // given to this space: what it remembers then is of a page that is this one's
                                // as well as not.
                                for (std::uint32_t hart = 1; hart < 3; ++hart) {
                                    as_hart(hart);
                                    kernel::arch::switch_address_space(scene.root, scene.space->asid());
                                    static_cast<void>(machine::translate(kPage));
                                }
                                as_hart(1);
                                scene.space->activate(CpuId{1});
                                as_hart(2);
                                kernel::arch::switch_address_space(kernel_root(), 0);
                                as_hart(0);
                            }};
    return program.run(bounds);
}

Outcome teardown(bool with_asids, const Bounds& bounds) {
    const Steps program{.harts = 2,
                        .body =
                            [](std::uint32_t hart) {
                                if (hart == 0) {
                                    take_apart();
                                    if (machine::root_of(1) == scene.root) {
                                        fail("a hart runs on tables that were given back");
                                    }
                                    return;
                                }
                                read_page();
                                scene.space->deactivate(CpuId{hart});
                            },
                        .at_end =
                            [] {
                                if (!scene.is_taken_apart) {
                                    fail("the space was never taken apart");
                                }
                            },
                        .at_begin =
                            [with_asids] {
                                machine::reset(2);
                                make_scene(with_asids);
                                as_hart(1);
                                scene.space->activate(CpuId{1});
                                static_cast<void>(machine::translate(kPage));
                                as_hart(0);
                            }};
    return program.run(bounds);
}

}  // namespace explore
