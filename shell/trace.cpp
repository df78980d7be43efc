// SPDX-License-Identifier: MIT
// trace: switches the scheduler's trace, and prints what it kept as lines that scripts/trace2perfetto reads.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "console.hpp"
#include "nexus_abi/calls.hpp"
#include "nexus_abi/sched_calls.hpp"
#include "nexus_abi/trace.hpp"
#include "trace_frames.hpp"

namespace {

using nexus_abi::trace_control;
using nexus_abi::trace_record;
using nexus_abi::TraceKind;

constexpr std::string_view kUsage =
    "usage: trace start [--only CATEGORY,...] [--records N]\n"
    "       trace stop | status\n"
    "       trace dump [--console]\n"
    "       trace run [--only CATEGORY,...] [--records N] [--console] -- PROGRAM [ARGUMENT...]\n"
    "  start    writes down what each CPU does from now on; --records: how much it keeps (256..65536, 8192)\n"
    "  dump     gives it to the host: through /dev/hvc0 where the machine has that, else as lines on the "
    "console\n"
    "           (--console: always), for scripts/trace2perfetto; while the trace is on it is what there is "
    "so far\n"
    "  run      start, the program, stop, dump; the exit status is the program's\n"
    "  CATEGORY sched, attr, lag, irq, calls, faults; all of them if none is named";

struct Category {
    std::string_view name;
    std::uint32_t bit;
};
constexpr std::array kCategories{
    Category{"sched", nexus_abi::kTraceSched}, Category{"attr", nexus_abi::kTraceAttr},
    Category{"lag", nexus_abi::kTraceLag},     Category{"irq", nexus_abi::kTraceIrq},
    Category{"calls", nexus_abi::kTraceCalls}, Category{"faults", nexus_abi::kTraceFaults},
};

struct Options {
    std::uint32_t categories{nexus_abi::kTraceAll};
    std::uint32_t records{0};
    std::vector<char*> program;
    bool on_console{false};
};

int complain(const std::string& text) {
    static_cast<void>(std::fprintf(stderr, "trace: %s\n", text.c_str()));
    return 1;
}

std::optional<std::uint32_t> parse_categories(std::string_view list) {
    std::uint32_t bits = 0;
    while (!list.empty()) {
        const std::string_view name = list.substr(0, list.find(','));
        const auto* const found = std::ranges::find(kCategories, name, &Category::name);
        if (found == kCategories.end()) {
            return std::nullopt;
        }
        bits |= found->bit;
        list.remove_prefix(std::min(list.size(), name.size() + 1));
    }
    return bits;
}

// What comes after the command's name, or nothing after an error was printed.
std::optional<Options> parse(std::span<char*> arguments) {
    Options options;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string_view argument = arguments[i];
        if (argument == "--") {
            options.program.assign(arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1, arguments.end());
            return options;
        }
        if (argument == "--console") {
            options.on_console = true;
            continue;
        }
        if ((argument != "--only" && argument != "--records") || i + 1 == arguments.size()) {
            complain(user::format("'%s': not an option, or without its value", arguments[i]));
            return std::nullopt;
        }
        const std::string_view value = arguments[++i];
        if (argument == "--only") {
            const auto bits = parse_categories(value);
            if (!bits || *bits == 0) {
                complain(
                    user::format("'%s': not a list of sched, attr, lag, irq, calls, faults", arguments[i]));
                return std::nullopt;
            }
            options.categories = *bits;
        } else {
            const auto [end, error] = std::from_chars(value.begin(), value.end(), options.records);
            if (error != std::errc{} || end != value.end() || options.records < 256 ||
                options.records > nexus_abi::kTraceMaxRecords) {
                complain(user::format("'%s': not a number from 256 to 65536", arguments[i]));
                return std::nullopt;
            }
        }
    }
    return options;
}

nexus_abi::Result<trace_control> control(std::uint32_t categories, std::uint32_t records,
                                         std::uint32_t flags = 0) {
    trace_control wanted{.size = sizeof(trace_control),
                         .categories = categories,
                         .records = records,
                         .flags = flags,
                         .started = 0,
                         .was = 0,
                         .kept = 0};
    TRY(nexus_abi::call::nexus_trace_control(nexus_abi::InOut<trace_control>{&wanted}, sizeof(wanted)));
    return wanted;
}

