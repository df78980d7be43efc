// SPDX-License-Identifier: MIT
// gauge: measures what the scheduler promises in figures, as init, and prints one KTAP line for each
// measurement.
//
//     gauge [NAME[:MILLISECONDS]]...        all of them without a name
//
// It judges nothing: figures.toml holds the limits. Exit: 0 when everything named was measured.
#include <array>
#include <bit>
#include <charconv>
#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "console.hpp"
#include "crew.hpp"
#include "gauges.hpp"
#include "ktap.hpp"
#include "nexus_abi/sched_calls.hpp"

namespace gauge {
namespace {

constexpr std::array kGauges{
    Gauge{"shares", 1, 2'000, measure_shares},   Gauge{"wait", 1, 2'000, measure_wait},
    Gauge{"spread", 2, 5'000, measure_spread},   Gauge{"wake", 1, 2'000, measure_wake},
    Gauge{"idle", 1, 15'000, measure_idle},      Gauge{"tickless", 2, 1'000, measure_tickless},
    Gauge{"budget", 1, 1'000, measure_budget},   Gauge{"yield", 1, 1'000, measure_yield},
    Gauge{"sections", 1, 200, measure_sections}, Gauge{"arrivals", 2, 200, measure_arrivals},
    Gauge{"handover", 2, 20, measure_handover},
};

struct Order {
    const Gauge* gauge;
    std::uint64_t milliseconds;
};

Order parse(std::string_view word) {
    const std::size_t colon = word.find(':');
    const std::string_view name = word.substr(0, colon);
    for (const Gauge& gauge : kGauges) {
        if (gauge.name == name) {
            Order order{&gauge, gauge.milliseconds};
            if (colon != std::string_view::npos) {
                const std::string_view digits = word.substr(colon + 1);
                const auto [end, error] =
                    std::from_chars(digits.data(), digits.data() + digits.size(), order.milliseconds);
                if (error != std::errc{} || end != digits.data() + digits.size() || order.milliseconds == 0) {
                    give_up("not a number of milliseconds: " + std::string{digits});
                }
            }
            return order;
        }
    }
    std::string names;
    for (const Gauge& gauge : kGauges) {
        names += " " + std::string{gauge.name};
    }
    give_up("no measurement '" + std::string{name} + "'; there are:" + names);
}

// The observer reads at the instants it means to, beside any hog: asleep nearly all the time, it always has
// boost.
void become_observer() {
    const auto self = nexus_abi::sched::kSelf;
    const auto attr = with_latency(attributes(nexus_abi::QosClass::PerfBurst, 100, 1), 1'000'000);
    if (const auto set = nexus_abi::sched::set_attr(self, attr); !set.ok()) {
        give_up(user::format("not a NEURON kernel, or no right to schedule: errno %d",
                             static_cast<int>(set.error())));
    }
}

int run(const std::vector<Order>& orders) {
    become_observer();
    const auto info = nexus_abi::info();
    const int harts = info.ok() ? std::popcount(info->cpus_online) : 0;
    user::Ktap ktap{orders.size()};
    int missing = 0;
    for (const Order& order : orders) {
        if (static_cast<std::uint32_t>(harts) < order.gauge->harts) {
            ktap.not_ok(order.gauge->name,
                        user::format("needs %u harts, %d online", order.gauge->harts, harts));
            ++missing;
        } else {
            ktap.ok(order.gauge->name, order.gauge->measure(order.milliseconds * 1'000'000));
        }
    }
    return missing == 0 ? 0 : 1;
}

}  // namespace
}  // namespace gauge

int main(int argc, char** argv) {
    std::vector<gauge::Order> orders;
    for (const char* word : std::span{argv, static_cast<std::size_t>(argc)}.subspan(argc > 0 ? 1 : 0)) {
        orders.push_back(gauge::parse(word));
    }
    if (orders.empty()) {
        for (const gauge::Gauge& gauge : gauge::kGauges) {
            orders.push_back({&gauge, gauge.milliseconds});
        }
    }
    return gauge::run(orders);
}
