// SPDX-License-Identifier: MIT
#include "layout.hpp"

#include <type_traits>

#include "nexus_abi/audit.hpp"
#include "nexus_abi/error.hpp"
#include "nexus_abi/linux.hpp"
#include "nexus_abi/output_log.hpp"
#include "nexus_abi/sched.hpp"
#include "nexus_abi/system.hpp"
#include "nexus_abi/trace.hpp"

namespace abi_docs {
namespace {

template <class T>
std::string type_name() {
    if constexpr (std::is_array_v<T>) {
        return type_name<std::remove_extent_t<T>>() + "[" + std::to_string(std::extent_v<T>) + "]";
    } else if constexpr (std::is_same_v<T, char>) {
        return "char";
    } else if constexpr (std::is_same_v<T, nexus_abi::timespec>) {
        return "timespec";
    } else if constexpr (std::is_same_v<T, nexus_abi::timeval>) {
        return "timeval";
    } else if constexpr (std::is_same_v<T, nexus_abi::statx_timestamp>) {
        return "statx_timestamp";
    } else {
        static_assert(std::is_integral_v<T>, "a nested struct needs its name here");
        return (std::is_signed_v<T> ? "i" : "u") + std::to_string(sizeof(T) * 8);
    }
}

}  // namespace

Layout compiled_layout() {
    Layout layout;
#define STRUCT(header, type, block) \
    layout.structs.push_back(       \
        {header, #type, Block::block, sizeof(nexus_abi::type), alignof(nexus_abi::type), {}});
#define FIELD(type, name)                                                                        \
    layout.structs.back().fields.push_back({#name, type_name<decltype(nexus_abi::type::name)>(), \
                                            offsetof(nexus_abi::type, name),                     \
                                            sizeof(nexus_abi::type::name)});
#define ENUMERATOR(header, type, name) \
    layout.enumerators.push_back({header, #type, #name, static_cast<std::int64_t>(nexus_abi::type::name)});
#define CONSTANT(header, name) layout.constants.push_back({header, #name, std::uint64_t{nexus_abi::name}});
#include "layout.def"
#undef CONSTANT
#undef ENUMERATOR
#undef FIELD
#undef STRUCT
    return layout;
}

}  // namespace abi_docs
