// SPDX-License-Identifier: MIT
// What the compiler calls in builds with NEURON_KCSAN (GCC, -fsanitize=thread): before each plain access, and
// instead of each atomic one (compiler-rt's tsan_interface_atomic.h).
#include "sync/data_races.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>

#include "arch/contract.hpp"
#include "lib/fatal.hpp"
#include "lib/format.hpp"
#include "lib/log.hpp"

namespace kernel {

namespace {

// Places in the code are sampled rather than accesses (DataCollider, of the paper above): of what one place
// does on a hart the first, second, fourth, eighth ... access is watched, and later each of so many, so that
// what runs seldom is watched as well.
constexpr std::uint32_t kAccessesBetween = 1024;
// For how many turns of a loop of two instructions: as long as a short system call takes, and as all the
// accesses between two that are watched, so that half of a busy hart's time goes into watching.
constexpr std::uint32_t kTurns = 16384;
// Places that share a counter are watched less.
constexpr std::size_t kCounters = 4096;

// An access in a word: the low 48 bits of an address (the kernel's are sign-extended from 39), how many
// bytes, and how they are touched. 0 is none.
class Access {
  public:
    static constexpr std::uint64_t kWrite = std::uint64_t{1} << 63;
    static constexpr std::uint64_t kAtomic = std::uint64_t{1} << 62;

    constexpr Access() = default;
    constexpr explicit Access(std::uint64_t word) : word_{word} {}
    static Access of(std::uint64_t address, std::uint64_t bytes, std::uint64_t kind) {
        return Access{(address & kAddressMask) | std::min(bytes, kMostBytes) << kBytesShift | kind};
    }
    [[nodiscard]] std::uint64_t word() const { return word_; }
    [[nodiscard]] std::uint64_t low() const { return word_ & kAddressMask; }
    [[nodiscard]] std::uint64_t address() const { return low() | ~kAddressMask; }
    [[nodiscard]] std::uint64_t bytes() const { return word_ >> kBytesShift & kMostBytes; }
    [[nodiscard]] bool writes() const { return (word_ & kWrite) != 0; }
    [[nodiscard]] bool is_atomic() const { return (word_ & kAtomic) != 0; }
    [[nodiscard]] bool races_with(Access other) const {
        return low() < other.low() + other.bytes() && other.low() < low() + bytes() &&
               (writes() || other.writes());
    }

