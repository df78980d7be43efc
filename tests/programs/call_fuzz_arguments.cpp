// SPDX-License-Identifier: MIT
#include "call_fuzz_arguments.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cstring>

namespace call_fuzz {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kPhysmap = 0xffff'ffc0'0000'0000;

// Addresses of the kernel's that point to something: RAM of the machine the run is made for (1 GiB from 2 GiB
// on) in the physmap, device registers and the harts' stacks. Not the image, whose addresses are small
// negative numbers, too.
constexpr bool is_kernel_address(std::uint64_t value) {
    const std::uint64_t low = value & 0xffff'ffff;
    return (value >> 32 == 0xffff'ffc0 && low >> 30 == 2) || (value >> 32 == 0xffff'ffe0 && low >> 31 == 0);
}

// What debug kernels fill freed frames and objects with, and those of riscv-fuzz the stack of a call: who
// gets four of these, got something that was never written.
constexpr std::uint32_t kUnwritten = 0xd5d5'd5d5;
// The word itself is nowhere in the program, nor ever in a register, which a signal's frame would show.
const volatile std::uint32_t minus_unwritten = -kUnwritten;
bool is_unwritten(std::uint32_t word) {
    std::uint32_t sum = word + minus_unwritten;
    asm("" : "+r"(sum));                      // not a comparison with the difference
    return sum == 0 && minus_unwritten != 0;  // a call may have mapped fresh memory over it
}
bool has_unwritten(std::uint64_t value) {
    return is_unwritten(static_cast<std::uint32_t>(value)) ||
           is_unwritten(static_cast<std::uint32_t>(value >> 32));
}

// What tasks hand in themselves: the only addresses of the kernel's half that may come back.
constexpr std::array<std::uint64_t, 4> kKernelAddresses{kPhysmap, 0xffff'ffe0'4000'3ff8,
                                                        0xffff'ffff'8000'0000, 0xffff'ffff'ffff'fff8};
constexpr std::array<const char*, 22> kPaths{"/tmp/a",
                                             "/tmp/b",
                                             "/tmp/d",
                                             "/tmp/d/c",
                                             "/tmp/d/e",
                                             "/tmp/l",
                                             "/dev/shm/a",
                                             "/dev/shm/b",
                                             "/tmp",
                                             "/",
                                             "",
                                             ".",
                                             "..",
                                             "a",
                                             "d/../b",
                                             "/dev/null",
                                             "/dev/zero",
                                             "/proc/self/maps",
                                             "/proc/self/fd/3",
                                             "/bin/call_fuzz",
                                             "/proc",
                                             "/tmp/a/x"};

bool is_any_of(std::string_view word, std::initializer_list<std::string_view> words) {
    for (const std::string_view candidate : words) {
        if (word == candidate) {
            return true;
        }
    }
    return false;
}

Kind kind_of(std::string_view type, std::string_view name, std::string_view call) {
    if (type.find("<char>") != std::string_view::npos &&
        is_any_of(name, {"path", "from", "to", "target", "name"})) {
        return Kind::Path;
    }
    if (call == "futex" && name != "operation") {
        return name == "timeout_or_value2"                ? Kind::Timeout
               : type.find('<') != std::string_view::npos ? Kind::Word
                                                          : Kind::Choice;
    }
    if (type.find("timespec") != std::string_view::npos && type.find("Out<") != 0) {
        return Kind::Timeout;
    }
    if (type.find('<') != std::string_view::npos || is_any_of(name, {"tls", "head", "stack"})) {
        return Kind::Memory;
    }
    if (is_any_of(name, {"fd", "dirfd", "from", "to", "from_dirfd", "to_dirfd", "first", "last"})) {
        return Kind::Descriptor;
    }
    if (is_any_of(name, {"size", "length", "count", "bytes", "set_size", "address_bytes", "offset"})) {
        return Kind::Size;
    }
    if (name == "address" || name == "start" || name == "end") {
        return Kind::Address;
    }
    if (name == "protection") {
        return Kind::Protection;
    }
    if (name == "flags") {
        return call == "mmap" ? Kind::MapFlags : call == "clone" ? Kind::CloneFlags : Kind::Flags;
    }
    if (name == "signal") {
        return Kind::Signal;
    }
    if (is_any_of(name, {"pid", "tid", "who", "group"})) {
        return Kind::Task;
    }
    if (name == "operation") {
        return Kind::Operation;
    }
    if (is_any_of(name, {"uid", "gid", "real", "effective", "saved", "user"})) {
        return Kind::Label;
    }
    if (is_any_of(name, {"clock", "command", "option", "which", "whence", "how", "policy", "resource",
                         "action", "advice", "id", "cpu", "qos_class", "family", "type", "protocol",
                         "options", "nice", "request"})) {
        return Kind::Choice;
    }
    return Kind::Number;
}

// "(std::int32_t fd, In<char> path)"
std::vector<Kind> kinds_of(std::string_view prototype, std::string_view call) {
    std::vector<Kind> kinds;
    prototype = prototype.substr(1, prototype.size() - 2);
    while (!prototype.empty()) {
        const std::size_t comma = std::min(prototype.find(','), prototype.size());
        const std::string_view one = prototype.substr(0, comma);
        const std::size_t space = one.rfind(' ');
        std::string_view type = one.substr(0, space);
        type.remove_prefix(std::min(type.find_first_not_of(' '), type.size()));
        kinds.push_back(kind_of(type, one.substr(space + 1), call));
        prototype.remove_prefix(std::min(comma + 1, prototype.size()));
    }
    return kinds;
}

// Calls that end the task, or wait for what may never come, are one in many.
std::uint32_t weight_of(std::string_view name) {
    if (is_any_of(name, {"exit", "exit_group", "rt_sigreturn", "reboot", "execve"})) {
        return 1;
    }
    if (is_any_of(name, {"rt_sigsuspend", "pselect6", "ppoll", "clone", "nexus_spawn", "waitid", "wait4",
                         "flock"})) {
        return 8;
    }
    return 40;
}

std::uint64_t interesting(Random& random) {
    switch (random.below(8)) {
        case 0:
            return 0;
        case 1:
            return random.below(16);
        case 2:
            return std::uint64_t{1} << random.below(64);
        case 3:
            return (std::uint64_t{1} << random.below(64)) - 1;
        case 4:
            return ~std::uint64_t{0} - random.below(30);  // -32, doubled, looks like an address
        case 5:
            return random.below(4096);
        case 6:
            return random.next() & 0xffff'ffff;
        default:
            return random.next();
    }
}

std::uint64_t size(Random& random) {
    static constexpr std::array<std::uint64_t, 20> kSizes{0,
                                                          1,
                                                          4,
                                                          8,
                                                          8,
                                                          16,
                                                          24,
                                                          48,
                                                          64,
                                                          112,
                                                          128,
                                                          256,
                                                          1024,
                                                          4095,
                                                          4096,
                                                          8192,
                                                          65536,
                                                          1 << 20,
                                                          std::uint64_t{1} << 31,
                                                          ~std::uint64_t{0}};
    return random.one_in(10) ? interesting(random) : kSizes[random.below(kSizes.size())];
}

// Never process 1: who may, ends it, and with it the run.
std::uint64_t task(const Tasks& tasks, Random& random) {
    switch (random.below(8)) {
        case 0: {
            const std::uint64_t id = interesting(random);
            return static_cast<std::uint32_t>(id) == 1 ? 0 : id;
        }
        case 1:
            return ~std::uint64_t{0};
        case 2:
        case 3:
            return 0;
        default:
            return static_cast<std::uint64_t>(std::int64_t{tasks[random.below(tasks.size())]});
    }
}

std::uint64_t clone_flags(Random& random) {
    static constexpr std::array<std::uint64_t, 5> kFlags{17, 0x3d0f00, 0x4111, 0, 0x111};
    return random.one_in(6) ? interesting(random) : kFlags[random.below(kFlags.size())];
}

std::uint64_t find_leak(std::span<const std::uint64_t> words) {
    for (const std::uint64_t& word : words) {
        std::uint64_t value = 0;
        std::memcpy(&value, &word, sizeof value);  // other tasks write there
        const bool is_known = value == kKernelAddresses[0] || value == kKernelAddresses[1];
        if ((is_kernel_address(value) && !is_known) || has_unwritten(value)) {
            return value;
        }
    }
    return 0;
}

}  // namespace

