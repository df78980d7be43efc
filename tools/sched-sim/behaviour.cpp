// SPDX-License-Identifier: MIT
#include "behaviour.hpp"

#include <utility>

namespace sched_sim {
namespace {

class Hog final : public Behaviour {
  public:
    Action next(const Self&) override { return run_forever(); }
    [[nodiscard]] bool is_hog() const override { return true; }
};

class Periodic final : public Behaviour {
  public:
    Periodic(Duration period, Distribution work, Duration offset)
        : period_{period}, work_{work}, offset_{offset} {}

    Action next(const Self& self) override {
        if (!started_) {
            started_ = true;
            release_ = self.now + offset_;
            return sleep_until(release_);
        }
        if (runs_next_) {
            runs_next_ = false;
            return run(work_.draw(self.random));
        }
        runs_next_ = true;
        // Releases it slept through are over: it never runs two periods' work at once.
        while (release_ <= self.now) {
            release_ += period_;
        }
        return sleep_until(release_);
    }

  private:
    Duration period_;
    Distribution work_;
    Duration offset_;
    Instant release_;
    bool started_{false};
    bool runs_next_{true};
};

class OnOff final : public Behaviour {
  public:
    OnOff(Distribution work, Distribution rest) : work_{work}, rest_{rest} {}
    Action next(const Self& self) override {
        runs_next_ = !runs_next_;
        return runs_next_ ? sleep_for(rest_.draw(self.random)) : run(work_.draw(self.random));
    }

  private:
    Distribution work_;
    Distribution rest_;
    bool runs_next_{true};
};

class Script final : public Behaviour {
  public:
    Script(std::vector<Action> actions, bool repeat) : actions_{std::move(actions)}, repeat_{repeat} {}
    Action next(const Self&) override {
        if (at_ == actions_.size()) {
            if (!repeat_ || actions_.empty()) {
                return exit_now();
            }
            at_ = 0;
        }
        return actions_[at_++];
    }

  private:
    std::vector<Action> actions_;
    bool repeat_;
    std::size_t at_{0};
};

class Program final : public Behaviour {
  public:
    explicit Program(std::function<Action(const Self&)> next) : next_{std::move(next)} {}
    Action next(const Self& self) override { return next_(self); }

  private:
    std::function<Action(const Self&)> next_;
};

class Forker final : public Behaviour {
  public:
    Forker(NewTask child, std::function<BehaviourPtr()> behaviour, std::uint32_t count, Duration gap,
           bool exits)
        : child_{std::move(child)},
          behaviour_{std::move(behaviour)},
          left_{count},
          gap_{gap},
          exits_{exits} {}

    Action next(const Self&) override {
        if (left_ == 0) {
            return exits_ ? exit_now() : run_forever();
        }
        if (works_next_ && !gap_.is_zero()) {
            works_next_ = false;
            return run(gap_);
        }
        works_next_ = true;
        --left_;
        auto child = std::make_shared<NewTask>(child_);
        child->behaviour = behaviour_();
        if (!child->name.empty()) {
            child->name += std::to_string(made_++);
        }
        return Action{.kind = Action::Kind::Fork, .child = std::move(child)};
    }

  private:
    NewTask child_;
    std::function<BehaviourPtr()> behaviour_;
    std::uint32_t left_;
    std::uint32_t made_{0};
    Duration gap_;
    bool exits_;
    bool works_next_{true};
};

}  // namespace

BehaviourPtr hog() {
    return std::make_shared<Hog>();
}

BehaviourPtr periodic(Duration period, Distribution work, Duration offset) {
    return std::make_shared<Periodic>(period, work, offset);
}

BehaviourPtr on_off(Distribution work, Distribution rest) {
    return std::make_shared<OnOff>(work, rest);
}

BehaviourPtr script(std::vector<Action> actions, bool repeat) {
    return std::make_shared<Script>(std::move(actions), repeat);
}

BehaviourPtr program(std::function<Action(const Self&)> next) {
    return std::make_shared<Program>(std::move(next));
}

BehaviourPtr yielder(Duration work) {
    return script({run(work), yield_now()}, true);
}

BehaviourPtr forker(NewTask child, std::function<BehaviourPtr()> behaviour, std::uint32_t count, Duration gap,
                    bool exits) {
    return std::make_shared<Forker>(std::move(child), std::move(behaviour), count, gap, exits);
}

}  // namespace sched_sim