  private:
    static constexpr unsigned kBytesShift = 48;
    static constexpr std::uint64_t kAddressMask = (std::uint64_t{1} << kBytesShift) - 1;
    static constexpr std::uint64_t kMostBytes = 0x3fff;
    std::uint64_t word_{0};
};

// Instead of an access in Watch::watched: somebody met it and writes down who.
constexpr std::uint64_t kMet = ~std::uint64_t{0};

struct alignas(64) Watch {
    // Written by the hart; exchanged for kMet by who meets it.
    std::atomic<std::uint64_t> watched{0};
    // Who met it: its place in the code, and how it touched what. The second is set last.
    std::atomic<std::uint64_t> met_pc{0};
    std::atomic<std::uint64_t> met_access{0};
    // Hart-local.
    std::uint32_t unwatched{0};
    std::array<std::uint16_t, kCounters> counters{};  // of accesses, by place; wrap to kAccessesBetween
};
constinit std::array<Watch, kMaxCpus> watches{};
// Harts whose `watched` may be set: most accesses look at nothing else.
constinit std::atomic<std::uint64_t> watching_cpus{0};
static_assert(kMaxCpus <= 64);
constinit std::atomic<bool> is_on{false};

struct Place {
    std::uint64_t pc{0};  // what the call of the hook returns to; 0: not known
    Access access;
};
struct Race {
    Place watched;
    Place met;  // without an address: the bytes changed, by whom is not known
};
constexpr std::size_t kMostRaces = 64;
// Guarded by races_lock; a lock of its own kind, for it is taken whatever the hart holds.
constinit std::atomic<std::uint32_t> races_lock{0};
constinit std::array<Race, kMostRaces> races{};
constinit std::atomic<std::size_t> race_count{0};
constinit std::atomic<std::size_t> told_count{0};

bool is_pair(const Race& race, const Place& a, const Place& b) {
    return (race.watched.pc == a.pc && race.met.pc == b.pc) ||
           (race.watched.pc == b.pc && race.met.pc == a.pc);
}

void note_race(const Place& watched, const Place& met) {
    while (races_lock.exchange(1, std::memory_order_acquire) != 0) {
        arch::cpu_relax();
    }
    const std::size_t count = race_count.load(std::memory_order_relaxed);
    const bool is_known = std::any_of(races.cbegin(), races.cbegin() + count,
                                      [&](const Race& race) { return is_pair(race, watched, met); });
    if (!is_known && count < kMostRaces) {
        races[count] = {watched, met};
        race_count.store(count + 1, std::memory_order_release);  // pairs with report_races()
    }
    races_lock.store(0, std::memory_order_release);
}

// The value of what can be read at once; anything for the rest.
std::uint64_t value_at(std::uint64_t address, std::uint64_t bytes) {
    if (address % bytes != 0) {
        return 0;
    }
    switch (bytes) {
        case 1:
            return *reinterpret_cast<const volatile std::uint8_t*>(address);
        case 2:
            return *reinterpret_cast<const volatile std::uint16_t*>(address);
        case 4:
            return *reinterpret_cast<const volatile std::uint32_t*>(address);
        case 8:
            return *reinterpret_cast<const volatile std::uint64_t*>(address);
        default:
            return 0;
    }
}

[[gnu::noinline]] void watch(Watch& own, std::uint64_t cpu_bit, std::uint64_t address, std::uint64_t bytes,
                             bool is_write, std::uint64_t pc) {
    const Place place{pc, Access::of(address, bytes, is_write ? Access::kWrite : 0)};
    const std::uint64_t before = value_at(address, bytes);
    own.watched.store(place.access.word());
    watching_cpus.fetch_or(cpu_bit);
    for (std::uint32_t turn = 0; turn < kTurns; ++turn) {
        asm volatile("");
    }
    watching_cpus.fetch_and(~cpu_bit);
    const std::uint64_t after = value_at(address, bytes);
    if (own.watched.exchange(0) == kMet) {
        std::uint64_t met = 0;
        while ((met = own.met_access.exchange(0)) == 0) {
        }
        note_race(place, {own.met_pc.load(), Access{met}});
    } else if (before != after) {
        note_race(place, {});
    }
}

[[gnu::noinline]] void look_at_watches(std::uint64_t cpus, Access access, std::uint64_t pc) {
    for (; cpus != 0; cpus &= cpus - 1) {
        Watch& other = watches[static_cast<std::size_t>(__builtin_ctzll(cpus))];
        std::uint64_t watched = other.watched.load();
        if (watched != 0 && watched != kMet && access.races_with(Access{watched}) &&
            other.watched.compare_exchange_strong(watched, kMet)) {
            other.met_pc.store(pc);
            other.met_access.store(access.word());
        }
    }
}

// Whether this access of the place is one to be watched.
bool is_sampled(Watch& own, std::uint64_t pc) {
    static_assert((kAccessesBetween & (kAccessesBetween - 1)) == 0 && kAccessesBetween < UINT16_MAX / 2);
    std::uint16_t& counter = own.counters[(pc >> 1) % kCounters];
    counter =
        static_cast<std::uint16_t>(counter == 2 * kAccessesBetween ? kAccessesBetween + 1 : counter + 1);
    return (counter & (counter - 1)) == 0;
}

bool is_on_stack(std::uint64_t address, const arch::CpuLocal& local) {
    constexpr std::uint64_t kStackBytes = 16 * 1024;  // mm::kHartStackBytes, of a higher layer
    return local.stack_top - address <= kStackBytes;
}

void note_access(const volatile void* where, std::uint64_t bytes, std::uint64_t kind, void* code) {
    if (!is_on.load(std::memory_order_relaxed)) {
        return;
    }
    const arch::CpuLocal& local = arch::cpu_local();
    const auto address = reinterpret_cast<std::uint64_t>(where);
    Watch& own = watches[local.cpu.value()];
    if (own.unwatched != 0 || is_on_stack(address, local)) {
        return;
    }
    const std::uint64_t own_bit = std::uint64_t{1} << local.cpu.value();
    const auto pc = reinterpret_cast<std::uint64_t>(code);
    if (const std::uint64_t others = watching_cpus.load() & ~own_bit; others != 0) {
        look_at_watches(others, Access::of(address, bytes, kind), pc);
    }
    if ((kind & Access::kAtomic) == 0 && is_sampled(own, pc)) [[unlikely]] {
        watch(own, own_bit, address, bytes, (kind & Access::kWrite) != 0, pc);
    }
}

LineWriter& operator<<(LineWriter& line, const Place& place) {
    const Access access = place.access;
    return line << (access.writes() ? "write" : "read") << " of " << access.bytes() << " bytes at "
                << hex(access.address()) << " by " << hex(place.pc);
}

}  // namespace

void start_watching_races() {
    is_on.store(true);
}

void report_races() {
    std::size_t told = told_count.load(std::memory_order_relaxed);
    // Pairs with the release in note_race().
    while (told < race_count.load(std::memory_order_acquire)) {
        if (!told_count.compare_exchange_strong(told, told + 1)) {
            continue;
        }
        const Race& race = races[told];
        Line<log::kMaxLineBytes> line;
        line << "KCSAN: data race: " << race.watched;
        if (race.met.access.word() != 0) {
            line << (race.met.access.is_atomic() ? " and atomic " : " and ") << race.met;
        } else {
            line << " and a change by somebody";
        }
        log::marker(line.text());
        told = told + 1;
    }
}

void fail_if_raced() {
    report_races();
    is_on.store(false);
    if (const std::size_t count = race_count.load(); count != 0) {
        Line<64> line;
        line << "KCSAN: " << count << " data races, reported above";
        fatal(line.text());
    }
}

UnwatchedAccesses::UnwatchedAccesses() {
    ++watches[arch::current_cpu().value()].unwatched;
}
UnwatchedAccesses::~UnwatchedAccesses() {
    --watches[arch::current_cpu().value()].unwatched;
}

}  // namespace kernel

