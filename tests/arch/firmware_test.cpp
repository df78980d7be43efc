// SPDX-License-Identifier: MIT
// What the kernel makes of firmware from SBI 2.0 down to 0.1; the firmware's side of the calls is here.
#include "arch/riscv64/firmware.hpp"

#include <gmock/gmock.h>

#include <set>

namespace sbi = kernel::arch::sbi;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

namespace {

struct FakeFirmware {
    bool has_base{true};
    std::uint32_t major{2};
    std::uint32_t minor{0};
    std::uint64_t implementation{1};
    std::uint64_t version{0x10005};
    std::set<sbi::Extension> extensions{sbi::Extension::Time,        sbi::Extension::Ipi,
                                        sbi::Extension::Rfence,      sbi::Extension::Hsm,
                                        sbi::Extension::SystemReset, sbi::Extension::DebugConsole};
};
FakeFirmware fake;

std::vector<std::string_view> missing(const sbi::Firmware& firmware) {
    const auto list = sbi::missing_extensions(firmware);
    return {list.begin(), list.end()};
}

class FirmwareTest : public testing::Test {
  protected:
    FirmwareTest() { fake = {}; }
};

}  // namespace

sbi::RawResult sbi::raw_call(Extension extension, std::uint64_t function, const RawArguments& arguments) {
    if (extension != Extension::Base || !fake.has_base) {
        return {-2, 0};
    }
    switch (function) {
        case 0:
            return {0, static_cast<std::int64_t>(fake.major) << 24 | fake.minor};
        case 1:
            return {0, static_cast<std::int64_t>(fake.implementation)};
        case 2:
            return {0, static_cast<std::int64_t>(fake.version)};
        case 3:
            return {0, fake.extensions.contains(static_cast<Extension>(arguments.a0)) ? 1 : 0};
        default:
            return {-2, 0};
    }
}

namespace {

// OpenSBI 1.5 on the emulator.
TEST_F(FirmwareTest, Sbi20HasEverything) {
    const sbi::Firmware firmware = sbi::probe_firmware();
    EXPECT_EQ(firmware.spec.major, 2U);
    EXPECT_EQ(firmware.implementation_version, 0x10005U);
    EXPECT_THAT(missing(firmware), IsEmpty());
    EXPECT_TRUE(firmware.can_run_several_harts());
    EXPECT_EQ(sbi::implementation_name(firmware.implementation), "OpenSBI");
}

// OpenSBI 1.1: no DBCN.
TEST_F(FirmwareTest, Sbi10HasNoDebugConsole) {
    fake.major = 1;
    fake.extensions.erase(sbi::Extension::DebugConsole);
    const sbi::Firmware firmware = sbi::probe_firmware();
    EXPECT_THAT(missing(firmware), ElementsAre("DBCN"));
    EXPECT_TRUE(firmware.can_run_several_harts());
}

// OpenSBI 1.0 as the first VisionFive 2 boards had it: no way to power off either.
TEST_F(FirmwareTest, Sbi03CannotPowerOff) {
    fake.major = 0;
    fake.minor = 3;
    fake.extensions.erase(sbi::Extension::DebugConsole);
    fake.extensions.erase(sbi::Extension::SystemReset);
    const sbi::Firmware firmware = sbi::probe_firmware();
    EXPECT_EQ(firmware.spec.minor, 3U);
    EXPECT_THAT(missing(firmware), ElementsAre("SRST", "DBCN"));
    EXPECT_TRUE(firmware.can_run_several_harts());
}

TEST_F(FirmwareTest, EachOfThreeIsNeededForMoreThanOneHart) {
    for (const sbi::Extension extension :
         {sbi::Extension::Hsm, sbi::Extension::Ipi, sbi::Extension::Rfence}) {
        fake = {};
        fake.extensions.erase(extension);
        EXPECT_FALSE(sbi::probe_firmware().can_run_several_harts());
    }
}

// The Berkeley boot loader answers every call it does not know with an error.
TEST_F(FirmwareTest, Sbi01HasNothing) {
    fake.has_base = false;
    const sbi::Firmware firmware = sbi::probe_firmware();
    EXPECT_EQ(firmware.spec.major, 0U);
    EXPECT_THAT(missing(firmware), ElementsAre("TIME", "IPI", "RFENCE", "HSM", "SRST", "DBCN"));
    EXPECT_FALSE(firmware.has_time);
    EXPECT_EQ(sbi::implementation_name(firmware.implementation), "Berkeley Boot Loader");
    EXPECT_EQ(sbi::implementation_name(99), "");
}

}  // namespace
