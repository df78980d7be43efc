// SPDX-License-Identifier: MIT
#include "arch/riscv64/firmware.hpp"

#include <array>

#include "lib/check.hpp"

namespace kernel::arch::sbi {

namespace {

struct Wanted {
    std::string_view name;
    Extension extension;
    bool Firmware::* flag;
};
constexpr std::array<Wanted, 6> kWanted{{
    {"TIME", Extension::Time, &Firmware::has_time},
    {"IPI", Extension::Ipi, &Firmware::has_ipi},
    {"RFENCE", Extension::Rfence, &Firmware::has_rfence},
    {"HSM", Extension::Hsm, &Firmware::has_hart_state},
    {"SRST", Extension::SystemReset, &Firmware::has_reset},
    {"DBCN", Extension::DebugConsole, &Firmware::has_debug_console},
}};

constexpr std::array<std::string_view, 12> kImplementations{
    "Berkeley Boot Loader", "OpenSBI",  "Xvisor",  "KVM",  "RustSBI", "Diosix", "Coffer", "Xen",
    "PolarFire HSS",        "coreboot", "oreboot", "bhyve"};

}  // namespace

Firmware probe_firmware() {
    Firmware firmware{.spec = spec_version(),
                      .implementation = implementation_id(),
                      .implementation_version = implementation_version()};
    for (const Wanted& wanted : kWanted) {
        firmware.*wanted.flag = has_extension(wanted.extension);
    }
    return firmware;
}

std::string_view implementation_name(std::uint64_t id) {
    return id < kImplementations.size() ? kImplementations[id] : std::string_view{};
}

FixedVector<std::string_view, 6> missing_extensions(const Firmware& firmware) {
    FixedVector<std::string_view, 6> missing;
    for (const Wanted& wanted : kWanted) {
        if (!(firmware.*wanted.flag)) {
            CHECK(missing.try_push(wanted.name));
        }
    }
    return missing;
}

}  // namespace kernel::arch::sbi
