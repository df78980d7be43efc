// SPDX-License-Identifier: MIT
// NEURON's scheduler calls: what each answers, every errno of each, and structs of other sizes.
#include <sched.h>
#include <time.h>

#include <array>
#include <bit>
#include <cstddef>
#include <limits>
#include <thread>

#include "neuron_checks.hpp"

namespace {

namespace abi = nexus_abi;
namespace call = nexus_abi::call;
namespace sched = nexus_abi::sched;
using checks::answers;
using checks::bad_pointer;
using checks::equal;
using checks::fails;
using checks::succeeds;
using checks::truth;
using nexus_abi::AffinityPolicy;
using nexus_abi::In;
using nexus_abi::InOut;
using nexus_abi::Out;
using nexus_abi::QosClass;
using nexus_abi::sched_attr;
using nexus_abi::sched_hartstat;
using nexus_abi::sched_snapshot_entry;
using nexus_abi::sched_stat;

constexpr std::int32_t kSelf = sched::kSelf;
constexpr std::int32_t kNobody = 30'000;
constexpr std::int64_t kTooLarge = std::int64_t{1} << 31;
constexpr std::uint64_t kAllCpus = ~std::uint64_t{0};
constexpr std::uint64_t kAbsentCpu = std::uint64_t{1} << 63;

std::uint64_t online_cpus() {
    return nexus_abi::info().value_or({}).cpus_online;
}

sched_attr own_attributes() {
    const auto attributes = sched::get_attr(kSelf);
    succeeds("its attributes", attributes);
    return attributes.value_or({});
}

void tell_of_the_system() {
    const auto info = nexus_abi::info();
    succeeds("the system", info);
    const nexus_abi::abi_info told = info.value_or({});
    equal("bytes told", told.size, sizeof(told));
    equal("version of the ABI", told.abi_version, nexus_abi::kAbiVersion);
    checks::reads("version of the system", told.version, "neuron 0.1.0");
    truth("cpus", (told.cpus_online & ~told.cpus_possible) == 0 && (told.cpus_online & 1) != 0);
    truth("the clock", told.timebase_hz >= 1'000'000);
    equal("sched_attr", told.sched_attr_size, sizeof(sched_attr));
    equal("sched_stat", told.sched_stat_size, sizeof(sched_stat));
    equal("sched_hartstat", told.sched_hartstat_size, sizeof(sched_hartstat));
    equal("spawn_args", told.spawn_args_size, sizeof(nexus_abi::spawn_args));
    nexus_abi::abi_info small{};
    fails("a smaller struct", call::nexus_abi_info(&small, sizeof(small) - 1), EINVAL);
    fails("an absurd size", call::nexus_abi_info(&small, 4097), EINVAL);
    fails("a struct of the kernel's", call::nexus_abi_info(bad_pointer<nexus_abi::abi_info>(), sizeof(small)),
          EFAULT);
    fails("a budget too small", call::sched_set_budget(kSelf, 1, 2), EINVAL);
    fails("limits of no size", call::sched_set_limits(kSelf, bad_pointer<sched_attr>(), 0), EINVAL);
}

// Errors that all calls with a pid share, for callers with every right.
template <class Call>
void refuse_targets(const Call& call) {
    fails("nobody", call(kNobody), ESRCH);
    fails("a negative id", call(-5), EINVAL);
}

void set_classes() {
    for (const QosClass wanted :
         {QosClass::Idle, QosClass::Interactive, QosClass::PerfBurst, QosClass::Normal}) {
        succeeds("a class", sched::set_qos_class(kSelf, wanted));
        const auto told = sched::get_qos_class(kSelf).value_or({});
        truth("it is told", told.requested == wanted);
        truth("and served", told.effective == wanted ||
                                (wanted == QosClass::PerfBurst && told.effective == QosClass::Interactive));
    }
    for (const std::int64_t wrong : {std::int64_t{4}, std::int64_t{-1}, kTooLarge, std::int64_t{1} << 32}) {
        fails("no class", call::sched_set_qos_class(kSelf, wrong), EINVAL);
    }
    truth("it stays", sched::get_qos_class(kSelf).value_or({}).requested == QosClass::Normal);
    refuse_targets([](std::int32_t pid) { return sched::set_qos_class(pid, QosClass::Normal); });
    refuse_targets([](std::int32_t pid) { return sched::get_qos_class(pid); });
}

std::int64_t now_ns() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

// A task gathers a tenth of its life as time that it may be boosted; PerfBurst is served as such once 10 ms
// are there, and as Interactive before. The clock is read on both sides of birth and of the change: what they
// leave open may come out either way, however long anything takes.
void serve_perfburst() {
    constexpr std::int64_t kBoostToBegin = 10'000'000;
    constexpr std::int64_t kAgeToBegin = 10 * kBoostToBegin;
    for (const bool is_old_enough : {false, true}) {
        const std::int64_t before_birth = now_ns();
        std::thread{[&] {
            const std::int64_t born = now_ns();
            if (is_old_enough) {
                const std::int64_t age = born + kAgeToBegin;
                const timespec until{age / 1'000'000'000, age % 1'000'000'000};
                clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
            }
            const std::int64_t before = now_ns();
            succeeds("PerfBurst", sched::set_qos_class(kSelf, QosClass::PerfBurst));
            const QosClass served = sched::get_qos_class(kSelf).value_or({}).effective;
            const std::int64_t after = now_ns();
            if (after - before_birth < kAgeToBegin) {
                truth("as Interactive at first", served == QosClass::Interactive);
            }
            if (before - born >= kAgeToBegin && after - before < kBoostToBegin) {
                truth("as PerfBurst in time", served == QosClass::PerfBurst);
            }
        }}.join();
    }
}

// A setter of one number: what it makes of some, and that the rest is refused.
template <class Set>
void set_numbers(const Set& set, std::int64_t least, std::int64_t most) {
    answers("zero", set(kSelf, 0), least);
    answers("one", set(kSelf, 1), 1);
    answers("the most", set(kSelf, most), most);
    answers("more", set(kSelf, most + 1), most);
    answers("as much as can be said", set(kSelf, kTooLarge - 1), most);
    fails("more than that", set(kSelf, kTooLarge), EINVAL);
    fails("a negative number", set(kSelf, -1), EINVAL);
    refuse_targets([&](std::int32_t pid) { return set(pid, 1); });
}

void set_shares_and_hints() {
    set_numbers(call::sched_set_shares, nexus_abi::kSharesMin, nexus_abi::kSharesMax);
    equal("shares are told", own_attributes().shares, nexus_abi::kSharesMax);
    set_numbers(call::sched_set_latency_hint, 0, nexus_abi::kLatencyHintMaxMs);
    equal("latency is told", own_attributes().latency_ns, nexus_abi::kLatencyHintMaxNs);
    set_numbers(call::sched_set_burst_hint, 0, nexus_abi::kBurstHintMaxMs);
    equal("burst is told", own_attributes().burst_ns, nexus_abi::kBurstHintMaxNs);
    answers("shares as before", call::sched_set_shares(kSelf, 100), 100);
    answers("no latency hint", call::sched_set_latency_hint(kSelf, 0), 0);
    answers("no burst hint", call::sched_set_burst_hint(kSelf, 0), 0);
}

void set_affinity() {
    const std::uint64_t online = online_cpus();
    for (int cpu = 0; cpu < std::popcount(online); ++cpu) {
        const std::uint64_t mask = std::uint64_t{1} << cpu;
        answers("one cpu and absent ones", sched::set_affinity(kSelf, mask | kAbsentCpu),
                static_cast<std::int64_t>(mask));
        equal("it runs there", sched_getcpu(), cpu);
        truth("the wish is kept", own_attributes().affinity == (mask | kAbsentCpu));
    }
    fails("none", sched::set_affinity(kSelf, 0), EINVAL);
    fails("an absent one", sched::set_affinity(kSelf, kAbsentCpu), EINVAL);
    answers("all", sched::set_affinity(kSelf, kAllCpus), static_cast<std::int64_t>(online));
    refuse_targets([](std::int32_t pid) { return call::sched_set_affinity(pid, 1); });

    const std::array<std::uint64_t, 128> mask{1, kAllCpus};
    const auto set = [&](std::uint64_t bytes, std::uint64_t policy) {
        return call::sched_set_affinity_policy(kSelf, bytes, mask.data(), policy);
    };
    succeeds("prefer a cpu", set(8, 1));
    sched_attr told = own_attributes();
    equal("the policy is told", told.affinity_policy, 1);
    truth("the mask stays", told.effective_affinity == online && told.affinity_prefer == 1);
    succeeds("a long mask, pinned", set(sizeof(mask), 0));
    told = own_attributes();
    truth("its first word counts", told.affinity_policy == 0 && told.effective_affinity == 1);
    equal("it runs there", sched_getcpu(), 0);
    fails("no mask", set(0, 0), EINVAL);
    fails("a crooked size", set(12, 0), EINVAL);
    fails("too long a mask", set(sizeof(mask) + 8, 0), EINVAL);
    fails("an unknown policy", set(8, 9), EINVAL);
    succeeds("fast harts", set(8, 2));
    equal("the policy is told", own_attributes().affinity_policy, 2);
    succeeds("efficient harts", set(8, 3));
    equal("the policy is told", own_attributes().affinity_policy, 3);
    fails("a mask of the kernel's",
          call::sched_set_affinity_policy(kSelf, 8, bad_pointer<std::uint64_t>(), 0), EFAULT);
    const std::uint64_t nothing = 0;
    fails("an empty mask", call::sched_set_affinity_policy(kSelf, 8, &nothing, 0), EINVAL);
    fails("preferring nothing", call::sched_set_affinity_policy(kSelf, 8, &nothing, 1), EINVAL);
    refuse_targets([&](std::int32_t pid) { return call::sched_set_affinity_policy(pid, 8, mask.data(), 0); });
    answers("all again", sched::set_affinity(kSelf, kAllCpus), static_cast<std::int64_t>(online));
}

sched_attr change_of(std::uint64_t fields) {
    sched_attr change{};
    change.fields = fields;
    change.qos_class = std::to_underlying(QosClass::Normal);
    change.shares = 100;
    change.affinity = kAllCpus;
    return change;
}

template <class Edit>
void refuse_change(const char* what, std::uint64_t fields, int error, const Edit& edit) {
    const sched_attr before = own_attributes();
    sched_attr change = change_of(fields | nexus_abi::kFieldClass);
    change.qos_class = std::to_underlying(QosClass::Interactive);
    edit(change);
    fails(what, sched::set_attr(kSelf, change), error);
    truth("all or none", std::memcmp(&before, std::array{own_attributes()}.data(), sizeof(before)) == 0);
}

void set_many_at_once() {
    sched_attr change =
        change_of(nexus_abi::kFieldClass | nexus_abi::kFieldShares | nexus_abi::kFieldLatency |
                  nexus_abi::kFieldBurst | nexus_abi::kFieldAffinity | nexus_abi::kFieldFlags);
    change.qos_class = std::to_underlying(QosClass::Interactive);
    change.shares = 200;
    change.latency_ns = nexus_abi::kLatencyHintMinNs;
    change.burst_ns = nexus_abi::kBurstHintMinNs;
    change.affinity = 1;
    change.flags = nexus_abi::kAttrResetOnSpawn;
    succeeds("six fields", sched::set_attr(kSelf, change));
    const sched_attr told = own_attributes();
    truth("class", told.qos_class == change.qos_class && told.effective_class == change.qos_class);
    truth("shares", told.shares == 200 && told.effective_shares == 200);
    truth("hints", told.latency_ns == change.latency_ns && told.burst_ns == change.burst_ns);
    truth("mask and flags", told.effective_affinity == 1 && told.flags == nexus_abi::kAttrResetOnSpawn);
    change.shares = 5000;
    change.latency_ns = 1;
    change.burst_ns = 10 * nexus_abi::kBurstHintMaxNs;
    change.flags = nexus_abi::kAttrClamp;
    succeeds("values out of range, clamped", sched::set_attr(kSelf, change));
    const sched_attr clamped = own_attributes();
    truth("they are", clamped.shares == 1000 && clamped.latency_ns == nexus_abi::kLatencyHintMinNs &&
                          clamped.burst_ns == nexus_abi::kBurstHintMaxNs && clamped.flags == 0);

    refuse_change("no such class", 0, EINVAL, [](sched_attr& attr) { attr.qos_class = 4; });
    refuse_change("no shares", abi::kFieldShares, EINVAL, [](sched_attr& attr) { attr.shares = 0; });
    refuse_change("too many shares", abi::kFieldShares, EINVAL, [](sched_attr& attr) { attr.shares = 1001; });
    refuse_change("too short a latency", abi::kFieldLatency, EINVAL,
                  [](sched_attr& attr) { attr.latency_ns = 1; });
    refuse_change("too long a burst", abi::kFieldBurst, EINVAL,
                  [](sched_attr& attr) { attr.burst_ns = abi::kBurstHintMaxNs + 1; });
    refuse_change("no cpu", abi::kFieldAffinity, EINVAL,
                  [](sched_attr& attr) { attr.affinity = kAbsentCpu; });
    refuse_change("no such policy", abi::kFieldPolicy, EINVAL,
                  [](sched_attr& attr) { attr.affinity_policy = 4; });
    refuse_change("a budget of no period", abi::kFieldBudget, EINVAL,
                  [](sched_attr& attr) { attr.budget_ns = 1'000'000; });
    refuse_change("a group", abi::kFieldGroup, EINVAL, [](sched_attr& attr) { attr.group = 1; });
    refuse_change("an unknown flag", 0, EINVAL,
                  [](sched_attr& attr) { attr.flags = abi::kAttrFlagsAll + 1; });
    refuse_change("a reserved field", 0, EINVAL, [](sched_attr& attr) { attr.reserved[1] = 1; });
    refuse_change("a read-only field", 0, EINVAL, [](sched_attr& attr) { attr.effective_shares = 1; });

    succeeds("as before", sched::set_attr(kSelf, change_of(abi::kFieldsAll & ~abi::kFieldPrefer)));
    const sched_attr plain = change_of(0);
    refuse_targets([&](std::int32_t pid) { return sched::set_attr(pid, plain); });
    refuse_targets([](std::int32_t pid) { return sched::get_attr(pid); });
}

// A struct as a newer program knows it.
template <class T>
struct Longer {
    T known{};
    std::array<std::uint64_t, 20> unknown{};
};

void know_other_sizes() {
    Longer<sched_attr> longer{.known = change_of(nexus_abi::kFieldShares)};
    longer.known.size = sizeof(longer);
    longer.known.shares = 50;
    const In<sched_attr> wanted{&longer.known};
    succeeds("longer, the rest is zero", call::nexus_sched_setattr(kSelf, wanted, 0));
    equal("it is applied", own_attributes().shares, 50);
    longer.unknown.back() = 1;
    longer.known.shares = 60;
    fails("longer, the rest is not", call::nexus_sched_setattr(kSelf, wanted, 0), E2BIG);
    equal("it tells what is known", longer.known.size, sizeof(sched_attr));
    equal("it is not applied", own_attributes().shares, 50);
    for (const std::uint32_t size : {0U, std::uint32_t{sizeof(sched_attr) - 1}, 4097U}) {
        longer.known.size = size;
        fails("a size that cannot be", call::nexus_sched_setattr(kSelf, wanted, 0), EINVAL);
    }
    longer.known.size = sizeof(sched_attr);
    fails("an unknown flag", call::nexus_sched_setattr(kSelf, wanted, 1), EINVAL);
    fails("a struct of the kernel's", call::nexus_sched_setattr(kSelf, bad_pointer<sched_attr>(), 0), EFAULT);

    longer.unknown.fill(kAllCpus);
    succeeds("an answer to a newer program", call::nexus_sched_getattr(kSelf, &longer.known, sizeof(longer)));
    equal("it tells how much is meant", longer.known.size, sizeof(sched_attr));
    truth("the rest is zero", longer.unknown == decltype(longer.unknown){});
    fails("an answer to an older one",
          call::nexus_sched_getattr(kSelf, &longer.known, sizeof(sched_attr) - 1), EINVAL);
    fails("an absurd size", call::nexus_sched_getattr(kSelf, &longer.known, 4097), EINVAL);
    fails("an answer to the kernel",
          call::nexus_sched_getattr(kSelf, bad_pointer<sched_attr>(), sizeof(sched_attr)), EFAULT);

    Longer<sched_stat> stat;
    stat.unknown.fill(kAllCpus);
    succeeds("statistics, longer", call::sched_getstat(kSelf, &stat.known, sizeof(stat)));
    truth("the rest is zero",
          stat.known.size == sizeof(sched_stat) && stat.unknown == decltype(stat.unknown){});
    constexpr std::uint32_t kWithoutCpus = offsetof(sched_stat, runtime_by_cpu_ns);
    stat.known.runtime_by_cpu_ns[0] = 77;
    succeeds("statistics without those of cpus", call::sched_getstat(kSelf, &stat.known, kWithoutCpus));
    truth("nothing else is written",
          stat.known.size == kWithoutCpus && stat.known.runtime_by_cpu_ns[0] == 77);
    fails("statistics, shorter", call::sched_getstat(kSelf, &stat.known, kWithoutCpus - 1), EINVAL);
    fails("statistics for the kernel",
          call::sched_getstat(kSelf, bad_pointer<sched_stat>(), sizeof(sched_stat)), EFAULT);

    Longer<sched_hartstat> hart;
    hart.unknown.fill(kAllCpus);
    succeeds("a hart, longer", call::sched_hartstat(0, &hart.known, sizeof(hart)));
    truth("the rest is zero",
          hart.known.size == sizeof(sched_hartstat) && hart.unknown == decltype(hart.unknown){});
    // What the first version of the ABI had is enough to ask for, and then the later members stay as they
    // were.
    constexpr std::uint32_t kFirstHartstat = offsetof(sched_hartstat, nr_denied);
    hart.known.nr_denied = 77;
    succeeds("a hart, as ABI 1 first had it", call::sched_hartstat(0, &hart.known, kFirstHartstat));
    truth("nothing behind it is written", hart.known.size == kFirstHartstat && hart.known.nr_denied == 77);
    fails("a hart, shorter", call::sched_hartstat(0, &hart.known, kFirstHartstat - 1), EINVAL);
    fails("a hart for the kernel",
          call::sched_hartstat(0, bad_pointer<sched_hartstat>(), sizeof(sched_hartstat)), EFAULT);
    answers("shares as before", call::sched_set_shares(kSelf, 100), 100);
}

void read_statistics() {
    const sched_stat before = sched::get_stat(kSelf).value_or({});
    truth("it runs",
          before.state == std::to_underlying(nexus_abi::TaskState::Running) && before.runtime_ns > 0);
    sched_stat after = before;
    while (after.runtime_ns < before.runtime_ns + 1'000'000) {
        after = sched::get_stat(kSelf).value_or({});
    }
    truth("masks", after.mask_effective == online_cpus() && after.mask_requested == kAllCpus);
    std::uint64_t sum = 0;
    for (const std::uint64_t runtime : after.runtime_by_cpu_ns) {
        sum += runtime;
    }
    equal("every cpu's time is the whole", static_cast<std::int64_t>(sum),
          static_cast<std::int64_t>(after.runtime_ns));
    refuse_targets([](std::int32_t pid) { return sched::get_stat(pid); });

    for (std::uint32_t cpu = 0; cpu < 64; ++cpu) {
        const bool is_online = (online_cpus() >> cpu & 1) != 0;
        const auto hart = sched::hart_stat(cpu);
        if (is_online) {
            truth("an online cpu", hart.ok() && hart->online == 1 && hart->capacity >= 1);
        } else {
            fails("an absent cpu", hart, EINVAL);
        }
    }
    fails("a cpu beyond all", sched::hart_stat(64), EINVAL);
    sched_hartstat unused{};
    fails("a cpu whose number is cut", call::sched_hartstat(std::uint64_t{1} << 32, &unused, sizeof(unused)),
          EINVAL);

    std::array<sched_snapshot_entry, 4> tasks{};
    std::uint64_t cursor = 0;
    answers("everybody", sched::snapshot(tasks, cursor), 1);
    truth("that is this task", tasks[0].tid == 1 && tasks[0].pid == 1 && tasks[0].parent == 0 && cursor == 1);
    checks::reads("its name", tasks[0].name, "neuron_calls_sc");
    answers("nobody else", sched::snapshot(tasks, cursor), 0);
    cursor = std::uint64_t{1} << 32;
    fails("a cursor beyond all ids", sched::snapshot(tasks, cursor), EINVAL);
    cursor = 0;
    fails("a cursor of the kernel's", call::sched_snapshot(tasks.data(), 4, bad_pointer<std::uint64_t>()),
          EFAULT);
    fails("tasks for the kernel", call::sched_snapshot(bad_pointer<sched_snapshot_entry>(), 4, &cursor),
          EFAULT);
    answers("room for none", call::sched_snapshot(tasks.data(), 0, &cursor), 0);
}

constexpr checks::Case kCases[]{
    {"tell of the system", tell_of_the_system},
    {"set classes", set_classes},
    {"serve perfburst", serve_perfburst},
    {"set shares and hints", set_shares_and_hints},
    {"set affinity", set_affinity},
    {"set many at once", set_many_at_once},
    {"know other sizes", know_other_sizes},
    {"read statistics", read_statistics},
};

}  // namespace

int main(int, char** argv) {
    return checks::run(argv[0], kCases);
}
