// SPDX-License-Identifier: MIT
#include "small_state.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

#include "small_world.hpp"

namespace sched_test {

using small_world::Action;
using small_world::World;

namespace {

// The states visited: open addressing, a power of two, at most half full. 0 marks a free place.
class StateSet {
  public:
    // True when it was not there.
    bool insert(std::uint64_t state) {
        state = state == 0 ? 1 : state;
        if (2 * (count_ + 1) > places_.size()) {
            grow();
        }
        return put(state);
    }

  private:
    bool put(std::uint64_t state) {
        const std::size_t mask = places_.size() - 1;
        for (std::size_t at = state & mask;; at = (at + 1) & mask) {
            if (places_[at] == state) {
                return false;
            }
            if (places_[at] == 0) {
                places_[at] = state;
                ++count_;
                return true;
            }
        }
    }
    void grow() {
        std::vector<std::uint64_t> old(std::max<std::size_t>(1024, places_.size() * 2));
        old.swap(places_);
        count_ = 0;
        for (const std::uint64_t state : old) {
            if (state != 0) {
                put(state);
            }
        }
    }

    std::vector<std::uint64_t> places_;
    std::size_t count_{0};
};

struct Path {
    static constexpr std::size_t kLongest = 23;
    std::array<std::uint8_t, kLongest> actions{};
    std::uint8_t length{0};
};

// Worlds come and go at one address, as bytes: whatever points into a world still does after a copy back.
class Stage {
  public:
    Stage(const ProtocolDefects& defects, const kernel::sched::Faults& faults)
        : world_{std::make_unique<World>(defects, faults)} {}
    World& world() { return *world_; }
    using Bytes = std::array<std::byte, sizeof(World)>;
    void save(Bytes& to) const { std::memcpy(to.data(), static_cast<const void*>(world_.get()), to.size()); }
    void load(const Bytes& from) { std::memcpy(static_cast<void*>(world_.get()), from.data(), from.size()); }

  private:
    std::unique_ptr<World> world_;
};

}  // namespace

Exploration explore(std::uint32_t depth, std::uint64_t max_states, const ProtocolDefects& defects,
                    const kernel::sched::Faults& faults) {
    static const std::vector<Action> kActions = small_world::all_actions();
    Exploration result;
    Stage stage{defects, faults};
    auto root = std::make_unique<Stage::Bytes>();
    auto here = std::make_unique<Stage::Bytes>();
    auto there = std::make_unique<Stage::Bytes>();
    stage.save(*root);
    StateSet seen;
    seen.insert(stage.world().hash());
    std::vector<Path> level(1);
    result.states = 1;
    for (std::uint32_t at = 0; at < std::min<std::uint32_t>(depth, Path::kLongest); ++at) {
        std::vector<Path> next;
        for (const Path& path : level) {
            stage.load(*root);
            for (std::uint8_t i = 0; i < path.length; ++i) {
                stage.world().apply(kActions[path.actions[i]]);
            }
            stage.save(*here);
            for (std::size_t number = 0; number < kActions.size(); ++number) {
                if (!stage.world().is_enabled(kActions[number])) {
                    continue;
                }
                stage.world().apply(kActions[number]);
                ++result.steps;
                if (seen.insert(stage.world().hash())) {
                    ++result.states;
                    Path longer = path;
                    longer.actions[longer.length++] = static_cast<std::uint8_t>(number);
                    stage.save(*there);
                    const char* found = stage.world().violation();
                    found = found == nullptr ? stage.world().settle() : found;
                    if (found != nullptr) {
                        result.violation = found;
                        for (std::uint8_t i = 0; i < longer.length; ++i) {
                            result.violation += "\n  " + kActions[longer.actions[i]].text();
                        }
                        return result;
                    }
                    next.push_back(longer);
                }
                stage.load(*here);
            }
            if (result.states >= max_states) {
                return result;
            }
        }
        result.depth = at + 1;
        level = std::move(next);
    }
    result.is_complete = result.depth == depth;
    return result;
}

}  // namespace sched_test
