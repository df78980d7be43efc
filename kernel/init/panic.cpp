// SPDX-License-Identifier: MIT
#include "init/panic.hpp"

#include <array>
#include <atomic>

#include "arch/contract.hpp"
#include "drivers/console.hpp"
#include "init/log.hpp"
#include "lib/fatal.hpp"

namespace kernel {

namespace {

constexpr std::size_t kMaxFrames = 32;
constexpr std::size_t kRegistersPerLine = 3;
constexpr std::size_t kReportLineBytes = 400;  // the longest text, with room for what stands before it
// The psABI keeps the stack pointer, and so every frame pointer, on 16 bytes.
constexpr std::uint64_t kFrameAlignment = 16;

enum class Stage : std::uint8_t { Claimed, Printing, Closed, PoweringOff };

// Who reports, as CpuId + 1; 0 = no panic yet.
constinit std::atomic<std::uint32_t> reporting_hart{0};
// Written by the reporting hart only.
constinit Stage stage = Stage::Claimed;
constinit PanicHooks hooks;

// A nested panic must not depend on the log's or console's promises, so every step bears being repeated.
void print(std::string_view text) {
    if (drivers::Console* console = log::current_console(); console != nullptr) {
        console->write_panic(text);
    }
}

template <class... Parts>
void print_line(const Parts&... parts) {
    Line<kReportLineBytes> line;
    (line << ... << parts);
    print(line.text());
    print("\n");
}

void open_report() {
    stage = Stage::Printing;
    if (drivers::Console* console = log::current_console(); console != nullptr) {
        console->begin_panic();
    }
    print_line("KERNEL PANIC begin");
}

void close_report() {
    stage = Stage::Closed;
    print_line("KERNEL PANIC end");
}

[[noreturn]] void park() {
    if (hooks.park != nullptr) {
        hooks.park();
    }
    while (true) {
        arch::cpu_relax();
    }
}

[[noreturn]] void power_off() {
    stage = Stage::PoweringOff;
    if (hooks.power_off != nullptr) {
        hooks.power_off();
    }
    park();
}

void print_registers(std::span<const NamedRegister> registers) {
    Line<kReportLineBytes> line;
    std::size_t on_line = 0;
    for (const NamedRegister& entry : registers) {
        line << "  " << entry.name;
        for (std::size_t width = entry.name.size(); width < 7; ++width) {
            line << ' ';
        }
        line << ' ' << hex(entry.value, 16);
        ++on_line;
        if (on_line == kRegistersPerLine) {
            print_line(line.text());
            line.clear();
            on_line = 0;
        }
    }
    if (on_line > 0) {
        print_line(line.text());
    }
}

void print_backtrace(CpuId cpu, const BacktraceStart& start) {
    if (start.pc != 0) {
        print_line("  pc ", hex(start.pc, 16));
    }
    if (hooks.stack_of == nullptr) {
        print_line("  no backtrace: the bounds of this stack are not known");
        return;
    }
    std::array<std::uint64_t, kMaxFrames> frames;
    const std::size_t count = walk_frames(start.frame_pointer, hooks.stack_of(cpu), frames);
    for (std::size_t i = 0; i < count; ++i) {
        print_line("  #", i, " ", hex(frames[i], 16));
    }
    if (count == kMaxFrames) {
        print_line("  ... more frames follow");
    }
}

// The reporting hart panicked again: say so once, then get out of the way of the damage.
[[noreturn]] void nested_panic(std::string_view text) {
    switch (stage) {
        case Stage::Claimed:
            open_report();
            print_line("panic while stopping the other harts: ", text);
            close_report();
            power_off();
        case Stage::Printing:
            // Closed first: if printing this fails too, the next round goes on from there.
            stage = Stage::Closed;
            print_line("panic inside the report: ", text);
            close_report();
            power_off();
        case Stage::Closed:
            power_off();
        case Stage::PoweringOff:
            break;
    }
    park();
}

}  // namespace

void set_panic_hooks(const PanicHooks& new_hooks) {
    hooks = new_hooks;
}

bool is_panicking() {
    return reporting_hart.load(std::memory_order_acquire) != 0;
}

void panic_with_text(std::string_view text, std::span<const NamedRegister> registers,
                     const BacktraceStart* start) {
    const CpuId cpu = arch::current_cpu();
    std::uint32_t reporter = 0;
    if (!reporting_hart.compare_exchange_strong(reporter, cpu.value() + 1)) {
        if (reporter == cpu.value() + 1) {
            nested_panic(text);
        }
        park();
    }
    if (hooks.stop_other_harts != nullptr) {
        hooks.stop_other_harts();
    }
    open_report();
    print_line(text);
    if (hooks.hart_of != nullptr) {
        print_line("on cpu ", cpu, ", hart ", hooks.hart_of(cpu), ", ", arch::now(), " s after boot");
    } else {
        print_line("on cpu ", cpu, ", ", arch::now(), " s after boot");
    }
    if (!registers.empty()) {
        print_line("registers:");
        print_registers(registers);
    }
    print_line("backtrace:");
    const BacktraceStart here{.frame_pointer = reinterpret_cast<std::uint64_t>(__builtin_frame_address(0)),
                              .pc = 0};
    print_backtrace(cpu, start != nullptr ? *start : here);
    if (hooks.describe_harts != nullptr) {
        hooks.describe_harts([](std::string_view line) { print_line(line); });
    }
    close_report();
    power_off();
}

std::size_t walk_frames(std::uint64_t frame_pointer, StackBounds stack,
                        std::span<std::uint64_t> return_addresses) {
    const auto is_frame = [stack](std::uint64_t address) {
        return address % kFrameAlignment == 0 && address <= stack.high.value() &&
               address >= stack.low.value() && address - stack.low.value() >= 16;
    };
    const auto word_at = [](std::uint64_t address) {
        return *reinterpret_cast<const std::uint64_t*>(address);
    };
    std::size_t count = 0;
    while (count < return_addresses.size() && is_frame(frame_pointer)) {
        const std::uint64_t upper = word_at(frame_pointer - 8);
        std::uint64_t next = word_at(frame_pointer - 16);
        if (is_frame(upper) && upper > frame_pointer) {
            // A leaf function saves the frame pointer only, there; its return address is still in ra.
            next = upper;
        } else {
            return_addresses[count] = upper;
            ++count;
        }
        if (next <= frame_pointer) {
            break;
        }
        frame_pointer = next;
    }
    return count;
}

void check_failed(const char* expression, const char* file, int line) {
    panic("CHECK failed: ", expression, " at ", file, ":", line);
}

void fatal(std::string_view text) {
    panic_with_text(text);
}

void check_failed_values(const char* expression, const char* file, int line, std::uint64_t left,
                         std::uint64_t right) {
    panic("CHECK failed: ", expression, " at ", file, ":", line, ": left ", hex(left), " (", left,
          "), right ", hex(right), " (", right, ")");
}

}  // namespace kernel
