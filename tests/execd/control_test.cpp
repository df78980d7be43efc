// SPDX-License-Identifier: MIT
#include "control.hpp"

#include <gmock/gmock.h>

#include <elf.h>

#include <csignal>
#include <cstring>

#include "crash_report.hpp"
#include "elf_symbols.hpp"
#include "fake_kernel.hpp"
#include "recipe_texts.hpp"
#include "supervisor.hpp"

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Pair;
using ::testing::StartsWith;

constexpr const char* kServices = R"(schema = 1
[[service]]
name = "a"
program = "/bin/a"
restart = "always"
[[service]]
name = "b"
program = "/bin/b"
after = ["a"]
ready = "ended"
[[service]]
name = "c"
program = "/bin/c"
after = ["b"]
)";

class ControlTest : public ::testing::Test {
  protected:
    // a is pid 2, b pid 3; c waits for b's end.
    ControlTest() {
        execd::Plan plan = execd::make_plan(execd_test::sources(kServices, execd_test::kEmptyRecipe,
                                                                "schema = 1\n[service.a]\nshares = 300\n"),
                                            {.cpus_online = 0xf, .only = std::nullopt});
        supervisor_.emplace(std::move(plan.services), std::vector<std::string>{}, kernel_,
                            [this](std::string_view line) { log_.emplace_back(line); });
        supervisor_->start_ready();
        log_.clear();
    }

    // The status and the text of the answer to "1 <what>".
    std::pair<int, std::string> ask(const std::string& what) {
        const std::string message = supervisor_->control("1 " + what, [this] { reload_(); });
        const std::size_t end = message.find('\n');
        int status = -1;
        std::size_t bytes = 0;
        EXPECT_EQ(std::sscanf(message.c_str(), "1 %d %zu\n", &status, &bytes), 2) << message;
        EXPECT_EQ(message.size(), end + 1 + bytes) << "as long as it says";
        return {status, message.substr(end + 1)};
    }
    void end(std::int32_t pid, std::int32_t wait_status) {
        kernel_.running.erase(pid);
        supervisor_->child_ended({.pid = pid, .wait_status = wait_status});
    }

    execd_test::FakeKernel kernel_{0xf};
    std::vector<std::string> log_;
    std::optional<execd::Supervisor> supervisor_;
    std::function<void()> reload_ = [] {};
};

TEST_F(ControlTest, TellsTheStatus) {
    EXPECT_THAT(ask("status"), Pair(0,
                                    "a\trunning\t2\t1\t/bin/a\t-\n"
                                    "b\trunning\t3\t1\t/bin/b\t-\n"
                                    "c\twaiting\t-\t0\t/bin/c\t-\n"));
    EXPECT_THAT(ask("status a"), Pair(0, "a\trunning\t2\t1\t/bin/a\t-\n"));
    EXPECT_THAT(ask("status c"), Pair(3, "c\twaiting\t-\t0\t/bin/c\t-\n"));
    end(2, SIGSEGV);
    EXPECT_THAT(ask("status a"), Pair(3, "a\tpaused\t-\t1\t/bin/a\tkilled by signal 11\n"));
    EXPECT_THAT(ask("status z"), Pair(4, "no service 'z'\n"));
}

TEST_F(ControlTest, AKilledServiceComesBack) {
    end(2, SIGKILL);
    kernel_.clock = *supervisor_->next_restart();
    supervisor_->restart_due();
    EXPECT_THAT(ask("status a"), Pair(0, "a\trunning\t4\t2\t/bin/a\tkilled by signal 9\n"));
}

TEST_F(ControlTest, StopsForGood) {
    EXPECT_EQ(ask("stop a").first, 0);
    EXPECT_THAT(kernel_.signals, ElementsAre(Pair(2, SIGTERM)));
    EXPECT_THAT(ask("status a").second, HasSubstr("\tstopping\t2\t"));
    end(2, SIGTERM);
    EXPECT_THAT(ask("status a"), Pair(3, "a\tstopped\t-\t1\t/bin/a\tkilled by signal 15\n"));
    EXPECT_EQ(supervisor_->next_restart(), std::nullopt) << "though its recipe says always";
    EXPECT_EQ(ask("start a").first, 0);
    EXPECT_THAT(ask("status a").second, StartsWith("a\trunning\t4\t2\t"));
    end(4, 0);
    EXPECT_NE(supervisor_->next_restart(), std::nullopt) << "its recipe holds again";
}

