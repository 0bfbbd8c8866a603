// What the fuzz targets share: input as a file, numbers out of input, and elements really read.
#ifndef COTENANT_TESTS_FUZZ_SUPPORT_HPP
#define COTENANT_TESTS_FUZZ_SUPPORT_HPP
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include <sys/mman.h>
#include <unistd.h>

#include "cotenant/share/tensor.hpp"

namespace fuzz {

// A property that does not hold: the fuzzer keeps the input.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

// A file in memory with the given bytes, under a path that every reader can open.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes) : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)), path_("/proc/self/fd/" + std::to_string(descriptor_)) {
    require(descriptor_ >= 0 && ::write(descriptor_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()), "a file in memory can be made");
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { ::close(descriptor_); }
  const std::string& path() const { return path_; }

 private:
  int descriptor_;
  std::string path_;
};

// Reads elements through their type, so that sanitizers see an address outside and a value that the type cannot have.
template <class View> void touch(const View& view, std::size_t& budget) {
  if (view.size() == 0) return;
  if (view.rank() > 0) {
    for (std::size_t i = 0; i < view.shape(0) && budget > 0; ++i) touch(view.with(cotenant::select(view.layout(), 0, static_cast<std::ptrdiff_t>(i))), budget);
    return;
  }
  --budget;
  auto element = *view.data();
  asm volatile("" : : "g"(&element) : "memory");
}
template <class Tensor> void touch(const Tensor& tensor) {
  std::size_t budget = 100'000;
  touch(tensor.view(), budget);
}

// Small numbers from the input; 0 where it has ended.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  bool done() const { return at_ >= size_; }
  std::uint8_t byte() { return done() ? std::uint8_t{0} : data_[at_++]; }
  // Mostly small, sometimes as large as a number can be.
  std::int64_t number() {
    const std::uint8_t first = byte();
    if (first < 0xF0) return static_cast<std::int64_t>(first) - 0x70;
    std::uint64_t value = 0;
    for (int i = 0; i <= (first & 7); ++i) value = (value << 8) | byte();
    return static_cast<std::int64_t>(first & 8 ? ~value : value);
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t at_ = 0;
};

}  // namespace fuzz

#endif
