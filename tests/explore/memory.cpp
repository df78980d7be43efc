// SPDX-License-Identifier: MIT
#include "memory.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <vector>

// The program's first byte, so that a place in the code reads as addr2line wants it.
extern "C" const char __executable_start;  // NOLINT(bugprone-reserved-identifier): the linker's name

namespace explore::memory {

namespace {

constexpr std::uint32_t kLocationsMax = 96;
// A load chooses among so many values at most: older ones add nothing that two would not show.
constexpr std::uint32_t kStaleMax = 4;

// What a hart knows of: the newest store of each watched location that it must not read behind, and how far
// each other hart had come.
struct View {
    std::array<std::uint16_t, kLocationsMax> seen{};
    std::array<std::uint32_t, kHartsMax> clock{};

    void join(const View& other) {
        for (std::uint32_t i = 0; i < kLocationsMax; ++i) {
            seen[i] = std::max(seen[i], other.seen[i]);
        }
        for (std::uint32_t i = 0; i < kHartsMax; ++i) {
            clock[i] = std::max(clock[i], other.clock[i]);
        }
    }
};

constexpr std::uint32_t kNone = ~0U;

struct Write {
    std::uint64_t value;
    std::uint32_t released;  // index of the view that goes with it, or kNone
};

// An open hash table that forgets everything at once.
template <class Value, std::uint32_t kSlots>
class Table {
  public:
    void clear() { ++round_; }
    // Null: not there.
    Value* find(std::uintptr_t key) {
        Slot& slot = slot_of(key);
        return slot.round == round_ ? &slot.value : nullptr;
    }
    Value& operator[](std::uintptr_t key) {
        Slot& slot = slot_of(key);
        if (slot.round != round_) {
            slot = {.round = round_, .key = key, .value = {}};
        }
        return slot.value;
    }

