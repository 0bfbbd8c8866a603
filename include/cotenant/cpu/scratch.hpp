// scratch(): memory that a kernel needs for the length of one call, kept per thread between calls.
#ifndef COTENANT_CPU_SCRATCH_HPP
#define COTENANT_CPU_SCRATCH_HPP
#include <cstddef>
#include <new>
#include <string>

#include "cotenant/core/shape.hpp"

namespace cotenant::cpu {

// Each use has its own buffer, so that a kernel may hold several at once.
enum class ScratchUse : std::size_t { packed_left, packed_right, accumulators, row, shared_rows, tile, count };

namespace detail {
class ScratchBuffer {
 public:
  ScratchBuffer() = default;
  ScratchBuffer(const ScratchBuffer&) = delete;
  ScratchBuffer& operator=(const ScratchBuffer&) = delete;
  ~ScratchBuffer() { release(); }

  float* at_least(std::size_t floats) {
    if (floats > capacity_) {
      release();
      const std::size_t bytes = checked_multiply(floats, sizeof(float), "a kernel's scratch memory");
      data_ = static_cast<float*>(::operator new(bytes, std::align_val_t{alignment}, std::nothrow));
      if (data_ == nullptr) raise<OutOfMemory>(Text{"the system has no ", bytes, " bytes left for a kernel's scratch memory"});
      capacity_ = floats;
    }
    return data_;
  }

 private:
  // A cache line, and at least any x86 or Arm vector.
  static constexpr std::size_t alignment = 64;
  void release() noexcept {
    ::operator delete(data_, std::align_val_t{alignment});
    data_ = nullptr;
    capacity_ = 0;
  }
  float* data_ = nullptr;
  std::size_t capacity_ = 0;
};
}  // namespace detail

// At least `floats` floats, 64-byte aligned, content unspecified; this thread's until it asks again for the same use.
// Errors: OutOfMemory.
inline float* scratch(ScratchUse use, std::size_t floats) {
  static thread_local detail::ScratchBuffer buffers[static_cast<std::size_t>(ScratchUse::count)];
  return buffers[static_cast<std::size_t>(use)].at_least(floats);
}

}  // namespace cotenant::cpu

#endif
