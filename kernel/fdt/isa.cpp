// SPDX-License-Identifier: MIT
#include "fdt/isa.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace kernel::fdt {

namespace {

struct NamedFeature {
    std::string_view name;
    bool IsaFeatures::* flag;
};
constexpr std::array<NamedFeature, 10> kNamedFeatures{{{"ssaia", &IsaFeatures::ssaia},
                                                       {"sstc", &IsaFeatures::sstc},
                                                       {"svade", &IsaFeatures::svade},
                                                       {"svadu", &IsaFeatures::svadu},
                                                       {"svinval", &IsaFeatures::svinval},
                                                       {"svnapot", &IsaFeatures::svnapot},
                                                       {"svpbmt", &IsaFeatures::svpbmt},
                                                       {"zihintpause", &IsaFeatures::zihintpause},
                                                       {"zicbom", &IsaFeatures::zicbom},
                                                       {"zicboz", &IsaFeatures::zicboz}}};

constexpr char lower(char character) {
    return character >= 'A' && character <= 'Z' ? static_cast<char>(character | 0x20) : character;
}
constexpr bool is_digit(char character) {
    return character >= '0' && character <= '9';
}

bool equals_ignoring_case(std::string_view text, std::string_view lower_case) {
    return std::equal(text.begin(), text.end(), lower_case.begin(), lower_case.end(),
                      [](char a, char b) { return lower(a) == b; });
}

void add_letter(Isa& isa, char letter) {
    switch (lower(letter)) {
        case 'g':  // imafd_zicsr_zifencei
            isa.i = isa.m = isa.a = true;
            isa.features.f = isa.features.d = true;
            break;
        case 'i':
            isa.i = true;
            break;
        case 'm':
            isa.m = true;
            break;
        case 'a':
            isa.a = true;
            break;
        case 'c':
            isa.c = true;
            break;
        case 'd':  // D depends on F
            isa.features.d = isa.features.f = true;
            break;
        case 'f':
            isa.features.f = true;
            break;
        default:
            break;
    }
}

void add_name(Isa& isa, std::string_view name) {
    if (name.size() == 1) {
        add_letter(isa, name[0]);
        return;
    }
    for (const NamedFeature& feature : kNamedFeatures) {
        if (equals_ignoring_case(name, feature.name)) {
            isa.features.*feature.flag = true;
        }
    }
}

// "zba1p0" -> "zba".
std::string_view without_version(std::string_view name) {
    const auto drop_digits = [](std::string_view text) {
        while (!text.empty() && is_digit(text.back())) {
            text.remove_suffix(1);
        }
        return text;
    };
    const std::string_view major = drop_digits(name);
    if (major.size() == name.size() || major.empty() || lower(major.back()) != 'p') {
        return name;
    }
    const std::string_view stem = drop_digits(major.substr(0, major.size() - 1));
    return stem.size() + 1 == major.size() ? name : stem;
}

// The part between "rv64" and the first underscore: letters with optional versions such as "2p1". A z or x
// begins a longer name, and so does an s, except for the "s", "u" and "x" that old trees list as letters
// ("rv64imafdcbsux").
void add_letters(Isa& isa, std::string_view letters) {
    while (!letters.empty()) {
        const char letter = lower(letters[0]);
        const bool is_supervisor = letter == 's' && (letters.size() == 1 || lower(letters[1]) == 'u');
        if (letter == 'z' || letter == 'x' || (letter == 's' && !is_supervisor)) {
            add_name(isa, without_version(letters));
            return;
        }
        if (letter == 'p' && letters.size() > 1 && is_digit(letters[1])) {
            letters.remove_prefix(1);  // the point of a version number
            continue;
        }
        add_letter(isa, letter);
        letters.remove_prefix(1);
    }
}

std::optional<Isa> parse_extension_list(const Tree& tree, Node cpu) {
    const auto list = tree.property(cpu, "riscv,isa-extensions");
    const auto names = list ? list->text_list() : std::nullopt;
    if (!names || !equals_ignoring_case(tree.text(cpu, "riscv,isa-base"), "rv64i")) {
        return std::nullopt;
    }
    Isa isa;
    for (std::string_view rest = *names; !rest.empty();) {
        const std::size_t end = rest.find('\0');
        add_name(isa, rest.substr(0, end));
        rest.remove_prefix(end + 1);
    }
    isa.i = true;
    return isa;
}

}  // namespace

std::optional<Isa> parse_isa_string(std::string_view text) {
    if (!equals_ignoring_case(text.substr(0, 4), "rv64")) {
        return std::nullopt;
    }
    Isa isa;
    text.remove_prefix(4);
    const std::size_t letters = std::min(text.find('_'), text.size());
    add_letters(isa, text.substr(0, letters));
    text.remove_prefix(letters);
    while (!text.empty()) {
        text.remove_prefix(1);  // the underscore
        const std::size_t end = std::min(text.find('_'), text.size());
        add_name(isa, without_version(text.substr(0, end)));
        text.remove_prefix(end);
    }
    return isa;
}

std::optional<Isa> read_isa(const Tree& tree, Node cpu) {
    auto isa = parse_extension_list(tree, cpu);
    if (!isa) {
        isa = parse_isa_string(tree.text(cpu, "riscv,isa"));
    }
    if (isa && isa->features.zicboz) {
        const std::uint32_t block_bytes = tree.cell_or(cpu, "riscv,cboz-block-size", 0);
        const bool is_sound = std::has_single_bit(block_bytes) && block_bytes >= 8 && block_bytes <= 4096;
        isa->features.zicboz = is_sound;
        isa->features.zicboz_block_bytes = is_sound ? block_bytes : 0;
    }
    return isa;
}

IsaFeatures common_features(const IsaFeatures& left, const IsaFeatures& right) {
    IsaFeatures common;
    common.f = left.f && right.f;
    common.d = left.d && right.d;
    for (const NamedFeature& feature : kNamedFeatures) {
        common.*feature.flag = left.*feature.flag && right.*feature.flag;
    }
    common.zicboz = common.zicboz && left.zicboz_block_bytes == right.zicboz_block_bytes;
    common.zicboz_block_bytes = common.zicboz ? left.zicboz_block_bytes : 0;
    return common;
}

}  // namespace kernel::fdt