namespace {

using kernel::Access;
using kernel::note_access;

// What the compiler's order is: at least as strong.
template <class T, class Change>
T change(volatile T* address, void* code, Change&& value_after) {
    note_access(address, sizeof(T), Access::kWrite | Access::kAtomic, code);
    return value_after(address);
}

template <class T>
int compare_exchange(volatile T* address, T* expected, T value, void* code) {
    note_access(address, sizeof(T), Access::kWrite | Access::kAtomic, code);
    return __atomic_compare_exchange_n(address, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

}  // namespace

// NOLINTBEGIN(bugprone-reserved-identifier): the compiler's names.
#define CALLER __builtin_return_address(0)

#define PLAIN(bytes)                                         \
    extern "C" void __tsan_read##bytes(void*);               \
    extern "C" void __tsan_read##bytes(void* address) {      \
        note_access(address, bytes, 0, CALLER);              \
    }                                                        \
    extern "C" void __tsan_write##bytes(void*);              \
    extern "C" void __tsan_write##bytes(void* address) {     \
        note_access(address, bytes, Access::kWrite, CALLER); \
    }                                                        \
    extern "C" void __tsan_volatile_read##bytes(void*);      \
    extern "C" void __tsan_volatile_read##bytes(void*) {}    \
    extern "C" void __tsan_volatile_write##bytes(void*);     \
    extern "C" void __tsan_volatile_write##bytes(void*) {}
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)
#undef PLAIN

// -mstrict-align: by bytes.
#define UNALIGNED(bytes)                                           \
    extern "C" void __tsan_unaligned_read##bytes(void*);           \
    extern "C" void __tsan_unaligned_read##bytes(void* address) {  \
        note_access(address, bytes, 0, CALLER);                    \
    }                                                              \
    extern "C" void __tsan_unaligned_write##bytes(void*);          \
    extern "C" void __tsan_unaligned_write##bytes(void* address) { \
        note_access(address, bytes, Access::kWrite, CALLER);       \
    }