TEST_F(ControlTest, KillsWhatDoesNotStop) {
    EXPECT_EQ(ask("stop a").first, 0);
    ASSERT_EQ(supervisor_->next_restart(), kernel_.clock + execd::kStopPatience);
    kernel_.clock += execd::kStopPatience - 1ms;
    supervisor_->restart_due();
    EXPECT_EQ(kernel_.signals.size(), 1U);
    kernel_.clock += 1ms;
    supervisor_->restart_due();
    EXPECT_THAT(kernel_.signals, ElementsAre(Pair(2, SIGTERM), Pair(2, SIGKILL)));
    EXPECT_EQ(supervisor_->next_restart(), std::nullopt);
    EXPECT_THAT(log_, ElementsAre("execd: svc=a is stopped by hand", "execd: svc=a does not stop: killed"));
}

TEST_F(ControlTest, RestartsOnceTheOldOneHasEnded) {
    EXPECT_EQ(ask("restart b").first, 0);
    EXPECT_EQ(kernel_.requests.size(), 2U) << "not two of them at once";
    end(3, 0);
    EXPECT_THAT(ask("status b"), Pair(0, "b\trunning\t4\t2\t/bin/b\texited (status 0)\n"));
    EXPECT_EQ(kernel_.requests.size(), 4U) << "c waited for b's end, which came";
}

TEST_F(ControlTest, StartsWhatWaitsAndRefusesWhatRuns) {
    EXPECT_EQ(ask("start c").first, 0);
    EXPECT_THAT(ask("status c").second, StartsWith("c\trunning\t4\t1\t"));
    EXPECT_THAT(ask("start c"), Pair(1, "c runs already\n"));
    EXPECT_EQ(ask("stop c").first, 0);
    EXPECT_THAT(ask("start c"), Pair(1, "c is being stopped\n"));
    kernel_.refusals["/bin/b"] = execd::Error::NoEntry;
    end(3, 0);
    EXPECT_THAT(ask("start b"), Pair(1, "b did not start\n"));
}

TEST_F(ControlTest, ReloadsAndSaysWhatCameOfIt) {
    reload_ = [this] {
        supervisor_->log("execd: reload of /recipes refused (1 error): everything is as before");
    };
    EXPECT_THAT(ask("reload"),
                Pair(1, "execd: reload of /recipes refused (1 error): everything is as before\n"));
    reload_ = [this] { supervisor_->log("execd: reloaded /recipes (1 changed)"); };
    EXPECT_THAT(ask("reload"), Pair(0, "execd: reloaded /recipes (1 changed)\n"));
    EXPECT_EQ(log_.size(), 2U) << "the console hears it as well";
}

TEST_F(ControlTest, KeepsWhatHappenedToEach) {
    kernel_.clock += 1500ms;
    end(2, 256);
    EXPECT_THAT(ask("logs a").second, MatchesRegex("\\[0\\.000000\\] info: started as pid 2\n"
                                                   "\\[1\\.500000\\] warn: exited \\(status 1\\)\n"
                                                   "\\[1\\.500000\\] notice: starts again in 100ms\n"));
    EXPECT_THAT(ask("logs c"), Pair(0, ""));
    kernel_.clock += 100ms;
    supervisor_->restart_due();
    end(kernel_.next_pid - 1, 11);
    EXPECT_THAT(ask("logs a").second, HasSubstr("] err: killed by signal 11\n"));
    for (std::size_t i = 0; i < execd::kMaxKeptLines; ++i) {
        ask("stop a");
    }
    const std::string kept = ask("logs a").second;
    EXPECT_EQ(std::ranges::count(kept, '\n'), execd::kMaxKeptLines);
}

TEST_F(ControlTest, ShowsWhatAServiceWroteBetweenWhatHappenedToIt) {
    kernel_.clock += 3s;
    end(2, 0);
    const auto at = [](int ms) { return execd::Instant{std::chrono::milliseconds{ms}}; };
    kernel_.outputs["a"] = {{.at = at(1000), .has_gap = true, .text = "half a "},
                            {.at = at(1100), .is_error = true, .text = "bad\x1b[2J\n"},
                            {.at = at(1200), .text = "line\r\nand\nno end"}};
    EXPECT_EQ(ask("logs a").second,
              "[0.000000] info: started as pid 2\n"
              "[1.000000] notice: what it wrote before is gone\n"
              "[1.000000] info: > half a line\n"
              "[1.100000] err: > bad?[2J\n"
              "[1.200000] info: > and\n"
              "[1.200000] info: > no end\n"
              "[3.000000] info: exited (status 0)\n"
              "[3.000000] notice: starts again in 100ms\n");
    EXPECT_THAT(ask("logs b").second, testing::Not(HasSubstr(">")));
    kernel_.outputs["a"].assign(3000, {.at = at(5000), .text = "0123456789\n"});
    const std::string cut = ask("logs a").second;
    EXPECT_LE(cut.size(), execd::kMaxAnswerBytes);
    EXPECT_GT(cut.size(), execd::kMaxAnswerBytes - 100);
    EXPECT_EQ(std::ranges::count(cut, '0'), std::ranges::count(cut, '\n') * 7) << "of the output alone";
}

