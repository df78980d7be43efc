// SPDX-License-Identifier: MIT
#include <array>
#include <string_view>

#include "arch/contract.hpp"
#include "arch/riscv64/cpu.hpp"
#include "drivers/devices.hpp"
#include "file/event_list.hpp"
#include "file/tmpfs.hpp"
#include "init/boot.hpp"
#include "init/initrd.hpp"
#include "init/panic.hpp"
#include "lib/log.hpp"
#include "mm/fault_injection.hpp"
#include "mm/file_object.hpp"
#include "mm/frames.hpp"
#include "mm/kernel_map.hpp"
#include "mm/slab.hpp"
#include "nexus_abi/system.hpp"
#include "sched/params.hpp"
#include "syscall/console.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/file_system.hpp"
#include "syscall/information.hpp"
#include "syscall/time.hpp"
#include "syscall/trace_boot.hpp"
#include "task/dispatcher.hpp"
#include "task/hart.hpp"
#include "task/lifecycle.hpp"
#include "task/open_file.hpp"
#include "task/random.hpp"

namespace kernel::init {

namespace {

constinit mm::ObjectPool<mm::FileObject> file_objects;

// Of builds that watch what calls reach: /proc/coverage.
#ifdef NEURON_COVERAGE
constexpr std::size_t kOwnEntries = 1;
#else
constexpr std::size_t kOwnEntries = 0;
#endif

Result<void> register_entry(const InitrdEntry& entry) {
    switch (entry.kind()) {
        case FileKind::Directory:
            return syscall::file_system::add_directory(entry.path, entry.mode);
        case FileKind::Regular: {
            mm::FileObject* const object = TRY(file_objects.create(entry.path, entry.data));
            return syscall::file_system::add_file(entry.path, *object, entry.mode);
        }
        case FileKind::SymbolicLink: {
            mm::FileObject* const target = TRY(file_objects.create(entry.path, entry.data));
            return syscall::file_system::add_link(entry.path, *target);
        }
        case FileKind::Other:
            log::warn("initrd: ", entry.path, ": only files, directories and symbolic links are supported");
            return {};
    }
    return {};
}

// Storage for `count` entries, kept for ever: paths of the file system point into the archive, not into it.
std::span<InitrdEntry> allocate_index(std::size_t count) {
    std::uint32_t order = 0;
    while ((mm::kPageSize << order) < count * sizeof(InitrdEntry)) {
        if (++order > mm::kMaxOrder) {
            return {};
        }
    }
    const auto frames = mm::frames().allocate(order);
    if (!frames.ok()) {
        return {};
    }
    auto* const entries = static_cast<InitrdEntry*>(phys_to_virt(*frames));
    for (std::size_t i = 0; i < count; ++i) {
        new (entries + i) InitrdEntry{};
    }
    return {entries, count};
}

// Strings of argv or envp, one after the other.
class StringTable {
  public:
    [[nodiscard]] bool add(std::string_view text) {
        if (text.size() + 1 > bytes_.size() - used_) {
            return false;
        }
        text.copy(bytes_.data() + used_, text.size());
        used_ += text.size();
        bytes_[used_++] = '\0';
        return true;
    }
    [[nodiscard]] std::span<const char> bytes() const { return {bytes_.data(), used_}; }

