// SPDX-License-Identifier: MIT
// The shell over the host's own programs.
#include "session.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

class ShellSession : public testing::Test {
  protected:
    ShellSession() : folder_{testing::TempDir() + "shell-" + std::to_string(::getpid())} {
        session_.run_line("/bin/mkdir -p " + folder_);
        session_.run_line("OUT=" + folder_ + "/out");
        session_.run_line("DIR=" + folder_);
    }
    ~ShellSession() override { session_.run_line("/bin/rm -rf $DIR"); }
    [[nodiscard]] std::string content(const std::string& name = "out") const {
        std::ostringstream text;
        text << std::ifstream{folder_ + '/' + name}.rdbuf();
        return text.str();
    }
    // What a line prints into $OUT.
    std::string printed(const std::string& line) {
        session_.run_line(line);
        return content();
    }
    // What it says on standard error.
    std::string said(const std::string& line) {
        testing::internal::CaptureStderr();
        session_.run_line(line);
        return testing::internal::GetCapturedStderr();
    }

    std::string folder_;
    shell::Session session_{{.self = "/bin/echo", .environment = {"HOME=/", "A=one"}}};
};

TEST_F(ShellSession, RunsProgramsAndKnowsHowTheyEnded) {
    EXPECT_EQ(session_.run_line("/bin/true"), 0);
    EXPECT_EQ(session_.run_line("/bin/sh -c 'exit 7'"), 7);
    EXPECT_EQ(printed("echo $? > $OUT"), "7\n");
    EXPECT_EQ(session_.run_line("sh -c 'kill -9 $$'"), 137) << "found in PATH, and quotes keep the $";
    EXPECT_EQ(said("nosuchprogram"), "nsh: nosuchprogram: command not found\n");
    EXPECT_EQ(session_.last_status(), 127);
    EXPECT_THAT(said("/etc/passwd"), HasSubstr("nsh: /etc/passwd: Permission denied"));
    EXPECT_EQ(session_.last_status(), 126);
}

TEST_F(ShellSession, ListsGoByStatus) {
    EXPECT_EQ(printed("false && echo a > $OUT; false || echo b >> $OUT; true && echo c >> $OUT"), "b\nc\n");
    EXPECT_EQ(session_.run_line("true || nosuch"), 0);
}

TEST_F(ShellSession, PipesAndRedirects) {
    EXPECT_EQ(printed("printf 'b\\na\\n' | sort | cat > $OUT"), "a\nb\n");
    EXPECT_EQ(printed("cat < $OUT >> $OUT.2; cat $OUT.2 > $OUT"), "a\nb\n");
    EXPECT_EQ(printed("sh -c 'echo e >&2' > $OUT 2>&1"), "e\n");
    EXPECT_EQ(session_.run_line("true | false"), 1) << "the last one's";
    EXPECT_THAT(said("cat < /nonexistent/file"), HasSubstr("nsh: /nonexistent/file: No such file"));
    EXPECT_EQ(session_.last_status(), 1);
    EXPECT_EQ(printed("yes | head -n 2 > $OUT"), "y\ny\n") << "the writer ends when nobody reads";
}

TEST_F(ShellSession, Variables) {
    EXPECT_EQ(printed("B='x y'; echo \"$A-$B\" > $OUT"), "one-x y\n");
    EXPECT_EQ(printed("sh -c 'echo $B' > $OUT"), "x y\n") << "children see them";
    EXPECT_EQ(printed("unset B; sh -c 'echo .$B' > $OUT"), ".\n");
    EXPECT_EQ(said("export 2"), "export: '2': not NAME=VALUE\n");
}

TEST_F(ShellSession, BackgroundJobs) {
    session_.run_line("sh -c 'exit 3' & ");
    EXPECT_EQ(session_.run_line("wait"), 3);
    session_.run_line("sleep 100 &");
    EXPECT_THAT(printed("jobs > $OUT"), ContainsRegex("^\\[1\\]  Running   sleep 100\n$"));
    EXPECT_EQ(printed("/bin/kill $!; wait; echo $? > $OUT"), "143\n");
    EXPECT_EQ(said("fg"), "fg: there is no terminal\n");
}

TEST_F(ShellSession, Directories) {
    EXPECT_EQ(printed("cd $DIR; pwd > $OUT"), folder_ + '\n');
    EXPECT_EQ(printed("cd; pwd > $OUT"), "/\n");
    EXPECT_EQ(said("cd /nonexistent"), "cd: /nonexistent: No such file or directory\n");
}

TEST_F(ShellSession, ToolsAreTheShellsOwnProgram) {
    // Which is echo here: it prints the arguments.
    EXPECT_EQ(printed("sched show 1 > $OUT"), "show 1\n");
    EXPECT_EQ(printed("ps a | cat > $OUT"), "a\n");
}

TEST_F(ShellSession, HelpNamesItsOwnCommandsAndTheTools) {
    EXPECT_THAT(printed("help > $OUT"), HasSubstr("\ncd        goes to another directory\n"));
    EXPECT_THAT(content(), HasSubstr("\ntaskset   "));
    EXPECT_EQ(printed("help nproc > $OUT").substr(0, 13), "usage: nproc ");
    EXPECT_EQ(said("help nonsense"), "help: 'nonsense': no such command\n");
}

TEST_F(ShellSession, ExitsWithAStatus) {
    session_.run_line("false");
    EXPECT_EQ(session_.exit_status(), std::nullopt);
    EXPECT_EQ(said("exit 300"), "exit: '300': not a status from 0 to 255\n");
    session_.run_line("exit 4; echo no > $OUT");
    EXPECT_EQ(session_.exit_status(), 4);
    EXPECT_EQ(content(), "");
}

TEST_F(ShellSession, WrongLinesAreRefusedWhole) {
    EXPECT_EQ(said("echo a > $OUT; echo 'b"), "nsh: column 21: this ' has no other\n");
    EXPECT_EQ(session_.last_status(), 2);
    EXPECT_EQ(content(), "");
}

}  // namespace
