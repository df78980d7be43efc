# Toolchain file: Debian's stock cross compiler. User programs get its defaults (rv64gc, lp64d, static glibc); the kernel
# adds its own flags in cmake/flags.cmake.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR riscv64)
set(CMAKE_C_COMPILER riscv64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER riscv64-linux-gnu-g++)
set(CMAKE_ASM_COMPILER riscv64-linux-gnu-gcc)
# These two know the objects of link-time optimisation.
set(CMAKE_AR riscv64-linux-gnu-gcc-ar)
set(CMAKE_RANLIB riscv64-linux-gnu-gcc-ranlib)
set(CMAKE_OBJCOPY riscv64-linux-gnu-objcopy)
set(CMAKE_NM riscv64-linux-gnu-nm)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