TEST_F(ControlTest, ACrashIsToldWithItsService) {
    kernel_.log =
        "<3>[ 0.1] error: fault: old (pid 2 tid 2): out of memory, pc 0x1, killed by signal 11\n"
        "<6>[ 0.1] crash 2: pc 0x1\n"
        "<3>[ 1.5] error: fault: a (pid 2 tid 7): load page fault, pc 0x1057c, address 0x0, killed by signal "
        "11\n"
        "<6>[ 1.5] crash 2: a (tid 7), program /bin/a\n"
        "<6>[ 1.5] crash 2: code 0x10000-0x71000 of /none from offset 0x0\n"
        "<6>[ 1.5] crash 3: pc 0x3\n"
        "<6>[ 1.5] crash 2: pc 0x1057c\n"
        "<6>[ 1.5] crash 2: ra 0x10e10 sp 0x3f gp 0x6\n"
        "<6>[ 1.5] crash 2: perhaps from 0x10e10 0x10e44\n";
    end(2, SIGSEGV);
    EXPECT_THAT(ask("logs -").second, HasSubstr("no service"));
    EXPECT_THAT(ask("logs a").second, HasSubstr("] err: killed by signal 11\n"
                                                "[0.000000] err: load page fault, pc 0x1057c, address 0x0\n"
                                                "[0.000000] err: pc 0x1057c\n"
                                                "[0.000000] err: ra 0x10e10 sp 0x3f gp 0x6\n"
                                                "[0.000000] err: perhaps from 0x10e10\n"
                                                "[0.000000] err: perhaps from 0x10e44\n"));
    EXPECT_THAT(ask("status a").second,
                HasSubstr("\tkilled by signal 11 (load page fault, pc 0x1057c, address 0x0)\n"));
    end(3, SIGKILL);
    EXPECT_THAT(ask("status b").second, HasSubstr("\tkilled by signal 9\n")) << "somebody's word";
}

TEST(CrashReports, NameWhatTheyCan) {
    const auto name = [](const execd::CodePlace& place, bool is_return) -> std::optional<std::string> {
        EXPECT_EQ(place.file, "/bin/a b");
        return !is_return                    ? std::optional<std::string>{"main+0x1c"}
               : place.file_offset == 0x1e10 ? std::optional<std::string>{"caller+0x4"}
                                             : std::optional<std::string>{""};
    };
    const auto report = execd::read_crash(
        "fault: a (pid 5 tid 5): illegal instruction, pc 0x1057c, killed by signal 4\n"
        "crash 5: code 0x10000-0x11000 of /bin/a b from offset 0x1000\n"
        "crash 5: code nonsense\ncrash 5: code 0x1-\ncrash 5: code 0x1-0x2 of\n"
        "crash 5: pc 0x1057c\ncrash 5: perhaps from 0x10e10 0x10e44 0x99 x\n",
        5, name);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->summary, "illegal instruction, pc main+0x1c");
    EXPECT_THAT(report->lines, ElementsAre("illegal instruction, pc 0x1057c", "pc 0x1057c main+0x1c",
                                           "from 0x10e10 caller+0x4", "perhaps from 0x99"));
    EXPECT_FALSE(execd::read_crash("crash 5: pc 0x1\n", 5, name)) << "without its beginning";
}

// A file with one function at address 0x1000 of its code, which lies at 0x200 in the file.
std::string small_elf() {
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_phoff = sizeof(header);
    header.e_phnum = 1;
    header.e_shoff = 0x100;
    header.e_shnum = 2;
    Elf64_Phdr segment{};
    segment.p_type = PT_LOAD;
    segment.p_offset = 0x200;
    segment.p_vaddr = 0x1000;
    segment.p_filesz = segment.p_memsz = 0x40;
    std::array<Elf64_Shdr, 2> sections{};
    sections[0].sh_type = SHT_SYMTAB;
    sections[0].sh_offset = 0x1c0;
    sections[0].sh_size = sizeof(Elf64_Sym);
    sections[0].sh_link = 1;
    sections[1].sh_type = SHT_STRTAB;
    sections[1].sh_offset = 0x1e0;
    sections[1].sh_size = 0x20;
    Elf64_Sym symbol{};
    symbol.st_name = 1;
    symbol.st_info = STT_FUNC;
    symbol.st_value = 0x1000;
    symbol.st_size = 0x20;
    std::string bytes(0x240, '\0');
    const auto put = [&](std::size_t at, const auto& value) {
        std::memcpy(&bytes[at], &value, sizeof(value));
    };
    put(0, header);
    put(sizeof(header), segment);
    put(0x100, sections);
    put(0x1c0, symbol);
    bytes.replace(0x1e1, 8, "_Z2gov\0\0", 8);
    put(0x204, std::uint32_t{0x008000ef});  // jal ra, 8
    put(0x20c, std::uint32_t{0x000780e7});  // jalr a5
    put(0x212, std::uint16_t{0x9782});      // c.jalr a5
    put(0x214, std::uint32_t{0x00078067});  // jr a5
    return bytes;
}

