// NumPy's .npy files: an array as a view of the mapped file, and a tensor of any layout written as one.
#ifndef COTENANT_FILES_NPY_HPP
#define COTENANT_FILES_NPY_HPP
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "cotenant/core/layout.hpp"
#include "cotenant/files/atomic_file.hpp"
#include "cotenant/files/npy_header.hpp"
#include "cotenant/files/row_major.hpp"
#include "cotenant/share/tensor.hpp"
#include "cotenant/storage/mapped.hpp"

namespace cotenant {

// Element types: f4 f2 i1 u1 i4 i8 b1, little-endian, and two-byte records (V2) as bf16. Fortran order becomes strides: no
// element moves. Only where the elements do not lie at a multiple of their size, which NumPy before 1.14 left to chance,
// are they copied once. What follows the array in the file is left alone.
class NpyFile {
 public:
  // Errors: NotFound, IoError; BadFile where the header contradicts the format or the file's length; Unsupported for
  // records of several fields, more than eight dimensions, or a later version of the format.
  static NpyFile open(const std::filesystem::path& path) {
    NpyFile file(path.string(), Block::adopt(Mapped{}, Mapped::map(path)));
    const std::string_view bytes(static_cast<const char*>(file.block_->data()), file.block_->bytes());
    file.header_ = NpyHeader::parse(bytes, file.path_);
    file.check_length();
    file.align();
    return file;
  }

  const std::string& path() const { return path_; }
  const NpyHeader& header() const { return header_; }
  const Shape& shape() const { return header_.shape; }
  // Whether the elements had to be copied to be aligned.
  bool copied() const { return copied_; }

  // A view of the file; the mapping lives as long as any tensor on it.
  // Errors: Unsupported where cotenant has no such element type (or not in this byte order); TypeError where it holds
  // another than T; BadFile for a bool that is neither 0 nor 1.
  template <Element T> SharedTensor<T, Mapped> tensor() const {
    if (!header_.dtype)
      raise<Unsupported>("'" + path_ + "' holds elements of type '" + header_.descr +
                         "', which cotenant does not have: convert it with NumPy, e.g. array.astype('<f4')");
    if (*header_.dtype != dtype_of<T>)
      raise<TypeError>("'" + path_ + "' holds " + std::string(to_string(*header_.dtype)) + " ('" + header_.descr + "'), not " +
          std::string(to_string(dtype_of<T>)) + ": ask for " + std::string(to_string(*header_.dtype)));
    Layout layout{header_.shape, contiguous_strides(header_.shape), static_cast<std::ptrdiff_t>(position_ / sizeof(T))};
    if (header_.fortran_order) {
      std::size_t step = 1;
      for (std::size_t axis = 0; axis < header_.shape.rank(); ++axis) {
        layout.strides[axis] = static_cast<std::ptrdiff_t>(step);
        if (header_.shape[axis] > 1) step *= header_.shape[axis];  // fits: the file has that many elements, or none are reached
      }
    }
    if constexpr (std::is_same_v<T, bool>) {
      // Reading any other byte as a bool would be undefined.
      const auto* bytes = static_cast<const unsigned char*>(block_->data()) + position_;
      if (std::any_of(bytes, bytes + element_count(header_.shape), [](unsigned char byte) { return byte > 1; }))
        raise<BadFile>("'" + path_ + "' holds bools, but has a byte that is neither 0 nor 1");
    }
    return SharedTensor<T, Mapped>(block_, layout);
  }

 private:
  NpyFile(std::string path, BlockRef block) : path_(std::move(path)), block_(std::move(block)) {}

  void check_length() {
    // Every dimension is multiplied, so a zero beside huge ones still has to fit.
    std::size_t bytes = header_.dtype ? size_of(*header_.dtype) : 1;
    bool fits = true;
    for (std::size_t extent : header_.shape) fits = fits && !__builtin_mul_overflow(bytes, extent, &bytes);
    // A zero may come after an overflow, or hide what the other dimensions would need as strides.
    std::size_t reach = 1;
    for (std::size_t extent : header_.shape) fits = fits && !__builtin_mul_overflow(reach, std::max(extent, std::size_t{1}), &reach);
    if (!fits || reach > static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()))
      raise<BadFile>("'" + path_ + "' is not a valid npy file: its shape " + to_string(header_.shape) + " overflows");
    const std::size_t there = block_->bytes() - header_.data_offset;
    if (header_.dtype && bytes > there)
      raise<BadFile>("'" + path_ + "' is truncated: its shape " + to_string(header_.shape) + " needs " + std::to_string(bytes) + " bytes, but only " +
                     std::to_string(there) + " follow the header");
  }

  void align() {
    position_ = header_.data_offset;
    if (!header_.dtype || position_ % size_of(*header_.dtype) == 0) return;
    const std::size_t bytes = element_count(header_.shape) * size_of(*header_.dtype);
    const Allocation room = Mapped::anonymous(bytes);
    if (bytes != 0) std::memcpy(room.data, static_cast<const char*>(block_->data()) + position_, bytes);
    block_ = Block::adopt(Mapped{.from_file = false}, room);
    position_ = 0;
    copied_ = true;
  }

  std::string path_;
  BlockRef block_;
  NpyHeader header_;
  std::size_t position_ = 0;
  bool copied_ = false;
};

// The file appears complete or not at all. A tensor whose first axis is the dense one is written in Fortran order as it lies,
// any other layout in row-major order; bf16 as "<V2" (see NpyHeader::descr_of).
// Errors: IoError; InvalidArgument for an empty tensor.
template <TensorLike X> void write_npy(const std::filesystem::path& path, const X& like) {
  const auto& tensor = as_tensor(like);
  using T = element_type_of<X>;
  static_assert(storage_type_of<X>::host_accessible, "cotenant: only host tensors can be written to a file: copy_to<Heap>() it first");
  static_assert(ScalarElement<T>, "cotenant: npy has no type for packed 4-bit pairs: write the bytes as u8");
  if (!tensor) raise<InvalidArgument>("cannot write '" + path.string() + "': the tensor is an empty handle");
  View<const T> view = tensor.view();
  Layout reversed = view.layout();
  const std::size_t rank = view.rank();
  for (std::size_t axis = 0; axis < rank; ++axis) {
    reversed.shape[axis] = view.shape(rank - 1 - axis);
    reversed.strides[axis] = view.stride(rank - 1 - axis);
  }
  const bool fortran_order = !view.contiguous() && is_contiguous(reversed.shape, reversed.strides);
  AtomicFile file(path);
  file.write(NpyHeader::text(dtype_of<T>, fortran_order, tensor.shape()));
  if (fortran_order) view = view.with(reversed);
  write_row_major(file, view.data(), view.layout(), sizeof(*view.data()));
  file.commit();
}

}  // namespace cotenant

#endif
