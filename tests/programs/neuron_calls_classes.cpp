// SPDX-License-Identifier: MIT
// Every number of the Linux block answers as its one class says: implemented calls say something else than
// ENOSYS to arguments of all ones, accepted ones say 0, and all others say ENOSYS whatever they are given.
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "neuron_checks.hpp"
#include "nexus_abi/calls.hpp"

namespace {

using checks::equal;
using checks::fails;
using checks::truth;
using nexus_abi::Support;

// No call does anything with these but refuse them, or end the caller.
long call_with_nonsense(std::uint32_t number) {
    // To a futex operation it does not know the call says ENOSYS, too.
    const long second = number == SYS_futex ? 0L : -1L;
    return syscall(static_cast<long>(number), -1L, second, -1L, -1L, -1L, -1L);
}

Support class_of(std::uint32_t number) {
    const auto row = std::ranges::find(nexus_abi::kCallRows, number, &nexus_abi::CallRow::number);
    return row == std::end(nexus_abi::kCallRows) ? Support::Unsupported : row->support;
}

// Calls that end the caller, or wait without looking at an argument, do so in a child.
void answers(std::uint32_t number) {
    constexpr int kRefused = 38;
    const pid_t pid = fork();
    if (pid == 0) {
        _exit(call_with_nonsense(number) == -1 && errno == ENOSYS ? kRefused : 0);
    }
    int status = 0;
    equal("it ends", waitpid(pid, &status, 0), pid);
    truth("call " + std::to_string(number) + " is there",
          !(WIFEXITED(status) && WEXITSTATUS(status) == kRefused));
}

void answer_by_class() {
    for (std::uint32_t number = 0; number < nexus_abi::kLinuxBlockEnd; ++number) {
        switch (class_of(number)) {
            case Support::Implemented:
                answers(number);
                break;
            case Support::Accepted:
                equal("accepted " + std::to_string(number), call_with_nonsense(number), 0);
                break;
            case Support::Unsupported:
                fails("refused " + std::to_string(number), call_with_nonsense(number), ENOSYS);
                break;
        }
    }
}

void refuse_what_lies_beyond() {
    constexpr std::uint32_t kFarBeyond = 0x7fff'ffff;
    for (const std::uint32_t number :
         {nexus_abi::kNeuronBlockEnd - 1, nexus_abi::kNeuronBlockEnd, kFarBeyond}) {
        fails("beyond the blocks", call_with_nonsense(number), ENOSYS);
    }
}

constexpr checks::Case kCases[] = {
    {"answer by class", &answer_by_class},
    {"refuse what lies beyond", &refuse_what_lies_beyond},
};

}  // namespace

int main(int, char** argv) {
    return checks::run(argv[0], kCases);
}