int explain(std::string_view what, nexus_abi::Error error) {
    return complain(
        user::format("%s: %s", std::string{what}.c_str(), std::strerror(static_cast<int>(error))));
}

int start(const Options& options) {
    const auto done = control(options.categories, options.records);
    return done.ok() ? 0 : explain("start", done.error());
}

// The line to the host takes nothing for this long: nobody takes it in there.
constexpr int kPatienceMs = 1000;

// Numbers frames and gives them away: as lines on the console, or through the line to the host as the bytes
// of a trace file.
class Dump {
  public:
    // host: a descriptor of /dev/hvc0, or -1 for the console.
    explicit Dump(int host) : host_{host} {
        if (host_ >= 0) {
            send(user::kTraceFileMagic);
        }
    }
    void put(std::uint8_t cpu, std::uint64_t lost, std::span<const trace_record> records) {
        const std::string frame = user::trace_frame(cpu, number_++, lost, records);
        if (host_ >= 0) {
            send(frame);
        } else {
            user::write_line(user::trace_line(frame));
        }
    }
    // Whether all of it was taken.
    [[nodiscard]] bool end() {
        put(user::kTraceEndCpu, 0, {});
        return !failed_;
    }
    [[nodiscard]] std::uint32_t frames() const { return number_; }

  private:
    void send(std::string_view bytes) {
        for (int waited = 0; !bytes.empty() && !failed_;) {
            const ::ssize_t sent = ::write(host_, bytes.data(), bytes.size());
            if (sent > 0) {
                bytes.remove_prefix(static_cast<std::size_t>(sent));
                waited = 0;
            } else if (sent < 0 && errno == EAGAIN && waited++ < kPatienceMs) {
                static_cast<void>(::usleep(1000));
            } else {
                failed_ = true;
            }
        }
    }

    int host_;
    std::uint32_t number_{0};
    bool failed_{false};
};

nexus_abi::Result<void> dump_tasks(Dump& dump) {
    std::array<nexus_abi::sched_snapshot_entry, 16> entries{};
    std::uint64_t cursor = 0;
    while (const std::size_t count = TRY(nexus_abi::sched::snapshot(entries, cursor))) {
        for (std::size_t i = 0; i < count; ++i) {
            const nexus_abi::sched_snapshot_entry& entry = entries[i];
            std::vector<trace_record> records;
            user::append_task(
                records,
                user::trace_record_of(0, TraceKind::Start, static_cast<std::uint32_t>(entry.tid),
                                      static_cast<std::uint32_t>(entry.pid)),
                std::string_view{entry.name, ::strnlen(entry.name, sizeof(entry.name))});
            const auto tid = static_cast<std::uint32_t>(entry.tid);
            records.push_back(user::trace_record_of(0, TraceKind::SetClass, tid, entry.qos_class));
            records.push_back(user::trace_record_of(0, TraceKind::SetShares, tid, entry.shares));
            records.push_back(user::trace_record_of(0, TraceKind::SetMask, tid,
                                                    static_cast<std::uint32_t>(entry.affinity)));
            records.push_back(user::trace_record_of(0, TraceKind::Charged, tid,
                                                    static_cast<std::uint32_t>(entry.runtime_ns / 1000)));
            dump.put(user::kTraceTasksCpu, 0, records);
        }
    }
    return {};
}

// Up to where each ring is now: while the trace is on, the printing itself adds to it.
nexus_abi::Result<void> dump_cpu(Dump& dump, std::uint32_t cpu, std::uint32_t kept) {
    std::array<trace_record, user::kTraceFrameRecords> records{};
    std::uint64_t position = 0;
    std::uint64_t taken = 0;
    while (taken < kept) {
        const std::uint64_t before = position;
        const std::size_t count = TRY(nexus_abi::call::nexus_trace_read(
            std::uint64_t{cpu}, nexus_abi::Out<trace_record>{records.data()}, records.size(),
            nexus_abi::InOut<std::uint64_t>{&position}));
        if (count == 0 && position == before) {
            break;
        }
        dump.put(static_cast<std::uint8_t>(cpu), position - before - count, std::span{records}.first(count));
        taken += count;
    }
    return {};
}

