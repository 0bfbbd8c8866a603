// Zstandard frames, one per chunk of a tensor; only where COTENANT_ZSTD is defined, and the program is linked with libzstd.
#ifndef COTENANT_FILES_ZSTD_HPP
#define COTENANT_FILES_ZSTD_HPP
#include <cstddef>
#include <string>

#include "cotenant/core/error.hpp"

// Without it compressed tensors are an Unsupported error, and all others work.
#if defined(COTENANT_ZSTD)
#if !__has_include(<zstd.h>)
#error "COTENANT_ZSTD is defined, but there is no <zstd.h> (Debian: libzstd-dev)"
#endif
#include <zstd.h>
#endif

namespace cotenant {

struct Zstd {
#if defined(COTENANT_ZSTD)
  static constexpr bool available = true;
  // The most bytes that a frame of so many bytes takes.
  static std::size_t bound(std::size_t bytes) { return ZSTD_compressBound(bytes); }
  // Writes one frame and returns its length. Errors: OutOfMemory.
  static std::size_t compress(void* to, std::size_t capacity, const void* from, std::size_t bytes) {
    // Level 3, zstd's own default: float weights gain little from higher ones.
    const std::size_t length = ZSTD_compress(to, capacity, from, bytes, 3);
    if (ZSTD_isError(length)) raise<OutOfMemory>(std::string("zstd cannot compress: ") + ZSTD_getErrorName(length));
    return length;
  }
  // Reads the frame at `from`, which must hold exactly `wanted` bytes, and returns its length; 0 where it is no such frame.
  static std::size_t decompress(void* to, std::size_t wanted, const void* from, std::size_t available_bytes) {
    const std::size_t length = ZSTD_findFrameCompressedSize(from, available_bytes);
    if (ZSTD_isError(length)) return 0;
    const std::size_t written = ZSTD_decompress(to, wanted, from, length);
    return !ZSTD_isError(written) && written == wanted ? length : 0;
  }
#else
  static constexpr bool available = false;
  static std::size_t bound(std::size_t) { refuse(); }
  static std::size_t compress(void*, std::size_t, const void*, std::size_t) { refuse(); }
  static std::size_t decompress(void*, std::size_t, const void*, std::size_t) { refuse(); }
  [[noreturn]] static void refuse() {
    raise<Unsupported>("this program was built without zstd: define COTENANT_ZSTD and link libzstd to read and write compressed tensors");
  }
#endif
};

}  // namespace cotenant

#endif
