// SPDX-License-Identifier: MIT
// A position independent program with shared libraries, started by the C library's own loader: what the
// kernel tells it, what it maps, and programs it starts in turn.
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "checks.hpp"

extern char** environ;

namespace {

using checks::equal;
using checks::fails;
using checks::reads;
using checks::succeeds;
using checks::truth;

constexpr const char* kLoader = "/lib/ld-linux-riscv64-lp64d.so.1";
constexpr int kChildStatus = 42;

std::string link_target(const char* path) {
    std::array<char, PATH_MAX> target{};
    const ssize_t bytes = readlink(path, target.data(), target.size());
    return bytes < 0 ? "" : std::string(target.data(), static_cast<std::size_t>(bytes));
}

struct Found {
    std::uintptr_t program_start{1};
    std::uintptr_t loader_start{0};
    int libraries{0};
    bool has_c_library{false};
};

int note_object(dl_phdr_info* info, std::size_t, void* context) {
    auto& found = *static_cast<Found*>(context);
    const std::string name = info->dlpi_name;
    if (name.empty()) {
        found.program_start = info->dlpi_addr;
    } else if (name.find("ld-linux") != std::string::npos) {
        found.loader_start = info->dlpi_addr;
    }
    found.has_c_library = found.has_c_library || name.find("libc.so.6") != std::string::npos;
    ++found.libraries;
    return 0;
}

void loaded_by_the_loader() {
    Found found;
    dl_iterate_phdr(&note_object, &found);
    truth("the program, the loader and at least two libraries", found.libraries >= 4);
    truth("the C library is one", found.has_c_library);
    truth("AT_BASE is where the loader is", getauxval(AT_BASE) == found.loader_start);
    truth("AT_PHDR lies in the program",
          getauxval(AT_PHDR) > found.program_start && getauxval(AT_PHDR) < found.program_start + 4096);
    const auto* headers = reinterpret_cast<const ElfW(Phdr)*>(getauxval(AT_PHDR));
    equal("its first header is about itself", headers[0].p_type, PT_PHDR);
    truth("which says where it is", found.program_start + headers[0].p_vaddr == getauxval(AT_PHDR));
    truth("AT_ENTRY lies in the program", getauxval(AT_ENTRY) > found.program_start);
    equal("AT_PAGESZ", static_cast<std::int64_t>(getauxval(AT_PAGESZ)), 4096);
    reads("AT_EXECFN", reinterpret_cast<const char*>(getauxval(AT_EXECFN)), checks::program);
    reads("/proc/self/exe", link_target("/proc/self/exe"), checks::program);
    truth("the break is above the program", reinterpret_cast<std::uintptr_t>(sbrk(0)) > getauxval(AT_ENTRY));
}

void use_libraries() {
    int caught = 0;
    try {
        static_cast<void>(std::vector<int>(3).at(5));
    } catch (const std::out_of_range&) {
        caught = 1;
    }
    equal("an exception out of another library", caught, 1);
    errno = EBADF;
    int other = -1;
    std::thread{[&] { other = std::exchange(errno, EBUSY); }}.join();
    const int own = errno;
    equal("a thread's own copy of a variable", other, 0);
    equal("and this one's", own, EBADF);
    void* const library = dlopen("libm.so.6", RTLD_NOW);
    truth("open a library at run time", library != nullptr);
    if (library != nullptr) {
        const auto root = reinterpret_cast<double (*)(double)>(dlsym(library, "sqrt"));
        truth("find a function in it", root != nullptr && root(81.0) == 9.0);
        equal("close it", dlclose(library), 0);
    }
    truth("one that is not there", dlopen("libnone.so", RTLD_NOW) == nullptr);
}

// What the loader does to put a library in its place, one step at a time.
void map_like_the_loader() {
    const int file = open(kLoader, O_RDONLY | O_CLOEXEC);
    succeeds("open a library", file);
    ElfW(Ehdr) header{};
    equal("read its header", pread(file, &header, sizeof header, 0), sizeof header);
    truth("it is one", std::memcmp(&header, ELFMAG, SELFMAG) == 0);
    constexpr std::size_t kRoom = 16 * 4096;
    auto* const room =
        static_cast<unsigned char*>(mmap(nullptr, kRoom, PROT_READ, MAP_PRIVATE | MAP_DENYWRITE, file, 0));
    truth("map it, with more room than there is to come", room != MAP_FAILED);
    truth("its bytes", std::memcmp(room, ELFMAG, SELFMAG) == 0);
    auto* const data = room + 4 * 4096;
    truth("map a part over it", mmap(data, 2 * 4096, PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_FIXED | MAP_DENYWRITE, file, 4096) == data);
    std::array<unsigned char, 16> bytes{};
    equal("read the same part", pread(file, bytes.data(), bytes.size(), 4096), bytes.size());
    truth("it is the same", std::memcmp(data, bytes.data(), bytes.size()) == 0);
    data[0] = static_cast<unsigned char>(~bytes[0]);
    equal("read it again", pread(file, bytes.data(), bytes.size(), 4096), bytes.size());
    truth("the file did not change", data[0] != bytes[0]);
    auto* const zeros = data + 2 * 4096;
    truth("map fresh memory behind it",
          mmap(zeros, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0) == zeros);
    equal("which is zero", zeros[17], 0);
    equal("forbid writing", mprotect(data, 4096, PROT_READ), 0);
    equal("give the rest back", munmap(zeros + 4096, kRoom - 7 * 4096), 0);
    equal("close", close(file), 0);
    truth("it stays mapped", std::memcmp(room, ELFMAG, SELFMAG) == 0);
    munmap(room, kRoom);
}

// The exit status of a program, or -1.
int run(const char* path, std::initializer_list<const char*> arguments) {
    std::vector<char*> list;
    for (const char* argument : arguments) {
        list.push_back(const_cast<char*>(argument));
    }
    list.push_back(nullptr);
    const pid_t child = fork();
    if (child == 0) {
        execve(path, list.data(), environ);
        _exit(errno);
    }
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void start_programs() {
    equal("itself by its link", run("/proc/self/exe", {"again", "child", "x"}), kChildStatus + 3);
    equal("the loader with a program", run(kLoader, {"ld.so", checks::program, "child"}), kChildStatus + 2);
    equal("a symbolic link to it", run("/links/chain", {"chain", "child"}), kChildStatus + 2);
    // Its first line names this program with an argument.
    equal("a script", run("/links/script", {"ignored", "a", "b"}), kChildStatus + 5);
    equal("a script whose interpreter is one", run("/links/script2", {"ignored", "a"}), kChildStatus + 6);
    equal("a script without interpreter", run("/links/script-none", {"none"}), ENOENT);
    equal("a script that interprets itself", run("/links/script-loop", {"loop"}), ELOOP);
    equal("a program whose loader is not there", run("/links/no-loader", {"no-loader"}), ENOENT);
    equal("a directory", run("/links", {"links"}), EACCES);
    equal("nonsense behind an ELF header", run("/bin/broken", {"broken"}), ENOEXEC);
}

void follow_links() {
    struct stat direct{};
    struct stat through{};
    succeeds("stat through a directory's link", stat("/lib/libc.so.6", &through));
    succeeds("and without", stat("/usr/lib/libc.so.6", &direct));
    truth("it is the same file", direct.st_ino == through.st_ino && direct.st_size > 0);
    succeeds("lstat of the link", lstat("/lib", &through));
    truth("is a link", S_ISLNK(through.st_mode) && through.st_size == 7);
    reads("its target", link_target("/lib"), "usr/lib");
    std::array<char, 8> room{};
    fails("readlink of a file", readlink(checks::program, room.data(), room.size()), EINVAL);
    fails("a link that leads nowhere", open("/links/dangling", O_RDONLY), ENOENT);
    fails("a link to itself", open("/links/loop", O_RDONLY), ELOOP);
    fails("O_NOFOLLOW of a link", open("/links/chain", O_RDONLY | O_NOFOLLOW), ELOOP);
    const int directory = open("/lib", O_RDONLY | O_DIRECTORY);
    succeeds("open a directory by its link", directory);
    succeeds("a file below it", faccessat(directory, "libc.so.6", R_OK, 0));
    succeeds("up from where the link leads", faccessat(directory, "../lib/libm.so.6", R_OK, 0));
    close(directory);
    succeeds("chdir by a link", chdir("/lib"));
    std::array<char, PATH_MAX> path{};
    reads("the directory is the real one", getcwd(path.data(), path.size()), "/usr/lib");
    succeeds("back", chdir("/"));
    reads("realpath", realpath("/links/chain", path.data()) == nullptr ? "" : path.data(), checks::program);
}

constexpr checks::Case kCases[]{
    {"loaded by the loader", loaded_by_the_loader},
    {"use libraries", use_libraries},
    {"map like the loader", map_like_the_loader},
    {"start programs", start_programs},
    {"follow links", follow_links},
};

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1 && std::string{argv[1]} == "child") {
        return kChildStatus + argc;
    }
    return checks::run(argv[0], kCases);
}