// Whether all of it was taken.
nexus_abi::Result<bool> dump_to(int host, std::uint32_t kept) {
    Dump dump{host};
    TRY(dump_tasks(dump));
    const nexus_abi::abi_info info = TRY(nexus_abi::info());
    for (std::uint32_t cpu = 0; cpu < 64; ++cpu) {
        if ((info.cpus_possible >> cpu & 1U) != 0) {
            TRY(dump_cpu(dump, cpu, kept));
        }
    }
    const bool taken = dump.end();
    if (taken && host >= 0) {
        user::write_line(user::format("trace: %u frames went to the host", dump.frames()));
    }
    return taken;
}

nexus_abi::Result<void> dump_all(std::uint32_t kept, bool on_console) {
    const int host = on_console ? -1 : ::open("/dev/hvc0", O_WRONLY | O_CLOEXEC);
    const auto taken = dump_to(host, kept);
    if (host >= 0) {
        ::close(host);
    }
    if (!TRY(taken)) {
        complain("/dev/hvc0 does not take it: it goes to the console");
        TRY(dump_to(-1, kept));
    }
    return {};
}

// Switches off, or back on after a dump in the middle: what is read is what is told.
int stop_and_dump(bool goes_on, bool on_console) {
    const auto stopped = control(0, 0);
    if (!stopped.ok()) {
        return explain("stop", stopped.error());
    }
    const auto dumped = dump_all(stopped->kept, on_console);
    if (goes_on && stopped->was != 0) {
        const auto again = control(stopped->was, 0);
        if (!again.ok()) {
            return explain("start", again.error());
        }
    }
    return dumped.ok() ? 0 : explain("dump", dumped.error());
}

int status() {
    const auto now = control(0, 0, nexus_abi::kTraceQuery);
    if (!now.ok()) {
        return explain("status", now.error());
    }
    std::string names;
    for (const Category& category : kCategories) {
        names += (now->was & category.bit) != 0 ? " " + std::string{category.name} : "";
    }
    user::write_line(user::format("trace %s, %u records per CPU%s%s", now->was != 0 ? "on" : "off", now->kept,
                                  names.empty() ? "" : ":", names.c_str()));
    return 0;
}

int run(Options& options) {
    if (options.program.empty()) {
        return complain("run: which program? trace run -- PROGRAM [ARGUMENT...]");
    }
    options.program.push_back(nullptr);
    if (const int failed = start(options); failed != 0) {
        return failed;
    }
    const ::pid_t child = ::fork();
    if (child == 0) {
        ::execv(options.program[0], options.program.data());
        static_cast<void>(std::fprintf(stderr, "trace: %s: %s\n", options.program[0], std::strerror(errno)));
        ::_exit(127);
    }
    int ended = 0;
    if (child < 0 || ::waitpid(child, &ended, 0) != child) {
        return complain(user::format("%s: %s", options.program[0], std::strerror(errno)));
    }
    const int failed = stop_and_dump(false, options.on_console);
    if (failed != 0) {
        return failed;
    }
    return WIFEXITED(ended) ? WEXITSTATUS(ended) : 128 + WTERMSIG(ended);
}

}  // namespace

int main(int argc, char** argv) {
    const std::span arguments{argv, static_cast<std::size_t>(argc)};
    const std::string_view command = argc > 1 ? arguments[1] : "";
    if (command == "stop" && argc == 2) {
        const auto stopped = control(0, 0);
        return stopped.ok() ? 0 : explain("stop", stopped.error());
    }
    const bool on_console = argc == 3 && std::string_view{arguments[2]} == "--console";
    if (command == "dump" && (argc == 2 || on_console)) {
        return stop_and_dump(true, on_console);
    }
    if (command == "status" && argc == 2) {
        return status();
    }
    if (command == "start" || command == "run") {
        auto options = parse(arguments.subspan(2));
        if (!options || (command == "start" && (!options->program.empty() || options->on_console))) {
            return 1;
        }
        return command == "start" ? start(*options) : run(*options);
    }
    static_cast<void>(std::fprintf(stderr, "%s\n", std::string{kUsage}.c_str()));
    return command == "--help" || command == "help" ? 0 : 1;
}
