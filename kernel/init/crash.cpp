// SPDX-License-Identifier: MIT
#include "init/crash.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "arch/contract.hpp"
#include "init/registers.hpp"
#include "lib/log.hpp"
#include "mm/user_memory.hpp"
#include "syscall/process_files.hpp"
#include "task/process.hpp"

namespace kernel::init {

namespace {

constexpr std::size_t kRegistersPerLine = 5;
// How much of the stack is looked through for return addresses, and how many candidates are shown.
constexpr std::size_t kWordsRead = 128;
constexpr std::size_t kShown = 12;
constexpr std::size_t kShownPerLine = 6;
// How many mappings are looked at for files with code, and how many of those are shown.
constexpr std::size_t kMappingsRead = 64;
constexpr std::size_t kFilesShown = 8;

constexpr Duration kSpacing = Duration::seconds(1);
constexpr std::int64_t kBurst = 10;
// When the next report would be due if they came evenly.
constinit std::atomic<std::int64_t> next_due_ns{0};

bool may_report() {
    const std::int64_t now = arch::now().ns();
    std::int64_t due = next_due_ns.load(std::memory_order_relaxed);
    while (due - now < kBurst * kSpacing.ns()) {
        if (next_due_ns.compare_exchange_weak(due, std::max(due, now) + kSpacing.ns())) {
            return true;
        }
    }
    return false;
}

bool is_code(mm::AddressSpace& space, std::uint64_t address) {
    if (address < mm::kUserBase.value() || address >= mm::kUserTop.value() || address % 2 != 0) {
        return false;
    }
    const auto listed = space.mapping_at_or_above(VirtAddr{address});
    return listed.ok() && listed->mapping.contains(VirtAddr{address}) && listed->mapping.protection.execute;
}

// Programs need not keep frame pointers, and most do not: what points into code may be a return address.
// scripts/symbolize asks whether a call stands before it.
class Candidates {
  public:
    Candidates(mm::AddressSpace& space, TaskId pid) : space_{space}, pid_{pid} {}
    ~Candidates() { show(); }
    Candidates(const Candidates&) = delete;
    Candidates& operator=(const Candidates&) = delete;

    void add(std::uint64_t address) {
        if (count_ == kShown || !is_code(space_, address)) {
            return;
        }
        line_ << ' ' << hex(address);
        ++count_;
        if (count_ % kShownPerLine == 0) {
            show();
        }
    }

  private:
    void show() {
        if (!line_.text().empty()) {
            log::info("crash ", pid_, ": perhaps from", line_.text());
            line_.clear();
        }
    }

    mm::AddressSpace& space_;
    TaskId pid_;
    std::size_t count_{0};
    Line<log::kMaxLineBytes> line_;
};

// Which files the code lies in, and where: the addresses of a program that may lie anywhere, and of its
// libraries, mean nothing without it. scripts/symbolize reads these lines.
void show_code(mm::AddressSpace& space, TaskId pid) {
    VirtAddr at{};
    for (std::size_t looked = 0, shown = 0; looked < kMappingsRead && shown < kFilesShown; ++looked) {
        const auto listed = space.mapping_at_or_above(at);
        if (!listed.ok()) {
            return;
        }
        const mm::Mapping& mapping = listed->mapping;
        at = mapping.end;
        if (!mapping.protection.execute || mapping.file == nullptr) {
            continue;
        }
        std::array<char, 128> room;
        const auto name = mapping.file->link_text(room);
        log::info("crash ", pid, ": code ", hex(mapping.start.value()), "-", hex(mapping.end.value()), " of ",
                  name.ok() ? *name : std::string_view{"?"}, " from offset ", hex(mapping.file_offset));
        ++shown;
    }
}

void show_registers(const task::Task& task) {
    Line<log::kMaxLineBytes> line;
    for (std::uint32_t i = 1; i < kRegisterNames.size(); ++i) {
        line << ' ' << kRegisterNames[i] << ' ' << hex(task.frame.reg(i));
        if (i % kRegistersPerLine == 0 || i + 1 == kRegisterNames.size()) {
            log::info("crash ", task.process().pid(), ":", line.text());
            line.clear();
        }
    }
}

}  // namespace

void report_crash(task::Task& task) {
    if (!may_report()) {
        return;
    }
    const TaskId pid = task.process().pid();
    const task::Task::Name name = task.name();
    Line<32> path;
    path << pid << "/exe";
    std::array<char, 128> room;
    const auto program = syscall::process_files::read_link(path.text(), room);
    log::info("crash ", pid, ": ", std::string_view{name.data()}, " (tid ", task.tid(), "), program ",
              program.ok() ? *program : std::string_view{"?"});
    show_code(task.process().space(), pid);
    log::info("crash ", pid, ": pc ", hex(task.frame.pc));
    show_registers(task);
    Candidates candidates{task.process().space(), pid};
    candidates.add(task.frame.reg(1));
    const std::uint64_t stack = task.frame.reg(2) & ~std::uint64_t{7};
    for (std::size_t i = 0; i < kWordsRead; ++i) {
        const auto word = mm::copy_in(task.process().space(),
                                      nexus_abi::In<std::uint64_t>{stack + i * sizeof(std::uint64_t)});
        if (!word.ok()) {
            break;
        }
        candidates.add(*word);
    }
}

}  // namespace kernel::init
