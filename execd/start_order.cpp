// SPDX-License-Identifier: MIT
#include "start_order.hpp"

#include <algorithm>
#include <string_view>

namespace execd {
namespace {

ServiceEntry* find_service(std::vector<ServiceEntry>& services, std::string_view name) {
    const auto found =
        std::ranges::find_if(services, [&](const ServiceEntry& entry) { return entry.service.name == name; });
    return found == services.end() ? nullptr : &*found;
}

void remove_unknown_references(std::vector<ServiceEntry>& services, ErrorSink& errors) {
    std::vector<std::string_view> names;
    for (const ServiceEntry& entry : services) {
        names.push_back(entry.service.name);
    }
    for (ServiceEntry& entry : services) {
        const auto is_unknown = [&](const Reference& reference) {
            if (std::ranges::find(names, reference.name) != names.end()) {
                return false;
            }
            errors.add(reference.at, "unknown service '" + reference.name + "' in 'after'" +
                                         suggestion(reference.name, names));
            entry.faulty = true;
            return true;
        };
        std::erase_if(entry.service.after, is_unknown);
    }
}

// Depth-first walk along `after`; `path` holds the services from the root of the walk to here.
class CircleBreaker {
  public:
    CircleBreaker(std::vector<ServiceEntry>& services, ErrorSink& errors)
        : services_{&services}, errors_{&errors} {}

    void visit(ServiceEntry& entry) {
        if (std::ranges::find(done_, &entry) != done_.end()) {
            return;
        }
        path_.push_back(&entry);
        std::erase_if(entry.service.after, [&](const Reference& reference) {
            ServiceEntry* const earlier = find_service(*services_, reference.name);
            if (earlier == nullptr || closes_circle(*earlier, reference)) {
                entry.faulty = true;
                return true;
            }
            visit(*earlier);
            return false;
        });
        path_.pop_back();
        done_.push_back(&entry);
    }

  private:
    bool closes_circle(const ServiceEntry& earlier, const Reference& reference) {
        const auto start = std::ranges::find(path_, &earlier);
        if (start == path_.end()) {
            return false;
        }
        std::string circle;
        for (auto step = start; step != path_.end(); ++step) {
            circle += (*step)->service.name + " -> ";
        }
        errors_->add(reference.at, "'after' goes in a circle: " + circle + earlier.service.name);
        return true;
    }

    std::vector<ServiceEntry>* services_;
    ErrorSink* errors_;
    std::vector<ServiceEntry*> path_;
    std::vector<ServiceEntry*> done_;
};

}  // namespace

void check_start_order(std::vector<ServiceEntry>& services, ErrorSink& errors) {
    remove_unknown_references(services, errors);
    CircleBreaker breaker{services, errors};
    for (ServiceEntry& entry : services) {
        breaker.visit(entry);
    }
}

}  // namespace execd
