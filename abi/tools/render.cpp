// SPDX-License-Identifier: MIT
#include "render.hpp"

#include <algorithm>
#include <ranges>
#include <sstream>

namespace abi_docs {
namespace {

using nexus_abi::CallRow;
using nexus_abi::Support;

std::string_view support_name(Support support) {
    switch (support) {
        case Support::Implemented:
            return "implemented";
        case Support::Accepted:
            return "accepted";
        case Support::Unsupported:
            return "ENOSYS";
    }
    return "?";
}

// Markdown cells cannot hold a bare '|'.
std::string cell(std::string_view text) {
    std::string out;
    for (const char c : text) {
        out += c == '|' ? std::string{"\\|"} : std::string(1, c);
    }
    return out;
}

// The prototype without the noise of the standard namespace.
std::string short_prototype(std::string_view prototype) {
    std::string out{prototype};
    constexpr std::string_view kNoise = "std::";
    for (std::size_t at = out.find(kNoise); at != std::string::npos; at = out.find(kNoise)) {
        out.erase(at, kNoise.size());
    }
    return out;
}

void render_calls(std::ostringstream& out, std::span<const CallRow> rows, std::uint32_t first,
                  std::uint32_t end) {
    out << "| nr | call | class | contract |\n|---|---|---|---|\n";
    for (const CallRow& row : rows) {
        if (row.number >= first && row.number < end) {
            out << "| " << row.number << " | `" << row.name << cell(short_prototype(row.prototype)) << "` | "
                << support_name(row.support) << " | " << cell(row.contract) << " |\n";
        }
    }
    out << '\n';
}

void render_struct(std::ostringstream& out, const Struct& type, const HeaderComments& comments) {
    out << "### `" << type.name << "`: " << type.size_bytes << " bytes, aligned to " << type.alignment_bytes
        << "\n\n"
        << "| offset | size | type | field | meaning |\n|---|---|---|---|---|\n";
    for (const Field& field : type.fields) {
        out << "| " << field.offset_bytes << " | " << field.size_bytes << " | " << field.type << " | `"
            << field.name << "` | " << cell(comments.find(type.name, field.name)) << " |\n";
    }
    out << '\n';
}

void render_enumerators(std::ostringstream& out, const Layout& layout, const HeaderComments& comments,
                        std::string_view type) {
    out << "| value | name | meaning |\n|---|---|---|\n";
    for (const Enumerator& enumerator : layout.enumerators) {
        if (enumerator.type == type) {
            out << "| " << enumerator.value << " | `" << enumerator.name << "` | "
                << cell(comments.find(type, enumerator.name)) << " |\n";
        }
    }
    out << '\n';
}

constexpr std::string_view kHeadline =
    R"(# The ABI of NEURON

<!-- Generated from abi/include/nexus_abi by abi_docs: `cmake --build --preset host --target abi-golden-update`. -->

**ABI 1.** Nothing listed here changes: numbers are never reused, structs that begin with their size only grow at their
end, new calls take new numbers. `abi/golden/abi-1.txt` is what version 1 promised, every number, prototype, offset and
constant; `abi/golden/abi.txt` is what the headers say now. Tests compare both with what the compiler sees.

A call is `ecall` with the number in `a7` and arguments in `a0`..`a5`; the result is in `a0`, an error as its negated
number (-1..-4095). Every other register is kept. C++ programs use `nexus_abi::call::NAME(...)` (one typed callable per
row) or `nexus_abi::sched::*` and `nexus_abi::spawn` (`nexus_abi/sched_calls.hpp`); all return `Result<T>`.

`In<T>`, `Out<T>`, `InOut<T>` are pointers the kernel reads, writes, or both. Classes: *implemented*; *accepted*
(arguments ignored, returns 0); *ENOSYS* (listed because programs probe it). Every number that is not listed is ENOSYS.

)";

// The numbers of [begin, end) without a row, so that every number stands somewhere.
void render_unlisted(std::ostream& out, std::span<const CallRow> rows, std::uint32_t begin,
                     std::uint32_t end) {
    const auto is_listed = [&](std::uint32_t number) {
        return std::ranges::find(rows, number, &CallRow::number) != rows.end();
    };
    out << "ENOSYS, without a row:";
    std::string_view separator = " ";
    for (std::uint32_t number = begin; number < end; ++number) {
        if (is_listed(number)) {
            continue;
        }
        const std::uint32_t first = number;
        while (number + 1 < end && !is_listed(number + 1)) {
            ++number;
        }
        out << separator << first;
        if (number != first) {
            out << ".." << number;
        }
        separator = ", ";
    }
    out << ".\n\n";
}

constexpr std::string_view kNeuronRules =
    R"(Rules for all of them:

- `pid` 0 is the calling thread; a process id names that process's main thread, a thread id any thread.
- Order of checks: argument form and range (EINVAL, EFAULT, E2BIG) → the target is neither the caller nor its child
  nor covered by a right (EPERM, whether or not it exists) → the target is gone (ESRCH) → the value against the
  target's limits (EINVAL for a mask without a usable CPU, EPERM above a ceiling) → apply, all or nothing.
- Clamped, and the applied value returned: shares and hints in range 0..2^31-1. Rejected with EINVAL: classes and
  policies out of range, masks without a usable CPU, negative scalars and scalars that do not fit 31 bits.
- Structs begin with their size. A caller passes the size it knows; a longer struct with a non-zero unknown tail is
  E2BIG, and the kernel writes its own size back; reserved fields must be 0.
- On other kernels (and under qemu-riscv64) these calls answer ENOSYS, so one binary can probe with `nexus_abi_info`.

)";

}  // namespace

