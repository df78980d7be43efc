// SPDX-License-Identifier: MIT
// What the kernel makes of firmware from SBI 2.0 down to 0.1; the firmware's side of the calls is here.
#include "arch/riscv64/firmware.hpp"

#include <gmock/gmock.h>

#include <array>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arch/riscv64/faults.hpp"

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
    // What each call answers that is none of Base; nothing: "not supported".
    std::optional<std::int64_t> answer;
    std::vector<std::pair<sbi::Extension, std::uint64_t>> calls;
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
    if (extension != Extension::Base && fake.answer.has_value()) {
        fake.calls.emplace_back(extension, function);
        return {*fake.answer, 0};
    }
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

// Every call that can fail, by name.
std::vector<std::pair<std::string_view, kernel::Error>> errors_of_all_calls() {
    using kernel::Error;
    const std::array<kernel::HartId, 2> near_and_far{kernel::HartId{1}, kernel::HartId{200}};
    std::vector<std::pair<std::string_view, Error>> errors;
    const auto note = [&errors](std::string_view name, const auto& result) {
        EXPECT_FALSE(result.ok()) << name;
        if (!result.ok()) {
            errors.emplace_back(name, result.error());
        }
    };
    note("set_timer", sbi::set_timer(1));
    note("send_ipi", sbi::send_ipi(near_and_far));
    note("remote_fence_i", sbi::remote_fence_i(near_and_far));
    note("remote_sfence_vma", sbi::remote_sfence_vma(near_and_far, kernel::VirtAddr{0}, 4096));
    note("remote_sfence_vma_asid", sbi::remote_sfence_vma_asid(near_and_far, kernel::VirtAddr{0}, 4096, 1));
    note("start_hart", sbi::start_hart(kernel::HartId{1}, kernel::PhysAddr{0}, 0));
    note("hart_state", sbi::hart_state(kernel::HartId{1}));
    note("stop_this_hart", sbi::stop_this_hart());
    note("reset", sbi::reset(sbi::ResetType::Shutdown, sbi::ResetReason::None));
    note("debug_console_write", sbi::debug_console_write(kernel::PhysAddr{0}, 1));
    note("debug_console_read", sbi::debug_console_read(kernel::PhysAddr{0}, 1));
    note("debug_console_write_byte", sbi::debug_console_write_byte('a'));
    return errors;
}

TEST_F(FirmwareTest, EachCallHandsEachErrorOn) {
    using kernel::Error;
    // SBI 3, table 1, and a code that it does not know.
    const std::vector<std::pair<std::int64_t, Error>> codes{{-1, Error::Io},
                                                            {-2, Error::NotSupported},
                                                            {-3, Error::InvalidArgument},
                                                            {-4, Error::AccessDenied},
                                                            {-5, Error::BadAddress},
                                                            {-6, Error::Exists},
                                                            {-7, Error::Exists},
                                                            {-8, Error::Exists},
                                                            {-9, Error::NoMemory},
                                                            {-10, Error::Io},
                                                            {1, Error::Io}};
    for (const auto& [code, expected] : codes) {
        fake.answer = code;
        fake.calls.clear();
        const auto errors = errors_of_all_calls();
        // One call each: who gets an error for one group of harts does not ask for the next.
        EXPECT_EQ(fake.calls.size(), 12U) << code;
        ASSERT_EQ(errors.size(), 12U) << code;
        for (const auto& [name, error] : errors) {
            EXPECT_EQ(error, expected) << name << ' ' << code;
        }
    }
}

namespace faults = kernel::arch::faults;

bool is_set(std::string_view text) {
    return faults::set(text).why.empty();
}

int lost_of(int occasions) {
    int lost = 0;
    for (int i = 0; i < occasions; ++i) {
        lost += faults::happens(faults::Kind::IpiLost) ? 1 : 0;
    }
    return lost;
}

