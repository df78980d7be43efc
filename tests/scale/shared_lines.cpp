// SPDX-License-Identifier: MIT
// A TCG plugin for QEMU that watches the kernel's stores and counts those to a cache line that another hart
// wrote last: what harts that have nothing to do with each other must not do. Kernel addresses are those of
// the upper half.
//
//     -plugin shared_lines.so,out=FILE
//
// Counts between the instructions `slti x0, x0, 0x51` and `slti x0, x0, 0x52` (hints, which do nothing) that
// any program executes. Harts must be threads: where QEMU runs them in turn it calls back with the number of
// the hart that first came by the code. Writes the stores of each hart in a line, and then, for each
// instruction that took a line from another hart, "PC ADDRESS COUNT" with the last such address. What is
// declared here of QEMU's interface is version 4 (include/qemu/qemu-plugin.h); QEMU's own header wants GLib.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

extern "C" {
struct qemu_plugin_tb;
struct qemu_plugin_insn;
using qemu_plugin_id_t = std::uint64_t;
using qemu_plugin_meminfo_t = std::uint32_t;
using TranslatedCallback = void (*)(qemu_plugin_id_t, qemu_plugin_tb*);
using ExecutedCallback = void (*)(unsigned, void*);
using AccessedCallback = void (*)(unsigned, qemu_plugin_meminfo_t, std::uint64_t, void*);
using ExitCallback = void (*)(qemu_plugin_id_t, void*);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, TranslatedCallback);
void qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_insn*, ExecutedCallback, int flags, void*);
void qemu_plugin_register_vcpu_mem_cb(qemu_plugin_insn*, AccessedCallback, int flags, int access, void*);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, ExitCallback, void*);
std::size_t qemu_plugin_tb_n_insns(const qemu_plugin_tb*);
qemu_plugin_insn* qemu_plugin_tb_get_insn(const qemu_plugin_tb*, std::size_t);
std::uint64_t qemu_plugin_insn_vaddr(const qemu_plugin_insn*);
std::size_t qemu_plugin_insn_data(const qemu_plugin_insn*, void* destination, std::size_t bytes);

extern const int qemu_plugin_version;
const int qemu_plugin_version = 4;
int qemu_plugin_install(qemu_plugin_id_t id, const void* info, int count, char** arguments);
}

namespace {

constexpr int kNoRegisters = 0;
constexpr int kStores = 2;  // QEMU_PLUGIN_MEM_W
constexpr std::uint32_t kBegin = 0x05102013;
constexpr std::uint32_t kEnd = 0x05202013;
constexpr unsigned kLineShift = 6;

struct Taken {
    std::uint64_t address;
    std::uint64_t count;
};

struct State {
    std::mutex lock;  // guards the rest: harts may be threads
    std::string path;
    bool counts{false};
    std::map<unsigned, std::uint64_t> stores;                 // by hart
    std::unordered_map<std::uint64_t, unsigned> last_writer;  // by line
    std::map<std::uint64_t, Taken> takers;                    // by instruction
};
// Never destroyed: QEMU calls on_exit() behind the destructors of what is static here.
State& state = *new State;

void on_store(unsigned hart, qemu_plugin_meminfo_t /*info*/, std::uint64_t address, void* pc) {
    if (address >> 63 == 0) {
        return;
    }
    const std::lock_guard guard{state.lock};
    const auto [entry, is_first] = state.last_writer.try_emplace(address >> kLineShift, hart);
    const bool is_taken = !is_first && entry->second != hart;
    entry->second = hart;
    if (!state.counts) {
        return;
    }
    ++state.stores[hart];
    if (is_taken) {
        Taken& taker = state.takers[reinterpret_cast<std::uintptr_t>(pc)];
        taker.address = address;
        ++taker.count;
    }
}

void on_mark(unsigned /*hart*/, void* begins) {
    const std::lock_guard guard{state.lock};
    state.counts = begins != nullptr;
}

void on_translated(qemu_plugin_id_t /*id*/, qemu_plugin_tb* block) {
    const std::size_t count = qemu_plugin_tb_n_insns(block);
    for (std::size_t i = 0; i < count; ++i) {
        qemu_plugin_insn* instruction = qemu_plugin_tb_get_insn(block, i);
        const std::uint64_t pc = qemu_plugin_insn_vaddr(instruction);
        std::uint32_t word = 0;
        qemu_plugin_insn_data(instruction, &word, sizeof word);
        if (word == kBegin || word == kEnd) {
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_mark, kNoRegisters,
                                                   word == kBegin ? &state : nullptr);
        } else if (pc >> 63 != 0) {
            qemu_plugin_register_vcpu_mem_cb(instruction, on_store, kNoRegisters, kStores,
                                             reinterpret_cast<void*>(pc));
        }
    }
}

void on_exit(qemu_plugin_id_t /*id*/, void* /*unused*/) {
    std::FILE* const file = std::fopen(state.path.c_str(), "w");
    if (file == nullptr) {
        std::perror(state.path.c_str());
        return;
    }
    for (const auto& [hart, stores] : state.stores) {
        std::fprintf(file, "%s%ju", hart == state.stores.begin()->first ? "" : " ",
                     static_cast<std::uintmax_t>(stores));
    }
    std::fputs("\n", file);
    for (const auto& [pc, taken] : state.takers) {
        std::fprintf(file, "%jx %jx %ju\n", static_cast<std::uintmax_t>(pc),
                     static_cast<std::uintmax_t>(taken.address), static_cast<std::uintmax_t>(taken.count));
    }
    std::fclose(file);
}

}  // namespace

int qemu_plugin_install(qemu_plugin_id_t id, const void* /*info*/, int count, char** arguments) {
    constexpr std::string_view kOut = "out=";
    if (count != 1 || !std::string_view{arguments[0]}.starts_with(kOut)) {
        std::fputs("shared_lines: wants out=FILE\n", stderr);
        return 1;
    }
    state.path = std::string_view{arguments[0]}.substr(kOut.size());
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translated);
    qemu_plugin_register_atexit_cb(id, on_exit, nullptr);
    return 0;
}
