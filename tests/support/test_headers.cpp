// SPDX-License-Identifier: MIT
// Empty: a precompiled header belongs to a source (tests/CMakeLists.txt).
