# libfdt from source, for the kernel and for the host. Debian packages libfdt for the host only, so the source comes from
# the kernel source package, extracted once into a cache outside the build tree that all presets share; with it come the
# VisionFive 2 device trees and their binding headers. Nothing of it is committed.
#
#   LIBFDT_SOURCE_DIR     take libfdt from there (dtc's own tree has it in libfdt/) and extract nothing
#   NEURON_CACHE_DIR      where the extracted source is kept (default: $XDG_CACHE_HOME/neuron, else ~/.cache/neuron)
#   NEURON_LINUX_TARBALL  another place of the package's archive
#
# Defines: target `fdt`; NEURON_LINUX_SOURCE_DIR, which holds arch/riscv/boot/dts/starfive and include/dt-bindings, or is
# empty when LIBFDT_SOURCE_DIR is given.
include_guard(GLOBAL)

set(LIBFDT_SOURCE_DIR "" CACHE PATH "libfdt source; empty: from the package linux-source-6.12")
set(NEURON_LINUX_TARBALL /usr/src/linux-source-6.12.tar.xz CACHE FILEPATH "Archive of the package linux-source-6.12")
if(DEFINED ENV{NEURON_CACHE_DIR})
    set(neuron_default_cache "$ENV{NEURON_CACHE_DIR}")
elseif(DEFINED ENV{XDG_CACHE_HOME})
    set(neuron_default_cache "$ENV{XDG_CACHE_HOME}/neuron")
else()
    set(neuron_default_cache "$ENV{HOME}/.cache/neuron")
endif()
set(NEURON_CACHE_DIR "${neuron_default_cache}" CACHE PATH "Downloads and extracted sources shared by all build trees")

# Sets `result` to a directory that holds the wanted parts of the archive.
function(neuron_extract_linux_source result)
    if(NOT EXISTS "${NEURON_LINUX_TARBALL}")
        message(FATAL_ERROR
            "${NEURON_LINUX_TARBALL} not found. Install the Debian package linux-source-6.12 (scripts/setup.sh does), "
            "or set LIBFDT_SOURCE_DIR to a libfdt source directory.")
    endif()
    # A new version of the package has another time stamp and gets a directory of its own.
    file(TIMESTAMP "${NEURON_LINUX_TARBALL}" stamp "%Y%m%d%H%M%S" UTC)
    set(directory "${NEURON_CACHE_DIR}/linux-source-6.12-${stamp}")
    set(${result} "${directory}" PARENT_SCOPE)
    if(EXISTS "${directory}/scripts/dtc/libfdt/fdt.c")
        return()
    endif()

    message(STATUS "Extracting libfdt and device tree sources into ${directory} (about 15 s, once)")
    string(RANDOM LENGTH 12 suffix)
    set(temporary "${directory}.${suffix}")
    file(MAKE_DIRECTORY "${temporary}")
    execute_process(
        COMMAND tar -xJf "${NEURON_LINUX_TARBALL}" --strip-components=1 -C "${temporary}"
                linux-source-6.12/scripts/dtc/libfdt linux-source-6.12/arch/riscv/boot/dts/starfive
                linux-source-6.12/include/dt-bindings
        RESULT_VARIABLE status ERROR_VARIABLE errors)
    if(NOT status EQUAL 0)
        file(REMOVE_RECURSE "${temporary}")
        message(FATAL_ERROR "${NEURON_LINUX_TARBALL} could not be extracted:\n${errors}")
    endif()
    # Another configure run may have been faster; its copy is as good.
    file(RENAME "${temporary}" "${directory}" RESULT status)
    if(NOT status EQUAL 0)
        file(REMOVE_RECURSE "${temporary}")
    endif()
    if(NOT EXISTS "${directory}/scripts/dtc/libfdt/fdt.c")
        message(FATAL_ERROR "${directory} is incomplete (${status}): remove it and configure again.")
    endif()
endfunction()

if(LIBFDT_SOURCE_DIR)
    set(libfdt_dir "${LIBFDT_SOURCE_DIR}")
    set(NEURON_LINUX_SOURCE_DIR "")
else()
    neuron_extract_linux_source(NEURON_LINUX_SOURCE_DIR)
    set(libfdt_dir "${NEURON_LINUX_SOURCE_DIR}/scripts/dtc/libfdt")
endif()
set(NEURON_LINUX_SOURCE_DIR "${NEURON_LINUX_SOURCE_DIR}" CACHE INTERNAL "Extracted parts of the Linux source")
set(NEURON_LIBFDT_DIR "${libfdt_dir}" CACHE INTERNAL "libfdt source in use")
foreach(file fdt.c fdt_ro.c libfdt.h)
    if(NOT EXISTS "${libfdt_dir}/${file}")
        message(FATAL_ERROR "LIBFDT_SOURCE_DIR: ${libfdt_dir} has no ${file}; name the directory that holds libfdt.h.")
    endif()
endforeach()

# The reading half of libfdt. Third-party code: our warnings are not its standard, so they are off for it alone.
add_library(fdt STATIC ${libfdt_dir}/fdt.c ${libfdt_dir}/fdt_ro.c)
target_include_directories(fdt SYSTEM PUBLIC ${libfdt_dir})
target_link_libraries(fdt PRIVATE neuron_kernel)
# The second option keeps the cache's place out of the debug information.
target_compile_options(fdt PRIVATE -w -ffile-prefix-map=${libfdt_dir}/=libfdt/)
