// SPDX-License-Identifier: MIT
// What the twin (twin.hpp) is to do, and how a sequence that shows a difference is cut down.
#include <algorithm>
#include <array>
#include <sstream>

#include "twin.hpp"

namespace sched_test {

using kernel::CpuMask;
using kernel::Duration;
using kernel::sched::Attributes;
using kernel::sched::kClasses;
using Kind = Operation::Kind;

namespace {

const char* name_of(Kind kind) {
    static constexpr std::array kNames{"advance",  "advance-to", "wake",    "note-woken",  "arrive", "fork",
                                       "block",    "yield",      "preempt", "evict",       "exit",   "pick",
                                       "charge",   "remove",     "steal",   "raise-frame", "set",    "lend",
                                       "end-loan", "budget",     "group",   "ceiling"};
    return kNames[static_cast<std::size_t>(kind)];
}

}  // namespace

std::string Operation::text() const {
    std::ostringstream out;
    out << name_of(kind) << " hart=" << hart << " other=" << other << " task=" << task << " amount=" << amount
        << " late=" << late << " class=" << static_cast<int>(attributes.qos_class)
        << " shares=" << attributes.shares << " latency=" << attributes.latency.ns()
        << " burst=" << attributes.burst.ns() << " mask=" << attributes.affinity_effective.bits();
    return out.str();
}

// --- Random operations ---

std::int64_t OperationSource::any_time() {
    // As likely a nanosecond as a second; rarely hours, days or a stopped machine.
    const std::uint64_t bits = below(200) == 0 ? 34 + below(16) : below(31);
    return static_cast<std::int64_t>(below(std::uint64_t{1} << bits)) + 1;
}

Attributes OperationSource::any_attributes() {
    static constexpr std::array<std::uint32_t, 9> kShares{1, 2, 3, 10, 50, 100, 333, 999, 1000};
    Attributes attributes;
    attributes.qos_class = kernel::sched::class_at(below(kClasses));
    attributes.shares = kShares[below(kShares.size())];
    const auto hint = [this](std::int64_t longest_ms) {
        return Duration::microseconds(
            100 + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(longest_ms) * 1000)));
    };
    attributes.latency = below(2) == 0 ? hint(20) : Duration{};
    attributes.burst = below(3) == 0 ? hint(50) : Duration{};
    const auto bits = below(std::uint64_t{1} << shape_.harts);
    attributes.affinity = attributes.affinity_effective =
        bits == 0 ? CpuMask::first(shape_.harts) : CpuMask::from_bits(bits);
    return attributes;
}

