// SPDX-License-Identifier: MIT
// Anonymous memory, page by page: huge pages are declined, so that each touch is a fault.
#include <sys/mman.h>

#include <cerrno>

#include "measure.hpp"

namespace bench {

namespace {

constexpr std::size_t kPage = 4096;

class Mapping {
  public:
    explicit Mapping(std::size_t bytes)
        : address_{::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)},
          bytes_{bytes} {
        if (address_ == MAP_FAILED) {
            throw Unsupported{errno};
        }
    }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    ~Mapping() { ::munmap(address_, bytes_); }

    // EINVAL on a kernel without huge pages is as good.
    void decline_huge_pages() const { static_cast<void>(::madvise(address_, bytes_, MADV_NOHUGEPAGE)); }
    void touch() const {
        for (std::size_t at = 0; at < bytes_; at += kPage) {
            static_cast<volatile char*>(address_)[at] = 1;
        }
    }

  private:
    void* address_;
    std::size_t bytes_;
};

}  // namespace

void mmap_touch_munmap(Figures& figures) {
    figures.add("", cost_of(2'000, [] { Mapping{kPage}.touch(); }));
}

void first_touch(Figures& figures) {
    constexpr std::size_t kPages = 4096;
    const Mapping warm{64 * kPage};
    warm.decline_huge_pages();
    warm.touch();
    const Mapping area{kPages * kPage};
    area.decline_huge_pages();
    const std::uint64_t begin = now_ns();
    area.touch();
    figures.add("", static_cast<double>(now_ns() - begin) / kPages);
}

// 8 MiB mapped, touched and unmapped again and again: the frames come back and are zeroed anew.
void fault_throughput(Figures& figures) {
    constexpr std::size_t kPages = 2048;
    const double round = cost_of(8, [] {
        const Mapping area{kPages * kPage};
        area.decline_huge_pages();
        area.touch();
    });
    figures.add("", round / kPages);
}

}  // namespace bench