UNALIGNED(2)
UNALIGNED(4)
UNALIGNED(8)
UNALIGNED(16)
#undef UNALIGNED

extern "C" void __tsan_read_range(void*, unsigned long);
extern "C" void __tsan_read_range(void* start, unsigned long bytes) {
    note_access(start, bytes, 0, CALLER);
}
extern "C" void __tsan_write_range(void*, unsigned long);
extern "C" void __tsan_write_range(void* start, unsigned long bytes) {
    note_access(start, bytes, Access::kWrite, CALLER);
}
// An object's first pointer is set while it is built and taken apart, when nobody else knows it.
extern "C" void __tsan_vptr_update(void**, void*);
extern "C" void __tsan_vptr_update(void**, void*) {}
extern "C" void __tsan_init();
extern "C" void __tsan_init() {}
extern "C" void __tsan_atomic_thread_fence(int);
extern "C" void __tsan_atomic_thread_fence(int) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
extern "C" void __tsan_atomic_signal_fence(int);
extern "C" void __tsan_atomic_signal_fence(int) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

#define WORD(bits) std::uint##bits##_t

#define CHANGE(bits, name, builtin)                                                                        \
    extern "C" WORD(bits) __tsan_atomic##bits##_##name(volatile WORD(bits)*, WORD(bits), int);             \
    extern "C" WORD(bits)                                                                                  \
        __tsan_atomic##bits##_##name(volatile WORD(bits) * address, WORD(bits) value, int) {               \
        return change(address, CALLER,                                                                     \
                      [value](volatile WORD(bits) * at) { return builtin(at, value, __ATOMIC_SEQ_CST); }); \
    }

#define COMPARE_EXCHANGE(bits, kind)                                                                \
    extern "C" int __tsan_atomic##bits##_compare_exchange_##kind(volatile WORD(bits)*, WORD(bits)*, \
                                                                 WORD(bits), int, int);             \
    extern "C" int __tsan_atomic##bits##_compare_exchange_##kind(                                   \
        volatile WORD(bits) * address, WORD(bits) * expected, WORD(bits) value, int, int) {         \
        return compare_exchange(address, expected, value, CALLER);                                  \
    }

#define LOAD_AND_STORE(bits)                                                                            \
    extern "C" WORD(bits) __tsan_atomic##bits##_load(const volatile WORD(bits)*, int);                  \
    extern "C" WORD(bits) __tsan_atomic##bits##_load(const volatile WORD(bits) * address, int) {        \
        note_access(address, sizeof(*address), Access::kAtomic, CALLER);                                \
        return __atomic_load_n(address, __ATOMIC_SEQ_CST);                                              \
    }                                                                                                   \
    extern "C" void __tsan_atomic##bits##_store(volatile WORD(bits)*, WORD(bits), int);                 \
    extern "C" void __tsan_atomic##bits##_store(volatile WORD(bits) * address, WORD(bits) value, int) { \
        note_access(address, sizeof(*address), Access::kWrite | Access::kAtomic, CALLER);               \
        __atomic_store_n(address, value, __ATOMIC_SEQ_CST);                                             \
    }

// Of smaller ones the kernel uses no more: the compiler would need a library for them.
LOAD_AND_STORE(8)
LOAD_AND_STORE(16)

#define ATOMICS(bits)                           \
    LOAD_AND_STORE(bits)                        \
    CHANGE(bits, exchange, __atomic_exchange_n) \
    CHANGE(bits, fetch_add, __atomic_fetch_add) \
    CHANGE(bits, fetch_sub, __atomic_fetch_sub) \
    CHANGE(bits, fetch_and, __atomic_fetch_and) \
    CHANGE(bits, fetch_or, __atomic_fetch_or)   \
    CHANGE(bits, fetch_xor, __atomic_fetch_xor) \
    COMPARE_EXCHANGE(bits, strong)              \
    COMPARE_EXCHANGE(bits, weak)
ATOMICS(32)
ATOMICS(64)
// NOLINTEND(bugprone-reserved-identifier)