Operation OperationSource::next() {
    // How often each kind comes, of the sum.
    static constexpr std::array<std::uint8_t, 22> kOften{10, 14, 20, 3, 8, 8, 6, 3, 2, 1, 2,
                                                         20, 2,  2,  4, 1, 6, 2, 2, 2, 1, 1};
    std::uint64_t sum = 0;
    for (const auto often : kOften) {
        sum += often;
    }
    std::uint64_t drawn = below(sum);
    std::size_t kind = 0;
    while (drawn >= kOften[kind]) {
        drawn -= kOften[kind++];
    }
    Operation operation{.kind = static_cast<Kind>(kind),
                        .hart = static_cast<std::uint32_t>(below(shape_.harts)),
                        .other = static_cast<std::uint32_t>(below(shape_.harts)),
                        .task = static_cast<std::uint32_t>(below(shape_.tasks)),
                        .amount = any_time(),
                        .late = below(50) == 0 ? static_cast<std::int64_t>(below(2000)) : 0};
    if (operation.kind == Kind::AdvanceTo) {
        operation.amount = std::int64_t{1} << 33;
    }
    operation.attributes = any_attributes();
    if (shape_.is_ping_pong) {
        static constexpr std::array kUsual{Kind::Wake,  Kind::Wake,  Kind::Wake,   Kind::Wake,   Kind::Wake,
                                           Kind::Block, Kind::Block, Kind::Block,  Kind::Pick,   Kind::Pick,
                                           Kind::Fork,  Kind::Fork,  Kind::Arrive, Kind::Advance};
        const std::uint64_t which = below(kUsual.size() * 10);
        if (which < kUsual.size() * 9) {
            operation.kind = kUsual[which % kUsual.size()];
            if (operation.kind == Kind::Advance) {
                operation.amount = static_cast<std::int64_t>(below(50'000));
            } else if (below(2) == 0) {
                operation.amount |= 0b111;  // the short ways: see Twin::enqueue()
            }
        }
        operation.attributes.latency = below(8) == 0 ? operation.attributes.latency : Duration{};
        operation.attributes.burst = below(8) == 0 ? operation.attributes.burst : Duration{};
        if (rally_ == 0 && below(40) == 0) {
            rally_ = below(100);
        }
        if (rally_ != 0) {
            --rally_;
            operation.kind = below(8) == 0 ? Kind::Block : below(6) == 0 ? Kind::Fork : Kind::Wake;
            operation.hart = 0;
            operation.amount = static_cast<std::int64_t>(below(1'000'000)) | 0b111;
        }
    }
    if (shape_.is_usual) {
        operation.attributes.qos_class = kernel::sched::QosClass::Normal;
        const bool is_limit = operation.kind == Operation::Kind::Lend ||
                              operation.kind == Operation::Kind::Budget ||
                              operation.kind == Operation::Kind::Group;
        operation.kind = is_limit ? Operation::Kind::Pick : operation.kind;
    }
    return operation;
}

// --- Finding and cutting down ---

namespace {

std::optional<std::string> replay(const Shape& shape, const std::vector<Operation>& operations) {
    Twin twin{shape};
    for (const Operation& operation : operations) {
        if (auto found = twin.apply(operation)) {
            return found;
        }
    }
    return std::nullopt;
}

// Leaves out ever smaller pieces as long as something differs (Zeller's ddmin, complements only).
Failure shrink(const Shape& shape, Failure failure) {
    for (std::size_t piece = failure.operations.size() / 2; piece != 0; piece /= 2) {
        for (std::size_t from = 0; from + piece <= failure.operations.size();) {
            std::vector<Operation> rest = failure.operations;
            const auto begin = rest.begin() + static_cast<std::ptrdiff_t>(from);
            rest.erase(begin, begin + static_cast<std::ptrdiff_t>(piece));
            if (auto found = replay(shape, rest)) {
                failure = {.difference = *found, .operations = std::move(rest)};
            } else {
                from += piece;
            }
        }
    }
    return failure;
}

}  // namespace

std::optional<Failure> find_difference(const Shape& shape, std::uint64_t count, Twin::PlainSteps* steps) {
    Twin twin{shape};
    OperationSource source{shape};
    std::vector<Operation> done;
    done.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) {
        done.push_back(source.next());
        if (auto found = twin.apply(done.back())) {
            return shrink(shape, {.difference = *found, .operations = std::move(done)});
        }
    }
    if (steps != nullptr) {
        steps->wakes += twin.plain_steps().wakes;
        steps->switches += twin.plain_steps().switches;
        steps->put_off += twin.plain_steps().put_off;
        steps->hand_overs += twin.plain_steps().hand_overs;
        steps->births += twin.plain_steps().births;
        steps->born += twin.plain_steps().born;
        steps->ends += twin.plain_steps().ends;
        steps->at_once += twin.plain_steps().at_once;
        steps->among += twin.plain_steps().among;
        steps->refused += twin.plain_steps().refused;
    }
    return std::nullopt;
}

std::string script_of(const Shape& shape, const Failure& failure) {
    std::ostringstream out;
    out << failure.difference << "\nharts=" << shape.harts << " tasks=" << shape.tasks
        << " seed=" << shape.seed << " start=" << shape.start_ns << ", " << failure.operations.size()
        << " operations:\n";
    for (const Operation& operation : failure.operations) {
        out << "  " << operation.text() << "\n";
    }
    return out.str();
}

}  // namespace sched_test