TEST(ElfSymbols, NameFunctionsAndKnowCalls) {
    const execd::ElfSymbols elf{small_elf()};
    EXPECT_EQ(elf.name_at(0x208), "go()+0x8");
    EXPECT_EQ(elf.name_at(0x21f), "go()+0x1f");
    EXPECT_EQ(elf.name_at(0x220), std::nullopt) << "behind it";
    EXPECT_EQ(elf.name_at(0x1f0), std::nullopt) << "in no segment";
    for (const std::uint64_t at : {0x208, 0x210, 0x214}) {
        EXPECT_TRUE(elf.follows_call(at)) << at;
    }
    for (const std::uint64_t at : {0x0, 0x1, 0x218, 0x204, 0x20c, 0x9999}) {
        EXPECT_FALSE(elf.follows_call(at)) << at;
    }
}

TEST(ElfSymbols, BelieveNothing) {
    const std::string good = small_elf();
    for (std::size_t length = 0; length < good.size(); ++length) {
        static_cast<void>(execd::ElfSymbols{good.substr(0, length)}.name_at(0x208));
        std::string torn = good;
        torn[length] = static_cast<char>(~torn[length]);
        const execd::ElfSymbols elf{torn};
        static_cast<void>(elf.name_at(0x208));
        static_cast<void>(elf.follows_call(0x208));
    }
    EXPECT_FALSE(execd::ElfSymbols::read("/nosuch"));
    EXPECT_FALSE(execd::ElfSymbols::read("/etc/passwd")) << "no ELF file";
}

TEST_F(ControlTest, ExplainsWhereValuesComeFrom) {
    EXPECT_THAT(ask("explain a").second, HasSubstr("shares\t300\t"));
    EXPECT_THAT(ask("explain a").second, HasSubstr("qos.toml:3\n"));
    EXPECT_THAT(ask("explain a").second, HasSubstr("class\tnormal\t-\n"));
}

TEST_F(ControlTest, RefusesWhatIsNoRequest) {
    const auto answer = [&](std::string_view line) {
        return supervisor_->control(line, [] { FAIL() << "a reload"; });
    };
    for (const std::string& line :
         {std::string{}, std::string{"status"}, std::string{"x status"}, std::string{"1"},
          std::string{"1  status"}, std::string{"1 status a b"}, std::string{"1 st\x01tus"},
          std::string{"12345678901 status"}, std::string{"1 status\xff"}, std::string(500, 'x')}) {
        EXPECT_EQ(answer(line), "0 2 14\nnot a request\n") << line;
    }
    EXPECT_EQ(ask("destroy").first, 2);
    EXPECT_EQ(ask("destroy a").first, 2);
    EXPECT_EQ(ask("stop").first, 2);
    EXPECT_EQ(ask("reload a").first, 2);
    EXPECT_THAT(log_, IsEmpty());
    EXPECT_THAT(kernel_.signals, IsEmpty());
}

TEST_F(ControlTest, CutsALongAnswerAtALine) {
    std::string text;
    while (text.size() <= execd::kMaxAnswerBytes) {
        text += "0123456789 line\n";
    }
    const std::string message = execd::to_message("7", {.text = text});
    EXPECT_LE(message.size(), execd::kMaxAnswerBytes + 32);
    EXPECT_TRUE(message.ends_with("line\n(the rest is left out)\n"));
}

TEST_F(ControlTest, AServiceWithControlIsToldSo) {
    execd::Plan plan = execd::make_plan(
        execd_test::sources("schema = 1\n[[service]]\nname = \"k\"\nprogram = \"/bin/k\"\ncontrol = true\n",
                            execd_test::kEmptyRecipe, execd_test::kEmptyRecipe),
        {.cpus_online = 0xf, .only = std::nullopt});
    EXPECT_THAT(plan.errors, IsEmpty());
    execd::Supervisor other{std::move(plan.services), {}, kernel_, [](std::string_view) {}};
    other.start_ready();
    EXPECT_TRUE(kernel_.requests.back().has_control);
    EXPECT_THAT(kernel_.requests.back().envp, ElementsAre("EXECD_CONTROL=3"));
    EXPECT_FALSE(kernel_.requests.front().has_control);
}

}  // namespace