TEST_F(FirmwareTest, FaultsOnPurposeAreSoMany) {
    fake.answer = 0;
    EXPECT_TRUE(sbi::set_timer(1).ok());
    ASSERT_TRUE(is_set("time"));
    EXPECT_FALSE(sbi::set_timer(1).ok());
    EXPECT_TRUE(sbi::reset(sbi::ResetType::Shutdown, sbi::ResetReason::None).ok());
    ASSERT_TRUE(is_set("hart-absent"));
    EXPECT_TRUE(sbi::set_timer(1).ok());
    fake.calls.clear();
    EXPECT_TRUE(sbi::start_hart(kernel::HartId{1}, kernel::PhysAddr{0}, 0).ok());
    EXPECT_THAT(fake.calls, IsEmpty());
    ASSERT_TRUE(is_set("ipi-lost:4"));
    constexpr int kOccasions = 4000;
    // Six standard deviations of a fair quarter, 27 each.
    EXPECT_NEAR(lost_of(kOccasions), kOccasions / 4, 165);
    EXPECT_FALSE(faults::happens(faults::Kind::IpiDoubled));
}

TEST_F(FirmwareTest, FaultsOfOneSeedAreTheSame) {
    const auto pattern_of = [](std::string_view text) {
        EXPECT_TRUE(is_set(text)) << text;
        std::string pattern;
        for (int i = 0; i < 100; ++i) {
            pattern += faults::happens(faults::Kind::IpiLost) ? 'x' : '.';
            static_cast<void>(faults::happens(faults::Kind::TimerLate));
        }
        return pattern;
    };
    const std::string first = pattern_of("ipi-lost:4");
    EXPECT_EQ(pattern_of("ipi-lost:4:1"), first);
    EXPECT_EQ(pattern_of("timer-late:3:9,ipi-lost:4"), first);  // whatever else goes wrong
    EXPECT_NE(pattern_of("ipi-lost:4:2"), first);
    EXPECT_EQ(pattern_of("ipi-lost:4:18446744073709551615"), pattern_of("ipi-lost:4:18446744073709551615"));
}

TEST_F(FirmwareTest, SeveralKindsOfFaultsAtOnce) {
    ASSERT_TRUE(is_set("timer-early,ipi-doubled:1:7"));
    EXPECT_TRUE(faults::happens(faults::Kind::TimerEarly));
    EXPECT_TRUE(faults::happens(faults::Kind::IpiDoubled));
    EXPECT_FALSE(faults::happens(faults::Kind::IpiLost));
    EXPECT_FALSE(faults::happens(faults::Kind::None));
}

TEST_F(FirmwareTest, AFaultThatCannotBeReadIsNamed) {
    struct Bad {
        std::string_view text;
        std::string_view part;
        std::string_view why;
    };
    constexpr std::array<Bad, 12> kBad{
        {{"", "", "no such kind"},
         {"ip", "ip", "no such kind"},
         {":3", ":3", "no such kind"},
         {"ipi,,time", "", "no such kind"},
         {"ipi:", "ipi:", "behind the kind"},
         {"ipi:0", "ipi:0", "behind the kind"},
         {"ipi:x:1", "ipi:x:1", "behind the kind"},
         {"ipi:1000001", "ipi:1000001", "behind the kind"},
         {"time,ipi:-1", "ipi:-1", "behind the kind"},
         {"ipi:1:", "ipi:1:", "behind the occasions"},
         {"ipi:1:2:3", "ipi:1:2:3", "behind the occasions"},
         {"ipi:1:18446744073709551616", "ipi:1:18446744073709551616", "behind the occasions"}}};
    ASSERT_TRUE(is_set("ipi-lost"));
    for (const Bad& bad : kBad) {
        const faults::Mistake mistake = faults::set(bad.text);
        EXPECT_EQ(mistake.part, bad.part) << bad.text;
        EXPECT_TRUE(mistake.why.starts_with(bad.why)) << bad.text << ": " << mistake.why;
        EXPECT_TRUE(faults::happens(faults::Kind::IpiLost)) << bad.text;
    }
}

}  // namespace
