// SPDX-License-Identifier: MIT
#include "arch/riscv64/sbi.hpp"

#include "arch/riscv64/faults.hpp"

namespace kernel::arch::sbi {

namespace {

// SBI chapter 3, table 1.
Error error_of(std::int64_t code) {
    switch (code) {
        case -2:
            return Error::NotSupported;
        case -3:
            return Error::InvalidArgument;
        case -4:
            return Error::AccessDenied;
        case -5:
            return Error::BadAddress;
        case -6:  // already available
        case -7:  // already started
        case -8:  // already stopped
            return Error::Exists;
        case -9:
            return Error::NoMemory;
        default:
            return Error::Io;
    }
}

// What neuron.fault= calls the failure of an extension's calls. Base tells what there is: without it nothing
// runs.
faults::Kind failure_of(Extension extension) {
    switch (extension) {
        case Extension::Time:
            return faults::Kind::TimeCall;
        case Extension::Ipi:
            return faults::Kind::IpiCall;
        case Extension::Rfence:
            return faults::Kind::FenceCall;
        case Extension::Hsm:
            return faults::Kind::HartCall;
        case Extension::SystemReset:
            return faults::Kind::ResetCall;
        case Extension::DebugConsole:
            return faults::Kind::ConsoleCall;
        default:
            return faults::Kind::None;
    }
}

Result<std::uint64_t> call(Extension extension, std::uint64_t function, const RawArguments& arguments = {}) {
    if (faults::happens(failure_of(extension))) {
        return Error::Io;
    }
    const RawResult raw = raw_call(extension, function, arguments);
    if (raw.error != 0) {
        return error_of(raw.error);
    }
    return static_cast<std::uint64_t>(raw.value);
}

Result<void> command(Extension extension, std::uint64_t function, const RawArguments& arguments = {}) {
    TRY(call(extension, function, arguments));
    return {};
}

// Function numbers of the Base extension, SBI 4.9. Base calls cannot fail on firmware of version 0.2 or
// later; on the older ones every answer reads as 0, which says "absent" or "unknown".
enum class BaseFunction : std::uint64_t {
    SpecVersion = 0,
    ImplementationId = 1,
    ImplementationVersion = 2,
    Probe = 3,
    VendorId = 4,
    ArchitectureId = 5,
    CoreImplementation = 6
};

std::uint64_t base_value(BaseFunction function, std::uint64_t argument = 0) {
    return call(Extension::Base, static_cast<std::uint64_t>(function), {.a0 = argument}).value_or(0);
}

}  // namespace

SpecVersion spec_version() {
    // SBI 4.1: bits 30:24 major, 23:0 minor.
    const std::uint64_t version = base_value(BaseFunction::SpecVersion);
    return {.major = static_cast<std::uint32_t>((version >> 24) & 0x7f),
            .minor = static_cast<std::uint32_t>(version & 0xffffff)};
}

std::uint64_t implementation_id() {
    return base_value(BaseFunction::ImplementationId);
}

std::uint64_t implementation_version() {
    return base_value(BaseFunction::ImplementationVersion);
}

bool has_extension(Extension extension) {
    return base_value(BaseFunction::Probe, static_cast<std::uint64_t>(extension)) != 0;
}

std::uint64_t vendor_id() {
    return base_value(BaseFunction::VendorId);
}

std::uint64_t architecture_id() {
    return base_value(BaseFunction::ArchitectureId);
}

std::uint64_t implementation_of_core() {
    return base_value(BaseFunction::CoreImplementation);
}

Result<void> set_timer(std::uint64_t deadline_ticks) {
    return command(Extension::Time, 0, {.a0 = deadline_ticks});
}

void legacy_set_timer(std::uint64_t deadline_ticks) {
    // SBI 5.1: "this call always returns".
    static_cast<void>(raw_call(Extension::LegacySetTimer, 0, {.a0 = deadline_ticks}));
}

Result<void> send_ipi(std::span<const HartId> harts) {
    return for_each_hart_group(harts, [](HartGroup group) -> Result<void> {
        return command(Extension::Ipi, 0, {.a0 = group.mask, .a1 = group.base});
    });
}

// Function numbers of RFENCE: SBI 8.8.
Result<void> remote_fence_i(std::span<const HartId> harts) {
    return for_each_hart_group(harts, [](HartGroup group) -> Result<void> {
        return command(Extension::Rfence, 0, {.a0 = group.mask, .a1 = group.base});
    });
}

Result<void> remote_sfence_vma(std::span<const HartId> harts, VirtAddr start, std::uint64_t bytes) {
    return for_each_hart_group(harts, [start, bytes](HartGroup group) -> Result<void> {
        return command(Extension::Rfence, 1,
                       {.a0 = group.mask, .a1 = group.base, .a2 = start.value(), .a3 = bytes});
    });
}

Result<void> remote_sfence_vma_asid(std::span<const HartId> harts, VirtAddr start, std::uint64_t bytes,
                                    std::uint16_t asid) {
    return for_each_hart_group(harts, [start, bytes, asid](HartGroup group) -> Result<void> {
        return command(Extension::Rfence, 2,
                       {.a0 = group.mask, .a1 = group.base, .a2 = start.value(), .a3 = bytes, .a4 = asid});
    });
}

// Function numbers of HSM: SBI 9.5.
Result<void> start_hart(HartId hart, PhysAddr entry, std::uint64_t opaque) {
    if (faults::happens(faults::Kind::HartAbsent)) {
        return {};
    }
    return command(Extension::Hsm, 0, {.a0 = hart.value(), .a1 = entry.value(), .a2 = opaque});
}

Result<void> stop_this_hart() {
    return command(Extension::Hsm, 1);
}

Result<HartState> hart_state(HartId hart) {
    const std::uint64_t state = TRY(call(Extension::Hsm, 2, {.a0 = hart.value()}));
    if (state > static_cast<std::uint64_t>(HartState::ResumePending)) {
        return Error::Io;
    }
    return static_cast<HartState>(state);
}

Result<void> reset(ResetType type, ResetReason reason) {
    return command(Extension::SystemReset, 0,
                   {.a0 = static_cast<std::uint64_t>(type), .a1 = static_cast<std::uint64_t>(reason)});
}

Result<std::size_t> debug_console_write(PhysAddr start, std::size_t bytes) {
    // SBI 12.1: the address is two XLEN words, low first; the high one is for RV32 only.
    return TRY(call(Extension::DebugConsole, 0, {.a0 = bytes, .a1 = start.value()}));
}

Result<std::size_t> debug_console_read(PhysAddr start, std::size_t bytes) {
    return TRY(call(Extension::DebugConsole, 1, {.a0 = bytes, .a1 = start.value()}));
}

Result<void> debug_console_write_byte(char byte) {
    return command(Extension::DebugConsole, 2, {.a0 = static_cast<unsigned char>(byte)});
}

void legacy_putchar(char byte) {
    // SBI 5.2: the result says nothing a caller could act on.
    static_cast<void>(raw_call(Extension::LegacyPutchar, 0, {.a0 = static_cast<unsigned char>(byte)}));
}

std::optional<char> legacy_getchar() {
    // SBI 5.3: the byte, or -1, in the error register. Newer firmware may answer "not supported" (-2) there.
    const RawResult raw = raw_call(Extension::LegacyGetchar, 0, {});
    if (raw.error < 0) {
        return std::nullopt;
    }
    return static_cast<char>(raw.error);
}

}  // namespace kernel::arch::sbi