  private:
    std::array<char, CommandLine::kMaxBytes + 512> bytes_{};
    std::size_t used_{0};
};

constinit StringTable init_strings;

// Where time of day comes from: the device tree's RTC (goldfish, docs of QEMU: 64-bit ns since 1970, low word
// first), else the build date.
void start_wall_clock() {
    if (machine().goldfish_rtc.has_value()) {
        const fdt::MemoryRange& range = *machine().goldfish_rtc;
        if (const auto registers = mm::kernel_map().map_mmio(range.start, range.bytes); registers.ok()) {
            const auto* words = reinterpret_cast<const volatile std::uint32_t*>((*registers).value());
            const std::uint64_t low = words[0];  // reading the low word latches the high one
            const std::uint64_t high = words[1];
            const auto wall = static_cast<std::int64_t>(high << 32 | low);
            syscall::set_realtime_offset(Duration::nanoseconds(wall - arch::now().ns()));
            log::info("clock: time of day from the goldfish RTC");
            return;
        }
    }
    syscall::set_realtime_offset(Duration::seconds(NEURON_BUILD_EPOCH));
    log::info("clock: no RTC; time of day starts at the build date");
}

}  // namespace

void read_initrd() {
    syscall::set_timebase_hz(machine().timebase_hz);
    syscall::set_board(machine().compatible.list(), machine().model);
    task::random::seed(machine().rng_seed);
    const std::uint64_t ticks = arch::read_ticks();
    task::random::seed(std::as_bytes(std::span{&ticks, 1}));
    start_wall_clock();
    if (!machine().initrd.has_value()) {
        log::error("no initrd: pass a cpio archive with -initrd (QEMU) or the boot loader's initrd line");
        give_up();
    }
    file::tmpfs::prepare();
    task::set_clean_up_hook([] { return file::tmpfs::clean_up_step() && file::EventList::clean_up_step(); });
    const std::span<const std::byte> bytes{
        static_cast<const std::byte*>(phys_to_virt(machine().initrd->start)), machine().initrd->bytes};
    const std::size_t count = count_entries(bytes);
    const std::span<InitrdEntry> storage = allocate_index(count);
    if (storage.size() < count || !syscall::file_system::reserve(count + kOwnEntries).ok()) {
        log::error("initrd: no memory for an index of ", count, " entries");
        give_up();
    }
    const InitrdIndex index{bytes, storage};
    if (index.problem().has_value()) {
        log::error("initrd: ", *index.problem(), "; what comes before is used");
    }
    for (const InitrdEntry& entry : index.entries()) {
        if (const auto added = register_entry(entry); !added.ok()) {
            log::error("initrd: ", entry.path, " could not be added, error ",
                       static_cast<std::uint32_t>(added.error()));
        }
    }
#ifdef NEURON_COVERAGE
    add_coverage_file();
#endif
    log::info("initrd: ", index.entries().size(), " entries, ", ByteCount{bytes.size()});
}

// neuron.fail=: from now on, for everybody but process 1, whose end would be the end of everything.
void start_failing_allocations() {
    const std::uint32_t interval = command_line().fail_allocation;
    if (interval == 0) {
        return;
    }
#ifdef NEURON_DEBUG
    mm::fail_allocations_at_random(interval, [] {
        const task::Task* const current = task::this_hart().current;
        return current == nullptr || current->process().pid() == TaskId{1};
    });
#else
    log::warn("neuron.fail=", interval, ": only debug builds let allocations fail");
#endif
}

void start_init() {
    const CommandLine& line = command_line();
    syscall::report_refused_calls(line.report_refused_calls);
    if (line.trace_events) {
        syscall::trace_from_boot();
    }
    task::ProgramArguments arguments;
    arguments.path = line.init;
    const auto program = syscall::file_system::find_program({}, line.init, nullptr);
    if (!program.ok()) {
        log::error("init=", line.init, ": no such program in the initrd");
        give_up();
    }
    arguments.program = program->get();
    arguments.find_interpreter = &syscall::file_system::find_interpreter;
    bool fits = init_strings.add(line.init);
    arguments.argument_count = 1;
    for (const std::string_view argument : line.init_arguments) {
        fits = init_strings.add(argument) && fits;
        ++arguments.argument_count;
    }
    for (const std::string_view entry : line.init_environment) {
        fits = init_strings.add(entry) && fits;
        ++arguments.environment_count;
    }
    CHECK(fits);  // the table is larger than the longest command line
    arguments.strings = init_strings.bytes();
    task::SpawnOptions options;
    options.rights = nexus_abi::kRightsAll;
    options.attributes.affinity_effective = task::online_cpus();
    options.limits.class_ceiling = sched::QosClass::PerfBurst;
    options.prepare = [](task::Process& child, void*) {
        return syscall::console::open_standard_files(child.files);
    };
    const auto pid = task::spawn_program(nullptr, arguments, options);
    if (!pid.ok()) {
        log::error("init=", line.init, " could not be started, error ",
                   static_cast<std::uint32_t>(pid.error()));
        give_up();
    }
    start_failing_allocations();
}

}  // namespace kernel::init
