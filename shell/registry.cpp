// SPDX-License-Identifier: MIT
// Which tools there are, and how to use them.
#include <array>

#include "tools.hpp"

namespace shell {
namespace {

constexpr std::array kTools{
    Tool{"dmesg", run_dmesg, "the kernel's log",
         "usage: dmesg [-l LEVEL,...] [-x] [--json]\n"
         "  -l  only these levels: emerg, alert, crit, err, warn, notice, info, debug; \"err+\": that and "
         "above\n"
         "  -x  names each line's level"},
    Tool{"help", run_help, "this list, or how to use one of them", "usage: help [TOOL]"},
    Tool{"kill", run_kill, "sends a signal to processes",
         "usage: kill [-s SIGNAL | -SIGNAL] PID...\n"
         "       kill -l [SIGNAL]\n"
         "  SIGNAL is a name or a number; TERM if none is given, 0 asks only whether it may be sent"},
    Tool{"nproc", run_nproc, "how many CPUs there are for it",
         "usage: nproc [--all] [--json]\n"
         "  --all  those of the machine, not those this task may use"},
    Tool{"poweroff", run_poweroff, "switches the machine off", "usage: poweroff"},
    Tool{"ps", run_ps, "processes and how they are scheduled",
         "usage: ps [-e] [-T] [-p PID,...] [-o FIELD,...] [--sort [-]FIELD] [--json]\n"
         "  -e  every process (so it is without; -A, aux and -ef mean the same)\n"
         "  -T  every thread\n"
         "  FIELD is pid, tid, ppid, s, state, class, eclass, shares, cpu, mask, cpus, time, wait, comm, "
         "args"},
    Tool{"qos", run_qos, "shows and changes class, shares, latency, burst and budget",
         "usage: qos [get] PID [--json]\n"
         "       qos set PID KEY=VALUE...\n"
         "       qos run KEY=VALUE... -- PROGRAM [ARGUMENT...]\n"
         "  class=idle|normal|interactive|perfburst   shares=1..1000   latency=0|100us..1s\n"
         "  burst=0|100us..50ms   budget=RUNTIME/PERIOD|0   policy=pin|prefer|perf|eff   cpus=LIST   "
         "prefer=LIST\n"
         "  all of them change, or none"},
    Tool{"reboot", run_reboot, "starts the machine again", "usage: reboot"},
    Tool{"sched", run_sched, "what the scheduler knows of a task and of each hart",
         "usage: sched show PID [--json]\n"
         "       sched stat [--json]\n"
         "       sched audit [--json]\n"
         "  audit: the newest changes of others' tasks, refusals, and values that were cut to fit"},
    Tool{"spin", run_spin, "keeps a CPU busy",
         "usage: spin [SECONDS]\n"
         "  without SECONDS until it is killed"},
    Tool{"svc", run_svc, "the services: shows, starts, stops, reloads",
         "usage: svc [status [NAME]] [--json]\n"
         "       svc start|stop|restart|explain NAME\n"
         "       svc logs [-l err,warn,notice,info] NAME\n"
         "       svc reload\n"
         "  stop is SIGTERM, and SIGKILL after 5 seconds; reload reads all recipes again, or changes "
         "nothing;\n"
         "  explain says which line of which recipe each value comes from. Exit status: 3 not running, 4 no\n"
         "  such service, 1 refused"},
    Tool{"taskset", run_taskset, "shows and changes the CPUs a task may use",
         "usage: taskset [-a] -p [-c] PID                  shows them\n"
         "       taskset [-a] -p [-c] CPUS PID             changes them\n"
         "       taskset [-c] CPUS PROGRAM [ARGUMENT...]   runs a program on them\n"
         "  CPUS is a hexadecimal mask, with -c a list like 0-2,5 or 0-6:2; -a: every thread of the process"},
    Tool{"top", run_top, "what runs, interval by interval",
         "usage: top [-b] [-n TIMES] [-d SECONDS] [-o FIELD] [-H] [-p PID,...]\n"
         "  -b  prints and does not take keys; -n: so often, then it ends; -d: seconds between, 2 if not "
         "said\n"
         "  -o  sorts by cpu, wait, time, pid, shares or name; -H: threads\n"
         "  keys: q ends, space looks at once, P T W S N sort by cpu, time, wait, shares, pid, R turns the\n"
         "  order round, H threads, + and - make the interval longer and shorter"},
    Tool{"uptime", run_uptime, "how long the machine has been up, and its load", "usage: uptime [--json]"},
};

}  // namespace

std::span<const Tool> all_tools() {
    return kTools;
}

}  // namespace shell
