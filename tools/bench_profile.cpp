// SPDX-License-Identifier: MIT
// A TCG plugin for QEMU that counts how often each block of instructions runs.
//
//     -plugin bench_profile.so,out=FILE
//
// Writes "PC INSTRUCTIONS" for each block, hexadecimal and decimal. For harts that take turns (-icount): the
// counters have no lock, and which hart it is QEMU 10.0 does not tell then. What is declared here of QEMU's
// interface is version 4 (include/qemu/qemu-plugin.h); QEMU's own header wants GLib.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <string_view>
#include <utility>

extern "C" {
struct qemu_plugin_tb;
using qemu_plugin_id_t = std::uint64_t;
using TranslatedCallback = void (*)(qemu_plugin_id_t, qemu_plugin_tb*);
using ExecutedCallback = void (*)(unsigned, void*);
using ExitCallback = void (*)(qemu_plugin_id_t, void*);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, TranslatedCallback);
void qemu_plugin_register_vcpu_tb_exec_cb(qemu_plugin_tb*, ExecutedCallback, int flags, void*);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, ExitCallback, void*);
std::size_t qemu_plugin_tb_n_insns(const qemu_plugin_tb*);
std::uint64_t qemu_plugin_tb_vaddr(const qemu_plugin_tb*);

extern const int qemu_plugin_version;
const int qemu_plugin_version = 4;
int qemu_plugin_install(qemu_plugin_id_t id, const void* info, int count, char** arguments);
}

namespace {

constexpr int kNoRegisters = 0;

struct State {
    std::string path;
    std::map<std::pair<std::uint64_t, std::size_t>, std::uint64_t> runs;  // of a block: where, how long
};
// Never destroyed: QEMU calls on_exit() behind the destructors of what is static here.
State& state = *new State;

void on_run(unsigned /*hart*/, void* runs) {
    ++*static_cast<std::uint64_t*>(runs);
}

void on_translated(qemu_plugin_id_t /*id*/, qemu_plugin_tb* block) {
    std::uint64_t& runs = state.runs[{qemu_plugin_tb_vaddr(block), qemu_plugin_tb_n_insns(block)}];
    qemu_plugin_register_vcpu_tb_exec_cb(block, on_run, kNoRegisters, &runs);
}

void on_exit(qemu_plugin_id_t /*id*/, void* /*data*/) {
    std::FILE* const out = std::fopen(state.path.c_str(), "w");
    if (out == nullptr) {
        std::perror(state.path.c_str());
        return;
    }
    for (const auto& [block, runs] : state.runs) {
        std::fprintf(out, "%llx %llu\n", static_cast<unsigned long long>(block.first),
                     static_cast<unsigned long long>(block.second * runs));
    }
    std::fclose(out);
}

}  // namespace

int qemu_plugin_install(qemu_plugin_id_t id, const void* /*info*/, int count, char** arguments) {
    constexpr std::string_view kOut = "out=";
    if (count != 1 || !std::string_view{arguments[0]}.starts_with(kOut)) {
        std::fputs("bench_profile: wants out=FILE\n", stderr);
        return 1;
    }
    state.path = arguments[0] + kOut.size();
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translated);
    qemu_plugin_register_atexit_cb(id, on_exit, nullptr);
    return 0;
}