std::vector<Row> read_table() {
    std::vector<Row> rows;
    for (const nexus_abi::CallRow& row : nexus_abi::kCallRows) {
        rows.push_back({.number = row.number,
                        .name = row.name,
                        .arguments = kinds_of(row.prototype, row.name),
                        .weight = weight_of(row.name)});
    }
    return rows;
}

bool Arena::map() {
    // Where nothing else is, and the same in every run.
    constexpr std::uint64_t kBase = 0x10'0000'0000;
    constexpr std::uint64_t kSlotsBytes = kSlots * kSlotBytes;
    const auto place = [](std::uint64_t at, std::uint64_t bytes, int protection) {
        void* const wanted = reinterpret_cast<void*>(at);
        return mmap(wanted, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == wanted ? at
                                                                                                         : 0;
    };
    slots_ = place(kBase, kSlotsBytes, PROT_READ | PROT_WRITE);
    end_ = kBase + kSlotsBytes;
    read_only_ = place(kBase + 0x10'0000, kPage, PROT_READ);
    closed_ = place(kBase + 0x20'0000, kPage, PROT_NONE);
    free_ = kBase + 0x100'0000;
    return slots_ != 0 && read_only_ != 0 && closed_ != 0;
}

void Arena::fill(std::uint64_t* slot, Random& random) {
    const std::uint64_t shape = random.below(6);
    for (std::size_t i = 0; i < kSlotBytes / 8; ++i) {
        switch (shape) {
            case 0:
                slot[i] = 0;
                break;
            case 1:
                slot[i] = random.below(128);
                break;
            case 2:
                slot[i] = i % 2 == 0 ? 0 : random.below(100'000);
                break;  // times
            case 3:
                slot[i] = i % 2 == 0 ? this->slot(random.below(kSlots)) : random.below(300);
                break;  // vectors
            case 4:
                slot[i] = i == 0 ? 112 : random.one_in(3) ? interesting(random) : random.below(8);
                break;
            default:
                slot[i] = random.one_in(4) ? interesting(random) : 0;
                break;
        }
        // What looks like the kernel's would be taken for a leak.
        if (is_kernel_address(slot[i]) || has_unwritten(slot[i])) {
            slot[i] = 0;
        }
    }
}

std::uint64_t Arena::memory(Random& random) {
    const std::uint64_t choice = random.below(32);
    switch (choice) {
        case 0:
            return 0;
        case 1:
            return end_ - random.below(64);  // reaches behind the end
        case 2:
            return read_only_ + random.below(kPage);
        case 3:
            return closed_;
        case 4:
            return kKernelAddresses[random.below(kKernelAddresses.size())];
        case 5:
            return slot(random.below(kSlots)) + random.below(16);
        case 6:
            return reinterpret_cast<std::uint64_t>(&interesting);
        case 7:
            return interesting(random);
        default:
            break;
    }
    const std::uint64_t at = slot(random.below(kSlots));
    if (!random.one_in(3)) {
        fill(reinterpret_cast<std::uint64_t*>(at), random);
    }
    return at;
}

// Few words, so that tasks meet at them.
std::uint64_t Arena::word(Random& random) {
    return random.one_in(8) ? memory(random) : slot(random.below(2)) + 4 * random.below(2);
}

std::uint64_t Arena::path(Random& random) {
    if (random.one_in(12)) {
        return memory(random);
    }
    const std::uint64_t at = slot(kSlots - 1 - random.below(4)) + 256 * random.below(4);
    std::strncpy(reinterpret_cast<char*>(at), kPaths[random.below(kPaths.size())], 255);
    return at;
}

std::uint64_t Arena::address(Random& random) {
    if (random.one_in(6)) {
        return random.one_in(2) ? 0 : interesting(random) & ~(kPage - 1);
    }
    return free_ + random.below(kFreePages) * kPage + (random.one_in(10) ? random.below(kPage) : 0);
}

std::uint64_t Arena::short_time(Random& random) {
    if (random.one_in(8)) {
        return memory(random);
    }
    const std::uint64_t at = slot(random.below(kSlots)) + 512;
    auto* const time = reinterpret_cast<std::uint64_t*>(at);
    time[0] = 0;
    time[1] = random.below(50'000);
    return at;
}

std::uint64_t Arena::leaked() const {
    return find_leak({reinterpret_cast<const std::uint64_t*>(slots_), (end_ - slots_) / 8});
}

std::uint64_t Arena::leaked(std::span<const std::uint64_t> pointers) const {
    for (const std::uint64_t pointer : pointers) {
        if (pointer >= slots_ && pointer < end_) {
            const std::uint64_t begin = pointer - (pointer - slots_) % kSlotBytes;
            const std::uint64_t found =
                find_leak({reinterpret_cast<const std::uint64_t*>(begin), kSlotBytes / 8});
            if (found != 0) {
                return found;
            }
        }
    }
    return 0;
}

std::array<std::uint64_t, Arena::kShownWords> Arena::around_leak() const {
    std::array<std::uint64_t, kShownWords> shown{};
    for (std::uint64_t at = slots_ + 32; at + 32 < end_; at += 8) {
        if (find_leak({reinterpret_cast<const std::uint64_t*>(at), 1}) != 0) {
            shown[0] = at;
            std::memcpy(&shown[1], reinterpret_cast<const void*>(at - 32), sizeof shown - 8);
            break;
        }
    }
    return shown;
}

std::uint64_t Arena::leaked_pages() const {
    // Through a pipe, as some are not there and some must not be read.
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_NONBLOCK) != 0) {
        return 0;
    }
    std::uint64_t found = 0;
    for (std::uint64_t page = 0; page < kFreePages && found == 0; ++page) {
        std::array<std::uint64_t, kPage / 8> copy{};
        const auto written = write(ends[1], reinterpret_cast<const void*>(free_ + page * kPage), kPage);
        if (written > 0 && read(ends[0], copy.data(), kPage) == written) {
            found = find_leak(copy);
        }
    }
    close(ends[0]);
    close(ends[1]);
    return found;
}

std::uint64_t argument(Kind kind, Arena& arena, const Tasks& tasks, Random& random) {
    switch (kind) {
        case Kind::Descriptor:
            return random.one_in(8)   ? interesting(random)
                   : random.one_in(4) ? static_cast<std::uint64_t>(-100)
                                      : random.below(12);
        case Kind::Path:
            return arena.path(random);
        case Kind::Memory:
            return arena.memory(random);
        case Kind::Word:
            return arena.word(random);
        case Kind::Size:
            return size(random);
        case Kind::Address:
            return arena.address(random);
        case Kind::Protection:
            return random.one_in(8) ? interesting(random) : random.below(4);
        case Kind::MapFlags:
            return random.one_in(5) ? interesting(random)
                                    : (random.one_in(2) ? 0x22U : 0x32U) ^ (random.one_in(4) ? 3U : 0U);
        case Kind::CloneFlags:
            return clone_flags(random);
        case Kind::Choice:
            return random.one_in(8) ? interesting(random) : random.below(16);
        case Kind::Flags:
            return random.one_in(3) ? 0
                   : random.one_in(4)
                       ? interesting(random)
                       : (std::uint64_t{1} << random.below(22)) | (std::uint64_t{1} << random.below(12));
        // The last two, which end or stop everybody, are rare.
        case Kind::Signal:
            return random.one_in(8) ? interesting(random) : random.one_in(16) ? 9 : 32 + random.below(34);
        case Kind::Task:
            return task(tasks, random);
        case Kind::Operation:
            return random.one_in(8) ? interesting(random) : random.below(14) | (random.one_in(2) ? 128U : 0U);
        case Kind::Timeout:
            return arena.short_time(random);
        case Kind::Label:
            return random.one_in(4) ? 0 : interesting(random);
        case Kind::Number:
            break;
    }
    return interesting(random);
}

}  // namespace call_fuzz