std::string render_golden(std::span<const CallRow> rows, const Layout& layout) {
    std::ostringstream out;
    out << "# Frozen ABI. Regenerate: cmake --build --preset host --target abi-golden-update\n";
    for (const CallRow& row : rows) {
        out << "call " << row.number << ' ' << row.name << ' ' << row.prototype << ' '
            << support_name(row.support) << '\n';
    }
    for (const Struct& type : layout.structs) {
        out << "struct " << type.name << " size=" << type.size_bytes << " align=" << type.alignment_bytes
            << '\n';
        for (const Field& field : type.fields) {
            out << "field " << type.name << '.' << field.name << " offset=" << field.offset_bytes
                << " size=" << field.size_bytes << ' ' << field.type << '\n';
        }
    }
    for (const Enumerator& enumerator : layout.enumerators) {
        out << "enum " << enumerator.type << "::" << enumerator.name << " = " << enumerator.value << '\n';
    }
    for (const Constant& constant : layout.constants) {
        out << "const " << constant.name << " = " << constant.value << '\n';
    }
    return out.str();
}

std::string render_docs(std::span<const CallRow> rows, const Layout& layout, const HeaderComments& comments) {
    std::ostringstream out;
    out << kHeadline << "## NEURON block (1024..2047)\n\n" << kNeuronRules;
    render_calls(out, rows, nexus_abi::kLinuxBlockEnd, nexus_abi::kNeuronBlockEnd);
    out << "## Linux block (0..1023)\n\nNumbers, structs and errno values of Linux on riscv64 "
           "(asm-generic).\n\n";
    render_calls(out, rows, 0, nexus_abi::kLinuxBlockEnd);
    render_unlisted(out, rows, 0, nexus_abi::kLinuxBlockEnd);
    out << "## Structs\n\n";
    for (const Struct& type : layout.structs) {
        if (type.block == Block::Neuron) {
            render_struct(out, type, comments);
        }
    }
    out << "## Enumerations\n\n### `QosClass`\n\n";
    render_enumerators(out, layout, comments, "QosClass");
    out << "### `AffinityPolicy`\n\n";
    render_enumerators(out, layout, comments, "AffinityPolicy");
    out << "### `TaskState`\n\n";
    render_enumerators(out, layout, comments, "TaskState");
    out << "## Constants and ranges\n\n| name | value | meaning |\n|---|---|---|\n";
    for (const Constant& constant : layout.constants) {
        out << "| `" << constant.name << "` | " << constant.value << " | "
            << cell(comments.find("", constant.name)) << " |\n";
    }
    out << "\n## Errors\n\nLinux' errno numbers.\n\n";
    render_enumerators(out, layout, comments, "Error");
    std::string text = out.str();
    text.pop_back();  // one newline at the end
    return text;
}

}  // namespace abi_docs