  private:
    struct Slot {
        std::uint64_t round{0};
        std::uintptr_t key{0};
        Value value{};
    };
    Slot& slot_of(std::uintptr_t key) {
        std::uint32_t at = static_cast<std::uint32_t>((key * 0x9E37'79B9'7F4A'7C15U) >> 40U) % kSlots;
        for (std::uint32_t probe = 0; probe < kSlots; ++probe, at = (at + 1) % kSlots) {
            Slot& slot = slots_[at];
            if (slot.round != round_ || slot.key == key) {
                return slot;
            }
        }
        std::fprintf(stderr, "explorer: too many places in memory\n");
        std::abort();
    }
    std::vector<Slot> slots_{kSlots};
    std::uint64_t round_{1};
};

struct HartView {
    View now;
    View released;  // by its last release fence
    View pending;   // of what it has read without acquiring it: an acquire fence does
    bool has_released{false};
};

struct Location {
    std::vector<Write> writes;  // oldest first; the first one is what was there before
};

// Who accessed a place plainly, and when by his own clock.
struct Cell {
    std::array<std::uint32_t, kHartsMax> read{};
    std::uint32_t write{0};
    std::uint32_t writer{0};
    const void* write_code{nullptr};
    std::array<const void*, kHartsMax> read_code{};
};

struct Range {
    std::uintptr_t start;
    std::uintptr_t end;
};

struct State {
    std::uint32_t harts{0};
    bool checks_races{false};
    std::vector<Range> watched;
    std::vector<Range> tracked;
    std::array<HartView, kHartsMax> views;
    View consistent;  // what sequentially consistent accesses and fences must not read behind; no clocks
    std::array<Location, kLocationsMax> locations;
    std::uint32_t location_count{0};
    Table<std::uint32_t, 4096> location_of;  // watched address -> location
    Table<std::uint32_t, 4096> released_by;  // any other atomic -> view, plus one
    std::vector<View> released;
    Table<Cell, 65536> cells;
};
State state;

bool acquires(Order order) {
    return order == Order::Acquire || order == Order::Consume || order == Order::AcqRel ||
           order == Order::SeqCst;
}
bool releases(Order order) {
    return order == Order::Release || order == Order::AcqRel || order == Order::SeqCst;
}

std::uintptr_t number(const volatile void* address) {
    return reinterpret_cast<std::uintptr_t>(address);
}

bool is_in(const std::vector<Range>& ranges, std::uintptr_t at) {
    return std::ranges::any_of(ranges,
                               [at](const Range& range) { return at >= range.start && at < range.end; });
}

std::uint32_t location_of(const volatile void* address, std::uint64_t value) {
    if (const std::uint32_t* const known = state.location_of.find(number(address)); known != nullptr) {
        return *known;
    }
    if (state.location_count == kLocationsMax) {
        std::fprintf(stderr, "explorer: more than %u watched locations\n", kLocationsMax);
        std::abort();
    }
    const std::uint32_t index = state.location_count++;
    state.location_of[number(address)] = index;
    state.locations[index].writes.assign(1, {.value = value, .released = kNone});
    return index;
}

// The view goes with a write: of everything so far when it releases, else up to the last release fence.
std::uint32_t view_of_write(HartView& hart, std::uint32_t index, Order order, std::uint32_t inherited) {
    const bool has_own = releases(order) || hart.has_released;
    if (!has_own) {
        return inherited;
    }
    View view = releases(order) ? hart.now : hart.released;
    if (inherited != kNone) {
        view.join(state.released[inherited]);
    }
    if (releases(order)) {
        ++hart.now.clock[index];
    }
    state.released.push_back(view);
    return static_cast<std::uint32_t>(state.released.size() - 1);
}

void note_read(HartView& hart, std::uint32_t released, Order order) {
    if (released != kNone) {
        (acquires(order) ? hart.now : hart.pending).join(state.released[released]);
    }
}

void write(std::uint32_t hart, const volatile void* address, std::uint64_t before, std::uint64_t value,
           Order order, bool reads) {
    HartView& view = state.views[hart];
    if (!is_watched(address)) {
        std::uint32_t& known = state.released_by[number(address)];
        const std::uint32_t inherited = reads && known != 0 ? known - 1 : kNone;
        if (reads) {
            note_read(view, inherited, order);
        }
        known = view_of_write(view, hart, order, inherited) + 1;
        return;
    }
    const std::uint32_t index = location_of(address, before);
    std::vector<Write>& writes = state.locations[index].writes;
    const std::uint32_t inherited = reads ? writes.back().released : kNone;
    if (reads) {
        note_read(view, inherited, order);
    }
    const auto stamp = static_cast<std::uint16_t>(writes.size());
    view.now.seen[index] = stamp;
    writes.push_back({.value = value, .released = view_of_write(view, hart, order, inherited)});
    if (order == Order::SeqCst) {
        state.consistent.seen[index] = stamp;
    }
}

std::string place(const void* code) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "0x%lx",
                  static_cast<unsigned long>(number(code) - number(&__executable_start)));
    return text.data();
}

}  // namespace

void reset(std::uint32_t harts, bool checks_races) {
    state.harts = harts;
    state.checks_races = checks_races;
    state.watched.clear();
    state.tracked.clear();
    state.views = {};
    for (std::uint32_t i = 0; i < harts; ++i) {
        state.views[i].now.clock[i] = 1;
    }
    state.consistent = {};
    state.location_count = 0;
    state.location_of.clear();
    state.released_by.clear();
    state.released.clear();
    state.cells.clear();
}

void watch(const void* start, std::size_t bytes) {
    state.watched.push_back({number(start), number(start) + bytes});
}

bool is_watched(const volatile void* address) {
    return is_in(state.watched, number(address));
}

void track(const void* start, std::size_t bytes) {
    state.tracked.push_back({number(start), number(start) + bytes});
}

std::uint64_t load(std::uint32_t hart, const volatile void* address, std::uint64_t newest, Order order,
                   std::uint32_t (*decide)(std::uint32_t options)) {
    HartView& view = state.views[hart];
    if (!is_watched(address)) {
        const std::uint32_t* const known = state.released_by.find(number(address));
        note_read(view, known == nullptr ? kNone : *known - 1, order);
        return newest;
    }
    const std::uint32_t index = location_of(address, newest);
    const std::vector<Write>& writes = state.locations[index].writes;
    std::uint32_t oldest = view.now.seen[index];
    if (order == Order::SeqCst) {
        oldest = std::max<std::uint32_t>(oldest, state.consistent.seen[index]);
    }
    // The newest, and older ones that differ from it and from the one after them.
    std::array<std::uint32_t, kStaleMax> choices{static_cast<std::uint32_t>(writes.size()) - 1};
    std::uint32_t count = 1;
    for (std::uint32_t at = choices[0]; at-- > oldest && count < kStaleMax;) {
        if (writes[at].value != writes.back().value && writes[at].value != writes[at + 1].value) {
            choices[count++] = at;
        }
    }
    const std::uint32_t taken = choices[count == 1 ? 0 : decide(count)];
    view.now.seen[index] = static_cast<std::uint16_t>(taken);
    if (order == Order::SeqCst) {
        state.consistent.seen[index] = std::max(state.consistent.seen[index], view.now.seen[index]);
    }
    note_read(view, writes[taken].released, order);
    return writes[taken].value;
}

void store(std::uint32_t hart, const volatile void* address, std::uint64_t before, std::uint64_t value,
           Order order) {
    write(hart, address, before, value, order, false);
}

void exchange(std::uint32_t hart, const volatile void* address, std::uint64_t before, std::uint64_t value,
              Order order) {
    write(hart, address, before, value, order, true);
}

void failed_exchange(std::uint32_t hart, const volatile void* address, Order order) {
    HartView& view = state.views[hart];
    if (const std::uint32_t* const index = state.location_of.find(number(address)); index != nullptr) {
        const std::vector<Write>& writes = state.locations[*index].writes;
        view.now.seen[*index] = static_cast<std::uint16_t>(writes.size() - 1);
        note_read(view, writes.back().released, order);
    } else if (const std::uint32_t* const known = state.released_by.find(number(address)); known != nullptr) {
        note_read(view, *known - 1, order);
    }
}

void fence(std::uint32_t hart, Order order) {
    HartView& view = state.views[hart];
    if (acquires(order)) {
        view.now.join(view.pending);
    }
    if (order == Order::SeqCst) {
        for (std::uint32_t i = 0; i < state.location_count; ++i) {
            view.now.seen[i] = state.consistent.seen[i] =
                std::max(view.now.seen[i], state.consistent.seen[i]);
        }
    }
    if (releases(order)) {
        view.released = view.now;
        view.has_released = true;
        ++view.now.clock[hart];
    }
}

void catch_up(std::uint32_t hart, std::uint32_t other) {
    if (hart != other) {
        state.views[hart].now.join(state.views[other].now);
        ++state.views[other].now.clock[other];
    }
}

bool settle() {
    bool changed = false;
    for (std::uint32_t i = 0; i < state.location_count; ++i) {
        const auto newest = static_cast<std::uint16_t>(state.locations[i].writes.size() - 1);
        for (std::uint32_t hart = 0; hart < state.harts; ++hart) {
            changed = changed || state.views[hart].now.seen[i] != newest;
            state.views[hart].now.seen[i] = newest;
        }
    }
    return changed;
}

std::string access(std::uint32_t hart, const volatile void* address, bool is_write, const void* code) {
    if (!state.checks_races || !is_in(state.tracked, number(address))) {
        return {};
    }
    const View& view = state.views[hart].now;
    Cell& cell = state.cells[number(address)];
    const auto race = [&](const char* what, std::uint32_t other, const void* other_code) {
        return std::string{is_write ? "plain write" : "plain read"} + " at " + place(code) +
               " races with the " + what + " of hart " + std::to_string(other) + " at " + place(other_code);
    };
    if (cell.write > view.clock[cell.writer] && cell.writer != hart) {
        return race("write", cell.writer, cell.write_code);
    }
    if (!is_write) {
        cell.read[hart] = view.clock[hart];
        cell.read_code[hart] = code;
        return {};
    }
    for (std::uint32_t other = 0; other < state.harts; ++other) {
        if (other != hart && cell.read[other] > view.clock[other]) {
            return race("read", other, cell.read_code[other]);
        }
    }
    cell.write = view.clock[hart];
    cell.writer = hart;
    cell.write_code = code;
    return {};
}

}  // namespace explore::memory
