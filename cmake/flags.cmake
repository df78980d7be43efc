# One warning set for everything, and the three ways code is built: kernel (freestanding rv64imac, soft float), user
# (static riscv64 Linux program), host (tests and tools, with sanitizers).
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS ON) # TRY() is a statement expression
set(CMAKE_C_STANDARD 17)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_library(neuron_warnings INTERFACE)
target_compile_options(neuron_warnings INTERFACE
    -Wall -Wextra -Werror -Wconversion -Wshadow -Wundef
    $<$<COMPILE_LANGUAGE:CXX>:-Wold-style-cast -Wsuggest-override -Wnon-virtual-dtor -Woverloaded-virtual>)

if(CMAKE_SYSTEM_PROCESSOR STREQUAL "riscv64")
    set(NEURON_TARGET ON)
else()
    set(NEURON_TARGET OFF)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
    # Precompiled headers: what they were made of decides, not when.
    set(launcher env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE_PROGRAM})
    set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()
# neuron_precompile(target header...): these are read once for all sources of the target, which include what they use all the
# same: release kernels and programs for the target are compiled without. The option spares the cache from reading their text.
set(NEURON_PRECOMPILED_OPTIONS $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
function(neuron_precompile target)
    if(NEURON_FUZZ OR (NEURON_TARGET AND NOT (NEURON_DEBUG AND target MATCHES "^kernel_")))
        return()
    endif()
    target_precompile_headers(${target} PRIVATE ${ARGN})
    target_compile_options(${target} PRIVATE ${NEURON_PRECOMPILED_OPTIONS})
endfunction()

# neuron_kernel: include paths and flags of kernel code; on the host the same code with sanitizers.
add_library(neuron_kernel INTERFACE)
target_include_directories(neuron_kernel INTERFACE ${PROJECT_SOURCE_DIR}/kernel ${PROJECT_SOURCE_DIR}/abi/include)
target_link_libraries(neuron_kernel INTERFACE neuron_warnings)
target_compile_definitions(neuron_kernel INTERFACE $<$<BOOL:${NEURON_DEBUG}>:NEURON_DEBUG>)
# Paths in CHECK messages and debug information start at the source root.
add_compile_options(-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=)
# As if compiled there, too: programs of riscv-debug are those of riscv-release, which the cache then has already.
if(NEURON_TARGET)
    add_compile_options(-ffile-prefix-map=${CMAKE_BINARY_DIR}=.)
endif()

if(NEURON_TARGET)
    # lp64 headers: the cross compiler ships only gnu/stubs-lp64d.h; cmake/kernel-include holds the empty lp64 one.
    target_include_directories(neuron_kernel SYSTEM INTERFACE ${PROJECT_SOURCE_DIR}/cmake/kernel-include)
    target_compile_options(neuron_kernel INTERFACE
        -march=rv64imac_zicsr_zifencei -mabi=lp64 -mcmodel=medany -mstrict-align
        -ffreestanding -fno-pic -fno-pie -fno-common -fno-asynchronous-unwind-tables -fno-unwind-tables
        -fno-omit-frame-pointer -fno-optimize-sibling-calls -ffunction-sections -fdata-sections
        -fno-strict-aliasing
        $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti -fno-threadsafe-statics>
        $<$<BOOL:${NEURON_DEBUG}>:-fsanitize=undefined -fsanitize-undefined-trap-on-error -fstack-protector-strong
            -mstack-protector-guard=global>
        $<$<NOT:$<BOOL:${NEURON_DEBUG}>>:-fno-stack-protector>)
    # What the fuzzer of calls is guided by (kernel/trace/coverage.hpp). Assembly has no blocks, and what the compiler calls
    # for single instructions (lib/bits.cpp, lib/string.cpp) says nothing about calls.
    target_compile_options(neuron_kernel INTERFACE
        $<$<BOOL:${NEURON_COVERAGE}>:$<$<COMPILE_LANGUAGE:CXX>:-fsanitize-coverage=trace-pc>>)
    target_compile_definitions(neuron_kernel INTERFACE $<$<BOOL:${NEURON_COVERAGE}>:NEURON_COVERAGE>)
    # Calls before each access to memory (kernel/mm/shadow.hpp). Copies and fills stay calls, which are looked at whole.
    if(NEURON_KASAN)
        target_compile_definitions(neuron_kernel INTERFACE NEURON_KASAN)
        target_compile_options(neuron_kernel INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=kernel-address
            --param=asan-instrumentation-with-call-threshold=0 --param=asan-stack=0 --param=asan-globals=0
            -fno-builtin-memcpy -fno-builtin-memmove -fno-builtin-memset -fno-builtin-memcmp>)
    endif()
    # Calls before each access to memory, and instead of the atomic ones (kernel/sync/data_races.hpp).
    if(NEURON_KCSAN)
        target_compile_definitions(neuron_kernel INTERFACE NEURON_KCSAN)
        target_compile_options(neuron_kernel INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=thread -Wno-tsan
            --param=tsan-instrument-func-entry-exit=0 --param=tsan-distinguish-volatile=1>)
    endif()
    # The release kernel is optimised as a whole: most of what a system call calls is a line or two in another file.
    # Debug builds keep one object per source, whose backtraces name every function.
    if(NOT NEURON_DEBUG AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        target_compile_options(neuron_kernel INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-flto=auto -fno-fat-lto-objects>)
    endif()
endif()

# neuron_host: how tests and tools are built on the host.
add_library(neuron_host INTERFACE)
target_link_libraries(neuron_host INTERFACE neuron_warnings)
if(NOT NEURON_TARGET AND NEURON_SANITIZE)
    add_compile_options(-fsanitize=${NEURON_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${NEURON_SANITIZE})
endif()

# neuron_user: a static riscv64 program (on the host: the same source as a plain Linux program).
add_library(neuron_user INTERFACE)
target_include_directories(neuron_user INTERFACE ${PROJECT_SOURCE_DIR}/user ${PROJECT_SOURCE_DIR}/abi/include)
target_link_libraries(neuron_user INTERFACE neuron_warnings)
if(NEURON_TARGET)
    target_compile_options(neuron_user INTERFACE -ffunction-sections -fdata-sections)
    target_link_options(neuron_user INTERFACE -static -Wl,--gc-sections)
endif()

# neuron_unhurried: programs nobody waits for. Small on the target, not optimised under the host's sanitizers: either takes
# half the time to compile or less.
add_library(neuron_unhurried INTERFACE)
if(NEURON_TARGET)
    target_compile_options(neuron_unhurried INTERFACE -Os)
elseif(NEURON_SANITIZE)
    target_compile_options(neuron_unhurried INTERFACE -O0)
endif()
